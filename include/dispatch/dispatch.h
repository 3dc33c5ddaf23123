/* Grand Central Dispatch: queues, groups, semaphores, data. Dispatch objects are Objective-C
 * objects. Priorities are accepted and have no effect; sources and I/O channels do not exist. */
#ifndef __DISPATCH_PUBLIC__
#define __DISPATCH_PUBLIC__

#include <Availability.h>
#include <TargetConditionals.h>
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>

#ifdef __OBJC__
#include <objc/NSObject.h>
#define OS_OBJECT_USE_OBJC 1
#define OS_OBJECT_DECL(name)                                                                       \
    @protocol OS_                                                                                  \
    ##name<NSObject> @end                                                                          \
    typedef NSObject<OS_##name> *name##_t;
#define OS_OBJECT_DECL_SUB(name, super)                                                            \
    @protocol OS_                                                                                  \
    ##name<OS_##super> @end                                                                        \
    typedef NSObject<OS_##name> *name##_t;
OS_OBJECT_DECL(dispatch_object)
OS_OBJECT_DECL_SUB(dispatch_queue, dispatch_object)
OS_OBJECT_DECL_SUB(dispatch_queue_attr, dispatch_object)
OS_OBJECT_DECL_SUB(dispatch_group, dispatch_object)
OS_OBJECT_DECL_SUB(dispatch_semaphore, dispatch_object)
OS_OBJECT_DECL_SUB(dispatch_data, dispatch_object)
#if __has_feature(objc_arc)
#define DISPATCH_BRIDGE_ __bridge
#define DISPATCH_NO_ARC_ __attribute__((unavailable("ARC does this")))
#else
#define DISPATCH_BRIDGE_
#define DISPATCH_NO_ARC_
#endif
#define DISPATCH_RETURNS_RETAINED __attribute__((ns_returns_retained))
#elif defined(__cplusplus)
#define OS_OBJECT_USE_OBJC 0
#define DISPATCH_DECL_(name) typedef struct name##_s : public dispatch_object_s{} * name##_t;
typedef struct dispatch_object_s {
} *dispatch_object_t;
DISPATCH_DECL_(dispatch_queue)
DISPATCH_DECL_(dispatch_queue_attr)
DISPATCH_DECL_(dispatch_group)
DISPATCH_DECL_(dispatch_semaphore)
DISPATCH_DECL_(dispatch_data)
#define DISPATCH_BRIDGE_
#define DISPATCH_NO_ARC_
#define DISPATCH_RETURNS_RETAINED
#else
#define OS_OBJECT_USE_OBJC 0
typedef struct dispatch_queue_s *dispatch_queue_t;
typedef struct dispatch_queue_attr_s *dispatch_queue_attr_t;
typedef struct dispatch_group_s *dispatch_group_t;
typedef struct dispatch_semaphore_s *dispatch_semaphore_t;
typedef struct dispatch_data_s *dispatch_data_t;
typedef union {
    struct dispatch_queue_s *_dq;
    struct dispatch_queue_attr_s *_dqa;
    struct dispatch_group_s *_dg;
    struct dispatch_semaphore_s *_dsema;
    struct dispatch_data_s *_ddata;
    void *_any;
} dispatch_object_t __attribute__((__transparent_union__));
#define DISPATCH_BRIDGE_
#define DISPATCH_NO_ARC_
#define DISPATCH_RETURNS_RETAINED
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef void (*dispatch_function_t)(void *context);
#ifdef __BLOCKS__
typedef void (^dispatch_block_t)(void);
#endif

/* ---- time */
typedef uint64_t dispatch_time_t;
#define DISPATCH_TIME_NOW (0ull)
#define DISPATCH_TIME_FOREVER (~0ull)
#define DISPATCH_WALLTIME_NOW (~1ull)
#define NSEC_PER_SEC 1000000000ull
#define NSEC_PER_MSEC 1000000ull
#define USEC_PER_SEC 1000000ull
#define NSEC_PER_USEC 1000ull
dispatch_time_t dispatch_time(dispatch_time_t when, int64_t delta);
dispatch_time_t dispatch_walltime(const struct timespec *when, int64_t delta);

/* ---- objects */
void dispatch_retain(dispatch_object_t object) DISPATCH_NO_ARC_;
void dispatch_release(dispatch_object_t object) DISPATCH_NO_ARC_;
void *dispatch_get_context(dispatch_object_t object);
void dispatch_set_context(dispatch_object_t object, void *context);
void dispatch_set_finalizer_f(dispatch_object_t object, dispatch_function_t finalizer);
void dispatch_suspend(dispatch_object_t object);
void dispatch_resume(dispatch_object_t object);

/* ---- queues */
typedef unsigned int dispatch_qos_class_t;
typedef unsigned int qos_class_t;
enum {
    QOS_CLASS_USER_INTERACTIVE = 0x21,
    QOS_CLASS_USER_INITIATED = 0x19,
    QOS_CLASS_DEFAULT = 0x15,
    QOS_CLASS_UTILITY = 0x11,
    QOS_CLASS_BACKGROUND = 0x09,
    QOS_CLASS_UNSPECIFIED = 0x00
};
typedef long dispatch_queue_priority_t;
#define DISPATCH_QUEUE_PRIORITY_HIGH 2
#define DISPATCH_QUEUE_PRIORITY_DEFAULT 0
#define DISPATCH_QUEUE_PRIORITY_LOW (-2)
#define DISPATCH_QUEUE_PRIORITY_BACKGROUND INT16_MIN
typedef dispatch_queue_t dispatch_queue_main_t, dispatch_queue_global_t, dispatch_queue_serial_t,
        dispatch_queue_concurrent_t;
struct _abx_dispatch_attr;
extern struct _abx_dispatch_attr _dispatch_queue_attr_concurrent;
#define DISPATCH_QUEUE_SERIAL ((dispatch_queue_attr_t)0)
#define DISPATCH_QUEUE_CONCURRENT                                                                  \
    ((DISPATCH_BRIDGE_ dispatch_queue_attr_t)(void *)&_dispatch_queue_attr_concurrent)
#define DISPATCH_QUEUE_SERIAL_WITH_AUTORELEASE_POOL DISPATCH_QUEUE_SERIAL
#define DISPATCH_QUEUE_CONCURRENT_WITH_AUTORELEASE_POOL DISPATCH_QUEUE_CONCURRENT
#define DISPATCH_TARGET_QUEUE_DEFAULT ((dispatch_queue_t)0)
#define DISPATCH_CURRENT_QUEUE_LABEL ((dispatch_queue_t)0)
#define DISPATCH_APPLY_AUTO ((dispatch_queue_t)0)

dispatch_queue_t dispatch_queue_create(
        const char *label, dispatch_queue_attr_t attr) DISPATCH_RETURNS_RETAINED;
dispatch_queue_t dispatch_queue_create_with_target(const char *label, dispatch_queue_attr_t attr,
        dispatch_queue_t target) DISPATCH_RETURNS_RETAINED;
dispatch_queue_attr_t dispatch_queue_attr_make_with_qos_class(
        dispatch_queue_attr_t attr, dispatch_qos_class_t qos, int relative_priority);
dispatch_queue_t dispatch_get_global_queue(intptr_t identifier, uintptr_t flags);
dispatch_queue_t dispatch_get_main_queue(void);
const char *dispatch_queue_get_label(dispatch_queue_t queue);
void dispatch_queue_set_specific(
        dispatch_queue_t queue, const void *key, void *context, dispatch_function_t destructor);
void *dispatch_queue_get_specific(dispatch_queue_t queue, const void *key);
void *dispatch_get_specific(const void *key);
/* Runs what is put on the main queue, for ever. Nothing else runs it. */
void dispatch_main(void) __attribute__((noreturn));

void dispatch_async_f(dispatch_queue_t queue, void *context, dispatch_function_t work);
void dispatch_sync_f(dispatch_queue_t queue, void *context, dispatch_function_t work);
void dispatch_barrier_async_f(dispatch_queue_t queue, void *context, dispatch_function_t work);
void dispatch_barrier_sync_f(dispatch_queue_t queue, void *context, dispatch_function_t work);
void dispatch_after_f(
        dispatch_time_t when, dispatch_queue_t queue, void *context, dispatch_function_t work);
void dispatch_apply_f(
        size_t count, dispatch_queue_t queue, void *context, void (*work)(void *, size_t));
#ifdef __BLOCKS__
void dispatch_async(dispatch_queue_t queue, dispatch_block_t block);
void dispatch_sync(dispatch_queue_t queue, __attribute__((noescape)) dispatch_block_t block);
void dispatch_async_and_wait(
        dispatch_queue_t queue, __attribute__((noescape)) dispatch_block_t block);
void dispatch_barrier_async(dispatch_queue_t queue, dispatch_block_t block);
void dispatch_barrier_sync(
        dispatch_queue_t queue, __attribute__((noescape)) dispatch_block_t block);
void dispatch_after(dispatch_time_t when, dispatch_queue_t queue, dispatch_block_t block);
void dispatch_apply(
        size_t count, dispatch_queue_t queue, __attribute__((noescape)) void (^block)(size_t));
#endif

/* ---- once */
typedef intptr_t dispatch_once_t;
void dispatch_once_f(dispatch_once_t *predicate, void *context, dispatch_function_t function);
#ifdef __BLOCKS__
void dispatch_once(dispatch_once_t *predicate, __attribute__((noescape)) dispatch_block_t block);
static __inline__ __attribute__((always_inline)) void _dispatch_once(
        dispatch_once_t *predicate, __attribute__((noescape)) dispatch_block_t block)
{
    if (__atomic_load_n(predicate, __ATOMIC_ACQUIRE) != ~(intptr_t)0)
        dispatch_once(predicate, block);
}
#define dispatch_once _dispatch_once
#endif

/* ---- groups */
dispatch_group_t dispatch_group_create(void) DISPATCH_RETURNS_RETAINED;
void dispatch_group_enter(dispatch_group_t group);
void dispatch_group_leave(dispatch_group_t group);
intptr_t dispatch_group_wait(dispatch_group_t group, dispatch_time_t timeout);
void dispatch_group_async_f(
        dispatch_group_t group, dispatch_queue_t queue, void *context, dispatch_function_t work);
void dispatch_group_notify_f(
        dispatch_group_t group, dispatch_queue_t queue, void *context, dispatch_function_t work);
#ifdef __BLOCKS__
void dispatch_group_async(dispatch_group_t group, dispatch_queue_t queue, dispatch_block_t block);
void dispatch_group_notify(dispatch_group_t group, dispatch_queue_t queue, dispatch_block_t block);
#endif

/* ---- semaphores */
dispatch_semaphore_t dispatch_semaphore_create(intptr_t value) DISPATCH_RETURNS_RETAINED;
intptr_t dispatch_semaphore_wait(dispatch_semaphore_t semaphore, dispatch_time_t timeout);
intptr_t dispatch_semaphore_signal(dispatch_semaphore_t semaphore);

/* ---- data: an NSData too */
struct _abx_dispatch_data;
extern struct _abx_dispatch_data _dispatch_data_empty;
#define dispatch_data_empty ((DISPATCH_BRIDGE_ dispatch_data_t)(void *)&_dispatch_data_empty)
size_t dispatch_data_get_size(dispatch_data_t data);
dispatch_data_t dispatch_data_create_map(
        dispatch_data_t data, const void **buffer, size_t *size) DISPATCH_RETURNS_RETAINED;
dispatch_data_t dispatch_data_create_concat(
        dispatch_data_t a, dispatch_data_t b) DISPATCH_RETURNS_RETAINED;
dispatch_data_t dispatch_data_create_subrange(
        dispatch_data_t data, size_t offset, size_t length) DISPATCH_RETURNS_RETAINED;
#ifdef __BLOCKS__
#define DISPATCH_DATA_DESTRUCTOR_DEFAULT ((dispatch_block_t)0)
#define DISPATCH_DATA_DESTRUCTOR_FREE (_dispatch_data_destructor_free)
#define DISPATCH_DATA_DESTRUCTOR_MUNMAP (_dispatch_data_destructor_munmap)
extern const dispatch_block_t _dispatch_data_destructor_free;
extern const dispatch_block_t _dispatch_data_destructor_munmap;
dispatch_data_t dispatch_data_create(const void *buffer, size_t size, dispatch_queue_t queue,
        dispatch_block_t destructor) DISPATCH_RETURNS_RETAINED;
typedef bool (^dispatch_data_applier_t)(
        dispatch_data_t region, size_t offset, const void *buffer, size_t size);
bool dispatch_data_apply(dispatch_data_t data, dispatch_data_applier_t applier);
#endif

#ifdef __cplusplus
}
#endif

#endif
