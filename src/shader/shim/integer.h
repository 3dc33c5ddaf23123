// <metal_integer>.
#pragma GCC system_header
namespace metal
{
#define __MSL_INTEGER(T, U)                                                                        \
    __MSL_CFN T popcount(T x)                                                                      \
    {                                                                                              \
        return (T)__builtin_popcountg((U)x);                                                       \
    }                                                                                              \
    __MSL_CFN T clz(T x)                                                                           \
    {                                                                                              \
        return (T)__builtin_clzg((U)x, (int)(sizeof(T) * 8));                                      \
    }                                                                                              \
    __MSL_CFN T ctz(T x)                                                                           \
    {                                                                                              \
        return (T)__builtin_ctzg((U)x, (int)(sizeof(T) * 8));                                      \
    }                                                                                              \
    __MSL_CFN T reverse_bits(T x)                                                                  \
    {                                                                                              \
        return (T)(__builtin_bitreverse64((ulong)(U)x) >> (64 - sizeof(T) * 8));                   \
    }                                                                                              \
    __MSL_CFN T rotate(T v, T by)                                                                  \
    {                                                                                              \
        unsigned s = (unsigned)by & (sizeof(T) * 8 - 1);                                           \
        return s ? (T)(((U)v << s) | ((U)v >> (sizeof(T) * 8 - s))) : v;                           \
    }                                                                                              \
    __MSL_CFN T addsat(T a, T b)                                                                   \
    {                                                                                              \
        T r{};                                                                                     \
        if (!__builtin_add_overflow(a, b, &r))                                                     \
            return r;                                                                              \
        return b < T(0) ? numeric_limits<T>::min() : numeric_limits<T>::max();                     \
    }                                                                                              \
    __MSL_CFN T subsat(T a, T b)                                                                   \
    {                                                                                              \
        T r{};                                                                                     \
        if (!__builtin_sub_overflow(a, b, &r))                                                     \
            return r;                                                                              \
        return b < T(0) ? numeric_limits<T>::max() : numeric_limits<T>::min();                     \
    }                                                                                              \
    __MSL_CFN T hadd(T a, T b)                                                                     \
    {                                                                                              \
        return (T)((a >> 1) + (b >> 1) + (a & b & 1));                                             \
    }                                                                                              \
    __MSL_CFN T rhadd(T a, T b)                                                                    \
    {                                                                                              \
        return (T)((a >> 1) + (b >> 1) + ((a | b) & 1));                                           \
    }                                                                                              \
    __MSL_CFN U absdiff(T a, T b)                                                                  \
    {                                                                                              \
        return a < b ? (U)((U)b - (U)a) : (U)((U)a - (U)b);                                        \
    }                                                                                              \
    __MSL_CFN T extract_bits(T x, uint offset, uint bits)                                          \
    {                                                                                              \
        uint width = sizeof(T) * 8;                                                                \
        if (bits == 0 || offset >= width)                                                          \
            return T(0);                                                                           \
        bits = bits > width - offset ? width - offset : bits;                                      \
        return (T)((T)((U)x << (width - bits - offset)) >> (width - bits));                        \
    }                                                                                              \
    __MSL_CFN T insert_bits(T base, T insert, uint offset, uint bits)                              \
    {                                                                                              \
        uint width = sizeof(T) * 8;                                                                \
        if (bits == 0 || offset >= width)                                                          \
            return base;                                                                           \
        bits = bits > width - offset ? width - offset : bits;                                      \
        U mask = (U)((U)((U)~U(0) >> (width - bits)) << offset);                                   \
        return (T)(((U)base & ~mask) | ((U)((U)insert << offset) & mask));                         \
    }
__MSL_INTEGER(char, uchar)
__MSL_INTEGER(__schar, uchar)
__MSL_INTEGER(uchar, uchar)
__MSL_INTEGER(short, ushort)
__MSL_INTEGER(ushort, ushort)
__MSL_INTEGER(int, uint)
__MSL_INTEGER(uint, uint)
__MSL_INTEGER(long, ulong)
__MSL_INTEGER(ulong, ulong)

#define __MSL_MULHI(T, Wide)                                                                       \
    __MSL_CFN T mulhi(T a, T b)                                                                    \
    {                                                                                              \
        return (T)(((Wide)a * (Wide)b) >> (sizeof(T) * 8));                                        \
    }                                                                                              \
    __MSL_CFN T madhi(T a, T b, T c)                                                               \
    {                                                                                              \
        return (T)(mulhi(a, b) + c);                                                               \
    }                                                                                              \
    __MSL_CFN T madsat(T a, T b, T c)                                                              \
    {                                                                                              \
        Wide r = (Wide)a * (Wide)b + (Wide)c;                                                      \
        return r < (Wide)numeric_limits<T>::min()   ? numeric_limits<T>::min()                     \
               : r > (Wide)numeric_limits<T>::max() ? numeric_limits<T>::max()                     \
                                                    : (T)r;                                        \
    }
__MSL_MULHI(char, int)
__MSL_MULHI(uchar, int)
__MSL_MULHI(short, int)
__MSL_MULHI(ushort, long)
__MSL_MULHI(int, long)
__MSL_MULHI(uint, ulong)
__MSL_MULHI(long, __int128)
__MSL_MULHI(ulong, unsigned __int128)

__MSL_CFN int mul24(int a, int b)
{
    return (int)((uint)((a << 8) >> 8) * (uint)((b << 8) >> 8));
}
__MSL_CFN uint mul24(uint a, uint b)
{
    return (a & 0xffffffu) * (b & 0xffffffu);
}
__MSL_CFN int mad24(int a, int b, int c)
{
    return (int)((uint)mul24(a, b) + (uint)c);
}
__MSL_CFN uint mad24(uint a, uint b, uint c)
{
    return mul24(a, b) + c;
}

__MSL_EACH2(mul24, T)
__MSL_EACH3(mad24, T)
__MSL_EACH1(popcount, T)
__MSL_EACH1(clz, T)
__MSL_EACH1(ctz, T)
__MSL_EACH1(reverse_bits, T)
__MSL_EACH2(rotate, T)
__MSL_EACH2(addsat, T)
__MSL_EACH2(subsat, T)
__MSL_EACH2(hadd, T)
__MSL_EACH2(rhadd, T)
__MSL_EACH2(absdiff, make_unsigned_t<T>)
__MSL_EACH2(mulhi, T)
__MSL_EACH3(madhi, T)
__MSL_EACH3(madsat, T)
template <class T, int N>
__MSL_FN vec<T, N> extract_bits(vec<T, N> x, uint offset, uint bits)
{
    vec<T, N> r;
    for (int i = 0; i < N; i++)
        r.__v[i] = extract_bits((T)x.__v[i], offset, bits);
    return r;
}
template <class T, int N>
__MSL_FN vec<T, N> insert_bits(vec<T, N> base, vec<T, N> insert, uint offset, uint bits)
{
    vec<T, N> r;
    for (int i = 0; i < N; i++)
        r.__v[i] = insert_bits((T)base.__v[i], (T)insert.__v[i], offset, bits);
    return r;
}
} // namespace metal
