#!/usr/bin/env python3
"""A library's CUDA code for one architecture alone, as machine code.

    cuda_code.py LIBRARY ARCHITECTURE TOOLS JOBS OUT

Published CUDA libraries carry code of many architectures, newer ones often only as PTX, which a driver
that is older than the toolkit refuses. OUT is LIBRARY with the PTX of ARCHITECTURE (90) assembled by
TOOLS/ptxas, which has to be as new as the PTX, and nothing of the others: the space that they took is
zeros, which compress to nothing. Needs zstd.
"""
import os
import struct
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

CONTAINER, ENTRY = "<IHHQ", "<HHIQI"  # magic, version, header, body; kind, version, header, body, compressed
MAGIC, PTX, ZSTD = 0xBA55ED50, 1, 0x8000


def section(path, name):
    """Where a section lies in the file: offset, size."""
    for line in subprocess.run(["readelf", "-SW", path], check=True, capture_output=True, text=True).stdout.splitlines():
        fields = line.split("]", 1)[-1].split()
        if fields[:1] == [name]:
            return int(fields[3], 16), int(fields[4], 16)
    sys.exit(f"cuda_code.py: {path} has no {name}")


def containers(data, at, size):
    """Each translation unit's code: where it begins and ends."""
    end = at + size
    while at < end:
        magic, _, header, body = struct.unpack_from(CONTAINER, data, at)
        if magic == MAGIC:
            yield at, at + header + body
            at += header + body
        else:
            at += 8  # what aligns the next


def ptx(data, at, end, architecture):
    at += struct.calcsize(CONTAINER)
    while at < end:
        kind, _, header, body, compressed = struct.unpack_from(ENTRY, data, at)
        its, = struct.unpack_from("<I", data, at + 28)
        flags, = struct.unpack_from("<Q", data, at + 40)
        if kind == PTX and its == architecture:
            text = data[at + header:at + header + (compressed or body)]
            if flags & ZSTD:
                text = subprocess.run(["zstd", "-dcq"], input=text, check=True, capture_output=True).stdout
            return text.rstrip(b"\0")
        at += header + body
    sys.exit(f"cuda_code.py: no PTX of {architecture} in a part of it")


def main():
    library, architecture, tools, jobs, out = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]), sys.argv[5]
    data = bytearray(Path(library).read_bytes())
    parts = list(containers(data, *section(library, ".nv_fatbin")))
    with tempfile.TemporaryDirectory() as work:

        def assemble(number):
            begin, end = parts[number]
            source, code, packed = (f"{work}/{number}.{kind}" for kind in ("ptx", "cubin", "fatbin"))
            Path(source).write_bytes(ptx(data, begin, end, architecture))
            subprocess.run([tools / "ptxas", f"-arch=sm_{architecture}", source, "-o", code], check=True)
            subprocess.run([tools / "fatbinary", "-64", f"--create={packed}", "--compress-mode=size",
                            f"--image3=kind=elf,sm={architecture},file={code}"], check=True)
            os.remove(source)
            os.remove(code)
            return Path(packed).read_bytes()

        order = sorted(range(len(parts)), key=lambda number: parts[number][0] - parts[number][1])
        with ThreadPoolExecutor(jobs) as pool:
            for number, code in zip(order, pool.map(assemble, order)):
                begin, end = parts[number]
                if len(code) > end - begin:
                    sys.exit(f"cuda_code.py: part {number} has grown from {end - begin} to {len(code)} bytes")
                data[begin:end] = code + bytes(end - begin - len(code))
    Path(out).write_bytes(data)
    print(f"{len(parts)} parts, of architecture {architecture} alone")


main()
