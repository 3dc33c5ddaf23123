#!/usr/bin/env bash
# Builds the guest library for aarch64 in $2 from the sources in $1, and runs all its tests under
# user-mode emulation.
set -eu
for tool in aarch64-linux-gnu-gcc qemu-aarch64; do
    command -v "$tool" >/dev/null || { echo "skipped: $tool is not installed"; exit 77; }
done
unset MESON_TEST_ITERATION MESON_EXE_WRAPPER MALLOC_PERTURB_
cd "$1"
[ -f "$2/build.ninja" ] ||
    meson setup --cross-file scripts/aarch64-linux-gnu.ini -Dguest_only=true "$2"
ninja -C "$2"
meson test -C "$2" --no-rebuild --print-errorlogs -t 3
