#!/bin/sh
# What NVIDIA's processors must not be left to: private arrays that threads write below, and functions that call
# themselves last. private.sh SHADER-TOOL ROWS RECURSION, the last two of tests/semantics.
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
status=0
"$1" -q --target nvptx --kernel past_a_row --save "$folder" "$2" >/dev/null || exit
tr -d '\0' <"$folder/past_a_row.ptx" | grep -q '\.local .*depot.*\[48\]' ||
    { echo "an array of 8 floats has no room for what is stored outside it"; status=1; }
"$1" -q --target nvptx --kernel calls_itself_last "$3" >/dev/null ||
    { echo "what calls itself last is no loop"; status=1; }
exit $status
