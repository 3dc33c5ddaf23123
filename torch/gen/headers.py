"""Reads the headers of one version of PyTorch: the operators' C++ signatures and meta functions."""
import dataclasses
import pathlib
import re

STRUCT = re.compile(r"struct TORCH_API (\w+) \{(.*?)\n\};", re.S)
CALL = re.compile(r"static (.*?) call\((.*?)\);")
META = re.compile(r"struct TORCH_API structured_(\w+) : public (\S+) \{")


@dataclasses.dataclass
class Argument:
    type: str
    name: str

    @property
    def is_tensor(self):
        return self.type in ("const at::Tensor &", "at::Tensor &")


@dataclasses.dataclass
class Operator:
    name: str      # add
    overload: str  # out
    struct: str    # add_out, in at::_ops
    returns: str
    arguments: list

    @property
    def full(self):
        return f"{self.name}.{self.overload}" if self.overload else self.name


def split_arguments(text):
    """At commas that are in no brackets."""
    parts, depth, start = [], 0, 0
    for i, c in enumerate(text):
        depth += (c in "<(") - (c in ">)")
        if c == "," and depth == 0:
            parts.append(text[start:i])
            start = i + 1
    parts.append(text[start:])
    return [p.strip() for p in parts if p.strip()]


def without_symbols(kind):
    """Sizes are numbers here: torch takes kernels that do not know symbolic ones."""
    kind = kind.replace("c10::SymIntArrayRef", "at::IntArrayRef").replace("at::OptionalSymIntArrayRef",
                                                                          "at::OptionalIntArrayRef")
    return re.sub(r"\bc10::SymInt\b", "int64_t", kind)


def arguments_of(text):
    made = []
    for part in split_arguments(text):
        kind, name = re.fullmatch(r"(.*?)\s*(\w+)", part, re.S).groups()
        made.append(Argument(without_symbols(kind.strip()), name))
    return made


def member(body, name):
    """The text of a constant: a member (new versions) or a macro (old ones)."""
    found = re.search(rf'\b{name}(?: = |, )"([^"]*)"', body)
    return found.group(1) if found else ""


class Headers:
    def __init__(self, include):
        self.folder = pathlib.Path(include) / "ATen" / "ops"
        self.cache = {}

    def operators(self, base):
        """Overload to operator, of all that the headers have by this name."""
        if base not in self.cache:
            file = self.folder / f"{base}_ops.h"
            found = {}
            for struct, body in STRUCT.findall(file.read_text() if file.exists() else ""):
                returns, arguments = CALL.search(body).groups()
                op = Operator(member(body, "name").removeprefix("aten::"), member(body, "overload_name"), struct,
                              returns, arguments_of(arguments))
                found[op.full] = op
            self.cache[base] = found
        return self.cache[base]

    def find(self, full):
        """'add.out', 'relu_': None where this version has no such operator."""
        base = full.split(".")[0]
        for header in (base, base.rstrip("_")):
            if full in self.operators(header):
                return self.operators(header)[full]
        return None

    def meta_of(self, op, outputs):
        """The class of the structured operator's meta function, None where it has none."""
        inputs = [a.type for a in op.arguments[:len(op.arguments) - outputs]]
        file = self.folder / f"{op.name}_meta.h"
        if not file.exists():
            return None
        classes = dict(META.findall(file.read_text()))
        for other in self.operators(op.name).values():
            name = f"{op.name}_{other.overload}" if other.overload else op.name
            if name in classes and [a.type for a in other.arguments] == inputs:
                return f"at::meta::structured_{name}"
        return None
