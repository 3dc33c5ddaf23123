#!/usr/bin/env python3
"""Compiles a kernel file that is already in the rewriter's form to bitcode.

Usage: compile.py CLANG FLAGS PCH INPUT OUTPUT
"""
import os
import re
import subprocess
import sys

clang, flags, pch, source, output = sys.argv[1:]
with open(flags, encoding="utf-8") as file:
    text = re.sub(r"/\*.*?\*/", "", file.read(), flags=re.S)
overlay = os.path.join(os.path.dirname(pch), "vfs.yaml")
command = [clang] + re.findall(r'"([^"]*)"', text) + [
    "-ivfsoverlay", overlay, "-include-pch", "/msl/shim.pch", "-I", "/msl/shim",
    "-c", "-emit-llvm", "-", "-o", output]
with open(source, encoding="utf-8") as program:
    sys.exit(subprocess.run(command, check=False, stdin=program).returncode)
