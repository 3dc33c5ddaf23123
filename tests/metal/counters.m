/* Timestamps: what can be sampled and where, that samples are in order and between what the program
 * itself saw, and what wrong calls give. */
#import "program.h"

static NSString *const source = @""
    "kernel void count(device uint *x [[buffer(0)]], constant uint &n [[buffer(1)]])\n"
    "{ for (uint i = 0; i < n; i++) x[0] = x[0] * 3 + i; }\n";

static id<MTLComputePipelineState> state;
static id<MTLBuffer> x;

static id<MTLCounterSampleBuffer> samples(NSUInteger count, MTLStorageMode mode, NSError **error)
{
    MTLCounterSampleBufferDescriptor *d = [MTLCounterSampleBufferDescriptor new];
    d.counterSet = device.counterSets.firstObject;
    d.sampleCount = count;
    d.storageMode = mode;
    d.label = @"times";
    return [device newCounterSampleBufferWithDescriptor:d error:error];
}

static void dispatch(id<MTLComputeCommandEncoder> encoder, uint32_t turns)
{
    [encoder setComputePipelineState:state];
    [encoder setBuffer:x offset:0 atIndex:0];
    [encoder setBytes:&turns length:4 atIndex:1];
    [encoder dispatchThreads:MTLSizeMake(1, 1, 1) threadsPerThreadgroup:MTLSizeMake(1, 1, 1)];
}

static void test_what(void)
{
    CHECK(device.counterSets.count == 1);
    id<MTLCounterSet> set = device.counterSets[0];
    CHECK([set.name isEqualToString:MTLCommonCounterSetTimestamp]);
    CHECK(set.counters.count == 1);
    CHECK([set.counters[0].name isEqualToString:MTLCommonCounterTimestamp]);
    CHECK([device supportsCounterSampling:MTLCounterSamplingPointAtStageBoundary]);
    CHECK([device supportsCounterSampling:MTLCounterSamplingPointAtDispatchBoundary]);
    CHECK([device supportsCounterSampling:MTLCounterSamplingPointAtBlitBoundary]);
    CHECK(![device supportsCounterSampling:MTLCounterSamplingPointAtDrawBoundary]);
    NSError *error = nil;
    id<MTLCounterSampleBuffer> s = samples(4, MTLStorageModeShared, &error);
    CHECK(s && !error && s.sampleCount == 4 && s.device == device);
    CHECK([s.label isEqualToString:@"times"]);
    const MTLCounterResultTimestamp *t = [s resolveCounterRange:NSMakeRange(0, 4)].bytes;
    CHECK(t[0].timestamp == MTLCounterErrorValue && t[3].timestamp == MTLCounterErrorValue);
}

/* At both ends of encoders, between dispatches, around a blit: in order, and at the times between
 * which this program saw them run. */
static void test_order(void)
{
    uint64_t cpu, before, after, wall = mach_absolute_time();
    id<MTLCounterSampleBuffer> s = samples(8, MTLStorageModeShared, NULL);
    id<MTLBuffer> resolved = [device newBufferWithLength:64 options:0];
    [device sampleTimestamps:&cpu gpuTimestamp:&before];
    CHECK(cpu >= wall && cpu - wall < 1000000000);
    id<MTLCommandBuffer> commands = [queue commandBuffer];
    MTLComputePassDescriptor *pass = [MTLComputePassDescriptor computePassDescriptor];
    pass.sampleBufferAttachments[0].sampleBuffer = s;
    pass.sampleBufferAttachments[0].startOfEncoderSampleIndex = 0;
    pass.sampleBufferAttachments[0].endOfEncoderSampleIndex = 3;
    pass.sampleBufferAttachments[1].sampleBuffer = s;
    pass.sampleBufferAttachments[1].startOfEncoderSampleIndex = MTLCounterDontSample;
    pass.sampleBufferAttachments[1].endOfEncoderSampleIndex = 4;
    id<MTLComputeCommandEncoder> encoder = [commands computeCommandEncoderWithDescriptor:pass];
    dispatch(encoder, 1000000);
    [encoder sampleCountersInBuffer:s atSampleIndex:1 withBarrier:YES];
    dispatch(encoder, 1000);
    [encoder sampleCountersInBuffer:s atSampleIndex:2 withBarrier:NO];
    [encoder endEncoding];
    MTLBlitPassDescriptor *blit_pass = [MTLBlitPassDescriptor blitPassDescriptor];
    blit_pass.sampleBufferAttachments[3].sampleBuffer = s;
    blit_pass.sampleBufferAttachments[3].startOfEncoderSampleIndex = 5;
    blit_pass.sampleBufferAttachments[3].endOfEncoderSampleIndex = 7;
    id<MTLBlitCommandEncoder> blit = [commands blitCommandEncoderWithDescriptor:blit_pass];
    [blit sampleCountersInBuffer:s atSampleIndex:6 withBarrier:YES];
    [blit endEncoding];
    blit = [commands blitCommandEncoder];
    [blit resolveCounters:s inRange:NSMakeRange(1, 7) destinationBuffer:resolved
        destinationOffset:8];
    [blit endEncoding];
    [commands commit];
    CHECK_DONE(commands);
    [device sampleTimestamps:&cpu gpuTimestamp:&after];
    const MTLCounterResultTimestamp *t = [s resolveCounterRange:NSMakeRange(0, 8)].bytes;
    CHECK(t[0].timestamp >= before && t[7].timestamp <= after);
    for (int i = 0; i < 7; i++)
        CHECK(t[i].timestamp <= t[i + 1].timestamp);
    CHECK(t[1].timestamp - t[0].timestamp > 100000); /* a million turns of one thread */
    CHECK(memcmp((char *)resolved.contents + 8, &t[1], 56) == 0);
    CHECK(*(uint64_t *)resolved.contents == 0);
    NSData *part = [s resolveCounterRange:NSMakeRange(6, 2)];
    CHECK(part.length == 16 && memcmp(part.bytes, &t[6], 16) == 0);
}

static void test_wrong(void)
{
    NSError *error = nil;
    CHECK(!samples(0, MTLStorageModeShared, &error));
    CHECK_ERROR(error, MTLCounterErrorDomain, MTLCounterSampleBufferErrorInvalid, @"sampleCount");
    CHECK(!samples(1ul << 40, MTLStorageModeShared, &error));
    CHECK_ERROR(error, MTLCounterErrorDomain, MTLCounterSampleBufferErrorInvalid, @"sampleCount");
    CHECK(![device newCounterSampleBufferWithDescriptor:[MTLCounterSampleBufferDescriptor new]
                                                  error:&error]);
    CHECK_ERROR(error, MTLCounterErrorDomain, MTLCounterSampleBufferErrorInvalid, @"counterSet");
    id<MTLCounterSampleBuffer> s = samples(2, MTLStorageModeShared, NULL);
    CHECK(![s resolveCounterRange:NSMakeRange(1, 2)]);
    CHECK(![s resolveCounterRange:NSMakeRange(NSUIntegerMax, 2)]);
    CHECK([s resolveCounterRange:NSMakeRange(2, 0)].length == 0);
    CHECK(![samples(2, MTLStorageModePrivate, NULL) resolveCounterRange:NSMakeRange(0, 1)]);
    for (int i = 0; i < 2; i++) {
        id<MTLCommandBuffer> commands = [queue commandBuffer];
        id<MTLComputeCommandEncoder> encoder = [commands computeCommandEncoder];
        [encoder sampleCountersInBuffer:i ? (id)x : s atSampleIndex:2 withBarrier:NO];
        [encoder endEncoding];
        [commands commit];
        [commands waitUntilCompleted];
        CHECK(commands.status == MTLCommandBufferStatusError);
        NSString *words = i ? @"not a counter sample buffer" : @"sample 2 is past the last of 2";
        CHECK([commands.error.localizedDescription containsString:words]);
    }
}

/* The command buffer keeps what it samples to, one without retained references too. */
static void test_kept(void)
{
    id<MTLCommandBuffer> commands = [queue commandBufferWithUnretainedReferences];
    @autoreleasepool {
        id<MTLComputeCommandEncoder> encoder = [commands computeCommandEncoder];
        [encoder sampleCountersInBuffer:samples(1, MTLStorageModeShared, NULL) atSampleIndex:0
            withBarrier:NO];
        [encoder endEncoding];
    }
    [commands commit];
    CHECK_DONE(commands);
}

int main(void)
{
    @autoreleasepool {
        device = MTLCreateSystemDefaultDevice();
        CHECK(device);
        queue = [device newCommandQueue];
        state = pipeline_of(library_from(source, nil), @"count");
        x = [device newBufferWithLength:4 options:0];
        test_what();
        test_order();
        test_wrong();
        test_kept();
    }
    puts("counters: ok");
    return 0;
}
