/* GPU times lie in the program's own clock, between a command buffer's commit and its end, whatever
 * clock the host has; and so do timestamps that the device wrote, by the pair of clocks. Of a clock
 * that jumps while a command buffer runs, that one's timestamps cannot tell (its times are right):
 * each jump of ARCBOX_TEST_CLOCK_JUMPS (other_clock.c) may spoil one command buffer's. */
#include "../metal/program.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Jumps of the host's clock since @first, a time of now(), and one that may be under way. */
static int jumps_since(double first)
{
    return getenv("ARCBOX_TEST_CLOCK_JUMPS") ? (int)((now() - first) / 0.2) + 1 : 0;
}

int main(void)
{
    device = MTLCreateSystemDefaultDevice();
    CHECK(device);
    queue = [device newCommandQueue];
    id<MTLBuffer> buffer = [device newBufferWithLength:1 << 20
                                               options:MTLResourceStorageModeShared];
    MTLCounterSampleBufferDescriptor *two = [MTLCounterSampleBufferDescriptor new];
    two.counterSet = device.counterSets[0];
    two.sampleCount = 2;
    id<MTLCounterSampleBuffer> samples = [device newCounterSampleBufferWithDescriptor:two
                                                                                error:NULL];
    CHECK(samples);
    double last = 0, first = now();
    int spoiled = 0;
    for (int i = 0; i < 300; i++) {
        @autoreleasepool {
            id<MTLCommandBuffer> commands = [queue commandBuffer];
            id<MTLBlitCommandEncoder> blit = [commands blitCommandEncoder];
            [blit sampleCountersInBuffer:samples atSampleIndex:0 withBarrier:YES];
            [blit fillBuffer:buffer range:NSMakeRange(0, 1 << 20) value:(uint8_t)i];
            [blit sampleCountersInBuffer:samples atSampleIndex:1 withBarrier:YES];
            [blit endEncoding];
            if (i % 50 == 0)
                usleep(100000);
            double before = now();
            [commands commit];
            [commands waitUntilCompleted];
            double start = commands.GPUStartTime, end = commands.GPUEndTime, after = now();
            if (!(before <= start && start <= end && end <= after && last <= start)) {
                fprintf(stderr,
                        "%d: committed at %.9f, ran from %.9f to %.9f, waited for at %.9f\n", i,
                        before, start, end, after);
                return 1;
            }
            last = end;
            MTLTimestamp cpu, gpu;
            [device sampleTimestamps:&cpu gpuTimestamp:&gpu];
            const uint64_t *at = [samples resolveCounterRange:NSMakeRange(0, 2)].bytes;
            double from = (double)(at[0] + cpu - gpu) / 1e9, to = (double)(at[1] + cpu - gpu) / 1e9;
            /* Times of command buffers are cut to what the program saw, which samples are not; an
             * emulated machine's clock is that far from even. */
            if (!(start - 1e-2 <= from && from <= to && to <= end + 1e-2) &&
                    ++spoiled > jumps_since(first)) {
                fprintf(stderr, "%d: ran from %.9f to %.9f, sampled at %.9f and %.9f\n", i, start,
                        end, from, to);
                return 1;
            }
        }
    }
    printf("times: ok\n");
    return 0;
}
