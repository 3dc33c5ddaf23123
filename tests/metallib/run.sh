#!/usr/bin/env bash
# mlx.metallib, which Apple's compiler made of MLX's kernels, and the headers that MLX compiles when it
# runs, from MLX's package for macOS on PyPI; and the libraries inside PyTorch's. Nothing of them is kept
# here.
#
#   run.sh BUILD kernels [STEP]   code can be made of every STEPth of its 17,248 functions
#   run.sh BUILD results          mlx.m: kernels of each kind compute what they should
#   run.sh BUILD torch [STEP]     the same of PyTorch's 18,563 functions
#   run.sh BUILD sources          the headers compile, and the kernels in them that sources.txt names
set -eu
build=$(realpath "$1")
suite=$2
here=$(dirname "$(realpath "$0")")
version=0.32.4 torch_version=2.15.0
work=$build/mlx-metal-$version
library=$work/mlx/lib/mlx.metallib

# take PACKAGE VERSION FOLDER: a package for another system, downloaded and unpacked, not installed.
take() {
    local to=$3
    exec 9<"$build" && flock 9 # another test may be taking it
    [ ! -d "$to" ] || { exec 9<&-; return 0; }
    rm -rf "$to.taking"
    python3 -m venv "$build/mlx-venv"
    "$build/mlx-venv/bin/pip" download -q "$1==$2" --only-binary=:all: --no-deps \
        --platform macosx_14_0_arm64 --python-version 3.12 -d "$to.taking"
    python3 -m zipfile -e "$to.taking"/*.whl "$to.taking"
    rm -rf "$to.taking"/*.whl
    mv "$to.taking" "$to"
    exec 9<&-
}

# The first library in PyTorch's dylib: the second is the same for Metal 4.
torch_library() {
    local work=$build/torch-$torch_version
    take torch "$torch_version" "$work"
    [ -f "$work/torch.metallib" ] || python3 - "$work" <<'EOF'
import mmap, struct, sys
folder = sys.argv[1]
with open(folder + "/torch/lib/libtorch_cpu.dylib", "rb") as file:
    data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    at = data.find(b"MTLB")
    size = 0
    while not 1 << 20 < size < len(data) - at: # the word stands elsewhere, too
        at = data.find(b"MTLB", at + 4)
        size, = struct.unpack_from("<Q", data, at + 16)
    with open(folder + "/torch.metallib", "wb") as out:
        out.write(data[at:at + size])
EOF
    echo "$work/torch.metallib"
}

[ "$suite" = torch ] || take mlx-metal "$version" "$work"
case $suite in
torch) exec "$build/tests/metallib/metallib-tool" -n "${3:-1}" "$(torch_library)" ;;
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
