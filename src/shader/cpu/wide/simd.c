/* shader: SIMD-group operations on vectors of lanes. See wide.h. Compiler process. */
#include "shader/cpu/wide/wide.h"

/* The whole SIMD-group is one vector. */
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

/* Of the first lane that is active. */
static LLVMValueRef first(struct simd *s, LLVMValueRef value)
{
    LLVMBuilderRef b = s->w->g->builder;
    if (s->group == 4 && s->w->mask) {
        s->w->refused = "quad_broadcast_first among some lanes";
        return NULL;
    }
    LLVMValueRef v = decode(s, wide_vector(s->w, value));
    return encode(s, s->group == 4 ? spread(s, v)
                                   : LLVMBuildExtractElement(b, v, wide_first_active(s->w), ""));
}

static LLVMValueRef reduced(struct simd *s, LLVMValueRef value)
{
    LLVMBuilderRef b = s->w->g->builder;
    LLVMValueRef zero = codegen_i32(s->w->g, 0);
    LLVMValueRef v = reduce(s, decode(s, wide_vector(s->w, value)));
    return encode(s, s->group == 4 ? spread(s, v) : LLVMBuildExtractElement(b, v, zero, ""));
}

/* NULL: refused. */
static LLVMValueRef result_of(struct simd *s, LLVMValueRef in)
{
    LLVMValueRef value = LLVMGetOperand(in, 1);
    switch (s->op) {
    case ABX_SIMD_SHUFFLE:
        return shuffle(s, in);
    case ABX_SIMD_BALLOT:
        return ballot(s, value);
    case ABX_SIMD_FIRST:
        return first(s, value);
    case ABX_SIMD_SCAN_ADD:
    case ABX_SIMD_SCAN_MUL:
    case ABX_SIMD_XSCAN_ADD:
    case ABX_SIMD_XSCAN_MUL:
        return encode(s, scan(s, decode(s, wide_vector(s->w, value)),
                                 (s->op - ABX_SIMD_SCAN_ADD) & 1 ? ABX_SIMD_MUL : ABX_SIMD_ADD,
                                 s->op >= ABX_SIMD_XSCAN_ADD));
    case ABX_SIMD_ADD:
    case ABX_SIMD_MUL:
    case ABX_SIMD_MIN:
    case ABX_SIMD_MAX:
    case ABX_SIMD_AND:
    case ABX_SIMD_OR:
    case ABX_SIMD_XOR:
        return reduced(s, value);
    default:
        s->w->refused = "an unknown SIMD-group operation";
        return NULL;
    }
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
    LLVMValueRef r = result_of(&s, in);
    if (!r)
        return false;
    bool vector = LLVMGetTypeKind(LLVMTypeOf(r)) == LLVMVectorTypeKind;
    if (!wide_is_divergent(w, in))
        wide_set_uniform(w, in, r);
    else
        wide_set_vector(w, in, vector ? r : wide_splat(w, r));
    return true;
}
