#!/usr/bin/env bash
# An image sets its own limits: annotations of an image become its containers', and the hook of
# container engines reads them. Two containers whose long names begin alike have one tenant.
. "$(dirname "$0")/lib.sh"
trap '"$arcbox" daemon stop >/dev/null 2>&1; rm -rf "$work"' EXIT
become root
hook() { echo "$2" | "$arcbox" cdi-hook "$1" null; }
tenants() { "$arcbox" gpu --format json | python3 -c '
import json, sys
print(*(t["threads"] for t in json.load(sys.stdin)["tenants"]))'; }
hook start '{"id": "evil", "annotations": {"dev.arcbox.cpus": "3", "dev.arcbox.time-limit-ms": "4000000",
    "dev.arcbox.limits": "../../limits"}}' || fail "the hook"
same "its own number of threads" "$(nproc)" "$(tenants)"
name=a-name-as-long-as-the-names-that-people-give-to-their-containers
hook start "{\"id\": \"$name-one\"}"
hook start "{\"id\": \"$name-two\"}"
hook start '{"id": "caf\u00e9 \ud83d\ude80"}' || fail "a name with escapes of JSON"
same "a tenant each" 4 "$(tenants | wc -w)"
same "a program from the environment" "" "$(ARCBOX_RUNTIME_DIR=$PWD/other; mkdir other
    printf '#!/bin/sh\ntouch %s/ran\n' "$PWD" >daemon; chmod +x daemon
    echo '{"id": "x"}' | ARCBOXD=$PWD/daemon "$arcbox" cdi-hook start null >/dev/null 2>&1
    ARCBOX_RUNTIME_DIR=$PWD/other "$arcbox" daemon stop >/dev/null; ls ran 2>/dev/null)"
finish
