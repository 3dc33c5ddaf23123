#!/usr/bin/env python3
"""The guest library's exported symbols against exports.txt: every name a program can bind to is
meant. `exports.py --update LIBRARY` writes the list anew. A line "name machine" is for one processor
only."""
import pathlib
import subprocess
import sys

LIST = pathlib.Path(__file__).with_name("exports.txt")
MACHINES = {0x3E: "x86_64", 0xB7: "aarch64"}


def exported(library):
    machine = MACHINES[pathlib.Path(library).read_bytes()[18]]
    lines = subprocess.run(["nm", "-D", "--defined-only", library], check=True,
                           capture_output=True, text=True).stdout.splitlines()
    return machine, {line.split()[-1].split("@")[0] for line in lines}


def main():
    update = sys.argv[1] == "--update"
    machine, found = exported(sys.argv[-1])
    entries = [line.split() for line in LIST.read_text().splitlines()] if LIST.exists() else []
    other = [e for e in entries if len(e) == 2 and e[1] != machine]
    only = {e[0] for e in entries if len(e) == 2 and e[1] == machine}
    if update:
        lines = [f"{n} {machine}" if n in only else n for n in found] + [" ".join(e) for e in other]
        LIST.write_text("\n".join(sorted(lines)) + "\n")
        return 0
    expected = {e[0] for e in entries} - {e[0] for e in other}
    for name in sorted(expected - found):
        print(f"no longer exported: {name}")
    for name in sorted(found - expected):
        print(f"exported and not in the list: {name}")
    if expected != found:
        print(f"When that is meant: {sys.argv[0]} --update {sys.argv[-1]}")
    return expected != found


if __name__ == "__main__":
    sys.exit(main())
