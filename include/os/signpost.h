#ifndef __OS_SIGNPOST_H__
#define __OS_SIGNPOST_H__
/* Marks for Apple's Instruments, which does not exist here: they cost nothing and say nothing. */
#include <os/log.h>
#include <stdint.h>
typedef uint64_t os_signpost_id_t;
typedef enum {
    OS_SIGNPOST_EVENT = 0,
    OS_SIGNPOST_INTERVAL_BEGIN = 1,
    OS_SIGNPOST_INTERVAL_END = 2
} os_signpost_type_t;
#define OS_SIGNPOST_ID_NULL ((os_signpost_id_t)0)
#define OS_SIGNPOST_ID_INVALID ((os_signpost_id_t)~0ull)
#define OS_SIGNPOST_ID_EXCLUSIVE ((os_signpost_id_t)0xeeeeb0b5b2b2eeeeull)
#define OS_LOG_CATEGORY_POINTS_OF_INTEREST "PointsOfInterest"
static inline os_signpost_id_t os_signpost_id_generate(os_log_t log)
{
    static os_signpost_id_t last;
    (void)log;
    return __atomic_add_fetch(&last, 1, __ATOMIC_RELAXED);
}
static inline os_signpost_id_t os_signpost_id_make_with_pointer(os_log_t log, const void *pointer)
{
    (void)log;
    return (os_signpost_id_t)(uintptr_t)pointer;
}
#define os_signpost_enabled(log) ((void)(log), false)
#define os_signpost_interval_begin(log, id, name, ...) ((void)(log), (void)(id))
#define os_signpost_interval_end(log, id, name, ...) ((void)(log), (void)(id))
#define os_signpost_event_emit(log, id, name, ...) ((void)(log), (void)(id))
#include <stdbool.h>
#endif
