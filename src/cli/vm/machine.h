/* cli: one virtual machine, as arcbox-vm is told to start it, and its hypervisor. */
#ifndef ABX_CLI_VM_MACHINE_H
#define ABX_CLI_VM_MACHINE_H

#include "base/base.h"

#define ABX_VM_DEFAULT_MEMORY_MIB 2048u

struct abx_machine {
    const char *qemu;         /* the program */
    const char *kernel;       /* a folder: vmlinux, and the modules */
    const char *init, *inner; /* arcbox-vm-init, arcbox-init */
    const char *root;         /* the folder that the machine sees as its root */
    const char *hostname;
    unsigned cpus, memory_mib;
    bool kvm, tty, read_only;
    bool stays;   /* it has no command */
    bool probe;   /* nor files */
    int gpu;      /* to arcbox-vmm, or -1 */
    int listener; /* where those who run commands in it come, or -1 */
    int disk;     /* a file with a file system, which its layer is kept on; -1: that is in memory */
    const char *forwards;  /* of its network, as QEMU has them; NULL: it has none */
    const char *shm_bytes; /* how large /dev/shm may grow; NULL: as the kernel has it */
    const char **limits;   /* of its commands, as "WHICH SOFT HARD" */
    unsigned limit_count;
    const char **memory; /* file systems in its memory, as "OPTIONS FOLDER" */
    unsigned memory_count;
    const char **mounts; /* what of the root is written to where it lies, and not above it */
    unsigned mount_count;
    char **command; /* arcbox-init's words */
};

/* Its first file system as a memory file, or -errno. */
int abx_machine_initrd(const struct abx_machine *m, char **environment);
/* Starts the hypervisor: its number, or -errno. port, console: our ends of the machine's port and
 * of its kernel's console, which do not wait. */
pid_t abx_machine_start(const struct abx_machine *m, int initrd, int *ret_port, int *ret_console);

#endif
