/* cli: private to sandbox.c and bwrap.c. */
#ifndef ABX_CLI_SANDBOX_H
#define ABX_CLI_SANDBOX_H

#include "cli/run.h"

struct sandbox {
    struct abx_run *run;
    const char *name;
    char *bwrap, *init;
    char *stage;         /* our guest tree, NULL without --gpu */
    char *scratch;       /* where the private file systems are mounted */
    char *layers;        /* the writable layer when memory does not do */
    char *socket_folder; /* of the tenant, NULL without --gpu */
    char *folder;        /* the command's working folder */
    char *keep[3];       /* folders visible although they lie in a private one */
    struct abx_control *control;
    bool user_namespace;
    bool shares_processes; /* no /proc of its own, so no process namespace either */
    int errors[2], sync[2], info, terminal;
};

/* Becomes bubblewrap; returns with errno set when it cannot. */
void abx_sandbox_exec(struct sandbox *s, const char *root);

/* False where the kernel lets a container have no /proc of its own. (proc.c) */
bool abx_sandbox_has_proc(const struct sandbox *s);

/* Removes the record and its folders when this process exits early. */
void abx_sandbox_hold(struct abx_container *c);
void abx_sandbox_let_go(void);

#endif
