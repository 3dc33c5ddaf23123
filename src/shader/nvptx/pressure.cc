/* shader: see pressure.h. C++ for what LLVM's C API lacks: predecessors.
 *
 * Values that live at the end of each block are found by walking from each use back to the
 * definition; then each block is walked from its end on. What ptxas makes of it may be less, where it
 * moves loads towards their uses, and is more, for addresses and what it keeps by itself. */
#include "shader/nvptx/pressure.h"

#include <llvm/ADT/DenseMap.h>
#include <llvm/ADT/DenseSet.h>
#include <llvm/ADT/SmallPtrSet.h>
#include <llvm/ADT/SmallVector.h>
#include <llvm/IR/CFG.h>
#include <llvm/IR/Instructions.h>
#include <llvm/IR/Module.h>

using namespace llvm;

/* Values times blocks that they live through. More is a kernel that needs all registers there are. */
static const size_t most_places = 8u << 20;

namespace {

struct Pressure {
    Function &function;
    const DataLayout &layout;
    DenseMap<const BasicBlock *, SmallVector<const Instruction *, 16>> live_out;
    size_t places = 0;

    explicit Pressure(Function &f) : function(f), layout(f.getParent()->getDataLayout()) {}

    /* Conditions have registers of their own; what lies in memory and where that is, none. */
    unsigned registers(const Value *v) const
    {
        const Type *type = v->getType();
        if (!isa<Instruction>(v) || isa<AllocaInst>(v) || !type->isSized() || type->isIntegerTy(1))
            return 0;
        return unsigned((layout.getTypeSizeInBits(const_cast<Type *>(type)).getFixedValue() + 31) / 32);
    }

    /* The blocks at whose ends `in` lives. */
    void walk(const Instruction &in)
    {
        SmallPtrSet<const BasicBlock *, 16> ends, begins;
        SmallVector<const BasicBlock *, 16> open;
        auto ends_in = [&](const BasicBlock *b) {
            if (ends.insert(b).second && b != in.getParent())
                open.push_back(b);
        };
        auto begins_in = [&](const BasicBlock *b) {
            if (begins.insert(b).second)
                for (const BasicBlock *before : predecessors(b))
                    ends_in(before);
        };
        for (const Use &use : in.uses()) {
            auto *user = cast<Instruction>(use.getUser());
            if (auto *phi = dyn_cast<PHINode>(user))
                ends_in(phi->getIncomingBlock(use));
            else if (user->getParent() != in.getParent())
                begins_in(user->getParent());
        }
        while (!open.empty() && places < most_places)
            begins_in(open.pop_back_val());
        for (const BasicBlock *b : ends)
            live_out[b].push_back(&in);
        places += ends.size() + 1;
    }

    unsigned most_in(const BasicBlock &b)
    {
        DenseSet<const Value *> live;
        unsigned now = 0, most;
        for (const Instruction *in : live_out[&b])
            if (live.insert(in).second)
                now += registers(in);
        most = now;
        for (auto in = b.rbegin(); in != b.rend() && !isa<PHINode>(&*in); ++in) {
            if (live.erase(&*in))
                now -= registers(&*in);
            for (const Value *operand : in->operand_values())
                if (registers(operand) && live.insert(operand).second)
                    now += registers(operand);
            most = std::max(most, now);
        }
        return most;
    }

    unsigned run()
    {
        unsigned most = 0;
        for (const BasicBlock &b : function)
            for (const Instruction &in : b)
                if (registers(&in) && places < most_places)
                    walk(in);
        if (places >= most_places)
            return UINT_MAX;
        for (const BasicBlock &b : function)
            most = std::max(most, most_in(b));
        return most;
    }
};

} // namespace

unsigned nvptx_pressure(LLVMValueRef function)
{
    return Pressure(*unwrap<Function>(function)).run();
}
