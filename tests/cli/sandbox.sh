#!/usr/bin/env bash
# The host tier: exit codes, signals, mounts, the private layer, namespaces.
. "$(dirname "$0")/lib.sh"
if ! "$arcbox" run host true; then
    fail "the sandbox does not start"
    finish
    exit
fi
"$arcbox" run host sh -c 'exit 7'
same "exit code" 7 $?
"$arcbox" run host sh -c 'kill -TERM $$'
same "signal becomes 128 + 15" 143 $?
same "input is passed on" hello "$(echo hello | "$arcbox" run host cat)"
same "-- means the host image" ok "$("$arcbox" run -- echo ok)"
same "own process numbers" 2 "$("$arcbox" run host sh -c 'echo $$')"
same "own host name" named "$("$arcbox" run --name named host hostname)"
same "variable" "v w" "$("$arcbox" run -e K='v w' host sh -c 'echo "$K"')"
same "variable from here" here "$(K=here "$arcbox" run -e K host sh -c 'echo $K')"
same "a value of several lines" "one two" "$("$arcbox" run -e K="$(printf 'one\ntwo')" host sh -c 'echo $K')"
same "session variables stay outside" "" "$(SSH_AUTH_SOCK=x "$arcbox" run host printenv SSH_AUTH_SOCK)"

mkdir -p "$work/project/sub" "$work/data"
cd "$work/project"
echo original >file
same "the current folder is visible" original "$("$arcbox" run host cat file)"
same "-w is relative to it" "$work/project/sub" "$("$arcbox" run -w sub host pwd)"
same "writes are seen inside" changed "$("$arcbox" run host sh -c 'echo changed >file; cat file')"
same "and do not reach the host" original "$(cat file)"
"$arcbox" run host sh -c 'rm -r sub && mkdir sub && touch sub/new' || fail "folder replaced inside"
same "nothing new outside" "" "$(ls sub)"
same "mounts reach the host" fromguest \
    "$("$arcbox" run --mount ../data:/data host sh -c 'echo fromguest >/data/f'; cat ../data/f)"
"$arcbox" run -v ../data:/data:ro host sh -c 'echo x >/data/f' 2>/dev/null && fail "ro was writable"
same "ro keeps" fromguest "$(cat ../data/f)"
same "file mount" original "$("$arcbox" run -v "$PWD/file:/one/two/file" host cat /one/two/file)"
same "long mount" fromguest \
    "$("$arcbox" run --mount "type=bind,src=$work/data,dst=/d,readonly" host cat /d/f)"
mkdir -p "$work/source=s3/src=x" "$work/a,b" "$work/c:d"
echo hive >"$work/source=s3/src=x/f"
echo comma >"$work/a,b/f"
echo colon >"$work/c:d/f"
same "words of the long form in a path" hive \
    "$("$arcbox" run -v "$work/source=s3/src=x:/d:ro,cached" host cat /d/f)"
same "and with --mount" hive "$("$arcbox" run --mount "$work/source=s3:/d:delegated" host cat /d/src=x/f)"
same "quoted part" comma \
    "$("$arcbox" run --mount "type=bind,\"source=$work/a,b\",target=/d,consistency=cached" host cat /d/f)"
same "colon in the long form" colon \
    "$("$arcbox" run --mount "type=bind,source=$work/c:d,target=/d,readonly=true" host cat /d/f)"
same "mode for SELinux" colon "$("$arcbox" run --mount "source=$work/c:d,target=/d,z" host cat /d/f)"
same "device as a source" read \
    "$("$arcbox" run -v /dev/null:/one/.env:ro host sh -c 'cat /one/.env && echo read')"
printf '\xef\xbb\xbfB=1\r\n  C=two words \r\n\r\n\t# no\n#no\nA=x=y\r\nFROM_HERE\r\n' >"$work/env"
same "environment file" "x=y|1|two words |here|" "$(FROM_HERE=here "$arcbox" run --env-file "$work/env" \
    host sh -c 'printf "%s|" "$A" "$B" "$C" "$FROM_HERE"')"
same "it finds itself" 127.0.1.1 "$("$arcbox" run host sh -c 'getent hosts "$(hostname)"' | cut -d' ' -f1)"
same "by the name it was given" "127.0.1.1 own-name" "$("$arcbox" run --hostname own-name --network none host \
    python3 -c 'import socket; n = socket.gethostname(); print(socket.gethostbyname(n), n)')"
same "private /tmp" "" "$("$arcbox" run host ls /tmp | grep -v "^$(basename "$work")$")"
same "no network" 1 "$("$arcbox" run --network none host sh -c 'ls /sys/class/net >/dev/null; wc -l </proc/net/dev' | awk '{print $1 - 2}')"
same "python of the user" "$(python3 -c 'import sys; print(sys.prefix)')" \
    "$("$arcbox" run host python3 -c 'import sys; print(sys.prefix)')"
"$arcbox" run host python3 -c 'import fcntl, os, termios
try: fcntl.ioctl(0, termios.TIOCSTI, b"x")
except PermissionError: pass
else: raise SystemExit(1)' </dev/null || fail "typing into the terminal is not refused"

# a signal to arcbox reaches the command, which may handle it
"$arcbox" run host sh -c 'trap "echo got; exit 3" TERM; echo up; while :; do sleep 0.05; done' >out &
pid=$!
for _ in $(seq 100); do [ -s out ] && break; sleep 0.05; done
kill -TERM $pid
wait $pid
same "forwarded signal" "3 up got" "$? $(tr '\n' ' ' <out | sed 's/ $//')"
# arcbox killed outright takes the container with it
"$arcbox" run --name doomed host sh -c 'echo up; exec sleep 987' >out2 &
pid=$!
for _ in $(seq 100); do [ -s out2 ] && break; sleep 0.05; done
kill -KILL $pid
wait $pid 2>/dev/null
sleep 0.3
same "container dies with arcbox" "" "$(ps -eo args | grep '^sleep 987')"
"$arcbox" run --name doomed host true
same "a name is free again" 0 $?

# without overlays: read-only, said in one line, still works
same "fallback runs" original "$(ARCBOX_NO_OVERLAY=1 "$arcbox" run host cat file 2>err)"
same "fallback says so" 1 "$(grep -c '^arcbox: no overlay file system here' err)"
# the writable layer on a disk, as kernels before 6.6 need it
same "layer on disk" "changed" \
    "$(ARCBOX_LAYER_ON_DISK=1 "$arcbox" run host sh -c 'rm -r sub && mkdir sub && echo changed >sub/f && cat sub/f')"
same "nothing left" "doomed" "$(ls -A "$work/state/containers" | grep -v '^doomed$' | sed 's/$/ left/')doomed"
# A folder that was made from nothing: the program and its libraries.
scratch=$work/scratch
mkdir -p "$scratch/app"
cp -L "$(command -v ls)" "$scratch/app/list"
ldd "$scratch/app/list" | grep -o '/[^ ]*' | while read -r library; do
    mkdir -p "$scratch$(dirname "$library")"
    cp -L "$library" "$scratch$library"
done
same "a folder without usr and bin" list "$("$arcbox" run "$scratch" /app/list /app)"
same "images may be given /tmp" "$work" "$("$arcbox" run -v /tmp:/tmp "$scratch" /app/list -d "$work")"
# What a detached container writes goes to a disk, and away with its record.
"$arcbox" run -d --name writes host sh -c 'echo written; exec sleep 60' >/dev/null
log=$(readlink "$work/state/containers/writes/log")
same "its log is not in the runtime folder" /var/tmp/ "$(echo "$log" | cut -c1-9)"
for _ in $(seq 100); do [ -s "$log" ] && break; sleep 0.05; done
same "its words" written "$("$arcbox" logs writes)"
"$arcbox" rm -f writes >/dev/null
[ -e "$log" ] && fail "the log is left"
# Environments below /tmp, which is the container's own: the program that was meant runs, or it is said.
mkdir -p "$work/environment/bin" "$work/elsewhere"
printf 'home = /usr/bin\n' >"$work/environment/pyvenv.cfg"
printf '%s\n' '#!/bin/sh' 'echo "the one in the environment: $(cat "${0%/*}/../part")"' >"$work/environment/bin/python3"
chmod +x "$work/environment/bin/python3"
echo part >"$work/environment/part"
cd "$work/elsewhere"
same "on PATH" "the one in the environment: part" "$(PATH=$work/environment/bin:$PATH "$arcbox" run host python3)"
same "by its variable" "part" "$(VIRTUAL_ENV=$work/environment "$arcbox" run host cat "$work/environment/part")"
same "by its path" "the one in the environment: part" "$("$arcbox" run host "$work/environment/bin/python3")"
same "others are not seen" 2 "$("$arcbox" run host ls "$work/data" >/dev/null 2>&1; echo $?)"
program=$(mktemp /tmp/arcbox-test.XXXXXX)
cp /bin/true "$program"
chmod +x "$program"
same "one right in /tmp is not seen, and said" 1 "$("$arcbox" run host "$program" 2>&1 | grep -c "show it with --mount $program:$program")"
same "as that says" 0 "$("$arcbox" run --mount "$program:$program" host "$program"; echo $?)"
rm "$program"
# What stays in the private layer is said at the end; --here keeps it.
"$arcbox" run host sh -c 'mkdir out; echo 1 >out/a.bin; echo 1 >.hidden; mkdir -p ~/.arcbox-test 2>/dev/null && echo 1 >~/.arcbox-test/x; echo 1 >/tmp/x' 2>err
same "files that vanish" "arcbox: 1 file was written in the container's private layer, and gone with it: out/a.bin (to keep such files: --here, or --mount FOLDER:FOLDER)" "$(cat err)"
"$arcbox" run host sh -c 'for i in 1 2 3 4 5; do echo >f$i; done' 2>err
same "many of them" "5 files and 2 more" "$(grep -o '[0-9] files\|and 2 more' err | tr '\n' ' ' | sed 's/ $//')"
"$arcbox" run host sh -c "printf x >'$(printf 'a\033[31mb')'" 2>err
same "their names are cleaned" 1 "$(grep -c 'a?\[31mb' err)"
"$arcbox" run host sh -c 'cat /etc/hostname; ln -s /etc/passwd link; true' >/dev/null 2>err
same "none, nothing said" "" "$(cat err)"
same "--here" "$work/elsewhere kept" "$("$arcbox" run --here host sh -c 'echo kept >file; pwd' 2>&1) $(cat file)"
same "--here in a folder image" "/app/list $work/elsewhere/file" "$(cp -r "$scratch" "$work/image2"; "$arcbox" run --here "$work/image2" /app/list /app/list "$work/elsewhere/file" | tr '\n' ' ' | sed 's/ $//')"
cp "$(command -v ls)" ./program
same "./program in it" file "$("$arcbox" run --here "$work/image2" ./program | grep file)"
finish
