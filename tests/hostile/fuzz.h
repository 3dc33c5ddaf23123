/* What the fuzzers here share. Built with libFuzzer (-Dfuzzers=true) they search; as ordinary tests
 * they replay their seeds and a fixed number of mutations of them, the same each time:
 *     fuzz_X COUNT SEED_FILE...
 * The fuzzer's file defines LLVMFuzzerTestOneInput() and, for more than bytes, fuzz_mutate(). */
#ifndef ABX_TESTS_FUZZ_H
#define ABX_TESTS_FUZZ_H

#include "base/base.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_MAX_BYTES (1u << 20)

static unsigned long fuzz_accepted __attribute__((unused)); /* inputs that went all the way */

static uint64_t fuzz_state = 0x9e3779b97f4a7c15u;

static inline uint32_t fuzz_random(uint32_t below)
{
    fuzz_state ^= fuzz_state << 13, fuzz_state ^= fuzz_state >> 7, fuzz_state ^= fuzz_state << 17;
    return below ? (uint32_t)(fuzz_state >> 32) % below : 0;
}

/* Numbers that sizes, offsets and counts break at. */
static inline uint64_t fuzz_number(uint64_t old)
{
    static const uint64_t numbers[] = {0, 1, 2, 7, 8, 15, 255, 256, 4095, 4096, 0x7fff, 0xffff,
            0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, 0x7fffffffffffffff, 0x8000000000000000,
            0xfffffffffffffff8, 0xffffffffffffffff};
    switch (fuzz_random(4)) {
    case 0:
        return old + fuzz_random(17) - 8;
    case 1:
        return old ^ (uint64_t)1 << fuzz_random(64);
    default:
        return numbers[fuzz_random(ABX_ARRAY_SIZE(numbers))];
    }
}

/* Changes `size` bytes of the `capacity` at data; the new size. */
static inline size_t fuzz_bytes(uint8_t *data, size_t size, size_t capacity)
{
    for (uint32_t n = 1 + fuzz_random(6); n && size > 8; n--) {
        size_t width = (size_t)1 << fuzz_random(4);
        /* Tables are in front, or at the end; fields are aligned. */
        size_t part = fuzz_random(2) ? size : size < 512 ? size : 512;
        size_t at = fuzz_random((uint32_t)part);
        at = (fuzz_random(4) ? at : size - 1 - at) & ~(width - 1);
        uint64_t value = 0;
        if (at + width > size)
            continue;
        switch (fuzz_random(8)) {
        case 0: {
            size_t from = fuzz_random((uint32_t)size), bytes = fuzz_random(64);
            if (from + bytes <= size && at + bytes <= size)
                memmove(data + at, data + from, bytes);
            break;
        }
        case 1:
            if (fuzz_random(8) == 0)
                size = at;
            break;
        case 2:
            if (size + 64 < capacity && fuzz_random(8) == 0) {
                memset(data + size, (int)fuzz_random(256), 64);
                size += 64;
            }
            break;
        default:
            memcpy(&value, data + at, width);
            value = fuzz_number(value);
            memcpy(data + at, &value, width);
        }
    }
    return size;
}

#ifndef ABX_LIBFUZZER
#ifndef FUZZ_MUTATE
#define FUZZ_MUTATE fuzz_bytes
#endif

/* At the end of a buffer of its own size, for whoever looks past it. */
static inline void fuzz_one(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    assert(copy);
    memcpy(copy, data, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

int main(int argc, char **argv)
{
    static uint8_t data[FUZZ_MAX_BYTES];
    long count = argc > 2 ? strtol(argv[1], NULL, 10) : 0;
    if (argc < 3) {
        fprintf(stderr, "usage: %s COUNT SEED_FILE...\n", argv[0]);
        return 2;
    }
    const char *share = getenv("FUZZ_SHARE"); /* of the count: where each takes much longer */
    count /= share && atoi(share) > 0 ? atoi(share) : 1;
    for (int i = 2; i < argc; i++) {
        void *seed;
        size_t bytes;
        assert(abx_read_file(argv[i], FUZZ_MAX_BYTES, &seed, &bytes) == 0);
        fuzz_accepted = 0;
        fuzz_one(seed, bytes);
        assert(fuzz_accepted); /* or its mutations test little */
        for (long n = 0; n < count / (argc - 2) + 1; n++) {
            memcpy(data, seed, bytes);
            fuzz_one(data, FUZZ_MUTATE(data, bytes, sizeof data));
        }
        free(seed);
    }
    printf("%ld mutations of %d seeds; of the last's, %lu were accepted\n", count, argc - 2,
            fuzz_accepted - 1);
    return 0;
}
#else
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);
#ifdef FUZZ_MUTATE
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
    fuzz_state = seed * 0x9e3779b97f4a7c15u + 1;
    return FUZZ_MUTATE(data, size, max_size);
}
#endif
#endif

#endif
