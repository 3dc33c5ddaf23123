/* cli: what a container engine must do to give a container the GPU. */
#ifndef ABX_CLI_CDI_H
#define ABX_CLI_CDI_H

#include "cli/cli.h"

/* One file or folder of ours that appears in the container at `target`, read-only. */
struct abx_injection {
    char *source, *target;
};
/* Our guest tree as such mounts: a folder of its own becomes one, files in shared folders one each.
 * NULL-terminated by source; *ret_count of them. */
struct abx_injection *abx_injections(const char *stage, size_t *ret_count);

/* The Container Device Interface description of every device. Dies when it cannot be made. */
char *abx_cdi_text(void);

/* A folder of hook files in podman's own format, for users who cannot install a CDI file; made
 * again each time. The caller's to free(). */
char *abx_hooks_folder(const char *backend);

/* Replaces a file by one with this text; dies when it cannot. */
void abx_write_whole(const char *path, const char *text);

/* On a container: the name of a file of limits for its GPU work, which only its maker can know.
 * Their values are not on the container, where an image could have put them: annotations of an
 * image become its containers'. */
#define ABX_LIMITS_ANNOTATION "dev.arcbox.limits"
struct abx_oci_limits {
    uint32_t cpus;    /* processors; 0: all */
    uint64_t time_ms; /* processor time of a kernel; 0: the daemon's */
};
/* Keeps them in the runtime folder: the annotation's value, the caller's to free(). Dies when it
 * cannot. */
char *abx_oci_limits_keep(const struct abx_oci_limits *limits);
/* Zeros for what is not there. */
struct abx_oci_limits abx_oci_limits_of(const char *key);
void abx_oci_limits_forget(const char *key);

#endif
