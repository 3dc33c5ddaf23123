/* shader: permutations of permutations, as one. See wide.h. Compiler process.
 *
 * Loads, matrices and joined registers each permute without knowing of the other: a matrix that the
 * program fills lane by lane is taken apart into Apple's layout and put together again, to the very
 * rows that were loaded. LLVM does not combine shuffles whose combination it has not seen. Here
 * each register is traced back to the registers that its elements come from; when those are one or
 * two, it is one permutation of them, or none. */
#include "shader/cpu/wide/wide.h"

#define MAX_STEPS 64u

static unsigned element_bits(struct wide *w, LLVMTypeRef vector)
{
    return (unsigned)LLVMSizeOfTypeInBits(w->g->layout, LLVMGetElementType(vector));
}

struct wide_origin wide_trace(struct wide *w, LLVMValueRef v, unsigned at)
{
    for (unsigned step = 0; step < MAX_STEPS; step++) {
        if (LLVMIsAPoisonValue(v) || LLVMIsUndef(v))
            return (struct wide_origin){NULL, 0};
        if (LLVMIsAShuffleVectorInst(v)) {
            unsigned n = LLVMGetVectorSize(LLVMTypeOf(LLVMGetOperand(v, 0)));
            int from = LLVMGetMaskValue(v, at);
            if (from < 0)
                return (struct wide_origin){NULL, 0};
            v = LLVMGetOperand(v, (unsigned)from >= n);
            at = (unsigned)from % n;
        } else if (LLVMIsABitCastInst(v)) {
            LLVMValueRef x = LLVMGetOperand(v, 0);
            if (LLVMGetTypeKind(LLVMTypeOf(x)) != LLVMVectorTypeKind ||
                    element_bits(w, LLVMTypeOf(x)) != element_bits(w, LLVMTypeOf(v)))
                break;
            v = x;
        } else if (wide_is_mark(v) && !LLVMIsAPoisonValue(LLVMGetOperand(v, 0))) {
            v = LLVMGetOperand(v, 0);
        } else {
            break;
        }
    }
    return (struct wide_origin){v, at};
}

/* The register that an element lies in: of a vector longer than one, its part. */
struct home {
    LLVMValueRef vector;
    unsigned first;
};

static LLVMValueRef as_register(
        struct wide *w, const struct home *h, unsigned length, LLVMTypeRef element)
{
    LLVMValueRef v = h->vector;
    LLVMTypeRef type = LLVMVectorType(element, LLVMGetVectorSize(LLVMTypeOf(v)));
    v = LLVMBuildBitCast(w->g->builder, v, type, "");
    return LLVMGetVectorSize(type) > length ? wide_slice(w, v, h->first, length) : v;
}

static void flatten(struct wide *w, LLVMValueRef in, unsigned length)
{
    struct home home[2] = {{NULL, 0}, {NULL, 0}};
    unsigned count = LLVMGetVectorSize(LLVMTypeOf(in)), homes = 0;
    bool deep = false, same = count == length;
    int index[64];
    for (unsigned i = 0; i < count; i++) {
        struct wide_origin o = wide_trace(w, in, i);
        index[i] = -1;
        if (!o.vector)
            continue;
        unsigned n = LLVMGetVectorSize(LLVMTypeOf(o.vector)), first = o.at / length * length;
        if (n % length) /* shorter than a register */
            return;
        unsigned k = 0;
        while (k < homes && (home[k].vector != o.vector || home[k].first != first))
            k++;
        if (k == ABX_ARRAY_SIZE(home))
            return;
        home[k] = (struct home){o.vector, first};
        homes = k == homes ? homes + 1 : homes;
        index[i] = (int)(k * length + o.at - first);
        deep = deep || (o.vector != LLVMGetOperand(in, 0) && o.vector != LLVMGetOperand(in, 1));
        same = same && index[i] == (int)i;
    }
    if (!homes || !deep)
        return;
    LLVMTypeRef element = LLVMGetElementType(LLVMTypeOf(in));
    LLVMPositionBuilderBefore(w->g->builder, in);
    LLVMValueRef a = as_register(w, &home[0], length, element);
    LLVMValueRef b =
            homes > 1 ? as_register(w, &home[1], length, element) : LLVMGetPoison(LLVMTypeOf(a));
    LLVMReplaceAllUsesWith(in, same ? a : wide_shuffle(w, a, b, index, count));
}

/* ---- narrow numbers that are made wide */

static LLVMValueRef widened_constant(struct wide *w, LLVMValueRef c)
{
    LLVMValueRef element[64];
    unsigned n = LLVMGetVectorSize(LLVMTypeOf(c));
    for (unsigned i = 0; i < n; i++) {
        LLVMValueRef e = LLVMGetAggregateElement(c, i);
        if (!e || !LLVMIsAConstantInt(e))
            return NULL;
        element[i] = codegen_i32(w->g, LLVMConstIntGetZExtValue(e));
    }
    return LLVMConstVector(element, n);
}

static LLVMValueRef cut_from(struct wide *w, LLVMValueRef v)
{
    if (!LLVMIsATruncInst(v))
        return NULL;
    LLVMValueRef from = LLVMGetOperand(v, 0);
    return LLVMGetElementType(LLVMTypeOf(from)) == w->g->i32 ? from : NULL;
}

/* Some bits of numbers that were cut from 32 bits, as 32 bits again: one mask, where LLVM cuts,
 * masks and widens because the cut numbers are used more than once. */
static void widen_bits(struct wide *w, LLVMValueRef in)
{
    LLVMBuilderRef b = w->g->builder;
    LLVMValueRef v = LLVMGetOperand(in, 0), mask = NULL;
    if (LLVMGetTypeKind(LLVMTypeOf(v)) != LLVMVectorTypeKind)
        return;
    unsigned bits = element_bits(w, LLVMTypeOf(v));
    LLVMValueRef from = cut_from(w, v);
    LLVMPositionBuilderBefore(b, in);
    if (from) {
        LLVMValueRef all = codegen_i32(w->g, (1ull << bits) - 1), element[64];
        for (unsigned i = 0; i < LLVMGetVectorSize(LLVMTypeOf(v)); i++)
            element[i] = all;
        mask = LLVMConstVector(element, LLVMGetVectorSize(LLVMTypeOf(v)));
    } else if (LLVMIsABinaryOperator(v) && LLVMGetInstructionOpcode(v) == LLVMAnd &&
               LLVMIsAConstant(LLVMGetOperand(v, 1))) {
        from = cut_from(w, LLVMGetOperand(v, 0));
        mask = from ? widened_constant(w, LLVMGetOperand(v, 1)) : NULL;
    }
    if (!mask)
        return;
    v = LLVMBuildAnd(b, from, mask, "");
    if (LLVMGetInstructionOpcode(in) == LLVMUIToFP)
        v = LLVMBuildUIToFP(b, v, LLVMTypeOf(in), "");
    if (LLVMTypeOf(v) == LLVMTypeOf(in))
        LLVMReplaceAllUsesWith(in, v);
}

/* Cut to one register: what a longer vector is made of is looked at by whoever takes it apart. */
void wide_flatten(struct wide *w)
{
    for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(w->function); b; b = LLVMGetNextBasicBlock(b))
        for (LLVMValueRef in = LLVMGetFirstInstruction(b); in; in = LLVMGetNextInstruction(in)) {
            if (LLVMIsAZExtInst(in) || LLVMIsAUIToFPInst(in))
                widen_bits(w, in);
            if (!LLVMIsAShuffleVectorInst(in) || !LLVMGetFirstUse(in))
                continue;
            unsigned bits = element_bits(w, LLVMTypeOf(in));
            unsigned length = bits >= 8 ? w->g->vector_bytes * 8 / bits : 0;
            if (length && LLVMGetVectorSize(LLVMTypeOf(in)) <= length)
                flatten(w, in, length);
        }
}
