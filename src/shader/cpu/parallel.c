/* shader: threads that never meet do not wait for each other's memory. Two of them that use one
 * place of a buffer, one of them writing, race, and Metal promises neither order; so the loop over
 * them has no dependence from one turn to the next there, and LLVM's vectoriser, told so, needs no
 * proof that buffers lie apart. Private memory is another matter: all turns of the loop share one
 * variable. Compiler process. */
#include "shader/codegen/graph.h"
#include "shader/cpu/cpu.h"

#include <llvm-c/DebugInfo.h>
#include <errno.h>
#include <stdlib.h>

/* Whether `pointer` leads into memory of several threads: it is what the dispatch brings (a
 * buffer's address, or threadgroup memory's), or was loaded from there. */
static bool is_shared(struct codegen *g, LLVMValueRef pointer)
{
    unsigned brought = LLVMGetMDKindIDInContext(g->context, "invariant.load", 14);
    for (int depth = 0; depth < 64; depth++) {
        bool loaded = LLVMIsALoadInst(pointer);
        if (loaded && LLVMGetMetadata(pointer, brought))
            return true;
        if (!loaded && !LLVMIsAGetElementPtrInst(pointer) && !LLVMIsABitCastInst(pointer))
            return false;
        pointer = LLVMGetOperand(pointer, 0);
    }
    return false;
}

static bool is_parallel(struct codegen *g, LLVMValueRef in)
{
    bool store = LLVMIsAStoreInst(in);
    return (store || LLVMIsALoadInst(in)) && !LLVMGetVolatile(in) &&
           LLVMGetOrdering(in) == LLVMAtomicOrderingNotAtomic &&
           is_shared(g, LLVMGetOperand(in, store ? 1 : 0));
}

/* A load of a dispatch's parameters, by what is known of their address; LLVM drops what is known of
 * a load that it moves. */
static void mark_invariant(struct codegen *g, LLVMValueRef load)
{
    unsigned readable = LLVMGetMDKindIDInContext(g->context, "dereferenceable", 15);
    LLVMValueRef pointer = LLVMGetOperand(load, 0);
    while (LLVMIsAGetElementPtrInst(pointer))
        pointer = LLVMGetOperand(pointer, 0);
    if (LLVMIsALoadInst(pointer) && LLVMGetMetadata(pointer, readable))
        codegen_mark_invariant_load(g, load);
}

/* ---- what all threads load from one place
 *
 * It is the same for all of them, as a thread that wrote there would race with the others; unless
 * the thread itself wrote before. */

struct loop {
    struct codegen *g;
    struct codegen_graph *graph;
    LLVMBasicBlockRef header;
    LLVMBasicBlockRef *written; /* blocks that a thread may come to after it wrote */
    uint32_t count, capacity;
};

static bool may_write(LLVMValueRef in)
{
    switch (LLVMGetInstructionOpcode(in)) {
    case LLVMStore:
    case LLVMAtomicRMW:
    case LLVMAtomicCmpXchg:
    case LLVMFence:
        return true;
    case LLVMCall:
        return !LLVMIsAIntrinsicInst(in) || LLVMIsAMemIntrinsic(in);
    default:
        return false;
    }
}

static bool is_written(const struct loop *l, LLVMBasicBlockRef b)
{
    for (uint32_t i = 0; i < l->count; i++)
        if (l->written[i] == b)
            return true;
    return false;
}

/* The thread's end is the way back to the header. False: no memory. */
static bool add_written(struct loop *l, LLVMBasicBlockRef b)
{
    if (b == l->header || !codegen_graph_in_loop(l->graph, l->header, b) || is_written(l, b))
        return true;
    if (!abx_grow((void **)&l->written, &l->capacity, l->count + 1, sizeof(LLVMBasicBlockRef),
                UINT32_MAX / 16))
        return false;
    l->written[l->count++] = b;
    return true;
}

static bool add_successors(struct loop *l, LLVMBasicBlockRef b)
{
    LLVMValueRef end = LLVMGetBasicBlockTerminator(b);
    bool ok = true;
    for (unsigned i = 0; ok && i < LLVMGetNumSuccessors(end); i++)
        ok = add_written(l, LLVMGetSuccessor(end, i));
    return ok;
}

/* All that can be reached from a block with a write. */
static bool find_written(struct loop *l)
{
    bool ok = true;
    for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(l->g->entry); ok && b;
            b = LLVMGetNextBasicBlock(b)) {
        bool writes = false;
        for (LLVMValueRef in = LLVMGetFirstInstruction(b); in && !writes;
                in = LLVMGetNextInstruction(in))
            writes = may_write(in);
        if (writes && codegen_graph_in_loop(l->graph, l->header, b))
            ok = add_successors(l, b);
    }
    for (uint32_t i = 0; ok && i < l->count; i++)
        ok = add_successors(l, l->written[i]);
    return ok;
}

static void mark_uniform(const struct loop *l, LLVMBasicBlockRef b)
{
    struct codegen *g = l->g;
    if (!codegen_graph_in_loop(l->graph, l->header, b) || is_written(l, b))
        return;
    for (LLVMValueRef in = LLVMGetFirstInstruction(b); in && !may_write(in);
            in = LLVMGetNextInstruction(in)) {
        LLVMValueRef pointer = LLVMIsALoadInst(in) ? LLVMGetOperand(in, 0) : NULL;
        if (pointer && is_parallel(g, in) &&
                (!LLVMIsAInstruction(pointer) || !codegen_graph_in_loop(l->graph, l->header,
                                                         LLVMGetInstructionParent(pointer))))
            codegen_mark_invariant_load(g, in);
    }
}

/* The header of the loop with this name; NULL: it is no loop any more. */
static LLVMBasicBlockRef find_header(
        struct codegen *g, const struct codegen_graph *graph, LLVMValueRef loop)
{
    unsigned kind = LLVMGetMDKindIDInContext(g->context, "llvm.loop", 9);
    for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(g->entry); b; b = LLVMGetNextBasicBlock(b)) {
        LLVMValueRef end = LLVMGetBasicBlockTerminator(b);
        if (LLVMGetMetadata(end, kind) == loop)
            return codegen_graph_loop(graph, b);
    }
    return NULL;
}

static int mark_uniform_loads(struct codegen *g, LLVMValueRef loop)
{
    struct loop l = {.g = g, .graph = codegen_graph_create(g->entry)};
    l.header = find_header(g, l.graph, loop);
    bool ok = !l.header || find_written(&l);
    for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(g->entry); ok && l.header && b;
            b = LLVMGetNextBasicBlock(b))
        mark_uniform(&l, b);
    codegen_graph_destroy(l.graph);
    free(l.written);
    return ok ? 0 : -ENOMEM;
}

static void mark_accesses(struct codegen *g, LLVMMetadataRef group)
{
    unsigned access = LLVMGetMDKindIDInContext(g->context, "llvm.access.group", 17);
    for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(g->entry); b; b = LLVMGetNextBasicBlock(b))
        for (LLVMValueRef in = LLVMGetFirstInstruction(b); in; in = LLVMGetNextInstruction(in))
            if (is_parallel(g, in)) {
                LLVMSetMetadata(in, access, LLVMMetadataAsValue(g->context, group));
                if (LLVMIsALoadInst(in))
                    mark_invariant(g, in);
            }
}

int cpu_mark_parallel(struct codegen *g, LLVMValueRef branch)
{
    LLVMMetadataRef group = codegen_graph_distinct(g->context);
    LLVMMetadataRef self = LLVMTemporaryMDNode(g->context, NULL, 0);
    LLVMMetadataRef accesses[2] = {
            LLVMMDStringInContext2(g->context, "llvm.loop.parallel_accesses", 27), group};
    LLVMMetadataRef parts[2] = {self, LLVMMDNodeInContext2(g->context, accesses, 2)};
    LLVMMetadataRef id = LLVMMDNodeInContext2(g->context, parts, 2);
    LLVMMetadataReplaceAllUsesWith(self, id);
    LLVMValueRef loop = LLVMMetadataAsValue(g->context, id);
    LLVMSetMetadata(branch, LLVMGetMDKindIDInContext(g->context, "llvm.loop", 9), loop);
    /* Before: the passes that move loads out of branches. */
    int r = codegen_run_passes(g,
            "function(sroa,early-cse<memssa>,simplifycfg,instcombine<no-verify-fixpoint>,gvn,"
            "simplifycfg<hoist-common-insts>,loop-simplify,loop-mssa(licm))");
    mark_accesses(g, group);
    return r < 0 ? r : mark_uniform_loads(g, loop);
}
