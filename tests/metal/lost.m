/* What a program sees of a kernel that never ends and of one that writes where it must not: its
 * command buffer gets the error a Mac gives; the device, its queues and its buffers live on, with
 * what was in them. */
#import <Foundation/Foundation.h>
#import <Metal/Metal.h>
#include <unistd.h>

#include "../check.h"

static NSString *const source = @""
    "#include <metal_stdlib>\n"
    "using namespace metal;\n"
    "kernel void forever(device volatile uint *x [[buffer(0)]]) { while (x[0] == 0) x[1] += 1; }\n"
    "kernel void astray(device uint *x [[buffer(0)]]) { x[1ul << 30] = 1; }\n"
    "kernel void good(device uint *x [[buffer(0)]]) { x[0] = 42; }\n";

struct state {
    id<MTLDevice> device;
    id<MTLCommandQueue> queue;
    id<MTLLibrary> library;
    id<MTLBuffer> buffer;
    id<MTLBuffer> kept; /* private, filled with 9 */
};

static struct state open_device(void)
{
    struct state s;
    s.device = MTLCreateSystemDefaultDevice();
    CHECK(s.device);
    s.queue = [s.device newCommandQueue];
    NSError *error = nil;
    s.library = [s.device newLibraryWithSource:source options:nil error:&error];
    if (!s.library)
        fprintf(stderr, "%s\n", error.localizedDescription.UTF8String);
    CHECK(s.library);
    s.buffer = [s.device newBufferWithLength:64 options:0];
    CHECK(s.buffer);
    s.kept = [s.device newBufferWithLength:64 options:MTLResourceStorageModePrivate];
    id<MTLCommandBuffer> commands = [s.queue commandBuffer];
    id<MTLBlitCommandEncoder> blit = [commands blitCommandEncoder];
    [blit fillBuffer:s.kept range:NSMakeRange(0, 64) value:9];
    [blit endEncoding];
    [commands commit];
    return s;
}

static id<MTLCommandBuffer> run(struct state s, NSString *name)
{
    id<MTLComputePipelineState> pipeline = [s.device
            newComputePipelineStateWithFunction:[s.library newFunctionWithName:name]
                                          error:nil];
    CHECK(pipeline);
    id<MTLCommandBuffer> commands = [s.queue commandBuffer];
    commands.label = name;
    id<MTLComputeCommandEncoder> encoder = [commands computeCommandEncoder];
    [encoder setComputePipelineState:pipeline];
    [encoder setBuffer:s.buffer offset:0 atIndex:0];
    [encoder dispatchThreads:MTLSizeMake(1, 1, 1) threadsPerThreadgroup:MTLSizeMake(1, 1, 1)];
    [encoder endEncoding];
    [commands commit];
    [commands waitUntilCompleted];
    return commands;
}

static void check_works(void)
{
    struct state s = open_device();
    CHECK(run(s, @"good").status == MTLCommandBufferStatusCompleted);
    CHECK(*(uint32_t *)s.buffer.contents == 42);
}

/* The same device goes on: old queue, old buffer, old private memory, and new ones of each. */
static void check_lives(struct state s)
{
    struct state fresh = {s.device, [s.device newCommandQueue], s.library,
            [s.device newBufferWithLength:64 options:0]};
    CHECK(fresh.queue && fresh.buffer && [s.device newSharedEvent]);
    struct state mixed[] = {s, fresh, {s.device, s.queue, s.library, fresh.buffer},
            {s.device, fresh.queue, s.library, s.buffer}};
    for (int i = 0; i < 4; i++) {
        *(uint32_t *)mixed[i].buffer.contents = 0;
        CHECK(run(mixed[i], @"good").status == MTLCommandBufferStatusCompleted);
        CHECK(*(uint32_t *)mixed[i].buffer.contents == 42);
    }
    id<MTLCommandBuffer> commands = [fresh.queue commandBuffer];
    id<MTLBlitCommandEncoder> blit = [commands blitCommandEncoder];
    [blit copyFromBuffer:s.kept sourceOffset:0 toBuffer:fresh.buffer destinationOffset:0 size:64];
    [blit endEncoding];
    [commands commit];
    [commands waitUntilCompleted];
    CHECK(commands.status == MTLCommandBufferStatusCompleted);
    CHECK(((uint8_t *)fresh.buffer.contents)[63] == 9);
}

int main(int argc, char **argv)
{
    @autoreleasepool {
        check_works();
        for (int i = 1; i < argc; i++) {
            NSString *name = [NSString stringWithUTF8String:argv[i]];
            struct state s = open_device();
            id<MTLCommandBuffer> commands = run(s, name);
            NSString *why = commands.error.localizedDescription;
            printf("%s: %s\n", argv[i], why.UTF8String);
            CHECK(commands.status == MTLCommandBufferStatusError && commands.error);
            CHECK([commands.error.domain isEqualToString:MTLCommandBufferErrorDomain]);
            NSInteger code = commands.error.code;
            CHECK([name isEqualToString:@"forever"] ? code == MTLCommandBufferErrorTimeout
                                                    : code == MTLCommandBufferErrorPageFault);
            if (code == MTLCommandBufferErrorTimeout)
                CHECK([why containsString:@"500 ms"] && [why containsString:@"ARCBOX_TIME_LIMIT_MS"]);
            check_lives(s);
            check_works();
        }
    }
    return 0;
}
