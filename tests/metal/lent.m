/* Buffers over a file that the program maps for reading, as models' weights are: the host maps the
 * file itself, so that nothing is copied and what is written to the file is seen; and what happens
 * when the file gets shorter, or has gone. */
#import "program.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

enum { Page = 4096, Length = (4 << 20) + 1000 };

static NSString *const source = @"#include <metal_stdlib>\nusing namespace metal;\n"
    "kernel void sum(device const uchar *x [[buffer(0)]], device atomic_uint *s [[buffer(1)]],\n"
    "        uint i [[thread_position_in_grid]])\n"
    "{ atomic_fetch_add_explicit(s, x[i], memory_order_relaxed); }\n"
    "kernel void twice(device uchar *x [[buffer(0)]], uint i [[thread_position_in_grid]]) { x[i] *= 2; }\n";

static id<MTLComputePipelineState> sum, twice;
static char path[64];

/* Length bytes of value 1, open for reading and writing. */
static int new_file(void)
{
    static uint8_t ones[Length];
    memset(ones, 1, Length);
    snprintf(path, sizeof path, "/tmp/arcbox-lent-XXXXXX");
    int fd = mkstemp(path);
    CHECK(fd >= 0 && write(fd, ones, Length) == Length);
    return fd;
}

static uint8_t *map_file(int fd)
{
    uint8_t *p = mmap(NULL, Length, PROT_READ, MAP_SHARED, fd, 0);
    CHECK(p != MAP_FAILED);
    return p;
}

static id<MTLBuffer> wrap(void *pointer, size_t length)
{
    id<MTLBuffer> buffer = [device newBufferWithBytesNoCopy:pointer
                                                     length:length
                                                    options:MTLResourceStorageModeShared
                                                deallocator:nil];
    CHECK(buffer && buffer.contents == pointer);
    return buffer;
}

static id<MTLCommandBuffer> apply(id<MTLComputePipelineState> pipeline, id<MTLBuffer> x, id<MTLBuffer> s)
{
    id<MTLCommandBuffer> commands = [queue commandBuffer];
    id<MTLComputeCommandEncoder> e = [commands computeCommandEncoder];
    [e setComputePipelineState:pipeline];
    [e setBuffer:x offset:0 atIndex:0];
    [e setBuffer:s offset:0 atIndex:1];
    [e dispatchThreads:MTLSizeMake(x.length, 1, 1) threadsPerThreadgroup:MTLSizeMake(64, 1, 1)];
    [e endEncoding];
    [commands commit];
    [commands waitUntilCompleted];
    return commands;
}

static uint32_t sum_of(id<MTLBuffer> x)
{
    id<MTLBuffer> s = [device newBufferWithLength:4 options:0];
    CHECK_DONE(apply(sum, x, s));
    return *(uint32_t *)s.contents;
}

/* Whether the program still has the file there, and not a copy of it. */
static bool is_mapped(const void *at)
{
    FILE *f = fopen("/proc/self/maps", "r");
    char line[512];
    bool found = false;
    while (f && fgets(line, sizeof line, f)) {
        unsigned long from, to;
        if (sscanf(line, "%lx-%lx", &from, &to) == 2 && from <= (uintptr_t)at && (uintptr_t)at < to)
            found = strstr(line, path) != NULL;
    }
    if (f)
        fclose(f);
    return found;
}

static void in_place(void)
{
    int fd = new_file();
    uint8_t *p = map_file(fd);
    @autoreleasepool {
        id<MTLBuffer> whole = wrap(p, Length), part = wrap(p + 77, (2 << 20) + 5),
                      last = wrap(p + (2 << 20), Length - (2 << 20)),
                      padded = wrap(p + 5 * Page, (Length + Page - 1) / Page * Page - 5 * Page);
        CHECK(is_mapped(p) && is_mapped(p + Length - 1));
        CHECK(sum_of(whole) == Length && sum_of(part) == (2 << 20) + 5);
        CHECK(sum_of(last) == Length - (2 << 20));
        CHECK(sum_of(padded) == Length - 5 * Page); /* past the file's end: zeros */
        uint8_t nine = 9;
        CHECK(pwrite(fd, &nine, 1, 3 << 20) == 1);
        CHECK(p[3 << 20] == 9 && sum_of(whole) == Length + 8);
        /* The device writes where the program cannot: the file and the program do not see it. */
        CHECK_DONE(apply(twice, last, nil));
        CHECK(p[3 << 20] == 9 && p[Length - 1] == 1 && is_mapped(p));
    }
    CHECK(is_mapped(p) && p[0] == 1);
    munmap(p, Length);
    close(fd);
    unlink(path);
}

/* What overlaps, in parts and in whole, beside a mapping of which parts are let go of. */
static void in_pieces(void)
{
    int fd = new_file();
    uint8_t *p = map_file(fd);
    id<MTLBuffer> a = wrap(p, 3 << 20), b = wrap(p + (2 << 20), 2 << 20);
    CHECK(is_mapped(p + (5 << 19)));
    munmap(p, 1 << 20); /* as llama.cpp does with what it does not need */
    munmap(p + (4 << 20), Length - (4 << 20));
    CHECK(sum_of(a) == 3 << 20 && sum_of(b) == 2 << 20);
    id<MTLBuffer> c = wrap(p + (1 << 20), 3 << 20);
    CHECK(is_mapped(p + (2 << 20)) && sum_of(c) == 3 << 20);
    munmap(p + (1 << 20), 3 << 20);
    CHECK(sum_of(c) == 3 << 20);
    /* Other memory at the same place. */
    uint8_t *other = mmap(p, 4 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    CHECK(other == p);
    memset(other, 2, 4 << 20);
    CHECK(sum_of(wrap(other + (1 << 20), 3 << 20)) == 6 << 20);
    /* The file there again, moved by a page: not what the buffers of before have there. */
    uint8_t zero = 0;
    CHECK(pwrite(fd, &zero, 1, 0) == 1);
    CHECK(mmap(p, 4 << 20, PROT_READ, MAP_SHARED | MAP_FIXED, fd, Page) == p);
    CHECK(sum_of(wrap(p, 3 << 20)) == 3 << 20);
    CHECK(mmap(p, 4 << 20, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0) == p);
    CHECK(sum_of(wrap(p, 3 << 20)) == (3 << 20) - 1);
    munmap(p, 4 << 20);
    close(fd);
    unlink(path);
}

/* A name that is another file's by now, or nobody's: copied, as other memory is. */
static void renamed(void)
{
    char name[sizeof path];
    int fd = new_file();
    uint8_t *p = map_file(fd);
    memcpy(name, path, sizeof path);
    unlink(path);
    CHECK(sum_of(wrap(p + 1, 2 << 20)) == 2 << 20);
    int second = new_file();
    uint8_t *q = map_file(second), five = 5;
    CHECK(pwrite(second, &five, 1, 100) == 1);
    CHECK(rename(path, name) == 0);
    CHECK(sum_of(wrap(p + (3 << 20), 1 << 20)) == 1 << 20 && sum_of(wrap(q, 2 << 20)) == (2 << 20) + 4);
    munmap(p, Length);
    munmap(q, Length);
    close(fd);
    close(second);
    unlink(name);
}

/* A file that gets shorter: an error, also of copies, and everything else goes on. */
static void shorter(void)
{
    int fd = new_file();
    uint8_t *p = map_file(fd);
    id<MTLBuffer> x = wrap(p, 4 << 20), s = [device newBufferWithLength:1 << 20 options:0];
    CHECK(sum_of(x) == 4 << 20 && ftruncate(fd, 1 << 20) == 0);
    id<MTLCommandBuffer> commands = apply(sum, x, s);
    CHECK(commands.status == MTLCommandBufferStatusError);
    CHECK([commands.error.localizedDescription containsString:@"got shorter"]);
    commands = [queue commandBuffer];
    id<MTLBlitCommandEncoder> blit = [commands blitCommandEncoder];
    [blit copyFromBuffer:x sourceOffset:2 << 20 toBuffer:s destinationOffset:0 size:1 << 20];
    [blit endEncoding];
    [commands commit];
    [commands waitUntilCompleted];
    CHECK(commands.status == MTLCommandBufferStatusError);
    CHECK(sum_of(wrap(p, 1 << 20)) == 1 << 20);
    CHECK(ftruncate(fd, 4 << 20) == 0 && sum_of(x) == 1 << 20);
    munmap(p, Length);
    close(fd);
    unlink(path);
}

/* A file that others made: in a container it lies on an overlay, where stat() and the kernel's list of
 * mappings name different devices. */
static void of_the_system(void)
{
    FILE *f = fopen("/proc/self/maps", "r");
    char line[512], *name = NULL;
    while (f && !name && fgets(line, sizeof line, f))
        if (strstr(line, "/libc.so.6\n"))
            name = strchr(line, '/');
    CHECK(f && name);
    fclose(f);
    name[strcspn(name, "\n")] = 0;
    snprintf(path, sizeof path, "%s", name);
    int fd = open(name, O_RDONLY);
    size_t length = 5 << 18;
    uint8_t *p = mmap(NULL, length, PROT_READ, MAP_SHARED, fd, 0);
    CHECK(p != MAP_FAILED);
    uint32_t want = 0;
    for (size_t i = 0; i < length; i++)
        want += p[i];
    CHECK(sum_of(wrap(p, length)) == want && is_mapped(p));
    munmap(p, length);
    close(fd);
}

/* The host reads arguments of indirect dispatches itself: never from a file that may go. */
static void arguments(void)
{
    int fd = new_file();
    uint8_t *p = map_file(fd);
    id<MTLCommandBuffer> commands = [queue commandBuffer];
    id<MTLComputeCommandEncoder> e = [commands computeCommandEncoder];
    [e setComputePipelineState:twice];
    [e setBuffer:[device newBufferWithLength:64 options:0] offset:0 atIndex:0];
    [e dispatchThreadgroupsWithIndirectBuffer:wrap(p, 4 << 20)
                         indirectBufferOffset:0
                        threadsPerThreadgroup:MTLSizeMake(1, 1, 1)];
    [e endEncoding];
    [commands commit];
    [commands waitUntilCompleted];
    CHECK(commands.status == MTLCommandBufferStatusError);
    CHECK([commands.error.localizedDescription containsString:@"not supported"]);
    munmap(p, Length);
    close(fd);
    unlink(path);
}

int main(void)
{
    void (*const tests[])(void) = {in_place, in_pieces, renamed, shorter, arguments, of_the_system};
    @autoreleasepool {
        device = MTLCreateSystemDefaultDevice();
        CHECK(device);
        queue = [device newCommandQueue];
        id<MTLLibrary> library = library_from(source, nil);
        sum = pipeline_of(library, @"sum");
        twice = pipeline_of(library, @"twice");
    }
    for (unsigned i = 0; i < sizeof tests / sizeof *tests; i++)
        @autoreleasepool {
            tests[i]();
        }
    puts("lent: ok");
    return 0;
}
