// <metal_atomic>. Every operation is at least as ordered as asked for.
#pragma GCC system_header
namespace metal
{
template <class T> struct atomic {
    T __s;
    atomic() = default;
};
template <class T> using _atomic = atomic<T>;
typedef atomic<int> atomic_int;
typedef atomic<uint> atomic_uint;
typedef atomic<bool> atomic_bool;
typedef atomic<float> atomic_float;
typedef atomic<long> atomic_long;
typedef atomic<ulong> atomic_ulong;

template <int Bytes> struct __atomic_bits;
template <> struct __atomic_bits<1> {
    typedef uchar type;
};
template <> struct __atomic_bits<2> {
    typedef ushort type;
};
template <> struct __atomic_bits<4> {
    typedef uint type;
};
template <> struct __atomic_bits<8> {
    typedef ulong type;
};

#define __MSL_ATOMIC_RMW(SPACE, name, builtin)                                                     \
    template <class T>                                                                             \
    __MSL_FN T atomic_fetch_##name##_explicit(                                                     \
            volatile SPACE atomic<T> *p, __same_as<T> v, memory_order)                             \
    {                                                                                              \
        return builtin(&p->__s, v, memory_order_relaxed);                                              \
    }
#define __MSL_ATOMIC_CAS(SPACE, strength)                                                          \
    template <class T>                                                                             \
    __MSL_FN bool atomic_compare_exchange_##strength##_explicit(volatile SPACE atomic<T> *p,       \
            thread T *expected, __same_as<T> v, memory_order, memory_order)                        \
    {                                                                                              \
        typedef typename __atomic_bits<sizeof(T)>::type B;                                         \
        volatile SPACE B *q = (volatile SPACE B *)p;                                               \
        B before = __builtin_bit_cast(B, *expected);                                               \
        B found = __sync_val_compare_and_swap(q, before, __builtin_bit_cast(B, v));                \
        *expected = __builtin_bit_cast(T, found);                                                  \
        return found == before;                                                                    \
    }
#define __MSL_ATOMICS(SPACE)                                                                       \
    template <class T>                                                                             \
    __MSL_FN T atomic_load_explicit(const volatile SPACE atomic<T> *p, memory_order)               \
    {                                                                                              \
        typedef typename __atomic_bits<sizeof(T)>::type B;                                         \
        return __builtin_bit_cast(                                                                 \
                T, __atomic_load_n((const volatile SPACE B *)p, memory_order_relaxed));                \
    }                                                                                              \
    template <class T>                                                                             \
    __MSL_FN void atomic_store_explicit(                                                           \
            volatile SPACE atomic<T> *p, __same_as<T> v, memory_order)                             \
    {                                                                                              \
        typedef typename __atomic_bits<sizeof(T)>::type B;                                         \
        __atomic_store_n((volatile SPACE B *)p, __builtin_bit_cast(B, v), memory_order_relaxed);       \
    }                                                                                              \
    template <class T>                                                                             \
    __MSL_FN T atomic_exchange_explicit(                                                           \
            volatile SPACE atomic<T> *p, __same_as<T> v, memory_order)                             \
    {                                                                                              \
        typedef typename __atomic_bits<sizeof(T)>::type B;                                         \
        return __builtin_bit_cast(T, __atomic_exchange_n((volatile SPACE B *)p,                    \
                                             __builtin_bit_cast(B, v), memory_order_relaxed));         \
    }                                                                                              \
    __MSL_ATOMIC_CAS(SPACE, weak)                                                                  \
    __MSL_ATOMIC_CAS(SPACE, strong)                                                                \
    __MSL_ATOMIC_RMW(SPACE, add, __atomic_fetch_add)                                               \
    __MSL_ATOMIC_RMW(SPACE, sub, __atomic_fetch_sub)                                               \
    __MSL_ATOMIC_RMW(SPACE, and, __atomic_fetch_and)                                               \
    __MSL_ATOMIC_RMW(SPACE, or, __atomic_fetch_or)                                                 \
    __MSL_ATOMIC_RMW(SPACE, xor, __atomic_fetch_xor)                                               \
    __MSL_ATOMIC_RMW(SPACE, min, __atomic_fetch_min)                                               \
    __MSL_ATOMIC_RMW(SPACE, max, __atomic_fetch_max)                                               \
    template <class T>                                                                             \
    __MSL_FN void atomic_min_explicit(                                                             \
            volatile SPACE atomic<T> *p, __same_as<T> v, memory_order)                             \
    {                                                                                              \
        __atomic_fetch_min(&p->__s, v, memory_order_relaxed);                                          \
    }                                                                                              \
    template <class T>                                                                             \
    __MSL_FN void atomic_max_explicit(                                                             \
            volatile SPACE atomic<T> *p, __same_as<T> v, memory_order)                             \
    {                                                                                              \
        __atomic_fetch_max(&p->__s, v, memory_order_relaxed);                                          \
    }
__MSL_ATOMICS(device)
__MSL_ATOMICS(threadgroup)

#define ATOMIC_VAR_INIT(value) {value}
#define ATOMIC_FLAG_INIT {false}
namespace __flags
{
__MSL_FN void atomic_thread_fence(mem_flags, memory_order = memory_order_relaxed,
        thread_scope = thread_scope_device)
{
    __atomic_thread_fence(memory_order_seq_cst);
}
} // namespace __flags
using __flags::atomic_thread_fence;
} // namespace metal
