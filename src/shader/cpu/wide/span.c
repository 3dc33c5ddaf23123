/* shader: elements that lie at constant distances from one address, read as plain vectors over the
 * whole of them and permuted. What is read lies between the first and the last byte really
 * accessed, at most STRIDED_SPAN apart, so that no page is touched that would not have been. See
 * stride.h. */
#include "shader/cpu/wide/stride.h"

#include <string.h>

bool strided_measure(
        struct wide *w, const int64_t *at, unsigned count, unsigned bytes, struct strided_span *s)
{
    uint64_t places = bytes;
    s->least = INT64_MAX, s->end = INT64_MIN;
    for (unsigned i = 0; i < count; i++) {
        s->least = at[i] < s->least ? at[i] : s->least;
        s->end = at[i] + bytes > s->end ? at[i] + bytes : s->end;
    }
    for (unsigned i = 0; i < count; i++)
        places |= (uint64_t)(at[i] - s->least);
    s->unit = (unsigned)(places & -places);
    s->chunk = w->g->vector_bytes / s->unit;
    /* Many processors permute no single bytes. */
    return (s->unit > 1 || bytes == 1) && s->end - s->least <= STRIDED_SPAN;
}

/* A chunk begins at the first element that the one before has not: so rows that lie apart, as a
 * matrix's, are a vector each. */
void strided_place(const int64_t *at, unsigned count, unsigned bytes, struct strided_span *s)
{
    bool wanted[STRIDED_SPAN] = {false};
    unsigned units = (unsigned)((s->end - s->least) / s->unit);
    while (s->chunk > units)
        s->chunk /= 2;
    for (unsigned i = 0; i < count; i++)
        memset(&wanted[(at[i] - s->least) / s->unit], true, bytes / s->unit);
    s->count = 0;
    for (unsigned u = 0; u < units; u++) {
        if (!wanted[u])
            continue;
        unsigned start = u + s->chunk > units ? units - s->chunk : u;
        for (; u < start + s->chunk; u++)
            s->chunk_of[u] = (uint16_t)s->count;
        s->start[s->count++] = s->least + (int64_t)start * s->unit;
        u--;
    }
}

void strided_load_span(
        struct wide *w, const struct wide_strided *of, unsigned align, struct strided_span *s)
{
    for (unsigned n = 0; n < s->count; n++) {
        s->vector[n] = LLVMBuildLoad2(w->g->builder, strided_vector(w, s->unit, s->chunk),
                strided_address(w, of, s->start[n]), "");
        LLVMSetAlignment(s->vector[n], align < s->unit ? align : s->unit);
    }
}

LLVMValueRef strided_from_span(struct wide *w, const int64_t *at, unsigned count, unsigned bytes,
        const struct strided_span *s)
{
    unsigned units = bytes / s->unit;
    struct strided_pick k = {.count = count * units, .length = s->chunk};
    for (unsigned i = 0; i < k.count; i++) {
        int64_t place = at[i / units] + i % units * s->unit;
        unsigned n = s->chunk_of[(place - s->least) / s->unit];
        k.source[i] = (int)n;
        k.at[i] = (int)((place - s->start[n]) / s->unit);
    }
    return LLVMBuildBitCast(
            w->g->builder, strided_pick(w, &k, s->vector), strided_vector(w, bytes, count), "");
}

unsigned strided_span_cost(
        const int64_t *at, unsigned count, unsigned bytes, const struct strided_span *s)
{
    uint64_t seen[(STRIDED_MAX_CHUNKS + 63) / 64] = {0};
    unsigned sources = 0;
    for (unsigned i = 0; i < 2 * count; i++) { /* where an element begins, and ends */
        int64_t place = at[i / 2] - s->least + (i & 1 ? bytes - s->unit : 0);
        unsigned n = s->chunk_of[place / s->unit];
        sources += !(seen[n / 64] >> n % 64 & 1);
        seen[n / 64] |= 1ull << n % 64;
    }
    return sources > 1 ? sources - 1 : 1;
}
