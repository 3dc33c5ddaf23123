#!/usr/bin/env python3
"""Writes version_gen.h: a hash of every file that shapes what the compiler makes, and of clang's version.
Those are this folder's and, since generated code knows the offsets in the structures that it shares with
the host, every header of the project that this folder's files include, directly or not. DEPFILE lists
them, for ninja.

Usage: gen_version.py CLANG SOURCE_ROOT FOLDER OUTPUT DEPFILE     (FOLDER: below SOURCE_ROOT)
"""
import hashlib
import os
import re
import subprocess
import sys

INCLUDE = re.compile(rb'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)


def read(path):
    with open(path, "rb") as file:
        return file.read()


def shaping(root, folder):
    """Paths below root, sorted."""
    found = set()
    waiting = [os.path.relpath(os.path.join(at, name), root)
               for at, _, names in os.walk(os.path.join(root, folder)) for name in names
               if not name.endswith(".pyc")]
    while waiting:
        path = waiting.pop()
        if path in found or not os.path.isfile(os.path.join(root, path)):
            continue  # a generated header: what it is made from is here too
        found.add(path)
        for name in INCLUDE.findall(read(os.path.join(root, path))):
            waiting += [name.decode(), os.path.normpath(os.path.join(os.path.dirname(path), name.decode()))]
    return sorted(found)


def version(compiler, root, paths):
    digest = hashlib.sha256(compiler)
    for path in paths:
        digest.update(path.encode() + b"\0" + hashlib.sha256(read(os.path.join(root, path))).digest())
    return digest.hexdigest()


def main():
    if len(sys.argv) != 6:
        sys.exit("usage: gen_version.py CLANG SOURCE_ROOT FOLDER OUTPUT DEPFILE")
    clang, root, folder, output, depfile = sys.argv[1:]
    compiler = subprocess.run([clang, "--version"], check=True, capture_output=True).stdout
    paths = shaping(root, folder)
    with open(output, "w", encoding="ascii") as out:
        out.write('#define ABX_SHADER_SOURCES "%s"\n' % version(compiler, root, paths))
    with open(depfile, "w", encoding="utf-8") as out:
        inputs = [os.path.realpath(clang)] + [os.path.join(root, path) for path in paths]
        out.write("%s: %s\n" % (output, " ".join(path.replace(" ", "\\ ") for path in inputs)))


if __name__ == "__main__":
    main()
