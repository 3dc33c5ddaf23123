#!/usr/bin/env bash
# Runs test_mps.py, which is PyTorch's and not here: BUILD VERSION [ARGUMENT of mps_suite.py...]. It is the one of
# scripts/torch-tests.sh --get VERSION, or of a checkout of PyTorch's that ARCBOX_TORCH_TESTS names; WHERE of run.sh
# may stand for VERSION. What came of each test is in BUILD/tests/torch/mps/VERSION.txt.
set -u
build=$1 version=$2
shift 2
here=$(realpath "$(dirname "$0")")
if ! tests=${ARCBOX_TORCH_TESTS:-$("$here/../../scripts/torch-tests.sh" "$version")}; then
    echo "skipped: PyTorch's tests are not here; scripts/torch-tests.sh --get $version brings them"
    exit 77
fi
export ARCBOX_TORCH_DATA=$build/tests/torch/mps ARCBOX_TORCH_SECONDS=5900
mkdir -p "$ARCBOX_TORCH_DATA"
cp "$tests/test_mps.py" "$ARCBOX_TORCH_DATA"
exec "$here/run.sh" "$build" "$version" mps_suite.py /data/test_mps.py --list "/data/$(basename "$version").txt" "$@"
