#!/usr/bin/env bash
# Runs a command in a container with the GPU, on a daemon of its own: ARCBOX COMMAND...
set -u
arcbox=$(realpath -e "$1") || exit 1
shift
export ARCBOX_RUNTIME_DIR
ARCBOX_RUNTIME_DIR=$(mktemp -d)
trap '"$arcbox" daemon stop >/dev/null 2>&1; rm -rf "$ARCBOX_RUNTIME_DIR"' EXIT
if ! why=$("$arcbox" run host true 2>&1); then
    echo "skipped: no container starts here: $why"
    exit 77
fi
# The container has a /tmp of its own, and the tree may lie there.
tree=$(realpath "$(dirname "$0")/../..")
"$arcbox" run --gpu --mount "$tree:$tree:ro" host "$@"
