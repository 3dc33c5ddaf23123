/* A client that speaks the wire by hand, so that tests can also speak it wrongly. */
#ifndef ABX_TESTS_HOST_GUEST_H
#define ABX_TESTS_HOST_GUEST_H

#include "../check.h"
#include "encode_gen.h"
#include "host/control/control.h"
#include "wire/transport/transport.h"
#include "wire/wire.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARENA_BYTES (4u << 20)
#define ARENA_CHUNK 1u
#define DATA_CHUNK 2u
#define DATA_BYTES (1u << 20)
#define QUEUE HANDLE(1)
#define DATA HANDLE(2) /* the whole data chunk */
#define HANDLE(n) (1ull << 32 | (n))

struct guest {
    struct abx_transport
            *transport; /* the one ARCBOX_TRANSPORT names; NULL: by hand, what follows */
    int sock, doorbell, page_fd;
    void (*kick)(void *); /* inproc */
    void *kick_context;
    struct abx_guest_page *page;
    struct abx_host_page *host;
    struct abx_message_welcome welcome;
    uint64_t tail, sequence;
    uint32_t next_tag;
    uint8_t *arena, *data;
    size_t begin;         /* of the command buffer being written */
    struct abx_encoder e; /* into the arena */
    char text[4096];      /* of the last compile or prepare */
    bool cached;          /* the same */
    struct abx_reflection *reflection;
};

/* Says hello on a socket / connects first. */
void guest_attach(struct guest *g, int sock);
/* The same with libarcbox-inproc.so at `path`. */
void guest_inproc(struct guest *g, const char *library);
int guest_dial(const char *path);
void guest_connect(struct guest *g, const char *path);
/* The above, then an arena, a data chunk with a buffer, and a queue in slot 0. */
void guest_open(struct guest *g, const char *path);
void guest_setup(struct guest *g); /* what guest_open() adds to guest_connect() */
void guest_close(struct guest *g);
/* Sends a chunk; the mapping. */
void *guest_chunk(struct guest *g, uint32_t id, uint64_t bytes, uint64_t address);
void guest_push(struct guest *g, const void *record, size_t bytes);
void guest_ring(struct guest *g);
/* Copies what an encoder on `space` has written into the ring. */
#define GUEST_PUSH(g, name, ...)                                                                   \
    do {                                                                                           \
        uint64_t space_[1024];                                                                     \
        struct abx_encoder e_ = {                                                                  \
                .at = (uint8_t *)space_, .end = (uint8_t *)space_ + sizeof space_};                \
        CHECK(abx_encode_##name(&e_, __VA_ARGS__));                                                \
        guest_push(g, space_, (size_t)(e_.at - (uint8_t *)space_));                                \
    } while (0)
/* Starts a command buffer: g->e writes into the arena. */
struct abx_encoder *guest_begin(struct guest *g);
/* Commits it on the queue in slot 0, result slot 0; waits. The result. */
struct abx_result guest_run(struct guest *g);
/* Commits without waiting, with result slot `result`. */
void guest_commit(struct guest *g, uint32_t result);
/* False after 10 s, or when the device is lost. */
bool guest_wait(struct guest *g, uint32_t slot, uint64_t sequence);
/* The host has closed the connection, or says that the device is lost. Waits at most 10 s. */
bool guest_is_dead(struct guest *g);
/* 0 or the compile's error. `macros`: "NAME=VALUE\0" strings, may be NULL. */
int guest_compile_text(struct guest *g, const char *macros, uint32_t macro_bytes,
        const char *source, size_t source_bytes, abx_handle library);
int guest_compile(struct guest *g, const char *source, abx_handle library);
int guest_prepare(struct guest *g, abx_handle pipeline);
/* Where kernels see the buffer; 0 or the error of the answer. */
int guest_address(struct guest *g, abx_handle buffer, uint64_t *ret);
/* Makes a pipeline of the library's function `name` and waits until it is ready. */
void guest_pipeline(struct guest *g, const char *name, abx_handle library, abx_handle pipeline);

/* ---- the daemon, in folders of its own that are removed at exit */
struct abx_control *daemon_start(void);
void daemon_stop(struct abx_control *control);
/* In a fork()ed child: it is its parent's to end. */
void daemon_leave(void);
/* A tenant on `backend`; its socket. */
void daemon_tenant(struct abx_control *control, const char *name, const char *backend,
        const struct abx_control_limits *limits, struct abx_control_tenant *ret);
/* Its folder; made anew by daemon_start(), and for tests that start daemons themselves by
 * daemon_folder_make(). own_cache: compiled code is not shared with other tests. */
extern char daemon_folder[64];
void daemon_folder_make(bool own_cache);
/* False: not all could be removed. */
bool daemon_folder_remove(void);
/* The number of the one that runs; 0: none. */
int daemon_pid(void);
/* All zeros when there is none of that name. */
struct abx_control_tenant tenant_named(struct abx_control *control, const char *name);

#endif
