/* torch: launches of the kernels for Fourier transforms (kernels/spectrum.metal). */
#include "spectrum.h"
#include "internal.h"

#include <errno.h>

#define LARGEST_RADIX 13 /* larger prime factors go through a convolution */
#define MOST_RADICES 32
#define LINE 2048      /* elements of a line that a SIMD-group keeps, and its passes */
#define LINE_RADICES 8 /* as kernels/spectrum.metal has them */
#define SIMD 32

/* As kernels/spectrum.metal has it. */
struct parameters {
    uint32_t count, product, inner, padded;
    float scale, sign;
    uint32_t table, across, radix[MOST_RADICES];
};

static int run_in_groups(const char *function, const struct parameters *p,
        const int32_t constants[6], const struct abx_torch_operand *operands, unsigned count,
        const size_t grid[3], size_t group)
{
    struct abx_torch_launch l = {.library = "spectrum",
            .function = function,
            .constants = constants,
            .constant_count = 6,
            .parameters = p,
            .parameter_size = sizeof *p,
            .operands = operands,
            .operand_count = count,
            .grid = {grid[0], grid[1], grid[2]},
            .group = {group, 1, 1}};
    return abx_torch_run(&l);
}

static int run(const char *function, const struct parameters *p, int source, int32_t result,
        const struct abx_torch_operand *operands, unsigned operand_count, uint64_t width,
        uint64_t height)
{
    int32_t constants[6] = {1, source, result, p->inner > 1};
    size_t grid[3] = {width, height, 1};
    return run_in_groups(function, p, constants, operands, operand_count, grid, 0);
}

/* How many radices the count has; 0 when one would be too large. */
static unsigned factor(uint32_t count, uint32_t radices[MOST_RADICES])
{
    unsigned n = 0;
    for (; count % 4 == 0; count /= 4)
        radices[n++] = 4;
    for (unsigned r = 2; r <= LARGEST_RADIX; r++)
        for (; count % r == 0; count /= r)
            radices[n++] = r;
    if (n == 0)
        radices[n++] = 1;
    return count == 1 ? n : 0;
}

static struct abx_torch_operand memory_of(struct abx_torch_block *block)
{
    return (struct abx_torch_operand){block, 0};
}

/* ---- in passes */

struct passes {
    const struct abx_torch_spectrum *s;
    struct parameters p;
    unsigned count;
    struct abx_torch_block *table;
};

/* Elements of the table that a pass has, as kernels/spectrum.metal has them. */
static uint32_t table_of(uint32_t product, uint32_t radix)
{
    return product * (radix - 1) + radix;
}

static int make_table(struct passes *f)
{
    uint32_t product = 1, size = 0;
    for (unsigned i = 0; i < f->count; product *= f->p.radix[i++])
        size += table_of(product, f->p.radix[i]);
    f->table = abx_torch_allocate((size_t)size * 8);
    struct abx_torch_operand table = memory_of(f->table);
    return f->table ? run("roots", &f->p, 0, 0, &table, 1, size, 1) : -ENOMEM;
}

static int32_t result_of(const struct abx_torch_spectrum *s)
{
    return s->is_real ? 1 : s->is_half ? 2 : 0;
}

/* A whole line for a SIMD-group of a processor. */
static int run_lines(struct passes *f)
{
    const struct abx_torch_spectrum *s = f->s;
    uint32_t radices = 0;
    for (unsigned i = 0; i < f->count; i++)
        radices |= f->p.radix[i] << 4 * i;
    int32_t constants[6] = {1, (int32_t)s->source, result_of(s), (int32_t)radices};
    struct abx_torch_operand operands[] = {s->to, s->from, memory_of(f->table)};
    size_t grid[3] = {(size_t)s->outer * SIMD, 1, 1};
    f->p.scale = (float)s->scale;
    return run_in_groups("line", &f->p, constants, operands, 3, grid, SIMD);
}

static int run_pass(struct passes *f, unsigned i, const struct abx_torch_operand *operands)
{
    const struct abx_torch_spectrum *s = f->s;
    uint32_t radix = f->p.radix[i], product = f->p.product, part = s->count / radix;
    bool one = s->inner == 1 && product >= SIMD; /* x: one of the product, y: which of them */
    f->p.across = s->inner > 1 ? s->inner : one ? product : part;
    int32_t constants[6] = {(int32_t)radix, i ? ABX_TORCH_COMPLEX : (int32_t)s->source,
            i + 1 == f->count ? result_of(s) : 0, s->inner > 1,
            s->inner == 1 && !one ? (int32_t)product : 0, f->p.across % SIMD != 0};
    size_t grid[3] = {(f->p.across + SIMD - 1) / SIMD * SIMD,
            s->inner > 1 ? part
            : one        ? part / product
                         : 1,
            s->outer};
    return run_in_groups("pass", &f->p, constants, operands, 3, grid, 0);
}

/* From one piece of memory to another; the last goes to `to`. */
static int run_passes(struct passes *f)
{
    const struct abx_torch_spectrum *s = f->s;
    struct abx_torch_block *between[2] = {NULL, NULL};
    size_t size = (size_t)s->outer * s->count * s->inner * 8;
    int r = 0;
    for (unsigned i = 0; i < 2 && i + 1 < f->count; i++)
        if (!(between[i] = abx_torch_allocate(size)))
            r = -ENOMEM;
    struct abx_torch_operand from = s->from;
    for (unsigned i = 0; i < f->count && r == 0; i++) {
        bool last = i + 1 == f->count;
        struct abx_torch_operand to = last ? s->to : memory_of(between[i % 2]);
        f->p.scale = last ? (float)s->scale : 1;
        r = run_pass(f, i, (struct abx_torch_operand[]){to, from, memory_of(f->table)});
        f->p.table += table_of(f->p.product, f->p.radix[i]);
        f->p.product *= f->p.radix[i];
        from = to;
    }
    for (unsigned i = 0; i < 2; i++)
        if (between[i])
            abx_torch_free(between[i]);
    return r;
}

static int transform(struct passes *f)
{
    const struct abx_torch_spectrum *s = f->s;
    f->p.count = s->count;
    f->p.product = 1;
    f->p.inner = s->inner;
    f->p.sign = s->forward ? -1.0f : 1.0f;
    int r = make_table(f);
    bool lines = core.shares_memory && s->inner == 1 && s->count > 1 && s->count <= LINE &&
                 f->count <= LINE_RADICES;
    if (r == 0)
        r = lines ? run_lines(f) : run_passes(f);
    if (f->table)
        abx_torch_free(f->table);
    return r;
}

/* ---- by a convolution */

enum { PADDED, OTHER, FILTER, FILTER_MADE, CHIRP, WORK };

static int transform_padded(uint32_t outer, uint32_t count, uint32_t inner, bool forward,
        struct abx_torch_block *to, struct abx_torch_block *from)
{
    struct abx_torch_spectrum s = {.outer = outer,
            .count = count,
            .inner = inner,
            .forward = forward,
            .scale = forward ? 1 : 1.0 / count,
            .to = memory_of(to),
            .from = memory_of(from)};
    return abx_torch_transform(&s);
}

static int take_work(
        const struct abx_torch_spectrum *s, uint32_t padded, struct abx_torch_block *work[WORK])
{
    size_t lines = (size_t)s->outer * s->inner;
    size_t elements[WORK] = {lines * padded, lines * padded, padded, padded, s->count};
    for (unsigned i = 0; i < WORK; i++)
        if (!(work[i] = abx_torch_allocate(elements[i] * 8)))
            return -ENOMEM;
    return 0;
}

static int make_filter(const struct parameters *p, struct abx_torch_block *work[WORK])
{
    struct abx_torch_operand chirp = memory_of(work[CHIRP]), filter = memory_of(work[FILTER]);
    struct parameters one = *p;
    one.inner = 1;
    int r = run("chirp", &one, 0, 0, &chirp, 1, p->count, 1);
    if (r == 0)
        r = run("chirp_filter", &one, 0, 0, (struct abx_torch_operand[]){filter, chirp}, 2,
                p->padded, 1);
    return r < 0 ? r : transform_padded(1, p->padded, 1, true, work[FILTER_MADE], work[FILTER]);
}

/* Bluestein's: a convolution of the power of two that holds the count twice. */
static int convolve(const struct abx_torch_spectrum *s, struct abx_torch_block *work[WORK])
{
    struct parameters p = {.count = s->count,
            .inner = s->inner,
            .padded = 1,
            .scale = (float)s->scale,
            .sign = s->forward ? -1.0f : 1.0f};
    while (p.padded < 2 * s->count - 1)
        p.padded *= 2;
    int r = take_work(s, p.padded, work);
    if (r < 0)
        return r;
    struct abx_torch_operand a = memory_of(work[PADDED]), b = memory_of(work[OTHER]);
    struct abx_torch_operand by = memory_of(work[FILTER_MADE]), chirp = memory_of(work[CHIRP]);
    uint64_t width = (uint64_t)p.padded * s->inner;
    r = make_filter(&p, work);
    if (r == 0)
        r = run("chirp_in", &p, (int)s->source, 0, (struct abx_torch_operand[]){a, s->from, chirp},
                3, width, s->outer);
    if (r == 0)
        r = transform_padded(s->outer, p.padded, s->inner, true, work[OTHER], work[PADDED]);
    if (r == 0)
        r = run("filter", &p, 0, 0, (struct abx_torch_operand[]){b, by}, 2, width, s->outer);
    if (r == 0)
        r = transform_padded(s->outer, p.padded, s->inner, false, work[PADDED], work[OTHER]);
    return r == 0 ? run("chirp_out", &p, 0, result_of(s),
                            (struct abx_torch_operand[]){s->to, a, chirp}, 3,
                            (uint64_t)s->count * s->inner, s->outer)
                  : r;
}

int abx_torch_transform(const struct abx_torch_spectrum *s)
{
    struct passes f = {.s = s};
    f.count = factor(s->count, f.p.radix);
    if (f.count)
        return transform(&f);
    struct abx_torch_block *work[WORK] = {NULL};
    int r = convolve(s, work);
    for (unsigned i = 0; i < WORK; i++)
        if (work[i])
            abx_torch_free(work[i]);
    return r;
}
