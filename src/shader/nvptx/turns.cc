/* shader: see nvptx.h: nvptx_turns(). No more than what LLVM has, handed on. */
#include "shader/nvptx/turns.h"

#include <llvm/Analysis/AssumptionCache.h>
#include <llvm/Analysis/LoopInfo.h>
#include <llvm/Analysis/ScalarEvolution.h>
#include <llvm/Analysis/TargetLibraryInfo.h>
#include <llvm/Analysis/ValueTracking.h>
#include <llvm/IR/Dominators.h>
#include <llvm/IR/Instructions.h>
#include <llvm/IR/Module.h>
#include <llvm/TargetParser/Triple.h>
#include <llvm/Transforms/Utils/LoopUtils.h>

using namespace llvm;

static const unsigned most_turns = 64, most_instructions = 2048, most_instructions_of_others = 512;
/* Of a loop that the program wants unrolled; where all turns are more, some of them. */
static const unsigned most_instructions_asked = 2048;
/* The same where products of matrices are in it, of which each makes many instructions. */
static const unsigned most_instructions_of_products = 4096;
/* Of a long loop that loads in each turn and writes nothing: so many turns' loads are under way
 * together, as nvcc has it, too. Short ones may become no loop at all. */
static const unsigned turns_of_loads = 4, most_instructions_of_loads = 64;

/* Arrays of anything else than pointers are worth less code: ggml's attention of 72 and 80 elements
 * takes LLVM minutes when all of its loops are unrolled. */
static unsigned worth_of(const Value *v)
{
    const auto *alloca = dyn_cast<AllocaInst>(v);
    Type *type = alloca ? alloca->getAllocatedType() : nullptr;
    while (type && type->isArrayTy())
        type = type->getArrayElementType();
    return !type ? 0 : type->isPointerTy() ? most_instructions : most_instructions_of_others;
}

/* How many instructions it may become: 0 where no private array's element differs from turn to
 * turn. */
static unsigned worth_of(const Loop &loop)
{
    unsigned worth = 0;
    for (const BasicBlock *block : loop.blocks())
        for (const Instruction &in : *block) {
            const auto *gep = dyn_cast<GetElementPtrInst>(&in);
            if (!gep || gep->hasAllConstantIndices())
                continue;
            for (const Use &index : gep->indices())
                if (!loop.isLoopInvariant(index))
                    worth = std::max(
                            worth, worth_of(getUnderlyingObject(gep->getPointerOperand())));
        }
    return worth;
}

/* Instructions of a turn, with those of loops in it as often as they turn. */
static unsigned instructions_of(const Loop &loop, const LoopInfo &loops, ScalarEvolution &counts)
{
    unsigned count = 0;
    for (const BasicBlock *block : loop.blocks())
        if (loops.getLoopFor(block) == &loop)
            count += (unsigned)block->size();
    for (const Loop *inner : loop) {
        unsigned turns =
                std::max(1u, std::min(most_turns, counts.getSmallConstantTripCount(inner)));
        count += turns * instructions_of(*inner, loops, counts);
        if (count > most_instructions)
            return most_instructions + 1;
    }
    return count;
}

/* Products of matrices make many instructions of a few, and have what they multiply at hand. */
static bool multiplies(const Loop &loop)
{
    for (const BasicBlock *block : loop.blocks())
        for (const Instruction &in : *block)
            if (const auto *call = dyn_cast<CallInst>(&in))
                if (const Function *to = call->getCalledFunction())
                    if (to->getName().starts_with("__abx_matrix"))
                        return true;
    return false;
}

/* The program wants it: what its turns load is under way together then. False: it is a loop like
 * any other. */
static bool unroll_asked(Loop &loop, unsigned turns, unsigned instructions)
{
    unsigned at_once = turns;
    if (multiplies(loop))
        at_once = turns * instructions > most_instructions_of_products ? 1 : turns;
    else
        while (at_once > 1 && at_once * instructions > most_instructions_asked)
            at_once = at_once % 2 ? 1 : at_once / 2;
    if (at_once == turns && turns > 1)
        return true;
    loop.setLoopID(nullptr);
    if (at_once < 2)
        return false;
    addStringMetadataToLoop(&loop, "llvm.loop.unroll.count", at_once);
    return true;
}

/* A small loop of plain instructions that reads memory which it does not write. */
static bool loads(const Loop &loop, unsigned turns)
{
    unsigned count = 0;
    bool some = false;
    if (!loop.isInnermost() || turns <= most_turns)
        return false;
    for (const BasicBlock *block : loop.blocks()) {
        count += (unsigned)block->size();
        for (const Instruction &in : *block) {
            if (in.mayWriteToMemory())
                return false;
            some |= isa<LoadInst>(&in);
        }
    }
    return some && count <= most_instructions_of_loads;
}

void nvptx_turns(LLVMValueRef function)
{
    Function &f = *unwrap<Function>(function);
    DominatorTree before(f);
    LoopInfo loops(before);
    AssumptionCache assumptions(f);
    TargetLibraryInfoImpl names(Triple(f.getParent()->getTargetTriple()));
    TargetLibraryInfo library(names);
    ScalarEvolution counts(f, library, assumptions, before, loops);
    for (Loop *loop : loops.getLoopsInPreorder()) {
        unsigned turns = counts.getSmallConstantTripCount(loop);
        if (findStringMetadataForLoop(loop, "llvm.loop.unroll.full")) {
            if (unroll_asked(*loop, turns, instructions_of(*loop, loops, counts)))
                continue;
        }
        if (turns < 2 || findStringMetadataForLoop(loop, "llvm.loop.unroll.disable") ||
                findStringMetadataForLoop(loop, "llvm.loop.unroll.count"))
            continue;
        if (turns <= most_turns && turns * instructions_of(*loop, loops, counts) <= worth_of(*loop))
            addStringMetadataToLoop(loop, "llvm.loop.unroll.full", 1);
        else if (loads(*loop, turns))
            addStringMetadataToLoop(loop, "llvm.loop.unroll.count", turns_of_loads);
    }
}
