#!/usr/bin/env python3
"""Compiles MLX's Metal headers, from a wheel, with the instantiations that a list names, to machine code.

Usage: compile_sources.py SHADER_TOOL FOLDER LIST INCLUDE
FOLDER is for files in between, INCLUDE is the wheel's include folder.
"""
import os
import re
import subprocess
import sys

KERNELS = "mlx/backend/metal/kernels"


def flatten(root, path, seen):
    """The text of a header with the headers it includes in their places, each once, as MLX does: at run
    time there are no files to include."""
    real = os.path.realpath(path)
    if real in seen:
        return ""
    seen.add(real)
    name = os.path.relpath(path, root)
    out = ['#line 1 "%s"\n' % name]
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            match = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
            if match:
                found = [p for p in (os.path.join(root, match.group(1)),
                                     os.path.join(os.path.dirname(path), match.group(1)))
                         if os.path.exists(p)]
                if not found:
                    sys.exit("%s:%d: no %s in the wheel" % (name, number, match.group(1)))
                out.append(flatten(root, found[0], seen))
                out.append('#line %d "%s"\n' % (number + 1, name))
            else:
                out.append("\n" if re.match(r"\s*#\s*pragma\s+once", line) else line)
    return "".join(out) + "\n"


def read_sets(path):
    sets = []
    with open(path, encoding="utf-8") as file:
        for line in file:
            line = line.strip()
            if line.startswith(":"):
                sets.append((line[1:].split(), []))
            elif line and not line.startswith("#"):
                sets[-1][1].append(line)
    return sets


def source_of(root, headers, kernels, seen):
    out = ["#include <metal_stdlib>\nusing namespace metal;\n"]
    out += [flatten(root, os.path.join(root, KERNELS, h + ".h"), seen) for h in headers]
    out += ['\n#line 1 "kernels"\n']
    out += ['template [[host_name("kernel_%d")]] [[kernel]] decltype(%s) %s;\n' % (i, k, k)
            for i, k in enumerate(kernels)]
    return "".join(out)


def main():
    tool, folder, listed, root = sys.argv[1:]
    os.makedirs(folder, exist_ok=True)
    covered, failed, count = set(), 0, 0
    for number, (headers, kernels) in enumerate(read_sets(listed)):
        seen = set()
        path = os.path.join(folder, "%02d_%s.metal" % (number, os.path.basename(headers[-1])))
        with open(path, "w", encoding="utf-8") as out:
            out.write(source_of(root, headers, kernels, seen))
        covered |= seen
        done = subprocess.run([tool, "-q", "-m", "safe", "-j", "2"]
                              + (["--target", "host"] if kernels else []) + [path],
                              capture_output=True, text=True, check=False)
        count += len(kernels)
        if done.returncode:
            failed += 1
            print("== %s: %s\n%s" % (" ".join(headers), path, (done.stderr + done.stdout)[:3000]))
    left = [os.path.relpath(os.path.join(at, f), os.path.join(root, KERNELS))
            for at, _, files in os.walk(os.path.join(root, KERNELS)) for f in files
            if os.path.realpath(os.path.join(at, f)) not in covered and "nax" not in f]
    print("%d headers, %d kernels; %d sets failed; in no set: %s"
          % (len(covered), count, failed, " ".join(sorted(left)) or "none"))
    sys.exit(1 if failed or left or not count else 0)


main()
