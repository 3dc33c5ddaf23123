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

static struct abx_torch_launch launch_of(const struct abx_torch_product *p,
        struct parameters *parameters, struct abx_torch_operand *operands, int32_t *constants)
{
    *parameters = (struct parameters){p->rows, p->columns, p->inner, p->split, p->left_outer,
            p->right_outer, .alpha = (float)p->alpha.f, .beta = (float)p->beta.f,
            .alpha_i = p->alpha.i, .beta_i = p->beta.i};
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
    constants[2] = p->split != 0;
    constants[3] = p->to_type;
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

/* Whether the rows or, with `turned`, the columns of floats lie without gaps. */
static bool lies_whole(const struct abx_torch_matrix *m, bool *turned)
{
    *turned = m->column != 1;
    return m->column == 1 || m->row == 1;
}

static struct abx_torch_matrix part_of(struct abx_torch_matrix m, uint32_t row, uint32_t column)
{
    if (m.at.block)
        m.at.data = (float *)m.at.data + row * m.row + column * m.column;
    return m;
}

/* What whole tiles leave at the right and below. */
static int multiply_rest(const struct abx_torch_product *p, uint32_t rows, uint32_t columns)
{
    struct abx_torch_product right = *p, below = *p;
    right.columns = p->columns - columns;
    right.rows = rows;
    right.to = part_of(p->to, 0, columns);
    right.right = part_of(p->right, 0, columns);
    right.added = part_of(p->added, 0, columns);
    below.rows = p->rows - rows;
    below.to = part_of(p->to, rows, 0);
    below.left = part_of(p->left, rows, 0);
    below.added = part_of(p->added, rows, 0);
    int r = multiply_any(&right);
    return r < 0 ? r : multiply_any(&below);
}

/* What whole steps leave of the inner side is added to the result. */
static int multiply_last_steps(const struct abx_torch_product *p, uint32_t done)
{
    struct abx_torch_product last = *p;
    if (done == p->inner)
        return 0;
    last.inner = p->inner - done;
    last.left = part_of(p->left, 0, done);
    last.right = part_of(p->right, done, 0);
    last.added = p->to;
    last.beta = (struct abx_torch_number){1, 1};
    return multiply_any(&last);
}

int abx_torch_multiply(const struct abx_torch_product *p)
{
    bool left_turned = false, right_turned = false;
    struct abx_torch_product steps = *p;
    steps.inner -= steps.inner % 8;
    struct abx_torch_product whole = steps;
    whole.rows -= whole.rows % TILE_ROWS;
    whole.columns -= whole.columns % TILE_COLUMNS;
    if (p->type != ABX_TORCH_F32 || p->to_type != ABX_TORCH_F32 || p->split || !whole.inner ||
            !whole.rows || !whole.columns || !lies_whole(&p->left, &left_turned) ||
            !lies_whole(&p->right, &right_turned))
        return multiply_any(p);
    struct parameters parameters;
    struct abx_torch_operand operands[4];
    int32_t constants[4];
    struct abx_torch_launch l = launch_of(&whole, &parameters, operands, constants);
    constants[2] = right_turned | left_turned << 1;
    l.function = "multiply_whole";
    set_tiles(&l, &whole);
    int r = abx_torch_run(&l);
    if (r == 0)
        r = multiply_rest(&steps, whole.rows, whole.columns);
    return r < 0 ? r : multiply_last_steps(p, steps.inner);
}
