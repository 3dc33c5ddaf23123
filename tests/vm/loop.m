/* Fills a buffer again and again until that fails: then says how, and ends with 3. */
#import <Foundation/Foundation.h>
#import <Metal/Metal.h>
#include <stdio.h>
#include <unistd.h>

int main(void)
{
    id<MTLDevice> device = MTLCreateSystemDefaultDevice();
    id<MTLCommandQueue> queue = [device newCommandQueue];
    id<MTLBuffer> buffer = [device newBufferWithLength:1 << 20 options:0];
    puts(buffer ? "ready" : "no device");
    fflush(stdout);
    for (int i = 0; buffer; i++) {
        @autoreleasepool {
            id<MTLCommandBuffer> commands = [queue commandBuffer];
            id<MTLBlitCommandEncoder> blit = [commands blitCommandEncoder];
            [blit fillBuffer:buffer range:NSMakeRange(0, 1 << 20) value:(uint8_t)i];
            [blit endEncoding];
            [commands commit];
            [commands waitUntilCompleted];
            if (commands.status != MTLCommandBufferStatusCompleted) {
                printf("error %ld\n", (long)commands.error.code);
                return 3;
            }
            usleep(1000);
        }
    }
    return 1;
}
