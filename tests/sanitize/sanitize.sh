#!/usr/bin/env bash
# Builds again with sanitizers and runs tests there: sanitize.sh SOURCE BUILD SANITIZERS TEST...
# BUILD is kept for the next time. Not optimised: building takes longer than all the tests. Leaks are not looked for: tests end without freeing.
set -eu
source=$1 build=$2 sanitizers=$3
shift 3
export ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
export TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1
[ -f "$build/build.ninja" ] || meson setup -Db_sanitize="$sanitizers" -Db_lundef=false \
    -Doptimization=0 "$build" "$source"
# Only what these tests need: not everything can be built so (static programs).
meson test -C "$build" --print-errorlogs "$@"
