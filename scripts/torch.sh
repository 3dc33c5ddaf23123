#!/usr/bin/env bash
# Where a stock PyTorch is, to test with: torch.sh [--get] VERSION prints a folder with `root`, a small Debian
# system that has torch and nothing of ours. `--get` fetches Debian's packages into the user's cache (200 MB,
# less than a minute). Prints nothing, and fails, where there is none. (Headers: torch-headers.sh.)
set -eu
get=
[ "${1:-}" != --get ] || { get=1; shift; }
version=$1
. "$(dirname "$(realpath "$0")")/torch-debian.sh"
torch_suite "$version"
folder=${XDG_CACHE_HOME:-$HOME/.cache}/arcbox-tools
kept=$folder/torch-$version
if [ -d "$kept/root" ]; then
    echo "$kept"
    exit
fi
[ -n "$get" ] && [ "$(dpkg --print-architecture 2>/dev/null)" = amd64 ] || exit 1

mkdir -p "$folder"
work=$(mktemp -d "$folder/get.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/debs" "$work/made/root"
torch_apt deb -o APT::Install-Recommends=false -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false \
    -o Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled=false
apt-get "${options[@]}" install -y --print-uris python3-torch python3 base-files bash coreutils \
    libopenblas0-pthread python3-setuptools python3-pytest >"$work/uris"
sed -n "s/^'[^']*' \([^ ]*\) .*/\1/p" "$work/uris" |
    sed -E 's/^([^_]*)_([^_]*)_.*/\1=\2/; s/%3a/:/' >"$work/wanted"
grep -q "^python3-torch=$version\." "$work/wanted" || {
    echo "torch.sh: Debian $suite has no torch $version any more" >&2
    exit 1
}
(cd "$work/debs" && xargs apt-get "${options[@]}" download <"$work/wanted" >&2)
# Folders that are links first, so that all that follow unpack through them.
for deb in "$work"/debs/base-files_*.deb "$work"/debs/*.deb; do
    dpkg-deb --fsys-tarfile "$deb" | tar -C "$work/made/root" -x --keep-directory-symlink --no-same-owner
done
echo 'root:x:0:0:root:/root:/bin/bash' >"$work/made/root/etc/passwd"
echo 'root:x:0:' >"$work/made/root/etc/group"
libraries=$work/made/root/usr/lib/x86_64-linux-gnu
for name in libblas.so.3 liblapack.so.3 libopenblas.so.0; do # as its package's script would
    ln -sf "openblas-pthread/$name" "$libraries/$name"
done
mkdir -p "$kept"
mv -T "$work/made/root" "$kept/root"
echo "$kept"
