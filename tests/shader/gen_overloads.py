#!/usr/bin/env python3
"""Writes Metal programs that ask the compiler, for every function of <metal_stdlib> and every type the
specification gives it, whether it exists and what it returns.

Usage: gen_overloads.py OUTPUT_FOLDER
"""
import os
import sys

FLOATS = ("float", "half")
INTEGERS = ("char", "uchar", "short", "ushort", "int", "uint", "long", "ulong")
COUNTS = ("", "2", "3", "4")

MATH1 = """acos acosh asin asinh atan atanh ceil cos cosh cospi exp exp2 exp10 fabs abs floor fract log log2
log10 rint round rsqrt sin sinh sinpi sqrt tan tanh tanpi trunc saturate sign""".split()
MATH2 = "atan2 copysign fdim fmax fmin fmod max min nextafter pow powr step divide".split()
MATH3 = "fma fmin3 fmax3 fmedian3 min3 max3 median3 clamp mix smoothstep".split()
# What precise:: and fast:: have.
NO_VARIANTS = set("abs sign step nextafter copysign mix smoothstep fma divide".split())
SHUFFLES = """broadcast shuffle shuffle_up shuffle_down shuffle_xor shuffle_rotate_up
shuffle_rotate_down""".split()
REDUCTIONS = """broadcast_first sum product min max prefix_inclusive_sum prefix_exclusive_sum
prefix_inclusive_product prefix_exclusive_product""".split()


def call(name, *types):
    return "%s(%s)" % (name, ", ".join(
        "*(thread %s *)nullptr" % t[1:] if t[0] == "&" else t + "(1)" for t in types))


def math(space):
    variant = space not in ("", "metal::")
    for scalar in FLOATS[:1] if variant else FLOATS:
        for n in COUNTS:
            t = scalar + n
            for names, count in ((MATH1, 1), (MATH2, 2), (MATH3, 3)):
                for name in names:
                    if not variant or name not in NO_VARIANTS:
                        yield call(space + name, *[t] * count), t
            yield call(space + "sincos", t, "&" + t), t
            if variant:
                continue
            yield call(space + "modf", t, "&" + t), t
            yield call(space + "frexp", t, "&int" + n), t
            yield call(space + "ldexp", t, "int" + n), t
            yield call(space + "ilogb", t), "int" + n


def relational():
    for t in FLOATS:
        for n in COUNTS:
            for name in ("isfinite", "isinf", "isnan", "isnormal", "signbit"):
                yield call(name, t + n), "bool" + n
            for name in ("isordered", "isunordered"):
                yield call(name, t + n, t + n), "bool" + n
    for t in INTEGERS + FLOATS + ("bool",):
        for n in COUNTS:
            yield call("select", t + n, t + n, "bool" + n), t + n
    for n in COUNTS:
        yield call("all", "bool" + n), "bool"
        yield call("any", "bool" + n), "bool"


def geometric():
    for t in FLOATS:
        yield call("cross", t + "3", t + "3"), t + "3"
        for n in COUNTS[1:]:
            for name in ("dot", "distance", "distance_squared"):
                yield call(name, t + n, t + n), t
            for name in ("length", "length_squared"):
                yield call(name, t + n), t
            yield call("normalize", t + n), t + n
            yield call("reflect", t + n, t + n), t + n
            yield call("refract", t + n, t + n, t), t + n
            yield call("faceforward", t + n, t + n, t + n), t + n
        for c in "234":
            yield "determinant(%s%sx%s(1.0f))" % (t, c, c), t
            for r in "234":
                yield "transpose(%s%sx%s())" % (t, c, r), "%s%sx%s" % (t, r, c)


def integer():
    for scalar in INTEGERS:
        for n in COUNTS:
            t, unsigned = scalar + n, ("" if scalar[0] == "u" else "u") + scalar + n
            for name in ("abs", "clz", "ctz", "popcount", "reverse_bits"):
                yield call(name, t), t
            yield call("absdiff", t, t), unsigned
            for name in "addsat hadd max min mulhi rhadd rotate subsat".split():
                yield call(name, t, t), t
            for name in "clamp madhi madsat max3 median3 min3".split():
                yield call(name, t, t, t), t
            yield "extract_bits(%s(1), 1u, 2u)" % t, t
            yield "insert_bits(%s(1), %s(1), 1u, 2u)" % (t, t), t
            if scalar in ("int", "uint"):
                yield call("mul24", t, t), t
                yield call("mad24", t, t, t), t


def groups(prefix):
    integers = [t for t in INTEGERS if "long" not in t]
    for t in integers + list(FLOATS):
        for n in COUNTS:
            v = t + n
            for name in SHUFFLES:
                yield "%s_%s(%s(1), ushort(1))" % (prefix, name, v), v
            for name in REDUCTIONS + (["and", "or", "xor"] if t in integers else []):
                yield call("%s_%s" % (prefix, name), v), v
            for name in ("shuffle_and_fill_up", "shuffle_and_fill_down"):
                yield "%s_%s(%s(1), %s(1), ushort(1))" % (prefix, name, v, v), v
                yield "%s_%s(%s(1), %s(1), ushort(1), ushort(2))" % (prefix, name, v, v), v
    for name in ("all", "any"):
        yield "%s_%s(true)" % (prefix, name), "bool"
    for name in ("is_first", "is_helper_thread"):
        yield "%s_%s()" % (prefix, name), "bool"
    yield prefix + "_ballot(true)", prefix + "_vote"
    yield prefix + "_active_threads_mask()", prefix + "_vote"


def packing():
    for t in FLOATS:
        for name, n in (("unorm4x8", 4), ("snorm4x8", 4), ("unorm2x16", 2), ("snorm2x16", 2),
                        ("unorm10a2", 4), ("unorm4x8_srgb", 4)):
            yield "unpack_%s_to_%s(1u)" % (name, t), "%s%d" % (t, n)
            name = "srgb_unorm4x8" if "srgb" in name else name  # as Apple has it
            yield "pack_%s_to_%s(%s%d(1))" % (t, name, t, n), "uint"
        yield "unpack_unorm565_to_%s(ushort(1))" % t, t + "3"
        yield "pack_%s_to_unorm565(%s3(1))" % (t, t), "ushort"


def mixed():
    """A scalar or a packed vector where a function takes a vector."""
    for scalar, two, three in (
            ("float", MATH2 + ["dot"], MATH3), ("half", MATH2 + ["distance"], MATH3),
            ("int", "max min addsat mulhi rotate".split(), "clamp min3 max3 median3 madsat".split()),
            ("ushort", "max min absdiff hadd".split(), "clamp median3 madhi".split())):
        for n in COUNTS[1:]:
            v, p = scalar + n + "(1)", "packed_" + scalar + n + "(1)"
            for name in two:
                t = scalar if name in ("dot", "distance") else scalar + n
                for other in ("1", scalar + "(1)", p):
                    yield "%s(%s, %s)" % (name, v, other), t
                    yield "%s(%s, %s)" % (name, other, v), t
                yield "%s(%s, %s)" % (name, p, p), t
            for name in three:
                for other in ("1", scalar + "(1)", p):
                    for places in ("vvo", "vov", "ovv", "voo", "ovo", "oov"):
                        arguments = ", ".join(v if c == "v" else other for c in places)
                        yield "%s(%s)" % (name, arguments), scalar + n
            for other in ("0", scalar + "(0)", p):
                for condition in ("true", "bool%s(true)" % n):
                    yield "select(%s, %s, %s)" % (other, v, condition), scalar + n
                    yield "select(%s, %s, %s)" % (v, other, condition), scalar + n
    for t in FLOATS:
        for n in COUNTS[1:]:
            for name in ("sqrt", "sin", "fabs", "abs", "floor", "fract", "normalize"):
                yield "%s(packed_%s%s(1))" % (name, t, n), t + n
            yield "length(packed_%s%s(1))" % (t, n), t
            yield "precise::clamp(packed_float%s(1), 0, 1)" % n, "float" + n
            yield "fast::max(0, float%s(1))" % n, "float" + n


def types():
    """sizeof and alignof as in the specification's tables."""
    sizes = {"bool": 1, "char": 1, "short": 2, "int": 4, "long": 8, "half": 2, "bfloat": 2, "float": 4}
    for scalar in INTEGERS + FLOATS + ("bool", "bfloat"):
        size = sizes[scalar[1:] if scalar[0] == "u" else scalar]
        yield "sizeof(%s) == %d" % (scalar, size)
        for n in (2, 3, 4):
            full = size * (4 if n == 3 else n)
            yield "sizeof(%s%d) == %d && alignof(%s%d) == %d" % (scalar, n, full, scalar, n, full)
            yield "sizeof(packed_%s%d) == %d && alignof(packed_%s%d) == %d" % (
                scalar, n, size * n, scalar, n, size)
            yield "is_same_v<%s%d, vec<%s, %d>>" % (scalar, n, scalar, n)
            if scalar in FLOATS:
                for r in (2, 3, 4):
                    column = size * (4 if r == 3 else r)
                    yield "sizeof(%s%dx%d) == %d && alignof(%s%dx%d) == %d" % (
                        scalar, n, r, column * n, scalar, n, r, column)
                    yield "is_same_v<%s%dx%d, matrix<%s, %d, %d>>" % (scalar, n, r, scalar, n, r)


FILES = {
    "math": [pair for space in ("", "metal::", "metal::precise::", "metal::fast::")
             for pair in math(space)],
    "relational": relational(), "geometric": geometric(), "integer": integer(),
    "simdgroup": groups("simd"), "quadgroup": groups("quad"), "packing": packing(),
    "mixed": mixed(),
}


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: gen_overloads.py OUTPUT_FOLDER")
    texts = {name: ["is_same_v<decltype(%s), %s>" % pair for pair in pairs]
             for name, pairs in FILES.items()}
    texts["types"] = list(types())
    for name, conditions in texts.items():
        with open(os.path.join(sys.argv[1], "overloads_%s.metal" % name), "w", encoding="ascii") as out:
            out.write("#include <metal_stdlib>\nusing namespace metal;\n")
            for condition in conditions:
                out.write("static_assert(%s, \"\");\n" % condition)


main()
