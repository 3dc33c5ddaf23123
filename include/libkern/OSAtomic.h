/* macOS's old atomic operations and spin locks, which C11's have replaced. Those with Barrier in their name, and those
 * without, are ordered alike: fully. Bit operations and queues are not here. */
#ifndef _OSATOMIC_H_
#define _OSATOMIC_H_
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

#define _ABX_OSATOMIC static inline __attribute__((always_inline, unused))
/* The new value. */
#define _ABX_OSATOMIC_ADD(name, type, op)                                                                              \
    _ABX_OSATOMIC type name(type amount, volatile type *value)                                                         \
    {                                                                                                                  \
        return op(value, amount, __ATOMIC_SEQ_CST);                                                                    \
    }                                                                                                                  \
    _ABX_OSATOMIC type name##Barrier(type amount, volatile type *value)                                                \
    {                                                                                                                  \
        return op(value, amount, __ATOMIC_SEQ_CST);                                                                    \
    }
_ABX_OSATOMIC_ADD(OSAtomicAdd32, int32_t, __atomic_add_fetch)
_ABX_OSATOMIC_ADD(OSAtomicAdd64, int64_t, __atomic_add_fetch)
#define _ABX_OSATOMIC_STEP(name, type, amount)                                                                         \
    _ABX_OSATOMIC type name(volatile type *value)                                                                      \
    {                                                                                                                  \
        return __atomic_add_fetch(value, amount, __ATOMIC_SEQ_CST);                                                    \
    }                                                                                                                  \
    _ABX_OSATOMIC type name##Barrier(volatile type *value)                                                             \
    {                                                                                                                  \
        return __atomic_add_fetch(value, amount, __ATOMIC_SEQ_CST);                                                    \
    }
_ABX_OSATOMIC_STEP(OSAtomicIncrement32, int32_t, 1)
_ABX_OSATOMIC_STEP(OSAtomicDecrement32, int32_t, -1)
_ABX_OSATOMIC_STEP(OSAtomicIncrement64, int64_t, 1)
_ABX_OSATOMIC_STEP(OSAtomicDecrement64, int64_t, -1)
#define _ABX_OSATOMIC_SWAP(name, type)                                                                                 \
    _ABX_OSATOMIC bool name(type old, type wanted, type volatile *value)                                               \
    {                                                                                                                  \
        return __atomic_compare_exchange_n(value, &old, wanted, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);            \
    }                                                                                                                  \
    _ABX_OSATOMIC bool name##Barrier(type old, type wanted, type volatile *value)                                      \
    {                                                                                                                  \
        return __atomic_compare_exchange_n(value, &old, wanted, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);            \
    }
typedef void *_abx_osatomic_pointer;
_ABX_OSATOMIC_SWAP(OSAtomicCompareAndSwap32, int32_t)
_ABX_OSATOMIC_SWAP(OSAtomicCompareAndSwap64, int64_t)
_ABX_OSATOMIC_SWAP(OSAtomicCompareAndSwapInt, int)
_ABX_OSATOMIC_SWAP(OSAtomicCompareAndSwapLong, long)
_ABX_OSATOMIC_SWAP(OSAtomicCompareAndSwapPtr, _abx_osatomic_pointer)
_ABX_OSATOMIC void OSMemoryBarrier(void)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

typedef int32_t OSSpinLock;
#define OS_SPINLOCK_INIT 0
_ABX_OSATOMIC bool OSSpinLockTry(volatile OSSpinLock *lock)
{
    return !__atomic_exchange_n(lock, 1, __ATOMIC_ACQUIRE);
}
_ABX_OSATOMIC void OSSpinLockLock(volatile OSSpinLock *lock)
{
    while (!OSSpinLockTry(lock))
        sched_yield();
}
_ABX_OSATOMIC void OSSpinLockUnlock(volatile OSSpinLock *lock)
{
    __atomic_store_n(lock, 0, __ATOMIC_RELEASE);
}
#endif
