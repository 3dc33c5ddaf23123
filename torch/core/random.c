/* torch: launches of the kernels that draw numbers (kernels/random.metal). */
#include "random.h"

static int run(const struct abx_torch_draw *d, const char *function,
        const struct abx_torch_operand *operands, unsigned count, size_t threads)
{
    struct {
        uint64_t key, count;
        float a, b;
        int64_t from;
        uint64_t range;
    } p = {d->key, d->count, (float)d->a, (float)d->b, d->from, d->range};
    int32_t constants[] = {d->type, d->kind};
    struct abx_torch_launch l = {.library = "random",
            .function = function,
            .constants = constants,
            .constant_count = 2,
            .parameters = &p,
            .parameter_size = sizeof p,
            .operands = operands,
            .operand_count = count,
            .grid = {threads, 1, 1}};
    return abx_torch_run(&l);
}

int abx_torch_draw_numbers(const struct abx_torch_draw *d)
{
    return run(d, "draw", &d->to, 1, (d->count + 3) / 4);
}

int abx_torch_draw_counts(const struct abx_torch_draw *d, struct abx_torch_operand rates)
{
    struct abx_torch_operand operands[] = {d->to, rates};
    return run(d, "count_events", operands, 2, d->count);
}
