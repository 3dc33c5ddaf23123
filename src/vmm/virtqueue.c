/* vmm: one split virtqueue (virtio 1.2, 2.7), with indirect tables and event indices. Runs in the
 * device process; the ring is the guest's. Every descriptor is copied, then checked; a chain is as
 * long as ABX_VMM_CHAIN_MAX at most, so one that leads back to itself ends there. */
#include "vmm/virtqueue.h"

#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

enum { PART_NEXT = 1, PART_WRITE = 2, PART_INDIRECT = 4 };

struct descriptor {
    uint64_t address;
    uint32_t bytes;
    uint16_t flags, next;
};

/* One side's positions: available from the guest, used from the device. */
struct available {
    _Atomic uint16_t flags, position;
    _Atomic uint16_t ring[]; /* and behind it: from where on of `used` it wants to be told */
};

struct used_element {
    uint32_t head, bytes;
};

struct used {
    _Atomic uint16_t flags, position;
    struct used_element ring[]; /* and behind it: from where on of `available` we want that */
};

struct rings {
    const struct descriptor *table;
    struct available *available;
    struct used *used;
    _Atomic uint16_t *used_event, *available_event;
};

/* Looked up each time: the memory table may have changed. */
static bool look_up(const struct abx_vmm_queue *q, const struct abx_vmm_ram *ram, struct rings *ret)
{
    uint64_t n = q->size;
    if (!q->addressed || !n || q->user[0] % 16 || q->user[1] % 2 || q->user[2] % 4)
        return false;
    ret->table = abx_vmm_ram_user(ram, q->user[0], n * sizeof(struct descriptor));
    ret->available = abx_vmm_ram_user(ram, q->user[1], sizeof *ret->available + 2 * n + 2);
    ret->used = abx_vmm_ram_user(
            ram, q->user[2], sizeof *ret->used + n * sizeof(struct used_element) + 2);
    if (!ret->table || !ret->available || !ret->used)
        return false;
    ret->used_event = &ret->available->ring[n];
    ret->available_event = (_Atomic uint16_t *)&ret->used->ring[n];
    return true;
}

void abx_vmm_queue_start(struct abx_vmm_queue *q)
{
    *q = (struct abx_vmm_queue){.kick = -1, .call = -1};
}

void abx_vmm_queue_stop(struct abx_vmm_queue *q)
{
    if (q->kick >= 0)
        close(q->kick);
    if (q->call >= 0)
        close(q->call);
    abx_vmm_queue_start(q);
}

/* ---- taking */

struct walk {
    const struct abx_vmm_ram *ram;
    const struct descriptor *table;
    unsigned count, steps; /* of the table; so far */
    bool indirect;
    uint8_t *request;
    uint32_t bytes;
    struct abx_vmm_reply *reply;
    uint32_t room;
};

static int copy_part(struct walk *w, const struct descriptor *d)
{
    if (w->reply->count) /* what is written comes behind what is read */
        return -EINVAL;
    const void *there = abx_vmm_ram_at(w->ram, d->address, d->bytes);
    if (!there || d->bytes > ABX_VMM_REQUEST_MAX - w->bytes)
        return -EINVAL;
    memcpy(w->request + w->bytes, there, d->bytes);
    w->bytes += d->bytes;
    return 0;
}

/* Room beyond what an answer can be is of no use. */
static int note_room(struct walk *w, const struct descriptor *d)
{
    if (!abx_vmm_ram_at(w->ram, d->address, d->bytes))
        return -EINVAL;
    if (w->reply->count == ABX_ARRAY_SIZE(w->reply->parts) || w->room >= ABX_VMM_RESPONSE_MAX)
        return 0;
    uint32_t left = ABX_VMM_RESPONSE_MAX - w->room, n = d->bytes < left ? d->bytes : left;
    w->reply->parts[w->reply->count++] = (struct abx_vmm_part){d->address, n};
    w->room += n;
    return 0;
}

static int enter(struct walk *w, const struct descriptor *d)
{
    if (w->indirect || (d->flags & (PART_NEXT | PART_WRITE)) || d->bytes == 0 ||
            d->bytes % sizeof *d || d->bytes / sizeof *d > ABX_VMM_CHAIN_MAX || d->address % 16)
        return -EINVAL;
    w->table = abx_vmm_ram_at(w->ram, d->address, d->bytes);
    w->count = (unsigned)(d->bytes / sizeof *d);
    w->indirect = true;
    return w->table ? 0 : -EINVAL;
}

static struct descriptor copy_descriptor(const struct descriptor *there)
{
    const volatile struct descriptor *from = there;
    return (struct descriptor){from->address, from->bytes, from->flags, from->next};
}

static int walk(struct walk *w, unsigned index)
{
    for (;;) {
        if (index >= w->count || ++w->steps > ABX_VMM_CHAIN_MAX)
            return -EINVAL;
        struct descriptor d = copy_descriptor(&w->table[index]);
        index = d.next;
        if (d.flags & PART_INDIRECT) {
            int r = enter(w, &d);
            if (r < 0)
                return r;
            index = 0;
            continue;
        }
        int r = d.flags & PART_WRITE ? note_room(w, &d) : copy_part(w, &d);
        if (r < 0 || !(d.flags & PART_NEXT))
            return r;
    }
}

/* Whether there is more, after the guest was asked to kick when there is. */
static bool more_after_asking(struct abx_vmm_queue *q, const struct rings *rings)
{
    if (!q->event_index)
        return false;
    atomic_store_explicit(rings->available_event, q->seen, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst);
    return atomic_load_explicit(&rings->available->position, memory_order_acquire) != q->seen;
}

int abx_vmm_queue_take(struct abx_vmm_queue *q, const struct abx_vmm_ram *ram, uint8_t *request,
        uint32_t *ret_bytes, struct abx_vmm_reply *ret_reply)
{
    struct rings rings;
    if (q->broken || !look_up(q, ram, &rings))
        return -EPIPE;
    uint16_t there = atomic_load_explicit(&rings.available->position, memory_order_acquire);
    if (there == q->seen) {
        if (!more_after_asking(q, &rings))
            return 0;
        there = atomic_load_explicit(&rings.available->position, memory_order_acquire);
    }
    uint16_t head = atomic_load_explicit(
            &rings.available->ring[q->seen & (q->size - 1)], memory_order_relaxed);
    if ((uint16_t)(there - q->seen) > q->size || head >= q->size) {
        q->broken = true;
        return -EPIPE;
    }
    q->seen++;
    *ret_reply = (struct abx_vmm_reply){.head = head};
    struct walk w = {.ram = ram,
            .table = rings.table,
            .count = q->size,
            .request = request,
            .reply = ret_reply};
    int r = walk(&w, head);
    *ret_bytes = r < 0 ? 0 : w.bytes;
    if (r < 0)
        ret_reply->count = 0;
    return r < 0 ? r : 1;
}

/* ---- giving back */

static uint32_t write_answer(const struct abx_vmm_ram *ram, const struct abx_vmm_reply *reply,
        const uint8_t *answer, uint32_t bytes)
{
    uint32_t done = 0;
    for (unsigned i = 0; i < reply->count && done < bytes; i++) {
        const struct abx_vmm_part *part = &reply->parts[i];
        uint32_t n = part->bytes < bytes - done ? part->bytes : bytes - done;
        void *there = abx_vmm_ram_at(ram, part->address, n);
        if (!there)
            break;
        memcpy(there, answer + done, n);
        done += n;
    }
    return done;
}

void abx_vmm_queue_give(struct abx_vmm_queue *q, const struct abx_vmm_ram *ram,
        const struct abx_vmm_reply *reply, const void *answer, uint32_t bytes)
{
    struct rings rings;
    if (q->broken || !look_up(q, ram, &rings))
        return;
    volatile struct used_element *element = &rings.used->ring[q->used & (q->size - 1)];
    element->head = reply->head;
    element->bytes = write_answer(ram, reply, answer, bytes);
    atomic_store_explicit(&rings.used->position, ++q->used, memory_order_release);
}

void abx_vmm_queue_notify(struct abx_vmm_queue *q, const struct abx_vmm_ram *ram)
{
    struct rings rings;
    uint64_t one = 1;
    uint16_t told = q->told;
    if (q->told == q->used || q->call < 0 || q->broken || !look_up(q, ram, &rings))
        return;
    q->told = q->used;
    atomic_thread_fence(memory_order_seq_cst);
    bool wanted;
    if (q->event_index) {
        uint16_t from = atomic_load_explicit(rings.used_event, memory_order_relaxed);
        wanted = (uint16_t)(q->used - from - 1) < (uint16_t)(q->used - told);
    } else
        wanted = !(atomic_load_explicit(&rings.available->flags, memory_order_relaxed) & 1);
    if (wanted)
        (void)!write(q->call, &one, sizeof one);
}
