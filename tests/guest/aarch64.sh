#!/usr/bin/env bash
# Builds the guest library for aarch64 in $2 from the sources in $1, and runs all its tests under
# user-mode emulation. With $3, the arcbox command: then a program in the style of Apple's samples,
# emulated, in a container, on this machine's host runtime.
set -eu
for tool in aarch64-linux-gnu-gcc qemu-aarch64; do
    command -v "$tool" >/dev/null || { echo "skipped: $tool is not installed"; exit 77; }
done
unset MESON_TEST_ITERATION MESON_EXE_WRAPPER MALLOC_PERTURB_
here=$(dirname "$(realpath "$0")")
arcbox=${3:+$(realpath "$3")}
cd "$1"
[ -f "$2/build.ninja" ] ||
    meson setup --cross-file scripts/aarch64-linux-gnu.ini -Dguest_only=true "$2"
ninja -C "$2"
meson test -C "$2" --no-rebuild --print-errorlogs -t 3
[ -n "$arcbox" ] || exit 0

work=$2/sample
mkdir -p "$work"
cp "$here/sample/default.metal" "$work/"
"$2/scripts/arcbox-cc" --target=aarch64-linux-gnu -fobjc-arc -O1 -Wall -Wextra -Werror \
    "$here"/sample/*.m -framework Metal -framework Foundation -o "$work/sample"
"$here/in_container.sh" "$arcbox" qemu-aarch64 -L /usr/aarch64-linux-gnu "$work/sample" ||
    { status=$?; [ $status = 77 ] || exit $status; }
