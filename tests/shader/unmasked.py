#!/usr/bin/env python3
"""Accesses that all lanes make are compiled without masks: gathers under masks are what made a kernel
of attention twenty times as slow as it can be.

    unmasked.py SHADER-TOOL unmasked.metal
"""
import os
import re
import subprocess
import sys
import tempfile

tool, source = sys.argv[1:]
# Each kernel's accesses to device memory under a mask that are allowed.
ALLOWED = {"meets_with_one_value": 0}

failed = 0
for kernel, allowed in ALLOWED.items():
    with tempfile.TemporaryDirectory() as folder:
        code = os.path.join(folder, "code.ll")
        subprocess.run([tool, "-q", "--target", "host", "--kernel", kernel, source], check=True,
                       env=dict(os.environ, ARCBOX_CODEGEN_VERBOSE=code))
        text = open(code).read()
    # Those of a threadgroup that ends inside a SIMD-group are for its last one only.
    masked = len(re.findall(r"= call .*@llvm\.masked\.gather.*<\d+ x i1> %(?!inside)", text))
    print(f"{kernel}: {masked} gathers under masks, {allowed} allowed")
    failed += masked > allowed or "define" not in text
sys.exit(failed != 0)
