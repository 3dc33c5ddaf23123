/* shader: products of 8x8 matrices on vectors of lanes, as a matrix library would do them. See
 * wide.h. Compiler process.
 *
 * Programs multiply a few matrices by a few others, and add that to what the step before gave. All
 * products that stand in a row are a run; those that add to each other are a chain, and chains with
 * the same left factors a panel: a small matrix product of its own, in blocks whose sums stay in
 * registers from the chains' beginning to their end. A block's factors come from memory: a number
 * of a left factor is loaded into all of a register, which costs nothing that multiply-adds need
 * (permutations do), and a row of the right factors, two matrices' side by side where registers are
 * that long, serves all rows of the block. */
#include "shader/cpu/wide/wide.h"

#include <string.h>

#define ROW 8u
#define ELEMENTS 64u
#define MEMORY "__abx_factors"
#define MAX_LEFT 16u
#define MAX_RIGHT 32u
#define MAX_BLOCK_REGISTERS 2u
#define MAX_BLOCK_ROWS 8u
#define FEW_BLOCK_ROWS 6u /* with sixteen registers: twelve sums, two rows, a factor */
#define MAX_MADE 64u

static LLVMTypeRef f32(struct wide *w)
{
    return LLVMFloatTypeInContext(w->g->context);
}

static LLVMValueRef one_row(struct wide *w, LLVMValueRef e[2], unsigned row)
{
    return wide_slice(w, e[row / 4], row % 4 * ROW, ROW);
}

static LLVMValueRef multiply_add(struct wide *w, LLVMValueRef x, LLVMValueRef y, LLVMValueRef sum)
{
    LLVMTypeRef type = LLVMTypeOf(sum);
    LLVMValueRef a[3] = {x, y, sum};
    return codegen_call_intrinsic(w->g, "llvm.fma", &type, 1, a, 3);
}

/* Two of a call's operands: both halves of a matrix, as rows. */
static void operand(struct wide *w, LLVMValueRef in, unsigned first, LLVMValueRef e[2])
{
    for (unsigned i = 0; i < 2; i++)
        e[i] = wide_vector(w, LLVMGetOperand(in, first + i));
    wide_arrange_matrix(w, e, true);
}

/* ---- one chain alone, in registers of sixteen numbers: two rows of the left factor at a time */

/* Element k of each of two rows of the left factor, eight times; or a row of the right one twice.
 */
static LLVMValueRef spread(struct wide *w, LLVMValueRef e[2], unsigned pair, unsigned k, bool twice)
{
    int index[2 * ROW];
    for (unsigned i = 0; i < 2 * ROW; i++)
        index[i] = (int)(pair % 2 * 2 * ROW + (twice ? k * ROW + i % ROW : i / ROW * ROW + k));
    return wide_shuffle(w, e[pair / 2], LLVMGetPoison(LLVMTypeOf(e[0])), index, 2 * ROW);
}

static void multiply_pairs(
        struct wide *w, LLVMValueRef left[2], LLVMValueRef right[2], LLVMValueRef c[2])
{
    LLVMValueRef sum[4];
    for (unsigned p = 0; p < 4; p++)
        sum[p] = wide_slice(w, c[p / 2], p % 2 * 2 * ROW, 2 * ROW);
    for (unsigned k = 0; k < ROW; k++) {
        LLVMValueRef row = spread(w, right, k / 2, k % 2, true);
        for (unsigned p = 0; p < 4; p++)
            sum[p] = multiply_add(w, spread(w, left, p, k, false), row, sum[p]);
    }
    for (unsigned h = 0; h < 2; h++)
        c[h] = wide_join(w, sum[2 * h], sum[2 * h + 1], 2 * ROW);
}

/* ---- the run's factors, in memory */

struct run {
    LLVMValueRef left[MAX_LEFT], right[MAX_RIGHT]; /* calls that have it as an operand */
    unsigned lefts, rights;
    unsigned columns;     /* matrices side by side in a register */
    LLVMValueRef written; /* the block's last instruction before the run that writes; NULL: none */
    LLVMValueRef memory;
    unsigned stored[MAX_RIGHT][2]; /* what lies in each place behind the left factors */
    unsigned stores;
    bool left_stored[MAX_LEFT];
};

/* LLVM does not see through it: what was stored is not put together from registers again, and is
 * loaded anew for each block. */
static LLVMValueRef hidden(struct wide *w, LLVMValueRef pointer)
{
    LLVMTypeRef type = LLVMFunctionType(w->g->ptr, &w->g->ptr, 1, 0);
    LLVMValueRef hide = LLVMGetInlineAsm(type, "", 0, "=r,0", 4, 1, 0, LLVMInlineAsmDialectATT, 0);
    return LLVMBuildCall2(w->g->builder, type, hide, &pointer, 1, "factors");
}

static LLVMValueRef float_at(struct wide *w, LLVMValueRef pointer, uint64_t index)
{
    LLVMValueRef i = codegen_i64(w->g, index);
    return LLVMBuildInBoundsGEP2(w->g->builder, f32(w), pointer, &i, 1, "");
}

static void store(struct wide *w, LLVMValueRef v, LLVMValueRef pointer, uint64_t index)
{
    LLVMSetAlignment(LLVMBuildStore(w->g->builder, v, float_at(w, pointer, index)), 32);
}

/* What an operand is made of, as far as it can be made later as well. */
struct making {
    LLVMValueRef in[MAX_MADE];
    unsigned count;
};

/* What was read before something was written may differ now. */
static bool is_read_since(const struct run *r, LLVMValueRef load)
{
    LLVMValueRef at = load;
    while (at && at != r->written)
        at = LLVMGetPreviousInstruction(at);
    return at == r->written;
}

static bool is_made_later(struct wide *w, const struct run *r, LLVMValueRef v)
{
    if (!LLVMIsAInstruction(v) || LLVMGetInstructionParent(v) != LLVMGetInsertBlock(w->g->builder))
        return false;
    return (LLVMIsALoadInst(v) && !cpu_writes(v) && is_read_since(r, v)) ||
           LLVMIsAShuffleVectorInst(v) || LLVMIsAFPExtInst(v) || LLVMIsABitCastInst(v);
}

static bool collect(
        struct wide *w, const struct run *r, struct making *m, LLVMValueRef v, unsigned depth)
{
    for (unsigned i = 0; i < m->count; i++)
        if (m->in[i] == v)
            return true;
    if (!is_made_later(w, r, v))
        return true;
    if (depth == MAX_MADE)
        return false;
    for (int i = 0; i < LLVMGetNumOperands(v) && !LLVMIsALoadInst(v); i++)
        if (!collect(w, r, m, LLVMGetOperand(v, (unsigned)i), depth + 1))
            return false;
    if (m->count == MAX_MADE)
        return false;
    m->in[m->count++] = v;
    return true;
}

static bool only_for(const struct making *m)
{
    for (unsigned i = 0; i < m->count; i++)
        for (LLVMUseRef u = LLVMGetFirstUse(m->in[i]); u; u = LLVMGetNextUse(u)) {
            unsigned k = 0;
            while (k < m->count && m->in[k] != LLVMGetUser(u))
                k++;
            if (k == m->count && i + 1 < m->count)
                return false;
        }
    return true;
}

/* Makes a factor that only this run needs where the builder is: it would wait in registers that are
 * not there, and there is nothing else to do while many are converted in a row. The run itself
 * writes to nothing but its own memory. */
static void make_later(struct wide *w, const struct run *r, LLVMValueRef call, unsigned first)
{
    for (unsigned i = first; i < first + 2; i++) {
        LLVMValueRef source = LLVMGetOperand(call, i);
        struct making m = {.count = 0};
        if (!collect(w, r, &m, wide_vector(w, source), 0) || !only_for(&m) ||
                (m.count && LLVMGetFirstUse(m.in[m.count - 1])))
            continue;
        for (unsigned k = 0; k < m.count; k++) {
            LLVMInstructionRemoveFromParent(m.in[k]);
            LLVMInsertIntoBuilder(w->g->builder, m.in[k]);
        }
    }
}

static void store_left(struct wide *w, struct run *r, unsigned i)
{
    LLVMValueRef e[2];
    if (r->left_stored[i])
        return;
    r->left_stored[i] = true;
    make_later(w, r, r->left[i], 1);
    operand(w, r->left[i], 1, e);
    for (unsigned h = 0; h < 2; h++)
        store(w, e[h], r->memory, i * ELEMENTS + h * ELEMENTS / 2);
}

/* Where a row of right factors lies, in numbers. */
static uint64_t right_row(const struct run *r, unsigned place, unsigned row)
{
    return MAX_LEFT * ELEMENTS + (place * ROW + row) * r->columns * ROW;
}

/* The place of one right factor, or of two whose rows lie side by side. */
static unsigned store_rights(struct wide *w, struct run *r, unsigned a, unsigned b)
{
    LLVMValueRef e[2][2];
    for (unsigned i = 0; i < r->stores; i++)
        if (r->stored[i][0] == a && r->stored[i][1] == b)
            return i;
    unsigned place = r->stores++;
    r->stored[place][0] = a;
    r->stored[place][1] = b;
    for (unsigned i = 0; i < r->columns; i++) {
        make_later(w, r, r->right[i ? b : a], 3);
        operand(w, r->right[i ? b : a], 3, e[i]);
    }
    for (unsigned k = 0; k < ROW; k++) {
        LLVMValueRef v = one_row(w, e[0], k);
        if (r->columns == 2)
            v = wide_join(w, v, one_row(w, e[1], k), ROW);
        store(w, v, r->memory, right_row(r, place, k));
    }
    return place;
}

static LLVMValueRef left_number(
        struct wide *w, LLVMValueRef factors, uint64_t index, unsigned count)
{
    LLVMBuilderRef b = w->g->builder;
    LLVMValueRef v = LLVMBuildLoad2(b, f32(w), float_at(w, factors, index), "");
    LLVMValueRef none = LLVMGetPoison(LLVMVectorType(f32(w), count));
    v = LLVMBuildInsertElement(b, none, v, codegen_i32(w->g, 0), "");
    int index0[2 * ROW] = {0};
    return wide_shuffle(w, v, none, index0, count);
}

/* ---- panels */

#define MAX_STACKED 4u
struct panel {
    unsigned chain[MAX_STACKED]
                  [WIDE_MAX_PRODUCTS]; /* first products: of left factors, of right ones */
    unsigned stacked, chains;
    unsigned steps;
};

static unsigned at_step(struct wide *w, unsigned product, unsigned step)
{
    while (step--)
        product = (unsigned)w->product[product].next;
    return product;
}

static LLVMValueRef call_of(const struct wide_product *p)
{
    return p->call[0] ? p->call[0] : p->call[1];
}

/* Sums that stay in registers: `rows` rows from `first` on (of the left factors, one above the
 * other), and some registers of columns. */
struct block {
    unsigned from, registers; /* chains */
    unsigned first, rows;
    LLVMValueRef (*sum)[MAX_STACKED * ROW]; /* each chain's rows, when they are done */
};

/* Where step `s` of some chains has its right factors. */
static unsigned right_place(
        struct wide *w, struct run *r, const struct panel *p, unsigned chain, unsigned s)
{
    unsigned a = at_step(w, p->chain[0][chain], s);
    unsigned b = at_step(w, p->chain[0][chain + r->columns - 1], s);
    return store_rights(w, r, w->product[a].right, w->product[b].right);
}

/* Puts what a step needs into memory, if it is not there. */
static void prepare(
        struct wide *w, struct run *r, const struct panel *p, const struct block *k, unsigned s)
{
    if (s >= p->steps)
        return;
    for (unsigned a = 0; a < p->stacked; a++)
        store_left(w, r, w->product[at_step(w, p->chain[a][0], s)].left);
    for (unsigned i = 0; i < k->registers; i++)
        right_place(w, r, p, k->from + i * r->columns, s);
}

static void multiply_step(struct wide *w, struct run *r, const struct panel *p,
        const struct block *k, unsigned s, LLVMValueRef factors,
        LLVMValueRef (*sum)[MAX_BLOCK_REGISTERS])
{
    unsigned place[MAX_BLOCK_REGISTERS], each = r->columns * ROW;
    for (unsigned i = 0; i < k->registers; i++)
        place[i] = right_place(w, r, p, k->from + i * r->columns, s);
    for (unsigned n = 0; n < ROW; n++) {
        LLVMValueRef row[MAX_BLOCK_REGISTERS];
        for (unsigned i = 0; i < k->registers; i++) {
            LLVMValueRef at = float_at(w, factors, right_row(r, place[i], n));
            row[i] = LLVMBuildLoad2(w->g->builder, LLVMVectorType(f32(w), each), at, "");
            LLVMSetAlignment(row[i], 32);
        }
        for (unsigned y = 0; y < k->rows; y++) {
            unsigned at = k->first + y;
            unsigned left = w->product[at_step(w, p->chain[at / ROW][0], s)].left;
            LLVMValueRef x = left_number(w, factors, left * ELEMENTS + at % ROW * ROW + n, each);
            for (unsigned i = 0; i < k->registers; i++)
                sum[y][i] = multiply_add(w, x, row[i], sum[y][i]);
        }
    }
}

/* A row that a chain begins with, fetched no earlier than it is needed. */
static LLVMValueRef before(
        struct wide *w, const struct panel *p, const struct block *k, unsigned chain, unsigned row)
{
    LLVMValueRef e[2];
    operand(w, call_of(&w->product[p->chain[row / ROW][k->from + chain]]), 5, e);
    return one_row(w, e, row % ROW);
}

static void multiply_block(
        struct wide *w, struct run *r, const struct panel *p, const struct block *k)
{
    LLVMValueRef sum[MAX_BLOCK_ROWS][MAX_BLOCK_REGISTERS], factors;
    prepare(w, r, p, k, 0);
    factors = hidden(w, r->memory);
    for (unsigned y = 0; y < k->rows; y++)
        for (unsigned i = 0; i < k->registers; i++) {
            sum[y][i] = before(w, p, k, i * r->columns, k->first + y);
            if (r->columns == 2)
                sum[y][i] = wide_join(w, sum[y][i], before(w, p, k, i * 2 + 1, k->first + y), ROW);
        }
    for (unsigned s = 0; s < p->steps; s++) {
        prepare(w, r, p, k, s + 1); /* while this step goes on */
        multiply_step(w, r, p, k, s, factors, sum);
    }
    for (unsigned y = 0; y < k->rows; y++)
        for (unsigned i = 0; i < k->registers * r->columns; i++)
            k->sum[i][k->first + y] =
                    wide_slice(w, sum[y][i / r->columns], i % r->columns * ROW, ROW);
}

static void finish(struct wide *w, const struct panel *p, unsigned chain, LLVMValueRef c[2])
{
    wide_arrange_matrix(w, c, false);
    memcpy(w->product[at_step(w, chain, p->steps - 1)].value, c, 2 * sizeof *c);
}

/* A chain that has no other to share a register with. */
static void multiply_chain(struct wide *w, struct run *r, const struct panel *p, unsigned chain)
{
    LLVMValueRef left[2], right[2], c[2];
    operand(w, call_of(&w->product[chain]), 5, c);
    for (unsigned s = 0; s < p->steps; s++) {
        const struct wide_product *x = &w->product[at_step(w, chain, s)];
        operand(w, r->left[x->left], 1, left);
        operand(w, r->right[x->right], 3, right);
        multiply_pairs(w, left, right, c);
    }
    finish(w, p, chain, c);
}

/* All rows of `count` chains beside each other, in blocks of about the same size. */
static void multiply_columns(
        struct wide *w, struct run *r, const struct panel *p, unsigned from, unsigned count)
{
    LLVMValueRef sum[MAX_BLOCK_REGISTERS * 2][MAX_STACKED * ROW] = {0}, e[2];
    unsigned rows = p->stacked * ROW,
             most = w->g->vector_bytes < 64 ? FEW_BLOCK_ROWS : MAX_BLOCK_ROWS;
    unsigned blocks = (rows + most - 1) / most;
    for (unsigned i = 0, first = 0; i < blocks; i++) {
        struct block k = {from, count / r->columns, first, (rows - first) / (blocks - i), sum};
        multiply_block(w, r, p, &k);
        first += k.rows;
    }
    for (unsigned a = 0; a < p->stacked; a++)
        for (unsigned i = 0; i < count; i++) {
            for (unsigned h = 0; h < 2; h++)
                e[h] = wide_join_all(w, &sum[i][a * ROW + 4 * h], ROW);
            finish(w, p, p->chain[a][from + i], e);
        }
}

static void multiply_panel(struct wide *w, struct run *r, const struct panel *p)
{
    unsigned whole = p->chains / r->columns * r->columns;
    for (unsigned from = 0, count; from < whole; from += count) {
        count = MAX_BLOCK_REGISTERS * r->columns;
        if (whole - from < count)
            count = r->columns;
        multiply_columns(w, r, p, from, count);
    }
    for (unsigned a = 0; whole < p->chains && a < p->stacked; a++)
        multiply_chain(w, r, p, p->chain[a][whole]);
}

/* True when two chains have the same factors on one side, step by step. */
static bool same_factors(struct wide *w, unsigned a, unsigned b, bool left)
{
    const struct wide_product *x = &w->product[a], *y = &w->product[b];
    for (;; x = &w->product[x->next], y = &w->product[y->next]) {
        if (left ? x->left != y->left : x->right != y->right)
            return false;
        if (x->next < 0 || y->next < 0)
            return x->next == y->next;
    }
}

/* All chains with the left factors of `chain`; they are done then. */
static unsigned side_by_side(struct wide *w, unsigned chain, bool *done, unsigned *ret)
{
    unsigned count = 0;
    for (unsigned k = chain; k < w->product_count; k++)
        if (!w->product[k].adds && !done[k] && same_factors(w, chain, k, true)) {
            ret[count++] = k;
            done[k] = true;
        }
    return count;
}

/* Puts further chains below those of the panel, whose right factors they share. */
static void stack(struct wide *w, struct panel *p, bool *done)
{
    for (unsigned i = 0; i < w->product_count && p->stacked < MAX_STACKED; i++) {
        bool was[WIDE_MAX_PRODUCTS];
        if (w->product[i].adds || done[i])
            continue;
        memcpy(was, done, sizeof was);
        unsigned *row = p->chain[p->stacked], count = side_by_side(w, i, done, row), same = 0;
        while (same < count && same < p->chains &&
                same_factors(w, row[same], p->chain[0][same], false))
            same++;
        if (count == p->chains && same == count)
            p->stacked++;
        else
            memcpy(done, was, sizeof was);
    }
}

/* Memory for a run's factors. A call stands for it, which becomes the function's own memory when
 * coroutines have been split: nothing in it outlives a stop, and frames shall not grow by it. */
static LLVMValueRef memory(struct wide *w)
{
    LLVMBuilderRef b = w->g->builder;
    LLVMBasicBlockRef here = LLVMGetInsertBlock(b);
    LLVMValueRef first = LLVMGetFirstInstruction(here);
    LLVMTypeRef type = LLVMFunctionType(w->g->ptr, NULL, 0, 0);
    while (first && LLVMIsAPHINode(first))
        first = LLVMGetNextInstruction(first);
    if (first)
        LLVMPositionBuilderBefore(b, first);
    LLVMValueRef v = LLVMBuildCall2(b, type, codegen_declare(w->g, MEMORY, type), NULL, 0, "");
    LLVMPositionBuilderAtEnd(b, here);
    return v;
}

static LLVMValueRef own_memory(struct codegen *g, LLVMValueRef function)
{
    LLVMTypeRef type = LLVMArrayType(
            LLVMFloatTypeInContext(g->context), (MAX_LEFT + 2 * MAX_RIGHT) * ELEMENTS);
    LLVMPositionBuilderBefore(
            g->builder, LLVMGetFirstInstruction(LLVMGetEntryBasicBlock(function)));
    LLVMValueRef slot = LLVMBuildAlloca(g->builder, type, "factors");
    LLVMSetAlignment(slot, 64);
    return slot;
}

bool wide_has_panels(struct codegen *g)
{
    return LLVMGetNamedFunction(g->module, MEMORY) != NULL;
}

void wide_place_factors(struct codegen *g)
{
    LLVMValueRef mark = LLVMGetNamedFunction(g->module, MEMORY);
    for (LLVMValueRef f = LLVMGetFirstFunction(g->module); mark && f; f = LLVMGetNextFunction(f)) {
        LLVMValueRef slot = NULL;
        for (LLVMUseRef u = LLVMGetFirstUse(mark), next; u; u = next) {
            LLVMValueRef call = LLVMGetUser(u);
            next = LLVMGetNextUse(u);
            if (LLVMGetBasicBlockParent(LLVMGetInstructionParent(call)) != f)
                continue;
            if (!slot)
                slot = own_memory(g, f);
            LLVMReplaceAllUsesWith(call, slot);
            LLVMInstructionEraseFromParent(call);
        }
    }
    if (mark)
        LLVMDeleteFunction(mark);
}

static void multiply(struct wide *w, struct run *r)
{
    bool done[WIDE_MAX_PRODUCTS] = {false};
    r->columns = w->g->vector_bytes < 64 ? 1 : 2;
    r->memory = memory(w);
    for (unsigned i = 0; i < w->product_count; i++) {
        struct panel p = {.stacked = 1};
        if (w->product[i].adds || done[i])
            continue;
        for (int k = (int)i; k >= 0; k = w->product[k].next)
            p.steps++;
        p.chains = side_by_side(w, i, done, p.chain[0]);
        stack(w, &p, done);
        multiply_panel(w, r, &p);
    }
}

/* ---- runs */

bool wide_is_product(LLVMValueRef in)
{
    return codegen_is_call(in, "__abx_matrix_multiply");
}

/* The index of a call's factor among those of the run, or that of a new one; `most` when there is
 * no room. */
static unsigned factor(
        LLVMValueRef *known, unsigned *count, unsigned most, LLVMValueRef call, unsigned first)
{
    unsigned i = 0;
    while (i < *count && !wide_same_operands(known[i], call, first, first + 2))
        i++;
    if (i == *count && i < most)
        known[(*count)++] = call;
    return i;
}

/* True when nothing but the product that `by` is a call of uses `call`. */
static bool only_used_by(LLVMValueRef call, LLVMValueRef by)
{
    for (LLVMUseRef u = LLVMGetFirstUse(call); u; u = LLVMGetNextUse(u)) {
        LLVMValueRef user = LLVMGetUser(u);
        if (!wide_is_product(user) || !wide_same_operands(user, by, 1, 7) ||
                LLVMGetInstructionParent(user) != LLVMGetInstructionParent(by))
            return false;
    }
    return true;
}

/* The product of the run that `x` adds to and that nothing else uses; -1: none. */
static int added_to(struct wide *w, LLVMValueRef x)
{
    for (unsigned i = 0; i < w->product_count; i++) {
        const struct wide_product *p = &w->product[i];
        if (p->call[0] && p->call[0] == LLVMGetOperand(x, 5) && p->call[1] &&
                p->call[1] == LLVMGetOperand(x, 6))
            return only_used_by(p->call[0], x) && only_used_by(p->call[1], x) ? (int)i : -1;
    }
    return -1;
}

/* True when one of the call's operands [1, end) is a product of the run. */
static bool needs_run(struct wide *w, LLVMValueRef x, unsigned end)
{
    for (unsigned i = 0; i < w->product_count; i++)
        for (unsigned k = 1; k < end; k++)
            if (LLVMGetOperand(x, k) == w->product[i].call[0] ||
                    LLVMGetOperand(x, k) == w->product[i].call[1])
                return true;
    return false;
}

/* False: the call does not belong to the run that is being collected. */
static bool add_to_run(struct wide *w, struct run *r, LLVMValueRef x)
{
    int flags = codegen_matrix_flags(x);
    unsigned half = flags & ABX_MATRIX_E1 ? 1 : 0;
    struct wide_product *last = w->product_count ? &w->product[w->product_count - 1] : NULL;
    if (flags < 0)
        return false;
    if (last && !last->call[half] && wide_same_operands(call_of(last), x, 1, 7)) {
        last->call[half] = x;
        return true;
    }
    int to = added_to(w, x);
    if (needs_run(w, x, to < 0 ? 7 : 5) || w->product_count == WIDE_MAX_PRODUCTS ||
            (to >= 0 && w->product[to].next >= 0))
        return false;
    unsigned left = factor(r->left, &r->lefts, MAX_LEFT, x, 1);
    unsigned right = factor(r->right, &r->rights, MAX_RIGHT, x, 3);
    if (left == MAX_LEFT || right == MAX_RIGHT)
        return false; /* the run ends: one factor more than it needs does no harm */
    struct wide_product *p = &w->product[w->product_count];
    *p = (struct wide_product){.left = left, .right = right, .next = -1, .adds = to >= 0};
    p->call[half] = x;
    if (to >= 0)
        w->product[to].next = (int)w->product_count;
    w->product_count++;
    return true;
}

/* The call's half, which is taken once; NULL: it is none of the run's. */
static LLVMValueRef take(struct wide *w, LLVMValueRef in)
{
    for (unsigned i = 0; i < w->product_count; i++)
        for (unsigned h = 0; h < 2; h++)
            if (w->product[i].call[h] == in) {
                w->product[i].call[h] = NULL;
                LLVMValueRef v = w->product[i].value[h];
                return v ? v : LLVMGetPoison(wide_type(w, f32(w))); /* inside a chain */
            }
    return NULL;
}

static void make_run(struct wide *w, LLVMValueRef in)
{
    struct run r = {.written = LLVMGetLastInstruction(LLVMGetInsertBlock(w->g->builder))};
    while (r.written && !cpu_writes(r.written))
        r.written = LLVMGetPreviousInstruction(r.written);
    w->product_count = 0;
    for (LLVMValueRef x = in; x && wide_is_product(x) && add_to_run(w, &r, x);)
        x = LLVMGetNextInstruction(x);
    multiply(w, &r);
}

LLVMValueRef wide_product(struct wide *w, LLVMValueRef in)
{
    LLVMValueRef v = take(w, in);
    if (v)
        return v;
    make_run(w, in);
    return take(w, in);
}
