/* cli: template.h. Runs in arcbox-vm. The file is the user's own, made by this program. */
#include "cli/vm/template.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "cli/vm/frames.h"
#include "cli/vm/qmp.h"

#define PAGE ((size_t)4096)
#define STATE_CAP (64u << 20)

/* The memory is not QEMU's to save or to restore: it would read all of it, which takes a machine of
 * 2 GiB seconds, and fills its holes. */
#define SHARED "{\"capabilities\": [{\"capability\": \"x-ignore-shared\", \"state\": true}]}"

static bool order(int monitor, const char *what, const char *arguments, int fd)
{
    char *answer = abx_qmp(monitor, what, arguments, fd);
    free(answer);
    return answer;
}

/* ---- making one */

/* Until it says that it is ready. The kernel's words are read, and nobody's. */
static bool wait_until_ready(const struct abx_hypervisor *h)
{
    static struct abx_vm_reader reader;
    char text[1024];
    for (;;) {
        struct pollfd p[] = {{h->port, POLLIN, 0}, {h->console, POLLIN, 0}};
        if (poll(p, 2, -1) < 0)
            continue;
        if (p[1].revents && read(h->console, text, sizeof text) == 0)
            return false;
        int r = p[0].revents ? abx_vm_read(h->port, &reader) : 0;
        if (r != 0)
            return r > 0 && reader.head.kind == ABX_VM_READY;
    }
}

/* 1: saved; 0: not yet. */
static int is_saved(int monitor)
{
    char *answer = abx_qmp(monitor, "query-migrate", NULL, -1);
    int r = !answer                                                     ? -EIO
            : strstr(answer, "\"completed\"")                           ? 1
            : strstr(answer, "\"failed\"") || strstr(answer, "\"cance") ? -EIO
                                                                        : 0;
    free(answer);
    return r;
}

/* What QEMU writes until it has no more, behind the head. */
static int64_t take_state(int from, int to)
{
    char piece[65536];
    uint64_t bytes = 0;
    for (ssize_t n; (n = read(from, piece, sizeof piece)) != 0; bytes += (uint64_t)n)
        if (n < 0 || bytes + (uint64_t)n > STATE_CAP ||
                pwrite(to, piece, (size_t)n, (off_t)(sizeof(struct abx_template_head) + bytes)) !=
                        n)
            return n < 0 ? -errno : -EIO;
    return (int64_t)bytes;
}

static int64_t save_state(int monitor, int to)
{
    int pipes[2], r = 0;
    if (pipe2(pipes, O_CLOEXEC) < 0)
        return -errno;
    bool good = abx_qmp_open(monitor) && order(monitor, "migrate-set-capabilities", SHARED, -1) &&
                order(monitor, "getfd", "{\"fdname\": \"template\"}", pipes[1]);
    close(pipes[1]);
    good = good && order(monitor, "migrate", "{\"uri\": \"fd:template\"}", -1);
    int64_t bytes = good ? take_state(pipes[0], to) : -EIO;
    close(pipes[0]);
    while (bytes > 0 && (r = is_saved(monitor)) == 0)
        usleep(1000);
    return r < 0 ? r : bytes;
}

/* Pages that hold anything. */
static int save_memory(const struct abx_hypervisor *h, uint64_t bytes, int to, uint64_t at)
{
    static const uint8_t zeros[PAGE];
    uint8_t *memory = mmap(NULL, bytes, PROT_READ, MAP_SHARED, h->memory, 0);
    if (memory == MAP_FAILED)
        return -errno;
    int r = ftruncate(to, (off_t)(at + bytes)) < 0 ? -errno : 0;
    for (off_t data = 0; r == 0 && (data = lseek(h->memory, data, SEEK_DATA)) >= 0;) {
        off_t hole = lseek(h->memory, data, SEEK_HOLE);
        for (; r == 0 && data < hole; data += (off_t)PAGE)
            if (memcmp(memory + data, zeros, PAGE) != 0 &&
                    pwrite(to, memory + data, PAGE, (off_t)at + data) != (ssize_t)PAGE)
                r = -EIO;
    }
    munmap(memory, bytes);
    return r;
}

static int save(const struct abx_hypervisor *h, uint64_t memory_bytes, int to)
{
    int64_t bytes = save_state(h->monitor, to);
    if (bytes <= 0)
        return bytes < 0 ? (int)bytes : -EIO;
    struct abx_template_head head = {.memory_bytes = memory_bytes,
            .memory_at = abx_align_up(sizeof head + (uint64_t)bytes, PAGE),
            .state_bytes = (uint64_t)bytes};
    memcpy(head.magic, ABX_TEMPLATE_MAGIC, sizeof head.magic);
    int r = save_memory(h, memory_bytes, to, head.memory_at);
    if (r == 0 && pwrite(to, &head, sizeof head, 0) != sizeof head)
        r = -EIO;
    return r;
}

int abx_template_make(const struct abx_machine *m, int to)
{
    struct abx_hypervisor h;
    int r = abx_machine_start(m, &h);
    if (r == 0)
        r = wait_until_ready(&h) ? save(&h, (uint64_t)m->memory_mib << 20, to) : -EIO;
    abx_machine_end(&h);
    return r;
}

/* ---- going on from one */

static int fill_memory(
        const struct abx_machine *m, const struct abx_template_head *head, int memory)
{
    off_t base = (off_t)head->memory_at, end = base + (off_t)head->memory_bytes, at = base;
    while (at < end && (at = lseek(m->from, at, SEEK_DATA)) >= 0) {
        off_t hole = lseek(m->from, at, SEEK_HOLE);
        if (hole < 0 || lseek(memory, at - base, SEEK_SET) < 0)
            return -errno;
        while (at < hole) {
            ssize_t n = sendfile(memory, m->from, &at, (size_t)(hole - at));
            if (n <= 0)
                return n < 0 ? -errno : -EIO;
        }
    }
    return at < 0 && errno != ENXIO ? -errno : 0; /* ENXIO: the rest is a hole */
}

/* QEMU reads while this writes. */
static int give_state(
        const struct abx_machine *m, const struct abx_template_head *head, int monitor)
{
    int pipes[2];
    off_t at = sizeof *head, end = at + (off_t)head->state_bytes;
    if (pipe2(pipes, O_CLOEXEC) < 0)
        return -errno;
    bool good = abx_qmp_open(monitor) && order(monitor, "migrate-set-capabilities", SHARED, -1) &&
                order(monitor, "getfd", "{\"fdname\": \"template\"}", pipes[0]) &&
                order(monitor, "migrate-incoming", "{\"uri\": \"fd:template\"}", -1);
    close(pipes[0]);
    while (good && at < end)
        good = sendfile(pipes[1], m->from, &at, (size_t)(end - at)) > 0;
    close(pipes[1]);
    return good ? 0 : -EIO;
}

int abx_template_start(const struct abx_machine *m, struct abx_hypervisor *ret)
{
    struct abx_template_head head;
    int r = abx_template_read(m->from, m->memory_mib, &head);
    if (r == 0)
        r = abx_machine_start(m, ret);
    if (r < 0)
        return r;
    r = fill_memory(m, &head, ret->memory); /* while QEMU starts */
    if (r == 0)
        r = give_state(m, &head, ret->monitor);
    if (r < 0)
        abx_machine_end(ret);
    return r;
}
