/* torch: convolutions as products of matrices. The input's windows become columns
 * (kernels/convolution.metal), some images at a time so that these stay small; where the window is
 * one element there is nothing to unfold. With many groups, of which each would be a small product,
 * a thread computes an element. */
#include "layers.h"
#include "matrix.h"

#include <errno.h>
#include <string.h>

#define COLUMNS_MOST (8u << 20) /* bytes of columns at a time: what caches hold */
#define PLACES_FEW 256          /* of an image */
#define GROUPS_MOST 4           /* as products */
/* Threads side by side are a vector only where they are a multiple of it. */
#define WIDER(x) (((size_t)(x) + 7) & ~(size_t)7)
#define SUMMED ABX_TORCH_F32 /* the type of columns that are summed: not rounded before that */

/* As kernels/convolution.metal has it; strides in elements. */
struct parameters {
    int32_t in[3], out[3], window[3], stride[3], padding[3], dilation[3];
    int32_t channels, filters; /* of a group */
    int32_t groups, batch;
    int64_t input[5], weight[5], output[5];
    int64_t column_image, column_row; /* strides of the columns' images and rows */
};

static int64_t product_of(const int64_t *sizes)
{
    return sizes[0] * sizes[1] * sizes[2];
}

static struct parameters parameters_of(const struct abx_torch_convolution *c)
{
    struct parameters p = {.channels = (int32_t)c->weight.size[1],
            .filters = (int32_t)(c->weight.size[0] / c->groups),
            .groups = (int32_t)c->groups,
            .batch = (int32_t)c->input.size[0]};
    for (unsigned d = 0; d < 3; d++) {
        p.in[d] = (int32_t)c->input.size[d + 2];
        p.out[d] = (int32_t)c->output.size[d + 2];
        p.window[d] = (int32_t)c->weight.size[d + 2];
        p.stride[d] = c->stride[d];
        p.padding[d] = c->padding[d];
        p.dilation[d] = c->dilation[d];
    }
    memcpy(p.input, c->input.stride, sizeof p.input);
    memcpy(p.weight, c->weight.stride, sizeof p.weight);
    memcpy(p.output, c->output.stride, sizeof p.output);
    return p;
}

static int width_of(int type)
{
    return type == ABX_TORCH_F32 ? 4 : 2;
}

static struct abx_torch_operand moved(struct abx_torch_operand at, int64_t elements, int type)
{
    return (struct abx_torch_operand){at.block, (char *)at.data + elements * width_of(type)};
}

static int launch_in_groups(const char *function, const struct abx_torch_convolution *c,
        const struct parameters *p, const struct abx_torch_operand *operands, unsigned count,
        const size_t grid[3], size_t group, bool has_bias)
{
    int32_t plain = (c->stride[2] == 1) | (c->input.stride[4] == 1 ? 2 : 0) |
                    (c->output.stride[4] == 1 ? 4 : 0);
    const int64_t *window = c->weight.size + 2;
    int32_t small = window[1] < 8 && window[2] < 8 ? (int32_t)(window[2] + 8 * window[1]) : 0;
    int32_t constants[] = {c->type, has_bias, SUMMED, plain, small};
    struct abx_torch_launch l = {.library = "convolution",
            .function = function,
            .constants = constants,
            .constant_count = 5,
            .parameters = p,
            .parameter_size = sizeof *p,
            .operands = operands,
            .operand_count = count,
            .grid = {grid[0], grid[1], grid[2]},
            .group = {group, 1, 1}};
    return abx_torch_run(&l);
}

static int launch(const char *function, const struct abx_torch_convolution *c,
        const struct parameters *p, const struct abx_torch_operand *operands, unsigned count,
        const size_t grid[3], bool has_bias)
{
    return launch_in_groups(function, c, p, operands, count, grid, 0, has_bias);
}

/* ---- products */

/* What one group's products are made of, for `images` images from `first` on. Merged, the images'
 * places lie behind each other in one matrix; else each has its own, in a batch. */
struct part {
    const struct abx_torch_convolution *c;
    struct parameters p;
    int64_t rows, places; /* of the columns: elements of a window, and windows of an image */
    uint32_t group;
    int64_t first, images;
    bool plain, merged;
    struct abx_torch_operand columns, outputs; /* outputs: merged */
};

static bool is_plain(const struct abx_torch_convolution *c)
{
    for (unsigned d = 0; d < 3; d++)
        if (c->weight.size[d + 2] != 1 || c->stride[d] != 1 || c->padding[d] != 0)
            return false;
    /* One stride leads through all places. */
    const int64_t *s = c->input.stride + 2, *n = c->input.size + 2;
    return (n[1] == 1 || s[1] == s[2] * n[2]) && (n[0] == 1 || s[0] == s[2] * n[2] * n[1]);
}

static struct abx_torch_operand input_of(const struct part *t)
{
    return moved(t->c->input.at,
            t->first * t->c->input.stride[0] +
                    (int64_t)t->group * t->p.channels * t->c->input.stride[1],
            t->c->type);
}

static struct abx_torch_operand output_at(const struct part *t)
{
    const struct abx_torch_tensor *o = &t->c->output;
    int64_t at = t->first * o->stride[0] + (int64_t)t->group * t->p.filters * o->stride[1];
    return moved(o->at, at, t->c->type);
}

static int unfold(const struct part *t, bool fold)
{
    struct abx_torch_operand operands[] = {t->columns, input_of(t)};
    const int64_t *out = t->c->output.size + 2, *in = t->c->input.size + 2;
    size_t unfolded[3] = {(size_t)out[2], (size_t)(out[0] * out[1]), (size_t)(t->rows * t->images)};
    size_t folded[3] = {WIDER(in[2]), (size_t)(in[0] * in[1]), (size_t)(t->p.channels * t->images)};
    return launch(
            fold ? "fold" : "unfold", t->c, &t->p, operands, 2, fold ? folded : unfolded, false);
}

/* Between the images' outputs and the merged matrix of them. */
static int merge(const struct part *t, bool back)
{
    struct abx_torch_operand operands[] = {t->outputs, output_at(t)};
    const int64_t *out = t->c->output.size + 2;
    size_t grid[3] = {
            (size_t)out[2], (size_t)(out[0] * out[1]), (size_t)(t->p.filters * t->images)};
    return launch(back ? "part" : "merge", t->c, &t->p, operands, 2, grid, false);
}

/* The columns as a matrix of a product: rows x places. */
static struct abx_torch_matrix columns_of(const struct part *t)
{
    const int64_t *s = t->c->input.stride;
    if (t->plain)
        return (struct abx_torch_matrix){input_of(t), s[0], s[1], s[4]};
    return (struct abx_torch_matrix){
            t->columns, t->merged ? 0 : t->p.column_image, t->p.column_row, 1};
}

static struct abx_torch_matrix output_of(const struct part *t)
{
    const struct abx_torch_tensor *o = &t->c->output;
    if (t->merged)
        return (struct abx_torch_matrix){t->outputs, 0, t->p.column_row, 1};
    return (struct abx_torch_matrix){output_at(t), o->stride[0], o->stride[1], o->stride[4]};
}

static struct abx_torch_matrix weight_of(const struct part *t)
{
    const struct abx_torch_tensor *w = &t->c->weight;
    int64_t at = (int64_t)t->group * t->p.filters * w->stride[0];
    return (struct abx_torch_matrix){moved(w->at, at, t->c->type), 0, w->stride[0], 1};
}

static struct abx_torch_matrix turned(struct abx_torch_matrix m)
{
    return (struct abx_torch_matrix){m.at, m.batch, m.column, m.row};
}

static struct abx_torch_product product(const struct part *t)
{
    return (struct abx_torch_product){.type = t->c->type,
            .to_type = t->c->type,
            .batches = t->merged ? 1 : (uint32_t)t->images,
            .columns = (uint32_t)(t->merged ? t->places * t->images : t->places),
            .alpha = {1, 1}};
}

static int multiply_output(struct part *t)
{
    struct abx_torch_product m = product(t);
    int r = t->plain ? 0 : unfold(t, false);
    m.rows = (uint32_t)t->p.filters;
    m.inner = (uint32_t)t->rows;
    m.to = output_of(t);
    m.left = weight_of(t);
    m.right = columns_of(t);
    if (t->c->bias.at.block) {
        int64_t stride = t->c->bias.stride[0];
        struct abx_torch_operand at =
                moved(t->c->bias.at, (int64_t)t->group * t->p.filters * stride, t->c->type);
        m.added = (struct abx_torch_matrix){at, 0, stride, 0};
        m.beta = (struct abx_torch_number){1, 1};
    }
    if (r == 0)
        r = abx_torch_multiply(&m);
    return r < 0 || !t->merged ? r : merge(t, true);
}

static int multiply_input(struct part *t)
{
    struct abx_torch_product m = product(t);
    int r = t->merged ? merge(t, false) : 0;
    m.rows = (uint32_t)t->rows;
    m.inner = (uint32_t)t->p.filters;
    m.to = columns_of(t);
    m.to_type = t->plain ? t->c->type : SUMMED;
    m.left = turned(weight_of(t));
    m.right = output_of(t);
    if (r == 0)
        r = abx_torch_multiply(&m);
    return r < 0 || t->plain ? r : unfold(t, true);
}

/* The sum goes over the images, too. */
static int multiply_weight(struct part *t)
{
    struct abx_torch_product m = product(t);
    int r = t->plain ? 0 : unfold(t, false);
    if (r == 0 && t->merged)
        r = merge(t, false);
    m.rows = (uint32_t)t->p.filters;
    m.inner = m.columns;
    m.columns = (uint32_t)t->rows;
    m.to = m.added = weight_of(t);
    m.left = output_of(t);
    m.right = turned(columns_of(t));
    m.beta.f = t->first > 0;
    return r < 0 ? r : abx_torch_multiply(&m);
}

/* Room for what is copied of `images` images; what was launched has it before the next one does. */
static int each_part(struct part *t, int64_t images, int (*multiply)(struct part *))
{
    struct abx_torch_block *columns = NULL, *outputs = NULL;
    int r = 0;
    if (!t->plain)
        columns = abx_torch_allocate((size_t)(t->places * t->rows * images * width_of(SUMMED)));
    if (t->merged)
        outputs = abx_torch_allocate(
                (size_t)(t->places * t->p.filters * images * width_of(t->c->type)));
    if ((!t->plain && !columns) || (t->merged && !outputs))
        r = -ENOMEM;
    if (columns)
        t->columns = (struct abx_torch_operand){columns, columns->data};
    if (outputs)
        t->outputs = (struct abx_torch_operand){outputs, outputs->data};
    for (t->first = 0; r == 0 && t->first < t->p.batch; t->first += images) {
        t->images = t->p.batch - t->first < images ? t->p.batch - t->first : images;
        for (t->group = 0; r == 0 && t->group < t->c->groups; t->group++)
            r = multiply(t);
    }
    if (columns)
        abx_torch_free(columns);
    if (outputs)
        abx_torch_free(outputs);
    return r;
}

/* Some images at a time. Those with few places are merged, as products with few columns are slow;
 * `sums` is for what becomes one sum. */
static int in_parts(
        const struct abx_torch_convolution *c, bool sums, int (*multiply)(struct part *))
{
    struct part t = {.c = c, .p = parameters_of(c)};
    t.rows = t.p.channels * product_of(c->weight.size + 2);
    t.places = product_of(c->output.size + 2);
    int64_t image = t.places * t.rows * width_of(SUMMED), most = image ? COLUMNS_MOST / image : 1;
    int64_t images = most > t.p.batch ? t.p.batch : most ? most : 1;
    t.merged = t.p.batch > 1 && (sums || t.places < PLACES_FEW);
    t.plain = !t.merged && is_plain(c);
    if (t.plain)
        images = t.p.batch;
    t.p.column_row = t.merged ? t.places * images : t.places;
    t.p.column_image = t.merged ? t.places : t.places * t.rows;
    return each_part(&t, images, multiply);
}

/* ---- an element a thread */

static int directly(const char *function, const struct abx_torch_convolution *c,
        const struct abx_torch_tensor *to, const struct abx_torch_tensor *a,
        const struct abx_torch_tensor *b)
{
    struct parameters p = parameters_of(c);
    bool has_bias = c->bias.at.block && to == &c->output;
    struct abx_torch_operand operands[] = {to->at, a->at, b->at, has_bias ? c->bias.at : a->at};
    const int64_t *n = to->size;
    size_t grid[3] = {WIDER(n[4]), (size_t)(n[2] * n[3]), (size_t)(n[0] * n[1])};
    return launch(function, c, &p, operands, 4, grid, has_bias);
}

static int weight_directly(const struct abx_torch_convolution *c)
{
    struct parameters p = parameters_of(c);
    struct abx_torch_operand operands[] = {c->weight.at, c->output.at, c->input.at};
    const int64_t *n = c->weight.size;
    size_t grid[3] = {(size_t)product_of(n + 2) * 32, (size_t)n[1], (size_t)n[0]};
    return launch_in_groups("weight", c, &p, operands, 3, grid, 32, false);
}

int abx_torch_convolve(const struct abx_torch_convolution *c)
{
    return c->groups > GROUPS_MOST ? directly("output", c, &c->output, &c->input, &c->weight)
                                   : in_parts(c, false, multiply_output);
}

int abx_torch_convolve_input(const struct abx_torch_convolution *c)
{
    return c->groups > GROUPS_MOST ? directly("input", c, &c->input, &c->output, &c->weight)
                                   : in_parts(c, false, multiply_input);
}

int abx_torch_convolve_weight(const struct abx_torch_convolution *c)
{
    return c->groups > GROUPS_MOST ? weight_directly(c) : in_parts(c, true, multiply_weight);
}
