#!/usr/bin/env bash
# Runs a Python program of this folder in a container of a Debian system that has a stock PyTorch and
# nothing of ours: BUILD VERSION PROGRAM [ARGUMENT...]. Without PyTorch (scripts/torch.sh) it is skipped.
set -u
build=$1 version=$2 program=$3
shift 3
here=$(realpath "$(dirname "$0")")
work=$build/tests/torch
if ! torch=$("$here/../../scripts/torch.sh" "$version"); then
    echo "skipped: there is no PyTorch $version here; scripts/torch.sh --get $version brings it"
    exit 77
fi
if [ ! -e "$build/guest-root/usr/lib/arcbox/python/arcbox_mps/torch-$version-debian.so" ]; then
    echo "PyTorch $version came after the build was configured: meson setup --reconfigure $build"
    exit 1
fi
. "$here/../client.sh"
mkdir -p "$work"
client_start
if ! why=$("$arcbox" run "$torch/root" true 2>&1); then
    echo "skipped: no container starts here: $why"
    exit 77
fi
"$arcbox" run --gpus "device=${ARCBOX_TEST_DEVICE:-cpu}" -e ARCBOX_TORCH_COUNT=1 -e PYTHONDONTWRITEBYTECODE=1 \
    --mount "$here:/tests:ro" --mount "$here/../../examples/torch:/examples:ro" \
    "$torch/root" timeout 1500 python3 "/tests/$program" "$@"
