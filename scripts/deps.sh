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
# Virtual machines need QEMU 8; Debian 12 has it among its backports. Without it, their tests say so.
qemu_is_new() {
    local version
    version=$(qemu-system-x86_64 --version 2>/dev/null | sed -n 's/.*version \([0-9]*\).*/\1/p')
    [ "${version:-0}" -ge 8 ]
}
release=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
# Where it can be had: else every build would try in vain.
qemu_is_wanted() {
    [ "$(uname -m)" = x86_64 ] && ! qemu_is_new || return 1
    local candidate
    candidate=$(apt-cache policy qemu-system-x86 | sed -n 's/.*Candidate: \([0-9]*:\)\?\([0-9]*\).*/\2/p')
    [ "$release" = bookworm ] || [ "${candidate:-0}" -ge 8 ]
}
# The archive that this system's own release comes from has its backports too.
add_backports() {
    local archive key=/usr/share/keyrings/debian-archive-keyring.gpg
    archive=$(apt-get indextargets --format '$(REPO_URI)' "Codename: $release" 'Created-By: Packages' | head -1)
    [ -n "$archive" ] && [ -f $key ] || return 0
    printf '%s\n' 'Types: deb' "URIs: $archive" "Suites: $release-backports" 'Components: main' \
        "Signed-By: $key" | "${as_root[@]}" tee /etc/apt/sources.list.d/arcbox-backports.sources >/dev/null
    "${as_root[@]}" apt-get update -q
}
install_qemu() {
    local from=()
    if [ "$release" = bookworm ]; then
        apt-cache policy | grep -q bookworm-backports || add_backports
        from=(-t bookworm-backports)
    fi
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
        "${from[@]}" qemu-system-x86 || true
    qemu_is_new || echo "there is no QEMU 8 or newer: virtual machines are not tested" >&2
}
qemu=no
! qemu_is_wanted || qemu=yes
as_root=()
[ ${#missing[@]} -eq 0 ] && [ $qemu = no ] && { ptxas; exit 0; }
[ $qemu = no ] || missing+=(qemu-system-x86)
echo "installing: ${missing[*]}"
[ $qemu = no ] || unset "missing[-1]"
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || {
        echo "these packages are missing, and sudo to install them is too: as root, run" >&2
        echo "    apt-get install ${missing[*]}" >&2
        exit 1
    }
    as_root=(sudo)
fi
"${as_root[@]}" apt-get update -q
[ ${#missing[@]} -eq 0 ] ||
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}"
[ $qemu = no ] || install_qemu
ptxas
