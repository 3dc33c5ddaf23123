/* What clients do with the Metal headers, compiled as Objective-C and Objective-C++. */
#import <Metal/Metal.h>
#import <Metal/MTLIOCommandQueue.h>
#if __has_include(<CoreFoundation/CoreFoundation.h>) /* not beside the stub of Foundation */
#import <MetalKit/MetalKit.h>
#import <QuartzCore/QuartzCore.h>
#include <os/signpost.h>
#endif

int run(id<MTLDevice> device, NSString *source);
int run(id<MTLDevice> device, NSString *source)
{
    NSError *error = 0;
    MTLCompileOptions *options = 0;
    options.mathMode = MTLMathModeFast;
    id<MTLLibrary> library = [device newLibraryWithSource:source options:options error:&error];
    id<MTLFunction> function = [library newFunctionWithName:source];
    MTLComputePipelineReflection *reflection = 0;
    id<MTLComputePipelineState> pipeline =
        [device newComputePipelineStateWithFunction:function
                                            options:MTLPipelineOptionBindingInfo
                                         reflection:&reflection
                                              error:&error];
    MTLResourceOptions shared = MTLResourceStorageModeShared | MTLResourceHazardTrackingModeUntracked;
    id<MTLBuffer> buffer = [device newBufferWithLength:64 options:shared];
    const id<MTLBuffer> buffers[] = {buffer, buffer};
    const NSUInteger offsets[] = {0, 16};
    NSRange range = {0, 2};
    id<MTLCommandBuffer> commands = [[device newCommandQueue] commandBuffer];
    id<MTLComputeCommandEncoder> encoder =
        [commands computeCommandEncoderWithDispatchType:MTLDispatchTypeConcurrent];
    [encoder setComputePipelineState:pipeline];
    [encoder setBuffers:buffers offsets:offsets withRange:range];
    [encoder setBuffer:0 offset:0 atIndex:2];
    [encoder dispatchThreads:MTLSizeMake(64, 1, 1) threadsPerThreadgroup:MTLSizeMake(32, 1, 1)];
    [encoder memoryBarrierWithScope:MTLBarrierScopeBuffers | MTLBarrierScopeTextures];
    [encoder endEncoding];
    [commands addCompletedHandler:^(id<MTLCommandBuffer> done) { (void)done.error; }];
    [commands commit];
    MTLRegion region = MTLRegionMake2D(0, 0, 4, 4);
    id<MTLBuffer> adopted = [device newBufferWithBytesNoCopy:buffer.contents
                                                      length:64
                                                     options:shared
                                                 deallocator:^(void *p, NSUInteger n) { (void)p, (void)n; }];
    return adopted && region.size.width && commands.status == MTLCommandBufferStatusError;
}
