#!/usr/bin/env bash
# What is in /var/tmp beside a container's own layer: nothing to the container, and swept when it is nobody's.
. "$(dirname "$0")/lib.sh"
"$arcbox" run -d --name first host sleep 60 >/dev/null
# Only those at and below /var/tmp: the others are the host's, where other tests mount too.
mounts() { "$arcbox" run host cat /proc/self/mountinfo | awk '$5 ~ "^/var/tmp(/|$)"' | wc -l; }
mine=/var/tmp/arcbox-test-$$
trap 'rm -rf "$work" "$mine" "$mine"-*' EXIT
for i in $(seq 40); do mkdir "$mine-$i"; done
mkdir "$mine"
same "no mount for what others left" 1 "$(mounts)"
same "nor with the layer on a disk" 1 "$(ARCBOX_LAYER_ON_DISK=1 mounts)"
same "they are not seen" "" "$("$arcbox" run host ls -A /var/tmp)"
same "nor with the layer on a disk" "" "$(ARCBOX_LAYER_ON_DISK=1 "$arcbox" run host ls -A /var/tmp)"
same "nor without overlays" "" "$(ARCBOX_NO_OVERLAY=1 "$arcbox" run host ls -A /var/tmp 2>/dev/null)"
for how in LAYER_ON_DISK NO_OVERLAY NOTHING; do
    same "/var/tmp can be written ($how)" yes "$(env ARCBOX_$how=1 "$arcbox" run host sh -c 'mkdir /var/tmp/x && touch /var/tmp/x/y && echo yes' 2>/dev/null)"
done
[ -e /var/tmp/x ] && fail "what it wrote there reached the host"
mkdir "$mine/sub"
echo here >"$mine/sub/file"
cd "$mine/sub" || exit 1
same "but where the user works" here "$("$arcbox" run host cat file)"
same "also with the layer on a disk" here "$(ARCBOX_LAYER_ON_DISK=1 "$arcbox" run host cat file)"
cd "$work" || exit 1

# A folder that comes and goes beside one with a mount, where each is shown by itself, ends no start.
image=$work/image
mkdir -p "$image/bin" "$image/many/mount"
cp "$(dirname "$arcbox")/arcbox-init" "$image/bin/program"
new=(unshare -m)
[ "$(id -u)" = 0 ] || new=(unshare -Urm)
same "starts while a folder comes and goes" ok "$("${new[@]}" bash -c '
    mount -t tmpfs none "$1/many" && mkdir "$1/many/mount" && mount -t tmpfs none "$1/many/mount" || exit
    python3 -c "import os, sys
while True:
    os.mkdir(sys.argv[1])
    os.rmdir(sys.argv[1])" "$1/many/flickers" & pid=$!
    for i in $(seq 30); do "$2" run "$1" /bin/program -c >/dev/null || exit; done
    kill $pid
    echo ok' - "$image" "$arcbox" 2>&1)"

# Logs: kept with their record, and while somebody writes; else removed.
log() { readlink "$work/state/containers/$1/log"; }
"$arcbox" run -d --name ended host echo words >/dev/null
"$arcbox" wait ended >/dev/null
"$arcbox" run -d --name killed host echo words >/dev/null
"$arcbox" wait killed >/dev/null
ended=$(log ended) killed=$(log killed) first=$(log first)
rm -r "$work/state/containers/killed"
touch -d '1 hour ago' "$ended" "$killed" "$first"
mv "$work/state/containers/first" "$work/first" # as if it had lost its record, and it runs
"$arcbox" run host true
mv "$work/first" "$work/state/containers/first"
[ -e "$killed" ] && fail "the log without a record is left"
[ -e "$first" ] || fail "the log of one that runs was taken away"
same "the log with a record is kept" words "$("$arcbox" logs ended)"
same "and has no more in it" 1 "$("$arcbox" logs -n 5 ended | wc -l)"
"$arcbox" rm -f ended first >/dev/null
finish
