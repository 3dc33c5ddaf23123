#include <metal_stdlib>
using namespace metal;
struct table {
    array<float, 4> rows[2];
};
constant array<int, 3> numbers = {1, 2, 3};
constexpr int second(array<int, 3> a)
{
    return a[1];
}
static_assert(second({4, 5, 6}) == 5, "");
kernel void k(device array<float, 4> *x [[buffer(0)]], constant table &t [[buffer(1)]],
        uint i [[thread_index_in_threadgroup]])
{
    threadgroup array<float, 4> shared[32];
    threadgroup array<float, 4> *s = shared;
    threadgroup float *const a = &(*s)[i & 3];
    device float *b = &x[i][1];
    constant float *c = &t.rows[1][2];
    constant int *n = &numbers[2];
    const array<float, 4> own = {1, 2, 3, 4};
    const thread float *d = &own[i & 3];
    *a = *c;
    *b = *a + *d + *n;
}
// expect: kernel k
