/* shader: stores of whole vectors whose lanes do not lie side by side: those that follow each other
 * and belong together are written as one. See stride.h. */
#include "shader/cpu/wide/stride.h"

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

/* The elements that are written at once from cell `i` on: a power of two. */
static unsigned run_length(struct wide *w, const struct wide_strided *s, const struct cell *cell,
        unsigned i, unsigned n)
{
    unsigned length = 1, limit = w->g->vector_bytes / s->bytes;
    while (i + length < n && cell[i + length].at == cell[i].at + length * (int64_t)s->bytes)
        length++;
    return 1u << (31 - __builtin_clz(length < limit ? length : limit));
}

static struct strided_pick pick_run(const struct cell *cell, unsigned count, unsigned length)
{
    struct strided_pick p = {.count = count, .length = length};
    for (unsigned k = 0; k < count; k++) {
        p.source[k] = (int)cell[k].member;
        p.at[k] = (int)cell[k].lane;
    }
    return p;
}

/* The vectors that hold the elements to be written; a cell says which one, and where in it. */
struct parts {
    LLVMValueRef vector[WIDE_MAX_STRIDED];
    unsigned count, length;
};

/* How many instructions it takes to put all runs together. Without AVX-512, elements of less than
 * 32 bits from two registers take a permutation of each. */
static unsigned picks(
        struct wide *w, const struct wide_strided *s, const struct cell *cell, unsigned n)
{
    unsigned sum = 0, each = s->bytes < 4 && w->g->vector_bytes < 64 ? 3 : 1;
    for (unsigned i = 0, length; i < n; i += length) {
        bool seen[WIDE_MAX_STRIDED] = {false};
        unsigned sources = 0;
        length = run_length(w, s, cell, i, n);
        for (unsigned k = 0; k < length; k++) {
            sources += !seen[cell[i + k].member];
            seen[cell[i + k].member] = true;
        }
        sum += sources > 1 ? (sources - 1) * each : 1;
    }
    return sum;
}

/* Where the elements were before they were permuted, then cut to fewer bits, and permuted again
 * now: false when that is in too many vectors, or not the same kind of them. */
static bool trace_parts(struct wide *w, const struct wide_strided *s, struct cell *cell, unsigned n,
        struct parts *p)
{
    p->count = p->length = 0;
    for (unsigned i = 0; i < n; i++) {
        struct wide_origin o =
                wide_trace(w, LLVMGetOperand(s[cell[i].member].value, 0), cell[i].lane);
        unsigned k = 0;
        while (k < p->count && p->vector[k] != o.vector)
            k++;
        if (!o.vector || k == WIDE_MAX_STRIDED ||
                (p->count && LLVMTypeOf(o.vector) != LLVMTypeOf(p->vector[0])))
            return false;
        p->vector[k] = o.vector;
        p->count += k == p->count;
        cell[i].member = k;
        cell[i].lane = o.at;
    }
    p->length = LLVMGetVectorSize(LLVMTypeOf(p->vector[0]));
    return p->length <= w->width;
}

static LLVMValueRef convert(struct wide *w, LLVMValueRef like, LLVMValueRef v, unsigned bytes)
{
    LLVMTypeRef from = LLVMGetElementType(LLVMTypeOf(LLVMGetOperand(like, 0)));
    LLVMTypeRef to = LLVMGetElementType(LLVMTypeOf(like));
    unsigned n = LLVMGetVectorSize(LLVMTypeOf(v));
    v = LLVMBuildBitCast(w->g->builder, v, LLVMVectorType(from, n), "");
    v = LLVMBuildCast(w->g->builder, LLVMGetInstructionOpcode(like), v, LLVMVectorType(to, n), "");
    return LLVMBuildBitCast(w->g->builder, v, strided_vector(w, bytes, n), "");
}

/* Numbers that were brought into lanes only to be cut to fewer bits and stored: they are cut as
 * memory had them, and permuted once. Changes the cells when it is so. */
static bool converted_parts(struct wide *w, const struct wide_strided *s, unsigned count,
        struct cell *cell, unsigned n, struct parts *ret)
{
    struct cell traced[WIDE_MAX_STRIDED * WIDE_MAX_WIDTH];
    struct parts p = {.count = 0};
    for (unsigned k = 0; k < count; k++) {
        LLVMValueRef v = s[k].value, first = s[0].value;
        if ((!LLVMIsAFPTruncInst(v) && !LLVMIsATruncInst(v)) ||
                LLVMTypeOf(LLVMGetOperand(v, 0)) != LLVMTypeOf(LLVMGetOperand(first, 0)) ||
                LLVMTypeOf(v) != LLVMTypeOf(first) ||
                LLVMGetInstructionOpcode(v) != LLVMGetInstructionOpcode(first))
            return false;
    }
    memcpy(traced, cell, n * sizeof *cell);
    if (!trace_parts(w, s, traced, n, &p))
        return false;
    /* What bringing them into lanes took, and is not needed any more: the transposition of p.count
     * registers. */
    unsigned saved = p.count * (31 - (unsigned)__builtin_clz(p.length)), was = picks(w, s, cell, n);
    if (p.count * p.length > 2 * n || picks(w, s, traced, n) > was + saved)
        return false;
    for (unsigned k = 0; k < p.count; k++)
        p.vector[k] = convert(w, s[0].value, p.vector[k], s->bytes);
    memcpy(cell, traced, n * sizeof *cell);
    *ret = p;
    return true;
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
            return false; /* two elements overlap in part */
        cell[kept++] = cell[i];
        runs += kept == 1 || cell[kept - 1].at != cell[kept - 2].at + s->bytes;
    }
    if (runs * 4 > kept)
        return false;
    struct parts p = {.length = w->width};
    if (!converted_parts(w, s, count, cell, kept, &p))
        for (unsigned k = 0; k < count; k++)
            p.vector[k] = LLVMBuildBitCast(
                    w->g->builder, s[k].value, strided_vector(w, s->bytes, w->width), "");
    for (unsigned i = 0; i < kept;) {
        unsigned length = run_length(w, s, cell, i, kept);
        struct strided_pick k = pick_run(cell + i, length, p.length);
        LLVMValueRef store = LLVMBuildStore(
                w->g->builder, strided_pick(w, &k, p.vector), strided_address(w, s, cell[i].at));
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
