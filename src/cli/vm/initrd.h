/* cli: archives of the form that the kernel unpacks as its first file system (cpio, "newc"). */
#ifndef ABX_CLI_VM_INITRD_H
#define ABX_CLI_VM_INITRD_H

#include "base/base.h"

/* One file, folder or node. `mode` as stat has it. */
void abx_cpio_add(struct abx_string *archive, const char *name, unsigned mode, const void *data,
        size_t bytes);
void abx_cpio_device(struct abx_string *archive, const char *name, unsigned mode, unsigned major,
        unsigned minor);
void abx_cpio_end(struct abx_string *archive);

#endif
