#!/usr/bin/env bash
# tinygrad's own tests on its METAL device, through the bridge. Nothing of tinygrad is kept here.
#
#   run.sh BUILD tiny            test_tiny.py, from tinygrad's source distribution on PyPI
#   run.sh BUILD ops CHECKOUT    test/backend/test_ops.py of a checkout (needs torch, which it
#                                compares with); failures are checked against known-failures.txt
set -eu
build=$(realpath "$1")
suite=$2
here=$(dirname "$(realpath "$0")")
venv=$build/tinygrad-venv
arcbox=$build/src/cli/arcbox
version=$(sed -n 's/^tinygrad==//p' "$here/../../examples/digits/requirements.txt")

if [ ! -x "$venv/bin/python" ]; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install -q "tinygrad==$version" numpy pytest
fi

case $suite in
tiny)
    work=$build/tinygrad-$version
    if [ ! -d "$work" ]; then
        "$venv/bin/pip" download -q --no-deps --no-binary tinygrad \
            -d "$build" "tinygrad==$version"
        tar -C "$build" -xzf "$build/tinygrad-$version.tar.gz"
    fi
    cd "$work"
    exec "$arcbox" run --gpu -e DEV=METAL -e CC=clang-19 host "$venv/bin/python" -m pytest -q test/test_tiny.py
    ;;
ops)
    checkout=$(realpath "$3")
    "$venv/bin/python" -c 'import torch' 2>/dev/null || "$venv/bin/pip" install -q torch hypothesis
    cd "$checkout"
    "$arcbox" run --gpu -e DEV=METAL -e PYTHONPATH="$checkout" host \
        "$venv/bin/python" -m pytest -q test/backend/test_ops.py -rf | tee "$build/tinygrad-ops.log" || true
    grep -q ' passed' "$build/tinygrad-ops.log"
    unknown=$(sed -n 's/^FAILED [^:]*::TestOps::\([A-Za-z0-9_]*\).*/\1/p' "$build/tinygrad-ops.log" |
        grep -vxFf <(sed 's/[[:space:]].*//' "$here/known-failures.txt") || true)
    [ -z "$unknown" ] || { echo "failures that known-failures.txt does not explain:"; echo "$unknown"; exit 1; }
    ;;
*)
    echo "run.sh: unknown suite '$suite'" >&2
    exit 2
    ;;
esac
