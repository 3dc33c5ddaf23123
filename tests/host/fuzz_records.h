/* Mutations that know records: of the fuzzers whose input is blocks of {u8 kind, u8 spare, u16
 * bytes, payload}, some of which are records. Sizes, order, handles and single fields are changed,
 * where blind changes would only spoil the stream. */
#ifndef ABX_TESTS_FUZZ_RECORDS_H
#define ABX_TESTS_FUZZ_RECORDS_H

#include "fuzz_random.h"
#include "wire/wire.h"

#include <string.h>

static uint64_t records_state = FUZZ_SEED;

static inline uint32_t records_random(uint32_t below)
{
    return fuzz_random_below(&records_state, below);
}

static inline uint16_t block_bytes(const uint8_t *block)
{
    uint16_t bytes;
    memcpy(&bytes, block + 2, 2);
    return bytes;
}

/* One of the blocks of records, or NULL. mask: of kinds, modulo `kinds`. */
static inline uint8_t *any_block(uint8_t *data, size_t size, unsigned kinds, unsigned mask)
{
    uint8_t *found = NULL;
    unsigned seen = 0;
    for (size_t at = 0; at + 4 <= size && at + 4 + block_bytes(data + at) <= size;
            at += 4u + block_bytes(data + at))
        if ((mask >> data[at] % kinds & 1) && records_random(++seen) == 0)
            found = data + at;
    return found;
}

/* One of its records; NULL: it has none. */
static inline uint8_t *any_record(uint8_t *block, uint32_t *ret_bytes)
{
    uint8_t *found = NULL;
    unsigned seen = 0;
    for (size_t at = 4, end = 4u + block_bytes(block); at + 8 <= end;) {
        uint32_t bytes;
        memcpy(&bytes, block + at + 4, 4);
        if (bytes < 8 || bytes % 8 || bytes > end - at)
            break;
        if (records_random(++seen) == 0) {
            found = block + at;
            *ret_bytes = bytes;
        }
        at += bytes;
    }
    return found;
}

static inline uint64_t any_number(void)
{
    static const uint64_t numbers[] = {0, 1, 2, 3, 4, 7, 8, 16, 31, 32, 64, 255, 256, 4095, 4096,
            65535, 65536, 1u << 20, INT32_MAX, UINT32_MAX, INT64_MAX, UINT64_MAX - 7, UINT64_MAX,
            1ull << 40};
    return numbers[records_random(sizeof numbers / sizeof *numbers)];
}

/* Moves what follows `at` by `by` bytes, and the block with it; the new size. */
static inline size_t make_room(
        uint8_t *data, size_t size, size_t capacity, uint8_t *block, uint8_t *at, long by)
{
    uint16_t bytes = (uint16_t)(block_bytes(block) + by);
    size_t after = (size_t)(data + size - at);
    if ((long)block_bytes(block) + by < 0 || (long)block_bytes(block) + by > 0xfff8 ||
            size + (size_t)by > capacity)
        return size;
    if (by >= 0)
        memmove(at + by, at, after);
    else
        memmove(at, at - by, after + (size_t)by);
    memcpy(block + 2, &bytes, 2);
    return size + (size_t)by;
}

/* The new size. */
static inline size_t mutate_records(
        uint8_t *data, size_t size, size_t capacity, unsigned kinds, unsigned mask)
{
    uint32_t bytes = 0, n;
    uint8_t *block = any_block(data, size, kinds, mask);
    uint8_t *record = block ? any_record(block, &bytes) : NULL;
    uint64_t number = any_number(), handle = 1ull << 32 | records_random(12);
    if (!record)
        return size;
    switch (records_random(9)) {
    case 0:
        n = records_random(2) ? bytes + 8 : bytes - 8;
        memcpy(record + 4, &n, 4);
        return size;
    case 1:
        record[0] = (uint8_t)records_random(64);
        return size;
    case 2: { /* last, so that another begins */
        uint8_t copy[1024];
        uint8_t *end = block + 4 + block_bytes(block);
        if (bytes > sizeof copy)
            return size;
        memcpy(copy, record, bytes);
        memmove(record, record + bytes, (size_t)(end - record) - bytes);
        memcpy(end - bytes, copy, bytes);
        return size;
    }
    case 3: {
        size_t longer = make_room(data, size, capacity, block, record, (long)bytes);
        if (longer > size)
            memcpy(record, record + bytes, bytes);
        return longer;
    }
    case 4:
        return make_room(data, size, capacity, block, record, -(long)bytes);
    case 5:
        if (bytes >= 16)
            memcpy(record + 8 + 8 * records_random((bytes - 8) / 8), &handle, 8);
        return size;
    case 6: /* cut off in its middle, with the rest of the block */
        return make_room(data, size, capacity, block, record + 4,
                -((long)(block + 4 + block_bytes(block) - record) - 4));
    case 7:
        if (bytes >= 16)
            memcpy(record + 8 + 8 * records_random((bytes - 8) / 8), &number, 8);
        return size;
    default:
        if (bytes >= 12)
            memcpy(record + 8 + 4 * records_random((bytes - 8) / 4), &number, 4);
        return size;
    }
}

#ifdef ABX_LIBFUZZER
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t capacity);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t capacity, unsigned int seed);
#define RECORDS_MUTATOR(kinds, mask)                                                               \
    size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t capacity, unsigned int seed) \
    {                                                                                              \
        records_state ^= (uint64_t)seed << 20 | 1;                                                 \
        if (seed % 4 == 0)                                                                         \
            return LLVMFuzzerMutate(data, size, capacity);                                         \
        for (unsigned i = 1 + records_random(3); i--;)                                             \
            size = mutate_records(data, size, capacity, kinds, mask);                              \
        return size;                                                                               \
    }
#else
#define RECORDS_MUTATOR(kinds, mask) _Static_assert(mask, "")
#endif

#endif
