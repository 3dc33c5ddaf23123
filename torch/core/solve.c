/* torch: launches of the kernels for systems of linear equations (kernels/solve.metal). */
#include "solve.h"
#include "internal.h"

#define SIMD 32

/* As kernels/solve.metal has it. */
struct parameters {
    int64_t a[3], b[3];
    uint32_t rows, columns, begin, end, pivots, offset, is_upper, is_unit;
};

static void set(int64_t *strides, const struct abx_torch_matrix *m)
{
    strides[0] = m->batch;
    strides[1] = m->row;
    strides[2] = m->column;
}

static int run(const char *function, const struct parameters *p,
        const struct abx_torch_operand *operands, unsigned count, size_t width, size_t height,
        size_t group)
{
    struct abx_torch_launch l = {.library = "solve",
            .function = function,
            .parameters = p,
            .parameter_size = sizeof *p,
            .operands = operands,
            .operand_count = count,
            .grid = {width, height, 1}};
    if (group) {
        l.group[0] = group;
        l.group[1] = l.group[2] = 1;
    }
    return abx_torch_run(&l);
}

int abx_torch_run_factor(const struct abx_torch_factor *f)
{
    struct parameters p = {.rows = f->rows,
            .columns = f->columns,
            .begin = f->begin,
            .end = f->end,
            .pivots = f->rows < f->columns ? f->rows : f->columns};
    set(p.a, &f->a);
    struct abx_torch_operand operands[] = {f->a.at, f->pivots, f->info};
    return run("factor", &p, operands, 3, (size_t)f->batches * SIMD, 1, SIMD);
}

int abx_torch_run_factor_symmetric(const struct abx_torch_factor *f)
{
    struct parameters p = {.rows = f->rows, .columns = f->rows, .offset = f->offset};
    set(p.a, &f->a);
    struct abx_torch_operand operands[] = {f->a.at, f->info};
    return run("factor_symmetric", &p, operands, 2, (size_t)f->batches * SIMD, 1, SIMD);
}

int abx_torch_run_invert(const struct abx_torch_factor *f)
{
    struct parameters p = {.rows = f->rows, .columns = f->rows};
    set(p.a, &f->a);
    struct abx_torch_operand operands[] = {f->a.at, f->info};
    return run("invert", &p, operands, 2, (size_t)f->batches * SIMD, 1, SIMD);
}

int abx_torch_run_solve(const struct abx_torch_solve *s)
{
    struct parameters p = {
            .rows = s->rows, .columns = s->columns, .is_upper = s->is_upper, .is_unit = s->is_unit};
    set(p.a, &s->a);
    set(p.b, &s->b);
    struct abx_torch_operand operands[] = {s->b.at, s->a.at};
    return run("solve", &p, operands, 2, s->columns, s->batches, 0);
}

int abx_torch_exchange(
        const struct abx_torch_solve *s, struct abx_torch_operand pivots, uint32_t count, bool back)
{
    struct parameters p = {
            .rows = s->rows, .columns = s->columns, .pivots = count, .is_upper = back};
    set(p.b, &s->b);
    struct abx_torch_operand operands[] = {s->b.at, pivots};
    return run("exchange", &p, operands, 2, s->columns, s->batches, 0);
}
