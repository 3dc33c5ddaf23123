/* backend: windows of backends whose memory lies in this process's address space. */
#include "backend/window.h"

#include <sys/mman.h>

int abx_window_reserve(struct abx_device *device, uint64_t bytes, void **ret)
{
    void *p = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        return -ENOMEM;
    *ret = p;
    return 0;
}

void abx_window_release(struct abx_device *device, void *window, uint64_t bytes)
{
    munmap(window, bytes);
}

void abx_window_vacate(void *place, uint64_t bytes)
{
    (void)!mmap(place, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED,
            -1, 0);
}
