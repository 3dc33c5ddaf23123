/* shader: vectors of floating-point numbers that become the nearest integers (llvm.fptosi.sat and
 * llvm.fptoui.sat: codegen/load.c). For x86-64 LLVM takes such a vector apart, some eight
 * instructions an element; here it is six for all of them. Compiler process. */
#include "shader/cpu/cpu.h"

#include <string.h>

static bool is_vector_of(LLVMTypeRef type, LLVMTypeKind kind)
{
    return LLVMGetTypeKind(type) == LLVMVectorTypeKind &&
           LLVMGetTypeKind(LLVMGetElementType(type)) == kind;
}

static LLVMValueRef all_of(struct codegen *g, LLVMTypeRef vector, double v)
{
    return codegen_all(g, vector, LLVMConstReal(LLVMGetElementType(vector), v));
}

static LLVMValueRef highest(struct codegen *g, LLVMTypeRef vector, bool is_signed)
{
    unsigned bits = LLVMGetIntTypeWidth(LLVMGetElementType(vector));
    return codegen_all_int(g, vector, (bits == 64 ? UINT64_MAX : (1ull << bits) - 1) >> is_signed);
}

static LLVMValueRef larger(struct codegen *g, LLVMValueRef a, LLVMValueRef b) /* of NaN and b: b */
{
    return LLVMBuildSelect(g->builder, LLVMBuildFCmp(g->builder, LLVMRealOGT, a, b, ""), a, b, "");
}

/* What does not fit below is cut before it is converted. Above that is so where the highest integer
 * is a float, which that of 32 bits is not: there LLVM's conversion may give anything, and is not
 * looked at. */
static LLVMValueRef nearest(struct codegen *g, LLVMValueRef x, LLVMTypeRef to, bool is_signed)
{
    LLVMBuilderRef b = g->builder;
    unsigned bits = LLVMGetIntTypeWidth(LLVMGetElementType(to));
    LLVMTypeRef real = LLVMTypeOf(x);
    double limit = (double)(1ull << (bits - 1)) * (is_signed ? 1 : 2);
    LLVMValueRef cut = larger(g, x, all_of(g, real, is_signed ? -limit : 0)), r;
    if (bits < 32) {
        LLVMTypeRef word = codegen_shaped_as(to, g->i32);
        LLVMValueRef top = all_of(g, real, limit - 1);
        cut = LLVMBuildSelect(b, LLVMBuildFCmp(b, LLVMRealOLT, cut, top, ""), cut, top, "");
        r = LLVMBuildTrunc(b, LLVMBuildFPToSI(b, cut, word, ""), to, "");
    } else {
        r = is_signed ? LLVMBuildFPToSI(b, cut, to, "") : LLVMBuildFPToUI(b, cut, to, "");
        r = LLVMBuildSelect(b, LLVMBuildFCmp(b, LLVMRealOGE, x, all_of(g, real, limit), ""),
                highest(g, to, is_signed), LLVMBuildFreeze(b, r, ""), "");
    }
    if (!is_signed) /* NaN was cut to 0 */
        return r;
    LLVMValueRef number = LLVMBuildFCmp(b, LLVMRealORD, x, x, "");
    return LLVMBuildSelect(b, number, r, LLVMConstNull(to), "");
}

static LLVMValueRef replacement(struct codegen *g, LLVMValueRef in)
{
    const char *name = LLVMIsACallInst(in) ? codegen_callee(in) : NULL;
    bool is_signed = name && !strncmp(name, "llvm.fptosi.sat.", 16);
    LLVMTypeRef to = LLVMTypeOf(in);
    if (!name || (!is_signed && strncmp(name, "llvm.fptoui.sat.", 16) != 0) ||
            !is_vector_of(to, LLVMIntegerTypeKind) || LLVMGetVectorSize(to) > 256)
        return NULL;
    unsigned bits = LLVMGetIntTypeWidth(LLVMGetElementType(to));
    LLVMValueRef x = LLVMGetOperand(in, 0);
    if (bits > 64 || (bits & (bits - 1)) || bits < 8)
        return NULL;
    if (codegen_is_narrow(LLVMTypeOf(x)))
        x = LLVMBuildFPExt(
                g->builder, x, codegen_shaped_as(to, LLVMFloatTypeInContext(g->context)), "");
    return is_vector_of(LLVMTypeOf(x), LLVMFloatTypeKind) ? nearest(g, x, to, is_signed) : NULL;
}

void cpu_convert(struct codegen *g)
{
    if (strncmp(LLVMGetTarget(g->module), "x86_64", 6) != 0)
        return;
    codegen_replace(g, replacement);
}
