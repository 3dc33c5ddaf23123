#!/usr/bin/env python3
"""Writes torch-operators.md: the operators of PyTorch that have kernels on "mps" here, for the versions that
were built."""
import argparse
import pathlib

import headers
import table

HEAD = """# PyTorch's operators on "mps"

Made from torch/ops.toml by the build. Names are torch's own, with their overload; those that end in `out`
stand for the functional and the in-place form, too. An operator that is not here is made by torch of those
that are, or runs on the processor, with one warning; with PYTORCH_ENABLE_MPS_FALLBACK=0 it is refused.
float32, float16, bfloat16, int64, int32, int16, int8, uint8 and bool have kernels; complex numbers go to the
processor, float64 is refused as on a Mac.

"""


def types_of(entry):
    kinds = [(bool(f.floating), bool(f.integer)) for f in entry.variants.values()]
    return "all" if all(a and b for a, b in kinds) else "floats" if any(a for a, _ in kinds) else "integers"


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--table", required=True)
    p.add_argument("--output", type=pathlib.Path, required=True)
    p.add_argument("versions", nargs="*", help="VERSION=FOLDER of its headers")
    a = p.parse_args()
    rows = table.load(a.table)
    known = {v.split("=")[0]: headers.Headers(v.split("=")[1]) for v in a.versions}

    def absent(name):
        missing = [v for v, h in known.items() if not h.find(name)]
        return f"not in torch {', '.join(missing)}" if missing else ""

    lines = [HEAD, "## By formula\n", "| operator | types | |", "|---|---|---|"]
    lines += [f"| `{e.name}` | {types_of(e)} | {absent(e.name)} |" for e in rows.elementwise]
    lines += ["", "## Written by hand\n", "| operator | |", "|---|---|"]
    written = sorted(rows.functions | rows.whole)
    lines += [f"| `{name}` | {absent(name)} |" for name in written]
    lines += ["", f"{len(rows.elementwise)} by formula, {len(written)} by hand.", ""]
    a.output.write_text("\n".join(lines))


if __name__ == "__main__":
    main()
