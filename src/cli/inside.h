/* cli: files below a root that its owner may have written to harm: an image's, a container's. Every
 * name is looked up by the kernel as if that root were "/", so no link in it leads out. */
#ifndef ABX_CLI_INSIDE_H
#define ABX_CLI_INSIDE_H

#include "cli/cli.h"

#include <sys/types.h>

/* Descriptors are close-on-exec; -errno on failure. `rel` is relative to `root`, with or without a
 * slash at its start. */
int abx_inside_root(const char *path); /* for the functions below; O_PATH */
int abx_inside_open(int root, const char *rel, int flags, mode_t mode);
/* Makes what is missing of a folder's path. O_PATH. */
int abx_inside_folder(int root, const char *rel);
/* The same, for something to be mounted on: the last part is a folder or a file. */
int abx_inside_mount_point(int root, const char *rel, bool is_folder);
/* Writes a file, replacing what is there, be it a link. */
int abx_inside_put(int root, const char *rel, const void *data, size_t length);
int abx_inside_read(int root, const char *rel, size_t cap, void **ret_data, size_t *ret_length);

/* A private copy of the mounts at and below `source`, not attached anywhere: nosuid, with
 * `attributes` (MOUNT_ATTR_*) on every one of them. What it has already stays: the kernel locks
 * that. */
int abx_tree_open(int folder, const char *source, uint64_t attributes);
/* A file system in memory, its folder's mode in octal, not attached anywhere. */
int abx_tree_memory(const char *mode);
int abx_tree_memory_sized(const char *mode, const char *bytes); /* NULL: half of the memory */
/* Shows it on an opened mount point. */
int abx_tree_attach(int tree, int mount_point);

#endif
