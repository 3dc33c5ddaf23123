#!/usr/bin/env bash
# `arcbox run` killed outright leaves its layer on the disk: `rm`, and the next container of the name,
# take it away with what an overlay and a container's users leave in it; nothing else is touched.
. "$(dirname "$0")/lib.sh"
export ARCBOX_LAYER_ON_DISK=1
for attacker in $(attackers); do
    become "$attacker"
    name=killed-$$-$who
    uid=$("${as[@]}" id -u) && layers=/var/tmp/arcbox-$uid
    "${as[@]}" mkdir -p outside
    echo kept | "${as[@]}" tee outside/file >/dev/null
    kill_one() {
        run run -d --name "$name" host sh -c 'mkdir -p ~/made/a/b ~/deep; cd ~/deep; for i in $(seq 300); do mkdir d-long-name-for-a-folder; cd d-long-name-for-a-folder; done; cd; echo x >~/made/a/b/file; chmod 000 ~/made/a/b ~/made/a;
            ln -s '"$PWD"'/outside ~/link; rm -rf ~/gone; echo up; exec sleep 60' >/dev/null
        for _ in $(seq 100); do [ -n "$(run logs "$name" 2>/dev/null)" ] && break; sleep 0.05; done
        kill -9 "$(sed -n 's/^supervisor=//p' "state/containers/$name/record")"
        for _ in $(seq 100); do [ -z "$(run ps -q)" ] && break; sleep 0.05; done
        sleep 0.2
    }
    "${as[@]}" mkdir -p gone
    left() { find "$layers" -maxdepth 1 -type d -name "$name*"; }
    kill_one
    [ -n "$(left)" ] && pass || fail "$who: there was no layer: the test tests nothing"
    same "$who: two of a name, in two runtime folders" "ok yes" "$(ARCBOX_RUNTIME_DIR=$home/other run run --name "$name" host echo ok) $([ -n "$(left)" ] && echo yes)"
    same "$who: rm" "$name" "$(run rm "$name")"
    same "$who: nothing is left" "" "$(left)"
    same "$who: nor of its record" "" "$(ls state/containers)"
    kill_one
    run rm "$name" >/dev/null 2>&1
    run run -d --rm --name "$name" host sh -c 'echo up; exec sleep 60' >/dev/null
    kill -9 "$(sed -n 's/^supervisor=//p' "state/containers/$name/record")"
    sleep 0.3
    run ps -a >/dev/null
    same "$who: --rm, killed: gone with the next look" "" "$(left)"
    same "$who: what its links lead to" kept "$(cat outside/file)"
    # Without a record, as when the runtime folder was cleared at the machine's start.
    kill_one
    rm -rf "state/containers/$name"
    "${as[@]}" touch -d "2 minutes ago" "$layers/$name"*/ # another's may not be locked yet
    same "$who: the name again" ok "$(run run --name "$name" host echo ok)"
    same "$who: and then gone" "" "$(left)"
done
# Another user's folder where ours is to be.
if [ "$(id -u)" = 0 ]; then
    become user
    same "a planted folder" "ok" "$(unshare -m bash -c 'mount -t tmpfs -o mode=1777 none /var/tmp
        install -d -o 12345 -m 0777 /var/tmp/arcbox-65534; ln -s /root /var/tmp/arcbox-65534.1
        shift; "$@"' - - "${as[@]}" "$arcbox" run host echo ok)"
fi
finish
