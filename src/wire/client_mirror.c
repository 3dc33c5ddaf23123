/* wire, guest side: mirrors: memory that command buffers use again and again the device may take
 * into its own. What the program writes there is told before each. Runs in the guest's process. */
#include <stdlib.h>
#include <string.h>

#include "wire/client_chunk.h"

/* A chunk is mirrored once command buffers that use it have taken as long as that takes: making
 * one, and the pages' way over the bus (an H200's is 20 ms a GiB) and being registered again (50).
 * What a mirror costs a command buffer, two steps of some microseconds, is not to be felt: short
 * ones do not count. */
#define SHORT_NS 100000u
#define MIRROR_NS(bytes) (100000u + (bytes) / 15)
/* Told of one chunk at a time; of more, in one piece what lies between them. */
#define MOST_TOLD 16u

/* Lock held. False: nothing can be watched, or nothing is mirrored. */
static bool watch_open(struct abx_client *client)
{
    struct abx_client_memory *m = client->memory;
    if (m->watching)
        return m->watching > 0;
    const char *wanted = getenv("ARCBOX_MIRRORS");
    m->mirrors_all = wanted && strcmp(wanted, "always") == 0;
    bool may = client->welcome.mirror_align && !(wanted && strcmp(wanted, "never") == 0);
    m->watching = may && abx_watch_open(&m->watch) == 0 ? 1 : -1;
    return m->watching > 0;
}

bool abx_client_mirrors(struct abx_client *client)
{
    struct abx_client_memory *m = client->memory;
    if (abx_client_forked(client))
        return false;
    pthread_mutex_lock(&m->lock);
    bool mirrors = watch_open(client);
    pthread_mutex_unlock(&m->lock);
    return mirrors;
}

struct telling {
    struct abx_client *client;
    uint32_t chunk, count;
    uint64_t begin, end; /* not told yet; end 0: nothing */
};

static void tell(struct telling *t)
{
    struct abx_rec_chunk_written record = {.head = {ABX_OP_CHUNK_WRITTEN, 0, sizeof record},
            .chunk = t->chunk,
            .offset = t->begin,
            .length = t->end - t->begin};
    if (t->end)
        abx_client_push(t->client, &record, 0);
    t->end = 0;
    t->count++;
}

static void is_written(void *user, uint64_t offset, uint64_t length)
{
    struct telling *t = user;
    if (t->end && offset != t->end && t->count < MOST_TOLD - 1)
        tell(t);
    if (!t->end)
        t->begin = offset;
    t->end = offset + length;
}

/* Lock held. */
static void tell_written(struct abx_client *client, struct abx_chunk *chunk)
{
    struct telling t = {.client = client, .chunk = chunk->id};
    abx_watch_ask(
            &client->memory->watch, &chunk->watched, chunk->pointer, chunk->bytes, is_written, &t);
    tell(&t);
}

/* Lock held. */
static void use_chunk(struct abx_client *client, struct abx_chunk *chunk)
{
    struct abx_client_memory *m = client->memory;
    if (chunk->used_by == m->commits || chunk->unmirrored)
        return;
    chunk->used_by = m->commits;
    if (chunk->watched.on)
        tell_written(client, chunk);
    if (chunk->mirrored || (chunk->spent_ns < MIRROR_NS(chunk->bytes) && !m->mirrors_all))
        return;
    chunk->mirrored = !chunk->adopted && chunk->pointer &&
                      (chunk->unseen || abx_watch_begin(&m->watch, &chunk->watched, chunk->pointer,
                                                chunk->bytes) == 0);
    chunk->unmirrored = !chunk->mirrored;
    struct abx_rec_chunk_mirror record = {.head = {ABX_OP_CHUNK_MIRROR, 0, sizeof record},
            .chunk = chunk->id,
            .unseen = chunk->unseen};
    if (chunk->mirrored)
        abx_client_push(client, &record, 0);
}

/* Lock held. */
static struct abx_chunk *chunk_of(struct abx_client_memory *m, uint32_t id)
{
    if (id >= m->by_id_capacity) {
        struct abx_chunk **table = calloc(ABX_MAX_CHUNKS, sizeof *table);
        if (!table)
            return NULL;
        for (struct abx_chunk *chunk = m->chunks; chunk; chunk = chunk->next)
            table[chunk->id] = chunk;
        m->by_id = table;
        m->by_id_capacity = ABX_MAX_CHUNKS;
    }
    return m->by_id[id];
}

void abx_client_mirror_use(
        struct abx_client *client, const uint32_t *chunks, uint32_t count, bool all)
{
    struct abx_client_memory *m = client->memory;
    pthread_mutex_lock(&m->lock);
    m->commits++;
    for (uint32_t i = 0; i < count; i++) {
        struct abx_chunk *chunk = chunks[i] ? chunk_of(m, chunks[i]) : NULL;
        if (chunk)
            use_chunk(client, chunk);
    }
    struct abx_chunk *chunk = all || m->exposed ? m->chunks : NULL;
    for (; chunk; chunk = chunk->next)
        if (chunk->watched.on && (all || chunk->exposed))
            use_chunk(client, chunk);
    pthread_mutex_unlock(&m->lock);
}

void abx_client_mirror_spent(
        struct abx_client *client, const uint32_t *chunks, uint32_t count, uint64_t nanoseconds)
{
    struct abx_client_memory *m = client->memory;
    if (nanoseconds <= SHORT_NS)
        return;
    pthread_mutex_lock(&m->lock);
    m->ends++;
    for (uint32_t i = 0; i < count; i++) {
        struct abx_chunk *chunk = chunk_of(m, chunks[i]);
        if (!chunk || chunk->counted_by == m->ends)
            continue;
        chunk->counted_by = m->ends;
        chunk->spent_ns += nanoseconds - SHORT_NS;
    }
    pthread_mutex_unlock(&m->lock);
}

void abx_client_mirror_unseen(struct abx_client *client, const struct abx_memory *memory)
{
    struct abx_client_memory *m = client->memory;
    pthread_mutex_lock(&m->lock);
    memory->owner->unseen = true;
    pthread_mutex_unlock(&m->lock);
}

bool abx_client_mirror_see(struct abx_client *client, uint32_t id)
{
    struct abx_client_memory *m = client->memory;
    pthread_mutex_lock(&m->lock);
    struct abx_chunk *chunk = id ? chunk_of(m, id) : NULL;
    bool is_new = chunk && chunk->mirrored && chunk->unseen;
    if (chunk)
        chunk->unseen = false;
    /* What cannot be watched counts as written each time. */
    if (is_new && abx_watch_begin(&m->watch, &chunk->watched, chunk->pointer, chunk->bytes) < 0)
        chunk->watched = (struct abx_watched){.on = true, .rest = UINT32_MAX};
    struct abx_rec_chunk_seen record = {.head = {ABX_OP_CHUNK_SEEN, 0, sizeof record}, .chunk = id};
    if (is_new)
        abx_client_push(client, &record, 0);
    pthread_mutex_unlock(&m->lock);
    return is_new;
}

void abx_client_mirror_expose(struct abx_client *client, uint32_t id)
{
    struct abx_client_memory *m = client->memory;
    pthread_mutex_lock(&m->lock);
    struct abx_chunk *chunk = id ? chunk_of(m, id) : NULL;
    struct abx_rec_chunk_exposed record = {
            .head = {ABX_OP_CHUNK_EXPOSED, 0, sizeof record}, .chunk = id};
    if (chunk && !chunk->mirrored) {
        chunk->unmirrored = true;
    } else if (chunk && !chunk->exposed) {
        chunk->exposed = true;
        m->exposed++;
        abx_client_push(client, &record, 0);
    }
    pthread_mutex_unlock(&m->lock);
}

void abx_client_mirror_tell(struct abx_client *client)
{
    struct abx_client_memory *m = client->memory;
    bool some = false;
    pthread_mutex_lock(&m->lock);
    for (struct abx_chunk *chunk = m->chunks; chunk; chunk = chunk->next)
        if (chunk->watched.on) {
            tell_written(client, chunk);
            some = true;
        }
    pthread_mutex_unlock(&m->lock);
    pthread_mutex_lock(&client->ring_lock);
    uint64_t position = client->ring_tail;
    pthread_mutex_unlock(&client->ring_lock);
    if (some)
        abx_client_ring_doorbell(client);
    while (some && !abx_client_ring_passed(client, position) && !abx_client_lost(client)) {
        uint64_t head = atomic_load(&client->host->ring_head);
        if (!abx_client_ring_passed(client, position))
            abx_client_sleep(client, &client->host->ring_head, head, 1000000);
    }
}
