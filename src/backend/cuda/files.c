/* backend/cuda: files that a guest lends: read into memory of the device's own, where kernels read
 * them at its speed instead of the bus's. Worker process. The file is somebody else's: it may be
 * written and cut at any time, so that it is read, never mapped, and what it has no more of is
 * zeros.
 *
 * What is written to it is seen at the next command buffer: each begins with a look at the times
 * and the sizes of all files that are lent, and what has changed is read again, whole. What a
 * kernel wrote there is gone then. */
#include "backend/cuda/cuda_internal.h"

#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE_BYTES (8u << 20)
/* A file's times go on in steps of the kernel's clock: what is written within one after it was read
 * would not show. */
#define STEP_NS 20000000

struct abx_cuda_file {
    pthread_mutex_t lock; /* held while it is read again */
    struct abx_device_memory *memory;
    int fd;
    uint64_t offset;
    struct stat seen;
    bool unsure; /* it was written just before it was read */
};

/* ---- reading */

static int read_piece(const struct abx_cuda_file *f, char *to, uint64_t at, size_t bytes)
{
    size_t done = 0;
    while (done < bytes) {
        ssize_t n = pread(f->fd, to + done, bytes - done, (off_t)(f->offset + at + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -EIO;
        if (n == 0)
            break;
        done += (size_t)n;
    }
    memset(to + done, 0, bytes - done);
    return 0;
}

static int wait_copied(struct abx_device *device, abx_cu_event event)
{
    int result;
    while ((result = abx_cu.event_query(event)) == ABX_CU_NOT_READY) {
        if (atomic_load(&device->lost))
            return -EIO;
        sched_yield();
    }
    return abx_cuda_errno(result);
}

/* One piece is read while the one before it is copied. */
static int read_pieces(struct abx_cuda_file *f, char *staging, abx_cu_event event[2])
{
    struct abx_device_memory *m = f->memory;
    struct abx_device *device = m->device;
    int r = 0;
    for (uint64_t at = 0, i = 0; r == 0 && at < m->bytes; at += PIECE_BYTES, i++) {
        char *piece = staging + i % 2 * PIECE_BYTES;
        size_t bytes = m->bytes - at < PIECE_BYTES ? (size_t)(m->bytes - at) : PIECE_BYTES;
        if (i >= 2)
            r = wait_copied(device, event[i % 2]);
        if (r == 0)
            r = read_piece(f, piece, at, bytes);
        if (r == 0)
            r = abx_cuda_errno(abx_cu.copy(
                    m->address + at, (abx_cu_address)(uintptr_t)piece, bytes, device->zero_stream));
        if (r == 0)
            r = abx_cuda_errno(abx_cu.event_record(event[i % 2], device->zero_stream));
    }
    /* The staging is about to go. */
    int end = abx_cuda_errno(abx_cu.stream_synchronize(device->zero_stream));
    return r ? r : end;
}

static bool is_recent(const struct stat *st)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    int64_t age = (int64_t)(now.tv_sec - st->st_ctim.tv_sec) * 1000000000 +
                  (now.tv_nsec - st->st_ctim.tv_nsec);
    return age < STEP_NS;
}

/* 0 or -errno. Any thread; it waits for the copies. */
static int read_file(struct abx_cuda_file *f)
{
    void *staging = NULL;
    abx_cu_event event[2] = {0};
    if (fstat(f->fd, &f->seen) < 0)
        return -EIO;
    f->unsure = is_recent(&f->seen);
    int r = abx_cuda_errno(
            abx_cu.host_alloc(&staging, 2 * PIECE_BYTES, ABX_CU_HOST_PORTABLE_MAPPED));
    for (int i = 0; r == 0 && i < 2; i++)
        r = abx_cuda_errno(abx_cu.event_create(&event[i], ABX_CU_EVENT_NO_TIMING));
    if (r == 0)
        r = read_pieces(f, staging, event);
    for (int i = 0; i < 2; i++)
        if (event[i])
            (void)abx_cu.event_destroy(event[i]);
    if (staging)
        (void)abx_cu.host_free(staging);
    return r;
}

int abx_cuda_file_read(struct abx_device_memory *m)
{
    return atomic_load(&m->device->lost) ? -EIO : read_file(m->file);
}

/* ---- what has been written since */

static bool same_time(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool has_changed(const struct abx_cuda_file *f)
{
    struct stat st;
    if (fstat(f->fd, &st) < 0)
        return true; /* reading it says what is wrong */
    return f->unsure || st.st_size != f->seen.st_size ||
           !same_time(&st.st_mtim, &f->seen.st_mtim) || !same_time(&st.st_ctim, &f->seen.st_ctim);
}

/* Of what is there in whole pages, as it is where files are mapped. */
static bool is_inside(const struct abx_cuda_file *f, const struct abx_exec_resource *r)
{
    uint64_t size = f->seen.st_size > 0 ? abx_align_up((uint64_t)f->seen.st_size, 4096) : 0;
    return !r->usage || abx_range_ok(f->offset + r->offset, r->length, size);
}

int abx_cuda_file_renew(const struct abx_exec_resource *resource)
{
    struct abx_cuda_file *f = resource->memory->file;
    pthread_mutex_lock(&f->lock);
    int r = has_changed(f) ? read_file(f) : 0;
    if (r == 0 && !is_inside(f, resource))
        r = -EFAULT;
    pthread_mutex_unlock(&f->lock);
    return r;
}

/* ---- */

int abx_cuda_file_open(struct abx_device_memory *m, int fd, uint64_t offset)
{
    struct abx_cuda_file *f = calloc(1, sizeof *f);
    if (!f)
        return -ENOMEM;
    f->memory = m;
    f->offset = offset;
    f->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (f->fd < 0) {
        free(f);
        return -EMFILE;
    }
    pthread_mutex_init(&f->lock, NULL);
    m->file = f;
    return 0;
}

void abx_cuda_file_close(struct abx_device_memory *m)
{
    pthread_mutex_destroy(&m->file->lock);
    close(m->file->fd);
    free(m->file);
}
