#!/usr/bin/env bash
# A host that sleeps: the machine's clock is the host's again afterwards, and its programs do not take
# the time for one in which their GPU was silent. $3: a program that waits for its GPU until there is a
# file /go; $4: one that sets the clock to what it is, which tells as a sleep does.
. "$(dirname "$0")/lib.sh"
waits=$(realpath "$3") set_clock=$(realpath "$4")
cd "$work" || exit 1

# below PID NAME: the processes of that name among the descendants of PID.
below() {
    local child
    for child in $(pgrep -P "$1"); do
        [ "$(cat "/proc/$child/comm" 2>/dev/null)" != "$2" ] || echo "$child"
        below "$child" "$2"
    done
}

"$arcbox" run --vm --gpus device=cpu --name sleeper -v "$waits:/waits" host /waits >out 2>err &
arcbox_pid=$!
for i in $(seq 1200); do grep -qs ready out && break; sleep 0.1; done
device=$(below $arcbox_pid arcbox-vmm) qemu=$(below $arcbox_pid qemu-system-x86)
[ -n "$device" ] && [ -n "$qemu" ] || fail "device '$device', hypervisor '$qemu': $(cat err)"

wrong_clock() {
    "$arcbox" exec sleeper date -s 2001-02-03 >/dev/null
    same 'a clock that is wrong' 2001 "$("$arcbox" exec sleeper date +%Y)"
}
right_clock() {
    for i in $(seq 100); do
        [ "$("$arcbox" exec sleeper date +%Y)" != 2001 ] && break
        sleep 0.1
    done
    off=$(($("$arcbox" exec sleeper date +%s) - $(date +%s)))
    [ ${off#-} -le 10 ] && pass || fail "$1: the machine's clock is off by $off s"
}

# A question to the device is under way when all stops, and the machine is first to go on; twice, since
# an emulated clock may lose a longer pause whole.
all="$qemu $(below $arcbox_pid arcbox-vm)"
wrong_clock
kill -STOP "$device"
for i in 1 2; do
    sleep 2
    kill -STOP $all
    sleep 17
    kill -CONT $all
done
sleep 2
kill -CONT "$device"
right_clock 'stopped'

wrong_clock
if "$set_clock"; then
    right_clock 'set'
else
    echo 'left out: the clock of this system may not be set'
fi

"$arcbox" exec sleeper touch /go
wait $arcbox_pid
same 'what waited goes on' 'ready completed' "$(tr '\n' ' ' <out | sed 's/ $//')"
finish
