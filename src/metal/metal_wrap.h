/* metal: buffers over the program's own memory (newBufferWithBytesNoCopy:) that cannot be shared in
 * place, or not wholly: malloc()ed, on the stack, in the middle of pages. Runs in the guest's
 * process.
 *
 * The device works on a copy. It is brought up to date when a command buffer that may use it is
 * committed, and what the device changed is written back when that is complete. A byte is copied
 * only where it changed since both sides agreed, so that what the device did not write, and what
 * the program wrote meanwhile, stays. A program that has no such buffer pays for one load a command
 * buffer. */
#ifndef ABX_METAL_WRAP_H
#define ABX_METAL_WRAP_H

#include "metal/metal_internal.h"

struct abx_metal_wrap;

struct abx_metal_wrap_use {
    struct abx_metal_wrap *wrap; /* a reference */
    uint64_t offset, length;
};

/* The buffer over [pointer, pointer + length), whose copy it may share with others; NULL and
 * *ret_error: -EFAULT, -ENOMEM. */
struct abx_metal_buffer *abx_metal_wrap_new(
        id device, uint8_t *pointer, uint64_t length, NSUInteger options, int *ret_error);
void abx_metal_wrap_dealloc(struct abx_metal_buffer *buffer);
/* The device may reach the buffer without being told in a command buffer, from now on: by its
 * address, or by an indirect command. */
void abx_metal_wrap_expose(struct abx_metal_buffer *buffer);
/* The command buffer uses it. */
void abx_metal_wrap_use(struct abx_metal_command_buffer *commands, struct abx_metal_buffer *buffer);
/* Before it is submitted; when it is complete, or never was submitted; when it goes. */
void abx_metal_wrap_commit(struct abx_metal_command_buffer *commands);
void abx_metal_wrap_complete(struct abx_metal_command_buffer *commands);
void abx_metal_wrap_drop(struct abx_metal_command_buffer *commands);
/* What the program wrote goes to the device; what that wrote to the program: for events, by which
 * both talk in the middle of command buffers. */
void abx_metal_wrap_send(void);
void abx_metal_wrap_take(void);

#endif
