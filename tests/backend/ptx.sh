#!/usr/bin/env bash
# Compiles the conformance suite's kernels to PTX with $1 (test_kernels) from $2 (bitcode), and assembles
# them where there is a ptxas (scripts/ptxas.sh).
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
ARCBOX_TEST_TARGET=nvptx ARCBOX_TEST_RECORD=$work "$1" "$2" >"$work/log" || { cat "$work/log"; exit 1; }
count=$(ls "$work"/[0-9]* | wc -l)
echo "$count kernels as PTX"
ptxas=$("$(dirname "$(realpath "$0")")/../../scripts/ptxas.sh") ||
    { echo "not assembled: there is no ptxas"; exit 77; }
for blob in "$work"/[0-9]*; do
    # The text lies behind the head, and ends with a NUL.
    tail -c +"$((1 + $(grep -abo -m1 '^//$' "$blob" | head -1 | cut -d: -f1)))" "$blob" | tr -d '\0' >"$work/ptx"
    "$ptxas" -arch=sm_90 "$work/ptx" -o "$work/cubin"
    # As the backend changes it for such a processor (ABX_PTX_EARLY_MARK).
    sed 's/\.target sm_80/.target sm_90/; s|//griddepcontrol|  griddepcontrol|' "$work/ptx" >"$work/early"
    [ "$(grep -c '^[[:space:]]*griddepcontrol' "$work/early")" = 2 ]
    "$ptxas" -arch=sm_90 "$work/early" -o "$work/cubin"
done
echo "assembled for sm_90"
