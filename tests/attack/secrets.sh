#!/usr/bin/env bash
# Secrets of the user's: variables in command lines that every user can read, the caller's whole
# environment, keys in hidden files of homes, the system's own, sockets without a file, the socket's
# folder, what another user put where the runtime folder is to be.
# A home in /tmp or /var/tmp is not seen at all.
for folder in /srv "$(dirname "$1")" "$HOME"; do
    case $(realpath "$folder")/ in /tmp/* | /var/tmp/*) continue ;; esac
    [ -w "$folder" ] && export TMPDIR=$folder && break
done
. "$(dirname "$0")/lib.sh"
unset TMPDIR
chmod 1777 "$work"
cleanup() { for at in "$work"/*/state; do ARCBOX_RUNTIME_DIR=$at "$arcbox" daemon stop >/dev/null 2>&1; done; rm -rf "$work"; }
trap cleanup EXIT
for attacker in $(attackers); do
    become "$attacker"
    # command lines
    echo "FILED=filed-$$" >variables
    chmod 644 variables
    SECRET=whisper-$$ HIDDEN=caller-$$ run run -d --name lines -e PASSWORD=word-$$ -e SECRET --env-file variables \
        host sh -c 'echo "$PASSWORD $SECRET $FILED"; exec sleep 60' >/dev/null
    for _ in $(seq 100); do run logs lines 2>/dev/null | grep -q whisper && break; sleep 0.05; done
    same "$who: they arrive" "word-$$ whisper-$$ filed-$$" "$(run logs lines | grep -v '^arcbox: ')"
    same "$who: and stand in no command line" "" "$(cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\0' '\n' |
        grep -E "^(PASSWORD=)?([w]ord|[w]hisper|[c]aller|[f]iled)-$$|[H]IDDEN=")"
    run rm -f lines >/dev/null
    # the environment
    same "$who: only what was meant" "|given" "$(API_TOKEN=x GIVEN=given run run -e GIVEN host sh -c 'echo "$API_TOKEN|$GIVEN"')"
    same "$who: a short list" "" "$(AWS_SECRET_ACCESS_KEY=x GITHUB_TOKEN=x SSH_AUTH_SOCK=x XAUTHORITY=x run run host env |
        cut -d= -f1 | grep -vxE 'ARCBOX_.*|COLORTERM|CONDA_PREFIX|HOME|LANG|LANGUAGE|LC_.*|LOGNAME|NO_COLOR|PATH|PWD|SHELL|TERM|TZ|USER|VIRTUAL_ENV|container|_|OLDPWD|SHLVL')"
    # hidden files
    for folder in .ssh .gnupg .aws .config/gcloud .docker .kube .mozilla .secret-tool .local/share/keyrings .config/work; do
        "${as[@]}" mkdir -p "$folder"
        echo key | "${as[@]}" tee "$folder/key" >/dev/null
    done
    for file in .netrc .git-credentials .pgpass .bash_history .cargo/credentials.toml .bashrc .local/bin/tool; do
        "${as[@]}" mkdir -p "$(dirname "$file")"
        echo key | "${as[@]}" tee "$file" >/dev/null
    done
    "${as[@]}" mkdir -p work
    see() { (cd work && run run "$@" host sh -c 'cd "$HOME"; find . -type f -path "*/.*" -size +0 2>/dev/null | grep -v "^./state\|^./.cache" | sort | tr "\n" " "'); }
    same "$who: hidden files" "./.bashrc ./.local/bin/tool " "$(see)"
    same "$who: without overlays" "./.bashrc ./.local/bin/tool " "$(ARCBOX_NO_OVERLAY=1 see 2>/dev/null)"
    same "$who: unless mounted" "./.bashrc ./.config/gcloud/key ./.local/bin/tool ./.netrc ./.ssh/key " \
        "$(see -v "$home/.ssh:$home/.ssh:ro" -v "$home/.netrc:$home/.netrc" -v "$home/.config/gcloud:$home/.config/gcloud")"
    same "$who: or worked in" "key no" "$(cd .config/work && run run host sh -c 'echo $(cat key) $(test -e ../gcloud || echo no)')"
    "${as[@]}" ln -sfn "$home" "$work/$who-link"
    same "$who: or worked in, by a link to the home" "key no" "$(export HOME=$work/$who-link; cd "$HOME/.config/work" &&
        run run host sh -c 'echo $(cat key) $(test -e ../gcloud || echo no)')"
    same "$who: tools in \$PATH" "key" "$(PATH=$home/.secret-tool:$PATH run run host cat "$home/.secret-tool/key")"
    same "$who: its own file there" written "$(run run host sh -c 'mkdir -p ~/.config/x && echo written >~/.config/x/y && cat ~/.config/x/y')"
    same "$who: the system's keys" "" "$(run run host sh -c 'cat /etc/shadow /etc/gshadow /etc/ssh/*_key' 2>/dev/null)"
    # sockets without a file: the network's, not the container's
    /usr/bin/python3 -c '
import socket, sys, time
s = socket.socket(socket.AF_UNIX); s.bind("\0arcbox-attack-" + sys.argv[1]); s.listen(); time.sleep(30)' "$$-$who" &
    listener=$!
    sleep 0.3
    if python3 -c 'import ctypes, sys; sys.exit(ctypes.CDLL(None).syscall(444, None, 0, 1) < 6)'; then
        same "$who: sockets without a file" refused "$(run run host /usr/bin/python3 -c '
import socket, sys
s = socket.socket(socket.AF_UNIX)
try: s.connect("\0arcbox-attack-" + sys.argv[1]); print("connected")
except PermissionError: print("refused")' "$$-$who")"
        same "$who: its own" connected "$(run run host /usr/bin/python3 -c '
import socket
a, b = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
a.bind("\0own"); a.listen(); b.connect("\0own"); print("connected")')"
    else
        skip "this kernel cannot close them off (Linux 6.12)"
    fi
    kill $listener
    wait $listener 2>/dev/null
    same "$who: the socket's folder" refused "$(run run --gpus device=null host sh -c '
        { rm -f /run/arcbox/gpu.sock || (: >/run/arcbox/planted); } 2>/dev/null && echo written || echo refused')"
done
# another user's folder where ours is to be
if [ "$(id -u)" = 0 ]; then
    same "another's runtime folder" "refused" "$(unshare -m bash -c '
        mount -t tmpfs -o mode=1777 none /tmp
        unset ARCBOX_RUNTIME_DIR XDG_RUNTIME_DIR
        export HOME=/nonexistent
        install -d -o 12345 -m 0777 /tmp/arcbox-65534
        setpriv --reuid=12345 --clear-groups /usr/bin/python3 -c "
import os, socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.bind(\"/tmp/arcbox-65534/control.sock\"); os.chmod(\"/tmp/arcbox-65534/control.sock\", 0o777); s.listen(); s.settimeout(10)
s.accept()[0].recv(4096); open(\"/tmp/arcbox-65534/caught\", \"w\")" 2>/dev/null &
        for _ in $(seq 100); do [ -S /tmp/arcbox-65534/control.sock ] && break; sleep 0.05; done
        sleep 0.2
        setpriv --reuid=65534 --clear-groups timeout 5 "$1" gpu >/tmp/said 2>&1
        setpriv --reuid=65534 --clear-groups timeout 5 "$1" daemon status >/tmp/said 2>&1
        sleep 0.2; [ -e /tmp/arcbox-65534/caught ] && echo caught || echo refused; kill %1 2>/dev/null' - "$arcbox")"
fi
finish
