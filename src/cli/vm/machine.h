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
    bool bare;    /* nor files: it becomes a template, or shows that one starts here */
    int from;     /* the template that it goes on from, opened; -1: it boots */
    int to;       /* the file that is to be one, or -1 */
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

/* A hypervisor that runs, and our ends of what it has. */
struct abx_hypervisor {
    pid_t pid;
    int port, console; /* the machine's port, and its kernel's console, which do not wait */
    int monitor;       /* where QEMU takes orders (qmp.h), or -1 */
    int memory;        /* the machine's, a memory file */
};

/* What its first process is told (frames.h): KEY=VALUE, each with its 0, the caller's to finish. */
void abx_machine_describe(const struct abx_machine *m, char **environment, struct abx_string *out);
/* Starts the hypervisor, its machine booting, or, with m->from, waiting for orders. 0 or -errno. */
int abx_machine_start(const struct abx_machine *m, struct abx_hypervisor *ret);
/* Nothing is left of it. */
void abx_machine_end(struct abx_hypervisor *h);

#endif
