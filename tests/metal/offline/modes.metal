#include "shared.h"
#include <metal_stdlib>

constant int more [[function_constant(3)]];

kernel void modes(device metal::int4 *out [[buffer(0)]])
{
    out[0] = metal::int4(
#ifdef __FAST_MATH__
            1,
#else
            0,
#endif
            __METAL_VERSION__, more, int(product({1, 1})));
}
