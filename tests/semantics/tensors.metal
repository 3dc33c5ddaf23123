// Tensors and their products (matmul2d) on small whole numbers: exact in any order. What lies around a
// matrix is no number where it is read, and stays what it was where it is written.
#include <metal_stdlib>
#include <metal_tensor>
#include <MetalPerformancePrimitives/MetalPerformancePrimitives.h>
using namespace metal;
using namespace mpp::tensor_ops;

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition) && !line[i])                                                              \
            line[i] = __LINE__;                                                                    \
    } while (0)

#define ARGUMENTS                                                                                  \
    device uint *line [[buffer(0)]], device const uint *data [[buffer(1)]],                        \
            device uint *scratch [[buffer(2)]], uint i [[thread_position_in_grid]],                \
            uint lane [[thread_index_in_simdgroup]], uint tid [[thread_index_in_threadgroup]],     \
            uint group [[threadgroup_position_in_grid]], uint size [[threads_per_threadgroup]],    \
            uint simdgroup [[simdgroup_index_in_threadgroup]]

template <typename T> T small(device const uint *data, uint k)
{
    return T(int(data[k % 4096] >> 13) % 4);
}
template <> float small<float>(device const uint *data, uint k)
{
    return float(int(data[k % 4096] >> 13) % 7 - 3);
}
template <> half small<half>(device const uint *data, uint k)
{
    return half(int(data[k % 4096] >> 13) % 7 - 3);
}
template <> bfloat small<bfloat>(device const uint *data, uint k)
{
    return bfloat(int(data[k % 4096] >> 13) % 7 - 3);
}
template <> int8_t small<int8_t>(device const uint *data, uint k)
{
    return int8_t(data[k % 4096] >> 13);
}
template <> uint8_t small<uint8_t>(device const uint *data, uint k)
{
    return uint8_t(data[k % 4096] >> 13);
}
// What a matrix's surroundings hold: it would show in every sum that has it.
template <typename T> T outside()
{
    return T(as_type<float>(0x7fc00000u));
}
template <> int8_t outside<int8_t>()
{
    return 101;
}
template <> uint8_t outside<uint8_t>()
{
    return 201;
}
template <> int outside<int>()
{
    return 77777;
}
template <typename T> bool same(T a, T b)
{
    return a == b || (a != a && b != b);
}

// A matrix of rows x columns at `at`, stored as it is or turned, in rows of `per_row`, among others.
template <typename T>
void fill(device T *at, device const uint *data, uint seed, int rows, int columns, int per_row,
        int all_rows, uint tid, uint size)
{
    for (int k = tid; k < all_rows * per_row; k += size) {
        int r = k / per_row, c = k % per_row;
        at[k] = r < rows && c < columns ? small<T>(data, seed + r * 37 + c) : outside<T>();
    }
}
template <typename T> T stored(device const uint *data, uint seed, bool turned, int row, int column)
{
    return small<T>(data, turned ? seed + column * 37 + row : seed + row * 37 + column);
}
template <typename S, typename A, typename B, bool TL, bool TR>
S expected(device const uint *data, uint seed, int row, int column, int k, S sum)
{
    for (int n = 0; n < k; n++)
        sum += S(stored<A>(data, seed, TL, row, n)) * S(stored<B>(data, seed + 500, TR, n, column));
    return sum;
}
template <typename T> struct sum_of {
    typedef float type;
};
template <> struct sum_of<int> {
    typedef int type;
};

// The threadgroup's own places, of 5,000 words each.
template <typename T> device T *place(device uint *scratch, uint group, uint n)
{
    return (device T *)(scratch + (group % 4) * 16000 + n * 5000);
}

// M x N of K terms, in an operation that is written for that or for more of each (Over): out of device
// memory, into device memory and into a cooperative tensor that is stored and looked at.
template <typename A, typename B, typename C, int M, int N, int K, bool TL, bool TR, int Groups,
        int Over, bool Dynamic>
void multiply(device uint *line, device const uint *data, device uint *scratch, uint i, uint tid,
        uint group, uint size)
{
    typedef typename sum_of<C>::type S;
    constexpr int lr = TL ? K : M, lc = TL ? M : K, rr = TR ? N : K, rc = TR ? K : N;
    device A *a = place<A>(scratch, group, 0);
    device B *b = place<B>(scratch, group, 1);
    device C *c = place<C>(scratch, group, 2);
    uint seed = group * 100 + M;
    fill(a, data, seed, lr, lc, lc + 3, lr + 2, tid, size);
    fill(b, data, seed + 500, rr, rc, rc + 5, rr + 2, tid, size);
    for (int k = tid; k < (M + 1) * (N + 2); k += size)
        c[k] = k % (N + 2) < N && k / (N + 2) < M ? C(2) : outside<C>();
    threadgroup_barrier(mem_flags::mem_device);

    auto ta = tensor(a, dextents<int, 2>(lc, lr), array<int, 2>({1, lc + 3}));
    tensor<device B, dextents<int32_t, 2>, tensor_inline> tb(
            b, dextents<int32_t, 2>(rc, rr), array<int32_t, 2>{1, rc + 5});
    auto tc = tensor(c, dextents<int, 2>{N, M}, array<int, 2>{1, N + 2});
    constexpr auto adds = matmul2d_descriptor(M + Over, N + Over, Dynamic ? static_cast<int>(dynamic_extent) : K + Over,
            TL, TR, false, matmul2d_descriptor::mode::multiply_accumulate);
    constexpr auto sets = matmul2d_descriptor(M + Over, N + Over, Dynamic ? static_cast<int>(dynamic_extent) : K + Over, TL, TR);
    typedef conditional_t<Groups == 0, execution_thread, execution_simdgroups<Groups ? Groups : 1>> scope;
    matmul2d<adds, scope> add;
    matmul2d<sets, scope> set;
    bool mine = Groups > 0 || tid == 0;

    if (mine)
        add.run(ta, tb, tc);
    threadgroup_barrier(mem_flags::mem_device);
    for (int k = tid; k < (M + 1) * (N + 2); k += size) {
        int row = k / (N + 2), column = k % (N + 2);
        C e = row < M && column < N
                      ? C(expected<S, A, B, TL, TR>(data, seed, row, column, K, 2)) : outside<C>();
        CHECK(same(c[k], e));
    }
    threadgroup_barrier(mem_flags::mem_device);
    if (mine) {
        auto sum = set.template get_destination_cooperative_tensor<decltype(ta), decltype(tb), C>();
        for (uint16_t n = 0; n < sum.get_capacity(); n++)
            sum[n] = C(9);
        set.run(ta, tb, sum);
        add.run(ta, tb, sum);
        for (uint16_t n = 0; n < sum.get_capacity(); n++) {
            if (!sum.is_valid_element(n))
                continue;
            auto at = sum.get_multidimensional_index(n);
            C e = at[1] < M && at[0] < N ? C(2 * expected<S, A, B, TL, TR>(data, seed, at[1], at[0], K, 0)) : C(0);
            CHECK(sum[n] == e);
            sum[n] += C(1);
        }
        sum.store(tc);
        auto again = set.template get_destination_cooperative_tensor<decltype(ta), decltype(tb), C>();
        again.load(tc);
        for (auto it = again.begin(); it != again.end(); ++it) {
            auto at = it.get_multidimensional_index();
            bool there = it.is_valid_element() && at[1] < M && at[0] < N;
            CHECK(!it.is_valid_element() || *it == (there ? *sum.map_iterator(it) : C(0)));
        }
    }
    threadgroup_barrier(mem_flags::mem_device);
    for (int k = tid; k < (M + 1) * (N + 2); k += size) {
        int row = k / (N + 2), column = k % (N + 2);
        C e = row < M && column < N
                      ? C(C(2 * expected<S, A, B, TL, TR>(data, seed, row, column, K, 0)) + C(1)) : outside<C>();
        CHECK(same(c[k], e));
    }
    threadgroup_barrier(mem_flags::mem_device);
}

#define MULTIPLY(A, B, C, M, N, K, TL, TR, G, Over, Dynamic)                                       \
    multiply<A, B, C, M, N, K, TL, TR, G, Over, Dynamic>(line, data, scratch, i, tid, group, size)
kernel void of_a_simdgroup(ARGUMENTS)
{
    if (size == 32)
        MULTIPLY(half, half, float, 16, 32, 48, false, false, 1, 0, false);
}
kernel void of_two_simdgroups(ARGUMENTS)
{
    if (size == 64)
        MULTIPLY(float, float, float, 32, 16, 40, false, true, 2, 0, true);
}
kernel void of_eight_simdgroups(ARGUMENTS)
{
    if (size == 256)
        MULTIPLY(half, half, half, 64, 32, 32, false, true, 8, 0, true);
}
kernel void left_turned(ARGUMENTS)
{
    if (size == 32)
        MULTIPLY(bfloat, bfloat, float, 16, 16, 32, true, false, 1, 0, false);
}
kernel void both_turned(ARGUMENTS)
{
    if (size == 64)
        MULTIPLY(float, half, float, 24, 16, 17, true, true, 2, 0, true);
}
kernel void past_all_edges(ARGUMENTS)
{
    if (size == 64)
        MULTIPLY(half, half, float, 13, 27, 19, false, false, 2, 5, false);
}
kernel void past_edges_turned(ARGUMENTS)
{
    if (size == 32)
        MULTIPLY(half, bfloat, float, 9, 14, 21, false, true, 1, 3, true);
}
kernel void bytes(ARGUMENTS)
{
    if (size == 32)
        MULTIPLY(int8_t, int8_t, int, 16, 16, 300, false, true, 1, 0, true);
}
kernel void unsigned_bytes(ARGUMENTS)
{
    if (size == 64)
        MULTIPLY(uint8_t, int8_t, int, 16, 24, 40, false, false, 2, 0, false);
}
kernel void of_a_thread(ARGUMENTS)
{
    if (size == 32)
        MULTIPLY(half, float, float, 7, 9, 11, false, true, 0, 2, true);
}

// Factors in registers, filled by place, and by what the lane holds of Apple's 16 x 16 fragments: two rows
// of four neighbours.
template <typename A, typename C, bool TL, bool TR>
void multiply_fragments(device uint *line, device const uint *data, uint i, uint lane, uint simdgroup)
{
    constexpr auto adds = matmul2d_descriptor(16, 32, 16, TL, TR, true, matmul2d_descriptor::mode::multiply_accumulate);
    matmul2d<adds, execution_simdgroup> add;
    auto a = add.template get_left_input_cooperative_tensor<A, A, C>();
    auto b = add.template get_right_input_cooperative_tensor<A, A, C>();
    auto c = add.template get_destination_cooperative_tensor<remove_addrspace_t<decltype(a)>, remove_addrspace_t<decltype(b)>, C>();
    uint seed = simdgroup * 50;
    short row = ((lane >> 2) & 4) | ((lane >> 1) & 3), column = (((lane >> 2) & 2) | (lane & 1)) * 4;
    CHECK(a.get_capacity() == 8 && b.get_capacity() == 16 && c.get_capacity() == 16);
    for (short n = 0; n < 8; n++) {
        short r = row + 8 * (n / 4), k = column + n % 4;
        a[n] = small<A>(data, seed + r * 37 + k);
        auto at = a.get_multidimensional_index(n);
        CHECK(at[0] == k && at[1] == r && a.is_valid_element(n));
    }
    for (short n = 0; n < 16; n++) {
        // Of the right factor, and of its transpose, the second fragment is 16 numbers further along n.
        short r = row + 8 * (n / 4 % 2) + (TR ? n / 8 * 16 : 0), k = column + n % 4 + (TR ? 0 : n / 8 * 16);
        b[n] = small<A>(data, seed + 500 + r * 37 + k);
        auto at = b.get_multidimensional_index(n);
        CHECK(at[0] == k && at[1] == r);
        c[n] = C(1);
    }
    add.run(a, b, c);
    add.run(a, b, c);
    for (short n = 0; n < 16; n++) {
        short r = row + 8 * (n / 4 % 2), k = column + n % 4 + n / 8 * 16;
        auto at = c.get_multidimensional_index(n);
        CHECK(at[0] == k && at[1] == r);
        CHECK(c[n] == C(1 + 2 * expected<float, A, A, TL, TR>(data, seed, r, k, 16, 0)));
    }
}
kernel void fragments(ARGUMENTS)
{
    if (size % 32 == 0)
        multiply_fragments<half, float, false, false>(line, data, i, lane, simdgroup);
}
kernel void fragments_turned(ARGUMENTS)
{
    if (size % 32 == 0)
        multiply_fragments<float, float, true, true>(line, data, i, lane, simdgroup);
}
kernel void fragments_of_bfloats(ARGUMENTS)
{
    if (size % 32 == 0)
        multiply_fragments<bfloat, bfloat, false, true>(line, data, i, lane, simdgroup);
}

// What one product gave is the next one's left factor, its right factor in memory; rows and columns reduced.
kernel void product_of_a_product(ARGUMENTS)
{
    if (size != 32)
        return;
    constexpr auto first_is = matmul2d_descriptor(32, 32, 16, false, true), second_is = matmul2d_descriptor(32, 16, 32);
    matmul2d<first_is, execution_simdgroup> first;
    matmul2d<second_is, execution_simdgroup> second;
    device half *q = place<half>(scratch, group, 0), *k = q + 1000, *v = q + 2000;
    device float *out = place<float>(scratch, group, 1);
    fill(q, data, 1, 32, 16, 16, 32, tid, size);
    fill(k, data, 501, 32, 16, 16, 32, tid, size);
    fill(v, data, 1001, 32, 16, 16, 32, tid, size);
    simdgroup_barrier(mem_flags::mem_device);
    auto tq = tensor(q, extents<int, 16, 32>()), tk = tensor(k, extents<int, 16, 32>()), tv = tensor(v, extents<int, 16, 32>());
    auto s = first.get_destination_cooperative_tensor<decltype(tq), decltype(tk), float>();
    first.run(tq, tk, s);
    auto most = first.get_row_reduction_destination_cooperative_tensor<decltype(tq), decltype(tk), float>();
    auto sums = first.get_column_reduction_destination_cooperative_tensor<decltype(tq), decltype(tk), float>();
    reduce_rows(s, most, reduction_operation::max, -INFINITY);
    reduce_columns(s, sums);
    CHECK(is_iterator_compatible(s, most) && is_iterator_compatible(s, sums) && is_iterator_compatible(s, s));
    for (uint16_t n = 0; n < most.get_capacity(); n++) {
        int row = most.get_multidimensional_index(n)[0];
        float e = -INFINITY;
        for (int c = 0; c < 32; c++)
            e = max(e, expected<float, half, half, false, true>(data, 1, row, c, 16, 0.0f));
        CHECK(most.is_valid_element(n) && most[n] == e);
    }
    for (uint16_t n = 0; n < sums.get_capacity(); n++) {
        int column = sums.get_multidimensional_index(n)[0];
        float e = 0;
        for (int r = 0; r < 32; r++)
            e += expected<float, half, half, false, true>(data, 1, r, column, 16, 0.0f);
        CHECK(sums[n] == e);
    }
    for (auto it = s.begin(); it != s.end(); ++it) {
        auto of_row = most.map_iterator(it);
        auto of_column = sums.map_iterator(it);
        CHECK(it.get_multidimensional_index()[1] == of_row.get_multidimensional_index()[0]);
        CHECK(it.get_multidimensional_index()[0] == of_column.get_multidimensional_index()[0]);
        *it = max(*it - *of_row, -8.0f);
    }
    CHECK((second.is_compatible_as_left_input<half, half, float>(s)));
    CHECK((!first.is_compatible_as_left_input<half, half, float>(s)));
    auto p = second.get_left_input_cooperative_tensor<half, half, float>(s);
    auto o = second.get_destination_cooperative_tensor<decltype(p), decltype(tv), float>();
    second.run(p, tv, o);
    o.store(tensor(out, extents<int, 16, 32>()));
    simdgroup_barrier(mem_flags::mem_device);
    float row[32], high = -INFINITY;
    for (int c = 0; c < 32; c++)
        row[c] = expected<float, half, half, false, true>(data, 1, lane, c, 16, 0.0f), high = max(high, row[c]);
    for (int n = 0; n < 16; n++) {
        float e = 0;
        for (int c = 0; c < 32; c++)
            e += max(row[c] - high, -8.0f) * float(stored<half>(data, 1001, false, c, n));
        CHECK(out[lane * 16 + n] == e);
    }
    // The same with sums in the layout of what lies in memory, and the same factor on the right.
    auto natural = second.get_destination_cooperative_tensor<decltype(tq), decltype(tv), float>();
    second.run(p, tv, natural);
    for (uint16_t n = 0; n < natural.get_capacity(); n++) {
        auto at = natural.get_multidimensional_index(n);
        CHECK(natural[n] == out[at[1] * 16 + at[0]]);
    }
    matmul2d<matmul2d_descriptor(16, 32, 32, true), execution_simdgroup> third;
    CHECK((third.is_compatible_as_right_input<half, half, float>(s)));
    auto right = third.get_right_input_cooperative_tensor<half, half, float>(s);
    device float *turned = out + 1024;
    auto t = tensor(turned, extents<int, 32, 16>());
    third.run(tv, right, t);
    simdgroup_barrier(mem_flags::mem_device);
    for (int n = 0; n < 16; n++) {
        float e = 0;
        for (int r = 0; r < 32; r++) {
            float best = -INFINITY, one = 0;
            for (int c = 0; c < 32; c++) {
                float x = expected<float, half, half, false, true>(data, 1, r, c, 16, 0.0f);
                best = max(best, x), one = c == int(lane) ? x : one;
            }
            e += float(stored<half>(data, 1001, false, r, n)) * max(one - best, -8.0f);
        }
        CHECK(turned[n * 32 + lane] == e);
    }
}

// Slices, indices, numbers of four bits; threadgroup memory.
kernel void tensors_alone(ARGUMENTS)
{
    threadgroup float shared[256];
    for (uint k = tid; k < 256; k += size)
        shared[k] = k;
    threadgroup_barrier(mem_flags::mem_threadgroup);
    auto t = tensor(shared, dextents<int, 3>(4, 8, 8));
    CHECK((t[3, 2, 1] == 3 + 2 * 4 + 1 * 32) && t.get(3, 2, 1) == 43 && t.get_stride(2) == 32 && t.get_rank() == 3);
    auto s = t.slice(1, 2, 3);
    CHECK(s.get_extent(0) == 3 && s.get_extent(1) == 6 && s.get_extent(2) == 5);
    CHECK((s[1, 1, 1] == 2 + 3 * 4 + 4 * 32));
    auto u = tensor(shared, dextents<int, 2>(16, 16)).slice<8, dynamic_extent>(2, 3);
    CHECK(u.get_extent(0) == 8 && u.get_static_extent(0) == 8 && u.get_extent(1) == 13);
    CHECK((u[array<int, 2>{3, 2}] == 5 + 5 * 16));
    auto e = extents<int, dynamic_extent, 5>(7);
    CHECK(e.extent(0) == 7 && e.extent(1) == 5 && e.rank() == 2 && e.rank_dynamic() == 1);
    if (i < 2) {
        auto nibbles = tensor<device uint4b_format, dextents<int, 2>, tensor_inline>((device uchar *)(scratch + i), dextents<int, 2>(4, 2));
        scratch[i] = 0xfe83a517u;
        CHECK((nibbles[0, 0] == 7 && nibbles[1, 0] == 1 && nibbles[2, 0] == 5 && nibbles[3, 1] == 15));
        tensor<device int4b_format, dextents<int, 2>, tensor_inline> integers((device uchar *)(scratch + i), dextents<int, 2>(4, 2));
        CHECK((integers[3, 0] == -6 && integers[3, 1] == -1 && integers[0, 1] == 3 && integers.slice(2, 1).get(0, 0) == -2));
    }
}
kernel void nibbles(ARGUMENTS)
{
    if (size != 32)
        return;
    device int8_t *a = place<int8_t>(scratch, group, 0);
    device uchar *b = place<uchar>(scratch, group, 1);
    fill(a, data, 1, 16, 32, 32, 16, tid, size);
    for (int k = tid; k < 16 * 32 / 2; k += size)
        b[k] = data[k];
    simdgroup_barrier(mem_flags::mem_device);
    auto ta = tensor(a, dextents<int, 2>(32, 16));
    tensor<device int4b_format, dextents<int, 2>, tensor_inline> tb(b, dextents<int, 2>(32, 16));
    matmul2d<matmul2d_descriptor(16, 16, 32, false, true), execution_simdgroup> op;
    auto c = op.get_destination_cooperative_tensor<decltype(ta), decltype(tb), int>();
    op.run(ta, tb, c);
    for (uint16_t n = 0; n < c.get_capacity(); n++) {
        auto at = c.get_multidimensional_index(n);
        int e = 0;
        for (int k = 0; k < 32; k++)
            e += a[at[1] * 32 + k] * (int(data[(at[0] * 32 + k) / 2] >> (k & 1) * 4 << 28) >> 28);
        CHECK(c[n] == e);
    }
}
