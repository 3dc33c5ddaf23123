/* MTLBinaryArchive: what was added is found, also by the next program; what was not, or with other
 * constants, is a miss; files that are no archives, cut off or damaged are refused by name. */
#include "program.h"
#include <unistd.h>

static NSString *const source =
        @""
         "constant int factor [[function_constant(0)]];\n"
         "kernel void times(device int *x [[buffer(0)]], uint i [[thread_position_in_grid]])\n"
         "{ x[i] *= factor; }\n"
         "kernel void negate(device int *x [[buffer(0)]], uint i [[thread_position_in_grid]])\n"
         "{ x[i] = -x[i]; }\n"
         "kernel void broken(device int *x [[buffer(0)]]) { x[0] = factor; }\n";

static id<MTLLibrary> library;
static NSString *folder;

static MTLComputePipelineDescriptor *times(int factor)
{
    MTLFunctionConstantValues *values = [MTLFunctionConstantValues new];
    [values setConstantValue:&factor type:MTLDataTypeInt atIndex:0];
    NSError *error = nil;
    MTLComputePipelineDescriptor *d = [MTLComputePipelineDescriptor new];
    d.computeFunction = [library newFunctionWithName:@"times" constantValues:values error:&error];
    CHECK(d.computeFunction && !error);
    return d;
}

static MTLComputePipelineDescriptor *negate(void)
{
    MTLComputePipelineDescriptor *d = [MTLComputePipelineDescriptor new];
    d.computeFunction = [library newFunctionWithName:@"negate"];
    return d;
}

static id<MTLBinaryArchive> archive_at(NSString *name, NSError **error)
{
    MTLBinaryArchiveDescriptor *d = [MTLBinaryArchiveDescriptor new];
    if (name)
        d.url = [NSURL fileURLWithPath:[folder stringByAppendingPathComponent:name]];
    return [device newBinaryArchiveWithDescriptor:d error:error];
}

static id<MTLComputePipelineState> only_from(
        NSArray<id<MTLBinaryArchive>> *archives, MTLComputePipelineDescriptor *d, NSError **error)
{
    d.binaryArchives = archives;
    return [device newComputePipelineStateWithDescriptor:d
                                                 options:MTLPipelineOptionFailOnBinaryArchiveMiss
                                              reflection:nil
                                                   error:error];
}

static void test_round_trip(void)
{
    NSError *error = nil;
    id<MTLBinaryArchive> archive = archive_at(nil, &error);
    CHECK(archive && !error && archive.device == device);
    archive.label = @"mine";
    CHECK([archive.label isEqualToString:@"mine"]);
    CHECK(!only_from(@[ archive ], times(3), &error));
    CHECK_ERROR(error, MTLBinaryArchiveDomain, MTLBinaryArchiveErrorCompilationFailure, @"times");
    CHECK([archive addComputePipelineFunctionsWithDescriptor:times(3) error:&error] && !error);
    CHECK([archive addComputePipelineFunctionsWithDescriptor:times(3) error:&error] && !error);
    MTLFunctionDescriptor *f = [MTLFunctionDescriptor functionDescriptor];
    f.name = @"negate";
    CHECK([archive addFunctionWithDescriptor:f library:library error:&error] && !error);
    CHECK(only_from(@[ archive ], times(3), &error) && !error);
    NSURL *url = [NSURL fileURLWithPath:[folder stringByAppendingPathComponent:@"archive"]];
    CHECK([archive serializeToURL:url error:&error] && !error);
    CHECK([archive serializeToURL:url error:&error] && !error); /* over the old one */

    id<MTLBinaryArchive> loaded = archive_at(@"archive", &error);
    CHECK(loaded && !error);
    id<MTLComputePipelineState> state =
            only_from(@[ archive_at(nil, NULL), loaded ], times(3), &error);
    CHECK(state && !error);
    CHECK(only_from(@[ loaded ], negate(), &error) && !error);
    CHECK(!only_from(@[ loaded ], times(4), &error)); /* another constant */
    CHECK_ERROR(error, MTLBinaryArchiveDomain, MTLBinaryArchiveErrorCompilationFailure, @"times");
    CHECK(!only_from(nil, times(3), &error) && error);
    error = nil;
    /* Without the option an archive is a hint. */
    MTLComputePipelineDescriptor *d = times(4);
    d.binaryArchives = @[ loaded ];
    CHECK([device newComputePipelineStateWithDescriptor:d options:0 reflection:nil error:&error]);

    id<MTLBuffer> x = [device newBufferWithBytes:(int[2]){5, 6} length:8 options:0];
    CHECK_DONE(run(^(id<MTLComputeCommandEncoder> e) {
      [e setComputePipelineState:state];
      [e setBuffer:x offset:0 atIndex:0];
      [e dispatchThreads:MTLSizeMake(2, 1, 1) threadsPerThreadgroup:MTLSizeMake(2, 1, 1)];
    }));
    CHECK(((int *)x.contents)[0] == 15 && ((int *)x.contents)[1] == 18);
}

static void test_functions(void)
{
    NSError *error = nil;
    id<MTLBinaryArchive> archive = archive_at(nil, &error);
    MTLFunctionDescriptor *f = [MTLFunctionDescriptor functionDescriptor];
    f.name = @"negate";
    f.options = MTLFunctionOptionFailOnBinaryArchiveMiss;
    f.binaryArchives = @[ archive ];
    CHECK(![library newFunctionWithDescriptor:f error:&error] && error);
    error = nil;
    CHECK([archive addComputePipelineFunctionsWithDescriptor:negate() error:&error]);
    CHECK([library newFunctionWithDescriptor:f error:&error] && !error);
    f.name = @"absent";
    CHECK(![archive addFunctionWithDescriptor:f library:library error:&error] && error);
    error = nil;
    /* What does not compile is not added, and the error is the compiler's. */
    MTLComputePipelineDescriptor *d = [MTLComputePipelineDescriptor new];
    d.computeFunction = [library newFunctionWithName:@"broken"];
    CHECK(![archive addComputePipelineFunctionsWithDescriptor:d error:&error]);
    CHECK_ERROR(error, MTLBinaryArchiveDomain, MTLBinaryArchiveErrorCompilationFailure, @"factor");
    CHECK(![archive addComputePipelineFunctionsWithDescriptor:[MTLComputePipelineDescriptor new]
                                                        error:&error] &&
            error);
    CHECK(!only_from(@[ archive ], d, NULL));
}

/* Every byte of a real archive changed, and every length: an error, never a crash or a hit. */
static void test_damage(void)
{
    NSString *path = [folder stringByAppendingPathComponent:@"archive"];
    NSData *good = [NSData dataWithContentsOfFile:path];
    NSString *bad = [folder stringByAppendingPathComponent:@"bad"];
    CHECK(good.length > 64);
    for (NSUInteger i = 0; i <= good.length; i++) {
        NSError *error = nil;
        NSMutableData *data = [good mutableCopy];
        if (i < good.length)
            ((uint8_t *)data.mutableBytes)[i] ^= 0x41;
        else
            [data appendBytes:"" length:1];
        CHECK([data writeToFile:bad atomically:NO]);
        CHECK(!archive_at(@"bad", &error));
        CHECK_ERROR(error, MTLBinaryArchiveDomain, MTLBinaryArchiveErrorInvalidFile, @"is invalid");
        data.length = i;
        CHECK([data writeToFile:bad atomically:NO]);
        CHECK(i == good.length || !archive_at(@"bad", NULL));
    }
    NSError *error = nil;
    CHECK(!archive_at(@"absent", &error));
    CHECK_ERROR(error, MTLBinaryArchiveDomain, MTLBinaryArchiveErrorInvalidFile, @"absent");
    NSURL *nowhere = [NSURL fileURLWithPath:@"/nowhere/archive"];
    CHECK(![archive_at(nil, NULL) serializeToURL:nowhere error:&error]);
    CHECK_ERROR(error, MTLBinaryArchiveDomain, MTLBinaryArchiveErrorInternalError, @"/nowhere");
}

static void make_library(void)
{
    char name[] = "/tmp/arcbox-archive.XXXXXX";
    CHECK(mkdtemp(name));
    folder = [NSString stringWithUTF8String:name];
    library = library_from(source, nil);
}

static void tidy(void)
{
    [[NSFileManager defaultManager] removeItemAtPath:folder error:nil];
}

int main(void)
{
    static const struct test tests[] = {{"library", make_library}, {"round trip", test_round_trip},
            {"functions", test_functions}, {"damage", test_damage}, {"tidy", tidy}};
    return run_tests(tests, sizeof tests / sizeof *tests);
}
