/* shader: one kernel of a .metallib file as the code generator takes it: its module read, function
 * constants set, pointers brought to one address space, what it calls linked in, and an entry built
 * that fetches its arguments through markers (shim/markers.h). Compiler process; the module is the
 * guest's, so it is verified and checked first, and names that are ours are refused in it. */
#include "shader/air/air.h"

#include <llvm-c/BitReader.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ENTRY "__abx_air_entry"

/* ---- reading */

/* Before anything else is found: their sizes are only known at run time, which no other code's are.
 */
static int refuse_tensors(struct codegen *g)
{
    for (LLVMValueRef f = LLVMGetFirstFunction(g->module); f; f = LLVMGetNextFunction(f)) {
        size_t length;
        const char *name = LLVMGetValueName2(f, &length);
        if (LLVMIsDeclaration(f) && LLVMGetFirstUse(f) &&
                (!strncmp(name, "__tensorops_", 12) ||
                        (!strncmp(name, "air.", 4) && strstr(name, "tensor"))))
            return codegen_fail(
                    g, -EINVAL, "tensors are not supported yet: function '%.200s'", name);
    }
    return 0;
}

static int open_module(struct codegen *g, const struct air_index *index, size_t bytes, uint32_t i)
{
    if (bytes < sizeof(*index) || i >= index->count ||
            index->count > ABX_REFLECTION_MAX_FUNCTIONS ||
            !abx_range_ok(sizeof(*index), index->count * sizeof(index->modules[0]), bytes) ||
            !abx_range_ok(index->modules[i].offset, index->modules[i].bytes, bytes))
        return codegen_fail(g, -EBADMSG, "the library is damaged");
    LLVMMemoryBufferRef buffer = LLVMCreateMemoryBufferWithMemoryRange(
            (const char *)index + index->modules[i].offset, index->modules[i].bytes, "metallib", 0);
    int bad = LLVMParseBitcodeInContext2(g->context, buffer, &g->module);
    LLVMDisposeMemoryBuffer(buffer);
    if (bad) {
        g->module = NULL;
        return codegen_fail(g, -EINVAL, "the precompiled function's bitcode cannot be read");
    }
    LLVMSetModuleDataLayout(g->module, g->layout);
    char *triple = LLVMGetTargetMachineTriple(g->machine);
    LLVMSetTarget(g->module, triple);
    LLVMDisposeMessage(triple);
    int r = codegen_verify(g, "reading");
    if (r == 0)
        r = refuse_tensors(g);
    return r < 0 ? r : codegen_check(g);
}

static bool is_ours(LLVMValueRef v)
{
    size_t length;
    const char *name = LLVMGetValueName2(v, &length);
    return !strncmp(name, "__abx", 5) || !strncmp(name, "abx.", 4);
}

static int refuse_foreign(struct codegen *g)
{
    bool bad = false;
    for (LLVMValueRef v = LLVMGetFirstGlobal(g->module); v; v = LLVMGetNextGlobal(v))
        bad |= is_ours(v) || LLVMIsThreadLocal(v);
    for (LLVMValueRef f = LLVMGetFirstFunction(g->module); f; f = LLVMGetNextFunction(f))
        bad |= is_ours(f);
    return bad ? codegen_fail(g, -EINVAL, "the precompiled function contains what no kernel may")
               : 0;
}

/* ---- function constants
 *
 * A static initialiser copies them into variables in the constant address space and computes others
 * from them. LLVM runs it here, once the constants have their values. */

/* A constant of `type` from its bytes; NULL when no function constant has such a type. */
static LLVMValueRef constant_from(struct codegen *g, LLVMTypeRef type, const uint8_t *bytes)
{
    LLVMTypeKind kind = LLVMGetTypeKind(type);
    if (kind == LLVMVectorTypeKind) {
        LLVMTypeRef element = LLVMGetElementType(type);
        unsigned n = LLVMGetVectorSize(type);
        uint64_t size = LLVMABISizeOfType(g->layout, element);
        LLVMValueRef values[4];
        if (n > 4 || n * size > 16)
            return NULL;
        for (unsigned i = 0; i < n; i++)
            if (!(values[i] = constant_from(g, element, bytes + i * size)))
                return NULL;
        return LLVMConstVector(values, n);
    }
    uint64_t size = LLVMSizeOfTypeInBits(g->layout, type), value = 0;
    if (size > 64)
        return NULL;
    memcpy(&value, bytes, (size + 7) / 8);
    LLVMValueRef number = LLVMConstInt(LLVMIntTypeInContext(g->context, (unsigned)size), value, 0);
    if (kind == LLVMIntegerTypeKind)
        return number;
    bool real = kind == LLVMFloatTypeKind || kind == LLVMHalfTypeKind || kind == LLVMBFloatTypeKind;
    return real ? LLVMConstBitCast(number, type) : NULL;
}

static int set_constant(struct codegen *g, const struct air_constant *c,
        const struct abx_shader_constant *constants, uint32_t count)
{
    uint8_t bytes[16] = {0};
    for (uint32_t i = 0; i < count; i++)
        if (constants[i].index == c->index)
            memcpy(bytes, constants[i].value, sizeof(bytes));
    if (!count && c->required) /* as for source: codegen/load.c */
        return codegen_fail(g, -EINVAL, "function constant '%.*s' (index %u) is not set",
                (int)c->name.length, c->name.data, c->index);
    LLVMValueRef value = constant_from(g, LLVMGlobalGetValueType(c->global), bytes);
    if (!value)
        return codegen_fail(g, -EINVAL, "function constant '%.*s' (index %u) has an unknown type",
                (int)c->name.length, c->name.data, c->index);
    LLVMSetInitializer(c->global, value);
    LLVMSetExternallyInitialized(c->global, 0);
    LLVMSetLinkage(c->global, LLVMInternalLinkage);
    LLVMSetGlobalConstant(c->global, 1);
    return 0;
}

/* What keeps variables that nothing uses. */
void air_delete_roots(LLVMModuleRef module)
{
    static const char *const names[] = {"llvm.used", "llvm.compiler.used"};
    for (size_t i = 0; i < ABX_ARRAY_SIZE(names); i++) {
        LLVMValueRef v = LLVMGetNamedGlobal(module, names[i]);
        if (v)
            LLVMDeleteGlobal(v);
    }
}

/* While the initialiser runs, threadgroup variables must not be taken for variables of one thread:
 * as external ones they are left alone. codegen_load() makes them internal again. */
static int mark_threadgroup_variables(struct codegen *g)
{
    for (LLVMValueRef v = LLVMGetFirstGlobal(g->module); v; v = LLVMGetNextGlobal(v)) {
        size_t length;
        bool group = LLVMGetPointerAddressSpace(LLVMTypeOf(v)) == AIR_THREADGROUP_SPACE;
        if (!group && !LLVMGetInitializer(v))
            return codegen_fail(
                    g, -EINVAL, "undefined variable '%.200s'", LLVMGetValueName2(v, &length));
        if (group && !LLVMGetInitializer(v))
            LLVMSetInitializer(v, LLVMGetUndef(LLVMGlobalGetValueType(v)));
        if (LLVMGetLinkage(v) != LLVMAppendingLinkage)
            LLVMSetLinkage(v, group ? LLVMExternalLinkage : LLVMInternalLinkage);
    }
    return 0;
}

/* What is left to be written is threadgroup memory: nothing else may be. */
static int check_variables(struct codegen *g)
{
    LLVMValueRef initialisers = LLVMGetNamedGlobal(g->module, "llvm.global_ctors");
    if (initialisers && LLVMGetArrayLength2(LLVMGlobalGetValueType(initialisers)))
        return codegen_fail(g, -EINVAL, "a constant is computed in a way that is not supported");
    if (initialisers)
        LLVMDeleteGlobal(initialisers);
    for (LLVMValueRef v = LLVMGetFirstGlobal(g->module); v; v = LLVMGetNextGlobal(v)) {
        size_t length;
        if (!LLVMIsGlobalConstant(v) && LLVMGetLinkage(v) != LLVMExternalLinkage)
            return codegen_fail(g, -EINVAL,
                    "variable '%.200s' is computed in a way that is not supported",
                    LLVMGetValueName2(v, &length));
    }
    return 0;
}

/* The function constant that a pointer is to; false: none. */
static bool find_constant(struct codegen *g, LLVMValueRef pointer, struct air_constant *ret)
{
    for (uint32_t i = 0; i < air_constant_count(g->module); i++)
        if (air_constant_read(g->module, i, ret) == 0 && ret->global == pointer)
            return true;
    return false;
}

/* is_function_constant_defined(), of a pointer to the constant. */
static int answer_defined(
        struct codegen *g, const struct abx_shader_constant *constants, uint32_t count)
{
    LLVMValueRef f = LLVMGetNamedFunction(g->module, "air.is_function_constant_defined");
    for (LLVMUseRef u = f ? LLVMGetFirstUse(f) : NULL, next; u; u = next) {
        LLVMValueRef call = LLVMGetUser(u);
        struct air_constant c;
        bool defined = false;
        next = LLVMGetNextUse(u);
        if (!LLVMIsACallInst(call) || LLVMGetCalledValue(call) != f || LLVMTypeOf(call) != g->i1 ||
                LLVMGetNumArgOperands(call) != 1 || !find_constant(g, LLVMGetOperand(call, 0), &c))
            return codegen_fail(g, -EINVAL, "is_function_constant_defined() has an unknown form");
        for (uint32_t i = 0; i < count; i++)
            defined |= constants[i].index == c.index;
        LLVMReplaceAllUsesWith(call, LLVMConstInt(g->i1, defined, 0));
        LLVMInstructionEraseFromParent(call);
    }
    return 0;
}

static int set_constants(
        struct codegen *g, const struct abx_shader_constant *constants, uint32_t count)
{
    uint32_t n = air_constant_count(g->module);
    if (n > ABX_SHADER_MAX_CONSTANTS)
        return codegen_fail(g, -EINVAL, "the function has more constants than are supported");
    for (uint32_t i = 0; i < n; i++) {
        struct air_constant c;
        int r = air_constant_read(g->module, i, &c);
        r = r < 0 ? codegen_fail(g, r, "a function constant's record is damaged")
                  : set_constant(g, &c, constants, count);
        if (r < 0)
            return r;
    }
    int r = codegen_run_passes(g, "globalopt,globaldce");
    return r < 0 ? r : check_variables(g);
}

/* ---- the entry */

static LLVMValueRef marker(
        struct codegen *g, const char *name, LLVMTypeRef result, uint32_t argument)
{
    LLVMTypeRef type = LLVMFunctionType(result, &g->i32, 1, 0);
    LLVMValueRef f = LLVMGetNamedFunction(g->module, name), value = codegen_i32(g, argument);
    if (!f) {
        f = LLVMAddFunction(g->module, name, type);
        codegen_add_attribute(g, f, "nounwind");
    }
    return LLVMBuildCall2(g->builder, type, f, &value, 1, "");
}

LLVMValueRef air_build_builtin(struct codegen *g, int builtin, LLVMTypeRef type)
{
    bool vector = LLVMGetTypeKind(type) == LLVMVectorTypeKind;
    LLVMTypeRef element = vector ? LLVMGetElementType(type) : type;
    unsigned n = vector ? LLVMGetVectorSize(type) : 1;
    if (LLVMGetTypeKind(element) != LLVMIntegerTypeKind || n > 3)
        return NULL;
    LLVMValueRef v = LLVMGetPoison(type);
    for (unsigned i = 0; i < n; i++) {
        LLVMValueRef e = marker(g, "__abx_builtin", g->i32, (uint32_t)builtin * 4 + i);
        e = LLVMBuildIntCast2(g->builder, e, element, 0, "");
        v = vector ? LLVMBuildInsertElement(g->builder, v, e, codegen_i32(g, i), "") : e;
    }
    return v;
}

static LLVMValueRef build_argument(
        struct codegen *g, const struct air_argument *a, LLVMTypeRef type)
{
    if (a->kind == ABX_ARGUMENT_BUILTIN)
        return air_build_builtin(g, a->builtin, type);
    if (LLVMGetTypeKind(type) != LLVMPointerTypeKind)
        return NULL;
    bool buffer = a->kind == ABX_ARGUMENT_BUFFER;
    uint32_t more = 0;
    if (a->constant) {
        uint32_t bytes = a->reference_size < ABX_BUFFER_BYTES_MOST ? a->reference_size
                                                                   : ABX_BUFFER_BYTES_MOST;
        more = ABX_BUFFER_CONSTANT | bytes << ABX_BUFFER_BYTES_SHIFT;
    }
    return marker(g, buffer ? "__abx_buffer" : "__abx_threadgroup", g->ptr, a->index | more);
}

/* ---- arguments that kernels cannot have here, and that a function constant may leave out: whether
 * it does is known when the constants are set and what they make dead is gone. */
#define ABSENT "abx.absent "

static LLVMValueRef absent(struct codegen *g, const struct air_argument *a, LLVMTypeRef type)
{
    char name[256];
    snprintf(name, sizeof name, ABSENT "'%.*s' (%.*s)",
            (int)(a->name.length < 100 ? a->name.length : 100), a->name.data,
            (int)(a->type_name.length < 100 ? a->type_name.length : 100), a->type_name.data);
    LLVMTypeRef function = LLVMFunctionType(type, NULL, 0, 0);
    LLVMValueRef f = LLVMAddFunction(g->module, name, function);
    codegen_add_attribute(g, f, "nounwind");
    codegen_add_attribute(g, f, "willreturn");
    LLVMAttributeRef none = LLVMCreateEnumAttribute(
            g->context, LLVMGetEnumAttributeKindForName("memory", strlen("memory")), 0);
    LLVMAddAttributeAtIndex(f, LLVMAttributeFunctionIndex, none);
    return LLVMBuildCall2(g->builder, function, f, NULL, 0, "");
}

static bool has_absent(const struct codegen *g)
{
    for (LLVMValueRef f = LLVMGetFirstFunction(g->module); f; f = LLVMGetNextFunction(f))
        if (!strncmp(LLVMGetValueName(f), ABSENT, strlen(ABSENT)))
            return true;
    return false;
}

/* The constants are set. */
static int refuse_absent(struct codegen *g)
{
    for (LLVMValueRef f = LLVMGetFirstFunction(g->module); f; f = LLVMGetNextFunction(f))
        if (f != g->kernel && !LLVMIsDeclaration(f))
            LLVMSetLinkage(f, LLVMInternalLinkage); /* or its arguments would all count as used */
    int r = codegen_run_passes(g, "always-inline,function(sroa,sccp,simplifycfg,adce),deadargelim,"
                                  "function(adce),globaldce");
    for (LLVMValueRef f = LLVMGetFirstFunction(g->module); r == 0 && f; f = LLVMGetNextFunction(f))
        if (!strncmp(LLVMGetValueName(f), ABSENT, strlen(ABSENT)))
            return codegen_fail(g, -EINVAL, "argument %s is not supported",
                    LLVMGetValueName(f) + strlen(ABSENT));
    return r;
}

static int fetch_arguments(struct codegen *g, const struct air_kernel *kernel, LLVMValueRef *values)
{
    unsigned count = LLVMCountParams(kernel->function);
    for (uint32_t i = 0; i < kernel->argument_count; i++) {
        struct air_argument a;
        int r = air_argument_read(kernel->arguments[i], &a);
        bool known = a.position < count;
        if (r == -ENOTSUP && known && a.conditional) {
            values[a.position] =
                    absent(g, &a, LLVMTypeOf(LLVMGetParam(kernel->function, a.position)));
            continue;
        }
        if (r == -ENOTSUP)
            return codegen_fail(g, -EINVAL, "argument '%.*s' (%.*s) is not supported",
                    (int)a.name.length, a.name.data, (int)a.type_name.length, a.type_name.data);
        if (r < 0 || a.position >= count)
            return codegen_fail(g, -EINVAL, "the record of argument %u is damaged", i);
        values[a.position] =
                build_argument(g, &a, LLVMTypeOf(LLVMGetParam(kernel->function, a.position)));
    }
    for (unsigned i = 0; i < count; i++)
        if (!values[i])
            return codegen_fail(g, -EINVAL, "argument %u has no record that fits it", i);
    return 0;
}

static int build_entry(struct codegen *g, const struct air_kernel *kernel)
{
    LLVMTypeRef nothing = LLVMVoidTypeInContext(g->context);
    LLVMTypeRef type = LLVMGlobalGetValueType(kernel->function);
    if (LLVMIsDeclaration(kernel->function) || LLVMGetReturnType(type) != nothing ||
            LLVMIsFunctionVarArg(type))
        return codegen_fail(g, -EINVAL, "the function is no kernel");
    LLVMValueRef *values = calloc(LLVMCountParams(kernel->function) + 1, sizeof(*values));
    if (!values)
        return -ENOMEM;
    g->kernel = LLVMAddFunction(g->module, ENTRY, LLVMFunctionType(nothing, NULL, 0, 0));
    LLVMPositionBuilderAtEnd(
            g->builder, LLVMAppendBasicBlockInContext(g->context, g->kernel, "entry"));
    int r = fetch_arguments(g, kernel, values);
    if (r == 0) {
        LLVMBuildCall2(
                g->builder, type, kernel->function, values, LLVMCountParams(kernel->function), "");
        LLVMBuildRetVoid(g->builder);
    }
    free(values);
    return r;
}

static int find_kernel(struct codegen *g, const char *name)
{
    struct air_kernel kernel;
    int r = air_kernel_find(g->module, name, &kernel);
    if (r < 0)
        return codegen_fail(g, r, "nothing describes it as a kernel");
    r = build_entry(g, &kernel);
    air_kernel_finish(&kernel);
    return r;
}

int air_load(struct codegen *g, const struct air_index *index, size_t bytes, uint32_t function,
        const char *name, const struct abx_shader_constant *constants, uint32_t constant_count)
{
    int r = open_module(g, index, bytes, function);
    if (r == 0)
        r = refuse_foreign(g);
    if (r < 0)
        return r;
    air_delete_roots(g->module);
    r = mark_threadgroup_variables(g);
    if (r == 0)
        r = air_retype(g);
    if (r < 0)
        return r;
    air_take_back_promises(g);
    r = find_kernel(g, name);
    bool uncertain = r == 0 && has_absent(g);
    if (r == 0)
        r = answer_defined(g, constants, constant_count);
    if (r == 0)
        r = air_lower(g, uncertain);
    if (r == 0)
        r = set_constants(g, constants, constant_count);
    if (r < 0 || !uncertain)
        return r;
    r = refuse_absent(g);
    return r == 0 && air_wanted(g) ? air_lower(g, false) : r;
}
