/* shader: what the waiting markers (shim/markers.h) become on NVIDIA's processors. Not a part of
 * any program here: clang compiles this for NVPTX when ArcBox is built, and the code generator
 * links the bitcode into every kernel and inlines it; `op` and `uniform` are constants then.
 *
 * A SIMD-group is a warp: threads are numbered along a flat block. `how` is a constant as well:
 * ABX_NV_UNIFORM says that all lanes which have not ended are known to come here together (flow.c);
 * else those that the hardware runs together are the active ones. Ended lanes may be named in a
 * mask. ABX_NV_RENAMED says that the lane which the program knows as l4 l3 l2 l1 l0 (its number's
 * bits) is the hardware's l4 l2 l1 l3 l0: matrices lie in lanes as Apple's do then, see matrix.c.
 * Lanes and masks are the program's here, but for those whose names say otherwise. */
#include "shader/nvptx/lanes.h"
#include "shader/shim/markers.h"

typedef unsigned u32;
typedef unsigned long u64;

#define ALL 0xffffffffu
#define INLINE static inline __attribute__((always_inline))

INLINE u32 lane_index(u32 how)
{
    return abx_nv_lane(__nvvm_read_ptx_sreg_tid_x() & 31, how & ABX_NV_RENAMED);
}

/* The program's mask of a hardware's. */
INLINE u32 mask_of(u32 hardware, u32 how)
{
    if (!(how & ABX_NV_RENAMED))
        return hardware;
    /* Bits 1 and 2 of the places change with each other, then 2 and 3. */
    u32 t = (hardware >> 2 ^ hardware) & 0x0c0c0c0c;
    hardware ^= t ^ t << 2;
    t = (hardware >> 4 ^ hardware) & 0x00f000f0;
    return hardware ^ t ^ t << 4;
}

INLINE int is_wide(u32 type)
{
    return type == ABX_SIMD_I64 || type == ABX_SIMD_U64;
}

INLINE u64 shuffle(u32 hardware_mask, u32 how, u32 type, u64 value, u32 lane)
{
    u32 from = abx_nv_hardware_lane(lane, how & ABX_NV_RENAMED);
    u64 low = (u32)__nvvm_shfl_sync_idx_i32(hardware_mask, (int)(u32)value, (int)from, 31);
    if (!is_wide(type))
        return low;
    u32 high = (u32)__nvvm_shfl_sync_idx_i32(hardware_mask, (int)(u32)(value >> 32), (int)from, 31);
    return low | (u64)high << 32;
}

INLINE u64 combine_float(u32 op, u64 a, u64 b)
{
    float x = __builtin_bit_cast(float, (u32)a), y = __builtin_bit_cast(float, (u32)b);
    float r = op == ABX_SIMD_ADD   ? x + y
              : op == ABX_SIMD_MUL ? x * y
              : op == ABX_SIMD_MIN ? __builtin_fminf(x, y)
                                   : __builtin_fmaxf(x, y);
    return __builtin_bit_cast(u32, r);
}

INLINE u64 narrow(u32 type, u64 v)
{
    return is_wide(type) ? v : (u32)v;
}

INLINE u64 combine(u32 op, u32 type, u64 a, u64 b)
{
    int less = type == ABX_SIMD_I32   ? (int)a < (int)b
               : type == ABX_SIMD_I64 ? (long)a < (long)b
                                      : a < b;
    switch (op) {
    case ABX_SIMD_AND:
        return a & b;
    case ABX_SIMD_OR:
        return a | b;
    case ABX_SIMD_XOR:
        return a ^ b;
    }
    if (type == ABX_SIMD_F32)
        return combine_float(op, a, b);
    switch (op) {
    case ABX_SIMD_ADD:
        return narrow(type, a + b);
    case ABX_SIMD_MUL:
        return narrow(type, a * b);
    case ABX_SIMD_MIN:
        return less ? a : b;
    default:
        return less ? b : a;
    }
}

INLINE u32 reduce_integer(u32 op, u32 type, u32 hardware_mask, u32 value)
{
    switch (op) {
    case ABX_SIMD_ADD:
        return (u32)__nvvm_redux_sync_add((int)value, (int)hardware_mask);
    case ABX_SIMD_MIN:
        return type == ABX_SIMD_I32 ? (u32)__nvvm_redux_sync_min((int)value, (int)hardware_mask)
                                    : __nvvm_redux_sync_umin(value, (int)hardware_mask);
    case ABX_SIMD_MAX:
        return type == ABX_SIMD_I32 ? (u32)__nvvm_redux_sync_max((int)value, (int)hardware_mask)
                                    : __nvvm_redux_sync_umax(value, (int)hardware_mask);
    case ABX_SIMD_AND:
        return (u32)__nvvm_redux_sync_and((int)value, (int)hardware_mask);
    case ABX_SIMD_OR:
        return (u32)__nvvm_redux_sync_or((int)value, (int)hardware_mask);
    default:
        return (u32)__nvvm_redux_sync_xor((int)value, (int)hardware_mask);
    }
}

INLINE u64 one(u32 op, u32 type)
{
    return op == ABX_SIMD_ADD ? 0 : type == ABX_SIMD_F32 ? 0x3f800000u : 1;
}

/* Over the lanes of the mask, of which the caller is one, or those of them before `end`. Not
 * inlined: it is for SIMD-groups with lanes missing, and takes registers from those without (ggml's
 * product of halves and a vector is 15 % slower with it inlined, measured on an H200). */
static __attribute__((noinline)) u64 combine_some(
        u32 op, u32 type, u32 hardware_mask, u32 how, u64 value, u32 end)
{
    u32 left = mask_of(hardware_mask, how), from = (u32)__builtin_ctz(left);
    u64 none = one(op, type), sum = shuffle(hardware_mask, how, type, value, from);
    if (from >= end)
        sum = none;
#pragma clang loop unroll(disable)
    while (left &= left - 1) {
        from = (u32)__builtin_ctz(left);
        u64 given = shuffle(hardware_mask, how, type, value, from);
        if (from < end)
            sum = combine(op, type, sum, given);
    }
    return sum;
}

INLINE u64 reduce(u32 op, u32 type, u32 hardware_mask, u32 how, u64 value)
{
    if (!is_wide(type) && type != ABX_SIMD_F32 && op != ABX_SIMD_MUL)
        return reduce_integer(op, type, hardware_mask, (u32)value);
    if (hardware_mask != ALL)
        return combine_some(op, type, hardware_mask, how, value, 32);
    for (u32 d = 16; d; d >>= 1)
        value = combine(op, type, value, shuffle(ALL, how, type, value, lane_index(how) ^ d));
    return value;
}

/* `op` is ABX_SIMD_ADD or ABX_SIMD_MUL. */
INLINE u64 scan(u32 op, u32 type, u32 hardware_mask, u32 how, u64 value, int exclusive)
{
    u32 lane = lane_index(how);
    if (hardware_mask != ALL)
        return combine_some(op, type, hardware_mask, how, value, exclusive ? lane : lane + 1);
    for (u32 d = 1; d < 32; d <<= 1) {
        u64 before = shuffle(ALL, how, type, value, lane - d);
        value = lane >= d ? combine(op, type, before, value) : value;
    }
    u64 shifted = exclusive ? shuffle(ALL, how, type, value, lane - 1) : value;
    return exclusive && lane == 0 ? one(op, type) : shifted;
}

/* Over the active ones of the caller's four lanes; a scan when `before`. */
INLINE u64 quad(u32 op, u32 type, u32 hardware_mask, u32 how, u64 value, int before, int exclusive)
{
    u32 lane = lane_index(how), mask = mask_of(hardware_mask, how), first = lane & ~3u;
    u64 sum = 0;
    int some = 0;
    for (u32 i = 0; i < 4; i++) {
        u64 given = shuffle(hardware_mask, how, type, value, first | i);
        int take = (int)(mask >> (first | i) & 1) &&
                   (!before || first + i < lane || (first + i == lane && !exclusive));
        u64 next = some ? combine(op, type, sum, given) : given;
        sum = take ? next : sum;
        some |= take;
    }
    return some ? sum : one(op, type);
}

INLINE u64 operate(u32 op, u32 type, int is_quad, u32 hardware_mask, u32 how, u64 value)
{
    int exclusive = op == ABX_SIMD_XSCAN_ADD || op == ABX_SIMD_XSCAN_MUL;
    int before = exclusive || op == ABX_SIMD_SCAN_ADD || op == ABX_SIMD_SCAN_MUL;
    u32 first = lane_index(how) & ~3u;
    if (op == ABX_SIMD_FIRST) {
        u32 mask = mask_of(hardware_mask, how);
        u32 from =
                is_quad ? first + (u32)__builtin_ctz(mask >> first & 15) : (u32)__builtin_ctz(mask);
        return shuffle(hardware_mask, how, type, value, from);
    }
    if (before)
        op = op == ABX_SIMD_SCAN_ADD || op == ABX_SIMD_XSCAN_ADD ? ABX_SIMD_ADD : ABX_SIMD_MUL;
    if (is_quad)
        return quad(op, type, hardware_mask, how, value, before, exclusive);
    return before ? scan(op, type, hardware_mask, how, value, exclusive)
                  : reduce(op, type, hardware_mask, how, value);
}

__attribute__((always_inline)) u64 abx_nv_simd(u32 which, u64 value, u64 argument, u32 how)
{
    u32 op = which & ABX_SIMD_OP_MASK, type = which & ABX_SIMD_TYPE_MASK;
    u32 uniform = how & ABX_NV_UNIFORM;
    u32 mask = uniform ? ALL : (u32)__nvvm_activemask();
    if (op == ABX_SIMD_SHUFFLE)
        return shuffle(mask, how, type, value, (u32)argument & 31);
    if (op == ABX_SIMD_BALLOT)
        return mask_of((u32)__nvvm_vote_ballot_sync(mask, value != 0), how);
    /* Ended lanes do not vote. */
    if (uniform)
        mask = (u32)__nvvm_vote_ballot_sync(ALL, 1);
    return operate(op, type, (which & ABX_SIMD_QUAD) != 0, mask, how, value);
}

__attribute__((always_inline)) void abx_nv_barrier(u32 flags, u32 how)
{
    (void)flags;
    if (how & ABX_NV_UNIFORM)
        __nvvm_bar_sync(0);
    else
        __nvvm_barrier_sync(0);
}

__attribute__((always_inline)) void abx_nv_simd_barrier(u32 flags, u32 how)
{
    (void)flags;
    __nvvm_bar_warp_sync(how & ABX_NV_UNIFORM ? ALL : (u32)__nvvm_activemask());
}
