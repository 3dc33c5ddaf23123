#!/usr/bin/env bash
# An image's links lead to files of the host's, which are then written: where `arcbox run` puts files,
# makes mount targets and mounts; where the hook of container engines does.
. "$(dirname "$0")/lib.sh"
trap 'for at in "$work"/*/; do ARCBOX_RUNTIME_DIR=$at/state "$arcbox" daemon stop >/dev/null 2>&1; done; rm -rf "$work"' EXIT
prepare() {
    local file
    rm -rf victim image
    "${as[@]}" mkdir -p victim/sub victim/cache.d
    for file in hosts resolv.conf ld.so.cache cache file; do
        "${as[@]}" sh -c "echo $file >victim/$file"
    done
    before=$(state)
    make_image "$PWD/image"
}
state() { (cd victim && find . -printf '%p %y %s %T@ %l\n' | sort && sha256sum $(find . -type f | sort)); }
link() { # TARGET NAME
    rm -rf "image/$2"
    "${as[@]}" ln -s "$1" "image/$2"
}
unharmed() { # NAME, after what was done
    if [ "$before" = "$(state)" ]; then pass; else
        fail "$who, $1: the host's files are others: $(diff <(echo "$before") <(state) | tr '\n' ';' | cut -c1-200)"
    fi
}
try() { run run "$@" >"$work/said" 2>&1 </dev/null; }
for attacker in $(attackers); do
    become "$attacker"
    "${as[@]}" mkdir -p given
    for to in "$PWD/victim" "../../../../../../../../$PWD/victim" "/oldroot$PWD/victim" "/proc/self/cwd/victim"; do
        for name in etc run proc dev sys tmp .arcbox .arcbox-ldconfig; do
            prepare
            link "$to" "$name"
            try --gpus device=null "$PWD/image" /bin/sh -c :
            unharmed "$name is a link to $to"
        done
        prepare
        link "$to" data
        try -v "$PWD/given:/data/new" -v "$PWD/given:/data/sub" -v /etc/passwd:/data/passwd "$PWD/image" /bin/sh -c :
        unharmed "a mount below a link to $to"
    done
    for file in hosts hosts.arcbox resolv.conf resolv.conf.arcbox ld.so.cache.arcbox; do
        prepare
        link "$PWD/victim/file" "etc/$file"
        try --gpus device=null "$PWD/image" /bin/sh -c :
        unharmed "etc/$file is a link"
    done
    prepare
    link "$PWD/victim" .arcbox
    ARCBOX_NO_OVERLAY=1 try --gpus device=null "$PWD/image" /bin/sh -c :
    unharmed ".arcbox is a link, without overlays"
    # A link that stays inside is as good as ever.
    prepare
    "${as[@]}" mv image/etc image/usr/etc
    link usr/etc etc
    link usr data
    unowned "$who, links inside" || same "$who, links inside" "127.0.1.1 seen" "$(run run -v "$PWD/victim:/data/x" --hostname itself "$PWD/image" \
        /bin/sh -c 'while read -r a b; do [ "$b" != itself ] || echo $a seen; done </etc/hosts; test -e /usr/x/hosts || echo not mounted' 2>/dev/null)"
done
# The hook, as an engine calls it: in a mount name space of the container's.
for attacker in $(attackers); do
    become "$attacker"
    "${as[@]}" unshare -Urm true 2>/dev/null || { skip "no name spaces for the hook: $who"; continue; }
    space=(unshare -m)
    [ "$who" = root ] || space=(unshare -Urm)
    "${as[@]}" mkdir -p state/tenants/{oci-evil,oci-evil-$(printf evil | sha256sum | cut -c1-32)} bundle
    attach() {
        echo "{\"root\": {\"path\": \"$PWD/image\"}}" | "${as[@]}" tee bundle/config.json >/dev/null
        echo "{\"id\": \"evil\", \"bundle\": \"$PWD/bundle\"}" | "${as[@]}" "${space[@]}" "$arcbox" cdi-hook attach >"$work/said" 2>&1
    }
    for name in run etc .arcbox-ldconfig; do
        prepare
        link "$PWD/victim" "$name"
        attach
        unharmed "hook: $name is a link"
    done
    prepare
    "${as[@]}" mkdir -p image/run
    link "$PWD/victim/sub/made" run/arcbox
    attach
    unharmed "hook: run/arcbox is a link"
    for file in ld.so.cache ld.so.cache.9 ld.so.cache.arcbox; do
        prepare
        link "$PWD/victim/file" "etc/$file"
        attach
        unharmed "hook: etc/$file is a link"
    done
    prepare
    echo "{\"id\": \"evil\", \"bundle\": \"$PWD/bundle\"}" | "${as[@]}" "${space[@]}" sh -c \
        'mount --bind victim image/etc && exec "$0" cdi-hook attach' "$arcbox" >"$work/said" 2>&1
    unharmed "hook: a folder of the host's is mounted on etc"
    prepare
    same "$who, the hook does its work" 0 "$(attach; echo $?)"
done
finish
