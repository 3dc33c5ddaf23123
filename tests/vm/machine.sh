#!/usr/bin/env bash
# Virtual machines that stay: what is written in one is there when it starts again; what is wrong is
# said before anything starts. And throw-away ones, which end in time.
. "$(dirname "$0")/lib.sh"
export XDG_DATA_HOME=$work/data
cd "$work" || exit 1
mkdir shown nothing
echo there >shown/file
machine() { "$arcbox" machine "$@"; }

same 'made' box "$(machine create box --memory 512m --disk 256m -e FOO=bar -v "$PWD/shown:/data" --network none host)"
says 'two of one name' 125 "a machine named 'box' is there already" machine create box
says 'an odd name' 125 "cannot be named '../box'" machine create ../box
says 'too much memory' 125 'MiB for the virtual machine, and there are' machine create other -m 9999g
says 'no image' 125 'cannot be used' machine create other ./no-such
says 'an empty image' 125 'holds no root file system' machine create other ./nothing
says 'a mount of nothing' 125 '/no/such' machine create other -v /no/such:/data
says 'a small disk' 125 '64m at least' machine create other --disk 1m
says 'no such verb' 125 "did you mean 'machine create'" machine crate box
for verb in start stop rm inspect; do says "$verb: none there" 125 "no machine named 'none'" machine $verb none; done
says 'exec: none there' 125 "no machine named 'none'" machine exec none true
says 'not started' 125 "the machine 'box' does not run: arcbox machine start box" machine exec box true
same 'one is listed' 'box stopped' "$(machine ls | sed 1d | awk '{ print $1, $2 }')"

cd / # it is started from anywhere
same 'started' box "$(machine start box)"
says 'it runs already' 125 "the machine 'box' runs already" machine start box
says 'not while it runs' 125 "the machine 'box' runs: arcbox machine stop box" machine rm box
same 'its variables, folder, mounts' 'bar / there box' "$(machine exec box sh -c 'echo $FOO $(pwd) $(cat /data/file) $(hostname)')"
same 'exit code' 7 "$(machine exec box sh -c 'echo kept >/opt/kept; rm /usr/bin/yes; chown 12:34 /opt/kept; sleep 1000 & exit 7'; echo $?)"
same 'words for a shell' 'a b' "$(machine ssh box echo a '"b"' | tr '\n' ' ' | sed 's/ $//')"
same 'its record' 'box vm' "$("$arcbox" inspect box | python3 -c 'import json, sys; c, = json.load(sys.stdin); print(c["name"], c["kind"])')"
same 'inspected' 'running box' "$(machine inspect box | python3 -c 'import json, sys; c, = json.load(sys.stdin); print(c["state"], c["name"])')"
same 'stopped' box "$(machine stop box)"
same 'listed as such' stopped "$(machine ls | awk '$1 == "box" { print $2 }')"
dumpe2fs -h "$XDG_DATA_HOME/arcbox/machines/box/disk" 2>/dev/null | grep -q needs_recovery && fail 'it was not shut down' || pass

# Killed with all that runs it, it has what had been written out.
machine start box >/dev/null
same 'kept' 'kept 12 34' "$(machine exec box sh -c 'cat /opt/kept; stat -c "%u %g" /opt/kept' | tr '\n' ' ' | sed 's/ $//')"
same 'removed' 127 "$(machine exec box yes >/dev/null 2>&1; echo $?)"
machine exec box sh -c 'echo more >/opt/more; sync'
"$arcbox" kill box >/dev/null
for i in $(seq 100); do [ "$(machine ls | awk '$1 == "box" { print $2 }')" = stopped ] && break; sleep 0.1; done
mv "$work/shown" "$work/moved"
says 'its mount is missing' 125 "$work/shown" machine start box
mv "$work/moved" "$work/shown"
machine start box >/dev/null
same 'after its death' 'kept more' "$(machine exec box cat /opt/kept /opt/more | tr '\n' ' ' | sed 's/ $//')"
same 'removed while it runs' box "$(machine rm -f box)"
same 'nothing is left' '' "$(ls -A "$XDG_DATA_HOME/arcbox/machines")$(machine ls -q)$("$arcbox" ps -aq)"

# Not trusted: no network, and an end.
says 'no time' 125 '--ttl 0' "$arcbox" sandbox run --ttl 0 host true
cd "$work" || exit 1
out=$("$arcbox" sandbox run --ttl 15 host sh -c 'echo $(ls /sys/class/net); exec sleep 1000' 2>err)
same 'its end' 137 $?
same 'its network' lo "$out"
grep -q 'its 15 s are over' err && pass || fail "no word of its end: $(cat err)"
finish
