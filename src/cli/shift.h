/* cli: a file system shown with other owners where Linux cannot do that itself (an overlay, which
 * is what docker's containers have as their root): through FUSE, by a process of ours.
 *
 * The server is the host's root, in name spaces of its own with an empty file system, no right but
 * those over files, and one mount in reach. What it is asked is a container's wish, but put by the
 * kernel, which has checked it against modes and owners as the container sees them. */
#ifndef ABX_CLI_SHIFT_H
#define ABX_CLI_SHIFT_H

#include "base/base.h"

struct abx_owner_shift {
    uint32_t first_user, first_group; /* what the file system's root is shown as */
    uint32_t users, groups;           /* so many; others are nobody's */
};

/* Mounts what is at `tree` (a mount of its own, not attached) again at `point`. Its server ends
 * with this process, or when the mount goes. 0 or -errno. */
int abx_shift_mount(int tree, int point, const struct abx_owner_shift *shift);

/* shift_serve.c: the server's loop. */
_Noreturn void abx_shift_serve(int fuse, int tree, const struct abx_owner_shift *shift);

/* shift_nodes.c: what the kernel knows of the file system, by numbers that are ours: names in
 * folders. */
#define ABX_SHIFT_ROOT 1u
struct abx_shift_node;
/* Its number; 0: no memory. Counts one look-up. */
uint64_t abx_shift_look_up(uint64_t folder, const char *name);
void abx_shift_forget(uint64_t node, uint64_t look_ups);
/* The name is gone; whoever has the number keeps it, and finds nothing. */
void abx_shift_removed(uint64_t folder, const char *name);
void abx_shift_renamed(
        uint64_t folder, const char *name, uint64_t new_folder, const char *new_name);
/* Where it is below the root: 0, -ENAMETOOLONG, or -ENOENT. */
int abx_shift_path(uint64_t node, char *ret, size_t capacity);

#endif
