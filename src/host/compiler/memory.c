/* host: memory of the compiler process that its children do not inherit. A child is a fork and may
 * be taken over by what it compiles; other tenants' sources and libraries must not lie in it. */
#include "host/compiler/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEAD 64u /* keeps what follows aligned */

struct head {
    void *start; /* of the mapping */
    size_t bytes;
};

static struct head *head_of(const void *p)
{
    return (void *)((uintptr_t)p - HEAD);
}

/* `bytes` of memory, of which the first `front` are ours. */
static void *map_guarded(size_t front, size_t bytes)
{
    size_t whole = abx_align_up(front + bytes, (size_t)sysconf(_SC_PAGESIZE));
    char *start = bytes > SIZE_MAX / 2 ? MAP_FAILED
                                       : mmap(NULL, whole, PROT_READ | PROT_WRITE,
                                                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (start == MAP_FAILED)
        return NULL;
    if (madvise(start, whole, MADV_DONTFORK) < 0) {
        munmap(start, whole);
        return NULL;
    }
    *head_of(start + front) = (struct head){start, whole};
    return start + front;
}

void *guarded_alloc(size_t bytes)
{
    return map_guarded(HEAD, bytes);
}

void guarded_free(void *p)
{
    if (p)
        munmap(head_of(p)->start, head_of(p)->bytes);
}

int guarded_inherit(const void *p, bool inherit)
{
    if (!p || madvise(head_of(p)->start, head_of(p)->bytes,
                      inherit ? MADV_DOFORK : MADV_DONTFORK) == 0)
        return 0;
    return -errno;
}

int guarded_seal(int fd)
{
    return fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0
                   ? -errno
                   : 0;
}

int guarded_map(int fd, size_t cap, void **ret_data, size_t *ret_bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    struct stat st;
    int r = fstat(fd, &st) < 0 ? -errno : st.st_size <= 0 ? -EBADMSG : 0;
    if (r == 0 && (uint64_t)st.st_size > cap)
        r = -EFBIG;
    if (r == 0)
        r = abx_memfd_check_sealed(fd, (uint64_t)st.st_size);
    char *data = r < 0 ? NULL : map_guarded(page, (size_t)st.st_size);
    if (r < 0 || !data)
        return r < 0 ? r : -ENOMEM;
    if (mmap(data, (size_t)st.st_size, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, 0) == MAP_FAILED ||
            madvise(data, (size_t)st.st_size, MADV_DONTFORK) < 0) {
        guarded_free(data);
        return -ENOMEM;
    }
    *ret_data = data;
    *ret_bytes = (size_t)st.st_size;
    return 0;
}
