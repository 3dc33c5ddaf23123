/* Runs each kernel of a .metal file once, and looks at what the kernel says of itself: it writes 1
 * into each of the 32 words of buffer 1 whose check held, and something else into the others.
 *
 *   runner FILE WIDTH HEIGHT    of the threadgroup; there is one
 *
 * buffer 0: words that no compiler knows; 2, 3: memory and parameters for those that use them; 8,
 * 25: the sizes of the buffers, where naga's and SPIRV-Cross's code is told to look for them. */
#import <Foundation/Foundation.h>
#import <Metal/Metal.h>
#include <stdio.h>
#include <stdlib.h>

enum { CHECKS = 32, MEMORY = 240, THREADGROUP_MEMORY = 1024 };
static const uint32_t given[8] = {
        0x3f800000, 0xbf800000, 0x3f000000, 0x3e800000, 0x12345678, 0xdeadbeef, 3, 70000};
static const struct {
    float scale[4][4], shift[4], rows[2][4];
    uint32_t k[3][4];
} parameters = {{{2}, {0, 2}, {0, 0, 2}, {0, 0, 0, 2}}, {1, 2, 3, 4}, {{1, 2, 3}, {4, 5, 6}},
        {{0, 1, 2, 3}, {4, 5, 6, 7}, {8, 9, 10, 11}}};

static void fail(const char *what, NSError *error)
{
    fprintf(stderr, "%s: %s\n", what, error.localizedDescription.UTF8String);
    exit(1);
}

static int judge(const char *name, const uint32_t *checks)
{
    int bad = 0;
    for (int i = 0; i < CHECKS; i++) {
        if (checks[i] == 1)
            continue;
        fprintf(stderr, "%s: check %d %s\n", name, i,
                checks[i] ? "does not hold" : "was not reached");
        bad = 1;
    }
    return bad;
}

static int run(id<MTLDevice> device, id<MTLFunction> function, MTLSize threads)
{
    const char *name = function.name.UTF8String;
    NSError *error = nil;
    id<MTLComputePipelineState> pipeline = [device newComputePipelineStateWithFunction:function
                                                                                 error:&error];
    if (!pipeline)
        fail(name, error);
    id<MTLBuffer> checks = [device newBufferWithLength:4 * CHECKS options:0];
    id<MTLBuffer> memory = [device newBufferWithLength:MEMORY options:0];
    ((uint32_t *)memory.contents)[5] = ~0u;
    uint32_t sizes[4] = {sizeof given, 4 * CHECKS, MEMORY, sizeof parameters};
    id<MTLCommandBuffer> commands = [[device newCommandQueue] commandBuffer];
    id<MTLComputeCommandEncoder> encoder = [commands computeCommandEncoder];
    [encoder setComputePipelineState:pipeline];
    [encoder setBytes:given length:sizeof given atIndex:0];
    [encoder setBuffer:checks offset:0 atIndex:1];
    [encoder setBuffer:memory offset:0 atIndex:2];
    [encoder setBytes:&parameters length:sizeof parameters atIndex:3];
    [encoder setBytes:sizes length:sizeof sizes atIndex:8];
    [encoder setBytes:sizes length:sizeof sizes atIndex:25];
    for (NSUInteger i = 0; i < 4;
            i++) /* naga passes what is shared as parameters without numbers */
        [encoder setThreadgroupMemoryLength:THREADGROUP_MEMORY atIndex:i];
    [encoder dispatchThreadgroups:MTLSizeMake(1, 1, 1) threadsPerThreadgroup:threads];
    [encoder endEncoding];
    [commands commit];
    [commands waitUntilCompleted];
    if (commands.error)
        fail(name, commands.error);
    return judge(name, checks.contents);
}

int main(int argc, char **argv)
{
    @autoreleasepool {
        if (argc != 4) {
            fprintf(stderr, "usage: runner FILE WIDTH HEIGHT\n");
            return 2;
        }
        NSError *error = nil;
        NSString *source =
                [NSString stringWithContentsOfFile:[NSString stringWithUTF8String:argv[1]]
                                          encoding:NSUTF8StringEncoding
                                             error:&error];
        if (!source)
            fail(argv[1], error);
        id<MTLDevice> device = MTLCreateSystemDefaultDevice();
        id<MTLLibrary> library = [device newLibraryWithSource:source options:nil error:&error];
        if (!library)
            fail(argv[1], error);
        MTLSize threads = MTLSizeMake((NSUInteger)atoi(argv[2]), (NSUInteger)atoi(argv[3]), 1);
        int bad = library.functionNames.count == 0;
        for (NSString *name in library.functionNames)
            bad |= run(device, [library newFunctionWithName:name], threads);
        return bad;
    }
}
