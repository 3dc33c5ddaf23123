/* shader: loops in which a thread waits for another through memory. Compiler process.
 *
 * On a GPU the SIMD-groups of a threadgroup, and a number of threadgroups, run side by side, so
 * such a loop ends. Here one thread of the processor may have them all: it must leave the loop now
 * and then (a call of __abx_yield at the end of each turn) and let the others go on. Kernels
 * without such loops pay nothing.
 *
 * A loop waits when what lets a thread out is read from memory that others write, from one place:
 * an atomic or volatile load, or an atomic operation that would not move that memory on by itself.
 * So a loop that repeats compare-exchange with a new value each time, takes numbers from a counter,
 * or walks a table, does not wait. */
#include "shader/cpu/cpu.h"

#include <stdlib.h>
#include <string.h>

#define MAX_DEPTH 24u    /* operations between an exit's condition and what it is computed from */
#define MAX_STEPS 4096u  /* looked at for one loop */
#define MAX_BLOCKS 8192u /* larger kernels are left as they are */

struct spin {
    struct codegen *g;
    LLVMBasicBlockRef *block;
    uint32_t *mark, *stack; /* mark: 1 + the loop being looked at, for each block in it */
    uint32_t *state;        /* depth first: 0 not seen, 1 on the way, 2 done */
    uint32_t count, steps, loop;
};

static uint32_t index_of(const struct spin *s, LLVMBasicBlockRef b)
{
    uint32_t low = 0, high = s->count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if ((uintptr_t)s->block[middle] < (uintptr_t)b)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int compare(const void *a, const void *b)
{
    uintptr_t x = (uintptr_t)*(const LLVMBasicBlockRef *)a;
    uintptr_t y = (uintptr_t)*(const LLVMBasicBlockRef *)b;
    return x < y ? -1 : x > y;
}

static bool inside(const struct spin *s, LLVMValueRef in)
{
    return s->mark[index_of(s, LLVMGetInstructionParent(in))] == s->loop + 1;
}

/* A load of memory that other threads may write meanwhile. */
static bool is_shared_load(LLVMValueRef v)
{
    return LLVMGetInstructionOpcode(v) == LLVMLoad &&
           (LLVMGetVolatile(v) || LLVMGetOrdering(v) != LLVMAtomicOrderingNotAtomic);
}

/* The same in every turn. What plain loads read counts as that: addresses come from there. */
static bool is_steady(struct spin *s, LLVMValueRef v, unsigned depth)
{
    if (!LLVMIsAInstruction(v) || !inside(s, v))
        return true;
    if (depth == 0 || ++s->steps > MAX_STEPS || LLVMIsAPHINode(v) || LLVMIsAAllocaInst(v))
        return false;
    LLVMOpcode op = LLVMGetInstructionOpcode(v);
    if (op == LLVMAtomicRMW || op == LLVMAtomicCmpXchg || is_shared_load(v))
        return false;
    const char *name = codegen_callee(v);
    if (op == LLVMCall && (!name || (strncmp(name, "__abx_b", 7) && strncmp(name, "llvm.", 5))))
        return false;
    for (int i = 0; i < LLVMGetNumOperands(v); i++)
        if (!is_steady(s, LLVMGetOperand(v, (unsigned)i), depth - 1))
            return false;
    return true;
}

/* An operation that leaves memory as it is when it is repeated, as a lock's does. */
static bool repeats(struct spin *s, LLVMValueRef v)
{
    LLVMValueRef operand = LLVMGetOperand(v, 1);
    if (!is_steady(s, LLVMGetOperand(v, 0), MAX_DEPTH) || !is_steady(s, operand, MAX_DEPTH))
        return false;
    if (LLVMGetInstructionOpcode(v) == LLVMAtomicCmpXchg)
        return is_steady(s, LLVMGetOperand(v, 2), MAX_DEPTH);
    switch (LLVMGetAtomicRMWBinOp(v)) {
    case LLVMAtomicRMWBinOpAdd:
    case LLVMAtomicRMWBinOpSub:
    case LLVMAtomicRMWBinOpFAdd:
    case LLVMAtomicRMWBinOpFSub:
        return LLVMIsConstant(operand) && LLVMIsNull(operand);
    default:
        return true;
    }
}

static bool reads_others(struct spin *s, LLVMValueRef v)
{
    LLVMOpcode op = LLVMGetInstructionOpcode(v);
    if (op == LLVMLoad)
        return is_shared_load(v) && is_steady(s, LLVMGetOperand(v, 0), MAX_DEPTH);
    return (op == LLVMAtomicRMW || op == LLVMAtomicCmpXchg) && repeats(s, v);
}

/* When `v` compares the value that a compare-exchange found with the one that it expected: that
 * compare-exchange. */
static LLVMValueRef success_of(LLVMValueRef v)
{
    if (LLVMGetInstructionOpcode(v) != LLVMICmp)
        return NULL;
    for (unsigned i = 0; i < 2; i++) {
        LLVMValueRef found = LLVMGetOperand(v, i);
        if (!LLVMIsAExtractValueInst(found))
            continue;
        LLVMValueRef exchange = LLVMGetOperand(found, 0);
        if (LLVMIsAAtomicCmpXchgInst(exchange) &&
                LLVMGetOperand(exchange, 1) == LLVMGetOperand(v, 1 - i))
            return exchange;
    }
    return NULL;
}

/* True when `v`, an exit's condition, is computed from such a read in the same turn. */
static bool depends(struct spin *s, LLVMValueRef v, unsigned depth)
{
    if (!LLVMIsAInstruction(v) || !inside(s, v) || depth == 0 || ++s->steps > MAX_STEPS)
        return false;
    if (reads_others(s, v))
        return true;
    LLVMOpcode op = LLVMGetInstructionOpcode(v);
    if (op == LLVMLoad || op == LLVMAtomicRMW || op == LLVMAtomicCmpXchg)
        return false;
    LLVMValueRef exchange = success_of(v);
    if (exchange)
        return inside(s, exchange) && reads_others(s, exchange);
    for (int i = 0; i < LLVMGetNumOperands(v); i++)
        if (depends(s, LLVMGetOperand(v, (unsigned)i), depth - 1))
            return true;
    return false;
}

static bool waits(struct spin *s)
{
    s->steps = 0;
    for (uint32_t i = 0; i < s->count; i++) {
        LLVMValueRef end = LLVMGetBasicBlockTerminator(s->block[i]);
        if (s->mark[i] != s->loop + 1)
            continue;
        bool leaves = false;
        for (unsigned k = 0; k < LLVMGetNumSuccessors(end); k++)
            leaves |= s->mark[index_of(s, LLVMGetSuccessor(end, k))] != s->loop + 1;
        bool asks = LLVMIsASwitchInst(end) || (LLVMIsABranchInst(end) && LLVMIsConditional(end));
        if (leaves && asks && depends(s, LLVMGetOperand(end, 0), MAX_DEPTH))
            return true;
    }
    return false;
}

/* Marks the blocks from which `latch` is reached without passing `header`. */
static void mark_loop(struct spin *s, uint32_t header, uint32_t latch)
{
    uint32_t depth = 0;
    s->mark[header] = s->loop + 1;
    if (s->mark[latch] != s->loop + 1) {
        s->mark[latch] = s->loop + 1;
        s->stack[depth++] = latch;
    }
    while (depth) {
        LLVMValueRef b = LLVMBasicBlockAsValue(s->block[s->stack[--depth]]);
        for (LLVMUseRef u = LLVMGetFirstUse(b); u; u = LLVMGetNextUse(u)) {
            LLVMValueRef user = LLVMGetUser(u);
            if (!LLVMIsATerminatorInst(user))
                continue;
            uint32_t from = index_of(s, LLVMGetInstructionParent(user));
            if (s->mark[from] != s->loop + 1) {
                s->mark[from] = s->loop + 1;
                s->stack[depth++] = from;
            }
        }
    }
}

static void yield_in(struct spin *s, uint32_t latch)
{
    struct codegen *g = s->g;
    LLVMTypeRef type = LLVMFunctionType(LLVMVoidTypeInContext(g->context), NULL, 0, 0);
    LLVMPositionBuilderBefore(g->builder, LLVMGetBasicBlockTerminator(s->block[latch]));
    LLVMBuildCall2(g->builder, type, codegen_declare(g, "__abx_yield", type), NULL, 0, "");
    g->yields = true;
}

/* An edge back to a block that is on the way there closes a loop. */
static void edge(struct spin *s, uint32_t from, uint32_t to)
{
    mark_loop(s, to, from);
    if (waits(s))
        yield_in(s, from);
    s->loop++;
}

static bool has_waiting_memory(LLVMValueRef kernel)
{
    for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(kernel); b; b = LLVMGetNextBasicBlock(b))
        for (LLVMValueRef in = LLVMGetFirstInstruction(b); in; in = LLVMGetNextInstruction(in)) {
            LLVMOpcode op = LLVMGetInstructionOpcode(in);
            if (op == LLVMAtomicRMW || op == LLVMAtomicCmpXchg || is_shared_load(in))
                return true;
        }
    return false;
}

/* Depth first, without recursion; way: the blocks on the way, next: the successor to look at. */
static void search(struct spin *s, uint32_t *way, uint32_t *next)
{
    uint32_t depth = 1;
    way[0] = index_of(s, LLVMGetEntryBasicBlock(s->g->kernel));
    s->state[way[0]] = 1;
    while (depth) {
        uint32_t b = way[depth - 1];
        LLVMValueRef end = LLVMGetBasicBlockTerminator(s->block[b]);
        if (next[b] == LLVMGetNumSuccessors(end)) {
            s->state[b] = 2;
            depth--;
            continue;
        }
        uint32_t to = index_of(s, LLVMGetSuccessor(end, next[b]++));
        if (s->state[to] == 1)
            edge(s, b, to);
        else if (!s->state[to]) {
            s->state[to] = 1;
            way[depth++] = to;
        }
    }
}

int cpu_find_spins(struct codegen *g)
{
    uint32_t count = LLVMCountBasicBlocks(g->kernel);
    if (count > MAX_BLOCKS || !has_waiting_memory(g->kernel))
        return 0;
    struct spin s = {.g = g, .count = count};
    uint32_t *memory = calloc(5 * (size_t)count + 1, sizeof *memory);
    s.block = calloc(count, sizeof *s.block);
    if (!memory || !s.block) {
        free(memory);
        free(s.block);
        return -ENOMEM;
    }
    LLVMGetBasicBlocks(g->kernel, s.block);
    qsort(s.block, count, sizeof *s.block, compare);
    s.mark = memory;
    s.stack = memory + count;
    s.state = memory + 2 * (size_t)count;
    search(&s, memory + 3 * (size_t)count, memory + 4 * (size_t)count);
    free(memory);
    free(s.block);
    return 0;
}
