/* backend/cuda: memory. Worker process. Places are the guest's choice, checked by the host: whole
 * pages of a window that nothing else is at.
 *
 * A window is reserved in the device's addresses and in this process's, at the same place. Shared
 * memory is pages of both sides that are registered where they are mapped: the device's address is
 * the processor's. Private memory is mapped in slots of 2 MiB, which is all that the device can do:
 * small allocations share one. A slot has either kind, never both (guests keep them apart; one that
 * does not is refused). */
#include "backend/cuda/cuda_internal.h"
#include "backend/window.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Registering pages one after the other costs twice as much as when all are there. */
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

#define GUARD_BYTES ABX_CUDA_GUARD_BYTES
#define IMPORT_AT_ONCE (4u << 20) /* smaller pieces */

struct slot {
    abx_cu_memory memory;
    uint32_t privates; /* that lie in it; memory is mapped while there are some */
    uint32_t imports;
    bool claimed; /* by the only import in it */
};

struct abx_cuda_window {
    struct abx_cuda_window *next;
    abx_cu_address address;
    uint64_t bytes;
    struct slot *slots; /* pages of it are there once they are used */
    size_t slot_count;
};

/* ---- windows */

static int window_reserve(struct abx_device *device, uint64_t bytes, void **ret)
{
    struct abx_cuda_window *w = calloc(1, sizeof *w);
    if (!w)
        return -ENOMEM;
    bytes = abx_align_up(bytes, ABX_CUDA_SLOT_BYTES);
    w->bytes = bytes;
    w->slot_count = bytes / ABX_CUDA_SLOT_BYTES;
    w->slots = mmap(NULL, w->slot_count * sizeof *w->slots, PROT_READ | PROT_WRITE,
            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (w->slots == MAP_FAILED) {
        free(w);
        return -ENOMEM;
    }
    abx_cuda_enter(device);
    int result = abx_cu.address_reserve(&w->address, bytes, ABX_CUDA_SLOT_BYTES, 0, 0);
    void *at = (void *)(uintptr_t)w->address;
    /* The driver may have taken this process's addresses, too: they are ours in either case. */
    if (result == ABX_CU_OK &&
            mmap(at, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1,
                    0) == MAP_FAILED) {
        (void)abx_cu.address_free(w->address, bytes);
        result = ABX_CU_OUT_OF_MEMORY;
    }
    if (result) {
        munmap(w->slots, w->slot_count * sizeof *w->slots);
        free(w);
        return -ENOMEM;
    }
    pthread_mutex_lock(&device->lock);
    w->next = device->windows;
    device->windows = w;
    pthread_mutex_unlock(&device->lock);
    *ret = at;
    return 0;
}

static void window_release(struct abx_device *device, void *window, uint64_t bytes)
{
    pthread_mutex_lock(&device->lock);
    struct abx_cuda_window **at = &device->windows;
    while ((*at)->address != (abx_cu_address)(uintptr_t)window)
        at = &(*at)->next;
    struct abx_cuda_window *w = *at;
    *at = w->next;
    pthread_mutex_unlock(&device->lock);
    abx_cuda_enter(device);
    (void)abx_cu.address_free(w->address, w->bytes);
    munmap(window, w->bytes);
    munmap(w->slots, w->slot_count * sizeof *w->slots);
    free(w);
}

/* The window that [address, address + bytes) lies in, or NULL. The device's lock is held. */
static struct abx_cuda_window *window_of(
        struct abx_device *device, abx_cu_address address, uint64_t bytes)
{
    for (struct abx_cuda_window *w = device->windows; w; w = w->next)
        if (address >= w->address && abx_range_ok(address - w->address, bytes, w->bytes))
            return w;
    return NULL;
}

static size_t first_slot(const struct abx_cuda_window *w, abx_cu_address address)
{
    return (size_t)((address - w->address) / ABX_CUDA_SLOT_BYTES);
}

static size_t last_slot(const struct abx_cuda_window *w, abx_cu_address address, uint64_t bytes)
{
    return (size_t)((address - w->address + bytes - 1) / ABX_CUDA_SLOT_BYTES);
}

/* ---- private memory. The device's lock is held in all of this. */

static int map_slots(
        struct abx_device *device, struct abx_cuda_window *w, size_t first, size_t count)
{
    struct abx_cu_allocation what = {.type = 1, .location = {1, device->number}};
    struct abx_cu_access access = {{1, device->number}, 3};
    abx_cu_address at = w->address + first * ABX_CUDA_SLOT_BYTES;
    size_t bytes = count * ABX_CUDA_SLOT_BYTES;
    abx_cu_memory memory;
    int result = abx_cu.memory_create(&memory, bytes, &what, 0);
    if (result)
        return result;
    result = abx_cu.memory_map(at, bytes, 0, memory, 0);
    if (!result) {
        result = abx_cu.memory_access(at, bytes, &access, 1);
        if (result)
            (void)abx_cu.memory_unmap(at, bytes);
    }
    if (result) {
        (void)abx_cu.memory_release(memory);
        return result;
    }
    for (size_t i = 0; i < count; i++)
        w->slots[first + i].memory = memory;
    return 0;
}

static void unmap_slots(struct abx_cuda_window *w, size_t first, size_t count)
{
    (void)abx_cu.memory_unmap(
            w->address + first * ABX_CUDA_SLOT_BYTES, count * ABX_CUDA_SLOT_BYTES);
    (void)abx_cu.memory_release(w->slots[first].memory);
    for (size_t i = 0; i < count; i++)
        w->slots[first + i].memory = 0;
}

/* Slots [first, first + count), of which nobody else may have any but the two at the ends: one
 * allocation for all in the middle. */
static size_t run_of(size_t at, size_t first, size_t last)
{
    return at == first || at == last ? 1 : last - at;
}

static void leave_slots(struct abx_cuda_window *w, size_t first, size_t end, size_t last)
{
    for (size_t at = first; at < end;) {
        size_t count = run_of(at, first, last);
        for (size_t i = 0; i < count; i++)
            w->slots[at + i].privates--;
        if (!w->slots[at].privates)
            unmap_slots(w, at, count);
        at += count;
    }
}

static int enter_slots(
        struct abx_device *device, struct abx_cuda_window *w, size_t first, size_t last)
{
    for (size_t i = first; i <= last; i++)
        if (w->slots[i].imports || w->slots[i].claimed)
            return -EINVAL;
    for (size_t at = first; at <= last;) {
        size_t count = run_of(at, first, last);
        int result = w->slots[at].privates ? ABX_CU_OK : map_slots(device, w, at, count);
        if (result) {
            leave_slots(w, first, at, last);
            return abx_cuda_errno(result);
        }
        for (size_t i = 0; i < count; i++)
            w->slots[at + i].privates++;
        at += count;
    }
    return 0;
}

static int zero(struct abx_device *device, struct abx_device_memory *m)
{
    int result = abx_cu.fill(m->address, 0, m->bytes, device->zero_stream);
    if (!result)
        result = abx_cu.event_record(device->zero_event, device->zero_stream);
    if (result) {
        (void)abx_cu.stream_synchronize(device->zero_stream); /* the memory is about to go */
        return abx_cuda_errno(result);
    }
    atomic_fetch_add(&device->zeroings, 1);
    return 0;
}

/* The driver's own allocation, for memory that need not lie anywhere. */
static int allocate(struct abx_device *device, struct abx_device_memory *m)
{
    int r = abx_cuda_errno(abx_cu.alloc(&m->address, m->bytes));
    if (r == 0 && (r = zero(device, m)) < 0)
        (void)abx_cu.free(m->address);
    return r;
}

/* A slot may end where the memory does: the next one, then. */
static size_t end_slot(const struct abx_cuda_window *w, const struct abx_device_memory *m)
{
    size_t last = last_slot(w, m->address, m->bytes);
    bool more =
            last + 1 < w->slot_count && !w->slots[last + 1].imports && !w->slots[last + 1].claimed;
    return more ? last_slot(w, m->address, m->bytes + GUARD_BYTES) : last;
}

static int place_private(struct abx_device *device, struct abx_device_memory *m, void *place)
{
    m->address = (abx_cu_address)(uintptr_t)place;
    m->window = window_of(device, m->address, m->bytes);
    if (!m->window)
        return -EINVAL;
    size_t first = first_slot(m->window, m->address);
    size_t last = m->last_slot = end_slot(m->window, m);
    int r = enter_slots(device, m->window, first, last);
    if (r == 0 && (r = zero(device, m)) < 0)
        leave_slots(m->window, first, last + 1, last);
    return r;
}

static int create_private(
        struct abx_device *device, void *place, uint64_t bytes, struct abx_device_memory **ret)
{
    if (bytes == 0 || bytes > PTRDIFF_MAX)
        return bytes ? -ENOMEM : -EINVAL;
    struct abx_device_memory *m = calloc(1, sizeof *m);
    if (!m)
        return -ENOMEM;
    m->device = device;
    m->bytes = bytes;
    abx_cuda_enter(device);
    pthread_mutex_lock(&device->lock);
    int r = place ? place_private(device, m, place) : allocate(device, m);
    pthread_mutex_unlock(&device->lock);
    if (r < 0) {
        free(m);
        return r;
    }
    *ret = m;
    return 0;
}

static void free_private(struct abx_device_memory *m)
{
    struct abx_device *device = m->device;
    pthread_mutex_lock(&device->lock);
    /* Nothing uses it but, perhaps, its zeroing. */
    (void)abx_cu.stream_synchronize(device->zero_stream);
    if (m->window)
        leave_slots(m->window, first_slot(m->window, m->address), m->last_slot + 1, m->last_slot);
    else
        (void)abx_cu.free(m->address);
    pthread_mutex_unlock(&device->lock);
}

/* ---- shared memory. Programs read a little past the end of a buffer and do not use what they get
 * (ggml reads rows in steps of 32); a GPU of Apple's gives zeros. Behind each piece of shared
 * memory there is a page for that, registered with it, where the guest has put nothing else (its
 * library leaves room). Behind private memory is the rest of its slot. */

static bool touches(const struct abx_device_memory *m, abx_cu_address at, uint64_t bytes)
{
    return at < m->address + m->bytes + (m->guarded ? GUARD_BYTES : 0) && m->address < at + bytes;
}

/* From here on the pages are its own. -EINVAL: they are another's, or one of them is private
 * memory's. */
static int enlist(struct abx_device_memory *m)
{
    struct abx_device *device = m->device;
    struct abx_cuda_window *w = m->window = window_of(device, m->address, m->bytes);
    if (!w)
        return -EINVAL;
    for (size_t i = first_slot(w, m->address); i <= last_slot(w, m->address, m->bytes); i++)
        if (w->slots[i].privates || w->slots[i].claimed)
            return -EINVAL;
    abx_cu_address end = m->address + m->bytes;
    m->guarded = end + GUARD_BYTES <= w->address + w->bytes &&
                 !w->slots[first_slot(w, end)].privates && !w->slots[first_slot(w, end)].claimed;
    for (const struct abx_device_memory *o = device->live; o; o = o->next_live) {
        if (touches(o, m->address, m->bytes))
            return -EINVAL;
        if (touches(o, end, GUARD_BYTES))
            m->guarded = false;
    }
    for (size_t i = first_slot(w, m->address); i <= last_slot(w, m->address, m->bytes); i++)
        w->slots[i].imports++;
    m->next_live = device->live;
    device->live = m;
    return 0;
}

static void delist(struct abx_device_memory *m)
{
    struct abx_device_memory **at = &m->device->live;
    while (*at != m)
        at = &(*at)->next_live;
    *at = m->next_live;
    struct abx_cuda_window *w = m->window;
    for (size_t i = first_slot(w, m->address); i <= last_slot(w, m->address, m->bytes); i++)
        w->slots[i].imports--;
}

static int register_pages(struct abx_device_memory *m)
{
    char *at = (char *)(uintptr_t)m->address;
    abx_cu_address seen = 0;
    if (atomic_load(&m->device->lost))
        return -EIO;
    if (m->guarded && mmap(at + m->bytes, GUARD_BYTES, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
        return -ENOMEM;
    /* Where the kernel is too old for it the driver brings the pages, more slowly. */
    (void)madvise(at, m->bytes, MADV_POPULATE_WRITE);
    int result = abx_cu.host_register(
            at, m->bytes + (m->guarded ? GUARD_BYTES : 0), ABX_CU_HOST_PORTABLE_MAPPED);
    if (result && m->guarded && !abx_cuda_is_fatal(result)) {
        /* A driver that does not take pages of two kinds at once: without the one behind, then. */
        pthread_mutex_lock(&m->device->lock);
        abx_window_vacate(at + m->bytes, GUARD_BYTES);
        m->guarded = false;
        pthread_mutex_unlock(&m->device->lock);
        result = abx_cu.host_register(at, m->bytes, ABX_CU_HOST_PORTABLE_MAPPED);
    }
    if (result)
        return abx_cuda_errno(result);
    m->registered = true;
    result = abx_cu.host_address(&seen, at, 0);
    /* Kernels would go somewhere else than the guest was told. */
    return result || seen != m->address ? -EIO : 0;
}

int abx_cuda_register(struct abx_device_memory *m)
{
    return register_pages(m);
}

/* The last slot may have nothing but what is behind the memory. */
int abx_cuda_claim(struct abx_device_memory *m)
{
    struct abx_cuda_window *w = m->window;
    int r = 0;
    pthread_mutex_lock(&m->device->lock);
    size_t first = first_slot(w, m->address), own = last_slot(w, m->address, m->bytes);
    size_t last = last_slot(w, m->address, m->bytes + GUARD_BYTES);
    if (m->address % ABX_CUDA_SLOT_BYTES || last >= w->slot_count)
        r = -EINVAL;
    for (size_t i = first; i <= last && r == 0; i++)
        if (w->slots[i].privates || w->slots[i].claimed || w->slots[i].imports != (i <= own))
            r = -EINVAL;
    for (size_t i = first; i <= last && r == 0; i++)
        w->slots[i].claimed = true;
    pthread_mutex_unlock(&m->device->lock);
    return r;
}

void abx_cuda_unclaim(struct abx_device_memory *m)
{
    struct abx_cuda_window *w = m->window;
    pthread_mutex_lock(&m->device->lock);
    for (size_t i = first_slot(w, m->address);
            i <= last_slot(w, m->address, m->bytes + GUARD_BYTES); i++)
        w->slots[i].claimed = false;
    pthread_mutex_unlock(&m->device->lock);
}

static void *importer(void *argument)
{
    struct abx_device *device = argument;
    abx_cuda_enter(device);
    pthread_mutex_lock(&device->lock);
    for (;;) {
        while (!device->imports && !device->closing)
            pthread_cond_wait(&device->import_wake, &device->lock);
        struct abx_device_memory *m = device->imports;
        if (!m)
            break;
        device->imports = m->next;
        if (!device->imports)
            device->imports_end = &device->imports;
        pthread_mutex_unlock(&device->lock);
        m->done(m->user,
                m->file ? abx_cuda_file_read(m) : register_pages(m)); /* it may be gone now */
        pthread_mutex_lock(&device->lock);
    }
    pthread_mutex_unlock(&device->lock);
    return NULL;
}

static void import_later(struct abx_device *device, struct abx_device_memory *m)
{
    pthread_mutex_lock(&device->lock);
    *device->imports_end = m;
    device->imports_end = &m->next;
    pthread_cond_signal(&device->import_wake);
    pthread_mutex_unlock(&device->lock);
}

static int import(struct abx_device *device, void *address, uint64_t bytes,
        void (*done)(void *user, int error), void *user, struct abx_device_memory **ret)
{
    struct abx_device_memory *m = calloc(1, sizeof *m);
    if (!m)
        return -ENOMEM;
    *m = (struct abx_device_memory){.device = device,
            .address = (abx_cu_address)(uintptr_t)address,
            .bytes = bytes,
            .imported = true,
            .done = done,
            .user = user};
    pthread_mutex_lock(&device->lock);
    int r = enlist(m);
    pthread_mutex_unlock(&device->lock);
    if (r < 0) {
        free(m);
        return r;
    }
    *ret = m;
    if (bytes > IMPORT_AT_ONCE)
        import_later(device, m);
    else { /* two changes of threads would take as long */
        abx_cuda_enter(device);
        done(user, register_pages(m));
    }
    return 0;
}

static void memory_destroy(struct abx_device_memory *m)
{
    if (!m)
        return;
    struct abx_device *device = m->device;
    abx_cuda_enter(device);
    if (m->file)
        abx_cuda_file_close(m);
    abx_cuda_mirror_close(m);
    if (m->registered)
        (void)abx_cu.host_unregister((void *)(uintptr_t)m->address);
    if (m->imported) {
        pthread_mutex_lock(&device->lock);
        if (m->guarded)
            abx_window_vacate((void *)(uintptr_t)(m->address + m->bytes), GUARD_BYTES);
        delist(m);
        pthread_mutex_unlock(&device->lock);
    } else
        free_private(m);
    free(m);
}

static int load(struct abx_device *device, void *place, uint64_t bytes, int fd, uint64_t offset,
        void (*done)(void *user, int error), void *user, struct abx_device_memory **ret)
{
    struct abx_device_memory *m;
    int r = create_private(device, place, bytes, &m);
    if (r < 0)
        return r;
    r = abx_cuda_file_open(m, fd, offset);
    if (r < 0) {
        memory_destroy(m);
        return r;
    }
    m->done = done;
    m->user = user;
    *ret = m;
    import_later(device, m);
    return 0;
}

static uint64_t memory_address(const struct abx_device_memory *m)
{
    return m->address;
}

/* ---- with the device */

int abx_cuda_memory_open(struct abx_device *device)
{
    struct abx_cu_allocation what = {.type = 1, .location = {1, device->number}};
    size_t granularity = 0;
    int result = abx_cu.memory_granularity(&granularity, &what, 0);
    if (!result && (granularity == 0 || ABX_CUDA_SLOT_BYTES % granularity))
        return -ENODEV;
    if (!result)
        result = abx_cu.stream_create(&device->zero_stream, ABX_CU_STREAM_NON_BLOCKING);
    if (!result)
        result = abx_cu.event_create(&device->zero_event, ABX_CU_EVENT_NO_TIMING);
    if (result)
        return abx_cuda_errno(result);
    int r = -pthread_create(&device->importer, NULL, importer, device);
    if (r < 0)
        device->importer = 0;
    return r;
}

void abx_cuda_memory_close(struct abx_device *device)
{
    if (device->importer) {
        pthread_mutex_lock(&device->lock);
        device->closing = true;
        pthread_cond_signal(&device->import_wake);
        pthread_mutex_unlock(&device->lock);
        pthread_join(device->importer, NULL);
    }
    if (device->context)
        abx_cuda_enter(device);
    if (device->zero_event)
        (void)abx_cu.event_destroy(device->zero_event);
    if (device->zero_stream)
        (void)abx_cu.stream_destroy(device->zero_stream);
    if (device->words)
        (void)abx_cu.host_free(device->words);
}

const struct abx_memory_ops abx_cuda_memory_ops = {
        .reserve = window_reserve,
        .release = window_release,
        .import = import,
        .load = load,
        .create_private = create_private,
        .mirror_bytes = abx_cuda_mirror_bytes,
        .mirror = abx_cuda_mirror,
        .seen = abx_cuda_seen,
        .exposed = abx_cuda_exposed,
        .wrote = abx_cuda_wrote,
        .address = memory_address,
        .destroy = memory_destroy,
};
