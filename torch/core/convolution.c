/* torch: convolutions as products of matrices. The input's windows become columns
 * (kernels/convolution.metal), some images at a time so that these stay small; where the window is
 * one element there is nothing to unfold. With many groups, of which each would be a small product,
 * a thread computes an element. */
#include "internal.h"
#include "layers.h"
#include "matrix.h"

#include <errno.h>
#include <string.h>

#define COLUMNS_MOST (8u << 20) /* bytes of columns at a time: what caches hold */
#define DISCRETE_COLUMNS_MOST (256u << 20)
#define PLACES_FEW 256 /* of an image */
#define GROUPS_MOST 4  /* as products */
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
    int32_t part_rows;                /* see by_rows() */
    int32_t band_rows, pitch, field;  /* see banded() */
};

static int64_t columns_most(void)
{
    return core.shares_memory ? COLUMNS_MOST : DISCRETE_COLUMNS_MOST;
}

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

static struct abx_torch_operand moved(struct abx_torch_operand at, int64_t elements, int type)
{
    return (struct abx_torch_operand){
            at.block, at.offset + (size_t)(elements * core_size_of(type))};
}

/* `choice` is a constant of the kernel's own. */
static int launch_in_groups(const char *function, const struct abx_torch_convolution *c,
        const struct parameters *p, const struct abx_torch_operand *operands, unsigned count,
        const size_t grid[3], size_t group, int32_t choice)
{
    const int64_t *window = c->weight.size + 2;
    int32_t plain = (c->stride[2] == 1) | (c->stride[2] == 2 ? 16 : 0) |
                    (c->input.stride[4] == 1 ? 2 : 0) | (c->output.stride[4] == 1 ? 4 : 0) |
                    (c->input.size[2] == 1 && c->output.size[2] == 1 && window[0] == 1 ? 8 : 0);
    int32_t small = window[1] < 8 && window[2] < 8 ? (int32_t)(window[2] + 8 * window[1]) : 0;
    int32_t near = c->stride[1] == 1 && c->dilation[1] == 1;
    int32_t steps = c->stride[2] | c->stride[1] << 8 | c->dilation[2] << 16 | c->dilation[1] << 24;
    int32_t constants[] = {c->type, choice, SUMMED, plain, small, p->pitch ? steps : near};
    struct abx_torch_launch l = {.library = "convolution",
            .function = function,
            .constants = constants,
            .constant_count = 6,
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
        const size_t grid[3], int32_t choice)
{
    return launch_in_groups(function, c, p, operands, count, grid, 0, choice);
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

/* Windows side by side: no element of the input is in two, or in none. */
static bool is_apart(const struct abx_torch_convolution *c)
{
    const int64_t *window = c->weight.size + 2, *in = c->input.size + 2, *out = c->output.size + 2;
    for (unsigned d = 0; d < 3; d++)
        if (c->stride[d] != window[d] || c->padding[d] || in[d] != out[d] * window[d] ||
                (window[d] > 1 && c->dilation[d] != 1))
            return false;
    return in[0] == 1 && window[1] < 8 && window[2] < 8;
}

static int unfold(const struct part *t, bool fold)
{
    struct abx_torch_operand operands[] = {t->columns, input_of(t)};
    const int64_t *out = t->c->output.size + 2, *in = t->c->input.size + 2;
    size_t unfolded[3] = {(size_t)out[2], (size_t)(out[0] * out[1]), (size_t)(t->rows * t->images)};
    size_t folded[3] = {WIDER(in[2]), (size_t)(in[0] * in[1]), (size_t)(t->p.channels * t->images)};
    if (fold && is_apart(t->c)) {
        size_t apart[3] = {(size_t)out[2], (size_t)in[1], folded[2]};
        return launch("fold_apart", t->c, &t->p, operands, 2, apart, 0);
    }
    if (!fold && !core.shares_memory && t->p.window[1] < 8 && t->p.window[2] < 8) {
        unfolded[2] = folded[2];
        return launch("unfold_windows", t->c, &t->p, operands, 2, unfolded, 0);
    }
    return launch(fold ? "fold" : "unfold", t->c, &t->p, operands, 2, fold ? folded : unfolded, 0);
}

/* Between the images' outputs and the merged matrix of them. */
static int merge(const struct part *t, bool back)
{
    struct abx_torch_operand operands[] = {t->outputs, output_at(t)};
    const int64_t *out = t->c->output.size + 2;
    const int64_t *s = t->c->output.stride + 2;
    size_t grid[3] = {
            (size_t)out[2], (size_t)(out[0] * out[1]), (size_t)(t->p.filters * t->images)};
    if (!core.shares_memory && s[1] == s[2] * out[2] && (out[0] == 1 || s[0] == s[1] * out[1]) &&
            t->images < 65536) {
        /* An image's places are one line: nothing to divide. */
        size_t lines[3] = {(size_t)t->places, (size_t)t->p.filters, (size_t)t->images};
        return launch(back ? "part_lines" : "merge_lines", t->c, &t->p, operands, 2, lines, 0);
    }
    return launch(back ? "part" : "merge", t->c, &t->p, operands, 2, grid, 0);
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

static struct abx_torch_product product(const struct part *t)
{
    return (struct abx_torch_product){.type = t->c->type,
            .to_type = t->c->type,
            .batches = t->merged ? 1 : (uint32_t)t->images,
            .columns = (uint32_t)(t->merged ? t->places * t->images : t->places),
            .alpha = {1, 1}};
}

static struct abx_torch_matrix bias_of(const struct part *t)
{
    int64_t stride = t->c->bias.stride[0];
    struct abx_torch_operand at =
            moved(t->c->bias.at, (int64_t)t->group * t->p.filters * stride, t->c->type);
    return (struct abx_torch_matrix){at, 0, stride, 0};
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
        m.added = bias_of(t);
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
    m.left = abx_torch_turned(weight_of(t));
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
    m.right = abx_torch_turned(columns_of(t));
    m.beta.f = t->first > 0;
    return r < 0 ? r : abx_torch_multiply(&m);
}

/* Room for what is copied of `images` images; what was launched has it before the next one does. */
static int each_part(struct part *t, int64_t images, int (*multiply)(struct part *))
{
    struct abx_torch_block *columns = NULL, *outputs = NULL;
    int r = 0;
    if (!t->plain)
        columns = abx_torch_allocate((size_t)(t->places * t->rows * images * core_size_of(SUMMED)));
    if (t->merged)
        outputs = abx_torch_allocate(
                (size_t)(t->places * t->p.filters * images * core_size_of(t->c->type)));
    if ((!t->plain && !columns) || (t->merged && !outputs))
        r = -ENOMEM;
    if (columns)
        t->columns = (struct abx_torch_operand){columns, 0};
    if (outputs)
        t->outputs = (struct abx_torch_operand){outputs, 0};
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

/* ---- products for each row of a window
 *
 * Of windows over several rows the columns would have all that they see several times. Columns of a
 * window's width alone are made of all rows of the input; what the window's row k sees is the same,
 * k rows further down. With rows a stride apart the columns are in as many parts. */

static int64_t by_rows(struct part *t)
{
    const struct abx_torch_convolution *c = t->c;
    int64_t reach = (t->p.out[1] - 1) * c->stride[1] + (t->p.window[1] - 1) * c->dilation[1] + 1;
    t->rows = (int64_t)t->p.channels * t->p.window[2];
    t->p.part_rows = (int32_t)((reach + c->stride[1] - 1) / c->stride[1]);
    t->p.column_row = (int64_t)t->p.part_rows * c->stride[1] * t->p.out[2];
    t->p.column_image = t->p.column_row * t->rows;
    return t->p.column_image * core_size_of(c->type);
}

static bool is_by_rows(const struct part *t)
{
    return core.shares_memory && t->c->type == SUMMED && !t->merged && t->p.window[0] == 1 &&
           t->p.in[0] == 1 && t->p.out[0] == 1 && t->p.window[1] > 1;
}

static int unfold_rows(const struct part *t)
{
    struct abx_torch_operand operands[] = {t->columns, input_of(t)};
    size_t grid[3] = {(size_t)t->p.out[2], (size_t)(t->p.part_rows * t->c->stride[1]),
            (size_t)(t->rows * t->images)};
    return launch("unfold_rows", t->c, &t->p, operands, 2, grid, 0);
}

/* What the window's row k sees. */
static struct abx_torch_matrix row_columns(const struct part *t, int k)
{
    int64_t down = (int64_t)k * t->c->dilation[1], stride = t->c->stride[1];
    int64_t row = down % stride * t->p.part_rows + down / stride;
    return (struct abx_torch_matrix){moved(t->columns, row * t->p.out[2], t->c->type),
            t->p.column_image, t->p.column_row, 1};
}

/* The filters' row k, in weights that were reordered. */
static struct abx_torch_matrix row_weight(
        const struct part *t, struct abx_torch_operand weight, int k)
{
    int64_t filter = (int64_t)k * t->p.filters * t->p.groups + (int64_t)t->group * t->p.filters;
    return (struct abx_torch_matrix){moved(weight, filter * t->rows, t->c->type), 0, t->rows, 1};
}

/* Room for the weights in another order. */
static struct abx_torch_block *allocate_weight(const struct abx_torch_convolution *c)
{
    const int64_t *n = c->weight.size;
    return abx_torch_allocate((size_t)(n[0] * n[1] * product_of(n + 2) * core_size_of(c->type)));
}

static int reorder(const struct part *t, struct abx_torch_operand to, int order)
{
    struct abx_torch_operand operands[] = {to, t->c->weight.at};
    size_t grid[3] = {(size_t)t->p.window[2], (size_t)(t->p.window[0] * t->p.window[1]),
            (size_t)t->p.filters * (size_t)t->p.groups * (size_t)t->p.channels};
    return launch("reorder", t->c, &t->p, operands, 2, grid, order);
}

static int multiply_rows(struct part *t, struct abx_torch_operand weight)
{
    struct abx_torch_product m = product(t);
    int r = unfold_rows(t);
    m.rows = (uint32_t)t->p.filters;
    m.inner = (uint32_t)t->rows;
    m.to = output_of(t);
    m.added = t->c->bias.at.block ? bias_of(t) : m.to;
    m.beta.f = t->c->bias.at.block != NULL;
    for (int k = 0; r == 0 && k < t->p.window[1]; k++) {
        m.left = row_weight(t, weight, k);
        m.right = row_columns(t, k);
        r = abx_torch_multiply(&m);
        m.added = m.to;
        m.beta.f = 1;
    }
    return r;
}

/* The sum goes over the images, too. */
static int multiply_weight_rows(struct part *t, struct abx_torch_operand weight)
{
    struct abx_torch_product m = product(t);
    int r = unfold_rows(t);
    m.batches = 1;
    m.rows = (uint32_t)t->p.filters;
    m.inner = (uint32_t)t->places;
    m.columns = (uint32_t)t->rows;
    for (int k = 0; r == 0 && k < t->p.window[1]; k++)
        for (int64_t image = 0; r == 0 && image < t->images; image++) {
            struct abx_torch_matrix to = row_weight(t, weight, k), left = output_of(t),
                                    right = abx_torch_turned(row_columns(t, k));
            left.at = moved(left.at, image * left.batch, t->c->type);
            right.at = moved(right.at, image * right.batch, t->c->type);
            m.to = m.added = to;
            m.left = left;
            m.right = right;
            m.beta.f = t->first + image > 0;
            r = abx_torch_multiply(&m);
        }
    return r;
}

/* `sums`: the weights are made. */
static int in_rows(struct part *t, bool sums)
{
    int64_t image = by_rows(t), most = image ? columns_most() / image : 1;
    int64_t images = most > t->p.batch ? t->p.batch : most ? most : 1;
    struct abx_torch_block *columns = abx_torch_allocate((size_t)(image * images));
    struct abx_torch_block *weight = allocate_weight(t->c);
    int r = columns && weight ? 0 : -ENOMEM;
    if (r == 0) {
        struct abx_torch_operand ordered = {weight, 0};
        t->columns = (struct abx_torch_operand){columns, 0};
        if (!sums)
            r = reorder(t, ordered, 0);
        for (t->first = 0; r == 0 && t->first < t->p.batch; t->first += images) {
            t->images = t->p.batch - t->first < images ? t->p.batch - t->first : images;
            for (t->group = 0; r == 0 && t->group < t->c->groups; t->group++)
                r = sums ? multiply_weight_rows(t, ordered) : multiply_rows(t, ordered);
        }
        if (r == 0 && sums)
            r = reorder(t, ordered, 1);
    }
    if (columns)
        abx_torch_free(columns);
    if (weight)
        abx_torch_free(weight);
    return r;
}

/* ---- which */

/* Some images at a time. Those with few places are merged, as products with few columns are slow;
 * `sums` is for what becomes one sum. */
static int in_parts(
        const struct abx_torch_convolution *c, bool sums, int (*multiply)(struct part *))
{
    struct part t = {.c = c, .p = parameters_of(c)};
    t.rows = t.p.channels * product_of(c->weight.size + 2);
    t.places = product_of(c->output.size + 2);
    t.merged = t.p.batch > 1 && t.places < PLACES_FEW;
    if (multiply != multiply_input && is_by_rows(&t))
        return in_rows(&t, sums);
    int64_t image = t.places * t.rows * core_size_of(SUMMED),
            most = image ? columns_most() / image : 1;
    int64_t images = most > t.p.batch ? t.p.batch : most ? most : 1;
    t.merged |= sums && t.p.batch > 1;
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

#define SOME 4 /* rows or filters that a thread has, as kernels/convolution.metal has it */

/* Pictures, and windows that are small. */
static bool is_small(const struct abx_torch_convolution *c)
{
    const int64_t *window = c->weight.size + 2;
    return c->input.size[2] == 1 && c->output.size[2] == 1 && window[0] == 1 && window[1] < 8 &&
           window[2] < 8;
}

/* Of which each channel is a group by itself. */
static bool is_alone(const struct abx_torch_convolution *c)
{
    return c->weight.size[1] == 1 && is_small(c);
}

/* ---- a band of a plane's rows a SIMD-group (kernels/convolution.metal) */

#define ROOM 6144 /* floats of threadgroup memory */
#define BESIDE 32 /* that may be written behind a row */
#define BOTH 2    /* rows of a thread */

/* How far from each other the first and the last that a band of `rows` sees are. */
static int32_t reach(const struct abx_torch_convolution *c, unsigned d, int64_t rows)
{
    return (int32_t)((rows - 1) * c->stride[d] + (c->weight.size[d + 2] - 1) * c->dilation[d] + 1);
}

static int64_t room_of(const struct abx_torch_convolution *c, struct parameters *p, int32_t rows)
{
    int32_t x = c->stride[2], turn = BOTH * c->stride[1];
    int32_t down = (rows + BOTH - 1) / BOTH;
    p->band_rows = rows;
    p->pitch = (reach(c, 2, c->output.size[4]) + x - 1) / x;
    p->field = (reach(c, 1, down * BOTH) + turn - 1) / turn * p->pitch + BESIDE;
    int64_t sums = BOTH * ((int64_t)down * p->pitch + BESIDE), line = p->pitch * x + BESIDE;
    return (int64_t)x * turn * p->field + (sums > line ? sums : line);
}

/* Says which bands; false: a row is too long. */
static bool banded(const struct abx_torch_convolution *c, struct parameters *p)
{
    int32_t all = (int32_t)c->output.size[3], rows = 0;
    if (!core.shares_memory || c->stride[1] > 8 || c->stride[2] > 8 || c->dilation[1] > 8 ||
            c->dilation[2] > 8 || c->output.size[4] > ROOM)
        return false;
    while (rows < all && room_of(c, p, rows + 1) <= ROOM)
        rows++;
    if (rows == 0) {
        p->pitch = 0;
        return false;
    }
    int32_t bands = (all + rows - 1) / rows;
    room_of(c, p, (all + bands - 1) / bands);
    return true;
}

static int in_bands(const struct abx_torch_convolution *c, struct parameters *p)
{
    bool has_bias = c->bias.at.block;
    struct abx_torch_operand operands[] = {
            c->output.at, c->input.at, c->weight.at, has_bias ? c->bias.at : c->input.at};
    const int64_t *n = c->output.size;
    size_t grid[3] = {
            32, (size_t)(n[3] + p->band_rows - 1) / (size_t)p->band_rows, (size_t)(n[0] * n[1])};
    return launch_in_groups("band_output", c, p, operands, 4, grid, 32, has_bias);
}

static int weight_directly(const struct abx_torch_convolution *c)
{
    struct parameters p = parameters_of(c);
    if (is_alone(c) && banded(c, &p)) {
        struct abx_torch_operand all[] = {c->weight.at, c->output.at, c->input.at};
        size_t filters[3] = {32, 1, (size_t)c->weight.size[0]};
        return launch_in_groups("band_weight", c, &p, all, 3, filters, 32, 0);
    }
    struct abx_torch_operand operands[] = {c->weight.at, c->output.at, c->input.at};
    const int64_t *n = c->weight.size;
    size_t grid[3] = {(size_t)product_of(n + 2) * 32, (size_t)n[1], (size_t)n[0]};
    return launch_in_groups("weight", c, &p, operands, 3, grid, 32, 0);
}

static bool has_several(const struct abx_torch_convolution *c)
{
    return is_small(c) && c->weight.size[0] / c->groups % SOME == 0;
}

/* SOME elements a thread. */
static int in_groups(const struct abx_torch_convolution *c)
{
    bool is_one = is_alone(c);
    struct parameters p = parameters_of(c);
    if (is_one && banded(c, &p))
        return in_bands(c, &p);
    bool has_bias = c->bias.at.block;
    struct abx_torch_operand operands[] = {
            c->output.at, c->input.at, c->weight.at, has_bias ? c->bias.at : c->input.at};
    const int64_t *n = c->output.size;
    size_t rows = (size_t)n[3], planes = (size_t)(n[0] * n[1]);
    size_t grid[3] = {((size_t)n[4] + 31) & ~(size_t)31, is_one ? (rows + SOME - 1) / SOME : rows,
            is_one ? planes : planes / SOME};
    return launch(is_one ? "alone" : "several", c, &p, operands, 4, grid, has_bias);
}

int abx_torch_convolve(const struct abx_torch_convolution *c)
{
    if (c->groups <= GROUPS_MOST)
        return in_parts(c, false, multiply_output);
    return is_alone(c) || has_several(c) ? in_groups(c)
                                         : directly("output", c, &c->output, &c->input, &c->weight);
}

/* Where windows lie next to each other the input's derivative is a convolution of the output's,
 * with the weights turned round. */
static bool is_turnable(const struct abx_torch_convolution *c)
{
    bool any = false;
    for (unsigned d = 0; d < 3; d++) {
        any |= c->weight.size[d + 2] > 1;
        if (c->stride[d] != 1 || c->padding[d] > c->dilation[d] * (c->weight.size[d + 2] - 1))
            return false;
    }
    return any;
}

static int convolve_turned(const struct abx_torch_convolution *c)
{
    struct part t = {.c = c, .p = parameters_of(c)};
    const int64_t *n = c->weight.size;
    struct abx_torch_block *block = allocate_weight(c);
    if (!block)
        return -ENOMEM;
    struct abx_torch_operand weight = {block, 0};
    int r = reorder(&t, weight, 2);
    struct abx_torch_convolution turned = *c;
    turned.input = c->output;
    turned.output = c->input;
    turned.weight.at = weight;
    turned.weight.size[0] = n[1] * c->groups;
    turned.weight.size[1] = n[0] / c->groups;
    for (unsigned d = 5; d-- > 0;)
        turned.weight.stride[d] =
                d == 4 ? 1 : turned.weight.stride[d + 1] * turned.weight.size[d + 1];
    for (unsigned d = 0; d < 3; d++)
        turned.padding[d] = (int32_t)(c->dilation[d] * (n[d + 2] - 1)) - c->padding[d];
    turned.bias = (struct abx_torch_tensor){0};
    if (r == 0)
        r = abx_torch_convolve(&turned);
    abx_torch_free(block);
    return r;
}

int abx_torch_convolve_input(const struct abx_torch_convolution *c)
{
    bool single = is_alone(c) && c->weight.size[0] == c->groups; /* a filter for each channel */
    if ((c->groups <= GROUPS_MOST || single) && is_turnable(c))
        return convolve_turned(c);
    return c->groups > GROUPS_MOST ? directly("input", c, &c->input, &c->output, &c->weight)
                                   : in_parts(c, false, multiply_input);
}

int abx_torch_convolve_weight(const struct abx_torch_convolution *c)
{
    return c->groups > GROUPS_MOST ? weight_directly(c) : in_parts(c, true, multiply_weight);
}
