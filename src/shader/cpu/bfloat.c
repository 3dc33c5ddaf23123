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

/* To the nearest, to even where there are two; a NaN stays one. */
static LLVMValueRef rounded(struct codegen *g, LLVMValueRef x, LLVMTypeRef to)
{
    LLVMBuilderRef b = g->builder;
    LLVMTypeRef word = codegen_shaped_as(to, g->i32);
    LLVMValueRef bits = LLVMBuildBitCast(b, x, word, "");
    LLVMValueRef upper = LLVMBuildLShr(b, bits, codegen_all_int(g, word, 16), "");
    LLVMValueRef up = LLVMBuildAdd(b, LLVMBuildAnd(b, upper, codegen_all_int(g, word, 1), ""),
            codegen_all_int(g, word, 0x7fff), "");
    LLVMValueRef r =
            LLVMBuildLShr(b, LLVMBuildAdd(b, bits, up, ""), codegen_all_int(g, word, 16), "");
    LLVMValueRef none = LLVMBuildFCmp(b, LLVMRealUNO, x, x, "");
    r = LLVMBuildSelect(b, none, LLVMBuildOr(b, upper, codegen_all_int(g, word, 0x40), ""), r, "");
    return LLVMBuildBitCast(b, LLVMBuildTrunc(b, r, cpu_bits_type(g, to), ""), to, "");
}

static LLVMValueRef with_bits(struct codegen *g, LLVMValueRef v, LLVMOpcode op, uint64_t mask)
{
    LLVMTypeRef type = LLVMTypeOf(v);
    LLVMValueRef bits = LLVMBuildBinOp(
            g->builder, op, cpu_bits(g, v), codegen_all_int(g, cpu_bits_type(g, type), mask), "");
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
        a[i] = cpu_extend_bfloat(g, LLVMGetOperand(in, i));
    LLVMTypeRef type = LLVMTypeOf(a[0]);
    LLVMValueRef v = codegen_call_intrinsic(g, stem, &type, 1, a, count);
    if (LLVMIsACallInst(v) && LLVMCanValueUseFastMathFlags(in) && LLVMCanValueUseFastMathFlags(v))
        LLVMSetFastMathFlags(v, LLVMGetFastMathFlags(in));
    return rounded(g, v, LLVMTypeOf(in));
}

/* Of two bfloats one: LLVM chooses between floats, and rounds. */
static LLVMValueRef chosen(struct codegen *g, LLVMValueRef in)
{
    LLVMValueRef a = cpu_bits(g, LLVMGetOperand(in, 1)), b = cpu_bits(g, LLVMGetOperand(in, 2));
    LLVMValueRef v = LLVMBuildSelect(g->builder, LLVMGetOperand(in, 0), a, b, "");
    return LLVMBuildBitCast(g->builder, v, LLVMTypeOf(in), "");
}

/* What lives in several blocks is kept as a float there, and rounded. */
static LLVMValueRef met(struct codegen *g, LLVMValueRef in)
{
    LLVMValueRef phi = LLVMBuildPhi(g->builder, cpu_bits_type(g, LLVMTypeOf(in)), "");
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
    LLVMValueRef v = LLVMBuildBinOp(g->builder, op, cpu_extend_bfloat(g, LLVMGetOperand(in, 0)),
            cpu_extend_bfloat(g, LLVMGetOperand(in, 1)), "");
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
    return moves || !is_bfloat(LLVMTypeOf(v)) ? NULL : cpu_extend_bfloat(g, v);
}

static LLVMValueRef comparison(struct codegen *g, LLVMValueRef in)
{
    LLVMValueRef a = LLVMGetOperand(in, 0), b = LLVMGetOperand(in, 1);
    if (!is_bfloat(LLVMTypeOf(a)))
        return NULL;
    return LLVMBuildFCmp(g->builder, LLVMGetFCmpPredicate(in), cpu_extend_bfloat(g, a),
            cpu_extend_bfloat(g, b), "");
}

static LLVMValueRef replacement(struct codegen *g, LLVMValueRef in)
{
    LLVMTypeRef to = LLVMTypeOf(in);
    if (LLVMGetTypeKind(to) == LLVMVectorTypeKind && LLVMGetVectorSize(to) > MOST_ELEMENTS)
        return NULL;
    LLVMTypeRef real = codegen_shaped_as(to, LLVMFloatTypeInContext(g->context));
    LLVMOpcode op = LLVMGetInstructionOpcode(in);
    LLVMValueRef first = LLVMGetNumOperands(in) ? LLVMGetOperand(in, 0) : NULL;
    if (op == LLVMFPExt)
        return extension(g, in);
    if (op == LLVMFCmp)
        return comparison(g, in);
    if (op == LLVMStore && is_bfloat(LLVMTypeOf(first)) && !LLVMGetVolatile(in) &&
            !LLVMGetOrdering(in))
        LLVMSetOperand(in, 0, cpu_bits(g, first));
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
        return LLVMGetTypeKind(to) == LLVMVectorTypeKind ? NULL : cpu_load_bits(g, in);
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
    codegen_replace(g, replacement);
}
