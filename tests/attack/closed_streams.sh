#!/usr/bin/env bash
# The programs of ArcBox itself with closed standard streams: none of their descriptors is one of
# those. $2: arcbox-kernel-check, $3: the folder of the guest library.
. "$(dirname "$0")/lib.sh"
kernel=$(realpath "$2") library=$3
trap '"$arcbox" daemon stop >/dev/null 2>&1; rm -rf "$work"' EXIT
for attacker in $(attackers); do
    become "$attacker"
    unset XDG_CACHE_HOME
    run daemon start <&- >&- 2>&-
    same "$who: it starts" 0 "$(run daemon status >/dev/null; echo $?)"
    same "$who: a kernel" "4096 sums right" "$(run run --gpus device=cpu -v "$kernel:/kernel:ro" host /kernel 2>/dev/null | cut -c1-15)"
    daemon=$(run daemon status --format json | python3 -c 'import json, sys; print(json.load(sys.stdin)["pid"])')
    # A worker's lead to the log, by a pipe that the daemon reads.
    "${as[@]}" sh -c "readlink /proc/$daemon/fd/*" | grep '^pipe:' >"$work/pipes" || true
    same "$who: its processes' streams" "" "$(for pid in $daemon $(pgrep -P "$daemon"); do
        for fd in 0 1 2; do "${as[@]}" readlink "/proc/$pid/fd/$fd"; done; done |
        grep -v "^/dev/null$\|arcboxd.log$" | grep -vxFf "$work/pipes")"
    run run --gpus device=cpu -v "$kernel:/kernel:ro" host /kernel <&- >&- 2>&-
    same "$who: a container without" 0 $?
    unowned "$who: what it gets" || same "$who: what it gets" "/dev/null" "$(run run -v "$PWD:/out" host sh -c 'readlink /proc/self/fd/1 >/out/link' <&- >&- 2>&-; "${as[@]}" rm -f x;
        run run -v "$PWD:/out" host sh -c 'readlink /proc/$$/fd/0 >/out/link' <&- >&- 2>&-; cat link)"
    run daemon stop >/dev/null
done
finish
