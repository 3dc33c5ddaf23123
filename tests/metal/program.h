/* What the test programs that speak Apple's API share: checks that end the program, and making a
 * library or a pipeline, saying why when that fails. */
#import <Foundation/Foundation.h>
#import <Metal/Metal.h>

#include "../check.h"

#define CHECK_DONE(commands)                                                                       \
    do {                                                                                           \
        id<MTLCommandBuffer> done_ = (commands);                                                   \
        [done_ waitUntilCompleted];                                                                \
        if (done_.status != MTLCommandBufferStatusCompleted)                                       \
            fprintf(stderr, "%s\n", done_.error.localizedDescription.UTF8String);                  \
        CHECK(done_.status == MTLCommandBufferStatusCompleted);                                    \
    } while (0)
/* An error of the domain, with the code, that says the words. */
#define CHECK_ERROR(error, name, number, words)                                                    \
    do {                                                                                           \
        bool right_ = (error) && [(error).domain isEqualToString:(name)] &&                        \
                      (error).code == (NSInteger)(number) &&                                       \
                      [(error).localizedDescription containsString:(words)];                       \
        if (!right_)                                                                               \
            fprintf(stderr, "%s %ld: %s\n", (error).domain.UTF8String, (long)(error).code,         \
                    (error).localizedDescription.UTF8String);                                      \
        CHECK(right_);                                                                             \
        (error) = nil;                                                                             \
    } while (0)

static id<MTLDevice> device;
static id<MTLCommandQueue> queue;

static inline id<MTLLibrary> library_from(NSString *source, MTLCompileOptions *options)
{
    NSError *error = nil;
    id<MTLLibrary> library = [device newLibraryWithSource:source options:options error:&error];
    if (!library)
        fprintf(stderr, "%s\n", error.localizedDescription.UTF8String);
    CHECK(library);
    return library;
}

static inline id<MTLComputePipelineState> pipeline_of(id<MTLLibrary> library, NSString *name)
{
    NSError *error = nil;
    id<MTLFunction> function = [library newFunctionWithName:name];
    CHECK(function);
    id<MTLComputePipelineState> state = [device newComputePipelineStateWithFunction:function
                                                                              error:&error];
    CHECK(state && !error);
    return state;
}

typedef void (^encode_block)(id<MTLComputeCommandEncoder> encoder);

/* One compute encoder, run to its end. */
static inline id<MTLCommandBuffer> run(encode_block encode)
{
    id<MTLCommandBuffer> commands = [queue commandBuffer];
    id<MTLComputeCommandEncoder> encoder = [commands computeCommandEncoder];
    encode(encoder);
    [encoder endEncoding];
    [commands commit];
    [commands waitUntilCompleted];
    return commands;
}

struct test {
    const char *name;
    void (*function)(void);
};

static inline int run_tests(const struct test *tests, size_t count)
{
    @autoreleasepool {
        device = MTLCreateSystemDefaultDevice();
        CHECK(device);
        queue = [device newCommandQueue];
        CHECK(queue);
    }
    for (size_t i = 0; i < count; i++) {
        @autoreleasepool {
            tests[i].function();
        }
        printf("%s: ok\n", tests[i].name);
        fflush(stdout);
    }
    return 0;
}
