/* shader: kernels as vectors of lanes: where the lanes stand in their threadgroup and in the grid.
 * Compiler process. */
#include "shader/cpu/wide/wide.h"

static LLVMValueRef lane_numbers(struct wide *w, unsigned mask)
{
    LLVMValueRef lanes[WIDE_MAX_WIDTH];
    for (unsigned i = 0; i < w->width; i++)
        lanes[i] = codegen_i32(w->g, i & mask);
    return LLVMConstVector(lanes, w->width);
}

static struct wide_value rising(struct wide *w, LLVMValueRef first, uint64_t align, uint64_t limit)
{
    struct wide_value v = {.divergent = true, .first = first, .align = align, .limit = limit};
    LLVMBuilderRef b = w->g->builder;
    int64_t *lane = wide_lanes(w);
    for (unsigned i = 0; i < w->width; i++)
        lane[i] = i;
    v.lanes = lane;
    LLVMValueRef lanes = lane_numbers(w, ~0u);
    if (LLVMIsAConstantInt(first) && LLVMConstIntGetZExtValue(first) == 0)
        v.vector = lanes;
    else
        v.vector = LLVMBuildAdd(b, wide_splat(w, first), lanes, "");
    if (LLVMIsAInstruction(v.vector)) {
        LLVMSetNSW(v.vector, 1);
        LLVMSetNUW(v.vector, 1);
    }
    return v;
}

static struct wide_value differing(struct wide *w, LLVMValueRef vector)
{
    struct wide_value v = {.divergent = true, .vector = vector};
    wide_know_constant(w, &v);
    return v;
}

/* a / b for vectors of numbers below 2^20, without the processor's slow division. */
static LLVMValueRef quotient(struct wide *w, LLVMValueRef a, LLVMValueRef b)
{
    LLVMBuilderRef builder = w->g->builder;
    LLVMTypeRef f = wide_type(w, LLVMFloatTypeInContext(w->g->context));
    LLVMValueRef half = wide_splat(w, LLVMConstReal(LLVMFloatTypeInContext(w->g->context), 0.5));
    LLVMValueRef x = LLVMBuildFAdd(builder, LLVMBuildUIToFP(builder, a, f, ""), half, "");
    LLVMValueRef y = LLVMBuildUIToFP(builder, wide_splat(w, b), f, "");
    return LLVMBuildFPToSI(builder, LLVMBuildFDiv(builder, x, y, ""), LLVMTypeOf(a), "");
}

static LLVMValueRef remainder_of(struct wide *w, LLVMValueRef a, LLVMValueRef q, LLVMValueRef b)
{
    LLVMBuilderRef builder = w->g->builder;
    return LLVMBuildSub(builder, a, LLVMBuildMul(builder, q, wide_splat(w, b), ""), "");
}

void wide_place_lanes(struct wide *w, LLVMValueRef index, LLVMValueRef at[3])
{
    struct codegen *g = w->g;
    LLVMBuilderRef b = g->builder;
    for (int k = 0; k < ABX_BUILTIN_COUNT; k++)
        for (int d = 0; d < 3; d++)
            w->lane_place[k][d] = (struct wide_value){.uniform = w->place.builtin[k][d]};
    LLVMValueRef *size = w->place.builtin[ABX_BUILTIN_GROUP_SIZE];
    struct wide_value(*p)[3] = w->lane_place;
    struct wide_value *local = p[ABX_BUILTIN_THREAD_IN_GROUP];
    /* Vectors begin at multiples of the width; an inactive lane may be past the last thread. */
    const uint64_t limit = ABX_MAX_THREADS_PER_THREADGROUP + WIDE_MAX_WIDTH;
    struct wide_value linear = rising(w, index, w->width, limit);
    if (w->rows) {
        local[0] = rising(w, at[0], w->width, limit);
        local[1].uniform = at[1];
        local[2].uniform = at[2];
    } else {
        LLVMValueRef row = quotient(w, linear.vector, size[0]);
        LLVMValueRef z = quotient(w, row, size[1]);
        local[0] = differing(w, remainder_of(w, linear.vector, row, size[0]));
        local[1] = differing(w, remainder_of(w, row, z, size[1]));
        local[2] = differing(w, z);
    }
    for (int d = 0; d < 3; d++) {
        LLVMValueRef start = LLVMBuildMul(b, w->place.builtin[ABX_BUILTIN_GROUP_IN_GRID][d],
                w->place.builtin[ABX_BUILTIN_DISPATCH_GROUP_SIZE][d], "");
        struct wide_value *grid = &p[ABX_BUILTIN_THREAD_IN_GRID][d];
        if (local[d].uniform)
            grid->uniform = LLVMBuildAdd(b, start, local[d].uniform, "");
        else if (local[d].lanes)
            *grid = rising(w, LLVMBuildAdd(b, start, local[d].first, ""), 1, 0);
        else
            *grid = differing(w, LLVMBuildAdd(b, wide_splat(w, start), local[d].vector, ""));
    }
    p[ABX_BUILTIN_THREAD_INDEX][0] = linear;
    p[ABX_BUILTIN_LANE][0] = rising(w,
            w->width == ABX_SIMD_LANES ? codegen_i32(g, 0)
                                       : LLVMBuildAnd(b, index, codegen_i32(g, 31), ""),
            w->width, ABX_SIMD_LANES);
    p[ABX_BUILTIN_SIMDGROUP][0].uniform = LLVMBuildLShr(b, index, codegen_i32(g, 5), "");
    p[ABX_BUILTIN_QUAD_LANE][0] = differing(w, lane_numbers(w, 3));
    p[ABX_BUILTIN_QUADGROUP][0] =
            differing(w, LLVMBuildLShr(b, linear.vector, wide_splat(w, codegen_i32(g, 2)), ""));
    for (int i = 0; i < 4 && w->width == WIDE_MAX_WIDTH; i++)
        p[i / 2 ? ABX_BUILTIN_MATRIX_E1 : ABX_BUILTIN_MATRIX_E0][i % 2] =
                differing(w, wide_matrix_place(w, i / 2, i % 2));
}
