/* Waits for a command buffer, which waits for an event, which waits for a file named /go: then says
 * how it ended. */
#import <Foundation/Foundation.h>
#import <Metal/Metal.h>
#include <stdio.h>
#include <unistd.h>

int main(void)
{
    id<MTLDevice> device = MTLCreateSystemDefaultDevice();
    id<MTLSharedEvent> event = [device newSharedEvent];
    id<MTLCommandBuffer> commands = [[device newCommandQueue] commandBuffer];
    [commands encodeWaitForEvent:event value:1];
    [commands commit];
    dispatch_async(dispatch_get_global_queue(0, 0), ^{
      puts("ready");
      fflush(stdout);
      while (access("/go", F_OK) < 0)
          usleep(100000);
      event.signaledValue = 1;
    });
    [commands waitUntilCompleted];
    if (commands.status == MTLCommandBufferStatusCompleted)
        puts("completed");
    else
        printf("error %ld\n", (long)commands.error.code);
    return commands.status != MTLCommandBufferStatusCompleted;
}
