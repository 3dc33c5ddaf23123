#!/usr/bin/env python3
"""Looks at blobs that test_kernels recorded for nvptx: each has a cubin for the processor, and a PTX.

Usage: cubins.py PROCESSOR BLOB..."""
import re
import struct
import sys

HEAD = struct.Struct("<6I2Q")  # struct abx_code
ELF = struct.Struct("<4s5B7x2HI3QI6H")


def sections(cubin):
    head = ELF.unpack_from(cubin)
    offset, size, count, names = head[11], head[16], head[17], head[18]
    raw = [struct.unpack_from("<2I4Q2I2Q", cubin, offset + i * size) for i in range(count)]
    start = raw[names][4]
    for s in raw:
        name = cubin[start + s[0]:cubin.index(b"\0", start + s[0])].decode()
        yield name, cubin[s[4]:s[4] + s[5]] if s[1] != 8 else b""


def check(processor, path):
    with open(path, "rb") as file:
        blob = file.read()
    body = blob[HEAD.unpack_from(blob)[6]:]
    at = body.index(b"\x7fELF")
    cubin, text = body[at:], body[:at]
    head = ELF.unpack_from(cubin)
    machine, flags, abi = head[7], head[12], head[5]
    assert machine == 190, "not NVIDIA's: %d" % machine
    assert (flags >> 8 if abi >= 8 else flags) & 0xff == processor, "flags are %#x" % flags
    kernels = {n for n, code in sections(cubin) if n.startswith(".text.") and code}
    entries = {".text." + name.decode() for name in re.findall(rb"\.entry (\w+)", text)}
    assert entries and entries <= kernels, "%s, of %s" % (kernels, entries)
    assert b".target sm_80" in text and b"//griddepcontrol.wait" in text, "no PTX for all processors"


for name in sys.argv[2:]:
    try:
        check(int(sys.argv[1]), name)
    except Exception as e:
        sys.exit("%s: %r" % (name, e))
print("%d cubins for sm_%s" % (len(sys.argv) - 2, sys.argv[1]))
