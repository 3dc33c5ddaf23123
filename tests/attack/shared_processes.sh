#!/usr/bin/env bash
# Where a container can have no /proc of its own it sees its user's processes: their environment, memory
# and root folder stay closed, and no signal reaches them.
. "$(dirname "$0")/lib.sh"
masked() { "${as[@]}" bwrap --bind / / --dev /dev --proc /proc --unshare-pid --unshare-user-try "$@"; }
python3 -c 'import ctypes, sys; sys.exit(ctypes.CDLL(None).syscall(444, None, 0, 1) < 1)' ||
    { skip "no Landlock in this kernel"; exit 77; }
for attacker in $(attackers); do
    become "$attacker"
    masked true 2>/dev/null || { skip "no sandbox in this system: $who"; continue; }
    masked unshare -Urmpf mount -t proc proc /proc 2>/dev/null && { skip "covers no /proc here: $who"; continue; }
    same "$who" "nothing" "$(masked sh -c '
        SECRET=outside-secret sleep 67 & outside=$!
        "$1" run host sh -c "
            grep -aq outside-secret /proc/$outside/environ 2>/dev/null && echo environment
            ls /proc/$outside/root/etc >/dev/null 2>&1 && echo root
            (: </proc/$outside/mem) 2>/dev/null && echo memory
            echo nothing" 2>/dev/null
        kill $outside' - "$arcbox" | tr '\n' ' ' | sed 's/ $//')"
    if python3 -c 'import ctypes, sys; sys.exit(ctypes.CDLL(None).syscall(444, None, 0, 1) < 6)'; then
        same "$who: signals" alive "$(masked sh -c '
            sleep 68 & outside=$!
            "$1" run host sh -c "kill -9 $outside" 2>/dev/null
            kill $outside && echo alive' - "$arcbox")"
    fi
done
[ $((passed + failed)) -gt 0 ] || exit 77
finish
