/* cli: what arcbox-vm and the first process of its virtual machine say to each other, through one
 * port of virtio-serial: frames, each a head and `bytes` behind it. Little endian. */
#ifndef ABX_CLI_VM_FRAMES_H
#define ABX_CLI_VM_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ABX_VM_PORT "arcbox"
#define ABX_VM_FRAME_MAX 16384u /* bytes of one */
/* Of the command's input, what is on its way and not read yet: signals must get past it. */
#define ABX_VM_INPUT_WINDOW (4 * ABX_VM_FRAME_MAX)

enum abx_vm_frame_kind {
    /* from the machine */
    ABX_VM_STARTED = 1, /* the command runs; uint64_t: ns since the kernel's start */
    ABX_VM_OUT,         /* its standard output, or the terminal's */
    ABX_VM_ERR,
    ABX_VM_TAKEN,  /* uint32_t: so much of the input has been read */
    ABX_VM_EXIT,   /* uint32_t: its exit code; the last one */
    ABX_VM_FAILED, /* a text: why there is no command */
    /* to the machine */
    ABX_VM_IN = 16,
    ABX_VM_IN_END,
    ABX_VM_SIGNAL, /* uint32_t */
    ABX_VM_SIZE,   /* struct winsize */
};

struct abx_vm_head {
    uint32_t kind, bytes;
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

/* Frames on their way out. All zeros: none are. */
struct abx_vm_writer {
    size_t start, length;
    uint8_t bytes[2 * (ABX_VM_FRAME_MAX + sizeof(struct abx_vm_head))];
};
/* False: there is no room now. */
bool abx_vm_put(struct abx_vm_writer *w, uint32_t kind, const void *data, size_t bytes);
static inline bool abx_vm_has_room(const struct abx_vm_writer *w)
{
    return sizeof w->bytes - w->length >= ABX_VM_FRAME_MAX + sizeof(struct abx_vm_head);
}
/* Writes what goes without waiting. 0 or -errno. */
int abx_vm_flush(int fd, struct abx_vm_writer *w);

#endif
