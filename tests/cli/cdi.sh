#!/usr/bin/env bash
# One description of the GPU for all users of a machine: where it is written, that it names nobody's
# runtime folder, that the hook finds the one of its user, and that a run of root's writes none.
. "$(dirname "$0")/lib.sh"
chmod 755 "$work"
user=()
[ "$(id -u)" != 0 ] || user=(setpriv --reuid=65534 --regid=65534 --clear-groups)
says "an ordinary user is told" 125 "sudo arcbox cdi generate" "${user[@]}" "$arcbox" cdi generate
says "no verb of it" 125 "usage: arcbox cdi" "$arcbox" cdi
mkdir -m 700 "$work/xdg"
described() { env -u ARCBOX_RUNTIME_DIR XDG_RUNTIME_DIR="$work/xdg" "$arcbox" cdi generate --output "$1"; }
same "it says where" "wrote $work/a/b.json" "$(described "$work/a/b.json" | cut -d';' -f1)"
env -u ARCBOX_RUNTIME_DIR XDG_RUNTIME_DIR="$work/xdg" "$arcbox" daemon stop >/dev/null
same "and is for all users" 0 "$(grep -c "$work/xdg\|ARCBOX_RUNTIME_DIR" "$work/a/b.json")"
same "is JSON" arcbox.dev/gpu "$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["kind"])' "$work/a/b.json")"
# Whose runtime folder: the hook of an ordinary user's engine is root of a name space of that user's.
mkdir -p "$work/bundle/rootfs"
echo '{"root": {"path": "rootfs"}}' >"$work/bundle/config.json"
chmod -R go+rX "$work/bundle"
attach() { echo "{\"id\": \"nobody's\", \"bundle\": \"$work/bundle\"}" |
    env -u ARCBOX_RUNTIME_DIR -u XDG_RUNTIME_DIR "$@" "$arcbox" cdi-hook attach 2>&1 | sed -n 's/.* cannot open \(.*\)\/tenants.*/\1/p'; }
number=$("${user[@]}" id -u)
[ ! -d "/run/user/$number" ] && place=/tmp/arcbox-$number || place=/run/user/$number/arcbox
if "${user[@]}" unshare -Urm true 2>/dev/null; then
    same "the user's folder" "$place" "$(attach "${user[@]}" unshare -Urm)"
fi
if [ "$(id -u)" = 0 ]; then
    [ ! -d /run/user/0 ] && same "root's folder" /run/arcbox "$(attach unshare -m)"
fi
# A run writes nothing that engines of others would read.
mkdir "$work/fake"
printf '#!/bin/sh\necho "$*"\n' >"$work/fake/podman"
chmod +x "$work/fake/podman"
before=$(ls -l --time-style=full-iso /run/cdi /etc/cdi 2>&1)
given=$(PATH=$work/fake:$PATH "$arcbox" run --gpus device=cpu debian:12 true)
case $given in *--hooks-dir*) pass ;; *) fail "no hooks: $given" ;; esac
same "no description is written" "$before" "$(ls -l --time-style=full-iso /run/cdi /etc/cdi 2>&1)"
says "unknown device" 125 "unknown device 'nvidia'" env PATH="$work/fake:$PATH" "$arcbox" run --gpus device=nvidia debian:12 true
"$arcbox" daemon stop >/dev/null
finish
