/* shader: makes the code of sums in memory's order: for each shape of columns, as many at a time as
 * a register has floats, one lane's columns after the other's, everything from the loads to the
 * addition to the sums. Little is alive at a time, and what is narrower than 32 bits is made wider
 * where it is loaded. See sum.h. Compiler process. */
#include "shader/cpu/wide/sum.h"

#include <stdlib.h>
#include <string.h>

#define MAX_LANES 32u /* floats made at a time */

struct memo {
    LLVMValueRef value, wide; /* the node's value, and that zero-extended to 32 bits */
    LLVMValueRef sum;
    bool summed; /* sum is known, and may be NULL */
};

/* Columns [first, first + count) of one shape, of all lanes; and those of a register. */
struct part {
    struct sums *s;
    unsigned first, count;
    unsigned lanes; /* floats made at a time: a register's, or two registers' */
    unsigned lane[MAX_LANES], column[MAX_LANES];
    struct memo memo[SUM_MAX_NODES];       /* of the loop's nodes, by number */
    LLVMValueRef same[SUM_MAX_NODES];      /* nodes that all lanes share: stay for all parts */
    LLVMValueRef loaded[WIDE_MAX_STRIDED]; /* elements of column[0], by number */
    bool alone; /* only terms without elements are made now, as vectors of all lanes */
};

static LLVMValueRef eval(struct part *p, LLVMValueRef v);

static void set_positions(struct part *p, unsigned first)
{
    for (unsigned i = 0; i < p->lanes; i++) {
        p->lane[i] = (first + i) / p->count;
        p->column[i] = p->first + (first + i) % p->count;
    }
}

/* ---- loads */

/* The element of `column` that corresponds to `like`, an element of another column: it has the same
 * slot in the same group of loads. */
static const struct sum_element *element_at(
        const struct sums *s, unsigned column, const struct sum_element *like)
{
    for (uint32_t i = 0; i < s->w->strided_count; i++) {
        const struct sum_element *e = &s->element[i];
        if (e->used && e->column == (int)column && e->head == like->head && e->slot == like->slot)
            return e;
    }
    return NULL;
}

/* For each of the register's columns, where the element that corresponds to `like` lies. */
static bool places(const struct part *p, const struct sum_element *like, int64_t *at)
{
    const struct wide_strided *head = &p->s->w->strided[like->head];
    for (unsigned i = 0; i < p->lanes; i++) {
        const struct sum_element *e = element_at(p->s, p->column[i], like);
        if (!e)
            return false;
        at[i] = head->address.lanes[p->lane[i]] + e->offset;
    }
    return true;
}

/* Elements of the first column that lie near each other in one group of loads; and for each of them
 * p->lanes places: where the elements that correspond to it in the register's columns lie. */
#define NEAR 512
struct group {
    unsigned count, member[WIDE_MAX_STRIDED];
    int64_t at[WIDE_MAX_STRIDED * MAX_LANES];
};

static bool find_group(const struct part *p, const struct sum_element *near, struct group *ret)
{
    ret->count = 0;
    for (uint32_t i = 0; i < p->s->w->strided_count; i++) {
        const struct sum_element *e = &p->s->element[i];
        int64_t apart = e->offset - near->offset;
        if (!e->used || e->column != (int)p->first || e->head != near->head || p->loaded[i] ||
                apart < -NEAR || apart > NEAR)
            continue;
        if (!places(p, e, ret->at + ret->count * p->lanes))
            return false;
        ret->member[ret->count++] = i;
    }
    return true;
}

static bool side_by_side(const int64_t *at, unsigned count, unsigned bytes)
{
    for (unsigned i = 1; i < count; i++)
        if (at[i] != at[i - 1] + bytes)
            return false;
    return true;
}

static LLVMTypeRef vector_of(const struct part *p, LLVMTypeRef type)
{
    return LLVMVectorType(type, p->lanes);
}

static LLVMValueRef splat(const struct part *p, LLVMValueRef x)
{
    LLVMBuilderRef b = p->s->w->g->builder;
    LLVMValueRef v = LLVMGetPoison(vector_of(p, LLVMTypeOf(x)));
    v = LLVMBuildInsertElement(b, v, x, codegen_i32(p->s->w->g, 0), "");
    int index[MAX_LANES] = {0};
    return wide_shuffle(p->s->w, v, v, index, p->lanes);
}

/* In how many runs of equal length the register's elements lie, the elements of a run side by side:
 * 1, 2 or 4; 0 when it is more. */
static unsigned runs(const struct part *p, const int64_t *at, unsigned bytes)
{
    for (unsigned n = 1; n <= 4; n *= 2) {
        unsigned each = p->lanes / n;
        bool all = each * bytes >= 8;
        for (unsigned i = 0; i < n && all; i++)
            all = side_by_side(at + i * each, each, bytes);
        if (all)
            return n;
    }
    return 0;
}

static LLVMValueRef load_runs(
        struct part *p, const struct wide_strided *m, const int64_t *at, unsigned align, unsigned n)
{
    struct wide *w = p->s->w;
    unsigned each = p->lanes / n;
    LLVMValueRef run[4];
    for (unsigned i = 0; i < n; i++) {
        run[i] = LLVMBuildLoad2(w->g->builder, LLVMVectorType(m->type, each),
                strided_address(w, m, at[i * each]), "");
        LLVMSetAlignment(run[i], align < m->bytes ? align : m->bytes);
    }
    for (; n > 1; n /= 2, each *= 2)
        for (unsigned i = 0; i < n / 2; i++)
            run[i] = wide_join(w, run[2 * i], run[2 * i + 1], each);
    return run[0];
}

/* The vectors that hold `count` times p->lanes elements. False: they lie too far apart, or in more
 * pieces than are permuted at once. */
static bool place(const struct part *p, const int64_t *at, unsigned count, unsigned bytes,
        struct strided_span *ret)
{
    if (!strided_measure(p->s->w, at, count * p->lanes, bytes, ret) ||
            p->lanes * bytes / ret->unit > STRIDED_MAX_PICK)
        return false;
    ret->chunk = p->lanes * bytes / ret->unit;
    strided_place(at, count * p->lanes, bytes, ret);
    return true;
}

static LLVMValueRef pick(struct part *p, const struct wide_strided *m, const int64_t *at,
        const struct strided_span *span)
{
    LLVMValueRef v = strided_from_span(p->s->w, at, p->lanes, m->bytes, span);
    return LLVMBuildBitCast(p->s->w->g->builder, v, vector_of(p, m->type), "");
}

static void load_group(struct part *p, const struct sum_element *near)
{
    struct wide *w = p->s->w;
    const struct wide_strided *m = &w->strided[near->head];
    struct strided_span span;
    struct group g;
    unsigned align = m->align;
    find_group(p, near, &g);
    for (unsigned i = 0; i < g.count; i++)
        align = w->strided[g.member[i]].align < align ? w->strided[g.member[i]].align : align;
    unsigned n = g.count == 1 ? runs(p, g.at, m->bytes) : 0;
    if (n) { /* of several, vectors over all of them are shared */
        p->loaded[g.member[0]] = load_runs(p, m, g.at, align, n);
        return;
    }
    place(p, g.at, g.count, m->bytes, &span); /* sum_pays() has seen that it can be */
    strided_load_span(w, m, align, &span);
    for (unsigned i = 0; i < g.count; i++)
        p->loaded[g.member[i]] = pick(p, m, g.at + i * p->lanes, &span);
}

/* A load that the lanes of a block share. */
static LLVMValueRef load_shared(struct part *p, const struct wide_strided *m)
{
    struct wide *w = p->s->w;
    int64_t at[MAX_LANES];
    bool same = true;
    for (unsigned i = 0; i < p->lanes; i++) {
        at[i] = m->address.lanes[p->lane[i]];
        same = same && at[i] == at[0];
    }
    if (same) {
        LLVMValueRef x = LLVMBuildLoad2(w->g->builder, m->type, strided_address(w, m, at[0]), "");
        LLVMSetAlignment(x, m->align);
        return splat(p, x);
    }
    struct strided_span span;
    if (!place(p, at, 1, m->bytes, &span))
        return NULL;
    strided_load_span(w, m, m->align, &span);
    return pick(p, m, at, &span);
}

/* ---- values */

/* A value that has no elements. */
static LLVMValueRef lanes_own(struct part *p, LLVMValueRef v)
{
    struct wide *w = p->s->w;
    int index[MAX_LANES];
    LLVMValueRef all = wide_vector(w, v);
    for (unsigned i = 0; i < p->lanes; i++)
        index[i] = (int)p->lane[i];
    return wide_shuffle(w, all, LLVMGetPoison(LLVMTypeOf(all)), index, p->lanes);
}

static bool extends_zeros(LLVMValueRef v)
{
    LLVMOpcode op = LLVMIsAInstruction(v) ? LLVMGetInstructionOpcode(v) : LLVMAdd;
    return op == LLVMAnd || op == LLVMOr || op == LLVMXor || op == LLVMLShr;
}

/* An integer of less than 32 bits, zero-extended to them: before masks and not behind each. */
static LLVMValueRef eval_wide(struct part *p, LLVMValueRef v)
{
    struct wide *w = p->s->w;
    struct sum_node *n = sum_node(p->s, v);
    struct memo *m = n ? &p->memo[n - p->s->node] : NULL;
    if (m && m->wide)
        return m->wide;
    LLVMValueRef r;
    if (n && n->divergent && extends_zeros(v))
        r = LLVMBuildBinOp(w->g->builder, LLVMGetInstructionOpcode(v),
                eval_wide(p, LLVMGetOperand(v, 0)), eval_wide(p, LLVMGetOperand(v, 1)), "");
    else
        r = LLVMBuildZExt(w->g->builder, eval(p, v), vector_of(p, w->g->i32), "");
    if (m)
        m->wide = r;
    return r;
}

static bool is_narrow(LLVMTypeRef type)
{
    return LLVMGetTypeKind(type) == LLVMIntegerTypeKind && LLVMGetIntTypeWidth(type) < 32;
}

/* What an elementwise instruction does, to registers of columns. */
static LLVMValueRef operation(struct part *p, LLVMValueRef v)
{
    LLVMBuilderRef b = p->s->w->g->builder;
    LLVMOpcode op = LLVMGetInstructionOpcode(v);
    LLVMTypeRef to = vector_of(p, LLVMTypeOf(v));
    LLVMValueRef x = LLVMGetOperand(v, 0), r;
    if ((op == LLVMUIToFP || op == LLVMZExt) && is_narrow(LLVMTypeOf(x))) {
        LLVMValueRef wide = eval_wide(p, x);
        return op == LLVMUIToFP ? LLVMBuildSIToFP(b, wide, to, "")
                                : LLVMBuildIntCast2(b, wide, to, 0, "");
    }
    if (LLVMIsACastInst(v))
        r = LLVMBuildCast(b, op, eval(p, x), to, "");
    else if (op == LLVMFNeg)
        r = LLVMBuildFNeg(b, eval(p, x), "");
    else {
        LLVMValueRef y = eval(p, LLVMGetOperand(v, 1));
        r = LLVMBuildBinOp(b, op, eval(p, x), y, "");
    }
    if (LLVMCanValueUseFastMathFlags(r) && LLVMCanValueUseFastMathFlags(v))
        LLVMSetFastMathFlags(r, LLVMGetFastMathFlags(v));
    return r;
}

static LLVMValueRef make(struct part *p, LLVMValueRef v, struct sum_node *n)
{
    struct wide *w = p->s->w;
    int load = LLVMIsALoadInst(v) ? sum_load(p->s, v) : SUM_NONE;
    if (n->has && load != SUM_NONE) {
        /* The element that corresponds to it in the first column. */
        const struct sum_element *e = element_at(p->s, p->first, &p->s->element[load]);
        unsigned at = (unsigned)(e - p->s->element);
        if (!p->loaded[at])
            load_group(p, e);
        return p->loaded[at];
    }
    LLVMValueRef r = NULL;
    if (load != SUM_NONE && w->strided[load].waits && w->strided[load].address.lanes)
        r = load_shared(p, &w->strided[load]);
    else if (load == SUM_NONE && sum_elementwise(v))
        r = operation(p, v);
    return r ? r : lanes_own(p, v);
}

static LLVMValueRef eval(struct part *p, LLVMValueRef v)
{
    struct wide *w = p->s->w;
    struct sum_node *n = sum_node(p->s, v);
    if (!n)
        return wide_is_divergent(w, v) ? lanes_own(p, v) : splat(p, wide_uniform(w, v));
    unsigned i = (unsigned)(n - p->s->node);
    if (!n->divergent) {
        if (!p->same[i])
            p->same[i] = splat(p, wide_uniform(w, v));
        return p->same[i];
    }
    if (!p->memo[i].value)
        p->memo[i].value = make(p, v, n);
    return p->memo[i].value;
}

/* ---- sums */

static LLVMValueRef fast(LLVMValueRef made, LLVMValueRef like)
{
    if (LLVMCanValueUseFastMathFlags(made))
        LLVMSetFastMathFlags(made, LLVMGetFastMathFlags(like));
    return made;
}

/* All the lanes' value, where lanes' own terms are made, or that of a register's columns. */
static LLVMValueRef value_of(struct part *p, LLVMValueRef v)
{
    return p->alone ? wide_vector(p->s->w, v) : eval(p, v);
}

static LLVMValueRef plus(struct part *p, LLVMValueRef a, LLVMValueRef b, LLVMValueRef like)
{
    if (!a || !b)
        return a ? a : b;
    return fast(LLVMBuildFAdd(p->s->w->g->builder, a, b, ""), like);
}

static LLVMValueRef times(struct part *p, LLVMValueRef a, LLVMValueRef b, LLVMValueRef like)
{
    return fast(LLVMBuildFMul(p->s->w->g->builder, a, b, ""), like);
}

static LLVMValueRef total(struct part *p, LLVMValueRef v);
static LLVMValueRef add(struct part *p, LLVMValueRef v, LLVMValueRef sum);

/* sum + v, which `like` adds; made once where it is used more often. */
static LLVMValueRef add_operand(struct part *p, LLVMValueRef v, LLVMValueRef sum, LLVMValueRef like)
{
    LLVMUseRef use = LLVMGetFirstUse(v);
    return use && LLVMGetNextUse(use) ? plus(p, sum, total(p, v), like) : add(p, v, sum);
}

/* sum (or NULL: nothing) + what v comes to of the part's terms; NULL when that has none. */
static LLVMValueRef add(struct part *p, LLVMValueRef v, LLVMValueRef sum)
{
    LLVMBuilderRef b = p->s->w->g->builder;
    struct sum_parts parts = sum_take_apart(p->s, v);
    for (unsigned i = 0; i < p->s->count; i++)
        if (v == p->s->phi[i])
            return sum;
    if (parts.shape == SUM_TERM || (parts.shape == SUM_FUSED && !parts.scaled)) {
        bool ours = sum_column_of(p->s, v) == (p->alone ? SUM_NONE : (int)p->first);
        if (ours && parts.shape == SUM_TERM)
            sum = plus(p, sum, value_of(p, v), v);
        else if (ours)
            sum = plus(p, sum,
                    times(p, value_of(p, parts.product[0]), value_of(p, parts.product[1]), v), v);
    } else if (parts.scaled) {
        LLVMValueRef x = total(p, parts.product[1]);
        if (x)
            sum = plus(p, sum, times(p, x, value_of(p, parts.product[0]), v), v);
    }
    if (parts.shape == SUM_ADD || parts.shape == SUM_SUBTRACT || parts.shape == SUM_FUSED)
        sum = add_operand(p, parts.operand[0], sum, v);
    if (parts.shape == SUM_ADD) {
        sum = add_operand(p, parts.operand[1], sum, v);
    } else if (parts.shape == SUM_SUBTRACT || parts.shape == SUM_NEGATE) {
        LLVMValueRef x = total(p, parts.operand[parts.shape == SUM_SUBTRACT]);
        if (x && sum)
            sum = fast(LLVMBuildFSub(b, sum, x, ""), v);
        else if (x)
            sum = fast(LLVMBuildFNeg(b, x, ""), v);
    }
    return sum;
}

static LLVMValueRef total(struct part *p, LLVMValueRef v)
{
    struct sum_node *n = sum_node(p->s, v);
    struct memo *m = n ? &p->memo[n - p->s->node] : NULL;
    if (m && m->summed)
        return m->sum;
    LLVMValueRef sum = add(p, v, NULL);
    if (m)
        m->sum = sum, m->summed = true;
    return sum;
}

/* ---- the loop */

static void next_part(struct part *p, unsigned first)
{
    memset(p->memo, 0, p->s->nodes * sizeof *p->memo);
    memset(p->loaded, 0, sizeof p->loaded);
    set_positions(p, first);
}

static unsigned next_shape(const struct sums *s, unsigned first)
{
    unsigned end = first + 1;
    while (end < s->columns && s->column[end].shape == s->column[first].shape)
        end++;
    return end;
}

static struct part *new_part(struct sums *s)
{
    struct part *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->s = s;
    /* Two registers at a time where there are 32: longer loads. */
    p->lanes = s->w->g->vector_bytes / 4 * (s->w->g->vector_bytes < 64 ? 1 : 2);
    p->lanes = p->lanes > MAX_LANES ? MAX_LANES : p->lanes;
    return p;
}

/* Instructions and loads for each register of elements that bring them there. */
#define DEAREST 4u

static bool group_pays(struct part *p, const struct sum_element *e)
{
    struct strided_span span;
    struct group g;
    unsigned bytes = p->s->w->strided[e->head].bytes, cost = 0;
    if (!find_group(p, e, &g) || !place(p, g.at, g.count, bytes, &span))
        return false;
    for (unsigned i = 0; i < g.count; i++) {
        const int64_t *at = g.at + i * p->lanes;
        if (!side_by_side(at, p->lanes, bytes))
            cost += strided_span_cost(at, p->lanes, bytes, &span);
        p->loaded[g.member[i]] = p->s->w->strided[0].mark; /* anything: it has been counted */
    }
    return cost + span.count <= DEAREST * g.count;
}

static bool part_pays(struct part *p)
{
    memset(p->loaded, 0, sizeof p->loaded);
    for (uint32_t i = 0; i < p->s->w->strided_count; i++) {
        const struct sum_element *e = &p->s->element[i];
        if (e->used && e->column == (int)p->first && !p->loaded[i] && !group_pays(p, e))
            return false;
    }
    return true;
}

bool sum_pays(struct sums *s)
{
    struct part *p = new_part(s);
    bool pays = p != NULL;
    for (unsigned first = 0, end; first < s->columns && pays; first = end) {
        end = next_shape(s, first);
        p->first = first;
        p->count = end - first;
        for (unsigned at = 0; at < p->count * s->w->width && pays; at += p->lanes) {
            set_positions(p, at);
            pays = part_pays(p);
        }
    }
    free(p);
    return pays;
}

/* Sums are kept in as many registers each as the processor has room for, so that additions need not
 * wait for each other. */
static unsigned registers(const struct sums *s, unsigned lanes)
{
    unsigned all = s->w->g->vector_bytes < 64 ? 16 : 32, n = s->w->width / lanes;
    while (n > 1 && n * s->count > all / 2)
        n /= 2;
    return n;
}

static void add_shape(struct part *p, unsigned first, unsigned end, unsigned each,
        LLVMValueRef (*sum)[WIDE_MAX_WIDTH])
{
    p->first = first;
    p->count = end - first;
    for (unsigned at = 0, n = 0; at < p->count * p->s->w->width; at += p->lanes, n++) {
        next_part(p, at);
        for (unsigned i = 0; i < p->s->count; i++) {
            LLVMValueRef *to = &sum[i][n % each];
            *to = add(p, p->s->next[i], *to);
        }
    }
}

void sum_emit(struct sums *s)
{
    struct wide *w = s->w;
    struct part *p = new_part(s);
    LLVMValueRef sum[SUM_MAX][WIDE_MAX_WIDTH];
    if (!p) {
        w->refused = "no memory";
        return;
    }
    p->alone = true;
    for (unsigned i = 0; i < s->count; i++) {
        LLVMValueRef all = add(p, s->next[i], wide_vector(w, s->phi[i]));
        for (unsigned k = 0; k < w->width / p->lanes; k++)
            sum[i][k] = wide_slice(w, all, k * p->lanes, p->lanes);
    }
    p->alone = false;
    for (unsigned first = 0, end; first < s->columns; first = end) {
        end = next_shape(s, first);
        memset(p->same, 0, sizeof p->same);
        add_shape(p, first, end, registers(s, p->lanes), sum);
    }
    for (unsigned i = 0; i < s->count; i++)
        wide_set_vector(w, s->next[i], wide_join_all(w, sum[i], p->lanes));
    free(p);
}
