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
import tempfile

FORMS = ["direct", "staged", "sharded"]


def options(path):
    with open(path, encoding="utf-8") as file:
        return [word for line in re.findall(r"^\s*// option: ?(.*)$", file.read(), flags=re.M)
                for word in line.split()]


def compile_all(tool, library, form, paths):
    """What comes of each: its status, its complaints, its reflection. One run of shader-tool for all that have
    the same options."""
    alike, found = {}, {}
    for path in paths:
        alike.setdefault(tuple(options(path)), []).append(os.path.abspath(path))
    environment = dict(os.environ, ARCBOX_SHADER_FORM=form, SHADER_TOOL_CLANG=library)
    for words, files in alike.items():
        with tempfile.TemporaryDirectory() as folder:
            # In the root folder, as the sandbox has it.
            subprocess.run([tool, "--each", folder, *words, *files], check=True, cwd="/", env=environment)
            for n, file in enumerate(files):
                status, errors, output = (open(f"{folder}/{n}.{kind}", encoding="utf-8").read()
                                          for kind in ("status", "err", "out"))
                found[file] = int(status), errors, re.sub(r", \d+ ms", "", output)
    return found


def main():
    tool, library = (os.path.abspath(path) for path in sys.argv[1:3])
    cases = [os.path.abspath(path) for path in sys.argv[3:]]
    wanted = compile_all(tool, "", "direct", cases)
    bad = {case for case in cases if wanted[case][0] not in (0, 1)}
    for form in FORMS:
        got = compile_all(tool, library, form, cases)
        for case in cases:
            if got[case] != wanted[case]:
                bad.add(case)
                print("== %s, %s: %d\n%s%s" % (case, form, *got[case]))
    for case in bad:
        print("== %s, at once: %d\n%s%s" % (case, *wanted[case]))
    print("%d cases, %d differ" % (len(cases), len(bad)))
    sys.exit(1 if bad or not cases else 0)


main()
