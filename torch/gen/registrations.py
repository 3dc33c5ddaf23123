#!/usr/bin/env python3
"""Makes the C++ file that registers ops.toml's operators with one version of PyTorch, from that
version's own headers."""
import argparse
import dataclasses
import pathlib
import re

import headers
import table


def parameters(op):
    return ", ".join(f"{a.type} {a.name}" for a in op.arguments)


def passed(arguments):
    return ", ".join(a.name for a in arguments)


def meta_passed(arguments):
    """Meta functions take optional tensors by reference."""
    def one(a):
        return f"optional({a.name})" if re.search(r"optional<at::(Tensor|Scalar)>", a.type) else a.name
    return ", ".join(one(a) for a in arguments)


def fallback(op):
    return f"OnProcessor<at::_ops::{op.struct}>::call({passed(op.arguments)})"


def condition(entry, formula):
    """Whether the kernel has what the iterator's type is computed in."""
    if formula.complex:
        real = condition(entry, dataclasses.replace(formula, complex=None)) if formula.floating or formula.integer else "false"
        return f"(can_iterate_complex(iter) || {real})"
    if formula.floating and formula.integer:
        return "can_iterate(iter)"
    kind = "floating" if formula.floating else "integer"
    return f"can_iterate_{kind}(iter)"


def number(text):
    """'alpha', or 'lowest min': an argument that may be missing."""
    *missing, name = text.split()
    return f"number_or_{missing[0]}({name})" if missing else f"number_of({name})"


def launch_lines(entry, op):
    """Returns from the function where a kernel was launched."""
    numbers = ", ".join(number(text) for text in entry.scalars)
    lines = []
    for text, formula in entry.variants.items():
        chosen = condition(entry, formula)
        if text is not None:
            chosen = f'is_text({entry.choose}, "{text}") && {chosen}'
        lines += [f"    if ({chosen}) {{", f'        iterate(iter, "e_{formula.library}", {{{numbers}}});',
                  "        return FINISHED;", "    }"]
    return lines


def structured(entry, op, meta):
    """By torch's own meta function, which checks, promotes types and sizes the result."""
    out = op.arguments[-1].name
    lines = [f"    Structured<{meta}, 1> iter({out});",
             f"    iter.meta({meta_passed(op.arguments[:-1])});"]
    lines += [line.replace("FINISHED", f"(iter.finish(), {out})") for line in launch_lines(entry, op)]
    return lines


ITERATORS = {
    "binary_op": "at::TensorIterator::binary_op({out}, {inputs})",
    "complex_of": "complex_iterator({out}, {inputs})",
    "unary_real": "real_iterator({out}, {inputs})",
    "unary_op": "at::TensorIterator::unary_op({out}, {inputs})",
    "comparison_op": "at::TensorIterator::comparison_op({out}, {inputs})",
    "any_unary": "boolean_iterator({out}, {inputs}, false)",
    "any_predicate": "boolean_iterator({out}, {inputs}, true)",
}


def iterated(entry, op):
    """By an iterator of torch's where the operator has no meta function."""
    tensors = [a for a in op.arguments if a.is_tensor]
    writes = [a for a in tensors if a.type == "at::Tensor &"]
    inputs = tensors if op.name.endswith("_") else [a for a in tensors if a not in writes]
    lines = []
    has_complex = any(f.complex for f in entry.variants.values())
    known = " && ".join(f"{'knows_complex' if has_complex else 'knows'}({a.name}.scalar_type())" for a in tensors)
    lines.append(f"    if (!({known}))\n        return {fallback(op)};")
    out = writes[0].name if writes else "made"
    if not writes:
        lines.append("    at::Tensor made;")
    made = ITERATORS[entry.iterator].format(out=out, inputs=passed(inputs))
    lines.append(f"    at::TensorIterator iter = {made};")
    finished = out if writes else "iter.output()"
    return lines + [line.replace("FINISHED", finished) for line in launch_lines(entry, op)]


def function(entry, op, known):
    meta = known.meta_of(op, 1) if not entry.iterator else None
    if not meta and not entry.iterator:
        raise SystemExit(f"'{entry.name}' has no meta function in these headers: give it an iterator")
    body = structured(entry, op, meta) if meta else iterated(entry, op)
    return "\n".join([f"static {op.returns} at_{op.struct}({parameters(op)})", "{",
                      f'    count_native("aten::{op.full}");', *body,
                      f'    uncount_native("aten::{op.full}");',
                      f"    return {fallback(op)};", "}", ""])


def given(argument, outs):
    """The type in which a function of shim/ has an argument."""
    if argument in outs:
        return "const at::Tensor &"
    if argument.type == "const c10::List<::std::optional<at::Tensor>> &":
        return argument.type
    if "optional<at::Scalar>" in argument.type:
        return "at::OptionalScalarRef"
    return "at::OptionalTensorRef" if "optional<at::Tensor>" in argument.type else argument.type


def written(target, op, known, is_whole):
    """A function of shim/: after the meta function where there is one that it does not call itself."""
    outputs = len([a for a in op.arguments if a.type == "at::Tensor &"])
    meta = known.meta_of(op, outputs) if outputs and not is_whole else None
    declared = f"{op.returns} {target}({parameters(op)});"
    if not meta:
        return declared, None
    outs = op.arguments[-outputs:]
    plain = [headers.Argument(given(a, outs), a.name) for a in op.arguments]
    declared = f"bool {target}({', '.join(f'{a.type} {a.name}' for a in plain)});"
    inputs = meta_passed(op.arguments[:-outputs])
    results = ", ".join(f"op.maybe_get_output({n})" for n in range(outputs))
    returned = outs[0].name if outputs == 1 else f"{{{passed(outs)}}}"
    text = "\n".join([
        f"static {op.returns} at_{op.struct}({parameters(op)})", "{",
        f"    Structured<{meta}, {outputs}> op({passed(outs)});", f"    op.meta({inputs});",
        f"    if (!{target}({inputs}, {results}))", f"        return {fallback(op)};",
        f'    count_native("aten::{op.full}");', "    op.finish();", f"    return {returned};", "}", ""])
    return declared, text


def includes(ops, known):
    names = sorted({op.name for op in ops})
    lines = []
    for name in names:
        header = name if (known.folder / f"{name}_ops.h").exists() else name.rstrip("_")
        lines.append(f"#include <ATen/ops/{header}_ops.h>")
        if (known.folder / f"{name}_meta.h").exists():
            lines.append(f"#include <ATen/ops/{name}_meta.h>")
    return sorted(set(lines))


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--table", required=True)
    p.add_argument("--include", required=True, help="the headers' folder")
    p.add_argument("--output", required=True)
    a = p.parse_args()
    known, rows = headers.Headers(a.include), table.load(a.table)
    ops, declarations, functions, registered = [], [], [], []
    for entry in rows.elementwise:
        if op := known.find(entry.name):
            ops.append(op)
            functions.append(function(entry, op, known))
            registered.append((op.full, "at_" + op.struct))
    for name, target in (rows.functions | rows.whole).items():
        if op := known.find(name):
            ops.append(op)
            declared, text = written(target, op, known, name in rows.whole)
            declarations.append(declared)
            functions += [text] if text else []
            registered.append((op.full, "at_" + op.struct if text else target))
    lines = ['#include "shim.h"', '#include "structured.h"', "#include <torch/library.h>", *includes(ops, known),
             "", "namespace arcbox {", *sorted(set(declarations)), "", *functions,
             "TORCH_LIBRARY_IMPL(aten, MPS, m)", "{", "    Quiet quiet;",
             *[f'    m.impl("{full}", TORCH_FN({name}));' for full, name in registered], "}", "} // namespace arcbox", ""]
    pathlib.Path(a.output).write_text("\n".join(lines))


if __name__ == "__main__":
    main()
