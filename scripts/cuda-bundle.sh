#!/usr/bin/env bash
# Packs what a machine with an NVIDIA GPU needs to run ArcBox as it was built here: one that has neither
# clang nor LLVM nor a network. Its C library has to be as new as this system's.
#
#   cuda-bundle.sh BUILD FOLDER
#
# FOLDER gets system.tar.xz (LLVM, clang and the libraries that they use, 50 MB, kept while they stay the
# same), build.tar.xz (the build folder's programs, bubblewrap, and the tests' sources), beside.tar.xz (what ArcBox
# is compared with: llama.cpp's CUDA backend and tinygrad, 20 MB, kept likewise), clients.tar.xz (MLX's and candle's tests,
# kept likewise) and unpack.sh. On the other machine,
# as root, and best on one that is thrown away afterwards:
#
#   FOLDER/unpack.sh && SOURCE/scripts/cuda-bench.sh BUILD RESULTS
#
# Everything lies there where it lies here; files that the machine has already stay as they are, and archives may
# be brought and unpacked one after the other. ggml's and llama.cpp's programs come along where tests/ggml/run.sh
# and tests/llama/run.sh have built them, the CUDA backend where `tests/llama/run.sh BUILD cuda` has brought it, and
# tinygrad where tests/tinygrad/run.sh has made its environment.
set -eu
[ $# = 2 ] || { echo "usage: cuda-bundle.sh BUILD FOLDER" >&2; exit 2; }
build=$(realpath "$1")
mkdir -p "$2"
out=$(realpath "$2")
root=$(dirname "$(dirname "$(realpath "$0")")")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# add PATH...: below $tree, without what debuggers want.
add() {
    local path
    for path; do
        mkdir -p "$tree$(dirname "$path")"
        cp -a "$path" "$tree$(dirname "$path")/"
    done
}
strip_all() {
    local file
    find "$tree" -type f ! -name '*.blob' -exec sh -c 'head -c 4 "$1" | grep -q ELF' _ {} \; -print |
        while read -r file; do strip -g "$file" 2>/dev/null || true; done
}
pack() { # NAME
    tar -C "$tree" --sort=name --owner=0 --group=0 -c . |
        xz -T0 --block-size=80MiB --x86 --lzma2=preset=9,dict=80MiB >"$out/$1.making"
    mv "$out/$1.making" "$out/$1"
}

# ---- the system's part: a library by the name that programs ask for, as a file of its own

clang=$(readlink -f "$(command -v clang-19)")
libraries() {
    ldd "$build/src/cli/arcbox" "$build/src/host/arcboxd" "$build/src/host/arcbox-compiler" "$build/src/host/arcbox-clang.so" "$clang" |
        awk '$2 == "=>" && $3 ~ /^\// { print $3 }' | sort -u |
        grep -vE '/(libc|libm|libdl|libpthread|librt|libgcc_s|libstdc\+\+|ld-linux[^/]*)\.so'
}
tree=$work/system
stamp=$(libraries | xargs -n 1 readlink -f | xargs sha256sum | sha256sum)
if [ ! -e "$out/system.tar.xz" ] || [ "$stamp" != "$(cat "$out/system.stamp" 2>/dev/null)" ]; then
    for library in $(libraries); do
        mkdir -p "$tree/usr/lib/x86_64-linux-gnu"
        cp -L "$library" "$tree/usr/lib/x86_64-linux-gnu/"
    done
    add "$clang" "$("$clang" -print-resource-dir)/include"
    ln -s "$clang" "$tree/usr/bin/clang-19" 2>/dev/null ||
        { mkdir -p "$tree/usr/bin" && ln -s "$clang" "$tree/usr/bin/clang-19"; }
    strip_all
    pack system.tar.xz
    echo "$stamp" >"$out/system.stamp"
fi

# ---- what is compared with: a GPU's own ways

tree=$work/beside
cuda=$(ls "$build"/llama-*/cuda/libggml-cuda.so 2>/dev/null | tail -1)
tinygrad=$(ls -d "$build"/tinygrad-venv/lib/python3*/site-packages/tinygrad 2>/dev/null | tail -1)
stamp=$(cat ${cuda:+"$cuda"} ${tinygrad:+"$(dirname "$tinygrad")"/tinygrad-*/RECORD} /dev/null | sha256sum)
if [ ! -e "$out/beside.tar.xz" ] || [ "$stamp" != "$(cat "$out/beside.stamp" 2>/dev/null)" ]; then
    mkdir -p "$tree"
    [ -z "$cuda" ] || add "$(dirname "$cuda")"
    if [ -n "$tinygrad" ]; then
        mkdir -p "$tree$build/tinygrad-site"
        cp -a "$tinygrad" "$tree$build/tinygrad-site/"
        find "$tree" -name __pycache__ -prune -exec rm -r {} +
    fi
    strip_all
    pack beside.tar.xz
    echo "$stamp" >"$out/beside.stamp"
fi

# ---- clients' own tests: MLX's and candle's, where tests/mlx/run.sh and tests/candle/run.sh have built them

tree=$work/clients
mlx=$build/mlx/build candle=$(ls -t "$build"/candle/target/debug/deps/candle_metal_kernels-*[0-9a-f] 2>/dev/null | head -1)
paths=()
for path in "$mlx"/tests/tests "$mlx"/libmlx.so "$mlx"/mlx/backend/metal/kernels/mlx.metallib "$candle"; do
    [ ! -e "$path" ] || paths+=("$path")
done
stamp=$(cat "${paths[@]}" /dev/null | sha256sum)
if [ ${#paths[@]} != 0 ] && { [ ! -e "$out/clients.tar.xz" ] || [ "$stamp" != "$(cat "$out/clients.stamp" 2>/dev/null)" ]; }; then
    add "${paths[@]}"
    [ ! -e "$mlx/libmlx.so" ] || for library in $(ldd "$mlx/libmlx.so" |
        awk '$3 ~ /lib(c\+\+|c\+\+abi|unwind|openblas|gfortran|quadmath)\.so/ { print $3 }'); do
        mkdir -p "$tree/usr/lib/x86_64-linux-gnu" && cp -L "$library" "$tree/usr/lib/x86_64-linux-gnu/"
    done
    strip_all
    pack clients.tar.xz
    echo "$stamp" >"$out/clients.stamp"
fi

# ---- the build's

tree=$work/build
# Kernels of the conformance suite and of tests/semantics, as code, with the programs that run them.
stored=$build/cuda-stored
rm -rf "$stored"
mapfile -t sources < <(cd "$root" && ls "$PWD"/src/backend/*.c "$PWD"/src/backend/{null,cpu,cuda}/*.c "$PWD"/src/base/*.c)
ARCBOX_TEST_KEEP=$stored "$root/tests/backend/stored.sh" nvptx "$build/tests/backend/test_kernels" \
    "$build/tests/backend/kernels.bc" "$build/tests/shader/shader-tool" "$root" "${sources[@]}"
# What containers are made with.
bwrap=$(command -v bwrap) && add "$bwrap" &&
    for library in $(ldd "$bwrap" | awk '$3 ~ /^\// && $1 !~ /^libc\./ { print $3 }'); do
        mkdir -p "$tree/usr/lib/x86_64-linux-gnu" && cp -L "$library" "$tree/usr/lib/x86_64-linux-gnu/"
    done
add "$stored" "$build"/src/host/{arcboxd,arcbox-compiler,arcbox-clang.so} "$build"/src/cli/{arcbox,arcbox-init}
for path in "$build/src/cli/arcbox-kernel-check" "$build/src/host/libarcbox-inproc.so" "$build/guest-root" \
    "$build"/src/bench/arcbox-*[a-z] "$build"/src/metal/lib*.so* "$build"/src/shader/{shim.pch,vfs.yaml,preprocess.yaml,shim,include} \
    "$build"/tests/metal/metal_* "$build/tests/metal/kernels.metallib" "$build"/torch/*.so \
    "$build"/ggml-*/build/bin/test-backend-ops "$build"/ggml-*/build/ggml/src/{,ggml-*/}*.so* \
    "$build"/llama-*/program/bin/llama-{bench,quantize,completion} "$build"/llama-*/program/bin/*.so* \
    "$build"/llama-*/llama_cpp_python-*/vendor/llama.cpp/{gguf-py,models/ggml-vocab-llama-bpe.gguf}; do
    case $path in *.p | *.a) continue ;; esac
    [ ! -e "$path" ] || add "$path"
done
while read -r path; do
    add "$root/$path"
done < <(cd "$root" && git ls-files scripts tests/client.sh tests/metal/with_worker.sh tests/torch tests/ggml tests/llama tests/tinygrad examples/torch)
rm -rf "$tree$build/src/host"/*.p
strip_all
pack build.tar.xz

cat >"$out/unpack.sh" <<'end'
#!/bin/sh
# Made by cuda-bundle.sh.
set -eu
cd "$(dirname "$0")"
for part in system build beside clients; do
    [ ! -e $part.tar.xz ] || tar -C / --skip-old-files --no-same-owner -xJf $part.tar.xz
done
ldconfig
end
chmod +x "$out/unpack.sh"
ls -l "$out"/*.tar.xz | awk '{ print $5, $9 }'
