/* shader: stores of whole vectors whose lanes do not lie side by side: those that follow each other
 * and belong together are written as one. See codegen_wide_stride.h. */
#include "shader/codegen_wide_stride.h"

#include <stdlib.h>
#include <string.h>

static void store_rows(struct wide *w, const struct wide_strided *s, unsigned first, unsigned lanes,
        unsigned span, LLVMValueRef *column)
{
    strided_transpose(w, column, span, lanes, s->bytes, NULL);
    for (unsigned i = 0; i < lanes; i++) {
        /* Row i lies in vector i % span, at (i / span) * span. */
        LLVMValueRef row = wide_slice(w, column[i % span], i / span * span, span);
        LLVMValueRef at = strided_lane_address(w, s, first + i, s->offset);
        LLVMSetAlignment(
                LLVMBuildStore(w->g->builder, row, at), s->align < s->bytes ? s->align : s->bytes);
    }
}

struct cell {
    int64_t at;
    unsigned member, lane;
};

static int by_place(const void *a, const void *b)
{
    const struct cell *x = a, *y = b;
    return x->at != y->at ? (x->at < y->at ? -1 : 1)
                          : (x->member != y->member ? (int)x->member - (int)y->member
                                                    : (int)x->lane - (int)y->lane);
}

/* Constant distances: the elements in the order of memory, in runs. False when they are too
 * scattered. Of several writes to one place the last counts. */
static bool store_runs(struct wide *w, struct wide_strided *s, unsigned count)
{
    struct cell cell[WIDE_MAX_STRIDED * WIDE_MAX_WIDTH];
    unsigned n = 0, kept = 0, runs = 0;
    for (unsigned k = 0; k < count; k++)
        for (unsigned i = 0; i < w->width; i++)
            cell[n++] = (struct cell){s->address.lanes[i] + s[k].offset, k, i};
    qsort(cell, n, sizeof *cell, by_place);
    for (unsigned i = 0; i < n; i++) {
        if (i + 1 < n && cell[i].at == cell[i + 1].at)
            continue;
        if (i + 1 < n && cell[i + 1].at < cell[i].at + s->bytes)
            return false; /* overlapping halves */
        cell[kept++] = cell[i];
        runs += kept == 1 || cell[kept - 1].at != cell[kept - 2].at + s->bytes;
    }
    if (runs * 4 > kept)
        return false;
    LLVMValueRef vector[WIDE_MAX_STRIDED];
    for (unsigned k = 0; k < count; k++)
        vector[k] = LLVMBuildBitCast(
                w->g->builder, s[k].value, strided_vector(w, s->bytes, w->width), "");
    for (unsigned i = 0; i < kept;) {
        unsigned length = 1, limit = w->g->vector_bytes / s->bytes;
        while (i + length < kept && cell[i + length].at == cell[i].at + length * (int64_t)s->bytes)
            length++;
        length = 1u << (31 - __builtin_clz(length < limit ? length : limit));
        struct strided_pick p = {.count = length, .length = w->width};
        for (unsigned k = 0; k < length; k++) {
            p.source[k] = (int)cell[i + k].member;
            p.at[k] = (int)cell[i + k].lane;
        }
        LLVMValueRef store = LLVMBuildStore(
                w->g->builder, strided_pick(w, &p, vector), strided_address(w, s, cell[i].at));
        LLVMSetAlignment(store, s->align < s->bytes ? s->align : s->bytes);
        i += length;
    }
    return true;
}

static void scatter(struct wide *w, struct wide_strided *s)
{
    struct codegen *g = w->g;
    LLVMValueRef p = strided_addresses(w, s);
    LLVMTypeRef types[2] = {wide_type(w, s->type), LLVMTypeOf(p)};
    LLVMValueRef all = wide_splat(w, LLVMConstInt(g->i1, 1, 0));
    LLVMValueRef a[4] = {s->value, p, codegen_i32(g, s->align), all};
    codegen_call_intrinsic(g, "llvm.masked.scatter", types, 2, a, 4);
}

/* Consecutive elements of each lane, in rising order; lanes' rows must not overlap, which is known
 * only of constant distances. */
static unsigned row_length(struct wide *w, struct wide_strided *s, unsigned count)
{
    unsigned span = 1, lanes = strided_lanes(w, s);
    while (span < count && s[span].offset == s[span - 1].offset + s->bytes)
        span++;
    span = span < STRIDED_MAX_COLUMNS ? span : STRIDED_MAX_COLUMNS;
    span = 1u << (31 - __builtin_clz(span < lanes ? span : lanes));
    for (unsigned i = 1; i < w->width && s->address.lanes; i++)
        for (unsigned k = 0; k < i; k++)
            if (llabs(s->address.lanes[i] - s->address.lanes[k]) < (int64_t)(span * s->bytes))
                return 1;
    return s->address.lanes ? span : 1;
}

void strided_store_group(struct wide *w, struct wide_strided *s, unsigned count)
{
    if (s->address.lanes && store_runs(w, s, count))
        return;
    while (count) {
        unsigned span = row_length(w, s, count), lanes = strided_lanes(w, s);
        if (span == 1)
            scatter(w, s);
        for (unsigned first = 0; first < w->width && span > 1; first += lanes) {
            LLVMTypeRef type = strided_vector(w, s->bytes, w->width);
            LLVMValueRef column[STRIDED_MAX_COLUMNS];
            for (unsigned c = 0; c < span; c++)
                column[c] = wide_slice(
                        w, LLVMBuildBitCast(w->g->builder, s[c].value, type, ""), first, lanes);
            store_rows(w, s, first, lanes, span, column);
        }
        s += span;
        count -= span;
    }
}
