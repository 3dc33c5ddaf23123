/* metal: MTLIndirectCommandBuffer: commands in memory both sides map, written once and run many
 * times. Runs in the guest's process. The host copies and checks a slot each time it runs it. */
#include <string.h>

#include "metal/metal_wrap.h"

#define MAX_COMMANDS ABX_MAX_ICB_COMMANDS

id MTLDevice_newIndirectCommandBufferWithDescriptor_maxCommandCount_options_(
        id self, SEL cmd, id object, NSUInteger count, MTLResourceOptions options)
{
    static const char what[] = "newIndirectCommandBufferWithDescriptor:maxCommandCount:options:";
    struct MTLIndirectCommandBufferDescriptor *descriptor =
            (struct MTLIndirectCommandBufferDescriptor *)object;
    const char *wrong = !descriptor                                         ? "no descriptor"
                        : descriptor->commandTypes & ~(NSUInteger)(32 | 64) ? "only concurrent "
                                                                              "dispatches are "
                                                                              "supported"
                        : descriptor->maxKernelBufferBindCount > ABX_ICB_MAX_BUFFERS
                                ? "at most 31 buffers are possible"
                                : NULL;
    if (wrong || !count || count > MAX_COMMANDS) {
        abx_metal_say("-[MTLDevice %s]: %lu commands: %s", what, (unsigned long)count,
                wrong ? wrong : "1 to 65536 are possible");
        return NULL;
    }
    struct abx_metal_icb *icb = abx_metal_new(ABX_METAL_ICB, self);
    if (!icb)
        return NULL;
    struct abx_client *client = icb->resource.base.client;
    icb->count = (uint32_t)count;
    icb->max_buffers = (uint32_t)descriptor->maxKernelBufferBindCount;
    icb->inherit_buffers = descriptor->inheritBuffers;
    icb->inherit_pipeline = descriptor->inheritPipelineState;
    icb->resource.options = options;
    icb->resource.purgeable = 2;
    if (abx_metal_alloc(client, false, count * sizeof(struct abx_icb_slot), &icb->resource.memory) <
            0) {
        objc_release((id)icb);
        return NULL;
    }
    icb->slots = (struct abx_icb_slot *)icb->resource.memory.pointer;
    icb->resource.handle = abx_client_handle_new(client);
    uint64_t space[8];
    struct abx_encoder e = {.at = (uint8_t *)space, .end = (uint8_t *)(space + 8)};
    abx_encode_icb_create(&e, icb->resource.handle, icb->resource.memory.chunk, icb->count,
            icb->resource.memory.offset, icb->max_buffers,
            icb->inherit_buffers | icb->inherit_pipeline << 1);
    if (!icb->resource.handle || abx_client_push(client, space, 0) < 0) {
        objc_release((id)icb);
        return NULL;
    }
    return (id)icb;
}

static struct abx_metal_icb *icb_of(id self)
{
    return (struct abx_metal_icb *)self;
}

void MTLIndirectCommandBuffer_dealloc(id self, SEL cmd)
{
    struct abx_metal_icb *icb = icb_of(self);
    abx_client_destroy(icb->resource.base.client, icb->resource.handle);
    if (icb->resource.memory.owner)
        abx_client_free(icb->resource.base.client, &icb->resource.memory);
    abx_metal_dealloc(self, ABX_METAL_ICB);
}

NSUInteger MTLIndirectCommandBuffer_size(id self, SEL cmd)
{
    return icb_of(self)->count;
}

void MTLIndirectCommandBuffer_resetWithRange_(id self, SEL cmd, NSRange range)
{
    struct abx_metal_icb *icb = icb_of(self);
    if (!abx_range_ok(range.location, range.length, icb->count)) {
        abx_metal_say("-[MTLIndirectCommandBuffer resetWithRange:]: %lu + %lu is past the last of "
                      "%u commands",
                (unsigned long)range.location, (unsigned long)range.length, icb->count);
        return;
    }
    memset(icb->slots + range.location, 0, range.length * sizeof *icb->slots);
}

id MTLIndirectCommandBuffer_indirectComputeCommandAtIndex_(id self, SEL cmd, NSUInteger index)
{
    struct abx_metal_icb *icb = icb_of(self);
    if (index >= icb->count) {
        abx_metal_say("-[MTLIndirectCommandBuffer indirectComputeCommandAtIndex:]: %lu is past the "
                      "last of %u commands",
                (unsigned long)index, icb->count);
        return NULL;
    }
    struct abx_metal_icb_command *command =
            abx_metal_new(ABX_METAL_ICB_COMMAND, icb->resource.base.device);
    if (!command)
        return NULL;
    command->icb = (struct abx_metal_icb *)objc_retain(self);
    command->slot = icb->slots + index;
    return objc_autorelease((id)command);
}

/* ---- MTLIndirectComputeCommand */

static struct abx_metal_icb_command *command_of(id self)
{
    return (struct abx_metal_icb_command *)self;
}

void MTLIndirectComputeCommand_dealloc(id self, SEL cmd)
{
    objc_release((id)command_of(self)->icb);
    abx_metal_dealloc(self, ABX_METAL_ICB_COMMAND);
}

/* A wrong call makes the slot invalid: running it then fails with a clear reason. */
static void spoil(struct abx_metal_icb_command *command, const char *what, const char *why)
{
    abx_metal_say("-[MTLIndirectComputeCommand %s]: %s", what, why);
    command->slot->kind = UINT32_MAX;
}

void MTLIndirectComputeCommand_setComputePipelineState_(id self, SEL cmd, id pipeline)
{
    struct abx_metal_icb_command *command = command_of(self);
    if (!abx_metal_is(pipeline, ABX_METAL_PIPELINE))
        spoil(command, "setComputePipelineState:", "not a pipeline state");
    else if (!((struct abx_metal_pipeline *)pipeline)->indirect)
        spoil(command, "setComputePipelineState:",
                "the pipeline was made without supportIndirectCommandBuffers");
    else
        command->slot->pipeline = ((struct abx_metal_pipeline *)pipeline)->handle;
}

void MTLIndirectComputeCommand_setKernelBuffer_offset_atIndex_(
        id self, SEL cmd, id object, NSUInteger offset, NSUInteger index)
{
    static const char what[] = "setKernelBuffer:offset:atIndex:";
    struct abx_metal_icb_command *command = command_of(self);
    struct abx_metal_buffer *buffer = (struct abx_metal_buffer *)object;
    if (index >= command->icb->max_buffers)
        spoil(command, what, "the index is past maxKernelBufferBindCount");
    else if (buffer && !abx_metal_is(buffer, ABX_METAL_BUFFER))
        spoil(command, what, "not a buffer");
    else if (buffer && offset > buffer->length)
        spoil(command, what, "the offset is past the buffer's length");
    else if (!buffer)
        command->slot->bound &= ~(1u << index);
    else {
        if (buffer->wrap)
            abx_metal_wrap_expose(buffer);
        command->slot->buffers[index].buffer = buffer->resource.handle;
        command->slot->buffers[index].offset = offset;
        command->slot->bound |= 1u << index;
    }
}

static void dispatch(struct abx_metal_icb_command *command, uint32_t kind, MTLSize grid,
        MTLSize threads, const char *what)
{
    struct abx_icb_slot *slot = command->slot;
    uint64_t limit = 1024;
    if (grid.width > UINT32_MAX || grid.height > UINT32_MAX || grid.depth > UINT32_MAX ||
            threads.width > limit || threads.height > limit || threads.depth > limit ||
            threads.width * threads.height * threads.depth > limit) {
        spoil(command, what, "the sizes are not possible");
        return;
    }
    bool empty = !grid.width || !grid.height || !grid.depth || !threads.width || !threads.height ||
                 !threads.depth;
    if (empty)
        abx_metal_note("-[MTLIndirectComputeCommand %s]: a size of 0: nothing runs", what);
    slot->kind = empty ? 0 : kind;
    slot->grid[0] = (uint32_t)grid.width;
    slot->grid[1] = (uint32_t)grid.height;
    slot->grid[2] = (uint32_t)grid.depth;
    slot->threadgroup[0] = (uint32_t)threads.width;
    slot->threadgroup[1] = (uint32_t)threads.height;
    slot->threadgroup[2] = (uint32_t)threads.depth;
}

void MTLIndirectComputeCommand_concurrentDispatchThreadgroups_threadsPerThreadgroup_(
        id self, SEL cmd, MTLSize groups, MTLSize threads)
{
    dispatch(command_of(self), 1, groups, threads,
            "concurrentDispatchThreadgroups:threadsPerThreadgroup:");
}

void MTLIndirectComputeCommand_concurrentDispatchThreads_threadsPerThreadgroup_(
        id self, SEL cmd, MTLSize grid, MTLSize threads)
{
    dispatch(
            command_of(self), 2, grid, threads, "concurrentDispatchThreads:threadsPerThreadgroup:");
}

void MTLIndirectComputeCommand_setBarrier(id self, SEL cmd)
{
    command_of(self)->slot->barrier = 1;
}

void MTLIndirectComputeCommand_clearBarrier(id self, SEL cmd)
{
    command_of(self)->slot->barrier = 0;
}

void MTLIndirectComputeCommand_reset(id self, SEL cmd)
{
    memset(command_of(self)->slot, 0, sizeof(struct abx_icb_slot));
}

void MTLIndirectComputeCommand_setThreadgroupMemoryLength_atIndex_(
        id self, SEL cmd, NSUInteger length, NSUInteger index)
{
    struct abx_metal_icb_command *command = command_of(self);
    if (index > 30 || length > abx_client_welcome(command->base.client)->max_threadgroup_bytes)
        spoil(command, "setThreadgroupMemoryLength:atIndex:",
                "up to maxThreadgroupMemoryLength, at 0 to 30, is possible");
    else
        command->slot->threadgroup_bytes[index] = (uint32_t)abx_align_up(length, 16);
}
