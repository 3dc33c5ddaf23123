/* Holds a secret in a buffer, and copies it over and over on the GPU: "ready" once it is there; when
 * anything fails or it changes, that is said, and it ends with 3. See attack.c. */
#import <Foundation/Foundation.h>
#import <Metal/Metal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BYTES (8u << 20)

int main(void)
{
    id<MTLDevice> device = MTLCreateSystemDefaultDevice();
    id<MTLCommandQueue> queue = [device newCommandQueue];
    id<MTLBuffer> from = [device newBufferWithLength:BYTES options:0];
    id<MTLBuffer> to = [device newBufferWithLength:BYTES options:0];
    for (unsigned i = 0; i < BYTES; i++)
        ((unsigned char *)from.contents)[i] = (unsigned char)((i % 64 * 37u + 11u) ^ 0x5a ^ (i % 64 >> 3));
    for (unsigned round = 0; from && to; round++) {
        @autoreleasepool {
            memset(to.contents, 0, BYTES);
            id<MTLCommandBuffer> commands = [queue commandBuffer];
            id<MTLBlitCommandEncoder> blit = [commands blitCommandEncoder];
            [blit copyFromBuffer:from sourceOffset:0 toBuffer:to destinationOffset:0 size:BYTES];
            [blit endEncoding];
            [commands commit];
            [commands waitUntilCompleted];
            if (commands.status != MTLCommandBufferStatusCompleted ||
                    memcmp(from.contents, to.contents, BYTES) != 0) {
                printf("round %u: error %ld, or not the same\n", round, (long)commands.error.code);
                return 3;
            }
            if (round == 0)
                puts("ready");
            fflush(stdout);
            usleep(50000);
        }
    }
    return 1;
}
