/* torch: launches of the kernels for optimisers (kernels/optimiser.metal). */
#include "optimiser.h"
#include "elementwise.h"
#include "internal.h"

/* As kernels/optimiser.metal has them. */
struct parameters {
    float lr, decay, beta1, beta2, epsilon, momentum, dampening;
    uint32_t count;
};
#define EACH 16 /* elements of a thread, as it has it, too: powers are found once for them */
#define SIMD 32
enum { MAXIMIZES = 1, SCALED = 2, MAY_SKIP = 4, LR_IS_TENSOR = 8 };
enum { DECOUPLED = 16, AMSGRAD = 32 };
enum { MOMENTUM = 16, NESTEROV = 32, FIRST = 64 };

static int32_t flags_of(const struct abx_torch_optimiser *o)
{
    int32_t flags = (o->maximizes ? MAXIMIZES : 0) | (o->scale.block ? SCALED : 0) |
                    (o->found.block ? MAY_SKIP : 0) | (o->rate.block ? LR_IS_TENSOR : 0);
    if (o->is_adam)
        return flags | (o->decoupled ? DECOUPLED : 0) | (o->amsgrad ? AMSGRAD : 0);
    return flags | (o->first.block ? MOMENTUM : 0) | (o->nesterov ? NESTEROV : 0) |
           (o->is_first ? FIRST : 0);
}

int abx_torch_optimise(const struct abx_torch_optimiser *o)
{
    struct parameters p = {
            o->lr, o->decay, o->beta1, o->beta2, o->epsilon, o->momentum, o->dampening, o->count};
    int32_t constants[] = {o->type, o->gradient_type, flags_of(o)};
    struct abx_torch_operand operands[] = {o->weights, o->gradient, o->first, o->second, o->most,
            o->steps, o->rate, o->scale, o->found};
    const unsigned count = sizeof operands / sizeof *operands;
    for (unsigned i = 0; i < count; i++)
        if (!operands[i].block)
            operands[i] = o->weights;
    struct abx_torch_launch l = {.library = "optimiser",
            .function = o->is_adam ? "adam" : "descend",
            .constants = constants,
            .constant_count = 3,
            .parameters = &p,
            .parameter_size = sizeof p,
            .operands = operands,
            .operand_count = count,
            .grid = {(o->count + EACH * SIMD - 1) / (EACH * SIMD) * SIMD, 1, 1},
            .group = {SIMD, 1, 1}};
    return abx_torch_run(&l);
}

int abx_torch_unscale(struct abx_torch_operand gradient, int type, uint32_t count,
        struct abx_torch_operand found, struct abx_torch_operand by)
{
    int32_t constants[] = {type, type, 0};
    struct abx_torch_operand operands[] = {gradient, found, by};
    struct abx_torch_launch l = {.library = "optimiser",
            .function = "unscale",
            .constants = constants,
            .constant_count = 3,
            .operands = operands,
            .operand_count = 3,
            .grid = {count, 1, 1}};
    return abx_torch_run(&l);
}

int abx_torch_rescale(struct abx_torch_operand scale, struct abx_torch_operand tracker,
        struct abx_torch_operand found, double growth, double backoff, int32_t interval)
{
    struct {
        float growth, backoff;
        int32_t interval, reserved;
    } p = {(float)growth, (float)backoff, interval, 0};
    int32_t constants[] = {ABX_TORCH_F32, ABX_TORCH_F32, 0};
    struct abx_torch_operand operands[] = {scale, tracker, found};
    struct abx_torch_launch l = {.library = "optimiser",
            .function = "rescale",
            .constants = constants,
            .constant_count = 3,
            .parameters = &p,
            .parameter_size = sizeof p,
            .operands = operands,
            .operand_count = 3,
            .grid = {1, 1, 1}};
    return abx_torch_run(&l);
}
