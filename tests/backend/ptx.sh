#!/usr/bin/env bash
# Compiles the conformance suite's kernels to PTX with $1 (test_kernels) from $2 (bitcode), and assembles
# them: where there is an nvJitLink (scripts/nvjitlink.sh) as a compile does, and where there is a ptxas
# (scripts/ptxas.sh) by it.
set -eu
here=$(dirname "$(realpath "$0")")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
record() { # FOLDER
    mkdir "$work/$1"
    ARCBOX_TEST_TARGET=nvptx ARCBOX_TEST_RECORD=$work/$1 "$suite" "$bitcode" >"$work/log" || { cat "$work/log"; exit 1; }
}
suite=$1 bitcode=$2 lacking=
record ptx
echo "$(ls "$work"/ptx/[0-9]* | wc -l) kernels as PTX"
if nvjitlink=$("$here/../../scripts/nvjitlink.sh"); then
    # With what a processor before 9.0 lacks, and without.
    for processor in 80 90; do
        LD_LIBRARY_PATH=$nvjitlink ARCBOX_TEST_PROCESSOR=$processor record $processor
        python3 "$here/cubins.py" $processor "$work/$processor"/[0-9]*
    done
else
    lacking="no nvJitLink"
fi
if ptxas=$("$here/../../scripts/ptxas.sh"); then
    for blob in "$work"/ptx/[0-9]*; do
        # The text lies behind the head, and ends with a NUL.
        tail -c +"$((1 + $(grep -abo -m1 '^//$' "$blob" | head -1 | cut -d: -f1)))" "$blob" | tr -d '\0' >"$work/text"
        "$ptxas" -arch=sm_90 "$work/text" -o "$work/cubin"
        # As the backend changes it for such a processor (ABX_PTX_EARLY_MARK).
        sed 's/\.target sm_80/.target sm_90/; s|//griddepcontrol|  griddepcontrol|' "$work/text" >"$work/early"
        [ "$(grep -c '^[[:space:]]*griddepcontrol' "$work/early")" = $((2 * $(grep -c '^\.visible \.entry' "$work/early"))) ]
        "$ptxas" -arch=sm_90 "$work/early" -o "$work/cubin"
    done
    echo "assembled for sm_90"
else
    lacking="${lacking:+$lacking and }no ptxas"
fi
[ -z "$lacking" ] || { echo "not assembled by all: there is $lacking"; exit 77; }
