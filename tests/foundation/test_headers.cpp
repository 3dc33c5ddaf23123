// What C++ programs that speak Metal through metal-cpp find in macOS's C headers: vectors,
// QuartzCore's clock, the old atomic operations.
#include <AvailabilityMacros.h>
#include <QuartzCore/QuartzCore.h>
#include <dispatch/dispatch.h>
#include <libkern/OSAtomic.h>
#include <simd/simd.h>
#include <stdio.h>
#include "../check.h"

static int old_function() DEPRECATED_ATTRIBUTE;
static int old_function()
{
    return 1;
}

static void vectors()
{
    simd::ushort3 a(7), b = {7, 7, 8};
    CHECK(simd_all(a == simd::ushort3(7)) && !simd_all(a == b) && simd_any(a == b));
    CHECK(!simd_any(simd::uchar2{1, 2} == simd::uchar2{3, 4}) &&
            simd_all(simd::uchar4{1, 2, 3, 4} == simd::uchar4{1, 2, 3, 4}));
    CHECK(simd_reduce_add(simd_max(simd_make_int2(1, 5), simd_make_int2(3, 2))) == 8);
    CHECK(simd_reduce_add(simd_clamp(
                  simd::float4{-1, 0.5, 2, 3}, simd::float4(0), simd::float4(1))) == 2.5f);
    simd::ushort4 c = simd_make_ushort4(b, 9);
    CHECK(c.z == 8 && c.w == 9 && simd_make_float2(simd_make_float3(1, 2, 3)).y == 2);
    CHECK(simd_make_uint4(simd::uint2{1, 2}, simd::uint2{3, 4}).z == 3);
    CHECK(simd_distance(simd::float3{1, 2, 3}, simd::float3{1, 6, 6}) == 5);
    CHECK(sizeof(simd::ulong4) == 32 && sizeof(simd::ushort8) == 16 && sizeof(simd::double3) == 32);
}

static void atomics()
{
    int32_t n = 1;
    int64_t wide = 1;
    void *pointer = &n;
    OSSpinLock lock = OS_SPINLOCK_INIT;
    CHECK(OSAtomicAdd32(4, &n) == 5 && OSAtomicIncrement32Barrier(&n) == 6);
    CHECK(OSAtomicDecrement64(&wide) == 0 && OSAtomicAdd64Barrier(-3, &wide) == -3);
    CHECK(OSAtomicCompareAndSwap32(6, 7, &n) && !OSAtomicCompareAndSwap32Barrier(6, 8, &n) &&
            n == 7);
    CHECK(OSAtomicCompareAndSwapPtrBarrier(&n, &wide, &pointer) && pointer == &wide);
    OSSpinLockLock(&lock);
    CHECK(!OSSpinLockTry(&lock));
    OSSpinLockUnlock(&lock);
    CHECK(OSSpinLockTry(&lock));
}

int main()
{
    vectors();
    atomics();
    char text[4];
    CHECK(CACurrentMediaTime() > 0 && strlcpy(text, "long", sizeof text) == 4);
    (void)old_function;
    printf("ok\n");
}
