/* arcbox logs: what a detached container has written.
 *
 * The log is frames, so that output and messages stay apart and in order: a byte that says which
 * (1, 2), three of zero, the length in four (network order), the bytes. The first one (3) says
 * whose log it is. A container cannot write frames: its bytes pass through `arcbox`, which makes
 * them. */
#include "cli/run.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define FRAME_CAP 65536u
#define OWNER 3u

struct frame {
    uint8_t stream, zero[3];
    uint32_t length; /* network order */
};

int abx_log_append(int log, unsigned stream, const void *data, size_t length)
{
    struct frame head = {.stream = (uint8_t)stream, .length = htonl((uint32_t)length)};
    struct iovec parts[] = {{&head, sizeof head}, {(void *)data, length}};
    ssize_t n = writev(log, parts, 2); /* a disk that is full ends nothing */
    return n < 0 && errno != ENOSPC && errno != EDQUOT ? -errno : 0;
}

/* The next frame from `at` on. False: none that is whole. */
static bool read_any(int fd, off_t *at, unsigned *ret_stream, char *data, size_t *ret_length)
{
    struct frame head;
    if (pread(fd, &head, sizeof head, *at) != sizeof head)
        return false;
    size_t length = ntohl(head.length);
    if (length > FRAME_CAP || pread(fd, data, length, *at + (off_t)sizeof head) != (ssize_t)length)
        return false;
    *at += (off_t)(sizeof head + length);
    *ret_stream = head.stream;
    *ret_length = length;
    return true;
}

/* The next one of the container's. */
static bool read_frame(int fd, off_t *at, unsigned *ret_stream, char *data, size_t *ret_length)
{
    while (read_any(fd, at, ret_stream, data, ret_length))
        if (*ret_stream == 1 || *ret_stream == 2)
            return true;
    return false;
}

int abx_log_begin(int log, const char *link)
{
    return abx_log_append(log, OWNER, link, strlen(link));
}

bool abx_log_owner(int log, char ret[PATH_MAX])
{
    static char data[FRAME_CAP];
    unsigned stream;
    size_t length;
    off_t at = 0;
    if (!read_any(log, &at, &stream, data, &length) || stream != OWNER || length >= PATH_MAX)
        return false;
    memcpy(ret, data, length);
    ret[length] = 0;
    return true;
}

void abx_log_copy(int fd, off_t *at)
{
    static char data[FRAME_CAP];
    unsigned stream;
    size_t length;
    while (read_frame(fd, at, &stream, data, &length))
        if (abx_write_all((int)stream, data, length) < 0)
            exit(ABX_EXIT_OWN);
}

static unsigned long count_lines(int fd, bool *ret_open)
{
    static char data[FRAME_CAP];
    unsigned stream;
    size_t length;
    off_t at = 0;
    unsigned long lines = 0;
    *ret_open = false;
    while (read_frame(fd, &at, &stream, data, &length))
        for (size_t i = 0; i < length; i++) {
            lines += data[i] == '\n';
            *ret_open = data[i] != '\n';
        }
    return lines;
}

/* All but the last `lines` lines are left out; *ret_at is where the next frame begins. */
static void copy_tail(int fd, unsigned long lines, off_t *ret_at)
{
    static char data[FRAME_CAP];
    unsigned stream;
    size_t length;
    bool open;
    unsigned long all = count_lines(fd, &open) + 1;
    unsigned long skip = all - !open > lines ? all - !open - lines : 0;
    for (*ret_at = 0; read_frame(fd, ret_at, &stream, data, &length);) {
        size_t from = 0;
        while (skip && from < length)
            skip -= data[from++] == '\n';
        if (!skip && lines && abx_write_all((int)stream, data + from, length - from) < 0)
            exit(ABX_EXIT_OWN);
    }
}

static void follow(const struct abx_container *c, int fd, off_t *at)
{
    int supervisor = abx_container_supervisor(c);
    for (bool ended = supervisor < 0; !ended;) {
        ended = abx_process_ended(supervisor, 50);
        abx_log_copy(fd, at);
    }
    if (supervisor >= 0)
        close(supervisor);
}

int abx_log_open(const struct abx_container *c)
{
    char *path = abx_container_file(c, "log");
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        abx_die(ABX_EXIT_OWN, "'%s' keeps no log: only detached containers (-d) do", c->name);
    free(path);
    return fd;
}

int abx_do_logs(int argc, char **argv)
{
    bool following = false;
    unsigned long lines = ULONG_MAX;
    struct abx_options o = abx_options_start(argc, argv);
    for (const char *name; (name = abx_options_next(&o));) {
        if (strcmp(name, "--follow") == 0)
            following = abx_options_bool(&o);
        else if (strcmp(name, "--tail") == 0) {
            char *end, *text = abx_options_value(&o);
            lines = strtoul(text, &end, 10);
            if (strcmp(text, "all") == 0)
                lines = ULONG_MAX;
            else if (!*text || *end || *text == '-')
                abx_die(ABX_EXIT_OWN, "-n %s: expected a number of lines", text);
        }
    }
    if (!o.count)
        abx_usage(&o);
    struct abx_container *c = abx_container_must(o.words[0]);
    if (strcmp(c->kind, "podman") == 0)
        return abx_oci_logs(c->name, following, lines == ULONG_MAX ? -1 : (long)lines);
    int fd = abx_log_open(c);
    off_t at = 0;
    if (lines == ULONG_MAX)
        abx_log_copy(fd, &at);
    else
        copy_tail(fd, lines, &at);
    if (following)
        follow(c, fd, &at);
    return 0;
}
