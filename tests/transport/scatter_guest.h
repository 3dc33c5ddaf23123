/* The guest's end of `scatter`, below the operations of a transport: RAM, lists, frames. Also what
 * hostile tests speak with. */
#ifndef ABX_TESTS_SCATTER_GUEST_H
#define ABX_TESTS_SCATTER_GUEST_H

#include <pthread.h>

#include "scatter.h"

struct scatter_guest {
    int sock, fds[SCATTER_FDS];
    uint64_t ram_bytes;
    pthread_mutex_t lock;
    uint64_t used;                 /* of RAM; nothing is used twice */
    uint64_t lists_at, lists_left; /* where the next list goes */
    uint64_t random;
};

struct scatter_memory {
    struct scatter_entry *entries;
    uint32_t count;
    uint64_t bytes;
};

/* On a connected socket, which is its own from here on. 0 or -errno. */
int scatter_begin(struct scatter_guest *g, int sock);
void scatter_end(struct scatter_guest *g);
/* Zeroed memory in pieces. */
int scatter_alloc(struct scatter_guest *g, uint64_t bytes, struct scatter_memory *ret);
void scatter_free(struct scatter_guest *g, struct scatter_memory *memory);
/* Maps [offset, offset + bytes) of it, contiguous: over what is at `at`, or anywhere (NULL). */
void *scatter_map(struct scatter_guest *g, const struct scatter_memory *memory, uint64_t offset,
        uint64_t bytes, void *at);
/* Copies between its beginning and ordinary memory; -EFAULT: nothing is there. */
int scatter_write(struct scatter_guest *g, const struct scatter_memory *memory, uint64_t offset,
        const void *from, uint64_t bytes);
int scatter_read(
        struct scatter_guest *g, const struct scatter_memory *memory, void *to, uint64_t bytes);
/* Writes a list into RAM; where it lies. */
int scatter_list(struct scatter_guest *g, const struct scatter_entry *entries, uint32_t count,
        uint64_t *ret);
/* memory NULL: none goes with it. */
int scatter_send(struct scatter_guest *g, uint32_t kind, uint64_t tag, const void *message,
        size_t bytes, const struct scatter_memory *memory);
/* The frame's message: its length; 0: the host has gone; -ETIMEDOUT. */
ssize_t scatter_receive(struct scatter_guest *g, struct scatter_frame *ret, int timeout_ms);
void scatter_kick(struct scatter_guest *g);

#endif
