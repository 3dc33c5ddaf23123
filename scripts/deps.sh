#!/usr/bin/env bash
# Installs what is missing of the packages that building, running and testing need.
set -eu
packages=(gcc g++ pkg-config meson ninja-build cmake python3 python3-venv ca-certificates clang-19 llvm-19-dev
    libclang-19-dev clang-format-19 libclang-rt-19-dev libseccomp-dev bubblewrap podman runc netavark
    slirp4netns uidmap qemu-user gcc-aarch64-linux-gnu libc6-dev-arm64-cross spirv-cross glslang-tools)
missing=()
for p in "${packages[@]}"; do
    dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing+=("$p")
done
# The tests assemble what is made for NVIDIA's GPUs; without it, they say so and go on.
ptxas() { "$(dirname "$(realpath "$0")")/ptxas.sh" --get >/dev/null || echo "there is no ptxas: PTX is not assembled by the tests" >&2; }
[ ${#missing[@]} -eq 0 ] && { ptxas; exit 0; }
echo "installing: ${missing[*]}"
as_root=()
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || {
        echo "these packages are missing, and sudo to install them is too: as root, run" >&2
        echo "    apt-get install ${missing[*]}" >&2
        exit 1
    }
    as_root=(sudo)
fi
"${as_root[@]}" apt-get update -q
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}"
ptxas
