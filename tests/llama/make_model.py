#!/usr/bin/env python3
"""A llama model of random weights as a GGUF file: what llama.cpp's programs need to run.

    make_model.py LLAMA_CPP small|1b OUT.gguf

Gaussian weights, seeded, in half precision; the vocabulary is one of those that llama.cpp carries for
its own tests. llama-quantize makes the quantised forms. `1b` has Llama 3.2 1B's shape: 2.5 GB.
"""
import sys
from pathlib import Path

import numpy

# width, layers, heads, key-value heads, feed-forward width, vocabulary
SHAPES = {
    "small": (256, 4, 8, 4, 768, "llama-spm"),
    "1b": (2048, 16, 32, 8, 8192, "llama-bpe"),
}


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


def main():
    llama, shape, out = Path(sys.argv[1]), SHAPES[sys.argv[2]], sys.argv[3]
    sys.path.insert(0, str(llama / "gguf-py"))
    import gguf

    width, layers, heads, kv_heads, feed_forward, vocabulary = shape
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
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)

    random = numpy.random.default_rng(1)

    def weights(name, rows, columns):
        # The deviation keeps a unit vector a unit vector.
        values = random.standard_normal((rows, columns), dtype=numpy.float32)
        writer.add_tensor(name, (values * columns**-0.5).astype(numpy.float16))

    kv_width = width // heads * kv_heads
    weights("token_embd.weight", tokens, width)
    writer.add_tensor("output_norm.weight", numpy.ones(width, numpy.float32))
    for layer in range(layers):
        block = f"blk.{layer}."
        for norm in ("attn_norm", "ffn_norm"):
            writer.add_tensor(block + norm + ".weight", numpy.ones(width, numpy.float32))
        weights(block + "attn_q.weight", width, width)
        weights(block + "attn_k.weight", kv_width, width)
        weights(block + "attn_v.weight", kv_width, width)
        weights(block + "attn_output.weight", width, width)
        weights(block + "ffn_gate.weight", feed_forward, width)
        weights(block + "ffn_up.weight", feed_forward, width)
        weights(block + "ffn_down.weight", width, feed_forward)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


main()
