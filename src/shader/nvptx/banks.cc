/* shader: see banks.h. Only what LLVM's C API lacks: what is known of bits, and where pointers come
 * from.
 *
 * Threadgroup memory has 32 banks of 4 bytes. Where 8x8 tiles of halves lie one after the other, as
 * matrix products want them, each begins at bank 0, and lanes that write a row of one tile each
 * wait for each other. So the piece of 16 bytes at an offset lies at another of the 8 in its line
 * of 128: bits 4 to 6 of the offset are XORed with bits 7 to 9 and 9 to 11.
 *
 * Where an offset is a sum of a number b and a constant c that have no bit in common, its place is
 * that of b, XOR the constant's own bits: accesses at constant distances from each other share what
 * is computed at run time. */
#include "shader/nvptx/banks.h"

#include <llvm/ADT/SmallVector.h>
#include <llvm/Analysis/ValueTracking.h>
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/InlineAsm.h>
#include <llvm/IR/Instructions.h>
#include <llvm/IR/Module.h>
#include <llvm/IR/Operator.h>
#include <llvm/Transforms/Utils/Cloning.h>
#include <llvm/Analysis/Utils/Local.h>

#include <map>

using namespace llvm;

static const unsigned shared_space = 3, piece = 16, line = 128, most_accesses = 4096;

LLVMValueRef nvptx_copy(LLVMValueRef function, const char *name)
{
    ValueToValueMapTy map;
    Function *copy = CloneFunction(unwrap<Function>(function), map);
    copy->setName(name);
    return wrap(copy);
}

unsigned nvptx_multiple(LLVMValueRef value)
{
    Value *v = unwrap(value);
    const auto *in = dyn_cast<Instruction>(v);
    if (!in)
        return isa<ConstantInt>(v)
                       ? 1u << std::min(7u, cast<ConstantInt>(v)->getValue().countr_zero())
                       : 1;
    KnownBits known = computeKnownBits(v, in->getModule()->getDataLayout());
    return 1u << std::min(7u, known.countMinTrailingZeros());
}

static bool points_to(LLVMValueRef pointer, StringRef marker)
{
    const auto *call = dyn_cast<CallInst>(getUnderlyingObject(unwrap(pointer), 0));
    const Function *to = call ? call->getCalledFunction() : nullptr;
    return to && to->getName() == marker;
}

bool nvptx_is_threadgroup_argument(LLVMValueRef pointer)
{
    return points_to(pointer, "__abx_threadgroup");
}

bool nvptx_is_threadgroup(LLVMValueRef pointer)
{
    return nvptx_is_threadgroup_argument(pointer) || points_to(pointer, "__abx_statics");
}

namespace
{
struct access {
    Instruction *in;
    unsigned operand;
};

class banks
{
  public:
    banks(Function &kernel, GlobalVariable &array)
        : kernel(kernel), array(array), layout(kernel.getParent()->getDataLayout()),
          builder(kernel.getContext())
    {
    }
    bool collect();
    void rewrite();

  private:
    bool is_ours(const Value *pointer, bool &mixed) const;
    bool note(Instruction &in);
    bool note_access(Instruction &in, unsigned operand, uint64_t bytes, Align align);
    Value *offset_of(Value *base, uint64_t more);
    Value *place_of(Value *base, uint64_t more);
    uint64_t may_have(Value *base);
    Value *moved(Instruction *before, Value *pointer);

    Function &kernel;
    GlobalVariable &array;
    const DataLayout &layout;
    IRBuilder<> builder;
    SmallVector<access, 64> accesses;
    /* Of the block that is rewritten: places of a base and bytes behind it, and where a place with
     * other bits 4 to 6 is. */
    std::map<std::pair<Value *, uint64_t>, Value *> places, starts;
};

/* Whether the pointer points into the array; mixed: or elsewhere. */
bool banks::is_ours(const Value *pointer, bool &mixed) const
{
    SmallVector<const Value *, 4> objects;
    getUnderlyingObjects(pointer, objects, nullptr, 0);
    bool ours = false, others = false;
    for (const Value *object : objects)
        (object == &array ? ours : others) = true;
    mixed = ours && others;
    for (const Value *object : objects)
        if (object != &array && !isa<GlobalVariable>(object) && !isa<UndefValue>(object) &&
                !isa<ConstantPointerNull>(object))
            mixed = true;
    return ours;
}

bool banks::note_access(Instruction &in, unsigned operand, uint64_t bytes, Align align)
{
    if (bytes > piece || align.value() < PowerOf2Ceil(bytes) || accesses.size() == most_accesses)
        return false;
    accesses.push_back({&in, operand});
    return true;
}

/* What is asm reads 16 bytes where it is given an address: nvptx/matrix.c's, and loads.c's of
 * threadgroup memory. */
static bool is_asm(const Value *user)
{
    const auto *call = dyn_cast<CallInst>(user);
    return call && call->isInlineAsm();
}

/* False: it cannot be moved. */
bool banks::note(Instruction &in)
{
    for (unsigned i = 0; i < in.getNumOperands(); i++) {
        Value *pointer = in.getOperand(i);
        auto *type = dyn_cast<PointerType>(pointer->getType());
        if (!type || type->getAddressSpace() != shared_space)
            continue;
        bool mixed = false, ours = is_ours(pointer, mixed);
        if (mixed)
            return false;
        if (!ours || isa<GetElementPtrInst>(in) || isa<PHINode>(in) || isa<SelectInst>(in) ||
                isa<ICmpInst>(in))
            continue;
        if (auto *load = dyn_cast<LoadInst>(&in)) {
            if (!note_access(in, i, layout.getTypeStoreSize(load->getType()), load->getAlign()))
                return false;
        } else if (auto *store = dyn_cast<StoreInst>(&in)) {
            if (i != store->getPointerOperandIndex() ||
                    !note_access(in, i,
                            layout.getTypeStoreSize(store->getValueOperand()->getType()),
                            store->getAlign()))
                return false;
        } else if (isa<PtrToIntInst>(in)) {
            for (const User *user : in.users())
                if (!is_asm(user))
                    return false;
            accesses.push_back({&in, i});
        } else if (auto *rmw = dyn_cast<AtomicRMWInst>(&in)) {
            if (i != rmw->getPointerOperandIndex() ||
                    !note_access(in, i, layout.getTypeStoreSize(rmw->getType()), rmw->getAlign()))
                return false;
        } else
            return false;
    }
    return true;
}

/* Constants that no instruction has stay behind. */
static bool is_used(const Constant &c)
{
    for (const User *user : c.users())
        if (const auto *of = dyn_cast<ConstantExpr>(user); !of || is_used(*of))
            return true;
    return false;
}

/* Whether it is only instructions that have the array's address, as it is or at a constant offset.
 */
static bool is_plain(const Constant &address)
{
    for (const User *user : address.users()) {
        const auto *of = dyn_cast<ConstantExpr>(user);
        if (of && is_used(*of) && (of->getOpcode() != Instruction::GetElementPtr || !is_plain(*of)))
            return false;
    }
    return true;
}

bool banks::collect()
{
    if (!is_plain(array))
        return false;
    for (BasicBlock &block : kernel)
        for (Instruction &in : block)
            if (!note(in))
                return false;
    return !accesses.empty();
}

static uint64_t hash(uint64_t offset)
{
    return (offset >> 3 ^ offset >> 5) & (line - piece);
}

/* How far behind the array's start `base` and `more` bytes are: 32 bits. */
Value *banks::offset_of(Value *base, uint64_t more)
{
    Value *sum = builder.getInt64(more);
    Value *at = base;
    while (auto *gep = dyn_cast<GEPOperator>(at)) {
        sum = builder.CreateAdd(sum, emitGEPOffset(&builder, layout, gep));
        at = gep->getPointerOperand();
    }
    if (at != &array) {
        Type *i64 = builder.getInt64Ty();
        Value *start = builder.CreatePtrToInt(&array, i64);
        sum = builder.CreateAdd(sum, builder.CreateSub(builder.CreatePtrToInt(at, i64), start));
    }
    return builder.CreateTrunc(sum, builder.getInt32Ty());
}

/* Where the bytes at an offset lie, once for each block. */
Value *banks::place_of(Value *base, uint64_t more)
{
    Value *&place = places[{base, more}];
    if (!place) {
        Value *at = offset_of(base, more);
        Value *bits = builder.CreateXor(builder.CreateLShr(at, 3), builder.CreateLShr(at, 5));
        place = builder.CreateXor(at, builder.CreateAnd(bits, line - piece));
    }
    return place;
}

/* Bits that the offset, or the pointer's low ones, may have. */
uint64_t banks::may_have(Value *base)
{
    uint64_t low = ~computeKnownBits(base, layout).Zero.getZExtValue() & (line - 1);
    Value *own = offset_of(base, 0);
    uint64_t high = ~computeKnownBits(own, layout).Zero.getZExtValue() & ~(uint64_t)(line - 1);
    return low | (high & UINT32_MAX);
}

Value *banks::moved(Instruction *before, Value *pointer)
{
    builder.SetInsertPoint(before);
    APInt constant(layout.getIndexTypeSizeInBits(pointer->getType()), 0);
    Value *base = pointer->stripAndAccumulateConstantOffsets(layout, constant, true);
    uint64_t c = (uint64_t)constant.getSExtValue(), may = may_have(base);
    uint64_t inside = c & (line - 1), lines = c - inside, more = 0;
    if (inside & may)
        more = c, inside = lines = 0;
    else if (lines & may || lines > UINT32_MAX)
        more = lines, lines = 0;
    Value *place = place_of(base, more);
    uint64_t bits = hash(lines) ^ (inside & (line - piece));
    Value *&start = starts[{place, bits}];
    if (!start) {
        Value *at = bits ? builder.CreateXor(place, builder.getInt32((uint32_t)bits)) : place;
        start = builder.CreatePtrAdd(&array, builder.CreateZExt(at, builder.getInt64Ty()));
    }
    return builder.CreatePtrAdd(start, builder.getInt64(lines + inside % piece));
}

void banks::rewrite()
{
    const BasicBlock *block = nullptr;
    for (const access &a : accesses) {
        if (a.in->getParent() != block) {
            places.clear();
            starts.clear();
            block = a.in->getParent();
        }
        a.in->setOperand(a.operand, moved(a.in, a.in->getOperand(a.operand)));
    }
}
} // namespace

bool nvptx_spread_banks(LLVMValueRef kernel, LLVMValueRef array)
{
    banks b(*unwrap<Function>(kernel), *unwrap<GlobalVariable>(array));
    if (!b.collect())
        return false;
    b.rewrite();
    return true;
}
