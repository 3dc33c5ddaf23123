#!/bin/sh
# What products of matrices become for NVIDIA's processors: tiles.sh SHADER-TOOL matrices.metal. What they
# compute tests/semantics looks at.
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
status=0
expect() { # WHAT GOT WANTED
    [ "$2" = "$3" ] || { echo "$1: $2, not $3"; status=1; }
}
make() { # SHADER-TOOL SOURCE MODE KERNEL
    "$1" -q -m "$3" --target nvptx --kernel "$4" --save "$folder" "$2" >/dev/null || exit
    ptx=$folder/$4.ptx
    entries=$(grep -c '^\.visible \.entry' "$ptx")
}
each() { # PATTERN: how often it stands in one of the entries, which are the same
    echo $(($(grep -cE "$1" "$ptx") / entries))
}
make "$1" "$2" fast of_tiles
expect 'entries, one of them for few threads' "$entries" 2
expect 'matrices loaded four at a time, turned' "$(each 'ldmatrix.*x4\.trans')" 1
expect 'matrices turned otherwise' "$(each movmatrix)" 0
expect 'products' "$(each 'mma\.sync.*f16')" 4
expect 'loads of 16 bits from threadgroup memory' "$(each 'ld\.shared\.[a-z]16')" 0
# Offsets that are the same but for bits 4 to 6: where the banks are spread.
[ "$(each 'and\.b32.*, 112;')" -gt 0 ] || { echo "tiles lie in the same banks"; status=1; }
make "$1" "$2" fast of_tiles_by_pointers
expect 'tiles in other banks, though pointers that are not known reach them' "$(each 'and\.b32.*, 112;')" 0
make "$1" "$2" fast of_padded_tiles
expect 'matrices of memory that the kernel declares, four at a time' "$(each 'ldmatrix.*x4\.shared')" 1
expect 'products of two matrices each' "$(each 'mma\.sync.*f16')" 4
make "$1" "$2" fast of_a_simdgroup_float
expect 'products of floats in two parts, of two matrices' "$(each 'mma\.sync.*tf32')" 6
make "$1" "$2" safe of_a_simdgroup_float
expect 'products of floats in three parts, of two matrices' "$(each 'mma\.sync.*tf32')" 12
exit $status
