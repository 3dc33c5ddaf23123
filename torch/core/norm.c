/* torch: launches of the kernels that normalise (kernels/norm.metal). */
#include "internal.h"
#include "norm.h"

struct parameters {
    uint32_t rows, count, inner, reserved;
    int64_t row, outer;
    uint32_t weight_rows, weight_step, weight_inner, weight_reserved;
    float epsilon, momentum, correction, reserved_f;
};

/* Metal wants something bound wherever a kernel has a buffer. */
static void bind_all(struct abx_torch_operand *operands, unsigned count)
{
    for (unsigned i = 1; i < count; i++)
        if (!operands[i].block)
            operands[i] = operands[0];
}

/* `group`: threads for each of `groups`, or 0 for one. A grid of its own: `each` elements a thread.
 */
static int launch_each(const struct abx_torch_norm *n, const char *function, int has,
        const size_t grid[3], size_t group, int each, struct abx_torch_operand *operands,
        unsigned count)
{
    struct parameters p = {n->rows, n->count, n->inner, 0, n->row, n->outer, n->weight_rows,
            n->weight_step, n->weight_inner, 0, n->epsilon, n->momentum, n->correction, 0};
    int rows = (n->inner == n->count) | (n->weight_rows == 1 && n->weight_inner == 1 ? 2 : 0) |
               (n->weight_inner == n->count ? 4 : 0) |
               (n->inner != n->count && n->inner >= n->count / n->inner ? 8 : 0);
    int32_t constants[] = {n->type, n->mean_type, n->weight_type, has, rows, each, 0, (int)group};
    bind_all(operands, count);
    struct abx_torch_launch l = {.library = "norm",
            .function = function,
            .constants = constants,
            .constant_count = 8,
            .parameters = &p,
            .parameter_size = sizeof p,
            .operands = operands,
            .operand_count = count,
            .grid = {grid[0], grid[1], grid[2]},
            .group = {group, 1, 1}};
    return abx_torch_run(&l);
}

static int launch(const struct abx_torch_norm *n, const char *function, int has, size_t groups,
        size_t group, struct abx_torch_operand *operands, unsigned count)
{
    const size_t grid[3] = {group ? groups * group : groups, 1, 1};
    return launch_each(n, function, has, grid, group, 1, operands, count);
}

static int has_of(const struct abx_torch_norm *n)
{
    return (n->weight.block ? 1 : 0) | (n->bias.block ? 2 : 0) |
           (n->running_mean.block && !n->given ? 4 : 0) | (n->given ? 8 : 0);
}

int abx_torch_normalise(const struct abx_torch_norm *n)
{
    struct abx_torch_operand operands[] = {n->to, n->mean, n->deviation, n->from, n->weight,
            n->bias, n->running_mean, n->running_variance};
    if (n->given && n->weight_inner == n->count && !core.shares_memory) {
        int each = core_each(n->inner, (size_t)n->rows * n->count);
        const size_t grid[3] = {n->inner / (unsigned)each, n->rows, n->count / n->inner};
        return launch_each(n, "apply", has_of(n), grid, 0, each, operands, 8);
    }
    return launch(
            n, "normalise", has_of(n), n->rows, core_row_threads(n->rows, n->count), operands, 8);
}

int abx_torch_spread(const struct abx_torch_norm *n)
{
    struct abx_torch_operand operands[] = {n->to, n->mean, n->from};
    return launch(n, "spread", n->root, n->rows, core_row_threads(n->rows, n->count), operands, 3);
}

int abx_torch_normalise_input(const struct abx_torch_norm *n)
{
    struct abx_torch_operand operands[] = {
            n->to, n->gradient, n->from, n->mean, n->deviation, n->weight};
    return launch(
            n, "of_input", has_of(n), n->rows, core_row_threads(n->rows, n->count), operands, 6);
}

int abx_torch_normalise_weight(const struct abx_torch_norm *n)
{
    struct abx_torch_operand operands[] = {n->weight.block ? n->weight : n->bias, n->bias,
            n->gradient, n->from, n->mean, n->deviation};
    bool once = n->inner == n->count && n->weight_rows == 1 && n->weight_inner == 1;
    return launch(n, once ? "of_weights" : "of_weight", has_of(n), n->weights,
            once ? 0
                 : core_row_threads(
                           n->weights, n->weight_inner == n->count ? n->count : n->weight_inner),
            operands, 6);
}
