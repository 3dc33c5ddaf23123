#!/usr/bin/env bash
# Runs a Python program of this folder, or of examples/torch, with a stock PyTorch: BUILD WHERE PROGRAM
# [ARGUMENT...]. WHERE is a version, for a container of a Debian system that has it and nothing of ours
# (without scripts/torch.sh --get it is skipped), or the folder of a virtual environment, for one in `host`.
set -u
build=$1 where=$2 program=$3
shift 3
here=$(realpath "$(dirname "$0")")
work=$build/tests/torch
. "$here/../client.sh"
mkdir -p "$work"
if [ -d "$where" ]; then
    image=host python=$where/bin/python with=(--mount "$where:$where:ro" -e PYTHONDONTWRITEBYTECODE=1)
elif torch=$("$here/../../scripts/torch.sh" "$where"); then
    image=$torch/root python=python3
    # Debian's packages carry no bytecode of Python's: what one test has compiled, the others read.
    mkdir -p "$work/bytecode-$where"
    with=(--mount "$work/bytecode-$where:/bytecode" -e PYTHONPYCACHEPREFIX=/bytecode)
else
    echo "skipped: there is no PyTorch $where here; scripts/torch.sh --get $where brings it"
    exit 77
fi
# What a program reads and writes besides: a folder, as /data.
[ -z "${ARCBOX_TORCH_DATA:-}" ] || with+=(--mount "$ARCBOX_TORCH_DATA:/data")
[ ! -e "$build/tests/metal/kernels.metallib" ] || with+=(--mount "$build/tests/metal/kernels.metallib:/kernels.metallib:ro")
[ ! -e "$work/extension.so" ] || with+=(--mount "$work/extension.so:/extension.so:ro")
# Threads of OpenMP that wait spin otherwise, while other tests compute. What measures has them as they are.
[ "$program" = speed.py ] || with+=(-e OMP_WAIT_POLICY=passive)
# Some systems ask OpenBLAS for an old processor's code: torch, in a container, would not hear of it.
[ "$program" != speed.py ] || unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE
[ -z "${OMP_NUM_THREADS:-}" ] || with+=(-e "OMP_NUM_THREADS=$OMP_NUM_THREADS")
client_start
if ! why=$("$arcbox" run "$image" true 2>&1); then
    echo "skipped: no container starts here: $why"
    exit 77
fi
[ ! -e "$here/../../examples/torch/$program" ] && program=/tests/$program || program=/examples/$program
"$arcbox" run --gpus "device=${ARCBOX_TEST_DEVICE:-cpu}" -e ARCBOX_TORCH_COUNT=1 -e "ARCBOX_TEST_DEVICE=${ARCBOX_TEST_DEVICE:-cpu}" \
    "${with[@]}" --mount "$here:/tests:ro" --mount "$here/../../examples/torch:/examples:ro" \
    "$image" timeout "${ARCBOX_TORCH_SECONDS:-1500}" "$python" "$program" "$@"
