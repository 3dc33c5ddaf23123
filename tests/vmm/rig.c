/* See rig.h. */
#include "rig.h"

#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    SET_MEMORY = 5,
    SET_NUM = 8,
    SET_ADDR = 9,
    SET_BASE = 10,
    SET_KICK = 12,
    SET_CALL = 13,
    ENABLE = 18
};

int rig_message(struct rig *rig, uint32_t request, const void *body, uint32_t bytes, int fd)
{
    struct abx_vhost *v = &rig->vhost;
    uint32_t answer;
    memset(&v->message, 0, sizeof v->message);
    v->message.request = request;
    v->message.flags = 1;
    v->message.bytes = bytes;
    if (bytes)
        memcpy(v->message.raw, body, bytes);
    v->fd_count = 0;
    if (fd >= 0)
        v->fds[v->fd_count++] = fd;
    return abx_vhost_message(v, &answer);
}

static void listen_for_device(struct rig *rig)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(rig->folder, "/tmp/arcbox-vmm-XXXXXX");
    CHECK(mkdtemp(rig->folder));
    snprintf(rig->path, sizeof rig->path, "%s/gpu.sock", rig->folder);
    strcpy(address.sun_path, rig->path);
    rig->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    CHECK(bind(rig->listener, (struct sockaddr *)&address, sizeof address) == 0);
    CHECK(listen(rig->listener, 128) == 0);
}

static void set_up_queue(struct rig *rig)
{
    const uint32_t size[] = {0, QUEUE_SIZE}, base[] = {0, 0}, on[] = {0, 1};
    const struct {
        uint32_t index, flags;
        uint64_t at[4];
    } address = {0, 0, {RAM_USER + TABLE_AT, RAM_USER + USED_AT, RAM_USER + AVAILABLE_AT, 0}};
    const uint64_t first = 0;
    CHECK(rig_message(rig, SET_NUM, size, sizeof size, -1) == 0);
    CHECK(rig_message(rig, SET_BASE, base, sizeof base, -1) == 0);
    CHECK(rig_message(rig, SET_ADDR, &address, sizeof address, -1) == 0);
    CHECK(rig_message(rig, SET_KICK, &first, sizeof first, dup(rig->kick)) == 0);
    CHECK(rig_message(rig, SET_CALL, &first, sizeof first, dup(rig->call)) == 0);
    CHECK(rig_message(rig, ENABLE, on, sizeof on, -1) == 0);
    rig->table = (struct ring_descriptor *)(rig->ram + TABLE_AT);
    rig->available = (uint16_t *)(rig->ram + AVAILABLE_AT);
    rig->used = (uint16_t *)(rig->ram + USED_AT);
}

void rig_start(struct rig *rig)
{
    int pair[2];
    memset(rig, 0, sizeof *rig);
    listen_for_device(rig);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    rig->hypervisor = pair[1];
    CHECK(abx_vhost_start(&rig->vhost, pair[0], rig->path) == 0);
    rig->memory = abx_memfd_create("ram", RAM_BYTES);
    rig->ram = mmap(NULL, RAM_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, rig->memory, 0);
    CHECK(rig->memory >= 0 && rig->ram != MAP_FAILED);
    rig->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    rig->call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    const uint64_t memory[] = {1, RAM_AT, RAM_BYTES, RAM_USER, 0};
    CHECK(rig_message(rig, SET_MEMORY, memory, sizeof memory, dup(rig->memory)) == 0);
    set_up_queue(rig);
}

void rig_finish(struct rig *rig)
{
    abx_vhost_finish(&rig->vhost);
    close(rig->hypervisor);
    close(rig->listener);
    close(rig->memory);
    close(rig->kick);
    close(rig->call);
    munmap(rig->ram, RAM_BYTES);
    unlink(rig->path);
    rmdir(rig->folder);
}

void rig_serve(struct rig *rig)
{
    for (unsigned i = 0; i < 8; i++)
        CHECK(abx_vhost_serve(&rig->vhost, 0) == 0);
}

void rig_offer(struct rig *rig, uint16_t head)
{
    uint64_t one = 1;
    uint16_t position = rig->available[1];
    rig->available[2 + position % QUEUE_SIZE] = head;
    __atomic_store_n((uint16_t *)&rig->available[1], position + 1, __ATOMIC_RELEASE);
    CHECK(write(rig->kick, &one, sizeof one) == sizeof one);
    rig_serve(rig);
}

bool rig_taken(struct rig *rig, uint32_t *ret_head, uint32_t *ret_bytes)
{
    if (rig->used[1] == rig->used_seen)
        return false;
    const uint32_t *element =
            (const uint32_t *)(rig->ram + USED_AT + 4) + 2 * (rig->used_seen++ % QUEUE_SIZE);
    *ret_head = element[0];
    *ret_bytes = element[1];
    return true;
}

/* ---- commands */

uint32_t rig_command(struct rig *rig, const void *request, uint32_t bytes)
{
    static uint16_t turn;
    uint16_t head = (uint16_t)(turn++ % (QUEUE_SIZE / 2) * 2);
    uint32_t at, written, type;
    CHECK(bytes <= ANSWER_AT - REQUEST_AT);
    memcpy(rig->ram + REQUEST_AT, request, bytes);
    rig->table[head] = (struct ring_descriptor){RAM_AT + REQUEST_AT, bytes, NEXT, head + 1};
    rig->table[head + 1] = (struct ring_descriptor){RAM_AT + ANSWER_AT, 4096, WRITE, 0};
    rig_offer(rig, head);
    if (!rig_taken(rig, &at, &written))
        return 0;
    memcpy(&type, rig->ram + ANSWER_AT, sizeof type);
    return written ? type : UINT32_MAX;
}

uint32_t rig_context(struct rig *rig, uint32_t context)
{
    struct virtio_gpu_ctx_create create = {
            .hdr = {.type = VIRTIO_GPU_CMD_CTX_CREATE, .ctx_id = context}};
    return rig_command(rig, &create, sizeof create);
}

uint32_t rig_resource(
        struct rig *rig, uint32_t context, uint32_t resource, uint64_t offset, uint32_t pages)
{
    struct virtio_gpu_resource_create_3d create = {
            .hdr = {.type = VIRTIO_GPU_CMD_RESOURCE_CREATE_3D, .ctx_id = context},
            .resource_id = resource};
    struct {
        struct virtio_gpu_resource_attach_backing head;
        struct virtio_gpu_mem_entry entry;
    } backing = {{.hdr = {.type = VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING},
                         .resource_id = resource,
                         .nr_entries = 1},
            {.addr = RAM_AT + offset, .length = pages * 4096}};
    struct virtio_gpu_ctx_resource attach = {
            .hdr = {.type = VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE, .ctx_id = context},
            .resource_id = resource};
    uint32_t type = rig_command(rig, &create, sizeof create);
    if (type == VIRTIO_GPU_RESP_OK_NODATA)
        type = rig_command(rig, &backing, sizeof backing);
    if (type == VIRTIO_GPU_RESP_OK_NODATA && context)
        type = rig_command(rig, &attach, sizeof attach);
    return type;
}

uint32_t rig_submit(struct rig *rig, uint32_t context, const struct abx_virtgpu_command *head,
        const uint32_t *resources, const void *message)
{
    static uint8_t request[128 << 10];
    uint64_t numbers = abx_align_up(4ull * head->resources, 8);
    uint64_t size = sizeof *head + numbers + head->message_bytes;
    struct virtio_gpu_cmd_submit submit = {
            .hdr = {.type = VIRTIO_GPU_CMD_SUBMIT_3D, .ctx_id = context}, .size = (uint32_t)size};
    CHECK(sizeof submit + size <= sizeof request);
    memset(request, 0, sizeof request);
    memcpy(request, &submit, sizeof submit);
    memcpy(request + sizeof submit, head, sizeof *head);
    if (head->resources)
        memcpy(request + sizeof submit + sizeof *head, resources, 4ull * head->resources);
    if (head->message_bytes)
        memcpy(request + sizeof submit + sizeof *head + numbers, message, head->message_bytes);
    return rig_command(rig, request, (uint32_t)(sizeof submit + size));
}

struct abx_virtgpu_pages *rig_pages(struct rig *rig, uint64_t offset)
{
    return (struct abx_virtgpu_pages *)(rig->ram + offset);
}

int rig_open(struct rig *rig, uint32_t context, uint32_t resource, uint64_t offset)
{
    struct abx_message_hello hello = {.type = ABX_MESSAGE_HELLO}, got;
    struct abx_virtgpu_command open = {.magic = ABX_VIRTGPU_MAGIC,
            .op = ABX_VIRTGPU_OPEN,
            .resources = 1,
            .message_bytes = sizeof hello,
            .bytes = sizeof(struct abx_virtgpu_pages)};
    int fds[ABX_SOCK_MAX_FDS];
    unsigned count;
    CHECK(rig_context(rig, context) == VIRTIO_GPU_RESP_OK_NODATA);
    CHECK(rig_resource(rig, context, resource, offset, sizeof(struct abx_virtgpu_pages) / 4096) ==
            VIRTIO_GPU_RESP_OK_NODATA);
    CHECK(rig_submit(rig, context, &open, &resource, &hello) == VIRTIO_GPU_RESP_OK_NODATA);
    int sock = accept4(rig->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    CHECK(sock >= 0);
    CHECK(abx_sock_receive(sock, &got, sizeof got, fds, &count) == sizeof got);
    CHECK(count == 3 && got.type == ABX_MESSAGE_HELLO);
    while (count)
        close(fds[--count]);
    return sock;
}
