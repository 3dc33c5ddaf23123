#!/usr/bin/env bash
# Searches for inputs that break ArcBox's readers of hostile data, one target after the other, with
# coverage feedback of all of its code, AddressSanitizer and UndefinedBehaviorSanitizer:
#
#   fuzz.sh BUILD [SECONDS [TARGET...]]   each target for so long (600); BUILD is an ordinary build folder
#   fuzz.sh BUILD coverage                lines of the host's files that the corpora of before reach
#
# Builds in BUILD-fuzz and BUILD-coverage with clang-19; corpora are kept in BUILD-fuzz/corpus. Ends
# with a table; crashes are in BUILD-fuzz/crashes, and the status is 1.
set -eu
build=$(realpath "$1") seconds=${2:-600}
source=$(dirname "$(dirname "$(realpath "$0")")")
fuzz=$build-fuzz coverage=$build-coverage
shift $(($# < 2 ? $# : 2))
targets=("$@")
all=(host_null host_cpu host_cuda session control object library metallib shader vm_queue vm_vhost)
[ ${#targets[@]} -gt 0 ] || targets=("${all[@]}")

place() { case $1 in host_* | session | control) echo tests/host/libfuzzer_$1 ;; vm_*) echo tests/vmm/libfuzzer_$1 ;; *) echo tests/hostile/libfuzzer_$1 ;; esac; }

# configure FOLDER SANITIZERS COMPILER_ARGS LINK_ARGS
configure() {
    [ -f "$1/build.ninja" ] || CC=clang-19 CXX=clang++-19 meson setup -Dfuzzers=true -Db_sanitize="$2" -Db_lundef=false \
        -Dc_args="$3" -Dcpp_args="$3" -Dc_link_args="$4" -Dcpp_link_args="$4" "$1" "$source" >"$build/fuzz-setup.log" 2>&1 || { cat "$build/fuzz-setup.log" >&2; exit 1; }
    local paths=(src/host/libfake_cuda.so) target
    for target in "${all[@]}"; do paths+=("$(place "$target")"); done
    ninja -C "$1" -j2 "${paths[@]}" >"$build/fuzz-setup.log" 2>&1 || { tail -n 30 "$build/fuzz-setup.log" >&2; exit 1; }
}

# What each begins with: the inputs of the ordinary tests.
seed() {
    local folder=$fuzz/corpus/$1
    [ ! -d "$folder" ] || return 0
    mkdir -p "$folder"
    case $1 in
    host_* | session | control) ninja -C "$build" "tests/host/fuzz_$1" src/host/libfake_cuda.so >/dev/null && "$build/tests/host/fuzz_$1" 0 "$folder" >/dev/null ;;
    vm_*) ninja -C "$build" "tests/vmm/fuzz_$1" >/dev/null && "$build/tests/vmm/fuzz_$1" 0 "$folder" ;;
    object) cp "$build/tests/hostile/seed_object.o" "$folder" ;;
    library) cp "$build/tests/hostile/seed_library.bin" "$folder" ;;
    metallib) find "$build/tests" -name '*.metallib' -size -1024k -exec cp {} "$folder" \; ;;
    shader) cp "$source"/tests/shader/cases/*.metal "$source"/tests/hostile/cases/*.metal "$folder" ;;
    esac
}

if [ "$seconds" = coverage ]; then
    configure "$coverage" none "-fprofile-instr-generate -fcoverage-mapping" -fprofile-instr-generate
    profiles=() objects=()
    for target in "${targets[@]}"; do
        seed "$target"
        LLVM_PROFILE_FILE=$coverage/$target.profraw "$coverage/$(place "$target")" -runs=0 "$fuzz/corpus/$target" >"$coverage/$target.log" 2>&1 || true
        [ -f "$coverage/$target.profraw" ] || { tail "$coverage/$target.log" >&2; exit 1; }
        profiles+=("$coverage/$target.profraw")
        objects+=(-object "$coverage/$(place "$target")")
    done
    llvm-profdata-19 merge -o "$coverage/all.profdata" "${profiles[@]}"
    llvm-cov-19 report "${objects[@]:1}" -instr-profile="$coverage/all.profdata" "$source"/src/host/session/*.c "$coverage"/api/decode_gen.h |
        awk '$1 ~ /\.[ch]$|^TOTAL/ { printf "%-28s %6d lines %8s\n", $1, $8, $10 }'
    exit
fi

configure "$fuzz" address,undefined -fno-sanitize=function ""
mkdir -p "$fuzz/crashes"
export ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
status=0 rows=()
for target in "${targets[@]}"; do
    seed "$target"
    dict=() log=$fuzz/$target.log
    case $target in host_* | session) dict=(-dict="$build/api/records.dict") ;; esac
    "$fuzz/$(place "$target")" "${dict[@]}" -max_total_time="$seconds" -rss_limit_mb=4096 -timeout=30 -max_len=65536 \
        -print_final_stats=1 -artifact_prefix="$fuzz/crashes/$target-" "$fuzz/corpus/$target" >"$log" 2>&1 || status=1
    executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    edges=$(grep -o 'cov: [0-9]*' "$log" | tail -n 1 | cut -d' ' -f2)
    found=$(find "$fuzz/crashes" -name "$target-*" ! -name '*-slow-unit-*' | wc -l)
    rows+=("$(printf '| %-9s | %5s s | %11s | %6s | %7s |' "$target" "$seconds" "${executions:-?}" "${edges:-?}" "$found")")
    echo "${rows[-1]}"
done
[ $status = 0 ] || echo "crashes: $fuzz/crashes; logs: $fuzz/*.log" >&2
exit $status
