/* torch: launches of the kernels for products of matrices (kernels/matrix.metal). */
#include "matrix.h"
#include "internal.h"

#define TILE_ROWS 32
#define TILE_COLUMNS 32

/* As kernels/matrix.metal has it. */
struct parameters {
    uint32_t rows, columns, inner, reserved;
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

static struct abx_torch_launch launch_of(const struct abx_torch_product *p,
        struct parameters *parameters, struct abx_torch_operand *operands, int32_t *constants)
{
    *parameters = (struct parameters){p->rows, p->columns, p->inner, .alpha = (float)p->alpha.f,
            .beta = (float)p->beta.f, .alpha_i = p->alpha.i, .beta_i = p->beta.i};
    set(parameters->to, &p->to);
    set(parameters->left, &p->left);
    set(parameters->right, &p->right);
    set(parameters->added, &p->added);
    bool adds = abx_torch_is_float(p->type) ? p->beta.f != 0 : p->beta.i != 0;
    operands[0] = p->to.at;
    operands[1] = p->left.at;
    operands[2] = p->right.at;
    operands[3] = adds ? p->added.at : p->to.at;
    constants[0] = p->type;
    constants[1] = adds;
    constants[2] = p->to_type;
    constants[3] = 1;
    return (struct abx_torch_launch){.library = "matrix",
            .constants = constants,
            .constant_count = 4,
            .parameters = parameters,
            .parameter_size = sizeof *parameters,
            .operands = operands,
            .operand_count = 4};
}

/* A SIMD-group for each tile of the result. */
static void set_tiles(struct abx_torch_launch *l, const struct abx_torch_product *p)
{
    l->grid[0] = (p->rows + TILE_ROWS - 1) / TILE_ROWS * 32;
    l->grid[1] = (p->columns + TILE_COLUMNS - 1) / TILE_COLUMNS;
    l->grid[2] = p->batches;
    l->group[0] = 32;
    l->group[1] = l->group[2] = 1;
}

static int multiply_any(const struct abx_torch_product *p)
{
    struct parameters parameters;
    struct abx_torch_operand operands[4];
    int32_t constants[4];
    struct abx_torch_launch l = launch_of(p, &parameters, operands, constants);
    if (!p->rows || !p->columns)
        return 0;
    if (abx_torch_is_float(p->type)) {
        l.function = "multiply";
        set_tiles(&l, p);
    } else {
        l.function = "multiply_integers";
        l.grid[0] = p->columns;
        l.grid[1] = p->rows;
        l.grid[2] = p->batches;
    }
    return abx_torch_run(&l);
}

/* ---- by the device's library */

/* Rows or, with `turned`, columns that lie without gaps, and behind each other. */
static bool lies_whole(
        const struct abx_torch_matrix *m, uint32_t rows, uint32_t columns, bool *ret_turned)
{
    bool by_rows = (m->column == 1 || columns == 1) && (m->row >= columns || rows == 1);
    bool by_columns = (m->row == 1 || rows == 1) && (m->column >= rows || columns == 1);
    *ret_turned = !by_rows;
    return m->batch >= 0 && (by_rows || by_columns);
}

static struct metal_matrices operand_of(
        const struct abx_torch_matrix *m, uint32_t rows, uint32_t columns, bool is_turned, int type)
{
    const struct abx_torch_block *b = m->at.block;
    size_t step = (size_t)(is_turned ? m->column : m->row), row = is_turned ? rows : columns;
    return (struct metal_matrices){.buffer = b->buffer,
            .offset = b->offset + m->at.offset,
            .row_bytes = (step > row ? step : row) * (size_t)core_size_of(type),
            .matrix_bytes = (size_t)m->batch * (size_t)core_size_of(type),
            .type = type};
}

/* False: the library cannot, as it takes rows that lie without gaps only. */
static bool fill(struct metal_product *m, const struct abx_torch_product *p)
{
    bool left, right, to;
    if (!lies_whole(&p->left, p->rows, p->inner, &left) ||
            !lies_whole(&p->right, p->inner, p->columns, &right) ||
            !lies_whole(&p->to, p->rows, p->columns, &to) || to)
        return false;
    *m = (struct metal_product){.left = operand_of(&p->left, p->rows, p->inner, left, p->type),
            .right = operand_of(&p->right, p->inner, p->columns, right, p->type),
            .result = operand_of(&p->to, p->rows, p->columns, false, p->to_type),
            .transpose_left = left,
            .transpose_right = right,
            .rows = p->rows,
            .columns = p->columns,
            .inner = p->inner,
            .batch = p->batches,
            .alpha = p->alpha.f,
            .beta = p->beta.f};
    return true;
}

/* What is added goes to the result first. */
static int spread(const struct abx_torch_product *p)
{
    if (p->added.at.block == p->to.at.block && p->added.at.offset == p->to.at.offset &&
            p->added.row == p->to.row && p->added.column == p->to.column &&
            p->added.batch == p->to.batch)
        return 0;
    struct parameters parameters;
    struct abx_torch_operand operands[4];
    int32_t constants[4];
    struct abx_torch_launch l = launch_of(p, &parameters, operands, constants);
    l.function = "spread";
    constants[3] = core_each(p->columns, (size_t)p->columns * p->rows * p->batches);
    l.grid[0] = p->columns / (unsigned)constants[3];
    l.grid[1] = p->rows;
    l.grid[2] = p->batches;
    operands[1] = operands[2] = operands[3];
    return abx_torch_run(&l);
}

int abx_torch_multiply(const struct abx_torch_product *p)
{
    if (!p->rows || !p->columns || !p->batches)
        return 0;
    struct abx_torch_product turn = *p;
    if (p->to.column != 1 && p->to.row == 1) { /* the result's columns lie without gaps */
        turn.rows = p->columns;
        turn.columns = p->rows;
        turn.left = abx_torch_turned(p->right);
        turn.right = abx_torch_turned(p->left);
        turn.to = abx_torch_turned(p->to);
        turn.added = abx_torch_turned(p->added);
        p = &turn;
    }
    struct metal_product m;
    if (!p->inner || !abx_torch_is_float(p->type) || !abx_torch_is_float(p->to_type) ||
            !fill(&m, p))
        return multiply_any(p);
    int r = p->beta.f != 0 ? spread(p) : 0;
    const struct abx_torch_operand operands[] = {p->to.at, p->left.at, p->right.at};
    return r < 0 ? r : core_run_product(&m, operands, 3);
}
