/* torch: launches of the kernels made from ops.toml's formulas (kernels/elementwise.metal). */
#include "elementwise.h"

#include <string.h>

/* As kernels/elementwise.metal has it. */
struct parameters {
    uint32_t size[8];
    int64_t stride[5][8];
    float f[4];
    int64_t i[4];
    float number_f[5];
    int64_t number_i[5];
};

static int size_of(int type)
{
    switch (type) {
    case ABX_TORCH_I64:
        return 8;
    case ABX_TORCH_I32:
    case ABX_TORCH_F32:
        return 4;
    case ABX_TORCH_I16:
    case ABX_TORCH_F16:
    case ABX_TORCH_BF16:
        return 2;
    case ABX_TORCH_U8:
    case ABX_TORCH_I8:
    case ABX_TORCH_BOOL:
        return 1;
    default:
        return 0;
    }
}

bool abx_torch_knows_type(int type)
{
    return size_of(type);
}

bool abx_torch_is_float(int type)
{
    return type == ABX_TORCH_F16 || type == ABX_TORCH_F32 || type == ABX_TORCH_BF16;
}

static int shape_of(const struct abx_torch_elementwise *e)
{
    int shape = (int)e->dims;
    for (unsigned i = 0; i < e->count; i++) {
        int64_t inner = e->dims ? e->operands[i].stride[0] : 0;
        if (inner == 0 || e->operands[i].type == ABX_TORCH_NUMBER)
            shape |= 1 << (16 + i);
        else if (inner == size_of(e->operands[i].type))
            shape |= 1 << (8 + i);
    }
    return shape;
}

static void fill(struct parameters *p, const struct abx_torch_elementwise *e)
{
    memcpy(p->size, e->size, sizeof p->size);
    for (unsigned i = 0; i < e->count; i++) {
        memcpy(p->stride[i], e->operands[i].stride, sizeof p->stride[i]);
        p->number_f[i] = (float)e->operands[i].number.f;
        p->number_i[i] = e->operands[i].number.i;
    }
    for (unsigned i = 0; i < ABX_TORCH_ELEMENTWISE_SCALARS; i++) {
        p->f[i] = (float)e->scalars[i].f;
        p->i[i] = e->scalars[i].i;
    }
}

int abx_torch_run_elementwise(const struct abx_torch_elementwise *e)
{
    struct parameters p = {0};
    struct abx_torch_operand operands[ABX_TORCH_ELEMENTWISE_OPERANDS];
    int32_t constants[7] = {0};
    fill(&p, e);
    for (unsigned i = 0; i < e->count; i++) {
        operands[i] = e->operands[i].at;
        constants[i] = e->operands[i].type;
    }
    constants[5] = e->common;
    constants[6] = shape_of(e);
    struct abx_torch_launch l = {.library = e->library,
            .function = abx_torch_is_float(e->common) ? "run_float"
                        : e->common == ABX_TORCH_I64  ? "run_long"
                                                      : "run_int",
            .constants = constants,
            .constant_count = 7,
            .parameters = &p,
            .parameter_size = sizeof p,
            .operands = operands,
            .operand_count = e->count,
            .grid = {1, 1, 1}};
    for (unsigned d = 0; d < e->dims; d++)
        l.grid[d < 2 ? d : 2] *= e->size[d];
    return abx_torch_run(&l);
}
