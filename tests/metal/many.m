/* Programs that make thousands of libraries and pipelines: each of them takes memory of the host,
 * but no mapping of its own, of which a process may have 65,530. Run in one process, whose mappings
 * it counts. */
#include "program.h"

enum { First = 4, Libraries = 24, Pipelines = 48 };

static unsigned mappings(void)
{
    char line[512];
    unsigned count = 0;
    FILE *file = fopen("/proc/self/maps", "r");
    CHECK(file);
    while (fgets(line, sizeof line, file))
        count += strchr(line, '\n') != NULL;
    fclose(file);
    return count;
}

static void add_library(NSMutableArray *to, int number)
{
    [to addObject:library_from([NSString stringWithFormat:@"kernel void k(device int *p "
                                                          @"[[buffer(0)]]) { *p = %d; }",
                                       number],
                          nil)];
}

static void test_libraries(void)
{
    NSMutableArray *libraries = [NSMutableArray array];
    for (int i = 0; i < First; i++)
        add_library(libraries, i);
    unsigned before = mappings();
    for (int i = First; i < First + Libraries; i++)
        add_library(libraries, i);
    unsigned after = mappings();
    printf("%u mappings, and %u with %d libraries more\n", before, after, Libraries);
    CHECK(after < before + Libraries);
    CHECK(pipeline_of(libraries[First], @"k") && pipeline_of(libraries.lastObject, @"k"));
}

static id<MTLComputePipelineState> numbered(id<MTLLibrary> library, int number)
{
    MTLFunctionConstantValues *values = [MTLFunctionConstantValues new];
    [values setConstantValue:&number type:MTLDataTypeInt atIndex:0];
    NSError *error = nil;
    id<MTLFunction> function = [library newFunctionWithName:@"k"
                                             constantValues:values
                                                      error:&error];
    CHECK(function);
    id<MTLComputePipelineState> pipeline =
            [library.device newComputePipelineStateWithFunction:function error:&error];
    CHECK(pipeline);
    return pipeline;
}

/* What the pipeline writes into a buffer of one int. */
static int writes(id<MTLComputePipelineState> pipeline)
{
    id<MTLBuffer> buffer = [pipeline.device newBufferWithLength:4 options:0];
    queue = [pipeline.device newCommandQueue];
    run(^(id<MTLComputeCommandEncoder> encoder) {
      [encoder setComputePipelineState:pipeline];
      [encoder setBuffer:buffer offset:0 atIndex:0];
      [encoder dispatchThreadgroups:MTLSizeMake(1, 1, 1)
              threadsPerThreadgroup:MTLSizeMake(1, 1, 1)];
    });
    return *(int *)buffer.contents;
}

/* Some go on the way, and others come in their places. */
static void test_pipelines(void)
{
    id<MTLLibrary> library =
            library_from(@"constant int number [[function_constant(0)]];"
                         @"kernel void k(device int *p [[buffer(0)]]) { *p = number; }",
                    nil);
    NSMutableArray *pipelines = [NSMutableArray array];
    for (int i = 0; i < First; i++)
        [pipelines addObject:numbered(library, i)];
    CHECK(writes(pipelines[0]) == 0);
    unsigned before = mappings();
    for (int i = First; i < First + Pipelines; i++) {
        @autoreleasepool {
            [pipelines addObject:numbered(library, i)];
            CHECK(writes(pipelines.lastObject) == i);
            if (i % 3 == 0)
                pipelines[(NSUInteger)i / 2] = numbered(library, -i);
        }
    }
    unsigned after = mappings();
    printf("%u mappings, and %u with %d pipelines more\n", before, after, Pipelines);
    CHECK(after < before + Pipelines / 2);
    CHECK(writes(pipelines[First + Pipelines / 2 + 1]) == First + Pipelines / 2 + 1);
    CHECK(writes(pipelines.lastObject) == First + Pipelines - 1);
    CHECK(writes(pipelines[3]) == -6);
}

int main(void)
{
    const struct test tests[] = {{"libraries", test_libraries}, {"pipelines", test_pipelines}};
    return run_tests(tests, sizeof tests / sizeof *tests);
}
