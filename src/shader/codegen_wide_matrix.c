/* shader: 8x8 matrices on vectors of lanes: the SIMD-group's 64 elements are one value, so that a
 * load is eight rows and a multiplication 64 multiply-adds of eight or more elements, done once for
 * all lanes. See codegen_wide.h.
 *
 * Unless the program looks at its elements, e0 is the upper four rows and e1 the lower four, row by
 * row. Otherwise the layout is Apple's (codegen_matrix.c), and values are permuted on the way. */
#include "shader/codegen_wide.h"

#include <string.h>

#define ROW 8u
#define ELEMENTS 64u

/* Where Apple's layout keeps an element: e0's lanes are 0 to 31, e1's 32 to 63. */
static unsigned apples(unsigned row, unsigned column)
{
    return (row & 4) << 2 | (row & 3) << 1 | (column & 4) << 1 | (column >> 1 & 1) |
           (column & 1) << 5;
}

static LLVMValueRef shuffle(
        struct wide *w, LLVMValueRef a, LLVMValueRef b, const unsigned *index, unsigned count)
{
    LLVMValueRef mask[ELEMENTS];
    for (unsigned i = 0; i < count; i++)
        mask[i] = codegen_i32(w->g, index[i]);
    return LLVMBuildShuffleVector(w->g->builder, a, b, LLVMConstVector(mask, count), "");
}

/* Both halves of a matrix, from the lanes' layout to rows (or back). */
static void arrange(struct wide *w, LLVMValueRef e[2], bool to_rows)
{
    unsigned index[2][ELEMENTS / 2];
    if (!w->g->matrix_elements)
        return;
    for (unsigned i = 0; i < ELEMENTS; i++) {
        unsigned lane = apples(i / ROW, i % ROW);
        if (to_rows)
            index[i / 32][i % 32] = lane;
        else
            index[lane / 32][lane % 32] = i;
    }
    LLVMValueRef a = e[0], b = e[1];
    e[0] = shuffle(w, a, b, index[0], 32);
    e[1] = shuffle(w, a, b, index[1], 32);
}

LLVMValueRef wide_matrix_place(struct wide *w, bool second, bool column)
{
    LLVMValueRef lane[WIDE_MAX_WIDTH];
    for (unsigned i = 0; i < WIDE_MAX_WIDTH; i++) {
        unsigned n = i / ROW + (second ? 4 : 0), m = i % ROW;
        if (w->g->matrix_elements) {
            n = (i >> 2 & 4) | (i >> 1 & 3);
            m = (i >> 1 & 4) | (i << 1 & 2) | second;
        }
        lane[i] = codegen_i32(w->g, column ? m : n);
    }
    return LLVMConstVector(lane, w->width);
}

/* Rows 2 * pair and 2 * pair + 1, <16 x T>. */
static LLVMValueRef two_rows(struct wide *w, LLVMValueRef e[2], unsigned pair)
{
    unsigned index[2 * ROW];
    for (unsigned i = 0; i < 2 * ROW; i++)
        index[i] = pair % 2 * 2 * ROW + i;
    return shuffle(w, e[pair / 2], LLVMGetPoison(LLVMTypeOf(e[0])), index, 2 * ROW);
}

static LLVMValueRef join(struct wide *w, LLVMValueRef a, LLVMValueRef b, unsigned each)
{
    unsigned index[ELEMENTS];
    for (unsigned i = 0; i < 2 * each; i++)
        index[i] = i;
    return shuffle(w, a, b, index, 2 * each);
}

/* The same row of b twice, <16 x float>. */
static LLVMValueRef twice(struct wide *w, LLVMValueRef pair, unsigned row)
{
    unsigned index[2 * ROW];
    for (unsigned i = 0; i < 2 * ROW; i++)
        index[i] = row % 2 * ROW + i % ROW;
    return shuffle(w, pair, LLVMGetPoison(LLVMTypeOf(pair)), index, 2 * ROW);
}

/* Element k of each of two rows of a, eight times. */
static LLVMValueRef spread(struct wide *w, LLVMValueRef pair, unsigned k)
{
    unsigned index[2 * ROW];
    for (unsigned i = 0; i < 2 * ROW; i++)
        index[i] = i / ROW * ROW + k;
    return shuffle(w, pair, LLVMGetPoison(LLVMTypeOf(pair)), index, 2 * ROW);
}

static void multiply(struct wide *w, LLVMValueRef in, LLVMValueRef result[2])
{
    LLVMValueRef v[3][2], sum[4];
    for (unsigned i = 0; i < 3; i++) {
        for (unsigned e = 0; e < 2; e++)
            v[i][e] = wide_vector(w, LLVMGetOperand(in, 1 + 2 * i + e));
        arrange(w, v[i], true);
    }
    for (unsigned p = 0; p < 4; p++)
        sum[p] = two_rows(w, v[2], p);
    LLVMTypeRef type = LLVMTypeOf(sum[0]);
    for (unsigned k = 0; k < ROW; k++) {
        LLVMValueRef row = twice(w, two_rows(w, v[1], k / 2), k);
        for (unsigned p = 0; p < 4; p++) {
            LLVMValueRef a[3] = {spread(w, two_rows(w, v[0], p), k), row, sum[p]};
            sum[p] = codegen_call_intrinsic(w->g, "llvm.fma", &type, 1, a, 3);
        }
    }
    result[0] = join(w, sum[0], sum[1], 2 * ROW);
    result[1] = join(w, sum[2], sum[3], 2 * ROW);
    arrange(w, result, false);
}

/* ---- memory */

/* The program promises one address for all lanes. */
static LLVMValueRef same(struct wide *w, LLVMValueRef source)
{
    if (!wide_is_divergent(w, source))
        return wide_uniform(w, source);
    return LLVMBuildExtractElement(w->g->builder, wide_vector(w, source), wide_first_active(w), "");
}

static LLVMValueRef row_address(
        struct wide *w, LLVMValueRef base, LLVMValueRef per_row, LLVMTypeRef type, unsigned row)
{
    LLVMBuilderRef b = w->g->builder;
    LLVMValueRef i = LLVMBuildMul(b, per_row, codegen_i64(w->g, row), "");
    return LLVMBuildGEP2(b, type, base, &i, 1, "");
}

/* Whole rows that follow each other in memory are accessed together. */
static unsigned rows_together(LLVMValueRef per_row)
{
    return LLVMIsAConstantInt(per_row) && LLVMConstIntGetZExtValue(per_row) == ROW ? 4 : 1;
}

static void transpose(struct wide *w, LLVMValueRef e[2])
{
    unsigned index[2][ELEMENTS / 2];
    for (unsigned i = 0; i < ELEMENTS; i++)
        index[i / 32][i % 32] = i % ROW * ROW + i / ROW;
    LLVMValueRef a = e[0], b = e[1];
    e[0] = shuffle(w, a, b, index[0], 32);
    e[1] = shuffle(w, a, b, index[1], 32);
}

static void load(struct wide *w, LLVMValueRef in, int flags, LLVMValueRef result[2])
{
    LLVMBuilderRef b = w->g->builder;
    LLVMTypeRef type = LLVMTypeOf(in);
    LLVMValueRef base = same(w, LLVMGetOperand(in, 0)), per_row = same(w, LLVMGetOperand(in, 1));
    unsigned together = rows_together(per_row), count = ROW / together;
    LLVMValueRef rows[ROW];
    for (unsigned i = 0; i < count; i++) {
        LLVMValueRef at = row_address(w, base, per_row, type, i * together);
        rows[i] = LLVMBuildLoad2(b, LLVMVectorType(type, together * ROW), at, "");
        LLVMSetAlignment(rows[i], LLVMABIAlignmentOfType(w->g->layout, type));
    }
    for (unsigned each = together * ROW; count > 2; each *= 2, count /= 2)
        for (unsigned i = 0; i < count / 2; i++)
            rows[i] = join(w, rows[2 * i], rows[2 * i + 1], each);
    result[0] = rows[0], result[1] = rows[1];
    if (flags & ABX_MATRIX_TRANSPOSE)
        transpose(w, result);
    arrange(w, result, false);
}

static void store(struct wide *w, LLVMValueRef in, int flags)
{
    LLVMBuilderRef b = w->g->builder;
    LLVMValueRef base = same(w, LLVMGetOperand(in, 0)), per_row = same(w, LLVMGetOperand(in, 1));
    LLVMValueRef e[2] = {
            wide_vector(w, LLVMGetOperand(in, 3)), wide_vector(w, LLVMGetOperand(in, 4))};
    LLVMTypeRef type = LLVMTypeOf(LLVMGetOperand(in, 3));
    arrange(w, e, true);
    if (flags & ABX_MATRIX_TRANSPOSE)
        transpose(w, e);
    unsigned together = rows_together(per_row), count = ROW / together;
    for (unsigned i = 0; i < count; i++) {
        unsigned index[ELEMENTS], n = together * ROW;
        for (unsigned k = 0; k < n; k++)
            index[k] = (i * n + k) % 32;
        LLVMValueRef row = shuffle(w, e[i * n / 32], LLVMGetPoison(LLVMTypeOf(e[0])), index, n);
        LLVMValueRef at = row_address(w, base, per_row, type, i * together);
        LLVMSetAlignment(LLVMBuildStore(b, row, at), LLVMABIAlignmentOfType(w->g->layout, type));
    }
}

/* The two calls that give one matrix stand side by side: the second finds the first one's work. */
static bool other_half(struct wide *w, LLVMValueRef in)
{
    LLVMValueRef last = w->matrix;
    unsigned flags = codegen_is_call(in, "__abx_matrix_multiply") ? 0 : 2;
    if (!last || LLVMGetCalledValue(last) != LLVMGetCalledValue(in) ||
            LLVMGetInstructionParent(last) != LLVMGetInstructionParent(in))
        return false;
    for (unsigned i = 0; i < LLVMGetNumArgOperands(in); i++)
        if (i != flags && LLVMGetOperand(last, i) != LLVMGetOperand(in, i))
            return false;
    return (codegen_matrix_flags(last) & ABX_MATRIX_TRANSPOSE) ==
           (codegen_matrix_flags(in) & ABX_MATRIX_TRANSPOSE);
}

bool wide_matrix(struct wide *w, LLVMValueRef in)
{
    int flags = codegen_matrix_flags(in);
    if (flags < 0 || w->width != WIDE_MAX_WIDTH || w->mask != w->entry_mask) {
        w->refused = "a matrix operation in divergent control flow";
        return false;
    }
    if (LLVMGetTypeKind(LLVMTypeOf(in)) == LLVMVoidTypeKind) {
        store(w, in, flags);
        w->matrix = NULL;
        return true;
    }
    if (!other_half(w, in)) {
        if (codegen_is_call(in, "__abx_matrix_multiply"))
            multiply(w, in, w->matrix_value);
        else
            load(w, in, flags, w->matrix_value);
        w->matrix = in;
    }
    wide_set_vector(w, in, w->matrix_value[flags & ABX_MATRIX_E1 ? 1 : 0]);
    return true;
}
