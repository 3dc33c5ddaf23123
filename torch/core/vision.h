/* torch: what torchvision's library has of its own: boxes that cover each other, regions of
 * pictures. */
#ifndef ABX_TORCH_VISION_H
#define ABX_TORCH_VISION_H

#include "core.h"

#ifdef __cplusplus
extern "C" {
#endif

#define ABX_TORCH_BOXES 65536 /* at most */

/* `kept` (bytes, one a box): 1 of those that no box before them, which is kept, covers by more than
 * `least` of what both cover. `boxes`: (count, 4) without gaps. */
ABX_TORCH_API int abx_torch_keep_boxes(struct abx_torch_operand kept,
        struct abx_torch_operand boxes, int type, uint32_t count, float least);

/* `from` (images, height, width, channels), `rois` (count, 5) and `to` (count, down, across,
 * channels), of one type and without gaps. Backward: `to` are floats of the picture's sizes that
 * are 0, and `from` the result's gradient. */
struct abx_torch_regions {
    int type;
    bool aligned;
    uint32_t count;
    int32_t images, channels, height, width, down, across, samples;
    float scale;
    struct abx_torch_operand to, from, rois;
};
ABX_TORCH_API int abx_torch_align(const struct abx_torch_regions *r, bool backward);

#ifdef __cplusplus
}
#endif
#endif
