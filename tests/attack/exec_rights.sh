#!/usr/bin/env bash
# What enters a container by `arcbox exec` has no more rights than its first program, no descriptor of
# the caller's, and shows it no file of the host's: a container that waits for it gains nothing.
. "$(dirname "$0")/lib.sh"
rights='grep -E "^(Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp:)" /proc/self/status | tr -s "\t " " "'
for who in $(attackers); do
    become $who
    trap 'for u in $(attackers); do become $u; run rm -f box image >/dev/null 2>&1; done; rm -rf "$work"' EXIT
    # The container watches for others and tries what it can reach of them.
    cat >watch.sh <<'W'
while :; do
    for p in /proc/[0-9]*; do
        case ${p#/proc/} in 1 | $$) continue ;; esac
        (exec 3<>"$p/exe") 2>/dev/null && echo "opened $(readlink "$p/exe")" >>/tmp/won
        ls "$p/fd" 2>/dev/null | while read -r fd; do
            case $(readlink "$p/fd/$fd" 2>/dev/null) in /tmp/tmp.* | */arcbox*) echo "fd $fd of $p" >>/tmp/won ;; esac
        done
    done
done
W
    first=$(run run host sh -c "$rights")
    run run -d --name box --here host sh watch.sh >/dev/null || fail "$who: it does not start"
    same "$who: rights" "$first" "$(run exec box sh -c "$rights")"
    same "$who: descriptors" "0 pipe 1 pipe 2 pipe" "$(run exec box sh -c 'for f in 0 1 2 3 4 5 6 7 8 9 10 64 65 66 67 68; do
        [ -e /proc/self/fd/$f ] && echo $f $(readlink /proc/self/fd/$f | cut -d: -f1); done' </ 9</etc 7<>"$work/open" | xargs)"
    same "$who: no way out of a folder as its input" "no" "$(run exec box sh -c 'cd /proc/self/fd/0 2>/dev/null && echo yes || echo no' </)"
    keyring='import ctypes; print(ctypes.CDLL(None).syscall({"x86_64": 250, "aarch64": 219}[__import__("os").uname().machine], 0, -3, 1))'
    ours=$("${as[@]}" /usr/bin/python3 -c "$keyring")
    if [ "$ours" -gt 0 ]; then
        for way in "run host" "exec box"; do
            [ "$(run $way /usr/bin/python3 -c "$keyring")" != "$ours" ] && pass || fail "$who: $way has the caller's keys"
        done
    fi
    for _ in 1 2 3 4 5 6 7 8; do run exec box true; done
    run exec box sleep 0.5
    same "$who: nothing of the host's was opened" "" "$(run exec box cat /tmp/won 2>/dev/null)"
    run exec box python3 -c 'import fcntl, sys, termios
try: fcntl.ioctl(0, termios.TIOCSTI, b"x")
except PermissionError: pass
else: sys.exit(1)' || fail "$who: typing into a terminal is not refused"
    same "$who: no terminal of the caller's" 1 "$(run exec box sh -c '(: </dev/tty) 2>/dev/null; [ $? != 0 ] && echo 1')"
    # Its number is another's: the process in the record is not the container's first.
    sleep 60 &
    record=$ARCBOX_RUNTIME_DIR/containers/box/record
    "${as[@]}" cp "$record" record.old
    "${as[@]}" sed -i "s/^init=.*/init=$!/" "$record"
    says "$who: another process in its place" 125 "'box' has ended" run exec box true
    says "$who: nor is it killed" 125 "cannot send the signal" run kill box
    "${as[@]}" cp record.old "$record"
    kill $!
    # A hostile image: links where a program, a working folder and its files are looked up.
    make_image image
    "${as[@]}" ln -s /proc/1/root/etc image/out
    "${as[@]}" ln -s "$work" image/folder
    run run -d --name image ./image /bin/sh -c 'while :; do /bin/cat /dev/null; done' >/dev/null || fail "$who: image"
    same "$who: its root is its own" "image" "$(run exec image /bin/sh -c '[ -e /usr/bin/env ] && echo host || echo image')"
    says "$who: a folder that leads nowhere" 125 "cannot enter the folder /folder" run exec -w /folder image /bin/sh -c :
    run rm -f box image >/dev/null
done
finish
