/* shader: loads and stores of whole vectors whose lanes do not lie side by side, for which
 * processors' gathers and scatters are slow. Neighbouring ones (a float4 a thread, a row of
 * weights, a block of packed numbers) wait for each other and then become
 *  - where the lanes' distances are constants that lie close together: plain vectors over the whole
 *    span, and permutations of them;
 *  - else, where several elements of each lane are wanted: one short vector a lane, transposed.
 *
 * Only what every lane does anyway is touched: accesses under a mask are left alone, and what is
 * read lies between the first and the last byte really accessed, at most SPAN apart, so that no
 * page is touched that would not have been. See codegen_wide.h. */
#include "shader/codegen_wide.h"

#include <stdlib.h>
#include <string.h>

#define SPAN 4096
#define MAX_CHUNKS (SPAN / 32)
#define MAX_COLUMNS 16u
#define MARK "lanes.loaded"

static unsigned element_bytes(struct wide *w, LLVMTypeRef type)
{
    LLVMTypeKind k = LLVMGetTypeKind(type);
    uint64_t bytes = LLVMABISizeOfType(w->g->layout, type);
    bool number = k == LLVMFloatTypeKind || k == LLVMHalfTypeKind || k == LLVMBFloatTypeKind ||
                  k == LLVMDoubleTypeKind ||
                  (k == LLVMIntegerTypeKind && LLVMGetIntTypeWidth(type) == 8 * bytes);
    return number && bytes <= 8 && (bytes & (bytes - 1)) == 0 ? (unsigned)bytes : 0;
}

static bool fit(struct wide *w, LLVMValueRef pointer, LLVMTypeRef type)
{
    if (w->mask || wide_private(pointer) || !wide_is_divergent(w, pointer) ||
            !element_bytes(w, type))
        return false;
    struct wide_value *v = wide_get(w, pointer);
    return v->root != NULL;
}

static void add(
        struct wide *w, LLVMValueRef pointer, LLVMTypeRef type, unsigned align, LLVMValueRef value)
{
    bool stores = value != NULL;
    if (w->strided_count == WIDE_MAX_STRIDED || (w->strided_count && w->strided_stores != stores))
        wide_strided_flush(w);
    w->strided_stores = stores;
    struct wide_strided *s = &w->strided[w->strided_count++];
    *s = (struct wide_strided){.value = value,
            .type = type,
            .address = *wide_get(w, pointer),
            .align = align,
            .bytes = element_bytes(w, type)};
    s->pointer = s->address.lanes ? NULL : wide_vector(w, pointer);
    s->mark =
            LLVMBuildFreeze(w->g->builder, LLVMGetPoison(stores ? type : wide_type(w, type)), MARK);
}

bool wide_strided_load(struct wide *w, LLVMValueRef in)
{
    if (!fit(w, LLVMGetOperand(in, 0), LLVMTypeOf(in)))
        return false;
    add(w, LLVMGetOperand(in, 0), LLVMTypeOf(in), LLVMGetAlignment(in), NULL);
    wide_set_vector(w, in, w->strided[w->strided_count - 1].mark);
    return true;
}

bool wide_strided_store(struct wide *w, LLVMValueRef in, LLVMValueRef value)
{
    LLVMValueRef pointer = LLVMGetOperand(in, 1);
    LLVMTypeRef type = LLVMTypeOf(LLVMGetOperand(in, 0));
    if (!fit(w, pointer, type))
        return false;
    add(w, pointer, type, LLVMGetAlignment(in), value);
    return true;
}

static bool together(struct wide *w, const struct wide_strided *a, const struct wide_strided *b)
{
    const struct wide_value *x = &a->address, *y = &b->address;
    if (a->bytes != b->bytes || x->root != y->root || x->root_base != y->root_base ||
            x->root_size != y->root_size || !x->lanes != !y->lanes || x->base != y->base)
        return false;
    for (unsigned i = 0; x->lanes && i < w->width; i++)
        if (x->lanes[i] - x->lanes[0] != y->lanes[i] - y->lanes[0])
            return false;
    return true;
}

/* ---- vectors of any length; elements are integers of the access's size */

static LLVMTypeRef vector_of(struct wide *w, const struct wide_strided *s, unsigned count)
{
    return LLVMVectorType(LLVMIntTypeInContext(w->g->context, s->bytes * 8), count);
}

static LLVMValueRef shuffle(
        struct wide *w, LLVMValueRef a, LLVMValueRef b, const int *index, unsigned count)
{
    LLVMValueRef mask[64];
    for (unsigned i = 0; i < count; i++)
        mask[i] = index[i] < 0 ? LLVMGetPoison(w->g->i32) : codegen_i32(w->g, (unsigned)index[i]);
    return LLVMBuildShuffleVector(w->g->builder, a, b, LLVMConstVector(mask, count), "");
}

static LLVMValueRef slice(struct wide *w, LLVMValueRef v, unsigned start, unsigned count)
{
    int index[64];
    for (unsigned i = 0; i < count; i++)
        index[i] = (int)(start + i);
    return shuffle(w, v, LLVMGetPoison(LLVMTypeOf(v)), index, count);
}

static LLVMValueRef join(struct wide *w, LLVMValueRef a, LLVMValueRef b, unsigned each)
{
    int index[64];
    for (unsigned i = 0; i < 2 * each; i++)
        index[i] = (int)i;
    return shuffle(w, a, b, index, 2 * each);
}

/* Parts of `each` elements as one vector of all lanes. */
static LLVMValueRef join_all(struct wide *w, LLVMValueRef *part, unsigned each)
{
    for (unsigned count = w->width / each; count > 1; count /= 2, each *= 2)
        for (unsigned i = 0; i < count / 2; i++)
            part[i] = join(w, part[2 * i], part[2 * i + 1], each);
    return part[0];
}

static LLVMValueRef address(struct wide *w, const struct wide_strided *s, int64_t bytes)
{
    struct codegen *g = w->g;
    LLVMValueRef offset =
            LLVMBuildAdd(g->builder, s->address.first, codegen_i64(g, (uint64_t)bytes), "");
    return LLVMBuildGEP2(g->builder, g->i8, s->address.base, &offset, 1, "");
}

/* Elements [0, count) of a result, each from one of many vectors of `length`: source[i] is the
 * vector, at[i] the element; vector(k) is asked for once each. */
struct pick {
    unsigned count, length;
    int source[64], at[64]; /* source -1: any value */
};

static LLVMValueRef pick(struct wide *w, const struct pick *p, LLVMValueRef *vector)
{
    LLVMValueRef sum = NULL;
    bool done[64] = {0};
    int have = -1; /* the first vector, not yet permuted */
    for (unsigned i = 0; i < p->count; i++) {
        int k = p->source[i], index[64];
        if (done[i] || k < 0)
            continue;
        if (have < 0 && !sum) {
            have = k;
            for (unsigned n = i; n < p->count; n++)
                done[n] |= p->source[n] == k;
            continue;
        }
        for (unsigned n = 0; n < p->count; n++) {
            bool now = p->source[n] == k;
            if (!sum) /* two vectors, from their own elements */
                index[n] = now ? (int)p->length + p->at[n] : p->source[n] == have ? p->at[n] : -1;
            else /* count elements so far, and this vector's */
                index[n] = now ? (int)p->count + p->at[n] : done[n] ? (int)n : -1;
        }
        LLVMValueRef other = vector[k];
        if (sum && p->length != p->count) { /* shuffles want equal lengths */
            int grown[64];
            for (unsigned n = 0; n < p->count; n++)
                grown[n] = p->source[n] == k ? p->at[n] : -1;
            other = shuffle(w, other, LLVMGetPoison(LLVMTypeOf(other)), grown, p->count);
            for (unsigned n = 0; n < p->count; n++)
                if (p->source[n] == k)
                    index[n] = (int)(p->count + n);
        }
        sum = shuffle(w, sum ? sum : vector[have], other, index, p->count);
        for (unsigned n = 0; n < p->count; n++)
            done[n] |= p->source[n] == k;
    }
    if (sum || have < 0)
        return sum;
    int index[64];
    for (unsigned n = 0; n < p->count; n++)
        index[n] = p->source[n] == have ? p->at[n] : -1;
    return shuffle(w, vector[have], LLVMGetPoison(LLVMTypeOf(vector[have])), index, p->count);
}

/* ---- constant distances: loads */

struct span {
    int64_t least, end; /* bytes, relative to the address's `first` */
    unsigned chunk;     /* elements of a vector */
    unsigned count;
    LLVMValueRef vector[MAX_CHUNKS];
    int64_t start[MAX_CHUNKS];
};

/* Where the group's elements lie. False when that is too far apart, or too thin to pay. */
static bool measure(struct wide *w, struct wide_strided **at, unsigned count, struct span *ret)
{
    const struct wide_strided *s = at[0];
    ret->least = INT64_MAX, ret->end = INT64_MIN;
    for (unsigned k = 0; k < count; k++)
        for (unsigned i = 0; i < w->width; i++) {
            int64_t from = at[k]->address.lanes[i] + at[k]->offset;
            ret->least = from < ret->least ? from : ret->least;
            ret->end = from + s->bytes > ret->end ? from + s->bytes : ret->end;
        }
    for (unsigned k = 0; k < count; k++)
        for (unsigned i = 0; i < w->width; i++)
            if ((at[k]->address.lanes[i] + at[k]->offset - ret->least) % s->bytes)
                return false;
    int64_t span = ret->end - ret->least;
    ret->chunk = w->g->vector_bytes / s->bytes;
    return span <= SPAN && span <= 8ll * count * w->width * s->bytes;
}

static void load_chunks(struct wide *w, struct wide_strided *s, struct span *p)
{
    LLVMBuilderRef b = w->g->builder;
    int64_t bytes = (int64_t)p->chunk * s->bytes;
    while (p->chunk > 1 && bytes > p->end - p->least)
        p->chunk /= 2, bytes /= 2;
    for (int64_t at = p->least; at < p->end; at += bytes) {
        p->start[p->count] = at + bytes > p->end ? p->end - bytes : at;
        LLVMValueRef v =
                LLVMBuildLoad2(b, vector_of(w, s, p->chunk), address(w, s, p->start[p->count]), "");
        LLVMSetAlignment(v, s->align < s->bytes ? s->align : s->bytes);
        p->vector[p->count++] = v;
    }
}

static LLVMValueRef from_chunks(struct wide *w, struct wide_strided *s, struct span *p)
{
    unsigned each = w->g->vector_bytes / s->bytes;
    LLVMValueRef part[WIDE_MAX_WIDTH];
    each = each < w->width ? each : w->width;
    for (unsigned lane = 0; lane < w->width; lane += each) {
        struct pick k = {.count = each, .length = p->chunk};
        for (unsigned i = 0; i < each; i++) {
            int64_t at = s->address.lanes[lane + i] + s->offset;
            unsigned n = p->count - 1; /* the last one may overlap the one before */
            if (at < p->start[n])
                n = (unsigned)((at - p->least) / ((int64_t)p->chunk * s->bytes));
            k.source[i] = (int)n;
            k.at[i] = (int)((at - p->start[n]) / s->bytes);
        }
        part[lane / each] = pick(w, &k, p->vector);
    }
    return join_all(w, part, each);
}

/* ---- any distances: a short vector a lane */

static LLVMValueRef lane_address(
        struct wide *w, const struct wide_strided *s, unsigned lane, int64_t bytes)
{
    struct codegen *g = w->g;
    if (s->address.lanes)
        return address(w, s, s->address.lanes[lane] + bytes);
    LLVMValueRef p = LLVMBuildExtractElement(g->builder, s->pointer, codegen_i32(g, lane), "");
    LLVMValueRef offset = codegen_i64(g, (uint64_t)bytes);
    return LLVMBuildGEP2(g->builder, g->i8, p, &offset, 1, "");
}

/* Swaps the blocks off the diagonal, at ever smaller distances; `length` elements a vector. */
static void transpose(struct wide *w, LLVMValueRef *r, unsigned rows, unsigned length)
{
    for (unsigned d = rows / 2; d; d /= 2)
        for (unsigned i = 0; i < rows; i++) {
            int low[64], high[64];
            if (i & d)
                continue;
            for (unsigned k = 0; k < length; k++) {
                low[k] = (int)(k & d ? length + k - d : k);
                high[k] = (int)(k & d ? length + k : k + d);
            }
            LLVMValueRef a = r[i], b = r[i + d];
            r[i] = shuffle(w, a, b, low, length);
            r[i + d] = shuffle(w, a, b, high, length);
        }
}

/* Lanes transposed together: a register of elements, and at least a row. */
static unsigned lanes_together(struct wide *w, const struct wide_strided *s)
{
    unsigned n = w->g->vector_bytes / s->bytes;
    return n < w->width ? n : w->width;
}

/* Columns [0, span) of `lanes` lanes' rows. */
static void load_rows(struct wide *w, const struct wide_strided *s, unsigned first, unsigned lanes,
        unsigned span, LLVMValueRef *column)
{
    LLVMBuilderRef b = w->g->builder;
    LLVMValueRef r[WIDE_MAX_WIDTH];
    for (unsigned i = 0; i < lanes; i++) {
        r[i] = LLVMBuildLoad2(
                b, vector_of(w, s, span), lane_address(w, s, first + i, s->offset), "");
        LLVMSetAlignment(r[i], s->align < s->bytes ? s->align : s->bytes);
    }
    /* Shorter rows share vectors: i, i + span, i + 2 * span ... lie side by side. */
    for (unsigned i = 0; i < span; i++) {
        LLVMValueRef v[WIDE_MAX_WIDTH];
        unsigned count = lanes / span;
        for (unsigned k = 0; k < count; k++)
            v[k] = r[i + k * span];
        for (unsigned each = span; count > 1; count /= 2, each *= 2)
            for (unsigned k = 0; k < count / 2; k++)
                v[k] = join(w, v[2 * k], v[2 * k + 1], each);
        column[i] = v[0];
    }
    transpose(w, column, span, lanes);
}

static void store_rows(struct wide *w, const struct wide_strided *s, unsigned first, unsigned lanes,
        unsigned span, LLVMValueRef *column)
{
    transpose(w, column, span, lanes);
    for (unsigned i = 0; i < lanes; i++) {
        /* Row i lies in vector i % span, at (i / span) * span. */
        LLVMValueRef row = slice(w, column[i % span], i / span * span, span);
        LLVMValueRef at = lane_address(w, s, first + i, s->offset);
        LLVMSetAlignment(
                LLVMBuildStore(w->g->builder, row, at), s->align < s->bytes ? s->align : s->bytes);
    }
}

/* ---- loads */

/* The mark, which others have seen as the value, becomes it; wide_strided_end() removes it. */
static void replace(struct wide *w, LLVMValueRef mark, LLVMValueRef v)
{
    LLVMSetOperand(mark, 0, LLVMBuildBitCast(w->g->builder, v, LLVMTypeOf(mark), ""));
}

void wide_strided_end(struct wide *w)
{
    for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(w->function); b; b = LLVMGetNextBasicBlock(b))
        for (LLVMValueRef in = LLVMGetFirstInstruction(b), next; in; in = next) {
            size_t length;
            next = LLVMGetNextInstruction(in);
            if (LLVMGetInstructionOpcode(in) != LLVMFreeze ||
                    strncmp(LLVMGetValueName2(in, &length), MARK, strlen(MARK)))
                continue;
            LLVMReplaceAllUsesWith(in, LLVMGetOperand(in, 0));
            LLVMInstructionEraseFromParent(in);
        }
}

static void gather(struct wide *w, struct wide_strided *s)
{
    struct codegen *g = w->g;
    LLVMValueRef p = s->pointer;
    if (!p) {
        LLVMValueRef lane[WIDE_MAX_WIDTH];
        for (unsigned i = 0; i < w->width; i++)
            lane[i] = codegen_i64(g, (uint64_t)(s->address.lanes[i]));
        LLVMValueRef offset = LLVMBuildAdd(
                g->builder, wide_splat(w, s->address.first), LLVMConstVector(lane, w->width), "");
        p = LLVMBuildGEP2(g->builder, g->i8, s->address.base, &offset, 1, "");
    }
    LLVMValueRef more = codegen_i64(g, (uint64_t)s->offset);
    p = LLVMBuildGEP2(g->builder, g->i8, p, &more, 1, "");
    LLVMTypeRef types[2] = {wide_type(w, s->type), LLVMTypeOf(p)};
    LLVMValueRef all = wide_splat(w, LLVMConstInt(g->i1, 1, 0));
    LLVMValueRef a[4] = {p, codegen_i32(g, s->align), all, LLVMConstNull(types[0])};
    replace(w, s->mark, codegen_call_intrinsic(g, "llvm.masked.gather", types, 2, a, 4));
    s->mark = NULL;
}

/* The widest run of elements from at[0] on of which more than half are wanted, the last among
 * them. */
static unsigned widest(struct wide_strided **at, unsigned limit)
{
    unsigned span = 1;
    for (unsigned n = 2; n <= limit; n *= 2) {
        unsigned used = 0;
        for (unsigned i = 0; i < n; i++)
            used += at[i] != NULL;
        if (at[n - 1] && used * 2 > n)
            span = n;
    }
    return span;
}

/* Rows of some of a group's elements: those within reach of the lowest one. */
static void load_lowest(struct wide *w, struct wide_strided **member, unsigned count)
{
    struct wide_strided *at[MAX_COLUMNS] = {0}, *lowest = NULL;
    for (unsigned k = 0; k < count; k++)
        if (member[k]->mark && (!lowest || member[k]->offset < lowest->offset))
            lowest = member[k];
    for (unsigned k = 0; k < count; k++) {
        int64_t d = member[k]->offset - lowest->offset;
        if (member[k]->mark && d % lowest->bytes == 0 && d / lowest->bytes < MAX_COLUMNS &&
                !at[d / lowest->bytes])
            at[d / lowest->bytes] = member[k];
    }
    unsigned lanes = lanes_together(w, lowest);
    unsigned span = widest(at, lanes < MAX_COLUMNS ? lanes : MAX_COLUMNS);
    if (span == 1) {
        gather(w, lowest);
        return;
    }
    LLVMValueRef column[MAX_COLUMNS][WIDE_MAX_WIDTH], c[MAX_COLUMNS];
    for (unsigned first = 0; first < w->width; first += lanes) {
        load_rows(w, lowest, first, lanes, span, c);
        for (unsigned i = 0; i < span; i++)
            column[i][first / lanes] = c[i];
    }
    for (unsigned i = 0; i < span; i++)
        if (at[i]) {
            replace(w, at[i]->mark, join_all(w, column[i], lanes));
            at[i]->mark = NULL;
        }
}

/* Instructions that taking a group's elements out of the span's vectors takes. */
static unsigned picking_cost(
        struct wide *w, struct wide_strided **member, unsigned count, const struct span *p)
{
    unsigned each = lanes_together(w, member[0]), sum = 0;
    int64_t bytes = (int64_t)p->chunk * member[0]->bytes;
    for (unsigned k = 0; k < count; k++)
        for (unsigned lane = 0; lane < w->width; lane += each) {
            uint64_t seen[(MAX_CHUNKS + 63) / 64] = {0};
            for (unsigned i = 0; i < each; i++) {
                int64_t at = member[k]->address.lanes[lane + i] + member[k]->offset - p->least;
                unsigned n = (unsigned)(at / bytes);
                sum += !(seen[n / 64] >> n % 64 & 1);
                seen[n / 64] |= 1ull << n % 64;
            }
        }
    return sum + (unsigned)((p->end - p->least) / bytes);
}

static int by_offset(const void *a, const void *b)
{
    const struct wide_strided *x = *(struct wide_strided *const *)a,
                              *y = *(struct wide_strided *const *)b;
    return (x->offset > y->offset) - (x->offset < y->offset);
}

/* The same for a vector a lane and transpositions, as load_lowest() would go about it. */
static unsigned rows_cost(struct wide *w, struct wide_strided **member, unsigned count)
{
    struct wide_strided *sorted[WIDE_MAX_STRIDED];
    unsigned lanes = lanes_together(w, member[0]), sum = 0;
    memcpy(sorted, member, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, by_offset);
    for (unsigned k = 0; k < count;) {
        unsigned span = 1, used = 1;
        for (unsigned n = 2; n <= lanes && n <= MAX_COLUMNS; n *= 2) {
            unsigned in = 0;
            int64_t end = sorted[k]->offset + (int64_t)n * member[0]->bytes;
            while (k + in < count && sorted[k + in]->offset < end)
                in++;
            if (in * 2 > n)
                span = n, used = in;
        }
        if (span == 1)
            sum += 2 * w->width;
        else
            sum += w->width +
                   w->width / lanes * (lanes - span + span * (unsigned)__builtin_ctz(span));
        k += used;
    }
    return sum;
}

/* Everything of one group goes where its first load was. */
static void flush_loads(struct wide *w)
{
    for (uint32_t i = 0; i < w->strided_count; i++) {
        struct wide_strided *member[WIDE_MAX_STRIDED], *first = &w->strided[i];
        unsigned count = 0;
        struct span p = {0};
        if (!first->mark)
            continue;
        struct wide_strided head = *first;
        for (uint32_t k = i; k < w->strided_count; k++)
            if (w->strided[k].mark && together(w, &head, &w->strided[k])) {
                struct wide_strided *m = member[count++] = &w->strided[k];
                m->offset = m->address.delta - head.address.delta;
                m->address.first = head.address.first;
                m->address.lanes = head.address.lanes;
                m->pointer = head.pointer;
            }
        LLVMPositionBuilderBefore(w->g->builder, first->mark);
        if (head.address.lanes && measure(w, member, count, &p) &&
                picking_cost(w, member, count, &p) <= rows_cost(w, member, count)) {
            load_chunks(w, first, &p);
            for (unsigned k = 0; k < count; k++) {
                replace(w, member[k]->mark, from_chunks(w, member[k], &p));
                member[k]->mark = NULL;
            }
            continue;
        }
        for (unsigned left = count; left;) {
            load_lowest(w, member, count);
            left = 0;
            for (unsigned k = 0; k < count; k++)
                left += member[k]->mark != NULL;
        }
    }
}

/* ---- stores: those that follow each other and belong together are written as one */

struct cell {
    int64_t at;
    unsigned member, lane;
};

static int by_place(const void *a, const void *b)
{
    const struct cell *x = a, *y = b;
    return x->at != y->at ? (x->at < y->at ? -1 : 1)
                          : (x->member != y->member ? (int)x->member - (int)y->member
                                                    : (int)x->lane - (int)y->lane);
}

/* Constant distances: the elements in the order of memory, in runs. False when they are too
 * scattered. Of several writes to one place the last counts. */
static bool store_runs(struct wide *w, struct wide_strided *s, unsigned count)
{
    struct cell cell[WIDE_MAX_STRIDED * WIDE_MAX_WIDTH];
    unsigned n = 0, kept = 0, runs = 0;
    for (unsigned k = 0; k < count; k++)
        for (unsigned i = 0; i < w->width; i++)
            cell[n++] = (struct cell){s->address.lanes[i] + s[k].offset, k, i};
    qsort(cell, n, sizeof *cell, by_place);
    for (unsigned i = 0; i < n; i++) {
        if (i + 1 < n && cell[i].at == cell[i + 1].at)
            continue;
        if (i + 1 < n && cell[i + 1].at < cell[i].at + s->bytes)
            return false; /* overlapping halves */
        cell[kept++] = cell[i];
        runs += kept == 1 || cell[kept - 1].at != cell[kept - 2].at + s->bytes;
    }
    if (runs * 4 > kept)
        return false;
    LLVMValueRef vector[WIDE_MAX_STRIDED];
    for (unsigned k = 0; k < count; k++)
        vector[k] = LLVMBuildBitCast(w->g->builder, s[k].value, vector_of(w, s, w->width), "");
    for (unsigned i = 0; i < kept;) {
        unsigned length = 1, limit = w->g->vector_bytes / s->bytes;
        while (i + length < kept && cell[i + length].at == cell[i].at + length * (int64_t)s->bytes)
            length++;
        length = 1u << (31 - __builtin_clz(length < limit ? length : limit));
        struct pick p = {.count = length, .length = w->width};
        for (unsigned k = 0; k < length; k++) {
            p.source[k] = (int)cell[i + k].member;
            p.at[k] = (int)cell[i + k].lane;
        }
        LLVMValueRef store =
                LLVMBuildStore(w->g->builder, pick(w, &p, vector), address(w, s, cell[i].at));
        LLVMSetAlignment(store, s->align < s->bytes ? s->align : s->bytes);
        i += length;
    }
    return true;
}

static void scatter(struct wide *w, struct wide_strided *s)
{
    struct codegen *g = w->g;
    LLVMValueRef p = s->pointer;
    if (!p) {
        LLVMValueRef lane[WIDE_MAX_WIDTH];
        for (unsigned i = 0; i < w->width; i++)
            lane[i] = codegen_i64(g, (uint64_t)(s->address.lanes[i] + s->offset));
        LLVMValueRef offset = LLVMBuildAdd(
                g->builder, wide_splat(w, s->address.first), LLVMConstVector(lane, w->width), "");
        p = LLVMBuildGEP2(g->builder, g->i8, s->address.base, &offset, 1, "");
    } else {
        LLVMValueRef more = codegen_i64(g, (uint64_t)s->offset);
        p = LLVMBuildGEP2(g->builder, g->i8, p, &more, 1, "");
    }
    LLVMTypeRef types[2] = {wide_type(w, s->type), LLVMTypeOf(p)};
    LLVMValueRef all = wide_splat(w, LLVMConstInt(g->i1, 1, 0));
    LLVMValueRef a[4] = {s->value, p, codegen_i32(g, s->align), all};
    codegen_call_intrinsic(g, "llvm.masked.scatter", types, 2, a, 4);
}

/* Consecutive elements of each lane, in rising order; lanes' rows must not overlap, which is known
 * only of constant distances. */
static unsigned row_length(struct wide *w, struct wide_strided *s, unsigned count)
{
    unsigned span = 1, lanes = lanes_together(w, s);
    while (span < count && s[span].offset == s[span - 1].offset + s->bytes)
        span++;
    span = span < MAX_COLUMNS ? span : MAX_COLUMNS;
    span = 1u << (31 - __builtin_clz(span < lanes ? span : lanes));
    for (unsigned i = 1; i < w->width && s->address.lanes; i++)
        for (unsigned k = 0; k < i; k++)
            if (llabs(s->address.lanes[i] - s->address.lanes[k]) < (int64_t)(span * s->bytes))
                return 1;
    return s->address.lanes ? span : 1;
}

static void flush_stores(struct wide *w)
{
    for (uint32_t i = 0; i < w->strided_count;) {
        struct wide_strided *s = &w->strided[i];
        unsigned count = 1;
        while (i + count < w->strided_count && together(w, s, &w->strided[i + count]))
            count++;
        for (unsigned k = 0; k < count; k++) {
            s[k].offset = s[k].address.delta - s->address.delta;
            s[k].address.first = s->address.first;
            s[k].address.lanes = s->address.lanes;
            s[k].pointer = s->pointer;
        }
        i += count;
        if (s->address.lanes && store_runs(w, s, count))
            continue;
        while (count) {
            unsigned span = row_length(w, s, count), lanes = lanes_together(w, s);
            if (span == 1)
                scatter(w, s);
            for (unsigned first = 0; first < w->width && span > 1; first += lanes) {
                LLVMValueRef column[MAX_COLUMNS];
                for (unsigned c = 0; c < span; c++)
                    column[c] = slice(w,
                            LLVMBuildBitCast(
                                    w->g->builder, s[c].value, vector_of(w, s, w->width), ""),
                            first, lanes);
                store_rows(w, s, first, lanes, span, column);
            }
            s += span;
            count -= span;
        }
    }
}

void wide_strided_flush(struct wide *w)
{
    if (!w->strided_count)
        return;
    LLVMBasicBlockRef here = LLVMGetInsertBlock(w->g->builder);
    if (w->strided_stores)
        flush_stores(w);
    else
        flush_loads(w);
    w->strided_count = 0;
    LLVMPositionBuilderAtEnd(w->g->builder, here);
}
