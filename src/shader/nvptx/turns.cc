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

static const unsigned most_turns = 64, most_instructions = 2048;

/* Arrays of anything else make much code of it, and little is won. */
static bool is_array_of_pointers(const Value *v)
{
    const auto *alloca = dyn_cast<AllocaInst>(v);
    Type *type = alloca ? alloca->getAllocatedType() : nullptr;
    while (type && type->isArrayTy())
        type = type->getArrayElementType();
    return type && type->isPointerTy();
}

/* Which of such an array's elements it is differs from turn to turn. */
static bool indexes_private(const Loop &loop)
{
    for (const BasicBlock *block : loop.blocks())
        for (const Instruction &in : *block) {
            const auto *gep = dyn_cast<GetElementPtrInst>(&in);
            if (!gep || gep->hasAllConstantIndices() ||
                    !is_array_of_pointers(getUnderlyingObject(gep->getPointerOperand())))
                continue;
            for (const Use &index : gep->indices())
                if (!loop.isLoopInvariant(index))
                    return true;
        }
    return false;
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
        if (turns < 2 || turns > most_turns || !indexes_private(*loop) ||
                turns * instructions_of(*loop, loops, counts) > most_instructions ||
                findStringMetadataForLoop(loop, "llvm.loop.unroll.disable"))
            continue;
        addStringMetadataToLoop(loop, "llvm.loop.unroll.full", 1);
    }
}
