/* wire, guest side: what the program has mapped where. Runs in the guest's process; trusts the
 * kernel's answer for the moment it was given. */
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "wire/client_internal.h"

#define LINE_BYTES (PATH_MAX + 128)

/* A line of /proc/self/maps; *ret_path: the rest of it, a path or a name. */
static bool parse(char *line, struct abx_mapping *m, const char **ret_path)
{
    unsigned major, minor;
    char access[8];
    int path = 0;
    *m = (struct abx_mapping){0};
    if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s %" SCNx64 " %x:%x %" SCNu64 " %n", &m->start,
                &m->end, access, &m->offset, &major, &minor, &m->inode, &path) != 7)
        return false;
    m->writable = access[1] == 'w';
    m->shared = access[3] == 's';
    line[strcspn(line, "\n")] = 0;
    m->device = makedev(major, minor);
    *ret_path = line + path;
    return true;
}

unsigned abx_client_mappings(
        uint64_t start, uint64_t end, struct abx_mapping *list, unsigned capacity)
{
    FILE *f = fopen("/proc/self/maps", "re");
    char line[LINE_BYTES];
    unsigned count = 0;
    while (f && count < capacity && fgets(line, sizeof line, f)) {
        struct abx_mapping m;
        const char *path;
        if (!parse(line, &m, &path) || m.end <= start)
            continue;
        if (m.start >= end)
            break;
        if (m.start < start) {
            m.offset += start - m.start;
            m.start = start;
        }
        m.end = m.end > end ? end : m.end;
        list[count++] = m;
    }
    if (f)
        fclose(f);
    return count;
}

/* Whether a mapping of the file would be one of the same file. Asked of the kernel by way of
 * another mapping: what stat() says of a file on an overlay is not what is said of its mappings. */
static bool is_same(int fd, const struct abx_mapping *as)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    void *p = mmap(NULL, page, PROT_READ, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED)
        return false;
    struct abx_mapping m;
    bool same = abx_client_mappings((uintptr_t)p, (uintptr_t)p + page, &m, 1) &&
                m.device == as->device && m.inode == as->inode;
    munmap(p, page);
    return same;
}

/* Another file may have the name by now. */
static int open_same(const char *path, const struct abx_mapping *as)
{
    int fd = path[0] == '/' ? abx_fd_high(open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK))
                            : -1;
    if (fd >= 0 && is_same(fd, as))
        return fd;
    if (fd >= 0)
        close(fd);
    return -ENOTSUP;
}

int abx_client_open_mapped(uint64_t start, uint64_t end, struct abx_mapping *ret)
{
    FILE *f = fopen("/proc/self/maps", "re");
    char line[LINE_BYTES];
    int fd = -ENOTSUP;
    while (f && fgets(line, sizeof line, f)) {
        struct abx_mapping m;
        const char *path;
        if (!parse(line, &m, &path) || m.end <= start)
            continue;
        if (m.start <= start && m.end >= end && m.shared && !m.writable) {
            m.offset += start - m.start;
            m.start = start;
            m.end = end;
            fd = open_same(path, &m);
            *ret = m;
        }
        break;
    }
    if (f)
        fclose(f);
    return fd;
}
