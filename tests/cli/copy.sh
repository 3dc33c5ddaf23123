#!/usr/bin/env bash
# cp, inspect, stats, images and pull.
. "$(dirname "$0")/lib.sh"
trap '"$arcbox" ps -q | xargs -r "$arcbox" rm -f >/dev/null; rm -rf "$work"' EXIT
mkdir -p "$work/here/tree/sub"
cd "$work/here"
"$arcbox" run -d --name box --label a=b -v "$work:/mnt:ro" host sh -c 'while :; do sleep 0.05; done' >/dev/null
cp_() { "$arcbox" cp "$@"; }
inside() { "$arcbox" exec box "$@"; }
echo one >file
head -c 2000000 /dev/urandom >tree/large
echo two >tree/sub/two
ln -s sub/two tree/link
chmod 750 tree/sub
chmod 4755 tree/sub/two
cp_ file box:/tmp/copied
same "a file in, by name" one "$(inside cat /tmp/copied)"
cp_ file box:/tmp
same "a file into a folder" one "$(inside cat /tmp/file)"
cp_ tree box:/tmp/tree
same "a folder in" "$(sha256sum <tree/large | cut -c1-20) two sub/two 750 755" \
    "$(inside sh -c 'cd /tmp/tree && echo $(sha256sum <large | cut -c1-20) $(cat link) $(readlink link) $(stat -c %a sub sub/two)')"
cp_ tree/. box:/tmp/into 2>/dev/null
inside mkdir /tmp/merged
cp_ tree/. box:/tmp/merged
same "what is in a folder" "large link sub" "$(inside ls /tmp/merged | xargs)"
cp_ box:/tmp/tree out
same "a folder out" "$(cd tree && find . | sort | xargs) two" "$(cd out && find . | sort | xargs) $(cat out/link)"
cp_ box:/tmp/tree out
same "into one that is there" two "$(cat out/tree/sub/two)"
cp_ box:/tmp/copied back
same "a file out" one "$(cat back)"
inside sh -c 'printf changed >/tmp/copied'
cp_ box:tmp/copied back
same "again, from the root" changed "$(cat back)"
says "not there" 125 "box: cannot open /no/such: No such file or directory" cp_ box:/no/such x
says "not there, here" 125 "cannot open /no/such" cp_ /no/such box:/x
says "no folder for it" 125 "box: cannot open the folder /no" cp_ file box:/no/such
says "a read-only mount" 125 "box: cannot make x: Read-only file system" cp_ file box:/mnt/x
says "a device" 125 "neither a file nor a folder" cp_ box:/dev/null x
says "both here" 125 "cp copies between here and a container" cp_ file x
says "nobody" 125 "no container named 'nobody'" cp_ nobody:/x x
same "nothing else was written here" "back file out tree" "$(ls | xargs)"
same "inspect" "box running ['$work:/mnt:ro'] ['a=b'] $PWD" "$("$arcbox" inspect box | python3 -c '
import json, sys
c, = json.load(sys.stdin)
print(c["name"], c["state"], c["mounts"], c["labels"], c["workdir"])')"
says "inspect of nothing" 125 "no container named 'nobody'" "$arcbox" inspect nobody
inside sh -c 'while :; do :; done' &
stats() { "$arcbox" stats --format json box | python3 -c '
import json, sys
c, = json.load(sys.stdin)
print(c["name"], c["cpu_percent"] > 0, c["memory_bytes"] > 100000, c["processes"] >= 4)'; }
for _ in $(seq 50); do [ "$(stats)" = "box True True True" ] && break; done # a machine may be busy
same "stats" "box True True True" "$(stats)"
same "as a table" "NAME box" "$("$arcbox" stats --no-stream | cut -d' ' -f1 | xargs)"
"$arcbox" rm -f box >/dev/null
wait
mkdir fake
printf '#!/bin/sh\necho "podman $*"\n' >fake/podman
chmod +x fake/podman
same "images" "podman images -a" "$(PATH=$PWD/fake:$PATH "$arcbox" images -a)"
same "pull" "podman pull -q debian:12" "$(PATH=$PWD/fake:$PATH "$arcbox" pull -q debian:12)"
says "pull of nothing" 125 "usage: arcbox pull" "$arcbox" pull
finish
