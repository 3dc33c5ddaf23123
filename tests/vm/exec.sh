#!/usr/bin/env bash
# Other commands in a virtual machine that runs, and files in and out of it: as in a container.
. "$(dirname "$0")/lib.sh"
cd "$work" || exit 1
head -c 3000000 /dev/urandom >data
mkdir -p tree/inner && echo one >tree/one && echo two >tree/inner/two && ln -s one tree/link
"$arcbox" run --vm -d --name machine -e FOO=bar -w /usr host sh -c 'echo up; exec sleep 1000' >out
same 'its name' machine "$(cat out)"

"$arcbox" exec machine sh -c 'echo "out $FOO $(pwd)"; echo err >&2; cat; exit 9' <<<"typed" >out 2>err
same 'exit code' 9 $?
same 'standard output' "out bar /usr
typed" "$(cat out)"
same 'standard error' err "$(cat err)"
same 'variables and folder' '2 x /tmp' "$("$arcbox" exec -e FOO=2 -e NEW=x -w /tmp machine sh -c 'echo $FOO $NEW $(pwd)')"
same 'its kind' '"vm"' "$("$arcbox" inspect machine | sed -n 's/.*"kind": \([^,]*\),*/\1/p')"
says 'no such command' 127 'no such command in the container' "$arcbox" exec machine no-such-command

# Megabytes through, while another one's output is read by nobody.
mkfifo unread
"$arcbox" exec machine cat /dev/zero >unread &
stuck=$!
exec 5<unread
"$arcbox" exec machine sh -c 'tee /dev/stderr' <data >out 2>err
same 'bytes through' "$(sha256sum <data)" "$(sha256sum <out)"
same 'bytes through standard error' "$(sha256sum <data)" "$(sha256sum <err)"
# Whose arcbox is killed ends.
kill -KILL $stuck
wait $stuck 2>/dev/null
exec 5<&-
"$arcbox" exec machine sh -c 'for i in $(seq 300); do pgrep -x cat >/dev/null || exit 0; sleep 0.1; done; exit 1'
same 'killed with its arcbox' 0 $?

# Signals reach it, and no other; what is started with -d stays.
"$arcbox" exec -d machine sleep 2000
"$arcbox" exec machine sh -c 'trap "echo stopped; exit 3" TERM; echo ready; sleep 3000 & wait' >out &
for i in $(seq 600); do grep -qs ready out && break; sleep 0.1; done
kill -TERM $!
wait $!
same 'the end by a signal' 3 $?
same 'a signal' "ready
stopped" "$(cat out)"
same 'what stays' '1000 2000 3000' "$("$arcbox" exec machine pgrep -ax sleep | sed 's/.* //' | sort -n | tr '\n' ' ' | sed 's/ $//')"

# A terminal.
python3 - "$arcbox" >out <<'END'
import os, pty, sys
pid, master = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], ["arcbox", "exec", "-it", "machine", "sh", "-c", "stty size; tty; read x; echo got $x; exit 5"])
import fcntl, struct, termios
fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 77, 0, 0))
os.write(master, b"word\r")
text = b""
try:
    while True:
        more = os.read(master, 4096)
        if not more: break
        text += more
except OSError:
    pass
print(text.decode().replace("\r", "").replace("\n", " "), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
END
grep -q '33 77 .*/dev/pts/[0-9]* .*got word *5$' out && pass || fail "a terminal: $(cat out)"

# Files in and out.
"$arcbox" cp data machine:/opt/data && "$arcbox" cp tree machine:/opt
same 'copied in' "$(sha256sum <data)" "$("$arcbox" exec machine sh -c 'sha256sum </opt/data')"
same 'a tree' 'one two one' "$("$arcbox" exec machine sh -c 'cd /opt/tree; echo $(cat one) $(cat inner/two) $(readlink link)')"
"$arcbox" cp machine:/opt/tree back && "$arcbox" cp machine:/opt/data back/
same 'copied out' "$(sha256sum <data)" "$(sha256sum <back/data)"
same 'a tree back' "one two" "$(cat back/one back/inner/two | tr '\n' ' ' | sed 's/ $//')"
says 'nothing to copy' 125 'no/such' "$arcbox" cp machine:/no/such here

"$arcbox" exec machine sleep 4000 &
last=$!
for i in $(seq 300); do "$arcbox" exec machine pgrep -fx 'sleep 4000' >/dev/null && break; sleep 0.1; done
"$arcbox" stop machine >/dev/null
wait $last
same 'ends with its machine' 137 $?
says 'a machine that has ended' 125 "'machine' has ended" "$arcbox" exec machine true
finish
