/* shader: what a loop carries from turn to turn for products of matrices. See wide.h. Compiler
 * process.
 *
 * A program keeps its sums in matrices, and a product (product.c) wants a row of two of them in one
 * register. Where a loop's phis are matrices, each turn takes them apart and puts them together
 * again, and a coroutine keeps them so over its barriers: a permutation and a trip to the stack for
 * each register of sums, twice a turn. Here the loop carries what multiply-adds begin with and end
 * with; the matrices are put together where something else asks for them, behind the loop. */
#include "shader/cpu/wide/wide.h"

#include <stdlib.h>
#include <string.h>

#define MAX_SUMS 512u /* of a kernel */
#define MAX_MATRICES 128u
#define MAX_ELEMENTS 64u /* in a vector, as wide_shuffle() has it */

/* A register that multiply-adds begin with, each of whose elements a phi of one block holds. */
struct sum {
    LLVMValueRef vector;
    unsigned count;
    struct wide_origin from[MAX_ELEMENTS];
    LLVMValueRef phi; /* what is carried in its place */
};

/* A phi, and where the sums have its elements. */
struct matrix {
    LLVMValueRef phi;
    unsigned count;
    struct {
        struct sum *sum; /* NULL: in none */
        unsigned at;
    } to[MAX_ELEMENTS];
};

/* Sums of the phis of one block. */
struct carry {
    LLVMBasicBlockRef head;
    struct sum *sum[MAX_SUMS];
    unsigned sums;
    struct matrix matrix[MAX_MATRICES];
    unsigned matrices;
};

static unsigned length(LLVMValueRef v)
{
    return LLVMGetVectorSize(LLVMTypeOf(v));
}

static LLVMTypeRef element_of(LLVMValueRef v)
{
    return LLVMGetElementType(LLVMTypeOf(v));
}

/* True when `n` elements are neighbours in one vector: a register already, or a part of one. */
static bool is_slice(const struct wide_origin *from, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (from[i].vector != from[0].vector || from[i].at != from[0].at + i)
            return false;
    return from[0].at % n == 0;
}

/* Traces the register that `in` adds to; false: it is not of phis of one block, or not permuted. */
static bool find_sum(struct wide *w, LLVMValueRef in, struct sum *s)
{
    const char *name = codegen_callee(in);
    if (!name || strncmp(name, "llvm.fma.v", 10))
        return false;
    *s = (struct sum){.vector = LLVMGetOperand(in, 2)};
    if (!LLVMIsAShuffleVectorInst(s->vector) || length(s->vector) > MAX_ELEMENTS)
        return false;
    s->count = length(s->vector);
    for (unsigned i = 0; i < s->count; i++) {
        struct wide_origin o = s->from[i] = wide_trace(w, s->vector, i);
        if (!o.vector || !LLVMIsAPHINode(o.vector) || length(o.vector) > MAX_ELEMENTS ||
                element_of(o.vector) != element_of(s->vector) ||
                LLVMGetInstructionParent(o.vector) != LLVMGetInstructionParent(s->from[0].vector))
            return false;
    }
    return !is_slice(s->from, s->count);
}

static struct matrix *find_matrix(struct carry *c, LLVMValueRef phi)
{
    for (unsigned i = 0; i < c->matrices; i++)
        if (c->matrix[i].phi == phi)
            return &c->matrix[i];
    return NULL;
}

/* False when there is no room, or an element is in two sums. */
static bool add_sum(struct carry *c, struct sum *s)
{
    c->sum[c->sums++] = s;
    for (unsigned i = 0; i < s->count; i++) {
        struct matrix *m = find_matrix(c, s->from[i].vector);
        if (!m) {
            if (c->matrices == MAX_MATRICES)
                return false;
            m = &c->matrix[c->matrices++];
            *m = (struct matrix){.phi = s->from[i].vector, .count = length(s->from[i].vector)};
        }
        if (m->to[s->from[i].at].sum)
            return false;
        m->to[s->from[i].at].sum = s;
        m->to[s->from[i].at].at = i;
    }
    return true;
}

/* True when the phis have nothing that is in no sum. */
static bool is_whole(const struct carry *c)
{
    for (unsigned i = 0; i < c->matrices; i++)
        for (unsigned k = 0; k < c->matrix[i].count; k++)
            if (!c->matrix[i].to[k].sum)
                return false;
    return true;
}

/* ---- what comes from the blocks before */

/* Where a sum's elements come from in the block; those that stay as they are, from what is carried.
 */
static void trace_incoming(struct wide *w, struct carry *c, const struct sum *s,
        LLVMBasicBlockRef block, struct wide_origin *from)
{
    for (unsigned i = 0; i < s->count; i++) {
        unsigned edge = 0;
        while (LLVMGetIncomingBlock(s->from[i].vector, edge) != block)
            edge++;
        from[i] = wide_trace(w, LLVMGetIncomingValue(s->from[i].vector, edge), s->from[i].at);
        struct matrix *m = from[i].vector ? find_matrix(c, from[i].vector) : NULL;
        if (m && m->to[from[i].at].sum->phi)
            from[i] = (struct wide_origin){m->to[from[i].at].sum->phi, m->to[from[i].at].at};
    }
}

/* The register that has the elements in their order; NULL: none has. */
static LLVMValueRef whole_register(const struct sum *s, const struct wide_origin *from)
{
    LLVMValueRef v = from[0].vector;
    return v && LLVMTypeOf(v) == LLVMTypeOf(s->vector) && is_slice(from, s->count) ? v : NULL;
}

/* It pays when a turn ends with the registers that the next one begins with. */
static bool pays(struct wide *w, struct carry *c)
{
    struct wide_origin from[MAX_ELEMENTS];
    LLVMValueRef phi = c->matrix[0].phi;
    for (unsigned edge = 0; edge < LLVMCountIncoming(phi); edge++) {
        unsigned i = 0;
        for (LLVMValueRef v = phi; i < c->sums && v; i += v != NULL) {
            trace_incoming(w, c, c->sum[i], LLVMGetIncomingBlock(phi, edge), from);
            v = whole_register(c->sum[i], from);
            v = v && LLVMIsAInstruction(v) ? v : NULL;
        }
        if (i == c->sums)
            return true;
    }
    return false;
}

/* A vector of these elements, at the builder's place. They may be traced to integers of as many
 * bits, as of bfloats that are made floats. */
static LLVMValueRef assemble(
        struct wide *w, const struct wide_origin *from, unsigned count, LLVMTypeRef element)
{
    LLVMValueRef all = LLVMGetPoison(LLVMVectorType(element, count));
    bool done[MAX_ELEMENTS] = {false};
    for (unsigned i = 0; i < count; i++) {
        int part[MAX_ELEMENTS], both[MAX_ELEMENTS];
        LLVMValueRef v = from[i].vector;
        if (done[i] || !v)
            continue;
        for (unsigned k = 0; k < count; k++) {
            bool here = from[k].vector == v;
            part[k] = here ? (int)from[k].at : -1;
            both[k] = (int)(here ? count + k : k);
            done[k] = done[k] || here;
        }
        v = LLVMBuildBitCast(w->g->builder, v, LLVMVectorType(element, length(v)), "");
        v = wide_shuffle(w, v, LLVMGetPoison(LLVMTypeOf(v)), part, count);
        all = wide_shuffle(w, all, v, both, count);
    }
    return all;
}

static void add_incoming(struct wide *w, struct carry *c, struct sum *s)
{
    struct wide_origin from[MAX_ELEMENTS];
    LLVMValueRef phi = c->matrix[0].phi, known = NULL;
    LLVMBasicBlockRef last = NULL;
    for (unsigned edge = 0; edge < LLVMCountIncoming(phi); edge++) {
        LLVMBasicBlockRef block = LLVMGetIncomingBlock(phi, edge);
        trace_incoming(w, c, s, block, from);
        LLVMValueRef v = block == last ? known : whole_register(s, from);
        if (!v) {
            LLVMPositionBuilderBefore(w->g->builder, LLVMGetBasicBlockTerminator(block));
            v = assemble(w, from, s->count, element_of(s->vector));
        }
        LLVMAddIncoming(s->phi, &v, &block, 1);
        last = block, known = v;
    }
}

/* ---- who else asks for the matrices */

/* Erases permutations of `v` that nothing needs any more. */
static void sweep(LLVMValueRef v)
{
    LLVMUseRef u = LLVMGetFirstUse(v);
    while (u) {
        LLVMValueRef user = LLVMGetUser(u);
        bool moves = LLVMIsAShuffleVectorInst(user) || LLVMIsABitCastInst(user);
        if (moves)
            sweep(user);
        if (moves && !LLVMGetFirstUse(user)) {
            LLVMInstructionEraseFromParent(user);
            u = LLVMGetFirstUse(v);
        } else {
            u = LLVMGetNextUse(u);
        }
    }
}

/* A user of the matrix that does not go as well. */
static LLVMValueRef find_user(struct carry *c, const struct matrix *m)
{
    for (LLVMUseRef u = LLVMGetFirstUse(m->phi); u; u = LLVMGetNextUse(u))
        if (!find_matrix(c, LLVMGetUser(u)))
            return LLVMGetUser(u);
    return NULL;
}

/* Where the matrix is put together for an operand: before the user, or at the end of the block that
 * a phi gets it from. */
static LLVMValueRef place_for(LLVMValueRef user, unsigned operand)
{
    return LLVMIsAPHINode(user) ? LLVMGetBasicBlockTerminator(LLVMGetIncomingBlock(user, operand))
                                : user;
}

static void replace(struct wide *w, struct carry *c, const struct matrix *m)
{
    struct wide_origin from[MAX_ELEMENTS];
    for (unsigned i = 0; i < m->count; i++)
        from[i] = (struct wide_origin){m->to[i].sum->phi, m->to[i].at};
    sweep(m->phi);
    for (LLVMValueRef user; (user = find_user(c, m));) {
        LLVMValueRef place = NULL, v = NULL;
        for (unsigned i = 0; i < (unsigned)LLVMGetNumOperands(user); i++) {
            if (LLVMGetOperand(user, i) != m->phi)
                continue;
            if (place_for(user, i) != place) {
                place = place_for(user, i);
                LLVMPositionBuilderBefore(w->g->builder, place);
                v = assemble(w, from, m->count, element_of(m->phi));
            }
            LLVMSetOperand(user, i, v);
        }
    }
}

static void rewrite(struct wide *w, struct carry *c)
{
    LLVMBuilderRef b = w->g->builder;
    for (unsigned i = 0; i < c->sums; i++) {
        LLVMPositionBuilderBefore(b, LLVMGetFirstInstruction(c->head));
        c->sum[i]->phi = LLVMBuildPhi(b, LLVMTypeOf(c->sum[i]->vector), "sums");
    }
    for (unsigned i = 0; i < c->sums; i++)
        add_incoming(w, c, c->sum[i]);
    for (unsigned i = 0; i < c->sums; i++)
        LLVMReplaceAllUsesWith(c->sum[i]->vector, c->sum[i]->phi);
    for (unsigned i = 0; i < c->matrices; i++)
        replace(w, c, &c->matrix[i]);
    for (unsigned i = 0; i < c->matrices; i++) {
        LLVMValueRef phi = c->matrix[i].phi;
        LLVMReplaceAllUsesWith(phi, LLVMGetPoison(LLVMTypeOf(phi)));
        LLVMInstructionEraseFromParent(phi);
    }
}

static unsigned find_sums(struct wide *w, struct sum *all)
{
    unsigned count = 0;
    for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(w->function); b; b = LLVMGetNextBasicBlock(b))
        for (LLVMValueRef in = LLVMGetFirstInstruction(b); in; in = LLVMGetNextInstruction(in)) {
            unsigned i = 0;
            if (count == MAX_SUMS || !find_sum(w, in, &all[count]))
                continue;
            while (all[i].vector != all[count].vector)
                i++;
            count += i == count;
        }
    return count;
}

int wide_carry(struct wide *w)
{
    struct sum *all = malloc(MAX_SUMS * sizeof *all);
    struct carry *c = malloc(sizeof *c);
    bool done[MAX_SUMS] = {false};
    unsigned count = all && c ? find_sums(w, all) : 0;
    for (unsigned i = 0; i < count; i++) {
        bool whole = true;
        if (done[i])
            continue;
        *c = (struct carry){.head = LLVMGetInstructionParent(all[i].from[0].vector)};
        for (unsigned k = i; k < count; k++)
            if (LLVMGetInstructionParent(all[k].from[0].vector) == c->head) {
                done[k] = true;
                whole = add_sum(c, &all[k]) && whole;
            }
        if (whole && is_whole(c) && pays(w, c))
            rewrite(w, c);
    }
    int r = all && c ? 0 : -ENOMEM;
    free(all);
    free(c);
    return r;
}
