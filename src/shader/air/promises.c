/* shader: promises of Apple's compiler that kernels from source do not make either, taken back.
 * Compiler process. */
#include "shader/air/air.h"

#include <string.h>

#define UNTRUE (LLVMFastMathNoNaNs | LLVMFastMathNoInfs)
#define MAX_ARGUMENTS 64u

static void copy_attributes(LLVMValueRef to, LLVMValueRef from, LLVMAttributeIndex index)
{
    LLVMAttributeRef attributes[64];
    unsigned count = LLVMGetCallSiteAttributeCount(from, index);
    if (count > ABX_ARRAY_SIZE(attributes))
        return; /* they are hints */
    LLVMGetCallSiteAttributes(from, index, attributes);
    for (unsigned i = 0; i < count; i++)
        LLVMAddCallSiteAttribute(to, index, attributes[i]);
}

/* NULL: not one that is made again. */
static LLVMValueRef build_call(LLVMBuilderRef builder, LLVMValueRef in)
{
    LLVMValueRef arguments[MAX_ARGUMENTS];
    unsigned count = LLVMGetNumArgOperands(in);
    if (!LLVMIsACallInst(in) || count > MAX_ARGUMENTS || LLVMGetNumOperandBundles(in))
        return NULL;
    for (unsigned i = 0; i < count; i++)
        arguments[i] = LLVMGetOperand(in, i);
    LLVMValueRef made = LLVMBuildCall2(
            builder, LLVMGetCalledFunctionType(in), LLVMGetCalledValue(in), arguments, count, "");
    LLVMSetInstructionCallConv(made, LLVMGetInstructionCallConv(in));
    LLVMSetTailCallKind(made, LLVMGetTailCallKind(in));
    copy_attributes(made, in, LLVMAttributeFunctionIndex);
    for (unsigned i = LLVMAttributeReturnIndex; i <= count; i++)
        copy_attributes(made, in, i);
    return made;
}

static LLVMValueRef build_phi(LLVMBuilderRef builder, LLVMValueRef in)
{
    LLVMValueRef made = LLVMBuildPhi(builder, LLVMTypeOf(in), "");
    for (unsigned i = 0; i < LLVMCountIncoming(in); i++) {
        LLVMValueRef value = LLVMGetIncomingValue(in, i);
        LLVMBasicBlockRef block = LLVMGetIncomingBlock(in, i);
        LLVMAddIncoming(made, &value, &block, 1);
    }
    return made;
}

static LLVMValueRef build_again(LLVMBuilderRef builder, LLVMValueRef in)
{
    LLVMOpcode opcode = LLVMGetInstructionOpcode(in);
    LLVMValueRef a = LLVMGetNumOperands(in) > 0 ? LLVMGetOperand(in, 0) : NULL;
    LLVMValueRef b = LLVMGetNumOperands(in) > 1 ? LLVMGetOperand(in, 1) : NULL;
    switch ((unsigned)opcode) {
    case LLVMFNeg:
        return LLVMBuildFNeg(builder, a, "");
    case LLVMFAdd:
    case LLVMFSub:
    case LLVMFMul:
    case LLVMFDiv:
    case LLVMFRem:
        return LLVMBuildBinOp(builder, opcode, a, b, "");
    case LLVMFCmp:
        return LLVMBuildFCmp(builder, LLVMGetFCmpPredicate(in), a, b, "");
    case LLVMSelect:
        return LLVMBuildSelect(builder, a, b, LLVMGetOperand(in, 2), "");
    case LLVMPHI:
        return build_phi(builder, in);
    case LLVMCall:
        return build_call(builder, in);
    }
    return NULL;
}

/* LLVMSetFastMathFlags() adds flags and takes none away: the instruction is made again. */
static void clean_flags(LLVMBuilderRef builder, LLVMValueRef in)
{
    if (!LLVMCanValueUseFastMathFlags(in) || !(LLVMGetFastMathFlags(in) & UNTRUE))
        return;
    LLVMPositionBuilderBefore(builder, in);
    LLVMValueRef made = build_again(builder, in);
    if (!made)
        return;
    if (LLVMIsAInstruction(made) && LLVMCanValueUseFastMathFlags(made))
        LLVMSetFastMathFlags(made, LLVMGetFastMathFlags(in) & ~(unsigned)UNTRUE);
    LLVMReplaceAllUsesWith(in, made);
    LLVMInstructionEraseFromParent(in);
}

/* LLVM's back end reads these: with no infinities it divides by an estimate of the reciprocal, and
 * x / inf is a NaN. */
static void clean_attributes(LLVMValueRef f)
{
    static const char *const promises[] = {"approx-func-fp-math", "less-precise-fpmad",
            "no-infs-fp-math", "no-nans-fp-math", "no-signed-zeros-fp-math", "unsafe-fp-math"};
    for (size_t i = 0; i < ABX_ARRAY_SIZE(promises); i++)
        LLVMRemoveStringAttributeAtIndex(
                f, LLVMAttributeFunctionIndex, promises[i], (unsigned)strlen(promises[i]));
}

void air_take_back_promises(struct codegen *g)
{
    unsigned scope = LLVMGetMDKindIDInContext(g->context, "alias.scope", 11);
    unsigned noalias = LLVMGetMDKindIDInContext(g->context, "noalias", 7);
    unsigned attribute = LLVMGetEnumAttributeKindForName("noalias", 7);
    LLVMBuilderRef builder = LLVMCreateBuilderInContext(g->context);
    for (LLVMValueRef f = LLVMGetFirstFunction(g->module); f; f = LLVMGetNextFunction(f)) {
        for (unsigned i = 1; i <= LLVMCountParams(f); i++)
            LLVMRemoveEnumAttributeAtIndex(f, i, attribute);
        clean_attributes(f);
        for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(f); b; b = LLVMGetNextBasicBlock(b))
            for (LLVMValueRef in = LLVMGetFirstInstruction(b), next; in; in = next) {
                next = LLVMGetNextInstruction(in);
                LLVMSetMetadata(in, scope, NULL);
                LLVMSetMetadata(in, noalias, NULL);
                clean_flags(builder, in);
            }
    }
    LLVMDisposeBuilder(builder);
}
