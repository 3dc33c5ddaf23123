/* What a guest's kernel, or who took it over, may say to the device. */
#include "rig.h"

#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define OK VIRTIO_GPU_RESP_OK_NODATA
#define PAGES_AT FREE_AT
#define PAGE_COUNT ((uint32_t)(sizeof(struct abx_virtgpu_pages) / 4096))

static struct rig rig;

static uint32_t simple(uint32_t type, uint32_t context, uint32_t number)
{
    struct {
        struct virtio_gpu_ctrl_hdr head;
        uint32_t number, more[10];
    } c = {{.type = type, .ctx_id = context}, number, {0}};
    return rig_command(&rig, &c, sizeof c);
}

static void check_capsets(void)
{
    rig_start(&rig);
    struct abx_virtgpu_caps caps;
    CHECK(simple(VIRTIO_GPU_CMD_GET_CAPSET_INFO, 0, 0) == VIRTIO_GPU_RESP_OK_CAPSET_INFO);
    CHECK(simple(VIRTIO_GPU_CMD_GET_CAPSET_INFO, 0, 1) >= VIRTIO_GPU_RESP_ERR_UNSPEC);
    CHECK(simple(VIRTIO_GPU_CMD_GET_CAPSET_INFO, 0, UINT32_MAX) >= VIRTIO_GPU_RESP_ERR_UNSPEC);
    CHECK(simple(VIRTIO_GPU_CMD_GET_CAPSET, 0, 1) >= VIRTIO_GPU_RESP_ERR_UNSPEC);
    CHECK(simple(VIRTIO_GPU_CMD_GET_CAPSET, 0, ABX_VIRTGPU_CAPSET) == VIRTIO_GPU_RESP_OK_CAPSET);
    memcpy(&caps, rig.ram + ANSWER_AT + sizeof(struct virtio_gpu_ctrl_hdr), sizeof caps);
    CHECK(caps.magic == ABX_VIRTGPU_MAGIC && caps.wire_version == ABX_WIRE_VERSION);
    CHECK(simple(0, 0, 0) >= VIRTIO_GPU_RESP_ERR_UNSPEC);
    CHECK(simple(VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB, 0, 1) >= VIRTIO_GPU_RESP_ERR_UNSPEC);
    rig_finish(&rig);
}

static void check_numbers(void)
{
    rig_start(&rig);
    CHECK(rig_context(&rig, 1) == OK && rig_context(&rig, 1) != OK);
    CHECK(rig_resource(&rig, 1, 7, FREE_AT, 4) == OK);
    CHECK(rig_resource(&rig, 1, 7, FREE_AT, 4) != OK); /* once more */
    CHECK(rig_resource(&rig, 1, 0, FREE_AT, 4) != OK);
    CHECK(rig_resource(&rig, 2, 8, FREE_AT, 4) != OK); /* no such context */
    CHECK(rig_resource(&rig, 1, 9, RAM_BYTES, 4) != OK);
    CHECK(rig_resource(&rig, 1, 10, RAM_BYTES - 4096, 2) != OK);
    CHECK(rig_resource(&rig, 1, 11, FREE_AT, 0) != OK);
    struct virtio_gpu_resource_attach_backing lies = {
            .hdr = {.type = VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING}, .resource_id = 11};
    static const uint32_t counts[] = {1, 0x10000000, 0x10000001, UINT32_MAX};
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(counts); i++) {
        lies.nr_entries = counts[i];
        CHECK(rig_command(&rig, &lies, sizeof lies) != OK);
    }
    CHECK(rig_command(&rig, &lies, sizeof lies - 4) != OK);
    CHECK(simple(VIRTIO_GPU_CMD_RESOURCE_UNREF, 0, 7) == OK);
    CHECK(simple(VIRTIO_GPU_CMD_RESOURCE_UNREF, 0, 7) != OK);
    CHECK(simple(VIRTIO_GPU_CMD_RESOURCE_DETACH_BACKING, 0, 7) != OK);
    CHECK(simple(VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE, 1, 7) != OK);
    CHECK(simple(VIRTIO_GPU_CMD_CTX_DESTROY, 3, 0) != OK);
    CHECK(simple(VIRTIO_GPU_CMD_CTX_DESTROY, 1, 0) == OK);
    rig_finish(&rig);
}

static void check_caps(void)
{
    rig_start(&rig);
    for (uint32_t i = 1; i <= ABX_VMM_MAX_CONTEXTS; i++)
        CHECK(rig_context(&rig, i) == OK);
    CHECK(rig_context(&rig, 1000) == VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY);
    CHECK(simple(VIRTIO_GPU_CMD_CTX_DESTROY, 5, 0) == OK && rig_context(&rig, 1000) == OK);
    uint32_t made = 0;
    while (made < ABX_VMM_MAX_RESOURCES + 10 &&
            simple(VIRTIO_GPU_CMD_RESOURCE_CREATE_3D, 1, made + 1) == OK)
        made++;
    CHECK(made == ABX_VMM_MAX_RESOURCES);
    rig_finish(&rig);
}

static struct abx_virtgpu_command command(
        enum abx_virtgpu_op op, uint32_t resources, uint64_t bytes)
{
    return (struct abx_virtgpu_command){
            .magic = ABX_VIRTGPU_MAGIC, .op = op, .resources = resources, .bytes = bytes};
}

static bool hung_up(int sock)
{
    char byte;
    ssize_t n = recv(sock, &byte, 1, MSG_DONTWAIT);
    close(sock);
    return n == 0;
}

/* What makes no sense ends the connection of the context that said it, and only that. */
static void check_submissions(void)
{
    const uint32_t mine = 1, others = 2, none = 77;
    const struct abx_virtgpu_command bad[] = {command(0, 0, 0), command(99, 0, 0),
            command(ABX_VIRTGPU_OPEN, 1, sizeof(struct abx_virtgpu_pages)), /* a second time */
            command(ABX_VIRTGPU_SHARE, 1, UINT64_MAX), command(ABX_VIRTGPU_SHARE, 0, 4096),
            command(ABX_VIRTGPU_FETCH, 1, 4096), {.magic = 5, .op = ABX_VIRTGPU_RING}};
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(bad); i++) {
        rig_start(&rig);
        int sock = rig_open(&rig, 1, 1, PAGES_AT),
            other = rig_open(&rig, 2, 2, PAGES_AT + (2 << 20));
        CHECK(rig_submit(&rig, 1, &bad[i], &mine, NULL) != OK);
        CHECK(rig_pages(&rig, PAGES_AT)->control.gone == 1);
        CHECK(hung_up(sock));
        const struct abx_virtgpu_command ping = command(ABX_VIRTGPU_PING, 0, 0);
        CHECK(rig_submit(&rig, 2, &ping, NULL, NULL) == OK);
        CHECK(!rig_pages(&rig, PAGES_AT + (2 << 20))->control.gone);
        close(other);
        rig_finish(&rig);
    }
    for (unsigned i = 0; i < 2; i++) { /* memory of another context, or of nobody */
        struct abx_message_chunk chunk = {.type = ABX_MESSAGE_CHUNK, .chunk = 1, .bytes = 4096};
        struct abx_virtgpu_command share = command(ABX_VIRTGPU_SHARE, 1, 4096);
        share.message_bytes = sizeof chunk;
        rig_start(&rig);
        int sock = rig_open(&rig, 1, 1, PAGES_AT),
            other = rig_open(&rig, 2, 2, PAGES_AT + (2 << 20));
        CHECK(rig_submit(&rig, 1, &share, i ? &none : &others, &chunk) != OK);
        CHECK(hung_up(sock) && !rig_pages(&rig, PAGES_AT + (2 << 20))->control.gone);
        close(other);
        rig_finish(&rig);
    }
}

/* Lengths that do not fit what they are lengths of. */
static void check_lengths(void)
{
    struct {
        struct virtio_gpu_cmd_submit submit;
        struct abx_virtgpu_command head;
        uint64_t more[4];
    } c;
    static const uint32_t sizes[] = {0, 31, sizeof c.head + sizeof c.more + 1, UINT32_MAX};
    static const uint32_t counts[] = {10, 0x3fffffff, 0x40000000, 0x80000000, UINT32_MAX};
    rig_start(&rig);
    CHECK(rig_context(&rig, 1) == OK);
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(sizes) + 2 * ABX_ARRAY_SIZE(counts); i++) {
        memset(&c, 0, sizeof c);
        c.submit.hdr = (struct virtio_gpu_ctrl_hdr){.type = VIRTIO_GPU_CMD_SUBMIT_3D, .ctx_id = 1};
        c.submit.size = sizeof c.head + sizeof c.more;
        c.head = command(ABX_VIRTGPU_RING, 0, 0);
        unsigned k = i < ABX_ARRAY_SIZE(sizes) ? i : (i - ABX_ARRAY_SIZE(sizes)) / 2;
        if (i < ABX_ARRAY_SIZE(sizes))
            c.submit.size = sizes[k];
        else if (i % 2)
            c.head.resources = counts[k];
        else
            c.head.message_bytes = counts[k] < 100 ? 1000 : counts[k];
        CHECK(rig_command(&rig, &c, sizeof c) != OK);
    }
    rig_finish(&rig);
}

/* ---- sleeping and waking */

static void check_sleep(void)
{
    struct virtio_gpu_ctrl_hdr answer;
    uint32_t head, bytes;
    rig_start(&rig);
    int sock = rig_open(&rig, 1, 1, PAGES_AT);
    struct abx_virtgpu_control *control = &rig_pages(&rig, PAGES_AT)->control;
    struct abx_virtgpu_command sleep = command(ABX_VIRTGPU_SLEEP, 0, 0);
    sleep.tag = control->wakes + 1; /* something happened meanwhile: not at all */
    CHECK(rig_submit(&rig, 1, &sleep, NULL, NULL) == OK);
    sleep.tag = control->wakes;
    CHECK(rig_submit(&rig, 1, &sleep, NULL, NULL) == 0); /* held */
    struct abx_message_prepared said = {.type = ABX_MESSAGE_PREPARED, .tag = 3};
    CHECK(abx_sock_send(sock, &said, sizeof said, NULL, 0) == 0);
    rig_serve(&rig);
    CHECK(rig_taken(&rig, &head, &bytes) && bytes == sizeof answer);
    memcpy(&answer, rig.ram + ANSWER_AT, sizeof answer);
    CHECK(answer.type == OK && control->posted == 1 && control->wakes == 1);
    CHECK(control->slots[0].message.prepared.tag == 3);
    sleep.tag = control->wakes;
    CHECK(rig_submit(&rig, 1, &sleep, NULL, NULL) == 0);
    CHECK(rig_submit(&rig, 1, &sleep, NULL, NULL) == OK);  /* the older one's answer */
    CHECK(simple(VIRTIO_GPU_CMD_CTX_DESTROY, 1, 0) == OK); /* the other one's, with its end */
    CHECK(rig_taken(&rig, &head, &bytes));
    CHECK(!rig_taken(&rig, &head, &bytes) && hung_up(sock));
    rig_finish(&rig);
}

/* A worker that goes, with a reason, while somebody sleeps. */
static void check_lost_worker(void)
{
    uint32_t head, bytes;
    rig_start(&rig);
    int sock = rig_open(&rig, 1, 1, PAGES_AT);
    struct abx_virtgpu_pages *pages = rig_pages(&rig, PAGES_AT);
    int fds[2] = {abx_memfd_create("host", sizeof(struct abx_host_page)), dup(rig.call)};
    struct abx_host_page *page =
            mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED, fds[0], 0);
    CHECK(page != MAP_FAILED);
    struct abx_message_welcome welcome = {.type = ABX_MESSAGE_WELCOME};
    CHECK(abx_sock_send(sock, &welcome, sizeof welcome, fds, 2) == 0);
    rig_serve(&rig);
    CHECK(pages->control.posted == 1);
    struct abx_virtgpu_command sleep = command(ABX_VIRTGPU_SLEEP, 0, 0);
    sleep.tag = pages->control.wakes;
    CHECK(rig_submit(&rig, 1, &sleep, NULL, NULL) == 0);
    page->lost = 5;
    strcpy(page->lost_text, "it was killed");
    close(sock);
    rig_serve(&rig);
    CHECK(rig_taken(&rig, &head, &bytes));
    CHECK(pages->control.gone && pages->host.lost == 5);
    CHECK(strcmp(pages->host.lost_text, "it was killed") == 0);
    CHECK(rig_submit(&rig, 1, &sleep, NULL, NULL) == OK); /* nobody sleeps there any more */
    munmap(page, sizeof *page);
    close(fds[0]);
    close(fds[1]);
    rig_finish(&rig);
}

/* Answers that nobody reads wait in the socket, not here. */
static void check_unread(void)
{
    rig_start(&rig);
    int sock = rig_open(&rig, 1, 1, PAGES_AT);
    struct abx_virtgpu_control *control = &rig_pages(&rig, PAGES_AT)->control;
    struct abx_message_prepared said = {.type = ABX_MESSAGE_PREPARED};
    for (unsigned i = 0; i < ABX_VIRTGPU_SLOTS + 5; i++) {
        said.tag = i;
        CHECK(abx_sock_send(sock, &said, sizeof said, NULL, 0) == 0);
    }
    rig_serve(&rig);
    CHECK(control->posted == ABX_VIRTGPU_SLOTS);
    control->taken = 3;
    const struct abx_virtgpu_command ring = command(ABX_VIRTGPU_RING, 0, 0);
    CHECK(rig_submit(&rig, 1, &ring, NULL, NULL) == OK);
    CHECK(control->posted == ABX_VIRTGPU_SLOTS + 3);
    CHECK(control->slots[2].message.prepared.tag == ABX_VIRTGPU_SLOTS + 2);
    control->taken = UINT64_MAX; /* nonsense: as good as full */
    CHECK(rig_submit(&rig, 1, &ring, NULL, NULL) == OK);
    close(sock);
    rig_finish(&rig);
}

/* A payload: fetched into memory of the context, once. */
static void check_payload(void)
{
    const uint32_t pieces = 3;
    char text[5000];
    memset(text, 'x', sizeof text);
    rig_start(&rig);
    int sock = rig_open(&rig, 1, 1, PAGES_AT), fd = abx_memfd_create("payload", sizeof text);
    struct abx_virtgpu_control *control = &rig_pages(&rig, PAGES_AT)->control;
    struct abx_message_compiled said = {.type = ABX_MESSAGE_COMPILED};
    CHECK(abx_write_all(fd, text, sizeof text) == 0);
    CHECK(abx_sock_send(sock, &said, sizeof said, &fd, 1) == 0);
    rig_serve(&rig);
    CHECK(control->slots[0].payload_bytes == sizeof text);
    CHECK(rig_resource(&rig, 1, pieces, FREE_AT + (4 << 20), 2) == OK);
    const struct abx_virtgpu_command fetch = command(ABX_VIRTGPU_FETCH, 1, 8192);
    CHECK(rig_submit(&rig, 1, &fetch, &pieces, NULL) == OK && control->fetched == 1);
    CHECK(memcmp(rig.ram + FREE_AT + (4 << 20), text, sizeof text) == 0);
    CHECK(rig_submit(&rig, 1, &fetch, &pieces, NULL) != OK && control->gone);
    close(fd);
    close(sock);
    rig_finish(&rig);
}

/* Memory that a worker has is not given back to the guest's kernel before the worker lets go. */
static void give_chunk(uint32_t context, uint32_t resource, uint64_t address)
{
    struct abx_message_chunk chunk = {
            .type = ABX_MESSAGE_CHUNK, .chunk = resource, .bytes = 4096, .address = address};
    struct abx_virtgpu_command share = command(ABX_VIRTGPU_SHARE, 1, 4096);
    share.message_bytes = sizeof chunk;
    CHECK(rig_resource(&rig, context, resource, FREE_AT + (4 << 20) + resource * 4096, 1) == OK);
    CHECK(rig_submit(&rig, context, &share, &resource, &chunk) == OK);
}

static unsigned answered(void)
{
    uint32_t head, bytes;
    unsigned count = 0;
    while (rig_taken(&rig, &head, &bytes))
        count++;
    return count;
}

static void check_released(void)
{
    struct abx_message_released told = {.type = ABX_MESSAGE_RELEASED, .address = 5 << 20};
    rig_start(&rig);
    int sock = rig_open(&rig, 1, 1, PAGES_AT);
    give_chunk(1, 10, 5 << 20);
    give_chunk(1, 11, 6 << 20);
    CHECK(simple(VIRTIO_GPU_CMD_RESOURCE_UNREF, 0, 10) == 0);          /* held */
    CHECK(simple(VIRTIO_GPU_CMD_RESOURCE_UNREF, 0, 10) >= 0x1200);     /* a second time */
    CHECK(simple(VIRTIO_GPU_CMD_RESOURCE_DETACH_BACKING, 0, 11) == 0); /* held */
    CHECK(abx_sock_send(sock, &told, sizeof told, NULL, 0) == 0);
    rig_serve(&rig);
    CHECK(answered() == 1 && rig_pages(&rig, PAGES_AT)->control.posted == 0);
    CHECK(rig_resource(&rig, 1, 10, FREE_AT + (4 << 20), 1) == OK); /* the number is free again */
    CHECK(simple(VIRTIO_GPU_CMD_RESOURCE_UNREF, 0, 1) == 0);        /* the pages: until its end */
    CHECK(simple(VIRTIO_GPU_CMD_CTX_DESTROY, 1, 0) == OK);
    CHECK(answered() == 0);
    close(sock);
    rig_serve(&rig);
    CHECK(answered() == 2);
    rig_finish(&rig);
}

/* What the worker has said, and nobody read yet, counts: a program may give up thousands at once.
 */
static void check_honest(void)
{
    struct abx_message_released told = {.type = ABX_MESSAGE_RELEASED};
    rig_start(&rig);
    int sock = rig_open(&rig, 1, 1, PAGES_AT);
    for (uint32_t i = 0; i < 200; i++)
        give_chunk(1, 10 + i, (uint64_t)(i + 1) << 20);
    for (uint32_t i = 0; i < 200; i++) {
        uint8_t answer[ABX_VMM_ANSWER_MAX];
        struct virtio_gpu_resource_unref unref = {
                .hdr = {.type = VIRTIO_GPU_CMD_RESOURCE_UNREF}, .resource_id = 10 + i};
        told.address = (uint64_t)(i + 1) << 20;
        CHECK(abx_sock_send(sock, &told, sizeof told, NULL, 0) == 0);
        CHECK(abx_vmm_gpu_command(rig.vhost.gpu, &unref, sizeof unref, 0, answer) > 0);
    }
    CHECK(!rig_pages(&rig, PAGES_AT)->control.gone);
    close(sock);
    rig_finish(&rig);
}

/* Its queue must not fill with them: who gives up so much at once has ended. */
static void check_many_left(void)
{
    unsigned held = 0;
    rig_start(&rig);
    int sock = rig_open(&rig, 1, 1, PAGES_AT);
    struct abx_virtgpu_control *control = &rig_pages(&rig, PAGES_AT)->control;
    for (uint32_t i = 0; i < 200; i++)
        give_chunk(1, 10 + i, (uint64_t)(i + 1) << 20);
    for (uint32_t i = 0; i < 200 && !control->gone; i++)
        held += simple(VIRTIO_GPU_CMD_RESOURCE_UNREF, 0, 10 + i) == 0;
    CHECK(control->gone && held > 32 && held < 200 && answered() == 0);
    close(sock);
    rig_serve(&rig);
    CHECK(answered() == held);
    rig_finish(&rig);
}

int main(void)
{
    check_released();
    check_many_left();
    check_honest();
    check_capsets();
    check_numbers();
    check_caps();
    check_submissions();
    check_lengths();
    check_sleep();
    check_lost_worker();
    check_unread();
    check_payload();
    return 0;
}
