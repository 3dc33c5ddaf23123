#!/usr/bin/env python3
"""A llama model of random weights as a GGUF file: what llama.cpp's programs need to run.

    make_model.py LLAMA_CPP small|1b|8b OUT.gguf [f16|q4_0]

Gaussian weights, seeded; the vocabulary is one of those that llama.cpp carries for its own tests. q4_0 is
what llama-quantize --pure makes of the f16 file, made at once; it makes the other forms. `1b` has Llama
3.2 1B's shape, 2.5 GB in f16, `8b` Llama 3.1 8B's, 16 GB. Of more than 67 million weights the numbers come
round again, at another place of a row each time.
"""
import sys
from pathlib import Path

import numpy

# width, layers, heads, key-value heads, feed-forward width, vocabulary, whether a matrix of its own makes
# the words
SHAPES = {
    "small": (256, 4, 8, 4, 768, "llama-spm", False),
    "1b": (2048, 16, 32, 8, 8192, "llama-bpe", False),
    "8b": (4096, 32, 32, 8, 14336, "llama-bpe", True),
}
BLOCK = 32  # of q4_0
DRAWN = BLOCK * 2097143  # a prime, so that no two rows of a matrix are the same


def copy_vocabulary(gguf, writer, path):
    """The tokenizer's keys of the vocabulary file; returns the number of tokens."""
    count = 0
    for field in gguf.GGUFReader(path).fields.values():
        if not field.name.startswith("tokenizer."):
            continue
        value = field.contents()
        if field.name == gguf.Keys.Tokenizer.LIST:
            count = len(value)
        sub_type = field.types[1] if len(field.types) > 1 else None
        writer.add_key_value(field.name, value, field.types[0], sub_type)
    return count


def tensors_of(shape, tokens):
    """Names and shapes, of which those of one dimension are norms."""
    width, layers, heads, kv_heads, feed_forward, _, own_output = shape
    kv_width = width // heads * kv_heads
    yield "token_embd.weight", (tokens, width)
    yield "output_norm.weight", (width,)
    for layer in range(layers):
        block = f"blk.{layer}."
        for norm in ("attn_norm", "ffn_norm"):
            yield block + norm + ".weight", (width,)
        for name, rows, columns in (("attn_q", width, width), ("attn_k", kv_width, width), ("attn_v", kv_width, width),
                                    ("attn_output", width, width), ("ffn_gate", feed_forward, width),
                                    ("ffn_up", feed_forward, width), ("ffn_down", width, feed_forward)):
            yield f"{block}{name}.weight", (rows, columns)
    if own_output:
        yield "output.weight", (tokens, width)


class Weights:
    """Random numbers in the form of the file. Each matrix takes those that follow the last one's."""

    def __init__(self, gguf, kind, count):
        random = numpy.random.default_rng(1)
        self.drawn = random.standard_normal(min(count, DRAWN), dtype=numpy.float32)
        self.gguf, self.kind, self.at = gguf, kind, 0
        self.forms = {}

    def form(self, columns):
        """All of them, with the deviation that keeps a unit vector a unit vector: a row a block."""
        if columns not in self.forms:
            values = (self.drawn * numpy.float32(columns**-0.5)).astype(numpy.float16)
            if self.kind == "q4_0":
                self.forms[columns] = self.gguf.quants.quantize(
                    values.reshape(-1, BLOCK).astype(numpy.float32), self.gguf.GGMLQuantizationType.Q4_0)
            else:
                self.forms[columns] = values.reshape(-1, BLOCK)
        return self.forms[columns]

    def pieces(self, rows, columns):
        form, left = self.form(columns), rows * columns // BLOCK
        while left:
            piece = form[self.at:self.at + left]
            self.at = (self.at + len(piece)) % len(form)
            left -= len(piece)
            yield piece


def main():
    llama, shape, out = Path(sys.argv[1]), SHAPES[sys.argv[2]], sys.argv[3]
    kind = sys.argv[4] if len(sys.argv) > 4 else "f16"
    sys.path.insert(0, str(llama / "gguf-py"))
    import gguf

    width, layers, heads, kv_heads, feed_forward, vocabulary, _ = shape
    writer = gguf.GGUFWriter(out, "llama")
    tokens = copy_vocabulary(gguf, writer, llama / f"models/ggml-vocab-{vocabulary}.gguf")
    writer.add_context_length(4096)
    writer.add_embedding_length(width)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(feed_forward)
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(width // heads)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(tokens)
    types = {"f16": (gguf.GGMLQuantizationType.F16, gguf.LlamaFileType.MOSTLY_F16),
             "q4_0": (gguf.GGMLQuantizationType.Q4_0, gguf.LlamaFileType.MOSTLY_Q4_0)}
    stored, file_type = types[kind]
    writer.add_file_type(file_type)
    if kind != "f16":
        writer.add_quantization_version(gguf.GGML_QUANT_VERSION)

    tensors = list(tensors_of(shape, tokens))
    block, size = gguf.GGML_QUANT_SIZES[stored]
    for name, dimensions in tensors:
        if len(dimensions) == 1:
            writer.add_tensor_info(name, dimensions, numpy.dtype(numpy.float32), 4 * width)
        else:
            count = dimensions[0] * dimensions[1]
            writer.add_tensor_info(name, dimensions, numpy.dtype(numpy.float16), count // block * size, stored)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()

    # As write_tensor_data() does, which wants all of a tensor at once.
    weights = Weights(gguf, kind, sum(d[0] * d[1] for _, d in tensors if len(d) == 2))
    file, = writer.fout
    writer.write_padding(file, file.tell())
    for _, dimensions in tensors:
        if len(dimensions) == 1:
            numpy.ones(width, numpy.float32).tofile(file)
        else:
            for piece in weights.pieces(*dimensions):
                piece.tofile(file)
        writer.write_padding(file, file.tell())
    writer.close()


main()
