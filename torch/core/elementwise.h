/* torch: one operation on each element of some tensors, with numbers among them. */
#ifndef ABX_TORCH_ELEMENTWISE_H
#define ABX_TORCH_ELEMENTWISE_H

#include "core.h"

#ifdef __cplusplus
extern "C" {
#endif

#define ABX_TORCH_ELEMENTWISE_DIMS 8
#define ABX_TORCH_ELEMENTWISE_OPERANDS 5
#define ABX_TORCH_ELEMENTWISE_SCALARS 4

/* Numbers of torch's ScalarType that kernels know. */
enum abx_torch_type {
    ABX_TORCH_U8 = 0,
    ABX_TORCH_I8 = 1,
    ABX_TORCH_I16 = 2,
    ABX_TORCH_I32 = 3,
    ABX_TORCH_I64 = 4,
    ABX_TORCH_F16 = 5,
    ABX_TORCH_F32 = 6,
    ABX_TORCH_C64 = 9, /* two floats; of formulas for complex numbers alone */
    ABX_TORCH_BOOL = 11,
    ABX_TORCH_BF16 = 15,
    ABX_TORCH_NUMBER = 100, /* of an operand: it is a number */
};

struct abx_torch_number {
    double f;
    int64_t i;
    double imaginary;
};

struct abx_torch_elementwise {
    const char *library; /* of complex numbers it begins with c_, else with e_ */
    int common;          /* the type that torch computes in */
    unsigned dims;       /* sizes and strides begin with the innermost */
    uint32_t size[ABX_TORCH_ELEMENTWISE_DIMS];
    unsigned count; /* of operands; 0 is the result */
    struct {
        struct abx_torch_operand at;
        int type;
        int64_t stride[ABX_TORCH_ELEMENTWISE_DIMS]; /* bytes */
        struct abx_torch_number number;
    } operands[ABX_TORCH_ELEMENTWISE_OPERANDS];
    struct abx_torch_number scalars[ABX_TORCH_ELEMENTWISE_SCALARS];
};

/* False: kernels do not know the type. */
ABX_TORCH_API bool abx_torch_knows_type(int type);
ABX_TORCH_API bool abx_torch_is_float(int type);
ABX_TORCH_API int abx_torch_run_elementwise(const struct abx_torch_elementwise *e);
/* Operand 1 is indexed by those after it: what is indexed has these sizes, and strides in bytes,
 * and a stride of 0 in the operand. An index outside is taken for the nearest inside. */
ABX_TORCH_API int abx_torch_run_pick(
        const struct abx_torch_elementwise *e, const int64_t *sizes, const int64_t *strides);

#ifdef __cplusplus
}
#endif
#endif
