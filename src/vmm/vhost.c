/* vmm: the vhost-user protocol (QEMU's docs/interop/vhost-user.rst), as far as a virtio-gpu device
 * needs it. Runs in the device process. Every size, index and descriptor is checked; a hypervisor
 * that says something senseless is left, and its guest has no device then. See vhost.h. */
#include "vmm/vhost.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum request {
    GET_FEATURES = 1,
    SET_FEATURES = 2,
    SET_OWNER = 3,
    RESET_OWNER = 4,
    SET_MEM_TABLE = 5,
    SET_VRING_NUM = 8,
    SET_VRING_ADDR = 9,
    SET_VRING_BASE = 10,
    GET_VRING_BASE = 11,
    SET_VRING_KICK = 12,
    SET_VRING_CALL = 13,
    SET_VRING_ERR = 14,
    GET_PROTOCOL_FEATURES = 15,
    SET_PROTOCOL_FEATURES = 16,
    GET_QUEUE_NUM = 17,
    SET_VRING_ENABLE = 18,
    GET_CONFIG = 24,
    SET_CONFIG = 25,
    GPU_SET_SOCKET = 33,
    RESET_DEVICE = 34,
};

/* Of virtio. EDID is offered since QEMU's device wants it by itself; there is none to be had. */
enum {
    F_VIRGL = 0,
    F_EDID = 1,
    F_INDIRECT = 28,
    F_EVENT_INDEX = 29,
    F_PROTOCOL = 30,
    F_VERSION_1 = 32
};
#define FEATURES                                                                                   \
    (1ull << F_VIRGL | 1ull << F_EDID | 1ull << F_INDIRECT | 1ull << F_EVENT_INDEX |               \
            1ull << F_PROTOCOL | 1ull << F_VERSION_1)
enum { P_MQ = 0, P_REPLY_ACK = 3, P_CONFIG = 9 };
#define PROTOCOL_FEATURES (1ull << P_MQ | 1ull << P_REPLY_ACK | 1ull << P_CONFIG)

enum { VERSION = 1, VERSION_MASK = 3, IS_REPLY = 4, NEED_REPLY = 8 };
#define NO_FD 0x100u /* beside a queue's number: no descriptor comes with it */

/* ---- the queues */

static void complete(void *owner, uint64_t cookie, const void *answer, uint32_t bytes)
{
    struct abx_vhost *v = owner;
    abx_vmm_queue_give(&v->queues[0], &v->ram, &v->held[cookie], answer, bytes);
}

/* At most as many as the queue has: the guest may fill it as fast as it is emptied. */
static void drain(struct abx_vhost *v, unsigned index)
{
    struct abx_vmm_queue *q = &v->queues[index];
    uint8_t answer[ABX_VMM_ANSWER_MAX];
    uint64_t one = 1;
    for (unsigned i = 0; i < q->size && q->enabled; i++) {
        struct abx_vmm_reply reply;
        uint32_t bytes;
        int r = abx_vmm_queue_take(q, &v->ram, v->request, &bytes, &reply);
        if (r == 0 || r == -EPIPE)
            return;
        if (r < 0) {
            abx_vmm_queue_give(q, &v->ram, &reply, NULL, 0);
            continue;
        }
        v->held[reply.head] = index == 0 ? reply : v->held[reply.head];
        uint32_t n = abx_vmm_gpu_command(
                v->gpu, v->request, bytes, index == 0 ? reply.head : UINT64_MAX, answer);
        if (n)
            abx_vmm_queue_give(q, &v->ram, &reply, answer, n);
    }
    /* The rest in another round: nobody kicks for what was there before it was looked for. */
    if (q->kick >= 0)
        (void)!write(q->kick, &one, sizeof one);
}

static void kicked(struct abx_vhost *v, unsigned index)
{
    uint64_t count;
    if (read(v->queues[index].kick, &count, sizeof count) < 0 && errno != EAGAIN)
        return;
    drain(v, index);
}

/* ---- messages */

static int take_fd(struct abx_vhost *v)
{
    return v->fd_count ? v->fds[--v->fd_count] : -1;
}

static int set_memory(struct abx_vhost *v)
{
    struct abx_vmm_region regions[ABX_VMM_MAX_REGIONS] = {0};
    uint32_t count = v->message.memory.count;
    if (count > ABX_VMM_MAX_REGIONS || count != v->fd_count ||
            v->message.bytes < 8 + count * sizeof v->message.memory.regions[0])
        return -EINVAL;
    for (uint32_t i = 0; i < count; i++)
        regions[i] = (struct abx_vmm_region){.address = v->message.memory.regions[i].address,
                .bytes = v->message.memory.regions[i].bytes,
                .user = v->message.memory.regions[i].user,
                .offset = v->message.memory.regions[i].offset,
                .fd = v->fds[i]};
    v->fd_count = 0;
    return abx_vmm_ram_set(&v->ram, regions, count);
}

static struct abx_vmm_queue *queue_of(struct abx_vhost *v, uint64_t index)
{
    return index < ABX_VMM_QUEUES ? &v->queues[index] : NULL;
}

static int set_size(struct abx_vmm_queue *q, uint32_t size)
{
    if (!size || size > ABX_VMM_QUEUE_MAX || size & (size - 1))
        return -EINVAL;
    q->size = size;
    return 0;
}

static int set_address(struct abx_vhost *v)
{
    struct abx_vmm_queue *q = v->message.bytes < sizeof v->message.address
                                      ? NULL
                                      : queue_of(v, v->message.address.index);
    if (!q)
        return -EINVAL;
    q->user[0] = v->message.address.descriptors;
    q->user[1] = v->message.address.available;
    q->user[2] = v->message.address.used;
    q->addressed = true;
    return 0;
}

/* An eventfd, or what may be one: it is read and written without waiting. */
static int set_event(struct abx_vhost *v, bool kick)
{
    struct abx_vmm_queue *q = queue_of(v, v->message.number & 0xff);
    int fd = v->message.number & NO_FD ? -1 : take_fd(v);
    if (!q || (fd < 0 && !(v->message.number & NO_FD))) {
        if (fd >= 0)
            close(fd);
        return -EINVAL;
    }
    if (fd >= 0 && fcntl(fd, F_SETFL, O_NONBLOCK) < 0) {
        close(fd);
        return -EBADF;
    }
    int *place = kick ? &q->kick : &q->call;
    if (*place >= 0)
        close(*place);
    *place = fd;
    if (kick) { /* the queue starts; without protocol features it is enabled by that */
        q->event_index = v->features >> F_EVENT_INDEX & 1;
        q->enabled |= !(v->features >> F_PROTOCOL & 1);
    }
    return 0;
}

/* The guest's driver has let go of the device, or the machine was reset. */
static void stop_queue(struct abx_vhost *v, unsigned index)
{
    if (index == 0)
        abx_vmm_gpu_reset(v->gpu);
    v->message.state.index = index;
    v->message.state.value = v->queues[index].seen;
    abx_vmm_queue_stop(&v->queues[index]);
}

static int on_ring(struct abx_vhost *v, uint32_t *ret_answer)
{
    struct abx_vmm_queue *q = queue_of(v, v->message.state.index);
    if (!q || v->message.bytes < sizeof v->message.state)
        return -EINVAL;
    switch (v->message.request) {
    case SET_VRING_NUM:
        return set_size(q, v->message.state.value);
    case SET_VRING_BASE:
        q->seen = q->used = q->told = (uint16_t)v->message.state.value;
        return 0;
    case SET_VRING_ENABLE:
        q->enabled = v->message.state.value == 1;
        return 0;
    default: /* GET_VRING_BASE */
        stop_queue(v, v->message.state.index);
        *ret_answer = sizeof v->message.state;
        return 0;
    }
}

static int get_config(struct abx_vhost *v, uint32_t *ret_answer)
{
    uint8_t whole[sizeof v->message.config.data] = {0};
    uint32_t offset = v->message.config.offset, bytes = v->message.config.bytes;
    if (v->message.bytes < 12 || bytes > sizeof whole || offset > sizeof whole - bytes)
        return -EINVAL;
    abx_vmm_gpu_config(whole);
    memcpy(v->message.config.data, whole + offset, bytes);
    *ret_answer = 12 + bytes;
    return 0;
}

static int answer_number(struct abx_vhost *v, uint64_t number, uint32_t *ret_answer)
{
    v->message.number = number;
    *ret_answer = sizeof number;
    return 0;
}

static int set_display(struct abx_vhost *v)
{
    if (v->display >= 0)
        close(v->display);
    v->display = take_fd(v);
    return v->display < 0 ? -EINVAL : 0;
}

static int dispatch(struct abx_vhost *v, uint32_t *ret_answer)
{
    switch ((enum request)v->message.request) {
    case GET_FEATURES:
        return answer_number(v, FEATURES, ret_answer);
    case SET_FEATURES:
        v->features = v->message.number & FEATURES; /* QEMU adds some of its own */
        return 0;
    case GET_PROTOCOL_FEATURES:
        return answer_number(v, PROTOCOL_FEATURES, ret_answer);
    case SET_PROTOCOL_FEATURES:
        return v->message.number & ~PROTOCOL_FEATURES ? -EINVAL : 0;
    case GET_QUEUE_NUM:
        return answer_number(v, ABX_VMM_QUEUES, ret_answer);
    case SET_OWNER:
    case SET_VRING_ERR:
    case SET_CONFIG:
        return 0;
    case RESET_OWNER:
    case RESET_DEVICE:
        for (unsigned i = 0; i < ABX_VMM_QUEUES; i++)
            stop_queue(v, i);
        return 0;
    case SET_MEM_TABLE:
        return set_memory(v);
    case SET_VRING_NUM:
    case SET_VRING_BASE:
    case SET_VRING_ENABLE:
    case GET_VRING_BASE:
        return on_ring(v, ret_answer);
    case SET_VRING_ADDR:
        return set_address(v);
    case SET_VRING_KICK:
        return set_event(v, true);
    case SET_VRING_CALL:
        return set_event(v, false);
    case GET_CONFIG:
        return get_config(v, ret_answer);
    case GPU_SET_SOCKET:
        return set_display(v);
    }
    return -EINVAL;
}

/* The guest may do what it likes with its memory once that is answered. */
static bool is_reset(const struct abx_vhost *v)
{
    uint32_t request = v->message.request;
    return request == RESET_OWNER || request == RESET_DEVICE ||
           (request == GET_VRING_BASE && v->message.bytes >= sizeof v->message.state &&
                   v->message.state.index == 0);
}

int abx_vhost_message(struct abx_vhost *v, uint32_t *ret_answer)
{
    bool asked = v->message.flags & NEED_REPLY;
    *ret_answer = 0;
    v->resetting = is_reset(v) && !abx_vmm_gpu_settle(v->gpu);
    if (v->resetting)
        return 0;
    int r = (v->message.flags & VERSION_MASK) != VERSION ? -EINVAL : dispatch(v, ret_answer);
    while (v->fd_count)
        close(v->fds[--v->fd_count]);
    if (r == 0 && asked && !*ret_answer)
        answer_number(v, 0, ret_answer);
    return r;
}

/* ---- the socket */

static ssize_t receive_head(struct abx_vhost *v)
{
    struct iovec io = {(char *)&v->message + v->have, ABX_VHOST_HEAD_BYTES - v->have};
    union {
        struct cmsghdr head;
        char space[CMSG_SPACE(sizeof v->fds)];
    } control;
    struct msghdr m = {.msg_iov = &io,
            .msg_iovlen = 1,
            .msg_control = &control,
            .msg_controllen = sizeof control};
    ssize_t n = recvmsg(v->sock, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    for (struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&m) : NULL; c; c = CMSG_NXTHDR(&m, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        unsigned count = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        for (unsigned i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
            if (v->fd_count < ABX_SOCK_MAX_FDS)
                v->fds[v->fd_count++] = fd;
            else
                close(fd);
        }
    }
    return n;
}

/* 1: the message is whole. 0: there is more to come. -EPIPE: it ends here. */
static int receive(struct abx_vhost *v)
{
    while (v->have < ABX_VHOST_HEAD_BYTES || v->have < ABX_VHOST_HEAD_BYTES + v->message.bytes) {
        ssize_t n =
                v->have < ABX_VHOST_HEAD_BYTES
                        ? receive_head(v)
                        : recv(v->sock, (char *)&v->message + v->have,
                                  ABX_VHOST_HEAD_BYTES + v->message.bytes - v->have, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return 0;
        if (n <= 0)
            return -EPIPE;
        v->have += (size_t)n;
        if (v->have >= ABX_VHOST_HEAD_BYTES && v->message.bytes > ABX_VHOST_MAX_BYTES)
            return -EPIPE;
    }
    return 1;
}

static int answer(struct abx_vhost *v, uint32_t bytes)
{
    v->message.flags = VERSION | IS_REPLY;
    v->message.bytes = bytes;
    return abx_sock_try_send(v->sock, &v->message, ABX_VHOST_HEAD_BYTES + bytes, NULL, 0);
}

/* The message that is whole. */
static int obey(struct abx_vhost *v)
{
    uint32_t bytes;
    int r = abx_vhost_message(v, &bytes);
    if (r == 0 && bytes)
        r = answer(v, bytes);
    if (r < 0 || v->resetting)
        return r;
    v->have = 0;
    memset(&v->message, 0, sizeof v->message);
    return 0;
}

static int hear(struct abx_vhost *v)
{
    int r = v->resetting ? obey(v) : 0;
    while (r >= 0 && !v->resetting && (r = receive(v)) > 0)
        r = obey(v);
    return r;
}

/* ---- the loop */

int abx_vhost_start(struct abx_vhost *v, int sock, const char *worker_socket)
{
    *v = (struct abx_vhost){.sock = sock, .display = -1};
    for (unsigned i = 0; i < ABX_VMM_QUEUES; i++)
        abx_vmm_queue_start(&v->queues[i]);
    v->request = malloc(ABX_VMM_REQUEST_MAX);
    v->gpu = abx_vmm_gpu_create(&v->ram, worker_socket, complete, v);
    if (v->request && v->gpu)
        return 0;
    abx_vhost_finish(v);
    return -ENOMEM;
}

void abx_vhost_finish(struct abx_vhost *v)
{
    abx_vmm_gpu_destroy(v->gpu);
    for (unsigned i = 0; i < ABX_VMM_QUEUES; i++)
        abx_vmm_queue_stop(&v->queues[i]);
    abx_vmm_ram_finish(&v->ram);
    while (v->fd_count)
        close(v->fds[--v->fd_count]);
    if (v->display >= 0)
        close(v->display);
    close(v->sock);
    free(v->request);
}

int abx_vhost_serve(struct abx_vhost *v, int timeout_ms)
{
    struct pollfd list[1 + ABX_VMM_QUEUES + 2 * ABX_VMM_MAX_CONTEXTS] = {
            {v->sock, v->resetting ? 0 : POLLIN, 0}};
    unsigned first = 1 + ABX_VMM_QUEUES;
    for (unsigned i = 0; i < ABX_VMM_QUEUES; i++)
        list[1 + i] = (struct pollfd){
                .fd = v->queues[i].enabled && !v->resetting ? v->queues[i].kick : -1,
                .events = POLLIN};
    unsigned more = abx_vmm_gpu_watch(v->gpu, list + first, ABX_ARRAY_SIZE(list) - first);
    if (poll(list, first + more, timeout_ms) < 0)
        return errno == EINTR ? 0 : -errno;
    abx_vmm_gpu_ready(v->gpu, list + first, more);
    for (unsigned i = 0; i < ABX_VMM_QUEUES; i++)
        if (list[1 + i].revents)
            kicked(v, i);
    for (unsigned i = 0; i < ABX_VMM_QUEUES; i++)
        abx_vmm_queue_notify(&v->queues[i], &v->ram);
    bool hung_up = v->resetting && list[0].revents;
    int r = hung_up ? -EPIPE : list[0].revents || v->resetting ? hear(v) : 0;
    return r < 0 ? -EPIPE : 0;
}
