#!/bin/sh
# A loop that the program wants unrolled is, for NVIDIA's processors: unrolled.sh SHADER-TOOL SOURCE.
# 144 loads of 48 turns, of which two are the same place.
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$1" -q -m fast --target nvptx --kernel unrolled --save "$folder" "$2" || exit
loads=$(grep -c 'ld\.global' "$folder/unrolled.ptx")
echo "$loads loads"
[ "$loads" -ge 100 ]
