/* cli: virtual machines that stay: what they are and what they wrote is kept in this user's data
 * folder, each in a folder of its own:
 *
 *   machines/NAME/words     how it was made: an image, and options as of `arcbox run`
 *   machines/NAME/disk      its layer: an ext4 file system, taken by who runs it (flock)
 *
 * One that runs has a container's record too, of its name. */
#ifndef ABX_CLI_VM_STORE_H
#define ABX_CLI_VM_STORE_H

#include "cli/run.h"

struct abx_machine_kept {
    char *name, *folder, *image;
    uint64_t disk_bytes, used_bytes; /* the most, and what it takes of the host's */
    char **words;                    /* NULL-ended: of a command line, without verb and image */
    unsigned word_count;
};

/* NULL: there is none. */
struct abx_machine_kept *abx_machine_find(const char *name);
/* Dies when there is none. */
struct abx_machine_kept *abx_machine_must(const char *name);
/* All, by name, NULL-ended. */
struct abx_machine_kept **abx_machine_list(void);
void abx_machine_free(struct abx_machine_kept *m);
/* Makes it, whole or not at all; dies when that cannot be. */
void abx_machine_keep(const char *name, const struct abx_run *run, uint64_t disk_bytes);
/* Its disk, taken: -EBUSY when somebody has it. */
int abx_machine_take_disk(const struct abx_machine_kept *m);
/* Removes it and all that it wrote. */
void abx_machine_drop(const struct abx_machine_kept *m);
/* Its record while it runs, or NULL; abx_container_free(). */
struct abx_container *abx_machine_running(const struct abx_machine_kept *m);
/* Dies when there is none of that name, or it does not run. */
void abx_machine_must_run(const char *name);

#endif
