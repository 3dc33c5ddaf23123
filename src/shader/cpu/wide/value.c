/* shader: instructions on vectors of lanes. See wide.h. */
#include "shader/cpu/wide/wide.h"

#include <stdlib.h>
#include <string.h>

/* ---- building blocks */

LLVMTypeRef wide_type(struct wide *w, LLVMTypeRef scalar)
{
    return LLVMVectorType(scalar, w->width);
}

LLVMValueRef wide_splat(struct wide *w, LLVMValueRef scalar)
{
    if (LLVMIsAConstant(scalar) && !LLVMIsAGlobalValue(scalar) && !LLVMIsAConstantExpr(scalar)) {
        LLVMValueRef lanes[WIDE_MAX_WIDTH];
        for (unsigned i = 0; i < w->width; i++)
            lanes[i] = scalar;
        return LLVMConstVector(lanes, w->width);
    }
    LLVMBuilderRef b = w->g->builder;
    LLVMValueRef poison = LLVMGetPoison(wide_type(w, LLVMTypeOf(scalar)));
    LLVMValueRef one = LLVMBuildInsertElement(b, poison, scalar, codegen_i32(w->g, 0), "");
    return LLVMBuildShuffleVector(
            b, one, poison, LLVMConstNull(LLVMVectorType(w->g->i32, w->width)), "splat");
}

LLVMValueRef wide_slot(struct wide *w, LLVMTypeRef type, const char *name)
{
    LLVMBuilderRef b = w->g->builder;
    LLVMBasicBlockRef here = LLVMGetInsertBlock(b);
    LLVMPositionBuilderBefore(b, w->entry_mark);
    LLVMValueRef slot = LLVMBuildAlloca(b, type, name);
    LLVMSetAlignment(slot, 64);
    LLVMPositionBuilderAtEnd(b, here);
    return slot;
}

LLVMValueRef wide_all(struct wide *w)
{
    return w->mask ? w->mask : wide_splat(w, LLVMConstInt(w->g->i1, 1, 0));
}

LLVMValueRef wide_bits(struct wide *w, LLVMValueRef mask)
{
    return LLVMBuildBitCast(
            w->g->builder, mask, LLVMIntTypeInContext(w->g->context, w->width), "bits");
}

LLVMValueRef wide_any(struct wide *w, LLVMValueRef mask)
{
    LLVMValueRef bits = wide_bits(w, mask);
    return LLVMBuildICmp(w->g->builder, LLVMIntNE, bits, LLVMConstNull(LLVMTypeOf(bits)), "any");
}

LLVMValueRef wide_full(struct wide *w, LLVMValueRef mask)
{
    LLVMValueRef bits = wide_bits(w, mask);
    LLVMValueRef all = LLVMConstAllOnes(LLVMTypeOf(bits));
    return LLVMBuildICmp(w->g->builder, LLVMIntEQ, bits, all, "full");
}

LLVMValueRef wide_first_active(struct wide *w)
{
    struct codegen *g = w->g;
    if (!w->mask)
        return codegen_i32(g, 0);
    LLVMValueRef bits = LLVMBuildZExt(g->builder, wide_bits(w, w->mask), g->i64, "");
    /* The last lane's bit makes the answer defined when no lane is active. */
    bits = LLVMBuildOr(g->builder, bits, codegen_i64(g, 1ull << (w->width - 1)), "");
    LLVMValueRef a[2] = {bits, LLVMConstInt(g->i1, 1, 0)};
    LLVMValueRef n = codegen_call_intrinsic(g, "llvm.cttz", &g->i64, 1, a, 2);
    return LLVMBuildTrunc(g->builder, n, g->i32, "first_active");
}

void wide_set_uniform(struct wide *w, LLVMValueRef source, LLVMValueRef v)
{
    wide_get(w, source)->uniform = v;
}

void wide_set_vector(struct wide *w, LLVMValueRef source, LLVMValueRef v)
{
    wide_get(w, source)->vector = v;
}

LLVMValueRef wide_uniform(struct wide *w, LLVMValueRef source)
{
    if (LLVMIsAConstant(source) || LLVMIsAArgument(source))
        return source;
    struct wide_value *v = wide_get(w, source);
    if (!v->uniform)
        w->refused = w->refused ? w->refused : "a value out of order";
    return v->uniform ? v->uniform : LLVMGetPoison(LLVMTypeOf(source));
}

static LLVMValueRef lanes_vector(struct wide *w, const int64_t *lane, LLVMTypeRef type)
{
    LLVMValueRef v[WIDE_MAX_WIDTH];
    for (unsigned i = 0; i < w->width; i++)
        v[i] = LLVMConstInt(type, (uint64_t)lane[i], 1);
    return LLVMConstVector(v, w->width);
}

/* The byte offsets of an address, <width x i64>. */
LLVMValueRef wide_offsets(struct wide *w, const struct wide_value *v)
{
    if (v->vector)
        return v->vector;
    return LLVMBuildAdd(
            w->g->builder, wide_splat(w, v->first), lanes_vector(w, v->lanes, w->g->i64), "");
}

static LLVMValueRef address_vector(struct wide *w, LLVMValueRef base, LLVMValueRef offset)
{
    return LLVMBuildGEP2(w->g->builder, w->g->i8, base, &offset, 1, "");
}

LLVMValueRef wide_vector(struct wide *w, LLVMValueRef source)
{
    struct wide_value *v = LLVMIsAConstant(source) ? NULL : wide_get(w, source);
    LLVMValueRef memory = v && LLVMGetTypeKind(LLVMTypeOf(source)) == LLVMPointerTypeKind
                                  ? wide_private(source)
                                  : NULL;
    if (memory) {
        struct wide_value *a = wide_get(w, memory);
        int64_t each[WIDE_MAX_WIDTH];
        for (unsigned i = 0; i < w->width; i++)
            each[i] = (int64_t)(i * (a->interleaved ? a->unit : a->bytes));
        LLVMValueRef lane = lanes_vector(w, each, w->g->i64);
        if (v->divergent)
            return address_vector(
                    w, v->base, LLVMBuildAdd(w->g->builder, wide_offsets(w, v), lane, ""));
        return address_vector(w, wide_uniform(w, source), lane);
    }
    if (!v || !v->divergent)
        return wide_splat(w, wide_uniform(w, source));
    if (v->base)
        return address_vector(w, v->base, wide_offsets(w, v));
    if (!v->vector)
        w->refused = w->refused ? w->refused : "a value out of order";
    return v->vector ? v->vector : LLVMGetPoison(wide_type(w, LLVMTypeOf(source)));
}

/* ---- addresses */

/* What a lane's step in an address is multiplied by: interleaved private memory keeps a unit of
 * every lane side by side. */
static uint64_t scale_of(struct wide *w, LLVMValueRef pointer)
{
    LLVMValueRef memory = wide_private(pointer);
    if (!memory)
        return 1;
    struct wide_value *a = wide_get(w, memory);
    return a->interleaved ? w->width : 1;
}

static LLVMTypeRef step_type(LLVMTypeRef type, int index)
{
    return index == 0 ? type : LLVMGetElementType(type);
}

/* Adds index * bytes to the address. */
static void add_step(struct wide *w, struct wide_value *v, LLVMValueRef index, uint64_t bytes)
{
    struct codegen *g = w->g;
    struct wide_value x = wide_known(w, index);
    unsigned bits = LLVMGetIntTypeWidth(LLVMTypeOf(index));
    LLVMValueRef size = codegen_i64(g, bytes);
    bool uniform = !wide_is_divergent(w, index);
    bool exact = bits == 64 || x.no_signed_wrap;
    const int64_t *before = v->lanes;
    v->lanes = NULL;
    v->no_signed_wrap =
            v->no_signed_wrap && exact && (x.no_signed_wrap || x.no_unsigned_wrap || uniform);
    if (before && x.lanes && (bits >= 32 || exact)) {
        if (bits < 64)
            wide_rebase(w, &x, 1);
        LLVMValueRef first = LLVMBuildSExt(g->builder, x.first, g->i64, "");
        int64_t *lane = wide_lanes(w);
        for (unsigned i = 0; i < w->width; i++)
            lane[i] = before[i] + x.lanes[i] * (int64_t)bytes;
        v->lanes = lane;
        v->first =
                LLVMBuildAdd(g->builder, v->first, LLVMBuildMul(g->builder, first, size, ""), "");
    }
    if (uniform) {
        LLVMValueRef s = LLVMBuildSExt(g->builder, wide_uniform(w, index), g->i64, "");
        s = LLVMBuildMul(g->builder, s, size, "");
        v->vector = LLVMBuildAdd(g->builder, v->vector, wide_splat(w, s), "");
        return;
    }
    LLVMValueRef i = LLVMBuildSExt(g->builder, wide_vector(w, index), wide_type(w, g->i64), "");
    i = LLVMBuildMul(g->builder, i, wide_splat(w, size), "");
    v->vector = LLVMBuildAdd(g->builder, v->vector, i, "");
}

/* Sums and products of a program's own numbers may wrap. */
static int64_t plus_times(int64_t sum, int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)sum + (uint64_t)a * (uint64_t)b);
}

/* Notes, after a step of index * bytes, what the address is a constant distance from. */
static void step_root(struct wide *w, struct wide_value *v, LLVMValueRef index, int64_t bytes)
{
    if (LLVMIsAConstantInt(index)) {
        v->delta = plus_times(v->delta, LLVMConstIntGetSExtValue(index), bytes);
        return;
    }
    struct wide_value x = {0};
    if (LLVMGetIntTypeWidth(LLVMTypeOf(index)) == 64) /* a narrower sum might wrap */
        x = wide_known(w, index);
    v->root = wide_root(w, v->root, 1, x.root ? x.root : (void *)index, bytes);
    v->delta = plus_times(v->delta, x.delta, bytes);
}

static bool divergent_gep(struct wide *w, LLVMValueRef in)
{
    struct codegen *g = w->g;
    LLVMValueRef base = LLVMGetOperand(in, 0);
    struct wide_value *v = wide_get(w, in),
                      *from = wide_is_divergent(w, base) ? wide_get(w, base) : NULL;
    uint64_t scale = scale_of(w, base);
    LLVMValueRef pointers = from && !from->base ? wide_vector(w, base) : NULL;
    if (pointers) { /* addresses from nowhere in particular */
        v->base = NULL;
        v->vector = LLVMConstNull(wide_type(w, g->i64));
        v->first = codegen_i64(g, 0);
    } else if (from) {
        v->base = from->base;
        v->vector = wide_offsets(w, from);
        v->lanes = from->lanes, v->first = from->first;
        v->no_signed_wrap = from->no_signed_wrap;
    } else {
        v->base = wide_uniform(w, base);
        v->vector = LLVMConstNull(wide_type(w, g->i64));
        v->lanes = wide_lanes(w);
        v->no_signed_wrap = true;
        v->first = codegen_i64(g, 0);
    }
    v->root = from && from->root ? from->root : base;
    v->delta = from ? from->delta : 0;
    LLVMTypeRef type = LLVMGetGEPSourceElementType(in);
    for (int i = 1; i < LLVMGetNumOperands(in); i++) {
        LLVMValueRef index = LLVMGetOperand(in, i);
        uint64_t bytes = 1;
        if (i > 1 && LLVMGetTypeKind(type) == LLVMStructTypeKind) {
            unsigned field = (unsigned)LLVMConstIntGetZExtValue(index);
            index = codegen_i64(g, LLVMOffsetOfElement(g->layout, type, field));
            type = LLVMStructGetTypeAtIndex(type, field);
        } else {
            type = step_type(type, i - 1);
            bytes = LLVMABISizeOfType(g->layout, type);
        }
        add_step(w, v, index, bytes * scale);
        step_root(w, v, index, (int64_t)(bytes * scale));
    }
    if (pointers)
        v->vector = LLVMBuildGEP2(g->builder, g->i8, pointers, &v->vector, 1, "");
    return true;
}

/* Uniform: cloned, but steps in interleaved private memory are longer. */
static bool uniform_gep(struct wide *w, LLVMValueRef in)
{
    struct codegen *g = w->g;
    LLVMValueRef offset = codegen_i64(g, 0), base = wide_uniform(w, LLVMGetOperand(in, 0));
    LLVMTypeRef type = LLVMGetGEPSourceElementType(in);
    uint64_t scale = scale_of(w, LLVMGetOperand(in, 0));
    for (int i = 1; i < LLVMGetNumOperands(in); i++) {
        LLVMValueRef index = LLVMGetOperand(in, i), step;
        if (i > 1 && LLVMGetTypeKind(type) == LLVMStructTypeKind) {
            unsigned field = (unsigned)LLVMConstIntGetZExtValue(index);
            step = codegen_i64(g, LLVMOffsetOfElement(g->layout, type, field) * scale);
            type = LLVMStructGetTypeAtIndex(type, field);
        } else {
            type = step_type(type, i - 1);
            index = LLVMBuildSExt(g->builder, wide_uniform(w, index), g->i64, "");
            step = LLVMBuildMul(g->builder, index,
                    codegen_i64(g, LLVMABISizeOfType(g->layout, type) * scale), "");
        }
        offset = LLVMBuildAdd(g->builder, offset, step, "");
    }
    wide_set_uniform(w, in, LLVMBuildGEP2(g->builder, g->i8, base, &offset, 1, ""));
    return true;
}

/* ---- everything else */

static void copy_flags(LLVMValueRef from, LLVMValueRef to)
{
    if (!LLVMIsAInstruction(to))
        return;
    LLVMOpcode op = LLVMGetInstructionOpcode(from);
    if (LLVMGetInstructionOpcode(to) != op)
        return;
    if (LLVMCanValueUseFastMathFlags(from) && LLVMCanValueUseFastMathFlags(to))
        LLVMSetFastMathFlags(to, LLVMGetFastMathFlags(from));
    if (op == LLVMAdd || op == LLVMSub || op == LLVMMul || op == LLVMShl) {
        LLVMSetNSW(to, LLVMGetNSW(from));
        LLVMSetNUW(to, LLVMGetNUW(from));
    }
    if (op == LLVMLShr || op == LLVMAShr || op == LLVMSDiv || op == LLVMUDiv)
        LLVMSetExact(to, LLVMGetExact(from));
}

static bool scalar_type(LLVMTypeRef t)
{
    LLVMTypeKind k = LLVMGetTypeKind(t);
    return k == LLVMIntegerTypeKind || k == LLVMFloatTypeKind || k == LLVMHalfTypeKind ||
           k == LLVMBFloatTypeKind || k == LLVMDoubleTypeKind || k == LLVMPointerTypeKind;
}

static LLVMValueRef widen(struct wide *w, LLVMValueRef in, LLVMOpcode op)
{
    LLVMBuilderRef b = w->g->builder;
    LLVMValueRef x = wide_vector(w, LLVMGetOperand(in, 0));
    if (LLVMIsACastInst(in))
        return LLVMBuildCast(b, op, x, wide_type(w, LLVMTypeOf(in)), "");
    if (op == LLVMFNeg)
        return LLVMBuildFNeg(b, x, "");
    if (op == LLVMFreeze)
        return LLVMBuildFreeze(b, x, "");
    if (wide_is_division(op))
        return wide_divide(w, in, op);
    LLVMValueRef y = wide_vector(w, LLVMGetOperand(in, 1));
    if (op == LLVMICmp)
        return LLVMBuildICmp(b, LLVMGetICmpPredicate(in), x, y, "");
    if (op == LLVMFCmp)
        return LLVMBuildFCmp(b, LLVMGetFCmpPredicate(in), x, y, "");
    if (op == LLVMSelect) {
        LLVMValueRef c = LLVMGetOperand(in, 0);
        if (!wide_is_divergent(w, c))
            x = wide_uniform(w, c);
        return LLVMBuildSelect(b, x, y, wide_vector(w, LLVMGetOperand(in, 2)), "");
    }
    return LLVMBuildBinOp(b, op, x, y, "");
}

static bool uniform(struct wide *w, LLVMValueRef in)
{
    if (wide_is_division(LLVMGetInstructionOpcode(in))) {
        wide_set_uniform(w, in, wide_uniform_divide(w, in));
        return true;
    }
    LLVMValueRef copy = LLVMInstructionClone(in);
    for (int i = 0; i < LLVMGetNumOperands(in); i++)
        LLVMSetOperand(copy, (unsigned)i, wide_uniform(w, LLVMGetOperand(in, (unsigned)i)));
    LLVMInsertIntoBuilder(w->g->builder, copy);
    wide_set_uniform(w, in, copy);
    return true;
}

/* Forgets what an earlier translation (of a loop's other version) made of the instruction. */
static void forget(struct wide *w, LLVMValueRef in)
{
    struct wide_value *v = wide_get(w, in);
    v->uniform = v->vector = v->first = v->base = v->memory = NULL;
    v->lanes = NULL;
    v->no_signed_wrap = v->no_unsigned_wrap = v->not_negative = false;
    v->align = v->limit = 0;
    v->root = NULL;
    v->delta = 0;
}

bool wide_instruction(struct wide *w, LLVMValueRef in)
{
    LLVMOpcode op = LLVMGetInstructionOpcode(in);
    bool divergent = wide_is_divergent(w, in);
    if (op != LLVMAlloca && op != LLVMPHI)
        forget(w, in);
    switch (op) {
    case LLVMAlloca:
    case LLVMPHI:
        return true; /* wide_translate() sees to them */
    case LLVMCall:
        return wide_call(w, in);
    case LLVMLoad:
        return wide_load(w, in);
    case LLVMStore:
        return wide_store(w, in);
    case LLVMGetElementPtr:
        return divergent ? divergent_gep(w, in) : uniform_gep(w, in);
    case LLVMAtomicRMW:
    case LLVMAtomicCmpXchg:
        return wide_serial(w, in);
    case LLVMFence:
        wide_strided_flush(w);
        LLVMInsertIntoBuilder(w->g->builder, LLVMInstructionClone(in));
        return true;
    default:
        break;
    }
    if (!divergent)
        return uniform(w, in);
    for (int i = 0; i < LLVMGetNumOperands(in); i++)
        if (!scalar_type(LLVMTypeOf(LLVMGetOperand(in, (unsigned)i))))
            return wide_serial(w, in);
    if (!scalar_type(LLVMTypeOf(in)))
        return wide_serial(w, in);
    LLVMValueRef v = widen(w, in, op);
    copy_flags(in, v);
    wide_set_vector(w, in, v);
    wide_track(w, in);
    return true;
}
