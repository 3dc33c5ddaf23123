#!/usr/bin/env bash
# What the libraries of a version of PyTorch export, as PyPI's wheel for this processor has them:
# torch-symbols.sh [--get] VERSION prints the symbols. `--get` makes the list where there is none, in the user's
# cache, from the wheel, which it does not keep (0.1 to 0.9 GB). Fails where there is no list.
set -eu
get=
[ "${1:-}" != --get ] || { get=1; shift; }
version=$1
folder=${XDG_CACHE_HOME:-$HOME/.cache}/arcbox-tools
kept=$folder/torch-$version/symbols-$(uname -m).gz
if [ ! -e "$kept" ]; then
    [ -n "$get" ] || exit 1
    mkdir -p "$folder/torch-$version"
    work=$(mktemp -d "$folder/get.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    python3 -m venv "$work/venv"
    platforms=()
    for system in manylinux_2_28 manylinux2014 manylinux1; do
        platforms+=(--platform "${system}_$(uname -m)")
    done
    "$work/venv/bin/pip" download -q --disable-pip-version-check --no-cache-dir --no-deps -d "$work" \
        --only-binary=:all: --implementation cp --python-version 311 --abi cp311 "${platforms[@]}" "torch==$version.*" >&2
    python3 - "$work"/torch-*.whl "$work" <<'end'
import sys
import zipfile
with zipfile.ZipFile(sys.argv[1]) as wheel:
    wheel.extractall(sys.argv[2], ["torch/lib/libtorch_cpu.so", "torch/lib/libc10.so"])
end
    nm -D --defined-only "$work"/torch/lib/*.so | sed -n 's/.* \([^ @]*\)@*[^ ]*$/\1/p' | sort -u | gzip >"$work/list"
    mv "$work/list" "$kept"
fi
zcat "$kept"
