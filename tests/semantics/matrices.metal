// Matrices, of a thread and of a SIMD-group, on small whole numbers: exact in any order.
#include <metal_stdlib>
using namespace metal;

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition) && !line[i])                                                              \
            line[i] = __LINE__;                                                                    \
    } while (0)

template <typename T> T small(device const uint *data, uint k)
{
    return T(int(data[k % 4096] >> 13) % 7 - 3);
}

template <typename T, int C, int R> matrix<T, C, R> filled(device const uint *data, uint k)
{
    matrix<T, C, R> m;
    for (int c = 0; c < C; c++)
        for (int r = 0; r < R; r++)
            m[c][r] = small<T>(data, k + c * 5 + r);
    return m;
}

template <typename T, int C, int R>
void multiply(device uint *line, device const uint *data, uint i)
{
    matrix<T, C, R> a = filled<T, C, R>(data, i), b = filled<T, C, R>(data, i + 77);
    matrix<T, R, C> back = filled<T, R, C>(data, i + 99);
    vec<T, C> v;
    vec<T, R> w, av = 0;
    vec<T, C> wa = 0;
    for (int c = 0; c < C; c++)
        v[c] = small<T>(data, i + 3 * c);
    for (int r = 0; r < R; r++)
        w[r] = small<T>(data, i + 5 * r);
    for (int c = 0; c < C; c++)
        for (int r = 0; r < R; r++)
            av[r] += a[c][r] * v[c], wa[c] += a[c][r] * w[r];
    CHECK(all(a * v == av) && all(w * a == wa));
    matrix<T, C, C> product = back * a;
    for (int c = 0; c < C; c++)
        for (int r = 0; r < C; r++) {
            T sum = 0;
            for (int k = 0; k < R; k++)
                sum += back[k][r] * a[c][k];
            CHECK(product[c][r] == sum);
        }
    matrix<T, R, C> t = transpose(a);
    for (int c = 0; c < C; c++) {
        CHECK(all(vec<T, R>(a[c]) + b[c] == (a + b)[c]) && all(a[c] - b[c] == (a - b)[c]));
        CHECK(all((a * T(2))[c] == a[c] * T(2)) && all((T(2) * a)[c] == a[c] + a[c]) && all((-a)[c] == -a[c]));
        for (int r = 0; r < R; r++)
            CHECK(t[r][c] == a[c][r]);
    }
    a += b;
    a -= b;
    a *= T(3);
    CHECK(all(a * v == av * T(3)));
}
kernel void of_a_thread_small(device uint *line [[buffer(0)]], device const uint *data [[buffer(1)]],
        uint i [[thread_position_in_grid]])
{
    multiply<float, 2, 2>(line, data, i), multiply<float, 2, 3>(line, data, i);
    multiply<float, 2, 4>(line, data, i), multiply<float, 3, 2>(line, data, i);
    multiply<float, 3, 3>(line, data, i), multiply<float, 3, 4>(line, data, i);
}
kernel void of_a_thread_large(device uint *line [[buffer(0)]], device const uint *data [[buffer(1)]],
        uint i [[thread_position_in_grid]])
{
    multiply<float, 4, 2>(line, data, i), multiply<float, 4, 3>(line, data, i);
    multiply<float, 4, 4>(line, data, i);
}
kernel void of_a_thread_half(device uint *line [[buffer(0)]], device const uint *data [[buffer(1)]],
        uint i [[thread_position_in_grid]])
{
    multiply<half, 3, 3>(line, data, i), multiply<half, 4, 2>(line, data, i);
    multiply<half, 4, 4>(line, data, i);
}
kernel void of_a_thread(device uint *line [[buffer(0)]], device const uint *data [[buffer(1)]],
        uint i [[thread_position_in_grid]])
{
    float4x4 m(2.0f);
    CHECK(m[0][0] == 2 && m[1][0] == 0 && determinant(m) == 16);
    float2x2 q(1, 2, 3, 4), braces = {{1, 2}, {3, 4}};
    CHECK(all(q[1] == float2(3, 4)) && all(braces[1] == q[1]) && determinant(q) == -2);
    float3x3 s = filled<float, 3, 3>(data, i);
    CHECK(determinant(s) == dot(s[0], cross(s[1], s[2])));
    CHECK(determinant(transpose(s)) == determinant(s));
    float4x4 a = filled<float, 4, 4>(data, i), b = filled<float, 4, 4>(data, i + 9);
    CHECK(determinant(a * b) == determinant(a) * determinant(b) || fabs(determinant(a)) > 1000);
    half4x4 h = half4x4(a);
    CHECK(all(float4(h[2]) == a[2]));
}

// D = A B + C over a SIMD-group, A and B from device memory, the result by way of threadgroup memory.
template <typename A, typename C>
void multiply_8x8(device uint *line, device const uint *data, device uint *scratch, threadgroup C *shared,
        uint i, uint lane, uint simdgroup)
{
    device A *a = (device A *)(scratch + (i - lane) * 16), *b = a + 64;
    for (uint k = lane; k < 64; k += 32)
        a[k] = small<A>(data, i - lane + k), b[k] = small<A>(data, i - lane + 64 + k);
    threadgroup C *out = shared + simdgroup * 64;
    simdgroup_barrier(mem_flags::mem_device);
    simdgroup_matrix<A, 8, 8> ma, mb, mt;
    simdgroup_matrix<C, 8, 8> mc = make_filled_simdgroup_matrix<C, 8, 8>(C(2)), md;
    simdgroup_load(ma, a);
    simdgroup_load(mb, b, 8, ulong2(0, 0));
    simdgroup_multiply_accumulate(md, ma, mb, mc);
    simdgroup_store(md, out, 8);
    simdgroup_barrier(mem_flags::mem_threadgroup);
    for (uint k = lane; k < 64; k += 32) {
        C sum = 2;
        for (uint n = 0; n < 8; n++)
            sum += C(a[k / 8 * 8 + n]) * C(b[n * 8 + k % 8]);
        CHECK(out[k] == sum);
    }
    simdgroup_barrier(mem_flags::mem_threadgroup);
    // Transposed on the way in; without C; transposed on the way out.
    simdgroup_load(mt, a, 8, ulong2(0, 0), true);
    simdgroup_multiply(md, mt, mb);
    simdgroup_store(md, out, 8, ulong2(0, 0), true);
    simdgroup_barrier(mem_flags::mem_threadgroup);
    for (uint k = lane; k < 64; k += 32) {
        C sum = 0;
        for (uint n = 0; n < 8; n++)
            sum += C(a[n * 8 + k % 8]) * C(b[n * 8 + k / 8]);
        CHECK(out[k] == sum);
    }
    simdgroup_barrier(mem_flags::mem_threadgroup);
    // The diagonal, and each thread's own two elements.
    simdgroup_matrix<C, 8, 8> diagonal(C(3));
    thread auto &own = diagonal.thread_elements();
    own[0] += C(1);
    own[1] += C(1);
    simdgroup_store(diagonal, out, 8);
    simdgroup_barrier(mem_flags::mem_threadgroup);
    for (uint k = lane; k < 64; k += 32)
        CHECK(out[k] == (k / 8 == k % 8 ? C(4) : C(1)));
}

#define WHOLE_SIMDGROUPS                                                                           \
    if (size % 32)                                                                                 \
        return;
#define ARGUMENTS(C)                                                                               \
    device uint *line [[buffer(0)]], device const uint *data [[buffer(1)]],                        \
            device uint *scratch [[buffer(2)]], uint i [[thread_position_in_grid]],                \
            uint lane [[thread_index_in_simdgroup]], uint sg [[simdgroup_index_in_threadgroup]],   \
            uint size [[threads_per_threadgroup]]
kernel void of_a_simdgroup_float(ARGUMENTS(float))
{
    threadgroup float shared[8 * 64];
    WHOLE_SIMDGROUPS
    multiply_8x8<float>(line, data, scratch, shared, i, lane, sg);
}
kernel void of_a_simdgroup_half(ARGUMENTS(half))
{
    threadgroup half shared[8 * 64];
    WHOLE_SIMDGROUPS
    multiply_8x8<half>(line, data, scratch, shared, i, lane, sg);
}
kernel void of_a_simdgroup_half_to_float(ARGUMENTS(float))
{
    threadgroup float shared[8 * 64];
    WHOLE_SIMDGROUPS
    multiply_8x8<half>(line, data, scratch, shared, i, lane, sg);
}
kernel void of_a_simdgroup_bfloat(ARGUMENTS(float))
{
    threadgroup float shared[8 * 64];
    WHOLE_SIMDGROUPS
    multiply_8x8<bfloat>(line, data, scratch, shared, i, lane, sg);
}
// Part of a larger matrix, by origin and elements per row.
kernel void of_a_tile(ARGUMENTS(float))
{
    WHOLE_SIMDGROUPS
    device float *a = (device float *)(scratch + (i - lane) * 16 * 2);
    for (uint k = lane; k < 256; k += 32)
        a[k] = float(k);
    simdgroup_barrier(mem_flags::mem_device);
    simdgroup_float8x8 tile;
    simdgroup_load(tile, a, 16, ulong2(8, 0));
    simdgroup_store(tile, a, 16, ulong2(0, 8));
    simdgroup_barrier(mem_flags::mem_device);
    for (uint k = lane; k < 64; k += 32)
        CHECK(a[(k / 8 + 8) * 16 + k % 8] == float(k / 8 * 16 + k % 8 + 8));
}
// A factor that was loaded before its place was written again keeps its value: what products are made
// of may be fetched late, but not that late.
kernel void of_a_simdgroup_loaded_before(ARGUMENTS(float))
{
    threadgroup float shared[8 * 192];
    WHOLE_SIMDGROUPS
    threadgroup float *a = shared + sg * 192, *b = a + 64, *out = b + 64;
    for (uint k = lane; k < 64; k += 32)
        a[k] = small<float>(data, i - lane + k), b[k] = small<float>(data, i - lane + 64 + k);
    simdgroup_barrier(mem_flags::mem_threadgroup);
    simdgroup_float8x8 left, right[2], sum[2], nines = make_filled_simdgroup_matrix<float, 8, 8>(9);
    simdgroup_load(left, a);
    simdgroup_load(right[0], b);
    simdgroup_load(right[1], b, 8, ulong2(0, 0), true);
    simdgroup_barrier(mem_flags::mem_threadgroup);
    simdgroup_store(nines, a);
    simdgroup_store(nines, b);
    for (int n = 0; n < 2; n++)
        simdgroup_multiply(sum[n], left, right[n]);
    for (int n = 0; n < 2; n++) {
        simdgroup_store(sum[n], out);
        simdgroup_barrier(mem_flags::mem_threadgroup);
        for (uint k = lane; k < 64; k += 32) {
            float expected = 0;
            for (uint m = 0; m < 8; m++)
                expected += small<float>(data, i - lane + k / 8 * 8 + m) *
                            small<float>(data, i - lane + 64 + (n ? k % 8 * 8 + m : m * 8 + k % 8));
            CHECK(out[k] == expected);
        }
        simdgroup_barrier(mem_flags::mem_threadgroup);
    }
}
// Sums go on over barriers and from loop to loop; the last turn of the first is cut short.
kernel void of_sums_in_a_loop(ARGUMENTS(float))
{
    threadgroup float shared[8 * 256];
    WHOLE_SIMDGROUPS
    threadgroup float *a = shared + sg * 256, *b = a + 128;
    simdgroup_float8x8 sum[2][2], left[2], right[2];
    for (int n = 0; n < 4; n++)
        sum[n / 2][n % 2] = make_filled_simdgroup_matrix<float, 8, 8>(float(n));
    for (uint turn = 1; turn < 9; turn++) {
        threadgroup_barrier(mem_flags::mem_threadgroup);
        for (uint k = lane; k < 128; k += 32)
            a[k] = small<float>(data, i - lane + k) + turn, b[k] = small<float>(data, i - lane + 128 + k);
        threadgroup_barrier(mem_flags::mem_threadgroup);
        for (int n = 0; n < 2; n++)
            simdgroup_load(left[n], a + 64 * n), simdgroup_load(right[n], b + 64 * n);
        if (turn == 4)
            continue;
        if (turn == 7)
            break;
        for (int n = 0; n < 4; n++)
            simdgroup_multiply_accumulate(sum[n / 2][n % 2], left[n / 2], right[n % 2], sum[n / 2][n % 2]);
    }
    for (uint turn = 0; turn < 2; turn++) { // of what the last turn left
        threadgroup_barrier(mem_flags::mem_threadgroup);
        for (int n = 0; n < 4; n++)
            simdgroup_multiply_accumulate(sum[n / 2][n % 2], left[n / 2], right[n % 2], sum[n / 2][n % 2]);
    }
    for (int n = 0; n < 4; n++) {
        threadgroup float *out = a;
        simdgroup_barrier(mem_flags::mem_threadgroup);
        simdgroup_store(sum[n / 2][n % 2], out);
        simdgroup_barrier(mem_flags::mem_threadgroup);
        for (uint k = lane; k < 64; k += 32) {
            float expected = float(n);
            for (uint m = 0; m < 8; m++) {
                float x = small<float>(data, i - lane + 64 * (n / 2) + k / 8 * 8 + m);
                float y = small<float>(data, i - lane + 128 + 64 * (n % 2) + m * 8 + k % 8);
                expected += (7 * x + 1 + 2 + 3 + 5 + 6 + 7 + 7) * y;
            }
            CHECK(out[k] == expected);
        }
    }
}
// Tiles of halves one after another in threadgroup memory, written a column a lane, and more than one
// of them multiplied at once: where the memory's banks decide how long that takes.
kernel void of_tiles(ARGUMENTS(half), threadgroup half *tiles [[threadgroup(0)]],
        uint thread [[thread_index_in_threadgroup]])
{
    WHOLE_SIMDGROUPS
    threadgroup half *a = tiles + sg * 64;                    // one of each SIMD-group
    threadgroup half *b = tiles + 8 * 64 + 4 * 64 * (sg % 2); // four of each of the first two
    simdgroup_float8x8 sum[4];
    for (short n = 0; n < 4; n++)
        sum[n] = make_filled_simdgroup_matrix<float, 8, 8>(float(n));
    for (uint turn = 0; turn < 3; turn++) {
        threadgroup_barrier(mem_flags::mem_threadgroup);
        uint column = lane % 8;
        for (short row = 0; row < 2; row++)
            *(a + 8 * (2 * (lane / 8) + row) + column) =
                    small<half>(data, i - lane + (2 * (lane / 8) + row) * 8 + column + turn);
        if (sg < 2)
            for (short row = 0; row < 8; row++)
                *(b + 64 * (lane / 8) + 8 * row + column) =
                        small<half>(data, 100 * sg + 64 * (lane / 8) + row * 8 + column + turn);
        threadgroup_barrier(mem_flags::mem_threadgroup);
        if (sg >= 2 || size < 64)
            continue;
        simdgroup_half8x8 left, right[4];
        simdgroup_load(left, a, 8);
        for (short n = 0; n < 4; n++)
            simdgroup_load(right[n], b + 64 * n, 8);
        for (short n = 0; n < 4; n++)
            simdgroup_multiply_accumulate(sum[n], left, right[n], sum[n]);
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
    if (sg >= 2 || size < 64)
        return;
    for (short n = 0; n < 4; n++) {
        device float *out = (device float *)(scratch + (i - lane) * 16);
        simdgroup_barrier(mem_flags::mem_device);
        simdgroup_store(sum[n], out);
        simdgroup_barrier(mem_flags::mem_device);
        for (uint k = lane; k < 64; k += 32) {
            float expected = float(n);
            for (uint turn = 0; turn < 3; turn++)
                for (uint m = 0; m < 8; m++)
                    expected += small<float>(data, i - lane + k / 8 * 8 + m + turn) *
                                small<float>(data, 100 * sg + 64 * n + m * 8 + k % 8 + turn);
            CHECK(out[k] == expected);
        }
    }
}
// Products of floats, of a matrix that was computed, and of numbers of which each is many bits long.
kernel void of_long_floats(ARGUMENTS(float))
{
    threadgroup float shared[8 * 128];
    WHOLE_SIMDGROUPS
    threadgroup float *a = shared + sg * 128, *b = a + 64;
    device float *out = (device float *)(scratch + (i - lane) * 16);
    for (uint k = lane; k < 64; k += 32) {
        a[k] = float(int(data[(i - lane + k) % 4096] >> 8)) * 0x1p-23f - 1;
        b[k] = float(int(data[(i - lane + 64 + k) % 4096] >> 8)) * 0x1p-23f - 1;
    }
    simdgroup_barrier(mem_flags::mem_threadgroup);
    simdgroup_float8x8 left, right, twice, product;
    simdgroup_load(left, a);
    simdgroup_load(right, b);
    twice = right;
    twice.thread_elements()[0] *= 2, twice.thread_elements()[1] *= 2;
    simdgroup_multiply_accumulate(product, left, twice, right);
    simdgroup_store(product, out);
    simdgroup_barrier(mem_flags::mem_device);
    for (uint k = lane; k < 64; k += 32) {
        float sum = b[k], size = fabs(sum);
        for (uint n = 0; n < 8; n++) {
            float x = a[k / 8 * 8 + n] * 2 * b[n * 8 + k % 8];
            sum += x, size += fabs(x);
        }
        CHECK(fabs(out[k] - sum) <= size * 0x1p-20f);
    }
}
// Tiles that are also reached by pointers which only running the kernel tells.
kernel void of_tiles_by_pointers(ARGUMENTS(half), threadgroup half *tiles [[threadgroup(0)]])
{
    WHOLE_SIMDGROUPS
    threadgroup half *own[2] = {tiles + 64 * sg, tiles + 8 * 64 + 64 * sg};
    uint first = data[(i - lane) % 4096] % 2;
    for (short n = 0; n < 2; n++)
        for (uint k = lane; k < 64; k += 32)
            own[(first + n) % 2][k] = small<half>(data, i - lane + 64 * ((first + n) % 2) + k);
    simdgroup_barrier(mem_flags::mem_threadgroup);
    simdgroup_half8x8 left, right;
    simdgroup_float8x8 product;
    simdgroup_load(left, tiles + 64 * sg, 8);
    simdgroup_load(right, tiles + 8 * 64 + 64 * sg, 8);
    simdgroup_multiply(product, left, right);
    device float *out = (device float *)(scratch + (i - lane) * 16);
    simdgroup_store(product, out);
    simdgroup_barrier(mem_flags::mem_device);
    for (uint k = lane; k < 64; k += 32) {
        float sum = 0;
        for (uint m = 0; m < 8; m++)
            sum += float(own[0][k / 8 * 8 + m]) * float(own[1][m * 8 + k % 8]);
        CHECK(out[k] == sum);
        CHECK(own[first][k] == small<half>(data, i - lane + 64 * first + k));
    }
}
// Rows with room behind them, in memory that the kernel declares; two matrices by the same four, turned, and then the
// program looks at the products' elements.
kernel void of_padded_tiles(ARGUMENTS(half))
{
    WHOLE_SIMDGROUPS
    threadgroup half room[48 * 24];
    if (sg)
        return;
    for (uint k = lane; k < 48 * 8; k += 32)
        room[k / 8 * 24 + k % 8] = small<half>(data, k < 128 ? i - lane + k : 500 + k - 128);
    simdgroup_barrier(mem_flags::mem_threadgroup);
    simdgroup_half8x8 left[2];
    simdgroup_float8x8 products[2][4];
    for (uint r = 0; r < 2; r++)
        simdgroup_load(left[r], room + 8 * r * 24, 24);
    for (uint n = 0; n < 4; n++) {
        simdgroup_half8x8 right;
        simdgroup_load(right, room + (16 + 8 * n) * 24, 24, ulong2(0), true);
        for (uint r = 0; r < 2; r++) {
            products[r][n] = make_filled_simdgroup_matrix<float, 8, 8>(float(r));
            simdgroup_multiply_accumulate(products[r][n], left[r], right, products[r][n]);
        }
    }
_Pragma("clang loop unroll(full)")
    for (uint n = 0; n < 4; n++)
_Pragma("clang loop unroll(full)")
        for (uint r = 0; r < 2; r++) {
            products[r][n].thread_elements() *= 2;
            device float *out = (device float *)(scratch + (i - lane) * 16);
            simdgroup_barrier(mem_flags::mem_device);
            simdgroup_store(products[r][n], out);
            simdgroup_barrier(mem_flags::mem_device);
            for (uint k = lane; k < 64; k += 32) {
                float expected = float(r);
                for (uint m = 0; m < 8; m++)
                    expected += small<float>(data, i - lane + (8 * r + k / 8) * 8 + m) *
                                small<float>(data, 500 + (8 * n + k % 8) * 8 + m);
                CHECK(out[k] == 2 * expected);
            }
        }
}
