/* tests/backend: NVIDIA's driver library without a GPU. Device memory is memory of this process;
 * what is mapped lies elsewhere than its address says, where the processor sees what it saw before.
 * Streams are threads that copy and fill for real, kernels do nothing. It
 * checks what it is told: that things exist, are used before they are given up, and do not overlap;
 * a mistake aborts. Any call can be made to fail (fake_cuda.h). */
#include "fake_cubin.h"
#include "fake_cuda.h"

#include "backend/cuda/driver.h"
#include "shader/abi/nvptx.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
#define MIB2 (2ull << 20)
#define CLOCK_AHEAD_NS 123456789012345ull /* of the processor's */
#define MUST(x)                                                                                    \
    do {                                                                                           \
        if (!(x)) {                                                                                \
            fprintf(stderr, "fake driver: %s: %s\n", __func__, #x);                                \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

enum kind { RESERVED, MAPPED, REGISTERED, HOST, DEVICE };
struct piece {
    struct piece *next;
    enum kind kind;
    abx_cu_address at;
    size_t bytes;
    abx_cu_memory memory;
    bool accessible;
    char *contents; /* MAPPED */
};
struct allocation {
    struct allocation *next;
    size_t bytes;
    bool mapped, released;
};
struct abx_cu_context {
    int unused;
};
struct abx_cu_module {
    struct abx_cu_module *next;
    unsigned running; /* launches */
    bool clock;       /* the backend's own: it writes the time */
    bool merge;       /* the backend's own: it carries what changed */
    bool waits;       /* for the kernel before it, itself */
    bool copies;      /* fake_cuda.h's FAKE_COPIES */
    bool is_cubin;
};
struct abx_cu_event {
    struct abx_cu_event *next;
    unsigned recorded, reached;
    unsigned waited_for; /* by operations */
};
struct op {
    struct op *next;
    enum { COPY, FILL, LAUNCH, CLOCK, MERGE, WRITE, RECORD, WAIT } kind;
    abx_cu_address to, from;
    size_t bytes;
    uint32_t value;
    uint64_t clock[4]; /* parameters */
    uint64_t buffers[2];
    uint64_t agreed; /* a merge's; 0: all is copied */
    struct abx_cu_module *module;
    struct abx_cu_event *event;
};
struct abx_cu_stream {
    struct abx_cu_stream *next;
    pthread_t thread;
    struct op *first, **end;
    bool stop, busy;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static struct piece *pieces;
static struct allocation *allocations;
static struct abx_cu_stream *streams;
static struct abx_cu_event *events;
static struct abx_cu_module *modules;
static int context_device; /* of the context that was made last */
static unsigned contexts, launches, delay_us, calls, fail_at;
static int fail_code, spoilt;
static unsigned waves;      /* of the graph that was made last */
static unsigned early;      /* of its kernels, those that come before others are over */
static unsigned lt_objects; /* cuBLASLt's */
static const char *failed;
static bool initialised;
static int hang; /* 1: the next kernel does not end; 2: the one after it */
static unsigned graph_launches;
static int refusal; /* of cubins */
static struct fake_modules loaded;
static _Thread_local abx_cu_context current;

EXPORT fake_cuda_fail fake_fail;
EXPORT fake_cuda_calls fake_calls;
EXPORT fake_cuda_launches fake_launches;
EXPORT fake_cuda_graphs fake_graphs, fake_waves, fake_early;
EXPORT fake_cuda_hang fake_hang;
EXPORT fake_cuda_left fake_left;
EXPORT fake_cuda_device fake_device;
EXPORT fake_cuda_refuse fake_refuse;
EXPORT fake_cuda_modules fake_modules;

#define PROTOTYPE(name, symbol, parameters) EXPORT int symbol parameters;
ABX_CU_FUNCTIONS(PROTOTYPE)
ABX_CU_NEWER_FUNCTIONS(PROTOTYPE)
#undef PROTOTYPE

/* ---- for tests */

void fake_fail(unsigned call, int code)
{
    pthread_mutex_lock(&lock);
    calls = 0;
    fail_at = call;
    fail_code = code;
    failed = NULL;
    pthread_mutex_unlock(&lock);
}

unsigned fake_calls(const char **ret_failed)
{
    pthread_mutex_lock(&lock);
    unsigned n = calls;
    *ret_failed = failed;
    pthread_mutex_unlock(&lock);
    return n;
}

unsigned fake_launches(unsigned delay)
{
    pthread_mutex_lock(&lock);
    unsigned n = launches;
    launches = 0;
    delay_us = delay;
    pthread_mutex_unlock(&lock);
    return n;
}

int fake_device(void)
{
    pthread_mutex_lock(&lock);
    int n = context_device;
    pthread_mutex_unlock(&lock);
    return n;
}

unsigned fake_waves(void)
{
    pthread_mutex_lock(&lock);
    unsigned n = waves;
    pthread_mutex_unlock(&lock);
    return n;
}

void fake_refuse(int code)
{
    refusal = code;
}

struct fake_modules fake_modules(void)
{
    pthread_mutex_lock(&lock);
    struct fake_modules m = loaded;
    loaded = (struct fake_modules){0};
    pthread_mutex_unlock(&lock);
    return m;
}

unsigned fake_early(void)
{
    pthread_mutex_lock(&lock);
    unsigned n = early;
    pthread_mutex_unlock(&lock);
    return n;
}

unsigned fake_graphs(void)
{
    pthread_mutex_lock(&lock);
    unsigned n = graph_launches;
    graph_launches = 0;
    pthread_mutex_unlock(&lock);
    return n;
}

void fake_hang(int on)
{
    pthread_mutex_lock(&lock);
    hang = on;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

const char *fake_left(void)
{
    static char text[256];
    unsigned count[5] = {0}, n = 0;
    pthread_mutex_lock(&lock);
    for (const struct piece *p = pieces; p; p = p->next)
        count[p->kind]++, n++;
    for (const struct allocation *a = allocations; a; a = a->next)
        n++;
    snprintf(text, sizeof text,
            "%u windows, %u mappings, %u registrations, %u host, %u device, streams %s, events %s, "
            "modules %s, contexts %u, objects of cuBLASLt %u",
            count[RESERVED], count[MAPPED], count[REGISTERED], count[HOST], count[DEVICE],
            streams ? "left" : "none", events ? "left" : "none", modules ? "left" : "none",
            contexts, lt_objects);
    if (!n && !lt_objects && !streams && !events && !modules && !contexts)
        text[0] = 0;
    pthread_mutex_unlock(&lock);
    return text;
}

static bool is_sticky(int code)
{
    return code == ABX_CU_ILLEGAL_ADDRESS || code == ABX_CU_LAUNCH_FAILED || code == ABX_CU_ECC ||
           code == ABX_CU_UNKNOWN;
}

/* At the beginning of each call, which then holds the lock: 0, or what it returns, with no lock. */
static int enter(const char *name, bool in_context)
{
    pthread_mutex_lock(&lock);
    MUST(initialised);
    MUST(!in_context || current);
    int code = spoilt;
    if (++calls == fail_at) {
        code = fail_code;
        failed = name;
        if (is_sticky(code) && contexts)
            spoilt = code;
        pthread_cond_broadcast(&changed);
    }
    if (code)
        pthread_mutex_unlock(&lock);
    return code;
}
#define ENTER(in_context)                                                                          \
    do {                                                                                           \
        int code_ = enter(__func__, in_context);                                                   \
        if (code_)                                                                                 \
            return code_;                                                                          \
    } while (0)

/* What gives something back does so in a spoilt context too, and says that that is spoilt. */
static int enter_end(const char *name)
{
    pthread_mutex_lock(&lock);
    (void)name;
    MUST(initialised && current);
    return spoilt;
}

static int leave(int code)
{
    pthread_mutex_unlock(&lock);
    return code;
}

/* ---- memory. The lock is held. */

static void add_piece(enum kind kind, abx_cu_address at, size_t bytes, abx_cu_memory memory)
{
    struct piece *p = calloc(1, sizeof *p);
    *p = (struct piece){pieces, kind, at, bytes, memory, kind != MAPPED && kind != RESERVED, NULL};
    pieces = p;
}

static struct piece *find_piece(enum kind kind, abx_cu_address at)
{
    for (struct piece *p = pieces; p; p = p->next)
        if (p->kind == kind && p->at == at)
            return p;
    return NULL;
}

static void drop_piece(struct piece *gone)
{
    struct piece **at = &pieces;
    while (*at != gone)
        at = &(*at)->next;
    *at = gone->next;
    free(gone);
}

static bool overlaps(enum kind kind, abx_cu_address at, size_t bytes)
{
    for (const struct piece *p = pieces; p; p = p->next)
        if (p->kind == kind && p->at < at + bytes && at < p->at + p->bytes)
            return true;
    return false;
}

/* All of it can be used: mappings may lie side by side. */
static bool is_usable(abx_cu_address at, size_t bytes)
{
    while (bytes) {
        const struct piece *p = pieces;
        while (p && (p->kind == RESERVED || !p->accessible || at < p->at || at >= p->at + p->bytes))
            p = p->next;
        if (!p)
            return false;
        size_t here = (size_t)(p->at + p->bytes - at);
        here = here < bytes ? here : bytes;
        at += here;
        bytes -= here;
    }
    return true;
}

/* Where it is in this process; *bytes: no more than lie there in one piece. */
static char *place(abx_cu_address at, size_t *bytes)
{
    for (const struct piece *p = pieces; p; p = p->next)
        if (p->kind == MAPPED && at >= p->at && at < p->at + p->bytes) {
            size_t here = (size_t)(p->at + p->bytes - at);
            *bytes = here < *bytes ? here : *bytes;
            return p->contents + (at - p->at);
        }
    for (const struct piece *p = pieces; p; p = p->next) /* not into the next */
        if (p->kind == MAPPED && at < p->at && p->at - at < *bytes)
            *bytes = (size_t)(p->at - at);
    return (char *)(uintptr_t)at;
}

/* Nothing that is under way uses it. */
static bool is_unused(abx_cu_address at, size_t bytes)
{
    for (const struct abx_cu_stream *s = streams; s; s = s->next)
        for (const struct op *o = s->first; o; o = o->next) {
            bool to =
                    (o->kind == COPY || o->kind == FILL || o->kind == WRITE || o->kind == MERGE) &&
                    o->to < at + bytes && at < o->to + o->bytes;
            bool from = (o->kind == COPY || o->kind == MERGE) && o->from < at + bytes &&
                        at < o->from + o->bytes;
            if (to || from)
                return spoilt != 0;
        }
    return true;
}

static void *anonymous(abx_cu_address at, size_t bytes, int protection)
{
    void *p = mmap((void *)(uintptr_t)at, bytes, protection,
            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | (at ? MAP_FIXED : 0), -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

EXPORT int cuMemAddressReserve(abx_cu_address *ret, size_t bytes, size_t alignment,
        abx_cu_address hint, unsigned long long flags)
{
    ENTER(true);
    MUST(bytes && bytes % MIB2 == 0 && !hint && !flags && (!alignment || alignment == MIB2));
    char *p = anonymous(0, bytes + MIB2, PROT_NONE);
    if (!p)
        return leave(ABX_CU_OUT_OF_MEMORY);
    char *at = (char *)abx_align_up((uintptr_t)p, MIB2);
    if (at > p)
        munmap(p, (size_t)(at - p));
    munmap(at + bytes, MIB2 - (size_t)(at - p));
    *ret = (abx_cu_address)(uintptr_t)at;
    add_piece(RESERVED, *ret, bytes, 0);
    return leave(0);
}

EXPORT int cuMemAddressFree(abx_cu_address at, size_t bytes)
{
    int code = enter_end(__func__);
    struct piece *p = find_piece(RESERVED, at);
    MUST(p && p->bytes == bytes && !overlaps(MAPPED, at, bytes) &&
            !overlaps(REGISTERED, at, bytes));
    drop_piece(p);
    return leave(code);
}

EXPORT int cuMemGetAllocationGranularity(
        size_t *ret, const struct abx_cu_allocation *what, int option)
{
    ENTER(true);
    MUST(what->type == 1 && what->location.type == 1 && option == 0);
    MUST(what->location.id == context_device);
    *ret = MIB2;
    return leave(0);
}

EXPORT int cuMemCreate(abx_cu_memory *ret, size_t bytes, const struct abx_cu_allocation *what,
        unsigned long long flags)
{
    ENTER(true);
    MUST(bytes && bytes % MIB2 == 0 && what->type == 1 && !flags);
    if (bytes > 1ull << 36)
        return leave(ABX_CU_OUT_OF_MEMORY);
    struct allocation *a = calloc(1, sizeof *a);
    a->bytes = bytes;
    a->next = allocations;
    allocations = a;
    *ret = (abx_cu_memory)(uintptr_t)a;
    return leave(0);
}

static struct allocation *find_allocation(abx_cu_memory memory)
{
    struct allocation *a = allocations;
    while (a && (abx_cu_memory)(uintptr_t)a != memory)
        a = a->next;
    MUST(a);
    return a;
}

static void maybe_free(struct allocation *gone)
{
    struct allocation **at = &allocations;
    if (gone->mapped || !gone->released)
        return;
    while (*at != gone)
        at = &(*at)->next;
    *at = gone->next;
    free(gone);
}

EXPORT int cuMemRelease(abx_cu_memory memory)
{
    int code = enter_end(__func__);
    struct allocation *a = find_allocation(memory);
    MUST(!a->released);
    a->released = true;
    maybe_free(a);
    return leave(code);
}

EXPORT int cuMemMap(abx_cu_address at, size_t bytes, size_t offset, abx_cu_memory memory,
        unsigned long long flags)
{
    ENTER(true);
    struct allocation *a = find_allocation(memory);
    bool inside = false;
    for (const struct piece *p = pieces; p; p = p->next)
        inside |= p->kind == RESERVED && at >= p->at && at + bytes <= p->at + p->bytes;
    MUST(inside && at % MIB2 == 0 && !offset && bytes == a->bytes && !a->mapped && !flags);
    MUST(!overlaps(MAPPED, at, bytes) && !overlaps(REGISTERED, at, bytes));
    a->mapped = true;
    add_piece(MAPPED, at, bytes, memory);
    pieces->contents = anonymous(0, bytes, PROT_READ | PROT_WRITE);
    MUST(pieces->contents);
    return leave(0);
}

EXPORT int cuMemSetAccess(
        abx_cu_address at, size_t bytes, const struct abx_cu_access *access, size_t count)
{
    ENTER(true);
    struct piece *p = find_piece(MAPPED, at);
    MUST(p && p->bytes == bytes && count == 1 && access->flags == 3 && access->location.type == 1);
    MUST(access->location.id == context_device);
    p->accessible = true;
    memset(p->contents, 0xa5, bytes < 65536 ? bytes : 65536);
    return leave(0);
}

EXPORT int cuMemUnmap(abx_cu_address at, size_t bytes)
{
    int code = enter_end(__func__);
    struct piece *p = find_piece(MAPPED, at);
    MUST(p && p->bytes == bytes && is_unused(at, bytes));
    struct allocation *a = find_allocation(p->memory);
    a->mapped = false;
    maybe_free(a);
    munmap(p->contents, bytes);
    drop_piece(p);
    return leave(code);
}

EXPORT int cuMemHostRegister_v2(void *at, size_t bytes, unsigned flags)
{
    ENTER(true);
    abx_cu_address a = (abx_cu_address)(uintptr_t)at;
    MUST(flags == 3 && bytes && a % 4096 == 0 && bytes % 4096 == 0);
    MUST(!overlaps(REGISTERED, a, bytes) && !overlaps(MAPPED, a, bytes));
    /* The pages are there, and may be written. */
    for (size_t i = 0; i < bytes; i += 4096)
        ((volatile char *)at)[i] = ((volatile char *)at)[i];
    add_piece(REGISTERED, a, bytes, 0);
    return leave(0);
}

EXPORT int cuMemHostUnregister(void *at)
{
    int code = enter_end(__func__);
    struct piece *p = find_piece(REGISTERED, (abx_cu_address)(uintptr_t)at);
    MUST(p && is_unused(p->at, p->bytes));
    drop_piece(p);
    return leave(code);
}

EXPORT int cuMemHostGetDevicePointer_v2(abx_cu_address *ret, void *at, unsigned flags)
{
    ENTER(true);
    MUST(is_usable((abx_cu_address)(uintptr_t)at, 1) && !flags);
    *ret = (abx_cu_address)(uintptr_t)at;
    return leave(0);
}

static int allocate(abx_cu_address *ret, size_t bytes, enum kind kind)
{
    void *p = bytes > 1ull << 36 ? NULL : anonymous(0, bytes, PROT_READ | PROT_WRITE);
    if (!p)
        return ABX_CU_OUT_OF_MEMORY;
    *ret = (abx_cu_address)(uintptr_t)p;
    add_piece(kind, *ret, bytes, 0);
    return 0;
}

static void deallocate(abx_cu_address at, enum kind kind)
{
    struct piece *p = find_piece(kind, at);
    MUST(p && is_unused(p->at, p->bytes));
    munmap((void *)(uintptr_t)p->at, p->bytes);
    drop_piece(p);
}

EXPORT int cuMemHostAlloc(void **ret, size_t bytes, unsigned flags)
{
    ENTER(true);
    MUST(flags == 3);
    abx_cu_address at = 0;
    int code = allocate(&at, bytes, HOST);
    *ret = (void *)(uintptr_t)at;
    return leave(code);
}

EXPORT int cuMemFreeHost(void *at)
{
    int code = enter_end(__func__);
    deallocate((abx_cu_address)(uintptr_t)at, HOST);
    return leave(code);
}

EXPORT int cuMemAlloc_v2(abx_cu_address *ret, size_t bytes)
{
    ENTER(true);
    return leave(allocate(ret, bytes, DEVICE));
}

EXPORT int cuMemFree_v2(abx_cu_address at)
{
    int code = enter_end(__func__);
    deallocate(at, DEVICE);
    return leave(code);
}

/* ---- streams */

static bool is_stream(const struct abx_cu_stream *stream)
{
    const struct abx_cu_stream *s = streams;
    while (s && s != stream)
        s = s->next;
    return s;
}

static bool is_event(const struct abx_cu_event *event)
{
    const struct abx_cu_event *e = events;
    while (e && e != event)
        e = e->next;
    return e;
}

static int add_op(struct abx_cu_stream *s, struct op op)
{
    struct op *o = malloc(sizeof *o);
    MUST(is_stream(s));
    *o = op;
    o->next = NULL;
    *s->end = o;
    s->end = &o->next;
    pthread_cond_broadcast(&changed);
    return 0;
}

static void merge(const struct op *o)
{
    MUST(is_usable(o->to, o->bytes) && is_usable(o->from, o->bytes));
    MUST(!o->agreed || is_usable(o->agreed, o->bytes));
    for (size_t done = 0, n; done < o->bytes; done += n) {
        n = o->bytes - done;
        uint32_t *to = (void *)place(o->to + done, &n), *from = (void *)place(o->from + done, &n);
        uint32_t *agreed = o->agreed ? (void *)place(o->agreed + done, &n) : NULL;
        for (size_t i = 0; i < n / 4; i++)
            if (!agreed || from[i] != agreed[i]) {
                to[i] = from[i];
                if (agreed)
                    agreed[i] = from[i];
            }
    }
}

static void copy(const struct op *o)
{
    MUST(is_usable(o->to, o->bytes) && is_usable(o->from, o->bytes));
    for (size_t done = 0, n; done < o->bytes; done += n) {
        n = o->bytes - done;
        char *to = place(o->to + done, &n), *from = place(o->from + done, &n);
        memcpy(to, from, n);
    }
}

static void fill(const struct op *o)
{
    MUST(is_usable(o->to, o->bytes));
    for (size_t done = 0, n; done < o->bytes; done += n) {
        n = o->bytes - done;
        char *to = place(o->to + done, &n);
        memset(to, (int)o->value, n);
    }
}

/* The lock is held, and let go while it takes its time. */
static void execute(struct abx_cu_stream *s, struct op *o)
{
    static unsigned state = 1;
    state = state * 1103515245u + 12345u;
    struct timespec t = {0, delay_us ? (long)(state >> 8) % (long)delay_us * 1000 : 0};
    while (o->kind == WAIT && o->event->reached < o->value && !spoilt)
        pthread_cond_wait(&changed, &lock);
    if (o->kind == LAUNCH && o->to)
        __atomic_store_n((uint32_t *)(uintptr_t)o->to, o->value, __ATOMIC_RELEASE); /* it began */
    if (o->kind == LAUNCH && hang > 1)
        hang--;
    else
        while (o->kind == LAUNCH && hang && !s->stop)
            pthread_cond_wait(&changed, &lock);
    if (t.tv_nsec) {
        pthread_mutex_unlock(&lock);
        nanosleep(&t, NULL);
        pthread_mutex_lock(&lock);
    }
    if (spoilt && o->kind != WAIT && o->kind != RECORD && o->kind != LAUNCH)
        return;
    switch (o->kind) {
    case COPY:
        copy(o);
        break;
    case FILL:
        fill(o);
        break;
    case WRITE:
        MUST(is_usable(o->to, 4));
        __atomic_store_n((uint32_t *)(uintptr_t)o->to, o->value, __ATOMIC_SEQ_CST);
        break;
    case CLOCK: {
        size_t n = 8;
        uint64_t *to = (void *)place(o->clock[0], &n), *seen = (uint64_t *)(uintptr_t)o->clock[1];
        seen[0] = abx_now_ns() + CLOCK_AHEAD_NS;
        seen[1] = o->clock[3];
        *to = seen[0] + o->clock[2];
        o->module->running--;
        break;
    }
    case MERGE:
        merge(o);
        if (o->module)
            o->module->running--;
        break;
    case LAUNCH:
        if (o->module->copies)
            copy(&(struct op){.to = o->buffers[0], .from = o->buffers[1], .bytes = 4});
        o->module->running--;
        break;
    case RECORD:
        if (o->event->reached < o->value)
            o->event->reached = o->value;
        o->event->waited_for--;
        break;
    case WAIT:
        o->event->waited_for--;
        break;
    }
}

static void *stream_thread(void *argument)
{
    struct abx_cu_stream *s = argument;
    pthread_mutex_lock(&lock);
    for (;;) {
        while (!s->first && !s->stop)
            pthread_cond_wait(&changed, &lock);
        struct op *o = s->first;
        if (!o)
            break;
        execute(s, o);
        s->first = o->next;
        if (!s->first)
            s->end = &s->first;
        free(o);
        pthread_cond_broadcast(&changed);
    }
    pthread_mutex_unlock(&lock);
    return NULL;
}

EXPORT int cuStreamCreate(abx_cu_stream *ret, unsigned flags)
{
    ENTER(true);
    MUST(flags == 1);
    struct abx_cu_stream *s = calloc(1, sizeof *s);
    s->end = &s->first;
    s->next = streams;
    streams = s;
    MUST(pthread_create(&s->thread, NULL, stream_thread, s) == 0);
    *ret = s;
    return leave(0);
}

EXPORT int cuStreamDestroy_v2(abx_cu_stream s)
{
    int code = enter_end(__func__);
    MUST(is_stream(s));
    s->stop = true;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    pthread_join(s->thread, NULL);
    pthread_mutex_lock(&lock);
    struct abx_cu_stream **at = &streams;
    while (*at != s)
        at = &(*at)->next;
    *at = s->next;
    free(s);
    return leave(code);
}

EXPORT int cuStreamQuery(abx_cu_stream s)
{
    ENTER(true);
    MUST(is_stream(s));
    return leave(s->first ? ABX_CU_NOT_READY : 0);
}

EXPORT int cuStreamSynchronize(abx_cu_stream s)
{
    ENTER(true);
    MUST(is_stream(s));
    while (s->first && !spoilt)
        pthread_cond_wait(&changed, &lock);
    return leave(spoilt);
}

EXPORT int cuStreamWriteValue32_v2(
        abx_cu_stream s, abx_cu_address at, uint32_t value, unsigned flags)
{
    ENTER(true);
    MUST(is_usable(at, 4) && at % 4 == 0 && !flags);
    return leave(add_op(s, (struct op){.kind = WRITE, .to = at, .bytes = 4, .value = value}));
}

EXPORT int cuMemcpyAsync(abx_cu_address to, abx_cu_address from, size_t bytes, abx_cu_stream s)
{
    ENTER(true);
    MUST(bytes && is_usable(to, bytes) && is_usable(from, bytes));
    MUST(to + bytes <= from || from + bytes <= to);
    return leave(add_op(s, (struct op){.kind = COPY, .to = to, .from = from, .bytes = bytes}));
}

EXPORT int cuMemsetD8Async(abx_cu_address to, unsigned char value, size_t bytes, abx_cu_stream s)
{
    ENTER(true);
    MUST(bytes && is_usable(to, bytes));
    return leave(add_op(s, (struct op){.kind = FILL, .to = to, .bytes = bytes, .value = value}));
}

EXPORT int cuEventCreate(abx_cu_event *ret, unsigned flags)
{
    ENTER(true);
    (void)flags;
    struct abx_cu_event *e = calloc(1, sizeof *e);
    e->next = events;
    events = e;
    *ret = e;
    return leave(0);
}

EXPORT int cuEventDestroy_v2(abx_cu_event e)
{
    int code = enter_end(__func__);
    MUST(is_event(e));
    while (e->waited_for)
        pthread_cond_wait(&changed, &lock);
    struct abx_cu_event **at = &events;
    while (*at != e)
        at = &(*at)->next;
    *at = e->next;
    free(e);
    return leave(code);
}

EXPORT int cuEventRecord(abx_cu_event e, abx_cu_stream s)
{
    ENTER(true);
    MUST(is_event(e));
    e->waited_for++;
    return leave(add_op(s, (struct op){.kind = RECORD, .event = e, .value = ++e->recorded}));
}

EXPORT int cuEventQuery(abx_cu_event e)
{
    ENTER(true);
    MUST(is_event(e));
    return leave(e->reached < e->recorded ? ABX_CU_NOT_READY : 0);
}

EXPORT int cuEventSynchronize(abx_cu_event e)
{
    ENTER(true);
    MUST(is_event(e));
    unsigned until = e->recorded;
    while (e->reached < until && !spoilt)
        pthread_cond_wait(&changed, &lock);
    return leave(spoilt);
}

EXPORT int cuStreamWaitEvent(abx_cu_stream s, abx_cu_event e, unsigned flags)
{
    ENTER(true);
    MUST(is_event(e) && !flags);
    e->waited_for++;
    return leave(add_op(s, (struct op){.kind = WAIT, .event = e, .value = e->recorded}));
}

/* ---- code */

enum { CAPABILITY = 90, NO_BINARY = 209, INVALID_PTX = 218 };

static void check_early(struct abx_cu_module *m, const char *ptx)
{
    m->waits = strstr(ptx, "  griddepcontrol.wait;") != NULL;
    MUST(!m->waits || (strstr(ptx, ".target sm_90") && !strstr(ptx, ".target sm_80")));
}

/* Of PTX, or of an ELF file: a real one's kernels are taken to wait. */
static int make_module(struct abx_cu_module *m, const void *image)
{
    const struct fake_cubin *c = image;
    if (memcmp(image, ELFMAG, SELFMAG) != 0) {
        m->copies = strstr(image, FAKE_COPIES) != NULL;
        check_early(m, image);
        return strstr(image, ".version") ? 0 : INVALID_PTX;
    }
    MUST((uintptr_t)image % 8 == 0 && c->head.e_machine == EM_CUDA);
    if (refusal || fake_cubin_processor(c) != CAPABILITY)
        return refusal ? refusal : NO_BINARY;
    if (c->head.e_shnum == 2)
        check_early(m, c->ptx);
    else
        m->waits = true;
    return 0;
}

EXPORT int cuModuleLoadDataEx(
        abx_cu_module *ret, const void *image, unsigned count, int *options, void **values)
{
    ENTER(true);
    struct abx_cu_module *m = calloc(1, sizeof *m);
    bool is_cubin = memcmp(image, ELFMAG, SELFMAG) == 0;
    int code = make_module(m, image);
    for (unsigned i = 0; i < count && code == INVALID_PTX; i++)
        if (options[i] == ABX_CU_JIT_ERROR_LOG)
            strcpy(values[i], "no PTX");
    if (code) {
        free(m);
        return leave(code);
    }
    loaded.cubins += is_cubin;
    loaded.texts += !is_cubin;
    m->is_cubin = is_cubin;
    m->next = modules;
    modules = m;
    *ret = m;
    return leave(0);
}

static struct abx_cu_module *find_module(const void *module)
{
    struct abx_cu_module *m = modules;
    while (m && m != module)
        m = m->next;
    MUST(m);
    return m;
}

EXPORT int cuModuleUnload(abx_cu_module module)
{
    int code = enter_end(__func__);
    struct abx_cu_module *m = find_module(module), **at = &modules;
    MUST(!m->running || spoilt);
    while (*at != m)
        at = &(*at)->next;
    *at = m->next;
    if (!m->running)
        free(m);
    return leave(code);
}

EXPORT int cuModuleGetFunction(abx_cu_function *ret, abx_cu_module module, const char *name)
{
    ENTER(true);
    MUST(strncmp(name, "abx_entry", 9) == 0);
    struct abx_cu_module *m = find_module(module);
    m->clock = strcmp(name, "abx_entry_clock") == 0;
    m->merge = strcmp(name, "abx_entry_merge") == 0;
    if (getenv("FAKE_CUDA_SAYS"))
        fprintf(stderr, "fake driver: %s of %s\n", name, m->is_cubin ? "a cubin" : "PTX");
    *ret = (abx_cu_function)m;
    return leave(0);
}

EXPORT int cuFuncGetAttribute(int *ret, int which, abx_cu_function function)
{
    ENTER(true);
    (void)find_module(function);
    *ret = which == ABX_CU_FUNCTION_MAX_THREADS ? 640 : 0;
    return leave(0);
}

static int add_merges(
        struct abx_cu_stream *s, struct abx_cu_module *m, const uint64_t *parts, unsigned count)
{
    MUST(count <= 64);
    if (getenv("FAKE_CUDA_SAYS"))
        fprintf(stderr, "fake driver: %u pieces are merged\n", count);
    for (unsigned i = 0; i < count; i++, parts += 4) {
        MUST(parts[3] && parts[0] % 16 == 0 && parts[1] % 16 == 0 && parts[2] % 16 == 0 &&
                parts[3] % 16 == 0);
        for (unsigned j = 1; j <= i; j++) { /* no word twice */
            const uint64_t *o = parts - 4 * j;
            MUST(parts[0] >= o[0] + o[3] || o[0] >= parts[0] + parts[3]);
        }
        add_op(s, (struct op){.kind = MERGE,
                          .module = i + 1 == count ? m : NULL,
                          .to = parts[0],
                          .from = parts[1],
                          .agreed = parts[2],
                          .bytes = parts[3]});
    }
    return 0;
}

/* nvptx.h; more may follow. */
struct parameters {
    struct abx_ptx_dispatch head;
    uint64_t buffers[2];
};

static struct parameters parameters_of(void **extra)
{
    struct parameters p = {0};
    size_t bytes = *(size_t *)extra[3];
    memcpy(&p, extra[1], bytes < sizeof p ? bytes : sizeof p);
    return p;
}

/* What ArcBox's kernels do of their own: nvptx.h. warm_up()'s has no parameters. */
static int add_launch(struct abx_cu_stream *s, struct abx_cu_module *m, void **extra)
{
    struct parameters p = {0};
    if (m->clock) {
        struct op op = {.kind = CLOCK, .module = m};
        MUST(extra && *(size_t *)extra[3] == sizeof op.clock);
        memcpy(op.clock, extra[1], sizeof op.clock);
        MUST(op.clock[0] % 8 == 0 && is_usable(op.clock[0], 8) && is_usable(op.clock[1], 16));
        return add_op(s, op);
    }
    if (extra)
        p = parameters_of(extra);
    abx_cu_address began = p.head.began[0] | (abx_cu_address)p.head.began[1] << 32;
    MUST(!began || (p.head.number && is_usable(began, 4)));
    return add_op(s, (struct op){.kind = LAUNCH,
                             .module = m,
                             .to = began,
                             .value = p.head.number,
                             .buffers = {p.buffers[0], p.buffers[1]}});
}

EXPORT int cuLaunchKernel(abx_cu_function function, unsigned x, unsigned y, unsigned z, unsigned bx,
        unsigned by, unsigned bz, unsigned shared, abx_cu_stream s, void **parameters, void **extra)
{
    ENTER(true);
    struct abx_cu_module *m = find_module(function);
    MUST(x && y && z && x <= 0x7fffffff && y <= 65535 && z <= 65535);
    MUST(bx && bx <= 1024 && by == 1 && bz == 1 && shared <= 49152 && !parameters);
    MUST(!extra || m->clock || m->merge || (shared >= 1024 && shared % 16 == 0));
    MUST(!extra || (extra[0] == ABX_CU_LAUNCH_BUFFER && extra[2] == ABX_CU_LAUNCH_BUFFER_SIZE &&
                           *(size_t *)extra[3] <= 4096 && !extra[4]));
    m->running++;
    launches += !m->clock && !m->merge;
    if (m->merge) {
        MUST(extra && *(size_t *)extra[3] == 2048 && z == 1);
        return leave(add_merges(s, m, extra[1], y));
    }
    return leave(add_launch(s, m, extra));
}

/* ---- graphs: chains of kernels */

struct abx_cu_node {
    struct abx_cu_node *next;
    struct abx_cu_module *module;
    struct parameters parameters;
    unsigned wave;
    bool loose; /* it has to get an edge yet */
};
struct abx_cu_graph {
    struct abx_cu_node *first, *last;
    bool followed;
    unsigned members[514]; /* of each wave: kernels that run side by side */
};
struct abx_cu_exec {
    unsigned count;
    struct abx_cu_module *module[512];
    struct parameters parameters[512];
};
static unsigned graphs;

EXPORT int cuGraphCreate(abx_cu_graph *ret, unsigned flags)
{
    ENTER(true);
    MUST(!flags);
    *ret = calloc(1, sizeof **ret);
    graphs++;
    early = 0;
    return leave(0);
}

EXPORT int cuGraphAddKernelNode_v2(abx_cu_node *ret, abx_cu_graph graph, const abx_cu_node *after,
        size_t count, const struct abx_cu_kernel_node *what)
{
    ENTER(true);
    MUST(count <= 16);
    MUST(what->shared >= 1024 && what->shared % 16 == 0); /* with what is behind it */
    MUST(what->grid[0] && what->block[0] <= 1024 && what->grid[1] <= 65535 && what->extra);
    struct abx_cu_node *n = calloc(1, sizeof *n);
    n->wave = 1;
    for (size_t i = 0; i < count; i++) { /* all of the wave before, and nothing else */
        MUST(after[i] && (!i || after[i]->wave == after[0]->wave));
        n->wave = after[i]->wave + 1;
        graph->followed = true;
    }
    n->loose = !count && graph->followed;
    MUST(!graph->last || !graph->last->loose);
    MUST(!graph->last || n->loose || n->wave == graph->last->wave ||
            n->wave == graph->last->wave + 1);
    MUST(!count || count == graph->members[after[0]->wave]);
    graph->members[n->wave]++;
    waves = n->wave;
    n->module = find_module(what->function);
    n->parameters = parameters_of(what->extra);
    if (graph->last)
        graph->last->next = n;
    else
        graph->first = n;
    *ret = graph->last = n;
    return leave(0);
}

/* One edge, of one that waits itself, to the node that was added last. */
EXPORT int cuGraphAddDependencies_v2(abx_cu_graph graph, const abx_cu_node *from,
        const abx_cu_node *to, const struct abx_cu_edge *edge, size_t count)
{
    ENTER(true);
    struct abx_cu_node *n = *to;
    MUST(count == 1 && edge->from_port == 1 && edge->type == 1 && !edge->to_port);
    MUST(n == graph->last && n->module->waits && n->wave == 1);
    graph->members[1]--;
    n->wave = (*from)->wave + 1;
    n->loose = false;
    MUST(graph->members[(*from)->wave] == 1);
    graph->members[n->wave]++;
    graph->followed = true;
    early++;
    waves = n->wave;
    return leave(0);
}

EXPORT int cuGraphInstantiateWithFlags(
        abx_cu_exec *ret, abx_cu_graph graph, unsigned long long flags)
{
    ENTER(true);
    MUST(!flags);
    struct abx_cu_exec *e = calloc(1, sizeof *e);
    for (struct abx_cu_node *n = graph->first; n; n = n->next) {
        MUST(e->count < 512 && !n->loose);
        e->parameters[e->count] = n->parameters;
        e->module[e->count++] = n->module;
    }
    *ret = e;
    graphs++;
    return leave(0);
}

EXPORT int cuGraphLaunch(abx_cu_exec exec, abx_cu_stream s)
{
    ENTER(true);
    graph_launches++;
    for (unsigned i = 0; i < exec->count; i++) {
        struct abx_cu_module *m = find_module(exec->module[i]);
        m->running++;
        launches++;
        size_t bytes = sizeof exec->parameters[i];
        void *extra[] = {ABX_CU_LAUNCH_BUFFER, &exec->parameters[i], ABX_CU_LAUNCH_BUFFER_SIZE,
                &bytes, NULL};
        add_launch(s, m, extra);
    }
    return leave(0);
}

EXPORT int cuGraphDestroy(abx_cu_graph graph)
{
    int code = enter_end(__func__);
    while (graph->first) {
        struct abx_cu_node *n = graph->first;
        graph->first = n->next;
        free(n);
    }
    free(graph);
    graphs--;
    return leave(code);
}

EXPORT int cuGraphExecDestroy(abx_cu_exec exec)
{
    int code = enter_end(__func__);
    free(exec);
    graphs--;
    return leave(code);
}

/* ---- device and context */

static void *driver_thread(void *unused)
{
    for (;;)
        pause();
    return unused;
}

/* As the real one does: a thread of its own, whose name it writes from outside. */
EXPORT int cuInit(unsigned flags)
{
    static pthread_t thread;
    pthread_mutex_lock(&lock);
    bool first = !initialised;
    initialised = true;
    if (first && getenv("FAKE_CUDA_REFUSES"))
        refusal = atoi(getenv("FAKE_CUDA_REFUSES"));
    pthread_mutex_unlock(&lock);
    ENTER(false);
    MUST(!flags);
    bool named = !first || (pthread_create(&thread, NULL, driver_thread, NULL) == 0 &&
                                   pthread_setname_np(thread, "fake-driver") == 0);
    return leave(named ? 0 : ABX_CU_OPERATING_SYSTEM);
}

EXPORT int cuDriverGetVersion(int *ret)
{
    ENTER(false);
    *ret = 13000;
    return leave(0);
}

EXPORT int cuDeviceGetCount(int *ret)
{
    ENTER(false);
    *ret = FAKE_DEVICES;
    return leave(0);
}

EXPORT int cuDeviceGet(int *ret, int index)
{
    ENTER(false);
    MUST(index >= 0 && index < FAKE_DEVICES);
    *ret = index;
    return leave(0);
}

EXPORT int cuDeviceGetName(char *ret, int bytes, int device)
{
    ENTER(false);
    MUST(device >= 0 && device < FAKE_DEVICES);
    snprintf(ret, (size_t)bytes, device ? "Fake GPU %d" : "Fake GPU", device + 1);
    return leave(0);
}

EXPORT int cuDeviceGetAttribute(int *ret, int which, int device)
{
    ENTER(false);
    *ret = which == ABX_CU_CAPABILITY_MAJOR ? (device == FAKE_TOO_OLD ? 7 : CAPABILITY / 10)
           : which == ABX_CU_PROCESSORS     ? 32
                                            : 0;
    return leave(0);
}

EXPORT int cuDeviceTotalMem_v2(size_t *ret, int device)
{
    ENTER(false);
    *ret = 1ull << 36;
    return leave(0);
}

EXPORT int cuCtxCreate_v2(abx_cu_context *ret, unsigned flags, int device)
{
    ENTER(false);
    spoilt = 0;
    contexts++;
    MUST(device != FAKE_TOO_OLD);
    context_device = device;
    current = *ret = calloc(1, sizeof **ret);
    return leave(0);
}

EXPORT int cuCtxDestroy_v2(abx_cu_context context)
{
    int code = enter_end(__func__);
    MUST(contexts && !streams && !graphs);
    for (struct abx_cu_module *m; (m = modules);) {
        modules = m->next;
        free(m);
    }
    contexts--;
    current = NULL;
    free(context);
    spoilt = 0;
    return leave(code);
}

/* Not counted: it is called before everything, and what it says comes with the next call. */
EXPORT int cuCtxSetCurrent(abx_cu_context context)
{
    current = context;
    return 0;
}

EXPORT int cuGetErrorName(int code, const char **ret)
{
    *ret = code ? "CUDA_ERROR_FAKE" : "CUDA_SUCCESS";
    return 0;
}

EXPORT int cuGetErrorString(int code, const char **ret)
{
    *ret = "made up";
    return 0;
}

/* ---- cuBLASLt, as far as it is called: its functions have no declarations here */

#pragma GCC diagnostic ignored "-Wmissing-prototypes"

struct lt {
    enum { LT_HANDLE = 1, LT_DESC, LT_LAYOUT, LT_PREFERENCE } kind;
    int type, batch, transposed[2];
    uint64_t rows, columns;
    int64_t row, stride;
    uint32_t alignment;
};

static int lt_new(struct lt **ret, struct lt what)
{
    *ret = malloc(sizeof **ret);
    **ret = what;
    lt_objects++;
    return leave(0);
}

static int lt_free(struct lt *o, int kind)
{
    pthread_mutex_lock(&lock);
    MUST(o && (int)o->kind == kind);
    free(o);
    lt_objects--;
    return leave(0);
}

EXPORT int cublasLtCreate(struct lt **ret)
{
    ENTER(true);
    return lt_new(ret, (struct lt){.kind = LT_HANDLE});
}

EXPORT int cublasLtDestroy(struct lt *o)
{
    return lt_free(o, LT_HANDLE);
}

EXPORT int cublasLtMatmulDescCreate(struct lt **ret, int compute, int scale)
{
    ENTER(true);
    MUST(compute == 68 && scale == 0);
    return lt_new(ret, (struct lt){.kind = LT_DESC});
}

EXPORT int cublasLtMatmulDescSetAttribute(struct lt *o, int which, const void *value, size_t bytes)
{
    ENTER(true);
    MUST(o->kind == LT_DESC && (which == 3 || which == 4) && bytes == 4);
    MUST(*(const int *)value == 1);
    o->transposed[which - 3] = 1;
    return leave(0);
}

EXPORT int cublasLtMatmulDescDestroy(struct lt *o)
{
    return lt_free(o, LT_DESC);
}

EXPORT int cublasLtMatrixLayoutCreate(
        struct lt **ret, int type, uint64_t rows, uint64_t columns, int64_t row)
{
    ENTER(true);
    MUST((type == 0 || type == 2 || type == 14) && rows && columns && row >= (int64_t)rows);
    return lt_new(ret, (struct lt){.kind = LT_LAYOUT,
                               .type = type,
                               .rows = rows,
                               .columns = columns,
                               .row = row,
                               .batch = 1});
}

EXPORT int cublasLtMatrixLayoutSetAttribute(
        struct lt *o, int which, const void *value, size_t bytes)
{
    ENTER(true);
    MUST(o->kind == LT_LAYOUT && ((which == 5 && bytes == 4) || (which == 6 && bytes == 8)));
    if (which == 5)
        o->batch = *(const int *)value;
    else
        o->stride = *(const int64_t *)value;
    return leave(0);
}

EXPORT int cublasLtMatrixLayoutDestroy(struct lt *o)
{
    return lt_free(o, LT_LAYOUT);
}

EXPORT int cublasLtMatmulPreferenceCreate(struct lt **ret)
{
    ENTER(true);
    return lt_new(ret, (struct lt){.kind = LT_PREFERENCE});
}

EXPORT int cublasLtMatmulPreferenceSetAttribute(
        struct lt *o, int which, const void *value, size_t bytes)
{
    ENTER(true);
    MUST(o->kind == LT_PREFERENCE && (which == 1 ? bytes == 8 : which >= 5 && which <= 8));
    if (which == 5)
        o->alignment = *(const uint32_t *)value;
    return leave(0);
}

EXPORT int cublasLtMatmulPreferenceDestroy(struct lt *o)
{
    return lt_free(o, LT_PREFERENCE);
}

/* Operands as they lie: rows and columns of op(). */
static bool lt_fits(const struct lt *o, bool transposed, uint64_t rows, uint64_t columns)
{
    return o->kind == LT_LAYOUT && (transposed ? o->columns : o->rows) == rows &&
           (transposed ? o->rows : o->columns) == columns;
}

struct lt_result {
    uint64_t algorithm[8];
    size_t workspace;
    int state;
    float waves;
    int reserved[4];
};

EXPORT int cublasLtMatmulAlgoGetHeuristic(const struct lt *handle, const struct lt *d,
        const struct lt *a, const struct lt *b, const struct lt *c, const struct lt *to,
        const struct lt *preference, int asked, struct lt_result *ret, int *ret_count)
{
    ENTER(true);
    MUST(handle->kind == LT_HANDLE && d->kind == LT_DESC && asked == 1 && c == to);
    MUST(preference->kind == LT_PREFERENCE && preference->alignment >= 2);
    uint64_t inner = d->transposed[0] ? a->rows : a->columns;
    MUST(lt_fits(a, d->transposed[0], c->rows, inner));
    MUST(lt_fits(b, d->transposed[1], inner, c->columns) && a->type == b->type);
    *ret = (struct lt_result){.algorithm = {1234}};
    *ret_count = c->rows == 13 ? 0 : 1; /* there is no way */
    return leave(0);
}

static size_t lt_bytes(const struct lt *o)
{
    int64_t elements =
            (int64_t)(o->columns - 1) * o->row + (int64_t)o->rows + (o->batch - 1) * o->stride;
    return (size_t)elements * (o->type == 0 ? 4 : 2);
}

EXPORT int cublasLtMatmul(const struct lt *handle, const struct lt *d, const void *alpha,
        const void *at, const struct lt *a, const void *bt, const struct lt *b, const void *beta,
        const void *ct, const struct lt *c, void *to, const struct lt *dt,
        const uint64_t *algorithm, void *workspace, size_t bytes, abx_cu_stream s)
{
    ENTER(true);
    MUST(handle->kind == LT_HANDLE && d->kind == LT_DESC && *(const float *)alpha == 2);
    MUST(*(const float *)beta == 0 && ct == to && c == dt && algorithm[0] == 1234);
    MUST(is_usable((abx_cu_address)(uintptr_t)workspace, bytes));
    MUST(is_usable((abx_cu_address)(uintptr_t)at, lt_bytes(a)));
    MUST(is_usable((abx_cu_address)(uintptr_t)bt, lt_bytes(b)));
    MUST(is_usable((abx_cu_address)(uintptr_t)to, lt_bytes(c)));
    return leave(add_op(s, (struct op){.kind = FILL,
                                   .to = (abx_cu_address)(uintptr_t)to,
                                   .bytes = lt_bytes(c),
                                   .value = 42}));
}
