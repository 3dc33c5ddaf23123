/* backend/cpu: what kernels may call: the math and memory functions of the C library, the
 * compiler's conversions, and the exchange between lanes of one-lane coroutines. Worker process;
 * called by guest code, so every argument is the guest's. */
#include "backend/cpu/object.h"
#include "shader/shim/markers.h"

#include <math.h>
#include <string.h>

#define BUILTIN(f) extern void f(void);
ABX_RUNTIME_BUILTINS(BUILTIN)
#if defined(__x86_64__)
ABX_RUNTIME_HALF(BUILTIN)
#endif
#undef BUILTIN

/* float to bfloat, to nearest even. The result is wanted in the low half of the first vector
 * register, which is where a float is returned too. */
static float truncate_to_bfloat(float v)
{
    uint32_t bits;
    memcpy(&bits, &v, 4);
    if ((bits & 0x7fffffffu) > 0x7f800000u)
        bits |= 0x400000u;
    else
        bits += 0x7fffu + (bits >> 16 & 1);
    bits >>= 16;
    memcpy(&v, &bits, 4);
    return v;
}

void *abx_cpu_runtime_symbol(const char *name)
{
    static const struct {
        const char *name;
        void *address;
    } table[] = {{"abx_rt_give", (void *)abx_rt_give}, {"abx_rt_take", (void *)abx_rt_take},
            {ABX_RUNTIME_BFLOAT, (void *)truncate_to_bfloat},
#define ENTRY(f) {#f, (void *)f},
            ABX_RUNTIME_MATH(ENTRY) ABX_RUNTIME_BUILTINS(ENTRY)
#if defined(__x86_64__)
                    ABX_RUNTIME_HALF(ENTRY)
#endif
#undef ENTRY
    };
    for (size_t i = 0; i < ABX_ARRAY_SIZE(table); i++)
        if (!strcmp(table[i].name, name))
            return table[i].address;
    return NULL;
}

/* Lanes of one SIMD-group lie side by side. The scheduler (threadgroup.c) copies every value to
 * `shown` and sets `active` before it lets a lane go on. */
void abx_rt_give(struct abx_kernel_lane *lane, uint64_t value, uint32_t site)
{
    lane->value = value;
    lane->site = site;
}

/* One operation on two values, as `type` says. */
static uint64_t combine(unsigned op, unsigned type, uint64_t a, uint64_t b)
{
#define ARITHMETIC(T, from, to)                                                                    \
    {                                                                                              \
        T x = from(a), y = from(b);                                                                \
        switch (op) {                                                                              \
        case ABX_SIMD_ADD:                                                                         \
            return to((T)(x + y));                                                                 \
        case ABX_SIMD_MUL:                                                                         \
            return to((T)(x * y));                                                                 \
        case ABX_SIMD_MIN:                                                                         \
            return to(x < y ? x : y);                                                              \
        default:                                                                                   \
            return to(x > y ? x : y);                                                              \
        }                                                                                          \
    }
    switch (op) {
    case ABX_SIMD_AND:
        return a & b;
    case ABX_SIMD_OR:
        return a | b;
    case ABX_SIMD_XOR:
        return a ^ b;
    default:
        break;
    }
#define AS_U32(v) ((uint32_t)(v))
#define AS_U64(v) ((uint64_t)(v))
    /* Signed sums wrap: computed unsigned, compared signed. */
    bool order = op == ABX_SIMD_MIN || op == ABX_SIMD_MAX;
    if (type == ABX_SIMD_I32 && order)
        return (uint32_t)(((int32_t)a < (int32_t)b) == (op == ABX_SIMD_MIN) ? a : b);
    if (type == ABX_SIMD_I64 && order)
        return ((int64_t)a < (int64_t)b) == (op == ABX_SIMD_MIN) ? a : b;
    if (type == ABX_SIMD_I32 || type == ABX_SIMD_U32)
        ARITHMETIC(uint32_t, AS_U32, AS_U64)
    if (type == ABX_SIMD_I64 || type == ABX_SIMD_U64)
        ARITHMETIC(uint64_t, AS_U64, AS_U64)
    uint32_t p = (uint32_t)a, q = (uint32_t)b, bits;
    float x, y, r;
    memcpy(&x, &p, 4);
    memcpy(&y, &q, 4);
    switch (op) {
    case ABX_SIMD_ADD:
        r = x + y;
        break;
    case ABX_SIMD_MUL:
        r = x * y;
        break;
    case ABX_SIMD_MIN:
        r = fminf(x, y);
        break;
    default:
        r = fmaxf(x, y);
        break;
    }
    memcpy(&bits, &r, 4);
    return bits;
}

static uint64_t identity(unsigned op, unsigned type)
{
    bool wide = type == ABX_SIMD_I64 || type == ABX_SIMD_U64;
    switch (op) {
    case ABX_SIMD_MUL:
        return type == ABX_SIMD_F32 ? 0x3f800000u : 1;
    case ABX_SIMD_MIN:
        return type == ABX_SIMD_F32   ? 0x7f800000u
               : type == ABX_SIMD_I32 ? INT32_MAX
               : type == ABX_SIMD_I64 ? (uint64_t)INT64_MAX
               : wide                 ? UINT64_MAX
                                      : UINT32_MAX;
    case ABX_SIMD_MAX:
        return type == ABX_SIMD_F32   ? 0xff800000u
               : type == ABX_SIMD_I32 ? (uint32_t)INT32_MIN
               : type == ABX_SIMD_I64 ? (uint64_t)INT64_MIN
                                      : 0;
    case ABX_SIMD_AND:
        return wide ? UINT64_MAX : UINT32_MAX;
    default: /* -0 keeps the sign of a sum of -0 */
        return op == ABX_SIMD_ADD && type == ABX_SIMD_F32 ? 0x80000000u : 0;
    }
}

/* The order of floating-point sums is part of the contract with shader/cpu/wide/wide.c: halves are
 * added, then quarters, and so on; scans go by doubling distances. */
static uint64_t reduce(const uint64_t *value, unsigned count, unsigned op, unsigned type)
{
    uint64_t v[ABX_SIMD_LANES];
    memcpy(v, value, count * sizeof *v);
    for (unsigned half = count / 2; half; half /= 2)
        for (unsigned i = 0; i < half; i++)
            v[i] = combine(op, type, v[i], v[i + half]);
    return v[0];
}

static uint64_t scan(const uint64_t *value, unsigned count, unsigned op, unsigned type, unsigned at,
        bool exclusive)
{
    uint64_t v[ABX_SIMD_LANES];
    memcpy(v, value, count * sizeof *v);
    for (unsigned distance = 1; distance < count; distance *= 2)
        for (unsigned i = count; i-- > distance;)
            v[i] = combine(op, type, v[i - distance], v[i]);
    return !exclusive ? v[at] : at ? v[at - 1] : op == ABX_SIMD_ADD ? 0 : identity(op, type);
}

uint64_t abx_rt_take(struct abx_kernel_lane *lane, uint32_t code, uint64_t argument)
{
    unsigned op = code & ABX_SIMD_OP_MASK, type = code & ABX_SIMD_TYPE_MASK;
    unsigned me = lane->index & 31;
    const struct abx_kernel_lane *lanes = lane - me;
    bool quad = code & ABX_SIMD_QUAD;
    unsigned first = quad ? me & ~3u : 0, count = quad ? 4 : ABX_SIMD_LANES;
    if (op == ABX_SIMD_SHUFFLE)
        return lanes[argument & 31].shown;
    if (op == ABX_SIMD_BALLOT) {
        uint64_t mask = 0;
        for (unsigned i = 0; i < ABX_SIMD_LANES; i++)
            if ((lane->active >> i & 1) && lanes[i].shown)
                mask |= 1ull << i;
        return mask;
    }
    if (op == ABX_SIMD_FIRST) {
        for (unsigned i = first; i < first + count; i++)
            if (lane->active >> i & 1)
                return lanes[i].shown;
        return 0;
    }
    static const uint8_t scans[] = {ABX_SIMD_ADD, ABX_SIMD_MUL};
    unsigned base = op >= ABX_SIMD_SCAN_ADD ? scans[(op - ABX_SIMD_SCAN_ADD) & 1] : op;
    uint64_t v[ABX_SIMD_LANES], none = identity(base, type);
    for (unsigned i = 0; i < count; i++)
        v[i] = lane->active >> (first + i) & 1 ? lanes[first + i].shown : none;
    if (op < ABX_SIMD_SCAN_ADD)
        return reduce(v, count, op, type);
    return scan(v, count, base, type, me - first, op >= ABX_SIMD_XSCAN_ADD);
}
