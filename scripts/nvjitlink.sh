#!/usr/bin/env bash
# The folder of NVIDIA's assembler as a library, nvJitLink, for LD_LIBRARY_PATH: $ARCBOX_NVJITLINK, where
# the dynamic linker finds it, or where `--get` has put the one that it fetches from PyPI: the user's cache.
# Prints nothing, and fails, where there is none.
set -eu
version=13.0.88
folder=${XDG_CACHE_HOME:-$HOME/.cache}/arcbox-tools
kept=$folder/nvjitlink-$version
installed() { (ldconfig -p || /sbin/ldconfig -p) 2>/dev/null | sed -n 's|.*libnvJitLink\.so\.1[23] .*=> \(.*\)/[^/]*$|\1|p' | grep -m 1 .; }
if [ -n "${ARCBOX_NVJITLINK:-}" ]; then
    echo "$ARCBOX_NVJITLINK"
elif installed; then
    :
elif [ -e "$kept/libnvJitLink.so.13" ]; then
    echo "$kept"
elif [ "${1:-}" = --get ]; then
    mkdir -p "$folder"
    work=$(mktemp -d "$folder/get.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    python3 -m venv "$work/venv"
    "$work/venv/bin/pip" download -q --disable-pip-version-check --no-deps --only-binary=:all: -d "$work" "nvidia-nvjitlink==$version"
    python3 -m zipfile -e "$work"/nvidia_nvjitlink-*.whl "$work/wheel"
    mkdir "$work/kept"
    mv "$work/wheel/nvidia/cu13/lib/libnvJitLink.so.13" "$work/kept"
    rm -rf "$kept"
    mv "$work/kept" "$kept"
    echo "$kept"
else
    exit 1
fi
