/* shader: vectors of half and bfloat that are only moved about are vectors of 16-bit integers for
 * LLVM. Processors that have no registers of such types (AVX2's none of bfloat) have each load and
 * permutation of them rewritten while instructions are chosen, in time that is quadratic in a
 * block's loads, and get twice the code: a kernel of unrolled products of bfloat matrices took 40
 * s, and takes 8. Compiler process. */
#include "shader/cpu/cpu.h"

#define MOST_ELEMENTS 256u

static bool is_narrow_vector(LLVMTypeRef type)
{
    return LLVMGetTypeKind(type) == LLVMVectorTypeKind && codegen_is_narrow(type) &&
           LLVMGetVectorSize(type) <= MOST_ELEMENTS;
}

static LLVMTypeRef bits_type(struct codegen *g, LLVMTypeRef type)
{
    return codegen_shaped_as(type, LLVMInt16TypeInContext(g->context));
}

/* The same bits, where the builder stands. */
static LLVMValueRef bits(struct codegen *g, LLVMValueRef v)
{
    LLVMTypeRef type = bits_type(g, LLVMTypeOf(v));
    if (LLVMIsABitCastInst(v) && LLVMTypeOf(LLVMGetOperand(v, 0)) == type)
        return LLVMGetOperand(v, 0);
    return LLVMBuildBitCast(g->builder, v, type, "");
}

static LLVMValueRef load(struct codegen *g, LLVMValueRef in)
{
    if (LLVMGetVolatile(in) || LLVMGetOrdering(in))
        return NULL;
    LLVMValueRef v =
            LLVMBuildLoad2(g->builder, bits_type(g, LLVMTypeOf(in)), LLVMGetOperand(in, 0), "");
    LLVMSetAlignment(v, LLVMGetAlignment(in));
    return LLVMBuildBitCast(g->builder, v, LLVMTypeOf(in), "");
}

static LLVMValueRef shuffle(struct codegen *g, LLVMValueRef in)
{
    int index[MOST_ELEMENTS];
    unsigned n = LLVMGetNumMaskElements(in);
    for (unsigned i = 0; i < n; i++)
        index[i] = LLVMGetMaskValue(in, i);
    LLVMValueRef a = bits(g, LLVMGetOperand(in, 0)), b = bits(g, LLVMGetOperand(in, 1));
    return LLVMBuildBitCast(g->builder, codegen_shuffle(g, a, b, index, n), LLVMTypeOf(in), "");
}

/* A bfloat is a float's upper half. */
static LLVMValueRef extend(struct codegen *g, LLVMValueRef in)
{
    LLVMValueRef from = LLVMGetOperand(in, 0), count[MOST_ELEMENTS];
    LLVMTypeRef type = LLVMTypeOf(from);
    if (!is_narrow_vector(type) ||
            LLVMGetTypeKind(LLVMGetElementType(type)) != LLVMBFloatTypeKind ||
            LLVMGetTypeKind(LLVMGetElementType(LLVMTypeOf(in))) != LLVMFloatTypeKind)
        return NULL;
    unsigned n = LLVMGetVectorSize(type);
    for (unsigned i = 0; i < n; i++)
        count[i] = codegen_i32(g, 16);
    LLVMValueRef v = LLVMBuildZExt(g->builder, bits(g, from), LLVMVectorType(g->i32, n), "");
    v = LLVMBuildShl(g->builder, v, LLVMConstVector(count, n), "");
    return LLVMBuildBitCast(g->builder, v, LLVMTypeOf(in), "");
}

static LLVMValueRef replacement(struct codegen *g, LLVMValueRef in)
{
    if (LLVMIsAFPExtInst(in))
        return extend(g, in);
    if (!is_narrow_vector(LLVMTypeOf(in)))
        return NULL;
    return LLVMIsALoadInst(in) ? load(g, in) : LLVMIsAShuffleVectorInst(in) ? shuffle(g, in) : NULL;
}

void cpu_move_halves_as_bits(struct codegen *g)
{
    for (LLVMValueRef f = LLVMGetFirstFunction(g->module); f; f = LLVMGetNextFunction(f))
        for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(f); b; b = LLVMGetNextBasicBlock(b))
            for (LLVMValueRef in = LLVMGetFirstInstruction(b), next; in; in = next) {
                next = LLVMGetNextInstruction(in);
                LLVMPositionBuilderBefore(g->builder, in);
                LLVMValueRef v = replacement(g, in);
                if (!v)
                    continue;
                LLVMReplaceAllUsesWith(in, v);
                LLVMInstructionEraseFromParent(in);
            }
}
