#!/usr/bin/env python3
"""A whisper model of random weights in whisper.cpp's own format.

    make_model.py for-tests-ggml-NAME.bin OUT.bin [TEXT]

whisper.cpp carries files of each size that end after the vocabulary; the tensors that belong to the
sizes at such a file's start are added, Gaussian and seeded. TEXT is another number of positions of text,
of which half, less four, are written.
"""
import struct
import sys

import numpy

random = numpy.random.default_rng(1)


def add(out, name, *shape, half=False, scale=None, value=None):
    """One tensor; the last dimension is contiguous."""
    if value is not None:
        data = numpy.full(shape, value, numpy.float32)
    else:
        columns = numpy.prod(shape[1:]) if len(shape) > 1 else shape[0]
        data = random.standard_normal(shape, numpy.float32) * (scale or columns**-0.5)
    name = name.encode()
    out.write(struct.pack("<3i", len(shape), len(name), int(half)))
    out.write(struct.pack(f"<{len(shape)}i", *reversed(shape)))
    out.write(name + data.astype(numpy.float16 if half else numpy.float32).tobytes())


def norm(out, name, width):
    add(out, name + ".weight", width, value=1.0)
    add(out, name + ".bias", width, scale=0.02)


def linear(out, name, rows, columns, bias=True):
    add(out, name + ".weight", rows, columns, half=True)
    if bias:
        add(out, name + ".bias", rows, scale=0.02)


def block(out, name, width, attentions):
    for attention in attentions:
        norm(out, f"{name}.{attention}_ln", width)
        for part in ("query", "key", "value", "out"):
            linear(out, f"{name}.{attention}.{part}", width, width, bias=part != "key")
    norm(out, name + ".mlp_ln", width)
    linear(out, name + ".mlp.0", 4 * width, width)
    linear(out, name + ".mlp.2", width, 4 * width)


def main():
    header = bytearray(open(sys.argv[1], "rb").read())
    if len(sys.argv) > 3:
        struct.pack_into("<i", header, 4 + 5 * 4, int(sys.argv[3]))
    sizes = struct.unpack_from("<11i", header, 4)
    vocabulary, audio_context, width, _, audio_layers, text_context, _, _, text_layers, mels, _ = sizes
    with open(sys.argv[2], "wb") as out:
        out.write(header)
        add(out, "encoder.positional_embedding", audio_context, width, scale=0.1)
        for conv, inputs in (("conv1", mels), ("conv2", width)):
            add(out, f"encoder.{conv}.weight", width, inputs, 3, half=True)
            add(out, f"encoder.{conv}.bias", width, 1, scale=0.02)
        norm(out, "encoder.ln_post", width)
        for layer in range(audio_layers):
            block(out, f"encoder.blocks.{layer}", width, ("attn",))
        add(out, "decoder.positional_embedding", text_context, width, scale=0.1)
        add(out, "decoder.token_embedding.weight", vocabulary, width, half=True)
        norm(out, "decoder.ln", width)
        for layer in range(text_layers):
            block(out, f"decoder.blocks.{layer}", width, ("attn", "cross_attn"))


main()
