#!/usr/bin/env bash
# Installs what is missing of the packages that building, running and testing need, and fetches PyTorch's
# headers; with "tests" also what the tests alone look at: QEMU for virtual machines, two versions of PyTorch
# (400 MB), ptxas, nvJitLink.
set -eu
packages=(gcc g++ pkg-config meson ninja-build cmake python3 python3-venv ca-certificates clang-19 llvm-19-dev
    libclang-19-dev clang-format-19 libclang-rt-19-dev libseccomp-dev libcjson-dev bubblewrap podman runc netavark
    slirp4netns uidmap qemu-user gcc-aarch64-linux-gnu libc6-dev-arm64-cross spirv-cross glslang-tools
    libopenblas0-pthread)
missing=()
for p in "${packages[@]}"; do
    dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing+=("$p")
done
# The tests assemble what is made for NVIDIA's GPUs; without it, they say so and go on.
ptxas() { "$(dirname "$(realpath "$0")")/ptxas.sh" --get >/dev/null || echo "there is no ptxas: PTX is not assembled by the tests" >&2; }
nvjitlink() { "$(dirname "$(realpath "$0")")/nvjitlink.sh" --get >/dev/null || echo "there is no nvJitLink: PTX is not assembled when it is compiled in the tests" >&2; }
torch() {
    local version
    for version in 2.6 2.14; do
        "$(dirname "$(realpath "$0")")/torch.sh" --get "$version" >/dev/null ||
            echo "there is no PyTorch $version: its device mps is not tested" >&2
    done
}
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
# From the backports of the archive that this system's own release comes from, which are named for this
# one installation: the system's list of sources stays as it is.
install_qemu() {
    local lists= options=() from=() archive key=/usr/share/keyrings/debian-archive-keyring.gpg
    if [ "$release" = bookworm ]; then
        from=(-t bookworm-backports)
        archive=$(apt-get indextargets --format '$(REPO_URI)' "Codename: $release" 'Created-By: Packages' | head -1)
        lists=$(mktemp -d) && chmod 755 "$lists" && mkdir -p "$lists/lists/partial" "$lists/parts"
        printf 'Types: deb\nURIs: %s\nSuites: %s %s-backports\nComponents: main\nSigned-By: %s\n' \
            "$archive" "$release" "$release" "$key" >"$lists/parts/own.sources"
        options=(-o Dir::Etc::sourcelist=/dev/null -o "Dir::Etc::sourceparts=$lists/parts" -o "Dir::State::lists=$lists/lists")
        "${as_root[@]}" apt-get "${options[@]}" update -q || true
    fi
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get "${options[@]}" install -y -q \
        --no-install-recommends "${from[@]}" qemu-system-x86 || true
    [ -z "$lists" ] || "${as_root[@]}" rm -rf "$lists"
    qemu_is_new || echo "there is no QEMU 8 or newer: virtual machines are not tested" >&2
}
# What is no package of Debian's. It is built and tested with what is here.
beside() {
    "$(dirname "$(realpath "$0")")/torch-headers.sh" --get || true
    [ "${1:-}" != tests ] || { ptxas; nvjitlink; torch; }
}
qemu=no
[ "${1:-}" != tests ] || ! qemu_is_wanted || qemu=yes
[ ${#missing[@]} -eq 0 ] && [ $qemu = no ] && { beside "$@"; exit 0; }
names=("${missing[@]}")
[ $qemu = no ] || names+=(qemu-system-x86)
echo "installing: ${names[*]}"
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
[ ${#missing[@]} -eq 0 ] ||
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}"
[ $qemu = no ] || install_qemu
beside "$@"
