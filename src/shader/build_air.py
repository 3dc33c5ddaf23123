#!/usr/bin/env python3
"""Compiles air/runtime.cc to bitcode, as a program's source is compiled.

Usage: build_air.py CLANG FLAGS PCH INPUT OUTPUT
"""
import os
import re
import subprocess
import sys


def main():
    if len(sys.argv) != 6:
        sys.exit("usage: build_air.py CLANG FLAGS PCH INPUT OUTPUT")
    clang, flags, pch, source, output = sys.argv[1:]
    with open(flags, encoding="utf-8") as file:
        options = re.findall(r'"([^"]*)"', re.sub(r"/\*.*?\*/", "", file.read(), flags=re.S))
    overlay = os.path.join(os.path.dirname(pch), "vfs.yaml")
    with open(source, "rb") as file:
        subprocess.run([clang] + options + ["-ivfsoverlay", overlay, "-include-pch",
                                            "/msl/shim.pch", "-c", "-emit-llvm", "-o", output, "-"],
                       stdin=file, check=True)


main()
