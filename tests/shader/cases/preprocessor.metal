#include <metal_stdlib>
using namespace metal;
#if __METAL_VERSION__ < 320
#error old
#endif
#ifdef __METAL_MACOS__
#else
#error no mac
#endif
#if defined(__METAL_IOS__) || defined(__APPLE__) && 0
#error ios
#endif
#if !defined(__METAL__) || !defined(__HAVE_BFLOAT__)
#error x
#endif
#if __has_include(<metal_stdlib>) && !__has_include(<vector>) && __has_attribute(always_inline)
#else
#error has
#endif
#ifndef __cplusplus
#error cpp
#endif
#if !defined(__clang__) || !defined(__LITTLE_ENDIAN__) || defined(__BIG_ENDIAN__) || !defined(__LP64__) || \
        __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__ || __SIZEOF_LONG__ != 8 || __SIZEOF_POINTER__ != 8
#error what clang predefines for any target
#endif
#pragma METAL internals : enable
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wunused-variable"
#pragma clang diagnostic pop
#pragma mark - foo
#pragma once
kernel void k(device float *o)
{
#pragma clang loop unroll(full)
    for (int i = 0; i < 4; i++)
        o[i] = i;
#pragma unroll
    for (int i = 0; i < 4; i++)
        o[i] = i;
#pragma unroll(4)
    for (int i = 0; i < 4; i++)
        o[i] = i;
    _Pragma("clang loop unroll_count(2)") for (int i = 0; i < 4; i++) o[i] = i;
    o[0] = o[1] * o[2] + o[3];
#pragma nounroll
    for (int i = 0; i < 4; i++)
        o[i] += i;
}
// expect: kernel k
// warning: 32:9 #pragma once in main file
