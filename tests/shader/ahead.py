#!/usr/bin/env python3
"""What is fetched early lies where a later threadgroup reads: rows of 16 KB were half as fast when it
lay 16 KB on, in a row that this threadgroup reads.

    ahead.py SHADER-TOOL ahead.metal
"""
import os
import re
import subprocess
import sys
import tempfile

tool, source = sys.argv[1:]
failed = 0


def code(kernel):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "code.ll")
        subprocess.run([tool, "-q", "--target", "host", "--kernel", kernel, source], check=True,
                       env=dict(os.environ, ARCBOX_CODEGEN_VERBOSE=path))
        return open(path).read()


def check(what, right):
    global failed
    print(what + (": yes" if right else ": NO"))
    failed += not right


rows = code("rows")
fetched = re.findall(r"call void @llvm\.prefetch\.p0\(ptr (?:nonnull )?(%\w+)", rows)
check("rows are fetched early", len(fetched) >= 16)
# One place, from a computed distance, and the others a constant further.
check("at a distance that is computed", len(re.findall(r"getelementptr i8, ptr %\w+, i64 %ahead", rows)) <= 2
      and re.search(r"%ahead\d* = shl i64", rows) is not None)
# The pieces lie in rows, of which nothing is known; the next ones 128 bytes on.
tiles = code("tiles")
fetched = re.findall(r"call void @llvm\.prefetch\.p0\(ptr (?:nonnull )?(%\w+)", tiles)
further = [v for v in fetched if re.search(rf"{v} = getelementptr i8, ptr %\w+, i64 128$", tiles, re.M)]
check("what a loop's next turn reads is fetched early", len(further) >= 32)
matrices = code("matrices")
fetched = re.findall(r"call void @llvm\.prefetch\.p0\(ptr (?:nonnull )?(%\w+)", matrices)
further = [v for v in fetched if re.search(rf"{v} = getelementptr i8, ptr %\w+, i64 128$", matrices, re.M)]
check("so are rows of matrices", len(further) >= 8)
check("what all threadgroups read is not", "call void @llvm.prefetch" not in code("same"))
sys.exit(failed != 0)
