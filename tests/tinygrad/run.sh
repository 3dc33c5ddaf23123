#!/usr/bin/env bash
# tinygrad's own tests on its METAL device, through the bridge. Nothing of tinygrad is kept here.
#
#   run.sh BUILD tiny               test_tiny.py, from tinygrad's source distribution on PyPI
#   run.sh BUILD mnist              the network of tinygrad's examples/beautiful_mnist.py learns
#   run.sh BUILD beam               a search with BEAM=2 comes to its end, with right results
#   run.sh BUILD resnet             ResNet-50's forward pass on small pictures, beside float64; what
#                                   scripts/cuda-bench.sh measures, on another machine
#   run.sh BUILD ops CHECKOUT       test/backend/test_ops.py of a checkout
#   run.sh BUILD backend CHECKOUT [FILE...]
#                                   the other files of test/backend (or those named), one by one
#
# A checkout's tests need torch, which they compare with. A failure that known-failures.txt does not
# explain, or a file that did not come to its end, fails the run. README.md has the counts to expect.
# RUN_SLOW=1 includes what tinygrad leaves out by default.
set -eu
build=$(realpath "$1")
suite=$2
here=$(dirname "$(realpath "$0")")
venv=$build/tinygrad-venv
arcbox=$build/src/cli/arcbox
version=$(sed -n 's/^tinygrad==//p' "$here/../../examples/digits/requirements.txt")
limit=900 # seconds a file may take; test_dtype.py takes 260 on two cores, test_ops.py four times that
status=0

# A daemon of its own: one that runs already may be of another build.
ARCBOX_RUNTIME_DIR=$(mktemp -d "${TMPDIR:-/tmp}/arcbox-test.XXXXXX")
ARCBOX_CACHE_DIR=$ARCBOX_RUNTIME_DIR/cache
export ARCBOX_RUNTIME_DIR ARCBOX_CACHE_DIR
trap '"$arcbox" daemon stop >/dev/null 2>&1 || true; rm -rf "$ARCBOX_RUNTIME_DIR"' EXIT

exec 9<"$build" && flock 9 # another test may be making it
if [ ! -x "$venv/bin/pytest" ]; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install -q "tinygrad==$version" numpy pytest
fi
exec 9<&-

enter_checkout() {
    "$venv/bin/python" -c 'import torch, hypothesis' 2>/dev/null ||
        "$venv/bin/pip" install -q torch hypothesis
    cd "$1"
}

# run_file FILE SECONDS: one file of the checkout we are in.
run_file() {
    local log="$build/tinygrad-$(basename "$1" .py).log" rc=0 unknown
    "$arcbox" run --gpus "device=${ARCBOX_TEST_DEVICE:-cpu}" --mount "$build:$build" -e DEV=METAL -e CC=clang-19 \
        -e RUN_SLOW="${RUN_SLOW-}" \
        -e PYTHONPATH="$PWD" -v "$PWD:$PWD" -w "$PWD" host \
        timeout "$2" "$venv/bin/python" -m pytest -q --tb=short -rf "$1" >"$log" 2>&1 || rc=$?
    echo "$1: $(grep -aE '(passed|failed|skipped|error).* in [0-9.]+s' "$log" | tail -n 1)"
    unknown=$(sed -n 's/^\(FAILED\|ERROR\) .*::\([A-Za-z0-9_]*\).*/\2/p' "$log" |
        grep -vxFf <(sed 's/[[:space:]].*//' "$here/known-failures.txt") || true)
    if [ -n "$unknown" ]; then
        echo "failures that known-failures.txt does not explain ($log):" $unknown
        status=1
    fi
    # 0: all passed, 1: some failed, looked up above. The rest is a crash, a time-out, no tests.
    if [ "$rc" -gt 1 ] || ! grep -qE '[0-9]+ (passed|skipped|failed)' "$log"; then
        echo "did not come to its end: $rc ($log)"
        status=1
    fi
}

# run_program 'FILE ARGUMENT...' [ARCBOX OPTION...]: a program of ours. CACHELEVEL=0: no search is remembered.
run_program() {
    local file=$1
    shift
    "$arcbox" run --gpus "device=${ARCBOX_TEST_DEVICE:-cpu}" --mount "$build:$build" --mount "$here:$here:ro" -e DEV=METAL \
        -e CACHELEVEL=0 "$@" host "$venv/bin/python" "$here"/$file
}

case $suite in
mnist) run_program mnist.py ;;
beam) run_program beam.py -e BEAM=2 ;;
resnet) run_program 'resnet.py METAL 2 32 0.1' ;;
tiny)
    work=$build/tinygrad-$version
    if [ ! -d "$work" ]; then
        "$venv/bin/pip" download -q --no-deps --no-binary tinygrad \
            -d "$build" "tinygrad==$version"
        tar -C "$build" -xzf "$build/tinygrad-$version.tar.gz"
    fi
    cd "$work"
    # Mounted by name: the container has a /tmp of its own, and the folder may lie there.
    "$arcbox" run --gpus "device=${ARCBOX_TEST_DEVICE:-cpu}" --mount "$build:$build" -e DEV=METAL -e CC=clang-19 host "$venv/bin/python" -m pytest -q test/test_tiny.py
    ;;
ops)
    enter_checkout "$3"
    run_file test/backend/test_ops.py 3600
    ;;
backend)
    enter_checkout "$3"
    shift 3
    [ $# -gt 0 ] || set -- $(ls test/backend/test_*.py | grep -v /test_ops.py)
    for file; do
        run_file "$file" "$limit"
    done
    ;;
*)
    echo "run.sh: unknown suite '$suite'" >&2
    exit 2
    ;;
esac
exit $status
