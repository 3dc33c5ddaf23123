/* wire, guest side: arenas, the memory command buffers are recorded in. Runs in the guest's
 * process.
 *
 * Blocks come in five sizes from chunks of their own, and are kept for ever. The smallest ones, all
 * that most command buffers need, are cached by thread. */
#include <stdlib.h>
#include <string.h>

#include "wire/client_internal.h"

#define CLASSES 5u
#define CLASS_BYTES(c) (4096u << (2 * (c))) /* 4 K, 16 K, 64 K, 256 K, 1 M */
#define ARENA_CHUNK_BYTES (2u << 20)
#define CACHED 16u /* smallest blocks a thread keeps */

struct abx_arena_block {
    struct abx_arena_block *next;
    uint8_t *pointer;
    uint64_t offset;
    uint32_t chunk, class, used;
};

struct abx_client_arenas {
    pthread_mutex_t lock;
    struct abx_arena_block *free[CLASSES];
    struct abx_memory chunk; /* being cut up */
    uint64_t cut;
};

struct cache {
    struct abx_client *client;
    struct abx_arena_block *first;
    uint32_t count;
};
static __thread struct cache cache __attribute__((tls_model("initial-exec")));
static pthread_key_t cache_key;
static pthread_once_t cache_once = PTHREAD_ONCE_INIT;

int abx_client_arenas_create(struct abx_client *client)
{
    client->arenas = calloc(1, sizeof *client->arenas);
    if (!client->arenas)
        return -ENOMEM;
    pthread_mutex_init(&client->arenas->lock, NULL);
    return 0;
}

/* ---- the thread's cache */

static void cache_flush(void *unused)
{
    struct abx_client *client = cache.client;
    if (client && !abx_client_forked(client)) {
        struct abx_client_arenas *a = client->arenas;
        pthread_mutex_lock(&a->lock);
        while (cache.first) {
            struct abx_arena_block *block = cache.first;
            cache.first = block->next;
            block->next = a->free[0];
            a->free[0] = block;
        }
        pthread_mutex_unlock(&a->lock);
    }
    cache = (struct cache){0};
}

static void cache_init(void)
{
    pthread_key_create(&cache_key, cache_flush);
}

static void cache_own(struct abx_client *client)
{
    if (cache.client == client)
        return;
    cache_flush(NULL);
    pthread_once(&cache_once, cache_init);
    pthread_setspecific(cache_key, &cache);
    cache.client = client;
}

/* ---- blocks */

/* Lock held. */
static struct abx_arena_block *block_cut(struct abx_client *client, uint32_t class, int *ret_error)
{
    struct abx_client_arenas *a = client->arenas;
    uint32_t bytes = CLASS_BYTES(class);
    if (!a->chunk.owner || a->cut + bytes > a->chunk.bytes) {
        /* What is left of the old chunk is lost; at most the size of this block. */
        struct abx_memory chunk;
        int r = abx_client_chunk_plain(client, ARENA_CHUNK_BYTES, &chunk);
        if (r < 0) {
            *ret_error = r;
            return NULL;
        }
        a->chunk = chunk;
        a->cut = 0;
    }
    struct abx_arena_block *block = calloc(1, sizeof *block);
    if (!block) {
        *ret_error = -ENOMEM;
        return NULL;
    }
    *block = (struct abx_arena_block){.pointer = a->chunk.pointer + a->cut,
            .offset = a->chunk.offset + a->cut,
            .chunk = a->chunk.chunk,
            .class = class};
    a->cut += bytes;
    return block;
}

static struct abx_arena_block *block_take(struct abx_client *client, uint32_t class, int *ret_error)
{
    struct abx_arena_block *block;
    if (class == 0) {
        cache_own(client);
        block = cache.first;
        if (block) {
            cache.first = block->next;
            cache.count--;
            return block;
        }
    }
    struct abx_client_arenas *a = client->arenas;
    pthread_mutex_lock(&a->lock);
    block = a->free[class];
    if (block)
        a->free[class] = block->next;
    else
        block = block_cut(client, class, ret_error);
    for (uint32_t i = 0; class == 0 && block && a->free[0] && i < CACHED / 2; i++) {
        struct abx_arena_block *more = a->free[0];
        a->free[0] = more->next;
        more->next = cache.first;
        cache.first = more;
        cache.count++;
    }
    pthread_mutex_unlock(&a->lock);
    return block;
}

static void block_give(struct abx_client *client, struct abx_arena_block *block)
{
    if (block->class == 0) {
        cache_own(client);
        if (cache.count < CACHED) {
            block->next = cache.first;
            cache.first = block;
            cache.count++;
            return;
        }
    }
    struct abx_client_arenas *a = client->arenas;
    pthread_mutex_lock(&a->lock);
    block->next = a->free[block->class];
    a->free[block->class] = block;
    pthread_mutex_unlock(&a->lock);
}

/* ---- arenas */

static void close_block(struct abx_arena *arena)
{
    struct abx_arena_block *block = arena->blocks;
    if (!block || !arena->encoder.at)
        return;
    block->used = (uint32_t)(arena->encoder.at - block->pointer);
    arena->closed_bytes += block->used;
    arena->encoder.at = arena->encoder.end = NULL;
}

static int arena_grow(struct abx_encoder *encoder, size_t bytes)
{
    struct abx_arena *arena = (struct abx_arena *)encoder; /* its first member */
    close_block(arena);
    if (arena->error)
        return arena->error;
    uint32_t class = arena->block_count < CLASSES ? arena->block_count : CLASSES - 1;
    while (CLASS_BYTES(class) < bytes)
        class ++;
    if (arena->block_count == ABX_MAX_SEGMENTS ||
            arena->closed_bytes + CLASS_BYTES(class) > ABX_MAX_SUBMIT_BYTES)
        return arena->error = -E2BIG;
    if (abx_client_known_lost(arena->client))
        return arena->error = -ENODEV;
    struct abx_arena_block *block = block_take(arena->client, class, &arena->error);
    if (!block)
        return arena->error;
    block->used = 0;
    block->next = arena->blocks;
    arena->blocks = block;
    arena->block_count++;
    encoder->at = block->pointer;
    encoder->end = block->pointer + CLASS_BYTES(class);
    return 0;
}

void abx_arena_init(struct abx_arena *arena, struct abx_client *client)
{
    *arena = (struct abx_arena){.encoder.grow = arena_grow, .client = client};
}

int abx_arena_segments(struct abx_arena *arena, struct abx_wire_segment segments[ABX_MAX_SEGMENTS])
{
    close_block(arena);
    if (arena->error)
        return arena->error;
    if (arena->encoder.failed)
        return -E2BIG;
    uint32_t at = arena->block_count;
    for (struct abx_arena_block *block = arena->blocks; block; block = block->next)
        segments[--at] = (struct abx_wire_segment){
                .chunk = block->chunk, .bytes = block->used, .offset = block->offset};
    return (int)arena->block_count;
}

void abx_arena_finish(struct abx_arena *arena)
{
    struct abx_arena_block *block = arena->blocks;
    if (!abx_client_forked(arena->client))
        while (block) {
            struct abx_arena_block *next = block->next;
            block_give(arena->client, block);
            block = next;
        }
    *arena = (struct abx_arena){.client = arena->client, .error = -EINVAL};
}
