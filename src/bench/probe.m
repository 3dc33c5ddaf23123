/* bench: the guest's half of `arcbox bench`. An ordinary Metal program: what it measures is what a
 * user's program gets. Prints "name value" lines; arcbox runs it once through the bridge and once
 * on the transport without isolation and divides.
 *
 *     arcbox-probe [calls|submit|commands|device|products|rate|busy|bandwidth|buffer|send|
 *         compile FILE KERNEL]... */
#import <Foundation/Foundation.h>
#import <Metal/Metal.h>
#import <MetalPerformanceShaders/MetalPerformanceShaders.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *samples, int count)
{
    qsort(samples, (size_t)count, sizeof *samples, compare);
    return samples[count / 2];
}

static const char source[] =
        "#include <metal_stdlib>\nusing namespace metal;\n"
        "kernel void probe(device float *out [[buffer(0)]], uint i [[thread_position_in_grid]])\n"
        "{ out[i] = i; }\n";

static id<MTLComputePipelineState> make_pipeline(id<MTLDevice> device)
{
    NSError *error = nil;
    id<MTLLibrary> library = [device newLibraryWithSource:[NSString stringWithUTF8String:source]
                                                  options:nil
                                                    error:&error];
    id<MTLFunction> function = [library newFunctionWithName:@"probe"];
    id<MTLComputePipelineState> pipeline = nil;
    if (function)
        pipeline = [device newComputePipelineStateWithFunction:function error:&error];
    if (!pipeline) {
        fprintf(stderr, "arcbox-probe: %s\n", error.localizedDescription.UTF8String);
        exit(1);
    }
    return pipeline;
}

/* From a library's source to its first kernel's end. The kernel is given no work: arguments of
 * zeros. */
static void measure_compile(
        id<MTLDevice> device, id<MTLCommandQueue> queue, const char *path, const char *kernel)
{
    NSError *error = nil;
    NSString *text = [NSString stringWithContentsOfFile:[NSString stringWithUTF8String:path]
                                               encoding:NSUTF8StringEncoding
                                                  error:&error];
    id<MTLBuffer> zeros = [device newBufferWithLength:4096 options:MTLResourceStorageModeShared];
    double start = now_ns();
    id<MTLLibrary> library =
            text ? [device newLibraryWithSource:text options:nil error:&error] : nil;
    double ready = now_ns();
    id<MTLFunction> function = [library newFunctionWithName:[NSString stringWithUTF8String:kernel]];
    id<MTLComputePipelineState> pipeline =
            function ? [device newComputePipelineStateWithFunction:function error:&error] : nil;
    id<MTLCommandBuffer> commands = [queue commandBuffer];
    id<MTLComputeCommandEncoder> encoder = [commands computeCommandEncoder];
    if (pipeline) {
        [encoder setComputePipelineState:pipeline];
        [encoder setBuffer:zeros offset:0 atIndex:0];
        [encoder setBuffer:zeros offset:2048 atIndex:1];
        [encoder dispatchThreadgroups:MTLSizeMake(1, 1, 1)
                threadsPerThreadgroup:MTLSizeMake(32, 1, 1)];
    }
    [encoder endEncoding];
    [commands commit];
    [commands waitUntilCompleted];
    error = commands.error ?: error;
    if (!pipeline || commands.error) {
        fprintf(stderr, "arcbox-probe: %s\n",
                error ? error.localizedDescription.UTF8String : "no such kernel");
        exit(1);
    }
    printf("library_s %.4f\ncompile_s %.4f\n", (ready - start) / 1e9, (now_ns() - start) / 1e9);
}

/* p50 of one setBuffer:offset:atIndex:, timed in batches of 100. */
static void measure_calls(id<MTLDevice> device, id<MTLCommandQueue> queue)
{
    enum { BATCHES = 2000, BATCH = 100 };
    static double samples[BATCHES];
    id<MTLBuffer> buffer = [device newBufferWithLength:4096 options:MTLResourceStorageModeShared];
    for (int b = 0; b < BATCHES; b += 100) {
        @autoreleasepool {
            id<MTLCommandBuffer> commands = [queue commandBuffer];
            id<MTLComputeCommandEncoder> encoder = [commands computeCommandEncoder];
            for (int k = 0; k < 100; k++) {
                double start = now_ns();
                for (NSUInteger i = 0; i < BATCH; i++)
                    [encoder setBuffer:buffer offset:i * 16 atIndex:i & 7];
                samples[b + k] = (now_ns() - start) / BATCH;
            }
            [encoder endEncoding];
            [commands commit];
            [commands waitUntilCompleted];
        }
    }
    printf("async_call_ns %.2f\n", median(samples, BATCHES));
}

static double submit_and_wait(id<MTLCommandQueue> queue)
{
    double microseconds;
    @autoreleasepool {
        id<MTLCommandBuffer> commands = [queue commandBuffer];
        double start = now_ns();
        [commands commit];
        [commands waitUntilCompleted];
        microseconds = (now_ns() - start) / 1e3;
    }
    return microseconds;
}

/* ---- the least that waking another process costs here: an eventfd, and an answer in memory */

struct waker {
    int bell;
    _Atomic unsigned *answer;
    unsigned rung;
    pid_t child;
};

static void answer_for_ever(const struct waker *w)
{
    int unused[2]; /* two descriptors, as a worker has */
    if (pipe(unused) < 0)
        _exit(1);
    for (;;) {
        struct pollfd p[2] = {{w->bell, POLLIN, 0}, {unused[0], POLLIN, 0}};
        uint64_t count;
        if (poll(p, 2, 5000) <= 0)
            _exit(0);
        (*w->answer)++;
        if (read(w->bell, &count, sizeof count) < 0)
            _exit(1);
    }
}

static bool waker_start(struct waker *w)
{
    void *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    *w = (struct waker){.bell = eventfd(0, EFD_NONBLOCK), .answer = shared};
    if (shared == MAP_FAILED || w->bell < 0)
        return false;
    w->child = fork();
    if (w->child == 0)
        answer_for_ever(w);
    return w->child > 0;
}

static double wake_and_wait(struct waker *w)
{
    double start = now_ns();
    uint64_t one = 1;
    if (write(w->bell, &one, sizeof one) != sizeof one)
        return NAN;
    w->rung++;
    while (*w->answer != w->rung && now_ns() - start < 1e9)
        ;
    return (now_ns() - start) / 1e3;
}

static double tenth(const double *sorted, unsigned count)
{
    return sorted[count / 10];
}

/* p50 of an empty command buffer from commit to the end of the wait: with both sides awake, and
 * with the host put to sleep by a pause. Between those, the bare wake. On a machine that does other
 * things the best tenth says what the ways cost, and the median what else they met. */
static void measure_submit(id<MTLCommandQueue> queue)
{
    enum { SPIN = 20000, SLEEP = 300 };
    static double samples[SPIN], bare[SLEEP];
    struct waker w;
    for (int i = 0; i < SPIN; i++)
        samples[i] = submit_and_wait(queue);
    printf("submit_wait_spin_us %.3f\n", median(samples, SPIN));
    bool woken = waker_start(&w); /* it does not wait for long */
    for (int i = 0; i < SLEEP; i++) {
        usleep(3000);
        samples[i] = submit_and_wait(queue);
        usleep(3000);
        bare[i] = woken ? wake_and_wait(&w) : NAN;
    }
    printf("submit_wait_sleep_us %.3f\n", median(samples, SLEEP));
    printf("submit_wait_sleep_low_us %.3f\n", tenth(samples, SLEEP));
    if (!woken)
        return;
    printf("wake_us %.3f\n", median(bare, SLEEP));
    printf("wake_low_us %.3f\n", tenth(bare, SLEEP));
    kill(w.child, SIGKILL);
    waitpid(w.child, NULL, 0);
}

/* Encoded, validated and executed (by null: counted) commands a second, several command buffers in
 * flight: half setBuffer, half dispatches. */
static void measure_commands(id<MTLDevice> device, id<MTLCommandQueue> queue)
{
    enum { BUFFERS = 200, DISPATCHES = 5000, IN_FLIGHT = 8 };
    id<MTLComputePipelineState> pipeline = make_pipeline(device);
    id<MTLBuffer> buffer = [device newBufferWithLength:65536 options:MTLResourceStorageModeShared];
    NSMutableArray *in_flight = [NSMutableArray array];
    MTLSize groups = MTLSizeMake(1, 1, 1), threads = MTLSizeMake(32, 1, 1);
    double start = now_ns();
    for (int b = 0; b < BUFFERS; b++) {
        @autoreleasepool {
            id<MTLCommandBuffer> commands = [queue commandBuffer];
            id<MTLComputeCommandEncoder> encoder = [commands computeCommandEncoder];
            [encoder setComputePipelineState:pipeline];
            for (NSUInteger i = 0; i < DISPATCHES; i++) {
                [encoder setBuffer:buffer offset:(i & 255) * 128 atIndex:0];
                [encoder dispatchThreadgroups:groups threadsPerThreadgroup:threads];
            }
            [encoder endEncoding];
            [commands commit];
            [in_flight addObject:commands];
            if (in_flight.count == IN_FLIGHT) {
                [in_flight[0] waitUntilCompleted];
                [in_flight removeObjectAtIndex:0];
            }
        }
    }
    for (id<MTLCommandBuffer> commands in in_flight) {
        [commands waitUntilCompleted];
        if (commands.error)
            fprintf(stderr, "arcbox-probe: %s\n", commands.error.localizedDescription.UTF8String);
    }
    printf("commands_per_s %.0f\n", BUFFERS * (2.0 * DISPATCHES + 3) / ((now_ns() - start) / 1e9));
}

/* For devices with memory of their own: kernels a second that do nothing, one after the other,
 * plain and with constants of their own; one such kernel from commit to the end of the wait;
 * copies. */
static const char nothing_source[] =
        "#include <metal_stdlib>\nusing namespace metal;\n"
        "struct constants { float4 x[4]; };\n"
        "kernel void nothing() {}\n"
        "kernel void constant_nothing(constant constants &c [[buffer(0)]],\n"
        "    device float4 *out [[buffer(1)]]) { if (c.x[3].w > 1) out[0] = c.x[0]; }\n";

static id<MTLComputePipelineState> nothing_pipeline(id<MTLDevice> device, NSString *name)
{
    NSString *text = [NSString stringWithUTF8String:nothing_source];
    NSError *error = nil;
    id<MTLLibrary> library = [device newLibraryWithSource:text options:nil error:&error];
    return [device newComputePipelineStateWithFunction:[library newFunctionWithName:name]
                                                 error:&error];
}

static id<MTLCommandBuffer> commit_nothing(id<MTLCommandQueue> queue,
        id<MTLComputePipelineState> pipeline, id<MTLBuffer> buffer, int count)
{
    float constants[16] = {0};
    MTLSize groups = MTLSizeMake(1, 1, 1), threads = MTLSizeMake(32, 1, 1);
    id<MTLCommandBuffer> commands = [queue commandBuffer];
    id<MTLComputeCommandEncoder> encoder = [commands computeCommandEncoder];
    [encoder setComputePipelineState:pipeline];
    if (buffer)
        [encoder setBuffer:buffer offset:0 atIndex:1];
    for (int i = 0; i < count; i++) {
        if (buffer)
            [encoder setBytes:constants length:sizeof constants atIndex:0];
        [encoder dispatchThreadgroups:groups threadsPerThreadgroup:threads];
    }
    [encoder endEncoding];
    [commands commit];
    return commands;
}

static double launch_rate(
        id<MTLCommandQueue> queue, id<MTLComputePipelineState> pipeline, id<MTLBuffer> buffer)
{
    enum { ROUNDS = 9, BUFFERS = 40, DISPATCHES = 500 };
    double samples[ROUNDS];
    for (int r = 0; r < ROUNDS; r++) {
        double start = now_ns();
        @autoreleasepool {
            id<MTLCommandBuffer> last = nil;
            for (int i = 0; i < BUFFERS; i++)
                last = commit_nothing(queue, pipeline, buffer, DISPATCHES);
            [last waitUntilCompleted];
        }
        samples[r] = BUFFERS * DISPATCHES / ((now_ns() - start) / 1e9);
    }
    return median(samples, ROUNDS);
}

/* Of two kernels in an order that never comes again: no run of them is replayed. */
static double launch_rate_apart(id<MTLCommandQueue> queue, NSArray *pipelines)
{
    enum { ROUNDS = 9, BUFFERS = 40, DISPATCHES = 500 };
    double samples[ROUNDS];
    MTLSize groups = MTLSizeMake(1, 1, 1), threads = MTLSizeMake(32, 1, 1);
    for (int r = 0; r < ROUNDS; r++) {
        double start = now_ns();
        @autoreleasepool {
            id<MTLCommandBuffer> last = nil;
            for (int i = 0; i < BUFFERS; i++) {
                last = [queue commandBuffer];
                id<MTLComputeCommandEncoder> encoder = [last computeCommandEncoder];
                for (int d = 0; d < DISPATCHES; d++) {
                    [encoder setComputePipelineState:pipelines[rand() >> 8 & 1]];
                    [encoder dispatchThreadgroups:groups threadsPerThreadgroup:threads];
                }
                [encoder endEncoding];
                [last commit];
            }
            [last waitUntilCompleted];
        }
        samples[r] = BUFFERS * DISPATCHES / ((now_ns() - start) / 1e9);
    }
    return median(samples, ROUNDS);
}

/* For some seconds, so that two of these run at the same time. */
static void measure_rate(id<MTLDevice> device, id<MTLCommandQueue> queue)
{
    id<MTLComputePipelineState> plain = nothing_pipeline(device, @"nothing");
    double start = now_ns(), from = 0;
    long count = 0;
    while (now_ns() < start + 4e9) {
        @autoreleasepool {
            id<MTLCommandBuffer> last = nil;
            for (int i = 0; i < 10; i++)
                last = commit_nothing(queue, plain, nil, 500);
            [last waitUntilCompleted];
        }
        if (from > 0)
            count += 5000;
        else if (now_ns() > start + 1e9)
            from = now_ns();
    }
    printf("launches_per_s %.0f\n", (double)count / ((now_ns() - from) / 1e9));
}

/* Likewise, with a device that is busy all the time: copies, of which three command buffers are
 * under way. */
static void measure_busy(id<MTLDevice> device, id<MTLCommandQueue> queue)
{
    enum { BYTES = 64 << 20, TIMES = 100, AHEAD = 3 };
    id<MTLBuffer> a = [device newBufferWithLength:BYTES options:MTLResourceStorageModePrivate];
    id<MTLBuffer> b = [device newBufferWithLength:BYTES options:MTLResourceStorageModePrivate];
    NSMutableArray *under_way = [NSMutableArray array];
    double start = now_ns(), from = 0;
    long count = 0;
    while (now_ns() < start + 4e9) {
        @autoreleasepool {
            id<MTLCommandBuffer> commands = [queue commandBuffer];
            id<MTLBlitCommandEncoder> blit = [commands blitCommandEncoder];
            for (int i = 0; i < TIMES; i++)
                [blit copyFromBuffer:a sourceOffset:0 toBuffer:b destinationOffset:0 size:BYTES];
            [blit endEncoding];
            [commands commit];
            [under_way addObject:commands];
            if (under_way.count < AHEAD)
                continue;
            [under_way[0] waitUntilCompleted];
            [under_way removeObjectAtIndex:0];
        }
        if (from > 0)
            count += TIMES;
        else if (now_ns() > start + 1e9)
            from = now_ns();
    }
    printf("copies_per_s %.0f\n", (double)count / ((now_ns() - from) / 1e9));
}

/* Products of matrices with 8192 rows and columns, ten a command buffer. */
static double product_rate(id<MTLDevice> device, id<MTLCommandQueue> queue, MPSDataType type)
{
    enum { SIDE = 8192, TIMES = 10, ROUNDS = 9 };
    double samples[ROUNDS];
    const NSUInteger bytes = 2ul * SIDE * SIDE;
    MPSMatrixDescriptor *all = [MPSMatrixDescriptor matrixDescriptorWithRows:SIDE
                                                                     columns:SIDE
                                                                    rowBytes:2 * SIDE
                                                                    dataType:type];
    id<MTLBuffer> random = [device newBufferWithLength:bytes options:MTLResourceStorageModeShared];
    uint16_t *words = random.contents;
    MPSMatrix *matrices[3];
    for (int i = 0; i < 3; i++) {
        id<MTLBuffer> place = [device newBufferWithLength:bytes
                                                  options:MTLResourceStorageModePrivate];
        if (!random || !place)
            return NAN;
        /* Between -1 and 1, of either type: a sign, one of eight exponents, and the fraction. */
        for (NSUInteger k = 0; k < bytes / 2; k++) {
            unsigned r = (unsigned)rand();
            words[k] = (uint16_t)(type == MPSDataTypeFloat16
                                          ? (r & 0x83ff) | (0x1c00 + (r >> 16 & 7) * 0x0400)
                                          : (r & 0x807f) | (0x3b80 + (r >> 16 & 7) * 0x0080));
        }
        id<MTLCommandBuffer> commands = [queue commandBuffer];
        id<MTLBlitCommandEncoder> blit = [commands blitCommandEncoder];
        [blit copyFromBuffer:random sourceOffset:0 toBuffer:place destinationOffset:0 size:bytes];
        [blit endEncoding];
        [commands commit];
        [commands waitUntilCompleted];
        matrices[i] = [[MPSMatrix alloc] initWithBuffer:place descriptor:all];
    }
    MPSMatrixMultiplication *product = [[MPSMatrixMultiplication alloc] initWithDevice:device
                                                                            resultRows:SIDE
                                                                         resultColumns:SIDE
                                                                       interiorColumns:SIDE];
    for (int r = -2; r < ROUNDS; r++) {
        double start = now_ns();
        @autoreleasepool {
            id<MTLCommandBuffer> commands = [queue commandBuffer];
            for (int i = 0; i < TIMES; i++)
                [product encodeToCommandBuffer:commands
                                    leftMatrix:matrices[0]
                                   rightMatrix:matrices[1]
                                  resultMatrix:matrices[2]];
            [commands commit];
            [commands waitUntilCompleted];
            if (commands.error)
                return NAN;
        }
        if (r >= 0)
            samples[r] = 2.0 * SIDE * SIDE * SIDE * TIMES / (now_ns() - start) / 1e3;
    }
    return median(samples, ROUNDS);
}

static void measure_products(id<MTLDevice> device, id<MTLCommandQueue> queue)
{
    printf("half_tflops %.1f\n", product_rate(device, queue, MPSDataTypeFloat16));
    printf("bfloat_tflops %.1f\n", product_rate(device, queue, MPSDataTypeBFloat16));
}

static double copy_rate(
        id<MTLCommandQueue> queue, id<MTLBuffer> from, id<MTLBuffer> to, NSUInteger bytes)
{
    enum { ROUNDS = 15 };
    double samples[ROUNDS];
    for (int r = 0; r < ROUNDS; r++) {
        double start = now_ns();
        @autoreleasepool {
            id<MTLCommandBuffer> commands = [queue commandBuffer];
            id<MTLBlitCommandEncoder> blit = [commands blitCommandEncoder];
            [blit copyFromBuffer:from sourceOffset:0 toBuffer:to destinationOffset:0 size:bytes];
            [blit endEncoding];
            [commands commit];
            [commands waitUntilCompleted];
        }
        samples[r] = (double)bytes / (now_ns() - start);
    }
    return median(samples, ROUNDS);
}

static void measure_device(id<MTLDevice> device, id<MTLCommandQueue> queue)
{
    enum { WAITS = 5000, BYTES = 256 << 20 };
    const NSUInteger private = 1ul << 30; /* beside which the ends of a command buffer are little */
    static double samples[WAITS];
    id<MTLComputePipelineState> plain = nothing_pipeline(device, @"nothing");
    id<MTLComputePipelineState> constant = nothing_pipeline(device, @"constant_nothing");
    id<MTLBuffer> a = [device newBufferWithLength:private options:MTLResourceStorageModePrivate];
    id<MTLBuffer> b = [device newBufferWithLength:private options:MTLResourceStorageModePrivate];
    id<MTLBuffer> shared = [device newBufferWithLength:BYTES options:MTLResourceStorageModeShared];
    if (!plain || !constant || !a || !b || !shared)
        return;
    uint32_t *words = shared.contents;
    for (uint32_t i = 0; i < BYTES / 4; i++)
        words[i] = i * 2654435761u;
    for (int i = 0; i < WAITS; i++) {
        double start = now_ns();
        @autoreleasepool {
            [commit_nothing(queue, plain, nil, 1) waitUntilCompleted];
        }
        samples[i] = (now_ns() - start) / 1e3;
    }
    printf("launch_wait_us %.3f\n", median(samples, WAITS));
    printf("launches_per_s %.0f\n", launch_rate(queue, plain, nil));
    printf("launches_apart_per_s %.0f\n",
            launch_rate_apart(queue, @[ plain, nothing_pipeline(device, @"nothing") ]));
    printf("launches_with_constants_per_s %.0f\n", launch_rate(queue, constant, a));
    printf("copy_in_gbs %.2f\n", copy_rate(queue, shared, a, BYTES));
    printf("copy_gbs %.2f\n", copy_rate(queue, a, b, private));
    memset(words, 0, BYTES);
    printf("copy_out_gbs %.2f\n", copy_rate(queue, b, shared, BYTES));
    for (uint32_t i = 0; i < BYTES / 4; i++)
        if (words[i] != i * 2654435761u) {
            fprintf(stderr, "arcbox-probe: the copies are not right\n");
            exit(1);
        }
}

/* GB/s of writing, then reading, `bytes` at `memory`; the best of several passes. */
static double bandwidth(uint64_t *memory, size_t bytes)
{
    double best = 0;
    static volatile uint64_t sink;
    for (int pass = 0; pass < 9; pass++) {
        double start = now_ns();
        memset(memory, pass, bytes);
        uint64_t sum = 0;
        for (size_t i = 0; i < bytes / sizeof *memory; i++)
            sum += memory[i];
        sink = sum;
        double rate = 2.0 * (double)bytes / (now_ns() - start);
        best = rate > best ? rate : best;
    }
    (void)sink;
    return best;
}

static void measure_bandwidth(id<MTLDevice> device)
{
    const size_t bytes = 64u << 20;
    id<MTLBuffer> buffer = [device newBufferWithLength:bytes options:MTLResourceStorageModeShared];
    uint64_t *private = aligned_alloc(4096, bytes);
    double ours = 0, plain = 0;
    for (int round = 0; round < 3; round++) { /* alternating: the machines are noisy */
        double a = bandwidth(buffer.contents, bytes), b = bandwidth(private, bytes);
        ours = a > ours ? a : ours;
        plain = b > plain ? b : plain;
    }
    printf("shared_bandwidth %.3f\nplain_bandwidth %.3f\n", ours, plain);
    free(private);
}

/* 1 GiB, from nothing until the program sees what the device wrote at its end: the first time, and
 * when there was one before. */
static void measure_buffer(id<MTLDevice> device, id<MTLCommandQueue> queue)
{
    const NSUInteger bytes = 1u << 30;
    for (int round = 0; round < 2; round++) {
        @autoreleasepool {
            double start = now_ns();
            id<MTLBuffer> buffer = [device newBufferWithLength:bytes
                                                       options:MTLResourceStorageModeShared];
            id<MTLCommandBuffer> commands = [queue commandBuffer];
            id<MTLBlitCommandEncoder> blit = [commands blitCommandEncoder];
            [blit fillBuffer:buffer range:NSMakeRange(bytes - 4096, 4096) value:7];
            [blit endEncoding];
            [commands commit];
            [commands waitUntilCompleted];
            if (!buffer || ((uint8_t *)buffer.contents)[0] != 0)
                fprintf(stderr, "arcbox-probe: no buffer of 1 GiB\n");
            else
                printf("buffer_%s_ms %.3f\n", round ? "again" : "first", (now_ns() - start) / 1e6);
        }
    }
}

@interface Receiver : NSObject
- (void)nothing;
@end
@implementation Receiver
- (void)nothing
{
}
@end

static void measure_send(void)
{
    enum { ROUNDS = 101, SENDS = 100000 };
    static double samples[ROUNDS];
    Receiver *receiver = [Receiver new];
    for (int r = 0; r < ROUNDS; r++) {
        double start = now_ns();
        for (int i = 0; i < SENDS; i++)
            [receiver nothing];
        samples[r] = (now_ns() - start) / SENDS;
    }
    printf("message_send_ns %.3f\n", median(samples, ROUNDS));
}

int main(int argc, char **argv)
{
    @autoreleasepool {
        id<MTLDevice> device = MTLCreateSystemDefaultDevice();
        if (!device)
            return 1; /* the library has said why */
        id<MTLCommandQueue> queue = [device newCommandQueue];
        for (int i = 1; i < argc; i++) {
            if (!strcmp(argv[i], "calls"))
                measure_calls(device, queue);
            else if (!strcmp(argv[i], "submit"))
                measure_submit(queue);
            else if (!strcmp(argv[i], "commands"))
                measure_commands(device, queue);
            else if (!strcmp(argv[i], "bandwidth"))
                measure_bandwidth(device);
            else if (!strcmp(argv[i], "buffer"))
                measure_buffer(device, queue);
            else if (!strcmp(argv[i], "compile") && i + 2 < argc) {
                measure_compile(device, queue, argv[i + 1], argv[i + 2]);
                i += 2;
            } else if (!strcmp(argv[i], "device"))
                measure_device(device, queue);
            else if (!strcmp(argv[i], "products"))
                measure_products(device, queue);
            else if (!strcmp(argv[i], "rate"))
                measure_rate(device, queue);
            else if (!strcmp(argv[i], "busy"))
                measure_busy(device, queue);
            else if (!strcmp(argv[i], "send"))
                measure_send();
            else {
                fprintf(stderr, "arcbox-probe: unknown measurement '%s'\n", argv[i]);
                return 2;
            }
            fflush(stdout);
        }
    }
    return 0;
}
