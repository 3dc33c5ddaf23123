#!/usr/bin/env bash
# A virtual machine's network: out, and in through ports that are published. None at all: machine.sh.
. "$(dirname "$0")/lib.sh"
cd "$work" || exit 1
mkdir served && echo hello >served/file
# serve FOLDER: a server on a port of its own choice: $port.
cat >serve.py <<'END'
import functools, http.server, sys
class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *words): pass
server = http.server.HTTPServer((sys.argv[2], int(sys.argv[3])), functools.partial(Quiet, directory=sys.argv[1]))
print(server.server_address[1], flush=True)
server.serve_forever()
END
fetch='import sys, urllib.request as u; print(u.urlopen(sys.argv[1], timeout=60).read().decode().strip())'
python3 serve.py served 127.0.0.1 0 >port &
server=$!
trap 'kill $server; end_daemon' EXIT
for i in $(seq 100); do [ -s port ] && break; sleep 0.1; done
port=$(cat port)
free=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')

says 'a port that is taken' 125 "port $port cannot be had here" "$arcbox" run --vm -p "127.0.0.1:$port:80" host true
says 'a port without a network' 125 'there is no network' "$arcbox" run --vm --network none -p 8080:80 host true
says 'no port' 125 'ports from 1 to 65535' "$arcbox" run --vm -p 0:80 host true
says 'one port' 125 'PORT:80' "$arcbox" run --vm -p 80 host true
says 'no address' 125 'is no IPv4 address' "$arcbox" run --vm -p nowhere:8080:80 host true
says "the host's network" 125 'a virtual machine has a network of its own' "$arcbox" run --vm --network host host true

"$arcbox" run --vm -d --name machine -p "127.0.0.1:$free:8000" --add-host this:host-gateway -v "$PWD:/shown:ro" host \
    python3 /shown/serve.py /shown/served 0.0.0.0 8000 >/dev/null
same 'out' hello "$("$arcbox" exec machine python3 -c "$fetch" "http://this:$port/file")"
same 'who answers for names' 'nameserver 10.0.2.3' "$("$arcbox" exec machine cat /etc/resolv.conf)"
for i in $(seq 300); do [ "$(python3 -c "$fetch" "http://127.0.0.1:$free/file" 2>/dev/null)" = hello ] && break; sleep 0.1; done
same 'in' hello "$(python3 -c "$fetch" "http://127.0.0.1:$free/file")"
"$arcbox" stop machine >/dev/null
finish
