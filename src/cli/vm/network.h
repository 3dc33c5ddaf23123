/* cli: a virtual machine's network: QEMU's user networking, which needs no rights, or none. */
#ifndef ABX_CLI_VM_NETWORK_H
#define ABX_CLI_VM_NETWORK_H

#include "cli/run.h"

/* What QEMU's network is, as everybody knows it. */
#define ABX_VM_ADDRESS "10.0.2.15"
#define ABX_VM_HOST                                                                                \
    "10.0.2.2" /* and the way out; to the machine it is this system, 127.0.0.1 too */
#define ABX_VM_RESOLVER "10.0.2.3"

/* Whether the machine has one; *ret_forwards: QEMU's words for --publish, "" for none, the caller's
 * to free(). Dies of what is wrong in the options, and of a port that is taken. */
bool abx_vm_network(const struct abx_run *run, char **ret_forwards);

#endif
