/* host: giving up rights. Runs in the process that gives them up, before it reads a hostile byte.
 */
#ifndef ABX_HOST_SANDBOX_H
#define ABX_HOST_SANDBOX_H

#include "base/base.h"

/* Unless told otherwise each function adds to *lacking, in words, what this system did not allow.
 */

/* No core, no dump, no new privileges, few files, dies with its parent; descriptors from `first_fd`
 * on are closed. */
void abx_sandbox_basics(unsigned first_fd, unsigned max_files);

/* Own user, mount, network, IPC and host-name spaces. Single-threaded callers only. */
void abx_sandbox_namespaces(struct abx_string *lacking);

/* As fork(), or -errno; the child has those spaces, and its own process space: when it dies, so
 * does everything it started. `lacking` is added to in the child. Single-threaded callers only. */
pid_t abx_sandbox_fork(struct abx_string *lacking);

/* The file system becomes one empty read-only folder. After abx_sandbox_namespaces(). */
void abx_sandbox_empty_root(struct abx_string *lacking);

/* The file system becomes `paths` (NULL-terminated; absent ones are skipped), read-only, and a
 * private /tmp of `tmp_bytes`. -errno: nothing was changed that matters. */
void abx_sandbox_only(const char *const *paths, uint64_t tmp_bytes, struct abx_string *lacking);

/* No capability, now or ever again. */
void abx_sandbox_drop_capabilities(struct abx_string *lacking);

/* Only the system calls a worker needs; all threads. 0 or -errno. */
int abx_sandbox_worker_calls(void);
/* Only the system calls clang and its driver need, or only those LLVM's code generator does. 0 or
 * -errno. */
int abx_sandbox_compiler_calls(void);
int abx_sandbox_codegen_calls(void);

/* At most `count` processes and threads from here on, where the kernel counts those of the own user
 * name space alone (Linux 5.14); nowhere for root, whom it does not limit. After
 * abx_sandbox_fork(). */
void abx_sandbox_max_processes(unsigned count);
/* When the machine runs out of memory this process goes first. Before its file system goes. */
void abx_sandbox_expendable(void);

#endif
