/* cli: private to the files behind `arcbox run` without podman. */
#ifndef ABX_CLI_SANDBOX_H
#define ABX_CLI_SANDBOX_H

#include "cli/inside.h"
#include "cli/run.h"
#include "cli/settings.h"

#define ABX_MAX_KEPT 15

struct abx_vm_box;

struct sandbox {
    struct abx_run *run;
    const char *name;
    char *bwrap, *init, *cache;
    char *homes[2]; /* the caller's by its variable and by the list of users, without links; or NULL
                     */
    char *stage;    /* our guest tree, NULL without --gpu */
    bool has_python;              /* the tree has our packages for Python */
    char *scratch;                /* where the private file systems are mounted */
    char *layers;                 /* the writable layer when memory does not do */
    char *socket_folder;          /* of the tenant, NULL without --gpu, and with --vm, which has */
    char *socket;                 /* the tenant's for its device */
    char *here;                   /* the caller's folder; NULL for a folder image */
    char *folder;                 /* the command's working folder */
    char *keep[ABX_MAX_KEPT + 1]; /* folders visible although they lie in a private one */
    int sources[ABX_MAX_MOUNTS];  /* the run's mounts, opened; of the child that opens them */
    int socket_tree;              /* the tenant's folder, likewise; -1 without --gpu */
    struct abx_control *control;
    struct abx_settings settings;
    struct abx_vm_box *vm; /* NULL: no virtual machine */
    char *group;           /* its control group's folder, or NULL */
    struct abx_left *left; /* what is seen of the private layer from outside */
    char error[512];
    bool shares_processes; /* no /proc of its own, so no process namespace either */
    pid_t arcbox;          /* the process that started it */
    int life;              /* a pipe that arcbox holds the other end of, and nobody else */
    int errors[2], sync[2], info, terminal;
    int log, out[2];  /* of a detached container; else -1 */
    int in, listener; /* likewise, when it is to have input */
    char *refusal;    /* what was said there */
    int ready;        /* to whom it is said */
    int report[2];    /* why its command was not run; else -1 */
};

/* Becomes bubblewrap; returns with errno set when it cannot. */
void abx_sandbox_exec(struct sandbox *s, const char *root);

/* For this process the system call filter that bubblewrap installs; needs no-new-privileges. */
int abx_sandbox_filter(void);

/* Opens what is mounted in the container, while this process can still reach it: 0 or -errno, with
 * `error` set. */
int abx_sandbox_open_sources(struct sandbox *s);

/* In a child that is the host's root: users of its own for the container, and the host's files as
 * those see them. 1 when that is so, 0 where there is nothing to do, or -errno: do not go on.
 * (world.c) */
int abx_world_enter(struct sandbox *s);

/* Fills `keep` from `here`, `folder`, the environment and the command (kept.c). */
void abx_sandbox_keep(struct sandbox *s);

/* In the child: /etc/hosts and /etc/resolv.conf (network_files.c). */
void abx_sandbox_network_files(const struct sandbox *s, const char *root);

/* In the child: the mounts, file systems in memory, and, with --read-only, no writable layer but
 * those (attach.c). -errno with `error` set. */
int abx_sandbox_attach(struct sandbox *s, const char *root);

/* Covers what nobody meant to show (homes.c): 0 or -errno. */
int abx_sandbox_hide_secrets(struct sandbox *s, const char *root);

/* False where the kernel lets a container have no /proc of its own. (proc.c) */
bool abx_sandbox_has_proc(void);

/* Removes the record and its folders when this process exits early. */
void abx_sandbox_hold(struct abx_container *c);
void abx_sandbox_let_go(void);

#endif
