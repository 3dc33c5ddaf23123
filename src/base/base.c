/* base: time, anonymous memory files, sockets with descriptors, futexes, growing strings. */
#include "base/base.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

uint64_t abx_now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t abx_awake_ns(struct abx_awake_clock *clock, uint64_t step_ns)
{
    uint64_t now = abx_now_ns(), passed = clock->looked_ns ? now - clock->looked_ns : 0;
    clock->looked_ns = now;
    clock->awake_ns += passed < step_ns ? passed : step_ns;
    return clock->awake_ns;
}

enum abx_beat abx_heartbeat_look(
        const struct abx_heartbeat *beat, uint64_t awake_ns, uint64_t patience_ns)
{
    uint64_t waited = awake_ns - beat->since_ns;
    if (beat->asked)
        return waited > patience_ns ? ABX_BEAT_LOST : ABX_BEAT_REST;
    return !beat->since_ns || waited >= ABX_BEAT_NS ? ABX_BEAT_ASK : ABX_BEAT_REST;
}

uint64_t abx_patience_ns(void)
{
    const char *text = getenv("ARCBOX_PATIENCE_SECONDS");
    unsigned long long seconds = text ? strtoull(text, NULL, 10) : 0;
    return (seconds && seconds < 1000000 ? seconds : ABX_PATIENCE_SECONDS) * 1000000000u;
}

int abx_fd_high(int fd)
{
    if (fd < 0 || fd > STDERR_FILENO)
        return fd;
    int moved = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1), error = errno;
    close(fd);
    errno = error;
    return moved;
}

void abx_fd_standard(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF &&
                open("/dev/null", fd == STDIN_FILENO ? O_RDONLY : O_WRONLY) != fd)
            _exit(125); /* nothing can be said */
}

int abx_memfd_create(const char *name, uint64_t bytes)
{
    int fd = abx_fd_high(memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (fd < 0)
        return -errno;
    if (bytes > INT64_MAX || ftruncate(fd, 0) < 0 || ftruncate(fd, (off_t)bytes) < 0 ||
            fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) < 0) {
        int error = bytes > INT64_MAX ? -EFBIG : -errno;
        close(fd);
        return error;
    }
    return fd;
}

int abx_memfd_check(int fd, uint64_t bytes)
{
    int seals = fcntl(fd, F_GET_SEALS);
    if (seals < 0)
        return -EINVAL;
    if (!(seals & F_SEAL_SHRINK))
        return -EPERM;
    struct stat st;
    if (fstat(fd, &st) < 0)
        return -errno;
    return (uint64_t)st.st_size >= bytes ? 0 : -EINVAL;
}

int abx_memfd_seal(int fd)
{
    return fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) < 0 ? -errno : 0;
}

int abx_memfd_check_sealed(int fd, uint64_t bytes)
{
    struct statfs fs;
    int r = abx_memfd_check(fd, bytes);
    if (r < 0)
        return r;
    if (!(fcntl(fd, F_GET_SEALS) & F_SEAL_WRITE))
        return -EPERM;
    if (fstatfs(fd, &fs) < 0)
        return -errno;
    return fs.f_type == TMPFS_MAGIC ? 0 : -EINVAL; /* huge pages may be missing */
}

int abx_file_check_mappable(int fd, uint64_t offset, uint64_t bytes)
{
    /* Those whose pages come from a disk or from memory. */
    static const uint32_t local[] = {EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC, BTRFS_SUPER_MAGIC,
            F2FS_SUPER_MAGIC, 0x2fc12fc1 /* ZFS */, TMPFS_MAGIC, OVERLAYFS_SUPER_MAGIC,
            SQUASHFS_MAGIC, EROFS_SUPER_MAGIC_V1};
    const uint64_t page = 4096;
    struct stat st;
    struct statfs fs;
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fstat(fd, &st) < 0 || fstatfs(fd, &fs) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode) || (flags & O_ACCMODE) == O_WRONLY || (flags & O_PATH))
        return -EINVAL;
    if (offset % page || !abx_range_ok(offset, bytes, abx_align_up((uint64_t)st.st_size, page)))
        return -EINVAL;
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(local); i++)
        if ((uint32_t)fs.f_type == local[i])
            return 0;
    return -ENOTSUP;
}

int abx_read_all(int fd, void *to, size_t length)
{
    for (char *p = to; length;) {
        ssize_t n = read(fd, p, length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n ? -errno : -EPIPE;
        p += n;
        length -= (size_t)n;
    }
    return 0;
}

int abx_write_all(int fd, const void *from, size_t length)
{
    for (const char *p = from; length;) {
        ssize_t n = write(fd, p, length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        p += n;
        length -= (size_t)n;
    }
    return 0;
}

int abx_read_fd(int fd, size_t cap, void **ret_data, size_t *ret_length)
{
    size_t capacity = 65536, length = 0;
    char *data = malloc(capacity + 1);
    while (data) {
        ssize_t n = read(fd, data + length, capacity - length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            int error = -errno;
            free(data);
            return error;
        }
        if (n == 0) {
            data[length] = 0;
            *ret_data = data;
            *ret_length = length;
            return 0;
        }
        length += (size_t)n;
        if (length > cap) {
            free(data);
            return -EFBIG;
        }
        if (length == capacity) {
            capacity *= 2;
            char *more = realloc(data, capacity + 1);
            if (!more)
                free(data);
            data = more;
        }
    }
    return -ENOMEM;
}

int abx_read_file(const char *path, size_t cap, void **ret_data, size_t *ret_length)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int r = abx_read_fd(fd, cap, ret_data, ret_length);
    close(fd);
    return r;
}

int abx_write_file(const char *path, const void *data, size_t length)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    int r = abx_write_all(fd, data, length);
    if (close(fd) < 0 && r == 0)
        r = -errno;
    return r;
}

bool abx_grow(void **array, uint32_t *capacity, uint32_t count, size_t element_bytes, uint32_t cap)
{
    if (count < *capacity)
        return true;
    if (count >= cap || *capacity > UINT32_MAX / 2)
        return false;
    uint32_t more = *capacity ? *capacity * 2 : 8;
    void *bigger = realloc(*array, more * element_bytes);
    if (!bigger)
        return false;
    *array = bigger;
    *capacity = more;
    return true;
}

union fd_buffer {
    struct cmsghdr header;
    char space[CMSG_SPACE(ABX_SOCK_MAX_FDS * sizeof(int))];
};

#define CROWDED_TRIES 500 /* of 10 ms each */

/* Descriptors under way are counted for each user, and somebody else's fill the count: this process
 * may go on up to its hard limit. */
static ssize_t send_above_limit(int sock, const struct msghdr *msg, int flags)
{
    struct rlimit old, most;
    if (getrlimit(RLIMIT_NOFILE, &old) < 0 || old.rlim_cur == old.rlim_max) {
        errno = ETOOMANYREFS;
        return -1;
    }
    most = old;
    most.rlim_cur = old.rlim_max;
    setrlimit(RLIMIT_NOFILE, &most);
    ssize_t n = sendmsg(sock, msg, MSG_NOSIGNAL | flags);
    int error = errno;
    setrlimit(RLIMIT_NOFILE, &old);
    errno = error;
    return n;
}

static int send_message(
        int sock, const void *data, size_t length, const int *fds, unsigned fd_count, int flags)
{
    if (fd_count > ABX_SOCK_MAX_FDS)
        return -EINVAL;
    struct iovec iov = {(void *)data, length};
    union fd_buffer control = {0};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    if (fd_count) {
        msg.msg_control = &control;
        msg.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
        struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
        memcpy(CMSG_DATA(c), fds, fd_count * sizeof(int));
    }
    ssize_t n;
    for (int tries = 0;; tries++) {
        n = sendmsg(sock, &msg, MSG_NOSIGNAL | flags);
        if (n < 0 && errno == ETOOMANYREFS)
            n = send_above_limit(sock, &msg, flags);
        if (n >= 0 || (errno != EINTR && errno != ETOOMANYREFS))
            break;
        if (errno == ETOOMANYREFS) {
            if ((flags & MSG_DONTWAIT) || tries == CROWDED_TRIES)
                return -ETOOMANYREFS;
            nanosleep(&(struct timespec){0, 10000000}, NULL);
        }
    }
    return n < 0 ? -errno : 0;
}

int abx_sock_send(int sock, const void *data, size_t length, const int *fds, unsigned fd_count)
{
    return send_message(sock, data, length, fds, fd_count, 0);
}

int abx_sock_try_send(int sock, const void *data, size_t length, const int *fds, unsigned fd_count)
{
    return send_message(sock, data, length, fds, fd_count, MSG_DONTWAIT);
}

ssize_t abx_sock_receive(
        int sock, void *data, size_t capacity, int fds[ABX_SOCK_MAX_FDS], unsigned *ret_fd_count)
{
    struct iovec iov = {data, capacity};
    union fd_buffer control;
    struct msghdr msg = {.msg_iov = &iov,
            .msg_iovlen = 1,
            .msg_control = &control,
            .msg_controllen = sizeof control};
    ssize_t n;
    do
        n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    unsigned count = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c))
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
            unsigned here = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
            for (unsigned i = 0; i < here && count < ABX_SOCK_MAX_FDS; i++)
                memcpy(&fds[count++], CMSG_DATA(c) + i * sizeof(int), sizeof(int));
        }
    if (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
        while (count)
            close(fds[--count]);
        return -EMSGSIZE;
    }
    for (unsigned i = 0; i < count; i++)
        if ((fds[i] = abx_fd_high(fds[i])) < 0) {
            while (count)
                if (fds[--count] >= 0)
                    close(fds[count]);
            return -EMFILE;
        }
    *ret_fd_count = count;
    return n;
}

int abx_futex_wait(const uint32_t *word, uint32_t expected, int64_t timeout_ns)
{
    struct timespec t = {timeout_ns / 1000000000, timeout_ns % 1000000000};
    long r = syscall(SYS_futex, word, FUTEX_WAIT, expected, timeout_ns < 0 ? NULL : &t, NULL, 0);
    return r < 0 ? -errno : 0;
}

void abx_futex_wake(const uint32_t *word, int waiters)
{
    syscall(SYS_futex, word, FUTEX_WAKE, waiters, NULL, NULL, 0);
}

static bool reserve(struct abx_string *s, size_t more)
{
    if (s->failed)
        return false;
    if (s->length + more + 1 <= s->capacity)
        return true;
    size_t capacity = s->capacity ? s->capacity : 64;
    while (capacity < s->length + more + 1)
        capacity *= 2;
    char *data = realloc(s->data, capacity);
    if (!data) {
        s->failed = true;
        return false;
    }
    s->data = data;
    s->capacity = capacity;
    return true;
}

void abx_string_add(struct abx_string *s, const void *data, size_t length)
{
    if (!reserve(s, length))
        return;
    memcpy(s->data + s->length, data, length);
    s->length += length;
    s->data[s->length] = 0;
}

void abx_string_printf(struct abx_string *s, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n < 0)
        s->failed = true;
    else if (reserve(s, (size_t)n)) {
        vsnprintf(s->data + s->length, (size_t)n + 1, format, again);
        s->length += (size_t)n;
    }
    va_end(again);
}

void abx_string_finish(struct abx_string *s)
{
    free(s->data);
    *s = (struct abx_string){0};
}
