#!/usr/bin/env bash
# attach: what is typed reaches a detached container, one at a time; leaving it; what it says when
# nothing can be typed; cp from one that has ended.
. "$(dirname "$0")/lib.sh"
cd "$work" || exit 1
until_logged() { for _ in $(seq 200); do "$arcbox" logs "$1" | grep -q "$2" && return; sleep 0.02; done; fail "$1 did not say $2"; }

# -i: a pipe; its end is the end of the command's input
"$arcbox" run -di --name pipe host sh -c 'echo up; while read -r line; do echo "got $line"; done; echo end; exit 6' >/dev/null
until_logged pipe up
same "input and output" "got one got two end 6" "$(printf 'one\ntwo\n' | "$arcbox" attach pipe | xargs) $("$arcbox" wait pipe)"
"$arcbox" run -di --name later host sh -c 'echo up; while read -r line; do echo "got $line"; done' >/dev/null
until_logged later up
# Its input does not end before it is killed: with it the command's would.
mkfifo typing
exec 9<>typing
echo first >&9
"$arcbox" attach later <typing >typed &
first=$!
until_logged later first
same "another one only looks on" "" "$(echo second | timeout 1 "$arcbox" attach later)"
kill $first
wait $first 2>/dev/null
exec 9>&-
same "the one that was killed left it running" later "$("$arcbox" ps -q)"
same "--no-stdin" "" "$(echo third | timeout 1 "$arcbox" attach --no-stdin later)"
same "the next one types" "got fourth" "$(echo fourth | "$arcbox" attach later)"
same "what came" "up got first got fourth" "$("$arcbox" logs later | xargs)"
# More than anybody reads, and the command is stopped from outside all the same
"$arcbox" run -di --name deaf host sh -c 'echo up; exec sleep 60' >/dev/null
until_logged deaf up
head -c 5000000 /dev/zero | "$arcbox" attach deaf &
pouring=$!
sleep 0.3
same "a command that reads nothing ends" "deaf 137" "$("$arcbox" kill deaf) $("$arcbox" wait deaf)"
wait $pouring
same "and attach with it" 137 $?
# Without -i and -t there is no input, and attach shows what is written
"$arcbox" run -d --name silent host sh -c 'cat; echo up; sleep 3; echo last' >/dev/null
same "no input" last "$(echo nothing | "$arcbox" attach silent | tail -n 1)"

# -t: a terminal
cat >typist.py <<'P'
import os, pty, select, signal, subprocess, sys, termios, time, fcntl, struct
arcbox, name = sys.argv[1:3]
master, slave = pty.openpty()
fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack('HHHH', 33, 77, 0, 0))
before = termios.tcgetattr(slave)
p = subprocess.Popen([arcbox, 'attach', name], stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
seen = b''
def until(what):
    global seen
    end = time.time() + 20
    while what not in seen and time.time() < end:
        if select.select([master], [], [], 0.1)[0]:
            seen += os.read(master, 4096)
    if what not in seen:
        sys.exit('did not see %r in %r' % (what, seen))
until(b'leaves it running')
os.write(master, b'stty size; echo a$((40+2))b\r')
until(b'a42b')
until(b'33 77')
if termios.tcgetattr(slave)[3] & termios.ECHO:
    sys.exit('the terminal is not raw')
os.write(master, b'\x10x\x15')          # Ctrl-P alone is passed on; Ctrl-U takes the line back
os.write(master, b'trap "echo interrupted" INT\r')
time.sleep(0.2)
os.write(master, b'sleep 30\r')
time.sleep(0.3)
os.write(master, b'\x03')               # Ctrl-C is the command's
time.sleep(0.2)
os.write(master, b'echo c$((40+3))d\r')
until(b'c43d')
os.write(master, b'\x10')
time.sleep(0.1)
os.write(master, b'\x11')
until(b"left '%s' running" % name.encode())
if p.wait() != 0:
    sys.exit('code %d' % p.returncode)
if termios.tcgetattr(slave) != before:
    sys.exit('the terminal is not given back')
p = subprocess.Popen([arcbox, 'attach', name], stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
seen = b''
until(b'leaves it running')
os.write(master, b'echo e$((40+4))f\r')
until(b'e44f')
p.send_signal(signal.SIGTERM)
if p.wait() != 143 or termios.tcgetattr(slave) != before:
    sys.exit('the terminal is not given back after SIGTERM')
P
"$arcbox" run -dt --name screen -e PS1='$ ' host sh >/dev/null
same "a terminal" "" "$(python3 typist.py "$arcbox" screen 2>&1)"
same "it runs yet" screen "$("$arcbox" ps -q)"
"$arcbox" rm -f screen later >/dev/null
says "attach to one that has ended" 125 "'pipe' has ended (see: arcbox logs pipe)" "$arcbox" attach pipe
says "cp from one that has ended" 125 "'pipe' has ended, and its private layer with it: copy while it runs, or have it write into a folder of this system (--here, or --mount FOLDER:FOLDER)" "$arcbox" cp pipe:/x .
finish
