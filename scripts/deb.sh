#!/usr/bin/env bash
# Builds Debian packages, arcbox and arcbox-guest, and their source package, of what is committed. They
# are in build-deb/ then.
set -eu
cd "$(dirname "$0")/.."
command -v dpkg-buildpackage >/dev/null || { echo "dpkg-buildpackage is missing: apt install dpkg-dev" >&2; exit 1; }
version=$(sed -n '1s/^arcbox (\(.*\)).*/\1/p' packaging/debian/changelog)
[ "$version" = "$(sed -n "s/^ *version: '\(.*\)',/\1/p" meson.build | head -1)" ] ||
    { echo "packaging/debian/changelog and meson.build name different versions" >&2; exit 1; }
out=$PWD/build-deb
tree=$out/arcbox-$version
rm -rf "$out"
mkdir -p "$tree"
git archive HEAD | tar -x -C "$tree"
cp -r packaging/debian "$tree/debian"
cd "$tree"
DEB_BUILD_OPTIONS="parallel=${JOBS:-$(nproc)}" dpkg-buildpackage -us -uc -ui
rm -rf "$tree"
ls "$out"/*.deb "$out"/*.dsc
