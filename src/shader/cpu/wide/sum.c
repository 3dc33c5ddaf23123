/* shader: sums over lanes in memory's order. A loop in which every lane multiplies elements of its
 * own rows and adds the products to a sum over all lanes (simd_sum), as products of a matrix and a
 * vector do, need not know which lane an element belongs to, where the program said that the order
 * of a sum is free (fast math). Only elements that meet in a product have to meet: a column. What a
 * lane has for all of its columns, as the factor of a block of packed numbers, goes where they go.
 *
 * Shown has to be, of a loop of one block:
 *  - its sums are nothing but carried on, from turn to turn and behind the loop, and added to,
 *    until a sum over all lanes; each lane takes every turn's part with it;
 *  - elements, and what is made of them, go nowhere else.
 * Columns of which the same is made have one shape, and are computed together, as many at once as a
 * register holds, in the order in which they lie in memory (column.c). */
#include "shader/cpu/wide/sum.h"

#include <stdlib.h>
#include <string.h>

#define MAX_CARRIED 64u
#define MAX_VISITS 4096u

/* ---- what becomes of a sum behind its turn */

struct carried {
    LLVMValueRef value[MAX_CARRIED];
    unsigned count;
};

static bool is_carried(const struct carried *c, LLVMValueRef v)
{
    for (unsigned i = 0; i < c->count; i++)
        if (c->value[i] == v)
            return true;
    return false;
}

static bool carry(struct carried *c, LLVMValueRef v)
{
    if (is_carried(c, v))
        return true;
    if (c->count == MAX_CARRIED)
        return false;
    c->value[c->count++] = v;
    return true;
}

static bool may_reorder(LLVMValueRef v)
{
    return LLVMCanValueUseFastMathFlags(v) && (LLVMGetFastMathFlags(v) & LLVMFastMathAllowReassoc);
}

static bool is_lane_sum(struct wide *w, LLVMValueRef call)
{
    uint64_t code = wide_marker(call, "__abx_simd");
    return code != ~0ull && (code & ABX_SIMD_OP_MASK) == ABX_SIMD_ADD &&
           (code & ABX_SIMD_TYPE_MASK) == ABX_SIMD_F32 && !(code & ABX_SIMD_QUAD) &&
           !w->masked[wide_block(w, LLVMGetInstructionParent(call))];
}

static bool carry_user(struct sums *s, struct carried *c, LLVMValueRef phi, LLVMValueRef user)
{
    struct wide *w = s->w;
    if (user != phi && LLVMGetInstructionParent(user) == s->block)
        return false;
    if (LLVMIsAPHINode(user) || LLVMIsABitCastInst(user) || LLVMIsAZExtInst(user))
        return carry(c, user); /* the sum's bits: calls of SIMD-group functions take integers */
    if (is_lane_sum(w, user))
        return true;
    return LLVMIsABinaryOperator(user) && LLVMGetInstructionOpcode(user) == LLVMFAdd &&
           may_reorder(user) && carry(c, user);
}

static void reach(struct wide *w, uint32_t b, bool *reached)
{
    for (uint32_t s = 0; s < w->successors[b]; s++) {
        uint32_t t = w->successor[b][s];
        if (reached[t])
            continue;
        reached[t] = true;
        reach(w, t, reached);
    }
}

/* True when the phi has the sum (or what was made of it) from each block that may run after the
 * loop. */
static bool takes_along(
        struct wide *w, const struct carried *c, LLVMValueRef phi, const bool *reached)
{
    for (unsigned i = 0; i < LLVMCountIncoming(phi); i++)
        if (!is_carried(c, LLVMGetIncomingValue(phi, i)) &&
                reached[wide_block(w, LLVMGetIncomingBlock(phi, i))])
            return false;
    return true;
}

/* True when the sum after a turn, `next`, ends in sums over all lanes whichever way lanes go. */
static bool ends_in_sums(struct sums *s, LLVMValueRef phi, LLVMValueRef next)
{
    struct wide *w = s->w;
    struct carried c = {.value = {next}, .count = 1};
    bool reached[WIDE_MAX_BLOCKS] = {0};
    for (unsigned i = 0; i < c.count; i++) {
        if (c.value[i] == phi)
            continue; /* its only use is the turn's own addition */
        for (LLVMUseRef u = LLVMGetFirstUse(c.value[i]); u; u = LLVMGetNextUse(u))
            if (!carry_user(s, &c, phi, LLVMGetUser(u)))
                return false;
    }
    reach(w, wide_block(w, s->block), reached);
    for (unsigned i = 0; i < c.count; i++) {
        LLVMValueRef v = c.value[i];
        bool twice = v != next && LLVMIsABinaryOperator(v) &&
                     is_carried(&c, LLVMGetOperand(v, 0)) && is_carried(&c, LLVMGetOperand(v, 1));
        if (twice || (LLVMIsAPHINode(v) && !takes_along(w, &c, v, reached)))
            return false;
    }
    return true;
}

/* ---- nodes */

struct sum_node *sum_node(struct sums *s, LLVMValueRef v)
{
    for (unsigned i = 0; i < s->nodes; i++)
        if (s->node[i].value == v)
            return &s->node[i];
    return NULL;
}

int sum_load(const struct sums *s, LLVMValueRef v)
{
    for (uint32_t i = 0; i < s->w->strided_count; i++)
        if (s->w->strided[i].source == v)
            return (int)i;
    return SUM_NONE;
}

bool sum_elementwise(LLVMValueRef v)
{
    switch (LLVMGetInstructionOpcode(v)) {
    case LLVMFPExt:
    case LLVMFPTrunc:
    case LLVMSIToFP:
    case LLVMUIToFP:
    case LLVMZExt:
    case LLVMSExt:
    case LLVMTrunc:
    case LLVMBitCast:
    case LLVMFNeg:
    case LLVMFMul:
    case LLVMFAdd:
    case LLVMFSub:
    case LLVMAnd:
    case LLVMOr:
    case LLVMXor:
    case LLVMShl:
    case LLVMLShr:
    case LLVMAShr:
    case LLVMAdd:
    case LLVMSub:
    case LLVMMul:
        return true;
    default:
        return false;
    }
}

static bool has(struct sums *s, LLVMValueRef v)
{
    struct sum_node *n = sum_node(s, v);
    return n && n->has;
}

/* The block's instructions, and which of them are made of elements. */
static bool list_nodes(struct sums *s)
{
    for (LLVMValueRef in = LLVMGetFirstInstruction(s->block); in; in = LLVMGetNextInstruction(in)) {
        if (s->nodes == SUM_MAX_NODES)
            return false;
        struct sum_node *n = &s->node[s->nodes];
        *n = (struct sum_node){
                .value = in, .element = SUM_NONE, .divergent = wide_is_divergent(s->w, in)};
        int load = LLVMIsALoadInst(in) ? sum_load(s, in) : SUM_NONE;
        n->has = load != SUM_NONE && s->element[load].head != SUM_NONE;
        bool looks = sum_elementwise(in) || codegen_callee(in);
        for (int i = 0; i < LLVMGetNumOperands(in) && looks && n->divergent; i++)
            n->has |= has(s, LLVMGetOperand(in, (unsigned)i));
        s->nodes++;
    }
    return true;
}

/* ---- elements */

static bool lanes_apart(struct wide *w, const int64_t *lanes)
{
    for (unsigned i = 0; i < w->width; i++)
        for (unsigned k = 0; k < i; k++)
            if (lanes[i] == lanes[k])
                return false;
    return true;
}

/* Groups of loads at constant distances are elements of lanes' rows; not what lanes share. */
static void find_elements(struct sums *s)
{
    struct wide *w = s->w;
    for (uint32_t i = 0; i < w->strided_count; i++)
        s->element[i] = (struct sum_element){.head = SUM_NONE, .other = (int)i, .column = SUM_NONE};
    for (uint32_t i = 0; i < w->strided_count; i++) {
        struct wide_strided *m = &w->strided[i];
        unsigned members = 0;
        if (s->element[i].head != SUM_NONE || !m->address.lanes || !m->waits ||
                !lanes_apart(w, m->address.lanes))
            continue;
        for (int pass = 0; pass < 2 && members != 1; pass++)
            for (uint32_t k = i; k < w->strided_count; k++) {
                struct wide_strided *o = &w->strided[k];
                if (s->element[k].head != SUM_NONE || o->type != m->type ||
                        !strided_together(w, m, o))
                    continue;
                if (pass == 0) {
                    members++;
                    continue;
                }
                s->element[k].head = (int)i;
                s->element[k].offset = o->address.delta - m->address.delta;
            }
    }
}

static int representative(struct sums *s, int e)
{
    while (s->element[e].other != e)
        e = s->element[e].other;
    return e;
}

static int unite(struct sums *s, int a, int b)
{
    if (a == SUM_NONE || b == SUM_NONE)
        return a == SUM_NONE ? b : a;
    a = representative(s, a), b = representative(s, b);
    s->element[a > b ? a : b].other = a > b ? b : a;
    return a > b ? b : a;
}

/* Notes that all elements which `v` is computed from belong to one column, because one operation
 * needs them together. Returns one of them. */
static int meet(struct sums *s, LLVMValueRef v)
{
    struct sum_node *n = sum_node(s, v);
    if (!n || !n->has)
        return SUM_NONE;
    if (n->element != SUM_NONE)
        return n->element;
    n->inside = true;
    int e = LLVMIsALoadInst(v) ? sum_load(s, v) : SUM_NONE;
    if (e != SUM_NONE)
        s->element[e].used = true;
    else if (sum_elementwise(v))
        for (int i = 0; i < LLVMGetNumOperands(v); i++)
            e = unite(s, e, meet(s, LLVMGetOperand(v, (unsigned)i)));
    s->failed |= e == SUM_NONE;
    return n->element = e;
}

/* ---- what is added */

static bool commutes(LLVMOpcode op)
{
    return op == LLVMFMul || op == LLVMFAdd || op == LLVMMul || op == LLVMAdd || op == LLVMAnd ||
           op == LLVMOr || op == LLVMXor;
}

static unsigned kind_of(struct sums *s, struct sum_kind k)
{
    if (commutes(k.op) && k.operand[0] > k.operand[1]) {
        unsigned first = k.operand[0];
        k.operand[0] = k.operand[1], k.operand[1] = first;
    }
    for (unsigned i = 0; i < s->kinds; i++)
        if (s->kind[i].op == k.op && s->kind[i].type == k.type && s->kind[i].leaf == k.leaf &&
                s->kind[i].operand[0] == k.operand[0] && s->kind[i].operand[1] == k.operand[1])
            return i + 1;
    if (s->kinds == SUM_MAX_KINDS) {
        s->failed = true;
        return 1;
    }
    s->kind[s->kinds] = k;
    return ++s->kinds;
}

/* Of two factors, either of which may be 0: none. */
static unsigned product_kind(struct sums *s, unsigned a, unsigned b)
{
    return a && b ? kind_of(s, (struct sum_kind){.op = LLVMFMul, .operand = {a, b}}) : a + b;
}

struct sum_parts sum_take_apart(struct sums *s, LLVMValueRef v)
{
    struct sum_parts p = {.shape = SUM_TERM};
    struct sum_node *n = sum_node(s, v);
    if (!n || !n->divergent || !may_reorder(v))
        return p;
    LLVMOpcode op = LLVMGetInstructionOpcode(v);
    const char *name = codegen_callee(v);
    if (op == LLVMFAdd || op == LLVMFSub || op == LLVMFNeg) {
        p.shape = op == LLVMFAdd ? SUM_ADD : op == LLVMFSub ? SUM_SUBTRACT : SUM_NEGATE;
        p.operand[0] = LLVMGetOperand(v, 0);
        p.operand[1] = op == LLVMFNeg ? NULL : LLVMGetOperand(v, 1);
    } else if (op == LLVMFMul ||
               (name && (!strcmp(name, "llvm.fmuladd.f32") || !strcmp(name, "llvm.fma.f32")))) {
        LLVMValueRef a = LLVMGetOperand(v, 0), b = LLVMGetOperand(v, 1);
        p.scaled = has(s, a) != has(s, b);
        p.product[0] = p.scaled && has(s, a) ? b : a;
        p.product[1] = p.product[0] == a ? b : a;
        p.shape = name ? SUM_FUSED : p.scaled ? SUM_SCALE : SUM_TERM;
        p.operand[0] = name ? LLVMGetOperand(v, 2) : NULL;
    }
    return p;
}

int sum_column_of(struct sums *s, LLVMValueRef term)
{
    struct sum_parts p = sum_take_apart(s, term);
    int e = meet(s, p.shape == SUM_FUSED ? p.product[0] : term);
    return e == SUM_NONE ? SUM_NONE : s->element[representative(s, e)].column;
}

static void add_term(struct sums *s, LLVMValueRef v, unsigned factor)
{
    struct sum_parts p = sum_take_apart(s, v);
    if (s->terms == SUM_MAX_TERMS) {
        s->failed = true;
        return;
    }
    if (p.shape == SUM_FUSED)
        unite(s, meet(s, p.product[0]), meet(s, p.product[1]));
    else
        meet(s, v);
    s->term[s->terms++] = (struct sum_term){.value = v, .sum = s->count, .factor = factor};
}

static void take_apart(struct sums *s, LLVMValueRef v, unsigned factor)
{
    if (v == s->phi[s->count]) {
        s->phi_seen += factor ? 2 : 1;
        return;
    }
    if (s->visits == MAX_VISITS) /* which bounds the recursion too */
        s->failed = true;
    if (s->failed)
        return;
    s->visits++;
    struct sum_parts p = sum_take_apart(s, v);
    if (p.shape == SUM_TERM) {
        add_term(s, v, factor);
        return;
    }
    sum_node(s, v)->inside = true;
    if (p.scaled) {
        unsigned own = kind_of(s, (struct sum_kind){.leaf = p.product[0]});
        take_apart(s, p.product[1], product_kind(s, own, factor));
    } else if (p.shape == SUM_FUSED) {
        add_term(s, v, factor);
    }
    unsigned minus = p.shape == SUM_NEGATE || p.shape == SUM_SUBTRACT
                             ? kind_of(s, (struct sum_kind){.op = LLVMFNeg, .operand = {factor}})
                             : factor;
    if (p.operand[0])
        take_apart(s, p.operand[0], p.shape == SUM_NEGATE ? minus : factor);
    if (p.operand[1])
        take_apart(s, p.operand[1], minus);
}

static bool find_sum(struct sums *s, LLVMValueRef phi)
{
    bool second = LLVMGetIncomingBlock(phi, 1) == s->block;
    LLVMUseRef use = LLVMGetFirstUse(phi);
    if (LLVMCountIncoming(phi) != 2 || s->count == SUM_MAX || !use || LLVMGetNextUse(use))
        return false;
    s->phi[s->count] = phi;
    s->next[s->count] = LLVMGetIncomingValue(phi, second);
    s->phi_seen = 0;
    if (!ends_in_sums(s, phi, s->next[s->count]))
        return false;
    take_apart(s, s->next[s->count], 0);
    s->count++;
    return s->phi_seen == 1 && !s->failed;
}

/* True when nothing outside the sums uses the node. */
static bool used_inside(struct sums *s, const struct sum_node *n)
{
    for (unsigned i = 0; i < s->count; i++)
        if (n->value == s->next[i])
            return true; /* ends_in_sums() has looked */
    for (LLVMUseRef u = LLVMGetFirstUse(n->value); u; u = LLVMGetNextUse(u)) {
        struct sum_node *user = sum_node(s, LLVMGetUser(u));
        if (!user || !user->inside)
            return false;
    }
    return true;
}

/* ---- columns */

/* Gives every element its column, and its slot there. */
static void find_columns(struct sums *s)
{
    for (uint32_t i = 0; i < s->w->strided_count; i++) {
        struct sum_element *e = &s->element[i];
        if (!e->used)
            continue;
        int r = representative(s, (int)i);
        if (r == (int)i)
            e->column = (int)s->columns++;
        e->column = s->element[r].column; /* known: r, the lowest of its elements, came first */
        struct sum_column *c = &s->column[e->column];
        if (r == (int)i)
            *c = (struct sum_column){.head = e->head, .offset = e->offset};
        if (e->head < c->head || (e->head == c->head && e->offset < c->offset))
            c->head = e->head, c->offset = e->offset;
        for (uint32_t k = 0; k < s->w->strided_count; k++) {
            struct sum_element *o = &s->element[k];
            if (o->used && o->head == e->head && representative(s, (int)k) == r &&
                    (o->offset < e->offset || (o->offset == e->offset && k < i)))
                e->slot++;
        }
    }
}

static unsigned kind(struct sums *s, LLVMValueRef v)
{
    struct sum_node *n = sum_node(s, v);
    if (!n || !n->has)
        return kind_of(s, (struct sum_kind){.leaf = v});
    if (n->kind)
        return n->kind;
    struct sum_kind k = {.op = LLVMGetInstructionOpcode(v), .type = LLVMTypeOf(v)};
    int load = LLVMIsALoadInst(v) ? sum_load(s, v) : SUM_NONE;
    if (load != SUM_NONE) {
        k.leaf = (void *)s->w->strided[s->element[load].head].source;
        k.operand[0] = s->element[load].slot + 1;
        return n->kind = kind_of(s, k);
    }
    for (int i = 0; i < LLVMGetNumOperands(v); i++)
        k.operand[i] = kind(s, LLVMGetOperand(v, (unsigned)i));
    return n->kind = kind_of(s, k);
}

static int by_column(const void *a, const void *b)
{
    const struct sum_term *x = a, *y = b;
    if (x->column != y->column)
        return x->column < y->column ? -1 : 1;
    if (x->sum != y->sum)
        return x->sum < y->sum ? -1 : 1;
    if (x->factor != y->factor)
        return x->factor < y->factor ? -1 : 1;
    return x->kind < y->kind ? -1 : x->kind > y->kind;
}

static void sort_terms(struct sums *s)
{
    for (unsigned i = 0; i < s->terms; i++) {
        struct sum_term *t = &s->term[i];
        struct sum_parts p = sum_take_apart(s, t->value);
        t->column = sum_column_of(s, t->value);
        t->kind = p.shape == SUM_FUSED
                          ? product_kind(s, kind(s, p.product[0]), kind(s, p.product[1]))
                          : kind(s, t->value);
    }
    qsort(s->term, s->terms, sizeof *s->term, by_column);
    for (unsigned i = 0; i < s->terms; i++)
        if (s->term[i].column != SUM_NONE) {
            struct sum_column *c = &s->column[s->term[i].column];
            c->first = c->terms++ ? c->first : i;
        }
}

static bool same_shape(const struct sums *s, const struct sum_column *a, const struct sum_column *b)
{
    bool same = a->terms == b->terms && a->head == b->head;
    for (unsigned i = 0; i < a->terms && same; i++) {
        const struct sum_term *x = &s->term[a->first + i], *y = &s->term[b->first + i];
        same = x->sum == y->sum && x->factor == y->factor && x->kind == y->kind;
    }
    return same;
}

static int by_shape(const void *a, const void *b)
{
    const struct sum_column *x = a, *y = b;
    if (x->shape != y->shape)
        return x->shape < y->shape ? -1 : 1;
    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

/* Terms and elements know columns by number: as they were before they are sorted. */
static void sort_columns(struct sums *s)
{
    unsigned number[WIDE_MAX_STRIDED] = {0};
    for (unsigned i = 0; i < s->columns; i++) {
        unsigned k = 0;
        while (!same_shape(s, &s->column[k], &s->column[i]))
            k++;
        s->column[i].shape = k < i ? s->column[k].shape : s->shapes++;
        s->column[i].number = (int)i;
    }
    qsort(s->column, s->columns, sizeof *s->column, by_shape);
    for (unsigned i = 0; i < s->columns; i++)
        number[s->column[i].number] = i;
    for (unsigned i = 0; i < s->terms; i++)
        if (s->term[i].column != SUM_NONE)
            s->term[i].column = (int)number[s->term[i].column];
    for (uint32_t i = 0; i < s->w->strided_count; i++)
        if (s->element[i].used)
            s->element[i].column = (int)number[s->element[i].column];
}

/* ---- the loop */

static bool one_block_loop(struct wide *w, uint32_t b)
{
    int l = w->loop_of[b];
    if (l < 0 || w->loops[l].parent >= 0 || w->loops[l].header != b || w->loops[l].latch != b)
        return false;
    for (uint32_t k = 0; k < w->count; k++)
        if (k != b && w->loops[l].in[k])
            return false;
    return true;
}

static bool find_sums(struct sums *s)
{
    find_elements(s);
    if (!list_nodes(s))
        return false;
    for (LLVMValueRef in = LLVMGetFirstInstruction(s->block); in && LLVMIsAPHINode(in);
            in = LLVMGetNextInstruction(in))
        if (LLVMGetTypeKind(LLVMTypeOf(in)) == LLVMFloatTypeKind && !find_sum(s, in))
            return false;
    for (unsigned i = 0; i < s->nodes; i++)
        if (s->node[i].inside && !used_inside(s, &s->node[i]))
            return false;
    find_columns(s);
    sort_terms(s);
    sort_columns(s);
    return !s->failed && s->columns;
}

/* The loads that wait are made together with the sums and no longer wait; prefetches for later
 * threadgroups stay where they were. */
static void take_elements(struct sums *s)
{
    struct wide *w = s->w;
    LLVMBasicBlockRef here = LLVMGetInsertBlock(w->g->builder);
    for (uint32_t i = 0; i < w->strided_count; i++) {
        struct wide_strided *member[WIDE_MAX_STRIDED], head = w->strided[i];
        unsigned count = 0;
        for (uint32_t k = i; k < w->strided_count && s->element[i].head == (int)i; k++) {
            struct wide_strided *m = &w->strided[k];
            if (s->element[k].head != (int)i || !s->element[k].used)
                continue;
            m->offset = s->element[k].offset;
            m->address.first = head.address.first;
            m->address.lanes = head.address.lanes;
            m->waits = false;
            member[count++] = m;
        }
        if (!count)
            continue;
        LLVMPositionBuilderBefore(w->g->builder, head.mark);
        strided_prefetch(w, member, count);
    }
    LLVMPositionBuilderAtEnd(w->g->builder, here);
}

void wide_sums(struct wide *w, LLVMBasicBlockRef block)
{
    if (w->strided_count < 2 || w->strided_stores || w->width != WIDE_MAX_WIDTH ||
            !one_block_loop(w, wide_block(w, block)))
        return;
    struct sums *s = calloc(1, sizeof *s);
    if (!s)
        return;
    s->w = w;
    s->block = block;
    if (find_sums(s) && sum_pays(s)) {
        take_elements(s);
        sum_emit(s);
    }
    free(s);
}
