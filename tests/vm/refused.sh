#!/usr/bin/env bash
# What is missing for a virtual machine is said in one line, before anything starts.
. "$(dirname "$0")/lib.sh"
cd "$work" || exit 1
mkdir -p old none some
ln -s "$(command -v qemu-system-x86_64)" some/
printf '#!/bin/sh\necho "QEMU emulator version 7.2.1 (Debian)"\n' >old/qemu-system-x86_64
chmod +x old/qemu-system-x86_64
says 'no QEMU' 125 'QEMU is not installed: apt install' env PATH="$work/none" "$arcbox" run --vm host true
says 'an old QEMU' 125 'QEMU 7.2.1 is too old' env PATH="$work/old:$PATH" "$arcbox" run --vm host true
says 'no kernel' 125 'arcbox vm setup' env XDG_CACHE_HOME="$work/none" "$arcbox" run --vm host true
says 'too much memory' 125 'MiB for the virtual machine, and there are' "$arcbox" run --vm -m 9999g host true
says 'too little memory' 125 'needs 256 MiB at least' "$arcbox" run --vm -m 10m host true
says 'a mount of nothing' 125 '/no/such' "$arcbox" run --vm -v /no/such:/data host true
says 'an OCI image without podman' 125 'OCI images need podman' env PATH="$work/some" "$arcbox" run --vm debian:12 true
says 'no such command' 127 'no-such-command: no such command in the container' "$arcbox" run --vm host no-such-command
says 'no such program' 127 '/no/such: no such command in the container' "$arcbox" run --vm host /no/such
says 'no package' 125 'no-such.deb' "$arcbox" vm setup "$work/no-such.deb"
says 'no kernel in it' 125 'holds no kernel' "$arcbox" vm setup "$work"
says 'no such kernel' 125 'no such kernel is set up' "$arcbox" run --vm --kernel 1.2.3 host true
says 'a kernel without a machine' 125 "a container has this system's kernel" "$arcbox" run --kernel 1.2.3 host true
finish
