/* shader: a product and a sum of halves or bfloats in one (`a * b + c`, which clang makes one
 * operation of, and others under fast math) is rounded once, as GPUs do it. LLVM has no such
 * operation for these types where the processor has none, and rounds twice; and where the processor
 * has it, LLVM forms it last, when a product may be shared by then. Then what one kernel computes
 * so and another as floats is not the same. Compiler process; the module is made from guest source.
 */
#include "shader/codegen/codegen.h"

#include <string.h>

/* A product and what is added to it, each of them negated or not. */
struct sum {
    LLVMValueRef factors[2], added;
    bool minus_product, minus_added;
};

static bool may_contract(LLVMValueRef in)
{
    return LLVMGetFastMathFlags(in) & LLVMFastMathAllowContract;
}

/* A product that is there for one sum alone, which it may be a part of. */
static bool takes_product(struct sum *s, LLVMValueRef v, LLVMValueRef added)
{
    LLVMUseRef use = LLVMGetFirstUse(v);
    if (!LLVMIsAInstruction(v) || LLVMGetInstructionOpcode(v) != LLVMFMul || !may_contract(v) ||
            LLVMGetNextUse(use))
        return false;
    s->factors[0] = LLVMGetOperand(v, 0);
    s->factors[1] = LLVMGetOperand(v, 1);
    s->added = added;
    return true;
}

static bool is_sum(LLVMValueRef in, struct sum *s)
{
    const char *name = codegen_callee(in);
    LLVMOpcode op = LLVMGetInstructionOpcode(in);
    *s = (struct sum){0};
    if (name && (!strncmp(name, "llvm.fmuladd.", 13) || !strncmp(name, "llvm.fma.", 9))) {
        *s = (struct sum){{LLVMGetOperand(in, 0), LLVMGetOperand(in, 1)}, LLVMGetOperand(in, 2),
                false, false};
        return true;
    }
    if ((op != LLVMFAdd && op != LLVMFSub) || !may_contract(in))
        return false;
    LLVMValueRef x = LLVMGetOperand(in, 0), y = LLVMGetOperand(in, 1);
    bool first = takes_product(s, x, y), taken = first || takes_product(s, y, x);
    s->minus_added = op == LLVMFSub && first;
    s->minus_product = op == LLVMFSub && !first;
    return taken;
}

/* Floats hold a product of two of these exactly. */
static void replace(struct codegen *g, LLVMValueRef in, const struct sum *s, bool native)
{
    LLVMBuilderRef b = g->builder;
    LLVMTypeRef narrow = LLVMTypeOf(in), type = narrow;
    LLVMPositionBuilderBefore(b, in);
    LLVMValueRef a[3] = {s->factors[0], s->factors[1], s->added};
    if (!native) {
        type = codegen_shaped_as(narrow, LLVMFloatTypeInContext(g->context));
        for (int i = 0; i < 3; i++)
            a[i] = LLVMBuildFPExt(b, a[i], type, "");
    }
    if (s->minus_product)
        a[0] = LLVMBuildFNeg(b, a[0], "");
    if (s->minus_added)
        a[2] = LLVMBuildFNeg(b, a[2], "");
    LLVMValueRef sum = codegen_call_intrinsic(g, "llvm.fma", &type, 1, a, 3);
    LLVMReplaceAllUsesWith(in, native ? sum : LLVMBuildFPTrunc(b, sum, narrow, ""));
    LLVMInstructionEraseFromParent(in);
}

static void fuse(struct codegen *g, LLVMValueRef function, bool native)
{
    for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(function); b; b = LLVMGetNextBasicBlock(b))
        for (LLVMValueRef in = LLVMGetFirstInstruction(b), next; in; in = next) {
            struct sum sum;
            next = LLVMGetNextInstruction(in);
            if (codegen_is_narrow(LLVMTypeOf(in)) && is_sum(in, &sum))
                replace(g, in, &sum, native);
        }
}

void codegen_fuse_narrow(struct codegen *g, bool native)
{
    for (LLVMValueRef f = LLVMGetFirstFunction(g->module); f; f = LLVMGetNextFunction(f))
        fuse(g, f, native);
}
