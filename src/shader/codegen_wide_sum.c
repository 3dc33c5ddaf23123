/* shader: elements that stay in memory's order. A loop in which every lane multiplies a row of
 * elements of its own by another, and adds the products to a sum over all lanes (simd_sum), as
 * products of a matrix and a vector do, need not know which lane an element belongs to: element by
 * element, what is done is the same, and the order of a sum is free where the program said so (fast
 * math). Then the elements are loaded as they lie, and nothing is transposed. See
 * codegen_wide_stride.h. Compiler process.
 *
 * Shown has to be, of a loop of one block:
 *  - its sums are nothing but carried on, from turn to turn and behind the loop, and added to,
 * until a sum over all lanes; each lane takes every turn's part with it;
 *  - what is added in a turn, element by element, is the same function of the elements with one
 *    number within the lanes' rows, for every number as often;
 *  - the elements are used for nothing else, and all rows have the same shape. */
#include "shader/codegen_wide_stride.h"

#include <stdlib.h>
#include <string.h>

#define MAX_CARRIED 64u
#define MAX_NODES 768u
#define MAX_TERMS 512u
#define MAX_DEPTH 64u

/* What an expression of the block is: `tag`, the number of the elements that it is made of in their
 * lanes' rows, or NONE; and `kind`, alike where the same is done. */
enum { NONE = -1, FAILED = -2 };

struct node {
    LLVMValueRef value;
    int tag;
    unsigned kind;
    bool divergent; /* differs between lanes for another reason than a tag */
};

/* A kind's description: an operation on kinds, or a value that is not looked into. */
struct kind {
    LLVMOpcode op;
    LLVMTypeRef type;
    void *leaf;
    unsigned operand[2];
};

struct sums {
    struct wide *w;
    LLVMBasicBlockRef block;
    LLVMValueRef phi; /* the sum being looked at */
    unsigned phi_seen;
    unsigned factor; /* what all of the terms being looked at are multiplied by: a kind + 1 */
    struct node node[MAX_NODES];
    unsigned nodes, depth;
    struct kind kind[MAX_NODES];
    unsigned kinds;
    LLVMValueRef inside[MAX_NODES]; /* additions, of which no single one is a term */
    unsigned insides;
    struct {
        int tag;
        unsigned kind;
    } term[MAX_TERMS];
    unsigned terms;
    unsigned rows; /* elements of a lane's row; 0: not known yet */
    const struct wide_strided *first[WIDE_MAX_STRIDED]; /* the groups */
    unsigned groups;
    bool failed;
};

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
        return carry(c, user); /* its bits, as calls take them */
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

/* A phi takes the sum along from wherever the loop may have come. */
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

/* ---- what is added */

static unsigned kind_of(struct sums *s, struct kind k)
{
    for (unsigned i = 0; i < s->kinds; i++)
        if (s->kind[i].op == k.op && s->kind[i].type == k.type && s->kind[i].leaf == k.leaf &&
                s->kind[i].operand[0] == k.operand[0] && s->kind[i].operand[1] == k.operand[1])
            return i;
    if (s->kinds == MAX_NODES) {
        s->failed = true;
        return 0;
    }
    s->kind[s->kinds] = k;
    return s->kinds++;
}

static struct wide_strided *find_load(struct wide *w, LLVMValueRef v)
{
    for (uint32_t i = 0; i < w->strided_count; i++)
        if (w->strided[i].source == v)
            return &w->strided[i];
    return NULL;
}

static bool elementwise(LLVMValueRef v)
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

static bool commutes(LLVMOpcode op)
{
    return op == LLVMFMul || op == LLVMFAdd || op == LLVMMul || op == LLVMAdd || op == LLVMAnd ||
           op == LLVMOr || op == LLVMXor;
}

static struct node look(struct sums *s, LLVMValueRef v);

/* An operation on what its operands are; `op` and the operands of a multiply-add's product too. */
static struct node combine(
        struct sums *s, LLVMOpcode op, LLVMTypeRef type, const LLVMValueRef *operand, int count)
{
    struct node n = {.tag = NONE};
    struct kind k = {.op = op, .type = type};
    for (int i = 0; i < count; i++) {
        struct node x = look(s, operand[i]);
        if (x.tag == FAILED || (x.tag != NONE && n.tag != NONE && x.tag != n.tag))
            return (struct node){.tag = FAILED};
        n.tag = x.tag != NONE ? x.tag : n.tag;
        n.divergent |= x.divergent;
        k.operand[i] = x.kind + 1;
    }
    if (n.tag != NONE && n.divergent)
        return (struct node){.tag = FAILED}; /* a lane's own number goes with its own elements */
    if (commutes(op) && k.operand[0] > k.operand[1]) {
        unsigned first = k.operand[0];
        k.operand[0] = k.operand[1], k.operand[1] = first;
    }
    n.kind = kind_of(s, k);
    return n;
}

static struct node look_into(struct sums *s, LLVMValueRef v)
{
    struct node n = {.value = v, .tag = NONE, .divergent = wide_is_divergent(s->w, v)};
    struct wide_strided *load = LLVMIsALoadInst(v) ? find_load(s->w, v) : NULL;
    if (load && load->number != NONE) {
        n.tag = load->number;
        n.divergent = false;
        n.kind = kind_of(s, (struct kind){.op = LLVMLoad, .leaf = (void *)s->first[load->group]});
        return n;
    }
    LLVMValueRef operand[2];
    if (!n.divergent || !LLVMIsAInstruction(v) || LLVMGetInstructionParent(v) != s->block ||
            !elementwise(v)) {
        n.kind = kind_of(s, (struct kind){.leaf = v});
        return n;
    }
    int count = LLVMGetNumOperands(v);
    for (int i = 0; i < count; i++)
        operand[i] = LLVMGetOperand(v, (unsigned)i);
    n = combine(s, LLVMGetInstructionOpcode(v), LLVMTypeOf(v), operand, count);
    n.value = v;
    n.divergent |= n.tag == NONE;
    return n;
}

static struct node look(struct sums *s, LLVMValueRef v)
{
    for (unsigned i = 0; i < s->nodes; i++)
        if (s->node[i].value == v)
            return s->node[i];
    if (s->depth == MAX_DEPTH) {
        s->failed = true;
        return (struct node){.tag = FAILED};
    }
    s->depth++;
    struct node n = look_into(s, v);
    s->depth--;
    if (s->nodes == MAX_NODES || n.tag == FAILED)
        s->failed = true;
    else
        s->node[s->nodes++] = n;
    return s->failed ? (struct node){.tag = FAILED} : n;
}

static void add_term(struct sums *s, struct node n)
{
    if (n.tag == NONE)
        return; /* stays with its lane */
    if (n.tag == FAILED || s->terms == MAX_TERMS) {
        s->failed = true;
        return;
    }
    if (s->factor)
        n.kind = kind_of(s, (struct kind){.op = LLVMFMul, .operand = {n.kind + 1, s->factor}});
    s->term[s->terms].tag = n.tag;
    s->term[s->terms++].kind = n.kind;
}

static bool used_once(LLVMValueRef v)
{
    LLVMUseRef u = LLVMGetFirstUse(v);
    return u && !LLVMGetNextUse(u);
}

static void take_apart(struct sums *s, LLVMValueRef v, bool root);

/* A sum times something that all lanes have: each of its terms is. */
static bool multiplied_sum(struct sums *s, LLVMValueRef v)
{
    if (LLVMGetInstructionOpcode(v) != LLVMFMul)
        return false;
    bool second = !wide_is_divergent(s->w, LLVMGetOperand(v, 0));
    LLVMValueRef sum = LLVMGetOperand(v, second), factor = LLVMGetOperand(v, !second);
    if (wide_is_divergent(s->w, factor) || !LLVMIsABinaryOperator(sum) || !used_once(sum) ||
            LLVMGetInstructionOpcode(sum) != LLVMFAdd)
        return false;
    unsigned before = s->factor;
    struct kind k = {.op = LLVMFMul, .operand = {look(s, factor).kind + 1, before}};
    s->inside[s->insides++] = v;
    s->factor = kind_of(s, k) + 1;
    take_apart(s, sum, false);
    s->factor = before;
    return true;
}

static void take_apart(struct sums *s, LLVMValueRef v, bool root)
{
    if (v == s->phi) {
        s->phi_seen += s->factor ? 2 : 1;
        return;
    }
    bool ours = LLVMIsAInstruction(v) && LLVMGetInstructionParent(v) == s->block &&
                (root || used_once(v)) && may_reorder(v);
    const char *name = ours ? codegen_callee(v) : NULL;
    bool fused = name && (!strcmp(name, "llvm.fmuladd.f32") || !strcmp(name, "llvm.fma.f32"));
    if (s->insides == MAX_NODES) { /* which bounds the recursion too */
        s->failed = true;
        return;
    }
    if (ours && multiplied_sum(s, v))
        return;
    if (!ours || (!fused && LLVMGetInstructionOpcode(v) != LLVMFAdd)) {
        add_term(s, look(s, v));
        return;
    }
    s->inside[s->insides++] = v;
    if (fused) {
        LLVMValueRef factor[2] = {LLVMGetOperand(v, 0), LLVMGetOperand(v, 1)};
        add_term(s, combine(s, LLVMFMul, LLVMTypeOf(v), factor, 2));
        take_apart(s, LLVMGetOperand(v, 2), false);
        return;
    }
    for (unsigned i = 0; i < 2 && !s->failed; i++)
        take_apart(s, LLVMGetOperand(v, i), false);
}

/* Each kind of term is there for every number as often. */
static bool complete(const struct sums *s)
{
    for (unsigned i = 0; i < s->terms; i++) {
        unsigned times[WIDE_MAX_STRIDED] = {0};
        for (unsigned k = 0; k < s->terms; k++)
            if (s->term[k].kind == s->term[i].kind)
                times[s->term[k].tag]++;
        for (unsigned k = 1; k < s->rows; k++)
            if (times[k] != times[0])
                return false;
    }
    return true;
}

static bool is_sum(struct sums *s, LLVMValueRef phi)
{
    bool second = LLVMGetIncomingBlock(phi, 1) == s->block;
    LLVMValueRef next = LLVMGetIncomingValue(phi, second);
    if (LLVMCountIncoming(phi) != 2 || !used_once(phi) || !ends_in_sums(s, phi, next))
        return false;
    s->phi = phi;
    s->phi_seen = s->terms = s->factor = 0;
    take_apart(s, next, true);
    return s->phi_seen == 1 && complete(s);
}

/* What is made of elements goes nowhere but into the sums. */
static bool used_inside(const struct sums *s, LLVMValueRef v)
{
    for (LLVMUseRef u = LLVMGetFirstUse(v); u; u = LLVMGetNextUse(u)) {
        LLVMValueRef user = LLVMGetUser(u);
        bool found = false;
        for (unsigned i = 0; i < s->nodes && !found; i++)
            found = s->node[i].value == user && s->node[i].tag >= 0;
        for (unsigned i = 0; i < s->insides && !found; i++)
            found = s->inside[i] == user;
        if (!found)
            return false;
    }
    return true;
}

/* ---- the elements */

/* The bytes from one lane's row to the next, or 0 when that is not the same for all. */
static int64_t row_bytes(struct wide *w, const struct wide_strided *m)
{
    const int64_t *lanes = m->address.lanes;
    for (unsigned i = 2; lanes && i < w->width; i++)
        if (lanes[i] - lanes[i - 1] != lanes[1] - lanes[0])
            return 0;
    return lanes && lanes[1] > lanes[0] ? lanes[1] - lanes[0] : 0;
}

/* Numbers the elements of rows among loads like `head`, beginning with the lowest. All lanes' rows
 * have to lie side by side, every element be loaded once, and rows be as long as the others. */
static void number(struct sums *s, const struct wide_strided *head)
{
    struct wide *w = s->w;
    struct wide_strided *member[WIDE_MAX_STRIDED] = {0};
    int64_t first = head->address.delta, bytes = head->bytes, rows = row_bytes(w, head) / bytes;
    bool whole = rows > 1 && rows <= WIDE_MAX_STRIDED && row_bytes(w, head) % bytes == 0 &&
                 (!s->rows || s->rows == rows);
    for (int pass = 0; pass < 2 && whole; pass++)
        for (uint32_t i = 0; i < w->strided_count; i++) {
            struct wide_strided *m = &w->strided[i];
            int64_t at = m->address.delta - first;
            if (m->number != NONE || m->type != head->type || !strided_together(w, head, m))
                continue;
            if (pass == 0) {
                first = at < 0 ? m->address.delta : first;
            } else if (at < rows * bytes) {
                whole = whole && at % bytes == 0 && !member[at / bytes];
                member[at / bytes] = m;
            }
        }
    for (int64_t i = 0; i < rows && whole; i++)
        whole = member[i] != NULL;
    for (int64_t i = 0; i < rows && whole; i++) {
        member[i]->number = (int)i;
        member[i]->group = s->groups;
    }
    if (!whole)
        return;
    s->rows = (unsigned)rows;
    s->first[s->groups++] = head;
}

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
    struct wide *w = s->w;
    for (uint32_t i = 0; i < w->strided_count; i++)
        if (w->strided[i].number == NONE)
            number(s, &w->strided[i]);
    if (!s->groups)
        return false;
    for (LLVMValueRef in = LLVMGetFirstInstruction(s->block); in && LLVMIsAPHINode(in);
            in = LLVMGetNextInstruction(in))
        if (LLVMGetTypeKind(LLVMTypeOf(in)) == LLVMFloatTypeKind && !is_sum(s, in))
            return false;
    for (unsigned i = 0; i < s->nodes; i++)
        if (s->node[i].tag >= 0 && !used_inside(s, s->node[i].value))
            return false;
    return !s->failed;
}

void strided_find_sums(struct wide *w)
{
    for (uint32_t i = 0; i < w->strided_count; i++)
        w->strided[i].number = NONE;
    LLVMBasicBlockRef block = LLVMGetInstructionParent(w->strided[0].source);
    if (w->strided_count < 4 || w->width != WIDE_MAX_WIDTH ||
            !one_block_loop(w, wide_block(w, block)))
        return;
    struct sums *s = calloc(1, sizeof *s);
    if (!s)
        return;
    s->w = w;
    s->block = block;
    bool found = find_sums(s);
    for (uint32_t i = 0; i < w->strided_count; i++) {
        struct wide_strided *m = &w->strided[i];
        bool seen = false;
        for (unsigned k = 0; k < s->nodes && found; k++)
            seen |= s->node[k].value == m->source && s->node[k].tag >= 0;
        m->number = seen ? m->number : NONE;
    }
    free(s);
}

void strided_load_in_order(struct wide *w, struct wide_strided **member, unsigned count)
{
    LLVMBuilderRef b = w->g->builder;
    const struct wide_strided *first = member[0];
    for (unsigned i = 1; i < count; i++)
        first = member[i]->number < first->number ? member[i] : first;
    for (unsigned i = 0; i < count; i++) {
        struct wide_strided *m = member[i];
        int64_t row = (int64_t)m->number * m->bytes * w->width;
        LLVMValueRef v = LLVMBuildLoad2(
                b, LLVMTypeOf(m->mark), strided_lane_address(w, first, 0, first->offset + row), "");
        LLVMSetAlignment(v, m->bytes < m->align ? m->bytes : m->align);
        m->waits = false;
        LLVMSetOperand(m->mark, 0, v);
    }
}
