#!/usr/bin/env python3
"""Compiles a C++ file with the shim and the front end's flags to an object.

Usage: compile_probe.py CLANG FLAGS PCH INPUT OUTPUT
"""
import os
import re
import subprocess
import sys

clang, flags, pch, source, output = sys.argv[1:]
with open(flags, encoding="utf-8") as file:
    options = re.findall(r'"([^"]*)"', re.sub(r"/\*.*?\*/", "", file.read(), flags=re.S))
at = options.index("-disable-llvm-passes")
del options[at - 1:at + 1]
command = [clang] + options + ["-ivfsoverlay", os.path.join(os.path.dirname(pch), "vfs.yaml"),
                               "-include-pch", "/msl/shim.pch", "-w", "-c", "-", "-o", output]
with open(source, encoding="utf-8") as program:
    sys.exit(subprocess.run(command, check=False, stdin=program).returncode)
