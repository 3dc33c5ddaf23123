/* A pretend worker for tests of the guest side: a thread at the other end of a socket. It answers
 * hello, maps chunks, keeps the ring moving, records what it saw and completes commits without
 * executing anything except set-to-one conventions the tests below name. */
#ifndef ABX_TESTS_FAKE_HOST_H
#define ABX_TESTS_FAKE_HOST_H

#include <pthread.h>
#include <stdatomic.h>

#include "records_gen.h"

struct fake_host {
    int listener, sock, doorbell, epoll;
    char path[108];
    pthread_t thread;
    struct abx_guest_page *guest;
    struct abx_host_page *host;
    _Atomic int stop, hold;                   /* hold: consume the ring but complete nothing */
    _Atomic int sleepless;                    /* never ask for the doorbell */
    _Atomic uint32_t next_error, next_reason; /* outcome of the next commit */
    _Atomic uint64_t commits, records, destroys, creates, chunks, chunk_frees, compiles;
    uint64_t head;
    struct abx_handle_slot {
        uint32_t slot;
        uint64_t sequence;
    } queues[65536]; /* by handle index */
    struct {
        void *_Atomic pointer;
        uint64_t bytes;
    } chunk[65536];
    uint64_t held[4096][3]; /* queue index, sequence, result */
    uint32_t held_count;
    uint8_t events_of[65536][2];       /* event slot by handle index */
    uint16_t log[4096];                /* ops of arena records, newest last */
    _Atomic uint32_t log_count;        /* raised once it is there */
    uint64_t memory_cap, mirror_align; /* set before it is started */
    /* chunk_mirror, chunk_seen and chunk_written: how many; of which chunk the last was, and what
     * of it was written, together, since `written_bytes` was set to 0 last. */
    _Atomic uint64_t mirrors, unseen_mirrors, seens, writtens, written_chunk, written_bytes;
};

/* Listens on a fresh path and sets ARCBOX_SOCKET to it. Serves one client. */
void fake_host_start(struct fake_host *h);
/* Ends the connection as a killed worker would. */
void fake_host_kill(struct fake_host *h);
void fake_host_stop(struct fake_host *h);

#endif
