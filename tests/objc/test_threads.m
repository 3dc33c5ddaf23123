// Many threads: +initialize, method caches while methods change, weak references, @synchronized.
#import <Foundation/Foundation.h>
#import <objc/message.h>
#import <objc/runtime.h>
#include <pthread.h>
#include <stdatomic.h>
#include "../check.h"

enum { THREADS = 8, ROUNDS = 2000 };

struct start {
    void (*work)(int index);
    int index;
};

static void *entry(void *argument)
{
    struct start *start = argument;
    @autoreleasepool {
        start->work(start->index);
    }
    return NULL;
}

static void on_threads(void (*work)(int index))
{
    pthread_t threads[THREADS];
    struct start starts[THREADS];
    for (int i = 0; i < THREADS; i++) {
        starts[i] = (struct start){work, i};
        CHECK(pthread_create(&threads[i], NULL, entry, &starts[i]) == 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

static atomic_int initialized, early;

@interface Slow : NSObject
+ (int)value;
@end
@implementation Slow
+ (void)initialize
{
    [self value]; // its own thread may send messages meanwhile; others wait
    [NSThread sleepForTimeInterval:0.02];
    atomic_fetch_add(&initialized, 1);
}
+ (int)value
{
    return 5;
}
@end

static void use_slow(int index)
{
    [Slow value];
    if (atomic_load(&initialized) != 1)
        atomic_fetch_add(&early, 1);
}

static id shared_strong, shared_lock;
static __weak id shared_weak;
static atomic_int loaded;

static void race_weak(int index)
{
    for (int i = 0; i < ROUNDS; i++) {
        @autoreleasepool {
            if (index == 0) {
                @synchronized(shared_lock) {
                    shared_strong = [NSObject new];
                    shared_weak = shared_strong;
                }
            } else if (index == 1) {
                @synchronized(shared_lock) {
                    shared_strong = nil;
                }
            } else {
                id object = shared_weak;
                if (object) {
                    atomic_fetch_add(&loaded, 1);
                    CHECK([object isKindOfClass:[NSObject class]]);
                }
            }
        }
    }
}

static int counter;

static void count_synchronized(int index)
{
    for (int i = 0; i < ROUNDS; i++)
        @synchronized(shared_lock) {
            @synchronized(shared_lock) {
                counter++;
            }
        }
}

static int one(id self, SEL cmd)
{
    return 1;
}
static int two(id self, SEL cmd)
{
    return 2;
}
static Class changing;

static void change_methods(int index)
{
    SEL selectors[64];
    for (int i = 0; i < 64; i++)
        selectors[i] = sel_registerName([NSString stringWithFormat:@"method%d", i].UTF8String);
    id object = [changing new];
    for (int i = 0; i < ROUNDS; i++) {
        SEL selector = selectors[(i * 7 + index) % 64];
        if (index == 0)
            class_replaceMethod(changing, selector, i & 1 ? (IMP)one : (IMP)two, "i@:");
        int got = ((int (*)(id, SEL))objc_msgSend)(object, selector);
        CHECK(got == 1 || got == 2);
    }
}

@interface Atomic : NSObject
@property(copy) NSString *text;
@end
@implementation Atomic
@end
static Atomic *atomic_object;

static void race_property(int index)
{
    for (int i = 0; i < ROUNDS; i++) {
        @autoreleasepool {
            if (index & 1)
                atomic_object.text = [NSString stringWithFormat:@"text %d", i];
            else
                CHECK([atomic_object.text hasPrefix:@"text"]);
        }
    }
}

int main(void)
{
    @autoreleasepool {
        on_threads(use_slow);
        CHECK(initialized == 1 && early == 0);
        shared_lock = [NSObject new];
        on_threads(race_weak);
        shared_strong = nil;
        CHECK(!shared_weak);
        on_threads(count_synchronized);
        CHECK(counter == THREADS * ROUNDS);
        changing = objc_allocateClassPair([NSObject class], "Changing", 0);
        for (int i = 0; i < 64; i++)
            class_addMethod(changing,
                    sel_registerName([NSString stringWithFormat:@"method%d", i].UTF8String),
                    (IMP)one, "i@:");
        objc_registerClassPair(changing);
        on_threads(change_methods);
        atomic_object = [Atomic new];
        atomic_object.text = @"text";
        on_threads(race_property);
    }
    printf("ok\n");
    return 0;
}
