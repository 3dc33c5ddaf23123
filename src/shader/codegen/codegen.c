/* shader: what a code generation begins and ends with. Compiler process. */
#include "shader/codegen/target.h"

#include <stdlib.h>

int codegen_begin(struct codegen *g, uint32_t target)
{
    g->verbose = getenv("ARCBOX_CODEGEN_VERBOSE") != NULL;
    g->context = LLVMContextCreate();
    codegen_handle_diagnostics(g->context, &g->message);
    g->builder = LLVMCreateBuilderInContext(g->context);
    g->i1 = LLVMInt1TypeInContext(g->context);
    g->i8 = LLVMInt8TypeInContext(g->context);
    g->i32 = LLVMInt32TypeInContext(g->context);
    g->i64 = LLVMInt64TypeInContext(g->context);
    g->ptr = LLVMPointerTypeInContext(g->context, 0);
    g->token = LLVMTokenTypeInContext(g->context);
    g->options = LLVMCreatePassBuilderOptions();
    LLVMPassBuilderOptionsSetLoopVectorization(g->options, 1);
    LLVMPassBuilderOptionsSetSLPVectorization(g->options, 1);
    LLVMPassBuilderOptionsSetLoopUnrolling(g->options, 1);
    LLVMPassBuilderOptionsSetLoopInterleaving(g->options, 1);
    return codegen_target_open(g, target);
}

void codegen_end(struct codegen *g)
{
    LLVMDisposeBuilder(g->builder);
    if (g->module)
        LLVMDisposeModule(g->module);
    LLVMDisposePassBuilderOptions(g->options);
    if (g->layout)
        LLVMDisposeTargetData(g->layout);
    if (g->machine)
        LLVMDisposeTargetMachine(g->machine);
    LLVMContextDispose(g->context);
}
