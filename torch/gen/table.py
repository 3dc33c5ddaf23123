"""Reads ops.toml: the operators that have kernels here."""
import dataclasses
import pathlib
import re
import sys
import tomllib

FIELDS = {"formula", "float", "integer", "complex", "scalars", "choose", "variants", "iterator", "as"}


class TableError(Exception):
    pass


@dataclasses.dataclass
class Formula:
    """One kernel library: formulas for floating-point numbers, for integers and for complex ones, of which some may be None."""
    library: str
    floating: str | None
    integer: str | None
    complex: str | None

    @property
    def inputs(self):
        text = f"{self.floating} {self.integer} {self.complex}"
        return max((n + 1 for n, name in enumerate("abcd") if re.search(rf"\b{name}\b", text)), default=0)


@dataclasses.dataclass
class Elementwise:
    name: str
    scalars: list
    choose: str | None
    iterator: str | None
    variants: dict  # text of `choose` (or None) to Formula


def library_of(name):
    return re.sub(r"\W", "_", name)


def formula(library, entry):
    both = entry.get("formula")
    made = Formula(library, entry.get("float", both), entry.get("integer", both), entry.get("complex"))
    if not made.floating and not made.integer and not made.complex:
        raise TableError(f"{library} has no formula")
    return made


def elementwise(name, entry):
    unknown = set(entry) - FIELDS
    if unknown:
        raise TableError(f"'{name}' has unknown fields: {', '.join(sorted(unknown))}")
    library = library_of(entry.get("as", name))
    if "choose" in entry:
        variants = {text: formula(library + "_" + (text or "none"), e) for text, e in entry["variants"].items()}
    else:
        variants = {None: formula(library, entry)}
    return Elementwise(name, entry.get("scalars", []), entry.get("choose"), entry.get("iterator"), variants)


REDUCTION = {"start", "map", "combine", "finish"}


@dataclasses.dataclass
class Reduction:
    library: str
    start: str
    map: str
    combine: str
    finish: str


def reduction(name, entry):
    if set(entry) - REDUCTION or not {"start", "combine"} <= set(entry):
        raise TableError(f"the reduction '{name}' has start and combine, and may have map and finish")
    return Reduction(name, entry["start"], entry.get("map", "v"), entry["combine"], entry.get("finish", "a"))


class Table:
    def __init__(self, path):
        data = tomllib.loads(pathlib.Path(path).read_text())
        entries = dict(data.get("elementwise", {}))
        self.internal = [formula(n, e) for n, e in entries.pop("internal", {}).items()]
        self.elementwise = [elementwise(n, e) for n, e in entries.items()]
        self.reductions = [reduction(n, e) for n, e in data.get("reductions", {}).items()]
        self.functions = dict(data.get("functions", {}))
        self.whole = dict(self.functions.pop("whole", {}))
        names = [e.name for e in self.elementwise]
        twice = set(names) & set(self.functions) | set(self.whole) & set(self.functions)
        if twice:
            raise TableError(f"in two sections: {', '.join(sorted(twice))}")

    def formulas(self):
        """Each library once."""
        found = {f.library: f for f in self.internal}
        for e in self.elementwise:
            for f in e.variants.values():
                found.setdefault(f.library, f)
        return list(found.values())


def load(path):
    try:
        return Table(path)
    except (TableError, tomllib.TOMLDecodeError) as e:
        sys.exit(f"{path}: {e}")
