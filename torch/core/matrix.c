/* torch: launches of the kernels for products of matrices (kernels/matrix.metal). */
#include "matrix.h"

#define TILE_ROWS 32
#define TILE_COLUMNS 32

/* As kernels/matrix.metal has it. */
struct parameters {
    uint32_t rows, columns, inner, split;
    int64_t left_outer, right_outer;
    int64_t to[3], left[3], right[3], added[3]; /* strides: batch, row, column */
    float alpha, beta;
    int64_t alpha_i, beta_i;
};

static void set(int64_t *strides, const struct abx_torch_matrix *m)
{
    strides[0] = m->batch;
    strides[1] = m->row;
    strides[2] = m->column;
}

int abx_torch_multiply(const struct abx_torch_product *p)
{
    struct parameters parameters = {p->rows, p->columns, p->inner, p->split, p->left_outer,
            p->right_outer, .alpha = (float)p->alpha.f, .beta = (float)p->beta.f,
            .alpha_i = p->alpha.i, .beta_i = p->beta.i};
    set(parameters.to, &p->to);
    set(parameters.left, &p->left);
    set(parameters.right, &p->right);
    set(parameters.added, &p->added);
    bool is_float = abx_torch_is_float(p->type);
    bool adds = is_float ? p->beta.f != 0 : p->beta.i != 0;
    struct abx_torch_operand operands[] = {
            p->to.at, p->left.at, p->right.at, adds ? p->added.at : p->to.at};
    int32_t constants[] = {p->type, adds, p->split != 0, p->to_type};
    struct abx_torch_launch l = {.library = "matrix",
            .function = is_float ? "multiply" : "multiply_integers",
            .constants = constants,
            .constant_count = 4,
            .parameters = &parameters,
            .parameter_size = sizeof parameters,
            .operands = operands,
            .operand_count = 4,
            .grid = {p->columns, p->rows, p->batches}};
    if (is_float) { /* a SIMD-group for each tile of the result */
        l.grid[0] = (p->columns + TILE_COLUMNS - 1) / TILE_COLUMNS * 32;
        l.grid[1] = (p->rows + TILE_ROWS - 1) / TILE_ROWS;
        l.group[0] = 32;
        l.group[1] = l.group[2] = 1;
    }
    return abx_torch_run(&l);
}
