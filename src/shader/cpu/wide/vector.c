/* shader: vectors of lanes' elements, moved about. See stride.h. */
#include "shader/cpu/wide/stride.h"

#include <string.h>

LLVMTypeRef strided_vector(struct wide *w, unsigned bytes, unsigned count)
{
    return LLVMVectorType(LLVMIntTypeInContext(w->g->context, bytes * 8), count);
}

LLVMValueRef wide_shuffle(
        struct wide *w, LLVMValueRef a, LLVMValueRef b, const int *index, unsigned count)
{
    bool same = count == LLVMGetVectorSize(LLVMTypeOf(a));
    for (unsigned i = 0; i < count && same; i++)
        same = index[i] < 0 || index[i] == (int)i;
    return same ? a : codegen_shuffle(w->g, a, b, index, count);
}

LLVMValueRef wide_slice(struct wide *w, LLVMValueRef v, unsigned start, unsigned count)
{
    int index[64];
    for (unsigned i = 0; i < count; i++)
        index[i] = (int)(start + i);
    return wide_shuffle(w, v, LLVMGetPoison(LLVMTypeOf(v)), index, count);
}

LLVMValueRef wide_join(struct wide *w, LLVMValueRef a, LLVMValueRef b, unsigned each)
{
    int index[64];
    for (unsigned i = 0; i < 2 * each; i++)
        index[i] = (int)i;
    return wide_shuffle(w, a, b, index, 2 * each);
}

LLVMValueRef wide_join_all(struct wide *w, LLVMValueRef *part, unsigned each)
{
    for (unsigned count = w->width / each; count > 1; count /= 2, each *= 2)
        for (unsigned i = 0; i < count / 2; i++)
            part[i] = wide_join(w, part[2 * i], part[2 * i + 1], each);
    return part[0];
}

unsigned strided_lanes(struct wide *w, const struct wide_strided *s)
{
    unsigned n = w->g->vector_bytes / s->bytes;
    return n < w->width ? n : w->width;
}

LLVMValueRef strided_address(struct wide *w, const struct wide_strided *s, int64_t bytes)
{
    struct codegen *g = w->g;
    LLVMValueRef offset =
            LLVMBuildAdd(g->builder, s->address.first, codegen_i64(g, (uint64_t)bytes), "");
    return LLVMBuildGEP2(g->builder, g->i8, s->address.base, &offset, 1, "");
}

/* What the vectors x and y give; y -1: only x. The elements get owner `part`. */
static LLVMValueRef pick_two(struct wide *w, const struct strided_pick *p,
        const LLVMValueRef *vector, int x, int y, int *owner, int part)
{
    int index[64];
    for (unsigned i = 0; i < p->count; i++) {
        bool first = p->source[i] == x, second = y >= 0 && p->source[i] == y;
        index[i] = first ? p->at[i] : second ? (int)p->length + p->at[i] : -1;
        if (first || second)
            owner[i] = part;
    }
    LLVMValueRef other = y >= 0 ? vector[y] : LLVMGetPoison(LLVMTypeOf(vector[x]));
    return wide_shuffle(w, vector[x], other, index, p->count);
}

/* Two vectors at a time are permuted to where their elements belong, and the results blended. */
LLVMValueRef strided_pick(struct wide *w, const struct strided_pick *p, const LLVMValueRef *vector)
{
    LLVMValueRef part[64];
    int owner[64], waits = -1;
    unsigned count = 0;
    memset(owner, -1, sizeof owner);
    for (unsigned i = 0; i < p->count; i++) {
        if (p->source[i] < 0 || owner[i] >= 0 || p->source[i] == waits)
            continue;
        if (waits < 0) {
            waits = p->source[i];
            continue;
        }
        part[count] = pick_two(w, p, vector, waits, p->source[i], owner, (int)count);
        count++;
        waits = -1;
    }
    if (waits >= 0) {
        part[count] = pick_two(w, p, vector, waits, -1, owner, (int)count);
        count++;
    }
    for (; count > 1; count = (count + 1) / 2) {
        for (unsigned k = 0; k + 1 < count; k += 2) {
            int index[64];
            for (unsigned i = 0; i < p->count; i++)
                index[i] = owner[i] == (int)k       ? (int)i
                           : owner[i] == (int)k + 1 ? (int)(p->count + i)
                                                    : -1;
            part[k / 2] = wide_shuffle(w, part[k], part[k + 1], index, p->count);
        }
        if (count % 2)
            part[count / 2] = part[count - 1];
        for (unsigned i = 0; i < p->count; i++)
            owner[i] = owner[i] < 0 ? -1 : owner[i] / 2;
    }
    return part[0];
}

LLVMValueRef strided_lane_address(
        struct wide *w, const struct wide_strided *s, unsigned lane, int64_t bytes)
{
    struct codegen *g = w->g;
    if (s->address.lanes)
        return strided_address(w, s, s->address.lanes[lane] + bytes);
    LLVMValueRef p = LLVMBuildExtractElement(g->builder, s->pointer, codegen_i32(g, lane), "");
    LLVMValueRef offset = codegen_i64(g, (uint64_t)bytes);
    return LLVMBuildGEP2(g->builder, g->i8, p, &offset, 1, "");
}

/* r[i] and r[j] become what low[] and high[] pick of them. */
static void exchange(struct wide *w, LLVMValueRef *r, unsigned i, unsigned j, const int *low,
        const int *high, unsigned length)
{
    LLVMValueRef a = r[i], b = r[j];
    r[i] = wide_shuffle(w, a, b, low, length);
    r[j] = wide_shuffle(w, a, b, high, length);
}

/* Within each 16 bytes, of `n` elements: every processor has instructions that interleave two
 * vectors' lower or upper halves there, and AMD's have twice as many of them in a cycle as of free
 * permutations. */
static void transpose_within(
        struct wide *w, LLVMValueRef *r, unsigned rows, unsigned length, unsigned n)
{
    int low[64], high[64];
    for (unsigned k = 0; k < length; k++) {
        low[k] = (int)(k / n * n + k % n / 2 + (k & 1 ? length : 0));
        high[k] = low[k] + (int)n / 2;
    }
    for (unsigned d = n / 2; d; d /= 2)
        for (unsigned i = 0; i < rows; i++)
            if (!(i & d))
                exchange(w, r, i, i + d, low, high, length);
}

/* Swaps the blocks off the diagonal, at ever smaller distances. */
void strided_transpose(struct wide *w, LLVMValueRef *r, unsigned rows, unsigned length,
        unsigned bytes, const unsigned *place)
{
    unsigned n = 16 / bytes, last = 1;
    if (n > 1 && (rows > n || (rows == n && !place))) {
        transpose_within(w, r, rows, length, n);
        last = n;
    }
    for (unsigned d = rows / 2; d >= last; d /= 2) {
        int low[64], high[64];
        for (unsigned k = 0; k < length; k++) {
            unsigned to = place && d == last ? place[k] : k;
            low[to] = (int)(k & d ? length + k - d : k);
            high[to] = (int)(k & d ? length + k : k + d);
        }
        for (unsigned i = 0; i < rows; i++)
            if (!(i & d))
                exchange(w, r, i, i + d, low, high, length);
    }
}

LLVMValueRef strided_addresses(struct wide *w, const struct wide_strided *s)
{
    struct codegen *g = w->g;
    LLVMValueRef p = s->pointer;
    if (!p) {
        LLVMValueRef lane[WIDE_MAX_WIDTH];
        for (unsigned i = 0; i < w->width; i++)
            lane[i] = codegen_i64(g, (uint64_t)(s->address.lanes[i]));
        LLVMValueRef offset = LLVMBuildAdd(
                g->builder, wide_splat(w, s->address.first), LLVMConstVector(lane, w->width), "");
        p = LLVMBuildGEP2(g->builder, g->i8, s->address.base, &offset, 1, "");
    }
    LLVMValueRef more = codegen_i64(g, (uint64_t)s->offset);
    return LLVMBuildGEP2(g->builder, g->i8, p, &more, 1, "");
}
