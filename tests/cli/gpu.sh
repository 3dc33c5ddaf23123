#!/usr/bin/env bash
# Containers with the GPU: the device, the libraries' names, tenants, doctor; also through podman and
# a CDI description, where podman can run. $2: arcbox-kernel-check. $3: tests/metal/lost.m, maybe.
. "$(dirname "$0")/lib.sh"
kernel=$(realpath "$2")
trap '"$arcbox" daemon stop >/dev/null; rm -rf "$work"' EXIT
same "daemon not running" 3 "$("$arcbox" daemon status >/dev/null; echo $?)"
right="4096 sums right"
same "a kernel" "$right" "$("$arcbox" run --gpus device=cpu -v "$kernel:/kernel:ro" host /kernel | cut -c1-15)"
same "it started the daemon" 0 "$("$arcbox" daemon status >/dev/null; echo $?)"
same "processor instead of a GPU is said" 1 \
    "$("$arcbox" run --gpu host true 2>&1 | grep -c "^arcbox: no GPU that ArcBox can use here")"
same "without --gpu there is none" 1 "$("$arcbox" run -v "$kernel:/kernel:ro" host /kernel >/dev/null; echo $?)"
same "found by name" libobjc.so.228 \
    "$("$arcbox" run --gpus device=cpu host python3 -c 'import ctypes.util; print(ctypes.util.find_library("objc"))')"
# Our package for PyTorch, where it was built: behind the user's own folders, and with a GPU alone.
if [ -d "$(dirname "$arcbox")/../../guest-root/usr/lib/arcbox/python" ]; then
    python_path() { "$arcbox" run "$@" host printenv PYTHONPATH; }
    same "Python's packages" /usr/lib/arcbox/python "$(python_path --gpus device=cpu)"
    same "Python's packages, behind others" /mine:/usr/lib/arcbox/python \
        "$(python_path --gpus device=cpu -e PYTHONPATH=/mine)"
    same "no packages without a GPU" /mine "$(python_path -e PYTHONPATH=/mine)"
fi
same "without overlays too" "$right" \
    "$(ARCBOX_NO_OVERLAY=1 "$arcbox" run --gpus device=cpu -v "$kernel:/tmp/kernel:ro" host /tmp/kernel 2>/dev/null | cut -c1-15)"
threads() { "$arcbox" gpu --format json | python3 -c '
import json, sys
print([t["threads"] for t in json.load(sys.stdin)["tenants"] if t["name"] == sys.argv[1]][0])' "$1"; }
"$arcbox" run -d --name all --gpus device=cpu host sleep 60 >/dev/null
"$arcbox" run -d --name three --cpus 2.5 --gpus device=cpu -v "$kernel:/kernel:ro" host \
    sh -c '/kernel; exec sleep 60' >/dev/null
same "threads: all processors" "$(nproc)" "$(threads all)"
same "threads: as many as were asked for" 3 "$(threads three)"
for _ in $(seq 100); do [ -n "$("$arcbox" logs three)" ] && break; sleep 0.1; done
same "they work" "$right" "$("$arcbox" logs three | cut -c1-15)"
"$arcbox" rm -f all three >/dev/null
says "a time limit that is none" 125 "expected a number of milliseconds" \
    env ARCBOX_TIME_LIMIT_MS=10s "$arcbox" run --gpus device=cpu host true
[ -z "${3:-}" ] || same "its own time limit" 0 "$(ARCBOX_TIME_LIMIT_MS=500 "$arcbox" run --gpus device=cpu \
    -v "$3:/lost:ro" host /lost forever >"$work/lost" 2>&1; echo $?)"
"$arcbox" run -d --name tenant --gpus device=null host sleep 60 >/dev/null
same "tenant listed" "null" "$("$arcbox" gpu --format json | python3 -c '
import json, sys
print([t["backend"] for t in json.load(sys.stdin)["tenants"] if t["name"] == "tenant"][0])')"
"$arcbox" stop -t 1 tenant >/dev/null
same "tenant gone" "0" "$("$arcbox" gpu --format json | python3 -c '
import json, sys
print(len(json.load(sys.stdin)["tenants"]))')"
same "devices" "cpu null" "$("$arcbox" gpu --format json | python3 -c '
import json, sys
print(*(d["backend"] for d in json.load(sys.stdin)["devices"]))')"
says "unknown device" 125 "unknown device 'tpu'; there are: 0 cpu" "$arcbox" run --gpus device=tpu host true
if [ ! -e /dev/nvidiactl ]; then
    says "no NVIDIA GPU" 125 "device=cuda: there is no NVIDIA GPU here" "$arcbox" run --gpus device=cuda host true
    daemon=$(dirname "$arcbox")/../host/arcboxd
    [ ! -x "$daemon" ] || same "the daemon says it, too" 1 \
        "$("$daemon" --backend cuda 2>&1 | grep -c "backend cuda: there is no NVIDIA GPU here")"
fi
says "too many devices" 125 "9 devices asked for, 1 there" "$arcbox" run --gpus count=9 host true
same "doctor" 0 "$("$arcbox" doctor >"$work/doctor"; echo $?)"
grep -q "^ok *kernel run *$right" "$work/doctor" && pass || fail "doctor: $(cat "$work/doctor")"
"$arcbox" cdi generate --output - | python3 -c '
import json, sys
spec = json.load(sys.stdin)
assert spec["kind"] == "arcbox.dev/gpu" and spec["devices"][0]["name"] == "all"
assert any(m["containerPath"] == "/usr/lib/libSystem.dylib" for m in spec["containerEdits"]["mounts"])
' && pass || fail "cdi generate"

# Without arcbox run: through a description that podman finds.
podman_alone() {
    description=/run/cdi/arcbox-test-$$.json
    mkdir -p /run/cdi
    "$arcbox" cdi generate --output $description >/dev/null
    chmod 711 "$work" # as the folders above a runtime folder are
    same "root of its own users" "$right" "$(podman run --rm --device arcbox.dev/gpu=all \
        --ulimit nofile=512:512 --ulimit nproc=512:512 --network none --uidmap 0:100000:65536 \
        "$1" /bin/kernel | cut -c1-15)"
    same "podman alone" "$right" "$(podman run --rm --device arcbox.dev/gpu=all \
        --ulimit nofile=512:512 --ulimit nproc=512:512 --network none "$1" /bin/kernel | cut -c1-15)"
}
# Python's folder of ours comes behind what the image or the user has, for `exec`, too.
python_part() {
    local image=$1 ours=/usr/lib/arcbox/python path='echo $PYTHONPATH'
    [ -d "$(dirname "$arcbox")/../../guest-root$ours" ] || { skip "no packages for Python were built"; return; }
    same "PYTHONPATH of an image" /of/image:$ours \
        "$("$arcbox" run --network none --gpus device=cpu "$image" /bin/sh -c "$path")"
    same "PYTHONPATH of the user" /mine:$ours \
        "$("$arcbox" run --network none -e PYTHONPATH=/mine --gpus device=cpu "$image" /bin/sh -c "$path")"
    same "PYTHONPATH without a GPU" /of/image "$("$arcbox" run --network none "$image" /bin/sh -c "$path")"
    "$arcbox" run -d --name path --network none --gpus device=cpu "$image" /bin/sh -c 'while :; do /bin/kernel; done' >/dev/null
    same "PYTHONPATH in exec" /of/image:$ours "$("$arcbox" exec path /bin/sh -c "$path")"
    "$arcbox" rm -f path >/dev/null
    "$arcbox" run --network none --gpus device=cpu localhost/arcbox-no-such-$$ true 2>/dev/null
    same "an image that cannot be had" 125 $?
}
podman_part() {
    command -v podman >/dev/null || { skip "podman is not installed"; return; }
    [ "$(id -u)" = 0 ] || { skip "a CDI description is installed by root"; return; }
    local image=localhost/arcbox-gpu-test-$$ root=$work/root why
    mkdir -p "$root"/{bin,etc,usr,tmp,run,proc,dev,sys}
    cp "$kernel" "$root/bin/kernel"
    ldd "$kernel" /bin/sh "$(dirname "$arcbox")/../../guest-root/usr/lib/"*-linux-gnu/libarcbox.so.0 |
        grep -o '/[^ :]*' | grep '^/lib' | sort -u | while read -r library; do
        mkdir -p "$root$(dirname "$library")"
        cp -L "$library" "$root$library"
    done
    cp /bin/sh "$root/bin/"
    cp /etc/ld.so.cache "$root/etc/"
    why=$(tar -C "$root" -c . | podman import -c "ENV PYTHONPATH=/of/image" - "$image" 2>&1 >/dev/null) ||
        { skip "podman import: $why"; return; }
    if why=$("$arcbox" run --network none "$image" /bin/sh -c : 2>&1); then
        same "OCI image" "$right" "$("$arcbox" run --network none --gpus device=cpu "$image" /bin/kernel | cut -c1-15)"
        python_part "$image"
        same "many at once" "24 $right" "$(for i in $(seq 24); do
            "$arcbox" run --network none --gpus device=cpu "$image" /bin/kernel 2>&1 | cut -c1-15 &
        done | sort | uniq -c | sed 's/^ *//')"
        "$arcbox" run -d --name five --cpus 5 --network none --gpus device=cpu "$image" /bin/sh -c 'while :; do /bin/kernel; done' >/dev/null
        same "its threads" 5 "$("$arcbox" gpu --format json | python3 -c '
import json, sys
print(*(t["threads"] for t in json.load(sys.stdin)["tenants"]))')"
        "$arcbox" rm -f five >/dev/null
        if grep -ls '"arcbox.dev/gpu"' /etc/cdi/*.json /run/cdi/*.json; then
            skip "podman alone: this machine describes arcbox.dev/gpu already, for another ArcBox"
        else
            podman_alone "$image"
        fi
        same "its tenants are gone" 0 "$("$arcbox" gpu --format json | python3 -c '
import json, sys
print(len(json.load(sys.stdin)["tenants"]))')"
    else
        skip "podman cannot run here: $why"
    fi
    rm -f "${description-}"
    podman rmi -f "$image" >/dev/null 2>&1
}
podman_part
finish
