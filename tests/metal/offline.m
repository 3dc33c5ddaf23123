/* Libraries that a build makes with xcrun's metal and metallib, as most programs for Macs have
 * them: of two files, each compiled with options of its own, which are one library here. */
#include "program.h"

static id<MTLLibrary> library;
static NSString *path;

static void test_load(void)
{
    NSError *error = nil;
    library = [device newLibraryWithURL:[NSURL fileURLWithPath:path] error:&error];
    CHECK(library && !error);
}

static void run_one(
        id<MTLComputePipelineState> state, NSUInteger threads, id<MTLBuffer> a, id<MTLBuffer> b)
{
    CHECK_DONE(run(^(id<MTLComputeCommandEncoder> encoder) {
      [encoder setComputePipelineState:state];
      [encoder setBuffer:a offset:0 atIndex:0];
      [encoder setBuffer:b offset:0 atIndex:1];
      [encoder dispatchThreads:MTLSizeMake(threads, 1, 1)
              threadsPerThreadgroup:MTLSizeMake(threads, 1, 1)];
    }));
}

static void test_names(void)
{
    CHECK(library.functionNames.count == 2 && [library.functionNames containsObject:@"products"] &&
            [library.functionNames containsObject:@"modes"]);
    CHECK(![library newFunctionWithName:@"product"]);
    NSError *error = nil;
    CHECK(![library newFunctionWithName:@"none"
                         constantValues:[MTLFunctionConstantValues new]
                                  error:&error]);
    CHECK([error.localizedDescription containsString:@"none"]);
}

static void test_first(void)
{
    id<MTLBuffer> in = [device newBufferWithLength:64 options:0],
                  out = [device newBufferWithLength:32 options:0];
    for (int i = 0; i < 16; i++)
        ((float *)in.contents)[i] = i;
    run_one(pipeline_of(library, @"products"), 8, in, out);
    for (int i = 0; i < 8; i++)
        CHECK(((float *)out.contents)[i] == 3.0f * (2 * i) * (2 * i + 1));
}

/* Its own macros, version and mathematics; and constants of the second part. */
static void test_second(void)
{
    NSError *error = nil;
    MTLFunctionConstantValues *values = [MTLFunctionConstantValues new];
    int more = 77;
    [values setConstantValue:&more type:MTLDataTypeInt atIndex:3];
    id<MTLFunction> modes = [library newFunctionWithName:@"modes"
                                          constantValues:values
                                                   error:&error];
    CHECK(modes.functionConstantsDictionary[@"more"].index == 3);
    id<MTLBuffer> out = [device newBufferWithLength:16 options:0];
    id<MTLComputePipelineState> state = [device newComputePipelineStateWithFunction:modes
                                                                              error:&error];
    CHECK(state && !error);
    run_one(state, 1, out, nil);
    const int *found = out.contents;
    CHECK(found[0] == 0 && found[1] == 310 && found[2] == 77 && found[3] == 5);
}

static void test_damaged(void)
{
    NSError *error = nil;
    NSData *data = [NSData dataWithContentsOfFile:path];
    CHECK(data.length > 64);
    id<MTLLibrary> cut =
            [device newLibraryWithData:dispatch_data_create(data.bytes, data.length - 8, NULL, NULL)
                                 error:&error];
    CHECK(!cut && error);
}

int main(int argc, char **argv)
{
    const struct test tests[] = {{"load", test_load}, {"names", test_names}, {"first", test_first},
            {"second", test_second}, {"damaged", test_damaged}};
    CHECK(argc == 2);
    @autoreleasepool {
        path = [NSString stringWithUTF8String:argv[1]];
    }
    return run_tests(tests, sizeof tests / sizeof *tests);
}
