#!/usr/bin/env python3
"""A shell test that counts its checks (lib.sh) ends with `finish`, whose exit status says how many failed:
without, it cannot fail.

Usage: check_finish.py ROOT"""
import pathlib
import sys

wrong = []
for path in sorted(pathlib.Path(sys.argv[1], "tests").rglob("*.sh")):
    text = path.read_text()
    if path.name != "lib.sh" and '/lib.sh"' in text and text.split()[-1] != "finish":
        wrong.append(str(path))
        print(f"{path}: does not end with finish")
sys.exit(1 if wrong else 0)
