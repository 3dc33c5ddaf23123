/* The worker of a program is stopped. What it has committed fails, with an error of Metal's; a
 * pipeline that waits gets an NSError; nothing waits for ever. Then another device serves. */
#define _GNU_SOURCE
#import <Foundation/Foundation.h>
#import <Metal/Metal.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static NSString *const source = @"kernel void f(device uint *x [[buffer(0)]], uint i [[thread_position_in_grid]])\n"
                                 "{ x[i] += i; }\n";

static int daemon_pid(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct ucred peer = {0};
    socklen_t length = sizeof peer;
    snprintf(address.sun_path, sizeof address.sun_path, "%s", getenv("ARCBOX_SOCKET"));
    int sock = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    if (connect(sock, (struct sockaddr *)&address, sizeof address) < 0)
        return 0;
    getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &peer, &length);
    close(sock);
    return peer.pid;
}

/* The one that serves us, and the spare, which looks the same. */
static void stop_workers(void)
{
    char path[64], list[1024] = "", name[512], *next = list;
    int daemon = daemon_pid();
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", daemon, daemon);
    FILE *file = fopen(path, "r");
    if (!file || !fgets(list, sizeof list, file))
        exit(20);
    fclose(file);
    for (long pid; (pid = strtol(next, &next, 10)) > 0;) {
        snprintf(path, sizeof path, "/proc/%ld/cmdline", pid);
        file = fopen(path, "r");
        size_t n = file ? fread(name, 1, sizeof name - 1, file) : 0;
        if (file)
            fclose(file);
        for (size_t i = 0; i < n; i++)
            name[i] = name[i] ? name[i] : ' ';
        name[n] = 0;
        if (strstr(name, "--role=worker"))
            kill((pid_t)pid, SIGSTOP);
    }
    usleep(200000); /* each of its threads stops when it is next interrupted */
}

static id<MTLComputePipelineState> make(id<MTLDevice> device, NSError **error)
{
    id<MTLLibrary> library = [device newLibraryWithSource:source options:nil error:error];
    id<MTLFunction> function = [library newFunctionWithName:@"f"];
    return function ? [device newComputePipelineStateWithFunction:function error:error] : nil;
}

static id<MTLCommandBuffer> commit(id<MTLCommandQueue> queue, id<MTLComputePipelineState> pipeline, id<MTLBuffer> buffer)
{
    id<MTLCommandBuffer> commands = [queue commandBuffer];
    id<MTLComputeCommandEncoder> encoder = [commands computeCommandEncoder];
    [encoder setComputePipelineState:pipeline];
    [encoder setBuffer:buffer offset:0 atIndex:0];
    [encoder dispatchThreads:MTLSizeMake(64, 1, 1) threadsPerThreadgroup:MTLSizeMake(64, 1, 1)];
    [encoder endEncoding];
    [commands commit];
    return commands;
}

static int fail_when_stopped(void)
{
    id<MTLDevice> device = MTLCreateSystemDefaultDevice();
    NSError *error = nil;
    id<MTLComputePipelineState> pipeline = make(device, &error);
    id<MTLCommandQueue> queue = [device newCommandQueue];
    id<MTLBuffer> buffer = [device newBufferWithLength:4096 options:0];
    if (!pipeline || !queue || !buffer)
        return 2;
    [commit(queue, pipeline, buffer) waitUntilCompleted];
    stop_workers();
    id<MTLCommandBuffer> commands = commit(queue, pipeline, buffer);
    if (make(device, &error) || !error.localizedDescription.length)
        return 3;
    [commands waitUntilCompleted];
    if (commands.status != MTLCommandBufferStatusError || !commands.error)
        return 4;
    printf("%s\n%s\n", error.localizedDescription.UTF8String,
            commands.error.localizedDescription.UTF8String);
    return 0;
}

static int work_again(void)
{
    id<MTLDevice> device = MTLCreateSystemDefaultDevice();
    NSError *error = nil;
    id<MTLComputePipelineState> pipeline = make(device, &error);
    id<MTLBuffer> buffer = [device newBufferWithLength:4096 options:0];
    id<MTLCommandBuffer> commands = commit([device newCommandQueue], pipeline, buffer);
    [commands waitUntilCompleted];
    return commands.status == MTLCommandBufferStatusCompleted && ((uint32_t *)buffer.contents)[63] == 63 ? 0 : 5;
}

int main(void)
{
    @autoreleasepool {
        int bad = fail_when_stopped();
        return bad ? bad : work_again();
    }
}
