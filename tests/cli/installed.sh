#!/usr/bin/env bash
# What is installed, in a folder it was not configured for, used by an ordinary user who has nothing:
# compile, run with and without the GPU, a folder as the image, doctor. $2: the build folder.
. "$(dirname "$0")/lib.sh"
command -v meson >/dev/null || { skip "meson is not in the path"; exit 77; }
chmod 755 "$work"
DESTDIR=$work/tree meson install -C "$2" --no-rebuild --quiet >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
programs=$(dirname "$(find "$work/tree" -path '*/bin/arcbox')")
user=()
[ "$(id -u)" != 0 ] || user=(setpriv --reuid=65534 --regid=65534 --clear-groups)
"${user[@]}" unshare -Urm true 2>/dev/null || { skip "no sandbox for an ordinary user here"; exit 77; }
mkdir "$work/home"
[ "$(id -u)" != 0 ] || chown 65534:65534 "$work/home"
as_user() { (cd "$work/home" && "${user[@]}" env -i HOME="$work/home" ARCBOX_RUNTIME_DIR="$work/home/state" \
    PATH="$programs:/usr/bin:/bin" "$@"); }
trap 'as_user arcbox daemon stop >/dev/null; rm -rf "$work"' EXIT
as_user tee hello.m >/dev/null <<'M'
#import <Foundation/Foundation.h>
#import <Metal/Metal.h>
extern const char shader_start[], shader_end[];
int main(void)
{
    @autoreleasepool {
        NSString *text = [[NSString alloc] initWithBytes:shader_start length:shader_end - shader_start
                                                encoding:NSUTF8StringEncoding];
        id<MTLDevice> device = MTLCreateSystemDefaultDevice();
        NSError *error = nil;
        id<MTLLibrary> library = [device newLibraryWithSource:text options:nil error:&error];
        printf("%s\n", library ? device.name.UTF8String : error.localizedDescription.UTF8String);
    }
    return 0;
}
M
# A shader embedded as on a Mac: assembler for Mach-O.
echo 'kernel void f() {}' | as_user tee f.metal >/dev/null
printf '.section __DATA,__shaders\n.globl _shader_%s\n_shader_%s:\n.incbin "f.metal"\n.globl _shader_%s\n_shader_%s:\n' \
    start start end end | as_user tee f.s >/dev/null
as_user arcbox-cc -fobjc-arc hello.m f.s -framework Metal -framework Foundation -o hello || fail "arcbox-cc"
device="ArcBox CPU"
same "with the GPU" "$device" "$(as_user arcbox run --gpus device=cpu host ./hello | cut -c1-10)"
root=$work/home/root
as_user mkdir -p "$root"/{bin,etc,usr,tmp,run,proc,dev,sys}
as_user cp -L /bin/sh hello "$root/bin"
ldd /bin/sh "$work/home/hello" "$(find "$work/tree" -name libarcbox.so | head -1)" | grep -o '/[^ :]*' | grep -v "^$work" | sort -u | while read -r library; do
    as_user mkdir -p "$root$(dirname "$library")"
    as_user cp -L "$library" "$root$library"
done
same "a folder as the image" "$device" "$(as_user arcbox run --gpus device=cpu ./root /bin/hello | cut -c1-10)"
# Below /usr of the image, as it is when it is installed for the host's own root.
as_user mkdir -p "$root/usr/lib/arcbox"
as_user cp -a "$work/tree/$(cd "$work/tree" && find . -path '*/lib/arcbox/guest-root' | head -1)" "$root/usr/lib/arcbox/"
same "installed in what is shown" "$device " "$(as_user env ARCBOX_GUEST_ROOT="$root/usr/lib/arcbox/guest-root" \
    arcbox run --gpus device=cpu ./root /bin/hello 2>&1 | cut -c1-11)"
same "its exit code" 3 "$(as_user arcbox run ./root /bin/sh -c 'exit 3'; echo $?)"
same "without the GPU it is said" 1 "$(as_user env ARCBOX_SOCKET=/nowhere ./hello 2>&1 | grep -c "no GPU: /nowhere")"
as_user arcbox doctor >"$work/doctor" && pass || fail "doctor: $(cat "$work/doctor")"
same "python of the system" 3 "$(as_user arcbox run host /usr/bin/python3 -c 'print(1 + 2)')"
for file in share/man/man1/arcbox.1 share/bash-completion/completions/arcbox share/zsh/site-functions/_arcbox \
    share/fish/vendor_completions.d/arcbox.fish; do
    [ -s "$programs/../$file" ] && pass || fail "no $file"
done
finish
