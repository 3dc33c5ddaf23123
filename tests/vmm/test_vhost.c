/* What a hypervisor that a guest took over may say to the device. */
#include "rig.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

static struct rig rig;

static int number(uint32_t request, uint64_t value, int fd)
{
    return rig_message(&rig, request, &value, sizeof value, fd);
}

static int state(uint32_t request, uint32_t index, uint32_t value)
{
    const uint32_t body[] = {index, value};
    return rig_message(&rig, request, body, sizeof body, -1);
}

static int null_file(void)
{
    return open("/dev/null", O_RDWR | O_CLOEXEC);
}

static void check_messages(void)
{
    rig_start(&rig);
    static const uint32_t unknown[] = {0, 6, 7, 19, 23, 26, 32, 35, 36, 40, UINT32_MAX};
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(unknown); i++)
        CHECK(number(unknown[i], 0, -1) == -EINVAL);
    CHECK(state(8, 0, 0) < 0 && state(8, 0, 3) < 0 && state(8, 0, 1u << 31) < 0);
    CHECK(state(8, 2, 256) < 0 && state(18, 99, 1) < 0 && state(11, UINT32_MAX, 0) < 0);
    CHECK(rig_message(&rig, 8, "1234", 4, -1) < 0);
    CHECK(rig_message(&rig, 9, "1234", 4, -1) < 0);
    CHECK(number(12, 2, null_file()) < 0 && number(13, 255, null_file()) < 0);
    CHECK(number(12, 0, -1) < 0 && number(33, 0, -1) < 0);
    CHECK(number(16, 1ull << 63, -1) < 0);
    const uint32_t config[][3] = {{0, 257, 0}, {256, 1, 0}, {UINT32_MAX, 2, 0}, {1, UINT32_MAX, 0}};
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(config); i++)
        CHECK(rig_message(&rig, 24, config[i], 12, -1) < 0);
    CHECK(rig_message(&rig, 24, config[0], 8, -1) < 0);
    rig.vhost.message.flags = 2;
    rig_finish(&rig);
}

static void check_memory(void)
{
    uint64_t body[1 + 9 * 4] = {1, RAM_AT, RAM_BYTES, RAM_USER, 0};
    rig_start(&rig);
    CHECK(rig_message(&rig, 5, body, 40, -1) < 0);              /* no descriptor */
    CHECK(rig_message(&rig, 5, body, 24, dup(rig.memory)) < 0); /* half a region */
    body[0] = 2;
    CHECK(rig_message(&rig, 5, body, 72, dup(rig.memory)) < 0);
    body[0] = 9;
    CHECK(rig_message(&rig, 5, body, sizeof body, dup(rig.memory)) < 0);
    body[0] = UINT32_MAX;
    CHECK(rig_message(&rig, 5, body, 40, dup(rig.memory)) < 0);
    body[0] = 1;
    CHECK(rig_message(&rig, 5, body, 40, null_file()) < 0);
    body[2] = RAM_BYTES + 4096;
    CHECK(rig_message(&rig, 5, body, 40, dup(rig.memory)) < 0);
    rig_finish(&rig);
}

/* Rings that lie outside of RAM, at its end, or where the sum of their sizes wraps. */
static void check_rings(void)
{
    static const uint64_t places[] = {0, RAM_USER - 16, RAM_USER + RAM_BYTES - 16,
            RAM_USER + RAM_BYTES, UINT64_MAX - 15, RAM_USER + 1};
    const struct virtio_gpu_ctrl_hdr ask = {.type = VIRTIO_GPU_CMD_GET_DISPLAY_INFO};
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(places); i++)
        for (unsigned k = 0; k < 3; k++) {
            struct {
                uint32_t index, flags;
                uint64_t at[4];
            } address = {
                    0, 0, {RAM_USER + TABLE_AT, RAM_USER + USED_AT, RAM_USER + AVAILABLE_AT, 0}};
            address.at[k] = places[i];
            rig_start(&rig);
            CHECK(rig_message(&rig, 9, &address, sizeof address, -1) == 0);
            CHECK(rig_command(&rig, &ask, sizeof ask) == 0);
            rig_finish(&rig);
        }
}

/* Memory that goes while commands are on their way, and the machine's reset. */
static void check_changes(void)
{
    const struct virtio_gpu_ctrl_hdr ask = {.type = VIRTIO_GPU_CMD_GET_DISPLAY_INFO};
    const uint64_t none[] = {0};
    rig_start(&rig);
    int sock = rig_open(&rig, 1, 1, FREE_AT);
    struct abx_virtgpu_command sleep = {.magic = ABX_VIRTGPU_MAGIC, .op = ABX_VIRTGPU_SLEEP};
    CHECK(rig_submit(&rig, 1, &sleep, NULL, NULL) == 0);
    CHECK(rig_message(&rig, 5, none, sizeof none, -1) == 0);
    close(sock); /* somebody would be woken, and is nowhere */
    rig_serve(&rig);
    CHECK(rig_command(&rig, &ask, sizeof ask) == 0);
    CHECK(state(11, 0, 0) == 0);
    rig_serve(&rig);
    rig_finish(&rig);
}

/* A kernel of the worker's may write to the guest's memory yet: until the worker has let go of it,
 * the reset is not answered, and the guest's commands are not looked at. */
static void check_reset(void)
{
    static const uint32_t resets[] = {4, 11, 34};
    const uint32_t body[] = {0, 0};
    uint8_t answer[64];
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(resets); i++) {
        const struct virtio_gpu_ctrl_hdr ask = {.type = VIRTIO_GPU_CMD_GET_DISPLAY_INFO};
        const uint32_t head[] = {resets[i], 1 | 8 /* to be answered */, sizeof body};
        rig_start(&rig);
        int sock = rig_open(&rig, 1, 1, FREE_AT);
        CHECK(send(rig.hypervisor, head, 12, 0) == 12);
        CHECK(send(rig.hypervisor, body, sizeof body, 0) == sizeof body);
        rig_serve(&rig);
        CHECK(recv(rig.hypervisor, answer, sizeof answer, MSG_DONTWAIT) < 0 && errno == EAGAIN);
        CHECK(recv(sock, answer, 1, 0) == 0); /* it is told */
        CHECK(rig_command(&rig, &ask, sizeof ask) == 0);
        close(sock);
        rig_serve(&rig);
        CHECK(recv(rig.hypervisor, answer, sizeof answer, MSG_DONTWAIT) == 20);
        rig_finish(&rig);
    }
    rig_start(&rig); /* whose hypervisor dies meanwhile */
    int sock = rig_open(&rig, 1, 1, FREE_AT);
    CHECK(state(11, 0, 0) == 0 && rig.vhost.resetting);
    shutdown(rig.hypervisor, SHUT_RDWR);
    CHECK(abx_vhost_serve(&rig.vhost, 0) == -EPIPE);
    close(sock);
    rig_finish(&rig);
}

/* Through the socket: in pieces, cut off, too long. */
static void check_socket(void)
{
    const uint32_t features[] = {1, 1, 0};
    uint8_t answer[64];
    rig_start(&rig);
    for (unsigned i = 0; i < 12; i++) {
        CHECK(send(rig.hypervisor, (const char *)features + i, 1, 0) == 1);
        rig_serve(&rig);
    }
    CHECK(recv(rig.hypervisor, answer, sizeof answer, MSG_DONTWAIT) == 20);
    const uint32_t long_one[] = {1, 1, ABX_VHOST_MAX_BYTES + 1};
    CHECK(send(rig.hypervisor, long_one, 12, 0) == 12);
    CHECK(abx_vhost_serve(&rig.vhost, 0) == -EPIPE);
    rig_finish(&rig);
    rig_start(&rig);
    CHECK(send(rig.hypervisor, features, 7, 0) == 7);
    rig_serve(&rig);
    shutdown(rig.hypervisor, SHUT_WR);
    CHECK(abx_vhost_serve(&rig.vhost, 0) == -EPIPE);
    rig_finish(&rig);
}

int main(void)
{
    check_messages();
    check_memory();
    check_rings();
    check_changes();
    check_reset();
    check_socket();
    return 0;
}
