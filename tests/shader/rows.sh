#!/bin/sh
# Lanes exchange elements of rows for NVIDIA's processors where they may, and nowhere else: rows.sh SHADER-TOOL
# rows.metal. What they compute tests/semantics looks at.
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
status=0
count() { # SHADER-TOOL SOURCE MODE: kernels that exchange
    "$1" -q -m "$3" --target nvptx --save "$folder" "$2" >/dev/null 2>&1 || exit
    grep -lE 'vote\.sync\.ballot\.b32[^;]*, %r[0-9]+;' "$folder"/*.ptx | sed 's/.*\///; s/\.ptx//' | sort | tr '\n' ' '
}
fast=$(count "$1" "$2" fast) safe=$(count "$1" "$2" safe)
echo "fast: $fast"
echo "safe: $safe"
if ptxas=$("$(dirname "$(realpath "$0")")/../../scripts/ptxas.sh"); then
    for ptx in "$folder"/*.ptx; do
        "$ptxas" -arch=sm_90 "$ptx" -o /dev/null || exit
    done
fi
[ "$fast" = 'rows rows_added_to rows_at_any_byte rows_behind_others ' ] &&
    [ -z "$safe" ]
