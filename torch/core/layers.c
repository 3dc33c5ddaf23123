/* torch: launches of the kernels for softmax, losses and pooling. */
#include "internal.h"
#include "layers.h"

#include <string.h>

#define SIMD 32
/* As kernels/attention.metal has them. */
#define ATTENTION_ROWS 128
#define ATTENTION_THREADS 256
#define ATTENTION_WIDEST 80
#define ATTENTION_LEAST_ROWS 16

static int softmax(const struct abx_torch_softmax *s, const char *row, const char *column,
        const struct abx_torch_operand *operands, unsigned count)
{
    uint32_t p[] = {s->outer, s->count, s->inner, 0};
    bool rows = s->inner == 1;
    size_t threads = core_row_threads(s->outer, s->count);
    int32_t constants[8] = {s->to_type, s->from_type, s->is_log, [7] = (int32_t)threads};
    struct abx_torch_launch l = {.library = "softmax",
            .function = rows ? row : column,
            .constants = constants,
            .constant_count = 8,
            .parameters = p,
            .parameter_size = sizeof p,
            .operands = operands,
            .operand_count = count,
            .grid = {rows ? (size_t)s->outer * threads : s->inner, rows ? 1 : s->outer, 1}};
    if (rows) {
        l.group[0] = threads;
        l.group[1] = l.group[2] = 1;
    }
    return abx_torch_run(&l);
}

int abx_torch_run_softmax(const struct abx_torch_softmax *s)
{
    struct abx_torch_operand operands[] = {s->to, s->from};
    return softmax(s, "rows", "columns", operands, 2);
}

int abx_torch_run_softmax_backward(const struct abx_torch_softmax *s)
{
    struct abx_torch_operand operands[] = {s->to, s->gradient, s->from};
    return softmax(s, "rows_backward", "columns_backward", operands, 3);
}

static int attend(const struct abx_torch_attention *a, const char *function,
        struct abx_torch_operand third, struct abx_torch_operand fourth, bool flag)
{
    struct {
        uint32_t count, rows, heads;
        float more;
        int64_t mask[4];
    } p = {a->count, a->rows, a->heads, a->more,
            {a->mask_stride[0], a->mask_stride[1], a->mask_stride[2], a->mask_stride[3]}};
    size_t rows = (size_t)a->batch * a->heads * a->rows, threads = core_row_threads(rows, a->count);
    int32_t constants[8] = {
            a->type, flag, a->causal, a->mask_stride[3] == 1, [7] = (int32_t)threads};
    struct abx_torch_operand operands[] = {
            a->to, a->scores, third.block ? third : a->scores, fourth.block ? fourth : a->scores};
    struct abx_torch_launch l = {.library = "softmax",
            .function = function,
            .constants = constants,
            .constant_count = 8,
            .parameters = &p,
            .parameter_size = sizeof p,
            .operands = operands,
            .operand_count = 4,
            .grid = {rows * threads, 1, 1},
            .group = {threads, 1, 1}};
    return abx_torch_run(&l);
}

int abx_torch_attend(const struct abx_torch_attention *a)
{
    return attend(a, "attend", a->mask, (struct abx_torch_operand){0}, a->mask.block != NULL);
}

int abx_torch_attend_backward(const struct abx_torch_attention *a)
{
    return attend(a, "attend_backward", a->parts, a->kept, a->kept.block != NULL);
}

/* A processor's own products are faster, and so are three launches where a head has few rows or
 * many elements: of 128, 0.69 ms and not 1.05 (an H200, 32 heads of 2,048 rows). */
bool abx_torch_attends_whole(const struct abx_torch_whole_attention *a)
{
    bool narrow = a->type == ABX_TORCH_F16 || a->type == ABX_TORCH_BF16;
    return !core.shares_memory && narrow && a->rows >= ATTENTION_LEAST_ROWS && a->width % 8 == 0 &&
           a->width <= ATTENTION_WIDEST && a->value_width % 8 == 0 &&
           a->value_width <= ATTENTION_WIDEST;
}

int abx_torch_attend_whole(const struct abx_torch_whole_attention *a)
{
    struct {
        uint32_t rows, count;
        float scale, reserved;
        int64_t query[3], key[3], value[3], to[3], mask[4];
    } p = {.rows = a->rows, .count = a->count, .scale = a->scale};
    memcpy(p.query, a->query_stride, sizeof p.query);
    memcpy(p.key, a->key_stride, sizeof p.key);
    memcpy(p.value, a->value_stride, sizeof p.value);
    memcpy(p.to, a->to_stride, sizeof p.to);
    memcpy(p.mask, a->mask_stride, sizeof p.mask);
    int32_t constants[8] = {a->type, a->mask.block != NULL, a->causal, a->mask_stride[3] == 1,
            (int32_t)a->width, (int32_t)a->value_width};
    struct abx_torch_operand operands[] = {
            a->to, a->query, a->key, a->value, a->mask.block ? a->mask : a->query};
    struct abx_torch_launch l = {.library = "attention",
            .function = a->type == ABX_TORCH_F16 ? "attend_half" : "attend_bfloat",
            .constants = constants,
            .constant_count = 8,
            .parameters = &p,
            .parameter_size = sizeof p,
            .operands = operands,
            .operand_count = 5,
            .grid = {(a->rows + ATTENTION_ROWS - 1) / ATTENTION_ROWS * ATTENTION_THREADS, a->heads,
                    a->batch},
            .group = {ATTENTION_THREADS, 1, 1}};
    return abx_torch_run(&l);
}

static struct abx_torch_launch loss_launch(const struct abx_torch_loss *loss, int32_t *constants)
{
    constants[0] = loss->type;
    constants[1] = loss->target_type;
    constants[2] = loss->reduction;
    constants[3] = loss->weight.block != NULL;
    return (struct abx_torch_launch){
            .library = "loss", .constants = constants, .constant_count = 4, .operand_count = 5};
}

struct loss_parameters {
    uint32_t count, classes;
    int64_t ignored, stride[2];
};

int abx_torch_run_loss(const struct abx_torch_loss *loss)
{
    int32_t constants[4];
    struct loss_parameters p = {
            loss->count, loss->classes, loss->ignored, {loss->strides[0], loss->strides[1]}};
    struct abx_torch_operand weight = loss->weight.block ? loss->weight : loss->from;
    struct abx_torch_operand operands[] = {loss->to, loss->total, loss->from, loss->target, weight};
    struct abx_torch_launch l = loss_launch(loss, constants);
    l.function = loss->reduction ? "together" : "each";
    l.parameters = &p;
    l.parameter_size = sizeof p;
    l.operands = operands;
    l.grid[0] = loss->reduction ? SIMD : loss->count;
    l.grid[1] = l.grid[2] = 1;
    if (loss->reduction) {
        l.group[0] = SIMD;
        l.group[1] = l.group[2] = 1;
    }
    return abx_torch_run(&l);
}

int abx_torch_run_loss_backward(const struct abx_torch_loss *loss)
{
    int32_t constants[4];
    struct loss_parameters p = {loss->count, loss->classes, loss->ignored, {loss->strides[0], 0}};
    struct abx_torch_operand weight = loss->weight.block ? loss->weight : loss->from;
    struct abx_torch_operand operands[] = {loss->to, loss->total, loss->from, loss->target, weight};
    struct abx_torch_launch l = loss_launch(loss, constants);
    l.function = "backward";
    l.parameters = &p;
    l.parameter_size = sizeof p;
    l.operands = operands;
    l.grid[0] = loss->classes;
    l.grid[1] = loss->count;
    l.grid[2] = 1;
    return abx_torch_run(&l);
}

static int pool(const struct abx_torch_pool *pool, const char *function, bool backward)
{
    int32_t p[14] = {pool->height, pool->width, pool->out_height, pool->out_width,
            pool->kernel_size[0], pool->kernel_size[1], pool->stride[0], pool->stride[1],
            pool->padding[0], pool->padding[1], pool->dilation[0], pool->dilation[1],
            pool->divisor};
    int32_t constants[] = {pool->type, pool->includes_padding};
    struct abx_torch_operand operands[3] = {pool->to, pool->index, pool->from};
    if (pool->is_average)
        operands[1] = pool->from;
    struct abx_torch_launch l = {.library = "pool",
            .function = function,
            .constants = constants,
            .constant_count = 2,
            .parameters = p,
            .parameter_size = sizeof p,
            .operands = operands,
            .operand_count = pool->is_average ? 2 : 3,
            .grid = {(size_t)(backward ? pool->width : pool->out_width),
                    (size_t)(backward ? pool->height : pool->out_height), (size_t)pool->images}};
    return abx_torch_run(&l);
}

int abx_torch_run_pool(const struct abx_torch_pool *p)
{
    return pool(p, p->is_average ? "average" : "largest", false);
}

int abx_torch_run_pool_backward(const struct abx_torch_pool *p)
{
    return pool(p, p->is_average ? "average_backward" : "largest_backward", true);
}

static int volume_pool(
        const struct abx_torch_volume_pool *pool, const char *function, bool backward)
{
    struct {
        int32_t in[3], out[3], kernel_size[3], stride[3], padding[3], dilation[3];
        int32_t divisor, reserved;
    } p = {.divisor = pool->divisor};
    for (int i = 0; i < 3; i++) {
        p.in[i] = pool->in[i];
        p.out[i] = pool->out[i];
        p.kernel_size[i] = pool->kernel_size[i];
        p.stride[i] = pool->stride[i];
        p.padding[i] = pool->padding[i];
        p.dilation[i] = pool->dilation[i];
    }
    int32_t constants[] = {pool->type, pool->includes_padding, pool->is_adaptive};
    struct abx_torch_operand operands[3] = {pool->to, pool->index, pool->from};
    if (pool->is_average)
        operands[1] = pool->from;
    const int32_t *size = backward ? pool->in : pool->out;
    struct abx_torch_launch l = {.library = "volume",
            .function = function,
            .constants = constants,
            .constant_count = 3,
            .parameters = &p,
            .parameter_size = sizeof p,
            .operands = operands,
            .operand_count = pool->is_average ? 2 : 3,
            .grid = {(size_t)size[2], (size_t)size[1] * (size_t)size[0], (size_t)pool->images}};
    return abx_torch_run(&l);
}

int abx_torch_run_volume_pool(const struct abx_torch_volume_pool *p)
{
    if (abx_torch_is_float(p->type))
        return volume_pool(p, p->is_average ? "average_float" : "largest_float", false);
    return volume_pool(p, p->is_average ? "average_long" : "largest_long", false);
}

int abx_torch_run_volume_pool_backward(const struct abx_torch_volume_pool *p)
{
    return volume_pool(p, p->is_average ? "average_backward" : "largest_backward", true);
}
