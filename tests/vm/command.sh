#!/usr/bin/env bash
# A command in a virtual machine is as one in a container: its streams, its end, its files.
. "$(dirname "$0")/lib.sh"
cd "$work" || exit 1

# Streams apart, the exit code, variables, folder, name.
FOO=bar "$arcbox" run --vm --kernel "$(basename "$(realpath "$XDG_CACHE_HOME/arcbox/vm/kernel")")" -e FOO -e EMPTY= --name machine --here host sh -c \
    'echo "out $FOO$EMPTY $(pwd) $(hostname) $(uname -r)"; echo err >&2; cat; exit 7' \
    <<<"typed" >out 2>err
same 'exit code' 7 $?
release=$(basename "$(realpath "$XDG_CACHE_HOME/arcbox/vm/kernel")")
same 'standard output' "out bar $work machine $release
typed" "$(cat out)"
same 'standard error' err "$(tail -1 err)"

# Megabytes in, and out of both, without loss.
head -c 8000000 /dev/urandom >data
"$arcbox" run --vm host sh -c 'tee /dev/stderr' <data >out 2>err
same 'bytes through' "$(sha256sum <data)" "$(sha256sum <out)"
same 'bytes through standard error' "$(sha256sum <data)" "$(tail -c 8000000 err | sha256sum)"

# Limits are the command's, not the hypervisor's; file systems in memory are the machine's; nothing else
# can be written where that is asked for.
size='df -k --output=size'
same 'limits' '99 100 5120 3072 700 ro' "$("$arcbox" run --vm --ulimit nofile=99:100 --shm-size 5m --read-only \
    --tmpfs /opt/new/one:size=3m,mode=700 host sh -c "echo \$(ulimit -Sn) \$(ulimit -Hn) \$($size /dev/shm | tail -1) \
    \$($size /opt/new/one | tail -1) \$(stat -c %a /opt/new/one); touch /usr/x 2>/dev/null || echo ro" | xargs)"

# Mounts are written to, or not; the rest is the machine's own.
mkdir shown && echo there >shown/old && echo one >one
"$arcbox" run --vm -v "$PWD/shown:/data" -v "$PWD/one:/one:ro" host sh -c \
    'cat /data/old /one; echo new >/data/new; echo x >/one; echo mine >/usr/mine; cat /usr/mine;
     python3 -c "import tempfile; f = tempfile.TemporaryFile(); f.write(b\"abc\"); f.seek(0); print(f.read())"' >out 2>err
same 'what it read' "there
one
mine
b'abc'" "$(cat out)"
same 'what it wrote' new "$(cat shown/new)"
same 'a read-only mount' one "$(cat one)"
[ ! -e /usr/mine ] && pass || fail 'it wrote to the host'
grep -q '1 file was written in the .* private layer, and gone with it: /usr/mine (' err && pass || fail "no word of what is left: $(cat err)"
grep -q 'Read-only' err && pass || fail "no word of a read-only mount: $(cat err)"

says 'no such command' 127 'no such command in the container' "$arcbox" run --vm host no-such-command
# Signals reach the command.
"$arcbox" run --vm host sh -c 'trap "echo stopped; exit 3" TERM; echo ready; sleep 100 & wait' >out &
for i in $(seq 1200); do grep -qs ready out && break; sleep 0.1; done
kill -TERM $!
wait $!
same 'the end by a signal' 3 $?
same 'a signal' "ready
stopped" "$(cat out)"
finish
