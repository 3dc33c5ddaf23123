/* shader: what is fetched early. Threadgroups mostly read what follows what others before them
 * read, but in pieces, a row here and a row there, which processors do not foresee: so what a later
 * threadgroup will read is asked for. Which place that is follows from how the address depends on
 * the threadgroup's place in x: a threadgroup that reads two rows of a matrix is followed by one
 * that reads the two rows below. See stride.h. Compiler process. */
#include "shader/cpu/wide/stride.h"

#define MAX_LOOKED 256u /* instructions from an address to the threadgroup's place */

/* What is fetched lies 16 KB on at least: to work through that takes longer than memory takes to
 * answer. */
#define AHEAD_BITS 14

/* How far a number or address moves from a threadgroup to its neighbour in x. `step` NULL: not at
 * all. Overflow is of no account: the answer is a hint. */
struct slope {
    bool known;
    LLVMValueRef step; /* i64 */
};

static const struct slope flat = {true, NULL}, unknown = {false, NULL};

static LLVMValueRef as_i64(struct wide *w, LLVMValueRef source)
{
    return LLVMBuildSExt(w->g->builder, wide_uniform(w, source), w->g->i64, "");
}

static struct slope scaled(struct wide *w, struct slope s, LLVMValueRef factor)
{
    if (s.known && s.step)
        s.step = LLVMBuildMul(w->g->builder, s.step, factor, "");
    return s;
}

static struct slope sum(struct wide *w, LLVMOpcode op, struct slope a, struct slope b)
{
    if (!a.known || !b.known || !b.step)
        return a.known ? b.known ? a : unknown : unknown;
    LLVMValueRef none = codegen_i64(w->g, 0);
    a.step = LLVMBuildBinOp(w->g->builder, op, a.step ? a.step : none, b.step, "");
    return a;
}

static struct slope slope_of(struct wide *w, LLVMValueRef v, unsigned *left);

static struct slope of_call(struct wide *w, LLVMValueRef v)
{
    uint64_t n = wide_marker(v, "__abx_builtin");
    if (n == 4 * ABX_BUILTIN_GROUP_IN_GRID)
        return (struct slope){true, codegen_i64(w->g, 1)};
    if (n == 4 * ABX_BUILTIN_THREAD_IN_GRID)
        return (struct slope){
                true, LLVMBuildZExt(w->g->builder,
                              w->place.builtin[ABX_BUILTIN_DISPATCH_GROUP_SIZE][0], w->g->i64, "")};
    return n != ~0ull || codegen_is_call(v, "__abx_buffer") ? flat : unknown;
}

static struct slope of_address(struct wide *w, LLVMValueRef v, unsigned *left)
{
    struct slope s = slope_of(w, LLVMGetOperand(v, 0), left);
    LLVMTypeRef type = LLVMGetGEPSourceElementType(v);
    for (int i = 1; i < LLVMGetNumOperands(v); i++) {
        struct slope index = slope_of(w, LLVMGetOperand(v, (unsigned)i), left);
        uint64_t bytes;
        if (codegen_gep_field(w->g, v, (unsigned)i, &type, &bytes))
            continue;
        s = sum(w, LLVMAdd, s, scaled(w, index, codegen_i64(w->g, bytes)));
    }
    return s;
}

static struct slope of_product(struct wide *w, LLVMValueRef v, unsigned *left)
{
    LLVMValueRef x = LLVMGetOperand(v, 0), y = LLVMGetOperand(v, 1);
    struct slope a = slope_of(w, x, left), b = slope_of(w, y, left);
    if (!a.known || !b.known || (a.step && b.step))
        return unknown;
    if (!a.step && !b.step)
        return flat;
    LLVMValueRef factor = a.step ? y : x;
    if (wide_is_divergent(w, factor))
        return unknown;
    return scaled(w, a.step ? a : b, as_i64(w, factor));
}

/* A loop's counter or address moves from threadgroup to threadgroup as its value before the first
 * turn does. Other phis are not followed: the values they choose from need not both have been
 * computed where the answer is wanted. */
static struct slope of_start(struct wide *w, LLVMValueRef phi, unsigned *left)
{
    uint32_t here = wide_block(w, LLVMGetInstructionParent(phi));
    if (LLVMCountIncoming(phi) != 2)
        return unknown;
    bool ends[2];
    for (unsigned i = 0; i < 2; i++)
        ends[i] = wide_dominates(w, here, wide_block(w, LLVMGetIncomingBlock(phi, i)));
    return ends[0] == ends[1] ? unknown : slope_of(w, LLVMGetIncomingValue(phi, ends[0]), left);
}

/* Any other operation: known only when none of its operands depends on the threadgroup's place. */
static struct slope of_others(struct wide *w, LLVMValueRef v, unsigned *left)
{
    struct slope s = flat;
    for (int i = 0; i < LLVMGetNumOperands(v); i++) {
        struct slope x = slope_of(w, LLVMGetOperand(v, (unsigned)i), left);
        s.known &= x.known && !x.step;
    }
    return s;
}

static struct slope slope_of(struct wide *w, LLVMValueRef v, unsigned *left)
{
    if (!LLVMIsAInstruction(v) || LLVMIsALoadInst(v))
        return flat;
    if (!*left)
        return unknown;
    --*left;
    switch (LLVMGetInstructionOpcode(v)) {
    case LLVMCall:
        return of_call(w, v);
    case LLVMGetElementPtr:
        return of_address(w, v, left);
    case LLVMPHI:
        return of_start(w, v, left);
    case LLVMZExt:
    case LLVMSExt:
    case LLVMTrunc:
    case LLVMFreeze:
        return slope_of(w, LLVMGetOperand(v, 0), left);
    case LLVMAnd: { /* a narrower number's width */
        LLVMValueRef by = LLVMGetOperand(v, 1);
        bool wide = LLVMIsAConstantInt(by) && LLVMConstIntGetZExtValue(by) >= INT32_MAX - 1;
        return wide ? slope_of(w, LLVMGetOperand(v, 0), left) : of_others(w, v, left);
    }
    case LLVMOr: /* of numbers without a bit in common */
    case LLVMAdd:
        return sum(w, LLVMAdd, slope_of(w, LLVMGetOperand(v, 0), left),
                slope_of(w, LLVMGetOperand(v, 1), left));
    case LLVMSub:
        return sum(w, LLVMSub, slope_of(w, LLVMGetOperand(v, 0), left),
                slope_of(w, LLVMGetOperand(v, 1), left));
    case LLVMMul:
        return of_product(w, v, left);
    case LLVMShl: {
        LLVMValueRef by = LLVMGetOperand(v, 1);
        bool small = LLVMIsAConstantInt(by) && LLVMConstIntGetZExtValue(by) < 48;
        struct slope s = small ? slope_of(w, LLVMGetOperand(v, 0), left) : unknown;
        return scaled(w, s, codegen_i64(w->g, small ? 1ull << LLVMConstIntGetZExtValue(by) : 1));
    }
    default:
        return of_others(w, v, left);
    }
}

/* True when an address leads into a buffer, as far as that can be seen. */
static bool in_buffer(LLVMValueRef pointer)
{
    for (unsigned i = 0; i < MAX_LOOKED; i++) {
        if (codegen_is_call(pointer, "__abx_buffer"))
            return true;
        if (LLVMIsAPHINode(pointer) && LLVMCountIncoming(pointer))
            pointer = LLVMGetIncomingValue(pointer, 0);
        else if (LLVMIsAGetElementPtrInst(pointer))
            pointer = LLVMGetOperand(pointer, 0);
        else
            return false;
    }
    return false;
}

LLVMValueRef wide_ahead(struct wide *w, LLVMValueRef pointer)
{
    LLVMBuilderRef b = w->g->builder;
    if (!in_buffer(pointer))
        return NULL;
    unsigned left = MAX_LOOKED;
    struct slope s = slope_of(w, pointer, &left);
    if (!s.known || !s.step)
        return NULL;
    LLVMTypeRef i64 = w->g->i64;
    LLVMValueRef a[2] = {s.step, LLVMBuildNeg(b, s.step, "")};
    LLVMValueRef length = codegen_call_intrinsic(w->g, "llvm.smax", &i64, 1, a, 2);
    /* A power of two of threadgroups. A division would not move out of the loop. */
    LLVMValueRef z[2] = {length, LLVMConstInt(w->g->i1, 0, 0)};
    LLVMValueRef zeros = codegen_call_intrinsic(w->g, "llvm.ctlz", &i64, 1, z, 2);
    LLVMValueRef m[2] = {
            LLVMBuildSub(b, zeros, codegen_i64(w->g, 63 - AHEAD_BITS), ""), codegen_i64(w->g, 0)};
    LLVMValueRef groups = codegen_call_intrinsic(w->g, "llvm.smax", &i64, 1, m, 2);
    return LLVMBuildShl(b, s.step, groups, "ahead");
}
