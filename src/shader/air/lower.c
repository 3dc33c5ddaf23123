/* shader: the calls of air.* in a kernel from Apple's compiler become calls of functions made of
 * the shim (runtime.cc), so that a precompiled kernel computes what the same source would. What
 * has no function there is built in place (call.c), and what neither knows is refused by its
 * name. Compiler process; the module is the guest's. */
#include "shader/air/air.h"
#include "shader/air_runtime_gen.h"

#include <ctype.h>
#include <llvm-c/BitReader.h>
#include <llvm-c/Linker.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_NAME 160u
#define MAX_WIDTH 16u /* components of a vector that a function takes apart */

static bool is_vector(LLVMTypeRef type)
{
    return LLVMGetTypeKind(type) == LLVMVectorTypeKind;
}

/* ---- the runtime's functions */

static LLVMValueRef runtime_function(struct air *a, const char *name)
{
    LLVMValueRef f = LLVMGetNamedFunction(a->runtime, name);
    return f && !LLVMIsDeclaration(f) ? f : NULL;
}

static LLVMValueRef declared(struct air *a, const char *name, LLVMTypeRef type)
{
    LLVMValueRef f = LLVMGetNamedFunction(a->g->module, name);
    if (f && LLVMGlobalGetValueType(f) == type)
        return f;
    f = LLVMAddFunction(a->g->module, name, type);
    codegen_add_attribute(a->g, f, "convergent");
    codegen_add_attribute(a->g, f, "nounwind");
    return f;
}

LLVMValueRef air_call_runtime(
        struct air *a, const char *name, LLVMValueRef *arguments, unsigned count)
{
    LLVMValueRef f = runtime_function(a, name);
    LLVMTypeRef type = f ? LLVMGlobalGetValueType(f) : NULL, parameters[16];
    bool fits = f && LLVMCountParamTypes(type) == count && count <= ABX_ARRAY_SIZE(parameters);
    if (fits)
        LLVMGetParamTypes(type, parameters);
    for (unsigned i = 0; fits && i < count; i++)
        fits = LLVMTypeOf(arguments[i]) == parameters[i];
    if (!fits) {
        codegen_fail(
                a->g, -EINVAL, "function '%s' of Apple's compiler is not supported", a->calling);
        return NULL;
    }
    return LLVMBuildCall2(a->g->builder, type, declared(a, name, type), arguments, count, "");
}

LLVMValueRef air_build_slot(struct air *a, LLVMTypeRef type)
{
    struct codegen *g = a->g;
    LLVMBasicBlockRef here = LLVMGetInsertBlock(g->builder);
    LLVMBasicBlockRef entry = LLVMGetEntryBasicBlock(LLVMGetBasicBlockParent(here));
    LLVMBuilderRef b = LLVMCreateBuilderInContext(g->context);
    LLVMPositionBuilderBefore(b, LLVMGetFirstInstruction(entry));
    LLVMValueRef slot = LLVMBuildAlloca(b, type, "");
    LLVMDisposeBuilder(b);
    return slot;
}

/* Vectors through memory: see runtime.cc. */
static int call_whole(struct air *a, const char *name, struct air_call *c)
{
    LLVMBuilderRef b = a->g->builder;
    LLVMValueRef arguments[ABX_ARRAY_SIZE(c->arguments) + 1], slot = NULL;
    unsigned count = 0;
    if (is_vector(c->type))
        arguments[count++] = slot = air_build_slot(a, c->type);
    for (unsigned i = 0; i < c->argument_count; i++) {
        LLVMValueRef v = c->arguments[i];
        if (is_vector(LLVMTypeOf(v))) {
            LLVMValueRef copy = air_build_slot(a, LLVMTypeOf(v));
            LLVMBuildStore(b, v, copy);
            v = copy;
        }
        arguments[count++] = v;
    }
    LLVMValueRef r = air_call_runtime(a, name, arguments, count);
    if (!r)
        return -EINVAL;
    c->result = slot ? LLVMBuildLoad2(b, c->type, slot, "") : r;
    return 0;
}

/* Argument `i` for one component of a componentwise call; a pointer (sincos, frexp) is to a vector
 * of the results' type or of exponents. */
static LLVMValueRef component(struct air *a, struct air_call *c, unsigned i, LLVMValueRef lane)
{
    LLVMValueRef v = c->arguments[i];
    if (is_vector(LLVMTypeOf(v)))
        return LLVMBuildExtractElement(a->g->builder, v, lane, "");
    if (!is_vector(c->type) || LLVMGetTypeKind(LLVMTypeOf(v)) != LLVMPointerTypeKind)
        return v;
    LLVMTypeRef type = strstr(c->name, "frexp") ? a->g->i32 : LLVMGetElementType(c->type);
    return LLVMBuildGEP2(a->g->builder, type, v, &lane, 1, "");
}

static int call_scalars(struct air *a, const char *name, struct air_call *c, unsigned width)
{
    LLVMValueRef all = width ? LLVMGetPoison(c->type) : NULL;
    for (unsigned lane = 0; lane < (width ? width : 1); lane++) {
        LLVMValueRef arguments[ABX_ARRAY_SIZE(c->arguments)], at = codegen_i32(a->g, lane);
        for (unsigned i = 0; i < c->argument_count; i++)
            arguments[i] = component(a, c, i, at);
        LLVMValueRef r = air_call_runtime(a, name, arguments, c->argument_count);
        if (!r)
            return -EINVAL;
        all = width ? LLVMBuildInsertElement(a->g->builder, all, r, at, "") : r;
    }
    c->result = all;
    return 0;
}

/* "sin.v4f32" as "sin.f32": each `v<N>` that starts a part of the name goes. */
static void scalar_name(const char *name, char to[MAX_NAME])
{
    size_t n = 0;
    bool part = false;
    for (const char *p = name; *p && n + 1 < MAX_NAME; p++) {
        if (part && *p == 'v' && isdigit((unsigned char)p[1])) {
            while (isdigit((unsigned char)p[1]))
                p++;
            part = false;
            continue;
        }
        part = *p == '.';
        to[n++] = *p;
    }
    to[n] = 0;
}

static int call_function(struct air *a, struct air_call *c)
{
    char name[MAX_NAME], scalar[MAX_NAME];
    unsigned width = is_vector(c->type) ? LLVMGetVectorSize(c->type) : 0;
    bool vectors = width != 0, uneven = width > MAX_WIDTH;
    snprintf(name, sizeof(name), "air.%s", c->name);
    scalar_name(name, scalar);
    memcpy(name, "abx", 3);
    for (unsigned i = 0; i < c->argument_count; i++) {
        LLVMTypeRef type = LLVMTypeOf(c->arguments[i]);
        vectors |= is_vector(type);
        uneven |= is_vector(type) && LLVMGetVectorSize(type) != width;
    }
    if (vectors && (uneven || runtime_function(a, name)))
        return call_whole(a, name, c);
    return call_scalars(a, scalar, c, width);
}

/* ---- every call */

static int lower_call(struct air *a, LLVMValueRef in, const char *name)
{
    struct air_call c = {.name = name + 4, .argument_count = LLVMGetNumArgOperands(in)};
    if (c.argument_count > ABX_ARRAY_SIZE(c.arguments))
        return codegen_fail(a->g, -EINVAL, "function '%s' is not supported", name);
    for (unsigned i = 0; i < c.argument_count; i++)
        c.arguments[i] = LLVMGetOperand(in, i);
    c.type = LLVMTypeOf(in);
    a->calling = name;
    LLVMPositionBuilderBefore(a->g->builder, in);
    int r = air_call_direct(a, &c);
    if (r == 0)
        r = call_function(a, &c);
    if (r < 0)
        return r;
    if (LLVMGetTypeKind(c.type) != LLVMVoidTypeKind) {
        if (!c.result || LLVMTypeOf(c.result) != c.type)
            return codegen_fail(a->g, -EINVAL, "function '%s' has an unknown form", name);
        LLVMReplaceAllUsesWith(in, c.result);
    }
    LLVMInstructionEraseFromParent(in);
    return 0;
}

static int lower_block(struct air *a, LLVMBasicBlockRef block)
{
    for (LLVMValueRef in = LLVMGetFirstInstruction(block), next; in; in = next) {
        char name[MAX_NAME];
        const char *callee = codegen_callee(in);
        next = LLVMGetNextInstruction(in);
        if (!callee || strncmp(callee, "air.", 4) || !LLVMIsDeclaration(LLVMGetCalledValue(in)))
            continue;
        if (a->leave_tables && strstr(callee, "_function_table"))
            continue;
        if (snprintf(name, sizeof(name), "%s", callee) >= (int)sizeof(name))
            return codegen_fail(a->g, -EINVAL, "function '%s...' is not supported", name);
        int r = lower_call(a, in, name);
        if (r < 0)
            return r;
    }
    return 0;
}

static int lower_calls(struct air *a)
{
    for (LLVMValueRef f = LLVMGetFirstFunction(a->g->module); f; f = LLVMGetNextFunction(f))
        for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(f); b; b = LLVMGetNextBasicBlock(b)) {
            int r = lower_block(a, b);
            if (r < 0)
                return r;
        }
    return 0;
}

bool air_wanted(const struct codegen *g)
{
    for (LLVMValueRef f = LLVMGetFirstFunction(g->module); f; f = LLVMGetNextFunction(f)) {
        size_t length;
        const char *name = LLVMGetValueName2(f, &length);
        if (LLVMIsDeclaration(f) && length > 4 && !memcmp(name, "air.", 4))
            return true;
    }
    return false;
}

/* ---- the runtime's module */

static int open_runtime(struct air *a)
{
    LLVMMemoryBufferRef buffer = LLVMCreateMemoryBufferWithMemoryRange(
            (const char *)air_runtime, sizeof(air_runtime), "air_runtime", 0);
    /* Lazily: bodies are read when they are linked. */
    if (LLVMGetBitcodeModuleInContext2(a->g->context, buffer, &a->runtime))
        return codegen_fail(a->g, -EIO, "the runtime's bitcode cannot be read");
    LLVMSetModuleDataLayout(a->runtime, a->g->layout);
    LLVMSetTarget(a->runtime, LLVMGetTarget(a->g->module));
    air_delete_roots(a->runtime);
    return 0;
}

/* Links what is called, and no more. */
static int link_runtime(struct air *a)
{
    LLVMModuleRef runtime = a->runtime;
    for (LLVMValueRef f = LLVMGetFirstFunction(runtime); f; f = LLVMGetNextFunction(f))
        if (!LLVMIsDeclaration(f))
            LLVMSetLinkage(f, LLVMLinkOnceODRLinkage);
    for (LLVMValueRef v = LLVMGetFirstGlobal(runtime); v; v = LLVMGetNextGlobal(v))
        if (LLVMGetInitializer(v))
            LLVMSetLinkage(v, LLVMLinkOnceODRLinkage);
    a->runtime = NULL;
    return LLVMLinkModules2(a->g->module, runtime) /* takes the runtime */
                   ? codegen_fail(a->g, -EIO, "the runtime cannot be linked")
                   : 0;
}

int air_lower(struct codegen *g, bool leave_tables)
{
    struct air a = {.g = g, .leave_tables = leave_tables};
    int r = open_runtime(&a);
    if (r == 0)
        r = lower_calls(&a);
    if (r == 0)
        r = link_runtime(&a);
    if (a.runtime)
        LLVMDisposeModule(a.runtime);
    /* Matrices are vectors of 64, of which a lane holds two elements. */
    if (r == 0 && a.matrices)
        r = codegen_run_passes(g, "function(scalarizer,adce)");
    return r;
}
