/* A program makes queue after queue, commits to each and keeps none: few are alive at a time, and
 * the last is had as the first was. Those whose work is still under way are waited for. */
#include "program.h"

#include <unistd.h>

enum { QUEUES = 700 };

static NSString *const source = @""
    "#include <metal_stdlib>\n"
    "using namespace metal;\n"
    "kernel void some(device uint *x [[buffer(0)]], device atomic_uint *n [[buffer(1)]]) {\n"
    "  uint v = x[0];\n"
    "  for (uint i = 0; i < 3000000; i++) v = v * 1664525 + x[1];\n"
    "  x[2] = v;\n"
    "  atomic_fetch_add_explicit(n, 1, memory_order_relaxed);\n"
    "}\n";

int main(void)
{
    @autoreleasepool {
        NSError *error = nil;
        device = MTLCreateSystemDefaultDevice();
        CHECK(device);
        id<MTLLibrary> library = [device newLibraryWithSource:source options:nil error:&error];
        CHECK(library);
        id<MTLComputePipelineState> some =
                [device newComputePipelineStateWithFunction:[library newFunctionWithName:@"some"]
                                                      error:&error];
        CHECK(some);
        id<MTLBuffer> data = [device newBufferWithLength:64 options:0];
        id<MTLBuffer> count = [device newBufferWithLength:64 options:0];
        for (int i = 0; i < QUEUES; i++) {
            @autoreleasepool {
                id<MTLCommandQueue> one = [device newCommandQueue];
                CHECK(one);
                id<MTLCommandBuffer> commands = [one commandBuffer];
                id<MTLComputeCommandEncoder> encoder = [commands computeCommandEncoder];
                [encoder setComputePipelineState:some];
                [encoder setBuffer:data offset:0 atIndex:0];
                [encoder setBuffer:count offset:0 atIndex:1];
                [encoder dispatchThreads:MTLSizeMake(1, 1, 1)
                        threadsPerThreadgroup:MTLSizeMake(1, 1, 1)];
                [encoder endEncoding];
                [commands commit];
            }
        }
        for (int i = 0; i < 6000 && *(uint32_t *)count.contents < QUEUES; i++)
            usleep(10000);
        CHECK(*(uint32_t *)count.contents == QUEUES);
        queue = [device newCommandQueue];
        id<MTLCommandBuffer> last = [queue commandBuffer];
        [last commit];
        CHECK_DONE(last);
        printf("queues work\n");
    }
    return 0;
}
