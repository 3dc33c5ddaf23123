/* GPU times lie in the program's own clock, between a command buffer's commit and its end, whatever
 * clock the host has. */
#include "../metal/program.h"

#include <time.h>
#include <unistd.h>

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(void)
{
    device = MTLCreateSystemDefaultDevice();
    CHECK(device);
    queue = [device newCommandQueue];
    id<MTLBuffer> buffer = [device newBufferWithLength:1 << 20
                                               options:MTLResourceStorageModeShared];
    double last = 0;
    for (int i = 0; i < 300; i++) {
        @autoreleasepool {
            id<MTLCommandBuffer> commands = [queue commandBuffer];
            id<MTLBlitCommandEncoder> blit = [commands blitCommandEncoder];
            [blit fillBuffer:buffer range:NSMakeRange(0, 1 << 20) value:(uint8_t)i];
            [blit endEncoding];
            if (i % 50 == 0)
                usleep(100000);
            MTLTimestamp cpu, gpu;
            [device sampleTimestamps:&cpu gpuTimestamp:&gpu];
            CHECK(cpu == gpu);
            double before = now();
            [commands commit];
            [commands waitUntilCompleted];
            double start = commands.GPUStartTime, end = commands.GPUEndTime, after = now();
            if (!(before <= start && start <= end && end <= after && last <= start)) {
                fprintf(stderr, "%d: committed at %.9f, ran from %.9f to %.9f, waited for at %.9f\n",
                        i, before, start, end, after);
                return 1;
            }
            last = end;
        }
    }
    printf("times: ok\n");
    return 0;
}
