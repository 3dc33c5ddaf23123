#!/usr/bin/env python3
"""The C sources are as clang-format leaves them. Not checked: the shaders' shim (C++ for another
reader), Objective-C headers (clang-format breaks their macros), generated and sample text."""
import pathlib
import subprocess
import sys

SKIPPED = ("shim", "stub", "sample", "golden")


def main():
    root, clang_format = pathlib.Path(sys.argv[1]), sys.argv[2]
    files = [str(p) for top in ("src", "tests", "torch") for p in sorted((root / top).rglob("*.[ch]"))
             if not set(SKIPPED) & set(p.parts)]
    result = subprocess.run([clang_format, "--dry-run", "-Werror", *files], capture_output=True, text=True)
    print(result.stderr[-4000:] or f"{len(files)} files are formatted")
    return result.returncode


if __name__ == "__main__":
    sys.exit(main())
