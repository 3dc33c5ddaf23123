/* wire, guest side: the memory both sides map. Runs in the guest's process.
 *
 * Large allocations own a chunk (one memory file); small ones are runs of 256-byte blocks in shared
 * chunks. Addresses and ids of freed chunks are used again only after the host has consumed the
 * record that frees them: a new chunk's message may overtake the ring. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "wire/client_chunk.h"

/* Larger ones own a chunk: making one, and registering it with a device, costs as much as copying
 * so much. Those of pages begin with one. */
#define SMALL_BYTES (1u << 20)
#define PAGED_BLOCKS 256u /* so many blocks, 64 KiB, are pages */
#define PAGE_BLOCKS (4096u / BLOCK_BYTES)
#define GAP_BYTES 4096u /* behind memory that owns a chunk */
/* Blocks behind an allocation of `count` that nobody has, a quarter of it at most: the last
 * threadgroup of a grid that was rounded up reads zeros there, and writes to nobody's memory. */
#define GAP_BLOCKS(count) ((count) < 4 ? 1u : (count) / 4 < PAGE_BLOCKS ? (count) / 4 : PAGE_BLOCKS)
/* Caller's memory with less than this in whole pages is copied instead: cheaper than two changes of
 * the address space, and nothing else that lies in its pages can be touched. */
#define ADOPT_BYTES (1u << 20)
#define ADDRESS_UNIT                                                                               \
    (64ull << 10) /* the largest page of our hosts; also the gap between chunks                    \
                   */

int abx_client_memory_create(struct abx_client *client)
{
    client->memory = calloc(1, sizeof *client->memory);
    if (!client->memory)
        return -ENOMEM;
    pthread_mutex_init(&client->memory->lock, NULL);
    client->memory->fresh_id = 1;
    return 0;
}

/* ---- addresses and ids */

/* Shared memory that may be mirrored has pieces of the window for itself. */
static uint64_t address_unit(const struct abx_client *client, bool private)
{
    uint64_t mirrors = private ? 0 : client->welcome.mirror_align;
    return mirrors > ADDRESS_UNIT ? mirrors : ADDRESS_UNIT;
}

static uint64_t address_span(uint64_t bytes, uint64_t unit)
{
    return abx_align_up(bytes, unit) + unit;
}

/* An address or id that cannot be remembered is never used again; harmless. */
static void address_give(struct abx_client_memory *m, uint64_t address, uint64_t bytes)
{
    uint32_t at = 0;
    while (at < m->range_count && m->ranges[at].address < address)
        at++;
    bool left = at && m->ranges[at - 1].address + m->ranges[at - 1].bytes == address;
    bool right = at < m->range_count && address + bytes == m->ranges[at].address;
    if (left) {
        m->ranges[at - 1].bytes += bytes;
        if (!right)
            return;
        m->ranges[at - 1].bytes += m->ranges[at].bytes;
        m->range_count--;
        memmove(&m->ranges[at], &m->ranges[at + 1], (m->range_count - at) * sizeof *m->ranges);
    } else if (right) {
        m->ranges[at].address = address;
        m->ranges[at].bytes += bytes;
    } else if (abx_grow((void **)&m->ranges, &m->range_capacity, m->range_count, sizeof *m->ranges,
                       UINT32_MAX)) {
        memmove(&m->ranges[at + 1], &m->ranges[at], (m->range_count - at) * sizeof *m->ranges);
        m->ranges[at] = (struct range){address, bytes};
        m->range_count++;
    }
}

/* Of one half of the window. */
static int half_take(struct abx_client_memory *m, uint64_t window_bytes, bool upper, uint64_t unit,
        uint64_t bytes, uint64_t *ret)
{
    uint64_t half = window_bytes / 2, begin = upper ? half : 0, end = begin + half;
    uint64_t *fresh = &m->fresh[upper];
    if (*fresh < begin)
        *fresh = begin;
    if (*fresh == 0)
        *fresh = unit; /* nothing lies at 0 */
    if (*fresh <= end && bytes <= end - *fresh) {
        *ret = *fresh;
        *fresh += bytes;
        return 0;
    }
    for (uint32_t i = 0; i < m->range_count; i++) {
        struct range *r = &m->ranges[i];
        if (r->address < begin || r->address >= end || r->bytes < bytes)
            continue;
        *ret = r->address;
        r->address += bytes;
        r->bytes -= bytes;
        if (!r->bytes)
            memmove(r, r + 1, (--m->range_count - i) * sizeof *r);
        return 0;
    }
    return -ENOMEM;
}

/* In the other half where its own is full: one may be much larger than the other. */
static int address_take(struct abx_client *client, bool private, uint64_t bytes, uint64_t *ret)
{
    struct abx_client_memory *m = client->memory;
    uint64_t window_bytes = client->welcome.window_bytes, unit = address_unit(client, private);
    int r = half_take(m, window_bytes, private, unit, bytes, ret);
    return r < 0 ? half_take(m, window_bytes, !private, unit, bytes, ret) : r;
}

static int id_take(struct abx_client_memory *m, uint32_t *ret)
{
    if (m->id_count)
        *ret = m->ids[--m->id_count];
    else if (m->fresh_id < ABX_MAX_CHUNKS)
        *ret = m->fresh_id++;
    else
        return -ENOMEM;
    return 0;
}

/* Makes addresses and ids of chunks the host has let go of usable again. */
static void collect_rested(struct abx_client *client)
{
    struct abx_client_memory *m = client->memory;
    while (m->resting_first && abx_client_ring_passed(client, m->resting_first->position)) {
        struct abx_chunk *chunk = m->resting_first;
        m->resting_first = chunk->next;
        if (!m->resting_first)
            m->resting_last = NULL;
        address_give(m, chunk->address, chunk->span);
        if (chunk->id && abx_grow((void **)&m->ids, &m->id_capacity, m->id_count, sizeof *m->ids,
                                 UINT32_MAX))
            m->ids[m->id_count++] = chunk->id;
        if (chunk->shared.told && client->transport->ops->unshare)
            client->transport->ops->unshare(client->transport, &chunk->shared);
        free(chunk);
    }
}

/* ---- chunks */

enum chunk_kind {
    CHUNK_SHARED,
    CHUNK_LENT, /* a file's: devices with memory of their own read it into that */
    CHUNK_PRIVATE,
};

/* Where a device has memory of its own that is counted by itself. */
static bool is_on_device(struct abx_client *client, enum chunk_kind kind)
{
    return kind != CHUNK_SHARED && atomic_load(&client->host->device_cap);
}

/* The cap, decided here: what this client holds, and what the host last counted for the tenant. The
 * host may still have to read that something was freed: it is given the time. */
static int check_cap(struct abx_client *client, uint64_t bytes, bool on_device)
{
    struct abx_client_memory *m = client->memory;
    const struct abx_host_page *host = client->host;
    uint64_t cap = atomic_load(on_device ? &host->device_cap : &host->memory_cap);
    uint64_t held = on_device ? m->device_bytes : m->chunk_bytes;
    const _Atomic uint64_t *used = on_device ? &host->device_used : &host->memory_used;
    if (!cap)
        cap = client->welcome.memory_cap;
    if (!cap)
        return 0;
    if (bytes > cap || held > cap - bytes)
        return -ENOMEM;
    if (atomic_load(used) <= cap - bytes)
        return 0;
    pthread_mutex_lock(&client->ring_lock);
    uint64_t position = client->ring_tail;
    pthread_mutex_unlock(&client->ring_lock);
    atomic_fetch_add(&client->encode_trips, 1);
    abx_client_ring_doorbell(client);
    uint64_t start = abx_now_ns();
    while (atomic_load(used) > cap - bytes && abx_now_ns() - start < 1000000000u &&
            !abx_client_lost(client)) {
        uint64_t head = atomic_load(&host->ring_head);
        if (abx_client_ring_passed(client, position))
            break;
        abx_client_sleep(client, &host->ring_head, head, 1000000);
    }
    return atomic_load(used) <= cap - bytes ? 0 : -ENOMEM;
}

/* Address, id and place in the list; lock held. */
static int chunk_new(
        struct abx_client *client, uint64_t bytes, enum chunk_kind kind, struct abx_chunk **ret)
{
    struct abx_client_memory *m = client->memory;
    collect_rested(client);
    bool on_device = is_on_device(client, kind);
    int r = check_cap(client, bytes, on_device);
    if (r < 0)
        return r;
    struct abx_chunk *chunk = calloc(1, sizeof *chunk);
    if (!chunk)
        return -ENOMEM;
    r = kind == CHUNK_PRIVATE ? 0 : id_take(m, &chunk->id);
    if (r == 0) {
        chunk->span = address_span(bytes, address_unit(client, kind != CHUNK_SHARED));
        r = address_take(client, kind != CHUNK_SHARED, chunk->span, &chunk->address);
        if (r < 0 && chunk->id && m->id_count < m->id_capacity)
            m->ids[m->id_count++] = chunk->id;
    }
    if (r < 0) {
        free(chunk);
        return r;
    }
    chunk->bytes = bytes;
    chunk->on_device = on_device;
    chunk->references = 1;
    chunk->next = m->chunks;
    if (m->chunks)
        m->chunks->previous = chunk;
    m->chunks = chunk;
    if (chunk->id < m->by_id_capacity)
        m->by_id[chunk->id] = chunk;
    *(on_device ? &m->device_bytes : &m->chunk_bytes) += bytes;
    *ret = chunk;
    return 0;
}

static void chunk_unlink(struct abx_client_memory *m, struct abx_chunk *chunk)
{
    if (chunk->next)
        chunk->next->previous = chunk->previous;
    if (chunk->previous)
        chunk->previous->next = chunk->next;
    else
        m->chunks = chunk->next;
    if (chunk->id < m->by_id_capacity)
        m->by_id[chunk->id] = NULL;
    m->exposed -= chunk->exposed;
    *(chunk->on_device ? &m->device_bytes : &m->chunk_bytes) -= chunk->bytes;
    chunk->next = chunk->previous = NULL;
}

/* Back to where chunk_new() found it: the host never heard of it. Lock held. */
static void chunk_undo(struct abx_client *client, struct abx_chunk *chunk)
{
    struct abx_client_memory *m = client->memory;
    chunk_unlink(m, chunk);
    address_give(m, chunk->address, chunk->span);
    if (chunk->id &&
            abx_grow((void **)&m->ids, &m->id_capacity, m->id_count, sizeof *m->ids, UINT32_MAX))
        m->ids[m->id_count++] = chunk->id;
    free(chunk->slab);
    free(chunk);
}

static struct abx_message_chunk chunk_message(const struct abx_chunk *chunk)
{
    return (struct abx_message_chunk){.type = ABX_MESSAGE_CHUNK,
            .chunk = chunk->id,
            .bytes = chunk->bytes,
            .address = chunk->address};
}

static void look_at(struct abx_client *client, int error)
{
    if (error == -EPIPE || error == -ECONNRESET || error == -EBADF)
        abx_client_lost(client);
}

static int chunk_map(struct abx_client *client, struct abx_chunk *chunk)
{
    const struct abx_message_chunk message = chunk_message(chunk);
    int r = client->transport->ops->share(client->transport, &message, &chunk->shared);
    look_at(client, r);
    if (r == 0)
        chunk->pointer = chunk->shared.pointer;
    return r;
}

static uint64_t page_bytes(void)
{
    return (uint64_t)sysconf(_SC_PAGESIZE);
}

/* Pages become ordinary memory again, contents kept. */
static void make_ordinary(uint8_t *pages, uint64_t bytes)
{
    void *copy = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (copy == MAP_FAILED)
        return;
    memcpy(copy, pages, bytes);
    if (mremap(copy, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, pages) == MAP_FAILED)
        munmap(copy, bytes);
}

static void unmap_rims(struct abx_chunk *chunk)
{
    for (unsigned i = 0; i < 2; i++)
        if (chunk->shared.rim[i])
            munmap(chunk->shared.rim[i], page_bytes());
}

#define MOST_MAPPINGS 64u /* looked at in one go */

/* Calls `look` for what is mapped in [start, end), until it says that it has seen enough. */
static bool for_mappings(uint64_t start, uint64_t end,
        bool (*look)(const struct abx_mapping *mapping, const void *user), const void *user)
{
    struct abx_mapping list[MOST_MAPPINGS];
    unsigned count = MOST_MAPPINGS;
    while (count == MOST_MAPPINGS && start < end) {
        count = abx_client_mappings(start, end, list, MOST_MAPPINGS);
        for (unsigned i = 0; i < count; i++)
            if (look(&list[i], user))
                return true;
        start = count ? list[count - 1].end : end;
    }
    return false;
}

/* Where the chunk's memory is in the program, and how much of it. */
static uint64_t visible(const struct abx_chunk *chunk, uint64_t *ret_bytes)
{
    *ret_bytes = chunk->adopted ? chunk->shared.whole_bytes : chunk->bytes;
    return (uintptr_t)(chunk->adopted ? chunk->shared.whole : chunk->pointer);
}

/* The same without a copy, from the memory's file: what is written there from now on, the program
 * alone sees. */
static void make_own(const struct abx_chunk *chunk, const struct abx_mapping *m)
{
    if (mmap((void *)(uintptr_t)m->start, m->end - m->start, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_FIXED, chunk->shared.file, (off_t)m->offset) == MAP_FAILED)
        make_ordinary((uint8_t *)(uintptr_t)m->start, m->end - m->start);
}

/* chunk: not in the list any more; those that are have been made since, where it stood. */
struct adopted {
    const struct abx_client_memory *memory;
    const struct abx_chunk *chunk;
};

static bool make_own_ordinary(const struct abx_mapping *mapping, const void *user)
{
    const struct adopted *a = user;
    if (!mapping->shared || mapping->inode != a->chunk->shared.inode)
        return false;
    for (const struct abx_chunk *other = a->memory->chunks; other; other = other->next) {
        uint64_t bytes, first = visible(other, &bytes);
        if (first && mapping->start < first + bytes && first < mapping->end)
            return false;
    }
    if (a->chunk->shared.file >= 0)
        make_own(a->chunk, mapping);
    else
        make_ordinary((uint8_t *)(uintptr_t)mapping->start, mapping->end - mapping->start);
    return false;
}

/* The pages of an adopted chunk become the program's again. It may have let go of its memory before
 * the buffer over it, and others may lie there now: only what still is the chunk's is touched. When
 * that fails they stay shared with the host, which then no longer uses them. */
static void unadopt(const struct abx_client_memory *memory, struct abx_chunk *chunk)
{
    const struct adopted adopted = {memory, chunk};
    uint64_t start = (uintptr_t)chunk->shared.whole;
    if (chunk->lent)
        return; /* they never were another's */
    unmap_rims(chunk);
    for_mappings(start, start + chunk->shared.whole_bytes, make_own_ordinary, &adopted);
    if (chunk->shared.file >= 0)
        close(chunk->shared.file);
}

static bool is_seen(const struct abx_mapping *mapping, const void *unused)
{
    return mapping->shared && mapping->writable;
}

/* Others see what is written there: a file, or another process. */
static bool is_seen_by_others(uint64_t start, uint64_t bytes)
{
    return for_mappings(start, start + bytes, is_seen, NULL);
}

/* Lock held. */
static void chunk_release(struct abx_client *client, struct abx_chunk *chunk)
{
    struct abx_client_memory *m = client->memory;
    chunk_unlink(m, chunk);
    if (chunk->adopted)
        unadopt(m, chunk);
    else if (chunk->pointer)
        munmap(chunk->pointer, chunk->bytes);
    if (chunk->id) {
        struct abx_rec_chunk_free record = {
                .head = {ABX_OP_CHUNK_FREE, 0, sizeof record}, .chunk = chunk->id};
        abx_client_push(client, &record, chunk->bytes >= SLAB_BYTES ? ABX_PUSH_WAKE : 0);
    }
    pthread_mutex_lock(&client->ring_lock);
    chunk->position = client->ring_tail;
    pthread_mutex_unlock(&client->ring_lock);
    free(chunk->slab);
    chunk->slab = NULL;
    if (m->resting_last)
        m->resting_last->next = chunk;
    else
        m->resting_first = chunk;
    m->resting_last = chunk;
}

static void describe(const struct abx_chunk *chunk, uint64_t offset, uint64_t bytes,
        uint32_t blocks, struct abx_memory *ret)
{
    *ret = (struct abx_memory){.pointer = chunk->pointer ? chunk->pointer + offset : NULL,
            .bytes = bytes,
            .address = chunk->address + offset,
            .offset = offset,
            .chunk = chunk->id,
            .blocks = blocks,
            .owner = (struct abx_chunk *)chunk};
}

/* ---- small allocations: runs of blocks */

static bool bit_get(const uint64_t *bits, uint32_t i)
{
    return bits[i / 64] >> (i % 64) & 1;
}

/* First run of `count` free blocks from `from` on; false when there is none. */
static bool slab_find(const struct slab *slab, uint32_t from, uint32_t count, uint32_t *ret)
{
    for (uint32_t i = from, run = 0; i < SLAB_BLOCKS;) {
        if (i % 64 == 0 && slab->used[i / 64] == UINT64_MAX) {
            run = 0;
            i += 64;
            continue;
        }
        /* A run of pages begins where a page does. */
        bool begins = run || count <= PAGED_BLOCKS || i % PAGE_BLOCKS == 0;
        run = bit_get(slab->used, i) || !begins ? 0 : run + 1;
        i++;
        if (run == count) {
            *ret = i - count;
            return true;
        }
    }
    return false;
}

static void slab_use(struct abx_chunk *chunk, uint32_t first, uint32_t count)
{
    struct slab *slab = chunk->slab;
    for (uint32_t i = first; i < first + count; i++) {
        if (bit_get(slab->dirty, i))
            memset(chunk->pointer + (size_t)i * BLOCK_BYTES, 0, BLOCK_BYTES);
        slab->used[i / 64] |= 1ull << (i % 64);
        slab->dirty[i / 64] |= 1ull << (i % 64);
    }
    slab->free_blocks -= count;
    slab->hint = first + count;
}

static int slab_new(struct abx_client *client, struct abx_chunk **ret)
{
    struct slab *slab = calloc(1, sizeof *slab);
    if (!slab)
        return -ENOMEM;
    int r = chunk_new(client, SLAB_BYTES, CHUNK_SHARED, ret);
    if (r < 0) {
        free(slab);
        return r;
    }
    slab->free_blocks = SLAB_BLOCKS;
    (*ret)->slab = slab;
    r = chunk_map(client, *ret);
    if (r < 0)
        chunk_undo(client, *ret);
    return r;
}

static int alloc_small(struct abx_client *client, uint64_t bytes, struct abx_memory *ret)
{
    uint32_t own = (uint32_t)((bytes + BLOCK_BYTES - 1) / BLOCK_BYTES), first = 0;
    uint32_t count = own + GAP_BLOCKS(own);
    struct abx_chunk *chunk = client->memory->chunks;
    for (; chunk; chunk = chunk->next)
        if (chunk->slab && chunk->slab->free_blocks >= count &&
                (slab_find(chunk->slab, chunk->slab->hint, count, &first) ||
                        slab_find(chunk->slab, 0, count, &first)))
            break;
    if (!chunk) {
        int r = slab_new(client, &chunk);
        if (r < 0)
            return r;
        first = 0;
    }
    slab_use(chunk, first, count);
    describe(chunk, (uint64_t)first * BLOCK_BYTES, (uint64_t)own * BLOCK_BYTES, count, ret);
    return 0;
}

static void free_small(
        struct abx_client *client, struct abx_chunk *chunk, uint32_t first, uint32_t count)
{
    for (uint32_t i = first; i < first + count; i++)
        chunk->slab->used[i / 64] &= ~(1ull << (i % 64));
    chunk->slab->free_blocks += count;
    if (first < chunk->slab->hint)
        chunk->slab->hint = first;
    if (chunk->slab->free_blocks < SLAB_BLOCKS || chunk->references > 1)
        return;
    for (struct abx_chunk *other = client->memory->chunks; other; other = other->next)
        if (other != chunk && other->slab && other->slab->free_blocks == SLAB_BLOCKS) {
            chunk_release(client, chunk); /* one empty slab is kept, not two */
            return;
        }
}

/* ---- the interface */

static int alloc_large(struct abx_client *client, uint64_t bytes, struct abx_memory *ret)
{
    bytes = abx_align_up(bytes, 4096);
    struct abx_chunk *chunk;
    int r = chunk_new(client, bytes + GAP_BYTES, CHUNK_SHARED, &chunk);
    if (r < 0)
        return r;
    r = chunk_map(client, chunk);
    if (r < 0) {
        chunk_undo(client, chunk);
        return r;
    }
    describe(chunk, 0, bytes, 0, ret);
    return 0;
}

int abx_client_alloc(struct abx_client *client, uint64_t bytes, struct abx_memory *ret)
{
    if (!bytes || bytes > ABX_WINDOW_BYTES)
        return -EINVAL;
    if (abx_client_known_lost(client))
        return -ENODEV;
    pthread_mutex_lock(&client->memory->lock);
    int r = bytes <= SMALL_BYTES ? alloc_small(client, bytes, ret)
                                 : alloc_large(client, bytes, ret);
    if (r == 0)
        client->memory->allocated += ret->bytes;
    pthread_mutex_unlock(&client->memory->lock);
    return r;
}

int abx_client_alloc_private(struct abx_client *client, uint64_t bytes, struct abx_memory *ret)
{
    if (!bytes || bytes > ABX_WINDOW_BYTES)
        return -EINVAL;
    if (abx_client_known_lost(client))
        return -ENODEV;
    bytes = abx_align_up(bytes, 4096);
    struct abx_chunk *chunk;
    pthread_mutex_lock(&client->memory->lock);
    int r = chunk_new(client, bytes, CHUNK_PRIVATE, &chunk);
    if (r == 0) {
        describe(chunk, 0, bytes, 0, ret);
        client->memory->allocated += bytes;
    }
    pthread_mutex_unlock(&client->memory->lock);
    return r;
}

int abx_client_chunk_plain(struct abx_client *client, uint64_t bytes, struct abx_memory *ret)
{
    if (abx_client_known_lost(client))
        return -ENODEV;
    pthread_mutex_lock(&client->memory->lock);
    int r = alloc_large(client, bytes, ret);
    pthread_mutex_unlock(&client->memory->lock);
    return r;
}

/* ---- memory of the caller's */

/* What is mapped where: [start, start + bytes) of the caller's, the pages that it touches, and
 * those that it fills. */
struct span {
    uint64_t start, bytes, outer, outer_bytes, whole, whole_bytes;
};

static struct span span_of(const void *pointer, uint64_t bytes)
{
    uint64_t page = page_bytes(), start = (uintptr_t)pointer, end = start + bytes;
    struct span s = {.start = start, .bytes = bytes, .outer = start / page * page};
    s.outer_bytes = abx_align_up(end, page) - s.outer;
    s.whole = abx_align_up(start, page);
    s.whole_bytes = end / page * page > s.whole ? end / page * page - s.whole : 0;
    return s;
}

static int adopt_new(struct abx_client *client, const struct span *s, struct abx_chunk **ret)
{
    int r = chunk_new(client, s->outer_bytes, CHUNK_SHARED, ret);
    if (r < 0)
        return r;
    struct abx_chunk *chunk = *ret;
    const struct abx_message_chunk message = chunk_message(chunk);
    chunk->shared = (struct abx_shared){.whole = (uint8_t *)(uintptr_t)s->whole,
            .whole_offset = s->whole - s->outer,
            .whole_bytes = s->whole_bytes,
            .file = -1};
    r = client->transport->ops->adopt(client->transport, &message, &chunk->shared);
    look_at(client, r);
    if (r == 0) {
        chunk->pointer = (uint8_t *)(uintptr_t)s->outer;
        chunk->adopted = true;
        return 0;
    }
    unmap_rims(chunk);
    if (chunk->shared.told)
        chunk_release(client, chunk);
    else
        chunk_undo(client, chunk);
    return r;
}

/* A file that the program only reads, as weights are: the host maps it itself, and nothing is
 * copied. -ENOTSUP: it is no such memory, or the host cannot have it. */
static int lend_new(struct abx_client *client, const struct span *s, struct abx_chunk **ret)
{
    struct abx_mapping mapping;
    if (!client->transport->ops->lend || s->whole_bytes < ADOPT_BYTES)
        return -ENOTSUP;
    int fd = abx_client_open_mapped(s->outer, s->outer + s->outer_bytes, &mapping);
    if (fd < 0)
        return fd;
    struct abx_chunk *chunk = NULL;
    int r = abx_file_check_mappable(fd, mapping.offset, s->outer_bytes) < 0 ? -ENOTSUP : 0;
    if (r == 0)
        r = chunk_new(client, s->outer_bytes, CHUNK_LENT, &chunk);
    if (r == 0) {
        struct abx_message_chunk message = chunk_message(chunk);
        message.flags = ABX_CHUNK_FILE;
        message.file_offset = mapping.offset;
        r = client->transport->ops->lend(client->transport, &message, fd);
        look_at(client, r);
        if (r < 0)
            chunk_undo(client, chunk);
    }
    close(fd);
    if (r < 0)
        return r;
    chunk->pointer = (uint8_t *)(uintptr_t)s->outer;
    chunk->shared = (struct abx_shared){.whole = chunk->pointer,
            .whole_bytes = s->outer_bytes,
            .inode = mapping.inode,
            .file = -1,
            .told = true};
    chunk->file_offset = mapping.offset;
    chunk->adopted = chunk->lent = true;
    *ret = chunk;
    return 0;
}

/* The chunk whose memory the span touches, NULL: none. Lock held. */
static struct abx_chunk *chunk_touched(struct abx_client_memory *m, const struct span *s)
{
    struct abx_chunk *chunk = m->chunks;
    for (; chunk; chunk = chunk->next) {
        uint64_t bytes, first = visible(chunk, &bytes);
        if (first && bytes && s->start < first + bytes && first < s->start + s->bytes)
            break;
    }
    return chunk;
}

static bool inside(const struct abx_chunk *chunk, const struct span *s)
{
    uint64_t bytes, first = visible(chunk, &bytes);
    return s->start >= first && abx_range_ok(s->start - first, s->bytes, bytes);
}

struct presence {
    const struct abx_chunk *chunk;
    uint64_t start, end; /* of what is looked at */
    uint64_t bytes;      /* of it that are the chunk's */
};

static bool count_own(const struct abx_mapping *mapping, const void *user)
{
    struct presence *p = (struct presence *)user;
    uint64_t from = mapping->start > p->start ? mapping->start : p->start,
             to = mapping->end < p->end ? mapping->end : p->end;
    const struct abx_chunk *chunk = p->chunk;
    uint64_t offset = chunk->file_offset + (mapping->start - (uintptr_t)chunk->shared.whole);
    if (from < to && mapping->shared && mapping->inode == chunk->shared.inode &&
            (!chunk->lent || mapping->offset == offset))
        p->bytes += to - from;
    return false;
}

/* How much of [start, start + bytes), which lies in an adopted chunk's pages, still is the chunk's:
 * a program may let go of its memory before the buffer over it, and get other memory there. */
static uint64_t present(const struct abx_chunk *chunk, uint64_t start, uint64_t bytes)
{
    struct presence p = {chunk, start, start + bytes, 0};
    for_mappings(start, start + bytes, count_own, &p);
    return p.bytes;
}

/* The chunk that the span touches and, when it is all in its memory, *ret_inside; NULL: none.
 * Chunks whose memory has gone are found to be nowhere in the program any more. Lock held. */
static struct abx_chunk *find_chunk(
        struct abx_client_memory *m, const struct span *s, bool *ret_inside)
{
    for (;;) {
        struct abx_chunk *chunk = chunk_touched(m, s);
        uint64_t bytes, first = chunk ? visible(chunk, &bytes) : 0;
        *ret_inside = chunk && inside(chunk, s) &&
                      (!chunk->adopted || present(chunk, s->start, s->bytes) == s->bytes);
        if (!chunk || *ret_inside || !chunk->adopted || present(chunk, first, bytes) > 0)
            return chunk;
        chunk->shared.whole_bytes = 0;
    }
}

/* *chunk: one whose memory the span touches, or NULL; then the new one. Lock held. */
static int share_callers(struct abx_client *client, const struct span *s, struct abx_chunk **chunk)
{
    struct abx_chunk *touched = *chunk;
    int r = -ENOTSUP;
    if (!touched || touched->lent) /* a file may be lent twice */
        r = lend_new(client, s, chunk);
    bool small = s->whole_bytes != s->bytes && s->whole_bytes < ADOPT_BYTES;
    if (r == -ENOTSUP && !touched && !small && !is_seen_by_others(s->start, s->bytes))
        r = adopt_new(client, s, chunk);
    return r;
}

bool abx_client_is_there(struct abx_client *client, const struct abx_memory *memory)
{
    struct abx_client_memory *m = client->memory;
    pthread_mutex_lock(&m->lock);
    const struct abx_chunk *chunk = memory->owner;
    bool there = true;
    if (chunk && chunk->adopted) {
        uint64_t bytes, first = visible(chunk, &bytes);
        there = present(chunk, first, bytes) == bytes && bytes;
    }
    pthread_mutex_unlock(&m->lock);
    return there;
}

int abx_client_adopt(
        struct abx_client *client, void *pointer, uint64_t bytes, struct abx_memory *ret)
{
    if (!pointer || !bytes || bytes > ABX_WINDOW_BYTES || (uintptr_t)pointer > UINTPTR_MAX - bytes)
        return -EINVAL;
    if (abx_client_known_lost(client))
        return -ENODEV;
    struct span s = span_of(pointer, bytes);
    struct abx_client_memory *m = client->memory;
    pthread_mutex_lock(&m->lock);
    bool is_inside;
    struct abx_chunk *chunk = find_chunk(m, &s, &is_inside);
    int r = is_inside ? 0 : share_callers(client, &s, &chunk);
    if (is_inside)
        chunk->references++;
    if (r == 0) {
        describe(chunk, s.start - (uintptr_t)chunk->pointer, bytes, 0, ret);
        m->allocated += bytes;
    }
    pthread_mutex_unlock(&m->lock);
    return r;
}

unsigned abx_client_rims(const struct abx_memory *memory, struct abx_rim ret[static 2])
{
    const struct abx_chunk *chunk = memory->owner;
    unsigned count = 0;
    if (!chunk || !chunk->adopted)
        return 0;
    uint8_t *end = memory->pointer + memory->bytes,
            *whole_end = chunk->shared.whole + chunk->shared.whole_bytes;
    if (memory->pointer < chunk->shared.whole)
        ret[count++] = (struct abx_rim){.user = memory->pointer,
                .shared = chunk->shared.rim[0] + (memory->pointer - chunk->pointer),
                .bytes = (uint64_t)(chunk->shared.whole - memory->pointer)};
    if (end > whole_end)
        ret[count++] = (struct abx_rim){.user = whole_end,
                .shared = chunk->shared.rim[1],
                .bytes = (uint64_t)(end - whole_end)};
    return count;
}

bool abx_client_is_adopted(const struct abx_memory *memory)
{
    return memory->owner && memory->owner->adopted && !memory->owner->lent;
}

void abx_client_free(struct abx_client *client, struct abx_memory *memory)
{
    struct abx_chunk *chunk = memory->owner;
    if (!chunk || abx_client_forked(client))
        return;
    struct abx_client_memory *m = client->memory;
    pthread_mutex_lock(&m->lock);
    m->allocated -= memory->bytes;
    if (memory->blocks)
        free_small(client, chunk, (uint32_t)(memory->offset / BLOCK_BYTES), memory->blocks);
    else if (--chunk->references == 0)
        chunk_release(client, chunk);
    pthread_mutex_unlock(&m->lock);
    memory->owner = NULL;
    memory->pointer = NULL;
}

uint64_t abx_client_allocated(struct abx_client *client)
{
    if (abx_client_forked(client))
        return 0;
    pthread_mutex_lock(&client->memory->lock);
    uint64_t bytes = client->memory->allocated;
    pthread_mutex_unlock(&client->memory->lock);
    return bytes;
}
