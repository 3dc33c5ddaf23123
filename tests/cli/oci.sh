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
why=$("$arcbox" run "$image" /bin/sh -c : 2>&1) || skip_all "podman cannot run here: $why"
same "output" hello "$("$arcbox" run "$image" /bin/sh -c 'echo hello')"
"$arcbox" run "$image" /bin/sh -c 'exit 7'
same "exit code" 7 $?
"$arcbox" run "$image" /no/such 2>/dev/null
same "missing command" 127 $?
echo data >"$work/file"
same "mount" data "$("$arcbox" run -v "$work/file:/in/file:ro" "$image" /bin/cat /in/file)"
same "variable" v "$("$arcbox" run -e K=v "$image" /bin/sh -c 'echo $K')"
same "input" in "$(echo in | "$arcbox" run "$image" /bin/cat)"
same "detached" box "$("$arcbox" run -d --name box "$image" /bin/sh -c 'echo logged; exit 3')"
for _ in $(seq 100); do [ -z "$("$arcbox" ps -q)" ] && break; sleep 0.1; done
same "its log" logged "$("$arcbox" logs box)"
same "its end" "exited (3)" "$("$arcbox" ps -a | grep -o 'exited (3)')"
same "removed" box "$("$arcbox" rm box)"
same "nothing left" "" "$(podman ps -aq --filter label=arcbox=1 --filter ancestor="$image")"
finish
