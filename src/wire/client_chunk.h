/* wire, guest side: chunks, the pieces of memory that both sides map: what client_memory.c (which
 * makes and frees them) and client_mirror.c share. Under the memory's lock. */
#ifndef ABX_WIRE_CLIENT_CHUNK_H
#define ABX_WIRE_CLIENT_CHUNK_H

#include "wire/client_internal.h"

#define BLOCK_BYTES 256u
#define SLAB_BYTES (2u << 20)
#define SLAB_BLOCKS (SLAB_BYTES / BLOCK_BYTES)

struct slab {
    uint64_t used[SLAB_BLOCKS / 64];
    uint64_t dirty[SLAB_BLOCKS / 64]; /* written before: zero before use */
    uint32_t free_blocks, hint;
};

struct abx_chunk {
    struct abx_chunk *next, *previous;
    uint8_t *pointer;
    uint64_t bytes, address, position; /* position: of the ring after chunk_free */
    uint64_t span;                     /* addresses taken */
    uint32_t id;
    uint32_t references;
    struct slab *slab; /* NULL: one allocation */
    /* Mirrors: the last command buffer that used it, and that was counted; how long those that did
     * took, and what is written. */
    uint64_t spent_ns;
    bool unmirrored; /* for good */
    bool mirrored;
    bool exposed; /* and command buffers may reach it that do not name it */
    bool unseen;  /* the program has not asked where it is */
    uint64_t used_by, counted_by;
    struct abx_watched watched;
    /* Adopted: the pages shared.whole of the caller's memory are the chunk's, and
     * `pointer` is where its first byte would lie. The pages at its ends that the caller's memory
     * fills in part are mapped here, NULL: none. */
    bool adopted;
    /* Adopted, and those pages are a file's as they were before: the host maps the file, too. */
    bool lent;
    bool on_device; /* counted there */
    struct abx_shared shared;
    uint64_t file_offset; /* lent: of shared.whole */
};

struct abx_client_memory {
    pthread_mutex_t lock;
    struct abx_chunk *chunks;                       /* in use */
    struct abx_chunk *resting_first, *resting_last; /* freed, oldest first */
    struct range {
        uint64_t address, bytes;
    } *ranges; /* free addresses below `fresh`, sorted, never touching */
    uint32_t range_count, range_capacity;
    /* Shared memory lies in the window's lower half, private memory and lent files in the upper
     * one: devices map their own memory in pages of megabytes, which shared memory cannot be in.
     * Addresses from here on, to the half's end, were never used. */
    uint64_t fresh[2];
    uint32_t *ids; /* free ids below `fresh_id` */
    uint32_t id_count, id_capacity, fresh_id;
    struct abx_chunk **by_id;
    uint32_t by_id_capacity;
    struct abx_client_watch watch;
    int watching;                       /* 1: the watch is open; < 0: it cannot be */
    bool mirrors_all;                   /* with the first command buffer, for tests */
    uint32_t exposed;                   /* chunks */
    uint64_t commits, ends;             /* that asked about mirrors, and told of time */
    uint64_t chunk_bytes, device_bytes; /* what the caps count */
    uint64_t allocated;                 /* what the program asked for */
};

#endif
