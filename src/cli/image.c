/* cli: whether an image can have the GPU: Metal's libraries need a C library that is new enough.
 * Said before anything starts, instead of the loader's words for it. Reads an image's files, which
 * may be anybody's, through its root. */
#include "cli/image.h"
#include "cli/inside.h"
#include "cli/program.h"

#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LIBRARY_CAP (16u << 20)
#define NEEDED_MINOR 34u /* of glibc 2.x */

#if defined(__x86_64__)
#define TRIPLET "x86_64-linux-gnu"
#define MUSL "/lib/ld-musl-x86_64.so.1"
#elif defined(__aarch64__)
#define TRIPLET "aarch64-linux-gnu"
#define MUSL "/lib/ld-musl-aarch64.so.1"
#endif

static bool is_there(int root, const char *path)
{
    int fd = abx_inside_open(root, path, O_PATH, 0);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

/* "GNU C Library (...) stable release version 2.36." stands in the library itself. */
static bool version_of(const char *data, size_t length, unsigned *ret_minor)
{
    static const char mark[] = "GNU C Library (", before[] = "release version 2.";
    const char *at = memmem(data, length, mark, sizeof mark - 1);
    size_t left = at ? length - (size_t)(at - data) : 0;
    at = at ? memmem(at, left < 256 ? left : 256, before, sizeof before - 1) : NULL;
    if (!at)
        return false;
    *ret_minor = 0;
    at += sizeof before - 1;
    for (const char *end = data + length; at < end && *at >= '0' && *at <= '9'; at++)
        *ret_minor = (*ret_minor * 10 + (unsigned)(*at - '0')) % 10000;
    return true;
}

int abx_image_check(int root, char *ret_text, size_t capacity)
{
    static const char *const libraries[] = {"/lib/" TRIPLET "/libc.so.6",
            "/usr/lib/" TRIPLET "/libc.so.6", "/lib64/libc.so.6", "/usr/lib64/libc.so.6",
            "/lib/libc.so.6", "/usr/lib/libc.so.6"};
    void *data;
    size_t length;
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(libraries); i++) {
        unsigned minor;
        if (abx_inside_read(root, libraries[i], LIBRARY_CAP, &data, &length) < 0)
            continue;
        bool known = version_of(data, length, &minor);
        bool foreign = abx_program_is_foreign(data, length, ret_text, capacity);
        free(data);
        if (foreign) {
            snprintf(ret_text, capacity, "the image is for another processor than this machine's");
            return -ENOEXEC;
        }
        if (!known || minor >= NEEDED_MINOR)
            return 0;
        snprintf(ret_text, capacity,
                "the image has glibc 2.%u, and Metal's libraries need 2.%u or newer: take an image "
                "of "
                "Debian 12, Ubuntu 22.04 or newer",
                minor, NEEDED_MINOR);
        return -ENOEXEC;
    }
    if (!is_there(root, MUSL))
        return 0; /* made from nothing: it may bring its own */
    snprintf(ret_text, capacity,
            "the image has musl (Alpine), and Metal's libraries need glibc 2.%u or newer: take an "
            "image of Debian 12, Ubuntu 22.04 or newer",
            NEEDED_MINOR);
    return -ENOEXEC;
}
