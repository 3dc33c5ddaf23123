/* os_log in kernels: handlers get what was logged, formatted, with its level and names; what does not
 * fit is counted; nothing is logged where nobody asked. */
#include "program.h"

static NSString *const source = @""
    "#include <metal_stdlib>\n"
    "#include <metal_logging>\n"
    "using namespace metal;\n"
    "constant os_log mine(\"com.example.test\", \"kernels\");\n"
    "kernel void talk(device float *x [[buffer(0)]], uint i [[thread_position_in_grid]])\n"
    "{\n"
    "    if (i == 2) {\n"
    "        os_log_default.log(\"x[%d] = %.2f, %5u|%-4d|%04x %% %c\", (int)i, x[i], 7u, -3, 255, 'k');\n"
    "        mine.log_error(\"half %g, long %lld, bool %d, %{public}d\", half(0.5), -(1l << 40), true, 5);\n"
    "        mine.log_debug(\"quiet\");\n"
    "        mine.log_fault(\"wrong %s %d\", 1, 2);\n"
    "        mine.log_info(\"%d %d\", 1);\n"
    "        mine.log_info(\"%v2hf %.1v4hlf|%v3d %d|%v4hhu\", half2(0.5, -1), float4(1, 2, 3, 4), int3(-1), 9, packed_uchar4(200));\n"
    "        mine.log_info(\"%d %v4d %v2u\", int2(6, 7), 8, ulong2(1ul << 40, 2));\n"
    "    }\n"
    "    x[i] += 1;\n"
    "}\n"
    "kernel void many(device float *x [[buffer(0)]], uint i [[thread_position_in_grid]])\n"
    "{ os_log_default.log(\"%u\", i); x[i] += 1; }\n"
    "kernel void meets(device float *x [[buffer(0)]], uint i [[thread_position_in_threadgroup]])\n"
    "{ float s = simd_sum(x[i]); threadgroup_barrier(mem_flags::mem_device);\n"
    "  if (i % 8 == 0) os_log_default.log(\"%u: %g\", i, s); }\n";

static id<MTLLibrary> logging, silent;
static NSMutableArray<NSString *> *lines;

static void make_libraries(void)
{
    MTLCompileOptions *o = [MTLCompileOptions new];
    o.enableLogging = YES;
    logging = library_from(source, o);
    silent = library_from(source, nil);
    lines = [NSMutableArray new];
}

static id<MTLLogState> state_of(NSInteger bytes, MTLLogLevel level)
{
    MTLLogStateDescriptor *d = [MTLLogStateDescriptor new];
    d.bufferSize = bytes;
    d.level = level;
    NSError *error = nil;
    id<MTLLogState> state = [device newLogStateWithDescriptor:d error:&error];
    CHECK(state && !error);
    [lines removeAllObjects];
    [state addLogHandler:^(NSString *subsystem, NSString *category, MTLLogLevel l, NSString *message) {
        @synchronized(lines) {
            [lines addObject:[NSString stringWithFormat:@"%@ %@ %ld %@", subsystem, category, (long)l, message]];
        }
    }];
    return state;
}

static void go(id<MTLCommandQueue> on, id<MTLLogState> state, id<MTLLibrary> library, NSString *name, NSUInteger n)
{
    MTLCommandBufferDescriptor *d = [MTLCommandBufferDescriptor new];
    d.logState = state;
    id<MTLCommandBuffer> commands = state ? [on commandBufferWithDescriptor:d] : [on commandBuffer];
    id<MTLBuffer> x = [device newBufferWithLength:4 * n options:0];
    ((float *)x.contents)[2] = 1.5f;
    id<MTLComputeCommandEncoder> e = [commands computeCommandEncoder];
    [e setComputePipelineState:pipeline_of(library, name)];
    [e setBuffer:x offset:0 atIndex:0];
    [e dispatchThreads:MTLSizeMake(n, 1, 1) threadsPerThreadgroup:MTLSizeMake(32, 1, 1)];
    [e endEncoding];
    __block bool handled = false;
    [commands addCompletedHandler:^(id<MTLCommandBuffer> c) { handled = true; }];
    [commands commit];
    CHECK_DONE(commands);
    CHECK(handled && ((float *)x.contents)[0] == ([name isEqualToString:@"meets"] ? 0 : 1));
}

static void test_messages(void)
{
    go(queue, state_of(4096, MTLLogLevelUndefined), logging, @"talk", 40);
    NSArray *expected = @[
        @"(null) (null) 3 x[2] = 1.50,     7|-3  |00ff % k",
        @"com.example.test kernels 4 half 0.5, long -1099511627776, bool 1, 5",
        @"com.example.test kernels 1 quiet",
        @"com.example.test kernels 5 wrong <%s> 2",
        @"com.example.test kernels 2 1 <missing>",
        @"com.example.test kernels 2 0.500000,-1.000000 1.0,2.0,3.0,4.0|-1,-1,-1 9|200,200,200,200",
        @"com.example.test kernels 2 6 8 1099511627776,2",
    ];
    if (![lines isEqualToArray:expected])
        fprintf(stderr, "%s\n", lines.description.UTF8String);
    CHECK([lines isEqualToArray:expected]);
    go(queue, state_of(4096, MTLLogLevelError), logging, @"talk", 40);
    CHECK(lines.count == 2);
}

static void test_who_asks(void)
{
    id<MTLLogState> state = state_of(4096, MTLLogLevelUndefined);
    go(queue, state, silent, @"talk", 40);
    CHECK(lines.count == 0);
    go(queue, nil, logging, @"talk", 40);
    CHECK(lines.count == 0);
    MTLCommandQueueDescriptor *d = [MTLCommandQueueDescriptor new];
    d.logState = state;
    go([device newCommandQueueWithDescriptor:d], nil, logging, @"talk", 40);
    CHECK(lines.count == 7);
}

/* 48 bytes each: as many as fit, each once, from all threads. */
static void test_many(void)
{
    go(queue, state_of(48 * 500, MTLLogLevelUndefined), logging, @"many", 400);
    CHECK(lines.count == 400 && [NSSet setWithArray:lines].count == 400);
    go(queue, state_of(1024, MTLLogLevelUndefined), logging, @"many", 100000);
    CHECK(lines.count > 0 && lines.count <= 1024 / 32);
    go(queue, state_of(4096, MTLLogLevelUndefined), logging, @"meets", 32);
    CHECK(lines.count == 4 && [lines containsObject:@"(null) (null) 3 16: 1.5"]);
}

static void test_wrong(void)
{
    NSError *error = nil;
    MTLLogStateDescriptor *d = [MTLLogStateDescriptor new];
    CHECK(d.bufferSize == 1024);
    for (NSNumber *bytes in @[ @0, @1023, @-1, @(1ll << 40) ]) {
        d.bufferSize = bytes.longValue;
        CHECK(![device newLogStateWithDescriptor:d error:&error]);
        CHECK_ERROR(error, MTLLogStateErrorDomain, MTLLogStateErrorInvalidSize, @"1024 to");
    }
    CHECK(![device newLibraryWithSource:@"#include <metal_logging>\nkernel void f(device int *x [[buffer(0)]])\n{ metal::os_log_default.log(x); }\n"
                                options:nil error:&error] && error);
}

int main(void)
{
    static const struct test tests[] = {{"libraries", make_libraries}, {"messages", test_messages},
            {"who asks", test_who_asks}, {"many", test_many}, {"wrong", test_wrong}};
    return run_tests(tests, sizeof tests / sizeof *tests);
}
