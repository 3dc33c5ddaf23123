/* What goes in through the generated encoder comes out of the generated decoder, and what no
 * encoder writes is refused. */
#include "../check.h"
#include "encode_gen.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sample_decoder.h"
#include "trace_gen.h"

static bool decode_all(struct decoder *d, const uint8_t *at, size_t bytes, bool ring)
{
    while (bytes) {
        const struct abx_record *r = (const struct abx_record *)at;

        if (!(ring ? abx_decode_ring_record(d, r, (uint32_t)bytes)
                   : abx_decode_arena_record(d, r, (uint32_t)bytes)))
            return false;
        at += r->bytes;
        bytes -= r->bytes;
    }
    return true;
}

static void round_trip(void)
{
    _Alignas(8) uint8_t space[4096];
    struct abx_encoder e = {.at = space, .end = space + sizeof space};
    struct decoder d = fresh(ABX_CONTEXT_NONE);

    CHECK(abx_encode_compute_begin(&e, 0));
    abx_encode_set_pipeline(&e, PIPELINE);
    abx_encode_set_buffer(&e, BUFFER, 4096, 2);
    abx_encode_set_buffer(&e, 0, 0, 1);
    abx_encode_set_bytes(&e, 0, 3, "\1\2\3");
    abx_encode_dispatch_threads(&e, (uint32_t[]){64, 1, 1}, (uint32_t[]){32, 1, 1});
    abx_encode_encoder_end(&e);
    abx_encode_blit_begin(&e);
    abx_encode_copy_buffer(&e, BUFFER, 0, BUFFER, 8, 100);
    abx_encode_encoder_end(&e);
    CHECK(!e.failed && (e.at - space) % 8 == 0);
    CHECK(decode_all(&d, space, (size_t)(e.at - space), false));
    CHECK(d.calls == 10 && !d.malformed && !d.violation);
    CHECK(d.sum == 4096 + 2 + 1 + 1 + 2 + 3 + 100);
    CHECK(d.context == ABX_CONTEXT_NONE && d.last == &a_buffer);
}

static void ring_round_trip(void)
{
    _Alignas(8) uint8_t space[4096];
    struct abx_encoder e = {.at = space, .end = space + sizeof space};
    struct decoder d = fresh(ABX_CONTEXT_NONE);
    struct abx_wire_segment segments[2] = {{1, 64, 0}, {2, 8, 128}};
    struct abx_object queue = {ABX_CLASS_QUEUE, 1};

    d.objects[5] = &queue;
    abx_encode_queue_create(&e, (1ull << 32) | 5, 0);
    abx_encode_commit(&e, (1ull << 32) | 5, 1, 0, 2, segments);
    abx_encode_destroy(&e, BUFFER);
    CHECK(decode_all(&d, space, (size_t)(e.at - space), true));
    CHECK(d.calls == 3 && d.last == &a_buffer);
    e.at = space;
    segments[1].bytes = 7;
    abx_encode_commit(&e, (1ull << 32) | 5, 1, 0, 2, segments);
    CHECK(!decode_all(&d, space, (size_t)(e.at - space), true));
    CHECK(d.violation == ABX_REASON_ALIGNMENT && d.value == 7 && d.limit == 8);
    CHECK(!abx_decode_arena_record(&d, (struct abx_record *)space, 64) && d.malformed);
}

/* Encodes one record, then expects one verdict of the decoder. */
#define REFUSED(start, encode, why)                                                                \
    do {                                                                                           \
        _Alignas(8) uint8_t space[8192];                                                           \
        struct abx_encoder e = {.at = space, .end = space + sizeof space};                         \
        struct decoder d = fresh(start);                                                           \
        encode;                                                                                    \
        CHECK(!decode_all(&d, space, (size_t)(e.at - space), false));                              \
        CHECK(!d.malformed && d.violation == (why) && d.calls == 0);                               \
    } while (0)

static void wrong_values(void)
{
    REFUSED(ABX_CONTEXT_COMPUTE, abx_encode_set_buffer(&e, BUFFER, 0, 31), ABX_REASON_RANGE);
    REFUSED(ABX_CONTEXT_NONE, abx_encode_set_buffer(&e, BUFFER, 0, 1), ABX_REASON_STATE);
    REFUSED(ABX_CONTEXT_BLIT, abx_encode_set_buffer(&e, BUFFER, 0, 1), ABX_REASON_STATE);
    REFUSED(ABX_CONTEXT_COMPUTE, abx_encode_compute_begin(&e, 0), ABX_REASON_STATE);
    REFUSED(ABX_CONTEXT_NONE, abx_encode_compute_begin(&e, 2), ABX_REASON_ENUM);
    REFUSED(ABX_CONTEXT_NONE, abx_encode_encoder_end(&e), ABX_REASON_STATE);
    REFUSED(ABX_CONTEXT_COMPUTE, abx_encode_set_buffer(&e, PIPELINE, 0, 1), ABX_REASON_HANDLE_TYPE);
    REFUSED(ABX_CONTEXT_COMPUTE, abx_encode_set_buffer(&e, BUFFER + (1ull << 32), 0, 1),
            ABX_REASON_HANDLE_UNKNOWN);
    REFUSED(ABX_CONTEXT_COMPUTE, abx_encode_set_pipeline(&e, 0), ABX_REASON_HANDLE_UNKNOWN);
    REFUSED(ABX_CONTEXT_COMPUTE, abx_encode_set_threadgroup_memory(&e, 0, 8), ABX_REASON_ALIGNMENT);
    REFUSED(ABX_CONTEXT_COMPUTE, abx_encode_set_bytes(&e, 0, 0, ""), ABX_REASON_ZERO);
    REFUSED(ABX_CONTEXT_COMPUTE, abx_encode_set_bytes(&e, 0, 4097, (uint8_t[4097]){0}),
            ABX_REASON_RANGE);
}

static void wrong_shapes(void)
{
    _Alignas(8) uint8_t space[64] = {0};
    struct abx_encoder e = {.at = space, .end = space + sizeof space};
    struct abx_rec_set_bytes *r = (struct abx_rec_set_bytes *)space;

    abx_encode_set_bytes(&e, 0, 9, "123456789");
    for (uint32_t left = 0; left < 32; left++) {
        struct decoder d = fresh(ABX_CONTEXT_COMPUTE);

        CHECK(!abx_decode_arena_record(&d, &r->head, left) && d.malformed && !d.calls);
    }
    for (uint32_t bytes = 0; bytes < 64; bytes++) {
        struct decoder d = fresh(ABX_CONTEXT_COMPUTE);

        r->head.bytes = bytes;
        CHECK(abx_decode_arena_record(&d, &r->head, 64) == (bytes == 32));
        CHECK(!d.malformed == (bytes == 32));
    }
    r->head = (struct abx_record){.op = 999, .bytes = 32};
    struct decoder d = fresh(ABX_CONTEXT_COMPUTE);
    CHECK(!abx_decode_arena_record(&d, &r->head, 64) && d.malformed);
    r->head = (struct abx_record){.op = ABX_OP_SET_BYTES, .reserved = 1, .bytes = 32};
    d = fresh(ABX_CONTEXT_COMPUTE);
    CHECK(!abx_decode_arena_record(&d, &r->head, 64) && d.malformed);
}

static int grow_once(struct abx_encoder *e, size_t bytes)
{
    static _Alignas(8) uint8_t more[64];

    e->at = more;
    e->end = more + sizeof more;
    e->grow = NULL;
    return 0;
}

static void full_cursor(void)
{
    _Alignas(8) uint8_t space[40];
    struct abx_encoder e = {.at = space, .end = space + 40, .grow = grow_once};

    CHECK(abx_encode_set_buffer(&e, BUFFER, 0, 0) && e.at == space + 32);
    CHECK(abx_encode_set_buffer(&e, BUFFER, 0, 0) && !e.failed);
    CHECK(abx_encode_set_buffer(&e, BUFFER, 0, 0) && !e.failed);
    CHECK(!abx_encode_set_buffer(&e, BUFFER, 0, 0) && e.failed);
    CHECK(!abx_encode_encoder_end(&e) && e.failed);
}

static void trace(void)
{
    _Alignas(8) uint8_t space[128];
    struct abx_encoder e = {.at = space, .end = space + sizeof space};
    struct abx_string s = {0};

    abx_encode_set_buffer(&e, (1ull << 32) | 7, 0, 2);
    abx_trace_record(&s, (struct abx_record *)space, 32);
    CHECK(s.data && !strcmp(s.data, "set_buffer buffer=7.1 offset=0 index=2"));
    abx_string_finish(&s);
    s = (struct abx_string){0};
    e.at = space;
    abx_encode_set_bytes(&e, 1, 40, "0123456789012345678901234567890123456789");
    ((struct abx_record *)space)->bytes = 24; /* says more than it holds */
    abx_trace_record(&s, (struct abx_record *)space, 24);
    CHECK(s.data && !strcmp(s.data, "set_bytes index=1 length=40 data=3031323334353637"));
    abx_string_finish(&s);
}

/* Bytes changed at random in valid records, each decoded from memory of exactly its size: a reader
 * that goes past the end is caught by the sanitizer, a check that lets a bad value pass here. */
static void mutations(void)
{
    uint32_t seed = 12345;
    unsigned accepted = 0;

    for (int round = 0; round < 200000; round++) {
        _Alignas(8) uint8_t space[256];
        struct abx_encoder e = {.at = space, .end = space + sizeof space};
        struct decoder d = fresh(ABX_CONTEXT_COMPUTE);
        struct abx_record *copy;
        size_t bytes;

        switch (round % 3) {
        case 0:
            abx_encode_set_bytes(&e, 3, 21, "123456789012345678901");
            break;
        case 1:
            abx_encode_set_buffer(&e, BUFFER, 64, 2);
            break;
        default:
            abx_encode_dispatch_threads(&e, (uint32_t[]){64, 1, 1}, (uint32_t[]){32, 1, 1});
        }
        bytes = (size_t)(e.at - space);
        for (int i = 0; i < 2; i++) {
            seed = seed * 1664525 + 1013904223;
            space[(seed >> 8) % bytes] ^= (uint8_t)(1u << (seed >> 24 & 7));
        }
        copy = malloc(bytes);
        if (!copy)
            return;
        memcpy(copy, space, bytes);
        if (abx_decode_arena_record(&d, copy, (uint32_t)bytes)) {
            accepted++;
            CHECK(copy->bytes <= bytes && !copy->reserved && d.calls == 1);
        } else {
            CHECK(d.calls == 0 && (d.malformed || d.violation));
        }
        free(copy);
    }
    CHECK(accepted > 0);
}

/* Not a verdict, a figure: a benchmark that fails on a busy machine teaches people to ignore it. */
static void measure(void)
{
    enum { RECORDS = 4096, ROUNDS = 200 };
    uint8_t *space = aligned_alloc(64, RECORDS * 32);
    struct decoder d = fresh(ABX_CONTEXT_COMPUTE);
    uint64_t encode = 0, decode = 0;

    if (!space)
        return;
    for (int round = 0; round < ROUNDS; round++) {
        struct abx_encoder e = {.at = space, .end = space + RECORDS * 32};
        uint64_t start = abx_now_ns();

        for (uint32_t i = 0; i < RECORDS; i++)
            abx_encode_set_buffer(&e, BUFFER, i, i & 15);
        encode += abx_now_ns() - start;
        start = abx_now_ns();
        CHECK(decode_all(&d, space, RECORDS * 32, false));
        decode += abx_now_ns() - start;
    }
    printf("encode %.1f ns a record, decode %.1f ns (%.0f M/s)\n",
            (double)encode / (RECORDS * ROUNDS), (double)decode / (RECORDS * ROUNDS),
            1e3 * RECORDS * ROUNDS / (double)decode);
    free(space);
}

int main(int argc, char **argv)
{
    const struct check_case cases[] = {
            CASE(round_trip),
            CASE(ring_round_trip),
            CASE(wrong_values),
            CASE(wrong_shapes),
            CASE(full_cursor),
            CASE(trace),
            CASE(mutations),
            CASE(measure),
    };
    return check_run(argc, argv, CHECK_SUITE(cases, .seconds = 60));
}
