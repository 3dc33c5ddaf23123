/* What a device does without a kernel: fills, copies between all kinds of memory, events. */
#include "program.h"

static void test_copies(void)
{
    enum { BYTES = 5 << 20 };
    id<MTLBuffer> shared = [device newBufferWithLength:BYTES options:0];
    id<MTLBuffer> small = [device newBufferWithLength:100 options:0];
    id<MTLBuffer> private[3];
    uint32_t *words = shared.contents;
    for (uint32_t i = 0; i < BYTES / 4; i++)
        words[i] = i * 2654435761u;
    for (int i = 0; i < 3; i++)
        private[i] = [device newBufferWithLength:i == 1 ? BYTES : 4096
                                         options:MTLResourceStorageModePrivate];
    id<MTLCommandQueue> queue = [device newCommandQueue];
    id<MTLSharedEvent> event = [device newSharedEvent];
    id<MTLCommandBuffer> commands = [queue commandBuffer];
    id<MTLBlitCommandEncoder> blit = [commands blitCommandEncoder];
    [blit copyFromBuffer:shared sourceOffset:0 toBuffer:private[1] destinationOffset:0 size:BYTES];
    [blit fillBuffer:private[0] range:NSMakeRange(16, 64) value:7];
    [blit copyFromBuffer:private[0] sourceOffset:0 toBuffer:small destinationOffset:0 size:100];
    [blit copyFromBuffer:private[0] sourceOffset:16 toBuffer:private[2] destinationOffset:0 size:64];
    [blit copyFromBuffer:private[2] sourceOffset:0 toBuffer:private[2] destinationOffset:3 size:64];
    [blit endEncoding];
    [commands encodeSignalEvent:event value:1];
    [commands encodeWaitForEvent:event value:2];
    blit = [commands blitCommandEncoder];
    [blit copyFromBuffer:private[1] sourceOffset:4 toBuffer:shared destinationOffset:0 size:BYTES - 4];
    [blit endEncoding];
    [commands commit];
    CHECK([event waitUntilSignaledValue:1 timeoutMS:10000]);
    for (uint32_t i = 0; i < 100; i++)
        CHECK(((uint8_t *)small.contents)[i] == (i >= 16 && i < 80 ? 7 : 0));
    memset(words, 0, BYTES);
    event.signaledValue = 2;
    [commands waitUntilCompleted];
    CHECK(commands.status == MTLCommandBufferStatusCompleted);
    for (uint32_t i = 0; i < BYTES / 4 - 1; i++)
        CHECK(words[i] == (i + 1) * 2654435761u);
}

int main(void)
{
    static const struct test tests[] = {{"copies", test_copies}};
    @autoreleasepool {
        device = MTLCreateSystemDefaultDevice();
    }
    return run_tests(tests, sizeof tests / sizeof *tests);
}
