/* shader: small helpers over LLVM's C API. Compiler process; the module is the guest's. */
#include "shader/codegen/codegen.h"
#include "shader/codegen/graph.h"

#include <llvm-c/Analysis.h>
#include <llvm-c/Error.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void on_diagnostic(LLVMDiagnosticInfoRef info, void *context)
{
    struct abx_string *message = context;
    char *text = LLVMGetDiagInfoDescription(info);
    if (LLVMGetDiagInfoSeverity(info) == LLVMDSError && message->length < 4096)
        abx_string_printf(message, "%.1000s\n", text);
    LLVMDisposeMessage(text);
}

void codegen_handle_diagnostics(LLVMContextRef context, struct abx_string *message)
{
    LLVMContextSetDiagnosticHandler(context, on_diagnostic, message);
}

int codegen_fail(struct codegen *g, int error, const char *format, ...)
{
    char line[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    abx_string_printf(&g->message, "%s\n", line);
    return error;
}

int codegen_run_passes(struct codegen *g, const char *passes)
{
    LLVMErrorRef error = LLVMRunPasses(g->module, passes, g->machine, g->options);
    if (!error)
        return 0;
    char *text = LLVMGetErrorMessage(error);
    codegen_fail(g, -EIO, "code generation failed: %s", text);
    LLVMDisposeErrorMessage(text);
    return -EIO;
}

int codegen_verify(struct codegen *g, const char *after)
{
    char *text = NULL;
    int bad = LLVMVerifyModule(g->module, LLVMReturnStatusAction, &text);
    if (bad)
        codegen_fail(g, -EIO, "invalid code after %s: %.800s", after, text ? text : "");
    LLVMDisposeMessage(text);
    return bad ? -EIO : 0;
}

const char *codegen_callee(LLVMValueRef v)
{
    if (!LLVMIsACallInst(v))
        return NULL;
    LLVMValueRef f = LLVMGetCalledValue(v);
    size_t length;
    return LLVMIsAFunction(f) ? LLVMGetValueName2(f, &length) : "";
}

bool codegen_is_call(LLVMValueRef v, const char *name)
{
    const char *callee = codegen_callee(v);
    return callee && !strcmp(callee, name);
}

void codegen_add_attribute(struct codegen *g, LLVMValueRef function, const char *name)
{
    unsigned kind = LLVMGetEnumAttributeKindForName(name, strlen(name));
    LLVMAddAttributeAtIndex(
            function, LLVMAttributeFunctionIndex, LLVMCreateEnumAttribute(g->context, kind, 0));
}

void codegen_remove_attribute(LLVMValueRef function, const char *name)
{
    unsigned kind = LLVMGetEnumAttributeKindForName(name, strlen(name));
    LLVMRemoveEnumAttributeAtIndex(function, LLVMAttributeFunctionIndex, kind);
}

LLVMValueRef codegen_declare(struct codegen *g, const char *name, LLVMTypeRef type)
{
    LLVMValueRef f = LLVMGetNamedFunction(g->module, name);
    return f ? f : LLVMAddFunction(g->module, name, type);
}

LLVMValueRef codegen_intrinsic(struct codegen *g, const char *name, LLVMTypeRef *types,
        unsigned count, LLVMTypeRef *ret_type)
{
    unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
    LLVMValueRef f = LLVMGetIntrinsicDeclaration(g->module, id, types, count);
    *ret_type = LLVMGlobalGetValueType(f);
    return f;
}

LLVMValueRef codegen_call_intrinsic(struct codegen *g, const char *name, LLVMTypeRef *types,
        unsigned type_count, LLVMValueRef *arguments, unsigned count)
{
    LLVMTypeRef type;
    LLVMValueRef f = codegen_intrinsic(g, name, types, type_count, &type);
    return LLVMBuildCall2(g->builder, type, f, arguments, count, "");
}

LLVMTypeRef codegen_shaped_as(LLVMTypeRef shape, LLVMTypeRef element)
{
    return LLVMGetTypeKind(shape) == LLVMVectorTypeKind
                   ? LLVMVectorType(element, LLVMGetVectorSize(shape))
                   : element;
}

LLVMValueRef codegen_all(struct codegen *g, LLVMTypeRef type, LLVMValueRef element)
{
    if (LLVMGetTypeKind(type) != LLVMVectorTypeKind)
        return element;
    LLVMValueRef none = LLVMGetPoison(type);
    LLVMValueRef one = LLVMBuildInsertElement(g->builder, none, element, codegen_i32(g, 0), "");
    LLVMValueRef first = LLVMConstNull(LLVMVectorType(g->i32, LLVMGetVectorSize(type)));
    return LLVMBuildShuffleVector(g->builder, one, none, first, "");
}

LLVMValueRef codegen_all_int(struct codegen *g, LLVMTypeRef type, uint64_t v)
{
    bool vector = LLVMGetTypeKind(type) == LLVMVectorTypeKind;
    return codegen_all(g, type, LLVMConstInt(vector ? LLVMGetElementType(type) : type, v, 0));
}

void codegen_replace(
        struct codegen *g, LLVMValueRef (*replacement)(struct codegen *g, LLVMValueRef in))
{
    for (LLVMValueRef f = LLVMGetFirstFunction(g->module); f; f = LLVMGetNextFunction(f))
        for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(f); b; b = LLVMGetNextBasicBlock(b))
            for (LLVMValueRef in = LLVMGetFirstInstruction(b), next; in; in = next) {
                next = LLVMGetNextInstruction(in);
                LLVMPositionBuilderBefore(g->builder, in);
                LLVMValueRef v = replacement(g, in);
                if (!v)
                    continue;
                LLVMReplaceAllUsesWith(in, v);
                LLVMInstructionEraseFromParent(in);
            }
}

LLVMValueRef codegen_shuffle(
        struct codegen *g, LLVMValueRef a, LLVMValueRef b, const int *index, unsigned count)
{
    LLVMValueRef mask[256];
    for (unsigned i = 0; i < count; i++)
        mask[i] = index[i] < 0 ? LLVMGetPoison(g->i32) : codegen_i32(g, (unsigned)index[i]);
    return LLVMBuildShuffleVector(g->builder, a, b, LLVMConstVector(mask, count), "");
}

bool codegen_is_narrow(LLVMTypeRef type)
{
    if (LLVMGetTypeKind(type) == LLVMVectorTypeKind)
        type = LLVMGetElementType(type);
    return LLVMGetTypeKind(type) == LLVMHalfTypeKind || LLVMGetTypeKind(type) == LLVMBFloatTypeKind;
}

LLVMValueRef codegen_i32(struct codegen *g, uint64_t v)
{
    return LLVMConstInt(g->i32, v, 0);
}

LLVMValueRef codegen_i64(struct codegen *g, uint64_t v)
{
    return LLVMConstInt(g->i64, v, 0);
}

void codegen_mark_invariant_load(struct codegen *g, LLVMValueRef load)
{
    LLVMSetMetadata(load, LLVMGetMDKindIDInContext(g->context, "invariant.load", 14),
            LLVMMetadataAsValue(g->context, LLVMMDNodeInContext2(g->context, NULL, 0)));
}

LLVMValueRef codegen_load_field(
        struct codegen *g, LLVMValueRef call, LLVMTypeRef type, size_t offset, const char *name)
{
    LLVMValueRef index = codegen_i64(g, offset);
    LLVMValueRef p = LLVMBuildInBoundsGEP2(g->builder, g->i8, call, &index, 1, "");
    LLVMValueRef load = LLVMBuildLoad2(g->builder, type, p, name);
    codegen_mark_invariant_load(g, load);
    return load;
}

static void set_number(struct codegen *g, LLVMValueRef in, const char *name, uint64_t number)
{
    LLVMMetadataRef n = LLVMValueAsMetadata(codegen_i64(g, number));
    LLVMSetMetadata(in, LLVMGetMDKindIDInContext(g->context, name, (unsigned)strlen(name)),
            LLVMMetadataAsValue(g->context, LLVMMDNodeInContext2(g->context, &n, 1)));
}

LLVMValueRef codegen_load_buffer(struct codegen *g, LLVMValueRef call, uint64_t n)
{
    size_t offset = offsetof(struct abx_kernel_call, buffers) + 8 * (size_t)n;
    LLVMValueRef load = codegen_load_field(g, call, g->ptr, offset, "buffer");
    if (g->readable[n]) {
        set_number(g, load, "dereferenceable", g->readable[n]);
        set_number(g, load, "align", ABX_MEMORY_ALIGNMENT);
    }
    return load;
}

bool codegen_gep_field(
        struct codegen *g, LLVMValueRef gep, unsigned i, LLVMTypeRef *type, uint64_t *bytes)
{
    if (i > 1 && LLVMGetTypeKind(*type) == LLVMStructTypeKind) {
        unsigned field = (unsigned)LLVMConstIntGetZExtValue(LLVMGetOperand(gep, i));
        *bytes = LLVMOffsetOfElement(g->layout, *type, field);
        *type = LLVMStructGetTypeAtIndex(*type, field);
        return true;
    }
    *type = i > 1 ? LLVMGetElementType(*type) : *type;
    *bytes = LLVMABISizeOfType(g->layout, *type);
    return false;
}

int codegen_compare_pointers(const void *a, const void *b)
{
    uintptr_t x = (uintptr_t)*(void *const *)a, y = (uintptr_t)*(void *const *)b;
    return x < y ? -1 : x > y;
}

LLVMBasicBlockRef codegen_split_after(struct codegen *g, LLVMValueRef at)
{
    LLVMBasicBlockRef tail = codegen_graph_split(at);
    LLVMPositionBuilderAtEnd(g->builder, tail);
    return tail;
}

int codegen_pack(struct codegen *g, const void *body, size_t body_bytes, const void *text,
        size_t text_bytes, struct abx_shader_result *result)
{
    size_t bytes = sizeof g->code + body_bytes + text_bytes;
    g->code.magic = ABX_CODE_MAGIC;
    g->code.version = ABX_CODE_VERSION;
    g->code.body_offset = sizeof g->code;
    g->code.body_bytes = body_bytes + text_bytes;
    char *blob = bytes <= ABX_SHADER_MAX_OBJECT_BYTES ? malloc(bytes) : NULL;
    if (!blob)
        return -ENOMEM;
    memcpy(blob, &g->code, sizeof g->code);
    memcpy(blob + sizeof g->code, body, body_bytes);
    memcpy(blob + sizeof g->code + body_bytes, text, text_bytes);
    result->blob = blob;
    result->blob_bytes = bytes;
    return 0;
}
