#!/usr/bin/env bash
# What NVIDIA's management library says, in gpu and doctor. $2: one that is made up, of two cards.
. "$(dirname "$0")/lib.sh"
trap '"$arcbox" daemon stop >/dev/null; rm -rf "$work"' EXIT
same "no library, no cards" "[]" \
    "$(LD_LIBRARY_PATH= "$arcbox" gpu --format json | python3 -c 'import json, sys; print(json.load(sys.stdin)["cards"])')"
export LD_LIBRARY_PATH=$(dirname "$2")
same "two cards" 2 "$("$arcbox" gpu | grep -c "^Fake GPU")"
same "a line" "Fake GPU 1: 1024 of 65536 MiB used, 1500 MHz (memory 3200), 123 of 700 W, 41 degrees, 0 % busy" \
    "$("$arcbox" gpu | grep "^Fake GPU 1")"
same "throttled" "throttled: power, temperature" "$("$arcbox" gpu | grep -o "throttled.*")"
same "as JSON" "0000:02:00.0 2147483648 power, temperature" "$("$arcbox" gpu --format json | python3 -c '
import json, sys
c = json.load(sys.stdin)["cards"][1]
print(c["bus"], c["memory_used"], c["throttled"])')"
same "doctor" 2 "$("$arcbox" doctor 2>/dev/null | grep -c "Fake GPU")"
finish
