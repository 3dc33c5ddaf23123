/* shader: see rows.h. Compiler process; the function is the guest's.
 *
 * ggml's products of matrices with vectors have each lane multiply 16 neighbouring elements of a row
 * with 16 of the vector. A load of 16 bytes then touches two to four times the cache lines that its
 * bytes fill, and the first cache is what such a kernel waits for. Which lane multiplies which
 * elements is nobody's business as long as the sum over all lanes is the same and its order is free
 * (fast math). So in a turn that all 32 lanes make together, a lane's n-th element
 *
 *     l * K + n    (K: elements that a lane has in a turn)   becomes   n/G * 32*G + l*G + n%G
 *
 * where G elements of the wider type are 16 bytes. What is proven here: sums are made of products of
 * the two arrays' like elements alone, each product once, and go into sums over the SIMD-group alone;
 * and pieces lie one after the other in the order of lanes. What is looked at when the kernel runs:
 * that all lanes are there; else elements stay where they are. (Looking at the addresses then, too,
 * with match.all, took more time than the better loads saved.) */
#include "shader/nvptx/rows.h"
#include "shader/shim/markers.h"

#include <llvm/ADT/MapVector.h>
#include <llvm/ADT/SetVector.h>
#include <llvm/ADT/SmallPtrSet.h>
#include <llvm/Analysis/LoopInfo.h>
#include <llvm/Analysis/ValueTracking.h>
#include <llvm/IR/Dominators.h>
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/Instructions.h>
#include <llvm/IR/IntrinsicInst.h>
#include <llvm/IR/IntrinsicsNVPTX.h>
#include <llvm/IR/Module.h>
#include <llvm/Support/KnownBits.h>

using namespace llvm;

static const unsigned lanes = 32, widest_load = 16, most_terms = 1024;

namespace {

/* A number in memory, and what makes a float of it. */
struct Element {
    LoadInst *load = nullptr;
    Value *base = nullptr;
    int64_t offset = 0; /* from the base */
    unsigned bytes = 0;
    SmallVector<uint64_t, 8> conversion; /* what each instruction does, in numbers */
};

struct Term {
    Element of[2];
};

/* What a lane reads of one array in a turn: `count` elements. */
struct Array {
    int64_t offset = 0;
    unsigned bytes = 0, count = 0;
    SmallSetVector<LoadInst *, 16> loads;
};

struct Rows {
    BasicBlock *block, *before; /* the loop; where it is known that it is entered */
    const DataLayout &layout;
    MapVector<std::pair<Value *, int64_t>, Array> arrays; /* by base and offset */
    SmallPtrSet<Instruction *, 16> products;
};

} // namespace

/* ---- elements */

/* Bits of an integer, from `shift` on. */
static bool bits_of(Value *v, unsigned bits, Element &e)
{
    for (uint64_t shift = 0;;) {
        auto *in = dyn_cast<Instruction>(v);
        if (!in || !in->getType()->isIntegerTy() ||
                shift + bits > in->getType()->getIntegerBitWidth())
            return false;
        auto *by = in->getOpcode() == Instruction::LShr ? dyn_cast<ConstantInt>(in->getOperand(1))
                                                        : nullptr;
        if (auto *load = dyn_cast<LoadInst>(in)) {
            e.load = load;
            e.offset = (int64_t)shift / 8;
            e.bytes = bits / 8;
            return shift % 8 == 0;
        }
        if (by && by->getValue().ult(64))
            shift += by->getZExtValue();
        else if (!isa<TruncInst>(in))
            return false;
        v = in->getOperand(0);
    }
}

static bool is_conversion(const Value *v)
{
    return isa<FPExtInst>(v) || isa<SIToFPInst>(v) || isa<UIToFPInst>(v);
}

/* Integers made of a loaded one with constants alone. */
static bool integer_of(Value *v, Element &e)
{
    for (;;) {
        auto *in = dyn_cast<Instruction>(v);
        if (!in || !in->getType()->isIntegerTy() || in->getType()->getIntegerBitWidth() > 64)
            return false;
        e.conversion.push_back(in->getOpcode());
        e.conversion.push_back(in->getType()->getIntegerBitWidth());
        if (auto *load = dyn_cast<LoadInst>(in)) {
            e.load = load;
            e.bytes = in->getType()->getIntegerBitWidth() / 8;
            return in->getType()->getIntegerBitWidth() % 8 == 0;
        }
        auto *by = isa<BinaryOperator>(in) ? dyn_cast<ConstantInt>(in->getOperand(1)) : nullptr;
        if (by)
            e.conversion.push_back(by->getZExtValue());
        else if (!isa<ZExtInst>(in) && !isa<SExtInst>(in) && !isa<TruncInst>(in))
            return false;
        v = in->getOperand(0);
    }
}

/* The vector that v is an element of, or v itself. */
static Value *take_out(Value *v, int64_t &at)
{
    auto *taken = dyn_cast<ExtractElementInst>(v);
    auto *index = taken ? dyn_cast<ConstantInt>(taken->getIndexOperand()) : nullptr;
    if (!index || at >= 0)
        return v;
    at = index->getSExtValue();
    return taken->getVectorOperand();
}

static bool number_of(const Rows &r, Value *v, Element &e)
{
    int64_t at = -1;
    v = take_out(v, at);
    if (is_conversion(v)) {
        e.conversion.push_back(cast<Instruction>(v)->getOpcode());
        v = take_out(cast<Instruction>(v)->getOperand(0), at);
        if (v->getType()->isIntegerTy())
            return integer_of(v, e);
    }
    auto *vector = dyn_cast<FixedVectorType>(v->getType());
    Type *type = v->getType()->getScalarType();
    unsigned bits = (unsigned)type->getPrimitiveSizeInBits();
    e.conversion.push_back(type->getTypeID());
    if (bits < 8 || bits % 8 || (at >= 0) != (vector != nullptr) ||
            (vector && at >= (int64_t)vector->getNumElements()))
        return false;
    if (auto *cast = dyn_cast<BitCastInst>(v))
        return !vector && bits_of(cast->getOperand(0), bits, e);
    e.load = dyn_cast<LoadInst>(v);
    e.offset = at >= 0 ? at * (bits / 8) : 0;
    e.bytes = bits / 8;
    return e.load && e.load->getParent() == r.block;
}

static bool element_of(const Rows &r, Value *v, Element &e)
{
    if (!number_of(r, v, e) || e.load->getParent() != r.block || !e.load->isSimple())
        return false;
    Value *pointer = e.load->getPointerOperand();
    APInt offset(r.layout.getIndexTypeSizeInBits(pointer->getType()), 0);
    e.base = pointer->stripAndAccumulateConstantOffsets(r.layout, offset, true);
    e.offset += offset.getSExtValue();
    return true;
}

/* ---- sums of a turn */

namespace {

struct Sum {
    PHINode *phi;
    Value *next;
    unsigned phis = 0;
    SmallVector<Term, 64> terms;
    SmallVector<Instruction *, 64> products;
};

} // namespace

static bool add_product(const Rows &r, Sum &s, Instruction *product, Value *a, Value *b)
{
    Term t;
    if (s.terms.size() == most_terms || !element_of(r, a, t.of[0]) || !element_of(r, b, t.of[1]))
        return false;
    s.terms.push_back(t);
    s.products.push_back(product);
    return true;
}

static bool take_apart(const Rows &r, Sum &s, Value *v)
{
    if (v == s.phi)
        return ++s.phis == 1;
    auto *in = dyn_cast<Instruction>(v);
    if (!in || in->getParent() != r.block || !isa<FPMathOperator>(in) || !in->hasAllowReassoc() ||
            (v != s.next && !in->hasOneUse()))
        return false;
    if (in->getOpcode() == Instruction::FAdd)
        return take_apart(r, s, in->getOperand(0)) && take_apart(r, s, in->getOperand(1));
    if (in->getOpcode() == Instruction::FMul)
        return add_product(r, s, in, in->getOperand(0), in->getOperand(1));
    auto *call = dyn_cast<IntrinsicInst>(in);
    if (!call || (call->getIntrinsicID() != Intrinsic::fma &&
                         call->getIntrinsicID() != Intrinsic::fmuladd))
        return false;
    return add_product(r, s, in, in->getOperand(0), in->getOperand(1)) &&
           take_apart(r, s, in->getOperand(2));
}

static bool is_like(const Element &a, const Element &b)
{
    return a.base == b.base && a.bytes == b.bytes && a.conversion == b.conversion;
}

/* Each array's elements, without gaps, and n-th with n-th. */
static bool add_arrays(Rows &r, Sum &s)
{
    if (s.phis != 1 || s.terms.size() < 2)
        return false;
    const Value *base = s.terms[0].of[0].base;
    bool one_base = base == s.terms[0].of[1].base;
    for (Term &t : s.terms)
        if (one_base ? t.of[0].offset > t.of[1].offset : t.of[0].base != base)
            std::swap(t.of[0], t.of[1]);
    llvm::sort(s.terms,
            [](const Term &a, const Term &b) { return a.of[0].offset < b.of[0].offset; });
    Element first[2] = {s.terms[0].of[0], s.terms[0].of[1]};
    if (one_base && first[0].offset == first[1].offset)
        return false;
    for (int i = 0; i < 2; i++) {
        Array a;
        a.offset = s.terms[0].of[i].offset;
        a.bytes = first[i].bytes;
        a.count = (unsigned)s.terms.size();
        std::pair<Value *, int64_t> key = {first[i].base, a.offset};
        auto known = r.arrays.find(key);
        if (known != r.arrays.end() &&
                (known->second.bytes != a.bytes || known->second.count != a.count))
            return false;
        for (unsigned n = 0; n < a.count; n++)
            if (!is_like(s.terms[n].of[i], first[i]) ||
                    s.terms[n].of[i].offset != a.offset + (int64_t)n * a.bytes)
                return false;
        Array &to = r.arrays.insert({key, a}).first->second;
        for (const Term &t : s.terms)
            to.loads.insert(t.of[i].load);
    }
    r.products.insert(s.products.begin(), s.products.end());
    return true;
}

/* ---- what becomes of a sum */

static bool is_sum_of_all(const CallInst *call)
{
    const Function *to = call->getCalledFunction();
    auto *op = dyn_cast<ConstantInt>(call->getArgOperand(0));
    return to && to->getName() == "__abx_simd" && op &&
           op->getZExtValue() == (ABX_SIMD_ADD | ABX_SIMD_F32) &&
           call->getMetadata(NVPTX_TOGETHER);
}

/* Behind the loop the sum is only added to, and summed up over the SIMD-group: on every lane's way it
 * is there once. */
static bool goes_into_sums(const Rows &r, const Sum &s)
{
    SmallSetVector<Value *, 16> with;
    with.insert(s.next);
    for (unsigned i = 0; i < with.size(); i++)
        for (User *user : with[i]->users()) {
            auto *in = cast<Instruction>(user);
            if (in == s.phi)
                continue;
            auto *call = dyn_cast<CallInst>(in);
            bool bits = isa<BitCastInst>(in) || isa<ZExtInst>(in);
            if (call ? !is_sum_of_all(call) || call->getArgOperand(1) != with[i]
                     : in->getParent() == r.block ||
                               !(bits || isa<PHINode>(in) ||
                                       (in->getOpcode() == Instruction::FAdd &&
                                               in->hasAllowReassoc())))
                return false;
            if (!call)
                with.insert(in);
        }
    for (Value *v : with) {
        auto *in = cast<Instruction>(v);
        if (in == s.next)
            continue;
        if (in->getOpcode() == Instruction::FAdd &&
                with.contains(in->getOperand(0)) == with.contains(in->getOperand(1)))
            return false;
        /* But where the loop was not entered: then not by this lane, and nothing was exchanged. */
        if (auto *phi = dyn_cast<PHINode>(in))
            for (unsigned i = 0; i < phi->getNumIncomingValues(); i++)
                if (!with.contains(phi->getIncomingValue(i)) &&
                        phi->getIncomingBlock(i) != r.before)
                    return false;
    }
    for (User *user : s.phi->users()) /* of the turn's sum alone */
        if (cast<Instruction>(user)->getParent() != r.block)
            return false;
    return true;
}

/* Nobody else sees what a load gives. */
static bool serves_products(const Rows &r, Value *v)
{
    for (User *user : v->users()) {
        auto *in = cast<Instruction>(user);
        if (r.products.contains(in))
            continue;
        bool part = isa<CastInst>(in) || isa<ExtractElementInst>(in) ||
                    (isa<BinaryOperator>(in) && isa<ConstantInt>(in->getOperand(1)));
        if (!part || in->getParent() != r.block || !serves_products(r, in))
            return false;
    }
    return true;
}

/* ---- how values differ from lane to lane */

namespace {

/* Lane l's value is by[l] more than lane 0's, whose lowest `zeros` bits are 0. */
struct Steps {
    int64_t by[lanes] = {}; /* by[0] is 0 */
    unsigned zeros = 0;
    bool exact = true; /* as signed numbers; else modulo the type's power of two */
};

class Lanes {
    const DataLayout &layout;
    BasicBlock *loop, *entry;
    DenseMap<PHINode *, Steps> assumed;
    unsigned left = 1 << 16; /* values looked at */

    bool of_call(CallInst *call, Steps &s);
    bool of_phi(PHINode *phi, Steps &s);
    bool of_address(GetElementPtrInst *gep, Steps &s);
    bool of_operation(Instruction *in, Steps &s);
    bool of_cast(CastInst *in, Steps &s);
    bool are_same(Instruction *in);

public:
    Lanes(const DataLayout &layout, BasicBlock *loop, BasicBlock *entry)
        : layout(layout), loop(loop), entry(entry)
    {
    }
    bool of(Value *v, Steps &s);
};

} // namespace

static bool is_constant(const Steps &s)
{
    return std::all_of(s.by, s.by + lanes, [](int64_t b) { return b == 0; });
}

/* Sums of few bits: no addition of these overflows. */
static bool is_small(const Steps &s)
{
    return std::all_of(
            s.by, s.by + lanes, [](int64_t b) { return b > -(1 << 24) && b < (1 << 24); });
}

bool Lanes::of_call(CallInst *call, Steps &s)
{
    const Function *to = call->getCalledFunction();
    StringRef name = to ? to->getName() : "";
    auto *which = call->arg_size() ? dyn_cast<ConstantInt>(call->getArgOperand(0)) : nullptr;
    if (name == "__abx_builtin" && which) {
        switch (which->getZExtValue() / 4) {
        case ABX_BUILTIN_LANE:
            for (unsigned l = 0; l < lanes; l++)
                s.by[l] = l;
            s.zeros = 63;
            return true;
        case ABX_BUILTIN_GROUP_IN_GRID:
        case ABX_BUILTIN_GROUP_SIZE:
        case ABX_BUILTIN_DISPATCH_GROUP_SIZE:
        case ABX_BUILTIN_GROUPS:
        case ABX_BUILTIN_GRID:
        case ABX_BUILTIN_SIMDGROUP:
        case ABX_BUILTIN_SIMD_WIDTH:
        case ABX_BUILTIN_SIMDGROUPS:
        case ABX_BUILTIN_DISPATCH_SIMDGROUPS:
            return true;
        default:
            return false;
        }
    }
    if (name == "__abx_buffer" || name == "__abx_threadgroup")
        return true;
    return isa<IntrinsicInst>(call) && !call->mayReadOrWriteMemory() && are_same(call);
}

/* Assumed to be as before the loop, and looked at once more at its end. */
bool Lanes::of_phi(PHINode *phi, Steps &s)
{
    auto known = assumed.find(phi);
    if (known != assumed.end()) {
        s = known->second;
        return true;
    }
    if (phi->getParent() != loop || phi->getBasicBlockIndex(entry) < 0 ||
            !of(phi->getIncomingValueForBlock(entry), s))
        return false;
    for (;;) {
        Steps next;
        assumed[phi] = s;
        if (!of(phi->getIncomingValueForBlock(loop), next))
            return false;
        if (!std::equal(s.by, s.by + lanes, next.by))
            return false;
        if (next.zeros >= s.zeros && (next.exact || !s.exact))
            return true;
        s.zeros = std::min(s.zeros, next.zeros);
        s.exact = s.exact && next.exact;
    }
}

bool Lanes::of_address(GetElementPtrInst *gep, Steps &s)
{
    if (!of(gep->getPointerOperand(), s))
        return false;
    s.zeros = 0;
    APInt fixed(64, 0);
    MapVector<Value *, APInt> scaled;
    if (!gep->collectOffset(layout, 64, scaled, fixed))
        return false;
    for (auto &one : scaled) {
        Steps index;
        if (!of(one.first, index) ||
                (!index.exact && one.first->getType()->getIntegerBitWidth() < 64))
            return false;
        for (unsigned l = 0; l < lanes; l++)
            s.by[l] += index.by[l] * one.second.getSExtValue();
    }
    return is_small(s);
}

/* Of numbers that are not negative, few apart modulo a power of two is few apart. */
bool Lanes::of_cast(CastInst *in, Steps &s)
{
    if (!of(in->getOperand(0), s))
        return false;
    if (is_constant(s))
        return true;
    if (isa<SExtInst>(in))
        return s.exact;
    s.exact = isa<ZExtInst>(in);
    return isa<TruncInst>(in) || in->hasNonNeg() ||
           computeKnownBits(in->getOperand(0), layout).isNonNegative();
}

bool Lanes::of_operation(Instruction *in, Steps &s)
{
    Steps other;
    if (!of(in->getOperand(0), s) || !of(in->getOperand(1), other))
        return false;
    if (is_constant(s) && is_constant(other)) {
        s = Steps();
        s.zeros = computeKnownBits(in, layout).countMinTrailingZeros();
        return true;
    }
    auto *by = dyn_cast<ConstantInt>(in->getOperand(1));
    uint64_t n = by && by->getValue().ult(1 << 20) ? by->getZExtValue() : ~0ull;
    auto *disjoint = dyn_cast<PossiblyDisjointInst>(in);
    bool exact = disjoint ? disjoint->isDisjoint()
                          : isa<OverflowingBinaryOperator>(in) && in->hasNoSignedWrap();
    unsigned zeros = std::min(s.zeros, other.zeros);
    exact = exact && s.exact && other.exact;
    switch (in->getOpcode()) {
    case Instruction::Or:
        if (!disjoint->isDisjoint())
            return false;
        [[fallthrough]];
    case Instruction::Add:
        for (unsigned l = 0; l < lanes; l++)
            s.by[l] += other.by[l];
        s.zeros = zeros;
        s.exact = exact;
        return is_small(s);
    case Instruction::Shl:
        if (n > 16)
            return false;
        n = 1ull << n;
        [[fallthrough]];
    case Instruction::Mul:
        for (unsigned l = 0; l < lanes; l++)
            s.by[l] *= (int64_t)n;
        s.zeros = std::min(63u, s.zeros + (unsigned)llvm::countr_zero(n));
        s.exact = exact;
        return by && n != ~0ull && is_small(s);
    case Instruction::LShr:
        if (n > s.zeros || n > 16 ||
                !computeKnownBits(in->getOperand(0), layout).isNonNegative())
            return false;
        for (int64_t &b : s.by)
            b >>= n;
        s.zeros -= (unsigned)n;
        s.exact = true;
        return true;
    case Instruction::And:
        for (int64_t &b : s.by) {
            if (n == ~0ull || b < 0 || b >> s.zeros) /* bits that lane 0 may have, too */
                return false;
            b &= (int64_t)n;
        }
        s.exact = true;
        return true;
    default:
        return false;
    }
}

static bool is_read_together(const LoadInst *load)
{
    return load->hasMetadata(LLVMContext::MD_invariant_load) ||
           load->getParent()->getTerminator()->getMetadata(NVPTX_TOGETHER);
}

bool Lanes::are_same(Instruction *in)
{
    for (Value *operand : in->operands()) {
        Steps s;
        if (isa<BasicBlock>(operand) || isa<Function>(operand))
            continue;
        if (!of(operand, s) || !is_constant(s))
            return false;
    }
    return true;
}

bool Lanes::of(Value *v, Steps &s)
{
    s = Steps();
    if (auto *c = dyn_cast<ConstantInt>(v)) {
        s.zeros = c->isZero() ? 63 : std::min(63u, c->getValue().countr_zero());
        return true;
    }
    if (isa<Constant>(v))
        return true;
    auto *in = dyn_cast<Instruction>(v);
    if (!in || !left--)
        return left = 0, false;
    if (auto *phi = dyn_cast<PHINode>(in))
        return of_phi(phi, s);
    if (auto *call = dyn_cast<CallInst>(in))
        return of_call(call, s);
    if (auto *gep = dyn_cast<GetElementPtrInst>(in))
        return of_address(gep, s);
    if (isa<SExtInst>(in) || isa<ZExtInst>(in) || isa<TruncInst>(in))
        return of_cast(cast<CastInst>(in), s);
    if (in->isBinaryOp() && in->getType()->isIntegerTy() && of_operation(in, s))
        return true;
    s = Steps();
    /* What is loaded from one place at a time is one value. */
    auto *load = dyn_cast<LoadInst>(in);
    return (load ? load->isSimple() && is_read_together(load) : isa<BinaryOperator>(in) || isa<CmpInst>(in) ||
                                              isa<SelectInst>(in) || isa<CastInst>(in)) &&
           are_same(in);
}

/* ---- the loop */

/* Where v lies does not depend on what is to be exchanged. */
static bool is_free_of_loads(const Rows &r, Value *v, SmallPtrSetImpl<Value *> &seen)
{
    auto *in = dyn_cast<Instruction>(v);
    if (!in || in->getParent() != r.block || isa<PHINode>(in) || !seen.insert(in).second)
        return true;
    for (auto &known : r.arrays)
        if (auto *load = dyn_cast<LoadInst>(in); load && known.second.loads.contains(load))
            return false;
    for (Value *operand : in->operands())
        if (!is_free_of_loads(r, operand, seen))
            return false;
    return true;
}

static bool find_rows(Rows &r)
{
    for (Instruction &in : *r.block)
        if (in.mayHaveSideEffects())
            return false;
    bool some = false;
    for (PHINode &phi : r.block->phis()) {
        Sum s = {&phi, phi.getIncomingValueForBlock(r.block)};
        if (!phi.getType()->isFloatTy() || !take_apart(r, s, s.next) || !goes_into_sums(r, s))
            continue;
        if (!add_arrays(r, s))
            return false;
        some = true;
    }
    SmallPtrSet<LoadInst *, 16> loads;
    for (auto &known : r.arrays)
        for (LoadInst *load : known.second.loads)
            if (!loads.insert(load).second || !serves_products(r, load))
                return false;
    SmallPtrSet<Value *, 16> seen;
    for (auto &known : r.arrays)
        if (!is_free_of_loads(r, known.first.first, seen))
            return false;
    return some;
}

static bool are_neighbours(const Rows &r, BasicBlock *entry)
{
    Lanes of_lanes(r.layout, r.block, entry);
    for (auto &known : r.arrays) {
        Steps s;
        if (!of_lanes.of(known.first.first, s))
            return false;
        for (unsigned l = 0; l < lanes; l++)
            if (s.by[l] != (int64_t)l * known.second.count * known.second.bytes)
                return false;
    }
    return true;
}

/* How many elements a lane reads side by side; 0: nothing is won. */
static unsigned group_of(const Rows &r)
{
    unsigned bytes = 0, count = r.arrays.front().second.count;
    for (auto &known : r.arrays) {
        bytes = std::max(bytes, known.second.bytes);
        if (known.second.count != count)
            return 0;
    }
    unsigned group = widest_load / bytes;
    if (group < 2 || count % group || count / group < 2)
        return 0;
    for (auto &known : r.arrays) /* no load reaches from one group into the next */
        for (LoadInst *load : known.second.loads) {
            APInt offset(r.layout.getIndexTypeSizeInBits(load->getPointerOperandType()), 0);
            load->getPointerOperand()->stripAndAccumulateConstantOffsets(r.layout, offset, true);
            uint64_t at = (uint64_t)(offset.getSExtValue() - known.second.offset);
            uint64_t each = (uint64_t)group * known.second.bytes;
            if (at / each != (at + r.layout.getTypeStoreSize(load->getType()) - 1) / each)
                return 0;
        }
    return group;
}

/* What v is computed from comes before `at`, which is in the loop's block as well. */
static void bring_up(Value *v, BasicBlock *block, Instruction *at)
{
    auto *in = dyn_cast<Instruction>(v);
    if (!in || in->getParent() != block || isa<PHINode>(in) || in->comesBefore(at))
        return;
    for (Value *operand : in->operands())
        bring_up(operand, block, at);
    in->moveBefore(at);
}

static Value *ballot(IRBuilder<> &b, Value *mask, Value *vote)
{
    Value *all = ConstantInt::get(b.getInt32Ty(), ~0u);
    Value *seen = b.CreateIntrinsic(Intrinsic::nvvm_vote_ballot_sync, {}, {mask, vote});
    return b.CreateICmpEQ(seen, all);
}

static Value *lane_of(IRBuilder<> &b)
{
    return b.CreateAnd(b.CreateIntrinsic(Intrinsic::nvvm_read_ptx_sreg_tid_x, {}, {}), lanes - 1);
}

/* All lanes enter the loop together. */
static Value *all_enter(Rows &r)
{
    auto *branch = cast<BranchInst>(r.before->getTerminator());
    IRBuilder<> b(branch);
    Value *enters = b.getTrue();
    if (branch->isConditional()) {
        BasicBlock *to = branch->getSuccessor(0);
        enters = branch->getCondition();
        if (to != r.block && to->getSingleSuccessor() != r.block)
            enters = b.CreateNot(enters);
    }
    return ballot(b, ConstantInt::get(b.getInt32Ty(), ~0u), enters);
}

static void move_loads(IRBuilder<> &b, const Rows &r, Value *base, const Array &a, unsigned group,
        Value *lane, Value *together)
{
    int64_t each = (int64_t)group * a.bytes, piece = (int64_t)a.count * a.bytes;
    Value *zero = b.getInt64(0);
    Value *own = b.CreateSelect(
            together, b.CreateMul(lane, b.getInt64((uint64_t)(each - piece))), zero);
    Value *from = b.CreatePtrAdd(base, own);
    SmallVector<Value *, 16> at;
    for (unsigned i = 0; i < a.count / group; i++)
        at.push_back(b.CreatePtrAdd(from,
                b.CreateSelect(together, b.getInt64((uint64_t)(a.offset + i * each * lanes)),
                        b.getInt64((uint64_t)(a.offset + i * each)))));
    Align least = a.loads[0]->getAlign();
    for (LoadInst *load : a.loads)
        least = std::min(least, load->getAlign());
    for (LoadInst *load : a.loads) {
        APInt offset(r.layout.getIndexTypeSizeInBits(base->getType()), 0);
        load->getPointerOperand()->stripAndAccumulateConstantOffsets(r.layout, offset, true);
        int64_t in = offset.getSExtValue() - a.offset;
        load->setOperand(0,
                b.CreatePtrAdd(at[(size_t)(in / each)], b.getInt64((uint64_t)(in % each))));
        load->setAlignment(least);
    }
}

static void exchange(Rows &r, unsigned group, BasicBlock *entry)
{
    Value *enter = all_enter(r);
    IRBuilder<> b(&*r.block->begin());
    PHINode *all = b.CreatePHI(b.getInt1Ty(), 2, "all");
    b.SetInsertPoint(&*r.block->getFirstNonPHIIt());
    Value *lane = lane_of(b), *lane64 = b.CreateZExt(lane, b.getInt64Ty());
    /* A lane that is not with all the others is alone. */
    Value *mask = b.CreateSelect(all, ConstantInt::get(b.getInt32Ty(), ~0u),
            b.CreateShl(b.getInt32(1), lane));
    for (auto &known : r.arrays)
        bring_up(known.first.first, r.block, cast<Instruction>(mask));
    b.SetInsertPoint(cast<Instruction>(mask)->getNextNode());
    for (auto &known : r.arrays)
        move_loads(b, r, known.first.first, known.second, group, lane64, all);
    auto *branch = cast<BranchInst>(r.block->getTerminator());
    b.SetInsertPoint(branch);
    Value *on = branch->getCondition();
    if (branch->getSuccessor(0) != r.block)
        on = b.CreateNot(on);
    all->addIncoming(enter, entry);
    all->addIncoming(b.CreateAnd(all, ballot(b, mask, on)), r.block);
}

static bool is_conditional(const BasicBlock *block)
{
    auto *branch = dyn_cast<BranchInst>(block->getTerminator());
    return branch && branch->isConditional();
}

static bool is_together(const BasicBlock *block)
{
    return isa<BranchInst>(block->getTerminator()) &&
           block->getTerminator()->getMetadata(NVPTX_TOGETHER);
}

static void visit(Loop &loop, const DataLayout &layout)
{
    BasicBlock *block = loop.getHeader(), *entry = loop.getLoopPredecessor();
    if (loop.getNumBlocks() != 1 || !entry || !is_conditional(block))
        return;
    BasicBlock *guard = is_conditional(entry) ? entry : entry->getSinglePredecessor();
    BasicBlock *before = guard && is_together(guard) ? guard : entry;
    if (!is_together(before))
        return;
    Rows r = {block, before, layout, {}, {}};
    if (!find_rows(r))
        return;
    unsigned group = group_of(r);
    if (group && are_neighbours(r, entry))
        exchange(r, group, entry);
}

void nvptx_rows(LLVMValueRef function)
{
    Function &f = *unwrap<Function>(function);
    DominatorTree tree(f);
    LoopInfo loops(tree);
    for (Loop *loop : loops.getLoopsInPreorder())
        visit(*loop, f.getParent()->getDataLayout());
    for (BasicBlock &block : f)
        for (Instruction &in : block)
            in.setMetadata(NVPTX_TOGETHER, nullptr);
}
