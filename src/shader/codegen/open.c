/* shader: small vectors in the scalar function, taken apart. Structures and vectors that pass
 * through calls and copies arrive as integers and as vectors of other elements (an i64 that is two
 * floats, <4 x i32> seen as <2 x i64>), which hides from all later passes that their parts are
 * separate numbers. Compiler process; hostile input. Little endian. */
#include "shader/codegen/codegen.h"

#define MAX_BITS 1024u
#define MAX_PARTS 64u

/* A vector (or scalar) of integers or floating-point numbers; count 1 for a scalar. */
struct shape {
    LLVMTypeRef element;
    unsigned count, bits; /* of an element */
};

static unsigned number_bits(LLVMTypeRef t)
{
    switch (LLVMGetTypeKind(t)) {
    case LLVMIntegerTypeKind:
        return LLVMGetIntTypeWidth(t);
    case LLVMHalfTypeKind:
    case LLVMBFloatTypeKind:
        return 16;
    case LLVMFloatTypeKind:
        return 32;
    case LLVMDoubleTypeKind:
        return 64;
    default:
        return 0;
    }
}

static bool shape_of(LLVMTypeRef type, struct shape *ret)
{
    bool vector = LLVMGetTypeKind(type) == LLVMVectorTypeKind;
    ret->element = vector ? LLVMGetElementType(type) : type;
    ret->count = vector ? LLVMGetVectorSize(type) : 1;
    ret->bits = number_bits(ret->element);
    return ret->bits && ret->count <= MAX_PARTS && ret->count * ret->bits <= MAX_BITS;
}

static LLVMTypeRef integer(struct codegen *g, unsigned bits)
{
    return LLVMIntTypeInContext(g->context, bits);
}

/* The scalar that was put at place i of a vector, NULL when that is not to be seen. */
static LLVMValueRef inserted(LLVMValueRef v, unsigned i)
{
    for (;;) {
        if (LLVMIsAConstant(v))
            return LLVMIsAPoisonValue(v) || LLVMIsUndef(v) ? v : LLVMGetAggregateElement(v, i);
        if (LLVMIsAInsertElementInst(v) && LLVMIsAConstantInt(LLVMGetOperand(v, 2))) {
            if (LLVMConstIntGetZExtValue(LLVMGetOperand(v, 2)) == i)
                return LLVMGetOperand(v, 1);
            v = LLVMGetOperand(v, 0);
        } else if (LLVMIsAShuffleVectorInst(v)) {
            unsigned n = LLVMGetVectorSize(LLVMTypeOf(LLVMGetOperand(v, 0)));
            int from = LLVMGetMaskValue(v, i);
            if (from == LLVMGetUndefMaskElem())
                return LLVMGetPoison(LLVMGetElementType(LLVMTypeOf(v)));
            i = (unsigned)from % n;
            v = LLVMGetOperand(v, (unsigned)from < n ? 0 : 1);
        } else {
            return NULL;
        }
    }
}

/* False when element i of v is seen to be a number. */
static bool maybe_poison(LLVMValueRef v, unsigned i, unsigned depth)
{
    LLVMValueRef known = inserted(v, i);
    if (known)
        return LLVMIsAPoisonValue(known) || LLVMIsUndef(known);
    if (LLVMIsALoadInst(v))
        return false;
    bool elementwise = LLVMIsABinaryOperator(v) || LLVMIsAUnaryOperator(v) ||
                       LLVMIsASelectInst(v) || LLVMIsAIntrinsicInst(v) || LLVMIsACastInst(v);
    if (!depth || !elementwise)
        return true;
    for (int k = 0; k < LLVMGetNumOperands(v); k++) {
        LLVMValueRef x = LLVMGetOperand(v, (unsigned)k);
        if (LLVMGetTypeKind(LLVMTypeOf(x)) != LLVMVectorTypeKind)
            continue;
        if (LLVMGetVectorSize(LLVMTypeOf(x)) != LLVMGetVectorSize(LLVMTypeOf(v)) ||
                maybe_poison(x, i, depth - 1))
            return true;
    }
    return false;
}

/* Element i of v as an integer. The fourth element of three is poison, which must not spread to
 * what it is joined with; a freeze stands in the way of later passes, so only where needed. */
static LLVMValueRef part(struct codegen *g, LLVMValueRef v, const struct shape *s, unsigned i)
{
    LLVMTypeRef type = integer(g, s->bits);
    if (LLVMGetTypeKind(LLVMTypeOf(v)) == LLVMVectorTypeKind) {
        LLVMValueRef known = inserted(v, i);
        if (known && (LLVMIsAPoisonValue(known) || LLVMIsUndef(known)))
            return LLVMConstNull(type);
        bool frozen = maybe_poison(v, i, 8);
        v = known ? known : LLVMBuildExtractElement(g->builder, v, codegen_i32(g, i), "");
        if (frozen)
            v = LLVMBuildFreeze(g->builder, v, "");
    }
    return LLVMBuildBitCast(g->builder, v, type, "");
}

/* The integer in bits [at, at + bits) of the vector v. */
static LLVMValueRef piece(
        struct codegen *g, LLVMValueRef v, const struct shape *s, unsigned at, unsigned bits)
{
    LLVMBuilderRef b = g->builder;
    LLVMTypeRef type = integer(g, bits);
    LLVMValueRef sum = NULL;
    if (bits <= s->bits) {
        LLVMValueRef e = part(g, v, s, at / s->bits);
        unsigned right = at % s->bits;
        if (right)
            e = LLVMBuildLShr(b, e, LLVMConstInt(integer(g, s->bits), right, 0), "");
        return LLVMBuildTrunc(b, e, type, "");
    }
    for (unsigned k = 0; k < bits / s->bits; k++) {
        LLVMValueRef e = LLVMBuildZExt(b, part(g, v, s, at / s->bits + k), type, "");
        if (k)
            e = LLVMBuildShl(b, e, LLVMConstInt(type, (uint64_t)k * s->bits, 0), "");
        sum = sum ? LLVMBuildOr(b, sum, e, "") : e;
    }
    return sum;
}

static void open_cast(struct codegen *g, LLVMValueRef in)
{
    LLVMValueRef v = LLVMGetOperand(in, 0);
    LLVMTypeRef type = LLVMTypeOf(in);
    struct shape from, to;
    if (!shape_of(LLVMTypeOf(v), &from) || !shape_of(type, &to) ||
            (from.count == 1 && to.count == 1) || (from.bits % to.bits && to.bits % from.bits) ||
            from.count == to.count)
        return;
    LLVMPositionBuilderBefore(g->builder, in);
    bool vector = LLVMGetTypeKind(type) == LLVMVectorTypeKind;
    LLVMValueRef r = vector ? LLVMGetPoison(type) : NULL;
    for (unsigned i = 0; i < to.count; i++) {
        LLVMValueRef e = piece(g, v, &from, i * to.bits, to.bits);
        e = LLVMBuildBitCast(g->builder, e, to.element, "");
        r = vector ? LLVMBuildInsertElement(g->builder, r, e, codegen_i32(g, i), "") : e;
    }
    LLVMReplaceAllUsesWith(in, r);
    LLVMInstructionEraseFromParent(in);
}

/* ---- integers in memory */

static bool plain_integer(LLVMTypeRef t, unsigned least)
{
    return LLVMGetTypeKind(t) == LLVMIntegerTypeKind && LLVMGetIntTypeWidth(t) >= least &&
           LLVMGetIntTypeWidth(t) % 32 == 0 && LLVMGetIntTypeWidth(t) <= MAX_BITS;
}

static bool plain_access(LLVMValueRef in)
{
    return !LLVMGetVolatile(in) && LLVMGetOrdering(in) == LLVMAtomicOrderingNotAtomic;
}

/* True when `v` is only looked at in parts of at most 32 bits. */
static bool in_parts(LLVMValueRef v)
{
    bool any = false;
    for (LLVMUseRef u = LLVMGetFirstUse(v); u; u = LLVMGetNextUse(u)) {
        LLVMValueRef user = LLVMGetUser(u);
        if (!LLVMIsAInstruction(user))
            return false;
        LLVMOpcode op = LLVMGetInstructionOpcode(user);
        if (op == LLVMLShr && LLVMGetOperand(user, 0) == v &&
                LLVMIsAConstantInt(LLVMGetOperand(user, 1))) {
            if (!in_parts(user))
                return false;
        } else if (op == LLVMTrunc) {
            if (LLVMGetIntTypeWidth(LLVMTypeOf(user)) > 32)
                return false;
        } else if (op != LLVMBitCast || LLVMGetTypeKind(LLVMTypeOf(user)) != LLVMVectorTypeKind) {
            return false;
        }
        any = true;
    }
    return any;
}

/* Loads the integer as a vector of 32-bit elements and casts that; the cast is opened afterwards.
 */
static void open_load(struct codegen *g, LLVMValueRef in)
{
    LLVMTypeRef type = LLVMTypeOf(in);
    if (!plain_access(in) || !plain_integer(type, 64) ||
            (LLVMGetIntTypeWidth(type) == 64 && !in_parts(in)))
        return;
    LLVMPositionBuilderBefore(g->builder, in);
    LLVMValueRef v = LLVMBuildLoad2(g->builder,
            LLVMVectorType(g->i32, LLVMGetIntTypeWidth(type) / 32), LLVMGetOperand(in, 0), "");
    LLVMSetAlignment(v, LLVMGetAlignment(in));
    LLVMReplaceAllUsesWith(in, LLVMBuildBitCast(g->builder, v, type, ""));
    LLVMInstructionEraseFromParent(in);
}

/* True for an integer that was put together from parts of at most 32 bits. */
static bool of_parts(LLVMValueRef v)
{
    if (!LLVMIsAInstruction(v))
        return false;
    LLVMOpcode op = LLVMGetInstructionOpcode(v);
    if (op == LLVMBitCast)
        return LLVMGetTypeKind(LLVMTypeOf(LLVMGetOperand(v, 0))) == LLVMVectorTypeKind;
    return op == LLVMOr && LLVMIsAInstruction(LLVMGetOperand(v, 0)) &&
           LLVMIsAInstruction(LLVMGetOperand(v, 1)) &&
           (LLVMGetInstructionOpcode(LLVMGetOperand(v, 0)) == LLVMShl ||
                   LLVMGetInstructionOpcode(LLVMGetOperand(v, 1)) == LLVMShl) &&
           (LLVMGetInstructionOpcode(LLVMGetOperand(v, 0)) == LLVMZExt ||
                   LLVMGetInstructionOpcode(LLVMGetOperand(v, 1)) == LLVMZExt);
}

static void open_store(struct codegen *g, LLVMValueRef in)
{
    LLVMValueRef v = LLVMGetOperand(in, 0);
    LLVMTypeRef type = LLVMTypeOf(v);
    if (!plain_access(in) || !plain_integer(type, 64) ||
            (LLVMGetIntTypeWidth(type) == 64 && !of_parts(v)))
        return;
    LLVMPositionBuilderBefore(g->builder, in);
    LLVMTypeRef parts = LLVMVectorType(g->i32, LLVMGetIntTypeWidth(type) / 32);
    LLVMValueRef s = LLVMBuildStore(
            g->builder, LLVMBuildBitCast(g->builder, v, parts, ""), LLVMGetOperand(in, 1));
    LLVMSetAlignment(s, LLVMGetAlignment(in));
    LLVMInstructionEraseFromParent(in);
}

void codegen_open_vectors(struct codegen *g, LLVMValueRef function)
{
    for (int casts = 0; casts < 2; casts++)
        for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(function); b;
                b = LLVMGetNextBasicBlock(b))
            for (LLVMValueRef in = LLVMGetFirstInstruction(b), next; in; in = next) {
                next = LLVMGetNextInstruction(in);
                LLVMOpcode op = LLVMGetInstructionOpcode(in);
                if (casts && op == LLVMBitCast)
                    open_cast(g, in);
                else if (!casts && op == LLVMLoad)
                    open_load(g, in);
                else if (!casts && op == LLVMStore)
                    open_store(g, in);
            }
}
