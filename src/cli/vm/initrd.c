/* cli: initrd.h. Runs in `arcbox vm setup` and in arcbox-vm. */
#include "cli/vm/initrd.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static void pad(struct abx_string *a)
{
    static const char zeros[4];
    abx_string_add(a, zeros, (4 - a->length % 4) % 4);
}

static void head(struct abx_string *a, const char *name, unsigned mode, size_t bytes,
        unsigned major, unsigned minor)
{
    static unsigned number;
    /* magic, inode, mode, uid, gid, links, time, size, device (2), node (2), name's length, sum */
    abx_string_printf(a, "070701%08X%08X%08X%08X%08X%08X%08zX%08X%08X%08X%08X%08zX%08X", ++number,
            mode, 0, 0, 1, 0, bytes, 0, 0, major, minor, strlen(name) + 1, 0);
    abx_string_add(a, name, strlen(name) + 1);
    pad(a);
}

void abx_cpio_add(
        struct abx_string *a, const char *name, unsigned mode, const void *data, size_t bytes)
{
    head(a, name, mode, bytes, 0, 0);
    if (bytes)
        abx_string_add(a, data, bytes);
    pad(a);
}

void abx_cpio_device(
        struct abx_string *a, const char *name, unsigned mode, unsigned major, unsigned minor)
{
    head(a, name, mode, 0, major, minor);
}

void abx_cpio_end(struct abx_string *a)
{
    head(a, "TRAILER!!!", 0, 0, 0, 0);
    static const char zeros[512];
    abx_string_add(a, zeros, (512 - a->length % 512) % 512);
}
