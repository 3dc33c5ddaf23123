#!/usr/bin/env bash
# What bad input to `arcbox run` gets: one clear line and exit code 125; nothing is left behind.
. "$(dirname "$0")/lib.sh"
says "no verb" 125 "unknown command 'fly'" "$arcbox" fly
says "no image" 125 "no image named" "$arcbox" run
says "no command" 125 "no command given" "$arcbox" run host
says "empty command" 125 "command's name is empty" "$arcbox" run host ""
says "missing folder image" 125 "/no/such/folder cannot be used" "$arcbox" run /no/such/folder true
says "file as image" 125 "is not a folder" "$arcbox" run "$(realpath "$0")" true
says "folder without a system" 125 "holds no root file system" "$arcbox" run "$work" true
says "missing command" 127 "no-such-command: no such command" "$arcbox" run host no-such-command
says "missing path" 127 "cannot run /no/such/command" "$arcbox" run host /no/such/command
says "not executable" 126 "cannot run /etc/passwd: Permission denied" "$arcbox" run host /etc/passwd
says "missing mount source" 125 "the mount source '/no/such' cannot be used" \
    "$arcbox" run -v /no/such:/data host true
says "mount without target" 125 "is not HOST:GUEST" "$arcbox" run -v /etc host true
says "relative target" 125 "not an absolute path" "$arcbox" run -v /etc:data host true
says "unknown mode" 125 "unknown mode 'rx'" "$arcbox" run -v /etc:/data:rx host true
says "two on one" 125 "two mounts on /data" "$arcbox" run -v /etc:/data -v /usr:/data/ host true
for folder in / /usr /proc /etc /dev /sys /bin /lib /usr/lib /run /tmp /var //usr/ /home/../etc/.; do
    says "mount on $folder" 125 "would hide" "$arcbox" run -v "$work:$folder" host true
done
for folder in /proc/self /dev/shm /sys/fs /run/arcbox/x; do
    says "mount below $folder" 125 "would hide" "$arcbox" run --mount "$work:$folder" host true
done
says "long mount part" 125 "unknown part 'colour'" \
    "$arcbox" run --mount type=bind,source=/etc,target=/x,colour=red host true
says "quotation mark" 125 "odd number of quotation marks" "$arcbox" run --mount 'type=bind,"source=/etc,target=/x' host true
says "colons in a volume" 125 "needs --mount" "$arcbox" run -v /a:b:/x:ro host true
printf 'export D=1\n' >"$work/bad.env"
says "name with a blank" 125 "'export D' is not a variable's name" "$arcbox" run --env-file "$work/bad.env" host true
printf '=1\n' >"$work/bad.env"
says "no name" 125 "is not a variable's name" "$arcbox" run --env-file "$work/bad.env" host true
for cpus in 0 -1 x 2x ""; do
    says "--cpus $cpus" 125 "expected a number of processors" "$arcbox" run --cpus "$cpus" host true
done
mkdir "$work/empty"
says "empty image folder" 125 "holds no root file system (no usr, no bin, no /app)" \
    "$arcbox" run "$work/empty" /app
says "volume type" 125 "only type=bind is supported" "$arcbox" run --mount type=tmpfs,target=/x host true
says "unknown option" 125 "unknown option --frobnicate" "$arcbox" run --frobnicate host true
says "option without value" 125 "-w needs a value" "$arcbox" run -w
says "flag with a value" 125 "expected true or false" "$arcbox" run --rm=maybe host true
says "bad name" 125 "names are letters, digits" "$arcbox" run --name ../x host true
says "bad variable" 125 "expected NAME or NAME=VALUE" "$arcbox" run -e =x host true
says "bad count" 125 "expected all, a number of devices" "$arcbox" run --gpus some host true
says "empty gpus" 125 "--gpus needs all" "$arcbox" run --gpus= host true
says "count and device" 125 "exclude each other" "$arcbox" run --gpus count=1,device=cpu host true
says "device of another vendor" 125 "unknown device 'nvidia.com/gpu=all'" \
    "$arcbox" run --device nvidia.com/gpu=all host true
says "missing working folder" 125 "cannot enter the folder /no/such" "$arcbox" run -w /no/such host true
says "terminal without one" 125 "-t needs a terminal" "$arcbox" run -it host true
same "nothing left behind" "" "$(ls -A "$work/state/containers")"
says "a slip in a verb" 125 "unknown command 'rum': did you mean 'run'?" "$arcbox" rum host true
says "a slip in an option" 125 "unknown option --memroy: did you mean --memory?" "$arcbox" run --memroy 1g host true
says "a named volume" 125 "ArcBox has no named volumes" "$arcbox" run -v nosuchvolume:/x host true
says "a host name with a space" 125 "--hostname 'a b': letters" "$arcbox" run --hostname 'a b' host true
says "a long host name" 125 "at most 63" "$arcbox" run --hostname "$(printf 'h%.0s' $(seq 80))" host true
says "too little memory" 125 "--memory 1k: give it 6m at least" "$arcbox" run --memory 1k host true
says "an archive" 125 "reads and writes no archives" "$arcbox" cp box:/x -
says "an archive in" 125 "reads and writes no archives" "$arcbox" cp - box:/x
[ -e ./- ] && fail "cp made a file named '-'"
same "prune -f" "nothing to remove" "$("$arcbox" prune -f)"
says "a runtime folder that moves" 125 "ARCBOX_RUNTIME_DIR rel: give an absolute path" env ARCBOX_RUNTIME_DIR=rel "$arcbox" run host true
says "the same, asked for the daemon" 125 "ARCBOX_RUNTIME_DIR is no absolute path" env ARCBOX_RUNTIME_DIR=rel "$arcbox" gpu
if [ "$(id -u)" != 0 ]; then
    says "a folder that cannot be made" 125 "Permission denied" env XDG_CACHE_HOME=/proc/1/x/y "$arcbox" run host true
fi
says "few descriptors" 125 "Too many open files" bash -c 'ulimit -n 12; exec "$0" run host true' "$arcbox"
# A limit of file sizes is an error, and nothing is left of what did not start.
says "no file may grow" 125 "File too large" bash -c 'ulimit -f 0; exec "$0" run host true' "$arcbox"
says "nor in the background" 125 "File too large" bash -c 'ulimit -f 0; exec "$0" run -d --name small host true' "$arcbox"
same "nothing is left" "" "$("$arcbox" ps -aq)"
# Ended at any moment of its start, it leaves nothing that is seen.
for delay in 0.001 0.003 0.005 0.008 0.011 0.015 0.02 0.03; do
    "$arcbox" run host sleep 5.$$ & pid=$!
    sleep $delay
    kill -KILL $pid
    wait $pid 2>/dev/null
done
sleep 0.3
touch -d '2 minutes ago' "$work"/state/containers/* 2>/dev/null # killed before it could say anything: not at once
same "killed while it starts" "" "$("$arcbox" ps -a | tail -n +2)"
# A bubblewrap that was between two of its own steps sleeps on (docs/threat-model.md).
ps -eo pid,args | awk -v "s=sleep 5.$$" 'index($0, s) && !/awk/ {print $1}' | xargs -r kill -KILL 2>/dev/null
finish
