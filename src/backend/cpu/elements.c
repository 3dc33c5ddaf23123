/* backend/cpu: elements of library operations to floats and back. On x86-64 with the processor's
 * instructions where it has them. */
#include "backend/cpu/cpu_internal.h"

#include <string.h>
#ifdef __x86_64__
#include <immintrin.h>
#endif

static float from_bits(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, 4);
    return f;
}

static uint32_t to_bits(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, 4);
    return bits;
}

/* ---- half */

static float half_to_float(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 31, fraction = h & 1023;
    if (exponent == 31)
        return from_bits(sign | 0x7f800000 | fraction << 13);
    if (exponent)
        return from_bits(sign | (exponent + 112) << 23 | fraction << 13);
    float small = (float)fraction * 0x1p-24f;
    return sign ? -small : small;
}

static uint16_t float_to_half(float f)
{
    uint32_t bits = to_bits(f), magnitude = bits & 0x7fffffff;
    uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
    if (magnitude > 0x7f800000) /* NaN: quiet */
        return (uint16_t)(sign | 0x7e00 | (magnitude >> 13 & 0x3ff));
    if (magnitude >= 0x477ff000) /* rounds to 65536 or more */
        return sign | 0x7c00;
    if (magnitude < 0x38800000) { /* a subnormal: float's own addition rounds it */
        float shifted = from_bits(magnitude) + 0.5f;
        return (uint16_t)(sign | (to_bits(shifted) - to_bits(0.5f)));
    }
    uint32_t rounded = magnitude + 0xfff + (magnitude >> 13 & 1);
    return (uint16_t)(sign | ((rounded >> 13) - (112u << 10)));
}

#ifdef __x86_64__
__attribute__((target("avx,f16c"))) static size_t halves_to_floats(
        float *to, const uint16_t *from, size_t count)
{
    size_t i = 0;
    for (; i + 8 <= count; i += 8)
        _mm256_storeu_ps(to + i,
                _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)(from + i))));
    return i;
}

__attribute__((target("avx,f16c"))) static size_t floats_to_halves(
        uint16_t *to, const float *from, size_t count)
{
    size_t i = 0;
    for (; i + 8 <= count; i += 8)
        _mm_storeu_si128((__m128i *)(void *)(to + i),
                _mm256_cvtps_ph(_mm256_loadu_ps(from + i), _MM_FROUND_TO_NEAREST_INT));
    return i;
}

static bool has_f16c(void)
{
    return __builtin_cpu_supports("avx") && __builtin_cpu_supports("f16c");
}
#else
static size_t halves_to_floats(float *to, const uint16_t *from, size_t count)
{
    return 0;
}

static size_t floats_to_halves(uint16_t *to, const float *from, size_t count)
{
    return 0;
}

static bool has_f16c(void)
{
    return false;
}
#endif

/* ---- bfloat */

static uint16_t float_to_bfloat(float f)
{
    uint32_t bits = to_bits(f);
    if ((bits & 0x7fffffff) > 0x7f800000)
        return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

void abx_cpu_to_floats(float *to, const void *from, uint32_t element, size_t count)
{
    const uint16_t *words = from;
    if (element == ABX_ELEMENT_FLOAT32) {
        memcpy(to, from, count * sizeof *to);
    } else if (element == ABX_ELEMENT_FLOAT16) {
        for (size_t i = has_f16c() ? halves_to_floats(to, words, count) : 0; i < count; i++)
            to[i] = half_to_float(words[i]);
    } else {
        for (size_t i = 0; i < count; i++)
            to[i] = from_bits((uint32_t)words[i] << 16);
    }
}

void abx_cpu_from_floats(void *to, const float *from, uint32_t element, size_t count)
{
    uint16_t *words = to;
    if (element == ABX_ELEMENT_FLOAT32) {
        memcpy(to, from, count * sizeof *from);
    } else if (element == ABX_ELEMENT_FLOAT16) {
        for (size_t i = has_f16c() ? floats_to_halves(words, from, count) : 0; i < count; i++)
            words[i] = float_to_half(from[i]);
    } else {
        for (size_t i = 0; i < count; i++)
            words[i] = float_to_bfloat(from[i]);
    }
}
