#!/usr/bin/env bash
# Machines for a long time (ARCBOX_SOAK_SECONDS, ten minutes unless set), and every 20 seconds something
# is killed: a program in one, its worker, its device, its hypervisor, its arcbox, its kernel, which panics,
# or resets the machine. Another machine notices nothing, and in the end the host has what it had: descriptors, mappings, memory, processes. $3: a
# program that computes for ever.
. "$(dirname "$0")/lib.sh"
loop=$(realpath "$3")
cd "$work" || exit 1
seconds=${ARCBOX_SOAK_SECONDS:-600} every=${ARCBOX_SOAK_EVERY:-20}

start() { # NAME [COMMAND...]: detached; $pid is its arcbox
    local name=$1
    shift
    "$arcbox" run --vm -d --rm --name "$name" --cpus 1 -m 512m --network none --gpus device=cpu -v "$loop:/loop" host "$@" >/dev/null
    pid=$("$arcbox" inspect "$name" | sed -n 's/.*"arcbox_pid": \([0-9]*\).*/\1/p')
}
worker_of() { "$arcbox" gpu --format json | sed -n "s/.*\"name\": \"$1\".*\"worker_pid\": \([0-9]*\).*/\1/p"; }
# Until it says so within two minutes.
waits() { for i in $(seq 1200); do grep -qs "$2" "$1" && return 0; sleep 0.1; done; fail "no '$2' in $1: $(tail -2 "$1")"; }
gone() { for i in $(seq 600); do [ -d "/proc/$1" ] || return 0; sleep 0.1; done; fail "$2: process $1 is left"; }
# descriptors, mappings, memory in MiB of a process.
holds() { echo "$(ls "/proc/$1/fd" | wc -l) $(wc -l <"/proc/$1/maps") $(awk '/^VmRSS/ { print int($2 / 1024) }' "/proc/$1/status")"; }
# Clients that have gone are forgotten a moment later.
settles() { for i in $(seq 200); do [ "$("$arcbox" gpu --format json | grep -c '"program": "loop"')" = 1 ] && return; sleep 0.1; done; fail 'clients are left'; }

start steady /loop # goes on to the end
steady=$pid
"$arcbox" exec steady timeout 2 /loop >warm.out 2>&1 # what is made once is there
waits warm.out ready
settles
daemon=$(cat "/proc/$(worker_of steady)/status" | sed -n 's/^PPid:\t//p') worker=$(worker_of steady) device=$(below "$steady" arcbox-vmm)
[ -d "/proc/$daemon" ] && [ -d "/proc/$worker" ] && [ -d "/proc/$device" ] || { fail "processes: '$daemon' '$worker' '$device'"; finish; exit 1; }
for process in daemon worker device; do eval "${process}_before=\$(holds \$$process)"; done

kinds=(program worker device hypervisor arcbox panic reset) round=0
end=$((SECONDS + seconds))
while [ $SECONDS -lt $end ]; do
    kind=${kinds[$((round % 7))]} began=$SECONDS
    round=$((round + 1))
    "$arcbox" exec steady /loop >steady.out 2>steady.err &
    loops=$!
    start "victim$round" sh -c '/loop; echo "code $?"; sleep 1000'
    victim=$pid
    for i in $(seq 1200); do "$arcbox" logs "victim$round" 2>/dev/null | grep -q ready && break; sleep 0.1; done
    waits steady.out ready
    case $kind in
        program) "$arcbox" exec "victim$round" pkill -KILL -x loop ;;
        worker) kill -KILL "$(worker_of "victim$round")" ;;
        device) kill -KILL "$(below "$victim" arcbox-vmm)" ;;
        hypervisor) kill -KILL "$(below "$victim" qemu-system-x86)" ;;
        arcbox) kill -KILL "$victim" ;;
        panic) "$arcbox" exec "victim$round" sh -c 'echo c >/proc/sysrq-trigger' 2>/dev/null ;;
        reset) "$arcbox" exec "victim$round" sh -c 'echo b >/proc/sysrq-trigger' 2>/dev/null ;;
    esac
    case $kind in
        program | worker) for i in $(seq 600); do "$arcbox" logs "victim$round" | grep -q '^code' && break; sleep 0.1; done
            "$arcbox" logs "victim$round" | grep -q '^code' && pass || fail "round $round, $kind: the program goes on"
            "$arcbox" stop -t 1 "victim$round" >/dev/null ;;
        device) sleep 1; "$arcbox" stop -t 1 "victim$round" >/dev/null ;;
    esac
    gone "$victim" "round $round, $kind"
    # Killed in the steady machine too, in the middle of its work, after it went on through all that.
    same "round $round, $kind: the other machine" 'ready ready' "$(cat steady.out) $("$arcbox" logs steady)"
    kill -KILL $loops
    wait $loops 2>/dev/null
    [ $((SECONDS - began)) -ge $every ] || sleep $((every - SECONDS + began))
done
settles
echo "$round rounds"
for process in daemon worker device; do
    for i in $(seq 50); do # what ends, ends in its time
        read -r files maps memory <<<"$(holds "${!process}")"
        before=${process}_before
        read -r files_then maps_then memory_then <<<"${!before}"
        [ "$files" -le "$files_then" ] && [ "$maps" -le $((maps_then + 8)) ] && break
        sleep 0.2
    done
    echo "$process: before ${!before}, after $files $maps $memory (descriptors, mappings, MiB)"
    [ "$files" -le "$files_then" ] && pass || fail "$process: $files descriptors, $files_then before"
    [ "$maps" -le $((maps_then + 8)) ] && pass || fail "$process: $maps mappings, $maps_then before"
    [ "$memory" -le $((memory_then + 16)) ] && pass || fail "$process: $memory MiB, $memory_then before"
done
"$arcbox" stop -t 1 steady >/dev/null
gone "$device" 'the steady machine'
same 'machines left' '' "$("$arcbox" ps -q)"
finish
