/* shader: the general form of a kernel: one thread at a time. Without barriers, loops over the
 * threads of threadgroups; with barriers or SIMD-group operations, a coroutine a thread. Everything
 * a Metal kernel may do works here; codegen_wide.c is the fast form for most of them. Compiler
 * process. */
#include "shader/codegen.h"

#include <stdio.h>

static LLVMValueRef param(struct codegen *g, unsigned i)
{
    return LLVMGetParam(g->entry, i);
}

static LLVMBasicBlockRef block(struct codegen *g, const char *name)
{
    return LLVMAppendBasicBlockInContext(g->context, g->entry, name);
}

static LLVMValueRef min32(struct codegen *g, LLVMValueRef a, LLVMValueRef b)
{
    return LLVMBuildSelect(g->builder, LLVMBuildICmp(g->builder, LLVMIntULT, a, b, ""), a, b, "");
}

/* How many threads the group has in each dimension: fewer at the grid's far edges. */
static void group_size(struct codegen *g, struct codegen_place *p)
{
    for (int d = 0; d < 3; d++) {
        LLVMValueRef full = p->builtin[ABX_BUILTIN_DISPATCH_GROUP_SIZE][d];
        LLVMValueRef start =
                LLVMBuildMul(g->builder, p->builtin[ABX_BUILTIN_GROUP_IN_GRID][d], full, "");
        LLVMValueRef left =
                LLVMBuildSub(g->builder, p->builtin[ABX_BUILTIN_GRID][d], start, "left");
        p->builtin[ABX_BUILTIN_GROUP_SIZE][d] = min32(g, full, left);
    }
}

/* A counting loop in the builder's block, which then lies in the body. */
struct loop {
    LLVMBasicBlockRef body, after;
    LLVMValueRef i;
};

static struct loop loop_begin(struct codegen *g, LLVMTypeRef type, const char *name)
{
    struct loop l;
    LLVMBasicBlockRef before = LLVMGetInsertBlock(g->builder);
    l.body = block(g, name);
    l.after = block(g, "after");
    LLVMBuildBr(g->builder, l.body);
    LLVMPositionBuilderAtEnd(g->builder, l.body);
    l.i = LLVMBuildPhi(g->builder, type, name);
    LLVMValueRef zero = LLVMConstInt(type, 0, 0);
    LLVMAddIncoming(l.i, &zero, &before, 1);
    return l;
}

static void loop_end(struct codegen *g, struct loop *l, LLVMValueRef count)
{
    LLVMBasicBlockRef latch = LLVMGetInsertBlock(g->builder);
    LLVMValueRef next =
            LLVMBuildNUWAdd(g->builder, l->i, LLVMConstInt(LLVMTypeOf(l->i), 1, 0), "next");
    LLVMAddIncoming(l->i, &next, &latch, 1);
    LLVMBuildCondBr(
            g->builder, LLVMBuildICmp(g->builder, LLVMIntEQ, next, count, ""), l->after, l->body);
    LLVMPositionBuilderAtEnd(g->builder, l->after);
}

static LLVMValueRef call_kernel(struct codegen *g)
{
    return LLVMBuildCall2(g->builder, LLVMGlobalGetValueType(g->kernel), g->kernel, NULL, 0, "");
}

static int inline_kernel(struct codegen *g)
{
    LLVMSetLinkage(g->kernel, LLVMInternalLinkage);
    codegen_add_attribute(g, g->kernel, "alwaysinline");
    g->kernel = NULL;
    return codegen_run_passes(g, "always-inline,globaldce");
}

static int build_groups(struct codegen *g)
{
    LLVMTypeRef params[3] = {g->ptr, g->i64, g->i64};
    g->entry = LLVMAddFunction(g->module, ABX_OBJECT_ENTRY,
            LLVMFunctionType(LLVMVoidTypeInContext(g->context), params, 3, 0));
    struct codegen_place p = {0};
    LLVMBuilderRef b = g->builder;
    LLVMPositionBuilderAtEnd(b, block(g, "entry"));
    codegen_place_dispatch(g, &p, param(g, 0));
    LLVMValueRef statics = codegen_load_field(
            g, p.call, g->ptr, offsetof(struct abx_kernel_call, static_threadgroup), "statics");
    struct loop groups = loop_begin(g, g->i64, "groups");
    LLVMValueRef linear = LLVMBuildAdd(b, param(g, 1), groups.i, "group");
    LLVMValueRef x = LLVMBuildZExt(b, p.builtin[ABX_BUILTIN_GROUPS][0], g->i64, "");
    LLVMValueRef y = LLVMBuildZExt(b, p.builtin[ABX_BUILTIN_GROUPS][1], g->i64, "");
    LLVMValueRef row = LLVMBuildUDiv(b, linear, x, "");
    LLVMValueRef v[3] = {LLVMBuildURem(b, linear, x, ""), LLVMBuildURem(b, row, y, ""),
            LLVMBuildUDiv(b, row, y, "")};
    for (int d = 0; d < 3; d++)
        p.builtin[ABX_BUILTIN_GROUP_IN_GRID][d] = LLVMBuildTrunc(b, v[d], g->i32, "");
    group_size(g, &p);
    codegen_place_group(g, &p);
    LLVMValueRef *size = p.builtin[ABX_BUILTIN_GROUP_SIZE];
    struct loop lz = loop_begin(g, g->i32, "z");
    struct loop ly = loop_begin(g, g->i32, "y");
    LLVMValueRef rows = LLVMBuildMul(b, lz.i, size[1], "");
    rows = LLVMBuildMul(b, LLVMBuildAdd(b, rows, ly.i, ""), size[0], "");
    struct loop lx = loop_begin(g, g->i32, "x");
    p.builtin[ABX_BUILTIN_THREAD_IN_GROUP][0] = lx.i;
    p.builtin[ABX_BUILTIN_THREAD_IN_GROUP][1] = ly.i;
    p.builtin[ABX_BUILTIN_THREAD_IN_GROUP][2] = lz.i;
    codegen_place_thread(g, &p, LLVMBuildAdd(b, rows, lx.i, "thread"));
    LLVMValueRef at = LLVMGetFirstInstruction(groups.body);
    at = LLVMGetBasicBlockTerminator(LLVMGetEntryBasicBlock(g->entry));
    call_kernel(g);
    loop_end(g, &lx, size[0]);
    loop_end(g, &ly, size[1]);
    loop_end(g, &lz, size[2]);
    loop_end(g, &groups, param(g, 2));
    LLVMBuildRetVoid(b);
    int r = inline_kernel(g);
    if (r == 0)
        r = codegen_lower_markers(g, g->entry, &p, at);
    if (r == 0)
        r = codegen_lower_statics(g, g->entry, statics, at);
    g->object.form = ABX_FORM_GROUPS;
    g->object.lanes = 1;
    return r;
}

/* ---- a coroutine a thread */

struct coroutine {
    struct codegen_coroutine c;
    LLVMValueRef lane;
    uint32_t sites;
};

static void set_wait(struct codegen *g, struct coroutine *k, uint32_t wait)
{
    LLVMValueRef offset = codegen_i64(g, offsetof(struct abx_kernel_lane, wait));
    LLVMBuildStore(g->builder, codegen_i32(g, wait),
            LLVMBuildInBoundsGEP2(g->builder, g->i8, k->lane, &offset, 1, ""));
}

static void give(struct codegen *g, struct coroutine *k, LLVMValueRef value)
{
    LLVMTypeRef types[3] = {g->ptr, g->i64, g->i32};
    LLVMTypeRef type = LLVMFunctionType(LLVMVoidTypeInContext(g->context), types, 3, 0);
    LLVMValueRef a[3] = {k->lane, value, codegen_i32(g, ++k->sites)};
    LLVMBuildCall2(g->builder, type, codegen_declare(g, "abx_rt_give", type), a, 3, "");
}

static LLVMValueRef take(
        struct codegen *g, struct coroutine *k, LLVMValueRef op, LLVMValueRef argument)
{
    LLVMTypeRef types[3] = {g->ptr, g->i32, g->i64};
    LLVMTypeRef type = LLVMFunctionType(g->i64, types, 3, 0);
    LLVMValueRef a[3] = {k->lane, op, argument};
    return LLVMBuildCall2(g->builder, type, codegen_declare(g, "abx_rt_take", type), a, 3, "");
}

/* Replaces one waiting marker by a stop. */
static void lower_wait(struct codegen *g, struct coroutine *k, LLVMValueRef in)
{
    bool exchange = codegen_is_call(in, "__abx_simd");
    LLVMBasicBlockRef head = LLVMGetInstructionParent(in);
    LLVMBasicBlockRef tail = codegen_split_after(g, in);
    LLVMValueRef op = LLVMGetOperand(in, 0);
    LLVMPositionBuilderAtEnd(g->builder, head);
    if (exchange)
        give(g, k, LLVMGetOperand(in, 1));
    bool group = codegen_is_call(in, "__abx_barrier");
    set_wait(g, k, group ? ABX_WAIT_GROUP : ABX_WAIT_SIMD);
    codegen_coroutine_stop(g, &k->c, false, tail);
    if (exchange) {
        LLVMPositionBuilderBefore(g->builder, LLVMGetFirstInstruction(tail));
        LLVMReplaceAllUsesWith(in, take(g, k, op, LLVMGetOperand(in, 2)));
    }
    LLVMInstructionEraseFromParent(in);
}

static void lower_waits(struct codegen *g, struct coroutine *k)
{
    for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(g->entry); b; b = LLVMGetNextBasicBlock(b))
        for (LLVMValueRef in = LLVMGetFirstInstruction(b); in; in = LLVMGetNextInstruction(in))
            if (codegen_is_call(in, "__abx_barrier") || codegen_is_call(in, "__abx_simd_barrier") ||
                    codegen_is_call(in, "__abx_simd")) {
                lower_wait(g, k, in);
                break; /* the rest of this block is the next one now */
            }
}

static void place_coroutine(struct codegen *g, struct codegen_place *p, LLVMValueRef thread)
{
    LLVMBuilderRef b = g->builder;
    codegen_place_dispatch(g, p, param(g, 0));
    for (int d = 0; d < 3; d++) {
        size_t offset = 4 * (size_t)d;
        p->builtin[ABX_BUILTIN_GROUP_IN_GRID][d] = codegen_load_field(
                g, p->call, g->i32, offsetof(struct abx_kernel_call, group) + offset, "group");
        p->builtin[ABX_BUILTIN_GROUP_SIZE][d] = codegen_load_field(
                g, p->call, g->i32, offsetof(struct abx_kernel_call, size) + offset, "size");
    }
    codegen_place_group(g, p);
    LLVMValueRef *size = p->builtin[ABX_BUILTIN_GROUP_SIZE];
    LLVMValueRef *at = p->builtin[ABX_BUILTIN_THREAD_IN_GROUP];
    LLVMValueRef row = LLVMBuildUDiv(b, thread, size[0], "");
    at[0] = LLVMBuildURem(b, thread, size[0], "");
    at[1] = LLVMBuildURem(b, row, size[1], "");
    at[2] = LLVMBuildUDiv(b, row, size[1], "");
    codegen_place_thread(g, p, thread);
}

static int build_coroutine(struct codegen *g)
{
    LLVMTypeRef params[4] = {g->ptr, g->ptr, g->i32, g->ptr};
    g->entry = LLVMAddFunction(g->module, ABX_OBJECT_ENTRY, LLVMFunctionType(g->ptr, params, 4, 0));
    struct codegen_place p = {0};
    struct coroutine k = {.lane = param(g, 3)};
    LLVMPositionBuilderAtEnd(g->builder, block(g, "entry"));
    codegen_coroutine_begin(g, g->entry, param(g, 1), &k.c);
    place_coroutine(g, &p, param(g, 2));
    LLVMValueRef statics = codegen_load_field(
            g, p.call, g->ptr, offsetof(struct abx_kernel_call, static_threadgroup), "statics");
    LLVMValueRef at = LLVMBuildAdd(g->builder, param(g, 2), param(g, 2), "at");
    call_kernel(g);
    codegen_coroutine_stop(g, &k.c, true, NULL);
    codegen_coroutine_end(g, &k.c);
    int r = inline_kernel(g);
    if (r == 0)
        r = codegen_lower_markers(g, g->entry, &p, at);
    if (r == 0)
        r = codegen_lower_statics(g, g->entry, statics, at);
    if (r < 0)
        return r;
    LLVMInstructionEraseFromParent(at);
    lower_waits(g, &k);
    g->object.form = ABX_FORM_COROUTINE;
    g->object.lanes = 1;
    g->object.uses_simd = g->simd || g->simd_barriers;
    r = codegen_verify(g, "building the coroutine");
    if (r == 0)
        r = codegen_run_passes(
                g, "function(sroa,early-cse,instcombine<no-verify-fixpoint>,simplifycfg)");
    return r < 0 ? r : codegen_coroutine_split(g);
}

int codegen_build_scalar(struct codegen *g)
{
    return g->barriers || g->simd || g->simd_barriers ? build_coroutine(g) : build_groups(g);
}
