// Dispatch queues, groups, semaphores, data; and what is left of them in a forked child.
#import <Foundation/Foundation.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include "../check.h"

static void queues(void)
{
    dispatch_queue_t serial = dispatch_queue_create("serial", DISPATCH_QUEUE_SERIAL);
    dispatch_queue_t wide = dispatch_queue_create("wide", DISPATCH_QUEUE_CONCURRENT);
    __block int n = 0;
    for (int i = 0; i < 2000; i++)
        dispatch_async(serial, ^{
            n++;
        });
    dispatch_sync(serial, ^{
        n += 1000;
    });
    CHECK(n == 3000);
    CHECK_TEXT(dispatch_queue_get_label(serial), "serial");
    __block atomic_int readers = 0;
    __block int seen = 0;
    for (int i = 0; i < 100; i++)
        dispatch_async(wide, ^{
            atomic_fetch_add(&readers, 1);
        });
    dispatch_barrier_async(wide, ^{
        seen = readers;
    });
    for (int i = 0; i < 100; i++)
        dispatch_async(wide, ^{
            atomic_fetch_add(&readers, 1);
        });
    dispatch_barrier_sync(wide, ^{
    });
    CHECK(seen == 100 && readers == 200);
    __block atomic_int applied = 0;
    dispatch_apply(1000, dispatch_get_global_queue(0, 0), ^(size_t i) {
        if (i % 100 == 0)
            dispatch_apply(10, dispatch_get_global_queue(0, 0), ^(size_t j) {
                atomic_fetch_add(&applied, 1);
            });
        atomic_fetch_add(&applied, 1);
    });
    CHECK(applied == 1100);
    static dispatch_once_t once;
    __block int runs = 0;
    for (int i = 0; i < 3; i++)
        dispatch_once(&once, ^{
            runs++;
        });
    CHECK(runs == 1);
    dispatch_queue_t inner =
            dispatch_queue_create_with_target("inner", DISPATCH_QUEUE_CONCURRENT, serial);
    n = 0;
    for (int i = 0; i < 100; i++) {
        dispatch_async(inner, ^{
            n++;
        });
        dispatch_async(serial, ^{
            n++;
        });
    }
    dispatch_barrier_sync(inner, ^{
    });
    dispatch_sync(serial, ^{
    });
    CHECK(n == 200);
    static char key;
    dispatch_queue_set_specific(serial, &key, &key, NULL);
    dispatch_sync(serial, ^{
        n = dispatch_get_specific(&key) == &key;
    });
    CHECK(n == 1 && !dispatch_get_specific(&key));
}

static void groups_and_semaphores(void)
{
    dispatch_group_t group = dispatch_group_create();
    dispatch_queue_t global = dispatch_get_global_queue(QOS_CLASS_DEFAULT, 0);
    __block atomic_int done = 0;
    for (int i = 0; i < 50; i++)
        dispatch_group_async(group, global, ^{
            atomic_fetch_add(&done, 1);
        });
    dispatch_semaphore_t notified = dispatch_semaphore_create(0);
    dispatch_group_notify(group, global, ^{
        dispatch_semaphore_signal(notified);
    });
    CHECK(dispatch_group_wait(group, DISPATCH_TIME_FOREVER) == 0 && done == 50);
    CHECK(dispatch_semaphore_wait(notified, DISPATCH_TIME_FOREVER) == 0);
    CHECK(dispatch_semaphore_wait(notified, dispatch_time(DISPATCH_TIME_NOW, 2000000)) != 0);
    uint64_t before = mach_absolute_time();
    dispatch_after(dispatch_time(DISPATCH_TIME_NOW, 20 * NSEC_PER_MSEC), global, ^{
        dispatch_semaphore_signal(notified);
    });
    dispatch_semaphore_wait(notified, DISPATCH_TIME_FOREVER);
    CHECK(mach_absolute_time() - before >= 20 * NSEC_PER_MSEC);
}

static void data(void)
{
    __block int freed = 0;
    dispatch_semaphore_t gone = dispatch_semaphore_create(0);
    @autoreleasepool {
        dispatch_data_t d = dispatch_data_create("abcdef", 6, nil, ^{
            freed++;
            dispatch_semaphore_signal(gone);
        });
        CHECK([(NSData *)d isKindOfClass:[NSData class]] && ((NSData *)d).length == 6);
        const void *bytes;
        size_t size;
        dispatch_data_t map = dispatch_data_create_map(d, &bytes, &size);
        CHECK(map && size == 6 && memcmp(bytes, "abcdef", 6) == 0);
        CHECK(dispatch_data_get_size(dispatch_data_create_concat(d, map)) == 12);
    }
    CHECK(dispatch_semaphore_wait(gone, DISPATCH_TIME_FOREVER) == 0 && freed == 1);
}

static void fork_child(void)
{
    dispatch_queue_t queue = dispatch_queue_create("forked", DISPATCH_QUEUE_SERIAL);
    dispatch_sync(queue, ^{
    });
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        __block int n = 0;
        dispatch_async(queue, ^{
            n = 7;
        });
        dispatch_sync(queue, ^{
        });
        _exit(n == 7 ? 0 : 1);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
}

int main(void)
{
    @autoreleasepool {
        queues();
        groups_and_semaphores();
        data();
        if (!getenv("ARCBOX_TEST_EMULATED")) // qemu-user dies of threads in a forked child
            fork_child();
    }
    printf("ok\n");
    return 0;
}
