/* Buffers over memory of the program's own that is not whole pages: malloc()ed, on the stack, parts
 * of one another, files. `contents` is the program's pointer; it and the device see each other's
 * writes from commit to completion; nothing outside is touched; the deallocator runs once. */
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include "program.h"

static NSString *const source = @""
    "#include <metal_stdlib>\n"
    "kernel void twice(device uchar *x [[buffer(0)]], uint i [[thread_position_in_grid]])\n"
    "{ x[i] *= 2; }\n"
    "kernel void even(device uchar *x [[buffer(0)]], uint i [[thread_position_in_grid]])\n"
    "{ if (i % 2 == 0) x[i] = 200; }\n"
    "kernel void sum(device uint *to [[buffer(0)]], const device uchar *x [[buffer(1)]],\n"
    "        constant uint &n [[buffer(2)]])\n"
    "{ uint s = 0; for (uint i = 0; i < n; i++) s += x[i]; *to += s; }\n"
    "struct inner { device uchar *x; };\n"
    "kernel void through(constant inner &a [[buffer(0)]], uint i [[thread_position_in_grid]])\n"
    "{ a.x[i] += 3; }\n";

static id<MTLComputePipelineState> twice, even, sum, through;

static id<MTLBuffer> wrap(void *pointer, size_t length)
{
    id<MTLBuffer> buffer = [device newBufferWithBytesNoCopy:pointer
                                                     length:length
                                                    options:MTLResourceStorageModeShared
                                                deallocator:nil];
    CHECK(buffer && buffer.contents == pointer && buffer.length == length);
    return buffer;
}

static id<MTLCommandBuffer> encode(
        id<MTLCommandBuffer> commands, id<MTLComputePipelineState> pipeline, id<MTLBuffer> x)
{
    id<MTLComputeCommandEncoder> e = [commands computeCommandEncoder];
    [e setComputePipelineState:pipeline];
    [e setBuffer:x offset:0 atIndex:0];
    [e dispatchThreads:MTLSizeMake(x.length, 1, 1)
            threadsPerThreadgroup:MTLSizeMake(x.length < 64 ? x.length : 64, 1, 1)];
    [e endEncoding];
    return commands;
}

static void finish(id<MTLCommandBuffer> commands)
{
    [commands commit];
    CHECK_DONE(commands);
}

static void any_pointer_any_length(void)
{
    const size_t lengths[] = {1, 16, 1536, 4096, 5000, 65537, (1u << 20) + 1, (3u << 20) + 77};
    for (unsigned shift = 0; shift < 40; shift += 13)
        for (unsigned k = 0; k < sizeof lengths / sizeof *lengths; k++) {
            size_t length = lengths[k], all = length + 8192;
            uint8_t *base = NULL;
            CHECK(posix_memalign((void **)&base, 4096, all) == 0);
            for (size_t i = 0; i < all; i++)
                base[i] = (uint8_t)(i % 100);
            __block int freed = 0;
            uint8_t *at = base + shift;
            @autoreleasepool {
                id<MTLBuffer> x = [device newBufferWithBytesNoCopy:at
                                                            length:length
                                                           options:0
                                                       deallocator:^(void *p, NSUInteger n) {
                                                         freed += p == at && n == length ? 1 : 100;
                                                       }];
                CHECK(x && x.contents == at && x.length == length && x.allocatedSize >= length);
                finish(encode([queue commandBuffer], twice, x));
                at[0] = 50; /* and again, with what the program wrote */
                finish(encode([queue commandBuffer], twice, x));
                CHECK(!freed);
            }
            CHECK(freed == 1);
            for (size_t i = 0; i < all; i++) {
                unsigned before = i % 100, inside = i - shift < length;
                if (i == shift)
                    CHECK(base[i] == 100);
                else
                    CHECK(base[i] == (uint8_t)(inside ? before * 4 : before));
            }
            free(base);
        }
}

/* The program goes on writing beside the buffer, and in it where the device does not write. */
static void writes_meanwhile(void)
{
    uint8_t *p = malloc(3000);
    memset(p, 1, 3000);
    id<MTLSharedEvent> event = [device newSharedEvent];
    id<MTLBuffer> x = wrap(p + 1001, 1000);
    id<MTLCommandBuffer> commands = [queue commandBuffer];
    [commands encodeWaitForEvent:event value:1];
    encode(commands, even, x);
    [commands commit];
    for (size_t i = 0; i < 3000; i++)
        if (i < 1001 || i >= 2001 || i % 2 == 0) /* odd ones in the buffer */
            p[i] = 7;
    event.signaledValue = 1;
    CHECK_DONE(commands);
    for (size_t i = 0; i < 3000; i++)
        CHECK(p[i] == (i >= 1001 && i < 2001 && i % 2 ? 200 : 7));
    free(p);
}

/* Each token of a language model: wrapped, written to, let go of, while the one before is in
 * flight. */
static void same_memory_again(void)
{
    uint8_t *p = malloc(5000);
    memset(p, 1, 5000);
    id<MTLCommandBuffer> last = nil;
    for (int i = 0; i < 7; i++)
        @autoreleasepool {
            last = encode([queue commandBuffer], twice, wrap(p + 8, 4000));
            [last commit];
        }
    CHECK_DONE(last);
    CHECK(p[7] == 1 && p[8] == 128 && p[4007] == 128 && p[4008] == 1);
    /* One inside another, in one command buffer: they are the same memory. */
    id<MTLBuffer> outer = wrap(p, 5000), inner = wrap(p + 100, 10);
    memset(p, 1, 5000);
    finish(encode(encode([queue commandBuffer], twice, outer), twice, inner));
    CHECK(p[99] == 2 && p[100] == 4 && p[109] == 4 && p[110] == 2);
    /* Two that overlap: from one command buffer to the next. */
    id<MTLBuffer> left = wrap(p + 4000, 600), right = wrap(p + 4500, 500);
    memset(p, 1, 5000);
    finish(encode([queue commandBuffer], twice, left));
    finish(encode([queue commandBuffer], twice, right));
    CHECK(p[4499] == 2 && p[4500] == 4 && p[4599] == 4 && p[4600] == 2 && p[3999] == 1);
    /* The outer one's owner went: its bytes are left alone. */
    outer = nil;
    memset(p, 1, 5000);
    finish(encode([queue commandBuffer], twice, inner));
    CHECK(p[99] == 1 && p[100] == 2 && p[109] == 2 && p[110] == 1);
    free(p);
}

/* Large ones are shared in place but for their ends, alone and with others of the same memory. */
static void large_ones(void)
{
    size_t bytes = 6u << 20;
    uint8_t *p = malloc(bytes);
    memset(p, 1, bytes);
    @autoreleasepool {
        id<MTLBuffer> all = wrap(p, bytes), most = wrap(p + 100, bytes - 200);
        id<MTLBuffer> part = wrap(p + (1u << 20) + 1, 3u << 20), page = wrap(p + 8192, 9);
        finish(encode([queue commandBuffer], twice, all));
        CHECK(p[0] == 2 && p[bytes / 2] == 2 && p[bytes - 1] == 2);
        id<MTLCommandBuffer> c = encode([queue commandBuffer], twice, most);
        finish(encode(encode(c, twice, part), twice, page));
        CHECK(p[99] == 2 && p[100] == 4 && p[8192] == 8 && p[1u << 20] == 4);
        CHECK(p[(1u << 20) + 1] == 8 && p[bytes - 101] == 4 && p[bytes - 100] == 2);
    }
    for (size_t i = 0; i < bytes; i++)
        CHECK(p[i] == 2 || p[i] == 4 || p[i] == 8);
    free(p); /* ordinary memory again */
}

static uint32_t sum_of(id<MTLBuffer> x, void *result)
{
    uint32_t count = (uint32_t)x.length;
    id<MTLBuffer> to = wrap(result, 4);
    CHECK_DONE(run(^(id<MTLComputeCommandEncoder> e) {
        [e setComputePipelineState:sum];
        [e setBuffer:to offset:0 atIndex:0];
        [e setBuffer:x offset:0 atIndex:1];
        [e setBytes:&count length:4 atIndex:2];
        [e dispatchThreads:MTLSizeMake(1, 1, 1) threadsPerThreadgroup:MTLSizeMake(1, 1, 1)];
    }));
    return *(uint32_t *)result;
}

static const uint8_t constant_bytes[1000] = {[0 ... 999] = 3};

static void every_kind_of_memory(void)
{
    uint32_t on_stack = 1;
    CHECK(sum_of(wrap((void *)constant_bytes, 1000), &on_stack) == 3001 && on_stack == 3001);
    /* A file that can only be read, from the middle of one page to that of another. */
    FILE *file = tmpfile();
    CHECK(file);
    for (size_t i = 0; i < (2u << 20); i++)
        fputc(1, file);
    fflush(file);
    uint8_t *map = mmap(NULL, 2u << 20, PROT_READ, MAP_SHARED, fileno(file), 0);
    CHECK(map != MAP_FAILED);
    on_stack = 0;
    CHECK(sum_of(wrap(map + 5, 20000), &on_stack) == 20000);
    on_stack = 0;
    CHECK(sum_of(wrap(map + 1, (2u << 20) - 2), &on_stack) == (2u << 20) - 2);
    munmap(map, 2u << 20);
    /* One that can be written: what the device writes comes into the file. */
    map = mmap(NULL, 2u << 20, PROT_READ | PROT_WRITE, MAP_SHARED, fileno(file), 0);
    CHECK(map != MAP_FAILED);
    finish(encode([queue commandBuffer], twice, wrap(map, 2u << 20)));
    uint8_t byte = 0;
    CHECK(pread(fileno(file), &byte, 1, 1u << 20) == 1 && byte == 2 && map[(2u << 20) - 1] == 2);
    munmap(map, 2u << 20);
    fclose(file);
    /* Memory that went before its buffer did: what lies there now is left alone. */
    @autoreleasepool {
        const size_t bytes = 2u << 20;
        const int flags = MAP_PRIVATE | MAP_ANONYMOUS;
        uint8_t *gone = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
        id<MTLBuffer> late = wrap(gone + 1, bytes - 2);
        finish(encode([queue commandBuffer], twice, late));
        munmap(gone, bytes);
        CHECK(mmap(gone, bytes, PROT_READ, flags | MAP_FIXED, -1, 0) == gone);
        late = nil;
        CHECK(gone[bytes / 2] == 0);
        munmap(gone, bytes);
    }
    /* What a buffer shows of itself is shared already. */
    id<MTLBuffer> small = [device newBufferWithLength:100 options:0];
    memset(small.contents, 5, 100);
    finish(encode(encode([queue commandBuffer], twice, wrap((char *)small.contents + 7, 50)), twice,
            small));
    CHECK(((uint8_t *)small.contents)[6] == 10 && ((uint8_t *)small.contents)[7] == 20);
    /* The device writes to what the program cannot: dropped, and the program lives. */
    uint8_t *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(page, 1, 4096);
    mprotect(page, 4096, PROT_READ);
    finish(encode([queue commandBuffer], twice, wrap(page + 1, 100)));
    CHECK(page[1] == 1);
    munmap(page, 4096);
    CHECK(![device newBufferWithBytesNoCopy:(void *)4099 length:9 options:0 deallocator:nil]);
}

/* Reached by its address alone, by an indirect command, and through an event in mid-course. */
static void reached_otherwise(void)
{
    uint8_t *p = malloc(3000);
    memset(p, 1, 3000);
    id<MTLBuffer> x = wrap(p + 3, 640);
    uint64_t address = x.gpuAddress;
    encode_block by_address = ^(id<MTLComputeCommandEncoder> e) {
        [e setComputePipelineState:through];
        [e setBytes:&address length:8 atIndex:0];
        [e dispatchThreads:MTLSizeMake(640, 1, 1) threadsPerThreadgroup:MTLSizeMake(64, 1, 1)];
    };
    CHECK_DONE(run(by_address));
    CHECK(p[2] == 1 && p[3] == 4 && p[642] == 4 && p[643] == 1);
    p[3] = 100;
    CHECK_DONE(run(by_address));
    CHECK(p[3] == 103 && p[642] == 7);

    MTLComputePipelineDescriptor *d = [MTLComputePipelineDescriptor new];
    d.computeFunction = [library_from(source, nil) newFunctionWithName:@"twice"];
    d.supportIndirectCommandBuffers = YES;
    id<MTLComputePipelineState> indirect =
            [device newComputePipelineStateWithDescriptor:d options:0 reflection:nil error:nil];
    MTLIndirectCommandBufferDescriptor *i = [MTLIndirectCommandBufferDescriptor new];
    i.commandTypes = MTLIndirectCommandTypeConcurrentDispatchThreads;
    i.maxKernelBufferBindCount = 1;
    i.inheritBuffers = NO;
    i.inheritPipelineState = NO;
    id<MTLIndirectCommandBuffer> icb = [device newIndirectCommandBufferWithDescriptor:i
                                                                      maxCommandCount:1
                                                                              options:0];
    id<MTLBuffer> y = wrap(p + 1000, 100);
    id<MTLIndirectComputeCommand> command = [icb indirectComputeCommandAtIndex:0];
    [command setComputePipelineState:indirect];
    [command setKernelBuffer:y offset:0 atIndex:0];
    [command concurrentDispatchThreads:MTLSizeMake(100, 1, 1)
                 threadsPerThreadgroup:MTLSizeMake(50, 1, 1)];
    CHECK_DONE(run(^(id<MTLComputeCommandEncoder> e) {
        [e executeCommandsInBuffer:icb withRange:NSMakeRange(0, 1)];
    }));
    CHECK(p[999] == 1 && p[1000] == 2 && p[1099] == 2 && p[1100] == 1);

    id<MTLSharedEvent> event = [device newSharedEvent];
    id<MTLBuffer> z = wrap(p + 2000, 100);
    id<MTLCommandBuffer> commands = encode([queue commandBuffer], twice, z);
    [commands encodeSignalEvent:event value:1];
    [commands encodeWaitForEvent:event value:2];
    encode(commands, twice, z);
    [commands commit];
    CHECK([event waitUntilSignaledValue:1 timeoutMS:60000] && p[2000] == 2);
    p[2000] = 11;
    event.signaledValue = 2;
    CHECK_DONE(commands);
    CHECK(p[2000] == 22 && p[2001] == 4);
    free(p);
}

static void handlers_and_references(void)
{
    uint8_t *p = malloc(100);
    memset(p, 1, 100);
    __block uint8_t seen = 0;
    __block int freed = 0;
    @autoreleasepool {
        id<MTLBuffer> x = [device newBufferWithBytesNoCopy:p + 1
                                                    length:50
                                                   options:0
                                               deallocator:^(void *q, NSUInteger n) {
                                                 freed++;
                                               }];
        id<MTLCommandBuffer> commands = encode([queue commandBuffer], twice, x);
        [commands addCompletedHandler:^(id<MTLCommandBuffer> c) {
          seen = p[1];
        }];
        [commands commit];
        x = nil;
        CHECK_DONE(commands);
        CHECK(seen == 2 && p[0] == 1 && p[51] == 1);
    }
    CHECK(freed == 1);
    id<MTLBuffer> x = wrap(p + 1, 50);
    finish(encode([queue commandBufferWithUnretainedReferences], twice, x));
    CHECK(p[1] == 4 && p[51] == 1);
    id<MTLCommandQueue> other = [device newCommandQueue];
    finish(encode([other commandBuffer], twice, x));
    CHECK(p[1] == 8);
    x = nil;
    free(p);
}

static void thousands(void)
{
    enum { N = 20000 };
    uint8_t *p = malloc(N * 100);
    memset(p, 1, N * 100);
    NSMutableArray *all = [NSMutableArray array];
    for (size_t i = 0; i < N; i++)
        [all addObject:wrap(p + i * 100, 100)];
    finish(encode([queue commandBuffer], twice, all[777]));
    CHECK(p[77699] == 1 && p[77700] == 2 && p[77799] == 2 && p[77800] == 1);
    all = nil;
    free(p);
}

/* A program may free its memory before it lets go of the buffer, as ggml does, which never does; what
 * it gets at the same place next is other memory. */
static void freed_before_its_buffer(void)
{
    const size_t length = (3u << 20) + 5000, shift = 100;
    uint8_t *base = mmap(NULL, length + 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    NSMutableArray *kept = [NSMutableArray array];
    for (int turn = 0; turn < 4; turn++) {
        uint8_t *again = mmap(base, length + 8192, PROT_READ | PROT_WRITE,
            MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        CHECK(again == base);
        /* All of it, whole pages, a piece in the middle, a piece at the rim. */
        size_t at[] = {shift, 4096, 40000, shift}, n[] = {length, 3u << 20, 4096, 500};
        for (unsigned k = 0; k < 4; k++) {
            unsigned part = (k + (unsigned)turn) % 4;
            memset(base + at[part], 3, n[part]);
            id<MTLBuffer> x = wrap(base + at[part], n[part]);
            finish(encode([queue commandBuffer], twice, x));
            for (size_t i = 0; i < n[part]; i++)
                CHECK(base[at[part] + i] == 6);
            [kept addObject:x];
        }
    }
    munmap(base, length + 8192);
    [kept removeAllObjects];
}

int main(void)
{
    @autoreleasepool {
        device = MTLCreateSystemDefaultDevice();
        CHECK(device);
        id<MTLLibrary> library = library_from(source, nil);
        twice = pipeline_of(library, @"twice");
        even = pipeline_of(library, @"even");
        sum = pipeline_of(library, @"sum");
        through = pipeline_of(library, @"through");
    }
    const struct test tests[] = {{"any pointer, any length", any_pointer_any_length},
        {"writes meanwhile", writes_meanwhile}, {"the same memory again", same_memory_again},
        {"large ones", large_ones}, {"freed before its buffer", freed_before_its_buffer}, {"every kind of memory", every_kind_of_memory},
        {"reached otherwise", reached_otherwise},
        {"handlers and references", handlers_and_references}, {"thousands", thousands}};
    return run_tests(tests, sizeof tests / sizeof *tests);
}
