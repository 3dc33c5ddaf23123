/* shader: bfloats that are computed with, on x86-64. Processors with AVX512_BF16 have one
 * instruction that rounds floats to bfloats, which takes denormal numbers for 0 whatever is asked
 * for, and LLVM uses it for signs, too; for others it calls a function for each element. Here what
 * gives a bfloat computes in float, and rounding is arithmetic of integers, of whole vectors.
 * Compiler process. */
#include "shader/cpu/cpu.h"

#include <string.h>

#define MOST_ARGUMENTS 3u
#define LONGEST_NAME 64u
#define MOST_ELEMENTS 256u

static bool is_bfloat(LLVMTypeRef type)
{
    if (LLVMGetTypeKind(type) == LLVMVectorTypeKind)
        type = LLVMGetElementType(type);
    return LLVMGetTypeKind(type) == LLVMBFloatTypeKind;
}

static LLVMValueRef all_of(LLVMTypeRef type, uint64_t v)
{
    LLVMValueRef element[MOST_ELEMENTS];
    if (LLVMGetTypeKind(type) != LLVMVectorTypeKind)
        return LLVMConstInt(type, v, 0);
    unsigned n = LLVMGetVectorSize(type);
    for (unsigned i = 0; i < n; i++)
        element[i] = LLVMConstInt(LLVMGetElementType(type), v, 0);
    return LLVMConstVector(element, n);
}

static LLVMTypeRef bits_type(struct codegen *g, LLVMTypeRef type)
{
    return codegen_shaped_as(type, LLVMInt16TypeInContext(g->context));
}

static LLVMValueRef bits_of(struct codegen *g, LLVMValueRef v)
{
    LLVMTypeRef type = bits_type(g, LLVMTypeOf(v));
    if (LLVMIsABitCastInst(v) && LLVMTypeOf(LLVMGetOperand(v, 0)) == type)
        return LLVMGetOperand(v, 0);
    return LLVMBuildBitCast(g->builder, v, type, "");
}

/* To the nearest, to even where there are two; a NaN stays one. */
static LLVMValueRef rounded(struct codegen *g, LLVMValueRef x, LLVMTypeRef to)
{
    LLVMBuilderRef b = g->builder;
    LLVMTypeRef word = codegen_shaped_as(to, g->i32);
    LLVMValueRef bits = LLVMBuildBitCast(b, x, word, "");
    LLVMValueRef upper = LLVMBuildLShr(b, bits, all_of(word, 16), "");
    LLVMValueRef up =
            LLVMBuildAdd(b, LLVMBuildAnd(b, upper, all_of(word, 1), ""), all_of(word, 0x7fff), "");
    LLVMValueRef r = LLVMBuildLShr(b, LLVMBuildAdd(b, bits, up, ""), all_of(word, 16), "");
    LLVMValueRef none = LLVMBuildFCmp(b, LLVMRealUNO, x, x, "");
    r = LLVMBuildSelect(b, none, LLVMBuildOr(b, upper, all_of(word, 0x40), ""), r, "");
    return LLVMBuildBitCast(b, LLVMBuildTrunc(b, r, bits_type(g, to), ""), to, "");
}

/* By integers: of a bfloat whose bits were changed LLVM makes an operation of bfloats again. */
static LLVMValueRef extended(struct codegen *g, LLVMValueRef v)
{
    LLVMBuilderRef b = g->builder;
    LLVMTypeRef type = LLVMTypeOf(v), word = codegen_shaped_as(type, g->i32);
    LLVMValueRef bits = LLVMBuildZExt(b, bits_of(g, v), word, "");
    bits = LLVMBuildShl(b, bits, all_of(word, 16), "");
    return LLVMBuildBitCast(
            b, bits, codegen_shaped_as(type, LLVMFloatTypeInContext(g->context)), "");
}

static LLVMValueRef with_bits(struct codegen *g, LLVMValueRef v, LLVMOpcode op, uint64_t mask)
{
    LLVMTypeRef type = LLVMTypeOf(v);
    LLVMValueRef bits =
            LLVMBuildBinOp(g->builder, op, bits_of(g, v), all_of(bits_type(g, type), mask), "");
    return LLVMBuildBitCast(g->builder, bits, type, "");
}

/* A function of LLVM's own, of bfloats alone: as that of floats. NULL: another. */
static LLVMValueRef call(struct codegen *g, LLVMValueRef in)
{
    const char *name = codegen_callee(in), *end = name ? strrchr(name, '.') : NULL;
    char stem[LONGEST_NAME] = "";
    unsigned count = LLVMGetNumArgOperands(in);
    LLVMValueRef a[MOST_ARGUMENTS];
    if (!end || strncmp(name, "llvm.", 5) != 0 || (size_t)(end - name) >= sizeof stem ||
            count == 0 || count > MOST_ARGUMENTS)
        return NULL;
    memcpy(stem, name, (size_t)(end - name));
    for (unsigned i = 0; i < count; i++)
        if (LLVMTypeOf(LLVMGetOperand(in, i)) != LLVMTypeOf(in))
            return NULL;
    if (!strcmp(stem, "llvm.fabs"))
        return with_bits(g, LLVMGetOperand(in, 0), LLVMAnd, 0x7fff);
    for (unsigned i = 0; i < count; i++)
        a[i] = extended(g, LLVMGetOperand(in, i));
    LLVMTypeRef type = LLVMTypeOf(a[0]);
    LLVMValueRef v = codegen_call_intrinsic(g, stem, &type, 1, a, count);
    if (LLVMIsACallInst(v) && LLVMCanValueUseFastMathFlags(in) && LLVMCanValueUseFastMathFlags(v))
        LLVMSetFastMathFlags(v, LLVMGetFastMathFlags(in));
    return rounded(g, v, LLVMTypeOf(in));
}

/* Of two bfloats one: LLVM chooses between floats, and rounds. */
static LLVMValueRef chosen(struct codegen *g, LLVMValueRef in)
{
    LLVMValueRef a = bits_of(g, LLVMGetOperand(in, 1)), b = bits_of(g, LLVMGetOperand(in, 2));
    LLVMValueRef v = LLVMBuildSelect(g->builder, LLVMGetOperand(in, 0), a, b, "");
    return LLVMBuildBitCast(g->builder, v, LLVMTypeOf(in), "");
}

/* What lives in several blocks is kept as a float there, and rounded. */
static LLVMValueRef loaded(struct codegen *g, LLVMValueRef in)
{
    LLVMTypeRef type = LLVMTypeOf(in);
    if (LLVMGetVolatile(in) || LLVMGetOrdering(in) || LLVMGetTypeKind(type) == LLVMVectorTypeKind)
        return NULL;
    LLVMValueRef v = LLVMBuildLoad2(g->builder, bits_type(g, type), LLVMGetOperand(in, 0), "");
    LLVMSetAlignment(v, LLVMGetAlignment(in));
    return LLVMBuildBitCast(g->builder, v, type, "");
}

static LLVMValueRef met(struct codegen *g, LLVMValueRef in)
{
    LLVMValueRef phi = LLVMBuildPhi(g->builder, bits_type(g, LLVMTypeOf(in)), "");
    LLVMBasicBlockRef here = LLVMGetInstructionParent(in);
    for (unsigned i = 0; i < LLVMCountIncoming(in); i++) {
        LLVMBasicBlockRef from = LLVMGetIncomingBlock(in, i);
        LLVMValueRef v = NULL;
        for (unsigned k = 0; k < i && !v; k++) /* a switch may come here twice */
            v = LLVMGetIncomingBlock(in, k) == from ? LLVMGetIncomingValue(phi, k) : NULL;
        LLVMPositionBuilderBefore(g->builder, LLVMGetBasicBlockTerminator(from));
        if (!v)
            v = LLVMBuildBitCast(g->builder, LLVMGetIncomingValue(in, i), LLVMTypeOf(phi), "");
        LLVMAddIncoming(phi, &v, &from, 1);
    }
    LLVMValueRef first = LLVMGetFirstInstruction(here);
    while (LLVMIsAPHINode(first))
        first = LLVMGetNextInstruction(first);
    LLVMPositionBuilderBefore(g->builder, first);
    return LLVMBuildBitCast(g->builder, phi, LLVMTypeOf(in), "");
}

static LLVMValueRef operation(struct codegen *g, LLVMValueRef in, LLVMOpcode op)
{
    LLVMValueRef v = LLVMBuildBinOp(g->builder, op, extended(g, LLVMGetOperand(in, 0)),
            extended(g, LLVMGetOperand(in, 1)), "");
    if (LLVMIsAInstruction(v) && LLVMCanValueUseFastMathFlags(v))
        LLVMSetFastMathFlags(v, LLVMGetFastMathFlags(in));
    return rounded(g, v, LLVMTypeOf(in));
}

/* Those of vectors that are only loaded are moved to where they are used, and then become the same
 * (halves.c). */
static LLVMValueRef extension(struct codegen *g, LLVMValueRef in)
{
    LLVMValueRef v = LLVMGetOperand(in, 0);
    bool moves = LLVMGetTypeKind(LLVMTypeOf(v)) == LLVMVectorTypeKind && !LLVMIsABitCastInst(v);
    return moves || !is_bfloat(LLVMTypeOf(v)) ? NULL : extended(g, v);
}

static LLVMValueRef comparison(struct codegen *g, LLVMValueRef in)
{
    LLVMValueRef a = LLVMGetOperand(in, 0), b = LLVMGetOperand(in, 1);
    if (!is_bfloat(LLVMTypeOf(a)))
        return NULL;
    return LLVMBuildFCmp(g->builder, LLVMGetFCmpPredicate(in), extended(g, a), extended(g, b), "");
}

static LLVMValueRef replacement(struct codegen *g, LLVMValueRef in)
{
    LLVMTypeRef to = LLVMTypeOf(in);
    LLVMTypeRef real = codegen_shaped_as(to, LLVMFloatTypeInContext(g->context));
    LLVMOpcode op = LLVMGetInstructionOpcode(in);
    LLVMValueRef first = LLVMGetNumOperands(in) ? LLVMGetOperand(in, 0) : NULL;
    if (op == LLVMFPExt)
        return extension(g, in);
    if (op == LLVMFCmp)
        return comparison(g, in);
    if (op == LLVMStore && is_bfloat(LLVMTypeOf(first)) && !LLVMGetVolatile(in) &&
            !LLVMGetOrdering(in))
        LLVMSetOperand(in, 0, bits_of(g, first));
    /* Of the bits of what was made of bits nothing is left to be taken for an operation of bfloats.
     */
    if (op == LLVMBitCast && is_bfloat(LLVMTypeOf(first)) && LLVMIsABitCastInst(first) &&
            LLVMTypeOf(LLVMGetOperand(first, 0)) == to)
        return LLVMGetOperand(first, 0);
    if (!is_bfloat(to))
        return NULL;
    switch ((unsigned)op) {
    case LLVMFPTrunc:
        return LLVMTypeOf(first) == real ? rounded(g, first, to) : NULL;
    case LLVMSIToFP:
    case LLVMUIToFP:
        return rounded(g, LLVMBuildCast(g->builder, op, first, real, ""), to);
    case LLVMSelect:
        return chosen(g, in);
    case LLVMLoad:
        return loaded(g, in);
    case LLVMPHI:
        return met(g, in);
    case LLVMFNeg:
        return with_bits(g, first, LLVMXor, 0x8000);
    case LLVMFAdd:
    case LLVMFSub:
    case LLVMFMul:
    case LLVMFDiv:
    case LLVMFRem:
        return operation(g, in, op);
    case LLVMCall:
        return call(g, in);
    default:
        return NULL;
    }
}

void cpu_compute_bfloats(struct codegen *g)
{
    if (strncmp(LLVMGetTarget(g->module), "x86_64", 6) != 0)
        return;
    for (LLVMValueRef f = LLVMGetFirstFunction(g->module); f; f = LLVMGetNextFunction(f))
        for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(f); b; b = LLVMGetNextBasicBlock(b))
            for (LLVMValueRef in = LLVMGetFirstInstruction(b), next; in; in = next) {
                next = LLVMGetNextInstruction(in);
                if (LLVMGetTypeKind(LLVMTypeOf(in)) == LLVMVectorTypeKind &&
                        LLVMGetVectorSize(LLVMTypeOf(in)) > MOST_ELEMENTS)
                    continue;
                LLVMPositionBuilderBefore(g->builder, in);
                LLVMValueRef v = replacement(g, in);
                if (!v)
                    continue;
                LLVMReplaceAllUsesWith(in, v);
                LLVMInstructionEraseFromParent(in);
            }
}
