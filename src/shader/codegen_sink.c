/* shader: loads and conversions of vectors of lanes go where their results are used. A program's
 * own order, which instructions are chosen in, has a row of them first and what is done with them
 * later; with sixteen registers, most of a row waits on the stack. Where they are used, they are
 * part of the instruction that uses them. Compiler process. */
#include "shader/codegen.h"

#include <string.h>

#define MAX_USES 4u
#define MAX_STEPS 4000000u /* instructions passed over, in all */

static bool writes(LLVMValueRef in)
{
    const char *name = codegen_callee(in);
    if (LLVMIsACallInst(in))
        return !name || (strncmp(name, "llvm.fma", 8) && strncmp(name, "llvm.prefetch", 13));
    LLVMOpcode op = LLVMGetInstructionOpcode(in);
    return op == LLVMStore || op == LLVMFence || op == LLVMAtomicRMW || op == LLVMAtomicCmpXchg ||
           (op == LLVMLoad && (LLVMGetVolatile(in) || LLVMGetOrdering(in)));
}

/* True when `user` comes behind `in`, in its block; for loads, before anything that writes. */
static bool leads_to(LLVMValueRef in, LLVMValueRef user, unsigned *steps)
{
    bool load = LLVMIsALoadInst(in);
    if (LLVMIsAPHINode(user) || LLVMGetInstructionParent(user) != LLVMGetInstructionParent(in))
        return false;
    for (LLVMValueRef i = LLVMGetNextInstruction(in); i; i = LLVMGetNextInstruction(i)) {
        if (i == user)
            return true;
        if (!*steps || (load && writes(i)))
            return false;
        --*steps;
    }
    return false;
}

static bool computes(LLVMValueRef user)
{
    const char *name = codegen_callee(user);
    LLVMOpcode op = LLVMGetInstructionOpcode(user);
    return op == LLVMFMul || op == LLVMFAdd || op == LLVMFPExt ||
           (name && !strncmp(name, "llvm.fma", 8));
}

static bool moves(struct codegen *g, LLVMValueRef in)
{
    switch (LLVMGetInstructionOpcode(in)) {
    case LLVMFPExt:
    case LLVMUIToFP:
    case LLVMSIToFP:
    case LLVMZExt:
    case LLVMSExt:
    case LLVMFMul:
        return true;
    case LLVMAnd:
    case LLVMLShr:
        return g->vector_bytes < 64 && LLVMIsAConstant(LLVMGetOperand(in, 1));
    case LLVMLoad:
        return !LLVMGetVolatile(in) && !LLVMGetOrdering(in);
    default:
        return false;
    }
}

static void move(LLVMBuilderRef b, LLVMValueRef in, LLVMValueRef user)
{
    LLVMPositionBuilderBefore(b, user);
    LLVMInstructionRemoveFromParent(in);
    LLVMInsertIntoBuilder(b, in);
}

/* The first user gets the instruction, others a copy of their own: only loads have others. */
static void sink(LLVMBuilderRef b, LLVMValueRef in, unsigned *steps)
{
    LLVMValueRef user[MAX_USES], first = NULL;
    unsigned count = 0;
    bool load = LLVMIsALoadInst(in);
    for (LLVMUseRef u = LLVMGetFirstUse(in); u; u = LLVMGetNextUse(u)) {
        LLVMValueRef x = LLVMGetUser(u);
        if (count == (load ? MAX_USES : 1) || (load && !computes(x)) || !leads_to(in, x, steps))
            return;
        user[count++] = x;
    }
    for (unsigned i = 0; i < count; i++)
        if (!first || leads_to(user[i], first, steps))
            first = user[i];
    for (unsigned i = 0; i < count; i++) {
        if (user[i] == first)
            continue;
        LLVMValueRef copy = LLVMInstructionClone(in);
        LLVMPositionBuilderBefore(b, user[i]);
        LLVMInsertIntoBuilder(b, copy);
        for (int k = 0; k < LLVMGetNumOperands(user[i]); k++)
            if (LLVMGetOperand(user[i], (unsigned)k) == in)
                LLVMSetOperand(user[i], (unsigned)k, copy);
    }
    if (first && LLVMGetNextInstruction(in) != first)
        move(b, in, first);
}

void codegen_sink(struct codegen *g)
{
    LLVMBuilderRef b = LLVMCreateBuilderInContext(g->context);
    unsigned steps = MAX_STEPS;
    for (LLVMValueRef f = LLVMGetFirstFunction(g->module); f; f = LLVMGetNextFunction(f))
        for (LLVMBasicBlockRef block = LLVMGetFirstBasicBlock(f); block;
                block = LLVMGetNextBasicBlock(block))
            for (LLVMValueRef in = LLVMGetLastInstruction(block), before; in; in = before) {
                before = LLVMGetPreviousInstruction(in);
                if (moves(g, in) && LLVMGetTypeKind(LLVMTypeOf(in)) == LLVMVectorTypeKind)
                    sink(b, in, &steps);
            }
    LLVMDisposeBuilder(b);
}
