#!/usr/bin/env python3
"""Elements that end in a sum over lanes stay in memory's order (lane_sums.metal says where nobody
can tell): half of what a matrix times a vector took was bringing them into lanes.

And what is loaded and made wider waits for its use in memory, not in registers of which there are too
few.

    in_order.py SHADER-TOOL lane_sums.metal ahead.metal
"""
import os
import re
import subprocess
import sys
import tempfile

tool, source, rows = sys.argv[1:]
failed = 0


def code(kernel, source, target):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "code.ll")
        subprocess.run([tool, "-q", "-m", "fast", "--target", "host", "--kernel", kernel, source], check=True,
                       stderr=subprocess.DEVNULL,
                       env=dict(os.environ, ARCBOX_CODEGEN_VERBOSE=path, ARCBOX_TARGET=target))
        return open(path).read()


# Permutations left: the sums over lanes themselves take some ten each, in two variants.
for kernel, limit in (("plain", 56), ("products_of_two", 180), ("packed_by_two", 220), ("packed_by_four", 160)):
    for target in ("host", "x86-64"):
        text = code(kernel, source, target)
        count = text.count("= shufflevector")
        print(f"{kernel} for {target}: {count} permutations, {limit} allowed")
        failed += count > limit or "define" not in text
lines = [line for line in code("rows", rows, "x86-64").splitlines() if "@llvm.prefetch" not in line]
far = wide = 0
for i, line in enumerate(lines):
    made = re.match(r"  (%\w+) = fpext <32 x half>", line)
    if made:
        wide += 1
        far += not any(re.search(made[1] + r"\b", later) for later in lines[i + 1:i + 4])
print(f"rows for x86-64: {wide} conversions, {far} of them far from their use")
failed += far > 0 or wide < 16
sys.exit(failed != 0)
