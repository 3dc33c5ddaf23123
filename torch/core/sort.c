/* torch: launches of the kernels that sort (kernels/sort.metal). */
#include "sort.h"
#include "internal.h"

#include <errno.h>

#define BLOCK 16u /* as kernels/sort.metal has them */
#define CHUNK 64u

/* As kernels/sort.metal has it. */
struct parameters {
    uint32_t size[8];
    int64_t from[8], to[8], index[8];
    int64_t line_from, line_to, line_index;
    uint32_t count, width, keep, chunks;
};

struct sorting {
    struct parameters p;
    int32_t constants[5];
    bool is_float;
    size_t rows;
    struct abx_torch_block *block;
    struct abx_torch_operand keys[2], places[2]; /* what is read and what is written */
};

static int launch(const struct sorting *s, const char *name, const char *name_of_long,
        const struct abx_torch_operand *operands, unsigned count, size_t across)
{
    const struct abx_torch_launch l = {.library = "sort",
            .function = s->is_float ? name : name_of_long,
            .constants = s->constants,
            .constant_count = 5,
            .parameters = &s->p,
            .parameter_size = sizeof s->p,
            .operands = operands,
            .operand_count = count,
            .grid = {across, s->rows, 1}};
    return abx_torch_run(&l);
}

/* False: more than kernels count. */
static bool fill(struct sorting *s, const struct abx_torch_tensor *values,
        const struct abx_torch_tensor *index, const struct abx_torch_tensor *from,
        unsigned dimension)
{
    int n = 0;
    uint64_t rows = 1;
    for (unsigned d = from->dims; d-- > 0;) {
        if (d == dimension || from->size[d] == 1)
            continue;
        if (n == 8)
            return false;
        s->p.size[n] = (uint32_t)from->size[d];
        s->p.from[n] = from->stride[d];
        s->p.to[n] = values->stride[d];
        s->p.index[n++] = index->stride[d];
        rows *= (uint64_t)from->size[d];
    }
    if (rows * (uint64_t)from->size[dimension] > INT32_MAX)
        return false;
    s->rows = rows;
    s->p.count = (uint32_t)from->size[dimension];
    s->p.line_from = from->stride[dimension];
    s->p.line_to = values->stride[dimension];
    s->p.line_index = index->stride[dimension];
    s->constants[0] = from->type;
    s->constants[1] = n;
    s->constants[3] = (values->at.block != NULL) | (index->at.block ? 2 : 0);
    s->is_float = abx_torch_is_float(from->type);
    return true;
}

/* Twice keys and places, behind each other in one block. */
static int take_memory(struct sorting *s)
{
    size_t elements = s->rows * s->p.count, width = s->is_float ? 4 : 8;
    s->block = abx_torch_allocate(elements * (width + 4) * 2);
    if (!s->block)
        return -ENOMEM;
    for (int n = 0; n < 2; n++) {
        s->keys[n] = (struct abx_torch_operand){s->block, (size_t)n * elements * width};
        s->places[n] = (struct abx_torch_operand){
                s->block, 2 * elements * width + (size_t)n * elements * 4};
    }
    return 0;
}

static int merge_runs(struct sorting *s)
{
    int now = 0, r = 0;
    for (uint32_t width = BLOCK; r == 0 && width < s->p.count; width *= 2, now ^= 1) {
        uint32_t whole = 2 * width < s->p.keep ? 2 * width : s->p.keep;
        uint32_t pairs = (s->p.count + 2 * width - 1) / (2 * width);
        s->p.width = width;
        s->p.chunks = (whole + CHUNK - 1) / CHUNK;
        struct abx_torch_operand operands[] = {
                s->keys[!now], s->places[!now], s->keys[now], s->places[now]};
        r = launch(s, "merge_float", "merge_long", operands, 4, (size_t)pairs * s->p.chunks);
    }
    if (now) {
        s->keys[0] = s->keys[1];
        s->places[0] = s->places[1];
    }
    return r;
}

int abx_torch_sort(const struct abx_torch_tensor *values, const struct abx_torch_tensor *index,
        const struct abx_torch_tensor *from, unsigned dimension, bool descending, uint32_t keep)
{
    struct sorting s = {0};
    if (!fill(&s, values, index, from, dimension))
        return -ENOTSUP;
    if (s.rows * s.p.count == 0 || keep == 0)
        return 0;
    s.p.keep = keep < s.p.count ? keep : s.p.count;
    s.constants[2] = descending;
    int r = take_memory(&s);
    if (r < 0)
        return r;
    struct abx_torch_operand first[] = {s.keys[0], s.places[0], from->at};
    r = launch(&s, "block_float", "block_long", first, 3, (s.p.count + BLOCK - 1) / BLOCK);
    if (r == 0)
        r = merge_runs(&s);
    struct abx_torch_operand last[] = {values->at, index->at, s.keys[0], s.places[0]};
    if (r == 0)
        r = launch(&s, "finish_float", "finish_long", last, 4, s.p.keep);
    abx_torch_free(s.block);
    return r;
}

int abx_torch_run_search(const struct abx_torch_search *search)
{
    struct sorting s = {.rows = search->rows,
            .is_float =
                    abx_torch_is_float(search->row_type) || abx_torch_is_float(search->value_type)};
    s.p.count = search->count;
    s.p.width = search->values_in_row;
    s.p.keep = search->one_row;
    s.constants[0] = search->row_type;
    s.constants[1] = search->value_type;
    s.constants[2] = search->behind;
    s.constants[3] = search->order.block != NULL;
    s.constants[4] = search->to_type;
    struct abx_torch_operand operands[] = {search->to, search->row, search->values,
            search->order.block ? search->order : search->row};
    return launch(&s, "search_float", "search_long", operands, 4, search->values_in_row);
}
