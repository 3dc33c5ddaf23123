/* torch: launches of reductions (kernels/reduce.metal around ops.toml's formulas). Where one result
 * has much to read, it is made in two steps: parts side by side, then the parts' results. */
#include "internal.h"
#include "tensor.h"

#include <errno.h>
#include <string.h>

#define MUCH (1u << 16) /* elements of a result that are worth two steps */
#define PARTS 64        /* of a result in two steps */
#define PARTS_MOST 1024 /* the same, on a discrete GPU */
#define PART_LEAST 32   /* elements that a thread has of one there */
#define THREADS_WANTED ((size_t)1 << 18)
#define FEW_RESULTS 64 /* beyond that they are side by side by themselves */

/* As kernels/reduce.metal has it. */
struct parameters {
    uint32_t kept_size[8], reduced_size[8];
    int64_t to_stride[8], from_stride[8], reduced_stride[8];
    uint64_t count, part; /* elements of a result, and of one of its parts */
    uint32_t kept_count, parts;
    float f[2];
    int64_t i[2];
};

struct shape {
    unsigned kept, reduced;
    bool is_row; /* what is reduced lies closer in memory than what is kept */
};

/* One dimension becomes part of the one before it where memory lies so. */
static bool joins(const uint32_t *size, const int64_t *a, const int64_t *b, unsigned n,
        int64_t count, int64_t stride_a, int64_t stride_b)
{
    return n && (uint64_t)size[n - 1] * (uint64_t)count <= UINT32_MAX &&
           stride_a == a[n - 1] * size[n - 1] && (!b || stride_b == b[n - 1] * size[n - 1]);
}

/* The innermost first. False: too many dimensions. */
static bool fill(struct parameters *p, struct shape *s, const struct abx_torch_tensor *to,
        const struct abx_torch_tensor *from, uint32_t reduced)
{
    p->count = p->kept_count = 1;
    for (unsigned d = from->dims; d-- > 0;) {
        int64_t size = from->size[d];
        if (reduced >> d & 1)
            p->count *= (uint64_t)size;
        else
            p->kept_count *= (uint32_t)size;
        if (size == 1)
            continue;
        if (reduced >> d & 1) {
            if (joins(p->reduced_size, p->reduced_stride, NULL, s->reduced, size, from->stride[d],
                        0)) {
                p->reduced_size[s->reduced - 1] *= (uint32_t)size;
                continue;
            }
            if (s->reduced == 8)
                return false;
            p->reduced_size[s->reduced] = (uint32_t)size;
            p->reduced_stride[s->reduced++] = from->stride[d];
            continue;
        }
        if (joins(p->kept_size, p->from_stride, p->to_stride, s->kept, size, from->stride[d],
                    to->stride[d])) {
            p->kept_size[s->kept - 1] *= (uint32_t)size;
            continue;
        }
        if (s->kept == 8)
            return false;
        p->kept_size[s->kept] = (uint32_t)size;
        p->from_stride[s->kept] = from->stride[d];
        p->to_stride[s->kept++] = to->stride[d];
    }
    s->is_row = !s->kept || (s->reduced && p->reduced_stride[0] < p->from_stride[0]);
    return true;
}

/* Results that are side by side in memory, as the sums of a matrix's columns are: SIDE of a thread,
 * SIDE x 32 of a SIMD-group. */
#define SIDE 4
#define SIDE_PARTS 8   /* of such results, where there are few of them */
#define SIDE_FEW 4096  /* results */
#define SIDE_LEAST 512 /* elements of one */

static bool is_beside(const struct parameters *p, const struct shape *s)
{
    return core.shares_memory && !s->is_row && s->kept == 1 && p->from_stride[0] == 1 &&
           p->kept_count >= SIDE * 32;
}

static int launch(const char *library, const struct parameters *p, const struct shape *s,
        const struct abx_torch_tensor *to, const struct abx_torch_tensor *from, bool is_float,
        int stage)
{
    bool rows = s->is_row && p->part >= 32, beside = is_beside(p, s);
    size_t threads = is_float ? core_row_threads((size_t)p->kept_count * p->parts, p->part) : 32;
    struct abx_torch_operand operands[] = {to->at, from->at};
    int32_t constants[8] = {to->type, from->type, (int32_t)s->kept, (int32_t)s->reduced, stage,
            (s->reduced <= 1 && p->reduced_stride[0] == 1) |
                    (s->kept && p->from_stride[0] == 1 ? 2 : 0),
            beside ? SIDE : 1, (int32_t)threads};
    struct abx_torch_launch l = {.library = library,
            .function = is_float ? (rows ? "rows_float" : "columns_float")
                                 : (rows ? "rows_long" : "columns_long"),
            .constants = constants,
            .constant_count = 8,
            .parameters = p,
            .parameter_size = sizeof *p,
            .operands = operands,
            .operand_count = 2,
            .grid = {p->kept_count, p->parts, 1}};
    if (beside) {
        l.grid[0] = (p->kept_count + SIDE * 32 - 1) / (SIDE * 32) * 32;
        l.group[0] = 32;
        l.group[1] = l.group[2] = 1;
    }
    if (rows) {
        l.grid[0] = threads;
        l.grid[1] = p->kept_count;
        l.grid[2] = p->parts;
        l.group[0] = threads;
        l.group[1] = l.group[2] = 1;
    }
    return abx_torch_run(&l);
}

/* `parts` results each, of which a second launch makes one. */
static int in_two_steps(const char *library, struct parameters *p, const struct shape *s,
        const struct abx_torch_tensor *to, const struct abx_torch_tensor *from, bool is_float,
        uint32_t parts)
{
    struct abx_torch_block *block = abx_torch_allocate((size_t)p->kept_count * parts * 8);
    if (!block)
        return -ENOMEM;
    struct abx_torch_tensor between = {
            .at = {block, 0}, .type = is_float ? ABX_TORCH_F32 : ABX_TORCH_I64};
    struct parameters second = *p;
    p->parts = parts;
    p->part = (p->count + parts - 1) / parts;
    int64_t stride = parts;
    for (unsigned d = 0; d < s->kept; d++) {
        p->to_stride[d] = second.from_stride[d] = stride;
        stride *= p->kept_size[d];
    }
    int r = launch(library, p, s, &between, from, is_float, 1);
    second.reduced_size[0] = parts;
    second.reduced_stride[0] = 1;
    second.part = parts; /* its `count` stays: averages divide by it */
    struct shape t = {s->kept, 1, true};
    if (r == 0)
        r = launch(library, &second, &t, to, &between, is_float, 2);
    abx_torch_free(block);
    return r;
}

/* 1: in one step. */
static uint32_t parts_of(const struct parameters *p, const struct shape *s, bool is_float)
{
    if (is_beside(p, s))
        return p->kept_count <= SIDE_FEW && p->count >= SIDE_LEAST ? SIDE_PARTS : 1;
    if (core.shares_memory)
        return p->kept_count <= FEW_RESULTS && p->count >= MUCH ? PARTS : 1;
    size_t threads = !s->is_row || p->count < 32 ? 1
                     : is_float                  ? core_row_threads(p->kept_count, p->count)
                                                 : 32;
    size_t parts = THREADS_WANTED / (p->kept_count * threads + 1),
           most = p->count / (threads * PART_LEAST);
    parts = parts < most ? parts : most;
    return parts < 2 ? 1 : parts < PARTS_MOST ? (uint32_t)parts : PARTS_MOST;
}

int abx_torch_reduce(const char *library, const struct abx_torch_tensor *to,
        const struct abx_torch_tensor *from, uint32_t reduced,
        const struct abx_torch_number numbers[2])
{
    struct parameters p = {.parts = 1};
    struct shape s = {0};
    if (!fill(&p, &s, to, from, reduced))
        return -ENOTSUP;
    p.part = p.count;
    for (unsigned i = 0; i < 2; i++) {
        p.f[i] = (float)numbers[i].f;
        p.i[i] = numbers[i].i;
    }
    int computed = to->type == ABX_TORCH_BOOL ? from->type : to->type;
    bool is_float = abx_torch_is_float(computed);
    uint32_t parts = parts_of(&p, &s, is_float);
    if (parts > 1)
        return in_two_steps(library, &p, &s, to, from, is_float, parts);
    return launch(library, &p, &s, to, from, is_float, 3);
}

int abx_torch_find_extreme(const struct abx_torch_tensor *value,
        const struct abx_torch_tensor *index, const struct abx_torch_tensor *from,
        unsigned dimension, bool largest)
{
    struct {
        uint32_t size[8];
        int64_t from_stride[8], value_stride[8], index_stride[8];
        int64_t count, stride;
    } p = {.count = from->size[dimension], .stride = from->stride[dimension]};
    uint32_t results = 1;
    unsigned kept = 0;
    for (unsigned d = from->dims; d-- > 0;) {
        if (d == dimension || from->size[d] == 1)
            continue;
        if (kept == 8)
            return -ENOTSUP;
        p.size[kept] = (uint32_t)from->size[d];
        p.from_stride[kept] = from->stride[d];
        p.value_stride[kept] = value->stride[d];
        p.index_stride[kept++] = index->stride[d];
        results *= (uint32_t)from->size[d];
    }
    struct abx_torch_operand operands[] = {from->at, value->at, index->at};
    int32_t constants[] = {
            from->type, value->at.block != NULL, (int32_t)kept, largest, index->at.block != NULL};
    struct abx_torch_launch l = {.library = "extreme",
            .function = abx_torch_is_float(from->type) ? "find_float" : "find_long",
            .constants = constants,
            .constant_count = 5,
            .parameters = &p,
            .parameter_size = sizeof p,
            .operands = operands,
            .operand_count = 3,
            .grid = {results, 1, 1}};
    return abx_torch_run(&l);
}
