#!/usr/bin/env bash
# Metal programs, unmodified, in a virtual machine: through the stock virtio-gpu driver. $3 on: the
# programs. Two machines at once, and one that stays.
. "$(dirname "$0")/lib.sh"
here=$(dirname "$(realpath "$0")")
shift 2
"$arcbox" run --vm --gpus device=cpu -v "$PWD:$PWD" -v "$here:$here" host \
    "$here/../transport/one_by_one.sh" "$@" >"$work/out" 2>"$work/err"
code=$?
same 'the programs' 0 $code
[ $code = 0 ] || grep -v "arcbox: Metal: " "$work/err" >&2

# Two at once, each with its own tenant.
for i in 1 2; do
    "$arcbox" run --vm --gpus device=cpu --cpus 1 -v "$PWD:$PWD" --name vm$i host "$1" >"$work/out$i" 2>&1 &
done
for i in 1 2; do
    wait -n
    same "machine $i of two" 0 $?
done
same 'both said the same' "$(cat "$work/out1")" "$(cat "$work/out2")"

# One that stays has it too, for each command.
export XDG_DATA_HOME=$work/data
"$arcbox" machine create box --gpus device=cpu -m 512m --cpus 1 --disk 64m --network none -v "$PWD:$PWD" >/dev/null
"$arcbox" machine start box >/dev/null
for i in 1 2; do
    "$arcbox" machine exec box "$(realpath "$1")" >"$work/out" 2>&1
    same "in a machine that stays, $i" 0 $?
done
"$arcbox" machine rm -f box >/dev/null
finish
