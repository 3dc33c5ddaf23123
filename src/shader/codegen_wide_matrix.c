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
#define MAX_GATHERED 64u

/* Where Apple's layout keeps an element: e0's lanes are 0 to 31, e1's 32 to 63. */
static unsigned apples(unsigned row, unsigned column)
{
    return (row & 4) << 2 | (row & 3) << 1 | (column & 4) << 1 | (column >> 1 & 1) |
           (column & 1) << 5;
}

/* Both halves of a matrix, from the lanes' layout to rows (or back). */
static void arrange(struct wide *w, LLVMValueRef e[2], bool to_rows)
{
    int index[2][ELEMENTS / 2];
    if (!w->g->matrix_elements)
        return;
    for (unsigned i = 0; i < ELEMENTS; i++) {
        unsigned lane = apples(i / ROW, i % ROW);
        if (to_rows)
            index[i / 32][i % 32] = (int)lane;
        else
            index[lane / 32][lane % 32] = (int)i;
    }
    LLVMValueRef a = e[0], b = e[1];
    e[0] = wide_shuffle(w, a, b, index[0], 32);
    e[1] = wide_shuffle(w, a, b, index[1], 32);
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
    int index[2 * ROW];
    for (unsigned i = 0; i < 2 * ROW; i++)
        index[i] = (int)(pair % 2 * 2 * ROW + i);
    return wide_shuffle(w, e[pair / 2], LLVMGetPoison(LLVMTypeOf(e[0])), index, 2 * ROW);
}

/* The same row of b twice, <16 x float>. */
static LLVMValueRef twice(struct wide *w, LLVMValueRef pair, unsigned row)
{
    int index[2 * ROW];
    for (unsigned i = 0; i < 2 * ROW; i++)
        index[i] = (int)(row % 2 * ROW + i % ROW);
    return wide_shuffle(w, pair, LLVMGetPoison(LLVMTypeOf(pair)), index, 2 * ROW);
}

/* Element k of each of two rows of a, eight times. */
static LLVMValueRef spread(struct wide *w, LLVMValueRef pair, unsigned k)
{
    int index[2 * ROW];
    for (unsigned i = 0; i < 2 * ROW; i++)
        index[i] = (int)(i / ROW * ROW + k);
    return wide_shuffle(w, pair, LLVMGetPoison(LLVMTypeOf(pair)), index, 2 * ROW);
}

/* Two of a call's operands: both halves of a matrix, as rows. */
static void operand(struct wide *w, LLVMValueRef in, unsigned first, LLVMValueRef e[2])
{
    for (unsigned i = 0; i < 2; i++)
        e[i] = wide_vector(w, LLVMGetOperand(in, first + i));
    arrange(w, e, true);
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

/* Registers of sixteen numbers and one right factor: two rows of the left factor at a time. */
static void multiply_pairs(
        struct wide *w, LLVMValueRef left[2], LLVMValueRef right[2], LLVMValueRef c[2])
{
    LLVMValueRef sum[4];
    for (unsigned p = 0; p < 4; p++)
        sum[p] = two_rows(w, c, p);
    for (unsigned k = 0; k < ROW; k++) {
        LLVMValueRef row = twice(w, two_rows(w, right, k / 2), k);
        for (unsigned p = 0; p < 4; p++)
            sum[p] = multiply_add(w, spread(w, two_rows(w, left, p), k), row, sum[p]);
    }
    for (unsigned h = 0; h < 2; h++)
        c[h] = wide_join(w, sum[2 * h], sum[2 * h + 1], 2 * ROW);
}

/* Where factors lie that are loaded into all of a register: a load costs nothing that multiply-adds
 * need, a permutation does. Loads go through an address that LLVM cannot trace, or they become the
 * permutations again. */
static void open_factors(struct wide *w)
{
    LLVMBuilderRef b = w->g->builder;
    if (w->factors)
        return;
    LLVMTypeRef f32 = LLVMFloatTypeInContext(w->g->context), pointer = w->g->ptr,
                type = LLVMFunctionType(pointer, &pointer, 1, 0);
    w->factors = wide_slot(w, LLVMArrayType(f32, ELEMENTS), "factors");
    LLVMBasicBlockRef here = LLVMGetInsertBlock(b);
    LLVMPositionBuilderBefore(b, w->entry_mark);
    LLVMValueRef hide = LLVMGetInlineAsm(type, "", 0, "=r,0", 4, 0, 0, LLVMInlineAsmDialectATT, 0);
    w->factors_seen = LLVMBuildCall2(b, type, hide, &w->factors, 1, "factors");
    LLVMPositionBuilderAtEnd(b, here);
}

static LLVMValueRef factor(struct wide *w, unsigned row, unsigned k, unsigned count)
{
    LLVMBuilderRef b = w->g->builder;
    LLVMTypeRef f32 = LLVMFloatTypeInContext(w->g->context);
    LLVMValueRef at = codegen_i64(w->g, row * ROW + k);
    at = LLVMBuildInBoundsGEP2(b, f32, w->factors_seen, &at, 1, "");
    LLVMValueRef v = LLVMBuildLoad2(b, f32, at, "");
    LLVMValueRef none = LLVMGetPoison(LLVMVectorType(f32, count));
    v = LLVMBuildInsertElement(b, none, v, codegen_i32(w->g, 0), "");
    int index[2 * ROW] = {0};
    return wide_shuffle(w, v, none, index, count);
}

/* Row `row` of as many matrices as a register holds. */
static LLVMValueRef row_of(
        struct wide *w, LLVMValueRef (*matrix)[2], unsigned per_register, unsigned row)
{
    LLVMValueRef v = one_row(w, matrix[0], row);
    return per_register == 1 ? v : wide_join(w, v, one_row(w, matrix[1], row), ROW);
}

/* A block of sums that stays in registers: `rows` rows of the left factor, two registers of
 * columns.
 */
static void multiply_block(struct wide *w, LLVMValueRef (*right)[2], LLVMValueRef (*c)[2],
        LLVMValueRef (*result)[ROW], unsigned columns, unsigned per_register, unsigned first,
        unsigned rows)
{
    LLVMValueRef sum[ROW][2];
    for (unsigned r = 0; r < rows; r++)
        for (unsigned i = 0; i < columns; i++)
            sum[r][i] = row_of(w, &c[i * per_register], per_register, first + r);
    for (unsigned k = 0; k < ROW; k++) {
        LLVMValueRef row[2];
        for (unsigned i = 0; i < columns; i++)
            row[i] = row_of(w, &right[i * per_register], per_register, k);
        for (unsigned r = 0; r < rows; r++) {
            LLVMValueRef x = factor(w, first + r, k, per_register * ROW);
            for (unsigned i = 0; i < columns; i++)
                sum[r][i] = multiply_add(w, x, row[i], sum[r][i]);
        }
    }
    for (unsigned r = 0; r < rows; r++)
        for (unsigned i = 0; i < columns * per_register; i++)
            result[i][first + r] =
                    wide_slice(w, sum[r][i / per_register], i % per_register * ROW, ROW);
}

/* Several right factors: their rows side by side, times one number of the left factor. */
static void multiply_rows(struct wide *w, LLVMValueRef left[2], LLVMValueRef (*right)[2],
        LLVMValueRef (*c)[2], unsigned count, unsigned per_register)
{
    unsigned rows = w->g->vector_bytes < 64 ? 4 : ROW;
    LLVMValueRef result[WIDE_MAX_PRODUCTS][ROW];
    open_factors(w);
    LLVMValueRef stored = wide_join(w, left[0], left[1], ELEMENTS / 2);
    LLVMSetAlignment(LLVMBuildStore(w->g->builder, stored, w->factors), 64);
    for (unsigned i = 0; i < count; i += 2 * per_register)
        for (unsigned r = 0; r < ROW; r += rows) {
            unsigned columns = (count - i) / per_register < 2 ? 1 : 2;
            multiply_block(w, &right[i], &c[i], &result[i], columns, per_register, r, rows);
        }
    for (unsigned i = 0; i < count; i++)
        for (unsigned h = 0; h < 2; h++)
            c[i][h] = wide_join_all(w, &result[i][4 * h], ROW);
}

/* Multiplications with one left factor, step by step together. */
static void multiply(struct wide *w)
{
    LLVMValueRef left[2], right[WIDE_MAX_PRODUCTS][2], c[WIDE_MAX_PRODUCTS][2];
    operand(w, w->product[0].in, 1, left);
    for (unsigned i = 0; i < w->product_count; i++) {
        operand(w, w->product[i].in, 3, right[i]);
        operand(w, w->product[i].in, 5, c[i]);
    }
    unsigned per_register = w->g->vector_bytes < 64 ? 1 : 2;
    unsigned whole = w->product_count / per_register * per_register;
    if (whole)
        multiply_rows(w, left, right, c, whole, per_register);
    if (whole < w->product_count)
        multiply_pairs(w, left, right[whole], c[whole]);
    for (unsigned i = 0; i < w->product_count; i++) {
        arrange(w, c[i], false);
        memcpy(w->product[i].value, c[i], sizeof c[i]);
    }
}

static bool is_product(LLVMValueRef in)
{
    return codegen_is_call(in, "__abx_matrix_multiply");
}

/* The same operands but for the flags: they say which half of the product is wanted. */
static bool same_operands(LLVMValueRef a, LLVMValueRef b, unsigned first, unsigned end)
{
    for (unsigned i = first; i < end; i++)
        if (LLVMGetOperand(a, i) != LLVMGetOperand(b, i))
            return false;
    return true;
}

static bool uses_any(LLVMValueRef in, LLVMValueRef *of, unsigned count)
{
    for (int i = 0; i < LLVMGetNumOperands(in); i++)
        for (unsigned k = 0; k < count; k++)
            if (LLVMGetOperand(in, (unsigned)i) == of[k])
                return true;
    return false;
}

/* The product that `in` is a half of; if it is not there yet, it is made, with those that follow.
 */
static struct wide_product *product(struct wide *w, LLVMValueRef in)
{
    for (unsigned i = 0; i < w->product_count; i++)
        if (w->product[i].in && same_operands(w->product[i].in, in, 1, 7) &&
                LLVMGetInstructionParent(w->product[i].in) == LLVMGetInstructionParent(in) &&
                w->product[i].left-- > 0)
            return &w->product[i];
    unsigned seen = 0;
    LLVMValueRef call[2 * WIDE_MAX_PRODUCTS];
    w->product_count = 0;
    for (LLVMValueRef x = in; x && is_product(x); x = LLVMGetNextInstruction(x)) {
        if (!same_operands(in, x, 1, 3) || uses_any(x, call, seen) || seen == ABX_ARRAY_SIZE(call))
            break;
        struct wide_product *last = w->product_count ? &w->product[w->product_count - 1] : NULL;
        if (last && same_operands(last->in, x, 1, 7)) {
            last->left++;
        } else {
            if (w->product_count == WIDE_MAX_PRODUCTS)
                break;
            w->product[w->product_count++] = (struct wide_product){.in = x, .left = 1};
        }
        call[seen++] = x;
    }
    multiply(w);
    w->product[0].left--;
    return &w->product[0];
}

/* Pure, and gives the same wherever it stands. */
static bool movable(LLVMValueRef in)
{
    return LLVMIsABinaryOperator(in) || LLVMIsACastInst(in) || LLVMIsAUnaryOperator(in) ||
           LLVMIsAGetElementPtrInst(in) || LLVMIsACmpInst(in) || LLVMIsASelectInst(in);
}

static void move_before(struct codegen *g, LLVMValueRef in, LLVMValueRef place)
{
    if (in == place)
        return;
    LLVMPositionBuilderBefore(g->builder, place);
    LLVMInstructionRemoveFromParent(in);
    LLVMInsertIntoBuilder(g->builder, in);
}

void wide_gather_products(struct codegen *g)
{
    for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(g->kernel); b; b = LLVMGetNextBasicBlock(b)) {
        LLVMValueRef behind[MAX_GATHERED], first = NULL, last = NULL, next;
        unsigned count = 0; /* of the products, and of what needs them */
        for (LLVMValueRef in = LLVMGetFirstInstruction(b); in; in = next) {
            next = LLVMGetNextInstruction(in);
            if (count == MAX_GATHERED || (!movable(in) && !is_product(in))) {
                count = 0;
                first = NULL;
            } else if (!first && is_product(in)) {
                first = last = behind[count++] = in;
            } else if (first && !uses_any(in, behind, count)) {
                move_before(g, in, is_product(in) ? LLVMGetNextInstruction(last) : first);
                if (is_product(in))
                    last = behind[count++] = in;
            } else if (first) {
                behind[count++] = in;
            }
        }
    }
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
    int index[2][ELEMENTS / 2];
    for (unsigned i = 0; i < ELEMENTS; i++)
        index[i / 32][i % 32] = (int)(i % ROW * ROW + i / ROW);
    LLVMValueRef a = e[0], b = e[1];
    e[0] = wide_shuffle(w, a, b, index[0], 32);
    e[1] = wide_shuffle(w, a, b, index[1], 32);
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
            rows[i] = wide_join(w, rows[2 * i], rows[2 * i + 1], each);
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

/* The two calls that load one matrix stand side by side: the second finds the first one's work. */
static bool other_half(struct wide *w, LLVMValueRef in)
{
    LLVMValueRef last = w->matrix;
    return last && LLVMGetCalledValue(last) == LLVMGetCalledValue(in) &&
           LLVMGetInstructionParent(last) == LLVMGetInstructionParent(in) &&
           same_operands(last, in, 0, 2) &&
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
    if (is_product(in)) {
        wide_set_vector(w, in, product(w, in)->value[half]);
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
