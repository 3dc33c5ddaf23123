#!/usr/bin/env bash
# What is killed on the host ends in an error in the machine, soon, and leaves nothing behind; what is
# killed in the machine leaves nothing on the host. $3: a program that computes for ever.
. "$(dirname "$0")/lib.sh"
loop=$(realpath "$3")
cd "$work" || exit 1

# Starts a machine that computes: its arcbox is $arcbox_pid.
start() {
    "$arcbox" run --vm --gpus device=cpu --name "$1" -v "$loop:/loop" host /loop >"$1.out" 2>"$1.err" &
    arcbox_pid=$!
    for i in $(seq 1200); do grep -qs ready "$1.out" && break; sleep 0.1; done
    device=$(below $arcbox_pid arcbox-vmm) qemu=$(below $arcbox_pid qemu-system-x86)
    [ -n "$device" ] && [ -n "$qemu" ] || fail "$1: device '$device', hypervisor '$qemu'"
}
# Within 60 s none of them is left.
gone() {
    local name=$1 pid
    shift
    for pid; do
        for i in $(seq 600); do
            [ -d "/proc/$pid" ] && [ "$(sed -n 's/^State:\t\(.\).*/\1/p' "/proc/$pid/status" 2>/dev/null)" != Z ] || break
            sleep 0.1
        done
        [ "$i" != 600 ] && pass || fail "$name: process $pid is left"
    done
}

# no_clients WHAT: within 10 s the host has nothing of the program any more.
no_clients() {
    local clients=1
    for i in $(seq 100); do
        clients=$("$arcbox" gpu --format json | grep -c '"program": "loop"')
        [ "$clients" = 0 ] && break
        sleep 0.1
    done
    same "$1" 0 "$clients"
}

start worker
worker=$("$arcbox" gpu --format json | sed -n 's/.*"name": "worker".*"worker_pid": \([0-9]*\).*/\1/p')
kill -KILL "$worker"
wait $arcbox_pid
same 'worker killed' 3 $?
same 'worker killed: its error' 'error 11' "$(tail -1 worker.out)"
gone worker "$device" "$qemu"

start device
kill -KILL "$device"
wait $arcbox_pid
same 'device killed' 3 $?
gone device "$qemu"

start qemu
kill -KILL "$qemu"
wait $arcbox_pid
same 'hypervisor killed' 125 $?
grep -q 'the virtual machine ended by itself' qemu.err && pass || fail "hypervisor killed: $(cat qemu.err)"
gone qemu "$device"

start arcbox
kill -KILL $arcbox_pid
wait $arcbox_pid 2>/dev/null
gone arcbox "$device" "$qemu"
no_clients 'clients left'

# Killed in the machine, with work under way, again and again: the next one finds the GPU as it was, and
# while the machine lives on, the host has nothing of them any more.
"$arcbox" run --vm -d --name inside --gpus device=cpu -v "$loop:/loop" host sh -c '
    for i in 1 2 3 4 5; do timeout -s KILL 2 /loop; done
    timeout -s TERM 2 /loop; echo last $?; exec sleep 1000' >/dev/null
for i in $(seq 600); do "$arcbox" logs inside 2>/dev/null | grep -q last && break; sleep 0.1; done
same 'killed inside' 'ready ready ready ready ready ready last 124' "$("$arcbox" logs inside 2>/dev/null | grep -v Killed | tr '\n' ' ' | sed 's/ $//')"
no_clients 'clients of a machine that lives on'
"$arcbox" stop -t 1 inside >/dev/null
finish
