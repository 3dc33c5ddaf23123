/* torch: launches of the kernels that index along a dimension (kernels/index.metal). */
#include "index.h"
#include "internal.h"

#include <errno.h>

/* As kernels/index.metal has it. */
struct parameters {
    uint32_t size[8];
    int64_t to[8], from[8], index[8];
    int64_t along, count;
    int64_t line, line_from, line_index;
    float number_f, alpha_f;
    int64_t number_i, alpha_i;
};

/* The dimensions of `shape` but `left_out` (or none: -1), the innermost first; their number, or
 * negative. NULL for a tensor that is not there. */
static int fill(struct parameters *p, const struct abx_torch_tensor *shape, int left_out,
        const struct abx_torch_tensor *to, const struct abx_torch_tensor *from,
        const struct abx_torch_tensor *index, size_t grid[3])
{
    int n = 0;
    grid[0] = grid[1] = grid[2] = 1;
    for (int d = (int)shape->dims - 1; d >= 0; d--) {
        if (d == left_out || shape->size[d] == 1)
            continue;
        if (n == 8)
            return -ENOTSUP;
        p->size[n] = (uint32_t)shape->size[d];
        p->to[n] = to->stride[d];
        p->from[n] = from ? from->stride[d] : 0;
        p->index[n] = index ? index->stride[d] : 0;
        grid[n ? 1 : 0] *= (size_t)shape->size[d];
        n++;
    }
    return n;
}

/* constants: four. */
static int launch(const char *function, const struct parameters *p, const int32_t *constants,
        const struct abx_torch_operand *operands, unsigned operand_count, const size_t grid[2])
{
    const struct abx_torch_launch l = {.library = "index",
            .function = function,
            .constants = constants,
            .constant_count = 4,
            .parameters = p,
            .parameter_size = sizeof *p,
            .operands = operands,
            .operand_count = operand_count,
            .grid = {grid[0], grid[1], 1}};
    return abx_torch_run(&l);
}

int abx_torch_select(const struct abx_torch_tensor *to, const struct abx_torch_tensor *from,
        const struct abx_torch_tensor *index, unsigned dimension)
{
    static const char *const functions[] = {
            "select_uchar", "select_ushort", "select_uint", "select_ulong"};
    struct parameters p = {.along = from->stride[dimension], .count = from->size[dimension]};
    struct abx_torch_tensor rest = *from;
    size_t grid[3];
    rest.stride[dimension] = 0;
    int dims = fill(&p, to, -1, to, &rest, index, grid);
    if (dims < 0)
        return dims;
    int64_t width = core_size_of(to->type);
    int32_t plain = (p.to[0] == 1) | (p.from[0] == 1 ? 2 : 0) | (p.index[0] == 0 ? 4 : 0) |
                    (p.index[0] == 1 ? 8 : 0);
    int32_t constants[] = {to->type, index->type, dims, plain};
    struct abx_torch_operand operands[] = {to->at, from->at, index->at};
    return launch(functions[width == 8   ? 3
                            : width == 4 ? 2
                            : width == 2 ? 1
                                         : 0],
            &p, constants, operands, 3, grid);
}

int abx_torch_run_scatter(const struct abx_torch_tensor *to, const struct abx_torch_tensor *from,
        const struct abx_torch_tensor *index, unsigned dimension, enum abx_torch_scatter mode,
        struct abx_torch_number number, struct abx_torch_number alpha)
{
    struct parameters p = {.along = to->stride[dimension],
            .count = to->size[dimension],
            .line = index->size[dimension],
            .line_index = index->stride[dimension],
            .line_from = from ? from->stride[dimension] : 0,
            .number_f = (float)number.f,
            .number_i = number.i,
            .alpha_f = (float)alpha.f,
            .alpha_i = alpha.i};
    size_t grid[3];
    int dims = fill(&p, index, (int)dimension, to, from, index, grid);
    if (dims < 0)
        return dims;
    int32_t constants[] = {to->type, index->type, dims, (int32_t)mode};
    struct abx_torch_operand operands[] = {to->at, from ? from->at : to->at, index->at};
    return p.line ? launch(abx_torch_is_float(to->type) ? "scatter_float" : "scatter_long", &p,
                            constants, operands, 3, grid)
                  : 0;
}

int abx_torch_run_scan(const struct abx_torch_tensor *to, const struct abx_torch_tensor *from,
        unsigned dimension, enum abx_torch_scan kind)
{
    struct parameters p = {.along = to->stride[dimension],
            .line = from->size[dimension],
            .line_from = from->stride[dimension]};
    size_t grid[3];
    int dims = fill(&p, from, (int)dimension, to, from, NULL, grid);
    if (dims < 0)
        return dims;
    int32_t constants[] = {to->type, from->type, dims, (int32_t)kind};
    struct abx_torch_operand operands[] = {to->at, from->at};
    const char *function = kind == ABX_TORCH_EXPONENTS    ? "exponents"
                           : abx_torch_is_float(to->type) ? "scan_float"
                                                          : "scan_long";
    return launch(function, &p, constants, operands, 2, grid);
}

int abx_torch_scan_extremes(const struct abx_torch_tensor *to, const struct abx_torch_tensor *index,
        const struct abx_torch_tensor *from, unsigned dimension, bool smallest)
{
    struct parameters p = {.along = to->stride[dimension],
            .line = from->size[dimension],
            .line_from = from->stride[dimension],
            .line_index = index->stride[dimension]};
    size_t grid[3];
    int dims = fill(&p, from, (int)dimension, to, from, index, grid);
    if (dims < 0)
        return dims;
    int32_t constants[] = {from->type, index->type, dims, smallest};
    struct abx_torch_operand operands[] = {to->at, from->at, index->at};
    return launch(abx_torch_is_float(from->type) ? "extremes_float" : "extremes_long", &p,
            constants, operands, 3, grid);
}
