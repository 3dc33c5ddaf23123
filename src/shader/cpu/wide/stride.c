/* shader: loads and stores of whole vectors whose lanes do not lie side by side, for which
 * processors' gathers and scatters are slow. Neighbouring ones (a float4 a thread, a row of
 * weights, a block of packed numbers) wait here for each other, and then become code together.
 *
 * Only what every lane does anyway is touched: accesses under a mask are left alone. See
 * wide.h. */
#include "shader/cpu/wide/stride.h"

#include <string.h>

#define MARK "lanes.loaded"

static unsigned element_bytes(struct wide *w, LLVMTypeRef type)
{
    LLVMTypeKind k = LLVMGetTypeKind(type);
    uint64_t bytes = LLVMABISizeOfType(w->g->layout, type);
    bool number = k == LLVMFloatTypeKind || k == LLVMHalfTypeKind || k == LLVMBFloatTypeKind ||
                  k == LLVMDoubleTypeKind ||
                  (k == LLVMIntegerTypeKind && LLVMGetIntTypeWidth(type) == 8 * bytes);
    return number && bytes <= 8 && (bytes & (bytes - 1)) == 0 ? (unsigned)bytes : 0;
}

static bool fit(struct wide *w, LLVMValueRef pointer, LLVMTypeRef type)
{
    return !w->mask && !wide_private(pointer) && wide_is_divergent(w, pointer) &&
           element_bytes(w, type);
}

static void add(
        struct wide *w, LLVMValueRef pointer, LLVMTypeRef type, unsigned align, LLVMValueRef value)
{
    bool stores = value != NULL;
    if (w->strided_count == WIDE_MAX_STRIDED || (w->strided_count && w->strided_stores != stores))
        wide_strided_flush(w);
    w->strided_stores = stores;
    struct wide_strided *s = &w->strided[w->strided_count++];
    *s = (struct wide_strided){.value = value,
            .type = type,
            .address = *wide_get(w, pointer),
            .align = align,
            .bytes = element_bytes(w, type),
            .waits = !stores,
            .narrow = element_bytes(w, type) < 4,
            .ahead = stores ? NULL : wide_ahead(w, pointer)};
    if (!s->address.root) /* accesses at a known distance from this one name it as their root */
        s->address.root = pointer;
    s->pointer = s->address.lanes ? NULL : wide_vector(w, pointer);
    s->mark =
            LLVMBuildFreeze(w->g->builder, LLVMGetPoison(stores ? type : wide_type(w, type)), MARK);
}

bool wide_strided_load(struct wide *w, LLVMValueRef in)
{
    if (!fit(w, LLVMGetOperand(in, 0), LLVMTypeOf(in)))
        return false;
    add(w, LLVMGetOperand(in, 0), LLVMTypeOf(in), LLVMGetAlignment(in), NULL);
    w->strided[w->strided_count - 1].source = in;
    w->strided[w->strided_count - 1].turn = wide_turn(w, in);
    wide_set_vector(w, in, w->strided[w->strided_count - 1].mark);
    return true;
}

bool wide_strided_store(struct wide *w, LLVMValueRef in, LLVMValueRef value)
{
    LLVMValueRef pointer = LLVMGetOperand(in, 1);
    LLVMTypeRef type = LLVMTypeOf(LLVMGetOperand(in, 0));
    if (!fit(w, pointer, type))
        return false;
    add(w, pointer, type, LLVMGetAlignment(in), value);
    return true;
}

bool strided_together(struct wide *w, const struct wide_strided *a, const struct wide_strided *b)
{
    const struct wide_value *x = &a->address, *y = &b->address;
    if (a->bytes != b->bytes || x->root != y->root || !x->lanes != !y->lanes || x->base != y->base)
        return false;
    for (unsigned i = 0; x->lanes && i < w->width; i++)
        if (x->lanes[i] - x->lanes[0] != y->lanes[i] - y->lanes[0])
            return false;
    return true;
}

static void join_group(struct wide_strided *m, const struct wide_strided *head)
{
    m->offset = m->address.delta - head->address.delta;
    m->address.first = head->address.first;
    m->address.lanes = head->address.lanes;
    m->pointer = head->pointer;
}

static bool is_before(LLVMValueRef in, LLVMValueRef point)
{
    for (LLVMValueRef i = point; i; i = LLVMGetNextInstruction(i))
        if (i == in)
            return false;
    return true;
}

/* Makes a value available at `point`, an earlier place of the same block: moves the arithmetic that
 * it comes from. False when it comes from anything else. */
static bool hoist(LLVMValueRef v, LLVMValueRef point, unsigned depth)
{
    if (!LLVMIsAInstruction(v) || LLVMGetInstructionParent(v) != LLVMGetInstructionParent(point) ||
            is_before(v, point))
        return true;
    LLVMOpcode op = LLVMGetInstructionOpcode(v);
    if (!depth || (op != LLVMAdd && op != LLVMSub && op != LLVMMul && op != LLVMShl &&
                          op != LLVMOr && op != LLVMGetElementPtr && !LLVMIsACastInst(v)))
        return false;
    for (int i = 0; i < LLVMGetNumOperands(v); i++)
        if (!hoist(LLVMGetOperand(v, (unsigned)i), point, depth - 1))
            return false;
    LLVMBuilderRef b = LLVMCreateBuilderInContext(LLVMGetTypeContext(LLVMTypeOf(v)));
    LLVMPositionBuilderBefore(b, point);
    LLVMInstructionRemoveFromParent(v);
    LLVMInsertIntoBuilder(b, v);
    LLVMDisposeBuilder(b);
    return true;
}

/* All loads of a group are made where its first load was, or, if the addresses are known there,
 * where the group before it was made: bringing loaded elements into lanes takes long, and the
 * processor works on the earlier group meanwhile. */
static void flush_loads(struct wide *w)
{
    LLVMValueRef before = NULL;
    for (uint32_t i = 0; i < w->strided_count; i++) {
        struct wide_strided *member[WIDE_MAX_STRIDED], head = w->strided[i];
        unsigned count = 0;
        if (!head.waits)
            continue;
        for (uint32_t k = i; k < w->strided_count; k++)
            if (w->strided[k].waits && strided_together(w, &head, &w->strided[k])) {
                member[count++] = &w->strided[k];
                join_group(&w->strided[k], &head);
            }
        LLVMPositionBuilderBefore(w->g->builder, head.mark);
        strided_prefetch(w, member, count);
        bool early = before && head.address.lanes && hoist(head.address.first, before, 16) &&
                     hoist(head.address.base, before, 16);
        LLVMPositionBuilderBefore(w->g->builder, early ? before : head.mark);
        before = head.mark;
        strided_load_group(w, member, count);
    }
}

/* Only stores that directly follow each other are joined: stores must not change their order. */
static void flush_stores(struct wide *w)
{
    for (uint32_t i = 0, count; i < w->strided_count; i += count) {
        struct wide_strided *s = &w->strided[i], head = *s;
        for (count = 1; i + count < w->strided_count && strided_together(w, &head, &s[count]);)
            join_group(&s[count++], &head);
        join_group(s, &head);
        strided_store_group(w, s, count);
    }
}

void wide_strided_flush(struct wide *w)
{
    if (!w->strided_count)
        return;
    LLVMBasicBlockRef here = LLVMGetInsertBlock(w->g->builder);
    if (w->strided_stores)
        flush_stores(w);
    else
        flush_loads(w);
    w->strided_count = 0;
    LLVMPositionBuilderAtEnd(w->g->builder, here);
}

bool wide_is_mark(LLVMValueRef v)
{
    size_t length;
    return LLVMIsAFreezeInst(v) && !strncmp(LLVMGetValueName2(v, &length), MARK, strlen(MARK));
}

void wide_strided_end(struct wide *w)
{
    for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(w->function); b;
            b = LLVMGetNextBasicBlock(b)) {
        for (LLVMValueRef in = LLVMGetFirstInstruction(b), next; in; in = next) {
            next = LLVMGetNextInstruction(in);
            if (!wide_is_mark(in))
                continue;
            LLVMReplaceAllUsesWith(in, LLVMGetOperand(in, 0));
            LLVMInstructionEraseFromParent(in);
        }
        cpu_spread_prefetches(w->g, b, UINT32_MAX);
    }
    wide_flatten(w);
}
