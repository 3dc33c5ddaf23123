/* base: SHA-256 as in FIPS 180-4, for cache keys. */
#include "base/base.h"

#include <stdatomic.h>
#include <string.h>
#if defined(__x86_64__) && !defined(ABX_SHA256_PLAIN)
#include <cpuid.h>
#include <immintrin.h>
#endif

static const uint32_t round_constants[64] = {0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5,
        0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be,
        0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,
        0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152,
        0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
        0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e,
        0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624,
        0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3,
        0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
        0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static uint32_t rotate(uint32_t x, int n)
{
    return x >> n | x << (32 - n);
}

static void compress_plain(uint32_t state[8], const uint8_t *data, size_t blocks)
{
    uint32_t w[64], s[8];
    for (; blocks; blocks--, data += 64) {
        for (int i = 0; i < 16; i++)
            w[i] = (uint32_t)data[4 * i] << 24 | (uint32_t)data[4 * i + 1] << 16 |
                   (uint32_t)data[4 * i + 2] << 8 | data[4 * i + 3];
        for (int i = 16; i < 64; i++) {
            uint32_t a = rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ w[i - 15] >> 3;
            uint32_t b = rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ w[i - 2] >> 10;
            w[i] = w[i - 16] + a + w[i - 7] + b;
        }
        memcpy(s, state, sizeof s);
        /* The eight words change places a round; unrolled, the places are known. */
#pragma GCC unroll 8
        for (unsigned i = 0; i < 64; i++) {
#define S(n) s[((n) - i) & 7]
            uint32_t e = rotate(S(4), 6) ^ rotate(S(4), 11) ^ rotate(S(4), 25);
            uint32_t choose = (S(4) & S(5)) ^ (~S(4) & S(6));
            uint32_t t1 = S(7) + e + choose + round_constants[i] + w[i];
            uint32_t a = rotate(S(0), 2) ^ rotate(S(0), 13) ^ rotate(S(0), 22);
            uint32_t t2 = a + ((S(0) & S(1)) ^ (S(0) & S(2)) ^ (S(1) & S(2)));
            S(3) += t1;
            S(7) = t1 + t2;
#undef S
        }
        for (int i = 0; i < 8; i++)
            state[i] += s[i];
    }
}

#if defined(__x86_64__) && !defined(ABX_SHA256_PLAIN)
/* With the processor's instructions for it, which keep the words as ABEF and CDGH. */
__attribute__((target("sha,sse4.1"))) static void compress_sha(
        uint32_t state[8], const uint8_t *data, size_t blocks)
{
    const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
    __m128i low = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)state), 0xb1);
    __m128i high = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)(state + 4)), 0x1b);
    __m128i abef = _mm_alignr_epi8(low, high, 8), cdgh = _mm_blend_epi16(high, low, 0xf0);
    for (; blocks; blocks--, data += 64) {
        __m128i w[4], old_abef = abef, old_cdgh = cdgh;
        for (int i = 0; i < 4; i++)
            w[i] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)data + i), big_endian);
#pragma GCC unroll 16
        for (int i = 0; i < 16; i++) { /* four rounds */
            __m128i *now = &w[i % 4], last = w[(i + 3) % 4];
            __m128i sum = _mm_add_epi32(
                    *now, _mm_loadu_si128((const __m128i *)(round_constants + 4 * i)));
            cdgh = _mm_sha256rnds2_epu32(cdgh, abef, sum);
            abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(sum, 0x0e));
            if (i < 12)
                *now = _mm_sha256msg2_epu32(
                        _mm_add_epi32(_mm_sha256msg1_epu32(*now, w[(i + 1) % 4]),
                                _mm_alignr_epi8(last, w[(i + 2) % 4], 4)),
                        last);
        }
        abef = _mm_add_epi32(abef, old_abef);
        cdgh = _mm_add_epi32(cdgh, old_cdgh);
    }
    low = _mm_shuffle_epi32(abef, 0x1b);
    high = _mm_shuffle_epi32(cdgh, 0xb1);
    _mm_storeu_si128((__m128i *)state, _mm_blend_epi16(low, high, 0xf0));
    _mm_storeu_si128((__m128i *)(state + 4), _mm_alignr_epi8(high, low, 8));
}

static bool has_instructions(void)
{
    static _Atomic int known; /* 1: no, 2: yes */
    unsigned a, b = 0, c = 0, d;
    int answer = atomic_load_explicit(&known, memory_order_relaxed);
    if (!answer) {
        bool has = __get_cpuid(1, &a, &b, &c, &d) && (c & bit_SSE4_1) && (c & bit_SSSE3) &&
                   __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_SHA);
        answer = has ? 2 : 1;
        atomic_store_explicit(&known, answer, memory_order_relaxed);
    }
    return answer == 2;
}
#endif

static void compress(uint32_t state[8], const uint8_t *data, size_t blocks)
{
#if defined(__x86_64__) && !defined(ABX_SHA256_PLAIN)
    if (has_instructions()) {
        compress_sha(state, data, blocks);
        return;
    }
#endif
    compress_plain(state, data, blocks);
}

void abx_sha256_init(struct abx_sha256 *h)
{
    static const uint32_t initial[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f,
            0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    memcpy(h->state, initial, sizeof initial);
    h->length = 0;
}

void abx_sha256_add(struct abx_sha256 *h, const void *data, size_t length)
{
    const uint8_t *p = data;
    while (length) {
        size_t at = h->length % 64, n = 64 - at < length ? 64 - at : length;
        if (n == 64) { /* whole blocks, where they are */
            n = length / 64 * 64;
            compress(h->state, p, n / 64);
        } else {
            memcpy(h->block + at, p, n);
            if (at + n == 64)
                compress(h->state, h->block, 1);
        }
        h->length += n;
        p += n;
        length -= n;
    }
}

void abx_sha256_finish(struct abx_sha256 *h, uint8_t digest[32])
{
    uint64_t bits = h->length * 8;
    static const uint8_t pad[64] = {0x80};
    abx_sha256_add(h, pad, 1 + (119 - h->length % 64) % 64);
    uint8_t size[8];
    for (int i = 0; i < 8; i++)
        size[i] = (uint8_t)(bits >> (56 - 8 * i));
    abx_sha256_add(h, size, 8);
    for (int i = 0; i < 32; i++)
        digest[i] = (uint8_t)(h->state[i / 4] >> (24 - 8 * (i % 4)));
}
