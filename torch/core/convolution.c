/* torch: convolutions as products of matrices. The input's windows become columns
 * (kernels/convolution.metal), some images at a time so that these stay small; where the window is
 * one element there is nothing to unfold. With many groups, of which each would be a small product,
 * a thread computes an element. */
#include "layers.h"
#include "matrix.h"

#include <errno.h>
#include <string.h>

#define COLUMNS_MOST (32u << 20) /* bytes of columns at a time */
#define GROUPS_MOST 4            /* as products */
#define SUMMED ABX_TORCH_F32     /* the type of columns that are summed: not rounded before that */

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

static int launch(const char *function, const struct abx_torch_convolution *c,
        const struct parameters *p, const struct abx_torch_operand *operands, unsigned count,
        const size_t grid[3], bool has_bias)
{
    int32_t constants[] = {c->type, has_bias, SUMMED, c->stride[2] == 1 && c->input.stride[4] == 1};
    struct abx_torch_launch l = {.library = "convolution",
            .function = function,
            .constants = constants,
            .constant_count = 4,
            .parameters = p,
            .parameter_size = sizeof *p,
            .operands = operands,
            .operand_count = count,
            .grid = {grid[0], grid[1], grid[2]}};
    return abx_torch_run(&l);
}

/* ---- products */

/* What one group's products are made of, for `images` images from `first` on. */
struct part {
    const struct abx_torch_convolution *c;
    struct parameters p;
    int64_t rows, places; /* of the columns: elements of a window, and windows of an image */
    uint32_t group;
    int64_t first, images;
    struct abx_torch_operand columns;
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

static int unfold(const struct part *t, bool fold)
{
    struct abx_torch_operand operands[] = {t->columns, input_of(t)};
    const int64_t *out = t->c->output.size + 2, *in = t->c->input.size + 2;
    size_t unfolded[3] = {(size_t)out[2], (size_t)(out[0] * out[1]), (size_t)(t->rows * t->images)};
    size_t folded[3] = {
            (size_t)in[2], (size_t)(in[0] * in[1]), (size_t)(t->p.channels * t->images)};
    return launch(
            fold ? "fold" : "unfold", t->c, &t->p, operands, 2, fold ? folded : unfolded, false);
}

/* The columns as a matrix of a product: rows x places, an image each in the batch. */
static struct abx_torch_matrix columns_of(const struct part *t, bool plain)
{
    const int64_t *s = t->c->input.stride;
    if (plain)
        return (struct abx_torch_matrix){input_of(t), s[0], s[1], s[4]};
    return (struct abx_torch_matrix){t->columns, t->p.column_image, t->p.column_row, 1};
}

static struct abx_torch_matrix output_of(const struct part *t)
{
    const struct abx_torch_tensor *o = &t->c->output;
    int64_t at = t->first * o->stride[0] + (int64_t)t->group * t->p.filters * o->stride[1];
    return (struct abx_torch_matrix){
            moved(o->at, at, t->c->type), o->stride[0], o->stride[1], o->stride[4]};
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
            .batches = (uint32_t)t->images,
            .alpha = {1, 1}};
}

static int multiply_output(struct part *t, bool plain)
{
    struct abx_torch_product m = product(t);
    int r = plain ? 0 : unfold(t, false);
    m.rows = (uint32_t)t->p.filters;
    m.columns = (uint32_t)t->places;
    m.inner = (uint32_t)t->rows;
    m.to = output_of(t);
    m.left = weight_of(t);
    m.right = columns_of(t, plain);
    if (t->c->bias.at.block) {
        int64_t stride = t->c->bias.stride[0];
        struct abx_torch_operand at =
                moved(t->c->bias.at, (int64_t)t->group * t->p.filters * stride, t->c->type);
        m.added = (struct abx_torch_matrix){at, 0, stride, 0};
        m.beta = (struct abx_torch_number){1, 1};
    }
    return r < 0 ? r : abx_torch_multiply(&m);
}

static int multiply_input(struct part *t, bool plain)
{
    struct abx_torch_product m = product(t);
    m.rows = (uint32_t)t->rows;
    m.columns = (uint32_t)t->places;
    m.inner = (uint32_t)t->p.filters;
    m.to = columns_of(t, plain);
    m.to_type = plain ? t->c->type : SUMMED;
    m.left = turned(weight_of(t));
    m.right = output_of(t);
    int r = abx_torch_multiply(&m);
    return r < 0 || plain ? r : unfold(t, true);
}

/* The sum goes over the images, too. */
static int multiply_weight(struct part *t, bool plain)
{
    struct abx_torch_product m = product(t);
    int r = plain ? 0 : unfold(t, false);
    m.batches = 1;
    m.rows = (uint32_t)t->p.filters;
    m.columns = (uint32_t)t->rows;
    m.inner = (uint32_t)(t->places * t->images);
    m.split = (uint32_t)t->places;
    m.to = m.added = weight_of(t);
    m.left = output_of(t);
    m.right = turned(columns_of(t, plain));
    m.left_outer = m.left.batch;
    m.right_outer = m.right.batch;
    m.beta.f = t->first > 0;
    return r < 0 ? r : abx_torch_multiply(&m);
}

/* Some images at a time. */
static int in_parts(const struct abx_torch_convolution *c, int (*multiply)(struct part *, bool))
{
    struct part t = {.c = c, .p = parameters_of(c)};
    bool plain = is_plain(c);
    t.rows = t.p.channels * product_of(c->weight.size + 2);
    t.places = product_of(c->output.size + 2);
    t.p.column_row = t.places;
    t.p.column_image = t.places * t.rows;
    int64_t image = t.places * t.rows * width_of(SUMMED), most = image ? COLUMNS_MOST / image : 1;
    int64_t images = plain || most > t.p.batch ? t.p.batch : most ? most : 1;
    struct abx_torch_block *block = NULL;
    if (!plain) {
        block = abx_torch_allocate((size_t)(image * images));
        if (!block)
            return -ENOMEM;
        t.columns = (struct abx_torch_operand){block, block->data};
    }
    int r = 0;
    for (t.first = 0; r == 0 && t.first < t.p.batch; t.first += images) {
        t.images = t.p.batch - t.first < images ? t.p.batch - t.first : images;
        for (t.group = 0; r == 0 && t.group < c->groups; t.group++)
            r = multiply(&t, plain);
    }
    if (block)
        abx_torch_free(block); /* what was launched has it before the next one does */
    return r;
}

/* ---- an element a thread */

static int directly(const char *function, const struct abx_torch_convolution *c,
        const struct abx_torch_tensor *to, const struct abx_torch_tensor *a,
        const struct abx_torch_tensor *b)
{
    struct parameters p = parameters_of(c);
    bool has_bias = c->bias.at.block && to == &c->output;
    struct abx_torch_operand operands[] = {to->at, a->at, b->at, has_bias ? c->bias.at : a->at};
    size_t grid[3] = {(size_t)product_of(to->size + 2), (size_t)to->size[1], (size_t)to->size[0]};
    return launch(function, c, &p, operands, 4, grid, has_bias);
}

int abx_torch_convolve(const struct abx_torch_convolution *c)
{
    return c->groups > GROUPS_MOST ? directly("output", c, &c->output, &c->input, &c->weight)
                                   : in_parts(c, multiply_output);
}

int abx_torch_convolve_input(const struct abx_torch_convolution *c)
{
    return c->groups > GROUPS_MOST ? directly("input", c, &c->input, &c->output, &c->weight)
                                   : in_parts(c, multiply_input);
}

int abx_torch_convolve_weight(const struct abx_torch_convolution *c)
{
    return c->groups > GROUPS_MOST ? directly("weight", c, &c->weight, &c->output, &c->input)
                                   : in_parts(c, multiply_weight);
}
