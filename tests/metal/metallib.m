/* Precompiled libraries through Apple's API: a .metallib file made from tests/metallib/kernels.ll,
 * in the form that Apple's tools give it. What it says of itself, what its kernels compute, what is
 * refused and how. */
#include "program.h"

#include <limits.h>
#include <math.h>
#include <unistd.h>

#define THREADS 256u
#define CHANGED 24

static id<MTLLibrary> library;
static NSString *path;

static id<MTLBuffer> buffer_of(const void *bytes, size_t length)
{
    id<MTLBuffer> buffer = bytes ? [device newBufferWithBytes:bytes length:length options:0]
                                 : [device newBufferWithLength:length options:0];
    CHECK(buffer);
    return buffer;
}

static void run_kernel(id<MTLComputePipelineState> state, NSArray<id<MTLBuffer>> *buffers,
        NSUInteger threads, NSUInteger group)
{
    CHECK_DONE(run(^(id<MTLComputeCommandEncoder> encoder) {
      [encoder setComputePipelineState:state];
      for (NSUInteger i = 0; i < buffers.count; i++)
          [encoder setBuffer:buffers[i] offset:0 atIndex:i];
      [encoder setThreadgroupMemoryLength:128 atIndex:0];
      [encoder dispatchThreads:MTLSizeMake(threads, 1, 1)
              threadsPerThreadgroup:MTLSizeMake(group, 1, 1)];
    }));
}

static void test_load(void)
{
    NSError *error = nil;
    NSData *data = [NSData dataWithContentsOfFile:path];
    CHECK(data);
    library = [device newLibraryWithURL:[NSURL fileURLWithPath:path] error:&error];
    CHECK(library && !error);
    CHECK(library.type == MTLLibraryTypeExecutable && library.functionNames.count == 15);
    CHECK([library.functionNames containsObject:@"reduce"]);
    id<MTLLibrary> again =
            [device newLibraryWithData:dispatch_data_create(data.bytes, data.length, NULL, NULL)
                                 error:&error];
    CHECK(again && [again.functionNames isEqual:library.functionNames]);
    CHECK([library newFunctionWithName:@"scale"].functionType == MTLFunctionTypeKernel);
    CHECK([library newFunctionWithName:@"corner"].functionType == MTLFunctionTypeVertex);
    CHECK(![library newFunctionWithName:@"nothing"]);
}

/* default.metallib of a bundle. */
static void test_default(void)
{
    NSError *error = nil;
    char folder[] = "/tmp/arcbox-test.XXXXXX", link[64], whole[PATH_MAX];
    CHECK(mkdtemp(folder) && realpath(path.UTF8String, whole));
    snprintf(link, sizeof link, "%s/default.metallib", folder);
    CHECK(symlink(whole, link) == 0);
    NSBundle *bundle = [NSBundle bundleWithPath:[NSString stringWithUTF8String:folder]];
    id<MTLLibrary> found = [device newDefaultLibraryWithBundle:bundle error:&error];
    CHECK(found && [found.functionNames isEqual:library.functionNames]);
    CHECK(unlink(link) == 0);
    CHECK(![device newDefaultLibraryWithBundle:bundle error:&error]);
    CHECK_ERROR(error, @"MTLLibraryErrorDomain", 6, @"no default.metallib");
    CHECK(rmdir(folder) == 0);
}

static void test_members(void)
{
    NSError *error = nil;
    MTLComputePipelineReflection *reflection = nil;
    id<MTLComputePipelineState> state =
            [device newComputePipelineStateWithFunction:[library newFunctionWithName:@"structures"]
                                                options:MTLPipelineOptionBufferTypeInfo |
                                                        MTLPipelineOptionBindingInfo
                                             reflection:&reflection
                                                  error:&error];
    CHECK(state && reflection.bindings.count == 1);
    MTLStructType *type = ((id<MTLBufferBinding>)reflection.bindings[0]).bufferStructType;
    CHECK(type.members.count == 3);
    MTLStructMember *numbers = [type memberByName:@"numbers"];
    CHECK(numbers.dataType == MTLDataTypeArray && numbers.offset == 4);
    CHECK(numbers.arrayType.arrayLength == 3 && numbers.arrayType.elementType == MTLDataTypeFloat);
    MTLStructMember *out = [type memberByName:@"out"];
    CHECK(out.dataType == MTLDataTypePointer && out.offset == 16);
    CHECK(out.pointerType.elementType == MTLDataTypeInt);
    CHECK(out.pointerType.access == MTLBindingAccessReadWrite);
}

static void test_reflection(void)
{
    NSError *error = nil;
    MTLComputePipelineReflection *reflection = nil;
    id<MTLFunction> function = [library newFunctionWithName:@"scale"];
    id<MTLComputePipelineState> state =
            [device newComputePipelineStateWithFunction:function
                                                options:MTLPipelineOptionBindingInfo
                                             reflection:&reflection
                                                  error:&error];
    CHECK(state && reflection.bindings.count == 3);
    id<MTLBufferBinding> x = (id<MTLBufferBinding>)reflection.bindings[0];
    id<MTLBufferBinding> k = (id<MTLBufferBinding>)reflection.bindings[2];
    CHECK([x.name isEqualToString:@"x"] && x.index == 0 && x.access == MTLBindingAccessReadOnly);
    CHECK(x.bufferDataType == MTLDataTypeInt && x.bufferDataSize == 4);
    CHECK([k.name isEqualToString:@"k"] && k.index == 5 && k.bufferDataType == MTLDataTypeFloat);
    CHECK(reflection.bindings[1].access == MTLBindingAccessReadWrite);
    CHECK(state.maxTotalThreadsPerThreadgroup == 256);
    test_members();
    state = pipeline_of(library, @"reduce");
    CHECK(state.staticThreadgroupMemoryLength == 128);
}

static void test_scale(void)
{
    float k = 0.5f, y[THREADS];
    int x[THREADS];
    for (unsigned i = 0; i < THREADS; i++)
        x[i] = (int)(i * 7) - 300;
    id<MTLBuffer> out = buffer_of(NULL, sizeof y), in = buffer_of(x, sizeof x);
    id<MTLComputePipelineState> state = pipeline_of(library, @"scale");
    CHECK_DONE(run(^(id<MTLComputeCommandEncoder> encoder) {
      [encoder setComputePipelineState:state];
      [encoder setBuffer:in offset:0 atIndex:0];
      [encoder setBuffer:out offset:0 atIndex:1];
      [encoder setBytes:&k length:sizeof k atIndex:5];
      [encoder dispatchThreads:MTLSizeMake(THREADS, 1, 1)
              threadsPerThreadgroup:MTLSizeMake(64, 1, 1)];
    }));
    for (unsigned i = 0; i < THREADS; i++)
        CHECK(((float *)out.contents)[i] == (float)x[i] * k);
}

/* Fast math of whole functions: an estimate of 1 / inf, made better, is a NaN. */
static void test_promises(void)
{
    id<MTLBuffer> in = buffer_of(NULL, 128 * 4), out = buffer_of(NULL, 64 * 4);
    float *x = in.contents, *y = out.contents;
    for (unsigned i = 0; i < 64; i++) {
        x[i] = i % 4 == 3 ? INFINITY : -1.0f - i;
        x[i + 64] = i % 4 ? INFINITY : 2;
    }
    run_kernel(pipeline_of(library, @"promises"), @[ in, out ], 64, 32);
    for (unsigned i = 0; i < 64; i++)
        CHECK(i % 4 == 3 ? y[i] == 7 : i % 4 ? y[i] == 0 : y[i] == (-1.0f - i) / 2);
}

static void test_reduce(void)
{
    float x[THREADS];
    for (unsigned i = 0; i < THREADS; i++)
        x[i] = (float)(i % 19);
    id<MTLBuffer> in = buffer_of(x, sizeof x), out = buffer_of(NULL, 8);
    run_kernel(pipeline_of(library, @"reduce"), @[ in, out ], THREADS, THREADS / 2);
    for (unsigned g = 0; g < 2; g++) {
        float sum = 0;
        for (unsigned i = 0; i < THREADS / 2; i++)
            sum += x[g * THREADS / 2 + i];
        CHECK(((float *)out.contents)[g] == sum);
    }
}

static id<MTLComputePipelineState> constants_pipeline(
        NSString *name, MTLFunctionConstantValues *values, NSError **error)
{
    id<MTLFunction> function = [library newFunctionWithName:name constantValues:values error:error];
    return function ? [device newComputePipelineStateWithFunction:function error:error] : nil;
}

static void test_constants(void)
{
    NSError *error = nil;
    int times = 5, offset[2] = {1000, 3}, x[4] = {1, 2, 3, 4};
    float factor = 0.25f;
    bool add = true;
    id<MTLBuffer> out = buffer_of(NULL, sizeof x), other = buffer_of(x, sizeof x);
    NSDictionary *all = [library newFunctionWithName:@"constants"].functionConstantsDictionary;
    CHECK(all.count == 3 && ((MTLFunctionConstant *)all[@"times"]).index == 7);
    CHECK(((MTLFunctionConstant *)all[@"times"]).required);
    CHECK(!((MTLFunctionConstant *)all[@"offset"]).required);
    CHECK([library newFunctionWithName:@"scale"].functionConstantsDictionary.count == 0);
    MTLFunctionConstantValues *values = [MTLFunctionConstantValues new];
    [values setConstantValue:&times type:MTLDataTypeInt atIndex:7];
    CHECK(constants_pipeline(@"constants", values, &error)); /* what is not given is 0 */
    [values setConstantValue:&add type:MTLDataTypeBool withName:@"add"];
    run_kernel(constants_pipeline(@"constants", values, &error), @[ out, other ], 4, 4);
    for (int i = 0; i < 4; i++)
        CHECK(((int *)out.contents)[i] == x[i] + 2 * times);
    add = false;
    [values reset];
    [values setConstantValue:&times type:MTLDataTypeInt atIndex:7];
    [values setConstantValue:&add type:MTLDataTypeBool atIndex:3];
    [values setConstantValue:offset type:MTLDataTypeInt2 atIndex:8];
    run_kernel(constants_pipeline(@"constants", values, &error), @[ out ], 4, 4);
    for (int i = 0; i < 4; i++)
        CHECK(((int *)out.contents)[i] == 2 * times + 3);
    CHECK(!constants_pipeline(@"other_constants", values, &error)); /* of another type there */
    error = nil;
    [values reset];
    [values setConstantValue:&factor type:MTLDataTypeFloat atIndex:7];
    run_kernel(constants_pipeline(@"other_constants", values, &error), @[ out ], 4, 4);
    CHECK(((float *)out.contents)[2] == factor);
}

static void test_copied(void)
{
    NSError *error = nil;
    int x[32], scale = 3;
    bool use = true;
    for (int i = 0; i < 32; i++)
        x[i] = i * i - 7;
    id<MTLBuffer> out = buffer_of(NULL, sizeof x), in = buffer_of(x, sizeof x);
    MTLFunctionConstantValues *values = [MTLFunctionConstantValues new];
    for (int given = 0; given < 2; given++) {
        if (given)
            [values setConstantValue:&scale type:MTLDataTypeInt atIndex:21];
        run_kernel(constants_pipeline(@"copied", values, &error), @[ out, in ], 32, 32);
        for (int i = 0; i < 32; i++)
            CHECK(((int *)out.contents)[i] == x[i] * (given ? scale : 10));
    }
    [values setConstantValue:&use type:MTLDataTypeBool atIndex:20];
    CHECK(!constants_pipeline(@"copied", values, &error));
    CHECK_ERROR(error, @"MTLPipelineErrorDomain", 3,
            @"argument 'table' (air.visible_function_table) is not supported");
}

static void test_atomics(void)
{
    const unsigned start[7] = {10, 500, 3, 1, 0, 0, 0};
    id<MTLBuffer> c = buffer_of(start, sizeof start);
    run_kernel(pipeline_of(library, @"atomics"), @[ c ], THREADS, 64);
    const unsigned *n = c.contents;
    CHECK(n[0] == 10 + 2 * THREADS && n[1] == 0 && n[2] == THREADS - 1);
    CHECK(n[3] == 1 + 3 * THREADS && ((const float *)n)[4] == 0.5f * THREADS);
    CHECK(n[5] == 0xffff && n[6] == 77);
}

static void test_matrices(void)
{
    float a[64], expected;
    _Float16 b[64];
    for (int i = 0; i < 64; i++) {
        a[i] = (float)(i % 7) - 3;
        b[i] = (_Float16)(float)(i % 5);
    }
    id<MTLBuffer> c = buffer_of(NULL, sizeof a);
    run_kernel(pipeline_of(library, @"matrices"),
            @[ buffer_of(a, sizeof a), buffer_of(b, sizeof b), c ], 32, 32);
    for (int row = 0; row < 8; row++)
        for (int column = 0; column < 8; column++) {
            expected = 2;
            for (int k = 0; k < 8; k++)
                expected += 6 * a[row * 8 + k] * (float)b[k * 8 + column];
            CHECK(((float *)c.contents)[column * 8 + row] == expected); /* stored transposed */
        }
}

static bool near(float a, double b)
{
    return fabs((double)a - b) <= 1e-6 * (1 + fabs(b));
}

static void test_functions(void)
{
    const float x[4] = {0.25f, 0.5f, 3.7f, -1};
    id<MTLBuffer> out = buffer_of(NULL, 64);
    run_kernel(pipeline_of(library, @"functions"), @[ buffer_of(x, sizeof x), out ], 1, 1);
    const float *f = out.contents;
    const unsigned *u = out.contents;
    double dot3 = 0.25 * 0.25 + 0.25 + 3.7 * 3.7;
    CHECK(near(f[0], sin(3.7)) && near(f[1], dot3 + 1) && near(f[2], cos(-1)));
    CHECK(near(f[3], 0.5 / sqrt(dot3)));
    CHECK(u[4] == 0x00ff8040 && f[5] == 126.0f / 127);
    CHECK(u[6] == 30 && u[7] == 15 && (int)u[8] == -3 && u[9] == 16 && u[10] == 255);
    CHECK(f[11] == 1.5f && u[12] == 32);
    CHECK(near(f[13], 0.25 * 0.25 + 0.5 * 0.5 + 0.7 * 0.7) && u[14] == 0x3f800001 && u[15] == 1);
}

static void refused(NSString *name, NSString *words)
{
    NSError *error = nil;
    CHECK(!constants_pipeline(name, [MTLFunctionConstantValues new], &error));
    CHECK_ERROR(error, @"MTLPipelineErrorDomain", 3, words);
}

static void test_refused(void)
{
    refused(@"textured", @"argument 'picture' (air.texture) is not supported");
    refused(@"tensors",
            @"tensors are not supported yet: function 'air.get_extent_private_tensor.i32'");
    refused(@"undescribed", @"nothing describes it as a kernel");
    refused(@"forged", @"what no kernel may");
}

static void test_damaged(void)
{
    NSError *error = nil;
    NSMutableData *data = [NSMutableData dataWithContentsOfFile:path];
    for (int i = 0; i < 2; i++) {
        data.length = data.length - 16;
        dispatch_data_t part = dispatch_data_create(data.bytes, data.length, NULL, NULL);
        CHECK(![device newLibraryWithData:part error:&error]);
        CHECK_ERROR(error, @"MTLLibraryErrorDomain", 1,
                i ? @"Invalid library file: its sections lie outside of it"
                  : @"Invalid library file: it is not as long as it says");
        uint64_t length = data.length - 16;
        memcpy((char *)data.mutableBytes + 16, &length, sizeof length);
    }
}

/* Bitcode that is not what it was: the compiler may refuse it or end, and the next one is none the
 * worse for it. */
static void test_changed(void)
{
    NSData *whole = [NSData dataWithContentsOfFile:path];
    unsigned state = 12345, libraries = 0, pipelines = 0;
    uint64_t code;
    memcpy(&code, (const char *)whole.bytes + 72, sizeof code);
    for (int i = 0; i < CHANGED; i++) {
        NSMutableData *data = [whole mutableCopy];
        for (int k = 0; k < 1 + i % 4; k++) {
            state = state * 1664525u + 1013904223u;
            ((char *)data.mutableBytes)[code + (state >> 4) % (data.length - code)] ^=
                    (char)(1 << (state & 7));
        }
        NSError *error = nil;
        id<MTLLibrary> changed =
                [device newLibraryWithData:dispatch_data_create(data.bytes, data.length, NULL, NULL)
                                     error:&error];
        CHECK(changed || error);
        libraries += changed != nil;
        for (NSString *name in changed.functionNames) {
            id<MTLFunction> function = [changed newFunctionWithName:name];
            error = nil;
            id<MTLComputePipelineState> made = [device newComputePipelineStateWithFunction:function
                                                                                     error:&error];
            CHECK(made || error);
            pipelines += made != nil;
        }
    }
    printf("of %d changed libraries %u were taken, with %u pipelines\n", CHANGED, libraries,
            pipelines);
    test_reduce();
}

int main(int argc, char **argv)
{
    const struct test tests[] = {{"load", test_load}, {"default", test_default},
            {"reflection", test_reflection}, {"scale", test_scale}, {"promises", test_promises},
            {"reduce", test_reduce}, {"constants", test_constants}, {"copied", test_copied},
            {"atomics", test_atomics}, {"matrices", test_matrices}, {"functions", test_functions},
            {"refused", test_refused}, {"damaged", test_damaged}, {"changed", test_changed}};
    CHECK(argc == 2);
    @autoreleasepool {
        path = [NSString stringWithUTF8String:argv[1]];
    }
    return run_tests(tests, sizeof tests / sizeof *tests);
}
