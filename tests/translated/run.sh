#!/usr/bin/env bash
# Our shaders in GLSL and WGSL, as SPIRV-Cross and naga translate them to Metal, run through the bridge:
# they check themselves (runner.m). Those that use textures must be refused, by name and line.
#
#   run.sh RUNNER FOLDER    inside tests/metal/with_worker.sh; what is translated goes to FOLDER
#
# A translator that is not installed is left out, and said so.
set -eu
runner=$(realpath "$1")
work=$2
here=$(dirname "$(realpath "$0")")
mkdir -p "$work"
cd "$work"
rm -f ./*.metal
run=0 failed=0

size() {
    case $1 in
    groups* | memory*) echo 8 8 ;;
    subgroups* | lanes* | coherent*) echo 32 1 ;;
    *) echo 1 1 ;;
    esac
}

# judge FILE: runs it, or sees that it is refused.
judge() {
    run=$((run + 1))
    local said rc=0
    said=$("$runner" "$1" $(size "$1") 2>&1) || rc=$?
    case $1 in
    picture*)
        echo "$said" | grep -q '^program_source:[0-9]*:[0-9]*: error: textures are not supported yet' &&
            return
        ;;
    *) [ $rc = 0 ] && return ;;
    esac
    echo "== $1: $rc"
    echo "$said" | grep -v warning | head -n 20
    failed=$((failed + 1))
}

if command -v spirv-cross >/dev/null && command -v glslangValidator >/dev/null; then
    for source in "$here"/*.comp; do
        name=$(basename "$source" .comp)
        glslangValidator -V --target-env vulkan1.2 "$source" -o "$name.spv" >/dev/null
        for version in 20100 20300 30000; do
            # 64-bit integers begin with Metal 2.2
            [ $name$version != memory20100 ] || continue
            spirv-cross --msl --msl-version $version --msl-decoration-binding "$name.spv" \
                --output "$name.cross-$version.metal"
            judge "$name.cross-$version.metal"
        done
    done
else
    echo "no spirv-cross or glslangValidator here: GLSL left out"
fi

# naga [options] VERSION: buffers have the numbers that a program would give them, in their order.
translate_wgsl() {
    local out=$name.naga-$1-$2.metal
    naga "$source" "$out" --metal-version "$1" --index-bounds-check-policy "$2"
    awk '{
        sub(/_buffer_sizes \[\[user\(fake0\)\]\]/, "_buffer_sizes [[buffer(8)]]")
        while (sub(/\[\[user\(fake0\)\]\]/, "[[buffer(" n + 0 ")]]")) n++
        print
    }' "$out" >"$out.new"
    mv "$out.new" "$out"
    judge "$out"
}
if command -v naga >/dev/null; then
    for source in "$here"/*.wgsl; do
        name=$(basename "$source" .wgsl)
        translate_wgsl 1.2 Restrict
        translate_wgsl 2.4 ReadZeroSkipWrite
        translate_wgsl 3.1 Restrict
    done
else
    echo "no naga here (cargo install naga-cli): WGSL left out"
fi

[ $run -gt 0 ] || exit 77
echo "$run translated, $failed failed"
[ $failed = 0 ]
