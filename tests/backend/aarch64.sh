#!/usr/bin/env bash
# Compiles the suite's kernels for aarch64 with $1 (test_kernels of this machine) from $2 (bitcode),
# then builds the suite from the sources $4... of the tree $3 for aarch64, and runs it, emulated.
set -eu
for tool in aarch64-linux-gnu-gcc qemu-aarch64; do
    command -v "$tool" >/dev/null || { echo "skipped: $tool is not installed"; exit 77; }
done
suite=$1 bitcode=$2 root=$3
shift 3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
aarch64-linux-gnu-gcc -O1 -g -std=gnu17 -D_GNU_SOURCE -static -I"$root/src" -I"$root/include" "$@" \
    -o "$work/suite" -lm -lpthread
for form in wide scalar; do
    mkdir "$work/$form"
    ARCBOX_CODEGEN_FORM=$form ARCBOX_TEST_RECORD=$work/$form "$suite" "$bitcode" >"$work/log" || {
        cat "$work/log"
        exit 1
    }
    echo "$form form, $(ls "$work/$form" | wc -l) objects"
    qemu-aarch64 "$work/suite" "$work/$form"
done
