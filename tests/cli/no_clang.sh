#!/usr/bin/env bash
# A machine without clang: the program's NSError says so and what to do, `doctor` too, and once it
# is installed the running host runtime finds it. $2: arcbox-kernel-check, which prints the error.
. "$(dirname "$0")/lib.sh"
kernel=$(realpath "$2")
trap '"$arcbox" daemon stop >/dev/null; rm -rf "$work"' EXIT
export XDG_CACHE_HOME=$work/cache
run() { "$@" run --gpus device=cpu -v "$kernel:/kernel:ro" host /kernel 2>&1; }
mkdir "$work/bin"
export ARCBOX_CLANG=$work/bin/clang-19
got=$(run "$arcbox")
same "it ends with an error" 1 $?
same "which says why" 1 "$(grep -c "no clang at ARCBOX_CLANG=$ARCBOX_CLANG: install clang-19" <<<"$got")"
"$arcbox" doctor >"$work/doctor"
same "doctor fails" 1 $?
grep -q "^FAILED *clang 19 .*apt install clang-19" "$work/doctor" && pass || fail "doctor: $(cat "$work/doctor")"
clang=$(command -v clang-19 || echo /usr/lib/llvm-19/bin/clang)
ln -s "$clang" "$ARCBOX_CLANG"
same "installed meanwhile" "4096 sums right" "$(run "$arcbox" | cut -c1-15)"
"$arcbox" daemon stop >/dev/null

# The same without the variable: where Debian puts it there is nothing.
unset ARCBOX_CLANG
export XDG_CACHE_HOME=$work/cache2
without() { bwrap --bind / / --dev-bind /dev /dev --tmpfs "$(dirname "$(realpath "$clang")")" \
    env PATH=/usr/bin:/bin "$@"; }
if without true 2>/dev/null; then
    got=$(run without "$arcbox")
    same "no clang anywhere" 1 "$(grep -c "no clang: install clang-19 (apt install clang-19)" <<<"$got")"
    [ "$(without "$arcbox" doctor | grep -c "^FAILED *clang-19 .*apt install clang-19")" = 1 ] && pass || fail "doctor without clang"
else
    skip "no sandbox in this system"
fi
finish
