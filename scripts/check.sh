#!/usr/bin/env bash
# Runs every test of the build folder $1 ("long" as $2 adds the slow suites) and prints the closing
# line "N passed, N failed".
set -eu
build=$1
suites=(--no-suite long)
[ "${2:-}" = long ] && suites=()
# Two more than there are processors: more than a third of the tests' time is waiting for something.
meson test -C "$build" --print-errorlogs --num-processes $(($(nproc) + 2)) "${suites[@]}" | tee "$build/check.log" || true
passed=$(sed -n 's/^Ok: *\([0-9]*\).*/\1/p' "$build/check.log" | tail -1)
failed=$(sed -n 's/^\(Fail\|Timeout\|Unexpected Pass\): *\([0-9]*\).*/\2/p' "$build/check.log" | paste -sd+ | sed 's/^$/0/')
echo "$((passed)) passed, $((failed)) failed"
[ $((failed)) -eq 0 ] && [ $((passed)) -gt 0 ]
