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

/* What shows only when code is made is told by whoever makes the pipeline, in libraries of a few
 * kernels and of many, and what is right is not waited for. */
static NSString *const late = @""
    "#include <metal_stdlib>\n"
    "using namespace metal;\n"
    "constant int needed [[function_constant(7)]];\n"
    "constant int twice = needed * 2;\n"
    "extern uint nowhere(uint x);\n"
    "uint late_one(uint x);\n"
    "uint somewhere(uint x) { return x + late_one(x); }\n"
    "uint late_one(uint x) { return x * 2; }\n"
    "uint deep(uint x) { return x ? nowhere(x) : 1; }\n"
    "template <typename T, int N> T big(device T *x, uint i) {\n"
    "  threadgroup T a[N * 4];\n"
    "  a[i] = x[i]; threadgroup_barrier(mem_flags::mem_threadgroup); return a[i ^ 1];\n"
    "}\n"
    "struct Wide { float rows[3000][4]; };\n"
    "kernel void undefined(device uint *x [[buffer(0)]], uint i [[thread_position_in_grid]])\n"
    "{ x[i] = deep(i); }\n"
    "kernel void defined(device uint *x [[buffer(0)]], uint i [[thread_position_in_grid]])\n"
    "{ x[i] = somewhere(i); }\n"
    "kernel void too_big(device float *x [[buffer(0)]], uint i [[thread_index_in_threadgroup]])\n"
    "{ x[i] = big<float, 4096>(x, i); }\n"
    "kernel void fits(device float *x [[buffer(0)]], uint i [[thread_index_in_threadgroup]])\n"
    "{ x[i] = big<float, 2048>(x, i); }\n"
    "kernel void two(device float *x [[buffer(0)]], uint i [[thread_index_in_threadgroup]])\n"
    "{ threadgroup float4 a[1024]; threadgroup float4 b[1025]; a[i] = b[i] = x[i];\n"
    "  threadgroup_barrier(mem_flags::mem_threadgroup); x[i] = (a[i ^ 1] + b[i ^ 1]).x; }\n"
    "kernel void structure(device float *x [[buffer(0)]], uint i [[thread_index_in_threadgroup]])\n"
    "{ threadgroup Wide w; w.rows[i][0] = x[i];\n"
    "  threadgroup_barrier(mem_flags::mem_threadgroup); x[i] = w.rows[i ^ 1][0]; }\n"
    "kernel void constant_unset(device int *x [[buffer(0)]], uint i [[thread_position_in_grid]])\n"
    "{ x[i] = twice; }\n";

static void check_late(id<MTLLibrary> library)
{
    NSDictionary *wants = @{
        @"undefined" : @"nowhere",
        @"too_big" : @"exceeds the maximum threadgroup memory",
        @"two" : @"exceeds the maximum threadgroup memory",
        @"structure" : @"exceeds the maximum threadgroup memory",
        @"constant_unset" : @"needed",
        @"defined" : @"",
        @"fits" : @"",
    };
    for (NSString *name in wants) {
        NSString *want = wants[name];
        NSError *error = nil;
        id<MTLFunction> function = [library newFunctionWithName:name];
        id<MTLComputePipelineState> state =
                [device newComputePipelineStateWithFunction:function error:&error];
        __block NSString *said = nil;
        dispatch_semaphore_t done = dispatch_semaphore_create(0);
        [device newComputePipelineStateWithFunction:function
                                  completionHandler:^(id<MTLComputePipelineState> s, NSError *e) {
                                      said = e ? e.localizedDescription : s ? @"" : @"nothing";
                                      dispatch_semaphore_signal(done);
                                  }];
        dispatch_semaphore_wait(done, DISPATCH_TIME_FOREVER);
        if (!want.length)
            CHECK(state && !error && [said isEqualToString:@""]);
        else if (state || ![error.localizedDescription containsString:want] ||
                ![said containsString:want]) {
            fprintf(stderr, "%s: %s; %s\n", name.UTF8String,
                    state ? "made" : error.localizedDescription.UTF8String, said.UTF8String);
            exit(1);
        }
    }
}

static void test_late(void)
{
    check_late(library_from(late, nil));
    NSMutableString *many = [late mutableCopy];
    for (int i = 0; i < 40; i++)
        [many appendFormat:@"kernel void more%d(device int *x [[buffer(0)]]) { x[0] = %d; }\n", i,
              i];
    check_late(library_from(many, nil));
}

/* Not in Apple's headers, and answered by every Mac: bindings in Rust call it. */
@interface NSObject (Undeclared)
- (id<MTLComputePipelineState>)newComputePipelineStateWithDescriptor:(MTLComputePipelineDescriptor *)d
                                                               error:(NSError **)error;
@end

static void test_undeclared(void)
{
    NSError *error = nil;
    MTLComputePipelineDescriptor *d = [MTLComputePipelineDescriptor new];
    d.computeFunction = [library_from(@"kernel void one(device float *x [[buffer(0)]]) { x[0] = 1; }", nil)
            newFunctionWithName:@"one"];
    id<MTLBuffer> x = [device newBufferWithLength:4 options:0];
    apply([(NSObject *)device newComputePipelineStateWithDescriptor:d error:&error], x);
    CHECK(!error && *(float *)x.contents == 1);
}

/* Functions of graphics beside `others` kernels more: by name in the library, and no compute
 * pipelines. A kernel with textures says so when one is made of it, and the others work. */
static void test_beside(int others)
{
    NSMutableString *text =
            [@"#include <metal_stdlib>\nusing namespace metal;\n"
              "struct raster { float4 at [[position]]; };\n"
              "vertex raster corner(uint i [[vertex_id]]) { return {float4(i)}; }\n"
              "fragment float4 colour(raster in [[stage_in]], texture2d<float> t "
              "[[texture(0)]]) { return t.sample(sampler(), in.at.xy); }\n"
              "kernel void paint(texture2d<float, access::write> t [[texture(0)]])\n"
              "{ t.write(float4(1), uint2(0)); }\n"
              "kernel void one(device float *x [[buffer(0)]]) { x[0] = 1; }\n" mutableCopy];
    for (int i = 0; i < others; i++)
        [text appendFormat:@"kernel void other%d(device float *x [[buffer(0)]]) { x[0] = %d; }\n",
                i, i];
    NSError *error = nil;
    id<MTLLibrary> library = library_from(text, nil);
    CHECK([library newFunctionWithName:@"corner"].functionType == MTLFunctionTypeVertex);
    CHECK([library newFunctionWithName:@"colour"].functionType == MTLFunctionTypeFragment);
    CHECK(library.functionNames.count == (NSUInteger)others + 4);
    id<MTLFunction> paint = [library newFunctionWithName:@"paint"];
    CHECK(paint && ![device newComputePipelineStateWithFunction:paint error:&error] &&
            [error.localizedDescription containsString:@"textures are not supported yet"]);
    id<MTLFunction> corner = [library newFunctionWithName:@"corner"];
    CHECK(![device newComputePipelineStateWithFunction:corner error:&error] &&
            [error.localizedDescription containsString:@"not a kernel"]);
    id<MTLBuffer> x = [device newBufferWithLength:4 options:0];
    apply(pipeline_of(library, @"one"), x);
    CHECK(*(float *)x.contents == 1);
}

static void test_beside_graphics(void)
{
    test_beside(0);
    test_beside(30); /* compiled in stages */
}

/* A place among the handles is taken again at once where a program keeps a thousand of them: what had
 * it before may still wait to be destroyed when a library asks for it, whose compile is known. */
static void test_places(void)
{
    NSMutableArray *kept = [NSMutableArray array];
    for (int i = 0; i < 1100; i++)
        [kept addObject:[device newFence]];
    for (int i = 0; i < 80; i++) {
        @autoreleasepool {
            library_from(@"kernel void k(device int *p [[buffer(0)]]) { *p = 1; }", nil);
        }
        usleep(2000); /* the host sleeps again, and a destroyed object does not wake it */
    }
}

int main(void)
{
    static const struct test tests[] = {{"handlers", test_handlers}, {"overlap", test_overlap},
            {"specialised", test_specialised}, {"late", test_late}, {"undeclared", test_undeclared},
            {"beside graphics", test_beside_graphics}, {"places", test_places}};
    return run_tests(tests, sizeof tests / sizeof *tests);
}
