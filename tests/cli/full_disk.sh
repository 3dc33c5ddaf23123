#!/usr/bin/env bash
# Full disks: without room for the cache a kernel is compiled and runs; without room for what
# `arcbox run` writes itself there is one clear line. $2: arcbox-kernel-check.
. "$(dirname "$0")/lib.sh"
kernel=$(realpath "$2")
end() {
    "$arcbox" daemon stop >/dev/null 2>&1
    umount -l "$work/cache" "$work/state" 2>/dev/null
    rm -rf "$work"
}
trap end EXIT
# The disks are in a mount namespace of this script's own.
if [ -z "${IN_NAMESPACE:-}" ]; then
    rm -rf "$work"
    trap - EXIT
    unshare -Urm true 2>/dev/null || { skip "no mounts in this system"; exit 77; }
    IN_NAMESPACE=1 exec unshare -Urm bash "$0" "$@"
fi
mkdir "$work/cache" "$work/state"
mount -t tmpfs -o size=16k,mode=0700 full "$work/cache" || { skip "no file system in memory"; exit 77; }
fill() { cat /dev/zero >"$1" 2>/dev/null; }
export XDG_CACHE_HOME=$work/cache
fill "$work/cache/filler"
right="4096 sums right"
run() { "$arcbox" run --gpus device=cpu -v "$kernel:/kernel:ro" host /kernel; }
same "compiled without a cache" "$right" "$(run 2>"$work/errors" | cut -c1-15)"
grep -q "No space left on device" "$work/errors" && pass || fail "it is not said: $(cat "$work/errors")"
same "and again" "$right" "$(run 2>/dev/null | cut -c1-15)"
same "no half of a file is left" "" "$(find "$work/cache" -type f ! -name filler)"
"$arcbox" daemon stop >/dev/null
export XDG_CACHE_HOME=$work/cache2

mount -t tmpfs -o size=16k,mode=0700 full "$work/state"
fill "$work/state/filler"
same "without a record" "$right" "$(run 2>"$work/errors" | cut -c1-15)"
grep -q "cannot write the record of" "$work/errors" && pass || fail "no record: $(cat "$work/errors")"
same "no record is left" filler "$(cd "$work/state" && find . -type f ! -name "*.sock" ! -name "*.log" ! -name "*lock" ! -name "*pid" -printf "%f\n")"
says "in the background it could not be stopped" 125 "cannot write the record of behind: No space left" "$arcbox" run -d --name behind host true
same "and nothing is left of it" "" "$("$arcbox" ps -aq)"
finish
