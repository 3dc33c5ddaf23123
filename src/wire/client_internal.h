/* wire, guest side: what the client's files share. See client.h. */
#ifndef ABX_WIRE_CLIENT_INTERNAL_H
#define ABX_WIRE_CLIENT_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "records_gen.h"
#include "wire/client.h"
#include "wire/clock.h"
#include "wire/transport/transport.h"

#define ABX_CLIENT_RESULT_WORDS (ABX_MAX_RESULTS / 64)
#define ABX_CLIENT_WAKE_NS 50000000 /* a sleeper looks this often whether the host still lives */

struct abx_client_memory;
struct abx_client_arenas;

enum abx_client_gone { ABX_GONE_NOT, ABX_GONE_LOST, ABX_GONE_FORKED };

struct abx_client {
    struct abx_message_welcome welcome;
    struct abx_transport *transport;
    struct abx_guest_page *guest; /* the transport's */
    const struct abx_host_page *host;
    _Atomic uint32_t gone; /* enum gone: found out on this side */
    char gone_text[224];   /* "the device was lost: " and why */
    /* Where the host's clock is another: when each result's command buffer was committed. */
    struct abx_clock clock;
    _Atomic uint64_t *committed_ns; /* NULL: it is of the same kernel */

    pthread_mutex_t ring_lock; /* ring_tail, results; held for one record */
    uint64_t ring_tail;
    uint64_t ring_unrung; /* position up to which the host was woken */
    uint64_t results_used[ABX_CLIENT_RESULT_WORDS];
    uint32_t results_hint;
    uint32_t queue_next; /* slots are used once before any is used again */
    uint64_t queue_slots[ABX_MAX_QUEUES / 64];

    pthread_mutex_t handle_lock;
    uint32_t *generations; /* by index; grows */
    uint32_t *free_next;   /* by index: FIFO list of free ones, 0 ends it */
    uint32_t handle_count, handle_capacity, free_first, free_last;

    pthread_mutex_t event_lock;
    uint16_t event_free[ABX_MAX_EVENTS]; /* FIFO: a slot rests as long as possible */
    uint32_t event_first, event_count, event_fresh;

    pthread_mutex_t request_lock; /* compiles and prepares */
    pthread_cond_t request_done;
    struct abx_client_request *requests;
    bool reading; /* a thread is in recvmsg() for everybody */
    uint32_t next_tag;

    struct abx_client_memory *memory;
    struct abx_client_arenas *arenas;

    _Atomic uint64_t encode_trips, wait_trips, wait_sleeps, compile_trips, prepare_trips,
            address_trips;
    uint64_t commits; /* under ring_lock */
};

/* client_watch.c: what the program writes. One thread at a time. */
struct abx_client_watch {
    int faults, pages; /* descriptors */
};
/* 0, or -errno: the kernel does not tell, or the process may not ask. */
int abx_watch_open(struct abx_client_watch *watch);
/* One piece of memory. */
struct abx_watched {
    bool on;
    uint32_t times;       /* that most of it was written, one after the other */
    uint32_t rest, pause; /* questions that are answered without looking */
    bool rested;          /* they are over */
};
/* Whole pages, mapped and shared, which the kernel watches until they are unmapped. 0 or -errno. */
int abx_watch_begin(const struct abx_client_watch *watch, struct abx_watched *w, uint8_t *memory,
        uint64_t bytes);
/* Calls written() for all that was written since it was asked last, or more. */
void abx_watch_ask(const struct abx_client_watch *watch, struct abx_watched *w, uint8_t *memory,
        uint64_t bytes, void (*written)(void *user, uint64_t offset, uint64_t length), void *user);

/* What is mapped in [start, end), in order, each cut to it; at most `capacity`, 0 when the kernel
 * does not say. */
struct abx_mapping {
    uint64_t start, end;
    uint64_t device, inode, offset; /* of the file, and where `start` lies in it */
    bool writable, shared;
};
unsigned abx_client_mappings(
        uint64_t start, uint64_t end, struct abx_mapping *list, unsigned capacity);

/* The file that all of [start, end) is mapped from, opened for reading, when the program can only
 * read it there and sees what others write to it; *ret: the mapping. The caller closes it.
 * -ENOTSUP: it is no such memory. */
int abx_client_open_mapped(uint64_t start, uint64_t end, struct abx_mapping *ret);

/* Marks the connection dead. The first reason is kept. */
void abx_client_lose(struct abx_client *client, const char *why);
/* Pushes while the caller holds ring_lock. */
int abx_client_push_locked(struct abx_client *client, const void *record);
/* Ends the recording and fills in where it lies; the number of segments, or -errno. */
int abx_arena_segments(struct abx_arena *arena, struct abx_wire_segment segments[ABX_MAX_SEGMENTS]);
/* Wakes the host when it sleeps. */
void abx_client_ring_doorbell(struct abx_client *client);
/* True when the host has consumed the ring up to `position`. */
bool abx_client_ring_passed(struct abx_client *client, uint64_t position);
/* Sleeps until *word (low half) differs from `expected`, for at most a wake interval. */
void abx_client_sleep(struct abx_client *client, const _Atomic uint64_t *word, uint64_t expected,
        int64_t limit_ns);

int abx_client_memory_create(struct abx_client *client);
int abx_client_arenas_create(struct abx_client *client);
/* A chunk that belongs to the arenas, mapped; never freed. */
int abx_client_chunk_plain(struct abx_client *client, uint64_t bytes, struct abx_memory *ret);

/* Receives; says on a terminal that a compile takes its time. (client_progress.c) */
ssize_t abx_client_receive_showing(
        struct abx_client *client, union abx_message *message, struct abx_attachment *ret_payload);

#endif
