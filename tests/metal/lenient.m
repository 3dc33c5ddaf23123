/* What Metal's validation layer objects to and a Mac without it carries on with: the rest of the
 * command buffer runs. With ARCBOX_VALIDATION=1 there is a line for each, without it silence. */
#include <unistd.h>

#include "program.h"

#define ONE MTLSizeMake(1, 1, 1)
#define NONE MTLSizeMake(0, 1, 1)

static NSString *const source = @""
    "kernel void twice(device float *x [[buffer(0)]], constant float &k [[buffer(1)]],\n"
    "        device int *unread [[buffer(2)]], threadgroup float *t [[threadgroup(0)]])\n"
    "{ if (x[0] < 0) x[0] = unread[0]; t[0] = k; x[0] *= t[0]; }\n"
    "kernel void last(device float *x [[buffer(0)]], constant float *k [[buffer(1)]])\n"
    "{ x[0] *= k[1999]; }\n"
    "struct table { uint first; float values[5]; };\n"
    "kernel void looked_up(device float *x [[buffer(0)]], constant table &t [[buffer(1)]],\n"
    "        uint i [[thread_position_in_grid]])\n"
    "{ float v = x[i]; if (v < 0) v = t.values[t.first]; x[i] = 2 * v; }\n";

static id<MTLComputePipelineState> twice, last, looked_up;
static bool validation;
static int real_stderr;

/* What was printed since the last call. */
static NSString *printed(void)
{
    char text[4096] = "";
    fflush(stderr);
    off_t end = lseek(2, 0, SEEK_END);
    ssize_t n = pread(2, text, sizeof text - 1, 0);
    CHECK(end <= (off_t)sizeof text && n >= 0 && ftruncate(2, 0) == 0 && lseek(2, 0, SEEK_SET) == 0);
    dprintf(real_stderr, "%s", text);
    return [NSString stringWithUTF8String:text];
}

/* says: in the line, NULL: nothing is objected to. */
static void is_noted(const char *says)
{
    NSString *text = printed();
    bool right = validation && says
                         ? [text hasPrefix:@"arcbox: Metal validation: "] &&
                                   [text containsString:[NSString stringWithUTF8String:says]]
                         : text.length == 0;
    if (!right)
        dprintf(real_stderr, "'%s' expected: %s\n", says ? says : "", text.UTF8String);
    CHECK(right);
}

/* What is odd comes before a dispatch that doubles 21, or has it doubled. */
static void compute(const char *says, encode_block odd)
{
    @autoreleasepool {
        id<MTLBuffer> x = [device newBufferWithLength:64 options:0];
        ((float *)x.contents)[0] = 21;
        CHECK_DONE(run(^(id<MTLComputeCommandEncoder> e) {
            [e setComputePipelineState:twice];
            [e setBuffer:x offset:0 atIndex:0];
            [e setBytes:&(float){2} length:4 atIndex:1];
            [e setThreadgroupMemoryLength:16 atIndex:0];
            odd(e);
            [e dispatchThreads:ONE threadsPerThreadgroup:ONE];
        }));
        CHECK(((float *)x.contents)[0] == 42);
        is_noted(says);
    }
}

static void compute_encoders(void)
{
    id<MTLBuffer> y = [device newBufferWithLength:64 options:0];
    id<MTLBuffer> nothing = nil;
    id<MTLFence> no_fence = nil;
    compute("setBytes:length:atIndex:]: 0 bytes", ^(id<MTLComputeCommandEncoder> e) {
        [e setBytes:"" length:0 atIndex:1]; /* what was bound stays */
        [e setBytes:"" length:0 atIndex:2];
    });
    compute(NULL, ^(id<MTLComputeCommandEncoder> e) {
        [e setBuffer:y offset:0 atIndex:2];
        [e setBuffer:nothing offset:0 atIndex:2];
        [e setBuffer:nothing offset:77 atIndex:2];
    });
    compute(NULL, ^(id<MTLComputeCommandEncoder> e) { [e setBuffer:y offset:64 atIndex:2]; });
    compute(NULL, ^(id<MTLComputeCommandEncoder> e) {
        [e setBuffer:y offset:0 atIndex:2];
        [e setBufferOffset:64 atIndex:2];
        [e setBufferOffset:4 atIndex:9]; /* where there is none */
    });
    compute("7 is no multiple of 16", ^(id<MTLComputeCommandEncoder> e) {
        [e setThreadgroupMemoryLength:7 atIndex:0];
    });
    compute(NULL, ^(id<MTLComputeCommandEncoder> e) { [e setThreadgroupMemoryLength:0 atIndex:3]; });
    compute("a size of 0", ^(id<MTLComputeCommandEncoder> e) {
        [e dispatchThreads:NONE threadsPerThreadgroup:ONE];
        [e dispatchThreads:ONE threadsPerThreadgroup:NONE];
        [e dispatchThreadgroups:NONE threadsPerThreadgroup:ONE];
        [e dispatchThreadgroups:ONE threadsPerThreadgroup:NONE];
        [e dispatchThreadgroupsWithIndirectBuffer:y
                             indirectBufferOffset:0
                            threadsPerThreadgroup:NONE];
    });
    compute(NULL, ^(id<MTLComputeCommandEncoder> e) { /* three zeros */
        [e dispatchThreadgroupsWithIndirectBuffer:y
                             indirectBufferOffset:0
                            threadsPerThreadgroup:ONE];
    });
    compute("with no fence", ^(id<MTLComputeCommandEncoder> e) {
        [e waitForFence:no_fence];
        [e updateFence:no_fence];
    });
    compute("64 is no scope",
            ^(id<MTLComputeCommandEncoder> e) { [e memoryBarrierWithScope:(MTLBarrierScope)64]; });
    compute("no group is open", ^(id<MTLComputeCommandEncoder> e) {
        e.label = nil;
        [e popDebugGroup];
    });
    compute(NULL, ^(id<MTLComputeCommandEncoder> e) {
        id<MTLBuffer> list[2] = {nil, y};
        [e useResource:nothing usage:MTLResourceUsageRead];
        [e useResources:list count:2 usage:MTLResourceUsageRead];
        [e useResources:list count:0 usage:MTLResourceUsageRead];
        [e memoryBarrierWithResources:list count:2];
    });
}

/* More than 4096 bytes: with and without retained references. */
static void many_bytes(void)
{
    float k[2000] = {[1999] = 2};
    id<MTLBuffer> x = [device newBufferWithLength:64 options:0];
    ((float *)x.contents)[0] = 21;
    for (int unretained = 0; unretained < 2; unretained++) {
        id<MTLCommandBuffer> commands = unretained ? [queue commandBufferWithUnretainedReferences]
                                                   : [queue commandBuffer];
        id<MTLComputeCommandEncoder> e = [commands computeCommandEncoder];
        [e setComputePipelineState:last];
        [e setBuffer:x offset:0 atIndex:0];
        [e setBytes:k length:sizeof k atIndex:1];
        [e dispatchThreads:ONE threadsPerThreadgroup:ONE];
        [e endEncoding];
        [commands commit];
        CHECK_DONE(commands);
        is_noted("8000 bytes");
    }
    CHECK(((float *)x.contents)[0] == 84);
}

/* What no thread asks for need not be there, though code for many threads may look at it before. */
static void unbound_references(void)
{
    id<MTLBuffer> x = [device newBufferWithLength:400 options:0];
    for (int i = 0; i < 100; i++)
        ((float *)x.contents)[i] = i;
    CHECK_DONE(run(^(id<MTLComputeCommandEncoder> e) {
        [e setComputePipelineState:looked_up];
        [e setBuffer:x offset:0 atIndex:0];
        [e dispatchThreads:MTLSizeMake(100, 1, 1) threadsPerThreadgroup:MTLSizeMake(100, 1, 1)];
    }));
    for (int i = 0; i < 100; i++)
        CHECK(((float *)x.contents)[i] == 2 * i);
}

/* The lengths of threadgroup memory that an encoder has from a kernel before are nothing to one that has
 * no such arguments, nor do they count. With a pipeline that is ready, and one that is being made. */
static void memory_of_others(void)
{
    id<MTLLibrary> library = library_from(
            @"kernel void turned(device uint *x [[buffer(0)]], uint i [[thread_index_in_threadgroup]])\n"
            "{ threadgroup uint own[5000]; for (uint k = i; k < 5000; k += 8) own[k] = 3 * k;\n"
            "  threadgroup_barrier(metal::mem_flags::mem_threadgroup); x[i] = own[4999 - i]; }\n"
            "kernel void given(device uint *x [[buffer(0)]], threadgroup uint *t [[threadgroup(1)]])\n"
            "{ t[4095] = 7; x[8] = t[4095]; }\n",
            nil);
    id<MTLBuffer> x = [device newBufferWithLength:64 options:0];
    id<MTLComputePipelineState> turned = pipeline_of(library, @"turned");
    id<MTLComputePipelineState> given = pipeline_of(library, @"given");
    for (int again = 0; again < 2; again++) {
        memset(x.contents, 0, 64);
        CHECK_DONE(run(^(id<MTLComputeCommandEncoder> e) {
            [e setBuffer:x offset:0 atIndex:0];
            [e setComputePipelineState:given];
            [e setThreadgroupMemoryLength:16384 atIndex:1];
            [e dispatchThreads:ONE threadsPerThreadgroup:ONE];
            [e setThreadgroupMemoryLength:device.maxThreadgroupMemoryLength atIndex:0];
            [e setComputePipelineState:turned];
            [e dispatchThreads:MTLSizeMake(8, 1, 1) threadsPerThreadgroup:MTLSizeMake(8, 1, 1)];
            [e setComputePipelineState:given];
            [e dispatchThreads:ONE threadsPerThreadgroup:ONE];
        }));
        for (uint32_t i = 0; i < 8; i++)
            CHECK(((uint32_t *)x.contents)[i] == 3 * (4999 - i));
        CHECK(((uint32_t *)x.contents)[8] == 7);
    }
}

static void other_encoders(void)
{
    id<MTLBuffer> x = [device newBufferWithLength:64 options:0], nothing = nil;
    id<MTLEvent> no_event = nil;
    id<MTLCommandBuffer> commands = [queue commandBuffer];
    commands.label = nil;
    [commands encodeSignalEvent:no_event value:3];
    is_noted("no event");
    [commands encodeWaitForEvent:no_event value:3];
    is_noted("no event");
    [commands popDebugGroup];
    is_noted("no group is open");
    id<MTLBlitCommandEncoder> e = [commands blitCommandEncoder];
    [e copyFromBuffer:x sourceOffset:64 toBuffer:x destinationOffset:64 size:0];
    is_noted("a size of 0");
    [e copyFromBuffer:nothing sourceOffset:0 toBuffer:nothing destinationOffset:0 size:0];
    is_noted("a size of 0");
    [e fillBuffer:x range:NSMakeRange(64, 0) value:1];
    is_noted("a length of 0");
    [e fillBuffer:x range:NSMakeRange(0, 4) value:1];
    [e endEncoding];
    id<MTLComputeCommandEncoder> c =
            [commands computeCommandEncoderWithDispatchType:(MTLDispatchType)9];
    is_noted("9 is no dispatch type");
    [c endEncoding];
    [commands commit];
    CHECK_DONE(commands);
    CHECK(((uint32_t *)x.contents)[0] == 0x01010101);
    CHECK([device newBufferWithLength:16 options:1ul << 40]);
    is_noted("unknown bits");
    [x didModifyRange:NSMakeRange(0, 0)];
    x.label = nil;
    queue.label = nil;
    is_noted(NULL);
}

/* Programs look at the error alone, which they did not initialise: a success leaves nil there. */
static void errors_after_success(void)
{
    NSError *other = [NSError errorWithDomain:@"other" code:1 userInfo:nil];
    NSError *__autoreleasing error = other;
    id<MTLLibrary> library = [device newLibraryWithSource:source options:nil error:&error];
    CHECK(library && !error);
    error = other;
    id<MTLFunction> function = [library newFunctionWithName:@"twice"
                                             constantValues:[MTLFunctionConstantValues new]
                                                      error:&error];
    CHECK(function && !error);
    error = other;
    CHECK([device newComputePipelineStateWithFunction:function error:&error] && !error);
    error = other;
    CHECK([device newComputePipelineStateWithFunction:function
                                              options:MTLPipelineOptionNone
                                           reflection:nil
                                                error:&error] &&
            !error);
    error = other;
    CHECK([device newBinaryArchiveWithDescriptor:[MTLBinaryArchiveDescriptor new] error:&error] &&
            !error);
    error = other;
    CHECK([device newResidencySetWithDescriptor:[MTLResidencySetDescriptor new] error:&error] &&
            !error);
    error = nil;
    CHECK(![device newLibraryWithSource:@"kernel" options:nil error:&error] && error);
}

int main(void)
{
    const char *on = getenv("ARCBOX_VALIDATION");
    validation = on && strcmp(on, "1") == 0;
    FILE *file = tmpfile();
    real_stderr = dup(2);
    CHECK(file && real_stderr >= 0 && dup2(fileno(file), 2) == 2);
    @autoreleasepool {
        device = MTLCreateSystemDefaultDevice();
        CHECK(device);
        id<MTLLibrary> library = library_from(source, nil);
        twice = pipeline_of(library, @"twice");
        last = pipeline_of(library, @"last");
        looked_up = pipeline_of(library, @"looked_up");
    }
    const struct test tests[] = {{"compute encoders", compute_encoders},
        {"many bytes", many_bytes}, {"unbound references", unbound_references},
        {"memory of others", memory_of_others}, {"other encoders", other_encoders},
        {"errors after a success", errors_after_success}};
    int status = run_tests(tests, sizeof tests / sizeof *tests);
    dup2(real_stderr, 2);
    return status;
}
