/* cli: docker's options as a sandbox (the host's root, a folder) takes them. */
#ifndef ABX_CLI_SETTINGS_H
#define ABX_CLI_SETTINGS_H

#include "cli/run.h"

#include <sys/resource.h>

#define ABX_MAX_TMPFS 32
#define ABX_MAX_ULIMITS 16

struct abx_settings {
    bool has_user, read_only;
    unsigned uid, gid;
    char *home;                 /* of that user, in the image; NULL: not known */
    uint64_t memory, shm_bytes; /* 0: not given */
    struct {
        char *target, *size, *mode; /* size NULL: half of the memory, as the kernel has it */
    } tmpfs[ABX_MAX_TMPFS];
    unsigned tmpfs_count;
    struct {
        int which;
        struct rlimit limit;
    } ulimits[ABX_MAX_ULIMITS];
    unsigned ulimit_count;
};

/* Of run->given. Dies, naming the option, of what is wrong and of what cannot be done here. */
void abx_settings_read(const struct abx_run *run, struct abx_settings *ret);

/* "512m" in bytes; dies, naming `option`, when it is none. */
uint64_t abx_size_parse(const char *option, const char *text);

/* In the child, last: what its processes may use. -errno. */
int abx_settings_limit(const struct abx_settings *settings);

/* ---- control groups (group.c) */

/* A group of its own below or beside ours, with these limits (0: none): its folder, the caller's to
 * free(); NULL with *ret_why when there is no way to make one. */
char *abx_group_make(const char *name, uint64_t memory, unsigned cpus, const char **ret_why);
int abx_group_add(const char *group, pid_t pid);
/* Once its processes have ended. */
void abx_group_remove(const char *group);

#endif
