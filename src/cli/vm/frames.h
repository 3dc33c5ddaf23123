/* cli: what arcbox-vm and the first process of its virtual machine say to each other, through one
 * port of virtio-serial, and arcbox-vm and those who run commands in the machine, through sockets:
 * frames, each a head and `bytes` behind it. Little endian. A channel is one command: 0 the
 * machine's own, others those of `arcbox exec` and its like. */
#ifndef ABX_CLI_VM_FRAMES_H
#define ABX_CLI_VM_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ABX_VM_PORT "arcbox"
#define ABX_VM_FRAME_MAX 16384u /* bytes of one */
/* Of a command's input, and of its output, what is on its way and not taken yet: signals, and other
 * commands, must get past it. */
#define ABX_VM_WINDOW (4 * ABX_VM_FRAME_MAX)
#define ABX_VM_CHANNELS 64u         /* commands at a time */
#define ABX_VM_MACHINE 0xffffu      /* no command's: what is said to the machine itself */
#define ABX_VM_WORDS_CAP (4u << 20) /* of a command's description */

enum abx_vm_frame_kind {
    /* from the machine */
    ABX_VM_STARTED = 1, /* the command runs; uint64_t: ns since the kernel's start */
    ABX_VM_OUT,         /* its standard output, or the terminal's */
    ABX_VM_ERR,
    ABX_VM_EXIT,   /* uint32_t: its exit code; the channel's last */
    ABX_VM_FAILED, /* a text: why there is no command; likewise */
    ABX_VM_LEFT,   /* paths, each with its 0: files that are left in the machine's own layer */
    ABX_VM_READY,  /* the machine waits for what it is to be; its first */
    /* both ways */
    ABX_VM_TAKEN = 8, /* uint32_t: so much of the input, or of the output, has been taken */
    /* to the machine */
    ABX_VM_IN = 16,
    ABX_VM_IN_END,
    ABX_VM_SIGNAL, /* uint32_t */
    ABX_VM_SIZE,   /* struct winsize */
    ABX_VM_WORDS,  /* a piece of a command's description: KEY=VALUE, each with its 0 */
    ABX_VM_RUN,    /* it is whole */
    ABX_VM_HANGUP, /* nobody is there any more: it ends, and with it the channel */
    /* to the machine itself */
    ABX_VM_SHUTDOWN,
    ABX_VM_MAKE_UP, /* a piece of what it is to be: KEY=VALUE, each with its 0 */
    ABX_VM_BEGIN,   /* it is whole */
    ABX_VM_CLOCK,   /* struct abx_vm_clock: the host's clock has jumped, to this */
};

struct abx_vm_clock {
    int64_t seconds, nanoseconds; /* since 1970 */
};

struct abx_vm_head {
    uint16_t kind, channel;
    uint32_t bytes;
};

/* Frames as they come, in pieces. All zeros: nothing has. */
struct abx_vm_reader {
    size_t have;
    struct abx_vm_head head;
    uint8_t data[ABX_VM_FRAME_MAX];
};
/* Reads what there is: 1: `head` and `data` are a whole frame, which abx_vm_next() lets go. 0: not
 * yet. -errno; -EPIPE: its end, or no frame. */
int abx_vm_read(int fd, struct abx_vm_reader *r);
void abx_vm_next(struct abx_vm_reader *r);
/* What a frame of a number says; 0 when it is none. */
uint32_t abx_vm_number(const struct abx_vm_reader *r);

/* Frames on their way out. All zeros: none are. */
struct abx_vm_writer {
    size_t start, length;
    uint8_t bytes[2 * (ABX_VM_FRAME_MAX + sizeof(struct abx_vm_head))];
};
/* False: there is no room now. */
bool abx_vm_put(
        struct abx_vm_writer *w, uint32_t channel, uint32_t kind, const void *data, size_t bytes);
static inline bool abx_vm_has_room(const struct abx_vm_writer *w)
{
    return sizeof w->bytes - w->length >= ABX_VM_FRAME_MAX + sizeof(struct abx_vm_head);
}
/* Writes what goes without waiting. 0 or -errno. */
int abx_vm_flush(int fd, struct abx_vm_writer *w);

#endif
