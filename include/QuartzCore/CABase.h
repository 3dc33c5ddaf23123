#ifndef QUARTZCORE_CABASE_H_
#define QUARTZCORE_CABASE_H_
#include <mach/mach_time.h>
#ifdef __cplusplus
extern "C"
#endif
/* Seconds of the clock that mach_absolute_time() reads. */
double CACurrentMediaTime(void);
#endif
