/* shader: where in a kernel all lanes of a SIMD-group are together, for NVPTX. Compiler process;
 * the function is the guest's.
 *
 * A block is `divergent` when some lanes may run it without the others: it lies between a branch
 * on a value that differs from lane to lane and the block where all of that branch's ways meet
 * (its immediate post-dominator). Values differ when they come from the lane's number, private
 * memory, atomics, other such values, or from where such ways meet. Whatever is not understood
 * counts as divergent, which is slower and still right. */
#include "shader/codegen/graph.h"
#include "shader/nvptx/nvptx.h"

#include <stdlib.h>
#include <string.h>

/* A kernel with more, or with a part that never ends, is taken to be divergent everywhere. */
#define MAX_BLOCKS 4096u

struct flow {
    struct codegen_graph *graph;
    uint32_t count, words;
    LLVMBasicBlockRef *block;
    uint32_t (*successor)[2];   /* ~0: none. Switches are lowered before. */
    bool *divergent, *branched; /* blocks; blocks whose branch has been followed */
    uint32_t *number;           /* hash of block addresses: index + 1 */
    uint64_t *region;           /* [words], scratch */
    /* divergent values: a set of addresses */
    LLVMValueRef *set;
    size_t set_count, set_capacity;
    bool changed, failed;
};

/* ---- the set of divergent values */

static size_t hash(const void *key, size_t capacity)
{
    return (size_t)(((uintptr_t)key >> 4) * 0x9e3779b97f4a7c15ull >> 20) & (capacity - 1);
}

static size_t place(const struct flow *f, LLVMValueRef v)
{
    size_t i = hash(v, f->set_capacity);
    while (f->set[i] && f->set[i] != v)
        i = (i + 1) & (f->set_capacity - 1);
    return i;
}

static bool differs(const struct flow *f, LLVMValueRef v)
{
    return f->set[place(f, v)] != NULL;
}

static void add(struct flow *f, LLVMValueRef v)
{
    size_t i = place(f, v);
    if (f->set[i])
        return;
    f->set[i] = v; /* sized for every instruction */
    f->changed = true;
}

/* ---- graph */

#define NUMBERS (2 * MAX_BLOCKS)

static uint32_t block_index(const struct flow *f, LLVMBasicBlockRef b)
{
    size_t i = hash(b, NUMBERS);
    while (f->number[i] && f->block[f->number[i] - 1] != b)
        i = (i + 1) & (NUMBERS - 1);
    return f->number[i] - 1;
}

static void number_blocks(struct flow *f)
{
    for (uint32_t b = 0; b < f->count; b++) {
        size_t i = hash(f->block[b], NUMBERS);
        while (f->number[i])
            i = (i + 1) & (NUMBERS - 1);
        f->number[i] = b + 1;
    }
}

static bool collect(struct flow *f, LLVMValueRef function)
{
    size_t values = 0;
    f->count = LLVMCountBasicBlocks(function);
    f->words = (f->count + 63) / 64;
    if (f->count > MAX_BLOCKS)
        return false;
    f->block = calloc(f->count, sizeof *f->block);
    f->successor = calloc(f->count, sizeof *f->successor);
    f->divergent = calloc(f->count, sizeof *f->divergent);
    f->branched = calloc(f->count, sizeof *f->branched);
    f->number = calloc(NUMBERS, sizeof *f->number);
    f->region = calloc(f->words, sizeof *f->region);
    if (!f->block || !f->successor || !f->divergent || !f->branched || !f->number || !f->region)
        return false;
    LLVMGetBasicBlocks(function, f->block);
    number_blocks(f);
    for (uint32_t i = 0; i < f->count; i++) {
        LLVMValueRef t = LLVMGetBasicBlockTerminator(f->block[i]);
        unsigned n = LLVMGetNumSuccessors(t);
        if (n > 2)
            return false;
        for (unsigned s = 0; s < 2; s++)
            f->successor[i][s] = s < n ? block_index(f, LLVMGetSuccessor(t, s)) : ~0u;
        for (LLVMValueRef in = LLVMGetFirstInstruction(f->block[i]); in;
                in = LLVMGetNextInstruction(in))
            values++;
    }
    for (f->set_capacity = 1024; f->set_capacity < values * 2;)
        f->set_capacity *= 2;
    f->set = calloc(f->set_capacity, sizeof *f->set);
    return f->set != NULL;
}

static bool has(const uint64_t *set, uint32_t i)
{
    return set[i / 64] >> (i % 64) & 1;
}

static void put(uint64_t *set, uint32_t i)
{
    set[i / 64] |= 1ull << (i % 64);
}

/* Where all ways from b meet; ~0: nowhere. */
static uint32_t meeting(const struct flow *f, uint32_t b)
{
    LLVMBasicBlockRef at = codegen_graph_post_dominator(f->graph, f->block[b]);
    return at ? block_index(f, at) : ~0u;
}

/* ---- divergence */

static void walk(struct flow *f, uint32_t b, uint32_t stop)
{
    static const uint32_t none = ~0u;
    uint32_t *stack = calloc(f->count, sizeof *stack), top = 0;
    if (!stack) {
        f->failed = true;
        return;
    }
    stack[top++] = b;
    while (top) {
        uint32_t at = stack[--top];
        for (unsigned s = 0; s < 2; s++) {
            uint32_t to = f->successor[at][s];
            if (to == none || to == stop || has(f->region, to))
                continue;
            put(f->region, to);
            stack[top++] = to;
        }
    }
    free(stack);
}

static void mark_phis(struct flow *f, uint32_t b)
{
    for (LLVMValueRef in = LLVMGetFirstInstruction(f->block[b]); in && LLVMIsAPHINode(in);
            in = LLVMGetNextInstruction(in))
        add(f, in);
}

/* Where the lanes that parted at b meet again: what differs is what their ways bring differently.
 * Other ways that lead there are taken by all lanes or by none. */
static void mark_meeting(struct flow *f, uint32_t b, uint32_t stop)
{
    for (LLVMValueRef in = LLVMGetFirstInstruction(f->block[stop]); in && LLVMIsAPHINode(in);
            in = LLVMGetNextInstruction(in)) {
        LLVMValueRef brought = NULL;
        for (unsigned i = 0; i < LLVMCountIncoming(in); i++) {
            uint32_t from = block_index(f, LLVMGetIncomingBlock(in, i));
            LLVMValueRef v = LLVMGetIncomingValue(in, i);
            if (from != ~0u && from != b && !has(f->region, from))
                continue;
            if (from == ~0u || (brought && brought != v)) {
                add(f, in);
                break;
            }
            brought = v;
        }
    }
}

/* When lanes leave a loop in different turns, a value computed in it differs between them outside
 * of it, even if it is the same in all lanes of a turn. */
static void mark_leaving(struct flow *f, uint32_t b)
{
    for (LLVMValueRef in = LLVMGetFirstInstruction(f->block[b]); in;
            in = LLVMGetNextInstruction(in))
        for (LLVMUseRef u = LLVMGetFirstUse(in); u; u = LLVMGetNextUse(u)) {
            uint32_t user = block_index(f, LLVMGetInstructionParent(LLVMGetUser(u)));
            if (user != ~0u && !has(f->region, user)) {
                add(f, in);
                break;
            }
        }
}

/* Lanes part at b's branch: marks what lies between it and where they meet. */
static void mark_region(struct flow *f, uint32_t b)
{
    uint32_t stop = meeting(f, b);
    memset(f->region, 0, 8ul * f->words);
    walk(f, b, stop);
    bool loop = has(f->region, b);
    for (uint32_t i = 0; i < f->count; i++) {
        if (!has(f->region, i))
            continue;
        f->changed |= !f->divergent[i];
        f->divergent[i] = true;
        mark_phis(f, i);
        if (loop)
            mark_leaving(f, i);
    }
    if (stop != ~0u)
        mark_meeting(f, b, stop);
}

static bool is_private(LLVMValueRef pointer)
{
    for (;;) {
        if (LLVMIsAAllocaInst(pointer))
            return true;
        if (LLVMIsAGetElementPtrInst(pointer) || LLVMIsABitCastInst(pointer) ||
                LLVMIsAAddrSpaceCastInst(pointer))
            pointer = LLVMGetOperand(pointer, 0);
        else
            return false;
    }
}

static bool operands_differ(const struct flow *f, LLVMValueRef in)
{
    int n = LLVMGetNumOperands(in);
    for (int i = 0; i < n; i++) {
        LLVMValueRef o = LLVMGetOperand(in, (unsigned)i);
        if (o && LLVMIsAInstruction(o) && differs(f, o))
            return true;
    }
    return false;
}

static bool builtin_differs(LLVMValueRef in)
{
    LLVMValueRef which = LLVMGetOperand(in, 0);
    switch (LLVMIsAConstantInt(which) ? LLVMConstIntGetZExtValue(which) / 4 : ABX_BUILTIN_LANE) {
    case ABX_BUILTIN_THREAD_IN_GRID:
    case ABX_BUILTIN_THREAD_IN_GROUP:
    case ABX_BUILTIN_THREAD_INDEX:
    case ABX_BUILTIN_LANE:
    case ABX_BUILTIN_QUAD_LANE:
    case ABX_BUILTIN_QUADGROUP:
        return true;
    default:
        return false;
    }
}

static bool simd_differs(const struct flow *f, LLVMValueRef in, uint32_t block)
{
    LLVMValueRef which = LLVMGetOperand(in, 0);
    uint64_t op = LLVMIsAConstantInt(which) ? LLVMConstIntGetZExtValue(which) : ABX_SIMD_QUAD;
    if (f->divergent[block] || op & ABX_SIMD_QUAD)
        return true;
    switch (op & ABX_SIMD_OP_MASK) {
    case ABX_SIMD_SHUFFLE:
        return differs(f, LLVMGetOperand(in, 2));
    case ABX_SIMD_SCAN_ADD:
    case ABX_SIMD_SCAN_MUL:
    case ABX_SIMD_XSCAN_ADD:
    case ABX_SIMD_XSCAN_MUL:
        return true;
    default:
        return false;
    }
}

/* thread_index_in_threadgroup / 32, the program's own simdgroup_index. */
static bool is_group_number(LLVMValueRef in)
{
    LLVMOpcode op = LLVMGetInstructionOpcode(in);
    if (op != LLVMLShr && op != LLVMUDiv)
        return false;
    LLVMValueRef index = LLVMGetOperand(in, 0), by = LLVMGetOperand(in, 1);
    while (LLVMIsAZExtInst(index) || LLVMIsATruncInst(index))
        index = LLVMGetOperand(index, 0);
    if (!codegen_is_call(index, "__abx_builtin") || !LLVMIsAConstantInt(by) ||
            !LLVMIsAConstantInt(LLVMGetOperand(index, 0)) ||
            LLVMConstIntGetZExtValue(LLVMGetOperand(index, 0)) != ABX_BUILTIN_THREAD_INDEX * 4)
        return false;
    uint64_t n = LLVMConstIntGetZExtValue(by);
    return op == LLVMLShr ? n >= 5 : n > 0 && n % 32 == 0;
}

static bool instruction_differs(const struct flow *f, LLVMValueRef in, uint32_t block)
{
    LLVMOpcode op = LLVMGetInstructionOpcode(in);
    if (op == LLVMAtomicRMW || op == LLVMAtomicCmpXchg || op == LLVMAlloca)
        return true;
    if (op == LLVMLoad && (is_private(LLVMGetOperand(in, 0)) || LLVMGetVolatile(in) ||
                                  LLVMGetOrdering(in) != LLVMAtomicOrderingNotAtomic))
        return true;
    if (codegen_is_call(in, "__abx_builtin"))
        return builtin_differs(in);
    if (codegen_is_call(in, "__abx_simd"))
        return simd_differs(f, in, block);
    return !is_group_number(in) && operands_differ(f, in);
}

static void analyse(struct flow *f)
{
    for (f->changed = true; f->changed && !f->failed;) {
        f->changed = false;
        for (uint32_t b = 0; b < f->count; b++) {
            for (LLVMValueRef in = LLVMGetFirstInstruction(f->block[b]); in;
                    in = LLVMGetNextInstruction(in))
                if (!differs(f, in) && instruction_differs(f, in, b))
                    add(f, in);
            LLVMValueRef t = LLVMGetBasicBlockTerminator(f->block[b]);
            if (f->successor[b][1] != ~0u && !f->branched[b] && differs(f, t)) {
                f->branched[b] = true;
                mark_region(f, b);
            }
        }
    }
}

static bool divergent_at(const struct flow *f, uint32_t b)
{
    return f->failed || f->divergent[b];
}

int nvptx_flow(struct codegen *g, nvptx_visit *visit)
{
    struct flow f = {.graph = codegen_graph_create(g->kernel)};
    bool known = codegen_graph_ends(f.graph) && collect(&f, g->kernel);
    if (known)
        analyse(&f);
    codegen_graph_destroy(f.graph);
    for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(g->kernel); b; b = LLVMGetNextBasicBlock(b)) {
        bool uniform = known && !divergent_at(&f, block_index(&f, b));
        for (LLVMValueRef in = LLVMGetFirstInstruction(b); in;) {
            LLVMValueRef next = LLVMGetNextInstruction(in);
            visit(g, in, uniform);
            in = next;
        }
    }
    free(f.block), free(f.successor), free(f.divergent), free(f.branched);
    free(f.number), free(f.region), free(f.set);
    return 0;
}
