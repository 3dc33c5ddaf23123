/* torch: launches of the kernels of kernels/vision.metal. */
#include "vision.h"
#include "internal.h"

#include <errno.h>

struct parameters {
    uint32_t boxes, words;
    float least;
    int32_t images, channels, height, width;
    int32_t down, across, samples;
    float scale;
};

static int run(const char *function, const struct parameters *p, int type, bool aligned,
        const struct abx_torch_operand *operands, unsigned count, const size_t grid[3],
        size_t group)
{
    int32_t constants[] = {type, aligned};
    struct abx_torch_launch l = {.library = "vision",
            .function = function,
            .constants = constants,
            .constant_count = 2,
            .parameters = p,
            .parameter_size = sizeof *p,
            .operands = operands,
            .operand_count = count,
            .grid = {grid[0], grid[1], grid[2]},
            .group = {group, 1, 1}};
    return abx_torch_run(&l);
}

int abx_torch_keep_boxes(struct abx_torch_operand kept, struct abx_torch_operand boxes, int type,
        uint32_t count, float least)
{
    struct parameters p = {.boxes = count, .words = (count + 31) / 32, .least = least};
    if (count > ABX_TORCH_BOXES)
        return -ENOTSUP;
    struct abx_torch_block *block = abx_torch_allocate((size_t)count * p.words * 4);
    if (!block)
        return -ENOMEM;
    struct abx_torch_operand covered = {block, 0};
    struct abx_torch_operand found[] = {covered, boxes}, left[] = {kept, covered};
    size_t words[3] = {p.words, count, 1}, one[3] = {32, 1, 1};
    int r = run("cover", &p, type, false, found, 2, words, 0);
    if (r == 0)
        r = run("keep", &p, type, false, left, 2, one, 32);
    abx_torch_free(block);
    return r;
}

int abx_torch_align(const struct abx_torch_regions *r, bool backward)
{
    struct parameters p = {.boxes = r->count,
            .images = r->images,
            .channels = r->channels,
            .height = r->height,
            .width = r->width,
            .down = r->down,
            .across = r->across,
            .samples = r->samples,
            .scale = r->scale};
    struct abx_torch_operand operands[] = {r->to, r->from, r->rois};
    size_t forward[3] = {(size_t)r->channels, (size_t)(r->down * r->across), r->count};
    size_t planes[3] = {(size_t)r->channels, (size_t)r->images, 1};
    return run(backward ? "align_backward" : "align", &p, r->type, r->aligned, operands, 3,
            backward ? planes : forward, 0);
}
