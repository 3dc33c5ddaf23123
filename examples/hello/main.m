// The smallest whole program: one kernel, compiled from source at run time, that adds two vectors.
#import <Foundation/Foundation.h>
#import <Metal/Metal.h>

static NSString *const source = @"kernel void add(device const float *a, device const float *b,\n"
                                @"                device float *sum, uint i [[thread_position_in_grid]])\n"
                                @"{ sum[i] = a[i] + b[i]; }\n";

int main(void)
{
    @autoreleasepool {
        enum { COUNT = 1 << 20 };
        NSError *error = nil;
        id<MTLDevice> device = MTLCreateSystemDefaultDevice();
        id<MTLLibrary> library = [device newLibraryWithSource:source options:nil error:&error];
        id<MTLComputePipelineState> add =
                [device newComputePipelineStateWithFunction:[library newFunctionWithName:@"add"] error:&error];
        if (!add) {
            fprintf(stderr, "%s\n", error ? error.localizedDescription.UTF8String : "there is no Metal device");
            return 1;
        }
        id<MTLBuffer> buffers[3];
        for (int i = 0; i < 3; i++)
            buffers[i] = [device newBufferWithLength:COUNT * sizeof(float) options:MTLResourceStorageModeShared];
        float *a = buffers[0].contents, *b = buffers[1].contents, *sum = buffers[2].contents;
        for (int i = 0; i < COUNT; i++) {
            a[i] = i;
            b[i] = 2 * i;
        }
        id<MTLCommandBuffer> commands = [[device newCommandQueue] commandBuffer];
        id<MTLComputeCommandEncoder> encoder = [commands computeCommandEncoder];
        [encoder setComputePipelineState:add];
        for (int i = 0; i < 3; i++)
            [encoder setBuffer:buffers[i] offset:0 atIndex:i];
        [encoder dispatchThreads:MTLSizeMake(COUNT, 1, 1) threadsPerThreadgroup:MTLSizeMake(256, 1, 1)];
        [encoder endEncoding];
        [commands commit];
        [commands waitUntilCompleted];
        for (int i = 0; i < COUNT; i++)
            if (sum[i] != a[i] + b[i]) {
                fprintf(stderr, "sum %d is wrong\n", i);
                return 1;
            }
        printf("%d sums right on %s\n", COUNT, device.name.UTF8String);
    }
    return 0;
}
