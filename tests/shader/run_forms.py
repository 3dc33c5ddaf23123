#!/usr/bin/env python3
"""Compiles each case in every form a library has, and compares: the same text must be refused with
the same words at the same places, or accepted with the same reflection, however many kernels are
around it and whichever way clang is started.

Usage: run_forms.py SHADER_TOOL CLANG_LIBRARY CASE...
"""
import os
import re
import subprocess
import sys

FORMS = ["direct", "staged", "sharded"]


def options(path):
    with open(path, encoding="utf-8") as file:
        return [word for line in re.findall(r"^\s*// option: ?(.*)$", file.read(), flags=re.M)
                for word in line.split()]


def compile_as(tool, library, form, path):
    environment = dict(os.environ, ARCBOX_SHADER_FORM=form, SHADER_TOOL_CLANG=library)
    # In the root folder, as the sandbox has it.
    done = subprocess.run([tool] + options(path) + [os.path.abspath(path)], capture_output=True,
                          text=True, check=False, cwd="/", env=environment)
    return done.returncode, done.stderr, re.sub(r", \d+ ms", "", done.stdout)


def check(tool, library, path):
    wanted = compile_as(tool, "", "direct", path)
    good = wanted[0] in (0, 1)
    for form in FORMS:
        got = compile_as(tool, library, form, path)
        if got != wanted:
            good = False
            print("== %s, %s: %d\n%s%s" % (path, form, got[0], got[1], got[2]))
    if not good:
        print("== %s, at once: %d\n%s%s" % (path, wanted[0], wanted[1], wanted[2]))
    return good


def main():
    tool, library = (os.path.abspath(path) for path in sys.argv[1:3])
    bad = [case for case in sys.argv[3:] if not check(tool, library, case)]
    print("%d cases, %d differ" % (len(sys.argv) - 3, len(bad)))
    sys.exit(1 if bad or len(sys.argv) < 4 else 0)


main()
