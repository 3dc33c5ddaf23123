/* Fuzzes the device of a virtual machine: with FUZZ_VHOST by what a hypervisor says, else by what a
 * guest does: rings, chains, commands, its pages, and a worker's answers between them. An input is
 * steps: what, where, how long, bytes. See tests/hostile/fuzz.h; the seeds are made here:
 *     fuzz_vm_X COUNT [FOLDER]     FOLDER: writes the seed there */
#ifndef ABX_LIBFUZZER
#define OWN_MAIN
#define ABX_LIBFUZZER
#endif
#include "../hostile/fuzz.h"
#include "rig.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

enum step_kind { TABLE, OFFER, COMMAND, WORKER, PAGES, LEAVE, MESSAGE, BYTES, KINDS };

struct step {
    uint8_t kind, where;
    uint16_t bytes;
};

#define MAX_WORKERS 8u
#define PAGES_AT FREE_AT

static struct rig rig;
static int workers[MAX_WORKERS];
static unsigned worker_count;
static bool over; /* the device has left the hypervisor */

static void serve(void)
{
    for (unsigned i = 0; i < 3 && !over; i++)
        over = abx_vhost_serve(&rig.vhost, 0) < 0;
    int sock = worker_count < MAX_WORKERS
                       ? accept4(rig.listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)
                       : -1;
    if (sock >= 0)
        workers[worker_count++] = sock;
}

static void offer(uint16_t head)
{
    uint64_t one = 1;
    uint16_t position = rig.available[1];
    rig.available[2 + position % QUEUE_SIZE] = head;
    rig.available[1] = (uint16_t)(position + 1);
    (void)!write(rig.kick, &one, sizeof one);
    serve();
}

static void command(const uint8_t *data, uint16_t bytes)
{
    memcpy(rig.ram + REQUEST_AT, data, bytes);
    rig.table[0] = (struct ring_descriptor){RAM_AT + REQUEST_AT, bytes, NEXT, 1};
    rig.table[1] = (struct ring_descriptor){RAM_AT + ANSWER_AT, 4096, WRITE, 0};
    offer(0);
}

/* By the upper bits of `where`: no descriptor, RAM, a file that is none. */
static int descriptor(uint8_t where)
{
    return where >> 6 == 1   ? dup(rig.memory)
           : where >> 6 == 2 ? open("/dev/null", O_RDWR | O_CLOEXEC)
                             : -1;
}

static void worker_says(uint8_t where, const uint8_t *data, uint16_t bytes)
{
    int fd = descriptor(where);
    if (worker_count && bytes)
        abx_sock_try_send(workers[where % worker_count], data, bytes, &fd, fd >= 0);
    if (fd >= 0)
        close(fd);
    serve();
}

/* Nothing, where the guest alone is hostile. */
static void hypervisor_says(uint8_t where, const uint8_t *data, uint16_t bytes)
{
#ifndef FUZZ_VHOST
    return;
#endif
    int fd = descriptor(where);
    abx_sock_try_send(rig.hypervisor, data, bytes, &fd, fd >= 0);
    if (fd >= 0)
        close(fd);
    serve();
}

static void take(const struct step *s, const uint8_t *data)
{
    switch ((enum step_kind)(s->kind % KINDS)) {
    case TABLE:
        memcpy(rig.ram + TABLE_AT + s->where * 16u, data, s->bytes < 4096 ? s->bytes : 4096);
        return;
    case OFFER:
        offer(s->where);
        return;
    case COMMAND:
        command(data, s->bytes);
        return;
    case WORKER:
        worker_says(s->where, data, s->bytes);
        return;
    case PAGES: /* the control area is behind both pages */
        memcpy(rig.ram + PAGES_AT + offsetof(struct abx_virtgpu_pages, control) + s->where * 64u,
                data, s->bytes);
        return;
    case LEAVE:
        if (worker_count)
            shutdown(workers[s->where % worker_count], SHUT_RDWR);
        serve();
        return;
    case MESSAGE:
    case BYTES:
        hypervisor_says(s->where, data, s->bytes);
        return;
    case KINDS:
        return;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rig_start(&rig);
    fcntl(rig.listener, F_SETFL, O_NONBLOCK);
    over = false;
    worker_count = 0;
    for (size_t at = 0; at + sizeof(struct step) <= size && !over;) {
        struct step s;
        memcpy(&s, data + at, sizeof s);
        at += sizeof s;
        if (s.bytes > size - at)
            s.bytes = (uint16_t)(size - at);
        take(&s, data + at);
        at += s.bytes;
    }
    while (worker_count)
        close(workers[--worker_count]);
    rig_finish(&rig);
    fuzz_accepted += !over;
    return 0;
}

/* ---- the seed */

#ifdef OWN_MAIN
static uint8_t seed[16384];
static size_t seed_bytes;

static void add(enum step_kind kind, uint8_t where, const void *data, size_t bytes)
{
    struct step s = {(uint8_t)kind, where, (uint16_t)bytes};
    memcpy(seed + seed_bytes, &s, sizeof s);
    if (bytes)
        memcpy(seed + seed_bytes + sizeof s, data, bytes);
    seed_bytes += sizeof s + bytes;
}

static void add_resource(uint32_t id, uint64_t offset, uint32_t pages)
{
    struct virtio_gpu_resource_create_3d create = {
            .hdr = {.type = VIRTIO_GPU_CMD_RESOURCE_CREATE_3D, .ctx_id = 1}, .resource_id = id};
    struct {
        struct virtio_gpu_resource_attach_backing head;
        struct virtio_gpu_mem_entry entries[2];
    } backing = {{.hdr = {.type = VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING},
                         .resource_id = id,
                         .nr_entries = 2},
            {{RAM_AT + offset, 4096, 0}, {RAM_AT + offset + 4096, (pages - 1) * 4096, 0}}};
    struct virtio_gpu_ctx_resource attach = {
            .hdr = {.type = VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE, .ctx_id = 1}, .resource_id = id};
    add(COMMAND, 0, &create, sizeof create);
    add(COMMAND, 0, &backing, sizeof backing);
    add(COMMAND, 0, &attach, sizeof attach);
}

static void add_submission(enum abx_virtgpu_op op, uint32_t resource, uint64_t bytes, uint64_t tag,
        const void *message, uint32_t message_bytes)
{
    struct {
        struct virtio_gpu_cmd_submit submit;
        struct abx_virtgpu_command head;
        uint32_t resources[2];
        uint8_t message[sizeof(union abx_message)];
    } c = {.submit.hdr = {.type = VIRTIO_GPU_CMD_SUBMIT_3D, .ctx_id = 1},
            .head = {ABX_VIRTGPU_MAGIC, op, 1, message_bytes, bytes, tag},
            .resources = {resource}};
    if (message_bytes)
        memcpy(c.message, message, message_bytes);
    c.submit.size = (uint32_t)sizeof c.head + 8 + message_bytes;
    add(COMMAND, 0, &c, sizeof c.submit + c.submit.size);
}

static void add_life(void)
{
    const struct virtio_gpu_ctx_create create = {
            .hdr = {.type = VIRTIO_GPU_CMD_CTX_CREATE, .ctx_id = 1}};
    const struct abx_message_hello hello = {.type = ABX_MESSAGE_HELLO};
    const struct abx_message_chunk chunk = {
            .type = ABX_MESSAGE_CHUNK, .chunk = 1, .bytes = 8192, .address = 1 << 20};
    const struct abx_message_compiled compiled = {.type = ABX_MESSAGE_COMPILED};
    const struct abx_message_released released = {.type = ABX_MESSAGE_RELEASED, .address = 1 << 20};
    const struct virtio_gpu_resource_unref unref = {
            .hdr = {.type = VIRTIO_GPU_CMD_RESOURCE_UNREF}, .resource_id = 2};
    add(COMMAND, 0, &create, sizeof create);
    add_resource(1, PAGES_AT, sizeof(struct abx_virtgpu_pages) / 4096);
    add_resource(2, PAGES_AT + (4 << 20), 2);
    add_resource(3, PAGES_AT + (5 << 20), 2);
    add_submission(ABX_VIRTGPU_OPEN, 1, sizeof(struct abx_virtgpu_pages), 0, &hello, sizeof hello);
    add_submission(ABX_VIRTGPU_SHARE, 2, 8192, 0, &chunk, sizeof chunk);
    add_submission(ABX_VIRTGPU_SEND, 3, 5000, 0, &compiled, sizeof compiled);
    add_submission(ABX_VIRTGPU_SLEEP, 3, 0, 0, NULL, 0);
    add(WORKER, 1 << 6, &compiled, sizeof compiled); /* with a payload */
    add_submission(ABX_VIRTGPU_FETCH, 3, 8192, 0, NULL, 0);
    add(PAGES, 1, (uint64_t[]){1}, 8); /* it has read that */
    add_submission(ABX_VIRTGPU_RING, 3, 0, 0, NULL, 0);
    add_submission(ABX_VIRTGPU_PING, 3, 0, 9, NULL, 0);
    add(COMMAND, 0, &unref, sizeof unref);
    add(WORKER, 0, &released, sizeof released);
    add(LEAVE, 0, NULL, 0);
}

static void add_ring(void)
{
    const struct virtio_gpu_ctrl_hdr ask = {.type = VIRTIO_GPU_CMD_GET_CAPSET_INFO};
    add(COMMAND, 0, &ask, sizeof ask);
    const struct ring_descriptor table[] = {{RAM_AT + 64, 32, INDIRECT, 0},
            {RAM_AT + REQUEST_AT, 24, NEXT, 2}, {RAM_AT + ANSWER_AT, 64, WRITE, 0}, {0},
            {RAM_AT + REQUEST_AT, 24, NEXT, 1}, {RAM_AT + ANSWER_AT, 64, WRITE, 0}};
    add(TABLE, 0, table, sizeof table);
    add(OFFER, 0, NULL, 0);
    add(OFFER, 1, NULL, 0);
}

#ifdef FUZZ_VHOST
static void add_message(uint32_t request, uint8_t fd, const void *body, uint32_t bytes)
{
    uint8_t whole[12 + 256];
    memcpy(whole, (uint32_t[]){request, 1, bytes}, 12);
    memcpy(whole + 12, body, bytes);
    add(MESSAGE, (uint8_t)(fd << 6), whole, 12 + bytes);
}

static void add_hypervisor(void)
{
    const uint64_t memory[] = {1, RAM_AT, RAM_BYTES, RAM_USER, 0}, number = 1ull << 29 | 1,
                   protocol = 0x209;
    const uint64_t address[] = {
            0, RAM_USER + TABLE_AT, RAM_USER + USED_AT, RAM_USER + AVAILABLE_AT, 0};
    static const uint32_t plain[] = {1, 2, 3, 15, 16, 17, 33, 34};
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(plain); i++)
        add_message(plain[i], plain[i] == 33, plain[i] == 16 ? &protocol : &number, 8);
    add_message(5, 1, memory, sizeof memory);
    add_message(8, 0, (uint32_t[]){0, QUEUE_SIZE}, 8);
    add_message(9, 0, address, sizeof address);
    add_message(10, 0, (uint32_t[]){0, 0}, 8);
    add_message(12, 2, (uint64_t[]){0}, 8);
    add_message(13, 2, (uint64_t[]){0}, 8);
    add_message(18, 0, (uint32_t[]){0, 1}, 8);
    add_message(24, 0, (uint32_t[]){0, 20, 0, 0, 0, 0, 0, 0}, 32);
    add_message(11, 0, (uint32_t[]){0, 0}, 8);
}
#endif

int main(int argc, char **argv)
{
    static uint8_t data[FUZZ_MAX_BYTES];
    long count = argc > 1 ? strtol(argv[1], NULL, 10) : 0;
    add_life();
    add_ring();
#ifdef FUZZ_VHOST
    add_hypervisor();
#endif
    if (argc > 2) {
        char path[PATH_MAX];
        snprintf(path, sizeof path, "%s/life", argv[2]);
        return abx_write_file(path, seed, seed_bytes) < 0;
    }
    LLVMFuzzerTestOneInput(seed, seed_bytes);
    assert(fuzz_accepted == 1);
    for (long i = 0; i < count; i++) {
        memcpy(data, seed, seed_bytes);
        LLVMFuzzerTestOneInput(data, fuzz_bytes(data, seed_bytes, sizeof data));
    }
    printf("%ld mutations; %lu went to their end\n", count, fuzz_accepted - 1);
    return 0;
}
#endif
