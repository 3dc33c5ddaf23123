/* shader: kernels as vectors of lanes: control flow, and the entry points around it. See
 * wide.h for the idea, analyse.c for what decides it. Compiler process.
 *
 * Two variants of a kernel are translated into one entry, and each threadgroup takes the better one
 * it is fit for: `rows`, lanes side by side in x, every lane active (the width divides the
 * threadgroup's); and `linear`, lanes by their index in the threadgroup, the last vector masked. */
#include "shader/cpu/wide/wide.h"

#include <stdlib.h>
#include <string.h>

/* Kernels without SIMD-group operations are free to choose: eight lanes keep sixteen accumulators
 * in registers, and suit threadgroups that are eight wide. */
#define FREE_WIDTH 8u

LLVMBasicBlockRef wide_new_block(struct wide *w, const char *name)
{
    return LLVMAppendBasicBlockInContext(w->g->context, w->function, name);
}

/* ---- phis: a slot each, written at the end of every predecessor */

static bool make_slots(struct wide *w)
{
    for (uint32_t b = 0; b < w->count; b++)
        for (LLVMValueRef in = LLVMGetFirstInstruction(w->block[b]); in;
                in = LLVMGetNextInstruction(in)) {
            struct wide_value *v = wide_get(w, in);
            LLVMTypeRef t = LLVMTypeOf(in);
            LLVMTypeKind k = LLVMGetTypeKind(t);
            if (LLVMIsAAllocaInst(in)) {
                v->uniform = wide_slot(w, LLVMArrayType2(w->g->i8, v->bytes * w->width), "private");
            } else if (LLVMIsAPHINode(in)) {
                if (k == LLVMStructTypeKind || k == LLVMArrayTypeKind || k == LLVMVectorTypeKind) {
                    w->refused =
                            "a structure, an array or a vector that several blocks give (a phi)";
                    return false;
                }
                v->memory = wide_slot(w, v->divergent ? wide_type(w, t) : t, "phi");
            }
        }
    return true;
}

/* A loop's counter or address, whose lanes stay the same distance apart: each turn adds the same to
 * all of them. True when `v` is the phi plus something uniform. */
struct steps {
    bool exact, rising;
    uint64_t align;
};

static bool only_steps(
        struct wide *w, LLVMValueRef v, LLVMValueRef phi, unsigned depth, struct steps *s)
{
    if (v == phi)
        return true;
    if (depth == 0 || !LLVMIsAInstruction(v))
        return false;
    LLVMOpcode op = LLVMGetInstructionOpcode(v);
    if (op == LLVMGetElementPtr) {
        for (int i = 1; i < LLVMGetNumOperands(v); i++)
            if (wide_is_divergent(w, LLVMGetOperand(v, (unsigned)i)))
                return false;
        s->align = 1;
        return only_steps(w, LLVMGetOperand(v, 0), phi, depth - 1, s);
    }
    if (op != LLVMAdd && op != LLVMSub)
        return false;
    s->exact &= LLVMGetNSW(v);
    LLVMValueRef a = LLVMGetOperand(v, 0), b = LLVMGetOperand(v, 1);
    bool second = !wide_is_divergent(w, b);
    LLVMValueRef step = second ? b : a;
    s->rising &= op == LLVMAdd && LLVMIsAConstantInt(step) && LLVMConstIntGetSExtValue(step) >= 0;
    uint64_t align = wide_uniform_align(step);
    s->align = align < s->align ? align : s->align;
    if (second)
        return only_steps(w, a, phi, depth - 1, s);
    return op == LLVMAdd && !wide_is_divergent(w, a) && only_steps(w, b, phi, depth - 1, s);
}

/* Decides, where the loop is entered, whether the phi is such a counter. */
static void find_counter(struct wide *w, LLVMValueRef phi, LLVMValueRef start)
{
    struct wide_value *v = wide_get(w, phi);
    LLVMTypeRef type = LLVMTypeOf(phi);
    bool pointer = LLVMGetTypeKind(type) == LLVMPointerTypeKind;
    struct steps steps = {.exact = true, .rising = true, .align = 1ull << 32};
    if (LLVMCountIncoming(phi) != 2 || !(pointer || LLVMGetTypeKind(type) == LLVMIntegerTypeKind))
        return;
    LLVMValueRef a = LLVMGetIncomingValue(phi, 0), b = LLVMGetIncomingValue(phi, 1);
    struct wide_value s = {0};
    if (!pointer)
        s = wide_known(w, start);
    else if (wide_is_divergent(w, start) && !wide_private(start))
        s = *wide_get(w, start);
    if (!s.lanes || (pointer && !s.base) || !only_steps(w, a == start ? b : a, phi, 8, &steps))
        return;
    v->first_slot = wide_slot(w, pointer ? w->g->i64 : type, "counter");
    v->lanes = s.lanes;
    v->base = s.base;
    if (pointer) {
        v->base_slot = wide_slot(w, w->g->ptr, "base");
        LLVMBuildStore(w->g->builder, s.base, v->base_slot);
    }
    v->no_signed_wrap = steps.exact && s.no_signed_wrap;
    v->not_negative = v->no_signed_wrap && steps.rising && s.not_negative && !pointer;
    v->align = pointer ? 1 : steps.align < s.align ? steps.align : s.align;
    v->root = phi;
}

static void load_counter(struct wide *w, LLVMValueRef phi)
{
    struct wide_value *v = wide_get(w, phi);
    LLVMBuilderRef b = w->g->builder;
    v->first = LLVMBuildLoad2(b, LLVMGetAllocatedType(v->first_slot), v->first_slot, "");
    v->vector = NULL;
    if (v->base_slot)
        v->base = LLVMBuildLoad2(b, w->g->ptr, v->base_slot, "base");
    if (v->base) /* an address: its offsets are made when they are wanted */
        return;
    LLVMValueRef lane[WIDE_MAX_WIDTH];
    for (unsigned i = 0; i < w->width; i++)
        lane[i] = LLVMConstInt(LLVMTypeOf(phi), (uint64_t)v->lanes[i], 1);
    v->vector = LLVMBuildAdd(b, wide_splat(w, v->first), LLVMConstVector(lane, w->width), "");
}

static void store_counter(struct wide *w, LLVMValueRef phi, LLVMValueRef incoming)
{
    struct wide_value *v = wide_get(w, phi), from;
    from = v->base ? *wide_get(w, incoming) : wide_known(w, incoming);
    bool same = from.lanes && from.base == v->base;
    for (unsigned i = 1; i < w->width && same; i++)
        same = from.lanes[i] - from.lanes[0] == v->lanes[i] - v->lanes[0];
    if (!same) {
        w->refused = "a counter that does not count";
        return;
    }
    LLVMValueRef shift =
            LLVMConstInt(LLVMTypeOf(from.first), (uint64_t)(from.lanes[0] - v->lanes[0]), 1);
    LLVMBuildStore(
            w->g->builder, LLVMBuildAdd(w->g->builder, from.first, shift, ""), v->first_slot);
}

static void load_phis(struct wide *w, uint32_t b)
{
    LLVMBuilderRef builder = w->g->builder;
    for (LLVMValueRef in = LLVMGetFirstInstruction(w->block[b]); in && LLVMIsAPHINode(in);
            in = LLVMGetNextInstruction(in)) {
        struct wide_value *v = wide_get(w, in);
        LLVMTypeRef t = LLVMTypeOf(in);
        if (v->first_slot) {
            load_counter(w, in);
            continue;
        }
        LLVMValueRef load =
                LLVMBuildLoad2(builder, v->divergent ? wide_type(w, t) : t, v->memory, "");
        *(v->divergent ? &v->vector : &v->uniform) = load;
    }
}

static void store_phi(struct wide *w, LLVMValueRef phi, LLVMValueRef incoming, bool enters)
{
    LLVMBuilderRef builder = w->g->builder;
    struct wide_value *v = wide_get(w, phi);
    if (enters && v->divergent && !v->first_slot)
        find_counter(w, phi, incoming);
    if (v->first_slot) {
        store_counter(w, phi, incoming);
        return;
    }
    if (!v->divergent) {
        LLVMBuildStore(builder, wide_uniform(w, incoming), v->memory);
        return;
    }
    LLVMValueRef value = wide_vector(w, incoming);
    if (w->mask) {
        LLVMValueRef old = LLVMBuildLoad2(builder, LLVMTypeOf(value), v->memory, "");
        value = LLVMBuildSelect(builder, w->mask, value, old, "");
    }
    LLVMBuildStore(builder, value, v->memory);
}

static void store_phis(struct wide *w, uint32_t b)
{
    for (uint32_t s = 0; s < w->successors[b]; s++) {
        if (s == 1 && w->successor[b][1] == w->successor[b][0])
            break;
        uint32_t t = w->successor[b][s];
        LLVMBasicBlockRef to = w->block[t];
        int loop = w->loop_of[t];
        bool enters = loop >= 0 && w->loops[loop].header == t && !w->loops[loop].in[b];
        for (LLVMValueRef in = LLVMGetFirstInstruction(to); in && LLVMIsAPHINode(in);
                in = LLVMGetNextInstruction(in))
            for (unsigned i = 0; i < LLVMCountIncoming(in); i++)
                if (LLVMGetIncomingBlock(in, i) == w->block[b]) {
                    store_phi(w, in, LLVMGetIncomingValue(in, i), enters);
                    break;
                }
    }
}

static bool instructions(struct wide *w, uint32_t b)
{
    load_phis(w, b);
    LLVMValueRef end = LLVMGetBasicBlockTerminator(w->block[b]);
    for (LLVMValueRef in = LLVMGetFirstInstruction(w->block[b]); in != end;
            in = LLVMGetNextInstruction(in))
        if (!wide_instruction(w, in) || w->refused) {
            w->refused = w->refused ? w->refused : "an instruction";
            return false;
        }
    wide_sums(w, w->block[b]);
    wide_strided_flush(w);
    store_phis(w, b);
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
    if (!make_slots(w))
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

/* ---- where the lanes stand */

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

/* Fills lane_place from the uniform place, the first thread's linear index and, in rows, position.
 */
static void place_lanes(struct wide *w, LLVMValueRef index, LLVMValueRef at[3])
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

/* One variant's translation at the builder's place, which then lies behind it. */
static bool variant(
        struct wide *w, bool rows, LLVMValueRef index, LLVMValueRef at[3], LLVMValueRef total)
{
    LLVMBuilderRef b = w->g->builder;
    w->rows = rows;
    if (!wide_analyse(w))
        return false;
    place_lanes(w, index, at);
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
 * their simple form. */
int cpu_prepare_wide(struct codegen *g)
{
    int r = codegen_run_passes(g,
            "function(sroa,early-cse<memssa>,instcombine<no-verify-fixpoint>,simplifycfg,"
            "loop-simplify,lcssa,loop-mssa(loop-rotate,licm))");
    cpu_unroll_private(g, g->kernel);
    if (r == 0)
        r = codegen_run_passes(g,
                "function(loop-simplify,lcssa,loop(loop-unroll-full),sroa,"
                "early-cse<memssa>,gvn,instcombine<no-verify-fixpoint>,simplifycfg)");
    if (r == 0)
        r = cpu_scalarize(g);
    if (r == 0)
        r = cpu_bound_private(g, g->kernel);
    return r < 0 ? r
                 : codegen_run_passes(g, "function(gvn,scalarizer,"
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
    if (r == 0 && wait) {
        r = codegen_run_passes(g, "function(sroa,early-cse<memssa>,instcombine<no-verify-fixpoint>,"
                                  "simplifycfg,gvn,loop-mssa(licm),dce)");
        if (r == 0)
            r = cpu_coroutine_split(g);
    }
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
