#!/usr/bin/env bash
# docker's options for a sandbox: done, or refused by name; and given to podman for OCI images.
. "$(dirname "$0")/lib.sh"
run() { "$arcbox" run "$@"; }
same "--user by number" "1234:77" "$(run --user 1234:77 host sh -c 'echo $(id -u):$(id -g)')"
same "--user by name" "$(id -u daemon):$(id -g daemon)" "$(run --user daemon host sh -c 'echo $(id -u):$(id -g)')"
same "without rights" 0000000000000000 "$(run --user 1234 host sed -n 's/^CapEff:\t//p' /proc/self/status)"
says "--user of nobody" 125 "--user zorro: the image knows no user of that name" run --user zorro host true
same "--entrypoint" "-c entry" "$(run --entrypoint printf host '%s %s' -c entry)"
same "--entrypoint alone" 0 "$(run --entrypoint true host >/dev/null; echo $?)"
same "--ulimit" "123 456" "$(run --ulimit nofile=123:456 host sh -c 'echo $(ulimit -Sn) $(ulimit -Hn)')"
says "unknown --ulimit" 125 "--ulimit files=3: no limit is called 'files'" run --ulimit files=3 host true
says "--ulimit upside down" 125 "the soft limit is above the hard one" run --ulimit core=3:2 host true
same "--tmpfs" "tmpfs 1024 yes" "$(run --tmpfs /one/two:size=1m,mode=700 host sh -c 'echo $(df --output=fstype,size /one/two | tail -1) $(echo x >/one/two/f && echo yes)')"
says "--tmpfs over the system" 125 "would hide a system folder" run --tmpfs /usr host true
same "--shm-size" 2048 "$(run --shm-size 2m host df --output=size /dev/shm | tail -1 | tr -d ' ')"
says "bad size" 125 "--shm-size 2x: expected a size, as 512m or 2g" run --shm-size 2x host true
same "--add-host" "192.0.2.7 other.example" "$(run --add-host other.example:192.0.2.7 host getent hosts other.example | tr -s ' ')"
same "--dns" "nameserver 192.0.2.1" "$(run --dns 192.0.2.1 host cat /etc/resolv.conf)"
says "bad --dns" 125 "--dns x y: expected an address" run --dns 'x y' host true
mkdir "$work/data"
cd "$work/data"
same "--read-only" "no no no yes yes yes" "$(run --read-only -v "$work/data:/data" --tmpfs /scratch host sh -c '
    try() { (echo x >"$1/arcbox-test") 2>/dev/null && echo yes || echo no; }
    try /usr/lib; try /root; try /; try /tmp; try /data; try /scratch' | tr '\n' ' ' | sed 's/ $//')"
same "the mount was written" x "$(cat arcbox-test)"
same "--read-only of a folder below" no "$(run --read-only host sh -c '(echo x >new) 2>/dev/null && echo yes || echo no')"
same "--init and --label are taken" ok "$(run --init --label a=b -l c host echo ok)"
for option in "-p 80:80" "--pull always" "--platform linux/arm64"; do
    says "$option" 125 "cannot be used here" run $option host true
done
says "another network" 125 "have the host's network, or none" run --network bridge host true
says "no number of bytes" 125 "--memory lots: expected a size" run --memory lots host true
why=$(run --memory 64m host true 2>&1)
if [ $? = 0 ]; then
    run --memory 64m host python3 -c 'b = b"x" * (200 << 20)' 2>err
    same "--memory" 137 $?
    same "is said" 1 "$(grep -c '^arcbox: out of memory: .* may use 64 MiB (--memory)' err)"
    same "more is enough" 0 "$(run --memory 400m host python3 -c 'b = b"x" * (200 << 20)'; echo $?)"
    run -d --name greedy --memory 64m host python3 -c 'b = b"x" * (200 << 20)' >/dev/null
    for _ in $(seq 100); do [ -z "$("$arcbox" ps -q)" ] && break; sleep 0.05; done
    same "and kept" "out of memory" "$("$arcbox" ps -a | grep -o 'out of memory')"
    "$arcbox" rm greedy >/dev/null
    same "no group is left" "" "$(find /sys/fs/cgroup -maxdepth 6 -name 'arcbox-*' 2>/dev/null | head -3)"
else
    same "refused by name" 1 "$(echo "$why" | grep -c '^arcbox: --memory cannot be used here: ')"
fi
# The limit of a small control group that arcbox itself is in is called that.
group=/sys/fs/cgroup/memory$(sed -n 's/^[0-9]*:memory://p' /proc/self/cgroup)/arcbox-small-$$
if [ "$(id -u)" = 0 ] && mkdir "$group" 2>/dev/null; then
    echo $((96 << 20)) >"$group/memory.limit_in_bytes"
    in_group() { sh -c 'echo $$ >"$0/cgroup.procs" && exec "$@"' "$group" "$@"; }
    in_group "$arcbox" run host python3 -c 'b = b"x" * (200 << 20)' 2>err
    same "a small group" "137 1" "$? $(grep -c '^arcbox: out of memory: .* may use 96 MiB with' err)"
    same "gpu shows its limit" "48" "$(in_group "$arcbox" gpu --format json | python3 -c '
import json, sys
print(json.load(sys.stdin)["devices"][0]["memory_bytes"] >> 20)')"
    "$arcbox" daemon stop >/dev/null
    for _ in $(seq 50); do rmdir "$group" 2>/dev/null && break; sleep 0.1; done
fi
# What podman is given.
mkdir "$work/fake"
printf '#!/bin/sh\nprintf "%%s|" "$@"\n' >"$work/fake/podman"
chmod +x "$work/fake/podman"
for option in "--user 1:2" "--memory 64m" "--entrypoint /bin/x" "--read-only" "--tmpfs /x:size=1m" "--init" "--pull never" \
    "--platform linux/arm64" "--shm-size 1m" "--ulimit core=0" "--label a=b" "--add-host a:1.2.3.4" "--dns 1.1.1.1" "--network mine" "--publish 80:81"; do
    given=$(PATH=$work/fake:$PATH run $option debian:12 true)
    case $given in *"|$(echo "$option" | tr ' ' '|')|debian:12|true|") pass ;; *) fail "$option is not given to podman: $given" ;; esac
done
finish
