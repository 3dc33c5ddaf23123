#!/usr/bin/env bash
# Mounts that root itself may not enter: another user's FUSE, with a mount below it, and one whose server has
# died. Root's containers start all the same. In a mount name space of this test's own.
. "$(dirname "$0")/lib.sh"
[ "$(id -u)" = 0 ] && [ -w /dev/fuse ] || { echo "SKIP: this takes root and /dev/fuse"; exit 77; }
trap '"$arcbox" daemon stop >/dev/null 2>&1; rm -rf "$work"' EXIT
mkdir -p "$work/closed/below" "$work/dead/below"
cat >"$work/mount.py" <<'P'
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
folder, user, command = sys.argv[1], sys.argv[2], sys.argv[3:]
libc.mount(b"test", f"{folder}/below".encode(), b"tmpfs", 0, None)
fd = os.open("/dev/fuse", os.O_RDWR)
words = f"fd={fd},rootmode=40000,user_id={user},group_id={user}".encode()
if libc.mount(b"test", folder.encode(), b"fuse", 0, words) != 0:
    sys.exit(f"cannot mount: {os.strerror(ctypes.get_errno())}")
if user == "0":  # nobody answers any more
    os.close(fd)
sys.exit(os.spawnvp(os.P_WAIT, command[0], command))
P
for kind in "closed 4321" "dead 0"; do
    set -- $kind
    said=$(unshare -m python3 "$work/mount.py" "$work/$1" "$2" \
        sh -c 'ls "$0" 2>/dev/null && echo "not what was meant"; "$1" run host echo here' "$work/$1" "$arcbox" 2>&1)
    [ "$said" = here ] && pass || fail "$1: $said"
done
finish
