#!/usr/bin/env bash
# In a container whose /proc is partly covered, as docker's are, the kernel lets nobody mount
# another: `arcbox run` says what that means, and runs.
. "$(dirname "$0")/lib.sh"
masked() { bwrap --bind / / --dev /dev --proc /proc --unshare-pid --unshare-user-try "$@"; }
masked true 2>/dev/null || { skip "no sandbox in this system"; exit 77; }
masked unshare -Urmpf mount -t proc proc /proc 2>/dev/null && { skip "covers no /proc here"; exit 77; }
says "it is said" 0 "covers parts of /proc" masked "$arcbox" run host true
same "output" hello "$(masked "$arcbox" run host echo hello 2>/dev/null)"
same "exit code" 7 "$(masked "$arcbox" run host sh -c 'exit 7' 2>/dev/null; echo $?)"
same "signal" 143 "$(masked "$arcbox" run host sh -c 'kill -TERM $$' 2>/dev/null; echo $?)"
same "missing command" 127 "$(masked "$arcbox" run host /no/such 2>/dev/null; echo $?)"
# The outer sandbox lives on, so that what the inner one leaves would be seen.
same "what the command left ends too" 0 "$(masked sh -c '
    "$1" run host sh -c "setsid sleep 654 & (setsid sleep 654 &) ; sleep 0.1" 2>/dev/null
    grep -lz "^654$" /proc/[0-9]*/cmdline 2>/dev/null | wc -l' - "$arcbox")"
same "stopped" "box 0" "$(masked sh -c '
    "$1" run -d --rm --name box host sh -c "sleep 655 & sleep 655" >/dev/null 2>&1
    "$1" stop -t 1 box; grep -lz "^655$" /proc/[0-9]*/cmdline 2>/dev/null | wc -l' - "$arcbox" | tr '\n' ' ' | sed 's/ $//')"
# The outer sandbox ends with its last process, which is the host runtime.
same "a kernel runs too" 1 "$(masked sh -c '"$1" doctor 2>/dev/null; "$1" daemon stop >/dev/null' - "$arcbox" |
    grep -c "^ok *kernel run *4096 sums right")"
same "not where /proc is whole" "" "$("$arcbox" run host true 2>&1)"
finish
