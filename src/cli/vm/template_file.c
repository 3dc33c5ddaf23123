/* cli: what a template's file begins with. Runs in arcbox and in arcbox-vm. */
#include "cli/vm/template.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int abx_template_read(int fd, unsigned memory_mib, struct abx_template_head *ret)
{
    struct stat st;
    if (fstat(fd, &st) < 0 || pread(fd, ret, sizeof *ret, 0) != sizeof *ret ||
            memcmp(ret->magic, ABX_TEMPLATE_MAGIC, sizeof ret->magic) != 0)
        return -EINVAL;
    bool whole = ret->memory_bytes == (uint64_t)memory_mib << 20 &&
                 abx_range_ok(ret->memory_at, ret->memory_bytes, (uint64_t)st.st_size) &&
                 abx_range_ok(sizeof *ret, ret->state_bytes, ret->memory_at);
    return whole ? 0 : -EINVAL;
}
