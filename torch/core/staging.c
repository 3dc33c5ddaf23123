/* torch: bytes between the processor's memory and the device's. Where both are the same that is a
 * copy, once nothing launched has them. A discrete GPU's memory is filled and read by kernels,
 * through a ring of memory that both see. */
#include "internal.h"

#include <errno.h>
#include <string.h>

#define SLOTS 16u
#define SLOT_BYTES ((size_t)1 << 20)
#define DOWNLOAD_SLOTS (SLOTS / 2)

static struct {
    struct abx_torch_block slots[SLOTS];
    unsigned current;
    size_t used; /* of the current one */
} ring;

/* What the processor sees. */
static char *bytes_of(struct abx_torch_operand at)
{
    return at.block->data + at.offset;
}

static int copy_bytes(struct abx_torch_operand to, struct abx_torch_operand from, size_t size)
{
    struct abx_torch_operand operands[] = {to, from};
    uint64_t bytes = size;
    struct abx_torch_launch l = {.library = "bytes",
            .function = "copy_bytes",
            .parameters = &bytes,
            .parameter_size = sizeof bytes,
            .operands = operands,
            .operand_count = 2,
            .grid = {(size + 15) / 16, 1, 1}};
    return core_launch(&l);
}

/* ---- memory of the processor's too: through memory that no launched work has */

static int upload_staged(struct abx_torch_operand to, const void *from, size_t size)
{
    struct abx_torch_block *staging = allocator_take(size);
    if (!staging)
        return core_fail(ENOMEM, "out of memory");
    uint64_t last = batch_last_use(staging);
    int r = batch_has_ended(last) ? 0 : batch_wait(last);
    memcpy(staging->data, from, size);
    if (r == 0)
        r = copy_bytes(to, (struct abx_torch_operand){staging, 0}, size);
    allocator_return(staging);
    return r;
}

/* ---- memory of the device's own */

static int open_ring(void)
{
    if (ring.slots[0].buffer)
        return 0;
    id buffer = allocator_new_buffer(SLOTS * SLOT_BYTES, false);
    if (!buffer)
        return core_fail(ENOMEM, "out of memory");
    char *data = metal_buffer_contents(buffer);
    for (unsigned i = 0; i < SLOTS; i++)
        ring.slots[i] = (struct abx_torch_block){.data = data + i * SLOT_BYTES,
                .size = SLOT_BYTES,
                .buffer = buffer,
                .offset = i * SLOT_BYTES};
    return 0;
}

/* `size` bytes of the ring, at most a slot, that no launched work has. */
static int take(size_t size, struct abx_torch_operand *ret)
{
    int r = open_ring();
    if (r == 0 && SLOT_BYTES - ring.used < size) {
        ring.current = (ring.current + 1) % SLOTS;
        ring.used = 0;
        r = batch_wait(ring.slots[ring.current].last_use);
    }
    if (r < 0)
        return r;
    struct abx_torch_block *slot = &ring.slots[ring.current];
    *ret = (struct abx_torch_operand){slot, ring.used};
    ring.used += (size + 15) & ~(size_t)15;
    return 0;
}

static struct abx_torch_operand behind(struct abx_torch_operand at, size_t bytes)
{
    return (struct abx_torch_operand){at.block, at.offset + bytes};
}

static int upload_in_pieces(struct abx_torch_operand to, const char *from, size_t size)
{
    struct abx_torch_operand place;
    int r = 0;
    for (size_t done = 0; r == 0 && done < size;) {
        size_t n = size - done < SLOT_BYTES ? size - done : SLOT_BYTES;
        r = take(n, &place);
        if (r < 0)
            break;
        memcpy(bytes_of(place), from + done, n);
        r = copy_bytes(behind(to, done), place, n);
        done += n;
    }
    return r;
}

/* What half the ring holds: one wait. */
static int download_some(char *to, struct abx_torch_operand from, size_t size)
{
    struct abx_torch_operand places[DOWNLOAD_SLOTS];
    unsigned count = 0;
    int r = 0;
    for (size_t done = 0; r == 0 && done < size; done += SLOT_BYTES, count++) {
        size_t n = size - done < SLOT_BYTES ? size - done : SLOT_BYTES;
        r = take(n, &places[count]);
        if (r == 0)
            r = copy_bytes(places[count], behind(from, done), n);
    }
    if (r == 0)
        r = batch_wait(places[count - 1].block->last_use);
    for (unsigned i = 0; r == 0 && i < count; i++) {
        size_t done = i * SLOT_BYTES, n = size - done < SLOT_BYTES ? size - done : SLOT_BYTES;
        memcpy(to + done, bytes_of(places[i]), n);
    }
    return r;
}

static int download_in_pieces(char *to, struct abx_torch_operand from, size_t size)
{
    const size_t most = DOWNLOAD_SLOTS * SLOT_BYTES;
    int r = 0;
    for (size_t done = 0; r == 0 && done < size; done += most)
        r = download_some(to + done, behind(from, done), size - done < most ? size - done : most);
    return r;
}

/* ---- for the layers */

bool abx_torch_shares_memory(void)
{
    return core.shares_memory;
}

int abx_torch_upload(struct abx_torch_operand to, const void *from, size_t size)
{
    if (!size)
        return 0;
    core_lock();
    int r = core_check();
    if (r == 0 && !core.shares_memory)
        r = upload_in_pieces(to, from, size);
    else if (r == 0 && batch_has_ended(batch_last_use(to.block)))
        memcpy(bytes_of(to), from, size);
    else if (r == 0)
        r = upload_staged(to, from, size);
    core_unlock();
    return r;
}

int abx_torch_download(void *to, struct abx_torch_operand from, size_t size)
{
    if (!size)
        return 0;
    core_lock();
    int r = core_check();
    if (r == 0 && !core.shares_memory)
        r = download_in_pieces(to, from, size);
    else if (r == 0 && (r = batch_wait(batch_last_use(from.block))) == 0)
        memcpy(to, bytes_of(from), size);
    core_unlock();
    return r;
}

int abx_torch_copy(struct abx_torch_operand to, struct abx_torch_operand from, size_t size)
{
    if (!size)
        return 0;
    core_lock();
    int r = core_check();
    if (r == 0)
        r = copy_bytes(to, from, size);
    core_unlock();
    return r;
}
