/* wire, guest side: calls of Linux's virtio-gpu driver. Runs in the guest's process. Their records
 * are those of Linux's uapi headers drm/drm.h and drm/virtgpu_drm.h, which never change, and which
 * Debian's headers of the C library leave out. */
#include "wire/transport/drm.h"
#include "wire/transport/virtgpu.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define FOLDER "/dev/dri"

struct drm_version {
    int major, minor, patch;
    size_t name_bytes;
    char *name;
    size_t date_bytes;
    char *date;
    size_t text_bytes;
    char *text;
};
struct drm_close {
    uint32_t handle, padding;
};
struct virtgpu_map {
    uint64_t offset; /* set by the driver */
    uint32_t handle, padding;
};
struct virtgpu_submit {
    uint32_t flags, bytes;
    uint64_t command, handles;
    uint32_t handle_count;
    int32_t fence; /* set by the driver */
};
struct virtgpu_create {
    uint32_t target, format, bind, width, height, depth, array_size, last_level, samples, flags;
    uint32_t handle, resource; /* set by the driver */
    uint32_t bytes, stride;
};
struct virtgpu_get_caps {
    uint32_t set, version;
    uint64_t address;
    uint32_t bytes, padding;
};

#define DRM_VERSION _IOWR('d', 0x00, struct drm_version)
#define DRM_CLOSE _IOW('d', 0x09, struct drm_close)
#define VIRTGPU_MAP _IOWR('d', 0x41, struct virtgpu_map)
#define VIRTGPU_SUBMIT _IOWR('d', 0x42, struct virtgpu_submit)
#define VIRTGPU_CREATE _IOWR('d', 0x44, struct virtgpu_create)
#define VIRTGPU_GET_CAPS _IOWR('d', 0x49, struct virtgpu_get_caps)
#define SUBMIT_FENCE_OUT 2u

static int call(int drm, unsigned long request, void *argument)
{
    int r;
    do
        r = ioctl(drm, request, argument);
    while (r < 0 && (errno == EINTR || errno == EAGAIN));
    return r < 0 ? -errno : 0;
}

/* Other drivers' devices are not even opened, where /sys tells: it could wake a GPU that sleeps. */
static bool is_another_driver(const char *node)
{
    char path[128], link[256];
    snprintf(path, sizeof path, "/sys/class/drm/%.64s/device/driver", node);
    ssize_t n = readlink(path, link, sizeof link - 1);
    if (n <= 0)
        return false;
    link[n] = 0;
    const char *slash = strrchr(link, '/');
    return strncmp(slash ? slash + 1 : link, "virtio", 6) != 0; /* the device, or its bus */
}

static bool is_virtio_gpu(int drm)
{
    char name[32] = "";
    struct drm_version version = {.name = name, .name_bytes = sizeof name - 1};
    return call(drm, DRM_VERSION, &version) == 0 && strcmp(name, "virtio_gpu") == 0;
}

static bool is_ours(int drm)
{
    struct abx_virtgpu_caps caps = {0};
    struct virtgpu_get_caps get = {.set = ABX_VIRTGPU_CAPSET,
            .version = ABX_VIRTGPU_VERSION,
            .address = (uintptr_t)&caps,
            .bytes = sizeof caps};
    return is_virtio_gpu(drm) && call(drm, VIRTGPU_GET_CAPS, &get) == 0 &&
           caps.magic == ABX_VIRTGPU_MAGIC;
}

int abx_drm_find(char *place, size_t place_bytes)
{
    DIR *folder = opendir(FOLDER);
    int found = -ENODEV;
    snprintf(place, place_bytes, FOLDER);
    for (struct dirent *e; folder && found < 0 && (e = readdir(folder));) {
        if (strncmp(e->d_name, "renderD", 7) != 0 || is_another_driver(e->d_name))
            continue;
        char path[280];
        snprintf(path, sizeof path, FOLDER "/%s", e->d_name);
        int drm = abx_fd_high(open(path, O_RDWR | O_CLOEXEC));
        if (drm >= 0 && is_ours(drm)) {
            found = drm;
            snprintf(place, place_bytes, "%.63s", path);
        } else if (drm >= 0)
            close(drm);
    }
    if (folder)
        closedir(folder);
    return found;
}

/* A buffer of bytes, as Gallium has it: the device looks at nothing but its pages. */
int abx_drm_buffer_make(int drm, uint64_t bytes, struct abx_drm_buffer *ret)
{
    enum { TARGET_BUFFER = 0, FORMAT_R8 = 64, BIND_VERTEX = 0x10 };
    struct virtgpu_create create = {.target = TARGET_BUFFER,
            .format = FORMAT_R8,
            .bind = BIND_VERTEX,
            .width = (uint32_t)bytes,
            .height = 1,
            .depth = 1,
            .array_size = 1,
            .bytes = (uint32_t)bytes};
    if (bytes > UINT32_MAX)
        return -ENOMEM;
    int r = call(drm, VIRTGPU_CREATE, &create);
    if (r == 0)
        *ret = (struct abx_drm_buffer){create.handle, create.resource, bytes};
    return r;
}

static int map(int drm, const struct abx_drm_buffer *buffer, void *at, int flags, void **ret)
{
    struct virtgpu_map where = {.handle = buffer->handle};
    int r = call(drm, VIRTGPU_MAP, &where);
    if (r < 0)
        return r;
    void *p = mmap(at, buffer->bytes, PROT_READ | PROT_WRITE, MAP_SHARED | flags, drm,
            (off_t)where.offset);
    if (p == MAP_FAILED)
        return -errno;
    *ret = p;
    return 0;
}

int abx_drm_buffer_map(int drm, const struct abx_drm_buffer *buffer, void *at)
{
    return map(drm, buffer, at, MAP_FIXED, &at);
}

int abx_drm_buffer_map_anywhere(int drm, const struct abx_drm_buffer *buffer, void **ret)
{
    return map(drm, buffer, NULL, 0, ret);
}

void abx_drm_buffer_close(int drm, const struct abx_drm_buffer *buffer)
{
    struct drm_close gone = {.handle = buffer->handle};
    if (drm >= 0) /* after fork() the numbers are the parent's */
        call(drm, DRM_CLOSE, &gone);
}

int abx_drm_submit(int drm, const void *command, uint32_t bytes, int *ret_fence)
{
    struct virtgpu_submit e = {.flags = ret_fence ? SUBMIT_FENCE_OUT : 0,
            .bytes = bytes,
            .command = (uintptr_t)command,
            .fence = -1};
    int r = call(drm, VIRTGPU_SUBMIT, &e);
    if (r == 0 && ret_fence)
        *ret_fence = e.fence;
    return r;
}
