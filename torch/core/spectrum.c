/* torch: launches of the kernels for Fourier transforms (kernels/spectrum.metal). */
#include "spectrum.h"
#include "internal.h"

#include <errno.h>

#define LARGEST_RADIX 13 /* larger prime factors go through a convolution */

/* As kernels/spectrum.metal has it. */
struct parameters {
    uint32_t count, product, inner, padded;
    float scale, sign;
};

static int run(const char *function, const struct parameters *p, unsigned radix, int source,
        bool is_real, const struct abx_torch_operand *operands, unsigned operand_count,
        uint64_t width, uint64_t height)
{
    int32_t constants[] = {(int32_t)radix, source, is_real};
    struct abx_torch_launch l = {.library = "spectrum",
            .function = function,
            .constants = constants,
            .constant_count = 3,
            .parameters = p,
            .parameter_size = sizeof *p,
            .operands = operands,
            .operand_count = operand_count,
            .grid = {width, height, 1}};
    return abx_torch_run(&l);
}

/* How many radices the count has; 0 when one would be too large. */
static unsigned factor(uint32_t count, unsigned radices[32])
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

/* A pass for each radix, from one piece of memory to another; the last goes to `to`. */
static int run_passes(const struct abx_torch_spectrum *s, const unsigned *radices, unsigned count)
{
    struct parameters p = {s->count, 1, s->inner, 0, 1, s->forward ? -1.0f : 1.0f};
    struct abx_torch_block *between[2] = {NULL, NULL},
                           *roots = abx_torch_allocate((size_t)s->count * 8);
    size_t size = (size_t)s->outer * s->count * s->inner * 8;
    int r = -ENOMEM;
    if (roots)
        r = run("roots", &p, 1, 0, false, (struct abx_torch_operand[]){memory_of(roots)}, 1,
                s->count, 1);
    for (unsigned i = 0; i < 2 && i + 1 < count; i++)
        if (!(between[i] = abx_torch_allocate(size)))
            r = -ENOMEM;
    struct abx_torch_operand from = s->from;
    for (unsigned i = 0; i < count && r == 0; i++) {
        bool last = i + 1 == count;
        struct abx_torch_operand to = last ? s->to : memory_of(between[i % 2]);
        p.scale = last ? (float)s->scale : 1;
        r = run("pass", &p, radices[i], i ? ABX_TORCH_COMPLEX : (int)s->source, last && s->is_real,
                (struct abx_torch_operand[]){to, from, memory_of(roots)}, 3,
                (uint64_t)s->count / radices[i] * s->inner, s->outer);
        p.product *= radices[i];
        from = to;
    }
    for (unsigned i = 0; i < 2; i++)
        if (between[i])
            abx_torch_free(between[i]);
    if (roots)
        abx_torch_free(roots);
    return r;
}

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

/* Bluestein's: a convolution of the power of two that holds the count twice. */
static int convolve(const struct abx_torch_spectrum *s, struct abx_torch_block *work[4])
{
    struct parameters p = {s->count, 0, s->inner, 1, (float)s->scale, s->forward ? -1.0f : 1.0f};
    while (p.padded < 2 * s->count - 1)
        p.padded *= 2;
    size_t lines = (size_t)s->outer * s->inner, size = lines * p.padded * 8;
    for (unsigned i = 0; i < 4; i++)
        if (!(work[i] = abx_torch_allocate(i < 2 ? size : (size_t)p.padded * 8)))
            return -ENOMEM;
    struct abx_torch_operand a = memory_of(work[0]), b = memory_of(work[1]);
    struct abx_torch_operand filter = memory_of(work[2]), by = memory_of(work[3]);
    uint64_t width = (uint64_t)p.padded * s->inner;
    int r = run("chirp_in", &p, 1, (int)s->source, false, (struct abx_torch_operand[]){a, s->from},
            2, width, s->outer);
    if (r == 0)
        r = run("chirp_filter", &p, 1, 0, false, &filter, 1, p.padded, 1);
    if (r == 0)
        r = transform_padded(1, p.padded, 1, true, work[3], work[2]);
    if (r == 0)
        r = transform_padded(s->outer, p.padded, s->inner, true, work[1], work[0]);
    if (r == 0)
        r = run("filter", &p, 1, 0, false, (struct abx_torch_operand[]){b, by}, 2, width, s->outer);
    if (r == 0)
        r = transform_padded(s->outer, p.padded, s->inner, false, work[0], work[1]);
    return r == 0 ? run("chirp_out", &p, 1, 0, s->is_real, (struct abx_torch_operand[]){s->to, a},
                            2, (uint64_t)s->count * s->inner, s->outer)
                  : r;
}

int abx_torch_transform(const struct abx_torch_spectrum *s)
{
    unsigned radices[32], count = factor(s->count, radices);
    if (count)
        return run_passes(s, radices, count);
    struct abx_torch_block *work[4] = {NULL};
    int r = convolve(s, work);
    for (unsigned i = 0; i < 4; i++)
        if (work[i])
            abx_torch_free(work[i]);
    return r;
}
