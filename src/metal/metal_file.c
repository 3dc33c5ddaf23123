/* metal: see metal_file.h. */
#include "metal/metal_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HASH_BYTES 32u

static void hash(const void *data, size_t bytes, uint8_t ret[HASH_BYTES])
{
    struct abx_sha256 h;
    abx_sha256_init(&h);
    abx_sha256_add(&h, data, bytes);
    abx_sha256_finish(&h, ret);
}

/* Beside the path and then in its place: a full disk leaves the old file. */
static int replace(const char *path, const void *data, size_t bytes)
{
    struct abx_string temporary = {0};
    abx_string_printf(&temporary, "%s.%d", path, (int)getpid());
    if (temporary.failed) {
        abx_string_finish(&temporary);
        return -ENOMEM;
    }
    int fd = open(temporary.data, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    int r = fd < 0 ? -errno : abx_write_all(fd, data, bytes);
    if (fd >= 0 && close(fd) < 0 && r == 0)
        r = -errno;
    if (r == 0 && rename(temporary.data, path) < 0)
        r = -errno;
    if (r < 0 && fd >= 0)
        unlink(temporary.data);
    abx_string_finish(&temporary);
    return r;
}

int abx_metal_file_write(const char *path, struct abx_string *content)
{
    uint8_t digest[HASH_BYTES];
    hash(content->data, content->length, digest);
    abx_string_add(content, digest, sizeof digest);
    return content->failed ? -ENOMEM
           : path          ? replace(path, content->data, content->length)
                           : -EINVAL;
}

int abx_metal_file_read(const char *path, size_t cap, void **ret_data, size_t *ret_bytes)
{
    void *data;
    size_t bytes;
    uint8_t digest[HASH_BYTES];
    int r = path ? abx_read_file(path, cap + HASH_BYTES, &data, &bytes) : -EINVAL;
    if (r < 0)
        return r;
    if (bytes < HASH_BYTES)
        r = -EBADMSG;
    else {
        hash(data, bytes - HASH_BYTES, digest);
        r = memcmp(digest, (uint8_t *)data + bytes - HASH_BYTES, HASH_BYTES) ? -EBADMSG : 0;
    }
    if (r < 0) {
        free(data);
        return r;
    }
    *ret_data = data;
    *ret_bytes = bytes - HASH_BYTES;
    return 0;
}
