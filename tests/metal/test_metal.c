/* Metal's classes, from C through objc_msgSend, against the pretend host: what programs see of
 * devices, memory, queues, encoders, errors, events and threads. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../check.h"
#include "fake_host.h"
#include "foundation/foundation.h"
#include "metal_types_gen.h"
#include "wire/client.h"

extern id MTLCreateSystemDefaultDevice(void);

static struct fake_host host;
static id device;
static void *whole_pool;

/* The runtime tags its pointers to a class's description: the leak checker loses sight of them. */
ABX_EXPORT const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:abx_objc_define_class\n";
}

/* ---- words for the messages used below */

static id send(id object, const char *selector)
{
    return ((id(*)(id, SEL))(uintptr_t)abx_objc_msg_send)(object, sel_registerName(selector));
}

static NSUInteger number(id object, const char *selector)
{
    return ((NSUInteger(*)(id, SEL))(uintptr_t)abx_objc_msg_send)(
            object, sel_registerName(selector));
}

static id new_buffer(NSUInteger length, NSUInteger options)
{
    return ABX_MSG(id, (id, SEL, NSUInteger, NSUInteger), device,
            "newBufferWithLength:options:", length, options);
}

static void set_buffer(id encoder, id buffer, NSUInteger offset, NSUInteger index)
{
    ABX_MSG(void, (id, SEL, id, NSUInteger, NSUInteger), encoder,
            "setBuffer:offset:atIndex:", buffer, offset, index);
}

static void dispatch(id encoder, MTLSize grid, MTLSize threads)
{
    ABX_MSG(void, (id, SEL, MTLSize, MTLSize), encoder,
            "dispatchThreadgroups:threadsPerThreadgroup:", grid, threads);
}

static const char *description(id error)
{
    return abx_ns_string_utf8(send(error, "localizedDescription"));
}

static id library_of(const char *source, id *error)
{
    return ABX_MSG(id, (id, SEL, id, id, id *), device,
            "newLibraryWithSource:options:error:", abx_ns_string(source), NULL, error);
}

static id pipeline_of(void)
{
    id error = NULL;
    id library = library_of("kernel", &error);
    CHECK(library && !error);
    id function = ABX_MSG(id, (id, SEL, id), library, "newFunctionWithName:", abx_ns_string("k"));
    CHECK(function);
    id pipeline = ABX_MSG(id, (id, SEL, id, id *), device,
            "newComputePipelineStateWithFunction:error:", function, &error);
    CHECK(pipeline && !error);
    objc_release(function);
    objc_release(library);
    return pipeline;
}

/* ---- tests */

static void test_device(void)
{
    CHECK(!strcmp(abx_ns_string_utf8(send(device, "name")), "Fake GPU"));
    CHECK(ABX_MSG(int, (id, SEL, NSInteger), device, "supportsFamily:", MTLGPUFamilyApple7) == 1);
    CHECK(ABX_MSG(int, (id, SEL, NSInteger), device, "supportsFamily:", MTLGPUFamilyApple8) == 0);
    CHECK(ABX_MSG(int, (id, SEL, NSInteger), device, "supportsFamily:", MTLGPUFamilyMetal3) == 1);
    CHECK(number(device, "maxBufferLength") == 1u << 30);
    CHECK(number(device, "registryID") == 7);
    MTLSize size = ABX_MSG_STRET(MTLSize, (id, SEL), device, "maxThreadsPerThreadgroup");
    CHECK(size.width == 1024 && size.depth == 1024);
    id again = MTLCreateSystemDefaultDevice();
    CHECK(again == device);
    objc_release(again);
    const char *name = abx_ns_string_utf8(send(send(device, "architecture"), "name"));
    CHECK(strstr(name, "g13s"));
}

static void test_buffers(void)
{
    CHECK(!new_buffer(0, 0));
    CHECK(!new_buffer((1u << 30) + 1, 0));
    CHECK(!new_buffer(16, 3 << 4)); /* memoryless */
    id a = new_buffer(1000, 0);
    CHECK(a && number(a, "length") == 1000 && number(a, "allocatedSize") >= 1000);
    char *p = (char *)send(a, "contents");
    CHECK(p && p[0] == 0 && p[999] == 0);
    CHECK(number(a, "gpuAddress") >= 1ull << 40);
    CHECK(number(a, "storageMode") == 0 && send(a, "device") == device);
    id private = new_buffer(5000, MTLResourceStorageModePrivate);
    CHECK(private && !send(private, "contents") && number(private, "storageMode") == 2);
    CHECK(number(private, "gpuAddress") != number(a, "gpuAddress"));
    id b = ABX_MSG(id, (id, SEL, const void *, NSUInteger, NSUInteger), device,
            "newBufferWithBytes:length:options:", "hello", 6, 0);
    CHECK(!strcmp((char *)send(b, "contents"), "hello"));
    NSUInteger allocated = number(device, "currentAllocatedSize");
    CHECK(allocated >= 1024 + 8192 + 256);
    objc_release(a);
    objc_release(b);
    objc_release(private);
    CHECK(number(device, "currentAllocatedSize") < allocated);
    ABX_MSG(void, (id, SEL, id), a = new_buffer(1, 0), "setLabel:", abx_ns_string("x"));
    CHECK(!strcmp(abx_ns_string_utf8(send(a, "label")), "x"));
    objc_release(a);
}

static void test_commands(void)
{
    id queue = send(device, "newCommandQueue");
    id pipeline = pipeline_of();
    CHECK(number(pipeline, "maxTotalThreadsPerThreadgroup") == 1024);
    CHECK(number(pipeline, "threadExecutionWidth") == 32);
    id buffer = new_buffer(4096, 0);
    uint32_t before = host.log_count;
    id commands = send(queue, "commandBuffer");
    CHECK(number(commands, "status") == MTLCommandBufferStatusNotEnqueued);
    id encoder = send(commands, "computeCommandEncoder");
    ABX_MSG(void, (id, SEL, id), encoder, "setComputePipelineState:", pipeline);
    set_buffer(encoder, buffer, 16, 0);
    set_buffer(encoder, buffer, 0, 1);
    int value = 5;
    ABX_MSG(void, (id, SEL, const void *, NSUInteger, NSUInteger), encoder,
            "setBytes:length:atIndex:", &value, sizeof value, 2);
    dispatch(encoder, (MTLSize){4, 1, 1}, (MTLSize){32, 1, 1});
    dispatch(encoder, (MTLSize){0, 0, 0}, (MTLSize){0, 0, 0}); /* nothing */
    send(encoder, "endEncoding");
    objc_release(buffer); /* the command buffer keeps it */
    uint64_t destroyed = atomic_load(&host.destroys);
    send(commands, "commit");
    send(commands, "waitUntilCompleted");
    CHECK(number(commands, "status") == MTLCommandBufferStatusCompleted &&
            !send(commands, "error"));
    CHECK(ABX_MSG(double, (id, SEL), commands, "GPUEndTime") >
            ABX_MSG(double, (id, SEL), commands, "GPUStartTime"));
    static const uint16_t want[] = {ABX_OP_COMPUTE_BEGIN, ABX_OP_SET_PIPELINE, ABX_OP_SET_BUFFER,
            ABX_OP_SET_BUFFER, ABX_OP_SET_BYTES, ABX_OP_DISPATCH_THREADGROUPS, ABX_OP_ENCODER_END};
    CHECK(host.log_count - before == ABX_ARRAY_SIZE(want));
    CHECK(!memcmp(host.log + before, want, sizeof want));
    id other = send(queue, "commandBuffer"); /* drains the ring: the buffer went after the wait */
    send(other, "commit");
    send(other, "waitUntilCompleted");
    CHECK(atomic_load(&host.destroys) > destroyed);
    struct abx_client_counters counters;
    abx_client_counters(abx_client_peek(), &counters);
    CHECK(counters.encode_trips == 0 && counters.wait_trips <= 2 && counters.compile_trips == 1);
    objc_release(pipeline);
    objc_release(queue);
}

/* Every wrong call fails its command buffer with words, and nothing else. */
static void test_wrong_calls(void)
{
    id queue = send(device, "newCommandQueue"), pipeline = pipeline_of();
    id buffer = new_buffer(64, 0);
    for (int i = 0; i < 11; i++) {
        void *pool = objc_autoreleasePoolPush();
        id commands = send(queue, "commandBuffer");
        id encoder = send(commands, "computeCommandEncoder");
        MTLSize one = {1, 1, 1}, many = {1024, 2, 1}, huge = {1ull << 33, 1, 1};
        const char *words = NULL;
        if (i != 3)
            ABX_MSG(void, (id, SEL, id), encoder, "setComputePipelineState:", pipeline);
        switch (i) {
        case 0:
            set_buffer(encoder, buffer, 65, 0);
            words = "offset 65 is past the buffer's length, 64";
            break;
        case 1:
            set_buffer(encoder, buffer, 0, 31);
            words = "index 31";
            break;
        case 2:
            set_buffer(encoder, pipeline, 0, 0);
            words = "not a buffer";
            break;
        case 3:
            dispatch(encoder, one, one);
            words = "no pipeline state";
            break;
        case 4:
            dispatch(encoder, one, many);
            words = "threadsPerThreadgroup 1024 x 2 x 1";
            break;
        case 5:
            dispatch(encoder, huge, one);
            words = "too large";
            break;
        case 6:
            ABX_MSG(void, (id, SEL, const void *, NSUInteger, NSUInteger), encoder,
                    "setBytes:length:atIndex:", NULL, 5000, 0);
            words = "no bytes";
            break;
        case 7:
            ABX_MSG(void, (id, SEL, NSUInteger, NSUInteger), encoder,
                    "setThreadgroupMemoryLength:atIndex:", 40000, 0);
            words = "40000 bytes";
            break;
        case 8:
            CHECK(!send(commands, "blitCommandEncoder"));
            words = "was not ended";
            break;
        case 9:
            words = "was not ended"; /* committed with the encoder open */
            break;
        case 10:
            ABX_MSG(void, (id, SEL, id), encoder, "setComputePipelineState:", buffer);
            words = "not a pipeline state";
            break;
        }
        if (i != 9)
            send(encoder, "endEncoding");
        send(commands, "commit");
        send(commands, "waitUntilCompleted");
        CHECK(number(commands, "status") == MTLCommandBufferStatusError);
        id error = send(commands, "error");
        if (!strstr(description(error), words))
            fprintf(stderr, "%d: %s\n", i, description(error));
        CHECK(strstr(description(error), words));
        CHECK(!strcmp(abx_ns_string_utf8(send(error, "domain")), "MTLCommandBufferErrorDomain"));
        objc_autoreleasePoolPop(pool);
    }
    /* The host's own complaint names the call and the numbers. */
    atomic_store(&host.next_reason, ABX_REASON_RANGE);
    atomic_store(&host.next_error, MTLCommandBufferErrorInvalidResource);
    id commands = send(queue, "commandBuffer");
    send(commands, "commit");
    send(commands, "waitUntilCompleted");
    id error = send(commands, "error");
    CHECK(number(error, "code") == MTLCommandBufferErrorInvalidResource);
    CHECK(strstr(description(error), "setBuffer:offset:atIndex:") &&
            strstr(description(error), "99 is past the end, 64"));
    objc_release(buffer);
    objc_release(pipeline);
    objc_release(queue);
}

static void test_compile_errors(void)
{
    id error = NULL;
    CHECK(!library_of("an error", &error));
    CHECK(number(error, "code") == 3 && strstr(description(error), "program_source:1:1: error"));
    CHECK(!strcmp(abx_ns_string_utf8(send(error, "domain")), "MTLLibraryErrorDomain"));
    id library = library_of("kernel", NULL);
    CHECK(!ABX_MSG(id, (id, SEL, id), library, "newFunctionWithName:", abx_ns_string("none")));
    CHECK(abx_ns_array_count(send(library, "functionNames")) == 1);
    static const char damaged[] = "MTLB\1\2\3\4 some code, more of it ENDT";
    id data = abx_ns_data(damaged, sizeof damaged - 1);
    error = NULL;
    CHECK(!ABX_MSG(id, (id, SEL, id, id *), device, "newLibraryWithData:error:", data, &error));
    CHECK(strstr(description(error), "damaged"));
    objc_release(library);
}

/* ---- blocks made by hand */

struct counting_block {
    struct abx_block block;
    _Atomic int *count;
    pthread_t *thread;
};
static struct {
    unsigned long reserved, size;
} block_descriptor = {0, sizeof(struct counting_block)};

static void count_up(struct counting_block *block, id buffer)
{
    if (number(buffer, "status") == MTLCommandBufferStatusCompleted)
        atomic_fetch_add(block->count, 1);
    *block->thread = pthread_self();
}

extern void *stack_block_class[] __asm__("_NSConcreteStackBlock");

static struct counting_block counting(_Atomic int *count, pthread_t *thread)
{
    return (struct counting_block){
            {stack_block_class, 0, 0, (void (*)(void))count_up, &block_descriptor}, count, thread};
}

static void test_handlers(void)
{
    id queue = send(device, "newCommandQueue");
    _Atomic int count = 0;
    pthread_t thread = pthread_self();
    for (int i = 0; i < 50; i++) {
        void *pool = objc_autoreleasePoolPush();
        struct counting_block block = counting(&count, &thread);
        id commands = send(queue, "commandBuffer");
        ABX_MSG(void, (id, SEL, void *), commands, "addCompletedHandler:", &block);
        send(commands, "commit");
        if (i % 2) {
            send(commands, "waitUntilCompleted");
            CHECK(atomic_load(&count) == i + 1); /* the wait is over after the handlers */
            CHECK(!pthread_equal(thread, pthread_self()));
        }
        objc_autoreleasePoolPop(pool);
    }
    objc_release(queue); /* with the thread running */
}

static void test_order(void)
{
    id queue = send(device, "newCommandQueue");
    id first = send(queue, "commandBuffer"), second = send(queue, "commandBuffer");
    send(first, "enqueue");
    CHECK(number(first, "status") == MTLCommandBufferStatusEnqueued);
    send(second, "commit"); /* behind the first */
    usleep(2000);
    CHECK(number(second, "status") == MTLCommandBufferStatusCommitted);
    send(first, "commit");
    send(second, "waitUntilCompleted");
    CHECK(number(first, "status") == MTLCommandBufferStatusCompleted);
    objc_release(queue);
}

static void test_events(void)
{
    id queue = send(device, "newCommandQueue"), event = send(device, "newSharedEvent");
    CHECK(number(event, "signaledValue") == 0);
    id commands = send(queue, "commandBuffer");
    ABX_MSG(void, (id, SEL, id, uint64_t), commands, "encodeSignalEvent:value:", event, 3);
    send(commands, "commit");
    CHECK(ABX_MSG(int, (id, SEL, uint64_t, uint64_t), event, "waitUntilSignaledValue:timeoutMS:", 3,
                  2000) == 1);
    CHECK(number(event, "signaledValue") == 3);
    CHECK(ABX_MSG(int, (id, SEL, uint64_t, uint64_t), event, "waitUntilSignaledValue:timeoutMS:", 4,
                  5) == 0);
    ABX_MSG(void, (id, SEL, uint64_t), event, "setSignaledValue:", 9);
    CHECK(number(event, "signaledValue") == 9);
    send(commands, "waitUntilCompleted");
    objc_release(event);
    objc_release(queue);
}

static void test_icb(void)
{
    id descriptor = objc_alloc_init((Class)objc_getClass("MTLIndirectCommandBufferDescriptor"));
    ABX_MSG(void, (id, SEL, NSUInteger), descriptor, "setCommandTypes:", 32);
    ABX_MSG(void, (id, SEL, int), descriptor, "setInheritBuffers:", 0);
    ABX_MSG(void, (id, SEL, int), descriptor, "setInheritPipelineState:", 0);
    id icb = ABX_MSG(id, (id, SEL, id, NSUInteger, NSUInteger), device,
            "newIndirectCommandBufferWithDescriptor:maxCommandCount:options:", descriptor, 4, 0);
    CHECK(icb && number(icb, "size") == 4);
    CHECK(!ABX_MSG(id, (id, SEL, NSUInteger), icb, "indirectComputeCommandAtIndex:", 4));
    id command = ABX_MSG(id, (id, SEL, NSUInteger), icb, "indirectComputeCommandAtIndex:", 3);
    id buffer = new_buffer(64, 0);
    ABX_MSG(void, (id, SEL, id, NSUInteger, NSUInteger), command,
            "setKernelBuffer:offset:atIndex:", buffer, 4, 2);
    MTLSize one = {1, 1, 1};
    ABX_MSG(void, (id, SEL, MTLSize, MTLSize), command,
            "concurrentDispatchThreadgroups:threadsPerThreadgroup:", one, one);
    id queue = send(device, "newCommandQueue"), commands = send(queue, "commandBuffer");
    id encoder = send(commands, "computeCommandEncoder");
    ABX_MSG(void, (id, SEL, id, NSRange), encoder, "executeCommandsInBuffer:withRange:", icb,
            (NSRange){0, 4});
    send(encoder, "endEncoding");
    send(commands, "commit");
    send(commands, "waitUntilCompleted");
    CHECK(number(commands, "status") == MTLCommandBufferStatusCompleted);
    objc_release(buffer);
    objc_release(icb);
    objc_release(descriptor);
    objc_release(queue);
}

/* ---- many threads, each with its own command buffers, all with the same buffer */

static struct {
    id device, queue, pipeline, buffer;
} stress;

static void *stress_thread(void *user)
{
    for (int i = 0; i < 300; i++) {
        void *pool = objc_autoreleasePoolPush();
        id commands = send(stress.queue, "commandBuffer");
        id encoder = send(commands, "computeCommandEncoder");
        id mine = new_buffer((NSUInteger)(i * 37 % 70000 + 1), 0);
        ABX_MSG(void, (id, SEL, id), encoder, "setComputePipelineState:", stress.pipeline);
        for (NSUInteger k = 0; k < 20; k++)
            set_buffer(encoder, k % 2 ? mine : stress.buffer, 0, k);
        dispatch(encoder, (MTLSize){1, 1, 1}, (MTLSize){1, 1, 1});
        send(encoder, "endEncoding");
        objc_release(mine);
        send(commands, "commit");
        if (i % 3 == 0)
            send(commands, "waitUntilCompleted");
        objc_autoreleasePoolPop(pool);
    }
    return NULL;
}

static void test_threads(void)
{
    stress.queue = ABX_MSG(
            id, (id, SEL, NSUInteger), device, "newCommandQueueWithMaxCommandBufferCount:", 16);
    stress.pipeline = pipeline_of();
    stress.buffer = new_buffer(100, 0);
    pthread_t t[4];
    for (int i = 0; i < 4; i++)
        pthread_create(&t[i], NULL, stress_thread, NULL);
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    id last = send(stress.queue, "commandBuffer");
    send(last, "commit");
    send(last, "waitUntilCompleted");
    CHECK(number(last, "status") == MTLCommandBufferStatusCompleted);
    objc_release(stress.buffer);
    objc_release(stress.pipeline);
    objc_release(stress.queue);
}

static void measure(void)
{
    id queue = send(device, "newCommandQueue"), pipeline = pipeline_of();
    id buffer = new_buffer(100, 0);
    enum { N = 100000 };
    double best = 1e9;
    for (int run = 0; run < 3; run++) {
        id commands = send(queue, "commandBuffer");
        id encoder = send(commands, "computeCommandEncoder");
        ABX_MSG(void, (id, SEL, id), encoder, "setComputePipelineState:", pipeline);
        uint64_t start = abx_now_ns();
        for (NSUInteger i = 0; i < N; i++)
            set_buffer(encoder, buffer, 0, i % 31);
        double each = (double)(abx_now_ns() - start) / N;
        best = each < best ? each : best;
        send(encoder, "endEncoding");
        send(commands, "commit");
        send(commands, "waitUntilCompleted");
    }
    printf("setBuffer:offset:atIndex: %.1f ns\n", best);
    objc_release(buffer);
    objc_release(pipeline);
    objc_release(queue);
}

static void test_lost(void)
{
    id queue = send(device, "newCommandQueue"), commands = send(queue, "commandBuffer");
    atomic_store(&host.hold, 1);
    send(commands, "commit");
    fake_host_kill(&host);
    send(commands, "waitUntilCompleted");
    CHECK(number(commands, "status") == MTLCommandBufferStatusError);
    id error = send(commands, "error");
    CHECK(number(error, "code") == MTLCommandBufferErrorDeviceRemoved);
    CHECK(strstr(description(error), "lost"));
    commands = send(queue, "commandBuffer");
    CHECK(commands);
    send(commands, "commit");
    send(commands, "waitUntilCompleted");
    CHECK(number(commands, "status") == MTLCommandBufferStatusError && send(commands, "error"));
    CHECK(!new_buffer(10, 0));
    objc_release(queue);
    fake_host_start(&host); /* for stop() */
}

/* Memory that no buffer of the program's has may be mirrored, too: what the library writes there is
 * told. */
static void test_mirrors(void)
{
    char many[5000] = {1};
    id set = ABX_MSG(id, (id, SEL, NSUInteger), send(device, "counterSets"), "objectAtIndex:", 0);
    id kind = (id)objc_getClass("MTLCounterSampleBufferDescriptor");
    id descriptor = send(send(kind, "alloc"), "init");
    ABX_MSG(void, (id, SEL, id), descriptor, "setCounterSet:", set);
    ABX_MSG(void, (id, SEL, NSUInteger), descriptor, "setSampleCount:", 1000);
    setenv("ARCBOX_MIRRORS", "always", 1);
    id queue = send(device, "newCommandQueue");
    if (!abx_client_mirrors(abx_client_get())) {
        puts("# not looked at: this kernel does not tell what is written (Linux 6.7), or may not");
        return;
    }
    for (int i = 0; i < 6; i++) {
        id commands = send(queue, "commandBuffer"),
           encoder = send(commands, "computeCommandEncoder");
        id samples = ABX_MSG(id, (id, SEL, id, id *), device,
                "newCounterSampleBufferWithDescriptor:error:", descriptor, NULL);
        atomic_store(&host.written_bytes, 0);
        if (i < 3)
            ABX_MSG(void, (id, SEL, const void *, NSUInteger, NSUInteger), encoder,
                    "setBytes:length:atIndex:", many, sizeof many, 0);
        else
            ABX_MSG(void, (id, SEL, id, NSUInteger, BOOL), encoder,
                    "sampleCountersInBuffer:atSampleIndex:withBarrier:", samples, 0, false);
        send(encoder, "endEncoding");
        send(commands, "commit");
        send(commands, "waitUntilCompleted");
        CHECK(host.mirrors == 1 && (i == 0 || host.written_bytes >= sizeof many));
        objc_release(samples);
    }
    objc_release(descriptor);
    objc_release(queue);
}

static void start(void)
{
    host.mirror_align = 2 << 20;
    setenv("ARCBOX_MIRRORS", "never", 1); /* but in test_mirrors() */
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
            CASE(test_device),
            CASE(test_buffers),
            CASE(test_commands),
            CASE(test_wrong_calls),
            CASE(test_compile_errors),
            CASE(test_handlers),
            CASE(test_order),
            CASE(test_events),
            CASE(test_icb),
            CASE(test_threads),
            CASE(test_mirrors),
            CASE(measure),
            CASE(test_lost),
    };
    return check_run(argc, argv,
            CHECK_SUITE(cases, .seconds = 60, .before = start, .after = stop, .keeps = 4));
}
