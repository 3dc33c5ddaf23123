/* torch: launches of the kernels that find what is not 0 (kernels/nonzero.metal). */
#include "internal.h"
#include "sort.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PART 256u /* as kernels/nonzero.metal has it */

static int launch(const struct abx_torch_nonzero *n, const char *function,
        const struct abx_torch_operand *operands, unsigned operand_count)
{
    struct {
        uint64_t count;
        uint32_t size[16];
    } p = {.count = n->count};
    memcpy(p.size, n->size, sizeof p.size);
    int32_t constants[] = {n->type, (int32_t)n->dims};
    const struct abx_torch_launch l = {.library = "nonzero",
            .function = function,
            .constants = constants,
            .constant_count = 2,
            .parameters = &p,
            .parameter_size = sizeof p,
            .operands = operands,
            .operand_count = operand_count,
            .grid = {(n->count + PART - 1) / PART, 1, 1}};
    return abx_torch_run(&l);
}

/* Of each number the sum of those before it instead; all of them in *ret_sum. */
static int sum_before(struct abx_torch_operand at, size_t parts, uint64_t *ret_sum)
{
    uint64_t *counts = malloc(parts * sizeof *counts), sum = 0;
    int r = counts ? abx_torch_download(counts, at, parts * sizeof *counts) : -ENOMEM;
    for (size_t i = 0; r == 0 && i < parts; i++) {
        uint64_t here = counts[i];
        counts[i] = sum;
        sum += here;
    }
    if (r == 0)
        r = abx_torch_upload(at, counts, parts * sizeof *counts);
    free(counts);
    *ret_sum = sum;
    return r;
}

int abx_torch_count_places(struct abx_torch_nonzero *n, uint64_t *ret_found)
{
    size_t parts = (n->count + PART - 1) / PART;
    struct abx_torch_block *block = abx_torch_allocate(parts * sizeof(uint64_t));
    if (!block)
        return -ENOMEM;
    struct abx_torch_operand operands[] = {{block, 0}, n->from};
    int r = launch(n, "count", operands, 2);
    if (r == 0)
        r = sum_before(operands[0], parts, ret_found);
    if (r < 0) {
        abx_torch_free(block);
        return r;
    }
    n->before = block;
    return 0;
}

int abx_torch_write_places(struct abx_torch_nonzero *n, const struct abx_torch_operand *to)
{
    struct abx_torch_operand operands[] = {*to, n->from, {n->before, 0}};
    return launch(n, "write", operands, 3);
}
