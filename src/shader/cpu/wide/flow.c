/* shader: kernels as vectors of lanes: control flow. See wide.h for the idea, analyse.c for what
 * decides it. Compiler process. */
#include "shader/cpu/wide/wide.h"

#include <string.h>

LLVMBasicBlockRef wide_new_block(struct wide *w, const char *name)
{
    return LLVMAppendBasicBlockInContext(w->g->context, w->function, name);
}

static bool instructions(struct wide *w, uint32_t b)
{
    wide_load_phis(w, b);
    LLVMValueRef end = LLVMGetBasicBlockTerminator(w->block[b]);
    for (LLVMValueRef in = LLVMGetFirstInstruction(w->block[b]); in != end;
            in = LLVMGetNextInstruction(in))
        if (!wide_instruction(w, in) || w->refused) {
            w->refused = w->refused ? w->refused : "an instruction";
            return false;
        }
    wide_sums(w, w->block[b]);
    wide_strided_flush(w);
    wide_store_phis(w, b);
    return !w->refused;
}

/* ---- masked regions */

static void add_mask(struct wide *w, uint32_t target, LLVMValueRef mask)
{
    if (!w->masked[target])
        return; /* where all lanes meet again */
    LLVMBuilderRef b = w->g->builder;
    LLVMTypeRef type = wide_type(w, w->g->i1);
    LLVMValueRef old = LLVMBuildLoad2(b, type, w->mask_slot[target], "");
    LLVMBuildStore(b, LLVMBuildOr(b, old, mask, ""), w->mask_slot[target]);
}

/* Gives the block's active lanes to its successors. The condition of a lane that is not active may
 * be poison: hence selects. */
static void leave(struct wide *w, uint32_t b)
{
    LLVMBuilderRef builder = w->g->builder;
    LLVMValueRef all = wide_all(w);
    if (w->successors[b] == 1) {
        add_mask(w, w->successor[b][0], all);
    } else if (w->successors[b] == 2) {
        LLVMValueRef c = wide_vector(w, LLVMGetCondition(LLVMGetBasicBlockTerminator(w->block[b])));
        LLVMValueRef none = LLVMConstNull(wide_type(w, w->g->i1));
        add_mask(w, w->successor[b][0], LLVMBuildSelect(builder, all, c, none, ""));
        LLVMValueRef not_c = LLVMBuildNot(builder, c, "");
        add_mask(w, w->successor[b][1], LLVMBuildSelect(builder, all, not_c, none, ""));
    }
}

/* True when skipping the block when no lane is active saves something, and nothing outside it needs
 * the values it would have made. */
static bool may_skip(struct wide *w, uint32_t b)
{
    unsigned cost = 0;
    for (LLVMValueRef in = LLVMGetFirstInstruction(w->block[b]); in;
            in = LLVMGetNextInstruction(in)) {
        cost += LLVMIsALoadInst(in) || LLVMIsAStoreInst(in) || LLVMIsACallInst(in) ? 8 : 1;
        if (LLVMGetInstructionOpcode(in) == LLVMAtomicRMW)
            cost += 50;
        for (LLVMUseRef u = LLVMGetFirstUse(in); u; u = LLVMGetNextUse(u)) {
            LLVMValueRef user = LLVMGetUser(u);
            if (!LLVMIsAPHINode(user)) {
                if (LLVMGetInstructionParent(user) != w->block[b])
                    return false;
                continue;
            }
            for (unsigned i = 0; i < LLVMCountIncoming(user); i++)
                if (LLVMGetIncomingValue(user, i) == in &&
                        LLVMGetIncomingBlock(user, i) != w->block[b])
                    return false;
        }
    }
    return cost > 12;
}

static bool masked_block(struct wide *w, uint32_t b)
{
    LLVMBuilderRef builder = w->g->builder;
    LLVMTypeRef type = wide_type(w, w->g->i1);
    w->mask = LLVMBuildLoad2(builder, type, w->mask_slot[b], "mask");
    LLVMBuildStore(builder, LLVMConstNull(type), w->mask_slot[b]);
    LLVMBasicBlockRef after = NULL;
    if (may_skip(w, b)) {
        LLVMBasicBlockRef body = wide_new_block(w, "some");
        after = wide_new_block(w, "skip");
        LLVMBuildCondBr(builder, wide_any(w, w->mask), body, after);
        LLVMPositionBuilderAtEnd(builder, body);
    }
    if (!instructions(w, b))
        return false;
    leave(w, b);
    if (after) {
        LLVMBuildBr(builder, after);
        LLVMPositionBuilderAtEnd(builder, after);
    }
    return true;
}

/* A loop that lanes leave one by one mostly runs with all of them: then it needs no masks, and its
 * memory accesses are whole vectors. Loops of some size inside others are not worth the code. */
#define MAX_SECOND_VERSION 3000u

static bool has_full_version(struct wide *w, int l)
{
    unsigned size = 0;
    for (uint32_t b = 0; b < w->count; b++) {
        if (!w->loops[l].in[b])
            continue;
        if (w->loop_of[b] != l)
            return false;
        for (LLVMValueRef in = LLVMGetFirstInstruction(w->block[b]); in;
                in = LLVMGetNextInstruction(in))
            size++;
    }
    return size <= MAX_SECOND_VERSION;
}

/* One turn of a loop that all lanes take: the blocks that every lane reaches run without a mask. */
static bool full_version(struct wide *w, int l)
{
    bool full[WIDE_MAX_BLOCKS] = {0};
    uint32_t header = w->loops[l].header;
    for (uint32_t b = header; w->loops[l].in[b]; b = w->post_dominator[b]) {
        if (full[b])
            break;
        full[b] = true;
    }
    for (uint32_t o = 0; o < w->count; o++) {
        uint32_t b = w->order[o];
        if (!w->loops[l].in[b])
            continue;
        w->matrix = NULL;
        if (!full[b]) {
            if (!masked_block(w, b))
                return false;
            continue;
        }
        LLVMBuildStore(w->g->builder, LLVMConstNull(wide_type(w, w->g->i1)), w->mask_slot[b]);
        w->mask = NULL;
        if (!instructions(w, b))
            return false;
        leave(w, b);
    }
    return true;
}

static bool layout(struct wide *w, const bool *region, int level);

/* Both versions of a turn; the builder then lies behind them. */
static bool loop_turn(struct wide *w, const bool *region, int l)
{
    LLVMBuilderRef builder = w->g->builder;
    if (!has_full_version(w, l))
        return layout(w, region, l);
    LLVMTypeRef type = wide_type(w, w->g->i1);
    LLVMBasicBlockRef full = wide_new_block(w, "full"), some = wide_new_block(w, "some"),
                      turned = wide_new_block(w, "turned");
    LLVMValueRef mask = LLVMBuildLoad2(builder, type, w->mask_slot[w->loops[l].header], "");
    LLVMBuildCondBr(builder, wide_full(w, mask), full, some);
    LLVMPositionBuilderAtEnd(builder, full);
    if (!full_version(w, l))
        return false;
    LLVMBuildBr(builder, turned);
    LLVMPositionBuilderAtEnd(builder, some);
    w->matrix = NULL;
    if (!layout(w, region, l))
        return false;
    w->matrix = NULL;
    LLVMBuildBr(builder, turned);
    LLVMPositionBuilderAtEnd(builder, turned);
    return true;
}

static bool layout(struct wide *w, const bool *region, int level)
{
    bool done[WIDE_MAX_BLOCKS] = {0};
    LLVMBuilderRef builder = w->g->builder;
    for (uint32_t o = 0; o < w->count; o++) {
        uint32_t b = w->order[o];
        if (!region[b] || done[b] || (level >= 0 && !w->loops[level].in[b]))
            continue;
        int l = wide_child_loop(w, b, level);
        if (l < 0) {
            if (!masked_block(w, b))
                return false;
            continue;
        }
        uint32_t header = w->loops[l].header;
        if (b != header) {
            w->refused = "a loop entered in the middle";
            return false;
        }
        LLVMBasicBlockRef top = wide_new_block(w, "loop"), after = wide_new_block(w, "done");
        LLVMBuildBr(builder, top);
        LLVMPositionBuilderAtEnd(builder, top);
        if (!loop_turn(w, region, l))
            return false;
        LLVMTypeRef type = wide_type(w, w->g->i1);
        LLVMValueRef again = LLVMBuildLoad2(builder, type, w->mask_slot[header], "");
        LLVMBuildCondBr(builder, wide_any(w, again), top, after);
        LLVMPositionBuilderAtEnd(builder, after);
        for (uint32_t k = 0; k < w->count; k++)
            done[k] |= w->loops[l].in[k];
    }
    return true;
}

static void close_region(struct wide *w, uint32_t b, bool *region)
{
    region[b] = true;
    for (uint32_t s = 0; s < w->successors[b]; s++)
        if (w->masked[w->successor[b][s]] && !region[w->successor[b][s]])
            close_region(w, w->successor[b][s], region);
}

/* ---- guards: `if (at.x >= width) return;` and then all of the kernel. Mostly every lane goes on:
 * then what follows is needed without masks, as if nobody had left. */

static bool unmasked_block(struct wide *w, uint32_t b);

/* Whether every lane is in `first` when all of them go on at b. */
static bool frees(struct wide *w, uint32_t b, uint32_t first)
{
    bool masked[WIDE_MAX_BLOCKS];
    memcpy(masked, w->masked, sizeof masked);
    w->lifted[b] = true;
    wide_mask_again(w);
    bool free = !w->masked[first];
    w->lifted[b] = false;
    memcpy(w->masked, masked, sizeof masked);
    return free;
}

/* The block that the lanes that go on continue with; w->count: b is no guard, or it is not worth
 * the code. */
static uint32_t guarded_block(struct wide *w, uint32_t b, const bool *region, uint32_t end)
{
    unsigned size = 0;
    if (w->guarded || !w->rows || w->entry_mask || w->successors[b] != 2 || w->successors[end] ||
            LLVMIsAPHINode(LLVMGetFirstInstruction(w->block[end])) || w->loop_of[b] >= 0)
        return w->count;
    for (uint32_t k = 0; k < w->count; k++)
        for (LLVMValueRef in = LLVMGetFirstInstruction(w->block[k]); in && region[k];
                in = LLVMGetNextInstruction(in))
            if (size++ == MAX_SECOND_VERSION || wide_is_product(in))
                return w->count;
    uint32_t first = w->successor[b][0], second = w->successor[b][1], goes_on = w->count;
    if (first == end && region[second])
        goes_on = second;
    else if (second == end && region[first])
        goes_on = first;
    return goes_on != w->count && frees(w, b, goes_on) ? goes_on : w->count;
}

/* What the translation of a block leaves behind of its values goes, so that it can be translated
 * again. */
static void forget_values(struct wide *w, uint32_t b)
{
    for (LLVMValueRef in = LLVMGetFirstInstruction(w->block[b]); in;
            in = LLVMGetNextInstruction(in)) {
        struct wide_value *v = wide_get(w, in), old = *v;
        *v = (struct wide_value){.key = old.key,
                .divergent = old.divergent,
                .phi_divergent = old.phi_divergent,
                .private_memory = old.private_memory,
                .interleaved = old.interleaved,
                .unit = old.unit,
                .bytes = old.bytes,
                .memory = old.memory};
    }
}

/* The region as if block b's branch were uniform, at the builder's place. */
static bool unguarded(struct wide *w, uint32_t b, const bool *region, uint32_t first)
{
    bool masked[WIDE_MAX_BLOCKS];
    memcpy(masked, w->masked, sizeof masked);
    w->lifted[b] = true;
    wide_mask_again(w);
    for (uint32_t k = 0; k < w->count; k++)
        if (region[k] && !w->masked[k])
            w->made[k] = wide_new_block(w, "all");
    bool ok = true;
    LLVMBuildBr(w->g->builder, w->made[first]);
    for (uint32_t o = 0; ok && o < w->count; o++) {
        uint32_t k = w->order[o];
        ok = !region[k] || w->masked[k] || unmasked_block(w, k);
    }
    w->lifted[b] = false;
    memcpy(w->masked, masked, sizeof masked);
    for (uint32_t k = 0; k < w->count; k++)
        if (region[k]) {
            w->made[k] = NULL;
            forget_values(w, k);
        }
    w->matrix = NULL;
    return ok;
}

/* Where the builder then lies some lanes have left. */
static bool skip_guard(struct wide *w, uint32_t b, const bool *region, uint32_t first)
{
    LLVMBuilderRef builder = w->g->builder;
    LLVMValueRef go_on = wide_vector(w, LLVMGetCondition(LLVMGetBasicBlockTerminator(w->block[b])));
    if (w->successor[b][0] != first)
        go_on = LLVMBuildNot(builder, go_on, "");
    LLVMBasicBlockRef all = wide_new_block(w, "everyone"), some = wide_new_block(w, "some");
    LLVMBuildCondBr(builder, wide_full(w, go_on), all, some);
    LLVMPositionBuilderAtEnd(builder, all);
    w->unguarded = true;
    if (!unguarded(w, b, region, first))
        return false;
    LLVMPositionBuilderAtEnd(builder, some);
    w->mask = NULL;
    return true;
}

/* From unmasked block b into masked ones, and to the one block where they end. */
static bool enter_region(struct wide *w, uint32_t b)
{
    bool region[WIDE_MAX_BLOCKS] = {0};
    uint32_t end = w->count;
    LLVMTypeRef type = wide_type(w, w->g->i1);
    for (uint32_t s = 0; s < w->successors[b]; s++) {
        uint32_t t = w->successor[b][s];
        if (w->masked[t])
            close_region(w, t, region);
        else
            end = t;
    }
    for (uint32_t k = 0; k < w->count; k++) {
        if (!region[k])
            continue;
        for (uint32_t s = 0; s < w->successors[k]; s++) {
            uint32_t t = w->successor[k][s];
            if (!w->masked[t] && end != w->count && end != t) {
                w->refused = "divergent control flow with several ends";
                return false;
            }
            if (!w->masked[t])
                end = t;
        }
        if (!w->mask_slot[k])
            w->mask_slot[k] = wide_slot(w, type, "mask");
        LLVMBuildStore(w->g->builder, LLVMConstNull(type), w->mask_slot[k]);
    }
    if (end == w->count) {
        w->refused = "divergent control flow without an end";
        return false;
    }
    uint32_t first = guarded_block(w, b, region, end);
    if (first != w->count && !skip_guard(w, b, region, first))
        return false;
    leave(w, b);
    if (!layout(w, region, w->loop_of[b]))
        return false;
    w->mask = w->entry_mask;
    LLVMBuildBr(w->g->builder, w->made[end]);
    return true;
}

static bool unmasked_block(struct wide *w, uint32_t b)
{
    LLVMBuilderRef builder = w->g->builder;
    LLVMPositionBuilderAtEnd(builder, w->made[b]);
    w->mask = w->entry_mask;
    if (!instructions(w, b))
        return false;
    bool masked = false;
    for (uint32_t s = 0; s < w->successors[b]; s++)
        masked |= w->masked[w->successor[b][s]];
    LLVMValueRef end = LLVMGetBasicBlockTerminator(w->block[b]);
    if (w->successors[b] == 0)
        LLVMBuildBr(builder, w->exit);
    else if (masked)
        return enter_region(w, b);
    else if (w->successors[b] == 1)
        LLVMBuildBr(builder, w->made[w->successor[b][0]]);
    else if (wide_is_divergent(w, end)) /* both of the branch's ways lead to one block */
        LLVMBuildBr(builder, w->made[w->successor[b][0]]);
    else
        LLVMBuildCondBr(builder, wide_uniform(w, LLVMGetCondition(end)),
                w->made[w->successor[b][0]], w->made[w->successor[b][1]]);
    return true;
}

bool wide_translate(struct wide *w, LLVMBasicBlockRef after)
{
    w->exit = after;
    w->dummy = NULL;
    memset(w->mask_slot, 0, sizeof w->mask_slot);
    if (!wide_make_slots(w))
        return false;
    for (uint32_t b = 0; b < w->count; b++)
        w->made[b] = w->masked[b] ? NULL : wide_new_block(w, "b");
    LLVMBuildBr(w->g->builder, w->made[0]);
    for (uint32_t o = 0; o < w->count; o++)
        if (!w->masked[w->order[o]] && !unmasked_block(w, w->order[o]))
            return false;
    wide_strided_end(w);
    LLVMPositionBuilderAtEnd(w->g->builder, after);
    return true;
}
