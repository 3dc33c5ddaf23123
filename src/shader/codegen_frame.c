/* shader: where values come back from a coroutine's frame. See codegen.h. Compiler process.
 *
 * LLVM loads what a block needs of the frame at the block's beginning. Where that is more than
 * there are registers (the sums of a matrix product), most of it would go on to the stack, to come
 * back when it is used; here each load goes to its first use. */
#include "shader/codegen.h"

#include <stdlib.h>
#include <string.h>

#define MANY 16u /* loads that a block can have without running out of registers */

/* A block's instructions, and which of them is the n-th. */
struct order {
    LLVMValueRef *in;
    uint32_t count, *slot, slots; /* slot: open hash of in[], index + 1 */
};

static uint32_t hash(LLVMValueRef v)
{
    return (uint32_t)(((uintptr_t)v >> 4) * 0x9e3779b1u);
}

static void close_order(struct order *o)
{
    free(o->in);
    free(o->slot);
    *o = (struct order){0};
}

static bool open_order(struct order *o, LLVMBasicBlockRef b)
{
    for (LLVMValueRef in = LLVMGetFirstInstruction(b); in; in = LLVMGetNextInstruction(in))
        o->count++;
    for (o->slots = 64; o->slots < 2 * o->count;)
        o->slots *= 2;
    o->in = calloc(o->count, sizeof *o->in);
    o->slot = calloc(o->slots, sizeof *o->slot);
    if (!o->in || !o->slot) {
        close_order(o);
        return false;
    }
    uint32_t n = 0;
    for (LLVMValueRef in = LLVMGetFirstInstruction(b); in; in = LLVMGetNextInstruction(in)) {
        uint32_t i = hash(in) & (o->slots - 1);
        while (o->slot[i])
            i = (i + 1) & (o->slots - 1);
        o->in[n++] = in;
        o->slot[i] = n;
    }
    return true;
}

/* count: it is not in this block */
static uint32_t place(const struct order *o, LLVMValueRef in)
{
    for (uint32_t i = hash(in) & (o->slots - 1); o->slot[i]; i = (i + 1) & (o->slots - 1))
        if (o->in[o->slot[i] - 1] == in)
            return o->slot[i] - 1;
    return o->count;
}

/* The offset in the frame that a load or store goes to; -1: elsewhere. */
static int64_t frame_offset(LLVMValueRef in, LLVMValueRef frame)
{
    LLVMValueRef at = LLVMIsALoadInst(in)    ? LLVMGetOperand(in, 0)
                      : LLVMIsAStoreInst(in) ? LLVMGetOperand(in, 1)
                                             : NULL;
    if (!at || !LLVMIsAGetElementPtrInst(at) || LLVMGetOperand(at, 0) != frame ||
            LLVMGetNumOperands(at) != 2 || !LLVMIsAConstantInt(LLVMGetOperand(at, 1)) ||
            LLVMABISizeOfType(LLVMGetModuleDataLayout(LLVMGetGlobalParent(
                                      LLVMGetBasicBlockParent(LLVMGetInstructionParent(in)))),
                    LLVMGetGEPSourceElementType(at)) != 1)
        return -1;
    return LLVMConstIntGetSExtValue(LLVMGetOperand(at, 1));
}

/* LLVM's name for a value that it keeps in the frame, which nobody else has the address of. */
static bool is_kept(LLVMValueRef load)
{
    size_t length;
    const char *name = LLVMGetValueName2(load, &length);
    return LLVMIsALoadInst(load) && strstr(name, ".reload") && !LLVMGetVolatile(load);
}

static bool stored_between(
        const struct order *o, LLVMValueRef frame, int64_t offset, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++)
        if (LLVMIsAStoreInst(o->in[i]) && frame_offset(o->in[i], frame) == offset)
            return true;
    return false;
}

static void sink(struct codegen *g, const struct order *o, LLVMValueRef frame, uint32_t from)
{
    LLVMValueRef load = o->in[from];
    uint32_t first = o->count;
    for (LLVMUseRef u = LLVMGetFirstUse(load); u; u = LLVMGetNextUse(u)) {
        LLVMValueRef user = LLVMGetUser(u);
        uint32_t at = LLVMIsAPHINode(user) ? o->count : place(o, user);
        first = at < first ? at : first;
    }
    if (first == o->count || stored_between(o, frame, frame_offset(load, frame), from, first))
        return;
    LLVMPositionBuilderBefore(g->builder, o->in[first]);
    LLVMInstructionRemoveFromParent(load);
    LLVMInsertIntoBuilderWithName(g->builder, load, "");
}

void codegen_load_late(struct codegen *g, LLVMValueRef function)
{
    LLVMValueRef frame = LLVMGetParam(function, 0);
    for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(function); b; b = LLVMGetNextBasicBlock(b)) {
        unsigned loads = 0;
        for (LLVMValueRef in = LLVMGetFirstInstruction(b); in; in = LLVMGetNextInstruction(in))
            loads += is_kept(in) && frame_offset(in, frame) >= 0;
        struct order o = {0};
        if (loads < MANY || !open_order(&o, b))
            continue;
        for (uint32_t i = 0; i < o.count; i++)
            if (is_kept(o.in[i]) && frame_offset(o.in[i], frame) >= 0)
                sink(g, &o, frame, i);
        close_order(&o);
    }
}
