/* torch: memory in buckets. Sizes are rounded to a quarter of a power of two; what is freed is kept
 * for the next of its bucket. A block has a buffer of its own, which abx_torch_empty_cache() gives
 * back; on a GPU with memory of its own, where buffers are whole pages, small blocks are parts of
 * segments, which stay.
 *
 * A freed block may still be in use by launched work. That is harmless: what takes it next is
 * launched later, and the processor asks abx_torch_is_idle() before it writes. On a GPU with memory
 * of its own blocks are there, and the processor's bytes go through a ring (staging.c). */
#include "internal.h"

#include <stdlib.h>

#define SMALLEST 256
#define SMALL_MOST (1u << 20)
#define SEGMENT (16u << 20)
#define BUCKETS 256

static struct abx_torch_block *free_blocks[BUCKETS];
static struct {
    id buffer;
    char *address;
    size_t used;
} segment;

/* Four buckets for each doubling; *ret_size becomes the bucket's. */
static unsigned bucket_of(size_t size, size_t *ret_size)
{
    size_t power = SMALLEST;
    unsigned bucket = 0;
    while (power * 2 < size) {
        power *= 2;
        bucket += 4;
    }
    size_t step = power / 4, over = size > power ? (size - power + step - 1) / step : 0;
    *ret_size = power + over * step;
    return bucket + (unsigned)over;
}

id allocator_new_buffer(size_t size, bool is_private)
{
    id buffer = metal_new_buffer(core.device, size, is_private);
    if (buffer)
        core.counts.held += size;
    return buffer;
}

static bool is_in_segment(const struct abx_torch_block *b)
{
    return !core.shares_memory && b->size <= SMALL_MOST;
}

static bool place_in_segment(struct abx_torch_block *b)
{
    if (!segment.buffer || SEGMENT - segment.used < b->size) {
        segment.buffer = allocator_new_buffer(SEGMENT, true); /* the last one's rest is lost */
        if (!segment.buffer)
            return false;
        segment.address = (char *)(uintptr_t)metal_buffer_address(segment.buffer);
        segment.used = 0;
    }
    b->buffer = segment.buffer;
    b->offset = segment.used;
    b->place = segment.address + segment.used;
    segment.used += b->size;
    return true;
}

static bool place(struct abx_torch_block *b)
{
    if (is_in_segment(b))
        return place_in_segment(b);
    b->buffer = allocator_new_buffer(b->size, !core.shares_memory);
    if (!b->buffer)
        return false;
    if (core.shares_memory) {
        b->place = b->buffer;
        b->data = metal_buffer_contents(b->buffer);
    } else {
        b->place = (void *)(uintptr_t)metal_buffer_address(b->buffer);
    }
    return true;
}

struct abx_torch_block *allocator_take(size_t size)
{
    size_t rounded = 0;
    if (size > SIZE_MAX / 4)
        return NULL;
    unsigned bucket = size ? bucket_of(size, &rounded) : BUCKETS - 1;
    struct abx_torch_block *b = bucket < BUCKETS ? free_blocks[bucket] : NULL;
    if (b) {
        free_blocks[bucket] = b->next;
    } else {
        b = calloc(1, sizeof *b);
        if (!b)
            return NULL;
        b->size = rounded;
        b->bucket = bucket;
        if (size && !place(b)) {
            free(b);
            return NULL;
        }
    }
    core.counts.allocated += b->size;
    return b;
}

void allocator_return(struct abx_torch_block *block)
{
    core.counts.allocated -= block->size;
    block->next = free_blocks[block->bucket];
    free_blocks[block->bucket] = block;
}

/* All launched work has ended. */
static void release_buffers(void)
{
    for (unsigned i = 0; i < BUCKETS; i++) {
        struct abx_torch_block **at = &free_blocks[i];
        while (*at) {
            struct abx_torch_block *b = *at;
            if (!b->size || is_in_segment(b)) {
                at = &b->next;
                continue;
            }
            *at = b->next;
            metal_release(b->buffer);
            core.counts.held -= b->size;
            free(b);
        }
    }
}

static void empty(void)
{
    batch_wait(UINT64_MAX);
    release_buffers();
}

struct abx_torch_block *abx_torch_allocate(size_t size)
{
    core_lock();
    struct abx_torch_block *b = allocator_take(size);
    if (!b) {
        empty();
        b = allocator_take(size);
    }
    core_unlock();
    return b;
}

void abx_torch_free(struct abx_torch_block *block)
{
    core_lock();
    allocator_return(block);
    core_unlock();
}

void abx_torch_empty_cache(void)
{
    core_lock();
    empty();
    core_unlock();
}
