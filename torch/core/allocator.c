/* torch: memory in buckets. Sizes are rounded to a quarter of a power of two; what is freed is kept
 * for the next of its bucket. Small blocks are parts of segments, large ones have a buffer of their
 * own, which abx_torch_empty_cache() gives back.
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
    char *data;
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

id allocator_new_buffer(size_t size, bool is_private, char **ret_data)
{
    id buffer = metal_new_buffer(core.device, size, is_private);
    if (!buffer)
        return NULL;
    core.counts.held += size;
    *ret_data = is_private ? (char *)(uintptr_t)metal_buffer_address(buffer)
                           : metal_buffer_contents(buffer);
    return buffer;
}

static bool place_small(struct abx_torch_block *b)
{
    if (!segment.buffer || SEGMENT - segment.used < b->size) {
        id buffer = allocator_new_buffer(SEGMENT, !core.shares_memory, &segment.data);
        segment.buffer = buffer; /* the last one's rest is lost: at most a small block */
        if (!buffer)
            return false;
        segment.used = 0;
    }
    b->buffer = segment.buffer;
    b->offset = segment.used;
    b->data = segment.data + segment.used;
    segment.used += b->size;
    return true;
}

static bool place_large(struct abx_torch_block *b)
{
    b->buffer = allocator_new_buffer(b->size, !core.shares_memory, &b->data);
    return b->buffer;
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
        if (size && !(rounded <= SMALL_MOST ? place_small(b) : place_large(b))) {
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
static void release_large(void)
{
    for (unsigned i = 0; i < BUCKETS; i++) {
        struct abx_torch_block **at = &free_blocks[i];
        while (*at) {
            struct abx_torch_block *b = *at;
            if (b->size <= SMALL_MOST) {
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
    release_large();
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
