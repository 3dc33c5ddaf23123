/* dispatch: libdispatch, as far as Metal programs use it: what its files share, and what Foundation
 * builds operation queues and run loops on. Runs in the guest's process; trusts it. */
#ifndef ABX_DISPATCH_H
#define ABX_DISPATCH_H

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "objc/objc_internal.h"

typedef void (*dispatch_function_t)(void *context);
typedef uint64_t dispatch_time_t;
#define DISPATCH_TIME_FOREVER (~0ull)

/* ---- the threads. Jobs are the caller's memory until they run. */
struct abx_pool_job {
    struct abx_pool_job *next;
    void (*run)(struct abx_pool_job *job);
};
void abx_pool_submit(struct abx_pool_job *job);
unsigned abx_pool_width(void);      /* processors */
unsigned abx_pool_generation(void); /* changes in a forked child, which has none of the threads */

/* Calls function(context) at a CLOCK_MONOTONIC time, on a thread of its own: it must be short. */
void abx_pool_at(uint64_t when_ns, dispatch_function_t function, void *context);

/* CLOCK_MONOTONIC nanoseconds; UINT64_MAX for ever. */
uint64_t abx_dispatch_deadline(dispatch_time_t when);
/* 0, or -ETIMEDOUT. The condition uses CLOCK_MONOTONIC. */
int abx_dispatch_wait(pthread_cond_t *condition, pthread_mutex_t *mutex, uint64_t deadline_ns);
void abx_dispatch_condition_init(pthread_cond_t *condition);

/* ---- objects: what every one begins with */
struct dispatch_object {
    Class isa;
    void *context;
    dispatch_function_t finalizer;
};
/* Out of memory: aborts, as Apple's libdispatch does. */
void *abx_dispatch_allocate(size_t size);
void abx_dispatch_finalize(struct dispatch_object *object);

/* ---- queues */
OBJC_EXPORT void dispatch_async_f(id queue, void *context, dispatch_function_t work);
OBJC_EXPORT void dispatch_sync_f(id queue, void *context, dispatch_function_t work);
/* A block as a function and context; the copy is released after the call. */
void abx_dispatch_call_block(void *block);
void abx_dispatch_call_and_release(void *block);
bool abx_dispatch_queue_is_concurrent(id queue);
/* The main queue, run by the main thread's run loop: runs one item, false when there is none (wait:
 * until there is); and what is called, under the queue's lock, when one comes. */
bool abx_dispatch_main_run(bool wait);
void abx_dispatch_main_wake(void (*wake)(void));
Class abx_dispatch_define(const char *name, Class superclass, size_t size,
        const struct abx_objc_method *methods, unsigned options);

#endif
