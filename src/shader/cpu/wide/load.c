/* shader: loads of whole vectors whose lanes do not lie side by side. A group of them becomes
 *  - where the lanes' distances are constants that lie close together: plain vectors over the whole
 *    span, and permutations of them;
 *  - else, where several elements of each lane are wanted: one short vector a lane, transposed;
 *  - else gathers, which are slow on all processors.
 * See stride.h. */
#include "shader/cpu/wide/stride.h"

#include <stdlib.h>
#include <string.h>

/* The mark, which others have seen as the value, becomes it; wide_strided_end() removes it. */
static void becomes(struct wide *w, struct wide_strided *s, LLVMValueRef v)
{
    s->waits = false;
    LLVMSetOperand(s->mark, 0, LLVMBuildBitCast(w->g->builder, v, LLVMTypeOf(s->mark), ""));
}

/* The lanes' elements, in registers. */
static void loaded(struct wide *w, struct wide_strided *s, LLVMValueRef *part)
{
    s->waits = false;
    if (!s->mark) {
        memcpy(s->part, part, w->width / strided_lanes(w, s) * sizeof *part);
        return;
    }
    becomes(w, s, wide_join_all(w, part, strided_lanes(w, s)));
}

/* ---- constant distances: loads */

/* Where the elements of `count` accesses of all lanes lie, access after access. */
static void places(struct wide *w, struct wide_strided **at, unsigned count, int64_t *ret)
{
    for (unsigned k = 0; k < count; k++)
        for (unsigned i = 0; i < w->width; i++)
            ret[k * w->width + i] = at[k]->address.lanes[i] + at[k]->offset;
}

/* False when that is too far apart, or too thin to pay. */
static bool measure(struct wide *w, struct wide_strided **member, unsigned count, const int64_t *at,
        struct strided_span *s)
{
    unsigned bytes = member[0]->bytes;
    return strided_measure(w, at, count * w->width, bytes, s) &&
           s->end - s->least <= 8ll * count * w->width * bytes;
}

static unsigned least_align(struct wide_strided **member, unsigned count)
{
    unsigned align = member[0]->align;
    for (unsigned k = 1; k < count; k++)
        align = member[k]->align < align ? member[k]->align : align;
    return align;
}

static void from_span(
        struct wide *w, struct wide_strided *m, const int64_t *at, const struct strided_span *s)
{
    unsigned each = strided_lanes(w, m);
    LLVMValueRef part[WIDE_MAX_WIDTH];
    for (unsigned lane = 0; lane < w->width; lane += each)
        part[lane / each] = strided_from_span(w, at + lane, each, m->bytes, s);
    loaded(w, m, part);
}

/* ---- any distances: a short vector a lane */

/* Lanes whose rows lie side by side in memory, so that one vector holds them: a power of two. Only
 * where a processor permutes vectors freely does that not cost more than it saves. */
static unsigned neighbours(
        struct wide *w, const struct wide_strided *s, unsigned first, unsigned lanes, unsigned span)
{
    const int64_t *at = s->address.lanes;
    if (!at || w->g->vector_bytes < 64)
        return 1;
    for (unsigned run = lanes / span; run > 1; run /= 2) {
        bool all = true;
        for (unsigned i = first; i < first + lanes; i++)
            all &= i % run == 0 || at[i] - at[i - 1] == (int64_t)span * s->bytes;
        if (all)
            return run;
    }
    return 1;
}

/* Columns [0, span) of `lanes` lanes' rows. */
static void load_rows(struct wide *w, const struct wide_strided *s, unsigned first, unsigned lanes,
        unsigned span, LLVMValueRef *column)
{
    LLVMBuilderRef b = w->g->builder;
    unsigned run = neighbours(w, s, first, lanes, span), runs = lanes / run, place[64];
    LLVMValueRef r[WIDE_MAX_WIDTH];
    for (unsigned i = 0; i < runs; i++) {
        r[i] = LLVMBuildLoad2(b, strided_vector(w, s->bytes, span * run),
                strided_lane_address(w, s, first + i * run, s->offset), "");
        LLVMSetAlignment(r[i], s->align < s->bytes ? s->align : s->bytes);
    }
    /* Shorter rows share vectors: i, i + span, i + 2 * span ... lie side by side. */
    for (unsigned i = 0; i < span; i++) {
        LLVMValueRef v[WIDE_MAX_WIDTH];
        unsigned count = runs / span;
        for (unsigned k = 0; k < count; k++)
            v[k] = r[i + k * span];
        for (unsigned each = span * run; count > 1; count /= 2, each *= 2)
            for (unsigned k = 0; k < count / 2; k++)
                v[k] = wide_join(w, v[2 * k], v[2 * k + 1], each);
        column[i] = v[0];
    }
    for (unsigned i = 0; i < lanes; i++) { /* row i % span of block i / span */
        unsigned block = i / span;
        place[i] = (i % span + block / run * span) * run + block % run;
    }
    strided_transpose(w, column, span, lanes, s->bytes, run > 1 ? place : NULL);
}

static void gather(struct wide *w, struct wide_strided *s)
{
    struct codegen *g = w->g;
    LLVMValueRef p = strided_addresses(w, s);
    LLVMTypeRef types[2] = {wide_type(w, s->type), LLVMTypeOf(p)};
    LLVMValueRef all = wide_splat(w, LLVMConstInt(g->i1, 1, 0));
    LLVMValueRef a[4] = {p, codegen_i32(g, s->align), all, LLVMConstNull(types[0])};
    LLVMValueRef v = codegen_call_intrinsic(g, "llvm.masked.gather", types, 2, a, 4);
    LLVMValueRef part[WIDE_MAX_WIDTH];
    unsigned each = strided_lanes(w, s);
    v = LLVMBuildBitCast(g->builder, v, strided_vector(w, s->bytes, w->width), "");
    for (unsigned i = 0; i < w->width / each; i++)
        part[i] = wide_slice(w, v, i * each, each);
    loaded(w, s, part);
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
    struct wide_strided *at[STRIDED_MAX_COLUMNS] = {0}, *lowest = NULL;
    for (unsigned k = 0; k < count; k++)
        if (member[k]->waits && (!lowest || member[k]->offset < lowest->offset))
            lowest = member[k];
    for (unsigned k = 0; k < count; k++) {
        int64_t d = member[k]->offset - lowest->offset;
        if (member[k]->waits && d % lowest->bytes == 0 && d / lowest->bytes < STRIDED_MAX_COLUMNS &&
                !at[d / lowest->bytes])
            at[d / lowest->bytes] = member[k];
    }
    unsigned lanes = strided_lanes(w, lowest);
    unsigned span = widest(at, lanes < STRIDED_MAX_COLUMNS ? lanes : STRIDED_MAX_COLUMNS);
    if (span == 1) {
        gather(w, lowest);
        return;
    }
    LLVMValueRef column[STRIDED_MAX_COLUMNS][WIDE_MAX_WIDTH], c[STRIDED_MAX_COLUMNS];
    for (unsigned first = 0; first < w->width; first += lanes) {
        load_rows(w, lowest, first, lanes, span, c);
        for (unsigned i = 0; i < span; i++)
            column[i][first / lanes] = c[i];
    }
    for (unsigned i = 0; i < span; i++)
        if (at[i])
            loaded(w, at[i], column[i]);
}

/* Instructions that taking a group's elements out of the placed vectors takes. */
static unsigned picking_cost(struct wide *w, struct wide_strided **member, unsigned count,
        const int64_t *at, const struct strided_span *s)
{
    unsigned each = strided_lanes(w, member[0]), sum = s->count;
    for (unsigned i = 0; i < count * w->width; i += each)
        sum += strided_span_cost(at + i, each, member[0]->bytes, s);
    return sum;
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
    unsigned lanes = strided_lanes(w, member[0]), sum = 0;
    memcpy(sorted, member, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, by_offset);
    for (unsigned k = 0; k < count;) {
        unsigned span = 1, used = 1;
        for (unsigned n = 2; n <= lanes && n <= STRIDED_MAX_COLUMNS; n *= 2) {
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

#define LINE 64
#define MAX_FETCHED 64u /* prefetches of a group */

/* Into the second cache. What waits for memory on its way to the first holds one of few places
 * there (24 of a Zen 4), and loads wait behind it: matrices times vectors ran at two thirds of
 * this. */
void wide_prefetch(struct wide *w, LLVMValueRef base, int64_t bytes)
{
    enum { READ = 0, SECOND_LEVEL = 2, DATA = 1 };
    LLVMValueRef far = codegen_i64(w->g, (uint64_t)bytes);
    LLVMValueRef there = LLVMBuildGEP2(w->g->builder, w->g->i8, base, &far, 1, "");
    LLVMValueRef a[4] = {there, codegen_i32(w->g, READ), codegen_i32(w->g, SECOND_LEVEL),
            codegen_i32(w->g, DATA)};
    LLVMTypeRef type = LLVMTypeOf(a[0]);
    codegen_call_intrinsic(w->g, "llvm.prefetch", &type, 1, a, 4);
}

/* Each line that a lane's elements lie in. */
static void prefetch_lanes(
        struct wide *w, struct wide_strided **member, unsigned count, int64_t turn)
{
    int64_t least = member[0]->offset, end = least;
    for (unsigned k = 0; k < count; k++) {
        least = member[k]->offset < least ? member[k]->offset : least;
        end = member[k]->offset + member[k]->bytes > end ? member[k]->offset + member[k]->bytes
                                                         : end;
    }
    if ((uint64_t)(end - least + LINE - 1) / LINE * w->width > MAX_FETCHED)
        return;
    for (unsigned lane = 0; lane < w->width; lane++)
        for (int64_t line = least; line < end; line += LINE)
            wide_prefetch(w, strided_lane_address(w, member[0], lane, line), turn);
}

void strided_prefetch(struct wide *w, struct wide_strided **member, unsigned count)
{
    struct strided_span s;
    int64_t at[WIDE_MAX_STRIDED * WIDE_MAX_WIDTH], turn = member[0]->turn;
    if (!member[0]->address.lanes) {
        if (turn)
            prefetch_lanes(w, member, count, turn);
        return;
    }
    if (!turn && !member[0]->ahead)
        return;
    places(w, member, count, at);
    if (!measure(w, member, count, at, &s) ||
            s.end - s.least > 2ll * count * w->width * member[0]->bytes)
        return;
    LLVMValueRef base = strided_address(w, member[0], 0);
    if (!turn)
        base = LLVMBuildGEP2(w->g->builder, w->g->i8, base, &member[0]->ahead, 1, "");
    for (int64_t line = s.least; line < s.end; line += LINE)
        wide_prefetch(w, base, line + turn);
}

static void load_elements(struct wide *w, struct wide_strided **member, unsigned count)
{
    struct strided_span s = {0};
    int64_t at[WIDE_MAX_STRIDED * WIDE_MAX_WIDTH];
    bool spans = member[0]->address.lanes;
    if (spans)
        places(w, member, count, at);
    spans = spans && measure(w, member, count, at, &s);
    if (spans)
        strided_place(at, count * w->width, member[0]->bytes, &s);
    if (spans && picking_cost(w, member, count, at, &s) <= rows_cost(w, member, count)) {
        strided_load_span(w, member[0], least_align(member, count), &s);
        for (unsigned k = 0; k < count; k++)
            from_span(w, member[k], at + k * w->width, &s);
        return;
    }
    for (unsigned left = count; left;) {
        load_lowest(w, member, count);
        left = 0;
        for (unsigned k = 0; k < count; k++)
            left += member[k]->waits;
    }
}

/* ---- narrow elements: neighbours are loaded as one of twice the size, and those again */

struct pair {
    struct wide_strided both, *half[2];
    LLVMValueRef part[WIDE_MAX_WIDTH];
};

/* The lower or upper halves of a register's elements, or of two registers'. LLVM makes truncations
 * of what it sees in one piece, which are slower. */
static LLVMValueRef halves(
        struct wide *w, const struct wide_strided *s, LLVMValueRef *part, unsigned lanes, bool high)
{
    LLVMBuilderRef b = w->g->builder;
    bool two = strided_lanes(w, s) > lanes;
    unsigned count = two ? 2 * lanes : lanes;
    int index[64];
    for (unsigned i = 0; i < count; i++)
        index[i] = (int)(2 * i + high);
    LLVMTypeRef type = strided_vector(w, s->bytes, 2 * lanes);
    LLVMValueRef x = LLVMBuildBitCast(b, part[0], type, "");
    LLVMValueRef y = two ? LLVMBuildBitCast(b, part[1], type, "") : LLVMGetPoison(type);
    return wide_shuffle(w, x, y, index, count);
}

/* Integers of less than 32 bits, of which the program will make 32: in one piece for all lanes, so
 * that a mask is all that this takes. */
static void narrow_halves(struct wide *w, struct pair *p, bool high)
{
    LLVMBuilderRef b = w->g->builder;
    LLVMValueRef part[WIDE_MAX_WIDTH];
    struct wide_strided *s = p->half[high];
    unsigned from = strided_lanes(w, &p->both);
    memcpy(part, p->part, w->width / from * sizeof *part);
    LLVMValueRef v = wide_join_all(w, part, from);
    if (high)
        v = LLVMBuildLShr(b, v,
                wide_splat(w, LLVMConstInt(LLVMGetElementType(LLVMTypeOf(v)), s->bytes * 8, 0)),
                "");
    becomes(w, s, LLVMBuildTrunc(b, v, strided_vector(w, s->bytes, w->width), ""));
}

static void take_apart(struct wide *w, struct pair *p)
{
    unsigned from = strided_lanes(w, &p->both);
    for (int high = 0; high < 2; high++) {
        struct wide_strided *s = p->half[high];
        LLVMValueRef part[WIDE_MAX_WIDTH];
        if (s->mark && s->bytes < 4 && LLVMGetTypeKind(s->type) == LLVMIntegerTypeKind) {
            narrow_halves(w, p, high);
            continue;
        }
        unsigned each = strided_lanes(w, s);
        for (unsigned i = 0; i < w->width / each; i++)
            part[i] = halves(w, s, &p->part[i * each / from], from, high);
        loaded(w, s, part);
    }
}

/* Taking halves' pairs apart is a permutation across a register's 16 bytes, which costs nothing
 * more than another only with AVX-512. Others transpose them as they are. */
static bool stays_narrow(struct wide *w, const struct wide_strided *s)
{
    return w->g->vector_bytes < 64 && s->bytes == 2 &&
           LLVMGetTypeKind(s->type) != LLVMIntegerTypeKind;
}

void strided_load_group(struct wide *w, struct wide_strided **member, unsigned count)
{
    struct pair pair[WIDE_MAX_STRIDED / 2];
    struct wide_strided *both[WIDE_MAX_STRIDED / 2];
    unsigned n = 0, left = 0;
    qsort(member, count, sizeof *member, by_offset);
    for (unsigned k = 0; k < count; k++) {
        struct wide_strided *s = member[k];
        if (!s->narrow || s->bytes == 8 || stays_narrow(w, s) || k + 1 == count ||
                member[k + 1]->type != s->type || member[k + 1]->offset != s->offset + s->bytes) {
            member[left++] = s;
            continue;
        }
        struct pair *p = &pair[n];
        p->both = *s;
        p->both.bytes *= 2;
        p->both.type = LLVMIntTypeInContext(w->g->context, p->both.bytes * 8);
        p->both.mark = NULL;
        p->both.part = p->part;
        p->half[0] = s;
        p->half[1] = member[++k];
        both[n++] = &p->both;
    }
    if (n)
        strided_load_group(w, both, n);
    for (unsigned k = 0; k < n; k++)
        take_apart(w, &pair[k]);
    if (left)
        load_elements(w, member, left);
}
