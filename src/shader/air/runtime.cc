// shader: what code from Apple's compiler calls, as bitcode: a function for each name in AIR, made of
// the same functions of the shim that a program's source would call, so that both give the same
// numbers. Compiled when ArcBox is built and linked into a precompiled kernel by lower.c.
//
// How a call of AIR reaches a function here, by name:
//   - scalars only: the types in the name are the types here. Vectors of AIR come one component after
//     the other, under the scalar's name: air.sin.v4f32 is four calls of air.sin.f32.
//   - functions that are not componentwise carry AIR's name behind `abx`: each vector is passed as a
//     pointer to it, and a vector result is written through a first pointer (abx.dot.v4f32).
// Matrices are called by call.c.
using namespace metal;

typedef signed char i8;
typedef bool b1;

// A function's C name does not matter; its symbol is AIR's.
#define DEFINE(result, symbol, parameters, ...)                                                    \
    DEFINE_2(result, __ABX_CAT(air_fn_, __COUNTER__), symbol, parameters, __VA_ARGS__)
#define DEFINE_2(result, name, symbol, parameters, ...)                                            \
    extern "C" result name parameters __asm__(symbol);                                             \
    extern "C" __attribute__((used, convergent)) result name parameters                            \
    {                                                                                              \
        __VA_ARGS__;                                                                               \
    }

// ---- floats
#define MATH1_OF(T, suffix, prefix, space, name)                                                   \
    DEFINE(T, "air." prefix #name suffix, (T x), return space::name(x))
#define MATH1(name)                                                                                \
    MATH1_OF(float, ".f32", "", metal::precise, name)                                              \
    MATH1_OF(float, ".f32", "fast_", metal::fast, name)                                            \
    MATH1_OF(half, ".f16", "", metal, name)                                                        \
    MATH1_OF(bfloat, ".bf16", "", metal, name)
__MSL_FOR_MATH1(MATH1)
MATH1(fract)

#define MATH2_OF(T, suffix, prefix, space, name)                                                   \
    DEFINE(T, "air." prefix #name suffix, (T x, T y), return space::name(x, y))
#define MATH2(name)                                                                                \
    MATH2_OF(float, ".f32", "", metal::precise, name)                                              \
    MATH2_OF(float, ".f32", "fast_", metal::fast, name)                                            \
    MATH2_OF(half, ".f16", "", metal, name)                                                        \
    MATH2_OF(bfloat, ".bf16", "", metal, name)
__MSL_FOR_MATH2(MATH2)
MATH2(nextafter)

#define MATH3_OF(T, suffix, name, call)                                                            \
    DEFINE(T, "air." name suffix, (T x, T y, T z), return call(x, y, z))
#define MATH3(name, call)                                                                          \
    MATH3_OF(float, ".f32", name, call)                                                            \
    MATH3_OF(float, ".f32", "fast_" name, call)                                                    \
    MATH3_OF(half, ".f16", name, call)                                                             \
    MATH3_OF(bfloat, ".bf16", name, call)
MATH3("fma", fma)
MATH3("mad", mad)
MATH3("clamp", clamp)
MATH3("mix", mix)
MATH3("smoothstep", smoothstep)
MATH3("fmin3", min3)
MATH3("fmax3", max3)
MATH3("fmedian3", median3)

#define FLOAT_PARTS(T, suffix, fast)                                                               \
    DEFINE(T, "air." fast "ldexp" suffix, (T x, int e), return ldexp(x, e))                        \
    DEFINE(T, "air." fast "sincos" suffix, (T x, T * c), return sincos(x, *c))                     \
    DEFINE(T, "air." fast "modf" suffix, (T x, T * whole), return modf(x, *whole))                 \
    DEFINE(T, "air." fast "frexp" suffix, (T x, int *e), return frexp(x, *e))                      \
    DEFINE(int, "air." fast "ilogb" suffix, (T x), return ilogb(x))
FLOAT_PARTS(float, ".f32", "")
FLOAT_PARTS(float, ".f32", "fast_")
FLOAT_PARTS(half, ".f16", "")
FLOAT_PARTS(bfloat, ".bf16", "")

#define CLASSIFY_OF(T, suffix, name) DEFINE(b1, "air." #name suffix, (T x), return name(x))
#define CLASSIFY(name)                                                                             \
    CLASSIFY_OF(float, ".f32", name)                                                               \
    CLASSIFY_OF(half, ".f16", name)                                                                \
    CLASSIFY_OF(bfloat, ".bf16", name)
CLASSIFY(isnan)
CLASSIFY(isinf)
CLASSIFY(isfinite)
CLASSIFY(isnormal)
CLASSIFY(signbit)

// ---- integers
#define FOR_SIGNED(X) X(i8, ".s.i8") X(short, ".s.i16") X(int, ".s.i32") X(long, ".s.i64")
#define FOR_UNSIGNED(X) X(uchar, ".u.i8") X(ushort, ".u.i16") X(uint, ".u.i32") X(ulong, ".u.i64")
#define FOR_PLAIN(X) X(uchar, ".i8") X(ushort, ".i16") X(uint, ".i32") X(ulong, ".i64")

#define INTEGER(T, suffix)                                                                         \
    DEFINE(T, "air.abs" suffix, (T x), return abs(x))                                              \
    DEFINE(T, "air.min" suffix, (T x, T y), return min(x, y))                                      \
    DEFINE(T, "air.max" suffix, (T x, T y), return max(x, y))                                      \
    DEFINE(T, "air.clamp" suffix, (T x, T y, T z), return clamp(x, y, z))                          \
    DEFINE(T, "air.min3" suffix, (T x, T y, T z), return min3(x, y, z))                            \
    DEFINE(T, "air.max3" suffix, (T x, T y, T z), return max3(x, y, z))                            \
    DEFINE(T, "air.median3" suffix, (T x, T y, T z), return median3(x, y, z))                      \
    DEFINE(T, "air.add_sat" suffix, (T x, T y), return addsat(x, y))                               \
    DEFINE(T, "air.sub_sat" suffix, (T x, T y), return subsat(x, y))                               \
    DEFINE(T, "air.hadd" suffix, (T x, T y), return hadd(x, y))                                    \
    DEFINE(T, "air.rhadd" suffix, (T x, T y), return rhadd(x, y))                                  \
    DEFINE(T, "air.abs_diff" suffix, (T x, T y), return (T)absdiff(x, y))                          \
    DEFINE(T, "air.extract_bits" suffix, (T x, uint o, uint n), return extract_bits(x, o, n))      \
    DEFINE(T, "air.insert_bits" suffix, (T x, T y, uint o, uint n),                                \
            return insert_bits(x, y, o, n))
FOR_SIGNED(INTEGER)
FOR_UNSIGNED(INTEGER)

#define HIGH(T, suffix)                                                                            \
    DEFINE(T, "air.mul_hi" suffix, (T x, T y), return mulhi(x, y))                                 \
    DEFINE(T, "air.mad_hi" suffix, (T x, T y, T z), return madhi(x, y, z))                         \
    DEFINE(T, "air.mad_sat" suffix, (T x, T y, T z), return madsat(x, y, z))
HIGH(short, ".s.i16")
HIGH(int, ".s.i32")
HIGH(long, ".s.i64")
FOR_UNSIGNED(HIGH)
DEFINE(i8, "air.mul_hi.s.i8", (i8 x, i8 y), return (i8)mulhi((char)x, (char)y))
DEFINE(int, "air.mul24.s.i32", (int x, int y), return mul24(x, y))
DEFINE(uint, "air.mul24.u.i32", (uint x, uint y), return mul24(x, y))
DEFINE(int, "air.mad24.s.i32", (int x, int y, int z), return mad24(x, y, z))
DEFINE(uint, "air.mad24.u.i32", (uint x, uint y, uint z), return mad24(x, y, z))

// The flag of clz and ctz says whether the result for 0 may be anything.
#define BITS(T, suffix)                                                                            \
    DEFINE(T, "air.popcount" suffix, (T x), return popcount(x))                                    \
    DEFINE(T, "air.clz" suffix, (T x, b1), return clz(x))                                          \
    DEFINE(T, "air.ctz" suffix, (T x, b1), return ctz(x))                                          \
    DEFINE(T, "air.reverse_bits" suffix, (T x), return reverse_bits(x))                            \
    DEFINE(T, "air.rotate" suffix, (T x, T by), return rotate(x, by))                              \
    DEFINE(T, "air.extract_bits" suffix, (T x, uint o, uint n), return extract_bits(x, o, n))      \
    DEFINE(T, "air.insert_bits" suffix, (T x, T y, uint o, uint n),                                \
            return insert_bits(x, y, o, n))
FOR_PLAIN(BITS)

// ---- SIMD-groups and quad-groups
// What a program may not say in Metal, its code may still contain.
template <> struct metal::__is_valid_simdgroup_type<long> : metal::true_type {
};
template <> struct metal::__is_valid_simdgroup_type<ulong> : metal::true_type {
};
#define FOR_EXCHANGED(X)                                                                           \
    X(float, ".f32") X(half, ".f16") X(bfloat, ".bf16") FOR_SIGNED(X) FOR_UNSIGNED(X)
#define REDUCTIONS(T, suffix, group)                                                               \
    DEFINE(T, "air." #group "_sum" suffix, (T x), return group##_sum(x))                           \
    DEFINE(T, "air." #group "_product" suffix, (T x), return group##_product(x))                   \
    DEFINE(T, "air." #group "_min" suffix, (T x), return group##_min(x))                           \
    DEFINE(T, "air." #group "_max" suffix, (T x), return group##_max(x))                           \
    DEFINE(T, "air." #group "_broadcast_first" suffix, (T x), return group##_broadcast_first(x))   \
    DEFINE(T, "air." #group "_prefix_inclusive_sum" suffix, (T x),                                 \
            return group##_prefix_inclusive_sum(x))                                                \
    DEFINE(T, "air." #group "_prefix_exclusive_sum" suffix, (T x),                                 \
            return group##_prefix_exclusive_sum(x))                                                \
    DEFINE(T, "air." #group "_prefix_inclusive_product" suffix, (T x),                             \
            return group##_prefix_inclusive_product(x))                                            \
    DEFINE(T, "air." #group "_prefix_exclusive_product" suffix, (T x),                             \
            return group##_prefix_exclusive_product(x))
#define SHUFFLE(T, suffix, name) DEFINE(T, "air." #name suffix, (T x, ushort d), return name(x, d))
#define SHUFFLES(T, suffix, group)                                                                 \
    SHUFFLE(T, suffix, group##_shuffle)                                                            \
    SHUFFLE(T, suffix, group##_broadcast)                                                          \
    SHUFFLE(T, suffix, group##_shuffle_xor)                                                        \
    SHUFFLE(T, suffix, group##_shuffle_down)                                                       \
    SHUFFLE(T, suffix, group##_shuffle_up)                                                         \
    SHUFFLE(T, suffix, group##_shuffle_rotate_down)                                                \
    SHUFFLE(T, suffix, group##_shuffle_rotate_up)                                                  \
    DEFINE(T, "air." #group "_shuffle_and_fill_up" suffix, (T x, T fill, ushort d, ushort m),      \
            return group##_shuffle_and_fill_up(x, fill, d, m))                                     \
    DEFINE(T, "air." #group "_shuffle_and_fill_down" suffix, (T x, T fill, ushort d, ushort m),    \
            return group##_shuffle_and_fill_down(x, fill, d, m))
#define EXCHANGE(T, suffix)                                                                        \
    REDUCTIONS(T, suffix, simd)                                                                    \
    REDUCTIONS(T, suffix, quad)                                                                    \
    SHUFFLES(T, suffix, simd)                                                                      \
    SHUFFLES(T, suffix, quad)
FOR_EXCHANGED(EXCHANGE)
#define BITWISE(T, suffix)                                                                         \
    DEFINE(T, "air.simd_and" suffix, (T x), return simd_and(x))                                    \
    DEFINE(T, "air.simd_or" suffix, (T x), return simd_or(x))                                      \
    DEFINE(T, "air.simd_xor" suffix, (T x), return simd_xor(x))                                    \
    DEFINE(T, "air.quad_and" suffix, (T x), return quad_and(x))                                    \
    DEFINE(T, "air.quad_or" suffix, (T x), return quad_or(x))                                      \
    DEFINE(T, "air.quad_xor" suffix, (T x), return quad_xor(x))
FOR_SIGNED(BITWISE)
FOR_UNSIGNED(BITWISE)
FOR_PLAIN(BITWISE)

DEFINE(b1, "air.simd_all", (b1 p), return simd_all(p))
DEFINE(b1, "air.simd_any", (b1 p), return simd_any(p))
DEFINE(b1, "air.quad_all", (b1 p), return quad_all(p))
DEFINE(b1, "air.quad_any", (b1 p), return quad_any(p))
DEFINE(ulong, "air.simd_ballot.i64", (b1 p), return (ulong)simd_ballot(p))
DEFINE(ulong, "air.quad_ballot.i64", (b1 p), return (ulong)(ushort)quad_ballot(p))
DEFINE(ulong, "air.simd_active_threads_mask.i64", (), return (ulong)simd_active_threads_mask())
DEFINE(ulong, "air.quad_active_threads_mask.i64", (), return (ushort)quad_active_threads_mask())
DEFINE(b1, "air.simd_vote_all.i64", (ulong v), return simd_vote(v).all())
DEFINE(b1, "air.simd_vote_any.i64", (ulong v), return simd_vote(v).any())
DEFINE(b1, "air.quad_vote_all.i64", (ulong v), return quad_vote((ushort)v).all())
DEFINE(b1, "air.quad_vote_any.i64", (ulong v), return quad_vote((ushort)v).any())
DEFINE(b1, "air.simd_is_first", (), return simd_is_first())
DEFINE(b1, "air.quad_is_first", (), return quad_is_first())
DEFINE(b1, "air.simd_is_helper_thread", (), return false)

// Flags as in mem_flags; the scope is never narrower than asked for.
DEFINE(void, "air.wg.barrier", (uint flags, uint), threadgroup_barrier((mem_flags)flags))
DEFINE(void, "air.simdgroup.barrier", (uint flags, uint), simdgroup_barrier((mem_flags)flags))
DEFINE(void, "air.atomic.fence", (uint flags, uint, uint), atomic_thread_fence((mem_flags)flags))

// ---- SIMD-group matrices: a lane's two elements; rows `sy` apart, columns `sx`. Code from Apple's
// compiler looks at elements without saying so: they always lie as on Apple's hardware.
#define PLACE(e)                                                                                   \
    (__abx_builtin(ABX_BUILTIN_MATRIX_##e * 4) * sy +                                              \
            __abx_builtin(ABX_BUILTIN_MATRIX_##e * 4 + 1) * sx)
#define MATRIX(T, suffix)                                                                          \
    DEFINE(void, "abx.matrix_load" suffix, (T * d, const T *p, ulong sx, ulong sy),                \
            __abx_matrix_elements(); d[0] = p[PLACE(E0)]; d[1] = p[PLACE(E1)])                     \
    DEFINE(void, "abx.matrix_store" suffix, (T x, T y, T *p, ulong sx, ulong sy),                  \
            __abx_matrix_elements(); p[PLACE(E0)] = x; p[PLACE(E1)] = y)                           \
    DEFINE(void, "abx.matrix_diagonal" suffix, (T * d, T v),                                       \
            auto m = make_diagonal_simdgroup_matrix<T, 8, 8>(v);                                   \
            d[0] = m.thread_elements()[0]; d[1] = m.thread_elements()[1])
MATRIX(float, ".f32")
MATRIX(half, ".f16")
MATRIX(bfloat, ".bf16")
DEFINE(void, "abx.matrix_multiply",
        (float *d, float a0, float a1, float b0, float b1, float c0, float c1),
        simdgroup_float8x8 a; simdgroup_float8x8 b; simdgroup_float8x8 c;
        a.thread_elements() = float2(a0, a1); b.thread_elements() = float2(b0, b1);
        c.thread_elements() = float2(c0, c1); simdgroup_multiply_accumulate(c, a, b, c);
        d[0] = c.thread_elements()[0]; d[1] = c.thread_elements()[1])

// ---- copies that a SIMD-group makes together. They are done when the call returns; what its threads
// wrote before is there for the others of them, and after wait what was copied is.
#define COPY_FENCE simdgroup_barrier(mem_flags::mem_device | mem_flags::mem_threadgroup)

struct tile {
    ulong row; // elements from one row to the next
    ulong width, height;
};
template <class T>
__attribute__((always_inline, convergent)) inline void copy_tile(
        T *to, tile t, const T *from, tile f, long x0, long y0, int clamp_to_edge)
{
    uint lane = __abx_builtin(ABX_BUILTIN_LANE * 4), width = (uint)t.width;
    uint size = __abx_builtin(ABX_BUILTIN_GROUP_SIZE * 4) *
                __abx_builtin(ABX_BUILTIN_GROUP_SIZE * 4 + 1) *
                __abx_builtin(ABX_BUILTIN_GROUP_SIZE * 4 + 2);
    uint lanes = min(size - (__abx_builtin(ABX_BUILTIN_THREAD_INDEX * 4) - lane), 32u); // that exist
    for (uint i = lane; i < width * (uint)t.height; i += lanes) {
        uint x = i % width, y = i / width;
        long sx = (long)x + x0, sy = (long)y + y0;
        if (clamp_to_edge) {
            sx = max(min(sx, (long)f.width - 1), 0l);
            sy = max(min(sy, (long)f.height - 1), 0l);
        }
        bool inside = sx >= 0 && sy >= 0 && sx < (long)f.width && sy < (long)f.height;
        T value = {};
        if (inside)
            value = from[sy * (long)f.row + sx];
        to[y * t.row + x] = value;
    }
}
#define COPY_TILE(T) copy_tile((T *)to, t, (const T *)from, f, x, y, edge)
__attribute__((always_inline, convergent)) inline void copy_elements(
        ulong size, void *to, tile t, const void *from, tile f, long x, long y, int edge)
{
    COPY_FENCE;
    if (size == 1)
        COPY_TILE(uchar);
    else if (size == 2)
        COPY_TILE(ushort);
    else if (size == 4)
        COPY_TILE(uint);
    else if (size == 8)
        COPY_TILE(ulong);
    else if (size == 16)
        COPY_TILE(uint4);
}
DEFINE(void, "abx.simdgroup_async_copy_1d",
        (ulong size, ulong, void *to, const void *from, ulong count),
        copy_elements(size, to, tile{count, count, 1}, from, tile{count, count, 1}, 0, 0, 0))
DEFINE(void, "abx.simdgroup_async_copy_2d",
        (ulong size, ulong, void *to, ulong to_row, ulong, ulong to_width, ulong to_height,
                const void *from, ulong from_row, ulong, ulong from_width, ulong from_height,
                long x, long y, int clamp_to_edge),
        copy_elements(size, to, tile{to_row, to_width, to_height}, from,
                tile{from_row, from_width, from_height}, x, y, clamp_to_edge))
DEFINE(void, "abx.wait_simdgroup_events", (int, void *), COPY_FENCE)

// ---- whole vectors
#define GEOMETRY(T, suffix, N)                                                                     \
    DEFINE(T, "abx.dot.v" #N suffix, (const vec<T, N> *a, const vec<T, N> *b),                     \
            return dot(*a, *b))                                                                    \
    DEFINE(T, "abx.length.v" #N suffix, (const vec<T, N> *a), return length(*a))                   \
    DEFINE(T, "abx.fast_length.v" #N suffix, (const vec<T, N> *a), return length(*a))              \
    DEFINE(T, "abx.length_squared.v" #N suffix, (const vec<T, N> *a), return length_squared(*a))   \
    DEFINE(T, "abx.distance.v" #N suffix, (const vec<T, N> *a, const vec<T, N> *b),                \
            return distance(*a, *b))                                                               \
    DEFINE(T, "abx.fast_distance.v" #N suffix, (const vec<T, N> *a, const vec<T, N> *b),           \
            return distance(*a, *b))                                                               \
    DEFINE(void, "abx.normalize.v" #N suffix, (vec<T, N> * r, const vec<T, N> *a),                 \
            *r = normalize(*a))                                                                    \
    DEFINE(void, "abx.fast_normalize.v" #N suffix, (vec<T, N> * r, const vec<T, N> *a),            \
            *r = normalize(*a))
#define GEOMETRIES(T, suffix)                                                                      \
    GEOMETRY(T, suffix, 2)                                                                         \
    GEOMETRY(T, suffix, 3)                                                                         \
    GEOMETRY(T, suffix, 4)                                                                         \
    DEFINE(void, "abx.cross.v3" suffix, (vec<T, 3> * r, const vec<T, 3> *a, const vec<T, 3> *b),   \
            *r = cross(*a, *b))
GEOMETRIES(float, "f32")
GEOMETRIES(half, "f16")

#define PACK(format, T, N, suffix, name)                                                           \
    DEFINE(uint, "abx.pack." format suffix, (const vec<T, N> *v), return pack_##T##_to_##name(*v)) \
    DEFINE(void, "abx.unpack." format suffix, (vec<T, N> * r, uint x),                             \
            *r = unpack_##name##_to_##T(x))
PACK("unorm4x8", float, 4, ".v4f32", unorm4x8)
PACK("snorm4x8", float, 4, ".v4f32", snorm4x8)
PACK("unorm2x16", float, 2, ".v2f32", unorm2x16)
PACK("snorm2x16", float, 2, ".v2f32", snorm2x16)
PACK("unorm4x8", half, 4, ".v4f16", unorm4x8)
PACK("snorm4x8", half, 4, ".v4f16", snorm4x8)
PACK("unorm2x16", half, 2, ".v2f16", unorm2x16)
PACK("snorm2x16", half, 2, ".v2f16", snorm2x16)
