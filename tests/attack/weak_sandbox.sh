#!/usr/bin/env bash
# Where no name spaces can be made, workers and compiles go on without their sandbox. They refuse,
# unless asked; Landlock holds even then. $2: arcbox-kernel-check, $3: a clang that was taken over,
# $4: the folder of the guest library.
. "$(dirname "$0")/lib.sh"
kernel=$(realpath "$2") taken=$(realpath "$3") library=$4
become user
# In a user name space of its own, which is allowed none below it, without capabilities.
nowhere() { "${as[@]}" unshare -Ur sh -c 'echo 0 >/proc/sys/user/max_user_namespaces &&
    exec setpriv --bounding-set -all --inh-caps -all "$@"' - "$@"; }
nowhere true 2>/dev/null || { skip "no user name spaces to forbid them in"; exit 77; }
trap 'nowhere "$arcbox" daemon stop >/dev/null 2>&1; rm -rf "$work"' EXIT
work_of() { nowhere env LD_LIBRARY_PATH="$library" ARCBOX_SOCKET="$home/state/gpu.sock" "$kernel" 2>&1; }
out=$(nowhere "$arcbox" daemon start 2>&1)
case $out in *"allows no sandbox"*ARCBOX_ALLOW_WEAK_SANDBOX=1*) pass ;; *) fail "it starts: $out" ;; esac
[ "$(work_of | grep -c "sums right")" = 0 ] && pass || fail "a kernel ran without a sandbox"
nowhere "$arcbox" daemon stop >/dev/null 2>&1
# The roles refuse by themselves too.
out=$(nowhere env ARCBOX_ALLOW_WEAK_SANDBOX=0 "$arcbox" daemon start 2>&1 >/dev/null)
[ -n "$out" ] && pass || fail "0 is taken for yes"
export ARCBOX_ALLOW_WEAK_SANDBOX=1 XDG_CACHE_HOME=$home/.cache
nowhere "$arcbox" daemon start >/dev/null || fail "it does not start when asked"
same "when asked it works" "4096 sums right" "$(work_of | cut -c1-15)"
grep -q "does not allow" state/arcboxd.log && pass || fail "it is not logged"
nowhere "$arcbox" daemon stop >/dev/null
if python3 -c 'import ctypes, sys; sys.exit(ctypes.CDLL(None).syscall(444, None, 0, 1) < 1)'; then
    rm -rf .cache
    ARCBOX_CLANG=$taken nowhere "$arcbox" daemon start >/dev/null
    out=$(work_of)
    case $out in *"could see /etc"*) pass ;; *) fail "the taken clang did not run: $out" ;; esac
    same "Landlock holds" "" "$(echo "$out" | grep -E "could (read|write) /(etc|root|home|var|dev|run|usr)")"
    nowhere "$arcbox" daemon stop >/dev/null
else
    skip "no Landlock in this kernel"
fi
finish
