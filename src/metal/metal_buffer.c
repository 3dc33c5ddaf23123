/* metal: MTLBuffer and what MTLResource asks of every resource. Runs in the guest's process. */
#include <stdlib.h>
#include <string.h>

#include "metal/metal_wrap.h"

#define KNOWN_OPTIONS 0x3ffu

static uint64_t max_length(struct abx_client *client)
{
    return abx_client_welcome(client)->max_buffer_length;
}

/* A Mac too gives nil for no bytes (tinygrad saw None there, ggml and PyTorch keep from asking),
 * and so programs that handle it are those that work. */
static bool length_ok(id device, NSUInteger length, const char *what)
{
    uint64_t limit = max_length(((struct abx_metal_object *)device)->client);
    if (length && length <= limit)
        return true;
    abx_metal_say("-[MTLDevice %s]: a length of %lu: 1 to %llu bytes are possible", what,
            (unsigned long)length, (unsigned long long)limit);
    return false;
}

/* Tells the host of [offset, offset + length) of the memory. */
static int create(struct abx_metal_buffer *buffer, const struct abx_memory *memory, uint64_t offset)
{
    struct abx_client *client = buffer->resource.base.client;
    abx_handle handle = abx_client_handle_new(client);
    if (!handle)
        return -EMFILE;
    uint64_t space[8];
    struct abx_encoder e = {.at = (uint8_t *)space, .end = (uint8_t *)(space + 8)};
    if (memory->chunk)
        abx_encode_buffer_create(
                &e, handle, memory->chunk, memory->offset + offset, buffer->length);
    else
        abx_encode_buffer_create_private(&e, handle, memory->address, buffer->length);
    int r = abx_client_push(client, space, 0);
    if (r < 0) {
        abx_client_handle_free(client, handle);
        return r;
    }
    buffer->resource.handle = handle;
    buffer->address = memory->address + offset;
    buffer->chunk = memory->chunk;
    return 0;
}

struct abx_metal_buffer *abx_metal_buffer_in(id device, const struct abx_memory *memory,
        uint64_t offset, uint64_t length, NSUInteger options)
{
    struct abx_metal_buffer *buffer = abx_metal_new(ABX_METAL_BUFFER, device);
    if (!buffer)
        return NULL;
    buffer->length = length;
    buffer->resource.options = options;
    buffer->resource.purgeable = 2; /* MTLPurgeableStateNonVolatile */
    if (memory->pointer && abx_metal_storage(options) < MTLStorageModePrivate)
        buffer->contents = memory->pointer + offset;
    if (create(buffer, memory, offset) < 0) {
        objc_release((id)buffer);
        return NULL;
    }
    return buffer;
}

int abx_metal_alloc(struct abx_client *client, bool private, uint64_t bytes, struct abx_memory *ret)
{
    int r = private ? abx_client_alloc_private(client, bytes, ret)
                    : abx_client_alloc(client, bytes, ret);
    if (r != -ENOMEM)
        return r;
    abx_metal_queue_reap_all(client); /* what finished command buffers held may be enough */
    return private ? abx_client_alloc_private(client, bytes, ret)
                   : abx_client_alloc(client, bytes, ret);
}

id abx_metal_buffer_new(id device, NSUInteger length, NSUInteger options)
{
    struct abx_client *client = ((struct abx_metal_object *)device)->client;
    unsigned storage = abx_metal_storage(options);
    if (storage > MTLStorageModePrivate) {
        abx_metal_say("-[MTLDevice newBufferWithLength:options:]: options %#lx: a buffer cannot be "
                      "memoryless",
                (unsigned long)options);
        return NULL;
    }
    if (options & ~(NSUInteger)KNOWN_OPTIONS)
        abx_metal_note("-[MTLDevice newBufferWithLength:options:]: options %#lx: unknown bits",
                (unsigned long)options);
    struct abx_memory memory;
    int r = abx_metal_alloc(client, storage == MTLStorageModePrivate, length, &memory);
    if (r == -ENODEV)
        abx_metal_say("newBufferWithLength: %s", abx_client_lost_text(client));
    if (r < 0)
        return NULL; /* as Metal: nil when there is no memory */
    struct abx_metal_buffer *buffer = abx_metal_buffer_in(device, &memory, 0, length, options);
    if (!buffer) {
        abx_client_free(client, &memory);
        return NULL;
    }
    buffer->resource.memory = memory;
    if (abx_client_welcome(client)->mirror_align && buffer->contents && !memory.blocks) {
        abx_client_mirror_unseen(client, &memory);
        atomic_store(&buffer->unseen, true);
    }
    return (id)buffer;
}

id MTLDevice_newBufferWithLength_options_(id self, SEL cmd, NSUInteger length, NSUInteger options)
{
    if (!length_ok(self, length, "newBufferWithLength:options:"))
        return NULL;
    return abx_metal_buffer_new(self, length, options);
}

id MTLDevice_newBufferWithBytes_length_options_(
        id self, SEL cmd, const void *bytes, NSUInteger length, NSUInteger options)
{
    static const char what[] = "newBufferWithBytes:length:options:";
    if (!length_ok(self, length, what))
        return NULL;
    if (!bytes || abx_metal_storage(options) == MTLStorageModePrivate) {
        abx_metal_say("-[MTLDevice %s]: %s", what,
                bytes ? "private storage cannot be filled from the processor" : "no bytes");
        return NULL;
    }
    id buffer = abx_metal_buffer_new(self, length, options);
    if (buffer)
        memcpy(((struct abx_metal_buffer *)buffer)->contents, bytes, length);
    return buffer;
}

id MTLDevice_newBufferWithBytesNoCopy_length_options_deallocator_(
        id self, SEL cmd, void *pointer, NSUInteger length, NSUInteger options, id deallocator)
{
    static const char what[] = "newBufferWithBytesNoCopy:length:options:deallocator:";
    struct abx_client *client = ((struct abx_metal_object *)self)->client;
    if (!length_ok(self, length, what))
        return NULL;
    if (abx_metal_storage(options) >= MTLStorageModePrivate) {
        abx_metal_say("-[MTLDevice %s]: the storage must be shared or managed", what);
        return NULL;
    }
    int r;
    struct abx_metal_buffer *buffer = abx_metal_wrap_new(self, pointer, length, options, &r);
    if (!buffer && r == -ENOMEM) {
        abx_metal_queue_reap_all(client);
        buffer = abx_metal_wrap_new(self, pointer, length, options, &r);
    }
    if (!buffer) {
        if (r == -EFAULT || r == -EINVAL)
            abx_metal_say("-[MTLDevice %s]: nothing is mapped at %p", what, pointer);
        return NULL;
    }
    if (deallocator) {
        buffer->deallocator = _Block_copy(deallocator);
        buffer->deallocator_pointer = pointer;
    }
    return (id)buffer;
}

void MTLBuffer_dealloc(id self, SEL cmd)
{
    struct abx_metal_buffer *buffer = (struct abx_metal_buffer *)self;
    struct abx_client *client = buffer->resource.base.client;
    abx_client_destroy(client, buffer->resource.handle);
    if (buffer->wrap)
        abx_metal_wrap_dealloc(buffer);
    if (buffer->resource.memory.owner)
        abx_client_free(client, &buffer->resource.memory);
    if (buffer->resource.heap) {
        if (!buffer->resource.aliasable)
            abx_metal_heap_give(buffer->resource.heap, buffer->resource.heap_offset);
        objc_release(buffer->resource.heap);
    }
    if (buffer->deallocator) {
        ABX_BLOCK_CALL(void, (void *, void *, NSUInteger), buffer->deallocator,
                buffer->deallocator_pointer, (NSUInteger)buffer->length);
        _Block_release(buffer->deallocator);
    }
    abx_metal_dealloc(self, ABX_METAL_BUFFER);
}

NSUInteger MTLBuffer_length(id self, SEL cmd)
{
    return ((struct abx_metal_buffer *)self)->length;
}

/* What the device has written so far, in a mirror of its own, is brought to where the program looks
 * from now on: by a command buffer that only seems to write there. One thread at a time. */
static void fetch(struct abx_metal_buffer *buffer)
{
    static id queue, queue_device;
    void *pool = objc_autoreleasePoolPush();
    if (queue_device != buffer->resource.base.device) {
        objc_release(queue);
        queue_device = buffer->resource.base.device;
        queue = MTLDevice_newCommandQueue(queue_device, NULL);
    }
    id commands = queue ? MTLCommandQueue_commandBuffer(queue, NULL) : NULL;
    id blit = commands ? MTLCommandBuffer_blitCommandEncoder(commands, NULL) : NULL;
    if (blit) {
        MTLBlitCommandEncoder_copyFromBuffer_sourceOffset_toBuffer_destinationOffset_size_(
                blit, NULL, (id)buffer, 0, (id)buffer, 0, 1);
        MTLCommandEncoder_endEncoding(blit, NULL);
        MTLCommandBuffer_commit(commands, NULL);
        MTLCommandBuffer_waitUntilCompleted(commands, NULL);
    }
    if (!blit || MTLCommandBuffer_status(commands, NULL) != MTLCommandBufferStatusCompleted)
        abx_metal_say("-[MTLBuffer contents]: what the device wrote is not there: the command "
                      "buffer that brings it %s",
                blit ? "failed" : "could not be made");
    objc_autoreleasePoolPop(pool);
}

static void see(struct abx_metal_buffer *buffer)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    struct abx_client *client = buffer->resource.base.client;
    if (abx_client_forked(client))
        return;
    pthread_mutex_lock(&lock); /* others wait until it is there */
    if (atomic_load(&buffer->unseen) && abx_client_mirror_see(client, buffer->chunk))
        fetch(buffer);
    atomic_store(&buffer->unseen, false);
    pthread_mutex_unlock(&lock);
}

void *MTLBuffer_contents(id self, SEL cmd)
{
    struct abx_metal_buffer *buffer = (struct abx_metal_buffer *)self;
    if (atomic_load_explicit(&buffer->unseen, memory_order_acquire))
        see(buffer);
    return buffer->contents;
}

/* Managed storage is shared storage here: the host sees what was written. */
void MTLBuffer_didModifyRange_(id self, SEL cmd, NSRange range) {}

uint64_t MTLBuffer_gpuAddress(id self, SEL cmd)
{
    struct abx_metal_buffer *buffer = (struct abx_metal_buffer *)self;
    if (buffer->wrap)
        abx_metal_wrap_expose(buffer);
    struct abx_client *client = buffer->resource.base.client;
    const struct abx_message_welcome *welcome = abx_client_welcome(client);
    if (welcome->mirror_align && buffer->chunk && !abx_client_forked(client))
        abx_client_mirror_expose(client, buffer->chunk);
    if (!welcome->asks_addresses)
        return welcome->window + buffer->address;
    uint64_t address = atomic_load_explicit(&buffer->device_address, memory_order_relaxed);
    if (!address && abx_client_address(client, buffer->resource.handle, &address) == 0)
        atomic_store_explicit(&buffer->device_address, address, memory_order_relaxed);
    return address;
}

void MTLBuffer_addDebugMarker_range_(id self, SEL cmd, id marker, NSRange range) {}

void MTLBuffer_removeAllDebugMarkers(id self, SEL cmd) {}

/* ---- MTLResource */

static struct abx_metal_resource *resource(id self)
{
    return (struct abx_metal_resource *)self;
}

NSUInteger MTLResource_cpuCacheMode(id self, SEL cmd)
{
    return resource(self)->options & 0xf;
}

NSUInteger MTLResource_storageMode(id self, SEL cmd)
{
    return abx_metal_storage(resource(self)->options);
}

/* Default means tracked, except in a heap. */
NSUInteger MTLResource_hazardTrackingMode(id self, SEL cmd)
{
    NSUInteger mode = resource(self)->options >> 8 & 3;
    return mode ? mode : resource(self)->heap ? 1 : 2;
}

NSUInteger MTLResource_resourceOptions(id self, SEL cmd)
{
    return resource(self)->options;
}

NSUInteger MTLResource_setPurgeableState_(id self, SEL cmd, NSUInteger state)
{
    NSUInteger before = resource(self)->purgeable;
    if (state >= 2 && state <= 4)
        resource(self)->purgeable = (uint32_t)state;
    return before; /* nothing is ever purged */
}

id MTLResource_heap(id self, SEL cmd)
{
    return resource(self)->heap;
}

NSUInteger MTLResource_heapOffset(id self, SEL cmd)
{
    return resource(self)->heap_offset;
}

NSUInteger MTLResource_allocatedSize(id self, SEL cmd)
{
    struct abx_metal_resource *r = resource(self);
    if (r->heap || !r->memory.bytes)
        return ((struct abx_metal_buffer *)self)->length;
    return r->memory.bytes;
}

abx_objc_bool MTLResource_isAliasable(id self, SEL cmd)
{
    return resource(self)->aliasable;
}

void MTLResource_makeAliasable(id self, SEL cmd)
{
    struct abx_metal_resource *r = resource(self);
    if (!r->heap || r->aliasable)
        return;
    r->aliasable = true;
    abx_metal_heap_give(r->heap, r->heap_offset);
}
