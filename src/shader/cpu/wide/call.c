/* shader: calls on vectors of lanes: markers, intrinsics, SIMD-group operations, and anything else
 * one lane after the other. See wide.h. */
#include "shader/cpu/wide/wide.h"

#include <stdlib.h>
#include <string.h>

/* ---- one lane after the other */

static LLVMValueRef lane_of(struct wide *w, LLVMValueRef array, LLVMTypeRef type, LLVMValueRef lane)
{
    LLVMValueRef index[2] = {codegen_i64(w->g, 0), lane};
    return LLVMBuildInBoundsGEP2(
            w->g->builder, LLVMArrayType2(type, w->width), array, index, 2, "");
}

static bool vectorisable(LLVMTypeRef t)
{
    LLVMTypeKind k = LLVMGetTypeKind(t);
    return k == LLVMIntegerTypeKind || k == LLVMFloatTypeKind || k == LLVMHalfTypeKind ||
           k == LLVMBFloatTypeKind || k == LLVMDoubleTypeKind || k == LLVMPointerTypeKind;
}

/* The type a lane's value has in an array: a vector of odd integers (i1, i96) is packed tighter
 * than an array of them, so they are widened to a size where the two agree. */
static LLVMTypeRef kept_type(struct wide *w, LLVMTypeRef type)
{
    unsigned bits = 8;
    if (LLVMGetTypeKind(type) != LLVMIntegerTypeKind)
        return type;
    while (bits < LLVMGetIntTypeWidth(type))
        bits *= 2;
    return LLVMIntTypeInContext(w->g->context, bits);
}

/* Where the lanes' values of a source value lie, as an array. Values of types that vectors cannot
 * hold are kept so. */
static LLVMValueRef array_of(struct wide *w, LLVMValueRef source)
{
    LLVMBuilderRef b = w->g->builder;
    LLVMTypeRef type = LLVMTypeOf(source);
    if (!vectorisable(type))
        return wide_get(w, source)->memory;
    LLVMValueRef v = wide_vector(w, source);
    if (kept_type(w, type) != type)
        v = LLVMBuildZExt(b, v, wide_type(w, kept_type(w, type)), "");
    LLVMValueRef slot = wide_slot(w, LLVMTypeOf(v), "lanes");
    LLVMBuildStore(b, v, slot);
    return slot;
}

static LLVMValueRef load_lane(
        struct wide *w, LLVMValueRef array, LLVMTypeRef type, LLVMValueRef lane)
{
    LLVMBuilderRef b = w->g->builder;
    LLVMTypeRef kept = kept_type(w, type);
    LLVMValueRef v = LLVMBuildLoad2(b, kept, lane_of(w, array, kept, lane), "");
    return kept == type ? v : LLVMBuildTrunc(b, v, type, "");
}

static void store_lane(struct wide *w, LLVMValueRef array, LLVMValueRef v, LLVMValueRef lane)
{
    LLVMBuilderRef b = w->g->builder;
    LLVMTypeRef kept = kept_type(w, LLVMTypeOf(v));
    if (kept != LLVMTypeOf(v))
        v = LLVMBuildZExt(b, v, kept, "");
    LLVMBuildStore(b, v, lane_of(w, array, kept, lane));
}

struct wide_lane_loop wide_lane_loop_begin(struct wide *w, LLVMValueRef mask)
{
    struct codegen *g = w->g;
    LLVMBuilderRef b = g->builder;
    LLVMValueRef bits = mask ? LLVMBuildZExt(b, wide_bits(w, mask), g->i64, "") : NULL;
    LLVMBasicBlockRef body = LLVMAppendBasicBlockInContext(g->context, w->function, "active");
    struct wide_lane_loop l = {.before = LLVMGetInsertBlock(b),
            .top = LLVMAppendBasicBlockInContext(g->context, w->function, "lane"),
            .next = LLVMAppendBasicBlockInContext(g->context, w->function, "next"),
            .after = LLVMAppendBasicBlockInContext(g->context, w->function, "lanes")};
    LLVMBuildBr(b, l.top);
    LLVMPositionBuilderAtEnd(b, l.top);
    l.lane = LLVMBuildPhi(b, g->i64, "lane");
    if (bits) {
        LLVMValueRef bit =
                LLVMBuildAnd(b, LLVMBuildLShr(b, bits, l.lane, ""), codegen_i64(g, 1), "");
        LLVMBuildCondBr(b, LLVMBuildICmp(b, LLVMIntNE, bit, codegen_i64(g, 0), ""), body, l.next);
    } else {
        LLVMBuildBr(b, body);
    }
    LLVMPositionBuilderAtEnd(b, body);
    return l;
}

void wide_lane_loop_end(struct wide *w, struct wide_lane_loop *l)
{
    struct codegen *g = w->g;
    LLVMBuilderRef b = g->builder;
    LLVMBuildBr(b, l->next);
    LLVMPositionBuilderAtEnd(b, l->next);
    LLVMValueRef sum = LLVMBuildAdd(b, l->lane, codegen_i64(g, 1), "");
    LLVMValueRef end = LLVMBuildICmp(b, LLVMIntEQ, sum, codegen_i64(g, w->width), "");
    LLVMBuildCondBr(b, end, l->after, l->top);
    LLVMValueRef from[2] = {codegen_i64(g, 0), sum};
    LLVMBasicBlockRef blocks[2] = {l->before, l->next};
    LLVMAddIncoming(l->lane, from, blocks, 2);
    LLVMPositionBuilderAtEnd(b, l->after);
}

/* for (lane = 0; lane < width; lane++) if (active) result[lane] = copy of `in` */
bool wide_serial(struct wide *w, LLVMValueRef in)
{
    struct codegen *g = w->g;
    LLVMBuilderRef b = g->builder;
    int operands = LLVMGetNumOperands(in) - (LLVMIsACallInst(in) ? 1 : 0);
    wide_strided_flush(w);
    w->matrix = NULL; /* it may write */
    LLVMTypeRef type = LLVMTypeOf(in), kept = kept_type(w, type);
    LLVMValueRef array[16] = {0}, result = NULL;
    if (operands > (int)ABX_ARRAY_SIZE(array)) {
        w->refused = "a call with many arguments";
        return false;
    }
    for (int i = 0; i < operands; i++) {
        LLVMValueRef o = LLVMGetOperand(in, (unsigned)i);
        if (wide_is_divergent(w, o) ||
                (LLVMGetTypeKind(LLVMTypeOf(o)) == LLVMPointerTypeKind && wide_private(o)))
            if (!(array[i] = array_of(w, o))) {
                w->refused = "a structure that differs between lanes";
                return false;
            }
    }
    LLVMTypeKind kind = LLVMGetTypeKind(type);
    if (kind != LLVMVoidTypeKind) {
        result = wide_slot(w, LLVMArrayType2(kept, w->width), "results");
        LLVMBuildStore(b, LLVMConstNull(LLVMArrayType2(kept, w->width)), result);
    }
    struct wide_lane_loop loop = wide_lane_loop_begin(w, w->mask);
    LLVMValueRef copy = LLVMInstructionClone(in);
    for (int i = 0; i < operands; i++) {
        LLVMValueRef o = LLVMGetOperand(in, (unsigned)i);
        LLVMSetOperand(copy, (unsigned)i,
                array[i] ? load_lane(w, array[i], LLVMTypeOf(o), loop.lane) : wide_uniform(w, o));
    }
    LLVMInsertIntoBuilder(b, copy);
    if (result)
        store_lane(w, result, copy, loop.lane);
    wide_lane_loop_end(w, &loop);
    if (!result)
        return true;
    if (!vectorisable(type)) {
        wide_get(w, in)->memory = result;
        return true;
    }
    LLVMValueRef v = LLVMBuildLoad2(b, wide_type(w, kept), result, "");
    if (kept != type)
        v = LLVMBuildTrunc(b, v, wide_type(w, type), "");
    wide_set_vector(w, in, v);
    return true;
}

/* ---- intrinsics */

struct intrinsic {
    const char *name;
    bool by_argument; /* overloaded on the argument's type too */
    int scalar;       /* argument that stays scalar, -1 none */
};

static const struct intrinsic intrinsics[] = {{"llvm.fma", false, -1}, {"llvm.fmuladd", false, -1},
        {"llvm.sqrt", false, -1}, {"llvm.fabs", false, -1}, {"llvm.floor", false, -1},
        {"llvm.ceil", false, -1}, {"llvm.trunc", false, -1}, {"llvm.rint", false, -1},
        {"llvm.nearbyint", false, -1}, {"llvm.roundeven", false, -1}, {"llvm.round", false, -1},
        {"llvm.minnum", false, -1}, {"llvm.maxnum", false, -1}, {"llvm.minimum", false, -1},
        {"llvm.maximum", false, -1}, {"llvm.copysign", false, -1}, {"llvm.smin", false, -1},
        {"llvm.smax", false, -1}, {"llvm.umin", false, -1}, {"llvm.umax", false, -1},
        {"llvm.abs", false, 1}, {"llvm.ctpop", false, -1}, {"llvm.ctlz", false, 1},
        {"llvm.cttz", false, 1}, {"llvm.bitreverse", false, -1}, {"llvm.bswap", false, -1},
        {"llvm.fshl", false, -1}, {"llvm.fshr", false, -1}, {"llvm.sadd.sat", false, -1},
        {"llvm.uadd.sat", false, -1}, {"llvm.ssub.sat", false, -1}, {"llvm.usub.sat", false, -1},
        {"llvm.fptosi.sat", true, -1}, {"llvm.fptoui.sat", true, -1}};

/* Intrinsics that say nothing about the result. */
static bool hint(const char *name)
{
    return !strncmp(name, "llvm.lifetime", 13) || !strncmp(name, "llvm.assume", 11) ||
           !strncmp(name, "llvm.dbg", 8) || !strncmp(name, "llvm.experimental.noalias", 25) ||
           !strncmp(name, "llvm.invariant", 14) || !strncmp(name, "llvm.donothing", 14);
}

static bool vector_intrinsic(struct wide *w, LLVMValueRef in, const char *name)
{
    const struct intrinsic *found = NULL;
    for (size_t i = 0; i < ABX_ARRAY_SIZE(intrinsics); i++) {
        size_t n = strlen(intrinsics[i].name);
        if (!strncmp(name, intrinsics[i].name, n) && name[n] == '.' &&
                strchr(name + n + 1, '.') ==
                        (intrinsics[i].by_argument ? strchr(name + n + 1, '.') : NULL))
            found = &intrinsics[i];
    }
    if (!found || !vectorisable(LLVMTypeOf(in)))
        return false;
    unsigned count = LLVMGetNumArgOperands(in);
    LLVMValueRef a[4];
    LLVMTypeRef types[2] = {wide_type(w, LLVMTypeOf(in))};
    if (count > 4)
        return false;
    for (unsigned i = 0; i < count; i++) {
        LLVMValueRef o = LLVMGetOperand(in, i);
        if (!vectorisable(LLVMTypeOf(o)))
            return false;
        a[i] = (int)i == found->scalar ? o : wide_vector(w, o);
    }
    types[1] = LLVMTypeOf(a[0]);
    LLVMValueRef v =
            codegen_call_intrinsic(w->g, found->name, types, found->by_argument ? 2 : 1, a, count);
    if (LLVMIsACallInst(v) && LLVMCanValueUseFastMathFlags(in) && LLVMCanValueUseFastMathFlags(v))
        LLVMSetFastMathFlags(v, LLVMGetFastMathFlags(in));
    wide_set_vector(w, in, v);
    return true;
}

/* ---- markers */

static void take_place(struct wide *w, LLVMValueRef in, uint64_t which)
{
    const struct wide_value *p = &w->lane_place[which / 4][which % 4];
    if (!wide_is_divergent(w, in)) {
        wide_set_uniform(w, in, p->uniform);
        return;
    }
    struct wide_value *v = wide_get(w, in);
    v->vector = p->vector;
    v->lanes = p->lanes;
    v->no_signed_wrap = v->no_unsigned_wrap = p->lanes != NULL;
    v->first = p->first;
    v->align = p->align;
    v->limit = p->limit;
    v->not_negative = p->limit != 0;
    v->root = in;
}

static bool argument(struct wide *w, LLVMValueRef in, uint64_t n, bool buffer)
{
    struct codegen *g = w->g;
    if (n >= (buffer ? ABX_BUFFER_SLOTS : ABX_MAX_THREADGROUP_BINDINGS)) {
        w->refused = "an argument index out of range";
        return false;
    }
    LLVMBasicBlockRef here = LLVMGetInsertBlock(g->builder);
    size_t offset = (buffer ? offsetof(struct abx_kernel_call, buffers)
                            : offsetof(struct abx_kernel_call, threadgroup)) +
                    8 * (size_t)n;
    LLVMPositionBuilderBefore(g->builder, w->entry_mark);
    wide_set_uniform(w, in, codegen_load_field(g, w->place.call, g->ptr, offset, "argument"));
    LLVMPositionBuilderAtEnd(g->builder, here);
    return true;
}

/* All lanes stop, whatever the mask: of a barrier every lane is to be there; to yield is no more
 * than a pause. */
static bool stop(struct wide *w, uint32_t wait)
{
    struct codegen *g = w->g;
    if (!w->coroutine || (wait == ABX_WAIT_GROUP && w->mask != w->entry_mask)) {
        w->refused = "a barrier in divergent control flow";
        return false;
    }
    if (g->yields) { /* else every stop is a barrier */
        LLVMValueRef offset = codegen_i64(g, offsetof(struct abx_kernel_lane, wait));
        LLVMValueRef lane = LLVMGetParam(w->function, 3);
        LLVMBuildStore(g->builder, codegen_i32(g, wait),
                LLVMBuildInBoundsGEP2(g->builder, g->i8, lane, &offset, 1, ""));
    }
    LLVMBasicBlockRef go_on = LLVMAppendBasicBlockInContext(g->context, w->function, "resumed");
    cpu_coroutine_stop(g, w->coroutine, false, go_on);
    w->matrix = NULL;
    LLVMPositionBuilderAtEnd(g->builder, go_on);
    return true;
}

bool wide_call(struct wide *w, LLVMValueRef in)
{
    const char *name = codegen_callee(in);
    uint64_t n;
    if ((n = wide_marker(in, "__abx_builtin")) != ~0ull) {
        if (n / 4 >= ABX_BUILTIN_COUNT || n % 4 > 2) {
            w->refused = "an unknown builtin";
            return false;
        }
        take_place(w, in, n);
        return true;
    }
    if ((n = wide_marker(in, "__abx_buffer")) != ~0ull)
        return argument(w, in, n, true);
    if ((n = wide_marker(in, "__abx_threadgroup")) != ~0ull)
        return argument(w, in, n, false);
    if (!strcmp(name, "__abx_statics")) {
        wide_set_uniform(w, in, w->statics);
        return true;
    }
    if (!strcmp(name, "__abx_barrier") || !strncmp(name, "__abx_simd", 10) || codegen_is_matrix(in))
        wide_strided_flush(w);
    if (codegen_is_matrix(in))
        return wide_matrix(w, in);
    if (!strcmp(name, "__abx_barrier"))
        return stop(w, ABX_WAIT_GROUP);
    if (!strcmp(name, "__abx_yield")) {
        wide_strided_flush(w);
        return stop(w, ABX_WAIT_YIELD);
    }
    if (!strcmp(name, "__abx_simd_barrier")) { /* lanes run side by side: memory order is enough */
        if (wide_marker(in, "__abx_simd_barrier") == 0)
            return true; /* of no memory */
        LLVMBuildFence(w->g->builder, LLVMAtomicOrderingAcquireRelease, 1, "");
        return true;
    }
    if (!strcmp(name, "__abx_simd"))
        return wide_simd(w, in);
    if (hint(name))
        return true;
    if (!wide_is_divergent(w, in) && LLVMGetTypeKind(LLVMTypeOf(in)) != LLVMVoidTypeKind) {
        LLVMValueRef copy = LLVMInstructionClone(in);
        for (unsigned i = 0; i < LLVMGetNumArgOperands(in); i++)
            LLVMSetOperand(copy, i, wide_uniform(w, LLVMGetOperand(in, i)));
        LLVMInsertIntoBuilder(w->g->builder, copy);
        wide_set_uniform(w, in, copy);
        return true;
    }
    return vector_intrinsic(w, in, name) || wide_serial(w, in);
}

/* ---- SIMD-group operations: the whole group is one vector */

struct simd {
    struct wide *w;
    LLVMTypeRef element;
    unsigned op, type, group; /* group: lanes that belong together, 32 or 4 */
};

static LLVMValueRef decode(struct simd *s, LLVMValueRef v)
{
    LLVMBuilderRef b = s->w->g->builder;
    if (s->type == ABX_SIMD_I64 || s->type == ABX_SIMD_U64)
        return v;
    v = LLVMBuildTrunc(b, v, wide_type(s->w, s->w->g->i32), "");
    return s->type == ABX_SIMD_F32 ? LLVMBuildBitCast(b, v, wide_type(s->w, s->element), "") : v;
}

/* Of a scalar or a vector. */
static LLVMValueRef encode(struct simd *s, LLVMValueRef v)
{
    LLVMBuilderRef b = s->w->g->builder;
    bool vector = LLVMGetTypeKind(LLVMTypeOf(v)) == LLVMVectorTypeKind;
    LLVMTypeRef i32 = s->w->g->i32, i64 = s->w->g->i64;
    if (s->type == ABX_SIMD_F32)
        v = LLVMBuildBitCast(b, v, vector ? wide_type(s->w, i32) : i32, "");
    if (s->type == ABX_SIMD_I64 || s->type == ABX_SIMD_U64)
        return v;
    return LLVMBuildZExt(b, v, vector ? wide_type(s->w, i64) : i64, "");
}

static LLVMValueRef intrinsic2(struct simd *s, const char *name, LLVMValueRef x, LLVMValueRef y)
{
    LLVMTypeRef type = LLVMTypeOf(x);
    LLVMValueRef a[2] = {x, y};
    return codegen_call_intrinsic(s->w->g, name, &type, 1, a, 2);
}

static LLVMValueRef combine(struct simd *s, unsigned op, LLVMValueRef x, LLVMValueRef y)
{
    LLVMBuilderRef b = s->w->g->builder;
    bool f = s->type == ABX_SIMD_F32,
         is_signed = s->type == ABX_SIMD_I32 || s->type == ABX_SIMD_I64;
    switch (op) {
    case ABX_SIMD_ADD:
        return f ? LLVMBuildFAdd(b, x, y, "") : LLVMBuildAdd(b, x, y, "");
    case ABX_SIMD_MUL:
        return f ? LLVMBuildFMul(b, x, y, "") : LLVMBuildMul(b, x, y, "");
    case ABX_SIMD_MIN:
        return intrinsic2(s, f ? "llvm.minnum" : is_signed ? "llvm.smin" : "llvm.umin", x, y);
    case ABX_SIMD_MAX:
        return intrinsic2(s, f ? "llvm.maxnum" : is_signed ? "llvm.smax" : "llvm.umax", x, y);
    case ABX_SIMD_AND:
        return LLVMBuildAnd(b, x, y, "");
    case ABX_SIMD_OR:
        return LLVMBuildOr(b, x, y, "");
    default:
        return LLVMBuildXor(b, x, y, "");
    }
}

/* As runtime.c's identity(). */
static LLVMValueRef identity(struct simd *s, unsigned op)
{
    LLVMTypeRef t = s->element;
    bool f = s->type == ABX_SIMD_F32,
         is_signed = s->type == ABX_SIMD_I32 || s->type == ABX_SIMD_I64;
    uint64_t top = 1ull << (f ? 31 : LLVMGetIntTypeWidth(t) - 1);
    switch (op) {
    case ABX_SIMD_ADD:
        return f ? LLVMConstReal(t, -0.0) : LLVMConstInt(t, 0, 0);
    case ABX_SIMD_MUL:
        return f ? LLVMConstReal(t, 1.0) : LLVMConstInt(t, 1, 0);
    case ABX_SIMD_MIN:
        return f           ? LLVMConstReal(t, __builtin_inf())
               : is_signed ? LLVMConstInt(t, top - 1, 0)
                           : LLVMConstAllOnes(t);
    case ABX_SIMD_MAX:
        return f ? LLVMConstReal(t, -__builtin_inf()) : LLVMConstInt(t, is_signed ? top : 0, 0);
    case ABX_SIMD_AND:
        return LLVMConstAllOnes(t);
    default:
        return LLVMConstNull(t);
    }
}

static LLVMValueRef only_active(struct simd *s, LLVMValueRef v, unsigned op)
{
    struct wide *w = s->w;
    return w->mask ? LLVMBuildSelect(w->g->builder, w->mask, v, wide_splat(w, identity(s, op)), "")
                   : v;
}

/* Halves on halves within each group; the group's first lane has the result. */
static LLVMValueRef reduce(struct simd *s, LLVMValueRef v)
{
    int index[WIDE_MAX_WIDTH];
    v = only_active(s, v, s->op);
    for (unsigned half = s->group / 2; half; half /= 2) {
        for (unsigned i = 0; i < WIDE_MAX_WIDTH; i++)
            index[i] = (int)(i % s->group < half ? i + half : i);
        v = combine(s, s->op, v, wide_shuffle(s->w, v, v, index, s->w->width));
    }
    return v;
}

static LLVMValueRef scan(struct simd *s, LLVMValueRef v, unsigned base, bool exclusive)
{
    struct wide *w = s->w;
    int index[WIDE_MAX_WIDTH];
    v = only_active(s, v, base);
    LLVMValueRef none = wide_splat(w, identity(s, base));
    for (unsigned distance = 1; distance < s->group; distance *= 2) {
        for (unsigned i = 0; i < WIDE_MAX_WIDTH; i++)
            index[i] = (int)(i % s->group >= distance ? i - distance : WIDE_MAX_WIDTH + i);
        v = combine(s, base, wide_shuffle(w, v, none, index, w->width), v);
    }
    if (!exclusive)
        return v;
    for (unsigned i = 0; i < WIDE_MAX_WIDTH; i++)
        index[i] = (int)(i % s->group ? i - 1 : WIDE_MAX_WIDTH + i);
    LLVMValueRef start = base == ABX_SIMD_ADD ? LLVMConstNull(s->element) : identity(s, base);
    return wide_shuffle(w, v, wide_splat(w, start), index, w->width);
}

/* Constant lane numbers become one permutation, others go through memory. */
static LLVMValueRef permute(struct simd *s, LLVMValueRef v, LLVMValueRef from)
{
    struct wide *w = s->w;
    struct codegen *g = w->g;
    int index[WIDE_MAX_WIDTH];
    bool constant = LLVMIsAConstant(from);
    for (unsigned i = 0; i < WIDE_MAX_WIDTH && constant; i++) {
        LLVMValueRef e = LLVMGetAggregateElement(from, i);
        constant = e && LLVMIsAConstantInt(e);
        index[i] = constant ? (int)(LLVMConstIntGetZExtValue(e) & 31) : 0;
    }
    if (constant)
        return wide_shuffle(w, v, v, index, w->width);
    LLVMValueRef slot = wide_slot(w, LLVMTypeOf(v), "exchange");
    LLVMBuildStore(g->builder, v, slot);
    from = LLVMBuildAnd(g->builder, from, wide_splat(w, codegen_i64(g, 31)), "");
    LLVMValueRef p = LLVMBuildGEP2(g->builder, s->element, slot, &from, 1, "");
    LLVMTypeRef types[2] = {LLVMTypeOf(v), LLVMTypeOf(p)};
    LLVMValueRef all = wide_splat(w, LLVMConstInt(g->i1, 1, 0));
    LLVMValueRef a[4] = {p, codegen_i32(g, 4), all, LLVMConstNull(LLVMTypeOf(v))};
    return codegen_call_intrinsic(g, "llvm.masked.gather", types, 2, a, 4);
}

static LLVMValueRef shuffle(struct simd *s, LLVMValueRef in)
{
    struct wide *w = s->w;
    LLVMBuilderRef b = w->g->builder;
    LLVMValueRef value = LLVMGetOperand(in, 1), from = LLVMGetOperand(in, 2);
    if (!wide_is_divergent(w, value))
        return wide_uniform(w, value);
    LLVMValueRef v = decode(s, wide_vector(w, value));
    if (!wide_is_divergent(w, from)) {
        LLVMValueRef lane = LLVMBuildAnd(b, wide_uniform(w, from), codegen_i64(w->g, 31), "");
        return encode(s, LLVMBuildExtractElement(b, v, lane, ""));
    }
    return encode(s, permute(s, v, wide_vector(w, from)));
}

static LLVMValueRef ballot(struct simd *s, LLVMValueRef value)
{
    struct wide *w = s->w;
    LLVMBuilderRef b = w->g->builder;
    LLVMValueRef zero = LLVMConstNull(wide_type(w, w->g->i64));
    LLVMValueRef set = LLVMBuildICmp(b, LLVMIntNE, wide_vector(w, value), zero, "");
    if (w->mask)
        set = LLVMBuildSelect(b, w->mask, set, LLVMConstNull(wide_type(w, w->g->i1)), "");
    return LLVMBuildZExt(b, wide_bits(w, set), w->g->i64, "");
}

static LLVMValueRef spread(struct simd *s, LLVMValueRef v)
{
    int index[WIDE_MAX_WIDTH];
    for (unsigned i = 0; i < WIDE_MAX_WIDTH; i++)
        index[i] = (int)(i - i % s->group);
    return wide_shuffle(s->w, v, v, index, s->w->width);
}

bool wide_simd(struct wide *w, LLVMValueRef in)
{
    struct codegen *g = w->g;
    uint64_t code = wide_marker(in, "__abx_simd");
    if (code == ~0ull || w->width != WIDE_MAX_WIDTH) {
        w->refused = "a SIMD-group operation that is not constant";
        return false;
    }
    struct simd s = {.w = w,
            .op = code & ABX_SIMD_OP_MASK,
            .type = code & ABX_SIMD_TYPE_MASK,
            .group = code & ABX_SIMD_QUAD ? 4 : WIDE_MAX_WIDTH};
    s.element = s.type == ABX_SIMD_F32 ? LLVMFloatTypeInContext(g->context)
                : s.type == ABX_SIMD_I64 || s.type == ABX_SIMD_U64 ? g->i64
                                                                   : g->i32;
    LLVMValueRef value = LLVMGetOperand(in, 1), r;
    LLVMValueRef zero = codegen_i32(g, 0);
    switch (s.op) {
    case ABX_SIMD_SHUFFLE:
        r = shuffle(&s, in);
        break;
    case ABX_SIMD_BALLOT:
        r = ballot(&s, value);
        break;
    case ABX_SIMD_FIRST:
        if (s.group == 4 && w->mask) {
            w->refused = "quad_broadcast_first among some lanes";
            return false;
        }
        r = decode(&s, wide_vector(w, value));
        r = encode(&s, s.group == 4
                               ? spread(&s, r)
                               : LLVMBuildExtractElement(g->builder, r, wide_first_active(w), ""));
        break;
    case ABX_SIMD_SCAN_ADD:
    case ABX_SIMD_SCAN_MUL:
    case ABX_SIMD_XSCAN_ADD:
    case ABX_SIMD_XSCAN_MUL:
        r = encode(&s, scan(&s, decode(&s, wide_vector(w, value)),
                               (s.op - ABX_SIMD_SCAN_ADD) & 1 ? ABX_SIMD_MUL : ABX_SIMD_ADD,
                               s.op >= ABX_SIMD_XSCAN_ADD));
        break;
    case ABX_SIMD_ADD:
    case ABX_SIMD_MUL:
    case ABX_SIMD_MIN:
    case ABX_SIMD_MAX:
    case ABX_SIMD_AND:
    case ABX_SIMD_OR:
    case ABX_SIMD_XOR:
        r = reduce(&s, decode(&s, wide_vector(w, value)));
        r = encode(&s,
                s.group == 4 ? spread(&s, r) : LLVMBuildExtractElement(g->builder, r, zero, ""));
        break;
    default:
        w->refused = "an unknown SIMD-group operation";
        return false;
    }
    bool vector = LLVMGetTypeKind(LLVMTypeOf(r)) == LLVMVectorTypeKind;
    if (!wide_is_divergent(w, in))
        wide_set_uniform(w, in, r);
    else
        wide_set_vector(w, in, vector ? r : wide_splat(w, r));
    return true;
}
