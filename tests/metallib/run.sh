#!/usr/bin/env bash
# mlx.metallib, which Apple's compiler made of MLX's kernels, and the headers that MLX compiles when it
# runs, from MLX's package for macOS on PyPI. Nothing of it is kept here.
#
#   run.sh BUILD kernels [STEP]   code can be made of every STEPth of its 17,248 functions
#   run.sh BUILD results          mlx.m: kernels of each kind compute what they should
#   run.sh BUILD sources          the headers compile, and the kernels in them that sources.txt names
set -eu
build=$(realpath "$1")
suite=$2
here=$(dirname "$(realpath "$0")")
version=0.32.4
work=$build/mlx-metal-$version
library=$work/mlx/lib/mlx.metallib

if [ ! -f "$library" ]; then
    rm -rf "$work.taking" # a package for another system: downloaded, not installed
    python3 -m venv "$build/mlx-venv"
    "$build/mlx-venv/bin/pip" download -q "mlx-metal==$version" --only-binary=:all: --no-deps \
        --platform macosx_14_0_arm64 --python-version 3.12 -d "$work.taking"
    python3 -m zipfile -e "$work.taking"/*.whl "$work.taking"
    rm -rf "$work.taking"/*.whl "$work"
    mv "$work.taking" "$work"
fi

case $suite in
kernels) exec "$build/tests/metallib/metallib-tool" -n "${3:-1}" "$library" ;;
sources)
    exec python3 -B "$here/compile_sources.py" "$build/tests/shader/shader-tool" "$work/sources" \
        "$here/sources.txt" "$work/mlx/include"
    ;;
results)
    exec "$here/../metal/with_worker.sh" "$build/src/host/arcboxd" cpu \
        "$build/tests/metallib/mlx_program" "$library"
    ;;
*) sed -n '2,/^set/s/^# \{0,1\}//p' "$0" && exit 2 ;;
esac
