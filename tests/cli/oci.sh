#!/usr/bin/env bash
# OCI images through podman, with an image made here of the host's own files: no download.
. "$(dirname "$0")/lib.sh"
says "no podman" 125 "OCI images need podman" env PATH="$work" "$arcbox" run some/image true
skip_all() {
    skip "$1"
    [ $failed = 0 ] && exit 77
    finish
    exit
}
command -v podman >/dev/null || skip_all "podman is not installed"
image=localhost/arcbox-test-$$
root=$work/root
mkdir -p "$root"/{bin,etc,usr,tmp,run,proc,dev,sys}
for program in sh ls cat; do
    file=$(command -v $program)
    cp -L "$file" "$root/bin/$program"
    ldd "$file" | grep -o '/[^ ]*' | while read -r library; do
        mkdir -p "$root$(dirname "$library")"
        cp -L "$library" "$root$library"
    done
done
cp /etc/ld.so.cache "$root/etc/"
why=$(tar -C "$root" -c . | podman import - "$image" 2>&1 >/dev/null) || skip_all "podman import: $why"
trap 'podman rmi -f $image >/dev/null 2>&1; rm -rf "$work"' EXIT
# Without the parts that podman's own network needs, the host's has to do; --network goes to podman.
if ! why=$("$arcbox" run "$image" /bin/sh -c : 2>&1); then
    "$arcbox" run --network host "$image" /bin/sh -c : 2>/dev/null || skip_all "podman cannot run here: $why"
    real=$arcbox
    network() { if [ "$1" = run ]; then shift; "$real" run --network host "$@"; else "$real" "$@"; fi; }
    arcbox=network
fi
same "output" hello "$("$arcbox" run "$image" /bin/sh -c 'echo hello')"
"$arcbox" run "$image" /bin/sh -c 'exit 7'
same "exit code" 7 $?
"$arcbox" run "$image" /no/such 2>/dev/null
same "missing command" 127 $?
echo data >"$work/file"
same "mount" data "$("$arcbox" run -v "$work/file:/in/file:ro" "$image" /bin/cat /in/file)"
same "variable" v "$("$arcbox" run -e K=v "$image" /bin/sh -c 'echo $K')"
odd=$(printf ' "a" '"'b'"' #c $d \\e = f ')
lines=$(printf 'one\ntwo')
same "odd variables" "[$odd][$lines][]" "$("$arcbox" run -e ODD="$odd" -e LINES_="$lines" -e EMPTY= "$image" /bin/sh -c 'printf "[%s]" "$ODD" "$LINES_" "$EMPTY"')"
same "input" in "$(echo in | "$arcbox" run "$image" /bin/cat)"
same "detached" box "$("$arcbox" run -d --name box "$image" /bin/sh -c 'echo logged; exit 3')"
for _ in $(seq 100); do [ -z "$("$arcbox" ps -q)" ] && break; sleep 0.1; done
same "its log" logged "$("$arcbox" logs box)"
same "its end" "exited (3)" "$("$arcbox" ps -a | grep -o 'exited (3)')"
same "removed" box "$("$arcbox" rm box)"
same "the host's network" "$(cat /proc/net/dev | tail -n +3 | cut -d: -f1 | sort | tr -d ' \n')" \
    "$("$arcbox" run --network host "$image" /bin/cat /proc/net/dev | tail -n +3 | cut -d: -f1 | sort | tr -d ' \n')"
# The verbs that podman does for its own.
"$arcbox" run -d --name verbs "$image" /bin/sh -c 'trap "exit 9" USR1; while :; do /bin/cat /dev/null; done' >/dev/null
same "exec" "inside 5" "$("$arcbox" exec verbs /bin/sh -c 'echo inside; exit 5') $?"
"$arcbox" cp "$work/file" verbs:/copied
same "cp" data "$("$arcbox" exec verbs /bin/cat /copied)"
same "inspect" "podman running" "$("$arcbox" inspect verbs | python3 -c 'import json, sys; c, = json.load(sys.stdin); print(c["kind"], c["state"])')"
same "kill" verbs "$("$arcbox" kill -s USR1 verbs)"
same "wait" 9 "$("$arcbox" wait verbs)"
same "prune" verbs "$("$arcbox" prune)"
mkdir -p "$work/c:d" "$work/e,f"
echo colon >"$work/c:d/f"
echo comma >"$work/e,f/f"
same "colon in a mount" colon \
    "$("$arcbox" run --mount "type=bind,source=$work/c:d,target=/in,readonly" "$image" /bin/cat /in/f)"
same "comma in a mount" comma \
    "$("$arcbox" run --mount "type=bind,\"source=$work/e,f\",target=/in" "$image" /bin/cat /in/f)"
same "a device" read "$("$arcbox" run -v /dev/null:/x/.env:ro "$image" /bin/sh -c 'cat /x/.env; echo read')"
same "on /tmp, relabelled" "$work" "$("$arcbox" run -v "/tmp:/tmp:z" "$image" /bin/ls -d "$work")"
# What podman is given, whatever it does with it on this system.
mkdir "$work/fake"
printf '#!/bin/sh\necho "$*"\n' >"$work/fake/podman"
chmod +x "$work/fake/podman"
given=$(PATH=$work/fake:$PATH "$arcbox" run --network host -v /etc:/x:Z,ro -v /usr:/y:z --cpus 1.5 "$image" true)
for part in "--network host" "/etc:/x:ro,Z" "/usr:/y:rw,z" "--cpus 2"; do
    case $given in *"$part"*) pass ;; *) fail "podman is not given '$part': $given" ;; esac
done
case $(PATH=$work/fake:$PATH "$arcbox" run --network host -e A=hushed -e B="$(printf 'hushed\ntoo')" "$image" true) in
*hushed*) fail "a value stands in podman's command line" ;; *) pass ;; esac
# With the GPU, podman's own list of system calls and one more, as ordinary users may have it.
printf '#!/bin/sh\nfor word; do case $word in seccomp=*) cat "${word#seccomp=}" ;; esac; done\n' >"$work/fake/podman"
if [ -e /usr/share/containers/seccomp.json ] && [ ! -e /etc/containers/containers.conf ]; then
    same "system calls" "1 SCMP_ACT_ALLOW 1 SCMP_CMP_MASKED_EQ True" \
        "$(PATH=$work/fake:$PATH "$arcbox" run --gpus device=cpu "$image" true | python3 -c '
import json, sys
rules = json.load(sys.stdin)["syscalls"]
own, = (r for r in rules if "userfaultfd" in r["names"])
print(len(own["names"]), own["action"], own["args"][0]["valueTwo"], own["args"][0]["op"], any("clone" in r["names"] for r in rules))')"
    mkdir -p "$work/config/containers/containers.conf.d"
    printf '[containers]\n seccomp_profile = "/own.json"\n' >"$work/config/containers/containers.conf.d/own.conf"
    same "a list of the user's own" "" \
        "$(XDG_CONFIG_HOME=$work/config PATH=$work/fake:$PATH "$arcbox" run --gpus device=cpu "$image" true)"
    same "without the GPU podman's own" "" "$(PATH=$work/fake:$PATH "$arcbox" run "$image" true)"
fi
# One that was killed leaves a container that is listed and can be ended.
"$arcbox" run --name doomed "$image" /bin/sh -c 'echo up; exec /bin/cat /dev/zero >/dev/null' >"$work/out" &
for _ in $(seq 100); do [ -s "$work/out" ] && break; sleep 0.1; done
kill -9 "$(sed -n 's/^supervisor=//p' "$work/state/containers/doomed/record")"
wait 2>/dev/null
same "listed" doomed "$("$arcbox" ps -q)"
says "its name is taken" 125 "a container named 'doomed' is there already" \
    "$arcbox" run --name doomed "$image" /bin/sh -c :
same "ended" doomed "$("$arcbox" rm -f doomed)"
same "and gone" "" "$("$arcbox" ps -aq)$(podman ps -aq --filter name=doomed)"
same "nothing left" "" "$(podman ps -aq --filter label=arcbox=1 --filter ancestor="$image")"
finish
