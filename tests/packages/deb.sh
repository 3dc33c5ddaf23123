#!/usr/bin/env bash
# The Debian packages, as `make deb` builds them of what is committed, installed, used and removed in a
# throw-away root: an overlay on this system's. Needs root. $1: the source folder; $2: packages that
# are there already.
set -u
source=$(realpath "$1")
[ "$(id -u)" = 0 ] || { echo "SKIP: not root"; exit 77; }
command -v dpkg-buildpackage >/dev/null || { echo "SKIP: no dpkg-buildpackage"; exit 77; }
git -C "$source" rev-parse HEAD >/dev/null 2>&1 || { echo "SKIP: not a checkout"; exit 77; }
packages=${2:-$source/build-deb}
[ -n "${2:-}" ] || make -s -C "$source" deb || exit 1
inner() {
    set -eu
    root=$(mktemp -d)
    mount -t tmpfs none "$root"
    mkdir "$root"/{upper,work,root}
    mount -t overlay -o "lowerdir=/,upperdir=$root/upper,workdir=$root/work" none "$root/root"
    cd "$root/root"
    for folder in proc sys dev; do mount --rbind /$folder $folder; done
    for folder in tmp run var/tmp; do mount -t tmpfs none $folder; chmod 1777 $folder; done
    mkdir tmp/packages
    cp "$1"/*.deb tmp/packages
    mkdir tmp/old
    pivot_root . tmp/old # and no chroot, in which the kernel makes no user name space
    umount -l /tmp/old
    cd /
    /bin/sh -eu <<'S'
# Not those that a build of this system's brings; arcbox's dependencies are not asked of the network.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
dpkg -i --force-depends /tmp/packages/*.deb
arcbox version
man -w arcbox
for file in /usr/share/bash-completion/completions/arcbox /usr/share/zsh/site-functions/_arcbox \
    /usr/lib/systemd/user/arcbox.socket /usr/lib/systemd/system/arcbox-cdi.path; do test -s "$file"; done
grep -q "^ExecStart=/usr/libexec/arcbox/arcboxd" /usr/lib/systemd/user/arcbox.service
test -x /usr/libexec/arcbox/arcboxd
test "$(arcbox help metal MTLDevice | head -1)" = "MTLDevice (Metal)"
mkdir /tmp/here
chown 65534:65534 /tmp/here
cd /tmp/here
as_user() { setpriv --reuid=65534 --regid=65534 --clear-groups env HOME=/tmp/here "$@"; }
printf '#import <Foundation/Foundation.h>\n#import <Metal/Metal.h>\nint main(void) { @autoreleasepool { puts(MTLCreateSystemDefaultDevice().name.UTF8String); } }\n' >name.m
as_user arcbox-cc -fobjc-arc name.m -framework Metal -framework Foundation -o name
as_user arcbox run --gpus device=cpu host ./name | grep "ArcBox CPU"
as_user arcbox daemon stop
cd /
dpkg -r arcbox arcbox-guest
test -z "$(find /usr -name '*arcbox*' -newer /tmp/packages | head -3)"
S
    echo "installed, used and removed"
}
export -f inner
unshare -m --propagation private bash -c 'inner "$1"' - "$packages"
