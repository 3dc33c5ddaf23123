/* wire, guest side: which pages of shared memory the program has written since it was asked last.
 * Runs in the guest's process.
 *
 * Linux (6.7) tells by write protection that lifts itself when it is met (userfaultfd,
 * asynchronous) and an ioctl that lists such pages and protects them again. A page's first write
 * after that costs a fault, 2 us with what it writes; asking costs 2 ns a page. Where most of the
 * memory is written between two questions that is the dearer way: such memory is not asked about
 * for a while, and counts as written. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/userfaultfd.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "wire/client_internal.h"

/* Of newer headers than the oldest that we build with. */
#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif
#define FEATURE_SHARED (1u << 12)       /* UFFD_FEATURE_WP_HUGETLBFS_SHMEM */
#define FEATURE_UNPOPULATED (1u << 13)  /* UFFD_FEATURE_WP_UNPOPULATED */
#define FEATURE_ASYNCHRONOUS (1u << 15) /* UFFD_FEATURE_WP_ASYNC */
#define PAGE_WRITTEN 2u                 /* PAGE_IS_WRITTEN */
#define PROTECT_MATCHING 1u             /* PM_SCAN_WP_MATCHING */
#define CHECK_ASYNCHRONOUS 2u           /* PM_SCAN_CHECK_WPASYNC */
struct region {
    uint64_t start, end, categories;
};
struct scan {
    uint64_t size, flags, start, end, walk_end, regions, region_count, max_pages, inverted, mask,
            any_of, returned;
};
#define SCAN _IOWR('f', 16, struct scan)

#define REGIONS 64u
#define MOSTLY 4u /* a quarter of the memory was written: */
#define TIMES 3u  /* so many times one after the other, */
#define LEAST_REST 16u
#define MOST_REST 1024u

int abx_watch_open(struct abx_client_watch *watch)
{
    struct uffdio_api api = {.api = UFFD_API,
            .features = FEATURE_SHARED | FEATURE_UNPOPULATED | FEATURE_ASYNCHRONOUS};
    int faults = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY);
    if (faults < 0)
        return -errno;
    faults = abx_fd_high(faults);
    int pages = abx_fd_high(open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
    struct scan nothing = {.size = sizeof nothing};
    if (pages < 0 || ioctl(faults, UFFDIO_API, &api) < 0 || ioctl(pages, SCAN, &nothing) < 0) {
        int r = -errno;
        close(faults);
        if (pages >= 0)
            close(pages);
        return r;
    }
    watch->faults = faults;
    watch->pages = pages;
    return 0;
}

/* Lists pages that were written and protects them. 0 or -errno. */
static int scan(const struct abx_client_watch *watch, const uint8_t *memory, uint64_t bytes,
        void (*written)(void *user, uint64_t offset, uint64_t length), void *user,
        uint64_t *ret_written)
{
    struct region regions[REGIONS];
    uint64_t at = (uintptr_t)memory, end = at + bytes;
    *ret_written = 0;
    while (at < end) {
        struct scan s = {.size = sizeof s,
                .flags = PROTECT_MATCHING | CHECK_ASYNCHRONOUS,
                .start = at,
                .end = end,
                .regions = (uintptr_t)regions,
                .region_count = REGIONS,
                .mask = PAGE_WRITTEN,
                .returned = PAGE_WRITTEN};
        int count = ioctl(watch->pages, SCAN, &s);
        if (count < 0)
            return -errno;
        for (int i = 0; i < count; i++) {
            uint64_t length = regions[i].end - regions[i].start;
            *ret_written += length;
            if (written)
                written(user, regions[i].start - (uintptr_t)memory, length);
        }
        if (s.walk_end <= at)
            return -EIO;
        at = s.walk_end;
    }
    return 0;
}

int abx_watch_begin(const struct abx_client_watch *watch, struct abx_watched *w, uint8_t *memory,
        uint64_t bytes)
{
    struct uffdio_register r = {
            .range = {(uintptr_t)memory, bytes}, .mode = UFFDIO_REGISTER_MODE_WP};
    uint64_t written;
    if (ioctl(watch->faults, UFFDIO_REGISTER, &r) < 0)
        return -errno;
    int error = scan(watch, memory, bytes, NULL, NULL, &written);
    *w = (struct abx_watched){.on = error == 0};
    return error;
}

void abx_watch_ask(const struct abx_client_watch *watch, struct abx_watched *w, uint8_t *memory,
        uint64_t bytes, void (*written)(void *user, uint64_t offset, uint64_t length), void *user)
{
    uint64_t count;
    if (w->rest) {
        w->rested = --w->rest == 0;
        written(user, 0, bytes);
        return;
    }
    if (scan(watch, memory, bytes, written, user, &count) < 0) {
        /* The program has mapped something else there: what is written shows no more. */
        written(user, 0, bytes);
        w->rest = MOST_REST;
        return;
    }
    if (w->rested) { /* what was written in a long time */
        w->rested = false;
        return;
    }
    if (count < bytes / MOSTLY) {
        w->times = 0;
        return;
    }
    if (++w->times < TIMES)
        return;
    w->times = TIMES - 1; /* asked again, once more is enough */
    w->pause = w->pause ? 2 * w->pause : LEAST_REST;
    w->pause = w->pause < MOST_REST ? w->pause : MOST_REST;
    w->rest = w->pause;
}
