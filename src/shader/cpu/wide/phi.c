/* shader: kernels as vectors of lanes: phis. Each has a slot in memory, which is written at the end
 * of every predecessor and becomes a register again; a loop's counter, whose lanes stay apart by
 * the same, has one for the first lane alone. Compiler process. */
#include "shader/cpu/wide/wide.h"

bool wide_make_slots(struct wide *w)
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

void wide_load_phis(struct wide *w, uint32_t b)
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

void wide_store_phis(struct wide *w, uint32_t b)
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
