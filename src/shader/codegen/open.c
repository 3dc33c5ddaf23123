/* shader: small vectors in the scalar function, taken apart. Structures and vectors that pass
 * through calls and copies arrive as integers and as vectors of other elements (an i64 that is two
 * floats, <4 x i32> seen as <2 x i64>), which hides from all later passes that their parts are
 * separate numbers. Compiler process; hostile input. Little endian. */
#include "shader/codegen/codegen.h"

#include <llvm-c/DebugInfo.h>
#include <stdlib.h>
#include <string.h>

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

/* Of 32-bit elements; the cast is opened afterwards. */
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

/* An integer put together from parts. */
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

int codegen_scalarize(struct codegen *g)
{
    int r = codegen_run_passes(g, "function(scalarizer,sroa)");
    codegen_open_vectors(g, g->kernel);
    return r < 0 ? r
                 : codegen_run_passes(g, "function(scalarizer,sroa,instcombine<no-verify-fixpoint>,"
                                         "simplifycfg)");
}

/* ---- loops over private arrays */

/* What unrolling may make of one loop, in instructions. */
#define UNROLLED 4000u

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

/* A function's blocks, sorted by address to find their numbers. */
struct blocks {
    LLVMBasicBlockRef *block;
    bool *in; /* the loop that is looked at */
    LLVMBasicBlockRef *stack;
    size_t count;
};

static int by_address(const void *a, const void *b)
{
    uintptr_t x = *(const uintptr_t *)a, y = *(const uintptr_t *)b;
    return (x > y) - (x < y);
}

static bool list_blocks(LLVMValueRef function, struct blocks *ret)
{
    size_t n = LLVMCountBasicBlocks(function);
    *ret = (struct blocks){.block = calloc(n, sizeof *ret->block),
            .in = calloc(n, sizeof *ret->in),
            .stack = calloc(n, sizeof *ret->stack),
            .count = n};
    if (!ret->block || !ret->in || !ret->stack)
        return false;
    LLVMGetBasicBlocks(function, ret->block);
    qsort(ret->block, n, sizeof *ret->block, by_address);
    return true;
}

/* Notes the block as one of the loop's; false when it was before. */
static bool enter(struct blocks *l, LLVMBasicBlockRef b)
{
    LLVMBasicBlockRef *at = bsearch(&b, l->block, l->count, sizeof *l->block, by_address);
    bool *in = &l->in[at - l->block], was = *in;
    *in = true;
    return !was;
}

/* Fills in[] with the natural loop of the branch from `latch` back to `header`: what reaches the
 * latch without it. False when the branch does not close a loop that begins there. */
static bool find_loop(struct blocks *l, LLVMBasicBlockRef header, LLVMBasicBlockRef latch)
{
    size_t top = 0;
    memset(l->in, 0, l->count * sizeof *l->in);
    enter(l, header);
    if (enter(l, latch))
        l->stack[top++] = latch;
    while (top) {
        LLVMBasicBlockRef b = l->stack[--top];
        bool reached = false;
        for (LLVMUseRef u = LLVMGetFirstUse(LLVMBasicBlockAsValue(b)); u; u = LLVMGetNextUse(u)) {
            LLVMValueRef from = LLVMGetUser(u);
            if (!LLVMIsATerminatorInst(from))
                continue;
            reached = true;
            if (enter(l, LLVMGetInstructionParent(from)))
                l->stack[top++] = LLVMGetInstructionParent(from);
        }
        if (!reached)
            return false; /* the entry */
    }
    return true;
}

/* The longest array that is indexed in the loop, 0 if unrolling for it is too much. */
static uint64_t longest_indexed(struct codegen *g, const struct blocks *l)
{
    uint64_t size = 0, length = 0;
    for (size_t k = 0; k < l->count; k++)
        for (LLVMValueRef in = l->in[k] ? LLVMGetFirstInstruction(l->block[k]) : NULL; in;
                in = LLVMGetNextInstruction(in)) {
            uint64_t n = 0;
            size++;
            if (LLVMIsALoadInst(in) || LLVMIsAStoreInst(in))
                n = indexed_length(g, LLVMGetOperand(in, LLVMIsAStoreInst(in) ? 1 : 0));
            length = n > length ? n : length;
        }
    return size * length <= UNROLLED ? length : 0;
}

void codegen_unroll_private(struct codegen *g, LLVMValueRef function)
{
    struct blocks l;
    bool ok = list_blocks(function, &l);
    for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(function); b && ok;
            b = LLVMGetNextBasicBlock(b))
        for (LLVMUseRef u = LLVMGetFirstUse(LLVMBasicBlockAsValue(b)); u; u = LLVMGetNextUse(u)) {
            LLVMValueRef from = LLVMGetUser(u);
            if (LLVMIsABranchInst(from) && find_loop(&l, b, LLVMGetInstructionParent(from)) &&
                    longest_indexed(g, &l))
                ask_to_unroll(g, from);
        }
    free(l.block);
    free(l.in);
    free(l.stack);
}
