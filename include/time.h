/* <time.h> and what macOS has there beside it. */
#pragma GCC system_header
#include_next <time.h>
#ifndef _ARCBOX_TIME_H_
#define _ARCBOX_TIME_H_
#ifdef __USE_POSIX199309
#include <stdint.h>

#ifndef CLOCK_UPTIME_RAW
#define CLOCK_UPTIME_RAW CLOCK_MONOTONIC
#define CLOCK_UPTIME_RAW_APPROX CLOCK_MONOTONIC_COARSE
#define CLOCK_MONOTONIC_RAW_APPROX CLOCK_MONOTONIC_COARSE
#endif

/* Nanoseconds; 0: there is no such clock. */
static inline uint64_t clock_gettime_nsec_np(clockid_t clock)
{
    struct timespec now;
    return clock_gettime(clock, &now) ? 0 : (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}
#endif
#endif
