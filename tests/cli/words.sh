#!/usr/bin/env bash
# What a user is told who gives a program or an image that cannot run here: before it starts, and what
# to do.
. "$(dirname "$0")/lib.sh"
cd "$work"
printf '\xcf\xfa\xed\xfe\x0c\x00\x00\x01' >mach_o
printf '\xca\xfe\xba\xbe\x00\x00\x00\x02' >universal
head -c 64 /bin/true >foreign && printf '\xf3\x00' | dd of=foreign bs=1 seek=18 conv=notrunc status=none
chmod +x mach_o universal foreign
for program in mach_o universal; do
    says "$program" 126 "$program is a macOS program: rebuild it with arcbox-cc" "$arcbox" run host ./$program
    says "$program on PATH" 126 "is a macOS program" env PATH="$work:$PATH" "$arcbox" run host $program
done
says "another processor" 126 "./foreign is a program for RISC-V, and this machine is" "$arcbox" run host ./foreign
printf '#!/no/such/python\n' >script
printf 'echo "a script: $1"\n' >plain
printf '\x00\x01\x02' >binary
chmod +x script plain binary
says "no interpreter" 127 "./script needs the interpreter /no/such/python" "$arcbox" run host ./script
same "a script without a first line" "a script: x" "$("$arcbox" run host ./plain x)"
says "nothing that runs" 126 "cannot run ./binary: Exec format error" "$arcbox" run host ./binary
says "a folder" 126 "cannot run ./: Permission denied" "$arcbox" run host ./
python3 - musl <<'P'
import struct, sys
name = b"/lib/ld-musl-x86_64.so.1\0"
own = open("/bin/true", "rb").read(64)
head = bytearray(own[:64])
struct.pack_into("<Q", head, 32, 64)      # program headers behind the head
struct.pack_into("<HH", head, 54, 56, 1)  # one of them
segment = struct.pack("<IIQQQQQQ", 3, 4, 120, 0, 0, len(name), len(name), 1)
load = b""
open(sys.argv[1], "wb").write(bytes(head) + segment + name)
P
chmod +x musl
says "built for musl" 127 "it was built for musl: build it for glibc" "$arcbox" run host ./musl
# Images that Metal's libraries cannot be loaded in: said without a container.
mkdir -p old/usr/lib/"$(uname -m)"-linux-gnu old/bin alpine/lib alpine/bin
ln -s usr/lib old/lib
printf 'GNU C Library (Debian GLIBC 2.31-13) stable release version 2.31.\n' >old/usr/lib/"$(uname -m)"-linux-gnu/libc.so.6
touch "alpine/lib/ld-musl-$(uname -m).so.1"
says "an old image" 126 "the image has glibc 2.31, and Metal's libraries need 2.34 or newer" "$arcbox" run --gpu ./old /bin/true
says "Alpine" 126 "the image has musl (Alpine), and Metal's libraries need glibc" "$arcbox" run --gpu ./alpine /bin/true
ln -s /etc/passwd alpine/lib/libc.so.6
says "links of an image lead nowhere" 126 "the image has musl" "$arcbox" run --gpu ./alpine /bin/true
# The same from the hook that container engines call.
mkdir bundle
echo "{\"root\": {\"path\": \"$work/old\"}}" >bundle/config.json
hook() { echo "{\"id\": \"x\", \"bundle\": \"$work/bundle\"}" | unshare -Urm "$arcbox" cdi-hook attach; }
says "an old image, for an engine" 126 "the image has glibc 2.31" hook
# Names that nobody can have meant.
mkdir fake debian-root
printf '#!/bin/sh\n[ "$1 $2" = "image exists" ] && exit 1\necho "podman: $*"\n' >fake/podman
chmod +x fake/podman
export PATH=$work/fake:$PATH
for name in hots hsot Host hosts hos; do
    says "$name" 125 "there is no image '$name': did you mean host?" "$arcbox" run $name true
done
says "deb" 125 "there is no image 'deb': did you mean debian?" "$arcbox" run deb true
says "debain:12" 125 "did you mean debian:12?" "$arcbox" run debain:12 true
says "a folder without its slash" 125 "the folder of that name is ./debian-root" "$arcbox" run debian-root true
for name in debian:12 localhost/hots gcc myimage; do
    case $("$arcbox" run $name true) in podman:*" $name true") pass ;; *) fail "$name is not given to podman" ;; esac
done
says "a macOS program for podman" 126 "./mach_o is a macOS program" "$arcbox" run --here debian:12 ./mach_o
finish
