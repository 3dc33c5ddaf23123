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
finish
