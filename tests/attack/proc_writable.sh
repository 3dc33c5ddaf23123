#!/usr/bin/env bash
# A container changes the kernel's settings: core_pattern is code that runs as the host's root. Only
# opened, never written.
. "$(dirname "$0")/lib.sh"
probe='
import os
bad = []
def writable(path):
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
        bad.append(path)
    except OSError:
        pass
for folder in ("sys", "irq", "bus", "acpi", "asound", "scsi", "fs"):
    for at, _, files in os.walk("/proc/" + folder):
        for name in files:
            writable(at + "/" + name)
writable("/proc/sysrq-trigger")
writable("/proc/mtrr")
for at, _, files in os.walk("/sys/kernel"):
    for name in files:
        writable(at + "/" + name)
for name in ("kcore", "keys", "timer_list", "sched_debug", "latency_stats", "kmsg"):
    try:
        with open("/proc/" + name, "rb") as f:
            if f.read(1):
                bad.append("/proc/" + name + " can be read")
    except OSError:
        pass
for name in ("firmware", "devices/virtual/powercap"):
    if os.path.isdir("/sys/" + name) and os.listdir("/sys/" + name):
        bad.append("/sys/" + name + " is not empty")
print(*bad[:5])'
for attacker in $(attackers); do
    become "$attacker"
    same "$who, host image" "" "$(run run host /usr/bin/python3 -c "$probe")"
    same "$who, core_pattern" refused "$(run run host sh -c \
        '(: 1<>/proc/sys/kernel/core_pattern) 2>/dev/null && echo open || echo refused')"
done
finish
