#!/usr/bin/env python3
"""A file as a C array. Usage: gen_bytes.py NAME INPUT OUTPUT"""
import sys

name, source, output = sys.argv[1:]
with open(source, "rb") as file:
    data = file.read()
with open(output, "w", encoding="ascii") as out:
    out.write("static const unsigned char %s[] = {\n" % name)
    for i in range(0, len(data), 20):
        out.write("".join("%d," % byte for byte in data[i:i + 20]) + "\n")
    out.write("};\n")
