/* torch: launches of the kernels made from ops.toml's formulas (kernels/elementwise.metal). */
#include "elementwise.h"
#include "internal.h"

#include <stdlib.h>
#include <string.h>

/* As kernels/elementwise.metal has it. */
struct parameters {
    uint32_t size[8];
    int64_t stride[5][8];
    float f[4];
    int64_t i[4];
    float number_f[5];
    int64_t number_i[5];
    float imaginary[4], number_imaginary[5];
};

int64_t core_size_of(int type)
{
    switch (type) {
    case ABX_TORCH_I64:
    case ABX_TORCH_C64:
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
    return core_size_of(type) != 0 && type != ABX_TORCH_C64;
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
        else if (inner == core_size_of(e->operands[i].type))
            shape |= 1 << (8 + i);
    }
    return shape;
}

/* A side of what a threadgroup takes of tensors that lie across each other: as many as have what
 * they share a cache line with taken by the same threadgroup. */
#define TURNED_SIDE 32

static bool is_turned(const struct abx_torch_elementwise *e)
{
    bool turned = false;
    for (unsigned i = 0; i < e->count && e->dims >= 2; i++) {
        const int64_t *s = e->operands[i].stride;
        turned |= e->operands[i].type != ABX_TORCH_NUMBER && s[1] && llabs(s[0]) > llabs(s[1]);
    }
    return turned && e->size[0] >= TURNED_SIDE && e->size[1] >= TURNED_SIDE;
}

static void fill(struct parameters *p, const struct abx_torch_elementwise *e)
{
    memcpy(p->size, e->size, sizeof p->size);
    for (unsigned i = 0; i < e->count; i++) {
        memcpy(p->stride[i], e->operands[i].stride, sizeof p->stride[i]);
        p->number_f[i] = (float)e->operands[i].number.f;
        p->number_i[i] = e->operands[i].number.i;
        p->number_imaginary[i] = (float)e->operands[i].number.imaginary;
    }
    for (unsigned i = 0; i < ABX_TORCH_ELEMENTWISE_SCALARS; i++) {
        p->f[i] = (float)e->scalars[i].f;
        p->i[i] = e->scalars[i].i;
        p->imaginary[i] = (float)e->scalars[i].imaginary;
    }
}

/* The launch, of which the caller chooses the function. */
static struct abx_torch_launch launch_of(const struct abx_torch_elementwise *e,
        struct parameters *p, struct abx_torch_operand *operands, int32_t *constants)
{
    fill(p, e);
    for (unsigned i = 0; i < e->count; i++) {
        operands[i] = e->operands[i].at;
        constants[i] = e->operands[i].type;
    }
    constants[5] = e->common;
    constants[6] = shape_of(e);
    struct abx_torch_launch l = {.library = e->library,
            .constants = constants,
            .constant_count = 8,
            .parameters = p,
            .parameter_size = sizeof *p,
            .operands = operands,
            .operand_count = e->count,
            .grid = {1, 1, 1}};
    for (unsigned d = 0; d < e->dims; d++)
        l.grid[d < 2 ? d : 2] *= e->size[d];
    constants[7] = 1;
    if (is_turned(e))
        l.group[0] = l.group[1] = TURNED_SIDE, l.group[2] = 1;
    return l;
}

/* Whether it is a copy of a type to itself, of tensors that lie across each other without gaps. */
static bool is_turned_copy(const struct abx_torch_elementwise *e)
{
    int64_t width = core_size_of(e->operands[0].type);
    if (strcmp(e->library, "e_copy") != 0 || !is_turned(e) || e->count != 2 ||
            e->operands[0].type != e->operands[1].type)
        return false;
    for (unsigned i = 0; i < 2; i++)
        for (unsigned d = 0; d < e->dims; d++)
            if (e->operands[i].stride[d] % width || e->operands[i].at.offset % (size_t)width)
                return false;
    return e->operands[0].stride[0] == width && e->operands[1].stride[1] == width;
}

static int run_turned_copy(const struct abx_torch_elementwise *e)
{
    struct {
        uint32_t size[8];
        int64_t to[8], from[8];
        uint32_t dims, reserved;
    } p = {.dims = e->dims};
    int64_t width = core_size_of(e->operands[0].type);
    struct abx_torch_operand operands[] = {e->operands[0].at, e->operands[1].at};
    struct abx_torch_launch l = {.library = "turn",
            .function = width == 8   ? "turn_ulong"
                        : width == 4 ? "turn_uint"
                        : width == 2 ? "turn_ushort"
                                     : "turn_uchar",
            .parameters = &p,
            .parameter_size = sizeof p,
            .operands = operands,
            .operand_count = 2,
            .grid = {(e->size[0] + TURNED_SIDE - 1) / TURNED_SIDE * TURNED_SIDE,
                    (e->size[1] + TURNED_SIDE - 1) / TURNED_SIDE, 1},
            .group = {TURNED_SIDE, 1, 1}};
    for (unsigned d = 0; d < e->dims; d++) {
        p.size[d] = e->size[d];
        p.to[d] = e->operands[0].stride[d] / width;
        p.from[d] = e->operands[1].stride[d] / width;
        l.grid[2] *= d < 2 ? 1 : e->size[d];
    }
    return abx_torch_run(&l);
}

int abx_torch_run_elementwise(const struct abx_torch_elementwise *e)
{
    if (is_turned_copy(e))
        return run_turned_copy(e);
    struct parameters p = {0};
    struct abx_torch_operand operands[ABX_TORCH_ELEMENTWISE_OPERANDS];
    int32_t constants[8] = {0};
    struct abx_torch_launch l = launch_of(e, &p, operands, constants);
    if (!l.group[0])
        constants[7] = core_each(l.grid[0], l.grid[0] * l.grid[1] * l.grid[2]);
    l.grid[0] /= (size_t)constants[7];
    l.function = strncmp(e->library, "c_", 2) == 0 ? "run_complex"
                 : abx_torch_is_float(e->common)   ? "run_float"
                 : e->common == ABX_TORCH_I64      ? "run_long"
                                                   : "run_int";
    return abx_torch_run(&l);
}

int abx_torch_run_pick(
        const struct abx_torch_elementwise *e, const int64_t *sizes, const int64_t *strides)
{
    struct parameters p = {0};
    struct abx_torch_operand operands[ABX_TORCH_ELEMENTWISE_OPERANDS];
    int32_t constants[8] = {0};
    struct abx_torch_launch l = launch_of(e, &p, operands, constants);
    int64_t width = core_size_of(e->operands[0].type);
    constants[7] = (int32_t)e->count - 2;
    for (int i = 0; i < constants[7]; i++) {
        p.number_i[i] = sizes[i];
        p.i[i] = strides[i];
    }
    while (l.operand_count < ABX_TORCH_ELEMENTWISE_OPERANDS)
        operands[l.operand_count++] = operands[1];
    l.library = "e_index";
    l.function = width == 8   ? "pick_ulong"
                 : width == 4 ? "pick_uint"
                 : width == 2 ? "pick_ushort"
                              : "pick_uchar";
    return abx_torch_run(&l);
}
