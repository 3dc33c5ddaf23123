/* arcbox-vm-init: which files were written in the machine's own layer, which is memory and gone
 * with it. What of them is worth telling, the outside knows. */
#include "cli/vm/guest.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_ENTRIES 50000u
#define MAX_BYTES (4 * ABX_VM_WINDOW) /* the outside keeps no more for who is slow */
#define MAX_DEPTH 32u

static struct {
    char paths[ABX_VM_FRAME_MAX];
    size_t length, sent;
    unsigned entries;
} told;

static void send_paths(void)
{
    abx_guest_push();
    if (told.length)
        abx_vm_put(&abx_guest_out, 0, ABX_VM_LEFT, told.paths, told.length);
    told.sent += told.length;
    told.length = 0;
}

static void tell(const char *path)
{
    size_t n = strlen(path) + 1;
    if (told.length + n > sizeof told.paths)
        send_paths();
    if (n > sizeof told.paths || told.sent > MAX_BYTES)
        return;
    memcpy(told.paths + told.length, path, n);
    told.length += n;
}

/* `fd` is closed. */
static void walk(int fd, const char *path, unsigned depth)
{
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d && fd >= 0)
        close(fd);
    for (struct dirent *e; d && told.entries < MAX_ENTRIES && (e = readdir(d));) {
        struct stat st;
        char child[PATH_MAX];
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
                fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
                snprintf(child, sizeof child, "%s/%s", path, e->d_name) >= (int)sizeof child)
            continue;
        told.entries++;
        if (S_ISREG(st.st_mode))
            tell(child);
        else if (S_ISDIR(st.st_mode) && depth < MAX_DEPTH)
            walk(openat(fd, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), child,
                    depth + 1);
    }
    if (d)
        closedir(d);
}

void abx_guest_tell_left(int layer)
{
    walk(layer, "", 0);
    send_paths();
}
