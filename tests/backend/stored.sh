#!/usr/bin/env bash
# Kernels compiled here for another processor, and run on it: those of the conformance suite, and the
# programs of tests/semantics.
#
#   stored.sh x86-64|aarch64|nvptx TEST_KERNELS BITCODE SHADER_TOOL ROOT SOURCE...
#
# ARCBOX_TEST_ALL=1: the programs in each math mode, on each of them. Every day it is each third of a file's
# kernels, and its last; all of them where there is an NVIDIA device to run them. For nvptx it is then none of
# calls.metal, whose functions all become part of its kernels there: half a minute.
#
# The suite's own programs are built for aarch64 from the SOURCEs and emulated; for the others they are
# built for this computer. For nvptx they open its NVIDIA driver; without one the kernels are compiled
# only. Where nvJitLink is (scripts/nvjitlink.sh), all of them are there twice: as PTX alone, and with
# machine code for $ARCBOX_TEST_PROCESSOR (90). With
# ARCBOX_TEST_KEEP=FOLDER everything that running them on another computer takes is left there.
set -eu
target=$1 suite=$2 bitcode=$3 tool=$4 root=$5
shift 5
work=${ARCBOX_TEST_KEEP:-$(mktemp -d)}
mkdir -p "$work"
[ -n "${ARCBOX_TEST_KEEP:-}" ] || trap 'rm -rf "$work"' EXIT
case $target in
aarch64)
    for needed in aarch64-linux-gnu-gcc qemu-aarch64; do
        command -v "$needed" >/dev/null || { echo "skipped: $needed is not installed"; exit 77; }
    done
    compile=(aarch64-linux-gnu-gcc -static) run=(qemu-aarch64) backend=rig_cpu.c forms="wide scalar"
    ;;
x86-64)
    grep -qw avx2 /proc/cpuinfo || { echo "skipped: this processor has no AVX2"; exit 77; }
    compile=(cc) run=() backend=rig_cpu.c forms="wide scalar"
    ;;
nvptx)
    compile=(cc) run=() backend=rig_cuda.c forms=ptx processor=${ARCBOX_TEST_PROCESSOR:-90}
    unset ARCBOX_TEST_PROCESSOR
    if nvjitlink=$("$root/scripts/nvjitlink.sh"); then
        forms="ptx cubin"
        export LD_LIBRARY_PATH=$nvjitlink${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
    else
        echo "no machine code: there is no nvJitLink"
    fi
    ;;
esac

has_driver() { ldconfig -p | grep -q 'libcuda\.so\.1'; }
every=3
[ -z "${ARCBOX_TEST_KEEP:-}${ARCBOX_TEST_ALL:-}" ] || every=1
[ $target != nvptx ] || ! has_driver || every=1

flags=(-O1 -g -std=gnu17 -D_GNU_SOURCE "-I$root" "-I$root/src" "-I$root/include")
mkdir "$work/objects"
number=0 # some files have one name
for source in "$@" "$root/tests/backend/rig.c" "$root/tests/backend/$backend"; do
    "${compile[@]}" "${flags[@]}" -c "$source" -o "$work/objects/$((number += 1)).o"
done
build() {
    local to=$1
    shift
    "${compile[@]}" "${flags[@]}" "$@" "$work"/objects/*.o -o "$to" -lm -lpthread -ldl
}
build "$work/suite" "$root/tests/backend/test_kernels.c" "$root/tests/backend/rig_stored.c"
[ $target != nvptx ] || build "$work/queues" -DABX_TEST_STORED "$root/tests/backend/test_queue.c" "$root/tests/backend/rig_stored.c"
build "$work/programs" "$root/tests/semantics/programs.c" "$root/tests/semantics/run_stored.c"
rm -r "$work/objects"

for form in $forms; do
    mkdir "$work/$form"
    machine=()
    [ $form != cubin ] || machine=("ARCBOX_TEST_PROCESSOR=$processor")
    env "${machine[@]}" ARCBOX_CODEGEN_FORM=$form ARCBOX_TEST_TARGET=$target ARCBOX_TEST_RECORD=$work/$form \
        "$suite" "$bitcode" >"$work/log" || { cat "$work/log"; exit 1; }
done
# On x86-64 the shader suite runs these programs as they are; elsewhere one mode is every day's.
case $target in x86-64) usual= ;; *) usual=fast ;; esac
[ -z "${ARCBOX_TEST_KEEP:-}${ARCBOX_TEST_ALL:-}" ] || usual="safe fast"
# Fast mode's with machine code, which takes the PTX's place every day.
case $forms in *cubin) usual="${usual/#fast/} cubins" ;; esac
for mode in $usual; do
    options=(-m "$mode")
    [ $mode != cubins ] || options=(-m fast --processor "$processor")
    for program in "$root"/tests/semantics/*.metal; do
        [ $target-$every-${program##*/} != nvptx-3-calls.metal ] || continue
        to=$work/$mode/$(basename "$program" .metal)
        mkdir -p "$to"
        said=$("$tool" -q -j 2 "${options[@]}" --unset --every $every --target "$target" --save "$to" "$program") ||
            ! grep -vE '^$|kernels for nvptx$|recursive functions are not supported on NVIDIA' <<<"$said"
    done
done
[ -z "${ARCBOX_TEST_KEEP:-}" ] || exit 0
[ $target != nvptx ] || has_driver ||
    { echo "compiled, but not run: there is no NVIDIA driver"; exit 77; }
for form in $forms; do
    echo "suite, $form: $(ls "$work/$form" | wc -l) objects"
    "${run[@]}" "$work/suite" "$work/$form"
    [ $target != nvptx ] || "${run[@]}" "$work/queues" "$work/$form"
done
[ -z "$usual" ] || "${run[@]}" "$work/programs" $(for mode in $usual; do echo "$work/$mode"/*/*.blob; done)
