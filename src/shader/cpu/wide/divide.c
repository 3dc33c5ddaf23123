/* shader: integer division of vectors of lanes. See wide.h. Compiler process.
 *
 * Processors divide integers one at a time, and trap when they cannot. What the program would never
 * have divided, because a lane is off, must not be: LLVM has removed every check that the program's
 * own branches make superfluous, and those branches are masks now. */
#include "shader/cpu/wide/wide.h"

bool wide_is_division(LLVMOpcode op)
{
    return op == LLVMUDiv || op == LLVMSDiv || op == LLVMURem || op == LLVMSRem;
}

/* Divisors that divide anything. */
static bool is_harmless(LLVMValueRef d)
{
    return LLVMIsAConstantInt(d) && LLVMGetIntTypeWidth(LLVMTypeOf(d)) <= 64 &&
           LLVMConstIntGetZExtValue(d) != 0 && LLVMConstIntGetSExtValue(d) != -1;
}

/* Numbers of up to 32 bits, by way of floating-point numbers of more than twice the bits: the
 * nearest such number to a quotient that is no integer is on the same side of the next integer,
 * which is 1 / divisor or more away. Vectors of those are divided at once. */
static LLVMValueRef quotient(
        struct wide *w, LLVMValueRef x, LLVMValueRef y, LLVMTypeRef type, bool is_signed)
{
    struct codegen *g = w->g;
    LLVMBuilderRef b = g->builder;
    unsigned bits = LLVMGetIntTypeWidth(type);
    LLVMTypeRef real = wide_type(w,
            bits <= 16 ? LLVMFloatTypeInContext(g->context) : LLVMDoubleTypeInContext(g->context));
    LLVMTypeRef word = wide_type(w, bits < 32 ? g->i32 : type), narrow = wide_type(w, type);
    if (is_signed) {
        x = LLVMBuildSIToFP(b, x, real, "");
        y = LLVMBuildSIToFP(b, y, real, "");
        /* The lowest number by -1 was made one by 1 before (codegen/load.c). */
        LLVMValueRef q = LLVMBuildFPToSI(b, LLVMBuildFDiv(b, x, y, ""), word, "");
        return LLVMTypeOf(q) == narrow ? q : LLVMBuildTrunc(b, q, narrow, "");
    }
    x = LLVMBuildUIToFP(b, x, real, "");
    y = LLVMBuildUIToFP(b, y, real, "");
    LLVMValueRef q = LLVMBuildFDiv(b, x, y, "");
    q = bits < 32 ? LLVMBuildFPToSI(b, q, word, "") : LLVMBuildFPToUI(b, q, word, "");
    return LLVMTypeOf(q) == narrow ? q : LLVMBuildTrunc(b, q, narrow, "");
}

LLVMValueRef wide_divide(struct wide *w, LLVMValueRef in, LLVMOpcode op)
{
    LLVMBuilderRef b = w->g->builder;
    LLVMValueRef divisor = LLVMGetOperand(in, 1);
    LLVMTypeRef type = LLVMTypeOf(in);
    LLVMValueRef x = wide_vector(w, LLVMGetOperand(in, 0)), y = wide_vector(w, divisor);
    if (is_harmless(divisor))
        return LLVMBuildBinOp(b, op, x, y, "");
    if (w->mask)
        y = LLVMBuildSelect(b, w->mask, y, wide_splat(w, LLVMConstInt(type, 1, 0)), "");
    if (LLVMGetIntTypeWidth(type) > 32)
        return LLVMBuildBinOp(b, op, x, y, "");
    LLVMValueRef q = quotient(w, x, y, type, op == LLVMSDiv || op == LLVMSRem);
    if (op == LLVMUDiv || op == LLVMSDiv)
        return q;
    return LLVMBuildSub(b, x, LLVMBuildMul(b, q, y, ""), "");
}

LLVMValueRef wide_uniform_divide(struct wide *w, LLVMValueRef in)
{
    LLVMBuilderRef b = w->g->builder;
    LLVMValueRef divisor = LLVMGetOperand(in, 1), y = wide_uniform(w, divisor);
    if (w->mask && !is_harmless(divisor))
        y = LLVMBuildSelect(
                b, wide_any(w, w->mask), y, LLVMConstInt(LLVMTypeOf(divisor), 1, 0), "");
    return LLVMBuildBinOp(
            b, LLVMGetInstructionOpcode(in), wide_uniform(w, LLVMGetOperand(in, 0)), y, "");
}
