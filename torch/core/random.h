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
    ABX_TORCH_CAUCHY,      /* of median a and scale b */
    ABX_TORCH_LOG_NORMAL,  /* e to the power of a normal one */
    ABX_TORCH_GEOMETRIC,   /* tries until one succeeds, with the chance a; b: log(1 - a) */
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
/* How often what happens at a rate does (Poisson): `rates` as `to` in type, count and place. */
ABX_TORCH_API int abx_torch_draw_counts(
        const struct abx_torch_draw *draw, struct abx_torch_operand rates);

#ifdef __cplusplus
}
#endif
#endif
