/* cli: orders to QEMU, in its machine protocol (QMP): lines of JSON through a socket. Only QEMU of
 * this system's is spoken to, which answers in a form that it has kept since 2010. */
#ifndef ABX_CLI_VM_QMP_H
#define ABX_CLI_VM_QMP_H

#include "base/base.h"

/* The answer to one order: the caller's to free(), or NULL: it was refused, or QEMU has ended.
 * `arguments` as {...}, or NULL. fd: passed with it where not negative. */
char *abx_qmp(int monitor, const char *order, const char *arguments, int fd);
/* Hears its greeting, which comes first. */
bool abx_qmp_open(int monitor);

#endif
