#include <metal_stdlib>
using namespace metal;
enum class Mode : uint { A = 1, B };
enum Old { X, Y = 5 };
union Bits {
    float f;
    uint u;
};
struct Fields {
    uint a : 4;
    uint b : 12;
    int c : 16;
};
struct alignas(16) Al {
    float x;
};
struct Base {
    int v;
    int get() const
    {
        return v;
    }
};
struct Derived : Base {
    int w;
    int sum() const thread
    {
        return v + w;
    }
};
template <typename T, int N> struct Arr {
    T d[N];
    thread T &operator[](int i) thread
    {
        return d[i];
    }
    const thread T &operator[](int i) const thread
    {
        return d[i];
    }
    const device T &operator[](int i) const device
    {
        return d[i];
    }
    static constexpr int size = N;
};
template <typename T> struct is_vec : false_type {
};
template <typename T, int N> struct is_vec<vec<T, N>> : true_type {
};
template <typename T, enable_if_t<is_floating_point_v<T>, bool> = true> T twice(T x)
{
    return x + x;
}
template <typename T, typename = enable_if_t<is_integral<T>::value>> T twice(T x, int = 0)
{
    return x * 2;
}
template <typename... A> int count(A...)
{
    return sizeof...(A);
}
template <typename T> constexpr T fold(T a)
{
    return a;
}
template <typename T, typename... R> constexpr T fold(T a, R... r)
{
    return a + fold(r...);
}
constexpr int fact(int n)
{
    return n < 2 ? 1 : n * fact(n - 1);
}
constant int fac5 = fact(5);
constant float weights[] = {0.1, 0.2, 0.3};
constant constexpr int N = 4;
static constant int M = N * 2;
namespace ns
{
namespace inner
{
constant int deep = 3;
inline int f(int x)
{
    return x + deep;
}
} // namespace inner
using namespace inner;
} // namespace ns
typedef float real;
using Vec = float4;
template <typename T> using Pair = Arr<T, 2>;
inline void swap_(thread int &a, thread int &b)
{
    int t = a;
    a = b;
    b = t;
}
void by_ptr(device float *p, thread float *q, threadgroup float *r, constant float *c)
{
    *p = *q + *r + *c;
}
float over(device float *p)
{
    return 1;
}
float over(threadgroup float *p)
{
    return 2;
}
float over(thread float *p)
{
    return 3;
}
float over(constant float *p)
{
    return 4;
}
static inline __attribute__((always_inline)) float ai(float x)
{
    return x;
}
[[gnu::noinline]] float ni(float x)
{
    return x;
}
METAL_FUNC float mf(float x)
{
    return x;
}
struct Functor {
    float k;
    float operator()(float x) const
    {
        return k * x;
    }
};
template <typename F> float apply(F f, float x)
{
    return f(x);
}
int rec(int n)
{
    return n <= 0 ? 0 : 1 + rec(n - 1);
}
kernel void k(device float *o [[buffer(0)]], constant float *c [[buffer(1)]],
        device Derived *dv [[buffer(2)]], threadgroup float *tg [[threadgroup(0)]],
        uint t [[thread_position_in_grid]], uint3 l [[thread_position_in_threadgroup]])
{
    Mode m = Mode::B;
    Old x = Y;
    o[0] = uint(m) + x;
    if (m == Mode::A)
        o[0] = 1;
    Bits b;
    b.f = 1;
    o[1] = b.u;
    Fields f = {1, 2, -3};
    o[2] = f.a + f.c;
    f.b = 7;
    Al al{1};
    o[3] = al.x + alignof(Al);
    Derived d;
    d.v = 1;
    d.w = 2;
    o[4] = d.sum() + dv->v + d.get();
    Arr<float, 3> a{};
    a[0] = 2;
    const Arr<float, 3> ca = a;
    o[5] = a[0] + ca[1] + Arr<int, 7>::size;
    o[6] = twice(1.5) + twice(3) + is_vec<float2>::value + is_vec<float>{} + count(1, 2, 3) +
           fold(1, 2, 3) + fac5 + weights[2] + N + M + ns::f(1);
    int p = 1, q = 2;
    swap_(p, q);
    float loc = 1;
    by_ptr(o, &loc, tg, c);
    o[7] = over(o) + over(tg) + over(&loc) + over(c);
    o[8] = ai(1) + ni(2) + mf(3) + apply(Functor{2}, 3) + rec(3);
    for (int i = 0; i < 4; ++i) {
        if (i == 2)
            continue;
        switch (i) {
        case 0:
            o[9] = 1;
            break;
        default:
            o[9] += 1;
        }
    }
    int w = 3;
    while (w-- > 0) {
    }
    do {
        w++;
    } while (w < 3);
    const auto lam = 3;
    o[10] = lam;
    int arr2[2][3] = {{1, 2, 3}, {4, 5, 6}};
    o[11] = arr2[1][2];
    for (auto v : arr2[0])
        o[12] += v;
    device float *pp = o + 2;
    pp++;
    pp -= 1;
    o[13] = pp - o;
    device float *const *ppp = &pp;
    o[14] = **ppp;
    thread float *const tp = &loc;
    *tp = 3;
    if (int z = p + q; z > 2)
        o[15] = z;
    if constexpr (sizeof(int) == 4)
        o[16] = 1;
    auto [s1, s2] = Pair<int>{1, 2}.d;
    o[17] = s1 + s2;
    o[18] = true ? 1 : 2.0;
    real r = 1;
    Vec v = r;
    o[19] = v.x;
    static_assert(N == 4, "n");
    constexpr float ce = 1.5;
    o[20] = ce;
    o[21] = float(t) / l.x;
    o[22] = sizeof(Arr<char, 3>) + __LINE__;
    volatile int vv = 1;
    vv = vv + 1;
    o[23] = vv;
    unsigned char uc = 200;
    uc += 100;
    o[24] = uc;
    (void)uc;
    decltype(o[0]) ref = o[25];
    ref = 1;
    threadgroup float shared[64];
    threadgroup float2 sh2[4][4];
    shared[l.x] = 1;
    sh2[1][l.x].x = 2;
    threadgroup int one;
    one = 3;
    o[26] = shared[0] + sh2[0][0].y + one;
    threadgroup float *sp = shared + 1;
    o[27] = *sp;
    threadgroup float(*rows)[4] = (threadgroup float(*)[4])shared;
    o[28] = rows[1][2];
    device uchar *bytes = (device uchar *)o;
    o[29] = *(device ushort *)(bytes + 2);
    device const float4 *v4 = reinterpret_cast<device const float4 *>(o);
    o[30] = v4[1].x;
    o[31] = ((const device packed_float3 *)o)[1].y;
}
