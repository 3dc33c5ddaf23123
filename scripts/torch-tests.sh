#!/usr/bin/env bash
# Where PyTorch's own tests are: torch-tests.sh [--get] VERSION prints a folder with test_mps.py of the release
# that scripts/torch.sh has. `--get` takes it from Debian's source package, into the user's cache (27 MB, half a
# minute). Prints nothing, and fails, where there is none.
set -eu
get=
[ "${1:-}" != --get ] || { get=1; shift; }
version=$1
. "$(dirname "$(realpath "$0")")/torch-debian.sh"
torch_suite "$version"
folder=${XDG_CACHE_HOME:-$HOME/.cache}/arcbox-tools
kept=$folder/torch-$version/tests
if [ -e "$kept/test_mps.py" ]; then
    echo "$kept"
    exit
fi
[ -n "$get" ] || exit 1
mkdir -p "$folder/torch-$version"
work=$(mktemp -d "$folder/get.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/made"
torch_apt deb-src
(cd "$work" && apt-get "${options[@]}" source --download-only "pytorch" >&2)
tar -C "$work/made" -xJf "$work"/pytorch_"$version".*.orig.tar.xz --strip-components=2 --wildcards '*/test/test_mps.py'
mv -T "$work/made" "$kept"
echo "$kept"
