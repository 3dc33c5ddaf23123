#!/usr/bin/env python3
"""Makes the C file with all kernel libraries' sources: kernels/elementwise.metal and kernels/reduce.metal
around each of ops.toml's formulas, and the other files of kernels/ as they stand."""
import argparse
import pathlib
import re

import table

LETTERS = "abcd"
TYPES = ("float", "int", "long")


def runner(formula, compute, text):
    """The kernel that computes in the type `compute`. What a thread reads it reads before it writes."""
    count = formula.inputs
    inputs = "".join(f", device const uchar *d{n}" for n in range(1, count + 1))
    names = "".join(f", d{n}" for n in range(1, count + 1))
    buffers = "".join(f", device const uchar *d{n} [[buffer({n + 1})]]" for n in range(1, count + 1))
    lines = [f"static inline auto value_{compute}(constant parameters &p{inputs}, uint3 at)", "{",
             f"    typedef {compute} C;"]
    for n in range(1, count + 1):
        lines.append(f"    C {LETTERS[n - 1]} = operand<C>(p, d{n}, {n}, c_type{n}, at);")
    for n in range(4):
        if re.search(rf"\bs{n}\b", text):
            lines.append(f"    C s{n} = scalar(p, {n}, C(0));")
    lines += [f"    return {text};", "}",
              f"kernel void run_{compute}(constant parameters &p [[buffer(0)]], device uchar *d0 [[buffer(1)]]"
              f"{buffers}, uint3 at [[thread_position_in_grid]])", "{",
              f"    decltype(value_{compute}(p{names}, at)) r[4];",
              "    for (uint k = 0; k < uint(c_each); k++)",
              f"        r[k] = value_{compute}(p{names}, part_of(p, at, k));",
              "    for (uint k = 0; k < uint(c_each); k++)",
              "        store(d0 + offset_of(p, 0, part_of(p, at, k)), c_type0, r[k]);", "}"]
    return "\n".join(lines) + "\n"


def source_of(formula, special):
    """`special` is kernels/special.metal, for the formulas that call one of its functions."""
    names = re.findall(r"^.*static inline \w+ (\w+)\(", special, re.M)
    text = f"{formula.floating} {formula.integer}"
    made = special if any(re.search(rf"\b{n}\(", text) for n in names) else ""
    if formula.floating:
        made += runner(formula, "float", formula.floating)
    if formula.integer:
        made += runner(formula, "int", formula.integer) + runner(formula, "long", formula.integer)
    return made


def complex_source_of(formula):
    return runner(formula, "complex", formula.complex)


REDUCTION = """
template <typename A> static inline A start(constant parameters &p) {{ return A({start}); }}
template <typename A> static inline A map(constant parameters &p, A v)
{{
{map_names}    return A({map});
}}
template <typename A> static inline A combine(A a, A b) {{ return A({combine}); }}
template <typename A> static inline A finish(constant parameters &p, A a)
{{
{finish_names}    return A({finish});
}}
"""
REDUCTION_KERNELS = """
kernel void columns_{A}(constant parameters &p [[buffer(0)]], device uchar *to [[buffer(1)]],
        device const uchar *from [[buffer(2)]], uint3 at [[thread_position_in_grid]],
        uint3 group [[threadgroup_position_in_grid]], uint lane [[thread_index_in_simdgroup]])
{{
    columns<{A}>(p, to, from, at, group, lane);
}}
kernel void rows_{A}(constant parameters &p [[buffer(0)]], device uchar *to [[buffer(1)]],
        device const uchar *from [[buffer(2)]], uint3 group [[threadgroup_position_in_grid]],
        uint lane [[thread_index_in_simdgroup]], uint index [[thread_index_in_threadgroup]])
{{
    threadgroup {A} shared[32];
    rows<{A}>(p, to, from, shared, group, worker_of(lane, index));
}}
"""


def names_in(text):
    """Declarations of what the formula has of the parameters."""
    known = {"s0": "scalar(p, 0, A(0))", "s1": "scalar(p, 1, A(0))", "count": "A(p.count)"}
    return "".join(f"    A {n} = {value};\n" for n, value in known.items() if re.search(rf"\b{n}\b", text))


def reduction_source(r):
    made = REDUCTION.format(start=r.start, map=r.map, combine=r.combine, finish=r.finish,
                            map_names=names_in(r.map), finish_names=names_in(r.finish))
    return made + "".join(REDUCTION_KERNELS.format(A=A) for A in ("float", "long"))


def c_string(text):
    """As adjacent literals, a line each."""
    def quoted(line):
        return '"' + line.replace("\\", "\\\\").replace('"', '\\"') + '\\n"'
    return "\n".join("        " + quoted(line) for line in text.splitlines())


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--table", required=True)
    p.add_argument("--output", required=True)
    p.add_argument("kernels", nargs="+", type=pathlib.Path)
    a = p.parse_args()
    texts = {k.stem: k.read_text() for k in a.kernels}
    rows = table.load(a.table)
    befores = {name: texts.pop(name) for name in ("elementwise", "reduce", "complex")}
    befores["complex"] = befores["elementwise"] + befores["complex"]
    prelude, special = texts.pop("prelude"), texts.pop("special")
    for f in rows.formulas():
        if f.floating or f.integer:
            texts["e_" + f.library] = source_of(f, special)
        if f.complex:
            texts["c_" + f.library] = complex_source_of(f)
    for r in rows.reductions:
        texts["r_" + r.library] = reduction_source(r)
    out = ['#include "internal.h"', "", "const char torch_prelude[] =", c_string(prelude) + ";", "",
           *[f"static const char before_{name}[] =\n{c_string(text)};\n" for name, text in befores.items()],
           "const struct torch_source torch_sources[] = {"]
    for name, text in sorted(texts.items()):
        before = {"e_": "elementwise", "c_": "complex", "r_": "reduce"}.get(name[:2])
        before = "before_" + before if before else '""'
        out += [f'    {{"{name}", {before},', c_string(text) + "},"]
    out += ["};", "const unsigned torch_source_count = sizeof torch_sources / sizeof *torch_sources;", ""]
    pathlib.Path(a.output).write_text("\n".join(out))


if __name__ == "__main__":
    main()
