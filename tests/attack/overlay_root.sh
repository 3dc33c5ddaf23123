#!/usr/bin/env bash
# Where the machine is itself a container of docker's, its root is an overlay, of which Linux makes no
# copy with other owners: root's containers get one that is served to them. They own what root owns,
# read what only root may read, write where it may write, and are no root outside for it.
if [ "${2:-}" != inside ]; then
    [ "$(id -u)" = 0 ] && [ -w /dev/fuse ] || { echo "SKIP: needs root and /dev/fuse"; exit 77; }
    unshare -m --propagation private true 2>/dev/null || { echo "SKIP: no mounts in this system"; exit 77; }
    top=$(mktemp -d)
    unshare -m --propagation private bash "$(realpath "$0")" "$(realpath "$1")" inside "$top"
    code=$?
    rmdir "$top"
    exit $code
fi
top=$3
mount -t tmpfs none "$top" && mkdir "$top/upper" "$top/work" "$top/root" &&
    mount -t overlay overlay -o "lowerdir=/,upperdir=$top/upper,workdir=$top/work" "$top/root" ||
    { echo "SKIP: no overlay of the root here"; exit 77; }
for path in /proc /sys /dev; do mount --rbind $path "$top/root$path"; done
mkdir -p "$top/root/mnt"
cd "$top/root" && pivot_root . mnt && cd / && umount -l /mnt || exit 1
set -- "$1"
. "$(dirname "$0")/lib.sh" || exit 1
trap 'rm -rf "$work"' EXIT
become root
same "it is an overlay" overlayfs "$(stat -f -c %T "$PWD")"
install -d -m 0700 closed
install -m 0600 /dev/null closed/file
echo original >closed/file
install -m 0755 /bin/sh closed/shell
in_it() { run run -v "$PWD/closed:/data" host sh -c "$1" 2>&1; }
same "what only root may read" original "$(run run host cat "$PWD/closed/file" 2>&1)"
same "a program there" ran "$(run run host "$PWD/closed/shell" -c 'echo ran' 2>&1)"
same "changed in its layer only" "changed original" "$(run run host sh -c 'echo changed >closed/file; cat closed/file' 2>/dev/null) $(cat closed/file)"
same "names and links" "one two two ../x" "$(in_it 'cd /data; mkdir a; echo one >a/1; echo two >2; mv 2 a/two; ln a/two b; ln -s ../x l; rm -f none; echo $(cat a/1 a/two b) $(readlink l)')"
same "as they are outside" "0 two 2 ../x" "$(stat -c %u closed/a/two) $(cat closed/b) $(stat -c %h closed/b) $(readlink closed/l)"
same "owners" "1000:1000 640" "$(in_it 'chown 1000:1000 /data/b; chmod 640 /data/b'; stat -c '%u:%g %a' closed/b)"
same "sizes and times" "1048576 0 1000000000" "$(in_it 'head -c 1048576 /dev/zero >/data/big; : >/data/big2; touch -d @1000000000 /data/big2'; echo "$(stat -c %s closed/big) $(stat -c '%s %Y' closed/big2)")"
same "what is removed" gone "$(in_it 'cd /data; exec 3<b; rm b; read x <&3; [ "$x" = two ] && [ ! -e b ] && echo gone')"
same "many names" 3000 "$(in_it 'mkdir /data/many; cd /data/many; seq 3000 | xargs touch; ls | wc -l')"
same "a device is none of its to make" 1 "$(in_it 'mknod /data/null c 1 3 2>/dev/null; echo $?')"
same "no way out of the mount" "" "$(in_it 'ln -s /proc/1/root/etc/shadow /data/out; cat /data/out 2>/dev/null')"
same "a file of no user of its" 65534 "$(install -o 100000 /dev/null closed/stranger; in_it 'stat -c %u /data/stranger')"
same "and it stays that" 1 "$(in_it 'chown 0 /data/stranger 2>/dev/null; echo $?')"
servers() { for at in /proc/[0-9]*; do [ "$(readlink "$at/exe" 2>/dev/null)" = "$arcbox" ] && grep -q "$work" "$at/environ" && readlink "$at"/fd/* | grep fuse; done; }
for _ in $(seq 100); do [ -z "$(servers)" ] && break; sleep 0.1; done
same "nobody serves any more" "" "$(servers)"
export TMPDIR=$work
bash "$(dirname "$0")/host_root.sh" "$arcbox" >"$work/log" 2>&1
same "all else of root's containers" 0 "$?"
[ $failed = 0 ] || cat "$work/log" >&2
finish
