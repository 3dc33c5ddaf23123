// What a lane has of a fragment: vectors of eight and sixteen, by index.
#include <metal_stdlib>
using namespace metal;
template <typename T, int N> void sum(device T *p, uint i)
{
    vec<T, N> a(p[i]), b = vec<T, N>(T(2));
    for (int n = 0; n < N; n++)
        a[n] = p[i + n];
    a += b * a;
    p[i] = a[0] + vec<float, N>(a)[N - 1];
    static_assert(sizeof(a) == N * sizeof(T) && alignof(vec<T, N>) == N * sizeof(T), "as other vectors");
}
kernel void k(device float *p [[buffer(0)]], device half *h [[buffer(1)]], device int *n [[buffer(2)]], uint i [[thread_position_in_grid]])
{
    sum<float, 8>(p, i);
    sum<half, 8>(h, i);
    sum<int, 16>(n, i);
    vec<int, 8> given(1, 2, 3, 4, 5, 6, 7, 8);
    n[i] += given[i % 8];
}

// A program's own vectors may be longer yet: shifts and divisions by numbers that are the same everywhere.
typedef int many __attribute__((ext_vector_type(512)));
kernel void longer(device many *o [[buffer(0)]], constant int &s [[buffer(1)]])
{
    *o = (*o << s) / (*o + 1);
}
