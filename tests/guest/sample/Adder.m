#import "Adder.h"

static const NSUInteger Length = 1 << 20;

@implementation Adder {
    id<MTLComputePipelineState> _add;
    id<MTLCommandQueue> _queue;
    id<MTLBuffer> _a, _b, _result;
}

- (instancetype)initWithDevice:(id<MTLDevice>)device error:(NSError **)error
{
    if (!(self = [super init]))
        return nil;
    _device = device;
    id<MTLLibrary> library = [device newDefaultLibrary];
    id<MTLFunction> function = [library newFunctionWithName:@"add_arrays"];
    if (!function) {
        NSLog(@"the default library has no add_arrays");
        return nil;
    }
    _add = [device newComputePipelineStateWithFunction:function error:error];
    _queue = [device newCommandQueue];
    return _add && _queue ? self : nil;
}

- (id<MTLBuffer>)randomBuffer
{
    id<MTLBuffer> buffer = [_device newBufferWithLength:Length * sizeof(float)
                                                options:MTLResourceStorageModeShared];
    float *values = buffer.contents;
    for (NSUInteger i = 0; i < Length; i++)
        values[i] = (float)rand() / (float)RAND_MAX;
    return buffer;
}

- (void)prepareData
{
    _a = [self randomBuffer];
    _b = [self randomBuffer];
    _result = [_device newBufferWithLength:Length * sizeof(float)
                                   options:MTLResourceStorageModeShared];
}

- (void)sendComputeCommand
{
    id<MTLCommandBuffer> commands = [_queue commandBuffer];
    id<MTLComputeCommandEncoder> encoder = [commands computeCommandEncoder];
    [encoder setComputePipelineState:_add];
    [encoder setBuffer:_a offset:0 atIndex:0];
    [encoder setBuffer:_b offset:0 atIndex:1];
    [encoder setBuffer:_result offset:0 atIndex:2];
    NSUInteger width = MIN(_add.maxTotalThreadsPerThreadgroup, Length);
    [encoder dispatchThreads:MTLSizeMake(Length, 1, 1)
            threadsPerThreadgroup:MTLSizeMake(width, 1, 1)];
    [encoder endEncoding];
    if (self.finished) {
        __weak typeof(self) weakSelf = self;
        [commands addCompletedHandler:^(id<MTLCommandBuffer> done) {
            weakSelf.finished(done.GPUEndTime - done.GPUStartTime);
        }];
    }
    [commands commit];
    [commands waitUntilCompleted];
}

- (BOOL)resultsAreRight
{
    const float *a = _a.contents, *b = _b.contents, *result = _result.contents;
    for (NSUInteger i = 0; i < Length; i++)
        if (result[i] != a[i] + b[i]) {
            NSLog(@"element %lu: %g, not %g", (unsigned long)i, result[i], a[i] + b[i]);
            return NO;
        }
    return YES;
}

@end
