#!/bin/sh
# Runs a command against a daemon of its own: with_worker.sh ARCBOXD BACKEND COMMAND...
# The daemon and its files are gone afterwards, whatever happened.
set -eu
daemon=$1 backend=$2
shift 2
ARCBOX_RUNTIME_DIR=$(mktemp -d "${TMPDIR:-/tmp}/arcbox-test.XXXXXX")
ARCBOX_CACHE_DIR=$ARCBOX_RUNTIME_DIR/cache
ARCBOX_SOCKET=$ARCBOX_RUNTIME_DIR/gpu.sock
export ARCBOX_RUNTIME_DIR ARCBOX_CACHE_DIR ARCBOX_SOCKET ARCBOXD="$daemon"
"$daemon" --backend "$backend" --idle 0 2>"$ARCBOX_RUNTIME_DIR/errors" &
pid=$!
trap 'kill $pid 2>/dev/null || true; wait $pid 2>/dev/null || true; rm -rf "$ARCBOX_RUNTIME_DIR"' EXIT
# As long as it takes, on a machine that does much else; not once the daemon has ended, of which a zombie is left.
while [ ! -S "$ARCBOX_SOCKET" ]; do
    [ -e /proc/$pid/exe ] || { cat "$ARCBOX_RUNTIME_DIR/errors" >&2; exit 1; }
    sleep 0.05
done
status=0
"$@" || status=$?
[ $status = 0 ] || cat "$ARCBOX_RUNTIME_DIR"/errors "$ARCBOX_RUNTIME_DIR"/*.log >&2
exit $status
