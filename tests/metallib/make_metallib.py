#!/usr/bin/env python3
"""Assembles modules written by hand (kernels.ll) into a .metallib file, as Apple's tools lay it out.

Usage: make_metallib.py LLVM_AS KERNELS OUTPUT
"""
import hashlib
import re
import struct
import subprocess
import sys

KINDS = {"vertex": 0, "fragment": 1, "kernel": 2, "visible": 4, "intersection": 6}
HEAD = """target datalayout = "e-p:64:64:64-i1:8:8-i8:8:8-i16:16:16-i32:32:32-i64:64:64-f32:32:32\
-f64:64:64-v16:16:16-v24:32:32-v32:32:32-v48:64:64-v64:64:64-v96:128:128-v128:128:128\
-v192:256:256-v256:256:256-v512:512:512-v1024:1024:1024-n8:16:32"
target triple = "air64_v26-apple-macosx14.0.0"
"""


def modules(llvm_as, path):
    with open(path, encoding="utf-8") as file:
        parts = re.split(r"^;; (\w+) (\w+)$", file.read(), flags=re.M)
    for name, kind, text in zip(parts[1::3], parts[2::3], parts[3::3]):
        code = subprocess.run([llvm_as, "-o", "-", "-"], input=(HEAD + text).encode(), check=True,
                              stdout=subprocess.PIPE).stdout
        yield name, KINDS[kind], code + bytes(-len(code) % 16)


def tag(name, value):
    return name + struct.pack("<H", len(value)) + value


def container(functions):
    entries, code, metadata = b"", b"", b""
    for name, kind, module in functions:
        entry = (tag(b"NAME", name.encode() + b"\0") + tag(b"TYPE", bytes([kind])) +
                 tag(b"HASH", hashlib.sha256(module).digest()) +
                 tag(b"OFFT", struct.pack("<3Q", len(metadata), len(metadata), len(code))) +
                 tag(b"VERS", struct.pack("<4H", 2, 6, 3, 1)) +
                 tag(b"MDSZ", struct.pack("<Q", len(module))) + b"ENDT")
        entries += struct.pack("<I", len(entry) + 4) + entry
        code += module
        metadata += struct.pack("<I", 8) + b"ENDT"
    extension = tag(b"UUID", bytes(16)) + b"ENDT"
    at = 88
    places = []
    for size in (len(entries) + len(extension) + 4, len(metadata), len(metadata), len(code)):
        places.append(at)
        at += size
    sizes = (len(entries), len(metadata), len(metadata), len(code))
    head = b"MTLB" + struct.pack("<HHHBBI", 0x8001, 2, 7, 0, 0x81, 14) + struct.pack("<Q", at)
    for place, size in zip(places, sizes):
        head += struct.pack("<2Q", place, size)
    count = sum(1 for _ in functions)
    return head + struct.pack("<I", count) + entries + extension + metadata + metadata + code


def main():
    if len(sys.argv) != 4:
        sys.exit("usage: make_metallib.py LLVM_AS KERNELS OUTPUT")
    data = container(list(modules(sys.argv[1], sys.argv[2])))
    with open(sys.argv[3], "wb") as out:
        out.write(data)


main()
