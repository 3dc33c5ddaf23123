/* shader: recursive functions, which Metal allows in kernels since 2.4. Everything else is inlined;
 * what calls itself stays a function that one thread at a time runs, on the worker thread's stack:
 * so it must not meet other threads. How deep it goes is the program's doing: past the stack's end
 * the kernel faults. Compiler process. */
#include "shader/codegen/codegen.h"

#include <string.h>

static bool is_function_of_ours(LLVMValueRef f)
{
    size_t length;
    return LLVMIsDeclaration(f) && !strncmp(LLVMGetValueName2(f, &length), "__abx_", 6);
}

static int check_function(struct codegen *g, LLVMValueRef f)
{
    for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(f); b; b = LLVMGetNextBasicBlock(b))
        for (LLVMValueRef in = LLVMGetFirstInstruction(b); in; in = LLVMGetNextInstruction(in)) {
            if (!codegen_callee(in))
                continue;
            LLVMValueRef callee = LLVMGetCalledValue(in);
            if (!LLVMIsAFunction(callee))
                return codegen_fail(
                        g, -EINVAL, "calls through function pointers are not supported");
            if (is_function_of_ours(callee))
                return codegen_fail(g, -EINVAL,
                        "barriers and SIMD-group functions in recursive functions are not "
                        "supported yet");
        }
    return 0;
}

int codegen_keep_recursive(struct codegen *g)
{
    for (LLVMValueRef f = LLVMGetFirstFunction(g->module); f; f = LLVMGetNextFunction(f)) {
        if (LLVMIsDeclaration(f) || f == g->kernel)
            continue;
        int r = check_function(g, f);
        if (r < 0)
            return r;
        codegen_remove_attribute(f, "alwaysinline");
        g->recursive = true;
    }
    return 0;
}
