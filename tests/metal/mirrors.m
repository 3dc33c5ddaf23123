/* Memory that both sides use again and again, which a device with memory of its own may mirror:
 * each sees what the other wrote, and loses nothing that it wrote beside it. */
#include "program.h"

#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROUNDS = 12, LARGE = 3 << 20, SMALL = 5000 };

static uint32_t number(void)
{
    static uint64_t state = 0x9e3779b97f4a7c15u;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 20);
}

static void fill_random(id<MTLBuffer> buffer, NSUInteger begin, NSUInteger count)
{
    uint8_t *bytes = buffer.contents;
    for (NSUInteger i = begin; i < begin + count; i++)
        bytes[i] = (uint8_t)number();
}

static id<MTLCommandBuffer> copy_on(id<MTLCommandQueue> on, id<MTLBuffer> from, NSUInteger from_at,
        id<MTLBuffer> to, NSUInteger to_at, NSUInteger bytes)
{
    id<MTLCommandBuffer> commands = [on commandBuffer];
    id<MTLBlitCommandEncoder> blit = [commands blitCommandEncoder];
    [blit copyFromBuffer:from sourceOffset:from_at toBuffer:to destinationOffset:to_at size:bytes];
    [blit endEncoding];
    [commands commit];
    return commands;
}

static void check_same(
        id<MTLBuffer> a, NSUInteger a_at, id<MTLBuffer> b, NSUInteger b_at, NSUInteger bytes)
{
    CHECK(memcmp((uint8_t *)a.contents + a_at, (uint8_t *)b.contents + b_at, bytes) == 0);
}

/* A few bytes here and there are written in each round, or all, or none. */
static void exchange(NSUInteger bytes)
{
    id<MTLBuffer> from = [device newBufferWithLength:bytes options:0];
    id<MTLBuffer> to = [device newBufferWithLength:bytes options:0];
    id<MTLBuffer> back = [device newBufferWithLength:bytes options:0];
    queue = [device newCommandQueue];
    for (int i = 0; i < ROUNDS; i++) {
        if (i % 4 == 0)
            fill_random(from, 0, bytes);
        for (int k = 0; k < i % 3; k++)
            fill_random(from, number() % (bytes - 9), 9);
        CHECK_DONE(copy_on(queue, from, 0, to, 0, bytes));
        check_same(from, 0, to, 0, bytes);
        NSUInteger at = number() % (bytes / 2) & ~3u;
        fill_random(to, at, 64);
        CHECK_DONE(copy_on(queue, to, at, back, at, bytes / 2 - at));
        check_same(to, at, back, at, bytes / 2 - at);
    }
}

static void test_large(void)
{
    exchange(LARGE);
}

static void test_small(void)
{
    exchange(SMALL);
}

/* What the program writes while a command buffer is under way, in words beside those that this
 * writes, stays; and the next one sees it. */
static void test_neighbours(void)
{
    id<MTLBuffer> both = [device newBufferWithLength:LARGE options:0];
    id<MTLBuffer> copy = [device newBufferWithLength:LARGE options:0];
    id<MTLSharedEvent> event = [device newSharedEvent];
    uint32_t *words = both.contents;
    queue = [device newCommandQueue];
    for (uint32_t i = 0; i < ROUNDS; i++) {
        id<MTLCommandBuffer> commands = [queue commandBuffer];
        id<MTLBlitCommandEncoder> blit = [commands blitCommandEncoder];
        for (uint32_t k = 0; k < 16; k++)
            [blit fillBuffer:both range:NSMakeRange(k * 8 + i * 4096, 4) value:(uint8_t)(i + 1)];
        [blit endEncoding];
        [commands encodeWaitForEvent:event value:2 * i + 1];
        blit = [commands blitCommandEncoder];
        [blit fillBuffer:both range:NSMakeRange(i * 4096 + 2048, 4) value:(uint8_t)(i + 2)];
        [blit endEncoding];
        [commands commit];
        for (uint32_t k = 0; k < 16; k++)
            words[i * 1024 + 2 * k + 1] = 0x10000 * i + k + 1;
        event.signaledValue = 2 * i + 1;
        id<MTLCommandBuffer> next = copy_on(queue, both, 0, copy, 0, LARGE);
        CHECK_DONE(commands);
        for (uint32_t k = 0; k < 16; k++)
            CHECK(words[i * 1024 + 2 * k] == (i + 1) * 0x01010101u &&
                    words[i * 1024 + 2 * k + 1] == 0x10000 * i + k + 1);
        CHECK(words[i * 1024 + 512] == (i + 2) * 0x01010101u);
        CHECK_DONE(next);
        check_same(both, 0, copy, 0, LARGE);
        event.signaledValue = 2 * i + 2;
    }
}

/* In the middle of a command buffer the program gets what was written, and gives what goes on with.
 */
static void test_events(void)
{
    id<MTLBuffer> there = [device newBufferWithLength:LARGE options:0];
    id<MTLBuffer> back = [device newBufferWithLength:LARGE options:0];
    id<MTLSharedEvent> event = [device newSharedEvent];
    queue = [device newCommandQueue];
    for (uint64_t i = 0; i < ROUNDS; i++) {
        id<MTLCommandBuffer> commands = [queue commandBuffer];
        id<MTLBlitCommandEncoder> blit = [commands blitCommandEncoder];
        [blit fillBuffer:there range:NSMakeRange(0, LARGE / 2) value:(uint8_t)i];
        [blit endEncoding];
        [commands encodeSignalEvent:event value:2 * i + 1];
        [commands encodeWaitForEvent:event value:2 * i + 2];
        blit = [commands blitCommandEncoder];
        [blit copyFromBuffer:there sourceOffset:0 toBuffer:back destinationOffset:0 size:LARGE];
        [blit endEncoding];
        [commands commit];
        CHECK([event waitUntilSignaledValue:2 * i + 1 timeoutMS:10000]);
        const uint8_t *bytes = there.contents;
        for (NSUInteger k = 0; k < LARGE / 2; k += 997)
            CHECK(bytes[k] == (uint8_t)i);
        fill_random(there, 1000 + (NSUInteger)i * 5000, 3000);
        event.signaledValue = 2 * i + 2;
        CHECK_DONE(commands);
        check_same(there, 0, back, 0, LARGE);
    }
}

/* What the kernel writes for the program (a file that is read into a buffer) counts, too. */
static void test_files(void)
{
    char name[] = "/tmp/arcbox-mirrors-XXXXXX";
    int fd = mkstemp(name);
    CHECK(fd >= 0);
    unlink(name);
    id<MTLBuffer> from = [device newBufferWithLength:LARGE options:0];
    id<MTLBuffer> to = [device newBufferWithLength:LARGE options:0];
    queue = [device newCommandQueue];
    for (int i = 0; i < ROUNDS; i++) {
        uint8_t page[6000];
        for (unsigned k = 0; k < sizeof page; k++)
            page[k] = (uint8_t)number();
        off_t at = (off_t)(number() % (LARGE - sizeof page));
        CHECK(pwrite(fd, page, sizeof page, 0) == sizeof page);
        CHECK(pread(fd, (uint8_t *)from.contents + at, sizeof page, 0) == sizeof page);
        CHECK_DONE(copy_on(queue, from, 0, to, 0, LARGE));
        CHECK(memcmp((uint8_t *)to.contents + at, page, sizeof page) == 0);
        check_same(from, 0, to, 0, LARGE);
        CHECK(pwrite(fd, to.contents, LARGE, 0) == LARGE);
    }
    close(fd);
}

/* What tells the library which pages were written, as the link of its descriptor has it. */
static int close_all(const char *what)
{
    char link[64], text[256];
    int closed = 0;
    for (int fd = 3; fd < 256; fd++) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        ssize_t n = readlink(link, text, sizeof text - 1);
        text[n < 0 ? 0 : n] = 0;
        if (strstr(text, what))
            closed += close(fd) == 0;
    }
    return closed;
}

static void disturb(int way, uint8_t *at, size_t bytes)
{
    pid_t child = -1;
    char *arguments[] = {"true", NULL}, *nothing[] = {NULL};
    uint8_t *pages = (uint8_t *)(((uintptr_t)at + 4095) & ~(uintptr_t)4095);
    bytes = (bytes - 4096) & ~(size_t)4095;
    switch (way) {
    case 0:
        CHECK(madvise(pages, bytes, MADV_DONTNEED) == 0);
        break;
    case 1:
        child = fork();
        if (child == 0)
            _exit(at[0] == at[1] ? 0 : 1);
        break;
    case 2:
        CHECK(posix_spawn(&child, "/bin/true", NULL, NULL, arguments, nothing) == 0);
        break;
    case 3:
        CHECK(mprotect(pages, bytes, PROT_READ) == 0);
        CHECK(mprotect(pages, bytes, PROT_READ | PROT_WRITE) == 0);
        break;
    case 4:
        (void)mlock(pages, 4096);
        (void)munlock(pages, 4096);
        break;
    case 5:
        (void)madvise(pages, bytes, MADV_HUGEPAGE);
        (void)madvise(pages, bytes, 25); /* MADV_COLLAPSE */
        break;
    case 6:
        (void)close_all("userfaultfd");
        break;
    case 7:
        (void)close_all("pagemap");
        break;
    }
    CHECK(child < 0 || waitpid(child, NULL, 0) == child);
}

/* What a program may do with its address space between writing and committing. */
static void test_ways(void)
{
    id<MTLBuffer> from = [device newBufferWithLength:LARGE options:0];
    id<MTLBuffer> to = [device newBufferWithLength:LARGE options:0];
    queue = [device newCommandQueue];
    for (int i = 0; i < 3 * ROUNDS; i++) {
        NSUInteger at = number() % (LARGE - 40000);
        if (i % 3 == 0)
            fill_random(from, at, 40000);
        disturb(i / 3 % 9, (uint8_t *)from.contents + at, 40000);
        if (i % 3 == 1)
            fill_random(from, at, 40000);
        CHECK_DONE(copy_on(queue, from, 0, to, 0, LARGE));
        check_same(from, 0, to, 0, LARGE);
        disturb(i / 3 % 9, (uint8_t *)to.contents + at, 40000);
        CHECK_DONE(copy_on(queue, to, 0, from, 0, LARGE / 2));
        check_same(from, 0, to, 0, LARGE);
    }
}

/* Two queues that hand the same memory to each other. */
static void test_queues(void)
{
    id<MTLCommandQueue> other = [device newCommandQueue];
    id<MTLBuffer> a = [device newBufferWithLength:LARGE options:0];
    id<MTLBuffer> b = [device newBufferWithLength:LARGE options:0];
    id<MTLEvent> event = [device newEvent];
    queue = [device newCommandQueue];
    for (uint64_t i = 0; i < ROUNDS; i++) {
        id<MTLCommandBuffer> first = [queue commandBuffer], second = [other commandBuffer];
        id<MTLBlitCommandEncoder> blit = [first blitCommandEncoder];
        [blit copyFromBuffer:a sourceOffset:0 toBuffer:b destinationOffset:0 size:LARGE / 2];
        [blit endEncoding];
        [first encodeSignalEvent:event value:i + 1];
        [second encodeWaitForEvent:event value:i + 1];
        blit = [second blitCommandEncoder];
        [blit copyFromBuffer:b
                     sourceOffset:0
                         toBuffer:a
                destinationOffset:LARGE / 2
                             size:LARGE / 2];
        [blit endEncoding];
        fill_random(a, number() % (LARGE / 2 - 100), 100);
        [second commit];
        [first commit];
        CHECK_DONE(second);
        check_same(a, 0, b, 0, LARGE / 2);
        check_same(a, 0, a, LARGE / 2, LARGE / 2);
    }
}

/* Many small buffers that come and go: their memory is used again, and begins with zeros. */
static void test_reuse(void)
{
    enum { COUNT = 40 };
    queue = [device newCommandQueue];
    id<MTLBuffer> sum = [device newBufferWithLength:COUNT * SMALL options:0];
    for (int i = 0; i < ROUNDS; i++)
        @autoreleasepool {
            NSMutableArray<id<MTLBuffer>> *all = [NSMutableArray array];
            id<MTLCommandBuffer> commands = [queue commandBuffer];
            id<MTLBlitCommandEncoder> blit = [commands blitCommandEncoder];
            for (NSUInteger k = 0; k < COUNT; k++) {
                id<MTLBuffer> one = [device newBufferWithLength:SMALL options:0];
                for (NSUInteger z = 0; z < SMALL; z += 7)
                    CHECK(((uint8_t *)one.contents)[z] == 0);
                fill_random(one, k, SMALL - 2 * k);
                [blit copyFromBuffer:one
                             sourceOffset:0
                                 toBuffer:sum
                        destinationOffset:k * SMALL
                                     size:SMALL];
                [all addObject:one];
            }
            [blit endEncoding];
            [commands commit];
            CHECK_DONE(commands);
            for (NSUInteger k = 0; k < COUNT; k++)
                check_same(all[k], 0, sum, k * SMALL, SMALL);
        }
}

/* A buffer whose address is known is reached without being named. */
static void test_address(void)
{
    id<MTLBuffer> from = [device newBufferWithLength:LARGE options:0];
    id<MTLBuffer> to = [device newBufferWithLength:LARGE options:0];
    queue = [device newCommandQueue];
    uint64_t before = to.gpuAddress;
    CHECK(before);
    for (int i = 0; i < ROUNDS; i++) {
        fill_random(from, number() % (LARGE - 100), 100);
        CHECK_DONE(copy_on(queue, from, 0, to, 0, LARGE));
        check_same(from, 0, to, 0, LARGE);
    }
    CHECK(from.gpuAddress && to.gpuAddress == before);
    for (int i = 0; i < ROUNDS; i++) {
        fill_random(from, number() % (LARGE - 100), 100);
        CHECK_DONE(copy_on(queue, from, 0, to, 0, LARGE));
        check_same(from, 0, to, 0, LARGE);
    }
}

/* Kernels, which reach buffers that their command buffer names, and others by their addresses. */
static void test_kernels(void)
{
    enum { COUNT = 1000 };
    id<MTLComputePipelineState> add = pipeline_of(
            library_from(@"#include <metal_stdlib>\n"
                          "using namespace metal;\n"
                          "struct place { device uint *words; };\n"
                          "kernel void add(device uint *direct, const device uint *from,\n"
                          "                const device place *places, uint i "
                          "[[thread_position_in_grid]])\n"
                          "{ direct[i] += from[i]; places[0].words[i] += from[i]; }",
                    nil),
            @"add");
    queue = [device newCommandQueue];
    id<MTLBuffer> direct = [device newBufferWithLength:COUNT * 4 options:0];
    id<MTLBuffer> from = [device newBufferWithLength:LARGE options:0];
    id<MTLBuffer> places = [device newBufferWithLength:64 options:0];
    id<MTLBuffer> hidden = nil;
    uint32_t expected = 0, hidden_expected = 0;
    for (uint32_t i = 0; i < 3 * ROUNDS; i++) {
        if (i % ROUNDS == 0) { /* beside what is mirrored by then */
            hidden = [device newBufferWithLength:i == 2 * ROUNDS ? LARGE : COUNT * 4 options:0];
            *(uint64_t *)places.contents = hidden.gpuAddress;
            hidden_expected = 0;
        }
        for (uint32_t k = 0; k < COUNT; k++)
            ((uint32_t *)from.contents)[k] = i + 1;
        ((uint32_t *)hidden.contents)[i] += 1000;
        run(^(id<MTLComputeCommandEncoder> encoder) {
          [encoder setComputePipelineState:add];
          [encoder setBuffer:direct offset:0 atIndex:0];
          [encoder setBuffer:from offset:0 atIndex:1];
          [encoder setBuffer:places offset:0 atIndex:2];
          [encoder dispatchThreads:MTLSizeMake(COUNT, 1, 1)
                  threadsPerThreadgroup:MTLSizeMake(100, 1, 1)];
        });
        ((uint32_t *)hidden.contents)[i] -= 1000;
        expected += i + 1;
        hidden_expected += i + 1;
        for (uint32_t k = 0; k < COUNT; k++)
            CHECK(((uint32_t *)direct.contents)[k] == expected &&
                    ((uint32_t *)hidden.contents)[k] == hidden_expected);
    }
}

/* Memory that the program has never looked at: what several command buffers wrote is there when it
 * does, those that are under way included; and from then on it is as any. */
static void test_unseen(void)
{
    id<MTLCommandQueue> other = [device newCommandQueue];
    id<MTLBuffer> from = [device newBufferWithLength:LARGE options:0];
    id<MTLBuffer> hidden = [device newBufferWithLength:LARGE options:0];
    id<MTLBuffer> to = [device newBufferWithLength:LARGE options:0];
    id<MTLSharedEvent> event = [device newSharedEvent];
    queue = [device newCommandQueue];
    fill_random(from, 0, LARGE);
    for (int i = 0; i < ROUNDS; i++) {
        CHECK_DONE(copy_on(queue, from, 0, hidden, 0, LARGE - 100));
        CHECK_DONE(copy_on(queue, hidden, 0, to, 0, LARGE));
        check_same(from, 0, to, 0, LARGE - 100);
        fill_random(from, number() % (LARGE - 50), 50);
    }
    id<MTLCommandBuffer> commands = [other commandBuffer];
    id<MTLBlitCommandEncoder> blit = [commands blitCommandEncoder];
    [blit fillBuffer:hidden range:NSMakeRange(4096, 4096) value:1];
    [blit endEncoding];
    [commands encodeWaitForEvent:event value:1];
    blit = [commands blitCommandEncoder];
    [blit fillBuffer:hidden range:NSMakeRange(16384, 4096) value:2];
    [blit endEncoding];
    [commands commit];
    id<MTLCommandBuffer> last = copy_on(queue, from, LARGE / 2, hidden, LARGE / 2, 1000);
    uint8_t *bytes = hidden.contents;
    CHECK_DONE(last);
    event.signaledValue = 1;
    CHECK_DONE(commands);
    CHECK(memcmp(bytes + LARGE / 2, (uint8_t *)from.contents + LARGE / 2, 1000) == 0);
    check_same(hidden, 0, to, 0, 4096);
    check_same(hidden, 20480, to, 20480, LARGE / 2 - 20480);
    check_same(hidden, LARGE / 2 + 1000, to, LARGE / 2 + 1000, LARGE / 2 - 1000);
    for (int i = 0; i < 4096; i++)
        CHECK(bytes[4096 + i] == 1 && bytes[16384 + i] == 2);
    for (int i = 0; i < ROUNDS; i++) {
        fill_random(hidden, number() % (LARGE - 100), 100);
        CHECK_DONE(copy_on(queue, hidden, 0, to, 0, LARGE));
        check_same(hidden, 0, to, 0, LARGE);
        CHECK_DONE(copy_on(queue, from, 0, hidden, 0, LARGE));
        check_same(hidden, 0, from, 0, LARGE);
    }
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {{"large", test_large}, {"small", test_small},
            {"neighbours", test_neighbours}, {"events", test_events}, {"files", test_files},
            {"queues", test_queues}, {"reuse", test_reuse}, {"address", test_address},
            {"unseen", test_unseen}, {"ways", test_ways}};
    @autoreleasepool {
        device = MTLCreateSystemDefaultDevice();
    }
    static const struct test kernels[] = {{"kernels", test_kernels}};
    if (argc > 1 && strcmp(argv[1], "kernels") == 0) /* where the device has any */
        return run_tests(kernels, 1);
    return run_tests(tests, sizeof tests / sizeof *tests);
}
