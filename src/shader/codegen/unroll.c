/* shader: loops that index private arrays are unrolled, so that the arrays become registers.
 * Compiler process. */
#include "shader/codegen/codegen.h"
#include "shader/codegen/graph.h"

#include <llvm-c/DebugInfo.h>
#include <stdlib.h>

/* What unrolling may make of one loop, in instructions: alone, and with the loops in it unrolled
 * before. LLVM looks at each by itself, and a loop in a loop in a loop becomes the product. Where
 * that would be much altogether each may have less. */
#define UNROLLED 4000u
#define GROWN 16000u
#define GROWN_OF_MANY 6000u
#define OF_ITSELF 300u /* what LLVM unrolls without being asked */

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

struct loop {
    LLVMBasicBlockRef header;
    uint64_t size;   /* instructions of a turn, of which inner loops may have become many */
    uint64_t plain;  /* as the loop stands */
    uint64_t length; /* of the longest array that is indexed */
    uint64_t turns;  /* of it that will stand side by side */
    uint32_t depth;
    bool asked; /* LLVM is to be asked for them */
};

struct block {
    LLVMBasicBlockRef b;
    uint64_t size, length, times; /* how often it stands there once loops are unrolled */
};

struct loops {
    struct codegen *g;
    struct codegen_graph *graph;
    struct codegen_turns *turns;
    struct loop *loop; /* by header */
    struct block *block;
    uint32_t count, blocks, deepest;
    uint64_t most; /* that a loop may become */
};

static struct loop *loop_with(const struct loops *l, LLVMBasicBlockRef header)
{
    struct loop key = {.header = header};
    return bsearch(&key, l->loop, l->count, sizeof key, codegen_compare_pointers);
}

/* The loop around b that is so deep; NULL: none. */
static struct loop *loop_around(const struct loops *l, LLVMBasicBlockRef b, uint32_t depth)
{
    LLVMBasicBlockRef header = codegen_graph_loop(l->graph, b);
    for (; header; header = codegen_graph_outer(l->graph, header)) {
        struct loop *loop = loop_with(l, header);
        if (loop->depth <= depth)
            return loop->depth == depth ? loop : NULL;
    }
    return NULL;
}

static void measure_block(struct loops *l, LLVMBasicBlockRef b)
{
    struct block *to = &l->block[l->blocks++];
    *to = (struct block){.b = b, .times = 1};
    for (LLVMValueRef in = LLVMGetFirstInstruction(b); in; in = LLVMGetNextInstruction(in)) {
        uint64_t n = 0;
        to->size++;
        if (LLVMIsALoadInst(in) || LLVMIsAStoreInst(in))
            n = indexed_length(l->g, LLVMGetOperand(in, LLVMIsAStoreInst(in) ? 1 : 0));
        to->length = n > to->length ? n : to->length;
    }
    if (codegen_graph_loop(l->graph, b) != b)
        return;
    struct loop *loop = &l->loop[l->count++];
    *loop = (struct loop){.header = b};
    for (LLVMBasicBlockRef h = b; h; h = codegen_graph_outer(l->graph, h))
        loop->depth++;
    l->deepest = loop->depth > l->deepest ? loop->depth : l->deepest;
}

/* How many turns of it will stand side by side: asked for here, or by LLVM's own choice. */
static void decide(const struct loops *l, struct loop *loop)
{
    uint64_t turns = codegen_turns_of(l->turns, l->graph, loop->header);
    uint64_t grown = turns * loop->size;
    loop->asked = loop->length && loop->plain * loop->length <= UNROLLED && grown <= l->most &&
                  codegen_graph_latch(l->graph, loop->header);
    loop->turns = turns && (loop->asked || grown <= OF_ITSELF) ? turns : 1;
}

/* Once what is in them is decided. */
static void decide_at(struct loops *l, uint32_t depth)
{
    for (uint32_t i = 0; i < l->blocks; i++) {
        const struct block *b = &l->block[i];
        struct loop *loop = loop_around(l, b->b, depth);
        if (!loop)
            continue;
        loop->plain += b->size;
        loop->size += b->size * b->times;
        loop->length = b->length > loop->length ? b->length : loop->length;
    }
    for (uint32_t i = 0; i < l->count; i++)
        if (l->loop[i].depth == depth)
            decide(l, &l->loop[i]);
    for (uint32_t i = 0; i < l->blocks; i++) {
        const struct loop *loop = loop_around(l, l->block[i].b, depth);
        if (loop)
            l->block[i].times *= loop->turns;
    }
}

/* The instructions that the function will have. */
static uint64_t decide_all(struct loops *l, uint64_t most)
{
    uint64_t size = 0;
    l->most = most;
    for (uint32_t i = 0; i < l->blocks; i++)
        l->block[i].times = 1;
    for (uint32_t i = 0; i < l->count; i++)
        l->loop[i].plain = l->loop[i].size = l->loop[i].length = 0;
    for (uint32_t depth = l->deepest; depth > 0; depth--)
        decide_at(l, depth);
    for (uint32_t i = 0; i < l->blocks; i++)
        size += l->block[i].size * l->block[i].times;
    return size;
}

static void unroll(struct loops *l, bool sparing)
{
    if (sparing || decide_all(l, GROWN) > GROWN)
        decide_all(l, GROWN_OF_MANY);
    for (uint32_t i = 0; i < l->count; i++)
        if (l->loop[i].asked)
            ask_to_unroll(l->g,
                    LLVMGetBasicBlockTerminator(codegen_graph_latch(l->graph, l->loop[i].header)));
}

void codegen_unroll_private(struct codegen *g, LLVMValueRef function, bool sparing)
{
    uint32_t blocks = LLVMCountBasicBlocks(function);
    struct loops l = {.g = g,
            .graph = codegen_graph_create(function),
            .loop = calloc(blocks + 1, sizeof *l.loop),
            .block = calloc(blocks + 1, sizeof *l.block)};
    l.turns = codegen_turns_create(l.graph);
    for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(function); b && l.loop && l.block;
            b = LLVMGetNextBasicBlock(b))
        measure_block(&l, b);
    if (l.count) {
        qsort(l.loop, l.count, sizeof *l.loop, codegen_compare_pointers);
        unroll(&l, sparing);
    }
    codegen_turns_destroy(l.turns);
    codegen_graph_destroy(l.graph);
    free(l.loop);
    free(l.block);
}
