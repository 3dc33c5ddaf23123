/* Residency sets, argument encoders and captures, from C through objc_msgSend, against the pretend
 * host: what they answer, what they keep alive, and what they refuse. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../check.h"
#include "fake_host.h"
#include "classes_gen.h"
#include "foundation/foundation.h"
#include "metal_types_gen.h"

/* The runtime tags its pointers to a class's description: the leak checker loses sight of them. */
ABX_EXPORT const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:abx_objc_define_class\n";
}

extern id MTLCreateSystemDefaultDevice(void);

static struct fake_host host;
static id device;
static void *whole_pool;

static id new_buffer(NSUInteger length, NSUInteger options)
{
    return ABX_MSG(id, (id, SEL, NSUInteger, NSUInteger), device,
            "newBufferWithLength:options:", length, options);
}

static NSUInteger retains(id object)
{
    return ABX_MSG(NSUInteger, (id, SEL), object, "retainCount");
}

/* ---- residency sets */

static id new_set(NSUInteger capacity)
{
    struct MTLResidencySetDescriptor *d = (struct MTLResidencySetDescriptor *)objc_alloc_init(
            ABX_CLASS(MTLResidencySetDescriptor));
    d->label = objc_retain(abx_ns_string("weights"));
    d->initialCapacity = capacity;
    id error = NULL;
    id set = ABX_MSG(
            id, (id, SEL, id, id *), device, "newResidencySetWithDescriptor:error:", (id)d, &error);
    CHECK(set && !error);
    objc_release((id)d);
    return set;
}

static void add(id set, id allocation)
{
    ABX_MSG(void, (id, SEL, id), set, "addAllocation:", allocation);
}

static void drop(id set, id allocation)
{
    ABX_MSG(void, (id, SEL, id), set, "removeAllocation:", allocation);
}

static void commit(id set)
{
    ABX_MSG(void, (id, SEL), set, "commit");
}

static bool contains(id set, id allocation)
{
    return ABX_MSG(int, (id, SEL, id), set, "containsAllocation:", allocation);
}

static NSUInteger count(id set)
{
    NSUInteger n = ABX_MSG(NSUInteger, (id, SEL), set, "allocationCount");
    void *pool = objc_autoreleasePoolPush();
    CHECK(abx_ns_array_count(ABX_MSG(id, (id, SEL), set, "allAllocations")) == n);
    objc_autoreleasePoolPop(pool);
    return n;
}

static uint64_t size(id set)
{
    return ABX_MSG(uint64_t, (id, SEL), set, "allocatedSize");
}

static void test_residency(void)
{
    id set = new_set(0), a = new_buffer(4096, 0), b = new_buffer(100, 0);
    uint64_t a_bytes = ABX_MSG(NSUInteger, (id, SEL), a, "allocatedSize");
    CHECK(!strcmp(abx_ns_string_utf8(ABX_MSG(id, (id, SEL), set, "label")), "weights"));
    add(set, a);
    add(set, a);
    CHECK(retains(a) == 2 && count(set) == 1 && contains(set, a) && !contains(set, b));
    CHECK(size(set) == 0); /* until committed */
    commit(set);
    CHECK(size(set) == a_bytes);
    add(set, b);
    drop(set, a);
    CHECK(count(set) == 1 && !contains(set, a) && contains(set, b));
    CHECK(retains(a) == 2 && size(set) == a_bytes); /* the GPU may use it until the commit */
    commit(set);
    CHECK(retains(a) == 1 && size(set) == ABX_MSG(NSUInteger, (id, SEL), b, "allocatedSize"));
    drop(set, b);
    add(set, b); /* changed its mind */
    commit(set);
    CHECK(count(set) == 1 && retains(b) == 2);
    ABX_MSG(void, (id, SEL), set, "removeAllAllocations");
    CHECK(count(set) == 0 && retains(b) == 2);
    add(set, a);
    commit(set);
    CHECK(count(set) == 1 && retains(b) == 1 && contains(set, a));
    add(set, NULL);
    add(set, device); /* not an allocation: refused, with a line */
    CHECK(count(set) == 1);
    drop(set, NULL);
    ABX_MSG(void, (id, SEL), set, "requestResidency");
    ABX_MSG(void, (id, SEL), set, "endResidency");
    objc_release(set);
    CHECK(retains(a) == 1);
    objc_release(a);
    objc_release(b);
}

enum { MANY = 3000 };

/* Many of them, in random order: the table keeps every entry reachable. */
static void test_residency_many(void)
{
    static id buffers[MANY];
    static bool inside[MANY];
    id set = new_set(7);
    NSUInteger expected = 0;
    unsigned random = 12345;
    for (unsigned i = 0; i < MANY; i++)
        buffers[i] = new_buffer(256, 0);
    for (unsigned i = 0; i < 40000; i++) {
        random = random * 1103515245u + 12345u;
        unsigned at = (random >> 8) % MANY;
        if (inside[at])
            drop(set, buffers[at]);
        else
            add(set, buffers[at]);
        expected += inside[at] ? -1 : 1;
        inside[at] = !inside[at];
        if (i % 977 == 0)
            commit(set);
    }
    commit(set);
    CHECK(count(set) == expected && size(set) == expected * 256);
    for (unsigned i = 0; i < MANY; i++)
        CHECK(contains(set, buffers[i]) == inside[i] && retains(buffers[i]) == 1u + inside[i]);
    objc_release(set);
    for (unsigned i = 0; i < MANY; i++) {
        CHECK(retains(buffers[i]) == 1);
        objc_release(buffers[i]);
    }
}

struct worker {
    pthread_t thread;
    id device, set;
    unsigned number;
};

static void *set_worker(void *user)
{
    struct worker *w = user;
    void *pool = objc_autoreleasePoolPush();
    for (unsigned i = 0; i < 2000; i++) {
        id buffer = new_buffer(64, 0);
        add(w->set, buffer);
        CHECK(contains(w->set, buffer));
        if (i % 7 == w->number)
            commit(w->set);
        drop(w->set, buffer);
        objc_release(buffer);
    }
    objc_autoreleasePoolPop(pool);
    return NULL;
}

static void test_residency_threads(void)
{
    struct worker workers[4];
    id set = new_set(0);
    for (unsigned i = 0; i < 4; i++) {
        workers[i] = (struct worker){.device = device, .set = set, .number = i};
        CHECK(pthread_create(&workers[i].thread, NULL, set_worker, &workers[i]) == 0);
    }
    for (unsigned i = 0; i < 4; i++)
        pthread_join(workers[i].thread, NULL);
    commit(set);
    CHECK(count(set) == 0 && size(set) == 0);
    objc_release(set);
}

/* ---- queues and memory dropped while the GPU has them */

static NSUInteger allocated(void)
{
    return ABX_MSG(NSUInteger, (id, SEL), device, "currentAllocatedSize");
}

/* More queues than there are, each let go of right after its commit. Nothing but the next queue, or
 * the next question, takes note that it completed. */
static void test_dropped(void)
{
    NSUInteger before = allocated();
    for (unsigned i = 0; i < 3 * ABX_MAX_QUEUES; i++) {
        void *pool = objc_autoreleasePoolPush();
        id queue = ABX_MSG(id, (id, SEL), device, "newCommandQueue");
        for (unsigned wait = 0; !queue && wait < 1000; wait++) {
            usleep(1000);
            queue = ABX_MSG(id, (id, SEL), device, "newCommandQueue");
        }
        CHECK(queue);
        id buffer = new_buffer(100000, 0);
        id commands = ABX_MSG(id, (id, SEL), queue, "commandBuffer");
        id blit = ABX_MSG(id, (id, SEL), commands, "blitCommandEncoder");
        ABX_MSG(void, (id, SEL, id, NSRange, int), blit, "fillBuffer:range:value:", buffer,
                ((NSRange){0, 100}), 1);
        ABX_MSG(void, (id, SEL), blit, "endEncoding");
        ABX_MSG(void, (id, SEL), commands, "commit");
        objc_release(buffer);
        objc_release(queue);
        objc_autoreleasePoolPop(pool);
    }
    for (unsigned wait = 0; allocated() != before && wait < 2000; wait++)
        usleep(1000);
    CHECK(allocated() == before);
}

/* ---- argument encoders */

static id member(NSUInteger index, NSUInteger type, NSUInteger elements)
{
    struct MTLArgumentDescriptor *d =
            (struct MTLArgumentDescriptor *)objc_alloc_init(ABX_CLASS(MTLArgumentDescriptor));
    d->index = index;
    d->dataType = type;
    d->arrayLength = elements;
    return objc_autorelease((id)d);
}

static id encoder_of(const id *members, NSUInteger n)
{
    return ABX_MSG(id, (id, SEL, id), device,
            "newArgumentEncoderWithArguments:", abx_ns_array(members, n));
}

static void set_buffer(id encoder, id buffer, NSUInteger offset, NSUInteger index)
{
    ABX_MSG(void, (id, SEL, id, NSUInteger, NSUInteger), encoder,
            "setBuffer:offset:atIndex:", buffer, offset, index);
}

static void target(id encoder, id buffer, NSUInteger offset)
{
    ABX_MSG(void, (id, SEL, id, NSUInteger), encoder, "setArgumentBuffer:offset:", buffer, offset);
}

static void *constant(id encoder, NSUInteger index)
{
    return ABX_MSG(void *, (id, SEL, NSUInteger), encoder, "constantDataAtIndex:", index);
}

/* struct { uchar c [[id(0)]]; device float *p[3] [[id(2)]]; float3 v [[id(8)]]; half h [[id(9)]]; }
 */
static void test_arguments(void)
{
    id members[] = {member(8, MTLDataTypeFloat3, 0), member(0, MTLDataTypeUChar, 0),
            member(2, MTLDataTypePointer, 3), member(9, MTLDataTypeHalf, 0)};
    id encoder = encoder_of(members, 4);
    CHECK(encoder && ABX_MSG(NSUInteger, (id, SEL), encoder, "alignment") == 16);
    CHECK(ABX_MSG(NSUInteger, (id, SEL), encoder, "encodedLength") == 64);
    id table = new_buffer(256, 0), data = new_buffer(1000, 0);
    uint64_t address = ABX_MSG(uint64_t, (id, SEL), data, "gpuAddress"), found;
    char *bytes = ABX_MSG(void *, (id, SEL), table, "contents");
    CHECK(!constant(encoder, 0)); /* no argument buffer yet */
    target(encoder, table, 64);
    CHECK(constant(encoder, 0) == bytes + 64 && constant(encoder, 8) == bytes + 64 + 32);
    CHECK(constant(encoder, 9) == bytes + 64 + 48);
    CHECK(!constant(encoder, 1) && !constant(encoder, 2) && !constant(encoder, 10));
    set_buffer(encoder, data, 100, 3);
    memcpy(&found, bytes + 64 + 16, 8);
    CHECK(found == address + 100);
    set_buffer(encoder, NULL, 0, 3);
    memcpy(&found, bytes + 64 + 16, 8);
    CHECK(found == 0);
    memset(bytes, 0x55, 256);
    set_buffer(encoder, data, 1001, 2); /* past its end */
    set_buffer(encoder, data, 0, 0);    /* a constant */
    set_buffer(encoder, data, 0, 5);    /* past the array */
    set_buffer(encoder, device, 0, 2);
    for (unsigned i = 0; i < 256; i++)
        CHECK(bytes[i] == 0x55);
    target(encoder, table, 200); /* 64 bytes do not fit */
    CHECK(!constant(encoder, 0));
    ABX_MSG(void, (id, SEL, id, NSUInteger, NSUInteger), encoder,
            "setArgumentBuffer:startOffset:arrayElement:", table, 16, 2);
    CHECK(constant(encoder, 0) == bytes + 16 + 128);
    ABX_MSG(void, (id, SEL, id, NSUInteger, NSUInteger), encoder,
            "setArgumentBuffer:startOffset:arrayElement:", table, 16, UINT64_MAX / 2);
    CHECK(!constant(encoder, 0));
    objc_release(encoder);
    id overlapping[] = {member(0, MTLDataTypePointer, 4), member(3, MTLDataTypePointer, 0)};
    CHECK(!encoder_of(overlapping, 2));
    id texture[] = {member(0, MTLDataTypeTexture, 0)};
    CHECK(!encoder_of(texture, 1));
    objc_release(table);
    objc_release(data);
}

/* The kernel of the pretend host takes buffers of one 4-byte number. */
static void test_function_arguments(void)
{
    id error = NULL;
    id library = ABX_MSG(id, (id, SEL, id, id, id *), device,
            "newLibraryWithSource:options:error:", abx_ns_string("kernel"), NULL, &error);
    id function = ABX_MSG(id, (id, SEL, id), library, "newFunctionWithName:", abx_ns_string("k"));
    id encoder =
            ABX_MSG(id, (id, SEL, NSUInteger), function, "newArgumentEncoderWithBufferIndex:", 0);
    CHECK(encoder && ABX_MSG(NSUInteger, (id, SEL), encoder, "encodedLength") == 4);
    id table = new_buffer(16, 0);
    char *bytes = ABX_MSG(void *, (id, SEL), table, "contents");
    target(encoder, table, 8);
    set_buffer(encoder, table, 0, 0); /* 4 bytes hold no pointer */
    for (unsigned i = 0; i < 16; i++)
        CHECK(bytes[i] == 0);
    CHECK(!ABX_MSG(id, (id, SEL, NSUInteger), function, "newArgumentEncoderWithBufferIndex:", 9));
    objc_release(table);
    objc_release(encoder);
    objc_release(function);
    objc_release(library);
}

/* ---- capture */

static void test_capture(void)
{
    Class cls = objc_getClass("MTLCaptureManager");
    id manager = ABX_MSG(id, (Class, SEL), cls, "sharedCaptureManager");
    CHECK(manager && manager == ABX_MSG(id, (Class, SEL), cls, "sharedCaptureManager"));
    CHECK(!ABX_MSG(int, (id, SEL, NSInteger), manager, "supportsDestination:", 1));
    CHECK(!ABX_MSG(int, (id, SEL, NSInteger), manager, "supportsDestination:", 2));
    struct MTLCaptureDescriptor *d =
            (struct MTLCaptureDescriptor *)objc_alloc_init(ABX_CLASS(MTLCaptureDescriptor));
    d->captureObject = objc_retain(device);
    id error = NULL;
    CHECK(!ABX_MSG(
            int, (id, SEL, id, id *), manager, "startCaptureWithDescriptor:error:", (id)d, &error));
    CHECK(error && ABX_MSG(NSInteger, (id, SEL), error, "code") == MTLCaptureErrorNotSupported);
    CHECK(!ABX_MSG(int, (id, SEL), manager, "isCapturing"));
    objc_release((id)d);
    id scope = ABX_MSG(id, (id, SEL, id), manager, "newCaptureScopeWithDevice:", device);
    ABX_MSG(void, (id, SEL), scope, "beginScope");
    ABX_MSG(void, (id, SEL), scope, "endScope");
    ABX_MSG(void, (id, SEL, id), manager, "setDefaultCaptureScope:", scope);
    CHECK(ABX_MSG(id, (id, SEL), manager, "defaultCaptureScope") == scope);
    ABX_MSG(void, (id, SEL, id), manager, "setDefaultCaptureScope:", NULL);
    CHECK(retains(scope) == 1 && ABX_MSG(id, (id, SEL), scope, "device") == device);
    objc_release(scope);
}

static void start(void)
{
    fake_host_start(&host);
    whole_pool = objc_autoreleasePoolPush();
    device = MTLCreateSystemDefaultDevice();
    CHECK(device);
}

static void stop(void)
{
    objc_autoreleasePoolPop(whole_pool);
    objc_release(device);
    fake_host_stop(&host);
}

int main(int argc, char **argv)
{
    const struct check_case cases[] = {
            CASE(test_residency),
            CASE(test_residency_many),
            CASE(test_residency_threads),
            CASE(test_dropped),
            CASE(test_arguments),
            CASE(test_function_arguments),
            CASE(test_capture),
    };
    return check_run(argc, argv,
            CHECK_SUITE(cases, .seconds = 60, .before = start, .after = stop, .keeps = 4));
}
