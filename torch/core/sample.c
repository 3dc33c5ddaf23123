/* torch: launches of the kernels of kernels/sample.metal. */
#include "sample.h"
#include "internal.h"

#include <string.h>

static int run(const struct abx_torch_sample *s, const char *function, int wants,
        const struct abx_torch_operand *operands, unsigned count)
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
            .grid = {(size_t)s->out[2], (size_t)s->out[1] * (size_t)s->out[0], (size_t)s->images}};
    return abx_torch_run(&l);
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
