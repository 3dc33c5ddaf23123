/* metal: MTLHeap: one piece of shared memory, cut into buffers. Runs in the guest's process.
 *
 * A private heap lies in shared memory too (its buffers have no contents pointer): buffers may
 * overlap there as Metal allows, which private buffers of the wire do not. */
#include <stdlib.h>
#include <string.h>

#include "metal/metal_internal.h"

#define HEAP_ALIGN 256u

static struct abx_metal_heap *heap_of(id self)
{
    return (struct abx_metal_heap *)self;
}

MTLSizeAndAlign MTLDevice_heapBufferSizeAndAlignWithLength_options_(
        id self, SEL cmd, NSUInteger length, MTLResourceOptions options)
{
    return (MTLSizeAndAlign){abx_align_up(length, HEAP_ALIGN), HEAP_ALIGN};
}

id MTLDevice_newHeapWithDescriptor_(id self, SEL cmd, id object)
{
    struct abx_client *client = ((struct abx_metal_object *)self)->client;
    struct MTLHeapDescriptor *descriptor = (struct MTLHeapDescriptor *)object;
    const char *wrong = NULL;
    if (!descriptor || !descriptor->size)
        wrong = "a size of 0";
    else if (descriptor->type > 1)
        wrong = "sparse heaps are not supported";
    else if (abx_metal_storage(descriptor->resourceOptions) > MTLStorageModePrivate)
        wrong = "the storage mode cannot be memoryless";
    if (wrong) {
        abx_metal_say("-[MTLDevice newHeapWithDescriptor:]: %s", wrong);
        return NULL;
    }
    struct abx_metal_heap *heap = abx_metal_new(ABX_METAL_HEAP, self);
    if (!heap)
        return NULL;
    pthread_mutex_init(&heap->lock, NULL);
    heap->size = abx_align_up(descriptor->size, HEAP_ALIGN);
    heap->options = descriptor->resourceOptions;
    heap->type = descriptor->type;
    heap->purgeable = 2;
    if (abx_metal_alloc(client, false, heap->size, &heap->memory) < 0) {
        objc_release((id)heap);
        return NULL;
    }
    return (id)heap;
}

void MTLHeap_dealloc(id self, SEL cmd)
{
    struct abx_metal_heap *heap = heap_of(self);
    if (heap->memory.owner)
        abx_client_free(heap->base.client, &heap->memory);
    free(heap->taken);
    pthread_mutex_destroy(&heap->lock);
    abx_metal_dealloc(self, ABX_METAL_HEAP);
}

/* ---- the allocator of automatic heaps: sorted ranges, first fit */

static bool reserve(struct abx_metal_heap *heap)
{
    return abx_grow((void **)&heap->taken, &heap->taken_capacity, heap->taken_count,
            sizeof *heap->taken, UINT32_MAX);
}

static void insert(struct abx_metal_heap *heap, uint32_t at, uint64_t offset, uint64_t bytes)
{
    memmove(&heap->taken[at + 1], &heap->taken[at], (heap->taken_count - at) * sizeof *heap->taken);
    heap->taken[at] = (struct abx_metal_range){offset, bytes};
    heap->taken_count++;
    heap->used += bytes;
}

/* The gap before range `at` (or before the heap's end), from its first aligned byte on. */
static uint64_t gap(
        const struct abx_metal_heap *heap, uint32_t at, uint64_t align, uint64_t *ret_offset)
{
    uint64_t start = at ? heap->taken[at - 1].offset + heap->taken[at - 1].bytes : 0;
    uint64_t end = at < heap->taken_count ? heap->taken[at].offset : heap->size;
    start = abx_align_up(start, align);
    *ret_offset = start;
    return end > start ? end - start : 0;
}

static bool take(struct abx_metal_heap *heap, uint64_t bytes, uint64_t *ret_offset)
{
    for (uint32_t at = 0; at <= heap->taken_count; at++)
        if (gap(heap, at, HEAP_ALIGN, ret_offset) >= bytes) {
            if (!reserve(heap))
                return false;
            insert(heap, at, *ret_offset, bytes);
            return true;
        }
    return false;
}

void abx_metal_heap_give(id self, uint64_t offset)
{
    struct abx_metal_heap *heap = heap_of(self);
    if (abx_client_forked(heap->base.client))
        return;
    pthread_mutex_lock(&heap->lock);
    for (uint32_t i = 0; i < heap->taken_count; i++)
        if (heap->taken[i].offset == offset) {
            heap->used -= heap->taken[i].bytes;
            heap->taken_count--;
            memmove(&heap->taken[i], &heap->taken[i + 1],
                    (heap->taken_count - i) * sizeof *heap->taken);
            break;
        }
    pthread_mutex_unlock(&heap->lock);
}

static id buffer_at(
        struct abx_metal_heap *heap, uint64_t offset, NSUInteger length, NSUInteger options)
{
    struct abx_metal_buffer *buffer =
            abx_metal_buffer_in(heap->base.device, &heap->memory, offset, length, heap->options);
    if (!buffer)
        return NULL;
    buffer->resource.heap = objc_retain((id)heap);
    buffer->resource.heap_offset = offset;
    return (id)buffer;
}

static bool options_ok(struct abx_metal_heap *heap, NSUInteger options, const char *what)
{
    if (abx_metal_storage(options) == abx_metal_storage(heap->options))
        return true;
    abx_metal_say("-[MTLHeap %s]: the storage mode is not the heap's", what);
    return false;
}

id MTLHeap_newBufferWithLength_options_(
        id self, SEL cmd, NSUInteger length, MTLResourceOptions options)
{
    static const char what[] = "newBufferWithLength:options:";
    struct abx_metal_heap *heap = heap_of(self);
    if (!options_ok(heap, options, what))
        return NULL;
    if (!length || heap->type == 1 || length > heap->size) {
        if (heap->type == 1)
            abx_metal_say("-[MTLHeap %s]: a placement heap wants an offset", what);
        return NULL;
    }
    uint64_t offset;
    pthread_mutex_lock(&heap->lock);
    bool fits = take(heap, abx_align_up(length, HEAP_ALIGN), &offset);
    pthread_mutex_unlock(&heap->lock);
    if (!fits)
        return NULL;
    /* What lay here before may have been another buffer's. */
    memset(heap->memory.pointer + offset, 0, length);
    id buffer = buffer_at(heap, offset, length, options);
    if (!buffer)
        abx_metal_heap_give(self, offset);
    return buffer;
}

id MTLHeap_newBufferWithLength_options_offset_(
        id self, SEL cmd, NSUInteger length, MTLResourceOptions options, NSUInteger offset)
{
    static const char what[] = "newBufferWithLength:options:offset:";
    struct abx_metal_heap *heap = heap_of(self);
    if (!options_ok(heap, options, what))
        return NULL;
    if (heap->type != 1 || !length || offset % HEAP_ALIGN ||
            !abx_range_ok(offset, length, heap->size)) {
        abx_metal_say("-[MTLHeap %s]: offset %lu and length %lu: %s", what, (unsigned long)offset,
                (unsigned long)length,
                heap->type != 1 ? "not a placement heap"
                                : "a multiple of 256, inside the heap, is possible");
        return NULL;
    }
    id buffer = buffer_at(heap, offset, length, options);
    if (buffer) { /* several may lie at one offset: each counts, as in Metal */
        pthread_mutex_lock(&heap->lock);
        if (reserve(heap))
            insert(heap, heap->taken_count, offset, abx_align_up(length, HEAP_ALIGN));
        pthread_mutex_unlock(&heap->lock);
    }
    return buffer;
}

/* ---- properties */

NSUInteger MTLHeap_maxAvailableSizeWithAlignment_(id self, SEL cmd, NSUInteger alignment)
{
    struct abx_metal_heap *heap = heap_of(self);
    if (!alignment || (alignment & (alignment - 1)))
        alignment = HEAP_ALIGN;
    if (alignment < HEAP_ALIGN)
        alignment = HEAP_ALIGN;
    uint64_t best = 0, offset;
    pthread_mutex_lock(&heap->lock);
    for (uint32_t at = 0; heap->type == 0 && at <= heap->taken_count; at++) {
        uint64_t bytes = gap(heap, at, alignment, &offset);
        best = bytes > best ? bytes : best;
    }
    pthread_mutex_unlock(&heap->lock);
    return best;
}

NSUInteger MTLHeap_size(id self, SEL cmd)
{
    return heap_of(self)->size;
}

NSUInteger MTLHeap_usedSize(id self, SEL cmd)
{
    return heap_of(self)->used;
}

NSUInteger MTLHeap_currentAllocatedSize(id self, SEL cmd)
{
    return heap_of(self)->memory.bytes;
}

/* Resources have their own. */
NSUInteger MTLAllocation_allocatedSize(id self, SEL cmd)
{
    return heap_of(self)->memory.bytes;
}

MTLHeapType MTLHeap_type(id self, SEL cmd)
{
    return heap_of(self)->type;
}

MTLStorageMode MTLHeap_storageMode(id self, SEL cmd)
{
    return abx_metal_storage(heap_of(self)->options);
}

MTLCPUCacheMode MTLHeap_cpuCacheMode(id self, SEL cmd)
{
    return heap_of(self)->options & 0xf;
}

MTLHazardTrackingMode MTLHeap_hazardTrackingMode(id self, SEL cmd)
{
    NSUInteger mode = heap_of(self)->options >> 8 & 3;
    return mode ? mode : 1;
}

MTLResourceOptions MTLHeap_resourceOptions(id self, SEL cmd)
{
    return heap_of(self)->options;
}

MTLPurgeableState MTLHeap_setPurgeableState_(id self, SEL cmd, MTLPurgeableState state)
{
    NSUInteger before = heap_of(self)->purgeable;
    if (state >= 2 && state <= 4)
        heap_of(self)->purgeable = (uint32_t)state;
    return before;
}
