/* torch: launches of the kernel that draws numbers (kernels/random.metal). */
#include "random.h"

int abx_torch_draw_numbers(const struct abx_torch_draw *d)
{
    struct {
        uint64_t key, count;
        float a, b;
        int64_t from;
        uint64_t range;
    } p = {d->key, d->count, (float)d->a, (float)d->b, d->from, d->range};
    int32_t constants[] = {d->type, d->kind};
    struct abx_torch_launch l = {.library = "random",
            .function = "draw",
            .constants = constants,
            .constant_count = 2,
            .parameters = &p,
            .parameter_size = sizeof p,
            .operands = &d->to,
            .operand_count = 1,
            .grid = {(d->count + 3) / 4, 1, 1}};
    return abx_torch_run(&l);
}
