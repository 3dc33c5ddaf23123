/* Many threads at once on one device: each encodes on its own queue and on one they share, makes and
 * frees memory of every kind, compiles libraries, waits in different ways; every result is checked.
 * A chain of shared events runs through all of them. */
#import <Foundation/Foundation.h>
#import <Metal/Metal.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../check.h"

enum { Threads = 8, Rounds = 40, Elements = 5000 };

static id<MTLDevice> device;
static id<MTLCommandQueue> shared;
static id<MTLComputePipelineState> scale;
static id<MTLSharedEvent> chain;
static id<MTLResidencySet> resident;
static _Atomic uint64_t links, handlers, buffers;

static id<MTLComputePipelineState> Pipeline(NSString *source, NSString *name)
{
    NSError *error = nil;
    id<MTLLibrary> library = [device newLibraryWithSource:source options:nil error:&error];
    if (!library)
        fprintf(stderr, "%s\n", error.localizedDescription.UTF8String);
    CHECK(library);
    id<MTLFunction> function = [library newFunctionWithName:name];
    id<MTLComputePipelineState> made = [device newComputePipelineStateWithFunction:function
                                                                             error:&error];
    CHECK(function && made);
    return made;
}

static NSString *const Source =
    @"#include <metal_stdlib>\n"
     "using namespace metal;\n"
     "kernel void scale(device const uint *in [[buffer(0)]], device uint *out [[buffer(1)]],\n"
     "        constant uint &by [[buffer(2)]], uint i [[thread_position_in_grid]])\n"
     "{ out[i] = in[i] * by + STEP; }\n";

static NSString *SourceWith(unsigned step)
{
    return [NSString stringWithFormat:@"#define STEP %u\n%@", step, Source];
}

/* One of the places memory comes from, by `kind`. */
static id<MTLBuffer> Memory(unsigned kind, NSUInteger bytes)
{
    if (kind == 1) {
        MTLHeapDescriptor *heap = [MTLHeapDescriptor new];
        heap.storageMode = MTLStorageModeShared;
        heap.size = bytes + 4096;
        return [[device newHeapWithDescriptor:heap] newBufferWithLength:bytes
                                                                options:MTLResourceStorageModeShared];
    }
    if (kind == 2) {
        NSUInteger whole = (bytes + 4095) & ~4095ul;
        void *pages = mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        return [device newBufferWithBytesNoCopy:pages
                                         length:whole
                                        options:0
                                    deallocator:^(void *pointer, NSUInteger length) {
                                        munmap(pointer, length);
                                    }];
    }
    return [device newBufferWithLength:bytes options:MTLResourceStorageModeShared];
}

static void Encode(id<MTLCommandBuffer> commands, id<MTLComputePipelineState> pipeline,
        id<MTLBuffer> in, id<MTLBuffer> middle, id<MTLBuffer> out, uint32_t by)
{
    id<MTLComputeCommandEncoder> encoder = [commands computeCommandEncoder];
    [encoder setComputePipelineState:pipeline];
    [encoder setBuffer:in offset:0 atIndex:0];
    [encoder setBuffer:middle offset:0 atIndex:1];
    [encoder setBytes:&by length:sizeof by atIndex:2];
    [encoder dispatchThreads:MTLSizeMake(Elements, 1, 1)
            threadsPerThreadgroup:MTLSizeMake(64, 1, 1)];
    [encoder endEncoding];
    id<MTLBlitCommandEncoder> blit = [commands blitCommandEncoder];
    [blit copyFromBuffer:middle
             sourceOffset:0
                 toBuffer:out
        destinationOffset:0
                     size:Elements * sizeof(uint32_t)];
    [blit endEncoding];
}

static void Finish(id<MTLCommandBuffer> commands, unsigned how)
{
    if (how == 0) {
        [commands commit];
        [commands waitUntilCompleted];
    } else if (how == 1) {
        dispatch_semaphore_t done = dispatch_semaphore_create(0);
        [commands addCompletedHandler:^(id<MTLCommandBuffer> finished) {
            CHECK(finished.status == MTLCommandBufferStatusCompleted);
            atomic_fetch_add(&handlers, 1);
            dispatch_semaphore_signal(done);
        }];
        [commands commit];
        dispatch_semaphore_wait(done, DISPATCH_TIME_FOREVER);
    } else {
        id<MTLSharedEvent> event = [device newSharedEvent];
        [commands encodeSignalEvent:event value:5];
        [commands commit];
        CHECK([event waitUntilSignaledValue:5 timeoutMS:60000]);
    }
    CHECK(commands.error == nil);
}

/* Waits for the link before and makes the next, across all queues. */
static void Link(id<MTLCommandBuffer> commands, uint64_t link)
{
    if (link)
        [commands encodeWaitForEvent:chain value:link];
    [commands encodeSignalEvent:chain value:link + 1];
}

static void Round(unsigned thread, unsigned round, id<MTLCommandQueue> own,
        id<MTLComputePipelineState> mine, unsigned *random)
{
    unsigned kind = rand_r(random) % 3, how = rand_r(random) % 3;
    bool use_mine = rand_r(random) % 2;
    uint32_t by = (uint32_t)rand_r(random);
    NSUInteger bytes = Elements * sizeof(uint32_t);
    id<MTLBuffer> in = Memory(kind, bytes), out = Memory(rand_r(random) % 3, bytes);
    id<MTLBuffer> middle = [device newBufferWithLength:bytes options:MTLResourceStorageModePrivate];
    CHECK(in && out && middle);
    [resident addAllocation:in];
    [resident commit];
    uint32_t *values = in.contents;
    for (unsigned i = 0; i < Elements; i++)
        values[i] = i ^ thread << 16 ^ round;
    id<MTLCommandQueue> queue = rand_r(random) % 2 ? own : shared;
    id<MTLCommandBuffer> commands = rand_r(random) % 2
            ? [queue commandBuffer] : [queue commandBufferWithUnretainedReferences];
    commands.label = [NSString stringWithFormat:@"%u.%u", thread, round];
    Encode(commands, use_mine ? mine : scale, in, middle, out, by);
    Finish(commands, how);
    const uint32_t *results = out.contents;
    uint32_t step = use_mine ? thread + 1 : 0;
    for (unsigned i = 0; i < Elements; i++)
        CHECK(results[i] == (i ^ thread << 16 ^ round) * by + step);
    [resident removeAllocation:in];
    atomic_fetch_add(&buffers, 1);
}

static void *Work(void *number)
{
    unsigned thread = (unsigned)(uintptr_t)number, random = thread * 77 + 1;
    @autoreleasepool {
        id<MTLCommandQueue> own = [device newCommandQueue];
        id<MTLComputePipelineState> mine = Pipeline(SourceWith(thread + 1), @"scale");
        for (unsigned round = 0; round < Rounds; round++) {
            @autoreleasepool {
                Round(thread, round, own, mine, &random);
                id<MTLCommandBuffer> commands = [own commandBuffer];
                /* Taken and committed in any order: only the events order them. */
                Link(commands, atomic_fetch_add(&links, 1));
                [commands commit];
            }
        }
    }
    return NULL;
}

int main(void)
{
    @autoreleasepool {
        device = MTLCreateSystemDefaultDevice();
        CHECK(device);
        shared = [device newCommandQueue];
        scale = Pipeline(SourceWith(0), @"scale");
        chain = [device newSharedEvent];
        resident = [device newResidencySetWithDescriptor:[MTLResidencySetDescriptor new] error:NULL];
        [shared addResidencySet:resident];
    }
    NSUInteger before = device.currentAllocatedSize;
    pthread_t threads[Threads];
    for (uintptr_t i = 0; i < Threads; i++)
        CHECK(pthread_create(&threads[i], NULL, Work, (void *)i) == 0);
    for (unsigned i = 0; i < Threads; i++)
        pthread_join(threads[i], NULL);
    CHECK([chain waitUntilSignaledValue:Threads * Rounds timeoutMS:60000]);
    [resident commit];
    CHECK(resident.allocationCount == 0 && buffers == Threads * Rounds && handlers > 0);
    for (unsigned wait = 0; device.currentAllocatedSize != before && wait < 5000; wait++)
        usleep(1000); /* what was waited for by an event may still be completing */
    CHECK(device.currentAllocatedSize == before); /* nothing is left behind */
    printf("stress: ok, %llu command buffers, %llu handlers\n",
            (unsigned long long)buffers * 2, (unsigned long long)handlers);
    return 0;
}
