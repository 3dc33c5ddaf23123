/* The clock of another machine, for the whole of arcboxd-scatter: linked with --wrap=abx_now_ns. It
 * is some days ahead of the guest's and a ten thousandth too fast. With ARCBOX_TEST_CLOCK_JUMPS it
 * jumps ahead by 1000 s five times a second, as it does for a guest that was suspended. */
#include "base/base.h"

#include <stdlib.h>

#define AHEAD_NS 271828182845904ull
#define JUMP_EVERY_NS 200000000u
#define JUMP_NS 1000000000000ull

uint64_t __real_abx_now_ns(void);
uint64_t __wrap_abx_now_ns(void);

uint64_t __wrap_abx_now_ns(void)
{
    static _Atomic int jumps = -1;
    uint64_t now = __real_abx_now_ns();
    if (jumps < 0)
        jumps = getenv("ARCBOX_TEST_CLOCK_JUMPS") != NULL;
    return now + AHEAD_NS + now / 10000 + (jumps ? now / JUMP_EVERY_NS * JUMP_NS : 0);
}
