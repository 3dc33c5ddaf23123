#!/usr/bin/env bash
# Where PyTorch's own tests are: torch-tests.sh [--get] VERSION prints a folder with test_mps.py of the release
# that scripts/torch.sh has. `--get` takes it from Debian's source package, into the user's cache (27 MB, half a
# minute). Prints nothing, and fails, where there is none.
set -eu
get=
[ "${1:-}" != --get ] || { get=1; shift; }
version=$1
case $version in
2.6) suite=trixie ;;
2.14) suite=forky ;;
*)
    echo "torch-tests.sh: no Debian release has torch $version" >&2
    exit 1
    ;;
esac
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
# The mirror is the one that this system itself installs from.
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' |
    grep '/debian/$' | head -1)
[ -n "$mirror" ] || {
    echo "torch-tests.sh: apt-get names no Debian mirror: run apt-get update, or install from one" >&2
    exit 1
}
mkdir -p "$work"/{lists,cache/archives}/partial "$work/made"
echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" >"$work/sources.list"
: >"$work/status"
options=(-q -o "Dir::Etc::sourcelist=$work/sources.list" -o Dir::Etc::sourceparts=/dev/null -o "Dir::State=$work"
    -o "Dir::State::lists=$work/lists" -o "Dir::State::status=$work/status" -o "Dir::Cache=$work/cache"
    -o Acquire::Languages=none -o APT::Sandbox::User=)
apt-get "${options[@]}" update >&2
(cd "$work" && apt-get "${options[@]}" source --download-only "pytorch" >&2)
tar -C "$work/made" -xJf "$work"/pytorch_"$version".*.orig.tar.xz --strip-components=2 --wildcards '*/test/test_mps.py'
mv -T "$work/made" "$kept"
echo "$kept"
