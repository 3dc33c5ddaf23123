/* shader: functions a pipeline is linked with: those of MTLLinkedFunctions, and dynamic libraries.
 * Their modules are merged into the kernel's before anything is optimised, so that what is called
 * by name is inlined like the kernel's own, and calls through tables (shim/visible.h) become a
 * switch over the linked functions of the table's type. No number in a guest's memory is ever used
 * as an address. Compiler process; every module is the guest's. */
#include "shader/codegen/codegen.h"

#include <llvm-c/BitReader.h>
#include <llvm-c/Linker.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Mangled: __abx::dispatch<type>::call(type's arguments, uint) and ::marker. */
#define DISPATCH "_ZN5__abx8dispatchI"
#define CALL "E4callE"
#define MARKER "E6markerE"
#define OWN "__abx_l_" /* names of linked functions that nothing calls by name */

/* A module, and the links that come from it. */
struct part {
    LLVMModuleRef module;
    uint32_t first, count;
};

struct linked {
    char *type;            /* as DISPATCH spells it; NULL: not for tables */
    char *name;            /* in the merged module */
    LLVMValueRef function; /* once merged; NULL: none, a library */
};

struct linker {
    struct codegen *g;
    const struct codegen_entries *entries;
    const struct abx_shader_link *links;
    uint32_t count, part_count;
    struct part *parts;
    struct linked *linked;
};

/* ---- reading modules */

static const struct abx_reflection *reflection_of(const struct abx_shader_link *link)
{
    const struct abx_shader_library *head = link->library;
    return (const void *)((const char *)head + head->reflection_offset);
}

static bool same_part(const struct abx_shader_link *a, const struct abx_shader_link *b)
{
    return a->kind != ABX_LINK_LIBRARY && b->kind != ABX_LINK_LIBRARY && a->library == b->library &&
           a->constant_count == b->constant_count &&
           (!a->constant_count ||
                   !memcmp(a->constants, b->constants, a->constant_count * sizeof *a->constants));
}

/* The bitcode of the part's functions, or of the whole library. */
static int part_bitcode(struct linker *l, const struct part *part, struct abx_string *compiled,
        const char **ret, size_t *ret_bytes)
{
    const struct abx_shader_link *links = &l->links[part->first];
    const struct abx_shader_library *head = links->library;
    if (head->form == ABX_LIBRARY_AIR)
        return codegen_fail(
                l->g, -EINVAL, "linking functions of a precompiled metallib is not supported yet");
    *ret = (const char *)head + head->code_offset;
    *ret_bytes = head->code_bytes;
    if (head->form != ABX_LIBRARY_HEADER)
        return 0;
    uint32_t functions[ABX_SHADER_MAX_LINKS], count = 0;
    for (uint32_t i = 0; links->kind != ABX_LINK_LIBRARY && i < part->count; i++)
        functions[count++] = links[i].function;
    int r = l->entries->make(l->entries->tools, head, functions, count, compiled, &l->g->message);
    *ret = compiled->data;
    *ret_bytes = compiled->length;
    return r;
}

/* Into part->module, which is g->module meanwhile. */
static int load_part(struct linker *l, struct part *part)
{
    struct codegen *g = l->g;
    struct abx_string compiled = {0};
    const char *bitcode;
    size_t bytes;
    int r = part_bitcode(l, part, &compiled, &bitcode, &bytes);
    if (r == 0) {
        LLVMMemoryBufferRef buffer =
                LLVMCreateMemoryBufferWithMemoryRange(bitcode, bytes, "linked", 0);
        if (LLVMParseBitcodeInContext2(g->context, buffer, &part->module)) {
            part->module = NULL;
            r = codegen_fail(g, -EBADMSG, "a linked library's bitcode cannot be read");
        }
        LLVMDisposeMemoryBuffer(buffer);
    }
    abx_string_finish(&compiled);
    if (r < 0)
        return r;
    char *triple = LLVMGetTargetMachineTriple(g->machine);
    LLVMSetTarget(part->module, triple);
    LLVMDisposeMessage(triple);
    LLVMSetModuleDataLayout(part->module, g->layout);
    LLVMModuleRef kernels = g->module;
    g->module = part->module;
    r = codegen_verify(g, "reading a linked library");
    g->module = kernels;
    return r;
}

static int load_parts(struct linker *l)
{
    for (uint32_t i = 0; i < l->count; i++) {
        const struct abx_shader_link *link = &l->links[i];
        if (l->part_count && same_part(link, &l->links[l->parts[l->part_count - 1].first]))
            l->parts[l->part_count - 1].count++;
        else
            l->parts[l->part_count++] = (struct part){.first = i, .count = 1};
    }
    for (uint32_t i = 0; i < l->part_count; i++) {
        int r = load_part(l, &l->parts[i]);
        if (r < 0)
            return r;
    }
    return 0;
}

/* ---- names */

static bool declares(LLVMModuleRef module, const char *name)
{
    LLVMValueRef f = LLVMGetNamedFunction(module, name);
    return f && LLVMIsDeclaration(f);
}

/* True when the function is called by its name from elsewhere and nothing defines it yet. */
static bool wanted(const struct linker *l, const char *name)
{
    LLVMValueRef f = LLVMGetNamedFunction(l->g->module, name);
    if (f && !LLVMIsDeclaration(f))
        return false;
    bool found = f != NULL;
    for (uint32_t i = 0; i < l->part_count && !found; i++)
        found = l->parts[i].module && declares(l->parts[i].module, name);
    return found;
}

/* Link `i`'s function: what the record of shim/visible.h in the module says. */
static int find_function(struct linker *l, LLVMModuleRef module, uint32_t i, LLVMValueRef *ret)
{
    const struct abx_reflection *r = reflection_of(&l->links[i]);
    uint32_t function = l->links[i].function;
    if (function >= r->function_count ||
            abx_reflection_functions(r)[function].kind != ABX_FUNCTION_VISIBLE)
        return codegen_fail(l->g, -EINVAL, "a linked function is not a visible function");
    LLVMValueRef record = LLVMGetNamedGlobal(
            module, abx_reflection_string(r, abx_reflection_functions(r)[function].entry));
    LLVMValueRef init = record ? LLVMGetInitializer(record) : NULL;
    LLVMValueRef f = init ? LLVMGetAggregateElement(init, 0) : NULL;
    LLVMValueRef marker = init ? LLVMGetAggregateElement(init, 1) : NULL;
    size_t length = 0;
    const char *name =
            marker && LLVMIsAGlobalVariable(marker) ? LLVMGetValueName2(marker, &length) : "";
    const char *end = strstr(name, MARKER);
    if (!f || !LLVMIsAFunction(f) || LLVMIsDeclaration(f) || !end ||
            strncmp(name, DISPATCH, strlen(DISPATCH)) != 0)
        return codegen_fail(l->g, -EBADMSG, "a linked library has no record of its function");
    name += strlen(DISPATCH);
    if (l->links[i].kind == ABX_LINK_TABLE &&
            !(l->linked[i].type = strndup(name, (size_t)(end - name))))
        return -ENOMEM;
    *ret = f;
    return 0;
}

/* ---- merging */

/* Keeps only `roots` of the part, sets its constants, and merges it. */
static int merge(struct linker *l, struct part *part, const LLVMValueRef *roots, uint32_t count)
{
    struct codegen *g = l->g;
    const struct abx_shader_link *link = &l->links[part->first];
    LLVMModuleRef kernels = g->module, module = part->module;
    LLVMValueRef kernel = g->kernel;
    g->module = module;
    g->kernel = roots[0];
    int r = codegen_keep_initialisers(g, roots, count);
    codegen_keep(g, roots, count);
    if (r == 0)
        r = codegen_run_passes(g, "globaldce");
    if (r == 0)
        r = codegen_set_constants(g, reflection_of(link), link->constants, link->constant_count);
    if (r == 0)
        r = codegen_run_initialisers(g);
    g->module = kernels;
    g->kernel = kernel;
    if (r == 0) {
        part->module = NULL; /* consumed in every case */
        if (LLVMLinkModules2(kernels, module))
            r = -EINVAL;
    }
    return r;
}

static int merge_functions(struct linker *l, struct part *part)
{
    LLVMValueRef roots[ABX_SHADER_MAX_LINKS];
    char own[32];
    for (uint32_t i = 0; i < part->count; i++) {
        int r = find_function(l, part->module, part->first + i, &roots[i]);
        if (r < 0)
            return r;
    }
    size_t length;
    for (uint32_t i = 0; i < part->count; i++) {
        /* Under its own name for who calls it, else under one that nothing else has. */
        snprintf(own, sizeof own, OWN "%u", part->first + i);
        const char *name = LLVMGetValueName2(roots[i], &length);
        if (strncmp(name, OWN, strlen(OWN)) != 0 && !wanted(l, name))
            LLVMSetValueName2(roots[i], own, strlen(own));
    }
    for (uint32_t i = 0; i < part->count; i++)
        if (!(l->linked[part->first + i].name = strdup(LLVMGetValueName2(roots[i], &length))))
            return -ENOMEM;
    int r = merge(l, part, roots, part->count);
    for (uint32_t i = part->first; r == 0 && i < part->first + part->count; i++)
        l->linked[i].function = LLVMGetNamedFunction(l->g->module, l->linked[i].name);
    return r;
}

/* Of a library comes what is called by name and defined nowhere else. */
static int merge_library(struct linker *l, struct part *part)
{
    uint32_t count = 0, capacity = 0;
    LLVMValueRef *roots = NULL;
    for (LLVMValueRef f = LLVMGetFirstFunction(part->module); f; f = LLVMGetNextFunction(f)) {
        size_t length;
        const char *name = LLVMGetValueName2(f, &length);
        LLVMLinkage linkage = LLVMGetLinkage(f);
        if (LLVMIsDeclaration(f) || linkage == LLVMInternalLinkage ||
                linkage == LLVMPrivateLinkage || !strncmp(name, "__abx_", 6) || !wanted(l, name))
            continue;
        if (count == capacity) {
            capacity = capacity ? 2 * capacity : 32;
            LLVMValueRef *more = realloc(roots, capacity * sizeof(LLVMValueRef));
            if (!more) {
                free(roots);
                return -ENOMEM;
            }
            roots = more;
        }
        roots[count++] = f;
    }
    int r = count ? merge(l, part, roots, count) : 0;
    free(roots);
    return r;
}

/* ---- calls through tables */

static bool fits(LLVMTypeRef call, LLVMTypeRef function)
{
    LLVMTypeRef a[64], b[64];
    unsigned count = LLVMCountParamTypes(function);
    if (LLVMGetReturnType(call) != LLVMGetReturnType(function) || LLVMIsFunctionVarArg(function) ||
            LLVMCountParamTypes(call) != count + 1 || count >= ABX_ARRAY_SIZE(a))
        return false;
    LLVMGetParamTypes(call, a);
    LLVMGetParamTypes(function, b);
    return !memcmp(a, b, count * sizeof *a);
}

static void build_case(struct codegen *g, LLVMValueRef dispatch, LLVMValueRef function)
{
    LLVMValueRef arguments[64];
    LLVMTypeRef type = LLVMGlobalGetValueType(function);
    unsigned count = LLVMCountParamTypes(type);
    for (unsigned i = 0; i < count; i++)
        arguments[i] = LLVMGetParam(dispatch, i);
    LLVMValueRef call = LLVMBuildCall2(g->builder, type, function, arguments, count, "");
    LLVMSetInstructionCallConv(call, LLVMGetFunctionCallConv(function));
    /* byval and sret are part of how arguments are passed. */
    for (unsigned i = 1; i <= count; i++) {
        LLVMAttributeRef attributes[64];
        unsigned n = LLVMGetAttributeCountAtIndex(function, i);
        if (n > ABX_ARRAY_SIZE(attributes))
            continue;
        LLVMGetAttributesAtIndex(function, i, attributes);
        for (unsigned k = 0; k < n; k++)
            LLVMAddCallSiteAttribute(call, i, attributes[k]);
    }
    if (LLVMGetTypeKind(LLVMGetReturnType(type)) == LLVMVoidTypeKind)
        LLVMBuildRetVoid(g->builder);
    else
        LLVMBuildRet(g->builder, call);
}

/* The body of one dispatch<type>::call: number n calls the n-th linked function if it has the type;
 * every other number gives zeros. */
static void build_dispatch(struct linker *l, LLVMValueRef dispatch, const char *type, size_t length)
{
    struct codegen *g = l->g;
    LLVMTypeRef call = LLVMGlobalGetValueType(dispatch), result = LLVMGetReturnType(call);
    LLVMBasicBlockRef begin = LLVMAppendBasicBlockInContext(g->context, dispatch, "");
    LLVMBasicBlockRef none = LLVMAppendBasicBlockInContext(g->context, dispatch, "");
    LLVMPositionBuilderAtEnd(g->builder, none);
    if (LLVMGetTypeKind(result) == LLVMVoidTypeKind)
        LLVMBuildRetVoid(g->builder);
    else
        LLVMBuildRet(g->builder, LLVMConstNull(result));
    LLVMPositionBuilderAtEnd(g->builder, begin);
    LLVMValueRef choice = LLVMBuildSwitch(
            g->builder, LLVMGetParam(dispatch, LLVMCountParams(dispatch) - 1), none, l->count);
    for (uint32_t i = 0; i < l->count; i++) {
        const struct linked *to = &l->linked[i];
        if (!to->function || !to->type || strlen(to->type) != length ||
                memcmp(to->type, type, length) != 0 ||
                !fits(call, LLVMGlobalGetValueType(to->function)))
            continue;
        LLVMBasicBlockRef here = LLVMAppendBasicBlockInContext(g->context, dispatch, "");
        LLVMAddCase(choice, codegen_i32(g, i + 1), here);
        LLVMPositionBuilderAtEnd(g->builder, here);
        build_case(g, dispatch, to->function);
    }
}

static int build_dispatches(struct linker *l)
{
    for (LLVMValueRef f = LLVMGetFirstFunction(l->g->module); f; f = LLVMGetNextFunction(f)) {
        size_t length;
        const char *name = LLVMGetValueName2(f, &length);
        if (!LLVMIsDeclaration(f) || strncmp(name, DISPATCH, strlen(DISPATCH)) != 0)
            continue;
        name += strlen(DISPATCH);
        const char *end = strstr(name, CALL);
        unsigned count = LLVMCountParams(f);
        if (!end || !count || LLVMTypeOf(LLVMGetParam(f, count - 1)) != l->g->i32)
            return codegen_fail(l->g, -EBADMSG, "a call through a table is malformed");
        build_dispatch(l, f, name, (size_t)(end - name));
    }
    return 0;
}

/* ---- the whole */

static int merge_all(struct linker *l)
{
    int r = 0;
    for (uint32_t i = 0; i < l->part_count && r == 0; i++)
        if (l->links[l->parts[i].first].kind != ABX_LINK_LIBRARY)
            r = merge_functions(l, &l->parts[i]);
    for (uint32_t i = 0; i < l->part_count && r == 0; i++)
        if (l->links[l->parts[i].first].kind == ABX_LINK_LIBRARY)
            r = merge_library(l, &l->parts[i]);
    return r;
}

int codegen_link(struct codegen *g, const struct codegen_entries *entries,
        const struct abx_shader_link *links, uint32_t count)
{
    struct linker l = {.g = g, .entries = entries, .links = links, .count = count};
    if (count > ABX_SHADER_MAX_LINKS)
        return codegen_fail(g, -EINVAL, "more than %u linked functions", ABX_SHADER_MAX_LINKS);
    l.parts = calloc(count + 1, sizeof *l.parts);
    l.linked = calloc(count + 1, sizeof *l.linked);
    int r = l.parts && l.linked ? load_parts(&l) : -ENOMEM;
    if (r == 0)
        r = merge_all(&l);
    if (r == 0)
        r = build_dispatches(&l);
    for (uint32_t i = 0; i < l.part_count; i++)
        if (l.parts[i].module)
            LLVMDisposeModule(l.parts[i].module);
    for (uint32_t i = 0; l.linked && i < count; i++)
        free(l.linked[i].type), free(l.linked[i].name);
    free(l.parts);
    free(l.linked);
    return r;
}
