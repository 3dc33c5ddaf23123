/* shader: the math modes relaxed and fast, as flags on a module's floating-point operations. Clang
 * is not asked for them: a precompiled header, the shim's, fixes its own flags. Compiler process.
 */
#include "shader/codegen.h"

#include <string.h>

/* The flags that change rounding only. Nothing is assumed about NaN and infinity: programs do test
 * for them under fast math. */
static void relax_function(LLVMValueRef function)
{
    const LLVMFastMathFlags flags = LLVMFastMathAllowReassoc | LLVMFastMathNoSignedZeros |
                                    LLVMFastMathAllowReciprocal | LLVMFastMathAllowContract |
                                    LLVMFastMathApproxFunc;
    for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(function); b; b = LLVMGetNextBasicBlock(b))
        for (LLVMValueRef i = LLVMGetFirstInstruction(b); i; i = LLVMGetNextInstruction(i))
            if (LLVMCanValueUseFastMathFlags(i))
                LLVMSetFastMathFlags(i, flags);
}

/* The shim's own arithmetic (shim/math_core.h) relies on the order of its operations. */
static bool is_core(LLVMValueRef function)
{
    static const char prefix[] = "_ZN5metal6__core";
    size_t length;
    const char *name = LLVMGetValueName2(function, &length);
    return length >= strlen(prefix) && !memcmp(name, prefix, strlen(prefix));
}

void codegen_relax(struct codegen *g)
{
    for (LLVMValueRef f = LLVMGetFirstFunction(g->module); f; f = LLVMGetNextFunction(f))
        if (!LLVMIsDeclaration(f) && !is_core(f))
            relax_function(f);
}
