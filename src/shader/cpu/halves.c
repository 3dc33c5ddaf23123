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

LLVMTypeRef cpu_bits_type(struct codegen *g, LLVMTypeRef type)
{
    return codegen_shaped_as(type, LLVMInt16TypeInContext(g->context));
}

LLVMValueRef cpu_bits(struct codegen *g, LLVMValueRef v)
{
    LLVMTypeRef type = cpu_bits_type(g, LLVMTypeOf(v));
    if (LLVMIsABitCastInst(v) && LLVMTypeOf(LLVMGetOperand(v, 0)) == type)
        return LLVMGetOperand(v, 0);
    return LLVMBuildBitCast(g->builder, v, type, "");
}

LLVMValueRef cpu_load_bits(struct codegen *g, LLVMValueRef in)
{
    if (LLVMGetVolatile(in) || LLVMGetOrdering(in))
        return NULL;
    LLVMValueRef v =
            LLVMBuildLoad2(g->builder, cpu_bits_type(g, LLVMTypeOf(in)), LLVMGetOperand(in, 0), "");
    LLVMSetAlignment(v, LLVMGetAlignment(in));
    return LLVMBuildBitCast(g->builder, v, LLVMTypeOf(in), "");
}

/* By integers: of a bfloat whose bits were changed LLVM makes an operation of bfloats again. */
LLVMValueRef cpu_extend_bfloat(struct codegen *g, LLVMValueRef v)
{
    LLVMBuilderRef b = g->builder;
    LLVMTypeRef type = LLVMTypeOf(v), word = codegen_shaped_as(type, g->i32);
    LLVMValueRef bits = LLVMBuildZExt(b, cpu_bits(g, v), word, "");
    bits = LLVMBuildShl(b, bits, codegen_all_int(g, word, 16), "");
    return LLVMBuildBitCast(
            b, bits, codegen_shaped_as(type, LLVMFloatTypeInContext(g->context)), "");
}

static LLVMValueRef shuffle(struct codegen *g, LLVMValueRef in)
{
    int index[MOST_ELEMENTS];
    unsigned n = LLVMGetNumMaskElements(in);
    for (unsigned i = 0; i < n; i++)
        index[i] = LLVMGetMaskValue(in, i);
    LLVMValueRef a = cpu_bits(g, LLVMGetOperand(in, 0)), b = cpu_bits(g, LLVMGetOperand(in, 1));
    return LLVMBuildBitCast(g->builder, codegen_shuffle(g, a, b, index, n), LLVMTypeOf(in), "");
}

static LLVMValueRef extend(struct codegen *g, LLVMValueRef in)
{
    LLVMValueRef from = LLVMGetOperand(in, 0);
    LLVMTypeRef type = LLVMTypeOf(from);
    bool to_floats = is_narrow_vector(type) &&
                     LLVMGetTypeKind(LLVMGetElementType(type)) == LLVMBFloatTypeKind &&
                     LLVMGetTypeKind(LLVMGetElementType(LLVMTypeOf(in))) == LLVMFloatTypeKind;
    return to_floats ? cpu_extend_bfloat(g, from) : NULL;
}

static LLVMValueRef replacement(struct codegen *g, LLVMValueRef in)
{
    if (LLVMIsAFPExtInst(in))
        return extend(g, in);
    if (!is_narrow_vector(LLVMTypeOf(in)))
        return NULL;
    return LLVMIsALoadInst(in)            ? cpu_load_bits(g, in)
           : LLVMIsAShuffleVectorInst(in) ? shuffle(g, in)
                                          : NULL;
}

void cpu_move_halves_as_bits(struct codegen *g)
{
    codegen_replace(g, replacement);
}
