/* shader: the order in which the lanes of a SIMD-group that are coroutines of their own go on.
 * Compiler process.
 *
 * Who takes part in a SIMD-group function is said by one rule, in every form of code: the lanes
 * that are at this call in this turn of each loop around it. Vectors of lanes have it from how they
 * are laid out (wide/flow.c): a block after those that lead to it, a loop's blocks together, and
 * no lane in the next turn before the others have ended this one. Coroutines stop at each such
 * function and the lanes at the first place in the program go on first (backend/cpu/threadgroup.c),
 * so here the blocks are put in that same order, and a loop in which lanes may miss each other gets
 * a stop of its own where a turn ends. */
#include "shader/cpu/wide/wide.h"

#include <stdlib.h>

static bool is_wait(LLVMValueRef in)
{
    return codegen_is_call(in, "__abx_simd") || codegen_is_call(in, "__abx_simd_barrier");
}

/* Adds a block, or a whole loop where its header comes, to order[]. */
static void order_blocks(struct wide *w, int level, bool *done, uint32_t *order, uint32_t *count)
{
    for (uint32_t o = 0; o < w->count; o++) {
        uint32_t b = w->order[o];
        if (done[b] || (level >= 0 && !w->loops[level].in[b]))
            continue;
        int l = wide_child_loop(w, b, level);
        if (l < 0) {
            done[b] = true;
            order[(*count)++] = b;
        } else {
            order_blocks(w, l, done, order, count);
        }
    }
}

static uint32_t waits_in(struct wide *w, uint32_t b)
{
    uint32_t count = 0;
    for (LLVMValueRef in = LLVMGetFirstInstruction(w->block[b]); in;
            in = LLVMGetNextInstruction(in))
        count += is_wait(in);
    return count;
}

/* True when lanes in different turns of the loop could be taken for lanes at the same SIMD-group
 * function: the loop has several of them, or one that some turns leave out. A single one that every
 * turn comes by already holds the lanes of a turn together. */
static bool turns_may_mix(struct wide *w, int l)
{
    uint32_t waits = 0;
    bool always = false;
    for (uint32_t b = 0; b < w->count; b++) {
        if (!w->loops[l].in[b])
            continue;
        uint32_t here = waits_in(w, b);
        waits += here;
        always |= here && w->loop_of[b] == l && wide_dominates(w, b, w->loops[l].latch);
    }
    return waits > 1 || (waits == 1 && !always);
}

static void end_turn(struct wide *w, int l)
{
    struct codegen *g = w->g;
    LLVMTypeRef type = LLVMFunctionType(LLVMVoidTypeInContext(g->context), &g->i32, 1, 0);
    LLVMValueRef flags = codegen_i32(g, 0);
    LLVMPositionBuilderBefore(g->builder, LLVMGetBasicBlockTerminator(w->block[w->loops[l].latch]));
    LLVMBuildCall2(g->builder, type, codegen_declare(g, "__abx_simd_barrier", type), &flags, 1, "");
}

int cpu_order_waits(struct codegen *g)
{
    int r = codegen_run_passes(g,
            "function(lower-switch,mergereturn,simplifycfg<no-switch-to-lookup>,"
            "lower-switch,mergereturn,loop-simplify)");
    struct wide *w = r == 0 ? calloc(1, sizeof *w) : NULL;
    bool done[WIDE_MAX_BLOCKS] = {false}, mixes[WIDE_MAX_BLOCKS];
    uint32_t order[WIDE_MAX_BLOCKS], count = 0;
    if (!w)
        return r < 0 ? r : -ENOMEM;
    w->g = g;
    /* Control flow that has no such order (a goto into a loop) keeps the program's. */
    if (wide_graph(w, g->kernel)) {
        order_blocks(w, -1, done, order, &count);
        for (uint32_t i = 1; i < count; i++)
            LLVMMoveBasicBlockAfter(w->block[order[i]], w->block[order[i - 1]]);
        for (uint32_t l = 0; l < w->loop_count; l++)
            mixes[l] = turns_may_mix(w, (int)l);
        for (uint32_t l = 0; l < w->loop_count; l++)
            if (mixes[l])
                end_turn(w, (int)l);
    }
    wide_free(w);
    free(w);
    return 0;
}
