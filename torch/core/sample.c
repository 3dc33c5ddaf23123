/* torch: launches of the kernels of kernels/sample.metal. */
#include "sample.h"
#include "internal.h"

#include <string.h>

static int run_over(const struct abx_torch_sample *s, const char *function, int wants,
        const struct abx_torch_operand *operands, unsigned count, const size_t grid[3])
{
    struct {
        int32_t channels, reserved, in[3], out[3];
    } p = {.channels = s->channels};
    memcpy(p.in, s->in, sizeof p.in);
    memcpy(p.out, s->out, sizeof p.out);
    int32_t constants[] = {s->type, s->dims, s->mode, s->padding, s->aligned, wants};
    struct abx_torch_launch l = {.library = "sample",
            .function = function,
            .constants = constants,
            .constant_count = 6,
            .parameters = &p,
            .parameter_size = sizeof p,
            .operands = operands,
            .operand_count = count,
            .grid = {grid[0], grid[1], grid[2]}};
    return abx_torch_run(&l);
}

/* A thread for each place. */
static int run(const struct abx_torch_sample *s, const char *function, int wants,
        const struct abx_torch_operand *operands, unsigned count)
{
    size_t grid[3] = {(size_t)s->out[2], (size_t)s->out[1] * (size_t)s->out[0], (size_t)s->images};
    return run_over(s, function, wants, operands, count, grid);
}

int abx_torch_run_sample(const struct abx_torch_sample *s)
{
    struct abx_torch_operand operands[] = {s->to, s->from, s->grid};
    return run(s, "sample", 0, operands, 3);
}

int abx_torch_run_sample_backward(const struct abx_torch_sample *s)
{
    int wants = (s->to.block ? 1 : 0) | (s->to_grid.block ? 2 : 0);
    struct abx_torch_operand operands[] = {s->to.block ? s->to : s->gradient,
            s->to_grid.block ? s->to_grid : s->gradient, s->gradient, s->from, s->grid};
    return run(s, "sample_backward", wants, operands, 5);
}

#define FEW 8 /* channels of all images that leave too little to share out */

bool abx_torch_spreads(const struct abx_torch_sample *s)
{
    return core.shares_memory && (int64_t)s->images * s->channels >= FEW;
}

int abx_torch_spread_samples(const struct abx_torch_sample *s)
{
    struct abx_torch_operand operands[] = {s->to, s->gradient, s->grid};
    size_t grid[3] = {(size_t)s->channels, (size_t)s->images, 1};
    return run_over(s, "spread", 1, operands, 3, grid);
}

static int run_windows(
        const struct abx_torch_windows *w, const char *function, size_t width, size_t height)
{
    int32_t p[] = {w->channels, w->height, w->width, w->out_height, w->out_width, w->kernel_size[0],
            w->kernel_size[1], w->stride[0], w->stride[1], w->padding[0], w->padding[1],
            w->dilation[0], w->dilation[1]};
    int32_t constants[6] = {w->type};
    struct abx_torch_operand operands[] = {w->to, w->from};
    struct abx_torch_launch l = {.library = "sample",
            .function = function,
            .constants = constants,
            .constant_count = 6,
            .parameters = p,
            .parameter_size = sizeof p,
            .operands = operands,
            .operand_count = 2,
            .grid = {width, height, (size_t)w->images}};
    return abx_torch_run(&l);
}

int abx_torch_unfold(const struct abx_torch_windows *w)
{
    return run_windows(w, "unfold", (size_t)w->out_height * (size_t)w->out_width,
            (size_t)w->channels * (size_t)w->kernel_size[0] * (size_t)w->kernel_size[1]);
}

int abx_torch_fold(const struct abx_torch_windows *w)
{
    return run_windows(w, "fold", (size_t)w->width, (size_t)w->channels * (size_t)w->height);
}
