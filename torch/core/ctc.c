/* torch: launches of the kernels of kernels/ctc.metal. */
#include "ctc.h"
#include "elementwise.h"
#include "internal.h"

#define SIMD 32

static int run(const struct abx_torch_ctc *c, const char *function,
        const struct abx_torch_operand *operands, unsigned count)
{
    struct {
        uint32_t times, batch, classes, width;
        int32_t blank, zero_infinity;
    } p = {c->times, c->batch, c->classes, c->width, c->blank, c->zero_infinity};
    int32_t constants[] = {ABX_TORCH_F32, c->target_type};
    struct abx_torch_launch l = {.library = "ctc",
            .function = function,
            .constants = constants,
            .constant_count = 2,
            .parameters = &p,
            .parameter_size = sizeof p,
            .operands = operands,
            .operand_count = count,
            .grid = {(size_t)c->batch * SIMD, 1, 1},
            .group = {SIMD, 1, 1}};
    return abx_torch_run(&l);
}

int abx_torch_run_ctc(const struct abx_torch_ctc *c)
{
    struct abx_torch_operand operands[] = {c->loss, c->alpha, c->logs, c->targets, c->lengths};
    return run(c, "forward", operands, 5);
}

int abx_torch_run_ctc_backward(const struct abx_torch_ctc *c)
{
    struct abx_torch_operand operands[] = {c->to, c->beta, c->links, c->logs, c->targets,
            c->lengths, c->alpha, c->loss, c->gradient};
    return run(c, "backward", operands, 9);
}
