/* Another machine's times in the program's own clock (src/wire/clock.h): between the commit and the
 * wait's end whatever the other clock does, and as far apart as they were where it does nothing. */
#include "../check.h"
#include "wire/clock.h"

#include <stdio.h>
#include <stdlib.h>

static struct abx_clock clock_of(uint64_t host, uint64_t here)
{
    struct abx_clock c = {0};
    abx_clock_start(&c, here, host, here + 2000);
    return c;
}

static void carry(
        struct abx_clock *c, uint64_t asked, uint64_t seen, uint64_t *start, uint64_t *end)
{
    abx_clock_carry(c, asked, seen, start, end);
    CHECK(asked <= *start && *start <= *end && *end <= seen);
}

static void check_offsets(void)
{
    static const uint64_t others[] = {0, 5, 1000000, 1ull << 40, 1ull << 63, UINT64_MAX - 5000000};
    for (unsigned i = 0; i < sizeof others / sizeof *others; i++) {
        const uint64_t here = 1000000000, ahead = others[i] - here;
        struct abx_clock c = clock_of(others[i] + 1000, here);
        uint64_t start = here + 5000 + ahead, end = here + 9000 + ahead;
        carry(&c, here + 4000, here + 12000, &start, &end);
        CHECK(start == here + 5000 && end == here + 9000);
    }
}

/* An hour of command buffers, of 1 ms each, one a second, of a clock that is wrong by `drift` parts
 * in a million. */
static void check_drift(int64_t drift)
{
    struct abx_clock c = clock_of(0, 0);
    for (uint64_t second = 1; second < 3600; second++) {
        uint64_t now = second * 1000000000u;
        uint64_t off = (uint64_t)((int64_t)(now / 1000000u) * drift);
        uint64_t start = now + 10000 + off, end = now + 1010000 + off;
        carry(&c, now, now + 1030000, &start, &end);
        CHECK(end - start >= 1000000 - 30000 && end - start <= 1000000 + 30000);
    }
}

static void check_jumps(void)
{
    struct abx_clock c = clock_of(7, 7);
    uint64_t now = 1000000000, ahead = 0, random = 88172645463325252u;
    for (unsigned i = 0; i < 100000; i++) {
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        now += 100000;
        uint64_t start = now + 10 + ahead;
        if (random % 5 == 0) /* also in the middle of one */
            ahead = random;
        uint64_t end = now + 60 + ahead;
        carry(&c, now, now + 100, &start, &end);
        if (random % 5 == 0) { /* the next one is right again */
            start = now + 210 + ahead, end = now + 260 + ahead;
            carry(&c, now + 200, now + 300, &start, &end);
            CHECK(end - start == 50);
        }
    }
    static const uint64_t wild[] = {0, 1, 1ull << 63, UINT64_MAX};
    for (unsigned i = 0; i < 16; i++) { /* also what no clock says */
        uint64_t start = wild[i / 4], end = wild[i % 4];
        carry(&c, now, now + 100, &start, &end);
    }
}

static void check_drifts(void)
{
    for (int64_t drift = -300; drift <= 300; drift += 50)
        check_drift(drift);
}

int main(int argc, char **argv)
{
    const struct check_case cases[] = {
            CASE(check_offsets),
            CASE(check_drifts),
            CASE(check_jumps),
    };
    return check_run(argc, argv, CHECK_SUITE(cases, .seconds = 20));
}
