#!/usr/bin/env python3
"""A small ESRGAN with random weights, and a picture of 32 x 32: make_upscaler.py MODEL.safetensors PICTURE.png"""
import json
import struct
import sys
import zlib

import numpy as np

rng = np.random.default_rng(0)
weights = {}


def convolution(name, inputs, outputs):
    weights[name + ".weight"] = rng.standard_normal((outputs, inputs, 3, 3)) / np.sqrt(inputs * 9)
    weights[name + ".bias"] = rng.standard_normal(outputs) * 0.02


convolution("conv_first", 3, 64)
for block in range(2):
    for dense in (1, 2, 3):
        for i in range(5):
            convolution(f"body.{block}.rdb{dense}.conv{i + 1}", 64 + 32 * i, 64 if i == 4 else 32)
for name in ("conv_body", "conv_up1", "conv_up2", "conv_hr"):
    convolution(name, 64, 64)
convolution("conv_last", 64, 3)

head, data = {}, b""
for name, value in weights.items():
    part = value.astype(np.float32).tobytes()
    head[name] = {"dtype": "F32", "shape": list(value.shape), "data_offsets": [len(data), len(data) + len(part)]}
    data += part
text = json.dumps(head).encode()
with open(sys.argv[1], "wb") as file:
    file.write(struct.pack("<Q", len(text)) + text + data)

y, x = np.mgrid[0:32, 0:32]
rows = np.stack([x * 8, y * 8, x * y % 256], -1).astype(np.uint8)


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


with open(sys.argv[2], "wb") as file:
    file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 32, 32, 8, 2, 0, 0, 0)) +
               chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))) + chunk(b"IEND", b""))
