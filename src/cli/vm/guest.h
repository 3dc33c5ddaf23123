/* cli: what the files of arcbox-vm-init, the first process of a virtual machine, share. */
#ifndef ABX_CLI_VM_GUEST_H
#define ABX_CLI_VM_GUEST_H

#include "cli/vm/frames.h"

#include <sys/ioctl.h>
#include <sys/resource.h>

#define ABX_GUEST_MAX_WORDS 65536

/* What is to be run, as lines KEY=VALUE say it, which it points into. */
struct abx_guest_description {
    bool tty, detached;
    struct winsize size;         /* of the terminal */
    char **environment, **words; /* each NULL-ended */
    unsigned variables, count;
};
/* What all commands of the machine have. */
struct abx_guest_place {
    char **environment; /* NULL-ended */
    int init;           /* arcbox-init, opened */
    struct {
        int which;
        struct rlimit limit;
    } limits[16];
    unsigned limit_count;
};
/* Takes one line, which stays; false: it is none of a command's. */
bool abx_guest_describe(struct abx_guest_description *d, char *line);

extern int abx_guest_port;
extern struct abx_vm_writer abx_guest_out;
void abx_guest_push(void); /* all that waits there, however long it takes */
/* Says to the outside why there is no machine, and ends it. */
_Noreturn void abx_guest_give_up(const char *format, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void abx_guest_finish(void);

/* Raises the loop, and with `more` what QEMU's user networking is to be reached by.
 * (guest_network.c) */
void abx_guest_network(bool more);

/* Tells the outside of the files in the machine's layer, whose folder is opened.
 * (guest_left.c) */
void abx_guest_tell_left(int layer);

/* Runs commands until the machine's own ends, or, where there is none (`own` NULL), until the
 * machine is shut down. Then all processes have ended. The exit code. (guest_sessions.c) */
uint32_t abx_guest_serve(
        const struct abx_guest_description *own, const struct abx_guest_place *place);

#endif
