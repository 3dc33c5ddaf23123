/* shader: kernels as vectors of lanes: the entry points. Compiler process.
 *
 * Two variants of a kernel are translated into one entry, and each threadgroup takes the better one
 * it is fit for: `rows`, lanes side by side in x, every lane active (the width divides the
 * threadgroup's); and `linear`, lanes by their index in the threadgroup, the last vector masked. */
#include "shader/cpu/wide/wide.h"

#include <stdlib.h>

/* Kernels without SIMD-group operations are free to choose: eight lanes keep sixteen accumulators
 * in registers, and suit threadgroups that are eight wide. */
#define FREE_WIDTH 8u

/* One variant's translation at the builder's place, which then lies behind it. */
static bool variant(
        struct wide *w, bool rows, LLVMValueRef index, LLVMValueRef at[3], LLVMValueRef total)
{
    LLVMBuilderRef b = w->g->builder;
    w->rows = rows;
    if (!wide_analyse(w))
        return false;
    wide_place_lanes(w, index, at);
    w->entry_mask = NULL;
    w->matrix = NULL;
    if (!rows)
        w->entry_mask = LLVMBuildICmp(b, LLVMIntULT,
                w->lane_place[ABX_BUILTIN_THREAD_INDEX][0].vector, wide_splat(w, total), "inside");
    return wide_translate(w, wide_new_block(w, "after"));
}

static LLVMValueRef total_size(struct wide *w)
{
    LLVMBuilderRef b = w->g->builder;
    LLVMValueRef *size = w->place.builtin[ABX_BUILTIN_GROUP_SIZE];
    return LLVMBuildMul(b, LLVMBuildMul(b, size[0], size[1], ""), size[2], "total");
}

/* Branches to the variant that this threadgroup is fit for; positions the builder in `rows`. */
static LLVMBasicBlockRef choose(struct wide *w)
{
    struct codegen *g = w->g;
    LLVMBuilderRef b = g->builder;
    LLVMBasicBlockRef rows = wide_new_block(w, "rows"), linear = wide_new_block(w, "linear");
    LLVMValueRef x = w->place.builtin[ABX_BUILTIN_GROUP_SIZE][0];
    LLVMValueRef odd = LLVMBuildAnd(b, x, codegen_i32(g, w->width - 1), "");
    LLVMBuildCondBr(b, LLVMBuildICmp(b, LLVMIntEQ, odd, codegen_i32(g, 0), ""), rows, linear);
    LLVMPositionBuilderAtEnd(b, rows);
    return linear;
}

static void mark_entry(struct wide *w)
{
    struct codegen *g = w->g;
    LLVMBuilderRef b = g->builder;
    w->statics = codegen_load_field(g, w->place.call, g->ptr,
            offsetof(struct abx_kernel_call, static_threadgroup), "statics");
    LLVMBasicBlockRef body = wide_new_block(w, "body");
    w->entry_mark = LLVMBuildBr(b, body);
    LLVMPositionBuilderAtEnd(b, body);
}

static bool groups(struct wide *w)
{
    struct codegen *g = w->g;
    LLVMBuilderRef b = g->builder;
    LLVMTypeRef params[3] = {g->ptr, g->i64, g->i64};
    w->function = g->entry = LLVMAddFunction(g->module, ABX_CPU_ENTRY,
            LLVMFunctionType(LLVMVoidTypeInContext(g->context), params, 3, 0));
    LLVMPositionBuilderAtEnd(b, wide_new_block(w, "entry"));
    cpu_place_dispatch(g, &w->place, LLVMGetParam(g->entry, 0));
    mark_entry(w);
    struct cpu_loop group = cpu_loop_begin(g, g->i64, "group");
    cpu_place_in_groups(g, &w->place, LLVMBuildAdd(b, LLVMGetParam(g->entry, 1), group.i, ""));
    LLVMValueRef *size = w->place.builtin[ABX_BUILTIN_GROUP_SIZE];
    LLVMValueRef total = total_size(w), width = codegen_i32(g, w->width);
    LLVMBasicBlockRef next = wide_new_block(w, "next"), linear = choose(w);
    struct cpu_loop z = cpu_loop_begin(g, g->i32, "z");
    struct cpu_loop y = cpu_loop_begin(g, g->i32, "y");
    struct cpu_loop x = cpu_loop_begin(g, g->i32, "x");
    LLVMValueRef at[3] = {LLVMBuildMul(b, x.i, width, ""), y.i, z.i};
    LLVMValueRef row = LLVMBuildAdd(b, LLVMBuildMul(b, z.i, size[1], ""), y.i, "");
    LLVMValueRef index = LLVMBuildAdd(b, LLVMBuildMul(b, row, size[0], ""), at[0], "");
    if (!variant(w, true, index, at, total))
        return false;
    cpu_loop_end(g, &x, LLVMBuildUDiv(b, size[0], width, ""));
    cpu_loop_end(g, &y, size[1]);
    cpu_loop_end(g, &z, size[2]);
    LLVMBuildBr(b, next);
    LLVMPositionBuilderAtEnd(b, linear);
    LLVMValueRef up = LLVMBuildAdd(b, total, codegen_i32(g, w->width - 1), "");
    LLVMValueRef vectors = LLVMBuildUDiv(b, up, width, "vectors");
    struct cpu_loop l = cpu_loop_begin(g, g->i32, "l");
    if (!variant(w, false, LLVMBuildMul(b, l.i, width, ""), NULL, total))
        return false;
    cpu_loop_end(g, &l, vectors);
    LLVMBuildBr(b, next);
    LLVMPositionBuilderAtEnd(b, next);
    cpu_loop_end(g, &group, LLVMGetParam(g->entry, 2));
    LLVMBuildRetVoid(b);
    g->cpu.form = ABX_FORM_GROUPS;
    return true;
}

static bool coroutine(struct wide *w)
{
    struct codegen *g = w->g;
    LLVMBuilderRef b = g->builder;
    LLVMTypeRef params[4] = {g->ptr, g->ptr, g->i32, g->ptr};
    w->function = g->entry =
            LLVMAddFunction(g->module, ABX_CPU_ENTRY, LLVMFunctionType(g->ptr, params, 4, 0));
    struct cpu_coroutine c;
    LLVMPositionBuilderAtEnd(b, wide_new_block(w, "entry"));
    cpu_coroutine_begin(g, g->entry, LLVMGetParam(g->entry, 1), &c);
    w->coroutine = &c;
    cpu_place_dispatch(g, &w->place, LLVMGetParam(g->entry, 0));
    cpu_place_in_coroutine(g, &w->place);
    mark_entry(w);
    LLVMValueRef *size = w->place.builtin[ABX_BUILTIN_GROUP_SIZE], total = total_size(w);
    LLVMValueRef thread = LLVMGetParam(g->entry, 2);
    LLVMBasicBlockRef end = wide_new_block(w, "end"), linear = choose(w);
    LLVMValueRef row = LLVMBuildUDiv(b, thread, size[0], "");
    LLVMValueRef at[3] = {LLVMBuildURem(b, thread, size[0], ""), LLVMBuildURem(b, row, size[1], ""),
            LLVMBuildUDiv(b, row, size[1], "")};
    if (!variant(w, true, thread, at, total))
        return false;
    LLVMBuildBr(b, end);
    LLVMPositionBuilderAtEnd(b, linear);
    if (!variant(w, false, thread, NULL, total))
        return false;
    LLVMBuildBr(b, end);
    LLVMPositionBuilderAtEnd(b, end);
    cpu_coroutine_stop(g, &c, true, NULL);
    cpu_coroutine_end(g, &c);
    g->cpu.form = ABX_FORM_COROUTINE;
    return true;
}

/* Makes the scalar function fit for translation: no vectors, no switches, one return, loops in
 * their simple form. Nothing is made earlier than where it is used on some ways alone (GVN's PRE):
 * a value that two blocks bring, be it the same lane's number, is one that nothing is known of. */
int cpu_prepare_wide(struct codegen *g)
{
    int r = codegen_run_passes(g,
            "function(sroa,early-cse<memssa>,instcombine<no-verify-fixpoint>,simplifycfg,"
            "loop-simplify,lcssa,loop-mssa(loop-rotate,licm))");
    codegen_unroll_private(g, g->kernel, false);
    if (r == 0)
        r = codegen_run_passes(g, "function(loop-simplify,lcssa," CODEGEN_UNROLL ",sroa,"
                                  "early-cse<memssa>,gvn<no-pre>,instcombine<no-verify-fixpoint>,"
                                  "simplifycfg)");
    if (r == 0)
        r = cpu_scalarize(g);
    if (r == 0)
        r = codegen_bound_private(g, g->kernel);
    return r < 0 ? r
                 : codegen_run_passes(g, "function(gvn<no-pre>,scalarizer,"
                                         "instsimplify,lower-switch,mergereturn,simplifycfg<no-"
                                         "switch-to-lookup>,lower-switch,"
                                         "mergereturn,loop-simplify,lcssa,dce)");
}

static int build(struct codegen *g, struct wide *w)
{
    bool wait = g->barriers || g->yields;
    w->g = g;
    w->width = g->simd || g->simd_barriers ? ABX_SIMD_LANES : FREE_WIDTH;
    bool ok = wide_graph(w, g->kernel) && (wait ? coroutine(w) : groups(w));
    if (!ok) {
        if (g->entry)
            LLVMDeleteFunction(g->entry);
        g->entry = NULL;
        return -ENOTSUP;
    }
    g->cpu.lanes = w->width;
    LLVMDeleteFunction(g->kernel);
    g->kernel = NULL;
    int r = codegen_verify(g, "translating to lanes");
    bool panels = wide_has_panels(g);
    if (r == 0 && (wait || panels))
        r = codegen_run_passes(g, "function(sroa,early-cse<memssa>,instcombine<no-verify-fixpoint>,"
                                  "simplifycfg,gvn,loop-mssa(licm),dce)");
    if (r == 0 && panels)
        r = wide_carry(w);
    if (r == 0 && wait)
        r = cpu_coroutine_split(g);
    return r;
}

int cpu_build_wide(struct codegen *g)
{
    struct wide *w = calloc(1, sizeof *w);
    if (!w)
        return -ENOMEM;
    wide_gather_products(g);
    int r = build(g, w);
    if (r == -ENOTSUP &&
            w->unguarded) { /* it may be the second version that is not for this form */
        wide_free(w);
        *w = (struct wide){.guarded = true};
        r = build(g, w);
    }
    if (r == -ENOTSUP && g->verbose)
        codegen_fail(g, 0, "wide form refused: %s", w->refused ? w->refused : "?");
    wide_free(w);
    free(w);
    return r;
}
