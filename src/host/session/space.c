/* host: the memory of a client. A window of addresses is reserved when it connects; chunks (memory
 * files of the guest) are mapped into it where the guest asks, and imported into the backend, each
 * once and whole; private memory is the backend's, at a place of the window where its device can do
 * that. Runs in the worker; addresses, sizes and files are the guest's. */
#include "host/session/internal.h"
#include "backend/window.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#define SMALL_WINDOW (1ull << 36) /* where address space is limited */

/* The ranges in use are a splay tree by address: guests hand addresses out in rising order and give
 * them back near where they last did, which is what splaying makes cheap. */
static struct abx_range *splay(struct abx_range *root, uint64_t address)
{
    struct abx_range side = {0}, *left = &side, *right = &side;
    if (!root)
        return NULL;
    for (;;) {
        if (address < root->address) {
            struct abx_range *child = root->left;
            if (!child)
                break;
            if (address < child->address) {
                root->left = child->right;
                child->right = root;
                root = child;
                if (!root->left)
                    break;
            }
            right->left = root;
            right = root;
            root = root->left;
        } else if (address > root->address) {
            struct abx_range *child = root->right;
            if (!child)
                break;
            if (address > child->address) {
                root->right = child->left;
                child->left = root;
                root = child;
                if (!root->right)
                    break;
            }
            left->right = root;
            left = root;
            root = root->right;
        } else
            break;
    }
    left->right = root->left;
    right->left = root->right;
    root->left = side.right;
    root->right = side.left;
    return root;
}

static bool overlaps(const struct abx_range *c, uint64_t address, uint64_t bytes)
{
    return c && c->address < address + bytes && address < c->address + c->bytes;
}

/* The range that [address, address + bytes) runs into, or NULL. Leaves the tree splayed at
 * `address`. */
static struct abx_range *collision(struct abx_session *session, uint64_t address, uint64_t bytes)
{
    struct abx_range *root = session->ranges = splay(session->ranges, address);
    if (overlaps(root, address, bytes))
        return root;
    if (!root)
        return NULL;
    /* The neighbour on the other side of `address`. */
    struct abx_range *c = root->address < address ? root->right : root->left;
    while (c && (root->address < address ? c->left : c->right))
        c = root->address < address ? c->left : c->right;
    return overlaps(c, address, bytes) ? c : NULL;
}

static void insert(struct abx_session *session, struct abx_range *range)
{
    struct abx_range *root = session->ranges;
    range->left = range->right = NULL;
    if (root && root->address < range->address) {
        range->left = root;
        range->right = root->right;
        root->right = NULL;
    } else if (root) {
        range->right = root;
        range->left = root->left;
        root->left = NULL;
    }
    session->ranges = range;
}

static void take_out(struct abx_session *session, struct abx_range *range)
{
    struct abx_range *root = splay(session->ranges, range->address);
    assert(root == range);
    if (!root->left)
        session->ranges = root->right;
    else {
        struct abx_range *rest = root->right;
        session->ranges = splay(root->left, range->address);
        session->ranges->right = rest;
    }
}

/* Waits until nothing overlaps: a command buffer whose buffers the guest already gave up may still
 * be running. Not for longer than it may run. */
static int wait_free(struct abx_session *session, uint64_t address, uint64_t bytes)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(session->host->limits.kernel_ns / 1000000000u) + 1;
    struct abx_range *c;
    while ((c = collision(session, address, bytes))) {
        /* Still named by the guest: only the thread that waits here could free it. */
        if (atomic_load(&c->named) ||
                pthread_cond_timedwait(&session->space_freed, &session->space_lock, &until) != 0)
            return -EEXIST;
    }
    return 0;
}

/* ---- the backend's memory */

/* From any thread of the backend's, or from inside import(). */
static void import_done(void *user, int error)
{
    struct abx_range *range = user;
    struct abx_session *session = range->session;
    int before = atomic_exchange(&range->state, error ? ABX_RANGE_FAILED : ABX_RANGE_READY);
    if (before == ABX_RANGE_IMPORTING) { /* else nobody can have waited for it */
        atomic_store(&session->ready, true);
        abx_session_rouse(session);
    }
    abx_range_release(range);
}

static void uncharge_mappings(struct abx_range *range, uint32_t count)
{
    atomic_fetch_sub(&range->session->host->mappings, count);
    atomic_fetch_sub(&range->session->mappings, count);
    range->mappings -= count;
}

static int charge_mappings(struct abx_range *range, uint32_t count)
{
    struct abx_session *session = range->session;
    uint64_t all = atomic_fetch_add(&session->host->mappings, count) + (uint64_t)count;
    uint64_t own = atomic_fetch_add(&session->mappings, count) + (uint64_t)count;
    range->mappings += count;
    if (all <= ABX_MAX_MAPPINGS && own <= ABX_MAX_CLIENT_MAPPINGS)
        return 0;
    uncharge_mappings(range, count);
    return -ENOMEM;
}

/* Back to a reservation. */
static void vacate(struct abx_range *range)
{
    abx_window_vacate(range->session->window + range->address, range->bytes);
    uncharge_mappings(range, range->mappings);
}

/* A file that the device reads into memory of its own: nothing is mapped here. */
static int load(struct abx_range *range, const struct abx_parcel *parcel)
{
    struct abx_session *session = range->session;
    const struct abx_memory_ops *ops = session->host->backend->memory;
    if (!parcel->is_file || parcel->fd < 0 || !ops->load)
        return -ENOTSUP;
    atomic_fetch_add(&range->references, 1); /* the import's */
    int r = ops->load(session->host->device, session->window + range->address, range->bytes,
            parcel->fd, parcel->file_offset, import_done, range, &range->memory);
    if (r < 0)
        atomic_fetch_sub(&range->references, 1);
    return r;
}

static int map_and_import(struct abx_range *range, const struct abx_parcel *parcel)
{
    struct abx_session *session = range->session;
    const struct abx_memory_ops *ops = session->host->backend->memory;
    uint8_t *at = session->window + range->address;
    int r = charge_mappings(range, parcel->run_count ? parcel->run_count : 1);
    if (r == 0)
        r = session->transport->ops->map(session->transport, parcel, at, range->bytes);
    if (r == 0) {
        atomic_fetch_add(&range->references, 1); /* the import's */
        r = ops->import(
                session->host->device, at, range->bytes, import_done, range, &range->memory);
        if (r < 0)
            atomic_fetch_sub(&range->references, 1);
    }
    if (r < 0)
        vacate(range);
    return r;
}

static int import(struct abx_range *range, const struct abx_parcel *parcel)
{
    int r = load(range, parcel);
    if (r < 0)
        r = map_and_import(range, parcel);
    atomic_compare_exchange_strong(&range->state, &(int){ABX_RANGE_NEW}, ABX_RANGE_IMPORTING);
    return r;
}

static int create_private(struct abx_range *range)
{
    struct abx_session *session = range->session;
    bool in_window = session->host->info.addresses == ABX_ADDRESS_GUEST;
    void *place = in_window ? session->window + range->address : NULL;
    int r = session->host->backend->memory->create_private(
            session->host->device, place, range->bytes, &range->memory);
    atomic_store(&range->state, ABX_RANGE_READY);
    return r;
}

/* Private memory and files: where a device has memory of its own they lie there. */
static bool is_on_device(const struct abx_range *range)
{
    return range->is_private || range->is_file;
}

uint64_t abx_range_cap(const struct abx_range *range)
{
    const struct abx_host *host = range->session->host;
    uint64_t own = is_on_device(range) ? abx_host_device_cap(host) : 0;
    return own ? own : host->limits.memory_bytes;
}

static void give_back(struct abx_range *range)
{
    struct abx_session *session = range->session;
    session->host->backend->memory->destroy(range->memory);
    if (!range->is_private)
        vacate(range);
    abx_host_uncharge(session, is_on_device(range), range->bytes);
    if (range->mirror_bytes)
        abx_host_uncharge(session, true, range->mirror_bytes);
}

int abx_space_open(struct abx_session *session)
{
    const struct abx_memory_ops *ops = session->host->backend->memory;
    void *window;
    session->window_bytes = ABX_WINDOW_BYTES;
    int r = ops->reserve(session->host->device, session->window_bytes, &window);
    if (r < 0) { /* few addresses: a limit, or page tables of three levels */
        session->window_bytes = SMALL_WINDOW;
        r = ops->reserve(session->host->device, session->window_bytes, &window);
    }
    if (r == 0)
        session->window = window;
    return r;
}

void abx_space_close(struct abx_session *session)
{
    if (!session->window)
        return;
    pthread_mutex_lock(&session->space_lock);
    while (session->ranges) /* imports that are still under way */
        pthread_cond_wait(&session->space_freed, &session->space_lock);
    pthread_mutex_unlock(&session->space_lock);
    session->host->backend->memory->release(
            session->host->device, session->window, session->window_bytes);
    session->window = NULL;
}

int abx_space_map(struct abx_session *session, uint64_t address, uint64_t bytes,
        const struct abx_parcel *parcel, struct abx_range **ret)
{
    if (address % 4096 || !abx_range_ok(address, bytes, session->window_bytes) || bytes == 0 ||
            bytes > UINT64_MAX - 4095)
        return -EINVAL;
    struct abx_range *range = calloc(1, sizeof *range);
    if (!range)
        return -ENOMEM;
    range->session = session;
    range->address = address;
    range->bytes = abx_align_up(bytes, 4096);
    range->is_private = !parcel;
    range->is_file = parcel && parcel->is_file;
    atomic_init(&range->references, 1);
    atomic_init(&range->named, true);
    if (!abx_range_ok(address, range->bytes, session->window_bytes)) {
        free(range);
        return -EINVAL;
    }
    pthread_mutex_lock(&session->space_lock);
    int r = wait_free(session, address, range->bytes);
    if (r == 0)
        insert(session, range);
    pthread_mutex_unlock(&session->space_lock);
    if (r < 0) {
        free(range);
        return r;
    }
    if (abx_host_charge(session, is_on_device(range), range->bytes) < 0)
        range->poison = ABX_REASON_MEMORY;
    else if ((range->is_private ? create_private(range) : import(range, parcel)) < 0) {
        range->poison = ABX_REASON_MEMORY;
        range->memory = NULL;
        abx_host_uncharge(session, is_on_device(range), range->bytes);
    }
    *ret = range;
    return 0;
}

void abx_range_mirror(struct abx_range *range, bool unseen)
{
    struct abx_session *session = range->session;
    const struct abx_memory_ops *ops = session->host->backend->memory;
    if (!ops->mirror || !range->memory || range->is_file || range->mirror_bytes)
        return;
    /* A backend maps it a second time, as one piece: what a machine has in several stays where it
     * is. */
    if (range->mappings != 1 || charge_mappings(range, 1) < 0)
        return;
    uint64_t bytes = ops->mirror_bytes(range->bytes);
    if (abx_host_charge_spare(session, bytes) < 0) {
        uncharge_mappings(range, 1);
        return;
    }
    if (ops->mirror(range->memory, unseen) < 0) {
        abx_host_uncharge(session, true, bytes);
        uncharge_mappings(range, 1);
    } else
        range->mirror_bytes = bytes;
}

/* Programs read a little past the end of a buffer and do not use what they get (ggml reads rows in
 * steps of 32). A GPU gives zeros. A page that the guest maps between the fault and this call
 * becomes read-only: a later write ends that guest's own device. */
bool abx_space_read_zeros(struct abx_session *session, const void *address)
{
    uint64_t at = (uint64_t)((const uint8_t *)address - session->window);
    if (at >= session->window_bytes ||
            atomic_fetch_add(&session->stray_pages, 1) >= ABX_MAX_STRAY_PAGES)
        return false;
    return mprotect(session->window + (at & ~(uint64_t)4095), 4096, PROT_READ) == 0;
}

void abx_range_release(struct abx_range *range)
{
    if (atomic_fetch_sub_explicit(&range->references, 1, memory_order_acq_rel) != 1)
        return;
    struct abx_session *session = range->session;
    const struct abx_host_transport *transport = session->transport; /* it outlives its ranges */
    if (range->memory)
        give_back(range);
    if (!range->is_private && transport->ops->released)
        transport->ops->released((struct abx_host_transport *)transport, range->address);
    pthread_mutex_lock(&session->space_lock);
    take_out(session, range);
    free(range);
    pthread_cond_broadcast(&session->space_freed);
    pthread_mutex_unlock(&session->space_lock);
}
