/* A device with memory of its own: what it says of itself, private memory and addresses, work right
 * after memory was made, and its loss. Against the backends of tests/backend/discrete.c alone. */
#include "program.h"

static NSString *const source =
    @"#include <metal_stdlib>\n"
     "using namespace metal;\n"
     "struct box { device uint *in; device uint *out; };\n"
     "kernel void add(device uint *to [[buffer(0)]], const device uint *x [[buffer(1)]],\n"
     "        uint i [[thread_position_in_grid]]) { to[i] += x[i]; }\n"
     "kernel void through(const device box *b [[buffer(0)]], uint i [[thread_position_in_grid]])\n"
     "{ b->out[i] = b->in[i] + 1; }\n";

enum { N = 4096 };

static id<MTLBuffer> numbers(uint32_t first)
{
    id<MTLBuffer> buffer = [device newBufferWithLength:4 * N options:MTLResourceStorageModeShared];
    for (uint32_t i = 0; i < N; i++)
        ((uint32_t *)buffer.contents)[i] = first + i;
    return buffer;
}

static id<MTLBuffer> private_buffer(void)
{
    id<MTLBuffer> buffer = [device newBufferWithLength:4 * N options:MTLResourceStorageModePrivate];
    CHECK(buffer && !buffer.contents && buffer.gpuAddress);
    return buffer;
}

/* Each time from memory that is being imported while it is bound: large, so that it is a chunk. */
static void test_at_once(id<MTLComputePipelineState> add)
{
    for (int turn = 0; turn < 30; turn++) {
        NSUInteger length = 8 << 20;
        id<MTLBuffer> x = [device newBufferWithLength:length options:MTLResourceStorageModeShared];
        id<MTLBuffer> y = [device newBufferWithLength:length options:MTLResourceStorageModeShared];
        memset(x.contents, 1, length);
        id<MTLCommandBuffer> commands = [queue commandBuffer];
        id<MTLComputeCommandEncoder> e = [commands computeCommandEncoder];
        [e setComputePipelineState:add];
        [e setBuffer:y offset:0 atIndex:0];
        [e setBuffer:x offset:0 atIndex:1];
        [e dispatchThreads:MTLSizeMake(length / 4, 1, 1)
            threadsPerThreadgroup:MTLSizeMake(256, 1, 1)];
        [e endEncoding];
        [commands commit];
        CHECK_DONE(commands);
        CHECK(((uint32_t *)y.contents)[0] == 0x01010101 &&
              ((uint32_t *)y.contents)[length / 4 - 1] == 0x01010101);
    }
}

static void test_private(id<MTLComputePipelineState> add)
{
    id<MTLBuffer> own = private_buffer(), x = numbers(5), back = numbers(0);
    id<MTLCommandBuffer> commands = [queue commandBuffer];
    id<MTLBlitCommandEncoder> blit = [commands blitCommandEncoder];
    [blit copyFromBuffer:x sourceOffset:0 toBuffer:own destinationOffset:0 size:4 * N];
    [blit endEncoding];
    id<MTLComputeCommandEncoder> e = [commands computeCommandEncoder];
    [e setComputePipelineState:add];
    [e setBuffer:own offset:0 atIndex:0];
    [e setBuffer:x offset:0 atIndex:1];
    [e dispatchThreads:MTLSizeMake(N, 1, 1) threadsPerThreadgroup:MTLSizeMake(64, 1, 1)];
    [e endEncoding];
    blit = [commands blitCommandEncoder];
    [blit copyFromBuffer:own sourceOffset:0 toBuffer:back destinationOffset:0 size:4 * N];
    [blit endEncoding];
    [commands commit];
    CHECK_DONE(commands);
    for (uint32_t i = 0; i < N; i++)
        CHECK(((uint32_t *)back.contents)[i] == 2 * (5 + i));
}

/* Addresses in memory, of shared and private buffers. */
static void test_addresses(id<MTLComputePipelineState> through)
{
    id<MTLBuffer> in = numbers(100), out = private_buffer(), back = numbers(0);
    id<MTLBuffer> box = [device newBufferWithLength:16 options:MTLResourceStorageModeShared];
    uint64_t *words = box.contents;
    words[0] = in.gpuAddress;
    words[1] = out.gpuAddress;
    CHECK(words[0] && words[1] && in.gpuAddress == words[0]);
    id<MTLCommandBuffer> commands = [queue commandBuffer];
    id<MTLComputeCommandEncoder> e = [commands computeCommandEncoder];
    [e setComputePipelineState:through];
    [e setBuffer:box offset:0 atIndex:0];
    [e useResource:in usage:MTLResourceUsageRead];
    [e useResource:out usage:MTLResourceUsageWrite];
    [e dispatchThreads:MTLSizeMake(N, 1, 1) threadsPerThreadgroup:MTLSizeMake(64, 1, 1)];
    [e endEncoding];
    id<MTLBlitCommandEncoder> blit = [commands blitCommandEncoder];
    [blit copyFromBuffer:out sourceOffset:0 toBuffer:back destinationOffset:0 size:4 * N];
    [blit endEncoding];
    [commands commit];
    CHECK_DONE(commands);
    for (uint32_t i = 0; i < N; i++)
        CHECK(((uint32_t *)back.contents)[i] == 101 + i);
}

/* The last thing: a fill that the device does not survive (discrete.h). */
static void test_loss(void)
{
    id<MTLBuffer> x = [device newBufferWithLength:65536 options:MTLResourceStorageModeShared];
    id<MTLCommandBuffer> commands = [queue commandBuffer], next = [queue commandBuffer];
    id<MTLBlitCommandEncoder> blit = [commands blitCommandEncoder];
    [blit fillBuffer:x range:NSMakeRange(0, 57005) value:0xdd];
    [blit endEncoding];
    [commands commit];
    [next commit];
    [commands waitUntilCompleted];
    [next waitUntilCompleted];
    NSError *error = commands.error;
    CHECK_ERROR(error, MTLCommandBufferErrorDomain, MTLCommandBufferErrorDeviceRemoved,
            @"fell off the bus");
    error = next.error;
    CHECK_ERROR(error, MTLCommandBufferErrorDomain, MTLCommandBufferErrorDeviceRemoved,
            @"fell off the bus");
}

int main(int argc, char **argv)
{
    @autoreleasepool {
        device = MTLCreateSystemDefaultDevice();
        queue = [device newCommandQueue];
        CHECK(device && queue && !device.hasUnifiedMemory && [device.name containsString:@"discrete"]);
        id<MTLLibrary> library = library_from(source, nil);
        test_at_once(pipeline_of(library, @"add"));
        test_private(pipeline_of(library, @"add"));
        test_addresses(pipeline_of(library, @"through"));
        test_loss();
    }
    puts("a device of its own: ok");
    return 0;
}
