/* cli: what `arcbox run --vm` does otherwise than without: the same root, mounts and layer are not
 * the command's, but a virtual machine's, whose hypervisor runs in the sandbox in the command's
 * place (run_machine.c). */
#ifndef ABX_CLI_VM_BOX_H
#define ABX_CLI_VM_BOX_H

#include "cli/sandbox.h"

struct abx_vm_box {
    char *qemu, *kernel, *machine, *init; /* on the host */
    bool kvm;
    bool network;
    char *forwards; /* of published ports, as QEMU has them */
    unsigned cpus, memory_mib;
    pid_t device; /* 0: there is none */
    int gpu;      /* the hypervisor's end of the socket to the device process, or -1 */
    int listener; /* where `arcbox exec` and its like come (enter.c) */
    int template; /* the machine goes on from it, or -1: it boots */
};

/* Dies when it cannot be so large. */
void abx_vm_check_size(const struct abx_run *run, const struct abx_settings *settings);
/* Finds all of it, or dies with what is missing and how to get it. */
void abx_vm_prepare(struct sandbox *s);
/* Makes the template of machines of the usual size, and says so. Nothing without QEMU. */
void abx_vm_prepare_usual(void);
/* Who the command is in the machine: who it would be in a container, "UID:GID", the caller's to
 * free(), or NULL: root. */
char *abx_vm_user(const struct sandbox *s);
/* Opens the way in for `arcbox exec`, and starts the device process, which ends with this one, for
 * the tenant that it has with --gpu. */
void abx_vm_open(struct sandbox *s, const struct abx_container *c);
void abx_vm_opened(struct sandbox *s); /* the sandbox has it now; s->vm may be NULL */
void abx_vm_end(struct sandbox *s);    /* and of it nothing is left; s->vm may be NULL */
/* bubblewrap's words. */
void abx_vm_add_mounts(struct abx_words *w, const struct sandbox *s, const char *root);
void abx_vm_add_command(struct abx_words *w, const struct sandbox *s);

#endif
