#include <metal_stdlib>
// error: 6:1 expected ')'
// error: 6:1 expected function body
kernel void broken(device float *x
                   , float y
}
