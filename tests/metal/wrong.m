/* Wrong calls through Apple's API: each ends its own command buffer with an error that names the call
 * and the numbers, or returns nil; nothing throws, nothing is lost, and the next one runs. */
#import <Foundation/Foundation.h>
#import <Metal/Metal.h>

#include "../check.h"

#define ONE MTLSizeMake(1, 1, 1)
#define HUGE_GRID MTLSizeMake(UINT64_MAX, UINT64_MAX, UINT64_MAX)

static NSString *const source = @""
    "kernel void twice(device float *x [[buffer(0)]], constant float &k [[buffer(1)]],\n"
    "        threadgroup float *t [[threadgroup(0)]], uint i [[thread_position_in_grid]])\n"
    "{ t[i] = k; x[i] *= t[i]; }\n"
    "kernel void beyond(device float *x, constant int &n) { x[0] = x[n] + x[n + 5000] + 42; }\n";

static id<MTLDevice> device;
static id<MTLCommandQueue> queue;
static id<MTLComputePipelineState> pipeline;

static void finish(id<MTLCommandBuffer> commands, const char *call, const char *says)
{
    [commands commit];
    [commands waitUntilCompleted];
    NSString *text = commands.error.localizedDescription;
    if (!says) {
        if (commands.error)
            fprintf(stderr, "%s\n", text.UTF8String);
        CHECK(commands.status == MTLCommandBufferStatusCompleted && !commands.error);
        return;
    }
    bool right = commands.status == MTLCommandBufferStatusError &&
            [commands.error.domain isEqualToString:MTLCommandBufferErrorDomain] &&
            [text containsString:[NSString stringWithUTF8String:call]] &&
            (!*says || [text containsString:[NSString stringWithUTF8String:says]]);
    if (!right)
        fprintf(stderr, "%s: '%s' expected, status %d: %s\n", call, says, (int)commands.status,
                text.UTF8String);
    CHECK(right);
}

/* `says` NULL: nothing is wrong with it. */
static void compute(const char *call, const char *says, void (^wrong)(id<MTLComputeCommandEncoder>))
{
    @autoreleasepool {
        id<MTLBuffer> x = [device newBufferWithLength:64 options:0];
        CHECK(x);
        ((float *)x.contents)[0] = 21;
        id<MTLCommandBuffer> commands = [queue commandBuffer];
        id<MTLComputeCommandEncoder> e = [commands computeCommandEncoder];
        [e setComputePipelineState:pipeline];
        [e setBuffer:x offset:0 atIndex:0];
        [e setBytes:&(float){2} length:4 atIndex:1];
        [e setThreadgroupMemoryLength:16 atIndex:0];
        wrong(e);
        [e dispatchThreads:ONE threadsPerThreadgroup:ONE];
        [e endEncoding];
        finish(commands, call, says);
        /* A wrong command buffer does nothing of what it says. */
        CHECK(((float *)x.contents)[0] == (says ? 21 : 42));
    }
}

typedef void (^blit_block)(id<MTLBlitCommandEncoder>, id<MTLBuffer>, id<MTLBuffer>);

static void blit(const char *call, const char *says, blit_block wrong)
{
    @autoreleasepool {
        id<MTLBuffer> a = [device newBufferWithLength:64 options:0];
        id<MTLBuffer> b = [device newBufferWithLength:64 options:0];
        CHECK(a && b);
        memset(a.contents, 1, 64);
        id<MTLCommandBuffer> commands = [queue commandBuffer];
        id<MTLBlitCommandEncoder> e = [commands blitCommandEncoder];
        wrong(e, a, b);
        [e endEncoding];
        finish(commands, call, says);
        for (int i = 0; i < 64; i++)
            CHECK(((char *)a.contents)[i] == 1 && ((char *)b.contents)[i] == 0);
    }
}

static void test_bindings(id<MTLBuffer> buffer)
{
    compute("setBuffer:offset:atIndex:", "offset 65 is past the buffer's length, 64",
            ^(id<MTLComputeCommandEncoder> e) { [e setBuffer:buffer offset:65 atIndex:0]; });
    compute("setBuffer:offset:atIndex:", "offset 18446744073709551612",
            ^(id<MTLComputeCommandEncoder> e) { [e setBuffer:buffer offset:-4ull atIndex:0]; });
    compute("setBuffer:offset:atIndex:", "index 31 is past the last, 30",
            ^(id<MTLComputeCommandEncoder> e) { [e setBuffer:buffer offset:0 atIndex:31]; });
    compute("setBuffer:offset:atIndex:", "index 1099511627776",
            ^(id<MTLComputeCommandEncoder> e) { [e setBuffer:buffer offset:0 atIndex:1ull << 40]; });
    compute("setBufferOffset:atIndex:", "",
            ^(id<MTLComputeCommandEncoder> e) { [e setBufferOffset:-4ull atIndex:0]; });
    compute("setBytes:length:atIndex:", "no memory for 1125899906842624 bytes",
            ^(id<MTLComputeCommandEncoder> e) { [e setBytes:"" length:1ull << 50 atIndex:1]; });
    compute("setThreadgroupMemoryLength:atIndex:", "8589934592 bytes",
            ^(id<MTLComputeCommandEncoder> e) { [e setThreadgroupMemoryLength:1ull << 33 atIndex:0]; });
    compute(NULL, NULL, ^(id<MTLComputeCommandEncoder> e) { [e setThreadgroupMemoryLength:7 atIndex:0]; });
}

/* A kernel that reads where there is nothing gets zeros. */
static void test_reading_beyond(id<MTLLibrary> library)
{
    NSError *error = nil;
    id<MTLComputePipelineState> beyond =
            [device newComputePipelineStateWithFunction:[library newFunctionWithName:@"beyond"] error:&error];
    CHECK(beyond);
    id<MTLBuffer> x = [device newBufferWithLength:1 << 20 options:0];
    id<MTLCommandBuffer> commands = [queue commandBuffer];
    id<MTLComputeCommandEncoder> e = [commands computeCommandEncoder];
    [e setComputePipelineState:beyond];
    [e setBuffer:x offset:0 atIndex:0];
    [e setBytes:&(int){1 << 28} length:4 atIndex:1];
    [e dispatchThreads:ONE threadsPerThreadgroup:ONE];
    [e endEncoding];
    finish(commands, NULL, NULL);
    CHECK(((float *)x.contents)[0] == 42);
}

static void test_types(void)
{
    for (id wrong in @[ @"text", device, queue, pipeline, @[] ])
        compute("setBuffer:offset:atIndex:", "not a buffer",
                ^(id<MTLComputeCommandEncoder> e) { [e setBuffer:wrong offset:0 atIndex:0]; });
    for (id wrong in @[ @"text", device, queue, @1 ])
        compute("setComputePipelineState:", "not a pipeline state",
                ^(id<MTLComputeCommandEncoder> e) { [e setComputePipelineState:wrong]; });
    blit("copyFromBuffer:", "not a buffer", ^(id<MTLBlitCommandEncoder> e, id<MTLBuffer> a, id<MTLBuffer> b) {
        [e copyFromBuffer:(id)@"text" sourceOffset:0 toBuffer:b destinationOffset:0 size:4];
    });
    NSError *error = nil;
    CHECK(![device newComputePipelineStateWithFunction:(id)@"text" error:&error] && error);
}

static void test_sizes(void)
{
    compute("dispatchThreads:", "4294967296 x 4294967296 x 1", ^(id<MTLComputeCommandEncoder> e) {
        [e dispatchThreads:ONE threadsPerThreadgroup:MTLSizeMake(1ull << 32, 1ull << 32, 1)];
    });
    compute("dispatchThreads:", "is too large", ^(id<MTLComputeCommandEncoder> e) {
        [e dispatchThreads:HUGE_GRID threadsPerThreadgroup:ONE];
    });
    compute("dispatchThreadgroups:", "is too large", ^(id<MTLComputeCommandEncoder> e) {
        [e dispatchThreadgroups:MTLSizeMake(1ull << 32, 1ull << 32, 1) threadsPerThreadgroup:ONE];
    });
    /* An empty grid is no error. */
    compute("", NULL, ^(id<MTLComputeCommandEncoder> e) {
        [e dispatchThreads:MTLSizeMake(0, 1, 1) threadsPerThreadgroup:ONE];
    });
}

static void test_copies(void)
{
    const char *copy = "copyFromBuffer:sourceOffset:toBuffer:destinationOffset:size:";
    const char *fill = "fillBuffer:range:value:";
    const NSUInteger from[][3] = {{32, 0, 64}, {0, 32, 64}, {-16ull, 0, 32}, {0, -16ull, 32},
            {0, 0, -1ull}, {64, 0, 4}};
    for (unsigned i = 0; i < sizeof from / sizeof *from; i++) {
        const NSUInteger s = from[i][0], d = from[i][1], n = from[i][2];
        blit(copy, "", ^(id<MTLBlitCommandEncoder> e, id<MTLBuffer> a, id<MTLBuffer> b) {
            [e copyFromBuffer:a sourceOffset:s toBuffer:b destinationOffset:d size:n];
        });
    }
    const NSRange ranges[] = {{60, 8}, {-4ull, 8}, {64, 4}, {0, -1ull}};
    for (unsigned i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        const NSRange range = ranges[i];
        blit(fill, "", ^(id<MTLBlitCommandEncoder> e, id<MTLBuffer> a, id<MTLBuffer> b) {
            [e fillBuffer:a range:range value:7];
        });
    }
}

static void test_lengths(void)
{
    const NSUInteger lengths[] = {0, UINT64_MAX, 1ull << 46, device.maxBufferLength + 1};
    for (unsigned i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        CHECK(![device newBufferWithLength:lengths[i] options:0]);
        CHECK(![device newBufferWithLength:lengths[i] options:MTLResourceStorageModePrivate]);
    }
    char bytes[4];
    CHECK(![device newBufferWithBytes:bytes length:0 options:0]);
}

/* More than the tenant may have: nil, and what is let go of can be had again. */
static void test_memory(void)
{
    const NSUInteger each = device.maxBufferLength / 4;
    for (int round = 0; round < 3; round++) @autoreleasepool {
        NSMutableArray *held = [NSMutableArray new];
        id<MTLBuffer> buffer;
        while (held.count < 16 &&
                (buffer = [device newBufferWithLength:each options:MTLResourceStorageModePrivate]))
            [held addObject:buffer];
        CHECK(held.count >= 1 && held.count <= 4);
        compute("", NULL, ^(id<MTLComputeCommandEncoder> e) {});
    }
}

static void test_sources(void)
{
    NSError *error = nil;
    NSString *text = @"#include <metal_stdlib>\nusing namespace metal;\n"
                      "kernel void f(device float *x [[buffer(0)]])\n{\n    x[0] = wrong;\n}\n";
    CHECK(![device newLibraryWithSource:text options:nil error:&error]);
    CHECK([error.domain isEqualToString:MTLLibraryErrorDomain]);
    CHECK(error.code == MTLLibraryErrorCompileFailure);
    CHECK([error.localizedDescription
            containsString:@"program_source:5:12: error: use of undeclared identifier 'wrong'\n"
                            "    x[0] = wrong;\n           ^"]);
    error = nil;
    id nothing = nil;
    CHECK(![device newLibraryWithSource:nothing options:nil error:&error] && error);
    error = nil;
    CHECK(![device newComputePipelineStateWithFunction:nothing error:&error] && error);
    CHECK(![device newLibraryWithSource:text options:nil error:NULL]);
}

int main(void)
{
    @autoreleasepool {
        device = MTLCreateSystemDefaultDevice();
        CHECK(device);
        NSError *error = nil;
        id<MTLLibrary> library = [device newLibraryWithSource:source options:nil error:&error];
        if (!library)
            fprintf(stderr, "%s\n", error.localizedDescription.UTF8String);
        CHECK(library && ![library newFunctionWithName:@"thrice"]);
        queue = [device newCommandQueue];
        pipeline = [device newComputePipelineStateWithFunction:[library newFunctionWithName:@"twice"]
                                                         error:&error];
        CHECK(queue && pipeline);
        compute("", NULL, ^(id<MTLComputeCommandEncoder> e) {});
        test_bindings([device newBufferWithLength:64 options:0]);
        test_reading_beyond(library);
        test_types();
        test_sizes();
        test_copies();
        test_lengths();
        test_memory();
        test_sources();
        compute("", NULL, ^(id<MTLComputeCommandEncoder> e) {});
    }
    return 0;
}
