#!/usr/bin/env bash
# What Linux counts for each user (threads, descriptors under way) it counts for each worker: those of
# root's daemon are users that nobody else is, those of an ordinary user's come from /etc/subuid.
if [ "${2:-}" != inside ]; then
    [ "$(id -u)" = 0 ] || { echo "SKIP: only root can give users away"; exit 77; }
    unshare -m --propagation private true 2>/dev/null || { echo "SKIP: no mounts in this system"; exit 77; }
    exec unshare -m --propagation private bash "$(realpath "$0")" "$(realpath "$1")" inside
fi
set -- "$1"
. "$(dirname "$0")/lib.sh" || exit 1
trap '"$arcbox" daemon stop >/dev/null 2>&1; rm -rf "$work"' EXIT
[ "$(awk '{ print ($3 > 1879048191) }' /proc/self/uid_map)" = 1 ] || { skip "few users in this name space"; exit 77; }
# The users of the daemon's workers, once they have given up theirs.
workers() {
    local daemon pid
    daemon=$(run daemon status --format json | sed 's/.*"pid": *\([0-9]*\).*/\1/' | grep -o '^[0-9]*$')
    for _ in $(seq 100); do
        for pid in $(pgrep -P "$daemon"); do
            grep -q role=worker "/proc/$pid/cmdline" && grep -q '^Seccomp:.2' "/proc/$pid/status" &&
                awk '/^Uid:/ { print $2, $3, $4, $5 }' "/proc/$pid/status" && return
        done
        sleep 0.1
    done
}
between() { read -r a b c d; [ "$a" = "$b" ] && [ "$b" = "$c" ] && [ "$c" = "$d" ] && [ "$a" -ge "$1" ] && [ "$a" -lt "$2" ] && echo own; }
become root
run daemon start >/dev/null
same "root's" own "$(workers | between $((0x6fff0000)) $((0x70000000)))"
run daemon stop >/dev/null
become user
run daemon start >/dev/null
same "a user's without others" "$user $user $user $user" "$(workers)"
run daemon stop >/dev/null
if command -v newuidmap >/dev/null; then
    echo "$user:300000:65536" >"$work/subuid"
    touch /etc/subuid /etc/subgid
    mount --bind "$work/subuid" /etc/subuid && mount --bind "$work/subuid" /etc/subgid
    run daemon start >/dev/null
    same "a user's with others" own "$(workers | between 300000 365536)"
    run daemon stop >/dev/null
    umount /etc/subuid /etc/subgid
else
    skip "newuidmap is not installed"
fi
finish
