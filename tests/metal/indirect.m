/* Work whose size or commands the device reads itself: grids in buffers, indirect command buffers
 * that inherit what the encoder has, threadgroup memory of the program's size; and wrong uses, which
 * end their own command buffer with the call's name. */
#include "program.h"

static NSString *const source = @""
    "#include <metal_stdlib>\n"
    "using namespace metal;\n"
    "kernel void grid(device uint *n [[buffer(0)]], uint3 g [[threadgroups_per_grid]],\n"
    "        uint3 t [[threads_per_threadgroup]], uint3 i [[thread_position_in_grid]])\n"
    "{ if (all(i == 0)) { n[0] = g.x; n[1] = g.y; n[2] = g.z; n[3] = t.x * t.y * t.z; } }\n"
    "kernel void next(device uint *n [[buffer(0)]], device uint *grid [[buffer(1)]])\n"
    "{ grid[0] = n[0]; grid[1] = n[1]; grid[2] = n[2]; }\n"
    "kernel void scale(device float *x [[buffer(0)]], constant float &k [[buffer(1)]],\n"
    "        uint i [[thread_position_in_grid]]) { x[i] *= k; }\n"
    "kernel void rotate_left(device uint *x [[buffer(0)]], threadgroup uint *a [[threadgroup(0)]],\n"
    "        threadgroup uint *b [[threadgroup(3)]], uint i [[thread_position_in_grid]],\n"
    "        uint t [[thread_position_in_threadgroup]], uint n [[threads_per_threadgroup]])\n"
    "{ a[t] = x[i]; b[t] = t; threadgroup_barrier(mem_flags::mem_threadgroup);\n"
    "  x[i] = a[(t + 1) % n] + 1000 * b[n - 1 - t]; }\n"
    "kernel void sum(constant uint *x [[buffer(0)]], device uint *out [[buffer(1)]],\n"
    "        constant uint &n [[buffer(2)]])\n"
    "{ uint s = 0; for (uint i = 0; i < n; i++) s += x[i]; *out = s; }\n";
#define ONE MTLSizeMake(1, 1, 1)

static id<MTLLibrary> library;

static void make_library(void)
{
    library = library_from(source, nil);
}

/* The grid of the third dispatch is written by the second. */
static void test_grid(void)
{
    id<MTLBuffer> grid = [device newBufferWithBytes:(uint32_t[4]){9, 3, 2, 4} length:16 options:0];
    id<MTLBuffer> n = [device newBufferWithLength:16 options:0];
    id<MTLComputePipelineState> state = pipeline_of(library, @"grid");
    CHECK_DONE(run(^(id<MTLComputeCommandEncoder> e) {
        [e setComputePipelineState:state];
        [e setBuffer:n offset:0 atIndex:0];
        [e dispatchThreadgroupsWithIndirectBuffer:grid
                             indirectBufferOffset:4
                            threadsPerThreadgroup:MTLSizeMake(4, 2, 1)];
    }));
    const uint32_t *r = n.contents;
    CHECK(r[0] == 3 && r[1] == 2 && r[2] == 4 && r[3] == 8);
    id<MTLBuffer> from = [device newBufferWithBytes:(uint32_t[3]){5, 6, 7} length:12 options:0];
    id<MTLBuffer> private = [device newBufferWithLength:64 options:MTLResourceStorageModePrivate];
    CHECK_DONE(run(^(id<MTLComputeCommandEncoder> e) {
        [e setComputePipelineState:pipeline_of(library, @"next")];
        [e setBuffer:from offset:0 atIndex:0];
        [e setBuffer:private offset:0 atIndex:1];
        [e dispatchThreads:ONE threadsPerThreadgroup:ONE];
        [e setComputePipelineState:state];
        [e setBuffer:n offset:0 atIndex:0];
        [e dispatchThreadgroupsWithIndirectBuffer:private
                             indirectBufferOffset:0
                            threadsPerThreadgroup:ONE];
    }));
    CHECK(r[0] == 5 && r[1] == 6 && r[2] == 7 && r[3] == 1);
    /* An empty grid, read from memory, runs nothing. */
    memset(n.contents, 0, 16);
    ((uint32_t *)grid.contents)[2] = 0;
    CHECK_DONE(run(^(id<MTLComputeCommandEncoder> e) {
        [e setComputePipelineState:state];
        [e setBuffer:n offset:0 atIndex:0];
        [e dispatchThreadgroupsWithIndirectBuffer:grid
                             indirectBufferOffset:0
                            threadsPerThreadgroup:ONE];
    }));
    CHECK(r[0] == 0 && r[3] == 0);
}

static void fails(NSString *call, NSString *words, encode_block wrong)
{
    @autoreleasepool {
        id<MTLBuffer> n = [device newBufferWithLength:64 options:0];
        id<MTLComputePipelineState> state = pipeline_of(library, @"grid");
        id<MTLCommandBuffer> commands = run(^(id<MTLComputeCommandEncoder> e) {
            [e setComputePipelineState:state];
            [e setBuffer:n offset:0 atIndex:0];
            wrong(e);
        });
        NSString *text = commands.error.localizedDescription;
        bool right = commands.status == MTLCommandBufferStatusError &&
                [text containsString:call] && (!words.length || [text containsString:words]);
        if (!right)
            fprintf(stderr, "%s: %s expected: %s\n", call.UTF8String, words.UTF8String,
                    text.UTF8String);
        CHECK(right);
    }
}

static void test_wrong_grids(void)
{
    NSString *call = @"dispatchThreadgroupsWithIndirectBuffer:";
    id<MTLBuffer> grid = [device newBufferWithLength:16 options:0];
    for (NSNumber *offset in @[ @8, @16, @2, @(UINT64_MAX - 3) ])
        fails(call, [NSString stringWithFormat:@"offset %@", offset],
                ^(id<MTLComputeCommandEncoder> e) {
                    [e dispatchThreadgroupsWithIndirectBuffer:grid
                                         indirectBufferOffset:offset.unsignedLongValue
                                        threadsPerThreadgroup:ONE];
                });
    id nothing = nil;
    for (id wrong in @[ @"text", device, [NSNull null] ])
        fails(call, @"offset 0", ^(id<MTLComputeCommandEncoder> e) {
            [e dispatchThreadgroupsWithIndirectBuffer:wrong == [NSNull null] ? nothing : wrong
                                 indirectBufferOffset:0
                                threadsPerThreadgroup:ONE];
        });
    /* Too large, and only known while it runs. */
    memset(grid.contents, 0xff, 16);
    fails(@"dispatchThreadgroupsWithIndirectBuffer:", @"the grid", ^(id<MTLComputeCommandEncoder> e) {
        [e dispatchThreadgroupsWithIndirectBuffer:grid
                             indirectBufferOffset:0
                            threadsPerThreadgroup:ONE];
    });
}

static id<MTLIndirectCommandBuffer> commands_for(NSUInteger count, BOOL buffers, BOOL state)
{
    MTLIndirectCommandBufferDescriptor *d = [MTLIndirectCommandBufferDescriptor new];
    d.commandTypes = MTLIndirectCommandTypeConcurrentDispatchThreads;
    d.inheritBuffers = buffers;
    d.inheritPipelineState = state;
    d.maxKernelBufferBindCount = buffers ? 0 : 2;
    id<MTLIndirectCommandBuffer> icb = [device newIndirectCommandBufferWithDescriptor:d
                                                                      maxCommandCount:count
                                                                              options:0];
    CHECK(icb && icb.size == count);
    return icb;
}

static id<MTLComputePipelineState> indirect_pipeline(NSString *name)
{
    MTLComputePipelineDescriptor *d = [MTLComputePipelineDescriptor new];
    d.computeFunction = [library newFunctionWithName:name];
    d.supportIndirectCommandBuffers = YES;
    NSError *error = nil;
    id<MTLComputePipelineState> state = [device newComputePipelineStateWithDescriptor:d
                                                                              options:0
                                                                           reflection:nil
                                                                                error:&error];
    CHECK(state && state.supportIndirectCommandBuffers);
    return state;
}

static void test_inherit(void)
{
    id<MTLComputePipelineState> state = indirect_pipeline(@"scale");
    id<MTLBuffer> x = [device newBufferWithLength:16 options:0];
    for (int both = 0; both < 2; both++) {
        for (int i = 0; i < 4; i++)
            ((float *)x.contents)[i] = (float)i;
        id<MTLIndirectCommandBuffer> icb = commands_for(2, YES, both);
        for (NSUInteger i = 0; i < 2; i++) {
            id<MTLIndirectComputeCommand> c = [icb indirectComputeCommandAtIndex:i];
            if (!both)
                [c setComputePipelineState:state];
            [c setBarrier];
            [c concurrentDispatchThreads:MTLSizeMake(4, 1, 1) threadsPerThreadgroup:ONE];
        }
        CHECK_DONE(run(^(id<MTLComputeCommandEncoder> e) {
            [e setComputePipelineState:state];
            [e setBuffer:x offset:0 atIndex:0];
            [e setBytes:&(float){3} length:4 atIndex:1];
            [e executeCommandsInBuffer:icb withRange:NSMakeRange(0, 2)];
            [e setBytes:&(float){2} length:4 atIndex:1]; /* what it inherits is what it finds */
            [e executeCommandsInBuffer:icb withRange:NSMakeRange(1, 1)];
        }));
        for (int i = 0; i < 4; i++)
            CHECK(((float *)x.contents)[i] == (float)(18 * i));
    }
    /* Inherited, and there is none. */
    id<MTLIndirectCommandBuffer> icb = commands_for(1, YES, YES);
    [[icb indirectComputeCommandAtIndex:0] concurrentDispatchThreads:ONE threadsPerThreadgroup:ONE];
    id<MTLCommandBuffer> commands = run(^(id<MTLComputeCommandEncoder> e) {
        [e executeCommandsInBuffer:icb withRange:NSMakeRange(0, 1)];
    });
    CHECK(commands.status == MTLCommandBufferStatusError);
    CHECK([commands.error.localizedDescription containsString:@"executeCommandsInBuffer"]);
}

static void test_wrong_commands(void)
{
    NSString *call = @"executeCommandsInBuffer:";
    id<MTLComputePipelineState> state = indirect_pipeline(@"scale"),
                                plain = pipeline_of(library, @"scale");
    id<MTLBuffer> x = [device newBufferWithLength:16 options:0];
    void (^const wrong[])(id<MTLIndirectComputeCommand>) = {
            ^(id<MTLIndirectComputeCommand> c) { [c setComputePipelineState:plain]; },
            ^(id<MTLIndirectComputeCommand> c) { [c setKernelBuffer:x offset:0 atIndex:2]; },
            ^(id<MTLIndirectComputeCommand> c) { [c setKernelBuffer:x offset:17 atIndex:0]; },
            ^(id<MTLIndirectComputeCommand> c) { [c setKernelBuffer:(id)@"x" offset:0 atIndex:0]; },
            ^(id<MTLIndirectComputeCommand> c) {
                [c concurrentDispatchThreads:ONE threadsPerThreadgroup:MTLSizeMake(64, 64, 1)];
            },
            ^(id<MTLIndirectComputeCommand> c) { [c setThreadgroupMemoryLength:16 atIndex:31]; },
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) @autoreleasepool {
        id<MTLIndirectCommandBuffer> icb = commands_for(1, NO, NO);
        id<MTLIndirectComputeCommand> c = [icb indirectComputeCommandAtIndex:0];
        [c setComputePipelineState:state];
        [c setKernelBuffer:x offset:0 atIndex:0];
        [c setKernelBuffer:x offset:4 atIndex:1];
        [c concurrentDispatchThreads:ONE threadsPerThreadgroup:ONE];
        wrong[i](c);
        fails(call, @"", ^(id<MTLComputeCommandEncoder> e) {
            [e executeCommandsInBuffer:icb withRange:NSMakeRange(0, 1)];
        });
    }
    id<MTLIndirectCommandBuffer> icb = commands_for(2, NO, NO);
    CHECK(![icb indirectComputeCommandAtIndex:2]);
    fails(call, @"commands 1 + 2 are past the last of 2", ^(id<MTLComputeCommandEncoder> e) {
        [e executeCommandsInBuffer:icb withRange:NSMakeRange(1, 2)];
    });
    fails(call, @"not an indirect command buffer", ^(id<MTLComputeCommandEncoder> e) {
        [e executeCommandsInBuffer:(id)x withRange:NSMakeRange(0, 1)];
    });
    /* Commands that were reset are skipped. */
    CHECK_DONE(run(^(id<MTLComputeCommandEncoder> e) {
        [e executeCommandsInBuffer:icb withRange:NSMakeRange(0, 2)];
    }));
}

/* Commands that add 1 to one word each; which of them run, a buffer says, which a kernel of the same
 * command buffer may have written. Blits reset and copy commands. */
static void test_ranges(void)
{
    enum { N = 8 };
    MTLComputePipelineDescriptor *d = [MTLComputePipelineDescriptor new];
    id<MTLLibrary> both = library_from(
            @"kernel void one(device uint *x [[buffer(0)]]) { x[0]++; }\n"
             "kernel void range(device uint *x [[buffer(0)]]) { x[2] = 3; x[3] = 4; }", nil);
    d.computeFunction = [both newFunctionWithName:@"one"];
    d.supportIndirectCommandBuffers = YES;
    id<MTLComputePipelineState> one =
            [device newComputePipelineStateWithDescriptor:d options:0 reflection:nil error:nil];
    id<MTLComputePipelineState> write_range = pipeline_of(both, @"range");
    id<MTLBuffer> x = [device newBufferWithLength:4 * N options:0];
    id<MTLBuffer> range = [device newBufferWithLength:16 options:0];
    uint32_t *p = x.contents;
    id<MTLIndirectCommandBuffer> icb = commands_for(N, NO, NO), other = commands_for(N, NO, NO);
    for (NSUInteger i = 0; i < N; i++) {
        id<MTLIndirectComputeCommand> c = [icb indirectComputeCommandAtIndex:i];
        [c setComputePipelineState:one];
        [c setKernelBuffer:x offset:4 * i atIndex:0];
        [c concurrentDispatchThreads:ONE threadsPerThreadgroup:ONE];
    }
    CHECK_DONE(run(^(id<MTLComputeCommandEncoder> e) {
        [e setComputePipelineState:write_range];
        [e setBuffer:range offset:0 atIndex:0];
        [e dispatchThreads:ONE threadsPerThreadgroup:ONE];
        [e executeCommandsInBuffer:icb indirectBuffer:range indirectBufferOffset:8];
        [e executeCommandsInBuffer:icb indirectBuffer:range indirectBufferOffset:0]; /* none */
    }));
    for (uint32_t i = 0; i < N; i++)
        CHECK(p[i] == (i >= 3 && i < 7));
    /* More than there are: those that are. */
    ((uint32_t *)range.contents)[0] = 6;
    ((uint32_t *)range.contents)[1] = UINT32_MAX;
    CHECK_DONE(run(^(id<MTLComputeCommandEncoder> e) {
        [e executeCommandsInBuffer:icb indirectBuffer:range indirectBufferOffset:0];
    }));
    CHECK(p[5] == 1 && p[6] == 2 && p[7] == 1);
    NSString *call = @"executeCommandsInBuffer:indirectBuffer:indirectBufferOffset:";
    for (NSNumber *offset in @[ @2, @12, @(UINT64_MAX - 3) ])
        fails(call, [NSString stringWithFormat:@"offset %@", offset],
                ^(id<MTLComputeCommandEncoder> e) {
                    [e executeCommandsInBuffer:icb
                                indirectBuffer:range
                          indirectBufferOffset:offset.unsignedLongValue];
                });

    memset(p, 0, 4 * N);
    id<MTLCommandBuffer> commands = [queue commandBuffer];
    id<MTLBlitCommandEncoder> b = [commands blitCommandEncoder];
    [b copyIndirectCommandBuffer:icb
                     sourceRange:NSMakeRange(2, 3)
                     destination:other
                destinationIndex:4];
    [b resetCommandsInBuffer:icb withRange:NSMakeRange(1, 6)];
    [b optimizeIndirectCommandBuffer:icb withRange:NSMakeRange(0, N)];
    [b endEncoding];
    id<MTLComputeCommandEncoder> e = [commands computeCommandEncoder];
    [e executeCommandsInBuffer:icb withRange:NSMakeRange(0, N)];
    [e executeCommandsInBuffer:other withRange:NSMakeRange(0, N)];
    [e endEncoding];
    [commands commit];
    CHECK_DONE(commands);
    const uint32_t expected[N] = {1, 0, 1, 1, 1, 0, 0, 1};
    CHECK(memcmp(p, expected, sizeof expected) == 0);
    commands = [queue commandBuffer];
    b = [commands blitCommandEncoder];
    [b copyIndirectCommandBuffer:icb
                     sourceRange:NSMakeRange(0, 5)
                     destination:other
                destinationIndex:4];
    [b endEncoding];
    [commands commit];
    [commands waitUntilCompleted];
    CHECK([commands.error.localizedDescription containsString:@"commands 4 + 5 are past the last"]);
}

static void test_threadgroup_memory(void)
{
    enum { N = 64 };
    id<MTLBuffer> x = [device newBufferWithLength:4 * 2 * N options:0];
    uint32_t *p = x.contents;
    id<MTLComputePipelineState> state = pipeline_of(library, @"rotate_left");
    CHECK(state.staticThreadgroupMemoryLength == 0);
    for (uint32_t i = 0; i < 2 * N; i++)
        p[i] = i;
    CHECK_DONE(run(^(id<MTLComputeCommandEncoder> e) {
        [e setComputePipelineState:state];
        [e setBuffer:x offset:0 atIndex:0];
        [e setThreadgroupMemoryLength:4 * N atIndex:0];
        [e setThreadgroupMemoryLength:4 * N atIndex:3];
        [e dispatchThreads:MTLSizeMake(2 * N, 1, 1) threadsPerThreadgroup:MTLSizeMake(N, 1, 1)];
    }));
    for (uint32_t i = 0; i < 2 * N; i++)
        CHECK(p[i] == i / N * N + (i + 1) % N + 1000 * (N - 1 - i % N));
    fails(@"dispatchThreads", @"", ^(id<MTLComputeCommandEncoder> e) {
        [e setComputePipelineState:state];
        [e setBuffer:x offset:0 atIndex:0];
        [e setThreadgroupMemoryLength:device.maxThreadgroupMemoryLength atIndex:0];
        [e setThreadgroupMemoryLength:16 atIndex:3];
        [e dispatchThreads:ONE threadsPerThreadgroup:ONE];
    });
}

/* All that setBytes: takes, several times in one encoder, each its own. */
static void test_bytes(void)
{
    enum { WORDS = 1024, TIMES = 40 };
    id<MTLBuffer> out = [device newBufferWithLength:4 * TIMES options:0];
    id<MTLComputePipelineState> state = pipeline_of(library, @"sum");
    CHECK_DONE(run(^(id<MTLComputeCommandEncoder> e) {
        [e setComputePipelineState:state];
        for (uint32_t t = 0; t < TIMES; t++) {
            uint32_t words[WORDS], n = WORDS;
            for (uint32_t i = 0; i < WORDS; i++)
                words[i] = i * t;
            [e setBytes:words length:sizeof words atIndex:0];
            if (t == 0)
                [e setBuffer:out offset:0 atIndex:1];
            else
                [e setBufferOffset:4 * t atIndex:1];
            [e setBytes:&n length:4 atIndex:2];
            [e dispatchThreads:ONE threadsPerThreadgroup:ONE];
            memset(words, 0xee, sizeof words);
        }
    }));
    for (uint32_t t = 0; t < TIMES; t++)
        CHECK(((uint32_t *)out.contents)[t] == WORDS * (WORDS - 1) / 2 * t);
}

int main(void)
{
    static const struct test tests[] = {{"library", make_library}, {"grid", test_grid},
            {"wrong grids", test_wrong_grids}, {"inherit", test_inherit},
            {"wrong commands", test_wrong_commands}, {"ranges", test_ranges},
            {"threadgroup memory", test_threadgroup_memory}, {"bytes", test_bytes}};
    return run_tests(tests, sizeof tests / sizeof *tests);
}
