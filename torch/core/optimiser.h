/* torch: a step of an optimiser. */
#ifndef ABX_TORCH_OPTIMISER_H
#define ABX_TORCH_OPTIMISER_H

#include "core.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Of one tensor of `count` elements: all lie alike, without gaps. What has no memory is not there;
 * `rate` then is the number, and steps are counted for Adam alone. */
struct abx_torch_optimiser {
    bool is_adam;
    uint32_t count;
    int type, gradient_type; /* of the weights and what is kept, of the gradient */
    float lr, decay, beta1, beta2, epsilon, momentum, dampening;
    bool maximizes, decoupled, amsgrad, nesterov, is_first;
    struct abx_torch_operand weights, gradient, first, second,
            most;                                       /* SGD: first is the momentum */
    struct abx_torch_operand steps, rate, scale, found; /* floats, of one element each */
};
ABX_TORCH_API int abx_torch_optimise(const struct abx_torch_optimiser *o);

/* Each element times the float `by`; `found`, a float, becomes 1 where one is not finite. */
ABX_TORCH_API int abx_torch_unscale(struct abx_torch_operand gradient, int type, uint32_t count,
        struct abx_torch_operand found, struct abx_torch_operand by);
/* The next scale, a float, and how often nothing was found, an int32. */
ABX_TORCH_API int abx_torch_rescale(struct abx_torch_operand scale,
        struct abx_torch_operand tracker, struct abx_torch_operand found, double growth,
        double backoff, int32_t interval);

#ifdef __cplusplus
}
#endif
#endif
