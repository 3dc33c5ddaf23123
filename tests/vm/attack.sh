#!/usr/bin/env bash
# A hostile machine, root in it: its device answers with errors and goes on, for its other programs too,
# and another machine notices nothing, and is not seen. $3: the attacks; $4: a program with a secret;
# $5: one that computes for ever.
. "$(dirname "$0")/lib.sh"
attack=$(realpath "$3") secret=$(realpath "$4") loop=$(realpath "$5")
cd "$work" || exit 1
"$arcbox" run --vm -d --name victim -m 512m --cpus 1 --network none --gpus device=cpu -v "$secret:/secret" host /secret >/dev/null
"$arcbox" run --vm -d --name hostile -m 384m --cpus 1 --network none --gpus device=cpu -v "$attack:/attack" -v "$loop:/loop" \
    host /loop >/dev/null
for name in victim hostile; do
    for i in $(seq 600); do "$arcbox" logs $name | grep -q ready && break; sleep 0.1; done
    same "$name runs" ready "$("$arcbox" logs $name)"
done
device=$("$arcbox" inspect hostile | sed -n 's/.*"arcbox_pid": \([0-9]*\).*/\1/p' | xargs pgrep -x arcbox-vmm -P)
same 'the attacks' 'the device goes on' "$("$arcbox" exec hostile /attack 2>&1)"
[ -n "$device" ] && [ -d "/proc/$device" ] && pass || fail 'its device has ended'
same 'the other program in it' ready "$("$arcbox" logs hostile)"
"$arcbox" exec hostile /attack scan >out 2>&1
same 'a scan of all memory' 'the device goes on' "$(tail -1 out)"
[ "$(sed -n 's/ MiB scanned//p' out | head -1)" -ge 300 ] && pass || fail "it scanned too little: $(cat out)"
same 'the other machine' ready "$("$arcbox" logs victim)"
"$arcbox" stop -t 1 hostile victim >/dev/null
finish
