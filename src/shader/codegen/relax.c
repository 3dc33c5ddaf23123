/* shader: the math modes relaxed and fast, as flags on a module's floating-point operations. Clang
 * is not asked for them: a precompiled header, the shim's, fixes its own flags. Compiler process.
 */
#include "shader/codegen/codegen.h"

#include <string.h>

/* The flags that change rounding only. Nothing is assumed about NaN and infinity: programs do test
 * for them under fast math. */
static void relax(LLVMValueRef instruction)
{
    const LLVMFastMathFlags flags = LLVMFastMathAllowReassoc | LLVMFastMathNoSignedZeros |
                                    LLVMFastMathAllowReciprocal | LLVMFastMathAllowContract |
                                    LLVMFastMathApproxFunc;
    if (LLVMCanValueUseFastMathFlags(instruction))
        LLVMSetFastMathFlags(instruction, flags);
}

/* Arithmetic that the program excluded (rewrite/pragma.c): all other of its own has the flag. */
static bool is_strict(LLVMValueRef in)
{
    switch (LLVMGetInstructionOpcode(in)) {
    case LLVMFAdd:
    case LLVMFSub:
    case LLVMFMul:
    case LLVMFDiv:
        return !(LLVMGetFastMathFlags(in) & LLVMFastMathAllowReassoc);
    default: {
        const char *callee = codegen_callee(in);
        return callee && !strncmp(callee, "llvm.fmuladd.", 13) &&
               !(LLVMGetFastMathFlags(in) & LLVMFastMathAllowReassoc);
    }
    }
}

static bool has_strict(LLVMValueRef function)
{
    for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(function); b; b = LLVMGetNextBasicBlock(b))
        for (LLVMValueRef i = LLVMGetFirstInstruction(b); i; i = LLVMGetNextInstruction(i))
            if (is_strict(i))
                return true;
    return false;
}

/* marked_only: the function has strict arithmetic too, and only what is marked is relaxed. */
static void relax_function(LLVMValueRef function, bool marked_only)
{
    for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(function); b; b = LLVMGetNextBasicBlock(b))
        for (LLVMValueRef i = LLVMGetFirstInstruction(b); i; i = LLVMGetNextInstruction(i))
            if (!marked_only || (LLVMCanValueUseFastMathFlags(i) &&
                                        (LLVMGetFastMathFlags(i) & LLVMFastMathAllowReassoc)))
                relax(i);
}

static bool starts(LLVMValueRef function, const char *prefix)
{
    size_t length;
    const char *name = LLVMGetValueName2(function, &length);
    return length >= strlen(prefix) && !memcmp(name, prefix, strlen(prefix));
}

/* Vectors and matrices compute in functions of the shim, which do not know who calls them: where
 * the program is strict anywhere in what this kernel uses, they are too. The shim's own arithmetic
 * (shim/math_core.h) always relies on the order of its operations. */
void codegen_relax(struct codegen *g)
{
    bool strict = false;
    for (LLVMValueRef f = LLVMGetFirstFunction(g->module); f; f = LLVMGetNextFunction(f))
        strict = strict || (!starts(f, "_ZN5metal") && !starts(f, "_ZNK5metal") && has_strict(f));
    for (LLVMValueRef f = LLVMGetFirstFunction(g->module); f; f = LLVMGetNextFunction(f)) {
        bool shim = starts(f, "_ZN5metal") || starts(f, "_ZNK5metal");
        if (!LLVMIsDeclaration(f) && !starts(f, "_ZN5metal6__core") && !(shim && strict))
            relax_function(f, strict);
    }
}
