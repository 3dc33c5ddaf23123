/* cli: what a virtual machine needs of this system: a hypervisor, a kernel, processors that help.
 */
#ifndef ABX_CLI_VM_VM_H
#define ABX_CLI_VM_VM_H

#include "cli/cli.h"

/* The modules that machines load: another number when they are others, so that an older kernel in
 * the cache is fetched again. */
#define ABX_VM_MODULES "modules-3.cpio"
#define ABX_VM_QEMU_MAJOR 8u /* older ones refuse our device without KVM */

/* What is to be typed to get what is missing. */
#define ABX_VM_QEMU_ADVICE "apt install qemu-system-x86 (on Debian 12 with -t bookworm-backports)"
#define ABX_VM_KERNEL_ADVICE "arcbox vm setup"

/* The hypervisor's program, the caller's to free(); NULL, with one line in *ret_why, when there is
 * none or it is too old. ret_version: as 10.0.2. */
char *abx_vm_qemu(char ret_version[32], char **ret_why);
/* The folder of the kernel that machines boot, the caller's to free(); NULL: none is set up. Its
 * release, as 6.1.0-51-amd64, is the folder's name. */
char *abx_vm_kernel(void);
/* The one of that release, or in that folder (with a slash); NULL: there is none. */
char *abx_vm_kernel_named(const char *name);

/* Whether machines of that kernel are to use KVM; if not, why. *ret_new: it was found out now,
 * which may have taken seconds. (kvm.c) */
bool abx_vm_kvm(const char *qemu, const char *kernel, char ret_why[160], bool *ret_new);

/* Takes a kernel out of an unpacked package: ROOT/boot/vmlinuz-RELEASE and
 * ROOT/lib/modules/RELEASE, into `to`. 0, or -errno with one line in *ret_why. (kernel.c) */
int abx_vm_kernel_take(const char *root, const char *release, const char *to, char **ret_why);
/* Runs a program to its end, `in` and `out` its input and output where not negative: its exit code,
 * or -errno. (setup.c) */
int abx_vm_tool(const char *const *words, const char *folder, int in, int out);

#endif
