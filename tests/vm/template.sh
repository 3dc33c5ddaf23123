#!/usr/bin/env bash
# Machines go on from a template: one is made by the first machine of a size, nothing of that one is in it,
# and what no two machines may have in common they have not.
. "$(dirname "$0")/lib.sh"
cd "$work" || exit 1
kernel=$(realpath "$XDG_CACHE_HOME/arcbox/vm/kernel")
templates() { ls "$kernel" | grep -c ^template-; }

# A kernel of this test's own, whose templates are nobody else's.
mkdir "$work/kernel" && cp "$kernel"/vmlinux "$kernel"/modules-* "$work/kernel"
kernel=$work/kernel
own() { "$arcbox" run --vm --kernel "$kernel" --memory 768m --cpus 1 "$@"; }
echo c-secret-that-is-read >secret
secret=variable-of-the-first own -e secret -v "$PWD/secret:/secret" host sh -c 'cat /secret; echo $secret' >out 2>err
same 'the machine that made it' 'c-secret-that-is-read
variable-of-the-first' "$(cat out)"
same 'templates' 1 "$(templates)"
template=$(echo "$kernel"/template-*)
[ "$(stat -c %s "$template")" -gt 800000000 ] && pass || fail "the template is no machine: $(cat err)"
# Not its own words, which are the template's too: they are in arcbox-init.
if grep -qaE 'c-secret-that-is-rea[d]|variable-of-the-fir[s]t' "$template"; then
    fail 'the first machine is in its template'
else
    pass
fi
same 'who may read it' 600 "$(stat -c %a "$template")"

# Both are of the template: their clocks are right, their random numbers their own.
ask='date +%s; cat /proc/sys/kernel/random/uuid /proc/sys/kernel/random/boot_id; head -c 16 /dev/urandom | xxd -p; nproc; sed -n "s/MemTotal: *//p" /proc/meminfo'
before=$(date +%s)
own host sh -c "$ask" >one 2>err
own host sh -c "$ask" >two 2>>err
after=$(date +%s)
for machine in one two; do
    now=$(head -1 $machine)
    [ "$now" -ge $((before - 1)) ] && [ "$now" -le $((after + 1)) ] && pass || fail "its clock: $before, $now, $after: $(cat err)"
    same 'processors' 1 "$(sed -n 5p $machine)"
done
# Behind the time, which two machines may well have in common.
same 'lines that both machines have' 2 "$(sort <(tail -n +2 one) <(tail -n +2 two) | uniq -d | wc -l)"
same 'templates' 1 "$(templates)"

# Another size has another; one that was damaged is made again; one that does not work is not tried again.
"$arcbox" run --vm --kernel "$kernel" --memory 800m --cpus 1 host true 2>>err
same 'templates of two sizes' 2 "$(templates)"
# Only those that were used last are kept, and nothing that nobody finished.
for old in 1 2 3 4 5; do touch -d "$old days ago" "$kernel/template-$old" "$kernel/.making-$old"; done
rm "$template" && own host true 2>>err
same 'templates that are kept' 4 "$(templates)"
same 'what was not finished' 0 "$(ls -A "$kernel" | grep -c making)"
rm "$kernel"/template-* && own host true 2>>err && truncate -s 100M "$template"
same 'with a damaged one' here "$(own host echo here 2>>err)"
[ "$(stat -c %s "$template")" -gt 800000000 ] && pass || fail 'it was not made again'
: >"$template"
same 'with one that does not work' here "$(own host echo here 2>>err)"
same 'which is left' 0 "$(stat -c %s "$template")"
rm "$template"
same 'without templates' here "$(ARCBOX_VM_TEMPLATES=0 own host echo here 2>>err)"
same 'none was made' 0 "$(templates)"
finish
