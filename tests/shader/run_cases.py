#!/usr/bin/env python3
"""Compiles each case and compares what comes out with what its comments say.

    // option: -D NAME=1        given to shader-tool
    // expect: TEXT             a line of the output contains TEXT; in this order
    // error: LINE:COLUMN TEXT  the compilation fails, and says so there; these are all its errors
    // warning: LINE:COLUMN TEXT
    // shows: TEXT              the diagnostics contain this line exactly (source line or caret)
    // only: direct          not for libraries compiled in stages (ARCBOX_SHADER_FORM)
A case without `error:` must compile without any diagnostic but the warnings it names.
Usage: run_cases.py SHADER_TOOL CASE...
"""
import os
import re
import subprocess
import sys


def directives(path):
    found = {"option": [], "expect": [], "error": [], "warning": [], "shows": [], "only": []}
    with open(path, encoding="utf-8") as file:
        for line in file:
            match = re.match(r"\s*// (option|expect|error|warning|shows|only): ?(.*)$", line)
            if match:
                found[match.group(1)].append(match.group(2))
    return found


def located(kind, stderr):
    return re.findall(r"^(\S+:)?(\d+:\d+): (?:fatal )?%s: (.*)$" % kind, stderr, flags=re.M)


def check(tool, path):
    wanted = directives(path)
    form = os.environ.get("ARCBOX_SHADER_FORM", "direct")
    if form not in (wanted["only"] or [form]):
        print("%s: not in the form %s" % (os.path.basename(path), form))
        return True
    options = [word for option in wanted["option"] for word in option.split()]
    done = subprocess.run([tool] + options + [path], capture_output=True, text=True, check=False)
    problems = []
    if done.returncode != (1 if wanted["error"] else 0):
        problems.append("exit status %d" % done.returncode)
    for kind in ("error", "warning"):
        got = ["%s %s" % (place, text) for _, place, text in located(kind, done.stderr)]
        for one in wanted[kind]:
            hits = [g for g in got if g.split(" ", 1)[0] == one.split(" ", 1)[0]
                    and one.split(" ", 1)[1] in g]
            if hits:
                got.remove(hits[0])
            else:
                problems.append("no %s '%s'" % (kind, one))
        problems += ["unexpected %s '%s'" % (kind, g) for g in got]
    if wanted["error"] and not done.stderr.startswith("Compilation failed: \n\n"):
        problems.append("the message does not begin as Apple's")
    lines = done.stdout.splitlines()
    for text in wanted["expect"]:
        while lines and text not in lines[0]:
            lines.pop(0)
        if not lines:
            problems.append("no output '%s'" % text)
        else:
            lines.pop(0)
    for text in wanted["shows"]:
        if text not in done.stderr.splitlines():
            problems.append("does not show '%s'" % text)
    if problems:
        print("== %s: %s\n%s%s" % (path, "; ".join(problems), done.stderr, done.stdout))
    return not problems


def main():
    tool, cases = sys.argv[1], sys.argv[2:]
    bad = [case for case in cases if not check(tool, case)]
    print("%d cases, %d failed" % (len(cases), len(bad)))
    sys.exit(1 if bad or not cases else 0)


main()
