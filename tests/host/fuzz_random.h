/* Numbers for the fuzzers' own inputs and mutations: the same ones in every run (xorshift64). */
#ifndef ABX_TESTS_FUZZ_RANDOM_H
#define ABX_TESTS_FUZZ_RANDOM_H

#include <stdint.h>

#define FUZZ_SEED 88172645463325252ull

static inline uint32_t fuzz_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (uint32_t)(*state >> 16);
}

/* In [0, below). */
static inline uint32_t fuzz_random_below(uint64_t *state, uint32_t below)
{
    return below ? fuzz_random(state) % below : 0;
}

#endif
