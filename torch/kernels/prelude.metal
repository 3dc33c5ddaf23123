// What every kernel library begins with. Types have the numbers of torch's ScalarType; which ones a
// kernel reads and writes are function constants, so that one kernel serves all of them and is
// compiled for those it is asked for.
#include <metal_stdlib>
using namespace metal;

constant int c_constant0 [[function_constant(0)]];
constant int c_constant1 [[function_constant(1)]];
constant int c_constant2 [[function_constant(2)]];
constant int c_constant3 [[function_constant(3)]];
constant int c_constant4 [[function_constant(4)]];
constant int c_constant5 [[function_constant(5)]];
constant int c_constant6 [[function_constant(6)]];
constant int c_constant7 [[function_constant(7)]];

// A family gives them names; types of operands come first.
#define c_type0 c_constant0
#define c_type1 c_constant1

enum {
    U8 = 0, I8 = 1, I16 = 2, I32 = 3, I64 = 4, F16 = 5, F32 = 6, C64 = 9, BOOL = 11, BF16 = 15,
    NUMBER = 100, // an operand that is a number among the parameters
};

static inline int size_of(int type)
{
    return type == I64 || type == C64 ? 8 : type == I32 || type == F32 ? 4 : type == I16 || type == F16 || type == BF16 ? 2 : type >= NUMBER ? 0 : 1;
}

template <typename C> static inline C load(device const uchar *p, int type)
{
    switch (type) {
    case U8: return C(*p);
    case I8: return C(*(device const char *)p);
    case I16: return C(*(device const short *)p);
    case I32: return C(*(device const int *)p);
    case I64: return C(*(device const long *)p);
    case F16: return C(float(*(device const half *)p));
    case BF16: return C(float(*(device const bfloat *)p));
    case F32: return C(*(device const float *)p);
    default: return C(*p != 0);
    }
}

// Numbers become integers the way a processor's conversion does: modulo the width.
template <typename C> static inline void store(device uchar *p, int type, C v)
{
    switch (type) {
    case U8: *p = uchar(long(v)); break;
    case I8: *(device char *)p = char(long(v)); break;
    case I16: *(device short *)p = short(long(v)); break;
    case I32: *(device int *)p = int(long(v)); break;
    case I64: *(device long *)p = long(v); break;
    case F16: *(device half *)p = half(float(v)); break;
    case BF16: *(device bfloat *)p = bfloat(float(v)); break;
    case F32: *(device float *)p = float(v); break;
    default: *p = v != C(0); break;
    }
}

// To the type that an operation is computed in by torch, where ours is wider.
template <typename C> static inline C narrowed(C v, int type)
{
    switch (type) {
    case U8: return C(uchar(long(v)));
    case I8: return C(char(long(v)));
    case I16: return C(short(long(v)));
    case I32: return C(int(long(v)));
    case BOOL: return C(v != C(0));
    default: return v;
    }
}

// Threads that share a row: the 32 lanes of a SIMD-group, or a whole threadgroup of more, which has room
// for a number of each SIMD-group.
#define c_threads c_constant7

// Of both numbers a processor's code is best made of the lane's.
static inline uint worker_of(uint lane, uint index) { return c_threads > 32 ? index : lane; }

static inline float sum_over(float v, threadgroup float *room, uint worker)
{
    v = simd_sum(v);
    if (c_threads <= 32)
        return v;
    threadgroup_barrier(mem_flags::mem_threadgroup);
    if (worker % 32 == 0)
        room[worker / 32] = v;
    threadgroup_barrier(mem_flags::mem_threadgroup);
    return simd_sum(worker % 32 < uint(c_threads) / 32 ? room[worker % 32] : 0.0f);
}

static inline float max_over(float v, threadgroup float *room, uint worker)
{
    v = simd_max(v);
    if (c_threads <= 32)
        return v;
    threadgroup_barrier(mem_flags::mem_threadgroup);
    if (worker % 32 == 0)
        room[worker / 32] = v;
    threadgroup_barrier(mem_flags::mem_threadgroup);
    return simd_max(worker % 32 < uint(c_threads) / 32 ? room[worker % 32] : -INFINITY);
}
