/* cli: what the files behind `arcbox run` share. */
#ifndef ABX_CLI_RUN_H
#define ABX_CLI_RUN_H

#include "cli/cli.h"

#include <limits.h>

#define ABX_MAX_MOUNTS 256 /* every one is a mount in the container */
#define ABX_MAX_GPU_DEVICES 16
#define ABX_MAX_GIVEN 256

struct abx_mount {
    char *source; /* absolute, symbolic links resolved */
    char *target; /* absolute and normal */
    bool read_only, is_folder, is_device;
    char relabel; /* 'z', 'Z': for SELinux, or 0 */
};

struct abx_gpu_request {
    bool wanted;
    unsigned count; /* 0: all */
    char *devices[ABX_MAX_GPU_DEVICES];
    unsigned device_count;
};

/* An option that podman gets as it was given. */
struct abx_given {
    const char *name, *value; /* value "": a flag */
};

enum abx_image_kind { ABX_IMAGE_HOST, ABX_IMAGE_FOLDER, ABX_IMAGE_OCI };

struct abx_run {
    struct abx_gpu_request gpu;
    struct abx_mount mounts[ABX_MAX_MOUNTS];
    unsigned mount_count;
    struct abx_words env; /* "K=V" */
    char *workdir, *name, *hostname;
    bool interactive, tty, detach, remove, no_network, vm;
    const char *network; /* as it was given, or NULL */
    char *here;          /* the current folder, when it is shown; else NULL */
    struct abx_given given[ABX_MAX_GIVEN];
    unsigned given_count;
    unsigned cpus; /* threads of the GPU's work; 0: the daemon's choice */
    enum abx_image_kind kind;
    char *image;     /* as the user wrote it; a folder's path once resolved */
    char *reference; /* of the OCI image that was unpacked there, or NULL */
    char **command;  /* NULL-terminated; empty only for OCI images */
    int command_count;
    bool stays;           /* a virtual machine that runs no command (vm/store.h) */
    int disk;             /* of that: the file with its layer, opened; 0: none */
    unsigned ttl_seconds; /* then it is ended; 0: never */
};

/* The image that was named, and what can be said of it before anything starts. (run.c) */
void abx_run_choose_image(struct abx_run *run, const char *image);
/* Checks it all, and runs it: the exit code. With -d the starting process returns, and a child of
 * it too, when the container has ended. */
int abx_run_go(struct abx_run *run);

/* ---- options (run_options.c) */
void abx_run_option(struct abx_run *run, struct abx_options *o, const char *name);
/* The last value given to an option, or NULL; with `after`, the next one from there on. */
const char *abx_run_given(const struct abx_run *run, const char *name, unsigned *after);

/* ---- mounts (mounts.c): die with one clear line on bad input. */
void abx_volume_add(struct abx_run *run, const char *spec); /* -v: HOST:GUEST[:ro|rw] */
void abx_mount_add(struct abx_run *run, const char *spec);  /* --mount: that, or type=bind,... */
void abx_mount_bind(struct abx_run *run, const char *source, const char *target, bool read_only);
void abx_mounts_check(const struct abx_run *run); /* once the image is known */
/* Dies when something there would hide what the system needs. */
void abx_mount_target_check(const char *target);
/* Whether one of the mounts is on `path` or on a folder that it is in. */
bool abx_run_mounts(const struct abx_run *run, const char *path);
/* The host's file that a mount shows as that command, relative to the working folder; NULL: none.
 * The caller's to free(). */
char *abx_run_mounted(const struct abx_run *run, const char *command);
/* "/a//b/../c" -> "/a/c"; the caller's to free(). */
char *abx_path_normal(const char *path);

/* ---- packages that Python programs in the container import: arcbox_mps, for PyTorch
 * (python_path.c) */
#define ABX_PYTHON_FOLDER "/usr/lib/arcbox/python"
bool abx_python_is_in(const char *stage);
/* "PYTHONPATH=...", with that folder behind what the user's -e names; the caller's to free(). */
char *abx_python_path(const struct abx_run *run);
/* Or behind what the image sets. Fetches the image when it is not here, and ends where that fails.
 */
char *abx_python_path_oci(const struct abx_run *run, const char *podman);

/* ---- GPU requests (gpu_request.c) */
struct abx_control;
struct abx_control_tenant;
void abx_gpu_parse(struct abx_gpu_request *gpu, const char *spec);
/* The backend of the device that was asked for, "" for the default. Dies when there is none. */
void abx_gpu_backend(const struct abx_gpu_request *gpu, char ret_backend[16]);
/* ARCBOX_TIME_LIMIT_MS of this environment; 0: the daemon's. */
uint64_t abx_gpu_time_limit_ms(void);
/* Starts the daemon if need be and makes the container's tenant, which lives as long as the
 * connection; says which device it got. Dies when it cannot. */
struct abx_control *abx_gpu_tenant(const struct abx_run *run, const char *name, uint32_t flags,
        struct abx_control_tenant *ret);

/* ---- containers' records (container.c): a folder under the state folder, locked while its
 * arcbox process lives, so that a record whose process is gone is seen as such. */
struct abx_container {
    char *name, *folder;
    int lock; /* held by the owner; -1 in a listing */
    bool running;
    char kind[16]; /* "sandbox" or "podman" */
    char image[256], command[256];
    bool gpu, remove;
    bool stays;                      /* a virtual machine that `arcbox machine` made */
    int supervisor, init, exit_code; /* exit_code -1: not known */
    int64_t started, ended;          /* seconds since the epoch; 0: not (yet) */
    char group[PATH_MAX];            /* its control group's folder, or "" */
    char workdir[PATH_MAX];          /* its command's working folder */
    char user[32];                   /* UID:GID of its command, when that is another; or "" */
    char why[128];                   /* what is known of its end besides the code */
};
/* Makes the record; dies when a container of that name is there. name NULL: one is made up. */
struct abx_container *abx_container_create(const char *name);
int abx_container_save(const struct abx_container *c);
/* Keeps what was asked for, for `arcbox inspect` (inspect.c). */
void abx_container_note(const struct abx_container *c, const struct abx_run *run);
/* Removes its record, and its log and layer from the disk. */
void abx_container_forget(const struct abx_container *c);
/* Drops the lock and, with `forget`, the record. */
void abx_container_close(struct abx_container *c, bool forget);
void abx_container_free(struct abx_container *c);
/* NULL when there is none of that name. */
struct abx_container *abx_container_find(const char *name);
/* Dies when there is none. */
struct abx_container *abx_container_must(const char *name);
/* All of them, NULL-terminated; each to abx_container_free(), the array to free(). */
struct abx_container **abx_container_list(void);
/* Ends a running one: SIGTERM and so many seconds (0: none), then outright. False: it lives on. */
bool abx_container_end(const struct abx_container *c, unsigned seconds);
/* Its process 1, and the arcbox that runs it, as pidfds: surely those. -1 with errno: it has ended.
 * (process.c) */
int abx_container_init(const struct abx_container *c);
int abx_container_supervisor(const struct abx_container *c);
/* Not only of the same name. */
bool abx_container_same(const struct abx_container *a, const struct abx_container *b);
/* The same of a process that is a child of a child of ours, which is not waited for yet. */
int abx_process_below(int pid, pid_t parent);
/* This process ends with its parent, which was that one. Again after each change of users,
 * which takes it away. False: that has ended. */
bool abx_process_follow(pid_t parent);
bool abx_process_ended(int pidfd, int milliseconds); /* waits for so long; -1: until it does */
int abx_process_signal(int pidfd, int number);
char *abx_container_file(const struct abx_container *c, const char *name);
/* A file, in the container's record, with the system calls that podman's containers with the GPU
 * may make (its own list and one more); NULL: podman's own. The caller's to free(). */
char *abx_oci_calls_keep(const struct abx_container *c);
/* Where a link in its record leads. False: there is none. */
bool abx_container_link(const struct abx_container *c, const char *file, char ret[PATH_MAX]);

/* The container's folder on a disk, until it is forgotten or this process ends. Removes those that
 * killed ones left. Dies when it cannot be made; the caller's to free(). (layer.c) */
char *abx_layer_make(const struct abx_container *c);
void abx_layer_forget(const struct abx_container *c);
/* The folder of the host that all users' layers are in, links resolved. */
const char *abx_layer_place(void);

/* ---- the root file system (root.c), assembled in the current mount namespace. */
struct abx_root {
    const char *image_root;  /* "/" or a folder */
    const char *stage;       /* our tree to appear in it, or NULL */
    const char *scratch;     /* an empty folder on the host for what is mounted */
    const char *layers;      /* an empty folder on a disk, used where memory does not do */
    const char *cache;       /* this user's cache folder */
    const char *const *keep; /* folders that stay visible where the root is private, NULL-ended */
    /* results */
    char *path;              /* the assembled root */
    char *upper;             /* its layers' folder, which has one of a number for each overlay */
    struct abx_string names; /* lines "NUMBER PATH": what those lie over */
    bool writable;           /* false: no overlay file system here; `notice` says so */
    char notice[768], error[512];
};
/* 0, or -errno with `error` filled. Needs CAP_SYS_ADMIN in its user namespace. */
int abx_root_assemble(struct abx_root *root);

/* Mount points strictly below `folder` (absolute, normal). */
char **abx_mounts_below(const char *folder, size_t *ret_count);

/* Makes the loader's cache of the root file system `root` (abx_inside_root(), of a mount namespace
 * of our own), whose /run/arcbox is covered meanwhile. Needs CAP_SYS_ADMIN and CAP_SYS_CHROOT.
 * (ldcache.c) */
int abx_ldcache_make(int root, void **ret_data, size_t *ret_length);

/* ---- running (sandbox.c, oci.c): the exit code. */
int abx_run_sandbox(struct abx_run *run);
int abx_run_oci(struct abx_run *run);
/* What podman is to use instead of its own choice, or NULL: crun refuses the hybrid layout of
 * control groups; runc takes it. */
char *abx_oci_runtime(void);
bool abx_oci_kill(const char *name, const char *signal);
bool abx_oci_stop(const char *name, unsigned seconds);
void abx_oci_remove(const char *name);
/* podman has a container of that name which runs. */
bool abx_oci_runs(const char *name);
/* Becomes podman with that verb and these words, NULL-ended. */
_Noreturn void abx_oci_become(const char *verb, char **words);
/* Becomes `podman logs`; lines < 0: all. */
int abx_oci_logs(const char *name, bool follow, long lines);

/* ---- the outside of a running sandbox (supervise.c) */
struct abx_supervised {
    pid_t pid;        /* of the sandbox program */
    int init;         /* process 1 of the container, as the host numbers it; 0 until known */
    int init_fd;      /* and held (a pidfd), or -1 */
    int terminal;     /* the socket its terminal comes through, or -1 */
    int master;       /* what came through it, or -1 */
    bool own_session; /* signals that a key of our terminal sends do not reach it by themselves */
    int in;           /* where our standard input goes, or -1; closed at its end */
    int listener;     /* where `arcbox attach` brings input of a detached one, or -1 */
    int out[2];       /* what the command writes to its standard output and error, or -1 */
    int log; /* where all that goes when detached, in frames (log.c), else -1: to our own */
    bool detached;
    unsigned ttl_seconds; /* then it is ended outright; 0: never */
};
/* Blocks the signals that are passed on; before the sandbox is started. */
void abx_supervise_prepare(void);
void abx_supervise_child(void); /* undoes it for ordinary children */
/* Waits for the terminal, which nothing goes on without. */
void abx_supervise_terminal(struct abx_supervised *s);
void abx_supervise_raw(void);              /* our terminal, until we end */
unsigned long abx_supervise_ignored(void); /* a mask of what our caller had ignored */
/* Passes signals and terminal bytes until the sandbox ends: its exit code. */
int abx_supervise(struct abx_supervised *s);
/* Its exit code, of what waitpid() gave. */
int abx_exit_code(int status);

/* ---- logs of detached containers (log.c): frames of one stream each */
int abx_log_append(int log, unsigned stream, const void *data, size_t length); /* 1 or 2 */
/* Whose it is: the link in a record that leads to it. */
int abx_log_begin(int log, const char *link);
/* False: it does not say. */
bool abx_log_owner(int log, char ret[PATH_MAX]);
/* Dies when it has none. */
int abx_log_open(const struct abx_container *c);
/* What has come since to our own output and error. */
void abx_log_copy(int log, off_t *at);

/* ---- input of detached containers (typing.c): `arcbox attach` sends messages, a byte that says
 * what it is and bytes */
enum { ABX_TYPE_BYTES = 'b', ABX_TYPE_SIZE = 's', ABX_TYPE_END = 'e' };
/* The answer to who comes: what it types into; that another one does; that nothing is read. */
enum { ABX_TYPE_TERMINAL = 't', ABX_TYPE_PIPE = 'p', ABX_TYPE_BUSY = 'x', ABX_TYPE_NONE = 'n' };
#define ABX_TYPE_CAP 4096
/* Where `attach` connects to; -1 when it cannot be made. */
int abx_type_listen(const struct abx_container *c);

#endif
