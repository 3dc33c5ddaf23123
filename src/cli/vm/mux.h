/* cli: the channels of a virtual machine: between the one port that it has and the sockets of those
 * who run commands in it. */
#ifndef ABX_CLI_VM_MUX_H
#define ABX_CLI_VM_MUX_H

#include "cli/vm/machine.h"

struct abx_vm_mux_start {
    struct abx_hypervisor hypervisor;
    const struct abx_string *description; /* which the machine is told first */
    int first;    /* the socket of the machine's own command, or -1: it stays without one */
    int listener; /* where others come from, or -1 */
    bool silent;  /* nothing is said of how it ended */
};

/* Until the hypervisor ends, or is to be ended, upon which nothing is left of it: its own command
 * has, or SIGTERM came, upon which a machine that has no command is shut down. True: it ended in
 * good order; else what it said last has been written to standard error, after one line. */
bool abx_vm_mux(const struct abx_vm_mux_start *start);

#endif
