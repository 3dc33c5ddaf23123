/* host: private to the compiler process. One thread; nothing here is locked. */
#ifndef ABX_HOST_COMPILER_INTERNAL_H
#define ABX_HOST_COMPILER_INTERNAL_H

#include "host/compiler/compiler.h"
#include "host/control/outbox.h"

#include <sys/types.h>

/* What a child makes and the disk cache keeps: this head, the message, padding to 8, the blob. */
#define ARTIFACT_MAGIC 0x54524158u /* "XART" */
struct artifact {
    uint32_t magic;
    int32_t error;
    uint64_t message_bytes, blob_bytes;
};

static inline const char *artifact_message(const struct artifact *a)
{
    return (const char *)(a + 1);
}

static inline const uint8_t *artifact_blob(const struct artifact *a)
{
    return (const uint8_t *)(a + 1) + abx_align_up(a->message_bytes, 8);
}

/* True when `bytes` at `a` are a whole artifact within the caps of the shader module. */
bool artifact_check(const struct artifact *a, size_t bytes);

/* ---- memory.c: what children do not inherit: sources and artifacts, of any tenant */
void *guarded_alloc(size_t bytes); /* zeros, or NULL */
void guarded_free(void *p);
/* Whether children started from now on inherit it; NULL is ignored. -errno. */
int guarded_inherit(const void *p, bool inherit);
/* Nobody changes it from here on. -errno: somebody still writes, or it was sealed by others. */
int guarded_seal(int fd);
/* A memory file of at most `cap` bytes, sealed against every change, to be read; the caller's to
 * guarded_free(). -errno. */
int guarded_map(int fd, size_t cap, void **ret_data, size_t *ret_bytes);

/* ---- cache.c: <cache folder>/<2 hex>/<62 hex>. A cache that fails is no error. Large
 * entries are read and written in slices, so that nobody waits for another's. */
#define CACHE_SLICE_BYTES (256u << 10) /* about a millisecond */
void cache_open(void);
/* An entry that is being read; NULL: there is none. */
struct cache_reading *cache_get(const uint8_t key[32]);
/* A slice more. True: done, `reading` is gone, and *ret_fd a sealed memory file that holds an
 * artifact, the caller's, or -1: it was damaged. */
bool cache_read_some(struct cache_reading *reading, int *ret_fd);
void cache_read_stop(struct cache_reading *reading); /* NULL is legal */
/* Keeps what is in the sealed memory file, soon; a small one now. */
void cache_put(const uint8_t key[32], int fd, size_t bytes);
/* A slice more of what is to be kept. True: that was not all. */
bool cache_write_some(void);

/* ---- child.c: one sandboxed process a compile */
struct child_work {
    const struct artifact *library; /* a pipeline's; NULL: a library is to be compiled */
    const void *request;            /* library: options, macros, source */
    size_t request_bytes;
    uint32_t target, function, constant_count;
    const struct abx_shader_constant *constants;
    const struct abx_shader_link *links;
    uint32_t link_count;
    unsigned cpu_seconds;
    unsigned cores; /* that it may use */
    bool verbose;   /* say what the sandbox lacks: the first child does */
};
/* Finds the tools once. The message is kept for every later compile. */
void child_setup(void);
/* Starts one; *ret_out is a memory file, yet to be sealed, that the artifact will be in. The
 * process id, or -errno. */
pid_t child_start(const struct child_work *work, int *ret_out);

void compiler_log(const char *format, ...) ABX_PRINTF(1, 2);

#endif
