#!/usr/bin/env bash
# A process's number, and a container's name, may be another's between look-up and use: the command
# line signals and waits for the one that was meant. In a process space of its own, where the test says
# which number comes next.
if [ "${2:-}" != inside ]; then
    new=(unshare -pf --mount-proc)
    [ "$(id -u)" = 0 ] || new=(unshare -Urpf --mount-proc)
    if ! "${new[@]}" sh -c 'echo 1000 >/proc/sys/kernel/ns_last_pid' 2>/dev/null; then
        echo "SKIP: no process space of its own here, or its numbers cannot be set"
        exit 77
    fi
    exec "${new[@]}" bash "$0" "$1" inside
fi
. "$(dirname "$0")/lib.sh"
# Starts `sleep 60` as process $1.
cd "$work" || exit 1
victim=
take_number() {
    for _ in $(seq 50); do
        echo $(($1 - 1)) >/proc/sys/kernel/ns_last_pid
        sleep 60 &
        victim=$!
        [ $victim = "$1" ] && return
        kill $victim
        wait $victim 2>/dev/null
    done
    fail "number $1 could not be had: the test tests nothing"
}
field() { sed -n "s/^$2=//p" "$work/state/containers/$1/record"; }
state() { sed 's/.*) //; s/ .*//' "/proc/$1/stat" 2>/dev/null; }
lives() { case $(state "$victim") in S) echo yes ;; esac; kill "$victim" 2>/dev/null; }
until_ended() { for _ in $(seq 200); do case $(state "$1") in Z | X | '') return ;; esac; sleep 0.02; done; }
# Its command ends on USR1, and not on TERM.
start() {
    "$arcbox" run -d --name "$1" host sh -c 'trap "" TERM; trap "exit 5" USR1; echo up; while :; do sleep 0.05; done' >/dev/null
    for _ in $(seq 200); do [ -n "$("$arcbox" logs "$1")" ] && break; sleep 0.02; done
}

# stop, while the name goes to another container and the number of process 1 to another process
start again
init=$(field again init)
"$arcbox" stop -t 1 again >/dev/null 2>&1 &
stopping=$!
sleep 0.5
kill -STOP $stopping
"$arcbox" kill -s USR1 again >/dev/null
"$arcbox" wait again >/dev/null
"$arcbox" rm again >/dev/null
start again
take_number "$init"
sleep 1
kill -CONT $stopping
wait $stopping
same "stop: the one that was meant had ended" 0 $?
same "stop: another process of its number lives" yes "$(lives)"
same "stop: another container of its name runs" again "$("$arcbox" ps -q)"

# wait and logs -f
"$arcbox" wait again >waited &
waiting=$!
"$arcbox" logs -f again >followed &
following=$!
sleep 0.3
kill -STOP $waiting $following
"$arcbox" kill -s USR1 again >/dev/null
while "$arcbox" ps -q | grep -q .; do sleep 0.02; done
"$arcbox" rm again >/dev/null
start again
kill -CONT $waiting $following
for _ in $(seq 100); do kill -0 $waiting 2>/dev/null || kill -0 $following 2>/dev/null || break; sleep 0.05; done
kill $waiting 2>/dev/null && fail "wait: it waits for another container of the name"
kill $following 2>/dev/null && fail "logs -f: it follows another container of the name"
wait $waiting $following 2>/dev/null
"$arcbox" rm -f again >/dev/null

# run passes a signal on after its process 1 has ended
"$arcbox" run --name passes host sh -c 'echo up; exec sleep 60' >up &
running=$!
for _ in $(seq 200); do [ -s up ] && break; sleep 0.02; done
init=$(field passes init)
kill -STOP $running
kill -KILL "$init"
until_ended "$init"
for _ in $(seq 200); do [ -e "/proc/$init" ] || break; sleep 0.02; done
take_number "$init"
kill -TERM $running
kill -CONT $running
wait $running 2>/dev/null
same "run: another process of its number lives" yes "$(lives)"
finish
