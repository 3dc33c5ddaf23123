#!/usr/bin/env bash
# Where NVIDIA's PTX assembler is: $ARCBOX_PTXAS, on the path, or the one that `--get` fetches from PyPI
# into the user's cache. Prints nothing, and fails, where there is none.
set -eu
version=12.9.86
folder=${XDG_CACHE_HOME:-$HOME/.cache}/arcbox-tools
kept=$folder/ptxas-$version
if [ -n "${ARCBOX_PTXAS:-}" ]; then
    echo "$ARCBOX_PTXAS"
elif command -v ptxas; then
    :
elif [ -x "$kept" ]; then
    echo "$kept"
elif [ "${1:-}" = --get ] && [ "$(uname -m)" = x86_64 ]; then
    mkdir -p "$folder"
    work=$(mktemp -d "$folder/get.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    python3 -m venv "$work/venv"
    "$work/venv/bin/pip" download -q --disable-pip-version-check --no-deps -d "$work" "nvidia-cuda-nvcc-cu12==$version"
    python3 -m zipfile -e "$work"/nvidia_cuda_nvcc_cu12-*.whl "$work/wheel"
    chmod +x "$work/wheel/nvidia/cuda_nvcc/bin/ptxas"
    mv "$work/wheel/nvidia/cuda_nvcc/bin/ptxas" "$kept"
    echo "$kept"
else
    exit 1
fi
