#!/usr/bin/env python3
"""Elements that end in a sum over lanes stay in memory's order (lane_sums.metal says where nobody
can tell): half of what a matrix times a vector took was bringing them into lanes.

    in_order.py SHADER-TOOL lane_sums.metal
"""
import os
import subprocess
import sys
import tempfile

tool, source = sys.argv[1:]
failed = 0
# Permutations left: the sums over lanes themselves take some ten each, in two variants.
for kernel, mode, limit in (("plain", "fast", 48), ("products_of_two", "fast", 180)):
    for target in ("host", "x86-64"):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "code.ll")
            subprocess.run([tool, "-q", "-m", mode, "--target", "host", "--kernel", kernel, source], check=True,
                           stderr=subprocess.DEVNULL,
                           env=dict(os.environ, ARCBOX_CODEGEN_VERBOSE=path, ARCBOX_TARGET=target))
            text = open(path).read()
        count = text.count("= shufflevector")
        print(f"{kernel} for {target}: {count} permutations, {limit} allowed")
        failed += count > limit or "define" not in text
sys.exit(failed != 0)
