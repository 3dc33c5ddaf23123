#!/usr/bin/env bash
# OCI images as the root of a virtual machine: what podman has, unpacked once. The image is made here.
. "$(dirname "$0")/lib.sh"
cd "$work" || exit 1
command -v podman >/dev/null || { echo 'SKIP: podman is not installed'; exit 77; }
image=localhost/arcbox-vm-test-$$
mkdir -p root/{bin,etc,usr/bin,home} && echo 'jo:x:12:34::/home/jo:/bin/sh' >root/etc/passwd
for program in sh cat id ls stat sleep; do
    file=$(command -v $program)
    cp -L "$file" "root/bin/$program"
    ldd "$file" | grep -o '/[^ ]*' | while read -r library; do
        mkdir -p "root$(dirname "$library")"
        cp -L "$library" "root$library"
    done
done
cp /etc/ld.so.cache root/etc/
echo inside >root/etc/file && chmod 600 root/etc/file && mkdir root/etc/dev && echo dev >root/etc/dev/file
[ "$(id -u)" != 0 ] || chown 12:34 root/etc/file
tar -C root -cf root.tar .
why=$(podman import --change 'ENV A=of the image' --change 'ENV B=b' --change 'WORKDIR /work' \
    --change 'CMD ["/bin/sh", "-c", "echo \"$A, $B, $(pwd), $(id -u)\""]' root.tar "$image" 2>&1 >/dev/null) ||
    { echo "SKIP: podman import: $why"; exit 77; }
podman create --name "arcbox-$$" "$image" true >/dev/null 2>"$work/why" && podman export "arcbox-$$" >/dev/null 2>>"$work/why" ||
    { podman rmi -f "$image" >/dev/null 2>&1; echo "SKIP: podman cannot export here: $(tail -1 "$work/why")"; exit 77; }
podman rm -f "arcbox-$$" >/dev/null
trap 'podman rmi -f $image $image-2 >/dev/null 2>&1; end_daemon' EXIT

same 'what it says is run' 'of the image, mine, /work, 0' "$("$arcbox" run --vm -e B=mine "$image" 2>err)"
grep -q "unpacking $image" err && pass || fail "no word of it: $(cat err)"
"$arcbox" run --vm "$image" sh -c 'cat /etc/file /etc/dev/file; echo x >/etc/file; cat /etc/file' >out 2>err
same 'its files' 'inside dev x' "$(tr '\n' ' ' <out | sed 's/ $//')"
same 'it is unpacked once' '' "$(grep unpacking err)"
says 'no such command' 127 'no such command in the container' "$arcbox" run --vm "$image" python3
says 'no such image' 125 'podman has no image localhost/arcbox-none' "$arcbox" run --vm --pull never localhost/arcbox-none true

# Another user, an entrypoint; a machine that stays.
podman import --change 'USER jo' --change 'ENTRYPOINT ["/bin/sh", "-c"]' --change 'CMD ["echo cmd"]' root.tar "$image-2" >/dev/null 2>&1
same 'its user and entrypoint' '12:34' "$("$arcbox" run --vm "$image-2" 'echo $(id -u):$(id -g)' 2>/dev/null)"
export XDG_DATA_HOME=$work/data
"$arcbox" machine create box -m 512m --disk 64m --network none "$image" >/dev/null
same 'listed by its name' "$image" "$("$arcbox" machine ls | awk 'NR == 2 { print $NF }')"
podman rmi -f "$image" >/dev/null 2>&1
"$arcbox" machine start box >/dev/null
same 'a machine of it' 'of the image inside' "$("$arcbox" machine exec box sh -c 'echo $A $(cat /etc/file)')"
"$arcbox" machine rm -f box >/dev/null
finish
