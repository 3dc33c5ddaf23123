#!/usr/bin/env bash
# What is said to be read-only and is not: without an overlay, on mounts whose flags are locked, in
# file systems mounted below.
. "$(dirname "$0")/lib.sh"
if [ "${IN_NAMESPACE:-}" = "" ]; then
    trap - EXIT
    rm -rf "$work"
    unshare -Urm true 2>/dev/null || { skip "no mounts in this system"; exit 77; }
    as=()
    [ "$(id -u)" != 0 ] || as=(setpriv --reuid=$user --regid=$user --clear-groups)
    IN_NAMESPACE=1 HOME=/tmp exec "${as[@]}" unshare -Urm bash "$0" "$arcbox"
fi
# Root of this name space is not root, and owns none of root's folders.
who=user as=(unshare -U --map-user=$user --map-group=$user) home=$work/home
mkdir -p "$home/disk" && cd "$home" || exit 1
mount -t tmpfs -o nosuid,nodev,noexec,noatime,mode=0755 disk disk || { skip "no file system in memory"; exit 77; }
echo original >disk/file
mkdir disk/below
mount -t tmpfs -o mode=0755 below disk/below
echo original >disk/below/file
make_image "$home/disk/image"
echo original >disk/image/etc/file
mkdir disk/image/srv
mount -t tmpfs -o nodev,noexec below disk/image/srv
echo original >disk/image/srv/file
cd disk || exit 1
export ARCBOX_NO_OVERLAY=1
for options in "" "--gpus device=null"; do
    for file in file below/file; do
        run run $options host sh -c "echo changed >$file" >/dev/null 2>&1
        same "host image, $file $options" original "$(cat $file)"
    done
    for file in etc/file srv/file; do
        run run $options "$home/disk/image" /bin/sh -c "echo changed >/$file" >/dev/null 2>&1
        same "a folder, $file $options" original "$(cat "image/$file")"
    done
    same "it can be read $options" original "$(run run $options host cat below/file 2>/dev/null)"
done
unset ARCBOX_NO_OVERLAY
run run -v "$PWD:/data:ro" host sh -c 'echo changed >/data/file; echo changed >/data/below/file' 2>/dev/null
same "a mount" "original original" "$(cat file below/file | tr '\n' ' ' | sed 's/ $//')"
run daemon stop >/dev/null 2>&1
cd / && umount -R "$home/disk"
finish
