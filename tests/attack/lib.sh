# For the attack suite: what a hostile container, image or neighbour tries, one fault a file. As root
# each is tried twice: by root, and by an ordinary user.
. "$(dirname "$0")/../cli/lib.sh"
chmod 755 "$work"
user=65534
# Everything after this is run as $1, "root" or "user"; the runtime folder is its own.
become() {
    who=$1 as=()
    [ "$1" = root ] || [ "$(id -u)" != 0 ] || as=(setpriv --reuid=$user --regid=$user --clear-groups)
    home=$work/$1
    mkdir -p "$home"
    [ "${#as[@]}" = 0 ] || chown $user:$user "$home"
    export ARCBOX_RUNTIME_DIR=$home/state HOME=$home
    cd "$home" || exit 1
}
# The ones to try, in turn.
attackers() { if [ "$(id -u)" = 0 ]; then echo root user; else echo user; fi; }
# Root's container cannot own what it owns outside: docker's root file system, an overlay, where
# there is no FUSE either.
unowned() {
    [ "$(id -u)" = 0 ] && [ "$who" = root ] && [ "$(stat -f -c %T "$PWD")" = overlayfs ] || return 1
    [ ! -w /dev/fuse ] || return 1
    skip "$1: $PWD lies on an overlay, whose owners Linux cannot shift, and /dev/fuse is missing"
}
run() { "${as[@]}" "$arcbox" "$@"; }
# A small image of the host's own programs at $1, owned by whom we are.
make_image() {
    local program file library
    "${as[@]}" mkdir -p "$1"/{bin,usr,etc}
    for program in sh cat ls; do
        file=$(command -v $program)
        "${as[@]}" cp -L "$file" "$1/bin/$program"
        ldd "$file" | grep -o '/[^ ]*' | while read -r library; do
            "${as[@]}" mkdir -p "$1$(dirname "$library")"
            "${as[@]}" cp -L "$library" "$1$library"
        done
    done
    "${as[@]}" cp /etc/ld.so.cache "$1/etc/"
}
