#!/usr/bin/env bash
# The container's root is the host's: what it owns outside, it owns. Its users are others, and files
# still have the owners that they have.
. "$(dirname "$0")/lib.sh"
[ "$(id -u)" = 0 ] || { skip "only root can map root"; exit 77; }
read -r first _ count </proc/self/uid_map
[ "$first" = 0 ] && [ "$count" -gt 65536 ] || { skip "no other users to map in this name space"; exit 77; }
become root
outside() { run run "$1" cat /proc/self/"$2"_map | while read -r inside outside count; do
    [ "$outside" -gt 65535 ] && echo "$inside high $count"; done; }
same "users" "0 high 65536" "$(outside host uid)"
same "groups" "0 high 65536" "$(outside host gid)"
if ! unowned "files of its own"; then
    install -d -m 0700 secret
    echo original >secret/file
    same "its files are its own" "root original" "$(run run host sh -c 'echo "$(stat -c %U secret) $(cat secret/file)"')"
    same "it writes to them in its layer" "changed original" \
        "$(run run host sh -c 'echo changed >secret/file; cat secret/file') $(cat secret/file)"
    same "mounts are written as before" "new 0:0" \
        "$(run run -v "$PWD/secret:/data" host sh -c 'echo new >/data/new; cat /data/new') $(stat -c %u:%g secret/new)"
    # An overlay cannot lie on an overlay.
    if [ "$(stat -f -c %T /var/tmp)" = overlayfs ]; then
        skip "a layer on disk: /var/tmp lies on an overlay"
    else
        same "on disk too" changed "$(ARCBOX_LAYER_ON_DISK=1 run run host sh -c 'echo changed >secret/file; cat secret/file')"
    fi
    same "and nothing is left there" "" "$(ls -A /var/tmp/arcbox-0 2>/dev/null | grep "$(basename "$work")")"
fi
run run -d --name outside host sleep 60 >/dev/null
init=$(run ps --format json | python3 -c 'import json, sys; print(json.load(sys.stdin)[0]["pid"])')
same "its process is no root's" 1 "$(awk '/^Uid:/ { print ($2 > 65535) }' /proc/"$init"/status)"
run rm -f outside >/dev/null
same "a host's device stays closed" 1 "$(run run -v /dev/mem:/mem host sh -c ': </mem' 2>/dev/null; echo $(($? != 0)))"
finish
