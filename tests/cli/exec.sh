#!/usr/bin/env bash
# exec, kill, wait, attach, prune, logs of two streams, detached commands that are not there.
. "$(dirname "$0")/lib.sh"
trap '"$arcbox" ps -q | xargs -r "$arcbox" rm -f >/dev/null; rm -rf "$work"' EXIT
mkdir "$work/here"
cd "$work/here"
"$arcbox" run -d --name box -e FOO=bar host sh -c 'while :; do sleep 0.05; done' >/dev/null
same "output, messages, code" "out|err|3" "$("$arcbox" exec box sh -c 'echo out; echo err >&2; exit 3' >"$work/out" 2>"$work/err"; code=$?; echo "$(cat "$work/out")|$(cat "$work/err")|$code")"
same "its variables and folder" "bar $work/here" "$("$arcbox" exec box sh -c 'echo "$FOO $PWD"')"
same "others" "baz /" "$("$arcbox" exec -e FOO=baz -w / box sh -c 'echo "$FOO $PWD"')"
same "input, to its end" "2 lines" "$(printf 'a\nb\n' | "$arcbox" exec box sh -c 'echo "$(wc -l) lines"')"
same "much of it" 3000000 "$(head -c 3000000 /dev/zero | "$arcbox" exec box cat | wc -c)"
same "a signal" 143 "$("$arcbox" exec box sh -c 'kill -TERM $$'; echo $?)"
same "passed on" "got 4" "$(timeout -s TERM 1 "$arcbox" exec box sh -c 'trap "echo got; exit 4" TERM; while :; do sleep 0.05; done' >out; "$arcbox" exec box true; echo "$(cat out) 4")"
init=$(sed -n 's/^init=//p' "$work/state/containers/box/record")
for space in user mnt pid ipc uts net; do
    same "its $space space" "$(readlink /proc/$init/ns/$space)" "$("$arcbox" exec box readlink /proc/self/ns/$space)"
done
says "a command that is not there" 127 "no-such: no such command" "$arcbox" exec box no-such
says "no container" 125 "no container named 'nobody'" "$arcbox" exec nobody true
says "no command" 125 "usage: arcbox exec" "$arcbox" exec box
if command -v script >/dev/null; then
    same "a terminal" "yes" "$(script -qec "$arcbox exec -it box sh -c 'test -t 0 && tty >/dev/null && echo yes'" /dev/null </dev/null | grep -o yes)"
fi
same "what it leaves goes on" 1 "$("$arcbox" exec box sh -c 'sleep 77 >/dev/null 2>&1 &'; "$arcbox" exec box sh -c 'cat /proc/[0-9]*/cmdline' | tr '\0' ' ' | grep -c 'sleep 77')"
"$arcbox" exec -d box sh -c 'echo x >/tmp/mark'
for _ in $(seq 50); do "$arcbox" exec box test -s /tmp/mark && break; sleep 0.05; done
same "-d" x "$("$arcbox" exec box cat /tmp/mark)"
same "kill" "box 137" "$("$arcbox" kill box) $("$arcbox" wait box)"
says "into one that has ended" 125 "'box' has ended" "$arcbox" exec box true
says "kill of it" 125 "'box' has ended" "$arcbox" kill box
same "how it ended" "exited (137), SIGKILL" "$("$arcbox" ps -a | grep -o 'exited (137), SIGKILL')"
"$arcbox" run -d --name caught host sh -c 'trap "echo caught; exit 5" USR1; echo up; while :; do sleep 0.02; done' >/dev/null
for _ in $(seq 100); do [ -n "$("$arcbox" logs caught)" ] && break; sleep 0.05; done
"$arcbox" attach caught >attached &
sleep 0.3
says "no such signal" 125 "no signal is called that" "$arcbox" kill -s NOPE caught
same "kill -s" caught "$("$arcbox" kill -s USR1 caught)"
wait $!
same "attach" "5 caught" "$? $(cat attached)"
same "wait" 5 "$("$arcbox" wait caught)"
# Streams apart, in order; the last lines of both.
"$arcbox" run -d --name apart host sh -c 'echo 1; sleep 0.1; echo 2 >&2; sleep 0.1; echo 3; sleep 0.1; printf 4' >/dev/null
"$arcbox" wait apart >/dev/null
same "output" "1 3 4" "$("$arcbox" logs apart 2>/dev/null | xargs)"
same "messages" "2" "$("$arcbox" logs apart 2>&1 >/dev/null)"
same "in order" "1 2 3 4" "$("$arcbox" logs apart 2>&1 | xargs)"
same "the last lines" "3 4" "$("$arcbox" logs -n 2 apart 2>&1 | xargs)"
same "none" "" "$("$arcbox" logs -n 0 apart 2>&1)"
"$arcbox" run -d --name left host sh -c 'echo x >file' >/dev/null
"$arcbox" wait left >/dev/null
same "arcbox's own words are in it" 1 "$("$arcbox" logs left 2>&1 >/dev/null | grep -c "private layer")"
# Detached, and not there.
says "detached, not there" 127 "no-such-command: no such command" "$arcbox" run -d --name gone host no-such-command
says "detached, not executable" 126 "cannot run /etc/passwd: Permission denied" "$arcbox" run -d --name gone host /etc/passwd
says "detached, no folder" 125 "cannot enter the folder /no/such" "$arcbox" run -d -w /no/such host true
same "nothing is left of it" "" "$("$arcbox" ps -aq | grep gone)"
same "prune" "apart box caught left" "$("$arcbox" prune | xargs)"
same "prune of nothing" "nothing to remove" "$("$arcbox" prune)"
# A small group of its own is joined too.
if "$arcbox" run -d --name small --memory 64m host sh -c 'while :; do sleep 0.05; done' >/dev/null 2>&1; then
    same "its memory" 137 "$("$arcbox" exec small python3 -c 'b = b"x" * (200 << 20)'; echo $?)"
    "$arcbox" rm -f small >/dev/null
fi
"$arcbox" run -d --name limited --ulimit nofile=99:99 --network none --hostname inner host sleep 60 >/dev/null
same "its limits" "99 inner 1" "$("$arcbox" exec limited sh -c 'echo $(ulimit -Hn) $(hostname) $(($(wc -l </proc/net/dev) - 2))')"
if [ "$(id -u)" = 0 ]; then
    same "--user" "33:44" "$("$arcbox" exec --user 33:44 limited sh -c 'echo $(id -u):$(id -g)')"
    "$arcbox" run -d --name other --user 12:13 host sleep 60 >/dev/null
    same "the container's user" "12:13" "$("$arcbox" exec other sh -c 'echo $(id -u):$(id -g)')"
fi
finish
