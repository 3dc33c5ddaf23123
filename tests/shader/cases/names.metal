// expect: kernel plain
// expect: kernel given name
// expect: kernel outer::inner
// expect: kernel macro_7
#include <metal_stdlib>
using namespace metal;
kernel void plain(device int *x)
{
    x[0] = 1;
}
[[host_name("given name")]] kernel void other(device int *x)
{
    x[0] = 1;
}
namespace outer
{
kernel void inner(device int *x)
{
    x[0] = 1;
}
} // namespace outer
#define MAKE(n)                                                                                    \
    kernel void macro_##n(device int *x)                                                           \
    {                                                                                              \
        x[0] = n;                                                                                  \
    }
MAKE(7)
