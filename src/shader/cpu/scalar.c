/* shader: the general form of a kernel: one thread at a time. Without barriers, loops over the
 * threads of threadgroups; with barriers or SIMD-group operations, a coroutine a thread. Everything
 * a Metal kernel may do works here; wide/wide.c is the fast form for most of them. Compiler
 * process. */
#include "shader/cpu/cpu.h"

#include <stdio.h>

static LLVMValueRef param(struct codegen *g, unsigned i)
{
    return LLVMGetParam(g->entry, i);
}

static LLVMBasicBlockRef block(struct codegen *g, const char *name)
{
    return LLVMAppendBasicBlockInContext(g->context, g->entry, name);
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

/* True when a thread cannot tell which threadgroup it is in: then a row of groups is one loop,
 * which the vectoriser sees as a whole, and groups of one thread cost no more than others. */
static bool groups_do_not_matter(struct codegen *g)
{
    for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(g->kernel); b; b = LLVMGetNextBasicBlock(b))
        for (LLVMValueRef in = LLVMGetFirstInstruction(b); in; in = LLVMGetNextInstruction(in)) {
            if (codegen_is_call(in, "__abx_threadgroup") || codegen_is_call(in, "__abx_statics"))
                return false;
            if (!codegen_is_call(in, "__abx_builtin"))
                continue;
            if (!LLVMIsAConstantInt(LLVMGetOperand(in, 0)))
                return false;
            switch (LLVMConstIntGetZExtValue(LLVMGetOperand(in, 0)) / 4) {
            case ABX_BUILTIN_THREAD_IN_GRID:
            case ABX_BUILTIN_DISPATCH_GROUP_SIZE:
            case ABX_BUILTIN_GROUPS:
            case ABX_BUILTIN_GRID:
            case ABX_BUILTIN_SIMD_WIDTH:
            case ABX_BUILTIN_DISPATCH_SIMDGROUPS:
            case ABX_BUILTIN_GRID_ORIGIN:
                break;
            default:
                return false;
            }
        }
    return true;
}

static LLVMValueRef least(struct codegen *g, LLVMValueRef a, LLVMValueRef b)
{
    return LLVMBuildSelect(g->builder, LLVMBuildICmp(g->builder, LLVMIntULT, a, b, ""), a, b, "");
}

/* From the placed group, number `i` of `count`, on to the end of its row or of them all: how many
 * groups, and (x, 32 bits) how many threads wide they are together. */
static LLVMValueRef join_groups(struct codegen *g, struct codegen_place *p, LLVMValueRef i,
        LLVMValueRef count, LLVMValueRef *ret_x)
{
    LLVMBuilderRef b = g->builder;
    LLVMValueRef at = LLVMBuildZExt(b, p->builtin[ABX_BUILTIN_GROUP_IN_GRID][0], g->i64, "");
    LLVMValueRef groups = LLVMBuildZExt(b, p->builtin[ABX_BUILTIN_GROUPS][0], g->i64, "");
    LLVMValueRef full =
            LLVMBuildZExt(b, p->builtin[ABX_BUILTIN_DISPATCH_GROUP_SIZE][0], g->i64, "");
    LLVMValueRef grid = LLVMBuildZExt(b, p->builtin[ABX_BUILTIN_GRID][0], g->i64, "");
    LLVMValueRef run = least(g, LLVMBuildSub(b, groups, at, ""), LLVMBuildSub(b, count, i, "left"));
    LLVMValueRef end = LLVMBuildMul(b, LLVMBuildAdd(b, at, run, ""), full, "");
    LLVMValueRef x = LLVMBuildSub(b, least(g, end, grid), LLVMBuildMul(b, at, full, ""), "");
    *ret_x = LLVMBuildTrunc(b, x, g->i32, "width");
    return run;
}

int cpu_scalarize(struct codegen *g)
{
    int r = codegen_run_passes(g, "function(scalarizer,sroa)");
    codegen_open_vectors(g, g->kernel);
    return r < 0 ? r
                 : codegen_run_passes(g, "function(scalarizer,sroa,instcombine<no-verify-fixpoint>,"
                                         "simplifycfg)");
}

static int build_groups(struct codegen *g)
{
    int r = cpu_scalarize(g);
    if (r < 0)
        return r;
    bool joined = groups_do_not_matter(g);
    LLVMTypeRef params[3] = {g->ptr, g->i64, g->i64};
    g->entry = LLVMAddFunction(g->module, ABX_CPU_ENTRY,
            LLVMFunctionType(LLVMVoidTypeInContext(g->context), params, 3, 0));
    struct codegen_place p = {0};
    LLVMBuilderRef b = g->builder;
    LLVMPositionBuilderAtEnd(b, block(g, "entry"));
    cpu_place_dispatch(g, &p, param(g, 0));
    struct cpu_loop groups = cpu_loop_begin(g, g->i64, "groups");
    cpu_place_in_groups(g, &p, LLVMBuildAdd(b, param(g, 1), groups.i, "group"));
    LLVMValueRef *size = p.builtin[ABX_BUILTIN_GROUP_SIZE], width = size[0];
    LLVMValueRef step = codegen_i64(g, 1);
    if (joined)
        step = join_groups(g, &p, groups.i, param(g, 2), &width);
    struct cpu_loop lz = cpu_loop_begin(g, g->i32, "z");
    struct cpu_loop ly = cpu_loop_begin(g, g->i32, "y");
    LLVMValueRef rows = LLVMBuildMul(b, lz.i, size[1], "");
    rows = LLVMBuildMul(b, LLVMBuildAdd(b, rows, ly.i, ""), size[0], "");
    struct cpu_loop lx = cpu_loop_begin(g, g->i32, "x");
    p.builtin[ABX_BUILTIN_THREAD_IN_GROUP][0] = lx.i;
    p.builtin[ABX_BUILTIN_THREAD_IN_GROUP][1] = ly.i;
    p.builtin[ABX_BUILTIN_THREAD_IN_GROUP][2] = lz.i;
    codegen_place_thread(g, &p, LLVMBuildAdd(b, rows, lx.i, "thread"));
    LLVMValueRef at = LLVMGetBasicBlockTerminator(LLVMGetEntryBasicBlock(g->entry));
    call_kernel(g);
    cpu_loop_end(g, &lx, width);
    cpu_loop_end(g, &ly, size[1]);
    cpu_loop_end(g, &lz, size[2]);
    cpu_loop_end_by(g, &groups, step, param(g, 2));
    LLVMBuildRetVoid(b);
    r = inline_kernel(g);
    if (r == 0)
        r = codegen_lower_markers(g, g->entry, &p, at);
    if (r == 0)
        r = cpu_mark_parallel(g, lx.branch);
    g->cpu.form = ABX_FORM_GROUPS;
    g->cpu.lanes = 1;
    return r;
}

/* ---- a coroutine a thread */

struct coroutine {
    struct cpu_coroutine c;
    LLVMValueRef lane;
    uint32_t sites;
};

static void set_wait(struct codegen *g, struct coroutine *k, uint32_t wait)
{
    LLVMValueRef offset = codegen_i64(g, offsetof(struct abx_kernel_lane, wait));
    LLVMBuildStore(g->builder, codegen_i32(g, wait),
            LLVMBuildInBoundsGEP2(g->builder, g->i8, k->lane, &offset, 1, ""));
}

static void set_site(struct codegen *g, struct coroutine *k)
{
    LLVMValueRef offset = codegen_i64(g, offsetof(struct abx_kernel_lane, site));
    LLVMBuildStore(g->builder, codegen_i32(g, ++k->sites),
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
    bool group = codegen_is_call(in, "__abx_barrier"), yield = codegen_is_call(in, "__abx_yield");
    set_wait(g, k, group ? ABX_WAIT_GROUP : yield ? ABX_WAIT_YIELD : ABX_WAIT_SIMD);
    if (!group && !exchange && !yield)
        set_site(g, k);
    cpu_coroutine_stop(g, &k->c, false, tail);
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
                    codegen_is_call(in, "__abx_simd") || codegen_is_call(in, "__abx_yield")) {
                lower_wait(g, k, in);
                break; /* the rest of this block is the next one now */
            }
}

static void place_coroutine(struct codegen *g, struct codegen_place *p, LLVMValueRef thread)
{
    LLVMBuilderRef b = g->builder;
    cpu_place_dispatch(g, p, param(g, 0));
    cpu_place_in_coroutine(g, p);
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
    int r = (g->simd || g->simd_barriers) && !g->recursive ? cpu_order_waits(g) : 0;
    if (r < 0)
        return r;
    g->entry = LLVMAddFunction(g->module, ABX_CPU_ENTRY, LLVMFunctionType(g->ptr, params, 4, 0));
    struct codegen_place p = {0};
    struct coroutine k = {.lane = param(g, 3)};
    LLVMPositionBuilderAtEnd(g->builder, block(g, "entry"));
    cpu_coroutine_begin(g, g->entry, param(g, 1), &k.c);
    place_coroutine(g, &p, param(g, 2));
    LLVMValueRef at = LLVMBuildAdd(g->builder, param(g, 2), param(g, 2), "at");
    call_kernel(g);
    cpu_coroutine_stop(g, &k.c, true, NULL);
    cpu_coroutine_end(g, &k.c);
    r = inline_kernel(g);
    if (r == 0)
        r = codegen_lower_markers(g, g->entry, &p, at);
    if (r < 0)
        return r;
    LLVMInstructionEraseFromParent(at);
    lower_waits(g, &k);
    g->cpu.form = ABX_FORM_COROUTINE;
    g->cpu.lanes = 1;
    g->cpu.uses_simd = g->simd || g->simd_barriers;
    r = codegen_verify(g, "building the coroutine");
    if (r == 0)
        r = codegen_run_passes(
                g, "function(sroa,early-cse,instcombine<no-verify-fixpoint>,simplifycfg)");
    return r < 0 ? r : cpu_coroutine_split(g);
}

int cpu_build_scalar(struct codegen *g)
{
    int r = codegen_expand_matrices(g, g->kernel);
    if (r == 0)
        r = codegen_bound_private(g, g->kernel);
    if (r < 0)
        return r;
    bool waits = g->barriers || g->simd || g->simd_barriers || g->yields;
    return waits ? build_coroutine(g) : build_groups(g);
}
