/* shader: calls on vectors of lanes: markers, intrinsics, and anything else one lane after the
 * other. See wide.h. Compiler process. */
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

/* An instruction that is repeated for each lane. */
struct serial {
    struct wide *w;
    LLVMValueRef in;
    int operands;           /* without the called function */
    LLVMValueRef array[16]; /* where the lanes' values of an operand lie; NULL: they are the same */
    LLVMTypeRef type;       /* of the result */
    LLVMValueRef results;   /* where the lanes' results go; NULL: there are none */
};

static bool operand_arrays(struct serial *s)
{
    struct wide *w = s->w;
    s->operands = LLVMGetNumOperands(s->in) - (LLVMIsACallInst(s->in) ? 1 : 0);
    if (s->operands > (int)ABX_ARRAY_SIZE(s->array)) {
        w->refused = "a call with many arguments";
        return false;
    }
    for (int i = 0; i < s->operands; i++) {
        LLVMValueRef o = LLVMGetOperand(s->in, (unsigned)i);
        bool private = LLVMGetTypeKind(LLVMTypeOf(o)) == LLVMPointerTypeKind && wide_private(o);
        if (!private && !wide_is_divergent(w, o))
            continue;
        s->array[i] = array_of(w, o);
        if (!s->array[i]) {
            w->refused = "a structure that differs between lanes";
            return false;
        }
    }
    return true;
}

/* Zeros for the lanes that are off. */
static void result_array(struct serial *s)
{
    LLVMTypeRef array = LLVMArrayType2(kept_type(s->w, s->type), s->w->width);
    if (LLVMGetTypeKind(s->type) == LLVMVoidTypeKind)
        return;
    s->results = wide_slot(s->w, array, "results");
    LLVMBuildStore(s->w->g->builder, LLVMConstNull(array), s->results);
}

static LLVMValueRef copy_for(struct serial *s, LLVMValueRef lane)
{
    struct wide *w = s->w;
    LLVMValueRef copy = LLVMInstructionClone(s->in);
    for (int i = 0; i < s->operands; i++) {
        LLVMValueRef o = LLVMGetOperand(s->in, (unsigned)i);
        LLVMValueRef v =
                s->array[i] ? load_lane(w, s->array[i], LLVMTypeOf(o), lane) : wide_uniform(w, o);
        LLVMSetOperand(copy, (unsigned)i, v);
    }
    LLVMInsertIntoBuilder(w->g->builder, copy);
    return copy;
}

/* The results become the instruction's value: a vector, or the array where no vector can be. */
static void take_results(struct serial *s)
{
    struct wide *w = s->w;
    LLVMTypeRef kept = kept_type(w, s->type);
    if (!vectorisable(s->type)) {
        wide_get(w, s->in)->memory = s->results;
        return;
    }
    LLVMValueRef v = LLVMBuildLoad2(w->g->builder, wide_type(w, kept), s->results, "");
    if (kept != s->type)
        v = LLVMBuildTrunc(w->g->builder, v, wide_type(w, s->type), "");
    wide_set_vector(w, s->in, v);
}

/* for (lane = 0; lane < width; lane++) if (active) result[lane] = copy of `in` */
bool wide_serial(struct wide *w, LLVMValueRef in)
{
    struct serial s = {.w = w, .in = in, .type = LLVMTypeOf(in)};
    wide_strided_flush(w);
    w->matrix = NULL; /* it may write */
    if (!operand_arrays(&s))
        return false;
    result_array(&s);
    struct wide_lane_loop loop = wide_lane_loop_begin(w, w->mask);
    LLVMValueRef copy = copy_for(&s, loop.lane);
    if (s.results)
        store_lane(w, s.results, copy, loop.lane);
    wide_lane_loop_end(w, &loop);
    if (s.results)
        take_results(&s);
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

static bool builtin(struct wide *w, LLVMValueRef in)
{
    uint64_t which = wide_marker(in, "__abx_builtin");
    if (which / 4 >= ABX_BUILTIN_COUNT || which % 4 > 2) {
        w->refused = "an unknown builtin";
        return false;
    }
    const struct wide_value *p = &w->lane_place[which / 4][which % 4];
    if (!wide_is_divergent(w, in)) {
        wide_set_uniform(w, in, p->uniform);
        return true;
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
    return true;
}

/* An address that the worker passes, loaded where the kernel begins. */
static bool argument(struct wide *w, LLVMValueRef in, bool is_buffer, uint64_t n, unsigned count)
{
    struct codegen *g = w->g;
    if (n >= count) {
        w->refused = "an argument index out of range";
        return false;
    }
    LLVMBasicBlockRef here = LLVMGetInsertBlock(g->builder);
    size_t offset = offsetof(struct abx_kernel_call, threadgroup) + 8 * (size_t)n;
    LLVMPositionBuilderBefore(g->builder, w->entry_mark);
    wide_set_uniform(w, in,
            is_buffer ? codegen_load_buffer(g, w->place.call, n)
                      : codegen_load_field(g, w->place.call, g->ptr, offset, "threadgroup"));
    LLVMPositionBuilderAtEnd(g->builder, here);
    return true;
}

static bool buffer(struct wide *w, LLVMValueRef in)
{
    return argument(w, in, true, wide_marker(in, "__abx_buffer"), ABX_BUFFER_SLOTS);
}

static bool threadgroup(struct wide *w, LLVMValueRef in)
{
    return argument(
            w, in, false, wide_marker(in, "__abx_threadgroup"), ABX_MAX_THREADGROUP_BINDINGS);
}

static bool statics(struct wide *w, LLVMValueRef in)
{
    wide_set_uniform(w, in, w->statics);
    return true;
}

/* All lanes stop, whatever the mask: of those that have not returned, every one is to be at a
 * barrier; to yield is no more than a pause. Where no lane is left none stops. */
static bool stop(struct wide *w, uint32_t wait)
{
    struct codegen *g = w->g;
    LLVMBasicBlockRef past = NULL;
    if (!w->coroutine) {
        w->refused = "a barrier where none was seen";
        return false;
    }
    if (wait == ABX_WAIT_GROUP && w->mask && w->mask != w->entry_mask) {
        LLVMBasicBlockRef some = wide_new_block(w, "some");
        past = wide_new_block(w, "past");
        LLVMBuildCondBr(g->builder, wide_any(w, w->mask), some, past);
        LLVMPositionBuilderAtEnd(g->builder, some);
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
    if (past) {
        LLVMBuildBr(g->builder, past);
        LLVMPositionBuilderAtEnd(g->builder, past);
    }
    return true;
}

static bool barrier(struct wide *w, LLVMValueRef in)
{
    return stop(w, ABX_WAIT_GROUP);
}

static bool yield(struct wide *w, LLVMValueRef in)
{
    return stop(w, ABX_WAIT_YIELD);
}

/* Lanes run side by side: memory order is enough, and none for a barrier of no memory (0). */
static bool simd_barrier(struct wide *w, LLVMValueRef in)
{
    if (wide_marker(in, "__abx_simd_barrier") != 0)
        LLVMBuildFence(w->g->builder, LLVMAtomicOrderingAcquireRelease, 1, "");
    return true;
}

static const struct marker {
    const char *name;
    bool (*translate)(struct wide *w, LLVMValueRef in);
    bool orders; /* accesses that wait for their neighbours are made before it */
} markers[] = {
        {"__abx_builtin", builtin, false},
        {"__abx_buffer", buffer, false},
        {"__abx_threadgroup", threadgroup, false},
        {"__abx_statics", statics, false},
        {"__abx_barrier", barrier, true},
        {"__abx_yield", yield, true},
        {"__abx_simd_barrier", simd_barrier, true},
        {"__abx_simd", wide_simd, true},
};

/* A call that gives every lane the same is made once. */
static bool uniform_call(struct wide *w, LLVMValueRef in)
{
    LLVMValueRef copy = LLVMInstructionClone(in);
    for (unsigned i = 0; i < LLVMGetNumArgOperands(in); i++)
        LLVMSetOperand(copy, i, wide_uniform(w, LLVMGetOperand(in, i)));
    LLVMInsertIntoBuilder(w->g->builder, copy);
    wide_set_uniform(w, in, copy);
    return true;
}

bool wide_call(struct wide *w, LLVMValueRef in)
{
    const char *name = codegen_callee(in);
    for (size_t i = 0; i < ABX_ARRAY_SIZE(markers); i++) {
        if (strcmp(name, markers[i].name) != 0)
            continue;
        if (markers[i].orders)
            wide_strided_flush(w);
        return markers[i].translate(w, in);
    }
    if (codegen_is_matrix(in)) {
        wide_strided_flush(w);
        return wide_matrix(w, in);
    }
    if (hint(name))
        return true;
    if (!wide_is_divergent(w, in) && LLVMGetTypeKind(LLVMTypeOf(in)) != LLVMVoidTypeKind)
        return uniform_call(w, in);
    return vector_intrinsic(w, in, name) || wide_serial(w, in);
}
