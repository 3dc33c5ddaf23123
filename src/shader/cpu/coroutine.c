/* shader: LLVM coroutines (switched resume) through the C API. Compiler process.
 *
 * The function returns its handle at each stop; the frame's memory is the caller's, so the frame's
 * size has to be known: a call that names it is left for cpu_coroutine_split() to read. */
#include "shader/cpu/cpu.h"

#include <string.h>

#define FRAME_SIZE "__abx_frame_size"
#define KEPT "__abx_kept"
/* How many steps an address is followed for, from an array to where it is used. After more it is
 * taken to have become an element of a vector of addresses. */
#define MAX_STEPS 8u

void cpu_coroutine_begin(
        struct codegen *g, LLVMValueRef function, LLVMValueRef memory, struct cpu_coroutine *ret)
{
    LLVMBuilderRef b = g->builder;
    LLVMValueRef null = LLVMConstNull(g->ptr);
    LLVMValueRef id[4] = {codegen_i32(g, 64), null, null, null};
    ret->function = function;
    ret->id = codegen_call_intrinsic(g, "llvm.coro.id", NULL, 0, id, 4);
    LLVMValueRef size = codegen_call_intrinsic(g, "llvm.coro.size", &g->i64, 1, NULL, 0);
    LLVMTypeRef type = LLVMFunctionType(LLVMVoidTypeInContext(g->context), &g->i64, 1, 0);
    LLVMBuildCall2(b, type, codegen_declare(g, FRAME_SIZE, type), &size, 1, "");
    LLVMValueRef begin[2] = {ret->id, memory};
    ret->handle = codegen_call_intrinsic(g, "llvm.coro.begin", NULL, 0, begin, 2);
    ret->cleanup = LLVMAppendBasicBlockInContext(g->context, function, "cleanup");
    ret->suspend = LLVMAppendBasicBlockInContext(g->context, function, "suspend");
    codegen_add_attribute(g, function, "presplitcoroutine");
}

/* Ends the builder's block with a stop; goes on in `resume` (ignored for the final one). */
void cpu_coroutine_stop(
        struct codegen *g, struct cpu_coroutine *c, bool final, LLVMBasicBlockRef resume)
{
    LLVMBuilderRef b = g->builder;
    LLVMValueRef a[2] = {LLVMConstNull(g->token), LLVMConstInt(g->i1, final, 0)};
    LLVMValueRef state = codegen_call_intrinsic(g, "llvm.coro.suspend", NULL, 0, a, 2);
    LLVMValueRef s = LLVMBuildSwitch(b, state, c->suspend, final ? 1 : 2);
    LLVMAddCase(s, LLVMConstInt(g->i8, 1, 0), c->cleanup);
    if (!final)
        LLVMAddCase(s, LLVMConstInt(g->i8, 0, 0), resume);
}

void cpu_coroutine_end(struct codegen *g, struct cpu_coroutine *c)
{
    LLVMBuilderRef b = g->builder;
    LLVMPositionBuilderAtEnd(b, c->cleanup);
    LLVMValueRef f[2] = {c->id, c->handle};
    codegen_call_intrinsic(g, "llvm.coro.free", NULL, 0, f, 2);
    LLVMBuildBr(b, c->suspend);
    LLVMPositionBuilderAtEnd(b, c->suspend);
    LLVMValueRef e[3] = {c->handle, LLVMConstInt(g->i1, 0, 0), LLVMConstNull(g->token)};
    codegen_call_intrinsic(g, "llvm.coro.end", NULL, 0, e, 3);
    LLVMBuildRet(b, c->handle);
}

/* True where an address becomes an element of a vector of addresses. */
static bool meets_vectors(LLVMValueRef address, unsigned depth)
{
    for (LLVMUseRef u = LLVMGetFirstUse(address); u; u = LLVMGetNextUse(u)) {
        LLVMValueRef user = LLVMGetUser(u);
        LLVMTypeKind kind = LLVMGetTypeKind(LLVMTypeOf(user));
        if (kind == LLVMVectorTypeKind || LLVMIsAPHINode(user) || LLVMIsASelectInst(user))
            return true;
        if (kind == LLVMPointerTypeKind && !LLVMIsALoadInst(user) &&
                (depth == 0 || meets_vectors(user, depth - 1)))
            return true;
    }
    return false;
}

/* LLVM does not follow addresses through vectors when it looks for what is needed behind a stop,
 * and leaves the array on the stack, where it is gone by then. What a call has the address of is
 * kept in the frame. */
static void keep(struct codegen *g, LLVMValueRef begin, LLVMValueRef alloca)
{
    LLVMTypeRef type = LLVMFunctionType(LLVMVoidTypeInContext(g->context), &g->ptr, 1, 0);
    LLVMValueRef behind = alloca;
    if (LLVMGetInstructionParent(begin) == LLVMGetInstructionParent(alloca))
        for (LLVMValueRef in = alloca; in; in = LLVMGetNextInstruction(in))
            if (in == begin)
                behind = begin;
    LLVMPositionBuilderBefore(g->builder, LLVMGetNextInstruction(behind));
    LLVMBuildCall2(g->builder, type, codegen_declare(g, KEPT, type), &alloca, 1, "");
}

static LLVMValueRef begin_of(LLVMValueRef function)
{
    LLVMBasicBlockRef entry =
            LLVMCountBasicBlocks(function) ? LLVMGetEntryBasicBlock(function) : NULL;
    for (LLVMValueRef in = entry ? LLVMGetFirstInstruction(entry) : NULL; in;
            in = LLVMGetNextInstruction(in)) {
        const char *name = codegen_callee(in);
        if (name && !strcmp(name, "llvm.coro.begin"))
            return in;
    }
    return NULL;
}

static void keep_arrays(struct codegen *g)
{
    LLVMValueRef begin;
    for (LLVMValueRef f = LLVMGetFirstFunction(g->module); f; f = LLVMGetNextFunction(f)) {
        if (!(begin = begin_of(f)))
            continue;
        for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(f); b; b = LLVMGetNextBasicBlock(b))
            for (LLVMValueRef in = LLVMGetFirstInstruction(b); in; in = LLVMGetNextInstruction(in))
                if (LLVMIsAAllocaInst(in) && meets_vectors(in, MAX_STEPS))
                    keep(g, begin, in);
    }
}

static void drop_calls(struct codegen *g, const char *name)
{
    LLVMValueRef f = LLVMGetNamedFunction(g->module, name);
    for (LLVMUseRef u = f ? LLVMGetFirstUse(f) : NULL; u;) {
        LLVMValueRef call = LLVMGetUser(u);
        u = LLVMGetNextUse(u);
        LLVMInstructionEraseFromParent(call);
    }
    if (f)
        LLVMDeleteFunction(f);
}

/* Two more copies of the kernel, to free a frame with: a thread that does not go on is left where
 * it stands. */
static void drop_ends(struct codegen *g)
{
    static const char *const names[] = {ABX_CPU_ENTRY ".destroy", ABX_CPU_ENTRY ".cleanup"};
    for (size_t i = 0; i < ABX_ARRAY_SIZE(names); i++) {
        LLVMValueRef f = LLVMGetNamedFunction(g->module, names[i]);
        if (!f)
            continue;
        LLVMReplaceAllUsesWith(f, LLVMConstNull(LLVMTypeOf(f)));
        LLVMDeleteFunction(f);
    }
}

int cpu_coroutine_split(struct codegen *g)
{
    keep_arrays(g);
    int r = codegen_run_passes(g, "coro-early,cgscc(coro-split),coro-cleanup");
    if (r < 0)
        return r;
    drop_ends(g);
    drop_calls(g, KEPT);
    LLVMValueRef f = LLVMGetNamedFunction(g->module, FRAME_SIZE);
    uint64_t bytes = 0;
    for (LLVMUseRef u = f ? LLVMGetFirstUse(f) : NULL; u;) {
        LLVMValueRef call = LLVMGetUser(u);
        u = LLVMGetNextUse(u);
        LLVMValueRef n = LLVMGetOperand(call, 0);
        if (LLVMIsAConstantInt(n) && LLVMConstIntGetZExtValue(n) > bytes)
            bytes = LLVMConstIntGetZExtValue(n);
    }
    drop_calls(g, FRAME_SIZE);
    if (bytes == 0)
        return codegen_fail(g, -EIO, "the coroutine has no frame");
    if (bytes > ABX_MAX_FRAME_BYTES - 64)
        return codegen_fail(g, -EINVAL, "a thread's private memory exceeds the maximum allowed");
    g->cpu.frame_bytes = (uint32_t)abx_align_up(bytes, 64);
    return 0;
}
