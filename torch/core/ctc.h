/* torch: connectionist temporal classification. */
#ifndef ABX_TORCH_CTC_H
#define ABX_TORCH_CTC_H

#include "core.h"

#ifdef __cplusplus
extern "C" {
#endif

/* All without gaps: `logs` (times, batch, classes) floats; `targets`, of `target_type`; `lengths`
 * (batch, 3) 64-bit integers, for each its times, its target's length and where that begins, which
 * the caller has checked against `times`, `width` and the targets; `alpha` (batch, times, width)
 * floats, width being 2 * the longest target + 1; `loss` (batch) floats. `blank` is a class. */
struct abx_torch_ctc {
    uint32_t times, batch, classes, width;
    int32_t blank;
    bool zero_infinity;
    int target_type;
    struct abx_torch_operand loss, alpha, logs, targets, lengths;
    /* Backward: `to` as `logs`; room of (batch, 2, width) floats and (batch, width) 32-bit
     * integers; the gradient (batch) floats. */
    struct abx_torch_operand to, beta, links, gradient;
};
/* Writes `loss` and `alpha`; the other way reads them. */
ABX_TORCH_API int abx_torch_run_ctc(const struct abx_torch_ctc *c);
ABX_TORCH_API int abx_torch_run_ctc_backward(const struct abx_torch_ctc *c);

#ifdef __cplusplus
}
#endif
#endif
