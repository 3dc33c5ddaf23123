/* What a program sees when its worker goes: a kernel that never ends, a kernel that writes where it
 * must not, and a killed worker. The command buffer gets an error, nothing hangs, and a new device
 * works at once. */
#import <Foundation/Foundation.h>
#import <Metal/Metal.h>
#include <unistd.h>

#define CHECK(x)                                                                                   \
    do {                                                                                           \
        if (!(x)) {                                                                                \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x);                                \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

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

/* Soon: a worker that reported a fault may live a moment longer, and take a last connection along. */
static void check_works(void)
{
    bool works = false;
    for (int i = 0; i < 40 && !works; i++) {
        id<MTLDevice> device = MTLCreateSystemDefaultDevice();
        id<MTLLibrary> library = [device newLibraryWithSource:source options:nil error:nil];
        id<MTLBuffer> buffer = [device newBufferWithLength:64 options:0];
        struct state s = {device, [device newCommandQueue], library, buffer};
        works = library && buffer && run(s, @"good").status == MTLCommandBufferStatusCompleted &&
                *(uint32_t *)buffer.contents == 42;
        if (!works)
            usleep(50000);
    }
    CHECK(works);
}

int main(int argc, char **argv)
{
    @autoreleasepool {
        check_works();
        for (int i = 1; i < argc; i++) {
            NSString *name = [NSString stringWithUTF8String:argv[i]];
            struct state s = open_device();
            id<MTLCommandBuffer> commands = run(s, name);
            printf("%s: %s\n", argv[i], commands.error.localizedDescription.UTF8String);
            CHECK(commands.status == MTLCommandBufferStatusError && commands.error);
            CHECK([commands.error.domain isEqualToString:MTLCommandBufferErrorDomain]);
            NSInteger code = commands.error.code;
            CHECK([name isEqualToString:@"forever"] ? code == MTLCommandBufferErrorTimeout
                                                    : code == MTLCommandBufferErrorPageFault);
            check_works();
        }
    }
    return 0;
}
