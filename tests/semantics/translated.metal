// Metal as translators write it: the idioms of naga (WGSL), Tint (WGSL) and SPIRV-Cross (GLSL), written
// by hand. tests/translated runs what those programs themselves write, where they are installed.
#include <metal_stdlib>
#include <simd/simd.h>
using metal::uint; // naga's text qualifies every other name

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition) && !line[i])                                                              \
            line[i] = __LINE__;                                                                    \
    } while (0)

// ---- naga
namespace naga
{
struct DefaultConstructible {
    template <typename T> operator T() &&
    {
        return T{};
    }
};
typedef uint open_array[1];
struct wrapped_array {
    uint inner[4];
};
struct _modf_result_f32 {
    float fract;
    float whole;
};
struct Params {
    metal::packed_float3 direction;
    float weight;
    metal::float3x3 turn;
    wrapped_array list;
    char _pad4[8];
};

_modf_result_f32 naga_modf(float arg)
{
    float other;
    float fract = metal::modf(arg, other);
    return _modf_result_f32{fract, other};
}
int naga_f2i32(float value)
{
    return static_cast<int>(metal::clamp(value, -2147483600.0, 2147483500.0));
}
int naga_div(int lhs, int rhs)
{
    return lhs / metal::select(rhs, 1, (lhs == (-2147483647 - 1) & rhs == -1) | (rhs == 0));
}
metal::uint3 naga_mod(metal::uint3 lhs, metal::uint3 rhs)
{
    return lhs % metal::select(rhs, 1u, rhs == 0u);
}
long naga_div(long lhs, long rhs)
{
    return lhs / metal::select(rhs, 1, (lhs == (-9223372036854775807L - 1L) & rhs == -1) | (rhs == 0));
}
metal::uint4 naga_unpack(uint x)
{
    return metal::uint4(x, x >> 8, x >> 16, x >> 24) << 24 >> 24;
}
bool pick(uint k, device open_array &data, thread wrapped_array &seen)
{
    metal::uint2 loop_bound = metal::uint2(4294967295u);
    bool loop_init = true;
    while (true) {
        if (metal::all(loop_bound == metal::uint2(0u))) {
            break;
        }
        loop_bound -= metal::uint2(loop_bound.y == 0u, 1u);
        if (!loop_init) {
            k = k + 1u;
        }
        loop_init = false;
        volatile bool unpredictable_break_from_loop = false;
        if (unpredictable_break_from_loop)
            break;
        switch (as_type<int>(k)) {
        case 0:
        case 1: {
            continue;
        }
        default: {
            seen.inner[metal::min(unsigned(k), 3u)] = uint(k) < 4 ? data[k] : DefaultConstructible();
            break;
        }
        }
        if (k > 5u) {
            return true;
        }
    }
    return false;
}
bool exchange(threadgroup metal::atomic_uint &slot, uint expected, uint next)
{
    uint seen = expected;
    bool exchanged = metal::atomic_compare_exchange_weak_explicit(
            &slot, &seen, next, metal::memory_order_relaxed, metal::memory_order_relaxed);
    return exchanged || seen != expected;
}
} // namespace naga

kernel void naga_main(metal::uint3 at [[thread_position_in_threadgroup]],
        uint i [[thread_position_in_grid]], device naga::open_array &line [[buffer(0)]],
        device naga::open_array &data [[buffer(1)]], threadgroup naga::wrapped_array &shared_words)
{
    naga::Params params = {};
    params.direction = metal::float3(1.0, 2.0, 2.0);
    params.turn = metal::float3x3(metal::float3(0.0, 1.0, 0.0), metal::float3(1.0, 0.0, 0.0),
            metal::float3(0.0, 0.0, 1.0));
    params.turn[data[0]].x = 3.0; // data[0], data[1], data[2]: 0, 1, 2
    CHECK(metal::all(params.direction == metal::float3(1.0, 2.0, 2.0)));
    CHECK(metal::all(metal::float3(1.0, 2.0, 2.0) != params.direction * 2.0));
    CHECK(metal::all((params.turn * metal::float3(params.direction)) == metal::float3(5.0, 1.0, 2.0)));
    CHECK(metal::length(metal::float3(params.direction)) == 3.0);
    naga::_modf_result_f32 m = naga::naga_modf(-2.75);
    CHECK(m.fract == -0.75 && m.whole == -2.0);
    CHECK(naga::naga_f2i32(1e20) > 2147483000 && naga::naga_f2i32(-2.9) == -2);
    int zero = as_type<int>(data[0]);
    CHECK(naga::naga_div(7, zero) == 7 && naga::naga_div(-2147483647 - 1, zero - 1) < 0);
    CHECK(naga::naga_div(7L, long(zero)) == 7L && naga::naga_div(-9L, 2L) == -4L);
    CHECK(metal::all(naga::naga_mod(metal::uint3(7u), metal::uint3(4u, 0u, data[2])) ==
            metal::uint3(3u, 0u, 1u)));
    CHECK(metal::all(naga::naga_unpack(0xdeadbeefu) == metal::uint4(0xefu, 0xbeu, 0xadu, 0xdeu)));
    naga::wrapped_array seen = {};
    CHECK(naga::pick(data[0], data, seen) && seen.inner[2] == 2u && seen.inner[1] == 0u);
    uint a = 0x12345678u + data[0];
    CHECK(metal::extract_bits(a, metal::min(8u, 32u), metal::min(12u, 32u - metal::min(8u, 32u))) == 0x456u);
    CHECK(metal::insert_bits(a, 0xffu, metal::min(4u, 32u), 8u) == 0x12345ff8u);
    CHECK((((a + 1u) != 0u) ? metal::ctz(a) : uint(-1)) == 3u && metal::popcount(a) == 13u);
    CHECK(as_type<float>(metal::select(0x3f800000u, a, a == 0u)) == 1.0);
    if (at.x == 0u) {
        shared_words.inner[0] = 5u;
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    CHECK(shared_words.inner[0] == 5u);
}

// ---- Tint
template <typename T, size_t N> struct tint_array {
    const constant T &operator[](size_t i) const constant
    {
        return elements[i];
    }
    device T &operator[](size_t i) device
    {
        return elements[i];
    }
    const device T &operator[](size_t i) const device
    {
        return elements[i];
    }
    thread T &operator[](size_t i) thread
    {
        return elements[i];
    }
    const thread T &operator[](size_t i) const thread
    {
        return elements[i];
    }
    threadgroup T &operator[](size_t i) threadgroup
    {
        return elements[i];
    }
    const threadgroup T &operator[](size_t i) const threadgroup
    {
        return elements[i];
    }
    T elements[N];
};
#define TINT_ISOLATE_UB(VOLATILE_NAME)                                                             \
    {                                                                                              \
        volatile bool VOLATILE_NAME = false;                                                       \
        if (VOLATILE_NAME)                                                                         \
            break;                                                                                 \
    }
using namespace metal;
struct tint_packed_vec3_f32_array_element {
    /* 0x0000 */ packed_float3 packed;
    /* 0x000c */ tint_array<int8_t, 4> tint_pad;
};
struct tint_workgroup {
    tint_array<uint, 64> values;
    atomic_uint n;
};
struct tint_module_vars_struct {
    device uint *line;
    const device uint *data;
    threadgroup tint_workgroup *shared_words;
    thread uint *calls;
};
struct tint_exchange_result {
    uint old_value;
    bool exchanged;
};

static tint_exchange_result tint_exchange(threadgroup atomic_uint *const object, uint expected, uint next)
{
    uint old_value = expected;
    bool const exchanged = atomic_compare_exchange_weak_explicit(
            object, &old_value, next, memory_order_relaxed, memory_order_relaxed);
    return tint_exchange_result{.old_value = old_value, .exchanged = exchanged};
}
static uint tint_sum(tint_array<uint, 4> const v, tint_module_vars_struct tint_module_vars)
{
    (*tint_module_vars.calls) = ((*tint_module_vars.calls) + 1u);
    uint s = 0u;
    {
        uint2 tint_loop_idx = uint2(4294967295u);
        uint k = 0u;
        while (true) {
            TINT_ISOLATE_UB(tint_volatile_false)
            if (all((tint_loop_idx == uint2(0u)))) {
                break;
            }
            if (!((k < 4u))) {
                break;
            }
            s = (s + v[min(k, 3u)]);
            {
                uint const tint_low = (tint_loop_idx.x - 1u);
                tint_loop_idx.x = tint_low;
                uint const tint_carry = uint((tint_low == 4294967295u));
                tint_loop_idx.y = (tint_loop_idx.y - tint_carry);
                k = (k + 1u);
            }
            continue;
        }
    }
    return s;
}
static void tint_main_inner(uint i, uint t, uint size, tint_module_vars_struct tint_module_vars)
{
    device uint *const line = tint_module_vars.line;
    if ((t == 0u)) {
        atomic_store_explicit((&(*tint_module_vars.shared_words).n), 0u, memory_order_relaxed);
    }
    if ((t < 64u)) {
        (*tint_module_vars.shared_words).values[t] = (t * 3u);
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
    tint_array<uint, 4> local = {};
    local[2] = (tint_module_vars.data[2] + 5u);
    tint_array<uint, 4> const copy = tint_array<uint, 4>{1u, 2u, 3u, 4u};
    CHECK((tint_sum(local, tint_module_vars) == 7u) & (tint_sum(copy, tint_module_vars) == 10u));
    CHECK((*tint_module_vars.calls) == 2u);
    CHECK((*tint_module_vars.shared_words).values[0] == 0u);
    tint_array<tint_packed_vec3_f32_array_element, 2> vectors = {};
    vectors[1].packed = packed_float3(float3(1.0f, 2.0f, 3.0f));
    vectors[1u].packed.y = 7.0f;
    CHECK(all((float3(vectors[1].packed) == float3(1.0f, 7.0f, 3.0f))));
    tint_array<float3, 2> const unpacked =
            tint_array<float3, 2>{float3(vectors[0].packed), float3(vectors[1].packed)};
    CHECK(dot(unpacked[1], float3(1.0f)) == 11.0f);
    tint_exchange_result r = {};
    {
        while (true) {
            TINT_ISOLATE_UB(tint_volatile_false_1)
            uint const now = atomic_load_explicit((&(*tint_module_vars.shared_words).n), memory_order_relaxed);
            r = tint_exchange((&(*tint_module_vars.shared_words).n), now, (now + 1u));
            if (r.exchanged) {
                break;
            }
            {
            }
            continue;
        }
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
    CHECK(atomic_load_explicit((&(*tint_module_vars.shared_words).n), memory_order_relaxed) == size);
    int const n = as_type<int>(tint_module_vars.data[2]);
    CHECK(select((n / select(n, 1, bool((n == 0) | bool((n == (-2147483647 - 1)) & (n == -1))))), 5, false) == 1);
    CHECK((as_type<int>((as_type<uint>(n) << (3u & 31u))) == 16) &
            all((select(float3(1.0f), float3(2.0f), bool3(true, false, true)) == float3(2.0f, 1.0f, 2.0f))));
}
kernel void tint_main(uint i [[thread_position_in_grid]], uint t [[thread_index_in_threadgroup]],
        uint size [[threads_per_threadgroup]], device uint *line [[buffer(0)]],
        const device uint *data [[buffer(1)]], threadgroup tint_workgroup *shared_words [[threadgroup(0)]])
{
    thread uint calls = 0u;
    tint_module_vars_struct const tint_module_vars = tint_module_vars_struct{
            .line = line, .data = data, .shared_words = shared_words, .calls = (&calls)};
    tint_main_inner(i, t, size, tint_module_vars);
}

// ---- SPIRV-Cross
template <typename T, size_t Num> struct spvUnsafeArray {
    T elements[Num ? Num : 1];
    thread T &operator[](size_t pos) thread
    {
        return elements[pos];
    }
    constexpr const thread T &operator[](size_t pos) const thread
    {
        return elements[pos];
    }
    device T &operator[](size_t pos) device
    {
        return elements[pos];
    }
    constexpr const device T &operator[](size_t pos) const device
    {
        return elements[pos];
    }
    constexpr const constant T &operator[](size_t pos) const constant
    {
        return elements[pos];
    }
    threadgroup T &operator[](size_t pos) threadgroup
    {
        return elements[pos];
    }
    constexpr const threadgroup T &operator[](size_t pos) const threadgroup
    {
        return elements[pos];
    }
};
template <typename T, int Cols, int Rows = Cols> struct spvMatrix {
    vec<T, Rows> columns[Cols];
    spvMatrix() thread = default;
    spvMatrix(const thread matrix<T, Cols, Rows> &m) thread
    {
        for (size_t i = 0; i < Cols; ++i)
            columns[i] = m.columns[i];
    }
    spvMatrix(const threadgroup spvMatrix &m) thread = default;
    thread spvMatrix &operator=(initializer_list<vec<T, Rows>> cols) thread
    {
        size_t i;
        thread vec<T, Rows> *col;
        for (i = 0, col = cols.begin(); i < Cols; ++i, ++col)
            columns[i] = *col;
        return *this;
    }
    threadgroup spvMatrix &operator=(const thread matrix<T, Cols, Rows> &m) threadgroup
    {
        for (size_t i = 0; i < Cols; ++i)
            columns[i] = m.columns[i];
        return *this;
    }
    operator matrix<T, Cols, Rows>() const thread
    {
        matrix<T, Cols, Rows> m;
        for (int i = 0; i < Cols; ++i)
            m.columns[i] = columns[i];
        return m;
    }
};
// Metal has these for floating point numbers only: these serve integers.
template <typename T, typename E = typename enable_if<is_integral<T>::value>::type> inline T sign(T x)
{
    return select(select(select(x, T(0), x == T(0)), T(1), x > T(0)), T(-1), x < T(0));
}
template <typename T> inline T radians(T d)
{
    return d * T(0.01745329251);
}
template <typename Tx, typename Ty> inline Tx mod(Tx x, Ty y)
{
    return x - y * floor(x / y);
}
struct Work {
    uint head;
    float4 first;
    packed_float3 three;
    float one;
    uint2 pair;
    char _m5_pad[8];
    spvUnsafeArray<int4, 2> many;
};
constant uint3 gl_WorkGroupSize [[maybe_unused]] = uint3(32u, 1u, 1u);
constant spvUnsafeArray<float, 4> _table = spvUnsafeArray<float, 4>({1.0, 2.0, 4.0, 8.0});
constant float special_tmp [[function_constant(3)]];
constant float special = is_function_constant_defined(special_tmp) ? special_tmp : 2.5;

static inline __attribute__((always_inline)) void spv_halve(thread const float &v, thread float4 &all_of)
{
    all_of.zw = float2(v) * 0.5;
    all_of.x = v;
}
kernel void cross_main(device uint *line [[buffer(0)]], const device uint *data [[buffer(1)]],
        volatile device Work &work [[buffer(2)]], uint3 gl_GlobalInvocationID [[thread_position_in_grid]],
        uint gl_LocalInvocationIndex [[thread_index_in_threadgroup]])
{
    uint i = gl_GlobalInvocationID.x;
    threadgroup spvMatrix<float, 2, 3> held;
    threadgroup uint count;
    int n = int(data[2]) + 1;
    spvUnsafeArray<float, 4> local = spvUnsafeArray<float, 4>({4.0, 3.0, 2.0, 1.0});
    local[n] += _table[n];
    CHECK(local[3] == 9.0 && special == 2.5 && gl_WorkGroupSize.x == 32u);
    CHECK(sign(n - 10) == -1 && sign(-1.5) == -1.0 && all(sign(int2(n, -n)) == int2(1, -1)));
    CHECK(mod(-5.5, 2.0) == 0.5 && radians(180.0) > 3.14);
    float4 v = float4(1.0, 2.0, 3.0, 4.0);
    spv_halve(8.0, v);
    CHECK(all(v == float4(8.0, 2.0, 4.0, 4.0)));
    v = v.wzyx;
    v[n - 2] *= 3.0;
    ((thread float *)&v)[0u] = 1.0;
    CHECK(all(v == float4(1.0, 12.0, 2.0, 8.0)));
    if (gl_LocalInvocationIndex == 0u) {
        count = 0u;
        held = float2x3(float3(1.0, 2.0, 3.0), float3(4.0, 5.0, 6.0));
    }
    threadgroup_barrier(mem_flags::mem_device | mem_flags::mem_threadgroup);
    uint _57 = atomic_fetch_add_explicit((threadgroup atomic_uint *)&count, 1u, memory_order_relaxed);
    spvMatrix<float, 2, 3> m = held;
    CHECK(_57 < 1024u && all(float2x3(m) * float2(1.0) == float3(5.0, 7.0, 9.0)));
    m = {float3(1.0), float3(2.0)};
    CHECK(m.columns[1].z == 2.0);
    if (i == 0u) {
        work.first = float4(1.0, 2.0, 3.0, 4.0);
        work.three = float3(5.0, 6.0, 7.0);
        work.one = 8.0;
        work.pair = uint2(uint(n), 9u);
        work.first[n] = 10.0;
        work.pair += uint2(1u);
        work.three[0] = 50.0;
        uint _101 = atomic_fetch_max_explicit(
                (volatile device atomic_uint *)&work.head, 6u, memory_order_relaxed);
        float4 f = work.first;
        CHECK(_101 == 0u && work.head == 6u);
        CHECK(all(f == float4(1.0, 2.0, 3.0, 10.0)) && dot(work.first, float4(1.0)) == 16.0);
        CHECK(all(float3(work.three) == float3(50.0, 6.0, 7.0)) && work.three.y == 6.0);
        CHECK(work.one == 8.0 && all(work.pair == uint2(4u, 10u)));
    }
}
