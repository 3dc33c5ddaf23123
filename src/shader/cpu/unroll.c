/* shader: loops that index private arrays are unrolled, so that the arrays become registers.
 * Compiler process. */
#include "shader/cpu/cpu.h"

#include <llvm-c/DebugInfo.h>
#include <stdlib.h>
#include <string.h>

/* What unrolling may make of one loop, in instructions. */
#define UNROLLED 4000u

/* Elements of the private array that `pointer` leads into at a place known only at run time. */
static uint64_t indexed_length(struct codegen *g, LLVMValueRef pointer)
{
    bool varies = false;
    for (; LLVMIsAGetElementPtrInst(pointer); pointer = LLVMGetOperand(pointer, 0))
        for (int i = 1; i < LLVMGetNumOperands(pointer); i++)
            varies |= !LLVMIsAConstant(LLVMGetOperand(pointer, (unsigned)i));
    if (!varies || !LLVMIsAAllocaInst(pointer))
        return 0;
    return LLVMABISizeOfType(g->layout, LLVMGetAllocatedType(pointer)) / 4;
}

static void ask_to_unroll(struct codegen *g, LLVMValueRef branch)
{
    unsigned kind = LLVMGetMDKindIDInContext(g->context, "llvm.loop", 9);
    if (LLVMGetMetadata(branch, kind))
        return; /* the program has its own wish */
    LLVMMetadataRef full = LLVMMDStringInContext2(g->context, "llvm.loop.unroll.full", 21);
    LLVMMetadataRef self = LLVMTemporaryMDNode(g->context, NULL, 0);
    LLVMMetadataRef wish[2] = {self, LLVMMDNodeInContext2(g->context, &full, 1)};
    LLVMMetadataRef id = LLVMMDNodeInContext2(g->context, wish, 2);
    LLVMMetadataReplaceAllUsesWith(self, id);
    LLVMSetMetadata(branch, kind, LLVMMetadataAsValue(g->context, id));
}

/* A function's blocks, sorted by address to find their numbers. */
struct blocks {
    LLVMBasicBlockRef *block;
    bool *in; /* the loop that is looked at */
    LLVMBasicBlockRef *stack;
    size_t count;
};

static int by_address(const void *a, const void *b)
{
    uintptr_t x = *(const uintptr_t *)a, y = *(const uintptr_t *)b;
    return (x > y) - (x < y);
}

static bool list_blocks(LLVMValueRef function, struct blocks *ret)
{
    size_t n = LLVMCountBasicBlocks(function);
    *ret = (struct blocks){.block = calloc(n, sizeof *ret->block),
            .in = calloc(n, sizeof *ret->in),
            .stack = calloc(n, sizeof *ret->stack),
            .count = n};
    if (!ret->block || !ret->in || !ret->stack)
        return false;
    LLVMGetBasicBlocks(function, ret->block);
    qsort(ret->block, n, sizeof *ret->block, by_address);
    return true;
}

/* Notes the block as one of the loop's; false when it was before. */
static bool enter(struct blocks *l, LLVMBasicBlockRef b)
{
    LLVMBasicBlockRef *at = bsearch(&b, l->block, l->count, sizeof *l->block, by_address);
    bool *in = &l->in[at - l->block], was = *in;
    *in = true;
    return !was;
}

/* Fills in[] with the natural loop of the branch from `latch` back to `header`: what reaches the
 * latch without it. False when the branch does not close a loop that begins there. */
static bool find_loop(struct blocks *l, LLVMBasicBlockRef header, LLVMBasicBlockRef latch)
{
    size_t top = 0;
    memset(l->in, 0, l->count * sizeof *l->in);
    enter(l, header);
    if (enter(l, latch))
        l->stack[top++] = latch;
    while (top) {
        LLVMBasicBlockRef b = l->stack[--top];
        bool reached = false;
        for (LLVMUseRef u = LLVMGetFirstUse(LLVMBasicBlockAsValue(b)); u; u = LLVMGetNextUse(u)) {
            LLVMValueRef from = LLVMGetUser(u);
            if (!LLVMIsATerminatorInst(from))
                continue;
            reached = true;
            if (enter(l, LLVMGetInstructionParent(from)))
                l->stack[top++] = LLVMGetInstructionParent(from);
        }
        if (!reached)
            return false; /* the entry */
    }
    return true;
}

/* The longest array that is indexed in the loop, 0 if unrolling for it is too much. */
static uint64_t longest_indexed(struct codegen *g, const struct blocks *l)
{
    uint64_t size = 0, length = 0;
    for (size_t k = 0; k < l->count; k++)
        for (LLVMValueRef in = l->in[k] ? LLVMGetFirstInstruction(l->block[k]) : NULL; in;
                in = LLVMGetNextInstruction(in)) {
            uint64_t n = 0;
            size++;
            if (LLVMIsALoadInst(in) || LLVMIsAStoreInst(in))
                n = indexed_length(g, LLVMGetOperand(in, LLVMIsAStoreInst(in) ? 1 : 0));
            length = n > length ? n : length;
        }
    return size * length <= UNROLLED ? length : 0;
}

void cpu_unroll_private(struct codegen *g, LLVMValueRef function)
{
    struct blocks l;
    bool ok = list_blocks(function, &l);
    for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(function); b && ok;
            b = LLVMGetNextBasicBlock(b))
        for (LLVMUseRef u = LLVMGetFirstUse(LLVMBasicBlockAsValue(b)); u; u = LLVMGetNextUse(u)) {
            LLVMValueRef from = LLVMGetUser(u);
            if (LLVMIsABranchInst(from) && find_loop(&l, b, LLVMGetInstructionParent(from)) &&
                    longest_indexed(g, &l))
                ask_to_unroll(g, from);
        }
    free(l.block);
    free(l.in);
    free(l.stack);
}
