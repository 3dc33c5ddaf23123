/* What a device does without a kernel: fills, copies between all kinds of memory, events. */
#include "program.h"

/* Long copies from private memory to private, of which none ends with a whole word, to places that
 * are and are not whole words'. `numbers` has word i + 1's at word i, `from` word i's. */
static void test_inside(id<MTLCommandQueue> queue, id<MTLBuffer> numbers, id<MTLBuffer> from)
{
    static const NSUInteger places[] = {0, 32, 20};
    uint8_t *bytes = numbers.contents;
    NSUInteger length = from.length - 107;
    id<MTLBuffer> to = [device newBufferWithLength:from.length
                                           options:MTLResourceStorageModePrivate];
    for (int i = 0; i < 3; i++) {
        id<MTLCommandBuffer> commands = [queue commandBuffer];
        id<MTLBlitCommandEncoder> blit = [commands blitCommandEncoder];
        [blit fillBuffer:to range:NSMakeRange(0, to.length) value:0xa5];
        [blit copyFromBuffer:from
                     sourceOffset:32
                         toBuffer:to
                destinationOffset:places[i]
                             size:length];
        [blit copyFromBuffer:to sourceOffset:0 toBuffer:numbers destinationOffset:0 size:to.length];
        [blit endEncoding];
        [commands commit];
        [commands waitUntilCompleted];
        for (NSUInteger n = 0; n < to.length; n++) {
            uint32_t word = (uint32_t)((n - places[i] + 32) / 4) * 2654435761u;
            bool copied = n >= places[i] && n < places[i] + length;
            CHECK(bytes[n] == (copied ? ((uint8_t *)&word)[(n - places[i]) % 4] : 0xa5));
        }
    }
}

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
    [blit copyFromBuffer:private[0]
                 sourceOffset:16
                     toBuffer:private[2]
            destinationOffset:0
                         size:64];
    [blit copyFromBuffer:private[2] sourceOffset:0 toBuffer:private[2] destinationOffset:3 size:64];
    [blit endEncoding];
    [commands encodeSignalEvent:event value:1];
    [commands encodeWaitForEvent:event value:2];
    blit = [commands blitCommandEncoder];
    [blit copyFromBuffer:private[1]
                 sourceOffset:4
                     toBuffer:shared
            destinationOffset:0
                         size:BYTES - 4];
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
    test_inside(queue, shared, private[1]);
}

int main(void)
{
    static const struct test tests[] = {{"copies", test_copies}};
    @autoreleasepool {
        device = MTLCreateSystemDefaultDevice();
    }
    return run_tests(tests, sizeof tests / sizeof *tests);
}
