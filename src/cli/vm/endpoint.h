/* cli: the outside of a command in a virtual machine: its input, output, signals and terminal are
 * those of this process. */
#ifndef ABX_CLI_VM_ENDPOINT_H
#define ABX_CLI_VM_ENDPOINT_H

#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>

struct abx_vm_command {
    int sock;                /* to arcbox-vm, which becomes non-blocking */
    const char *description; /* what is to be run, or NULL: it is known there */
    size_t bytes;
    bool tty;                       /* it has a terminal, and ours is to be passed through */
    bool detached;                  /* do not wait for its end */
    void (*left)(const char *path); /* a file that is left in the machine's layer; or NULL */
    unsigned long ignored; /* signals that our caller had ignored, a mask: not for it either */
};

/* Blocks the signals that are passed on: before there is anything that they should reach. */
void abx_vm_block_signals(void);
/* Our terminal's size, as a description has it. False: it has none. */
bool abx_vm_size(char ret[32]);
/* Until the command ends: its exit code, or -EPIPE when the machine has ended without telling.
 * *ret_why, where not NULL: a text, the caller's to free(), or NULL: why it was not run (125). */
int abx_vm_endpoint(const struct abx_vm_command *command, char **ret_why);

#endif
