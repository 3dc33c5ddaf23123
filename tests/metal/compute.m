/* Compute through Apple's API, as a program on a Mac would write it: Objective-C with ARC, against a
 * real worker. Every result is compared with what the processor computes. */
#import "program.h"

#include <stdatomic.h>
#include <sys/mman.h>
#include <unistd.h>

static NSString *const source = @""
    "#include <metal_stdlib>\n"
    "using namespace metal;\n"
    "kernel void add(device const float *a [[buffer(0)]], device const float *b [[buffer(1)]],\n"
    "        device float *c [[buffer(2)]], uint i [[thread_position_in_grid]])\n"
    "{ c[i] = a[i] + b[i]; }\n"
    "kernel void scale(device float *x [[buffer(0)]], constant float &k [[buffer(1)]],\n"
    "        uint i [[thread_position_in_grid]]) { x[i] *= k; }\n"
    "kernel void sum(device const uint *x [[buffer(0)]], device uint *out [[buffer(1)]],\n"
    "        threadgroup uint *part [[threadgroup(0)]], uint i [[thread_position_in_grid]],\n"
    "        uint t [[thread_position_in_threadgroup]], uint g [[threadgroup_position_in_grid]],\n"
    "        uint n [[threads_per_threadgroup]])\n"
    "{ part[t] = x[i]; threadgroup_barrier(mem_flags::mem_threadgroup);\n"
    "  for (uint s = n / 2; s; s /= 2) { if (t < s) part[t] += part[t + s];\n"
    "    threadgroup_barrier(mem_flags::mem_threadgroup); }\n"
    "  if (t == 0) out[g] = part[0]; }\n"
    "kernel void count(device atomic_uint *n [[buffer(0)]], uint i [[thread_position_in_grid]])\n"
    "{ atomic_fetch_add_explicit(n, 1, memory_order_relaxed); }\n"
    "constant int factor [[function_constant(0)]];\n"
    "constant bool negate [[function_constant(1)]];\n"
    "kernel void constants(device int *x [[buffer(0)]], uint i [[thread_position_in_grid]])\n"
    "{ x[i] = negate ? -x[i] * factor : x[i] * factor; }\n"
    "struct Table { device float *rows[4]; };\n"
    "kernel void gather(constant Table &t [[buffer(0)]], device float *out [[buffer(1)]],\n"
    "        uint i [[thread_position_in_grid]]) { out[i] = t.rows[i][i]; }\n";

static id<MTLLibrary> library;

static id<MTLComputePipelineState> pipeline(NSString *name)
{
    NSError *error = nil;
    id<MTLFunction> function = [library newFunctionWithName:name];
    CHECK(function);
    id<MTLComputePipelineState> state = [device newComputePipelineStateWithFunction:function
                                                                              error:&error];
    CHECK(state && !error);
    return state;
}

static id<MTLBuffer> floats(NSUInteger count, float start)
{
    id<MTLBuffer> buffer = [device newBufferWithLength:count * sizeof(float)
                                               options:MTLResourceStorageModeShared];
    CHECK(buffer);
    float *p = buffer.contents;
    for (NSUInteger i = 0; i < count; i++)
        p[i] = start + (float)i;
    return buffer;
}

static void test_add(void)
{
    enum { N = 1000 };
    id<MTLBuffer> a = floats(N, 0), b = floats(N, 5), c = floats(N, 0);
    id<MTLCommandBuffer> commands = [queue commandBuffer];
    commands.label = @"add";
    id<MTLComputeCommandEncoder> encoder = [commands computeCommandEncoder];
    [encoder setComputePipelineState:pipeline(@"add")];
    [encoder setBuffer:a offset:0 atIndex:0];
    [encoder setBuffer:b offset:0 atIndex:1];
    [encoder setBuffer:c offset:0 atIndex:2];
    [encoder dispatchThreads:MTLSizeMake(N, 1, 1) threadsPerThreadgroup:MTLSizeMake(64, 1, 1)];
    [encoder endEncoding];
    [commands commit];
    CHECK_DONE(commands);
    for (int i = 0; i < N; i++)
        CHECK(((float *)c.contents)[i] == 2.0f * (float)i + 5);
    CHECK(commands.GPUEndTime >= commands.GPUStartTime && commands.GPUStartTime > 0);
}

static void test_threadgroups(void)
{
    enum { N = 4096, G = 256 };
    id<MTLBuffer> x = [device newBufferWithLength:N * 4 options:0];
    id<MTLBuffer> out = [device newBufferWithLength:N / G * 4 options:0];
    id<MTLBuffer> n = [device newBufferWithLength:4 options:0];
    for (uint32_t i = 0; i < N; i++)
        ((uint32_t *)x.contents)[i] = i;
    /* What the command buffer does not retain is ours to keep. */
    __attribute__((objc_precise_lifetime)) id<MTLComputePipelineState> sum = pipeline(@"sum");
    __attribute__((objc_precise_lifetime)) id<MTLComputePipelineState> count = pipeline(@"count");
    id<MTLCommandBuffer> commands = [queue commandBufferWithUnretainedReferences];
    id<MTLComputeCommandEncoder> encoder = [commands computeCommandEncoder];
    [encoder setComputePipelineState:sum];
    [encoder setBuffer:x offset:0 atIndex:0];
    [encoder setBuffer:out offset:0 atIndex:1];
    [encoder setThreadgroupMemoryLength:G * 4 atIndex:0];
    [encoder dispatchThreadgroups:MTLSizeMake(N / G, 1, 1)
            threadsPerThreadgroup:MTLSizeMake(G, 1, 1)];
    [encoder setComputePipelineState:count];
    [encoder setBuffer:n offset:0 atIndex:0];
    [encoder dispatchThreads:MTLSizeMake(777, 1, 1) threadsPerThreadgroup:MTLSizeMake(32, 1, 1)];
    [encoder endEncoding];
    [commands commit];
    CHECK_DONE(commands);
    for (uint32_t g = 0; g < N / G; g++)
        CHECK(((uint32_t *)out.contents)[g] == g * G * G + G * (G - 1) / 2);
    CHECK(*(uint32_t *)n.contents == 777);
}

/* Private memory, filled and read through copies; several encoders; a fence between them. */
static void test_blits(void)
{
    enum { N = 5000 };
    id<MTLBuffer> private = [device newBufferWithLength:N * 4 options:MTLResourceStorageModePrivate];
    id<MTLBuffer> in = floats(N, 1), out = floats(N, 0);
    id<MTLFence> fence = [device newFence];
    id<MTLCommandBuffer> commands = [queue commandBuffer];
    id<MTLBlitCommandEncoder> blit = [commands blitCommandEncoder];
    [blit copyFromBuffer:in sourceOffset:0 toBuffer:private destinationOffset:0 size:N * 4];
    [blit fillBuffer:out range:NSMakeRange(8, 100) value:0xff];
    [blit updateFence:fence];
    [blit endEncoding];
    float k = 3;
    id<MTLComputeCommandEncoder> encoder = [commands
            computeCommandEncoderWithDispatchType:MTLDispatchTypeConcurrent];
    [encoder waitForFence:fence];
    [encoder setComputePipelineState:pipeline(@"scale")];
    [encoder setBuffer:private offset:0 atIndex:0];
    [encoder setBytes:&k length:sizeof k atIndex:1];
    [encoder dispatchThreads:MTLSizeMake(N, 1, 1) threadsPerThreadgroup:MTLSizeMake(128, 1, 1)];
    [encoder memoryBarrierWithScope:MTLBarrierScopeBuffers];
    [encoder setBufferOffset:400 atIndex:0];
    [encoder dispatchThreads:MTLSizeMake(10, 1, 1) threadsPerThreadgroup:MTLSizeMake(10, 1, 1)];
    [encoder endEncoding];
    blit = [commands blitCommandEncoder];
    [blit copyFromBuffer:private sourceOffset:0 toBuffer:out destinationOffset:0 size:N * 4];
    [blit endEncoding];
    [commands commit];
    CHECK_DONE(commands);
    for (int i = 0; i < N; i++)
        CHECK(((float *)out.contents)[i] == (float)(i + 1) * (i >= 100 && i < 110 ? 9 : 3));
}

static void test_constants(void)
{
    MTLFunctionConstantValues *values = [MTLFunctionConstantValues new];
    int factor = 7;
    bool negate = true;
    [values setConstantValue:&factor type:MTLDataTypeInt atIndex:0];
    [values setConstantValue:&negate type:MTLDataTypeBool withName:@"negate"];
    NSError *error = nil;
    id<MTLFunction> function = [library newFunctionWithName:@"constants"
                                             constantValues:values
                                                      error:&error];
    CHECK(function && !error);
    MTLComputePipelineDescriptor *descriptor = [MTLComputePipelineDescriptor new];
    descriptor.computeFunction = function;
    descriptor.label = @"constants";
    descriptor.maxTotalThreadsPerThreadgroup = 128;
    MTLComputePipelineReflection *reflection = nil;
    id<MTLComputePipelineState> state =
            [device newComputePipelineStateWithDescriptor:descriptor
                                                  options:MTLPipelineOptionArgumentInfo
                                               reflection:&reflection
                                                    error:&error];
    CHECK(state && [state.label isEqualToString:@"constants"]);
    CHECK(state.maxTotalThreadsPerThreadgroup == 128);
    CHECK(reflection.bindings.count == 1);
    id<MTLBufferBinding> binding = (id<MTLBufferBinding>)reflection.bindings[0];
    CHECK([binding.name isEqualToString:@"x"] && binding.index == 0);
    CHECK(binding.type == MTLBindingTypeBuffer && binding.bufferDataSize == 4);
    id<MTLBuffer> x = [device newBufferWithLength:40 options:0];
    for (int i = 0; i < 10; i++)
        ((int *)x.contents)[i] = i;
    id<MTLCommandBuffer> commands = [queue commandBuffer];
    id<MTLComputeCommandEncoder> encoder = [commands computeCommandEncoder];
    [encoder setComputePipelineState:state];
    [encoder setBuffer:x offset:0 atIndex:0];
    [encoder dispatchThreads:MTLSizeMake(10, 1, 1) threadsPerThreadgroup:MTLSizeMake(10, 1, 1)];
    [encoder endEncoding];
    [commands commit];
    CHECK_DONE(commands);
    for (int i = 0; i < 10; i++)
        CHECK(((int *)x.contents)[i] == -7 * i);
    /* A needed constant is missing: an error where the pipeline is made. */
    function = [library newFunctionWithName:@"constants"];
    state = [device newComputePipelineStateWithFunction:function error:&error];
    CHECK(!state && error);
}

static void test_indirect(void)
{
    enum { N = 4 };
    MTLIndirectCommandBufferDescriptor *d = [MTLIndirectCommandBufferDescriptor new];
    d.commandTypes = MTLIndirectCommandTypeConcurrentDispatch;
    d.inheritBuffers = NO;
    d.inheritPipelineState = NO;
    d.maxKernelBufferBindCount = 8;
    id<MTLIndirectCommandBuffer> icb = [device newIndirectCommandBufferWithDescriptor:d
                                                                      maxCommandCount:N
                                                                              options:0];
    CHECK(icb);
    MTLComputePipelineDescriptor *p = [MTLComputePipelineDescriptor new];
    p.computeFunction = [library newFunctionWithName:@"scale"];
    p.supportIndirectCommandBuffers = YES;
    id<MTLComputePipelineState> state =
            [device newComputePipelineStateWithDescriptor:p options:0 reflection:nil error:nil];
    CHECK(state.supportIndirectCommandBuffers);
    id<MTLBuffer> x = floats(16, 1), k = floats(N, 2); /* factors 2, 3, 4, 5 */
    for (NSUInteger i = 0; i < N; i++) {
        id<MTLIndirectComputeCommand> command = [icb indirectComputeCommandAtIndex:i];
        [command setComputePipelineState:state];
        [command setKernelBuffer:x offset:0 atIndex:0];
        [command setKernelBuffer:k offset:i * 4 atIndex:1];
        [command concurrentDispatchThreadgroups:MTLSizeMake(1, 1, 1)
                          threadsPerThreadgroup:MTLSizeMake(16, 1, 1)];
        [command setBarrier];
    }
    float expected = 1;
    for (int run = 0; run < 2; run++) {
        id<MTLCommandBuffer> commands = [queue commandBuffer];
        id<MTLComputeCommandEncoder> encoder = [commands computeCommandEncoder];
        [encoder useResource:x usage:MTLResourceUsageRead | MTLResourceUsageWrite];
        [encoder useResource:k usage:MTLResourceUsageRead];
        [encoder executeCommandsInBuffer:icb withRange:NSMakeRange(0, N)];
        [encoder endEncoding];
        [commands commit];
        CHECK_DONE(commands);
        expected *= 2 * 3 * 4 * 5;
        for (int i = 0; i < 16; i++)
            CHECK(((float *)x.contents)[i] == expected * (float)(i + 1));
    }
    [icb resetWithRange:NSMakeRange(0, 3)]; /* only the last one is left */
    id<MTLCommandBuffer> commands = [queue commandBuffer];
    id<MTLComputeCommandEncoder> encoder = [commands computeCommandEncoder];
    [encoder useResource:x usage:MTLResourceUsageWrite];
    [encoder executeCommandsInBuffer:icb withRange:NSMakeRange(0, N)];
    [encoder endEncoding];
    [commands commit];
    CHECK_DONE(commands);
    CHECK(((float *)x.contents)[1] == expected * 2 * 5);
    /* The grid from a buffer. */
    id<MTLBuffer> grid = [device newBufferWithBytes:(uint32_t[3]){2, 1, 1} length:12 options:0];
    id<MTLBuffer> n = [device newBufferWithLength:4 options:0];
    commands = [queue commandBuffer];
    encoder = [commands computeCommandEncoder];
    [encoder setComputePipelineState:pipeline(@"count")];
    [encoder setBuffer:n offset:0 atIndex:0];
    [encoder dispatchThreadgroupsWithIndirectBuffer:grid
                               indirectBufferOffset:0
                              threadsPerThreadgroup:MTLSizeMake(33, 1, 1)];
    [encoder endEncoding];
    [commands commit];
    CHECK_DONE(commands);
    CHECK(*(uint32_t *)n.contents == 66);
}

static id<MTLCommandBuffer> counting(id<MTLCommandQueue> on, id<MTLBuffer> n)
{
    id<MTLCommandBuffer> commands = [on commandBuffer];
    id<MTLComputeCommandEncoder> encoder = [commands computeCommandEncoder];
    [encoder setComputePipelineState:pipeline(@"count")];
    [encoder setBuffer:n offset:0 atIndex:0];
    [encoder dispatchThreads:MTLSizeMake(1, 1, 1) threadsPerThreadgroup:MTLSizeMake(1, 1, 1)];
    [encoder endEncoding];
    return commands;
}

/* Two queues and the processor take turns. */
static void test_events(void)
{
    id<MTLSharedEvent> event = [device newSharedEvent];
    id<MTLCommandQueue> other = [device newCommandQueue];
    id<MTLBuffer> n = [device newBufferWithLength:4 options:0];
    id<MTLCommandBuffer> waits = [other commandBuffer];
    [waits encodeWaitForEvent:event value:2];
    [waits encodeSignalEvent:event value:3];
    [waits commit];
    id<MTLCommandBuffer> signals = [queue commandBuffer];
    [signals encodeWaitForEvent:event value:1];
    [signals encodeSignalEvent:event value:2];
    [signals commit];
    usleep(3000);
    CHECK(event.signaledValue == 0 && waits.status < MTLCommandBufferStatusCompleted);
    CHECK(![event waitUntilSignaledValue:1 timeoutMS:3]);
    __block _Atomic int called = 0;
    dispatch_semaphore_t told = dispatch_semaphore_create(0);
    MTLSharedEventListener *listener = [MTLSharedEventListener new];
    [event notifyListener:listener
                  atValue:3
                    block:^(id<MTLSharedEvent> e, uint64_t value) {
                        if (value >= 3)
                            atomic_fetch_add(&called, 1);
                        dispatch_semaphore_signal(told);
                    }];
    MTLSharedEventHandle *handle = [event newSharedEventHandle];
    id<MTLSharedEvent> same = [device newSharedEventWithHandle:handle];
    CHECK(handle && same && same.signaledValue == 0);
    same.signaledValue = 1;
    CHECK([event waitUntilSignaledValue:3 timeoutMS:5000]);
    CHECK_DONE(waits);
    CHECK_DONE(signals);
    CHECK(dispatch_semaphore_wait(told, dispatch_time(DISPATCH_TIME_NOW, 5000000000ll)) == 0);
    CHECK(atomic_load(&called) == 1);
    /* The order of one queue. */
    for (int i = 0; i < 100; i++)
        [counting(queue, n) commit];
    id<MTLCommandBuffer> last = counting(queue, n);
    __block int seen = -1;
    [last addCompletedHandler:^(id<MTLCommandBuffer> buffer) {
        seen = (int)*(uint32_t *)n.contents;
    }];
    [last commit];
    CHECK_DONE(last);
    CHECK(seen == 101);
}

static void test_no_copy(void)
{
    size_t bytes = 8 * (size_t)getpagesize();
    float *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    p[10] = 4;
    __block void *freed = NULL;
    @autoreleasepool {
        id<MTLBuffer> buffer =
                [device newBufferWithBytesNoCopy:p
                                          length:bytes
                                         options:MTLResourceStorageModeShared
                                     deallocator:^(void *pointer, NSUInteger length) {
                                         freed = pointer;
                                         munmap(pointer, length);
                                     }];
        CHECK(buffer && buffer.contents == p && p[10] == 4);
        p[11] = 5; /* without notice, as ggml does */
        float k = 2;
        id<MTLCommandBuffer> commands = [queue commandBuffer];
        id<MTLComputeCommandEncoder> encoder = [commands computeCommandEncoder];
        [encoder setComputePipelineState:pipeline(@"scale")];
        [encoder setBuffer:buffer offset:0 atIndex:0];
        [encoder setBytes:&k length:sizeof k atIndex:1];
        [encoder dispatchThreads:MTLSizeMake(20, 1, 1) threadsPerThreadgroup:MTLSizeMake(20, 1, 1)];
        [encoder endEncoding];
        [commands commit];
        CHECK_DONE(commands);
        CHECK(p[10] == 8 && p[11] == 10 && !freed);
    }
    CHECK(freed == p);
}

static void test_heaps(void)
{
    MTLHeapDescriptor *d = [MTLHeapDescriptor new];
    d.size = 1 << 20;
    d.storageMode = MTLStorageModeShared;
    d.type = MTLHeapTypePlacement;
    id<MTLHeap> heap = [device newHeapWithDescriptor:d];
    CHECK(heap.size >= 1 << 20);
    id<MTLBuffer> a = [heap newBufferWithLength:4096 options:0 offset:0];
    id<MTLBuffer> b = [heap newBufferWithLength:4096 options:0 offset:2048]; /* they overlap */
    CHECK(a && b && a.heap == heap && b.heapOffset == 2048);
    ((float *)a.contents)[512] = 21;
    float k = 2;
    id<MTLCommandBuffer> commands = [queue commandBuffer];
    id<MTLComputeCommandEncoder> encoder = [commands computeCommandEncoder];
    [encoder useHeap:heap];
    [encoder setComputePipelineState:pipeline(@"scale")];
    [encoder setBuffer:b offset:0 atIndex:0];
    [encoder setBytes:&k length:sizeof k atIndex:1];
    [encoder dispatchThreads:MTLSizeMake(1, 1, 1) threadsPerThreadgroup:MTLSizeMake(1, 1, 1)];
    [encoder endEncoding];
    [commands commit];
    CHECK_DONE(commands);
    CHECK(((float *)a.contents)[512] == 42 && ((float *)b.contents)[0] == 42);
}

/* Addresses in memory: argument buffers as Metal 3 has them. */
static void test_addresses(void)
{
    id<MTLBuffer> rows[4], out = floats(4, 0);
    id<MTLBuffer> table = [device newBufferWithLength:32 options:0];
    id<MTLCommandBuffer> commands = [queue commandBuffer];
    id<MTLComputeCommandEncoder> encoder = [commands computeCommandEncoder];
    for (int i = 0; i < 4; i++) {
        rows[i] = floats(4, (float)(100 * i));
        ((uint64_t *)table.contents)[i] = rows[i].gpuAddress;
        [encoder useResource:rows[i] usage:MTLResourceUsageRead];
    }
    [encoder setComputePipelineState:pipeline(@"gather")];
    [encoder setBuffer:table offset:0 atIndex:0];
    [encoder setBuffer:out offset:0 atIndex:1];
    [encoder dispatchThreads:MTLSizeMake(4, 1, 1) threadsPerThreadgroup:MTLSizeMake(4, 1, 1)];
    [encoder endEncoding];
    [commands commit];
    CHECK_DONE(commands);
    for (int i = 0; i < 4; i++)
        CHECK(((float *)out.contents)[i] == (float)(101 * i));
}

static void test_errors(void)
{
    NSError *error = nil;
    id<MTLLibrary> bad = [device
            newLibraryWithSource:@"#include <metal_stdlib>\nkernel void f(device int *x) { x = y; }\n"
                         options:nil
                           error:&error];
    CHECK(!bad && error.code == MTLLibraryErrorCompileFailure);
    CHECK([error.domain isEqualToString:MTLLibraryErrorDomain]);
    if (![error.localizedDescription containsString:@":2:"] ||
            ![error.localizedDescription containsString:@"'y'"])
        fprintf(stderr, "%s\n", error.localizedDescription.UTF8String);
    CHECK([error.localizedDescription containsString:@":2:"]);
    CHECK([error.localizedDescription containsString:@"'y'"]);
    __block id<MTLLibrary> made = nil;
    dispatch_semaphore_t done = dispatch_semaphore_create(0);
    [device newLibraryWithSource:@"kernel void g(device int *x [[buffer(0)]]) { x[0] = 1; }"
                         options:nil
               completionHandler:^(id<MTLLibrary> result, NSError *why) {
                   made = result;
                   dispatch_semaphore_signal(done);
               }];
    dispatch_semaphore_wait(done, DISPATCH_TIME_FOREVER);
    CHECK(made.functionNames.count == 1 && [made.functionNames[0] isEqualToString:@"g"]);
    /* Released before it ran, and not retained: an error with words, not a crash. */
    id<MTLBuffer> n = [device newBufferWithLength:4 options:0];
    id<MTLCommandBuffer> commands = [queue commandBufferWithUnretainedReferences];
    id<MTLComputeCommandEncoder> encoder = [commands computeCommandEncoder];
    [encoder setComputePipelineState:pipeline(@"count")];
    [encoder setBuffer:n offset:0 atIndex:0];
    n = nil;
    [encoder dispatchThreads:MTLSizeMake(1, 1, 1) threadsPerThreadgroup:MTLSizeMake(1, 1, 1)];
    [encoder endEncoding];
    [commands commit];
    [commands waitUntilCompleted];
    CHECK(commands.status == MTLCommandBufferStatusError && commands.error);
    CHECK([commands.error.domain isEqualToString:MTLCommandBufferErrorDomain]);
    CHECK([commands.error.localizedDescription containsString:@"released"]);
    test_add(); /* and everything goes on */
}

static void test_threads(void)
{
    id<MTLBuffer> n = [device newBufferWithLength:4 options:0];
    id<MTLComputePipelineState> state = pipeline(@"count");
    dispatch_apply(8, dispatch_get_global_queue(0, 0), ^(size_t t) {
        for (int i = 0; i < 50; i++) @autoreleasepool {
            id<MTLCommandBuffer> commands = [queue commandBuffer];
            id<MTLComputeCommandEncoder> encoder = [commands computeCommandEncoder];
            [encoder setComputePipelineState:state];
            [encoder setBuffer:n offset:0 atIndex:0];
            [encoder dispatchThreads:MTLSizeMake(3, 1, 1)
                    threadsPerThreadgroup:MTLSizeMake(1, 1, 1)];
            [encoder endEncoding];
            [commands commit];
            if (i % 10 == 9)
                CHECK_DONE(commands);
        }
    });
    id<MTLCommandBuffer> last = counting(queue, n);
    [last commit];
    CHECK_DONE(last);
    CHECK(*(uint32_t *)n.contents == 8 * 50 * 3 + 1);
}

static void test_required_threads(void)
{
    NSError *error = nil;
    NSString *text = @"[[required_threads_per_threadgroup(4, 2, 1)]] kernel void small(device int *x) {}\n"
                      "kernel void any(device int *x) {}\n";
    MTLCompileOptions *options = [MTLCompileOptions new];
    options.languageVersion = MTLLanguageVersion4_0;
    id<MTLLibrary> made = [device newLibraryWithSource:text options:options error:&error];
    if (!made)
        fprintf(stderr, "%s\n", error.localizedDescription.UTF8String);
    CHECK(made);
    id<MTLComputePipelineState> small =
            [device newComputePipelineStateWithFunction:[made newFunctionWithName:@"small"] error:&error];
    id<MTLComputePipelineState> any =
            [device newComputePipelineStateWithFunction:[made newFunctionWithName:@"any"] error:&error];
    MTLSize required = small.requiredThreadsPerThreadgroup;
    CHECK(required.width == 4 && required.height == 2 && required.depth == 1);
    CHECK(any.requiredThreadsPerThreadgroup.width == 0);
    CHECK(any.shaderValidation == MTLShaderValidationDisabled);
}

/* A family comes with those that no Mac has it without. */
static void test_families(void)
{
    for (NSInteger f = MTLGPUFamilyApple2; f <= MTLGPUFamilyApple10; f++)
        CHECK(![device supportsFamily:(MTLGPUFamily)f] || [device supportsFamily:(MTLGPUFamily)(f - 1)]);
    CHECK([device supportsFamily:MTLGPUFamilyCommon3] || ![device supportsFamily:MTLGPUFamilyMac2]);
    if ([device supportsFamily:MTLGPUFamilyApple7])
        CHECK([device supportsFamily:MTLGPUFamilyMac2] && [device supportsFamily:MTLGPUFamilyMetal3]);
    CHECK(![device supportsFamily:MTLGPUFamilyMetal4] || [device supportsFamily:MTLGPUFamilyMetal3]);
}

/* What a source sees of its language version and math mode. */
static void test_source_macros(void)
{
    NSString *text = @"kernel void see(device int *x [[buffer(0)]])\n{\n    x[0] = __METAL_VERSION__;\n"
                      "#if defined(__FAST_MATH__) && __FAST_MATH__ == 1\n    x[1] = 1;\n"
                      "#elif defined(__FAST_MATH__)\n    x[1] = 2;\n#endif\n}\n";
    const struct {
        MTLLanguageVersion version;
        MTLMathMode mode;
        int number, fast;
    } rows[] = {{MTLLanguageVersion3_0, MTLMathModeFast, 300, 1},
            {MTLLanguageVersion3_2, MTLMathModeSafe, 320, 0},
            {MTLLanguageVersion4_0, MTLMathModeFast, 400, 1},
            {MTLLanguageVersion4_0, MTLMathModeRelaxed, 400, 0}};
    id<MTLBuffer> x = [device newBufferWithLength:8 options:0];
    int *values = x.contents;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        MTLCompileOptions *options = [MTLCompileOptions new];
        options.languageVersion = rows[i].version;
        options.mathMode = rows[i].mode;
        NSError *error = nil;
        id<MTLLibrary> made = [device newLibraryWithSource:text options:options error:&error];
        if (!made)
            fprintf(stderr, "%s\n", error.localizedDescription.UTF8String);
        CHECK(made);
        id<MTLComputePipelineState> state =
                [device newComputePipelineStateWithFunction:[made newFunctionWithName:@"see"]
                                                      error:&error];
        CHECK(state);
        values[0] = values[1] = 0;
        id<MTLCommandBuffer> commands = [queue commandBuffer];
        id<MTLComputeCommandEncoder> e = [commands computeCommandEncoder];
        [e setComputePipelineState:state];
        [e setBuffer:x offset:0 atIndex:0];
        [e dispatchThreads:MTLSizeMake(1, 1, 1) threadsPerThreadgroup:MTLSizeMake(1, 1, 1)];
        [e endEncoding];
        [commands commit];
        CHECK_DONE(commands);
        CHECK(values[0] == rows[i].number && values[1] == rows[i].fast);
    }
    MTLCompileOptions *options = [MTLCompileOptions new];
    options.languageVersion = MTLLanguageVersion4_0 + 1;
    NSError *error = nil;
    CHECK(![device newLibraryWithSource:text options:options error:&error]);
    CHECK([error.localizedDescription containsString:@"language version 4.1"]);
}

/* Grids are rounded up to whole threadgroups, and kernels of many programs do not look: what lies behind
 * a buffer reads as 0, and what is written there changes no other buffer. */
static void test_rounded_up(void)
{
    id<MTLComputePipelineState> sum = pipeline_of(
            library_from(@"using namespace metal;\n"
                          "kernel void sum(device uint *x, volatile device atomic_uint *s,\n"
                          "        uint i [[thread_position_in_grid]])\n"
                          "{ atomic_fetch_add_explicit(s, x[i], memory_order_relaxed); x[i] = 7; }\n",
                    nil),
            @"sum");
    for (NSUInteger count = 64; count <= 1 << 20; count *= 4) {
        uint32_t ones[1024], *all = malloc(count * 4), zero = 0;
        for (NSUInteger i = 0; i < count; i++)
            all[i] = 1;
        memset(ones, 1, sizeof ones);
        id<MTLBuffer> x = [device newBufferWithBytes:all length:count * 4 options:0];
        id<MTLBuffer> total = [device newBufferWithBytes:&zero length:4 options:0];
        id<MTLBuffer> other = [device newBufferWithBytes:ones length:sizeof ones options:0];
        CHECK_DONE(run(^(id<MTLComputeCommandEncoder> e) {
            [e setComputePipelineState:sum];
            [e setBuffer:x offset:0 atIndex:0];
            [e setBuffer:total offset:0 atIndex:1];
            [e dispatchThreadgroups:MTLSizeMake(count / 16 + 1, 1, 1)
                    threadsPerThreadgroup:MTLSizeMake(16, 1, 1)];
        }));
        CHECK(*(uint32_t *)total.contents == count);
        CHECK(!memcmp(other.contents, ones, sizeof ones));
        free(all);
    }
}

int main(void)
{
    @autoreleasepool {
        device = MTLCreateSystemDefaultDevice();
        CHECK(device);
        NSError *error = nil;
        library = [device newLibraryWithSource:source options:nil error:&error];
        if (!library)
            fprintf(stderr, "%s\n", error.localizedDescription.UTF8String);
        CHECK(library);
        queue = [device newCommandQueue];
        CHECK(queue.device == device);
        void (*const tests[])(void) = {test_add, test_threadgroups, test_blits, test_constants,
                test_indirect, test_events, test_no_copy, test_heaps, test_addresses, test_errors,
                test_threads, test_required_threads, test_families, test_source_macros, test_rounded_up};
        static const char *const names[] = {"add", "threadgroups", "blits", "constants", "indirect",
                "events", "no copy", "heaps", "addresses", "errors", "threads", "required threads", "families", "source macros", "rounded up"};
        for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
            @autoreleasepool {
                tests[i]();
            }
            printf("%s: ok\n", names[i]);
            fflush(stdout);
        }
    }
    return 0;
}
