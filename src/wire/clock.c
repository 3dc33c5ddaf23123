/* wire, guest side: see clock.h. Every command buffer bounds the offset between the clocks: it did
 * not start before it was committed, nor end after it was seen to be complete. The offset is only
 * changed as far as these bounds ask, so it follows a drift, and one command buffer mends a jump.
 * Arithmetic is modulo 2^64: the host's times may be anything. */
#include "wire/clock.h"

void abx_clock_start(struct abx_clock *clock, uint64_t before, uint64_t host, uint64_t after)
{
    atomic_store(&clock->offset, (int64_t)(before + (after - before) / 2 - host));
}

static uint64_t between(uint64_t low, uint64_t value, uint64_t high)
{
    return value < low ? low : value > high ? high : value;
}

void abx_clock_carry(
        struct abx_clock *clock, uint64_t asked, uint64_t seen, uint64_t *start, uint64_t *end)
{
    int64_t offset = atomic_load_explicit(&clock->offset, memory_order_relaxed);
    int64_t least = (int64_t)(asked - *start), most = (int64_t)(seen - *end);
    /* Bounds that contradict each other: a clock jumped meanwhile. The end was seen last. */
    int64_t better = offset > most || least > most ? most : offset < least ? least : offset;
    if (better != offset)
        atomic_store_explicit(&clock->offset, better, memory_order_relaxed);
    *start = between(asked, *start + (uint64_t)better, seen);
    *end = between(*start, *end + (uint64_t)better, seen);
}
