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

/* On a container: how many processors its GPU work may use. */
#define ABX_CPUS_ANNOTATION "dev.arcbox.cpus"
/* And how many milliseconds of processor time one kernel. */
#define ABX_TIME_ANNOTATION "dev.arcbox.time-limit-ms"

#endif
