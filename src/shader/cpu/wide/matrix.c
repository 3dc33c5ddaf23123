/* shader: 8x8 matrices on vectors of lanes: the SIMD-group's 64 elements are one value, so that a
 * load is eight rows, and a multiplication (product.c) is done once for all lanes. See
 * wide.h.
 *
 * Unless the program looks at its elements, e0 is the upper four rows and e1 the lower four, row by
 * row. Otherwise the layout is Apple's (codegen/matrix.c), and values are permuted on the way. */
#include "shader/cpu/wide/wide.h"

#include <string.h>

#define ROW 8u
#define ELEMENTS 64u

/* Where Apple's layout keeps an element: e0's lanes are 0 to 31, e1's 32 to 63. */
static unsigned apples(unsigned row, unsigned column)
{
    return (row & 4) << 2 | (row & 3) << 1 | (column & 4) << 1 | (column >> 1 & 1) |
           (column & 1) << 5;
}

/* Whether both are permutations of the same two halves. */
static bool permute_the_same(LLVMValueRef e[2])
{
    for (unsigned i = 0; i < 2; i++)
        if (!LLVMIsAShuffleVectorInst(e[i]) ||
                LLVMGetVectorSize(LLVMTypeOf(LLVMGetOperand(e[i], 0))) != ELEMENTS / 2)
            return false;
    return LLVMGetOperand(e[0], 0) == LLVMGetOperand(e[1], 0) &&
           LLVMGetOperand(e[0], 1) == LLVMGetOperand(e[1], 1);
}

static bool is_identity(const int index[2][ELEMENTS / 2])
{
    for (unsigned i = 0; i < ELEMENTS; i++)
        if (index[i / 32][i % 32] != (int)i)
            return false;
    return true;
}

/* Both halves: element i becomes what stood at index[i]. What permutes a permutation of the same
 * two, as what puts a matrix into Apple's layout and what takes it out again, is one permutation,
 * or none. */
static void permute(struct wide *w, LLVMValueRef e[2], int index[2][ELEMENTS / 2])
{
    LLVMValueRef a = e[0], b = e[1];
    if (permute_the_same(e)) {
        for (unsigned i = 0; i < ELEMENTS; i++) {
            int *at = &index[i / 32][i % 32];
            *at = LLVMGetMaskValue(e[*at / 32], (unsigned)*at % 32);
        }
        a = LLVMGetOperand(e[0], 0), b = LLVMGetOperand(e[0], 1);
    }
    bool same = is_identity((const int(*)[ELEMENTS / 2]) index);
    e[0] = same ? a : wide_shuffle(w, a, b, index[0], 32);
    e[1] = same ? b : wide_shuffle(w, a, b, index[1], 32);
}

/* Halves that were permuted and then made floats: NULL for others. */
static LLVMValueRef before_extension(LLVMValueRef v)
{
    LLVMValueRef narrow = LLVMIsAFPExtInst(v) ? LLVMGetOperand(v, 0) : NULL;
    return narrow && LLVMIsAShuffleVectorInst(narrow) ? narrow : NULL;
}

/* Numbers that are made wide after they were loaded are permuted as they were: half as many
 * registers, and the load's own permutation, which this one undoes, is seen. */
static bool arrange_narrow(struct wide *w, LLVMValueRef e[2], bool to_rows)
{
    LLVMValueRef narrow[2] = {before_extension(e[0]), before_extension(e[1])};
    if (!narrow[0] || !narrow[1] || LLVMTypeOf(narrow[0]) != LLVMTypeOf(narrow[1]))
        return false;
    wide_arrange_matrix(w, narrow, to_rows);
    for (unsigned i = 0; i < 2; i++)
        e[i] = LLVMBuildFPExt(w->g->builder, narrow[i], LLVMTypeOf(e[i]), "");
    return true;
}

void wide_arrange_matrix(struct wide *w, LLVMValueRef e[2], bool to_rows)
{
    int index[2][ELEMENTS / 2];
    if (!w->g->matrix_elements || arrange_narrow(w, e, to_rows))
        return;
    for (unsigned i = 0; i < ELEMENTS; i++) {
        unsigned lane = apples(i / ROW, i % ROW);
        if (to_rows)
            index[i / 32][i % 32] = (int)lane;
        else
            index[lane / 32][lane % 32] = (int)i;
    }
    permute(w, e, index);
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

/* Of rows a and b, of which each 16 bytes are a lane: their lower (upper) halves of lanes, taken in
 * turns. */
static LLVMValueRef interleave(
        struct wide *w, LLVMValueRef a, LLVMValueRef b, unsigned lane, bool upper)
{
    int index[ROW];
    for (unsigned i = 0; i < ROW; i++)
        index[i] =
                (int)(i / lane * lane + (upper ? lane / 2 : 0) + i % lane / 2 + (i & 1 ? ROW : 0));
    return wide_shuffle(w, a, b, index, ROW);
}

static LLVMValueRef halves(struct wide *w, LLVMValueRef a, LLVMValueRef b, bool upper)
{
    int index[ROW];
    for (unsigned i = 0; i < ROW; i++)
        index[i] = (int)(i % 4 + (upper ? 4 : 0) + (i < 4 ? 0 : ROW));
    return wide_shuffle(w, a, b, index, ROW);
}

/* By what processors with registers of 16 and 32 bytes have an instruction for: each step exchanges
 * a bit of the row's number for one of the column's, and 24 instructions do it all. */
static void transpose_rows(struct wide *w, LLVMValueRef row[ROW])
{
    LLVMTypeRef element = LLVMGetElementType(LLVMTypeOf(row[0]));
    unsigned lane = (unsigned)(128 / LLVMSizeOfTypeInBits(w->g->layout, element));
    unsigned bit = lane == ROW ? 4 : 2;
    for (; bit; bit /= 2)
        for (unsigned i = 0; i < ROW; i++)
            if (!(i & bit)) {
                LLVMValueRef a = row[i], b = row[i | bit];
                row[i] = interleave(w, a, b, lane, false);
                row[i | bit] = interleave(w, a, b, lane, true);
            }
    for (unsigned i = 0; lane < ROW && i < ROW / 2; i++) {
        LLVMValueRef a = row[i], b = row[i + 4];
        row[i] = halves(w, a, b, false);
        row[i + 4] = halves(w, a, b, true);
    }
}

static void transpose(struct wide *w, LLVMValueRef e[2])
{
    int index[2][ELEMENTS / 2];
    LLVMValueRef row[ROW];
    if (w->g->vector_bytes < 64) {
        for (unsigned i = 0; i < ROW; i++)
            row[i] = wide_slice(w, e[i / 4], i % 4 * ROW, ROW);
        transpose_rows(w, row);
        e[0] = wide_join_all(w, row, ROW);
        e[1] = wide_join_all(w, row + 4, ROW);
        return;
    }
    for (unsigned i = 0; i < ELEMENTS; i++)
        index[i / 32][i % 32] = (int)(i % ROW * ROW + i / ROW);
    permute(w, e, index);
}

static void load(struct wide *w, LLVMValueRef in, int flags, LLVMValueRef result[2])
{
    LLVMBuilderRef b = w->g->builder;
    LLVMTypeRef type = LLVMTypeOf(in);
    LLVMValueRef base = same(w, LLVMGetOperand(in, 0)), per_row = same(w, LLVMGetOperand(in, 1));
    unsigned together = rows_together(per_row), count = ROW / together;
    LLVMValueRef rows[ROW];
    int64_t turn = wide_turn(w, in);
    for (unsigned i = 0; i < count; i++) {
        LLVMValueRef at = row_address(w, base, per_row, type, i * together);
        if (turn)
            wide_prefetch(w, at, turn);
        rows[i] = LLVMBuildLoad2(b, LLVMVectorType(type, together * ROW), at, "");
        LLVMSetAlignment(rows[i], LLVMABIAlignmentOfType(w->g->layout, type));
    }
    for (unsigned each = together * ROW; count > 2; each *= 2, count /= 2)
        for (unsigned i = 0; i < count / 2; i++)
            rows[i] = wide_join(w, rows[2 * i], rows[2 * i + 1], each);
    result[0] = rows[0], result[1] = rows[1];
    if (flags & ABX_MATRIX_TRANSPOSE)
        transpose(w, result);
    wide_arrange_matrix(w, result, false);
}

static void store(struct wide *w, LLVMValueRef in, int flags)
{
    LLVMBuilderRef b = w->g->builder;
    LLVMValueRef base = same(w, LLVMGetOperand(in, 0)), per_row = same(w, LLVMGetOperand(in, 1));
    LLVMValueRef e[2] = {
            wide_vector(w, LLVMGetOperand(in, 3)), wide_vector(w, LLVMGetOperand(in, 4))};
    LLVMTypeRef type = LLVMTypeOf(LLVMGetOperand(in, 3));
    wide_arrange_matrix(w, e, true);
    if (flags & ABX_MATRIX_TRANSPOSE)
        transpose(w, e);
    unsigned together = rows_together(per_row), count = ROW / together;
    for (unsigned i = 0; i < count; i++) {
        int index[ELEMENTS];
        unsigned n = together * ROW;
        for (unsigned k = 0; k < n; k++)
            index[k] = (int)((i * n + k) % 32);
        LLVMValueRef row =
                wide_shuffle(w, e[i * n / 32], LLVMGetPoison(LLVMTypeOf(e[0])), index, n);
        LLVMValueRef at = row_address(w, base, per_row, type, i * together);
        LLVMSetAlignment(LLVMBuildStore(b, row, at), LLVMABIAlignmentOfType(w->g->layout, type));
    }
}

bool wide_same_operands(LLVMValueRef a, LLVMValueRef b, unsigned first, unsigned end)
{
    for (unsigned i = first; i < end; i++)
        if (LLVMGetOperand(a, i) != LLVMGetOperand(b, i))
            return false;
    return true;
}

/* The two calls that load one matrix stand side by side: the second finds the first one's work. */
static bool other_half(struct wide *w, LLVMValueRef in)
{
    LLVMValueRef last = w->matrix;
    return last && LLVMGetCalledValue(last) == LLVMGetCalledValue(in) &&
           LLVMGetInstructionParent(last) == LLVMGetInstructionParent(in) &&
           wide_same_operands(last, in, 0, 2) &&
           (codegen_matrix_flags(last) & ABX_MATRIX_TRANSPOSE) ==
                   (codegen_matrix_flags(in) & ABX_MATRIX_TRANSPOSE);
}

bool wide_matrix(struct wide *w, LLVMValueRef in)
{
    int flags = codegen_matrix_flags(in);
    if (flags < 0 || w->width != WIDE_MAX_WIDTH || w->mask != w->entry_mask) {
        w->refused = "a matrix operation in divergent control flow";
        return false;
    }
    unsigned half = flags & ABX_MATRIX_E1 ? 1 : 0;
    if (wide_is_product(in)) {
        wide_set_vector(w, in, wide_product(w, in));
        return true;
    }
    if (LLVMGetTypeKind(LLVMTypeOf(in)) == LLVMVoidTypeKind) {
        store(w, in, flags);
        w->matrix = NULL;
        return true;
    }
    if (!other_half(w, in)) {
        load(w, in, flags, w->matrix_value);
        w->matrix = in;
    }
    wide_set_vector(w, in, w->matrix_value[half]);
    return true;
}
