/* cli: commands in a virtual machine that runs, for `arcbox exec`, `arcbox cp` and `arcbox
 * machine`.
 */
#ifndef ABX_CLI_VM_ENTER_H
#define ABX_CLI_VM_ENTER_H

#include "cli/run.h"

#define ABX_KIND_VM "vm" /* of a record */

/* What is to be run: arcbox-init's words, and variables besides the machine's own. */
struct abx_vm_entry {
    char **words, **env; /* each NULL-ended; env may be NULL */
    bool tty, detached;
};

bool abx_vm_is(const struct abx_container *c);
/* Where they come: a socket in the record, or -1 with errno. In the arcbox that runs the machine.
 */
int abx_vm_listen(const struct abx_container *c);
/* Runs it: the exit code. Dies when it was not run. */
int abx_vm_enter(const struct abx_container *c, const struct abx_vm_entry *entry);
/* The same in a child, whose streams are those: its number, or dies. */
pid_t abx_vm_enter_child(
        const struct abx_container *c, const struct abx_vm_entry *entry, int in, int out, int err);

#endif
