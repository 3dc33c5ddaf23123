/* torch: launches of the kernels that sort (kernels/sort.metal). */
#include "sort.h"
#include "internal.h"

#include <errno.h>

#define BLOCK 16u /* as kernels/sort.metal has them */
#define CHUNK 64u
#define MANY 128u /* elements of a row of which few are chosen before they are sorted */

/* As kernels/sort.metal has it. */
struct parameters {
    uint32_t size[8];
    int64_t from[8], to[8], index[8];
    int64_t line_from, line_to, line_index;
    uint32_t count, width, keep, chunks;
};

struct sorting {
    struct parameters p;
    int32_t constants[8];
    bool is_float;
    size_t rows;
    struct abx_torch_block *block;
    struct abx_torch_operand keys[2], places[2]; /* what is read and what is written */
};

/* Across a row, in groups of `group` threads; 0: any. */
static int launch_in_groups(const struct sorting *s, const char *name, const char *name_of_long,
        const struct abx_torch_operand *operands, unsigned count, size_t across, size_t group)
{
    const struct abx_torch_launch l = {.library = "sort",
            .function = s->is_float ? name : name_of_long,
            .constants = s->constants,
            .constant_count = 8,
            .parameters = &s->p,
            .parameter_size = sizeof s->p,
            .operands = operands,
            .operand_count = count,
            .grid = {across, s->rows, 1},
            .group = {group, 1, 1}};
    return abx_torch_run(&l);
}

static int launch(const struct sorting *s, const char *name, const char *name_of_long,
        const struct abx_torch_operand *operands, unsigned count, size_t across)
{
    return launch_in_groups(s, name, name_of_long, operands, count, across, 0);
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

/* Elements as numbers in whose order they are. NULL: no memory, or it did not run. */
static struct abx_torch_block *make_keys(struct sorting *s, const struct abx_torch_tensor *from)
{
    struct abx_torch_block *keys = abx_torch_allocate(s->rows * s->p.count * (s->is_float ? 4 : 8));
    struct abx_torch_operand operands[] = {{keys, 0}, from->at};
    s->constants[7] = (int32_t)core_row_threads(s->rows, s->p.count);
    if (!keys || launch(s, "keys_float", "keys_long", operands, 2, s->p.count) == 0)
        return keys;
    abx_torch_free(keys);
    return NULL;
}

/* The places of the first `keep` of each row, which are then all that there is to sort. */
static int choose(
        struct sorting *s, const struct abx_torch_tensor *from, struct abx_torch_block **ret_chosen)
{
    struct abx_torch_block *keys = make_keys(s, from);
    *ret_chosen = abx_torch_allocate(s->rows * s->p.keep * 4);
    struct abx_torch_operand operands[] = {{*ret_chosen, 0}, {keys, 0}};
    size_t threads = (size_t)s->constants[7];
    int r = keys && *ret_chosen ? launch_in_groups(s, "choose_float", "choose_long", operands, 2,
                                          threads, threads)
                                : -ENOMEM;
    if (keys)
        abx_torch_free(keys);
    s->p.count = s->p.keep;
    s->constants[4] = 1;
    return r;
}

static int sort(struct sorting *s, const struct abx_torch_tensor *values,
        const struct abx_torch_tensor *index, const struct abx_torch_tensor *from,
        const struct abx_torch_block *chosen)
{
    int r = take_memory(s);
    if (r < 0)
        return r;
    struct abx_torch_operand first[] = {s->keys[0], s->places[0], from->at,
            chosen ? (struct abx_torch_operand){(struct abx_torch_block *)chosen, 0} : from->at};
    r = launch(s, "block_float", "block_long", first, 4, (s->p.count + BLOCK - 1) / BLOCK);
    if (r == 0)
        r = merge_runs(s);
    struct abx_torch_operand last[] = {values->at, index->at, s->keys[0], s->places[0]};
    if (r == 0)
        r = launch(s, "finish_float", "finish_long", last, 4, s->p.keep);
    abx_torch_free(s->block);
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
    struct abx_torch_block *chosen = NULL;
    int r = s.p.count >= MANY && s.p.keep <= s.p.count / 2 ? choose(&s, from, &chosen) : 0;
    if (r == 0)
        r = sort(&s, values, index, from, chosen);
    if (chosen)
        abx_torch_free(chosen);
    return r;
}

int abx_torch_pick(const struct abx_torch_tensor *value, const struct abx_torch_tensor *index,
        const struct abx_torch_tensor *from, unsigned dimension, enum abx_torch_rank rank,
        uint32_t number)
{
    struct sorting s = {0};
    if (!fill(&s, value, index, from, dimension))
        return -ENOTSUP;
    if (s.rows * s.p.count == 0)
        return 0;
    s.p.keep = number;
    s.constants[3] = !s.is_float || rank == ABX_TORCH_RANK ? 0 : rank == ABX_TORCH_MIDDLE ? 4 : 8;
    if (rank != ABX_TORCH_RANK && !s.is_float)
        s.p.keep = (s.p.count - 1) / 2;
    struct abx_torch_block *keys = make_keys(&s, from);
    if (!keys)
        return -ENOMEM;
    struct abx_torch_operand operands[] = {value->at, index->at, from->at, {keys, 0}};
    size_t threads = (size_t)s.constants[7];
    int r = launch_in_groups(&s, "pick_float", "pick_long", operands, 4, threads, threads);
    abx_torch_free(keys);
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
