/* wire, guest side: the few calls of Linux's virtio-gpu driver that virtgpu.c needs. */
#ifndef ABX_WIRE_TRANSPORT_DRM_H
#define ABX_WIRE_TRANSPORT_DRM_H

#include "wire/transport/transport.h"

extern const struct abx_transport_ops abx_transport_virtgpu;

struct abx_drm_buffer {
    uint32_t handle, resource; /* the process's number, the device's */
    uint64_t bytes;
};

/* The device with our capability set; `place` is its file. A descriptor, or -errno. */
int abx_drm_find(char *place, size_t place_bytes);
/* Zeroed memory; `bytes` is whole pages, below 4 GiB. */
int abx_drm_buffer_make(int drm, uint64_t bytes, struct abx_drm_buffer *ret);
/* Over what is at `at`. */
int abx_drm_buffer_map(int drm, const struct abx_drm_buffer *buffer, void *at);
int abx_drm_buffer_map_anywhere(int drm, const struct abx_drm_buffer *buffer, void **ret);
void abx_drm_buffer_close(int drm, const struct abx_drm_buffer *buffer);
/* One EXECBUFFER. *ret_fence: a descriptor that is readable once it is over; NULL: not wanted. */
int abx_drm_submit(int drm, const void *command, uint32_t bytes, int *ret_fence);

#endif
