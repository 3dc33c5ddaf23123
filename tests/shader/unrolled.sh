#!/bin/sh
# Loops and registers for NVIDIA's processors: unrolled.sh SHADER-TOOL SOURCE.
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
status=0
count() { # SHADER-TOOL KERNEL PATTERN
    "$1" -q -m fast --target nvptx --kernel "$2" --save "$folder" "$source" >/dev/null || exit
    grep -c "$3" "$folder/$2.ptx"
}
source=$2
# 144 loads of 48 turns, of which two are the same place.
loads=$(count "$1" unrolled 'ld\.global')
[ "$loads" -ge 100 ] || { echo "a loop that the program wants unrolled: $loads loads"; status=1; }
loads=$(count "$1" by_itself 'ld\.global')
[ "$loads" -eq 8 ] || { echo "a loop of two loads: $loads loads, not 8 in four turns"; status=1; }
entries=$(count "$1" many_sums '^\.visible \.entry')
[ "$entries" -eq 2 ] || { echo "many sums: $entries entries, not one more for few threads"; status=1; }
entries=$(count "$1" by_itself '^\.visible \.entry')
[ "$entries" -eq 1 ] || { echo "one sum: $entries entries"; status=1; }
exit $status
