/* shader: what is known of the lanes' values while a kernel is translated: integers and addresses
 * that are a uniform number plus another constant in each lane (a thread's index, row * 16 +
 * column of it, ...). Memory accesses at such addresses need no gathers. See wide.h. */
#include "shader/cpu/wide/wide.h"

#include <stdlib.h>
#include <string.h>

#define ANY_ALIGN (1ull << 62) /* zero is a multiple of everything */

static struct wide_lanes *new_lanes(struct wide *w)
{
    static struct wide_lanes spare;
    struct wide_lanes *k = calloc(1, sizeof *k);
    if (!k) {
        w->refused = "no memory";
        return &spare;
    }
    k->next = w->lanes_kept;
    w->lanes_kept = k;
    return k;
}

int64_t *wide_lanes(struct wide *w)
{
    return new_lanes(w)->lane;
}

void *wide_root(struct wide *w, void *a, int64_t times_a, void *b, int64_t times_b)
{
    if ((uintptr_t)a > (uintptr_t)b && b) {
        void *p = a;
        int64_t n = times_a;
        a = b, times_a = times_b;
        b = p, times_b = n;
    }
    if (!b && times_a == 1)
        return a;
    uint64_t hash =
            (uintptr_t)a * 31 + (uintptr_t)b * 17 + (uint64_t)times_a * 7 + (uint64_t)times_b;
    struct wide_root **bucket = &w->root_bucket[(hash * 0x9e3779b97f4a7c15u) >> 56];
    for (struct wide_root *r = *bucket; r; r = r->same_hash)
        if (r->a == a && r->b == b && r->times_a == times_a && r->times_b == times_b)
            return r;
    struct wide_root *r = malloc(sizeof *r);
    if (!r) {
        w->refused = "no memory";
        return a;
    }
    *r = (struct wide_root){w->roots_kept, *bucket, a, b, times_a, times_b};
    w->roots_kept = *bucket = r;
    return r;
}

bool wide_rises(struct wide *w, const struct wide_value *v, int64_t step)
{
    for (unsigned i = 1; v->lanes && i < w->width; i++)
        if (v->lanes[i] - v->lanes[i - 1] != step)
            return false;
    return v->lanes != NULL;
}

static uint64_t lowest_bit(uint64_t v)
{
    return v ? v & -v : ANY_ALIGN;
}

/* A power of two that divides a uniform value, from how it is made. */
static uint64_t uniform_align(LLVMValueRef v, unsigned depth)
{
    if (LLVMIsAConstantInt(v) && LLVMGetIntTypeWidth(LLVMTypeOf(v)) <= 64)
        return lowest_bit(LLVMConstIntGetZExtValue(v));
    if (depth == 0 || !LLVMIsAInstruction(v))
        return 1;
    LLVMOpcode op = LLVMGetInstructionOpcode(v);
    if (op == LLVMSExt || op == LLVMZExt || op == LLVMTrunc || op == LLVMFreeze)
        return uniform_align(LLVMGetOperand(v, 0), depth - 1);
    if (op != LLVMAdd && op != LLVMSub && op != LLVMOr && op != LLVMMul && op != LLVMShl)
        return 1;
    LLVMValueRef y = LLVMGetOperand(v, 1);
    uint64_t a = uniform_align(LLVMGetOperand(v, 0), depth - 1);
    if (op == LLVMShl) {
        uint64_t n = LLVMIsAConstantInt(y) ? LLVMConstIntGetZExtValue(y) : 0;
        return n < 31 && a < 1u << 30 ? a << n : a;
    }
    uint64_t b = uniform_align(y, depth - 1);
    if (op == LLVMMul)
        return a < 1u << 30 && b < 1u << 30 ? a * b : a > b ? a : b;
    return a < b ? a : b;
}

uint64_t wide_uniform_align(LLVMValueRef source)
{
    return uniform_align(source, 6);
}

/* What a uniform value is below, from how it is made; 0 when that is not known, or when it might be
 * negative as a signed number. */
static uint64_t uniform_limit(LLVMValueRef v, unsigned depth)
{
    unsigned bits = LLVMGetIntTypeWidth(LLVMTypeOf(v));
    uint64_t most = bits > 31 ? INT32_MAX : 1ull << (bits - 1), limit = 0, n = 0;
    if (bits > 64 || bits < 8)
        return 0;
    if (LLVMIsAConstantInt(v)) {
        limit = LLVMConstIntGetZExtValue(v);
        return limit < most ? limit + 1 : 0;
    }
    if (depth == 0 || !LLVMIsAInstruction(v))
        return 0;
    LLVMOpcode op = LLVMGetInstructionOpcode(v);
    if (op == LLVMCall) { /* a builtin: set_range() */
        LLVMValueRef range = LLVMGetMetadata(v, LLVMGetMDKindID("range", 5)), ends[2];
        if (!range || LLVMGetMDNodeNumOperands(range) != 2 || bits != 32)
            return 0;
        LLVMGetMDNodeOperands(range, ends);
        limit = LLVMConstIntGetZExtValue(ends[1]);
        return LLVMConstIntGetZExtValue(ends[0]) == 0 && limit <= most ? limit : 0;
    }
    if (op != LLVMZExt && op != LLVMSExt && op != LLVMTrunc && op != LLVMFreeze && op != LLVMAdd &&
            op != LLVMOr && op != LLVMShl && op != LLVMMul && op != LLVMLShr && op != LLVMAnd)
        return 0;
    uint64_t x = uniform_limit(LLVMGetOperand(v, 0), depth - 1);
    bool cast = LLVMIsACastInst(v) || op == LLVMFreeze;
    uint64_t y = cast ? 1 : uniform_limit(LLVMGetOperand(v, 1), depth - 1);
    if (op == LLVMAnd && (x || y))
        return !x || (y && y < x) ? y : x;
    if (!x || !y)
        return 0;
    n = y - 1; /* of a constant: itself */
    bool constant = !cast && LLVMIsAConstantInt(LLVMGetOperand(v, 1));
    if (cast)
        limit = x;
    else if (op == LLVMAdd || op == LLVMOr) /* a | b <= a + b */
        limit = x + y - 1;
    else if (op == LLVMMul)
        limit = (x - 1) * (y - 1) + 1;
    else if (constant && n < 31)
        limit = op == LLVMShl ? ((x - 1) << n) + 1 : ((x - 1) >> n) + 1;
    return limit <= most ? limit : 0;
}

struct wide_value wide_known(struct wide *w, LLVMValueRef source)
{
    if (!LLVMIsAConstant(source) && wide_is_divergent(w, source))
        return *wide_get(w, source);
    static const int64_t zeros[WIDE_MAX_WIDTH];
    struct wide_value v = {.lanes = zeros, .no_signed_wrap = true, .no_unsigned_wrap = true};
    v.first = wide_uniform(w, source);
    v.align = wide_uniform_align(source);
    if (LLVMGetTypeKind(LLVMTypeOf(source)) == LLVMIntegerTypeKind)
        v.limit = uniform_limit(source, 6);
    v.not_negative = v.limit != 0;
    v.root = source;
    return v;
}

/* Constants whose lanes are the same numbers apart have one root. */
static void root_of_constant(struct wide *w, struct wide_value *v)
{
    int64_t lane[WIDE_MAX_WIDTH] = {0};
    for (unsigned i = 0; i < w->width; i++)
        lane[i] = (int64_t)((uint64_t)v->lanes[i] - (uint64_t)v->lanes[0]);
    struct wide_lanes *p = w->patterns;
    while (p && memcmp(p->lane, lane, sizeof lane) != 0)
        p = p->next_pattern;
    if (!p) {
        p = new_lanes(w);
        if (w->refused)
            return;
        memcpy(p->lane, lane, sizeof lane);
        p->next_pattern = w->patterns;
        w->patterns = p;
    }
    v->root = p;
    v->delta = v->lanes[0];
}

void wide_know_constant(struct wide *w, struct wide_value *v)
{
    LLVMTypeRef type = LLVMGetElementType(LLVMTypeOf(v->vector));
    if (!LLVMIsAConstant(v->vector) || LLVMGetTypeKind(type) != LLVMIntegerTypeKind ||
            LLVMGetIntTypeWidth(type) > 64 || LLVMGetIntTypeWidth(type) < 8)
        return;
    int64_t lane[WIDE_MAX_WIDTH], top = 0;
    for (unsigned i = 0; i < w->width; i++) {
        LLVMValueRef e = LLVMGetAggregateElement(v->vector, i);
        if (!e || !LLVMIsAConstantInt(e))
            return;
        lane[i] = LLVMConstIntGetSExtValue(e);
        if (lane[i] < 0 || lane[i] > INT32_MAX)
            top = -1;
        else if (top >= 0 && lane[i] > top)
            top = lane[i];
    }
    v->lanes = memcpy(wide_lanes(w), lane, sizeof lane);
    v->first = LLVMConstInt(type, 0, 0);
    v->align = ANY_ALIGN;
    v->limit = top >= 0 ? (uint64_t)top + 1 : 0;
    v->not_negative = top >= 0;
    v->no_signed_wrap = true;
    v->no_unsigned_wrap = top >= 0;
}

/* ---- one operation's result from its operands */

struct track {
    struct wide *w;
    LLVMValueRef in;
    struct wide_value x, y, *v;
    unsigned bits;
};

static bool constant(LLVMValueRef v, uint64_t *ret)
{
    if (!LLVMIsAConstantInt(v) || LLVMGetIntTypeWidth(LLVMTypeOf(v)) > 64)
        return false;
    *ret = LLVMConstIntGetZExtValue(v);
    return true;
}

static void settle(struct track *t, const int64_t *lane, LLVMValueRef first, uint64_t align)
{
    t->v->lanes = memcpy(wide_lanes(t->w), lane, sizeof(int64_t) * WIDE_MAX_WIDTH);
    t->v->first = first;
    t->v->align = align;
}

static void set_limit(struct track *t, uint64_t limit)
{
    uint64_t half = 1ull << (t->bits - 1);
    t->v->limit = limit && limit <= half && limit < INT32_MAX ? limit : 0;
    if (t->v->limit)
        t->v->no_signed_wrap = t->v->no_unsigned_wrap = t->v->not_negative = true;
}

void wide_rebase(struct wide *w, struct wide_value *v, int64_t unit)
{
    int64_t least = v->lanes[0];
    for (unsigned i = 1; i < w->width; i++)
        least = v->lanes[i] < least ? v->lanes[i] : least;
    least -= least & (unit - 1);
    if (least == 0)
        return;
    int64_t *lane = wide_lanes(w);
    for (unsigned i = 0; i < w->width; i++)
        lane[i] = v->lanes[i] - least;
    LLVMValueRef n = LLVMConstInt(LLVMTypeOf(v->first), (uint64_t)least, 1);
    v->first = LLVMBuildAdd(w->g->builder, v->first, n, "");
    v->lanes = lane;
    v->align = lowest_bit(v->align | (uint64_t)least);
}

static void track_cast(struct track *t, LLVMOpcode op)
{
    struct wide_value *x = &t->x;
    if (op != LLVMTrunc)
        wide_rebase(t->w, x, 1);
    LLVMBuilderRef b = t->w->g->builder;
    LLVMTypeRef type = LLVMTypeOf(t->in);
    /* What the program knows not to be negative may be so in lanes that are off, and the first of
     * all is one of them where the others' numbers are found from it: the sign goes along. */
    if (op == LLVMZExt && LLVMGetNNeg(t->in) && !x->not_negative && x->no_signed_wrap)
        op = LLVMSExt;
    bool exact = op == LLVMSExt   ? x->no_signed_wrap
                 : op == LLVMZExt ? x->no_unsigned_wrap || (x->not_negative && x->no_signed_wrap)
                                  : x->limit && x->limit <= 1ull << (t->bits - 1);
    unsigned from = LLVMGetIntTypeWidth(LLVMTypeOf(LLVMGetOperand(t->in, 0)));
    /* Where lanes might wrap around, addresses are anchored at an active lane (contiguous()). */
    if (!exact && (op == LLVMTrunc || from < 32))
        return;
    settle(t, x->lanes, LLVMBuildCast(b, op, x->first, type, ""), x->align);
    t->v->no_signed_wrap = t->v->no_unsigned_wrap = exact;
    t->v->not_negative = exact && (x->not_negative || op == LLVMZExt);
    set_limit(t, x->limit);
    if (exact && x->root) {
        t->v->root = x->root;
        t->v->delta = x->delta;
    }
}

static void track_sum(struct track *t, LLVMOpcode op, bool disjoint)
{
    const struct wide_value *x = &t->x, *y = &t->y;
    int64_t lane[WIDE_MAX_WIDTH] = {0};
    for (unsigned i = 0; i < t->w->width; i++)
        lane[i] = op == LLVMSub ? x->lanes[i] - y->lanes[i] : x->lanes[i] + y->lanes[i];
    LLVMValueRef first =
            LLVMBuildBinOp(t->w->g->builder, disjoint ? LLVMAdd : op, x->first, y->first, "");
    struct wide_value *v = t->v;
    settle(t, lane, first, x->align < y->align ? x->align : y->align);
    v->no_signed_wrap = x->no_signed_wrap && y->no_signed_wrap && (disjoint || LLVMGetNSW(t->in));
    v->no_unsigned_wrap =
            x->no_unsigned_wrap && y->no_unsigned_wrap && (disjoint || LLVMGetNUW(t->in));
    v->not_negative = op != LLVMSub && v->no_signed_wrap && x->not_negative && y->not_negative;
    if (op != LLVMSub && x->limit && y->limit)
        set_limit(t, x->limit + y->limit - 1);
    LLVMValueRef c = LLVMGetOperand(t->in, 1);
    bool exact = v->no_signed_wrap || t->bits == 64;
    int64_t sign = op == LLVMSub ? -1 : 1;
    if (LLVMIsAConstantInt(c) && x->root && exact) {
        v->root = x->root;
        v->delta = x->delta + sign * LLVMConstIntGetSExtValue(c);
    } else if (x->root && y->root && exact) {
        v->root = wide_root(t->w, x->root, 1, y->root, sign);
        v->delta = x->delta + sign * y->delta;
    }
}

static void track_product(struct track *t, LLVMOpcode op)
{
    uint64_t n;
    int64_t lane[WIDE_MAX_WIDTH] = {0}, factor;
    const struct wide_value *x = &t->x;
    if (!constant(LLVMGetOperand(t->in, 1), &n) || (op == LLVMShl && n > 30))
        return;
    factor = op == LLVMShl ? 1ll << n : LLVMConstIntGetSExtValue(LLVMGetOperand(t->in, 1));
    if (factor > INT32_MAX || factor < INT32_MIN)
        return;
    for (unsigned i = 0; i < t->w->width; i++)
        if (__builtin_mul_overflow(x->lanes[i], factor, &lane[i]))
            return;
    uint64_t grown = lowest_bit((uint64_t)factor);
    LLVMValueRef first = LLVMBuildBinOp(t->w->g->builder, op, x->first, t->y.first, "");
    settle(t, lane, first, x->align < ANY_ALIGN / grown ? x->align * grown : ANY_ALIGN);
    t->v->no_signed_wrap = x->no_signed_wrap && LLVMGetNSW(t->in);
    t->v->no_unsigned_wrap = x->no_unsigned_wrap && LLVMGetNUW(t->in);
    t->v->not_negative = t->v->no_signed_wrap && x->not_negative && factor > 0;
    if (x->limit && factor > 0 && x->limit < INT32_MAX)
        set_limit(t, (x->limit - 1) * (uint64_t)factor + 1);
    int64_t delta;
    if (x->root && (t->v->no_signed_wrap || t->bits == 64) &&
            !__builtin_mul_overflow(x->delta, factor, &delta)) {
        t->v->root = wide_root(t->w, x->root, factor, NULL, 0);
        t->v->delta = delta;
    }
}

static bool multiples(struct wide *w, const struct wide_value *v, uint64_t of)
{
    for (unsigned i = 0; i < w->width; i++)
        if ((uint64_t)v->lanes[i] & (of - 1))
            return false;
    return true;
}

/* Division by 2^n, when no lane's value is across zero from its true one. Where both parts are
 * multiples it is exact, and then the sign does not matter. */
static void track_right(struct track *t, LLVMOpcode op)
{
    uint64_t n;
    int64_t lane[WIDE_MAX_WIDTH] = {0};
    const struct wide_value *x = &t->x;
    LLVMValueRef d = LLVMGetOperand(t->in, 1);
    if (!constant(d, &n))
        return;
    if (op == LLVMUDiv || op == LLVMSDiv) {
        if (n == 0 || (n & (n - 1)))
            return;
        n = (uint64_t)__builtin_ctzll(n);
    }
    if (n > 30 || x->align < 1ull << n)
        return;
    bool exact = op == LLVMAShr ? x->no_signed_wrap : x->not_negative && x->no_signed_wrap;
    if (multiples(t->w, x, 1ull << n))
        exact |= op == LLVMSDiv ? x->no_signed_wrap : op != LLVMAShr && x->no_unsigned_wrap;
    if (!exact)
        return;
    wide_rebase(t->w, &t->x, 1ll << n);
    for (unsigned i = 0; i < t->w->width; i++)
        lane[i] = x->lanes[i] >> n;
    LLVMValueRef first = LLVMBuildBinOp(t->w->g->builder, op, x->first, d, "");
    settle(t, lane, first, x->align == ANY_ALIGN ? ANY_ALIGN : x->align >> n);
    t->v->no_signed_wrap = true;
    t->v->not_negative = x->not_negative;
    t->v->no_unsigned_wrap = op == LLVMLShr || op == LLVMUDiv || x->not_negative;
    if (x->limit)
        set_limit(t, ((x->limit - 1) >> n) + 1);
}

/* Bits below the alignment of `first` are the lanes' own. */
static void track_low_bits(struct track *t, LLVMOpcode op)
{
    uint64_t n;
    int64_t lane[WIDE_MAX_WIDTH] = {0};
    const struct wide_value *x = &t->x;
    if (!constant(LLVMGetOperand(t->in, 1), &n))
        return;
    if (op == LLVMURem) {
        if (n == 0 || (n & (n - 1)))
            return;
        n--;
    }
    if (n >= x->align || n > INT32_MAX)
        return;
    for (unsigned i = 0; i < t->w->width; i++) {
        if (op == LLVMXor && (x->lanes[i] < 0 || (uint64_t)x->lanes[i] >= x->align))
            return;
        lane[i] = op == LLVMXor ? x->lanes[i] ^ (int64_t)n : x->lanes[i] & (int64_t)n;
    }
    if (op == LLVMXor) {
        settle(t, lane, x->first, x->align);
        t->v->not_negative = x->not_negative;
        t->v->no_signed_wrap = x->no_signed_wrap;
        t->v->no_unsigned_wrap = x->no_unsigned_wrap;
        if (x->limit) /* all the bits that the lanes may set */
            set_limit(t, x->limit + n);
        return;
    }
    settle(t, lane, LLVMConstInt(LLVMTypeOf(t->in), 0, 0), ANY_ALIGN);
    set_limit(t, n + 1);
}

/* As another value's, which it is a copy of. */
static void track_copy(struct wide_value *v, const struct wide_value *x)
{
    v->lanes = x->lanes, v->first = x->first;
    v->align = x->align, v->limit = x->limit;
    v->not_negative = x->not_negative;
    v->no_signed_wrap = x->no_signed_wrap, v->no_unsigned_wrap = x->no_unsigned_wrap;
}

static void track_operation(struct track *t, LLVMOpcode op)
{
    t->x = wide_known(t->w, LLVMGetOperand(t->in, 0));
    if (!t->x.lanes)
        return;
    if (op == LLVMSExt || op == LLVMZExt || op == LLVMTrunc) {
        track_cast(t, op);
        return;
    }
    t->y = wide_known(t->w, LLVMGetOperand(t->in, 1));
    if (!t->y.lanes)
        return;
    if (op == LLVMAdd || op == LLVMSub || op == LLVMOr)
        track_sum(t, op, op == LLVMOr);
    else if (op == LLVMMul || op == LLVMShl)
        track_product(t, op);
    else if (op == LLVMAnd || op == LLVMURem || op == LLVMXor)
        track_low_bits(t, op);
    else
        track_right(t, op);
}

static bool is_tracked(LLVMValueRef in, LLVMOpcode op)
{
    switch ((unsigned)op) {
    case LLVMOr:
        return LLVMGetIsDisjoint(in); /* a sum */
    case LLVMSExt:
    case LLVMZExt:
    case LLVMTrunc:
    case LLVMAdd:
    case LLVMSub:
    case LLVMMul:
    case LLVMShl:
    case LLVMLShr:
    case LLVMAShr:
    case LLVMUDiv:
    case LLVMSDiv:
    case LLVMURem:
    case LLVMAnd:
    case LLVMXor:
        return LLVMGetTypeKind(LLVMTypeOf(LLVMGetOperand(in, 0))) == LLVMIntegerTypeKind;
    default:
        return false;
    }
}

void wide_track(struct wide *w, LLVMValueRef in)
{
    struct track t = {.w = w, .in = in, .v = wide_get(w, in)};
    LLVMTypeRef type = LLVMTypeOf(in);
    LLVMOpcode op = LLVMGetInstructionOpcode(in);
    if (LLVMGetTypeKind(type) != LLVMIntegerTypeKind || LLVMGetIntTypeWidth(type) > 64 ||
            LLVMGetIntTypeWidth(type) < 8)
        return;
    t.bits = LLVMGetIntTypeWidth(type);
    t.v->root = in;
    t.v->delta = 0;
    wide_know_constant(w, t.v);
    if (t.v->lanes)
        root_of_constant(w, t.v);
    else if (op == LLVMFreeze && wide_is_divergent(w, LLVMGetOperand(in, 0)))
        track_copy(t.v, wide_get(w, LLVMGetOperand(in, 0)));
    else if (is_tracked(in, op))
        track_operation(&t, op);
}
