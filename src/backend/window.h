/* backend: windows (struct abx_memory_ops) that are plain reservations of addresses. Any thread. */
#ifndef ABX_BACKEND_WINDOW_H
#define ABX_BACKEND_WINDOW_H

#include "backend/backend.h"

/* As abx_memory_ops.reserve and release. */
int abx_window_reserve(struct abx_device *device, uint64_t bytes, void **ret);
void abx_window_release(struct abx_device *device, void *window, uint64_t bytes);
/* Back to a reservation what was mapped in one: no address of a window is ever handed to anybody
 * else. Where the kernel refuses (too many mappings), the memory goes with the window. */
void abx_window_vacate(void *place, uint64_t bytes);

#endif
