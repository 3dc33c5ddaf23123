/* vmm: what one context of a guest has: its connection to the tenant's worker, as a program in a
 * container has one. The guest is hostile, the worker may be. One thread; nothing here waits. */
#ifndef ABX_VMM_LINK_H
#define ABX_VMM_LINK_H

#include "host/control/outbox.h"
#include "vmm/guest_ram.h"
#include "wire/transport/virtgpu.h"

struct abx_vmm_link {
    const struct abx_vmm_ram *ram;
    int sock, call, doorbell;         /* to the worker; it rings there; we ring there */
    const struct abx_host_page *page; /* the supervisor's, which says why a worker ended; or NULL */
    struct abx_vmm_runs pages;        /* the guest's: struct abx_virtgpu_pages */
    struct abx_outbox outbox;
    uint64_t posted; /* answers */
    struct {
        uint64_t answer, bytes;
        int fd; /* -1: none */
    } payloads[ABX_VIRTGPU_SLOTS];
    uint32_t wakes;
    bool gone, full; /* full: the guest does not read its answers */
    bool over;       /* the worker's end has closed: it has nothing of the guest's any more */
    bool woken;      /* since abx_vmm_link_slept() */
    /* The worker has let go of a chunk; `owner` is whose link it is. */
    void (*released)(void *owner, uint64_t address);
    void *owner;
    bool holds; /* a command of the guest's that sleeps */
    uint64_t holds_cookie;
};

/* Takes over `pages`, on failure too. 0 or -errno. */
int abx_vmm_link_open(struct abx_vmm_link *link, const struct abx_vmm_ram *ram, const char *socket,
        struct abx_vmm_runs *pages, const void *hello, size_t bytes);
void abx_vmm_link_close(struct abx_vmm_link *link);

/* Hands over memory with a message. `runs` are taken over. */
void abx_vmm_link_share(
        struct abx_vmm_link *link, struct abx_vmm_runs *runs, const void *message, size_t bytes);
/* A message, and with it a copy of `payload_bytes` of `runs`, when there are any. */
void abx_vmm_link_send(struct abx_vmm_link *link, const struct abx_vmm_runs *runs,
        uint64_t payload_bytes, const void *message, size_t bytes);
/* Where the payload of an answer is wanted. -EINVAL: there is none. */
int abx_vmm_link_fetch(struct abx_vmm_link *link, uint64_t answer, const struct abx_vmm_runs *to);
void abx_vmm_link_ring(struct abx_vmm_link *link);
void abx_vmm_link_ping(struct abx_vmm_link *link, uint64_t tag);

/* What the worker said; call: it rang. */
void abx_vmm_link_ready(struct abx_vmm_link *link, short sock_events, short call_events);
/* The connection is to end: the guest is told, and the worker, which closes its end in its time. */
void abx_vmm_link_end(struct abx_vmm_link *link);

#endif
