// option: -l 3.1
#include <metal_stdlib>
using namespace metal;
#if __METAL_VERSION__ != 310 || !defined(__HAVE_BFLOAT__)
#error not 3.1
#endif
struct S {
    int values[2];
    int operator[](int i) const { return values[i]; }
};
kernel void k(device int *x)
{
    auto f = [](int a) { return a; };
    int sum = 0;
    auto g = [&, sum](int a) { return a + sum; };
    x[x[0]] = f(1) + [=] { return 2; }() + g(3);
    S s{{1, 2}};
    device int *p[1] = {x};
    (p)[0][1] = s[0];
}
// error: 13:14 lambda expressions are not supported in Metal
// error: 15:14 lambda expressions are not supported in Metal
// error: 16:22 lambda expressions are not supported in Metal
