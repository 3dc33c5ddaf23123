#!/usr/bin/env bash
# Linux counts descriptors under way in sockets for each user: a container of an ordinary user that
# lets as many lie as it may does not stop what this user runs outside, nor the daemon and its workers.
# $2: arcbox-kernel-check, $3: the folder of the guest library.
. "$(dirname "$0")/lib.sh"
kernel=$(realpath "$2") library=$(realpath "$3")
trap '"$arcbox" daemon stop >/dev/null 2>&1; rm -rf "$work"' EXIT
become user
ulimit -n 4000
cat >flood.py <<'P'
import os, resource, socket, sys, time
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
pairs, under_way = [], 0
try:
    while len(pairs) < 100:
        pairs.append(socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM))
        for _ in range(50):
            socket.send_fds(pairs[-1][0], [b'x'], [0] * 50)
            under_way += 50
except OSError as e:
    print(under_way, e.strerror, flush=True)
    time.sleep(60)
P
run daemon start >/dev/null
run run -d --name flood host python3 flood.py >/dev/null
for _ in $(seq 200); do [ -n "$(run logs flood)" ] && break; sleep 0.05; done
same "they lie there" "Too many references" "$(run logs flood | grep -o 'Too many references')"
same "outside, a kernel" "4096 sums right" "$(ARCBOX_SOCKET=$home/state/gpu.sock LD_LIBRARY_PATH=$library "${as[@]}" "$kernel" 2>&1 | cut -c1-15)"
same "a daemon yet" 0 "$(run gpu >/dev/null; echo $?)"
run rm -f flood >/dev/null
same "asked for, a container may have as many as its user" 4000 "$(run run --ulimit nofile=4000:4000 host sh -c 'ulimit -Hn' 2>&1)"
finish
