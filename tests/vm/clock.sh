#!/usr/bin/env bash
# A host that sleeps: the machine's clock is the host's again afterwards, and its programs do not take
# the time for one in which their GPU was silent. $3: a program that waits for its GPU until there is a
# file /go. That the host's clock is set, which tells as a sleep does, is not tried: it is everybody's.
. "$(dirname "$0")/lib.sh"
waits=$(realpath "$3")
cd "$work" || exit 1

"$arcbox" run --vm --gpus device=cpu --name sleeper -v "$waits:/waits" host /waits >out 2>err &
arcbox_pid=$!
for i in $(seq 1200); do grep -qs ready out && break; sleep 0.1; done
device=$(below $arcbox_pid arcbox-vmm) qemu=$(below $arcbox_pid qemu-system-x86)
[ -n "$device" ] && [ -n "$qemu" ] || fail "device '$device', hypervisor '$qemu': $(cat err)"

# A question to the device is under way when all stops, and the machine is first to go on; twice, since
# an emulated clock may lose a longer pause whole.
all="$qemu $(below $arcbox_pid arcbox-vm)"
"$arcbox" exec sleeper date -s 2001-02-03 >/dev/null
same 'a clock that is wrong' 2001 "$("$arcbox" exec sleeper date +%Y)"
kill -STOP "$device"
for i in 1 2; do
    sleep 2
    kill -STOP $all
    sleep 17
    kill -CONT $all
done
sleep 2
kill -CONT "$device"
for i in $(seq 100); do
    [ "$("$arcbox" exec sleeper date +%Y)" != 2001 ] && break
    sleep 0.1
done
off=$(($("$arcbox" exec sleeper date +%s) - $(date +%s)))
[ ${off#-} -le 10 ] && pass || fail "the machine's clock is off by $off s"

"$arcbox" exec sleeper touch /go
wait $arcbox_pid
same 'what waited goes on' 'ready completed' "$(tr '\n' ' ' <out | sed 's/ $//')"
finish
