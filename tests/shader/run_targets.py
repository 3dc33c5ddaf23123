#!/usr/bin/env python3
"""Generates code for every target from every case that compiles, and assembles the PTX where ptxas is.

Usage: run_targets.py [--every N] SHADER_TOOL CASE...
Of the cases that say nothing of a target (below), only each N-th.
A case may say `// no code for TARGET: TEXT`: it compiles, and its kernel is refused there with that
text; `// PTX: REGEX` and `// no PTX: REGEX`: in the text of its kernels, or in none.
scripts/ptxas.sh says where ptxas is.
"""
import os
import re
import subprocess
import sys
import tempfile

TARGETS = ("x86-64", "aarch64", "nvptx")


def directives(path):
    """None for a case that does not compile; else its options, and what refusals say, by target."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    if re.search(r"^\s*// error:", text, flags=re.M):
        return None
    refusals = dict(re.findall(r"^\s*// no code for (\S+): (.*)$", text, flags=re.M))
    return [word for found in re.findall(r"^\s*// option: ?(.*)$", text, flags=re.M)
            for word in found.split()], refusals, re.findall(r"^\s*// (no )?PTX: (.*)$", text, flags=re.M)


def assemble(ptxas, folder):
    bad = 0
    for name in sorted(os.listdir(folder)):
        if not name.endswith(".ptx"):
            continue
        done = subprocess.run([ptxas, "-arch=sm_90", os.path.join(folder, name), "-o", os.devnull],
                              capture_output=True, text=True, check=False)
        if done.returncode:
            print("ptxas refuses %s: %s" % (name, (done.stdout + done.stderr)[:2000]))
            bad += 1
    return bad


def texts_wrong(case, folder, patterns):
    text = ""
    for name in sorted(os.listdir(folder)):
        if name.endswith(".ptx"):
            with open(os.path.join(folder, name), encoding="utf-8") as file:
                text += file.read()
    wrong = [("no " if absent else "") + pattern for absent, pattern in patterns
             if bool(re.search(pattern, text)) == bool(absent)]
    if wrong:
        print("== %s: the PTX is not as it says: %s" % (case, "; ".join(wrong)))
    return bool(wrong)


def check(tool, case, options, refusals, patterns, ptxas):
    wrong = False
    with tempfile.TemporaryDirectory() as folder:
        command = [tool, "-q", "-j", "2", "--save", folder] + options
        groups = [[t for t in TARGETS if t not in refusals]] + [[t] for t in refusals]
        for targets in groups:
            chosen = sum((["--target", t] for t in targets), [])
            refusal = refusals.get(targets[0])
            done = subprocess.run(command + chosen + [case], capture_output=True, text=True,
                                  check=False)
            if (done.returncode != 0) != bool(refusal) or refusal and refusal not in done.stdout:
                print("== %s\n%s%s" % (case, done.stdout, done.stderr))
                wrong = True
        wrong |= texts_wrong(case, folder, patterns)
        return not wrong and not (ptxas and assemble(ptxas, folder))


def main():
    sampled = sys.argv[1] == "--every"
    every, (tool, *cases) = (int(sys.argv[2]), sys.argv[3:]) if sampled else (1, sys.argv[1:])
    script = os.path.join(os.path.dirname(os.path.realpath(__file__)), "../../scripts/ptxas.sh")
    ptxas = subprocess.run([script], capture_output=True, text=True, check=False).stdout.strip()
    bad = good = plain = 0
    for case in cases:
        found = directives(case)
        if found is None:
            continue
        if not found[1] and not found[2]:
            plain += 1
            if plain % every:
                continue
        right = check(tool, case, *found, ptxas)
        bad, good = bad + (not right), good + right
    print("%d cases for %s, %d failed; PTX %s" % (good + bad, ", ".join(TARGETS), bad,
          "assembled for sm_90" if ptxas else "not assembled: there is no ptxas"))
    sys.exit(1 if bad or not good else 0)


main()
