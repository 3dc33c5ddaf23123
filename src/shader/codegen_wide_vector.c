/* shader: vectors of lanes' elements, moved about. See codegen_wide_stride.h. */
#include "shader/codegen_wide_stride.h"

LLVMTypeRef strided_vector(struct wide *w, unsigned bytes, unsigned count)
{
    return LLVMVectorType(LLVMIntTypeInContext(w->g->context, bytes * 8), count);
}

LLVMValueRef strided_shuffle(
        struct wide *w, LLVMValueRef a, LLVMValueRef b, const int *index, unsigned count)
{
    LLVMValueRef mask[64];
    for (unsigned i = 0; i < count; i++)
        mask[i] = index[i] < 0 ? LLVMGetPoison(w->g->i32) : codegen_i32(w->g, (unsigned)index[i]);
    return LLVMBuildShuffleVector(w->g->builder, a, b, LLVMConstVector(mask, count), "");
}

LLVMValueRef strided_slice(struct wide *w, LLVMValueRef v, unsigned start, unsigned count)
{
    int index[64];
    for (unsigned i = 0; i < count; i++)
        index[i] = (int)(start + i);
    return strided_shuffle(w, v, LLVMGetPoison(LLVMTypeOf(v)), index, count);
}

LLVMValueRef strided_join(struct wide *w, LLVMValueRef a, LLVMValueRef b, unsigned each)
{
    int index[64];
    for (unsigned i = 0; i < 2 * each; i++)
        index[i] = (int)i;
    return strided_shuffle(w, a, b, index, 2 * each);
}

LLVMValueRef strided_join_all(struct wide *w, LLVMValueRef *part, unsigned each)
{
    for (unsigned count = w->width / each; count > 1; count /= 2, each *= 2)
        for (unsigned i = 0; i < count / 2; i++)
            part[i] = strided_join(w, part[2 * i], part[2 * i + 1], each);
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

LLVMValueRef strided_pick(struct wide *w, const struct strided_pick *p, LLVMValueRef *vector)
{
    LLVMValueRef sum = NULL;
    bool done[64] = {0};
    int have = -1; /* the first vector, not yet permuted */
    for (unsigned i = 0; i < p->count; i++) {
        int k = p->source[i], index[64];
        if (done[i] || k < 0)
            continue;
        if (have < 0 && !sum) {
            have = k;
            for (unsigned n = i; n < p->count; n++)
                done[n] |= p->source[n] == k;
            continue;
        }
        for (unsigned n = 0; n < p->count; n++) {
            bool now = p->source[n] == k;
            if (!sum) /* two vectors, from their own elements */
                index[n] = now ? (int)p->length + p->at[n] : p->source[n] == have ? p->at[n] : -1;
            else /* count elements so far, and this vector's */
                index[n] = now ? (int)p->count + p->at[n] : done[n] ? (int)n : -1;
        }
        LLVMValueRef other = vector[k];
        if (sum && p->length != p->count) { /* shuffles want equal lengths */
            int grown[64];
            for (unsigned n = 0; n < p->count; n++)
                grown[n] = p->source[n] == k ? p->at[n] : -1;
            other = strided_shuffle(w, other, LLVMGetPoison(LLVMTypeOf(other)), grown, p->count);
            for (unsigned n = 0; n < p->count; n++)
                if (p->source[n] == k)
                    index[n] = (int)(p->count + n);
        }
        sum = strided_shuffle(w, sum ? sum : vector[have], other, index, p->count);
        for (unsigned n = 0; n < p->count; n++)
            done[n] |= p->source[n] == k;
    }
    if (sum || have < 0)
        return sum;
    int index[64];
    for (unsigned n = 0; n < p->count; n++)
        index[n] = p->source[n] == have ? p->at[n] : -1;
    return strided_shuffle(
            w, vector[have], LLVMGetPoison(LLVMTypeOf(vector[have])), index, p->count);
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

/* Swaps the blocks off the diagonal, at ever smaller distances. */
void strided_transpose(struct wide *w, LLVMValueRef *r, unsigned rows, unsigned length)
{
    for (unsigned d = rows / 2; d; d /= 2)
        for (unsigned i = 0; i < rows; i++) {
            int low[64], high[64];
            if (i & d)
                continue;
            for (unsigned k = 0; k < length; k++) {
                low[k] = (int)(k & d ? length + k - d : k);
                high[k] = (int)(k & d ? length + k : k + d);
            }
            LLVMValueRef a = r[i], b = r[i + d];
            r[i] = strided_shuffle(w, a, b, low, length);
            r[i + d] = strided_shuffle(w, a, b, high, length);
        }
}
