/* shader: loads and stores whose lanes lie a constant stride apart, for which processors' gathers
 * are slow. Neighbouring ones (a float4 a thread, a row of weights) become one short vector access
 * a lane and a transposition. See codegen_wide.h.
 *
 * Only what every lane does anyway is touched: accesses under a mask are left alone, and a span
 * goes from the first to the last element really accessed. */
#include "shader/codegen_wide.h"

#include <stdlib.h>

#define ELEMENT 4 /* bytes */
#define MAX_SPAN 8u
#define PART 8u /* lanes transposed together */

static bool fit(struct wide *w, LLVMValueRef pointer, LLVMTypeRef type)
{
    LLVMTypeKind k = LLVMGetTypeKind(type);
    if (w->mask || wide_private(pointer) || !wide_is_divergent(w, pointer) ||
            LLVMABISizeOfType(w->g->layout, type) != ELEMENT ||
            (k != LLVMFloatTypeKind && k != LLVMIntegerTypeKind))
        return false;
    struct wide_value *v = wide_get(w, pointer);
    return v->base && v->affine && v->root;
}

static void add(
        struct wide *w, LLVMValueRef pointer, LLVMTypeRef type, unsigned align, LLVMValueRef value)
{
    bool stores = value != NULL;
    if (w->strided_count == WIDE_MAX_STRIDED || (w->strided_count && w->strided_stores != stores))
        wide_strided_flush(w);
    w->strided_stores = stores;
    struct wide_strided *s = &w->strided[w->strided_count++];
    LLVMBuilderRef b = w->g->builder;
    *s = (struct wide_strided){
            .value = value, .type = type, .address = *wide_get(w, pointer), .align = align};
    s->mark = LLVMBuildFreeze(b, LLVMGetPoison(stores ? type : wide_type(w, type)), "");
}

bool wide_strided_load(struct wide *w, LLVMValueRef in)
{
    if (!fit(w, LLVMGetOperand(in, 0), LLVMTypeOf(in)))
        return false;
    add(w, LLVMGetOperand(in, 0), LLVMTypeOf(in), LLVMGetAlignment(in), NULL);
    wide_set_vector(w, in, w->strided[w->strided_count - 1].mark);
    return true;
}

bool wide_strided_store(struct wide *w, LLVMValueRef in, LLVMValueRef value)
{
    LLVMValueRef pointer = LLVMGetOperand(in, 1);
    LLVMTypeRef type = LLVMTypeOf(LLVMGetOperand(in, 0));
    if (!fit(w, pointer, type) || llabs(wide_get(w, pointer)->stride) < ELEMENT)
        return false;
    add(w, pointer, type, LLVMGetAlignment(in), value);
    return true;
}

static bool together(const struct wide_strided *a, const struct wide_strided *b)
{
    const struct wide_value *x = &a->address, *y = &b->address;
    return a->type == b->type && x->root == y->root && x->root_base == y->root_base &&
           x->root_size == y->root_size && x->stride == y->stride && x->base == y->base;
}

/* The address of lane `lane`, `bytes` behind that of `s`. */
static LLVMValueRef lane_address(
        struct wide *w, const struct wide_strided *s, unsigned lane, int64_t bytes)
{
    struct codegen *g = w->g;
    LLVMValueRef offset = LLVMBuildAdd(g->builder, s->address.first,
            LLVMConstInt(g->i64, (uint64_t)(s->address.stride * (int64_t)lane + bytes), 1), "");
    return LLVMBuildGEP2(g->builder, g->i8, s->address.base, &offset, 1, "");
}

static LLVMValueRef shuffle(
        struct wide *w, LLVMValueRef a, LLVMValueRef b, const unsigned *index, unsigned count)
{
    LLVMValueRef mask[WIDE_MAX_WIDTH];
    for (unsigned i = 0; i < count; i++)
        mask[i] = codegen_i32(w->g, index[i]);
    return LLVMBuildShuffleVector(w->g->builder, a, b, LLVMConstVector(mask, count), "");
}

/* PART vectors in place: swaps the blocks off the diagonal, at ever smaller distances. */
static void transpose(struct wide *w, LLVMValueRef *r, unsigned rows, unsigned from)
{
    for (unsigned d = from; d; d /= 2)
        for (unsigned i = 0; i < rows; i++) {
            unsigned low[PART], high[PART];
            if (i & d)
                continue;
            for (unsigned k = 0; k < PART; k++) {
                low[k] = k & d ? PART + k - d : k;
                high[k] = k & d ? PART + k : k + d;
            }
            LLVMValueRef a = r[i], b = r[i + d];
            r[i] = shuffle(w, a, b, low, PART);
            r[i + d] = shuffle(w, a, b, high, PART);
        }
}

static LLVMValueRef join(struct wide *w, LLVMValueRef a, LLVMValueRef b, unsigned each)
{
    unsigned index[WIDE_MAX_WIDTH];
    for (unsigned i = 0; i < 2 * each; i++)
        index[i] = i;
    return shuffle(w, a, b, index, 2 * each);
}

static LLVMValueRef slice(struct wide *w, LLVMValueRef v, unsigned start, unsigned count)
{
    unsigned index[WIDE_MAX_WIDTH];
    for (unsigned i = 0; i < count; i++)
        index[i] = start + i;
    return shuffle(w, v, v, index, count);
}

/* Columns [0, span) of PART lanes' rows; span is 1, 2, 4 or 8. */
static void load_part(struct wide *w, const struct wide_strided *s, int64_t bytes, unsigned lane,
        unsigned span, LLVMValueRef *column)
{
    LLVMBuilderRef b = w->g->builder;
    LLVMValueRef r[PART];
    LLVMTypeRef type = span == 1 ? s->type : LLVMVectorType(s->type, span);
    for (unsigned i = 0; i < PART; i++) {
        r[i] = LLVMBuildLoad2(b, type, lane_address(w, s, lane + i, bytes), "");
        LLVMSetAlignment(r[i], s->align < ELEMENT ? s->align : ELEMENT);
    }
    if (span == 1) {
        column[0] = LLVMGetPoison(LLVMVectorType(s->type, PART));
        for (unsigned i = 0; i < PART; i++)
            column[0] = LLVMBuildInsertElement(b, column[0], r[i], codegen_i32(w->g, i), "");
        return;
    }
    /* Shorter rows share vectors: i, i + span, i + 2 * span ... lie side by side. */
    for (unsigned i = 0; i < span; i++) {
        LLVMValueRef v[PART];
        unsigned count = PART / span;
        for (unsigned k = 0; k < count; k++)
            v[k] = r[i + k * span];
        for (unsigned each = span; count > 1; count /= 2, each *= 2)
            for (unsigned k = 0; k < count / 2; k++)
                v[k] = join(w, v[2 * k], v[2 * k + 1], each);
        column[i] = v[0];
    }
    transpose(w, column, span, span / 2);
}

static void store_part(struct wide *w, const struct wide_strided *s, unsigned lane, unsigned span,
        LLVMValueRef *column)
{
    LLVMBuilderRef b = w->g->builder;
    LLVMValueRef r[PART];
    for (unsigned c = 0; c < span; c++)
        r[c] = column[c];
    if (span > 1)
        transpose(w, r, span, span / 2);
    for (unsigned i = 0; i < PART; i++) {
        /* Row i lies in vector i % span, at (i / span) * span. */
        LLVMValueRef row = span == 1 ? LLVMBuildExtractElement(b, r[0], codegen_i32(w->g, i), "")
                                     : slice(w, r[i % span], i / span * span, span);
        LLVMSetAlignment(LLVMBuildStore(b, row, lane_address(w, s, lane + i, 0)),
                s->align < ELEMENT ? s->align : ELEMENT);
    }
}

static LLVMValueRef join_parts(struct wide *w, LLVMValueRef *part)
{
    unsigned count = w->width / PART;
    for (unsigned each = PART; count > 1; count /= 2, each *= 2)
        for (unsigned i = 0; i < count / 2; i++)
            part[i] = join(w, part[2 * i], part[2 * i + 1], each);
    return part[0];
}

/* The mark stays behind, unused. */
static void replace(struct wide *w, LLVMValueRef mark, LLVMValueRef v)
{
    LLVMReplaceAllUsesWith(mark, v);
    for (size_t i = 0; i < w->map_capacity; i++)
        if (w->map[i].key && w->map[i].vector == mark)
            w->map[i].vector = v;
}

/* Members of one group within a span, first to last; `at[i]` is element i's load or NULL. */
static void load_span(
        struct wide *w, struct wide_strided *first, struct wide_strided **at, unsigned span)
{
    LLVMValueRef column[MAX_SPAN][WIDE_MAX_WIDTH / PART];
    for (unsigned part = 0; part < w->width / PART; part++) {
        LLVMValueRef c[MAX_SPAN];
        int64_t bytes = at[0]->address.delta - first->address.delta;
        load_part(w, first, bytes, part * PART, span, c);
        for (unsigned i = 0; i < span; i++)
            column[i][part] = c[i];
    }
    for (unsigned i = 0; i < span; i++)
        if (at[i]) {
            replace(w, at[i]->mark, join_parts(w, column[i]));
            at[i]->mark = NULL;
        }
}

static unsigned widest(struct wide_strided **at, unsigned limit)
{
    unsigned span = 1;
    for (unsigned n = 2; n <= limit && n <= MAX_SPAN; n *= 2) {
        unsigned used = 0;
        for (unsigned i = 0; i < n; i++)
            used += at[i] != NULL;
        if (at[n - 1] && used * 2 > n)
            span = n;
    }
    return span;
}

static void flush_loads(struct wide *w)
{
    for (uint32_t i = 0; i < w->strided_count; i++) {
        struct wide_strided *first = &w->strided[i];
        if (!first->mark)
            continue;
        /* Everything that can be served goes where the first of the group was. */
        LLVMPositionBuilderBefore(w->g->builder, first->mark);
        struct wide_strided head = *first;
        for (;;) {
            struct wide_strided *at[MAX_SPAN] = {0}, *lowest = NULL;
            for (uint32_t k = i; k < w->strided_count; k++)
                if (w->strided[k].mark && together(&head, &w->strided[k]) &&
                        (!lowest || w->strided[k].address.delta < lowest->address.delta))
                    lowest = &w->strided[k];
            if (!lowest)
                break;
            for (uint32_t k = i; k < w->strided_count; k++) {
                int64_t d = w->strided[k].address.delta - lowest->address.delta;
                if (w->strided[k].mark && together(&head, &w->strided[k]) && d % ELEMENT == 0 &&
                        d / ELEMENT < MAX_SPAN && !at[d / ELEMENT])
                    at[d / ELEMENT] = &w->strided[k];
            }
            at[0] = lowest;
            load_span(w, &head, at, widest(at, MAX_SPAN));
        }
    }
}

/* Stores keep their order: only a run of consecutive elements, each once, is written as rows. */
static void flush_stores(struct wide *w)
{
    for (uint32_t i = 0; i < w->strided_count;) {
        struct wide_strided *s = &w->strided[i];
        unsigned span = 1;
        while (span < MAX_SPAN && i + span < w->strided_count &&
                together(s, &w->strided[i + span]) &&
                w->strided[i + span].address.delta == s->address.delta + (int64_t)(span * ELEMENT))
            span++;
        span = span >= 8 ? 8 : span >= 4 ? 4 : span >= 2 ? 2 : 1;
        /* Rows of lanes that overlap would be written in another order. */
        if (llabs(s->address.stride) < (int64_t)(span * ELEMENT))
            span = 1;
        for (unsigned part = 0; part < w->width / PART; part++) {
            LLVMValueRef column[MAX_SPAN];
            for (unsigned c = 0; c < span; c++)
                column[c] = w->width == PART ? w->strided[i + c].value
                                             : slice(w, w->strided[i + c].value, part * PART, PART);
            store_part(w, s, part * PART, span, column);
        }
        i += span;
    }
}

void wide_strided_flush(struct wide *w)
{
    if (!w->strided_count)
        return;
    LLVMBasicBlockRef here = LLVMGetInsertBlock(w->g->builder);
    if (w->strided_stores)
        flush_stores(w);
    else
        flush_loads(w);
    w->strided_count = 0;
    LLVMPositionBuilderAtEnd(w->g->builder, here);
}
