/* cli: the templates (template.h) that there are, beside the kernel that they booted: one for each
 * size of machine and everything else that is in its memory, made when it is first asked for. */
#ifndef ABX_CLI_VM_TEMPLATES_H
#define ABX_CLI_VM_TEMPLATES_H

#include "base/base.h"

/* What machines have in common with their template: programs' paths are of this system. */
struct abx_vm_likeness {
    const char *qemu, *kernel;          /* the program; the folder */
    const char *machine, *init, *inner; /* arcbox-vm, arcbox-vm-init, arcbox-init */
    unsigned cpus, memory_mib;
    bool kvm;
};

/* The template, opened, or negative: there is none, and none can be made here. Making it takes a
 * boot and a start. *ret_failed: that was tried now, and no machine goes on from it. */
int abx_vm_template(const struct abx_vm_likeness *like, bool *ret_failed);
/* How many there are of this kernel. *ret_failed: one was tried and does not work: the file that
 * says so, which is to be removed for it to be tried again, the caller's to free(), or NULL. */
unsigned abx_vm_templates(const char *kernel, char **ret_failed);

/* Runs arcbox-vm to its end, with one more option and a descriptor for it: whether it went well. */
bool abx_vm_try(const struct abx_vm_likeness *like, const char *option, int fd);

#endif
