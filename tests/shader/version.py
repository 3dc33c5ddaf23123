#!/usr/bin/env python3
"""Cached code is found by the compiler's version: every file that shapes the code changes it, and the
build makes version and precompiled header anew when one does.

    version.py SOURCE-ROOT BUILD-ROOT CLANG LLVM-INCLUDES
"""
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

source, build, clang, llvm = sys.argv[1:]
src = os.path.join(source, "src")
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(src, "shader"))
import gen_version  # noqa: E402
failed = 0


def check(holds, what):
    global failed
    if not holds:
        failed += 1
        print("fails:", what)


def version(root):
    paths = gen_version.shaping(root, "shader")
    return gen_version.version(b"a compiler", root, paths), set(paths)


def compiler_says():
    """The project's files that clang reads for the compiler's sources."""
    out = subprocess.run([clang, "-MM", "-MG", "-I", src, "-isystem", llvm] +
                         sorted(glob.glob(src + "/shader/**/*.c", recursive=True)),
                         check=True, capture_output=True, text=True).stdout
    return {os.path.relpath(path, src) for path in re.findall(r"\S+", out) if path.startswith(src + "/")}


def built(target):
    out = subprocess.run(["ninja", "-C", build, "-t", "deps", target], check=True, capture_output=True,
                         text=True).stdout
    return {os.path.relpath(os.path.join(build, line.strip()), src) for line in out.splitlines()
            if line.startswith("    ")}


with tempfile.TemporaryDirectory() as folder:
    copy = os.path.join(folder, "src")
    for part in ("shader", "base", "wire"):
        shutil.copytree(os.path.join(src, part), os.path.join(copy, part))
    before, listed = version(copy)
    check("wire/limits.h" in listed, "the limits that structures are sized by are listed")
    check(compiler_says() <= listed, "unlisted: %s" % sorted(compiler_says() - listed))
    for name in sorted(listed):
        path = os.path.join(copy, name)
        with open(path, "ab") as file:
            file.write(b"\n")
        check(version(copy)[0] != before, "%s changes the version" % name)
        with open(path, "ab") as file:
            file.truncate(os.path.getsize(path) - 1)
    check(version(copy)[0] == before, "the same files give the same version")
    print(len(listed), "files shape the code")
    check(listed <= built("src/shader/version_gen.h"), "ninja watches all of them")
shim = {"shader/shim/" + name for name in os.listdir(os.path.join(src, "shader/shim"))}
check(shim and shim <= built("src/shader/shim.pch"), "ninja watches the precompiled header's files")
sys.exit(failed != 0)
