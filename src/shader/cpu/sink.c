/* shader: loads and conversions of vectors of lanes go where their results are used. A program's
 * own order, which instructions are chosen in, has a row of them first and what is done with them
 * later; with sixteen registers, most of a row waits on the stack. Where they are used, they are
 * part of the instruction that uses them. Compiler process.
 *
 * What LLVM gets back from a coroutine's frame is loaded at a block's beginning, with the same end:
 * the sums of a matrix product are more than there are registers. Nobody else has the address of
 * what it keeps there, so such a load goes past stores, too. */
#include "shader/cpu/cpu.h"

#include <string.h>

#define MAX_USES 4u
#define MAX_STEPS 4000000u /* instructions passed over, in all */
#define MANY 16u           /* loads that a block can have without running out of registers */
#define MAX_KEPT 4096u
#define MAX_SPREAD 256u /* prefetches of a block that are moved */
/* So far apart those that were spread already are left: the instructions between them may have gone
 * since. */
#define SPREAD 8u

static bool is_prefetch(LLVMValueRef in)
{
    const char *name = codegen_callee(in);
    return name && !strncmp(name, "llvm.prefetch", 13);
}

bool cpu_writes(LLVMValueRef in)
{
    const char *name = codegen_callee(in);
    if (LLVMIsACallInst(in))
        return !name || (strncmp(name, "llvm.fma", 8) && !is_prefetch(in));
    LLVMOpcode op = LLVMGetInstructionOpcode(in);
    return op == LLVMStore || op == LLVMFence || op == LLVMAtomicRMW || op == LLVMAtomicCmpXchg ||
           (op == LLVMLoad && (LLVMGetVolatile(in) || LLVMGetOrdering(in)));
}

/* True when `user` comes behind `in`, in its block; for loads, before anything that writes. */
static bool leads_to(LLVMValueRef in, LLVMValueRef user, unsigned *steps)
{
    bool load = LLVMIsALoadInst(in);
    if (LLVMIsAPHINode(user) || LLVMGetInstructionParent(user) != LLVMGetInstructionParent(in))
        return false;
    for (LLVMValueRef i = LLVMGetNextInstruction(in); i; i = LLVMGetNextInstruction(i)) {
        if (i == user)
            return true;
        if (!*steps || (load && cpu_writes(i)))
            return false;
        --*steps;
    }
    return false;
}

static bool computes(LLVMValueRef user)
{
    const char *name = codegen_callee(user);
    LLVMOpcode op = LLVMGetInstructionOpcode(user);
    return op == LLVMFMul || op == LLVMFAdd || op == LLVMFPExt ||
           (name && !strncmp(name, "llvm.fma", 8));
}

static bool moves(struct codegen *g, LLVMValueRef in)
{
    switch (LLVMGetInstructionOpcode(in)) {
    case LLVMFPExt:
    case LLVMUIToFP:
    case LLVMSIToFP:
    case LLVMZExt:
    case LLVMSExt:
    case LLVMFMul:
        return true;
    case LLVMAnd:
    case LLVMLShr:
        return g->vector_bytes < 64 && LLVMIsAConstant(LLVMGetOperand(in, 1));
    case LLVMLoad:
        return !LLVMGetVolatile(in) && !LLVMGetOrdering(in);
    default:
        return false;
    }
}

static void move(LLVMBuilderRef b, LLVMValueRef in, LLVMValueRef user)
{
    LLVMPositionBuilderBefore(b, user);
    LLVMInstructionRemoveFromParent(in);
    LLVMInsertIntoBuilder(b, in);
}

/* The first user gets the instruction, others a copy of their own: only loads have others. */
static void sink(LLVMBuilderRef b, LLVMValueRef in, unsigned *steps)
{
    LLVMValueRef user[MAX_USES], first = NULL;
    unsigned count = 0;
    bool load = LLVMIsALoadInst(in);
    for (LLVMUseRef u = LLVMGetFirstUse(in); u; u = LLVMGetNextUse(u)) {
        LLVMValueRef x = LLVMGetUser(u);
        if (count == (load ? MAX_USES : 1) || (load && !computes(x)) || !leads_to(in, x, steps))
            return;
        user[count++] = x;
    }
    for (unsigned i = 0; i < count; i++)
        if (!first || leads_to(user[i], first, steps))
            first = user[i];
    for (unsigned i = 0; i < count; i++) {
        if (user[i] == first)
            continue;
        LLVMValueRef copy = LLVMInstructionClone(in);
        LLVMPositionBuilderBefore(b, user[i]);
        LLVMInsertIntoBuilder(b, copy);
        for (int k = 0; k < LLVMGetNumOperands(user[i]); k++)
            if (LLVMGetOperand(user[i], (unsigned)k) == in)
                LLVMSetOperand(user[i], (unsigned)k, copy);
    }
    if (first && LLVMGetNextInstruction(in) != first)
        move(b, in, first);
}

/* ---- what comes back from a coroutine's frame */

/* The offset in the frame that a load or store goes to; -1: elsewhere. */
static int64_t frame_offset(struct codegen *g, LLVMValueRef in, LLVMValueRef frame)
{
    LLVMValueRef at = LLVMIsALoadInst(in)    ? LLVMGetOperand(in, 0)
                      : LLVMIsAStoreInst(in) ? LLVMGetOperand(in, 1)
                                             : NULL;
    if (!at || !LLVMIsAGetElementPtrInst(at) || LLVMGetOperand(at, 0) != frame ||
            LLVMGetNumOperands(at) != 2 || !LLVMIsAConstantInt(LLVMGetOperand(at, 1)) ||
            LLVMABISizeOfType(g->layout, LLVMGetGEPSourceElementType(at)) != 1)
        return -1;
    return LLVMConstIntGetSExtValue(LLVMGetOperand(at, 1));
}

/* True for a load of what LLVM kept in the coroutine's frame, which is told by the name that LLVM
 * gives it. */
static bool is_kept(struct codegen *g, LLVMValueRef in, LLVMValueRef frame)
{
    size_t length;
    return LLVMIsALoadInst(in) && strstr(LLVMGetValueName2(in, &length), ".reload") &&
           !LLVMGetVolatile(in) && frame_offset(g, in, frame) >= 0;
}

static bool uses(LLVMValueRef user, LLVMValueRef in)
{
    for (int i = 0; i < LLVMGetNumOperands(user); i++)
        if (LLVMGetOperand(user, (unsigned)i) == in)
            return !LLVMIsAPHINode(user);
    return false;
}

/* Moves the load to its first user in the block, unless something else is stored at its place in
 * the frame before that. */
static void sink_kept(struct codegen *g, LLVMValueRef in, LLVMValueRef frame, unsigned *steps)
{
    int64_t offset = frame_offset(g, in, frame);
    for (LLVMValueRef i = LLVMGetNextInstruction(in); i && *steps; i = LLVMGetNextInstruction(i)) {
        --*steps;
        if (uses(i, in)) {
            move(g->builder, in, i);
            return;
        }
        if (LLVMIsAStoreInst(i) && frame_offset(g, i, frame) == offset)
            return;
    }
}

static void sink_all_kept(struct codegen *g, LLVMValueRef function)
{
    LLVMValueRef frame = LLVMGetParam(function, 0), kept[MAX_KEPT];
    unsigned steps = MAX_STEPS;
    for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(function); b; b = LLVMGetNextBasicBlock(b)) {
        unsigned count = 0;
        for (LLVMValueRef in = LLVMGetFirstInstruction(b); in; in = LLVMGetNextInstruction(in))
            if (count < MAX_KEPT && is_kept(g, in, frame))
                kept[count++] = in;
        for (unsigned i = 0; count >= MANY && i < count; i++)
            sink_kept(g, kept[i], frame, &steps);
    }
}

/* ---- what is fetched early */

static bool takes_time(LLVMValueRef in)
{
    return LLVMIsAStoreInst(in) || LLVMGetTypeKind(LLVMTypeOf(in)) == LLVMVectorTypeKind;
}

void cpu_spread_prefetches(struct codegen *g, LLVMBasicBlockRef block, uint32_t most_apart)
{
    LLVMValueRef wait[MAX_SPREAD], next;
    uint32_t count = 0, after = 0, first = 0, last = 0, since = 0;
    for (LLVMValueRef in = LLVMGetFirstInstruction(block); in; in = LLVMGetNextInstruction(in)) {
        count += is_prefetch(in);
        after += count && takes_time(in);
    }
    uint32_t apart = count && after / count < most_apart ? after / count : most_apart;
    for (LLVMValueRef in = LLVMGetFirstInstruction(block); in && count; in = next) {
        next = LLVMGetNextInstruction(in);
        if (is_prefetch(in) && last < MAX_SPREAD) {
            LLVMInstructionRemoveFromParent(in);
            wait[last++] = in;
            continue;
        }
        LLVMPositionBuilderBefore(g->builder, in);
        while (first < last && (since >= apart || LLVMIsATerminatorInst(in))) {
            LLVMInsertIntoBuilder(g->builder, wait[first++]);
            since = 0;
        }
        since += takes_time(in);
    }
}

void cpu_sink(struct codegen *g)
{
    LLVMBuilderRef b = LLVMCreateBuilderInContext(g->context);
    LLVMValueRef resume = LLVMGetNamedFunction(g->module, "abx_entry.resume");
    unsigned steps = MAX_STEPS;
    if (resume)
        sink_all_kept(g, resume);
    for (LLVMValueRef f = LLVMGetFirstFunction(g->module); f; f = LLVMGetNextFunction(f))
        for (LLVMBasicBlockRef block = LLVMGetFirstBasicBlock(f); block;
                block = LLVMGetNextBasicBlock(block)) {
            for (LLVMValueRef in = LLVMGetLastInstruction(block), before; in; in = before) {
                before = LLVMGetPreviousInstruction(in);
                if (moves(g, in) && LLVMGetTypeKind(LLVMTypeOf(in)) == LLVMVectorTypeKind)
                    sink(b, in, &steps);
            }
            cpu_spread_prefetches(g, block, SPREAD);
        }
    LLVMDisposeBuilder(b);
}
