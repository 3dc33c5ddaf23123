#!/usr/bin/env bash
# gpu top, on a terminal and elsewhere; a compile that takes its time says so on a terminal; bench
# refuses what is not there before it measures. $2: the kernel check.
. "$(dirname "$0")/lib.sh"
export ARCBOX_CACHE_DIR=$work/cache
trap '"$arcbox" ps -q | xargs -r "$arcbox" rm -f >/dev/null; "$arcbox" daemon stop >/dev/null; rm -rf "$work"' EXIT
cp "$2" "$work/kernel"
cd "$work"
says "bench of an unknown backend" 125 "cpu or cuda can be measured" "$arcbox" bench --backend vulkan
says "bench of nothing" 125 "--ggml /no/such: No such file" "$arcbox" bench --ggml /no/such
same "no tenants" "no tenants" "$("$arcbox" gpu top --interval 0.1 | tail -1)"
says "no such word" 125 "usage: arcbox gpu" "$arcbox" gpu bottom
says "bad interval" 125 "--interval x: expected a number" "$arcbox" gpu top --interval x
"$arcbox" run -d --name busy --gpus device=cpu host sh -c 'while :; do ./kernel; done' >/dev/null
for _ in $(seq 100); do [ -n "$("$arcbox" logs busy)" ] && break; sleep 0.1; done
same "a tenant" "TENANT busy TENANT busy" "$("$arcbox" gpu top --interval 0.2 --count 2 | cut -d' ' -f1 | xargs)"
if command -v script >/dev/null; then
    screen=$(TERM=xterm script -qec "$arcbox gpu top --interval 0.2 --count 3" /dev/null </dev/null | tr -d '\r')
    case $screen in *busy*"q: end"*) pass ;; *) fail "top on a terminal: $screen" ;; esac
    same "the screen is given back" 1 "$(printf '%s' "$screen" | grep -c $'\033\[?1049l')"
    "$arcbox" rm -f busy >/dev/null
    # A compile of a compiler that is held up for a while.
    rm -rf "$ARCBOX_CACHE_DIR"
    "$arcbox" daemon stop >/dev/null
    "$arcbox" daemon start >/dev/null
    daemon=$("$arcbox" daemon status --format json | python3 -c 'import json, sys; print(json.load(sys.stdin)["pid"])')
    for _ in $(seq 50); do compiler=$(pgrep -P "$daemon" arcbox-compil) && break; sleep 0.1; done
    kill -STOP "$compiler"
    (sleep 2.5; kill -CONT "$compiler") &
    said=$(TERM=xterm script -qec "$arcbox run --gpus device=cpu host ./kernel" /dev/null </dev/null)
    case $said in *"compiling shaders: 1 s"*$'\033[K'*"sums right"*) pass ;; *) fail "progress: $said" ;; esac
    wait
    case $("$arcbox" run --gpus device=cpu host ./kernel 2>&1) in *compiling*) fail "said where there is no terminal" ;; *) pass ;; esac
fi
finish
