/* Fuzzes the generated decoder and the trace printer with whole streams. With libFuzzer
 * (-Dfuzzers=true) it searches; as an ordinary test it replays streams made from a fixed seed:
 *     fuzz_decode [rounds] */
#include "sample_decoder.h"

#include <stdio.h>
#include <stdlib.h>

#include "encode_gen.h"
#include "trace_gen.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct decoder d;
    uint8_t *stream;
    size_t at = 0, bytes;

    if (size < 9)
        return 0;
    d = fresh((enum abx_context)(data[0] % 3));
    bytes = (size - 1) & ~7ull;
    stream = malloc(bytes); /* of exactly that size: the sanitizer sees the first byte past it */
    if (!stream)
        return 0;
    memcpy(stream, data + 1, bytes);
    while (at < bytes) {
        const struct abx_record *r = (const struct abx_record *)(stream + at);
        struct abx_string text = {0};
        unsigned calls = d.calls;
        d.violation = ABX_REASON_NONE;
        bool good;

        abx_trace_record(&text, r, (uint32_t)(bytes - at));
        if (!text.failed && !text.data)
            abort();
        abx_string_finish(&text);
        good = data[0] & 0x80 ? abx_decode_ring_record(&d, r, (uint32_t)(bytes - at))
                              : abx_decode_arena_record(&d, r, (uint32_t)(bytes - at));
        if (good && d.calls != calls + (r->op != ABX_OP_PAD))
            abort();
        if (!good && (d.calls != calls || (!d.malformed && !d.violation)))
            abort();
        if (d.malformed)
            break;
        at += r->bytes;
    }
    free(stream);
    return 0;
}

#ifndef ABX_LIBFUZZER
static uint32_t seed = 1;

static uint32_t next(void)
{
    seed = seed * 1664525 + 1013904223;
    return seed >> 8;
}

/* A plausible stream: every kind of part a record has, then a few bits turned over. */
static size_t make_stream(uint8_t *space, size_t capacity)
{
    struct abx_encoder e = {.at = space + 8, .end = space + capacity};
    struct abx_wire_segment segments[3] = {{1, 8, 0}, {2, 16, 8}, {3, 24, 16}};
    struct abx_wire_constant constants[2] = {{0, 1, 2, 3}, {4, 5, 6, 7}};
    uint8_t bytes[40];
    bool ring = next() & 1;

    memset(bytes, (int)next(), sizeof bytes);
    space[7] = (uint8_t)(ring << 7 | next() % 3);
    for (uint32_t count = next() % 8; count > 0; count--) {
        if (ring && next() & 1)
            abx_encode_commit(&e, BUFFER, 1, 0, next() % 4, segments);
        else if (ring)
            abx_encode_pipeline_create(&e, PIPELINE, BUFFER, 0, next() % 3, constants);
        else if (next() & 1)
            abx_encode_set_bytes(&e, 1, 1 + next() % 40, bytes);
        else
            abx_encode_set_buffer(&e, BUFFER, 8, 1);
    }
    for (uint32_t flips = next() % 4; flips > 0 && e.at > space + 8; flips--)
        space[8 + next() % (size_t)(e.at - space - 8)] ^= (uint8_t)(1u << next() % 8);
    return (size_t)(e.at - space) - 7;
}

int main(int argc, char **argv)
{
    long rounds = argc > 1 ? strtol(argv[1], NULL, 10) : 20000;

    for (long i = 0; i < rounds; i++) {
        _Alignas(8) uint8_t space[1024] = {0};
        size_t size = make_stream(space, sizeof space);

        LLVMFuzzerTestOneInput(space + 7, size);
    }
    return 0;
}
#endif
