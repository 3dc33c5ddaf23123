/* cli: entering a container that runs (join.c). */
#ifndef ABX_CLI_JOIN_H
#define ABX_CLI_JOIN_H

#include "cli/run.h"

/* What `arcbox exec` and `arcbox cp` run in a container. */
struct abx_join {
    char *const *words; /* of arcbox-init, after its name; NULL-ended */
    char *const *env;   /* added to the container's own, "K=V"; NULL-ended, or NULL */
    int in, out, err;   /* what the program gets; ours are never passed on */
    bool detached;      /* it may outlive us */
    int terminal;       /* a socket arcbox-init hands a terminal through, or -1: also passed */
};

/* Its processes are in no space of their own. */
bool abx_join_shares_processes(const struct abx_container *c);

/* Starts it in all of the container's name spaces and its control group, with its limits and no
 * more rights than its first program has. The process that waits for it, whose exit code is its
 * own; -errno with a text. *ret_init: the program's process, as the host numbers it. */
pid_t abx_join_start(const struct abx_container *c, const struct abx_join *join, int *ret_init,
        char *ret_text, size_t capacity);

#endif
