#!/usr/bin/env python3
"""Writes version_gen.h: a hash of everything in this folder that decides what the compiler makes, and
of clang's version. Usage: gen_version.py CLANG SOURCE_FOLDER OUTPUT
"""
import hashlib
import os
import subprocess
import sys


def main():
    if len(sys.argv) != 4:
        sys.exit("usage: gen_version.py CLANG SOURCE_FOLDER OUTPUT")
    clang, source, output = sys.argv[1:]
    digest = hashlib.sha256(subprocess.run([clang, "--version"], check=True,
                                           capture_output=True).stdout)
    for folder, folders, names in os.walk(source):
        folders.sort()
        for name in sorted(names):
            path = os.path.join(folder, name)
            digest.update(os.path.relpath(path, source).encode())
            with open(path, "rb") as file:
                digest.update(file.read())
    with open(output, "w", encoding="ascii") as out:
        out.write('#define ABX_SHADER_SOURCES "%s"\n' % digest.hexdigest())


main()
