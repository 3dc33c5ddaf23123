/* Making pipelines: with handlers, in parallel, waited for only by what uses them; specialised
 * functions. */
#include "program.h"
#include <stdatomic.h>
#include <unistd.h>

static NSString *const source = @""
    "constant int factor [[function_constant(0)]];\n"
    "kernel void times(device int *x [[buffer(0)]], uint i [[thread_position_in_grid]])\n"
    "{ x[i] *= factor; }\n";

static id<MTLFunction> times(id<MTLLibrary> library, int factor, NSString *as)
{
    NSError *error = nil;
    MTLFunctionDescriptor *d = [MTLFunctionDescriptor functionDescriptor];
    d.name = @"times";
    d.specializedName = as;
    d.options = MTLFunctionOptionCompileToBinary;
    d.constantValues = [MTLFunctionConstantValues new];
    [d.constantValues setConstantValue:&factor type:MTLDataTypeInt atIndex:0];
    id<MTLFunction> function = [library newFunctionWithDescriptor:d error:&error];
    CHECK(function && !error && function.options == MTLFunctionOptionCompileToBinary);
    CHECK([function.name isEqualToString:as ? as : @"times"]);
    return function;
}

static void apply(id<MTLComputePipelineState> state, id<MTLBuffer> x)
{
    CHECK_DONE(run(^(id<MTLComputeCommandEncoder> e) {
        [e setComputePipelineState:state];
        [e setBuffer:x offset:0 atIndex:0];
        [e dispatchThreads:MTLSizeMake(1, 1, 1) threadsPerThreadgroup:MTLSizeMake(1, 1, 1)];
    }));
}

static void test_handlers(void)
{
    id<MTLLibrary> library = library_from(source, nil);
    id<MTLBuffer> x = [device newBufferWithBytes:(int[1]){1} length:4 options:0];
    dispatch_semaphore_t done = dispatch_semaphore_create(0);
    __block id<MTLComputePipelineState> made = nil;
    __block NSError *why = nil;
    [device newComputePipelineStateWithFunction:times(library, 2, nil)
                              completionHandler:^(id<MTLComputePipelineState> s, NSError *e) {
                                  made = s, why = e;
                                  dispatch_semaphore_signal(done);
                              }];
    dispatch_semaphore_wait(done, DISPATCH_TIME_FOREVER);
    CHECK(made && !why);
    apply(made, x);
    __block MTLComputePipelineReflection *reflection = nil;
    MTLNewComputePipelineStateWithReflectionCompletionHandler handler =
            ^(id<MTLComputePipelineState> s, MTLComputePipelineReflection *r, NSError *e) {
                made = s, reflection = r, why = e;
                dispatch_semaphore_signal(done);
            };
    [device newComputePipelineStateWithFunction:times(library, 3, nil)
                                        options:MTLPipelineOptionBindingInfo
                              completionHandler:handler];
    dispatch_semaphore_wait(done, DISPATCH_TIME_FOREVER);
    CHECK(made && !why && reflection.bindings.count == 1);
    apply(made, x);
    MTLComputePipelineDescriptor *d = [MTLComputePipelineDescriptor new];
    d.computeFunction = times(library, 5, @"times five");
    [device newComputePipelineStateWithDescriptor:d options:0 completionHandler:handler];
    d.computeFunction = nil; /* the call has its own copy */
    dispatch_semaphore_wait(done, DISPATCH_TIME_FOREVER);
    CHECK(made && !why && !reflection);
    apply(made, x);
    CHECK(*(int *)x.contents == 2 * 3 * 5);
    [device newComputePipelineStateWithDescriptor:d options:0 completionHandler:handler];
    dispatch_semaphore_wait(done, DISPATCH_TIME_FOREVER);
    CHECK(!made && why);
    /* Without its constant; the handler has the compiler's words. */
    [device newComputePipelineStateWithFunction:[library newFunctionWithName:@"times"]
                              completionHandler:^(id<MTLComputePipelineState> s, NSError *e) {
                                  made = s, why = e;
                                  dispatch_semaphore_signal(done);
                              }];
    dispatch_semaphore_wait(done, DISPATCH_TIME_FOREVER);
    CHECK(!made && [why.localizedDescription containsString:@"factor"]);
    __block id<MTLFunction> function = nil;
    [library newFunctionWithName:@"times"
                  constantValues:[MTLFunctionConstantValues new]
               completionHandler:^(id<MTLFunction> f, NSError *e) {
                   function = f, why = e;
                   dispatch_semaphore_signal(done);
               }];
    dispatch_semaphore_wait(done, DISPATCH_TIME_FOREVER);
    CHECK(function && !why);
}

/* A kernel that takes long to compile: much code that nothing folds. */
static NSString *slow_source(void)
{
    NSMutableString *s = [NSMutableString stringWithString:@"#include <metal_stdlib>\n"
                                                            "using namespace metal;\n"
                                                            "kernel void slow(device float *x "
                                                            "[[buffer(0)]], uint i "
                                                            "[[thread_position_in_grid]])\n"
                                                            "{ float a = x[i];\n"];
    for (int i = 0; i < 160; i++)
        [s appendFormat:@"if (a > %d) a = sin(a) * x[%d]; else x[%d] = cos(a);\n", i, i % 7 + 1,
                i % 5 + 1];
    [s appendString:@"x[0] = a + 1; }\n"];
    return s;
}

/* The slow one is asked for first and used first. What another queue wants is compiled and run
 * meanwhile: the program, the worker and the other pipelines do not wait for it. */
static void test_overlap(void)
{
    if (sysconf(_SC_NPROCESSORS_ONLN) < 2) {
        printf("overlap: skipped: one processor compiles one pipeline at a time\n");
        return;
    }
    id<MTLLibrary> slow = library_from(slow_source(), nil), library = library_from(source, nil);
    id<MTLBuffer> a = [device newBufferWithLength:64 options:0];
    id<MTLBuffer> b = [device newBufferWithBytes:(int[1]){1} length:4 options:0];
    id<MTLCommandBuffer> late = [queue commandBuffer];
    id<MTLComputeCommandEncoder> e = [late computeCommandEncoder];
    [e setComputePipelineState:pipeline_of(slow, @"slow")];
    [e setBuffer:a offset:0 atIndex:0];
    [e dispatchThreads:MTLSizeMake(1, 1, 1) threadsPerThreadgroup:MTLSizeMake(1, 1, 1)];
    [e endEncoding];
    [late commit];
    queue = [device newCommandQueue];
    NSError *error = nil;
    int expected = 1;
    for (int i = 2; i < 4; i++) {
        apply([device newComputePipelineStateWithFunction:times(library, i, nil) error:&error], b);
        expected *= i;
    }
    CHECK(*(int *)b.contents == expected);
    CHECK(late.status < MTLCommandBufferStatusCompleted); /* the slow one still compiles */
    CHECK_DONE(late);
    CHECK(((float *)a.contents)[0] == 1);
}

/* Two from one function are two; the name given is theirs. */
static void test_specialised(void)
{
    id<MTLLibrary> library = library_from(source, nil);
    id<MTLFunction> two = times(library, 2, @"double"), three = times(library, 3, @"triple");
    NSError *error = nil;
    id<MTLBuffer> x = [device newBufferWithBytes:(int[1]){7} length:4 options:0];
    apply([device newComputePipelineStateWithFunction:two error:&error], x);
    apply([device newComputePipelineStateWithFunction:three error:&error], x);
    CHECK(*(int *)x.contents == 42 && !error);
    MTLFunctionConstant *c = two.functionConstantsDictionary[@"factor"];
    CHECK(c.index == 0 && c.type == MTLDataTypeInt && c.required);
    CHECK(library.functionNames.count == 1 && ![library newFunctionWithName:@"double"]);
}

int main(void)
{
    static const struct test tests[] = {{"handlers", test_handlers}, {"overlap", test_overlap},
            {"specialised", test_specialised}};
    return run_tests(tests, sizeof tests / sizeof *tests);
}
