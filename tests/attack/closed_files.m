/* A program that closes its standard streams and prints on: the text is nobody's. First before there
 * is a device, whose descriptors would be these; then while it works. */
#import <Foundation/Foundation.h>
#import <Metal/Metal.h>
#include <fcntl.h>
#include <unistd.h>

static NSString *const source = @"kernel void f(device uint *x [[buffer(0)]], uint i [[thread_position_in_grid]])\n"
                                 "{ x[i] += i; }\n";

/* Prints to what should be closed; what it is by now, when it is not. */
static int text(void)
{
    static const char words[] = "text that a program prints, of more than eight bytes\n";
    for (int fd = 0; fd < 3; fd++) {
        (void)!write(fd, words, sizeof words);
        if (fcntl(fd, F_GETFD) >= 0)
            return 10 + fd;
    }
    return 0;
}

static int work(id<MTLDevice> device)
{
    NSError *error = nil;
    id<MTLLibrary> library = [device newLibraryWithSource:source options:nil error:&error];
    int bad = text();
    if (bad || !library)
        return bad ? bad : 2;
    id<MTLComputePipelineState> pipeline =
            [device newComputePipelineStateWithFunction:[library newFunctionWithName:@"f"] error:&error];
    id<MTLCommandQueue> queue = [device newCommandQueue];
    id<MTLBuffer> buffer = [device newBufferWithLength:4096 options:0];
    if (!pipeline || !queue || !buffer)
        return 3;
    for (unsigned round = 0; round < 100; round++) {
        id<MTLCommandBuffer> commands = [queue commandBuffer];
        id<MTLComputeCommandEncoder> encoder = [commands computeCommandEncoder];
        [encoder setComputePipelineState:pipeline];
        [encoder setBuffer:buffer offset:0 atIndex:0];
        [encoder dispatchThreads:MTLSizeMake(1024, 1, 1) threadsPerThreadgroup:MTLSizeMake(64, 1, 1)];
        [encoder endEncoding];
        [commands commit];
        if ((bad = text()))
            return bad;
        [commands waitUntilCompleted];
        if (commands.status != MTLCommandBufferStatusCompleted)
            return 4;
    }
    for (unsigned i = 0; i < 1024; i++)
        if (((uint32_t *)buffer.contents)[i] != 100 * i)
            return 5;
    return text();
}

int main(void)
{
    @autoreleasepool {
        for (int fd = 0; fd < 3; fd++)
            close(fd);
        id<MTLDevice> device = MTLCreateSystemDefaultDevice();
        int bad = text();
        return bad ? bad : device ? work(device) : 1;
    }
}
