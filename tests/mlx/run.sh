#!/usr/bin/env bash
# MLX, as its authors publish it: built with the toolchain file and run through the bridge, on its Metal
# device. Nothing of MLX is kept here: CHECKOUT, or MLX_CHECKOUT, is a checkout of it (0.32.2 was tried).
# PyPI has no source distribution; it has the package for macOS, which brings metal-cpp and the library
# that Apple's compiler made of MLX's kernels.
#
#   run.sh BUILD small [CHECKOUT]               some of the C++ tests
#   run.sh BUILD cpp [CHECKOUT]                 all C++ tests
#   run.sh BUILD python [CHECKOUT [FILE...]]    python/tests, a file at a time
#
# Needs Debian's cmake, libc++-19-dev, libc++abi-19-dev, libopenblas-dev, liblapacke-dev, libfmt-dev,
# doctest-dev and nlohmann-json3-dev. DEVICE=cpu runs the tests on MLX's CPU device, to compare with. A
# failure that known-failures.txt does not explain, or a run that did not come to its end, fails.
set -eu
build=$(realpath "$1")
suite=$2
checkout=${3:-${MLX_CHECKOUT:-}}
shift $(($# > 3 ? 3 : $#))
here=$(dirname "$(realpath "$0")")
if [ -z "$checkout" ]; then
    echo "no checkout of MLX: set MLX_CHECKOUT"
    exit 77
fi
checkout=$(realpath "$checkout")
work=$build/mlx
nanobind=2.15.0
. "$here/../client.sh"
device=${DEVICE:-gpu}
limit=1800 # seconds a run may take
export ARCBOX_TIME_LIMIT_MS=120000

# version_number NAME: MAJOR, MINOR or PATCH of the checkout.
version_number() {
    sed -n "s/^#define MLX_VERSION_$1 \([0-9]*\)$/\1/p" "$checkout/mlx/version.h"
}

get() {
    [ ! -e "$work/got" ] || return 0
    local version
    version=$(version_number MAJOR).$(version_number MINOR).$(version_number PATCH)
    mkdir -p "$work/from"
    python3 -m venv "$work/venv"
    "$work/venv/bin/pip" install -q --disable-pip-version-check numpy pytest
    "$work/venv/bin/pip" download -q --no-deps --only-binary=:all: --platform macosx_14_0_arm64 \
        -d "$work/from" "mlx-metal==$version"
    "$work/venv/bin/pip" download -q --no-deps --no-binary nanobind -d "$work/from" "nanobind==$nanobind"
    python3 -m zipfile -e "$work"/from/mlx_metal-*.whl "$work/from/metal"
    tar -C "$work/from" -xzf "$work/from/nanobind-$nanobind.tar.gz"
    # Debian's, where these projects' own trees have them.
    mkdir -p "$work/from/json/single_include" "$work/from/doctest/scripts"
    ln -sfn /usr/include/nlohmann "$work/from/json/single_include/nlohmann"
    ln -sfn /usr/lib/cmake/doctest "$work/from/doctest/scripts/cmake"
    echo 'add_library(doctest INTERFACE)' >"$work/from/doctest/CMakeLists.txt"
    touch "$work/got"
}

# make_target TARGET. Linking the C++ tests runs them, to list them, and they open the device then: hence
# the emulator.
make_target() {
    export PATH="$build/scripts:$PATH" ARCBOX_METALLIBS="$work/from/metal/mlx/lib"
    cmake -S "$checkout" -B "$work/build" -G Ninja -DCMAKE_BUILD_TYPE=Release \
        -DCMAKE_TOOLCHAIN_FILE="$build/scripts/arcbox.cmake" -DARCBOX_SYSTEM_NAME=iOS \
        -DCMAKE_CXX_FLAGS=-stdlib=libc++ -DBUILD_SHARED_LIBS=ON -DMLX_METAL_JIT="${MLX_METAL_JIT:-ON}" \
        -DCMAKE_CROSSCOMPILING_EMULATOR="$arcbox;run;--gpus;device=cpu;--mount;$build:$build;host" \
        -DMLX_BUILD_GGUF=OFF -DMLX_BUILD_EXAMPLES=OFF -DUSE_SYSTEM_FMT=ON \
        -DMLX_BUILD_PYTHON_BINDINGS=ON -DMLX_BUILD_PYTHON_STUBS=OFF -DPython_EXECUTABLE="$work/venv/bin/python" \
        -DFETCHCONTENT_SOURCE_DIR_METAL_CPP="$work/from/metal/mlx/include/metal_cpp" \
        -DFETCHCONTENT_SOURCE_DIR_JSON="$work/from/json" \
        -DFETCHCONTENT_SOURCE_DIR_DOCTEST="$work/from/doctest" \
        -DFETCHCONTENT_SOURCE_DIR_NANOBIND="$work/from/nanobind-$nanobind" >"$work/cmake.log" 2>&1 ||
        { tail -n 20 "$work/cmake.log"; return 1; }
    ninja -C "$work/build" "$1" >"$work/ninja.log" || { grep -A 20 FAILED "$work/ninja.log"; return 1; }
}

in_container() {
    "$arcbox" run --gpus device=cpu --mount "$build:$build" -v "$checkout:$checkout" -e DEVICE="$device" \
        -e PYTHONPATH="$work/package:$checkout/python/tests" -w "$work" host timeout "$limit" "$@"
}

# explain LOG NAMES: those that known-failures.txt has are let pass.
explain() {
    local unknown
    unknown=$(grep . <<<"$2" | sort -u | grep -vxFf <(grep -v '^#' "$here/known-failures.txt" | cut -f 1) || true)
    if [ -n "$unknown" ]; then
        printf 'failures that known-failures.txt does not explain (%s):\n%s\n' "$1" "$unknown"
        status=1
    fi
}

cpp_tests() {
    local log=$work/cpp-$device.log rc=0
    in_container "$work/build/tests/tests" "$@" >"$log" 2>&1 || rc=$?
    grep -a '^\[doctest\] test cases' "$log" || true
    explain "$log" "$(sed -n 's/^TEST CASE:  //p' "$log")"
    # 0: all passed, 1: some failed, looked up above. The rest is a crash or a time-out.
    if [ "$rc" -gt 1 ] || ! grep -qa '^\[doctest\] test cases: *[1-9]' "$log"; then
        echo "did not come to its end: $rc ($log)"
        status=1
    fi
}

# The package as it would be installed: MLX's Python files and what was built.
make_package() {
    rm -rf "$work/package"
    mkdir -p "$work/package/mlx/lib"
    cp -r "$checkout/python/mlx/." "$work/package/mlx"
    cp "$work"/build/core.*.so "$work/package/mlx"
    ln -s "$work/build/libmlx.so" "$work/package/mlx/lib/libmlx.so"
}

python_file() {
    local name log rc=0
    name=$(basename "$1" .py)
    log=$work/$name-$device.log
    in_container "$work/venv/bin/python" -m pytest -q -p no:cacheprovider --tb=short -rf "$1" >"$log" 2>&1 || rc=$?
    echo "$name: $(grep -aE '(passed|failed|skipped|error).* in [0-9.]+s' "$log" | tail -n 1)"
    explain "$log" "$(sed -n 's/^\(FAILED\|ERROR\) .*::\([A-Za-z0-9_]*\).*/\2/p' "$log")"
    if [ "$rc" -gt 1 ] || ! grep -qaE '[0-9]+ (passed|skipped|failed)' "$log"; then
        echo "did not come to its end: $rc ($log)"
        status=1
    fi
}

get
case $suite in
small)
    client_start
    make_target tests
    cpp_tests -tc='test arithmetic*,test matmul*,test reduction ops,test softmax*,test gather,test scatter,test random uniform'
    ;;
cpp)
    client_start
    make_target tests
    cpp_tests
    ;;
python)
    client_start
    make_target core
    make_package
    [ $# -gt 0 ] || set -- "$checkout"/python/tests/test_*.py
    for file; do
        python_file "$file"
    done
    ;;
*)
    echo "run.sh: unknown suite '$suite'" >&2
    exit 2
    ;;
esac
exit $status
