/* shader: see graph.h. No more than what LLVM has, handed on: what is done with it stands where it
 * is done, in C. */
#include "shader/codegen/graph.h"

#include <llvm/Analysis/AssumptionCache.h>
#include <llvm/Analysis/LoopInfo.h>
#include <llvm/Analysis/PostDominators.h>
#include <llvm/Analysis/ScalarEvolution.h>
#include <llvm/Analysis/TargetLibraryInfo.h>
#include <llvm/IR/Dominators.h>
#include <llvm/IR/Function.h>
#include <llvm/IR/Module.h>
#include <llvm/TargetParser/Triple.h>

using namespace llvm;

struct codegen_graph {
    Function &function;
    DominatorTree before;
    PostDominatorTree after;
    LoopInfo loops;

    explicit codegen_graph(Function &f) : function(f), before(f), after(f), loops(before) {}

    const Loop *of_header(LLVMBasicBlockRef header) const
    {
        const Loop *loop = loops.getLoopFor(unwrap(header));
        return loop && loop->getHeader() == unwrap(header) ? loop : nullptr;
    }
};

template <typename Tree> static LLVMBasicBlockRef above(const Tree &tree, LLVMBasicBlockRef b)
{
    const auto *node = tree.getNode(unwrap(b));
    const auto *up = node ? node->getIDom() : nullptr;
    return up ? wrap(up->getBlock()) : nullptr;
}

codegen_graph *codegen_graph_create(LLVMValueRef function)
{
    return new codegen_graph(*unwrap<Function>(function));
}

/* Made when first asked for: few ask. */
struct codegen_turns {
    AssumptionCache assumptions;
    TargetLibraryInfoImpl names;
    TargetLibraryInfo library;
    ScalarEvolution counts;

    explicit codegen_turns(codegen_graph &g)
        : assumptions(g.function), names(Triple(g.function.getParent()->getTargetTriple())),
          library(names), counts(g.function, library, assumptions, g.before, g.loops)
    {
    }
};

codegen_turns *codegen_turns_create(codegen_graph *g)
{
    return new codegen_turns(*g);
}

void codegen_turns_destroy(codegen_turns *t)
{
    delete t;
}

unsigned codegen_turns_of(codegen_turns *t, const codegen_graph *g, LLVMBasicBlockRef header)
{
    const Loop *loop = g->of_header(header);
    unsigned turns = loop ? t->counts.getSmallConstantTripCount(loop) : 0;
    return turns || !loop ? turns : t->counts.getSmallConstantMaxTripCount(loop);
}

void codegen_graph_destroy(codegen_graph *g)
{
    delete g;
}

/* Ways that never end are joined to the function's end at a block of theirs. */
bool codegen_graph_ends(const codegen_graph *g)
{
    for (const BasicBlock *root : g->after.roots())
        if (!succ_empty(root))
            return false;
    return true;
}

LLVMBasicBlockRef codegen_graph_dominator(const codegen_graph *g, LLVMBasicBlockRef b)
{
    return above(g->before, b);
}

LLVMBasicBlockRef codegen_graph_post_dominator(const codegen_graph *g, LLVMBasicBlockRef b)
{
    return above(g->after, b);
}

LLVMBasicBlockRef codegen_graph_loop(const codegen_graph *g, LLVMBasicBlockRef b)
{
    const Loop *loop = g->loops.getLoopFor(unwrap(b));
    return loop ? wrap(loop->getHeader()) : nullptr;
}

LLVMBasicBlockRef codegen_graph_outer(const codegen_graph *g, LLVMBasicBlockRef header)
{
    const Loop *loop = g->of_header(header);
    const Loop *outer = loop ? loop->getParentLoop() : nullptr;
    return outer ? wrap(outer->getHeader()) : nullptr;
}

LLVMBasicBlockRef codegen_graph_latch(const codegen_graph *g, LLVMBasicBlockRef header)
{
    const Loop *loop = g->of_header(header);
    BasicBlock *latch = loop ? loop->getLoopLatch() : nullptr;
    return latch ? wrap(latch) : nullptr;
}

bool codegen_graph_in_loop(const codegen_graph *g, LLVMBasicBlockRef header, LLVMBasicBlockRef b)
{
    const Loop *loop = g->of_header(header);
    return loop && loop->contains(unwrap(b));
}

LLVMBasicBlockRef codegen_graph_split(LLVMValueRef after)
{
    Instruction *last = unwrap<Instruction>(after);
    BasicBlock *tail = last->getParent()->splitBasicBlock(last->getNextNode(), "split");
    last->getNextNode()->eraseFromParent();
    return wrap(tail);
}

LLVMMetadataRef codegen_graph_distinct(LLVMContextRef context)
{
    return wrap(MDNode::getDistinct(*unwrap(context), {}));
}
