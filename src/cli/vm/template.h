/* cli: a template: a machine that has booted and waits for what it is to be (ABX_VM_READY), as a
 * file from which machines of its kernel and size go on, in a tenth of the time. Nothing of a
 * command, an image or a tenant is in it: it had no devices but its port.
 *
 * The file: a head, QEMU's own state of the machine's devices, and the machine's memory, whose
 * pages of zeros are holes. */
#ifndef ABX_CLI_VM_TEMPLATE_H
#define ABX_CLI_VM_TEMPLATE_H

#include "cli/vm/machine.h"

#define ABX_TEMPLATE_MAGIC "arcbox machine 1" /* no 0 behind it */

struct abx_template_head {
    char magic[16];
    uint64_t memory_bytes, memory_at, state_bytes; /* memory_at: in the file, a whole page */
};

/* Reads the head of a file that is whole, of a machine with so much memory: 0 or -EINVAL. */
int abx_template_read(int fd, unsigned memory_mib, struct abx_template_head *ret);

/* Boots the bare machine and writes it to `to`, an empty file: 0 or -errno. */
int abx_template_make(const struct abx_machine *m, int to);
/* Starts the machine that goes on from m->from: 0 or -errno. Whether it does go on shows when it
 * answers, or ends. */
int abx_template_start(const struct abx_machine *m, struct abx_hypervisor *ret);

#endif
