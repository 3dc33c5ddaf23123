#import "PhotoFilter.h"

#include <math.h>

typedef struct {
    uint32_t width, height;
} Size;

@implementation PhotoFilter {
    id<MTLDevice> _device;
    id<MTLCommandQueue> _queue;
    NSMutableDictionary<NSString *, id<MTLComputePipelineState>> *_pipelines;
    Size _size;
}

- (instancetype)initWithDevice:(id<MTLDevice>)device source:(NSString *)source error:(NSError **)error
{
    self = [super init];
    if (!self)
        return nil;
    _device = device;
    _queue = [device newCommandQueue];
    _queue.label = @"photo";
    _pipelines = [NSMutableDictionary dictionary];
    id<MTLLibrary> library = [device newLibraryWithSource:source options:nil error:error];
    if (!library)
        return nil;
    for (NSString *name in library.functionNames) {
        id<MTLFunction> function = [library newFunctionWithName:name];
        id<MTLComputePipelineState> pipeline = [device newComputePipelineStateWithFunction:function
                                                                                     error:error];
        if (!pipeline)
            return nil;
        _pipelines[name] = pipeline;
    }
    return self;
}

- (id<MTLBuffer>)image
{
    return [_device newBufferWithLength:sizeof(Pixel) * _size.width * _size.height
                                options:MTLResourceStorageModePrivate];
}

- (void)dispatch:(id<MTLComputeCommandEncoder>)encoder
{
    [encoder dispatchThreads:MTLSizeMake(_size.width, _size.height, 1)
            threadsPerThreadgroup:MTLSizeMake(16, 16, 1)];
}

- (void)blur:(id<MTLBuffer>)input
               to:(id<MTLBuffer>)output
          through:(id<MTLBuffer>)between
            sigma:(float)sigma
          encoder:(id<MTLComputeCommandEncoder>)encoder
{
    int32_t radius = (int32_t)ceilf(3 * sigma);
    NSMutableData *weights = [NSMutableData dataWithLength:sizeof(float) * (NSUInteger)(radius + 1)];
    float *w = weights.mutableBytes, sum = 0;
    for (int32_t i = 0; i <= radius; i++) {
        w[i] = expf(-(float)(i * i) / (2 * sigma * sigma));
        sum += i ? 2 * w[i] : w[i];
    }
    for (int32_t i = 0; i <= radius; i++)
        w[i] /= sum;

    [encoder setComputePipelineState:_pipelines[@"blur"]];
    [encoder setBytes:&_size length:sizeof _size atIndex:2];
    [encoder setBytes:weights.bytes length:weights.length atIndex:3];
    [encoder setBytes:&radius length:sizeof radius atIndex:4];
    for (int down = 0; down < 2; down++) {
        const int32_t step[2] = {!down, down};
        [encoder setBuffer:down ? between : input offset:0 atIndex:0];
        [encoder setBuffer:down ? output : between offset:0 atIndex:1];
        [encoder setBytes:step length:sizeof step atIndex:5];
        [self dispatch:encoder];
    }
}

- (void)sharpen:(id<MTLBuffer>)input
        blurred:(id<MTLBuffer>)blurred
             to:(id<MTLBuffer>)output
         amount:(float)amount
        encoder:(id<MTLComputeCommandEncoder>)encoder
{
    [encoder setComputePipelineState:_pipelines[@"sharpen"]];
    [encoder setBuffer:input offset:0 atIndex:0];
    [encoder setBuffer:blurred offset:0 atIndex:1];
    [encoder setBuffer:output offset:0 atIndex:2];
    [encoder setBytes:&_size length:sizeof _size atIndex:3];
    [encoder setBytes:&amount length:sizeof amount atIndex:4];
    [self dispatch:encoder];
}

- (void)tone:(id<MTLBuffer>)input
             to:(id<MTLBuffer>)output
       exposure:(float)exposure
        encoder:(id<MTLComputeCommandEncoder>)encoder
{
    const float warmth = 0.55f;
    [encoder setComputePipelineState:_pipelines[@"tone"]];
    [encoder setBuffer:input offset:0 atIndex:0];
    [encoder setBuffer:output offset:0 atIndex:1];
    [encoder setBytes:&_size length:sizeof _size atIndex:2];
    [encoder setBytes:&exposure length:sizeof exposure atIndex:3];
    [encoder setBytes:&warmth length:sizeof warmth atIndex:4];
    [self dispatch:encoder];
}

- (BOOL)finish:(id<MTLCommandBuffer>)commands error:(NSError **)error
{
    [commands commit];
    [commands waitUntilCompleted];
    if (commands.status == MTLCommandBufferStatusCompleted)
        return YES;
    if (error)
        *error = commands.error;
    return NO;
}

/* The picture's average brightness, measured on the GPU. */
- (BOOL)measure:(id<MTLBuffer>)image brightness:(float *)brightness error:(NSError **)error
{
    const NSUInteger side = 16;
    MTLSize groups = MTLSizeMake((_size.width + side - 1) / side, (_size.height + side - 1) / side, 1);
    NSUInteger count = groups.width * groups.height;
    id<MTLBuffer> tiles = [_device newBufferWithLength:sizeof(float) * count
                                               options:MTLResourceStorageModeShared];
    id<MTLCommandBuffer> commands = [_queue commandBuffer];
    id<MTLComputeCommandEncoder> encoder = [commands computeCommandEncoder];
    [encoder setComputePipelineState:_pipelines[@"brightness"]];
    [encoder setBuffer:image offset:0 atIndex:0];
    [encoder setBuffer:tiles offset:0 atIndex:1];
    [encoder setBytes:&_size length:sizeof _size atIndex:2];
    [encoder setThreadgroupMemoryLength:sizeof(float) * side * side atIndex:0];
    [encoder dispatchThreadgroups:groups threadsPerThreadgroup:MTLSizeMake(side, side, 1)];
    [encoder endEncoding];
    if (![self finish:commands error:error])
        return NO;
    const float *sums = tiles.contents;
    double sum = 0;
    for (NSUInteger i = 0; i < count; i++)
        sum += sums[i];
    *brightness = (float)(sum / ((double)_size.width * _size.height));
    return YES;
}

- (BOOL)filterPixels:(Pixel *)pixels width:(uint32_t)width height:(uint32_t)height error:(NSError **)error
{
    _size = (Size){width, height};
    NSUInteger length = sizeof(Pixel) * width * height;
    id<MTLBuffer> photo = [_device newBufferWithBytes:pixels length:length options:MTLResourceStorageModeShared];
    id<MTLBuffer> between = [self image], clean = [self image], soft = [self image];
    float brightness = 0;
    if (!photo || !between || !clean || !soft || ![self measure:photo brightness:&brightness error:error])
        return NO;

    id<MTLCommandBuffer> commands = [_queue commandBuffer];
    commands.label = @"filter";
    id<MTLComputeCommandEncoder> encoder = [commands computeCommandEncoder];
    [self blur:photo to:clean through:between sigma:1.5f encoder:encoder];
    [self blur:clean to:soft through:between sigma:3.0f encoder:encoder];
    [self sharpen:clean blurred:soft to:between amount:0.8f encoder:encoder];
    [self tone:between to:photo exposure:0.46f / fmaxf(brightness, 0.05f) encoder:encoder];
    [encoder endEncoding];
    if (![self finish:commands error:error])
        return NO;
    memcpy(pixels, photo.contents, length);
    _summary = [NSString stringWithFormat:@"brightness %.3f, filtered in %.1f ms", brightness,
                                          (commands.GPUEndTime - commands.GPUStartTime) * 1000];
    return YES;
}

@end
