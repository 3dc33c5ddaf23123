#!/usr/bin/env bash
# The host runtime started by a service manager's socket: its first client starts it, it ends, and the
# next client starts another. And what the units name is there.
. "$(dirname "$0")/lib.sh"
trap '[ -z "${manager-}" ] || kill $manager 2>/dev/null; "$arcbox" daemon stop >/dev/null 2>&1; rm -rf "$work"' EXIT
daemon=$(realpath "$2")
units=$(realpath "$(dirname "$arcbox")/../../packaging")
mkdir -m 711 "$ARCBOX_RUNTIME_DIR"
if command -v systemd-socket-activate >/dev/null; then
    systemd-socket-activate --seqpacket -l "$ARCBOX_RUNTIME_DIR/control.sock" -E ARCBOX_RUNTIME_DIR="$ARCBOX_RUNTIME_DIR" \
        "$daemon" >"$work/log" 2>&1 &
    manager=$!
    for _ in $(seq 50); do [ -S "$ARCBOX_RUNTIME_DIR/control.sock" ] && break; sleep 0.1; done
    same "the first client starts it" "$manager" "$("$arcbox" daemon status --format json | python3 -c 'import json, sys; print(json.load(sys.stdin)["pid"])')"
    same "programs find it" 0 "$([ -S "$ARCBOX_RUNTIME_DIR/gpu.sock" ]; echo $?)"
    same "it stops" stopped "$("$arcbox" daemon stop)"
    wait $manager
    manager=
    same "the socket is the manager's, and stays" 0 "$([ -S "$ARCBOX_RUNTIME_DIR/control.sock" ]; echo $?)"
    same "without a manager it starts as ever" running "$("$arcbox" daemon start | head -1 | cut -d: -f1)"
else
    skip "no systemd-socket-activate here"
fi
if command -v systemd-analyze >/dev/null; then
    grep -h '^Exec' "$units"/*.service | sed 's/^[A-Za-z]*=-*\([^ ]*\).*/\1/' | while read -r program; do
        case $program in */bin/arcbox | */libexec/arcbox/arcboxd) ;; *) echo "$program" ;; esac
    done >"$work/odd"
    same "the units' programs" "" "$(cat "$work/odd")"
fi
finish
