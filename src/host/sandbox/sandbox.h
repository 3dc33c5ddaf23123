/* host: giving up rights. Runs in the process that gives them up, before it reads a hostile byte.
 */
#ifndef ABX_HOST_SANDBOX_H
#define ABX_HOST_SANDBOX_H

#include "base/base.h"

/* Unless told otherwise each function adds to *lacking, in words, what this system did not allow.
 */

/* Goes on without walls that the system does not allow; `arcboxd --allow-weak-sandbox` sets it. */
#define ABX_WEAK_SANDBOX_ENV "ARCBOX_ALLOW_WEAK_SANDBOX"

/* After the functions below: a wall is missing in this process and nobody said that it may be. The
 * caller reads no hostile byte then. (Landlock, a second wall, may be absent.) */
bool abx_sandbox_refuses(void);
/* In words, for whom it stops; the caller's to finish. */
void abx_sandbox_refusal(struct abx_string *ret, const struct abx_string *lacking);
/* Tries all in a process of its own. -EPERM: processes started from here would refuse, and
 * *ret_message says it. */
int abx_sandbox_probe(struct abx_string *ret_message);

/* No core, no dump, no new privileges, few files, dies with its parent; descriptors from `first_fd`
 * on are closed. */
void abx_sandbox_basics(unsigned first_fd, unsigned max_files);

/* First of all: abx_sandbox_namespaces() then makes this process a user of its own, where the
 * system has one to give, so that the kernel counts and limits nobody else with it. salt: spreads
 * such users. (user.c) */
void abx_sandbox_want_own_user(unsigned salt);

/* Own user, mount, network, IPC and host-name spaces. Single-threaded callers only. */
void abx_sandbox_namespaces(struct abx_string *lacking);

/* As fork(), or -errno; the child has those spaces, and its own process space: when it dies, so
 * does everything it started. `lacking` is added to in the child. Single-threaded callers only. */
pid_t abx_sandbox_fork(struct abx_string *lacking);

/* The file system becomes one empty read-only folder, and Landlock allows none of it. After
 * abx_sandbox_namespaces(). */
void abx_sandbox_empty_root(struct abx_string *lacking);

/* As the one before, but `devices` (NULL-terminated; absent ones are skipped) are there: to be
 * read, written and asked for what only they can do. */
void abx_sandbox_only_devices(const char *const *devices, struct abx_string *lacking);

/* The file system becomes `paths` (NULL-terminated; absent ones are skipped), read-only, and a
 * private /tmp of `tmp_bytes`; Landlock allows those. */
void abx_sandbox_only(const char *const *paths, uint64_t tmp_bytes, struct abx_string *lacking);

/* Landlock: of the file system only `paths`, to be read and run, and /tmp and /dev/null; NULL: none
 * of it. No TCP, no abstract sockets and no signals outward, where the kernel knows those. Nothing
 * where it has no Landlock. After abx_sandbox_basics(), and used by the two above.
 * (landlock.c) */
void abx_sandbox_landlock(const char *const *paths);
void abx_sandbox_landlock_devices(const char *const *devices);

/* No capability, now or ever again. */
void abx_sandbox_drop_capabilities(struct abx_string *lacking);

/* A system call, and why somebody needs it. */
struct abx_sandbox_call {
    int number;
    const char *why; /* NULL: the end of a list */
};
/* Only the system calls a worker needs, and `more` (or NULL); all threads. 0 or -errno. */
int abx_sandbox_worker_calls(const struct abx_sandbox_call *more);
/* Only those that the device of a virtual machine needs. 0 or -errno. */
int abx_sandbox_device_calls(void);
/* May this process be looked into, and does it own its files in /proc? No, after
 * abx_sandbox_namespaces(). */
void abx_sandbox_dumpable(bool is);
/* Only the system calls clang and its driver need, or only those LLVM's code generator does. 0 or
 * -errno. */
int abx_sandbox_compiler_calls(void);
int abx_sandbox_codegen_calls(void);

/* At most `count` processes and threads from here on, where the kernel counts those of the own user
 * name space alone (Linux 5.14); nowhere for root, whom it does not limit, where that could not
 * become another user. After abx_sandbox_fork() or abx_sandbox_namespaces(). */
void abx_sandbox_max_processes(unsigned count);
/* As many open files, and no more descriptors of one user under way in sockets, when this process
 * sends one. */
void abx_sandbox_max_files(unsigned count);
/* After abx_sandbox_namespaces(): it has become the user that was wanted, or will with its
 * capabilities' end. */
bool abx_sandbox_has_own_user(void);
/* When the machine runs out of memory this process goes first. Before its file system goes. */
void abx_sandbox_expendable(void);

/* user.c, for sandbox.c: steps of abx_sandbox_namespaces(). */
bool abx_sandbox_user_begin(void);      /* true: was root, and can be again */
void abx_sandbox_user_root_again(void); /* for what only root may do here */
bool abx_sandbox_user_map(void);        /* true: the name space has the own user */
void abx_sandbox_user_end(void);        /* becomes it, for good */

#endif
