/* torch: numbers drawn by chance. */
#ifndef ABX_TORCH_RANDOM_H
#define ABX_TORCH_RANDOM_H

#include "elementwise.h"

#ifdef __cplusplus
extern "C" {
#endif

enum abx_torch_chance {
    ABX_TORCH_UNIFORM,     /* from a to below b */
    ABX_TORCH_NORMAL,      /* of mean a and deviation b */
    ABX_TORCH_BERNOULLI,   /* 1 with the chance a */
    ABX_TORCH_EXPONENTIAL, /* of rate a */
    ABX_TORCH_INTEGERS,    /* from + 0 ... range - 1 */
};

struct abx_torch_draw {
    struct abx_torch_operand to; /* elements without gaps */
    int type;
    uint64_t count, key;
    enum abx_torch_chance kind;
    double a, b;
    int64_t from;
    uint64_t range;
};
ABX_TORCH_API int abx_torch_draw_numbers(const struct abx_torch_draw *draw);

#ifdef __cplusplus
}
#endif
#endif
