#!/usr/bin/env bash
# Installs what is missing of the packages that building, running and testing need.
set -eu
packages=(gcc pkg-config meson ninja-build python3 python3-venv clang-19 llvm-19-dev clang-format-19
    libclang-rt-19-dev libseccomp-dev bubblewrap podman runc qemu-user gcc-aarch64-linux-gnu
    libc6-dev-arm64-cross)
missing=()
for p in "${packages[@]}"; do
    dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing+=("$p")
done
[ ${#missing[@]} -eq 0 ] && exit 0
echo "installing: ${missing[*]}"
as_root=()
[ "$(id -u)" = 0 ] || as_root=(sudo)
"${as_root[@]}" apt-get update -q
DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -q --no-install-recommends "${missing[@]}"
