/* wire, guest side: times that the host took with another clock, in the guest's. The two clocks may
 * differ by any offset, drift, and jump when one side was suspended. */
#ifndef ABX_WIRE_CLOCK_H
#define ABX_WIRE_CLOCK_H

#include <stdatomic.h>
#include <stdint.h>

/* Any thread; a lost update costs nothing. */
struct abx_clock {
    _Atomic int64_t offset; /* what is added to the host's time */
};

/* The host answered with its time `host` between `before` and `after`. */
void abx_clock_start(struct abx_clock *clock, uint64_t before, uint64_t host, uint64_t after);

/* Turns *start and *end, the host's, into the guest's. What they stand for was asked for at `asked`
 * and seen to be over at `seen`: they come to lie between these, in order, whatever the host said,
 * and the clock learns from it. */
void abx_clock_carry(
        struct abx_clock *clock, uint64_t asked, uint64_t seen, uint64_t *start, uint64_t *end);

#endif
