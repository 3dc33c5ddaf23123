/* shader: one kernel of a library, as machine code. LLVM through its C API only.
 *
 * Runs in the compiler process, which is sandboxed: the bitcode comes from guest source by way of
 * clang, or from a cache the guest cannot write, and LLVM is not hardened against it. The verifier
 * runs on what comes in and on what goes out. Steps: codegen_load (one function, one thread's
 * work), a form (wide/ or scalar.c), codegen_finish. */
#include "shader/codegen/codegen.h"
#include "shader/nvptx/nvptx.h"
#include "shader/codegen/target.h"
#include "shader/frontend/frontend.h"

#include <llvm-c/Error.h>
#include <stdlib.h>
#include <string.h>

static int codegen_open(struct codegen *g, uint32_t target)
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

static void codegen_close(struct codegen *g)
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

/* After optimising, nothing may be left that the worker's loader would have to refuse. */
static int check_externals(struct codegen *g)
{
    static const char *const provided[] = {"abx_rt_give", "abx_rt_take", ABX_RUNTIME_BFLOAT,
#define NAME(f) #f,
            ABX_RUNTIME_MATH(NAME) ABX_RUNTIME_BUILTINS(NAME) ABX_RUNTIME_HALF(NAME)
#undef NAME
    };
    for (LLVMValueRef f = LLVMGetFirstFunction(g->module); f; f = LLVMGetNextFunction(f)) {
        size_t length;
        const char *name = LLVMGetValueName2(f, &length);
        bool known = !LLVMIsDeclaration(f) || !strncmp(name, "llvm.", 5) || !LLVMGetFirstUse(f);
        for (size_t i = 0; i < ABX_ARRAY_SIZE(provided) && !known; i++)
            known = !strcmp(name, provided[i]);
        if (!known)
            return codegen_fail(g, -EINVAL, "undefined function '%s'", name);
    }
    for (LLVMValueRef v = LLVMGetFirstGlobal(g->module); v; v = LLVMGetNextGlobal(v)) {
        size_t length;
        const char *name = LLVMGetValueName2(v, &length);
        if (!LLVMGetInitializer(v) && LLVMGetFirstUse(v))
            return codegen_fail(g, -EINVAL, "undefined variable '%s'", name);
        if (LLVMGetInitializer(v) && !LLVMIsGlobalConstant(v) && strncmp(name, "llvm.", 5))
            return codegen_fail(g, -EINVAL, "variable '%s' is used in an unsupported way", name);
    }
    return 0;
}

static void set_function_attributes(struct codegen *g)
{
    for (LLVMValueRef f = LLVMGetFirstFunction(g->module); f; f = LLVMGetNextFunction(f)) {
        if (LLVMIsDeclaration(f))
            continue;
        /* Big private arrays must not step over the stack's guard page. */
        LLVMAddAttributeAtIndex(f, LLVMAttributeFunctionIndex,
                LLVMCreateStringAttribute(g->context, "probe-stack", 11, "inline-asm", 10));
        if (g->vector_bytes == 64)
            LLVMAddAttributeAtIndex(f, LLVMAttributeFunctionIndex,
                    LLVMCreateStringAttribute(g->context, "prefer-vector-width", 19, "512", 3));
        /* The stack is aligned to 16 bytes, and of its own accord LLVM aligns it for variables
         * only: spilled vectors would lie across cache lines. */
        if (g->vector_bytes > 16)
            LLVMAddAttributeAtIndex(f, LLVMAttributeFunctionIndex,
                    LLVMCreateEnumAttribute(g->context,
                            LLVMGetEnumAttributeKindForName("alignstack", 10), g->vector_bytes));
        codegen_add_attribute(g, f, "nounwind");
    }
}

/* Vectors of lanes need no vectoriser, and most of the usual optimising was done before. */
#define LANES_PASSES                                                                               \
    "function(sroa,early-cse<memssa>,instcombine<no-verify-fixpoint>,simplifycfg,"                 \
    "loop-mssa(licm),gvn,instcombine<no-verify-fixpoint>,simplifycfg,dce),globaldce"

int codegen_finish(struct codegen *g, struct abx_shader_result *result)
{
    codegen_place_factors(g);
    set_function_attributes(g);
    int r = codegen_verify(g, "building");
    if (r == 0)
        r = codegen_run_passes(g, g->object.lanes > 1 ? LANES_PASSES : "default<O2>,globaldce");
    if (r == 0 && g->object.lanes > 1)
        codegen_sink(g);
    if (r == 0)
        r = codegen_verify(g, "optimising");
    if (r == 0)
        r = check_externals(g);
    if (r == 0)
        r = codegen_check_stack(g);
    if (r < 0)
        return r;
    char *error = NULL;
    LLVMMemoryBufferRef elf;
    if (g->verbose) {
        LLVMPrintModuleToFile(g->module, getenv("ARCBOX_CODEGEN_VERBOSE"), &error);
    }
    if (LLVMTargetMachineEmitToMemoryBuffer(g->machine, g->module, LLVMObjectFile, &error, &elf)) {
        codegen_fail(g, -EIO, "code generation failed: %s", error);
        LLVMDisposeMessage(error);
        return -EIO;
    }
    struct abx_object *o = &g->object;
    o->magic = ABX_OBJECT_MAGIC;
    o->version = ABX_OBJECT_VERSION;
    o->elf_offset = sizeof *o;
    o->elf_bytes = LLVMGetBufferSize(elf);
    size_t bytes = sizeof *o + o->elf_bytes;
    char *blob = bytes <= ABX_SHADER_MAX_OBJECT_BYTES ? malloc(bytes) : NULL;
    if (blob) {
        memcpy(blob, o, sizeof *o);
        memcpy(blob + sizeof *o, LLVMGetBufferStart(elf), o->elf_bytes);
        result->blob = blob;
        result->blob_bytes = bytes;
    }
    LLVMDisposeMemoryBuffer(elf);
    return blob ? 0 : -ENOMEM;
}

/* Vectors of lanes pay where threads meet: a barrier or a SIMD-group operation costs the scalar
 * form a suspension in every thread. A kernel without any is a plain loop over threads, which
 * LLVM's own vectoriser takes further: measured on tinygrad's training of the digits, 1.2 s
 * against 1.5 s an epoch, and half the time to compile. The environment forces a form, for tests.
 */
static int build_best(struct codegen *g, struct abx_shader_result *result)
{
    const char *form = getenv("ARCBOX_CODEGEN_FORM");
    int found = codegen_find_spins(g);
    if (found < 0)
        return found;
    g->object.yields = g->yields;
    bool meets = g->barriers || g->simd || g->simd_barriers || g->yields;
    bool wide = (form ? strcmp(form, "wide") == 0 : meets) && !g->recursive;
    int r = wide ? codegen_build_wide(g) : -ENOTSUP;
    if (r == -ENOTSUP && (!form || !wide))
        r = codegen_build_scalar(g);
    return r < 0 ? r : codegen_finish(g, result);
}

/* The module that the kernel is in: the library's, or compiled now. */
static int get_bitcode(struct codegen *g, const struct abx_shader_tools *tools,
        const struct abx_shader_library *library, uint32_t function, struct abx_string *compiled,
        const char **ret_bitcode, size_t *ret_bytes)
{
    int r = 0;
    *ret_bitcode = (const char *)library + library->code_offset;
    *ret_bytes = library->code_bytes;
    if (library->form == ABX_LIBRARY_HEADER) {
        r = frontend_kernel(tools, library, &function, 1, compiled, &g->message);
        *ret_bitcode = compiled->data;
        *ret_bytes = compiled->length;
    }
    return r;
}

int abx_shader_link(const struct abx_shader_tools *tools, const void *library, size_t library_bytes,
        uint32_t function, const struct abx_shader_constant *constants, uint32_t constant_count,
        const struct abx_shader_link *links, uint32_t link_count, struct abx_shader_result *result)
{
    memset(result, 0, sizeof *result);
    if (constant_count > ABX_SHADER_MAX_CONSTANTS)
        return -EINVAL;
    struct codegen g = {0};
    const struct abx_shader_library *head = library;
    const struct abx_reflection *reflection =
            (const void *)((const char *)library + head->reflection_offset);
    struct abx_string compiled = {0};
    const char *bitcode;
    size_t bytes;
    int r = get_bitcode(&g, tools, head, function, &compiled, &bitcode, &bytes);
    if (r == 0)
        r = codegen_open(&g, head->target);
    if (r == 0)
        r = codegen_read(&g, head, bitcode, bytes, function, constants, constant_count);
    if (r == 0)
        r = codegen_link(&g, tools, head->target, links, link_count);
    if (r == 0)
        r = codegen_load(&g, head, constants, constant_count);
    if (r == 0 && head->target == ABX_TARGET_NVPTX)
        r = codegen_nvptx(&g, reflection, function, result);
    else if (r == 0)
        r = build_best(&g, result);
    if (g.context)
        codegen_close(&g);
    abx_string_finish(&compiled);
    if (g.message.failed)
        abx_string_finish(&g.message);
    result->message = g.message.data;
    return r;
}

int abx_shader_specialize(const struct abx_shader_tools *tools, const void *library,
        size_t library_bytes, uint32_t function, const struct abx_shader_constant *constants,
        uint32_t constant_count, struct abx_shader_result *result)
{
    return abx_shader_link(
            tools, library, library_bytes, function, constants, constant_count, NULL, 0, result);
}
