/* host: memory of the compiler process that its children do not inherit. A child is a fork and may
 * be taken over by what it compiles; other tenants' sources and libraries must not lie in it. */
#include "host/compiler_internal.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEAD 64u /* keeps what follows aligned */

struct head {
    size_t bytes; /* of the mapping */
};

void *guarded_alloc(size_t bytes)
{
    size_t whole = abx_align_up(bytes + HEAD, (size_t)sysconf(_SC_PAGESIZE));
    struct head *head = bytes > SIZE_MAX / 2 ? MAP_FAILED
                                             : mmap(NULL, whole, PROT_READ | PROT_WRITE,
                                                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (head == MAP_FAILED)
        return NULL;
    if (madvise(head, whole, MADV_DONTFORK) < 0) {
        munmap(head, whole);
        return NULL;
    }
    head->bytes = whole;
    return (char *)head + HEAD;
}

static struct head *head_of(const void *p)
{
    return (void *)((uintptr_t)p - HEAD);
}

void guarded_free(void *p)
{
    if (p)
        munmap(head_of(p), head_of(p)->bytes);
}

int guarded_inherit(const void *p, bool inherit)
{
    if (!p || madvise(head_of(p), head_of(p)->bytes, inherit ? MADV_DOFORK : MADV_DONTFORK) == 0)
        return 0;
    return -errno;
}

int guarded_copy(int fd, size_t bytes, void **ret_data)
{
    char *data = guarded_alloc(bytes);
    if (!data)
        return -ENOMEM;
    for (size_t at = 0; at < bytes;) {
        ssize_t n = pread(fd, data + at, bytes - at, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            int r = n < 0 ? -errno : -EIO;
            guarded_free(data);
            return r;
        }
        at += (size_t)n;
    }
    *ret_data = data;
    return 0;
}

int guarded_read(int fd, size_t cap, void **ret_data, size_t *ret_bytes)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode) || st.st_size < 0 || (uint64_t)st.st_size > cap)
        return -EFBIG;
    *ret_bytes = (size_t)st.st_size;
    return guarded_copy(fd, *ret_bytes, ret_data);
}
