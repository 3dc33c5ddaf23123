/* metal: copies of the program's memory. See metal_wrap.h. Runs in the guest's process.
 *
 * Two buffers over the same memory, or one over a part of another's, share a copy. Two that overlap
 * otherwise have one each: either sees what the other's commands wrote once those are complete.
 *
 * Locking: one lock for everything, the last to be taken: nothing is released or called under it.
 */
#include "metal/metal_wrap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>
#ifdef __x86_64__
#include <immintrin.h>
#endif

/* Copies are found by where their memory begins: in a table of granules, each as large as the
 * largest copy in it, so that what covers a byte begins in its granule or in the one before. There
 * is one for small copies and one for larger ones; the largest, and those of the ends of large
 * memory, stand in a list of their own. */
#define TABLES 2u
#define BUCKETS 4096u
static const uint64_t granules[TABLES] = {4096, 1 << 20};
#define STEP 16384u /* bytes compared at a time; on the stack */

struct piece {
    uint8_t *user, *shared, *base; /* base: what both last agreed on; malloc()ed */
    uint64_t bytes;
};

struct abx_metal_wrap {
    struct abx_metal_wrap *next; /* in its bucket, or the list */
    struct abx_client *client;
    struct abx_memory memory;
    uint8_t *user;
    uint64_t bytes;
    struct piece pieces[2];
    unsigned piece_count;
    uint32_t references, buffers; /* of them: buffers; without one the memory is nobody's */
    uint32_t in_flight;           /* of them: uses of command buffers that run */
    bool adopted, said;
    bool gone; /* adopted, and the program has let go of it: others may lie there */
};

_Atomic uint64_t abx_metal_watched;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct abx_metal_wrap *buckets[TABLES][BUCKETS], *large;
static struct abx_metal_buffer *exposed;
static struct abx_metal_command_buffer *in_flight; /* with uses, by next_wrapped */

/* The parent's buffers are nothing to a child, and another thread may have held the lock. */
static void forget_all(void)
{
    pthread_mutex_init(&lock, NULL);
    memset(buckets, 0, sizeof buckets);
    large = NULL;
    exposed = NULL;
    in_flight = NULL;
}

static void watch_forks(void)
{
    pthread_atfork(NULL, NULL, forget_all);
}

/* ---- the table; lock held */

static struct abx_metal_wrap **bucket_of(unsigned table, uint64_t granule)
{
    return &buckets[table][granule * 0x9e3779b97f4a7c15ull >> 52];
}

static struct abx_metal_wrap **list_of(const struct abx_metal_wrap *wrap)
{
    for (unsigned t = 0; !wrap->adopted && t < TABLES; t++)
        if (wrap->bytes <= granules[t])
            return bucket_of(t, (uintptr_t)wrap->user / granules[t]);
    return &large;
}

static struct abx_metal_wrap *covers(
        struct abx_metal_wrap *list, struct abx_client *client, uint8_t *pointer, uint64_t length)
{
    for (; list; list = list->next)
        if (list->client == client && pointer >= list->user && list->buffers && !list->gone &&
                abx_range_ok((uint64_t)(pointer - list->user), length, list->bytes))
            break;
    return list;
}

static struct abx_metal_wrap *find(struct abx_client *client, uint8_t *pointer, uint64_t length)
{
    struct abx_metal_wrap *found = NULL;
    for (unsigned t = 0; t < TABLES && !found; t++)
        for (uint64_t before = 0; before < 2 && !found; before++)
            found = covers(*bucket_of(t, (uintptr_t)pointer / granules[t] - before), client,
                    pointer, length);
    return found ? found : covers(large, client, pointer, length);
}

/* ---- exchanging */

/* Copies by way of a pipe, whose calls reach a driver's pages too; process_vm_readv() does not, and
 * such may be what a buffer was made over. -1 with errno. */
static ssize_t by_pipe(void *to, const void *from, size_t bytes)
{
    enum { BLOCK = 4096 };
    int ends[2];
    size_t done = 0;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -1;
    for (ssize_t n = 1; n > 0 && done < bytes; done += n > 0 ? (size_t)n : 0) {
        size_t want = bytes - done < BLOCK ? bytes - done : BLOCK;
        n = write(ends[1], (const char *)from + done, want);
        if (n > 0)
            n = read(ends[0], (char *)to + done, (size_t)n);
    }
    int error = errno;
    close(ends[0]);
    close(ends[1]);
    errno = error;
    return done == bytes ? (ssize_t)bytes : -1;
}

/* Reads the program's memory, which may not be there any more. */
static bool read_user(void *to, const uint8_t *from, size_t bytes)
{
    ssize_t n = process_vm_readv(getpid(), &(struct iovec){to, bytes}, 1,
            &(struct iovec){(void *)(uintptr_t)from, bytes}, 1, 0);
    if (n == (ssize_t)bytes)
        return true;
    if (n >= 0 || errno == EFAULT)
        return by_pipe(to, from, bytes) == (ssize_t)bytes;
    memcpy(to, from, bytes); /* a sandbox that forbids the call: as any program reads */
    return true;
}

/* Whether a byte of the program's memory can be written, tried with the value it is to have. */
static bool try_write(struct abx_metal_wrap *wrap, uint8_t *to, uint8_t value)
{
    ssize_t n = process_vm_writev(
            getpid(), &(struct iovec){&value, 1}, 1, &(struct iovec){to, 1}, 1, 0);
    if (n == 1 || errno != EFAULT || by_pipe(to, &value, 1) == 1)
        return true;
    if (!wrap->said)
        abx_metal_say("the device wrote to a buffer over memory that the program cannot write, at "
                      "%p: dropped",
                (void *)to);
    wrap->said = true;
    return false;
}

/* Bytes of `now` that differ from those of `base`, and nothing else, are written to `to`. */
static void write_changed(uint8_t *to, const uint8_t *base, const uint8_t *now, size_t bytes)
{
    const uint64_t low = 0x7f7f7f7f7f7f7f7fu, all = ~low;
    size_t i = 0;
    for (; i + 8 <= bytes; i += 8) {
        uint64_t new, old;
        memcpy(&new, now + i, 8);
        memcpy(&old, base + i, 8);
        uint64_t changed = new ^ old, which = (((changed & low) + low) | changed) & all;
        if (which == all)
            memcpy(to + i, &new, 8);
        else /* a bit for each byte that differs */
            for (; which; which &= which - 1) {
                unsigned k = (unsigned)__builtin_ctzll(which) / 8;
                to[i + k] = now[i + k];
            }
    }
    for (; i < bytes; i++)
        if (now[i] != base[i])
            to[i] = now[i];
}

#ifdef __x86_64__
/* The same with masked stores: numbers that all changed, in most of their bytes each, are written
 * at the speed of a copy. */
__attribute__((target("avx512bw"))) static void write_changed_wide(
        uint8_t *to, const uint8_t *base, const uint8_t *now, size_t bytes)
{
    size_t i = 0;
    for (; i + 64 <= bytes; i += 64) {
        __m512i new = _mm512_loadu_si512(now + i), old = _mm512_loadu_si512(base + i);
        _mm512_mask_storeu_epi8(to + i, _mm512_cmpneq_epi8_mask(new, old), new);
    }
    write_changed(to + i, base + i, now + i, bytes - i);
}
#endif

/* Where `now` differs from `base`, both `base` and `to` become `now`. Nothing else is written, so
 * that what the other side writes beside it meanwhile stays. */
static void carry(uint8_t *to, uint8_t *base, const uint8_t *now, size_t bytes)
{
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx512bw"))
        write_changed_wide(to, base, now, bytes);
    else
#endif
        write_changed(to, base, now, bytes);
    memcpy(base, now, bytes);
}

/* Lock held. Bytes that the program changed go to the device's copy. alone: nothing that is in
 * flight uses it. */
static void send_changes(const struct piece *p, uint64_t from, uint64_t to, bool alone)
{
    uint8_t now[STEP];
    for (uint64_t at = from; at < to; at += STEP) {
        uint64_t n = to - at < STEP ? to - at : STEP;
        if (!read_user(now, p->user + at, n))
            return;
        if (memcmp(now, p->base + at, n) == 0)
            continue;
        if (alone) {
            memcpy(p->shared + at, now, n);
            memcpy(p->base + at, now, n);
        } else {
            carry(p->shared + at, p->base + at, now, n);
        }
    }
}

/* Lock held. Bytes that the device changed go to the program's memory. */
static void take_changes(
        struct abx_metal_wrap *wrap, const struct piece *p, uint64_t from, uint64_t to)
{
    uint8_t now[STEP];
    for (uint64_t at = from; at < to; at += STEP) {
        uint64_t n = to - at < STEP ? to - at : STEP, i = 0;
        if (memcmp(p->shared + at, p->base + at, n) == 0)
            continue;
        memcpy(now, p->shared + at, n); /* others may be writing there: looked at once */
        while (i < n && now[i] == p->base[at + i])
            i++;
        if (i < n && !try_write(wrap, p->user + at + i, now[i]))
            return;
        carry(p->user + at, p->base + at, now, n);
    }
}

/* Lock held. */
static void exchange(const struct abx_metal_wrap_use *use, bool to_device)
{
    struct abx_metal_wrap *wrap = use->wrap;
    for (unsigned i = 0; wrap->buffers && !wrap->gone && i < wrap->piece_count; i++) {
        const struct piece *p = &wrap->pieces[i];
        uint8_t *first = wrap->user + use->offset, *end = first + use->length;
        if (first >= p->user + p->bytes || end <= p->user)
            continue;
        uint64_t from = first > p->user ? (uint64_t)(first - p->user) : 0;
        uint64_t to = end < p->user + p->bytes ? (uint64_t)(end - p->user) : p->bytes;
        if (to_device)
            send_changes(p, from, to, !wrap->in_flight);
        else
            take_changes(wrap, p, from, to);
    }
}

/* ---- copies */

static void wrap_free(struct abx_metal_wrap *wrap)
{
    for (unsigned i = 0; i < wrap->piece_count; i++)
        free(wrap->pieces[i].base);
    if (wrap->memory.owner)
        abx_client_free(wrap->client, &wrap->memory);
    free(wrap);
}

/* Lock held; true: the caller frees it, without the lock. */
static bool let_go(struct abx_metal_wrap *wrap)
{
    if (--wrap->references)
        return false;
    struct abx_metal_wrap **at = list_of(wrap);
    while (*at != wrap)
        at = &(*at)->next;
    *at = wrap->next;
    return true;
}

/* Where the copy is, and what of the memory is copied. */
static int make_pieces(struct abx_metal_wrap *wrap)
{
    struct abx_rim rims[2] = {{.user = wrap->user, .bytes = wrap->bytes}};
    unsigned count = 1;
    int r = abx_client_adopt(wrap->client, wrap->user, wrap->bytes, &wrap->memory);
    wrap->adopted = r == 0;
    if (r == 0) {
        count = abx_client_rims(&wrap->memory, rims);
    } else if (r == -ENOTSUP) {
        r = abx_metal_alloc(wrap->client, false, wrap->bytes, &wrap->memory);
        rims[0].shared = wrap->memory.pointer;
    }
    uint8_t probe;
    if (r == 0 && count &&
            !(read_user(&probe, wrap->user, 1) &&
                    read_user(&probe, wrap->user + wrap->bytes - 1, 1)))
        r = -EFAULT;
    for (unsigned i = 0; r == 0 && i < count; i++) {
        wrap->pieces[i] = (struct piece){
                rims[i].user, rims[i].shared, calloc(1, rims[i].bytes), rims[i].bytes};
        wrap->piece_count++;
        if (!wrap->pieces[i].base)
            r = -ENOMEM;
    }
    return r;
}

static struct abx_metal_wrap *wrap_make(
        struct abx_client *client, uint8_t *pointer, uint64_t length, int *ret_error)
{
    struct abx_metal_wrap *wrap = calloc(1, sizeof *wrap);
    if (!wrap) {
        *ret_error = -ENOMEM;
        return NULL;
    }
    wrap->client = client;
    wrap->user = pointer;
    wrap->bytes = length;
    wrap->references = wrap->buffers = 1;
    *ret_error = make_pieces(wrap);
    if (*ret_error < 0) {
        wrap_free(wrap);
        return NULL;
    }
    return wrap;
}

static void list_wrap(struct abx_metal_wrap *wrap)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, watch_forks);
    pthread_mutex_lock(&lock);
    wrap->next = *list_of(wrap);
    *list_of(wrap) = wrap;
    pthread_mutex_unlock(&lock);
}

/* The buffer takes the reference, or it is given back. */
static struct abx_metal_buffer *buffer_over(id device, struct abx_metal_wrap *wrap,
        uint8_t *pointer, uint64_t length, NSUInteger options)
{
    struct abx_metal_buffer *buffer = abx_metal_buffer_in(
            device, &wrap->memory, (uint64_t)(pointer - wrap->user), length, options);
    if (buffer) {
        buffer->wrap = wrap;
        buffer->contents = pointer;
        atomic_fetch_add(&abx_metal_watched, 1);
        return buffer;
    }
    pthread_mutex_lock(&lock);
    wrap->buffers--;
    bool last = let_go(wrap);
    pthread_mutex_unlock(&lock);
    if (last)
        wrap_free(wrap);
    return NULL;
}

/* All of it is shared in place: a buffer as any. */
static struct abx_metal_buffer *buffer_plain(
        id device, struct abx_metal_wrap *wrap, NSUInteger options)
{
    struct abx_metal_buffer *buffer =
            abx_metal_buffer_in(device, &wrap->memory, 0, wrap->bytes, options);
    if (buffer) {
        buffer->resource.memory = wrap->memory;
        wrap->memory.owner = NULL;
    }
    wrap_free(wrap);
    return buffer;
}

/* One that covers the memory, with a reference for a buffer; NULL: there is none. */
static struct abx_metal_wrap *take_existing(
        struct abx_client *client, uint8_t *pointer, uint64_t length)
{
    for (;;) {
        pthread_mutex_lock(&lock);
        struct abx_metal_wrap *wrap = find(client, pointer, length);
        if (wrap) {
            wrap->references++;
            wrap->buffers++;
        }
        pthread_mutex_unlock(&lock);
        if (!wrap || !wrap->adopted || abx_client_is_there(client, &wrap->memory))
            return wrap;
        pthread_mutex_lock(&lock);
        wrap->gone = true;
        wrap->buffers--;
        bool last = let_go(wrap);
        pthread_mutex_unlock(&lock);
        if (last)
            wrap_free(wrap);
    }
}

struct abx_metal_buffer *abx_metal_wrap_new(
        id device, uint8_t *pointer, uint64_t length, NSUInteger options, int *ret_error)
{
    struct abx_client *client = ((struct abx_metal_object *)device)->client;
    *ret_error = -ENOMEM;
    struct abx_metal_wrap *wrap = take_existing(client, pointer, length);
    if (wrap)
        return buffer_over(device, wrap, pointer, length, options);
    wrap = wrap_make(client, pointer, length, ret_error);
    if (!wrap)
        return NULL;
    *ret_error = -ENOMEM;
    if (!wrap->piece_count)
        return buffer_plain(device, wrap, options);
    list_wrap(wrap);
    return buffer_over(device, wrap, pointer, length, options);
}

void abx_metal_wrap_dealloc(struct abx_metal_buffer *buffer)
{
    struct abx_metal_wrap *wrap = buffer->wrap;
    if (abx_client_forked(wrap->client))
        return;
    pthread_mutex_lock(&lock);
    if (buffer->exposed) {
        struct abx_metal_buffer **at = &exposed;
        while (*at != buffer)
            at = &(*at)->next_exposed;
        *at = buffer->next_exposed;
    }
    wrap->buffers--;
    bool last = let_go(wrap);
    pthread_mutex_unlock(&lock);
    if (last)
        wrap_free(wrap);
    atomic_fetch_sub(&abx_metal_watched, 1);
}

void abx_metal_wrap_expose(struct abx_metal_buffer *buffer)
{
    if (abx_client_forked(buffer->wrap->client))
        return;
    pthread_mutex_lock(&lock);
    if (!buffer->exposed) {
        buffer->exposed = true;
        buffer->next_exposed = exposed;
        exposed = buffer;
    }
    pthread_mutex_unlock(&lock);
}

/* ---- command buffers */

/* Lock held. */
static void add_use(
        struct abx_metal_command_buffer *commands, const struct abx_metal_buffer *buffer)
{
    if (!abx_grow((void **)&commands->uses, &commands->use_capacity, commands->use_count,
                sizeof *commands->uses, UINT32_MAX)) {
        abx_metal_fail(commands, "no memory to keep the command buffer's resources");
        return;
    }
    buffer->wrap->references++;
    commands->uses[commands->use_count++] = (struct abx_metal_wrap_use){buffer->wrap,
            (uint64_t)((uint8_t *)buffer->contents - buffer->wrap->user), buffer->length};
}

void abx_metal_wrap_use(struct abx_metal_command_buffer *commands, struct abx_metal_buffer *buffer)
{
    pthread_mutex_lock(&lock);
    add_use(commands, buffer);
    pthread_mutex_unlock(&lock);
}

void abx_metal_wrap_commit(struct abx_metal_command_buffer *commands)
{
    pthread_mutex_lock(&lock);
    for (struct abx_metal_buffer *buffer = exposed; buffer; buffer = buffer->next_exposed)
        if (buffer->wrap->client == commands->base.client)
            add_use(commands, buffer);
    for (uint32_t i = 0; i < commands->use_count; i++)
        exchange(&commands->uses[i], true);
    for (uint32_t i = 0; i < commands->use_count; i++)
        commands->uses[i].wrap->in_flight++;
    if (commands->use_count) {
        commands->next_wrapped = in_flight;
        in_flight = commands;
        commands->wrapped = true;
    }
    pthread_mutex_unlock(&lock);
}

void abx_metal_wrap_complete(struct abx_metal_command_buffer *commands)
{
    pthread_mutex_lock(&lock);
    if (commands->wrapped) {
        struct abx_metal_command_buffer **at = &in_flight;
        while (*at != commands)
            at = &(*at)->next_wrapped;
        *at = commands->next_wrapped;
        commands->wrapped = false;
        for (uint32_t i = 0; i < commands->use_count; i++) {
            exchange(&commands->uses[i], false);
            commands->uses[i].wrap->in_flight--;
        }
    }
    pthread_mutex_unlock(&lock);
}

void abx_metal_wrap_drop(struct abx_metal_command_buffer *commands)
{
    if (!commands->uses || abx_client_forked(commands->base.client))
        return;
    for (uint32_t i = 0; i < commands->use_count; i++) {
        pthread_mutex_lock(&lock);
        bool last = let_go(commands->uses[i].wrap);
        pthread_mutex_unlock(&lock);
        if (last)
            wrap_free(commands->uses[i].wrap);
    }
    free(commands->uses);
    commands->uses = NULL;
    commands->use_count = commands->use_capacity = 0;
}

static void exchange_all(bool to_device)
{
    pthread_mutex_lock(&lock);
    for (struct abx_metal_command_buffer *c = in_flight; c; c = c->next_wrapped)
        for (uint32_t i = 0; i < c->use_count; i++)
            exchange(&c->uses[i], to_device);
    pthread_mutex_unlock(&lock);
}

void abx_metal_wrap_send(void)
{
    exchange_all(true);
}

void abx_metal_wrap_take(void)
{
    exchange_all(false);
}
