# For the command line's tests: `check NAME COMMAND...` counts, `finish` ends.
# Runs `arcbox` from the build folder with a runtime folder of its own.
set -u
arcbox=$(realpath "$1")
work=$(mktemp -d)
export ARCBOX_RUNTIME_DIR=$work/state
passed=0 failed=0
trap 'rm -rf "$work"' EXIT
pass() { passed=$((passed + 1)); }
fail() { failed=$((failed + 1)); echo "FAIL: $*" >&2; }
skip() { echo "SKIP: $*"; }
# same NAME EXPECTED GOT
same() { if [ "$2" = "$3" ]; then pass; else fail "$1: expected '$2', got '$3'"; fi; }
# says NAME CODE TEXT COMMAND...: the command ends with CODE and one line, "arcbox: ...TEXT...".
says() {
    local name=$1 code=$2 text=$3 out got
    shift 3
    out=$("$@" 2>&1 >/dev/null </dev/null)
    got=$?
    if [ "$got" != "$code" ]; then fail "$name: exit code $got, not $code: $out"
    elif [ "$(printf '%s\n' "$out" | wc -l)" != 1 ]; then fail "$name: not one line: $out"
    elif [ "${out#arcbox: }" = "$out" ] || [ "${out#*"$text"}" = "$out" ]; then
        fail "$name: expected '$text' in: $out"
    else pass; fi
}
finish() { echo "$passed passed, $failed failed"; [ $failed = 0 ] && [ $passed -gt 0 ]; }
