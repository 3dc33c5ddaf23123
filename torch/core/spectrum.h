/* torch: Fourier transforms. */
#ifndef ABX_TORCH_SPECTRUM_H
#define ABX_TORCH_SPECTRUM_H

#include "core.h"

#ifdef __cplusplus
extern "C" {
#endif

enum abx_torch_spectrum_source {
    ABX_TORCH_COMPLEX,
    ABX_TORCH_REAL,
    ABX_TORCH_HALF, /* complex, the first count / 2 + 1 elements: the others mirror them */
};

/* Along the middle of three dimensions; floats, or pairs of them, without gaps. `to` and `from` are
 * different memory. Any count but 0. */
struct abx_torch_spectrum {
    uint32_t outer, count, inner;
    enum abx_torch_spectrum_source source;
    bool is_real; /* the result: its imaginary parts are left out */
    bool is_half; /* the result: the first count / 2 + 1 elements alone; not with `is_real` */
    bool forward;
    double scale; /* of each element of the result */
    struct abx_torch_operand to, from;
};
ABX_TORCH_API int abx_torch_transform(const struct abx_torch_spectrum *s);

#ifdef __cplusplus
}
#endif
#endif
