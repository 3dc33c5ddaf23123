/* metal: MTLComputeCommandEncoder. Runs in the guest's process. The hot path of every program:
 * check, one record, nothing else. The host checks everything again. */
#include <string.h>

#include "metal/metal_internal.h"

#define MAX_INDEX 30u
#define MAX_BYTES 4096u

static inline struct abx_encoder *records(struct abx_metal_encoder *encoder)
{
    return &encoder->buffer->arena.encoder;
}

static __attribute__((noinline, cold)) bool complain_ended(const char *what)
{
    abx_metal_say("-[MTLComputeCommandEncoder %s]: the encoder was ended", what);
    return false;
}

static inline bool open(struct abx_metal_encoder *encoder, const char *what)
{
    return __builtin_expect(!encoder->ended, 1) || complain_ended(what);
}

static __attribute__((noinline, cold)) void complain_buffer(struct abx_metal_encoder *encoder,
        id object, NSUInteger offset, NSUInteger index, const char *what)
{
    struct abx_metal_buffer *buffer = (struct abx_metal_buffer *)object;
    if (index > MAX_INDEX)
        abx_metal_fail(encoder->buffer,
                "-[MTLComputeCommandEncoder %s]: index %lu is past the last, %u", what,
                (unsigned long)index, MAX_INDEX);
    else if (!abx_metal_is(object, ABX_METAL_BUFFER))
        abx_metal_fail(encoder->buffer, "-[MTLComputeCommandEncoder %s]: not a buffer", what);
    else
        abx_metal_fail(encoder->buffer,
                "-[MTLComputeCommandEncoder %s]: offset %lu is past the buffer's length, %lu", what,
                (unsigned long)offset, (unsigned long)buffer->length);
}

/* More than Apple's documentation allows, and works there: in a buffer of its own. */
static __attribute__((noinline, cold)) void set_many_bytes(
        struct abx_metal_encoder *encoder, const void *bytes, NSUInteger length, NSUInteger index)
{
    static const char what[] = "setBytes:length:atIndex:";
    abx_metal_note("-[MTLComputeCommandEncoder %s]: %lu bytes: more than %u", what,
            (unsigned long)length, MAX_BYTES);
    id buffer = length <= abx_client_welcome(encoder->base.client)->max_buffer_length
                        ? abx_metal_buffer_new(encoder->base.device, length, 0)
                        : NULL;
    if (!buffer) {
        abx_metal_fail(encoder->buffer, "-[MTLComputeCommandEncoder %s]: no memory for %lu bytes",
                what, (unsigned long)length);
        return;
    }
    memcpy(((struct abx_metal_buffer *)buffer)->contents, bytes, length);
    abx_metal_keep(encoder->buffer, buffer);
    abx_metal_hold(encoder->buffer, buffer); /* its memory is used: it lies beside others' */
    abx_encode_set_buffer(records(encoder), ((struct abx_metal_buffer *)buffer)->resource.handle, 0,
            (uint32_t)index);
    objc_release(buffer);
}

void MTLComputeCommandEncoder_setBuffer_offset_atIndex_(
        id self, SEL cmd, id object, NSUInteger offset, NSUInteger index)
{
    struct abx_metal_encoder *encoder = (struct abx_metal_encoder *)self;
    struct abx_metal_buffer *buffer = (struct abx_metal_buffer *)object;
    if (!open(encoder, "setBuffer:offset:atIndex:"))
        return;
    if (__builtin_expect(index > MAX_INDEX || (buffer && (!abx_metal_is(buffer, ABX_METAL_BUFFER) ||
                                                                 offset > buffer->length)),
                0)) {
        complain_buffer(encoder, object, offset, index, "setBuffer:offset:atIndex:");
        return;
    }
    if (buffer)
        abx_metal_hold(encoder->buffer, buffer);
    abx_encode_set_buffer(records(encoder), buffer ? buffer->resource.handle : 0,
            buffer ? offset : 0, (uint32_t)index);
}

void MTLComputeCommandEncoder_setBuffers_offsets_withRange_(
        id self, SEL cmd, const id *buffers, const NSUInteger *offsets, NSRange range)
{
    for (NSUInteger i = 0; i < range.length && i <= MAX_INDEX; i++)
        MTLComputeCommandEncoder_setBuffer_offset_atIndex_(
                self, cmd, buffers[i], offsets[i], range.location + i);
}

void MTLComputeCommandEncoder_setBufferOffset_atIndex_(
        id self, SEL cmd, NSUInteger offset, NSUInteger index)
{
    struct abx_metal_encoder *encoder = (struct abx_metal_encoder *)self;
    if (!open(encoder, "setBufferOffset:atIndex:"))
        return;
    if (index > MAX_INDEX) {
        complain_buffer(encoder, NULL, offset, index, "setBufferOffset:atIndex:");
        return;
    }
    abx_encode_set_buffer_offset(records(encoder), offset, (uint32_t)index);
}

void MTLComputeCommandEncoder_setBytes_length_atIndex_(
        id self, SEL cmd, const void *bytes, NSUInteger length, NSUInteger index)
{
    struct abx_metal_encoder *encoder = (struct abx_metal_encoder *)self;
    if (!open(encoder, "setBytes:length:atIndex:"))
        return;
    if (index > MAX_INDEX)
        complain_buffer(encoder, NULL, 0, index, "setBytes:length:atIndex:");
    else if (!length)
        abx_metal_note(
                "-[MTLComputeCommandEncoder setBytes:length:atIndex:]: 0 bytes at index %lu: "
                "nothing is bound",
                (unsigned long)index);
    else if (!bytes)
        abx_metal_fail(
                encoder->buffer, "-[MTLComputeCommandEncoder setBytes:length:atIndex:]: no bytes");
    else if (length > MAX_BYTES)
        set_many_bytes(encoder, bytes, length, index);
    else
        abx_encode_set_bytes(records(encoder), (uint32_t)index, (uint32_t)length, bytes);
}

void MTLComputeCommandEncoder_setVisibleFunctionTable_atBufferIndex_(
        id self, SEL cmd, id object, NSUInteger index)
{
    static const char what[] = "setVisibleFunctionTable:atBufferIndex:";
    struct abx_metal_encoder *encoder = (struct abx_metal_encoder *)self;
    struct abx_metal_table *table = (struct abx_metal_table *)object;
    if (!open(encoder, what))
        return;
    if (index > MAX_INDEX) {
        complain_buffer(encoder, NULL, 0, index, what);
        return;
    }
    if (table && !abx_metal_is(table, ABX_METAL_TABLE)) {
        abx_metal_fail(
                encoder->buffer, "-[MTLComputeCommandEncoder %s]: not a function table", what);
        return;
    }
    if (table) {
        abx_metal_hold(encoder->buffer, table);
        abx_metal_hold(encoder->buffer, table->buffer);
    }
    abx_encode_set_buffer(
            records(encoder), table ? table->buffer->resource.handle : 0, 0, (uint32_t)index);
}

void MTLComputeCommandEncoder_setVisibleFunctionTables_withBufferRange_(
        id self, SEL cmd, const id *tables, NSRange range)
{
    for (NSUInteger i = 0; i < range.length && i <= MAX_INDEX; i++)
        MTLComputeCommandEncoder_setVisibleFunctionTable_atBufferIndex_(
                self, cmd, tables[i], range.location + i);
}

void MTLComputeCommandEncoder_setThreadgroupMemoryLength_atIndex_(
        id self, SEL cmd, NSUInteger length, NSUInteger index)
{
    struct abx_metal_encoder *encoder = (struct abx_metal_encoder *)self;
    if (!open(encoder, "setThreadgroupMemoryLength:atIndex:"))
        return;
    uint32_t limit = abx_client_welcome(encoder->base.client)->max_threadgroup_bytes;
    if (index > MAX_INDEX)
        complain_buffer(encoder, NULL, 0, index, "setThreadgroupMemoryLength:atIndex:");
    else if (length > limit)
        abx_metal_fail(encoder->buffer,
                "-[MTLComputeCommandEncoder setThreadgroupMemoryLength:atIndex:]: %lu bytes: up to "
                "%u are possible",
                (unsigned long)length, limit);
    else {
        if (length % 16)
            abx_metal_note(
                    "-[MTLComputeCommandEncoder setThreadgroupMemoryLength:atIndex:]: %lu is "
                    "no multiple of 16",
                    (unsigned long)length);
        abx_encode_set_threadgroup_memory(
                records(encoder), (uint32_t)index, (uint32_t)abx_align_up(length, 16));
    }
}

void MTLComputeCommandEncoder_setComputePipelineState_(id self, SEL cmd, id object)
{
    struct abx_metal_encoder *encoder = (struct abx_metal_encoder *)self;
    if (!open(encoder, "setComputePipelineState:"))
        return;
    if (!abx_metal_is(object, ABX_METAL_PIPELINE)) {
        abx_metal_fail(encoder->buffer,
                "-[MTLComputeCommandEncoder setComputePipelineState:]: not a pipeline state");
        return;
    }
    encoder->pipeline = (struct abx_metal_pipeline *)object;
    abx_metal_hold(encoder->buffer, object);
    abx_encode_set_pipeline(records(encoder), encoder->pipeline->handle);
    if (__builtin_expect(encoder->buffer->log != NULL, 0) &&
            encoder->logs != encoder->pipeline->function->library->logging) {
        encoder->logs = !encoder->logs;
        abx_encode_set_log(
                records(encoder), encoder->logs ? encoder->buffer->log->resource.handle : 0);
    }
}

/* ---- dispatches */

static bool fits(MTLSize size)
{
    return size.width <= UINT32_MAX && size.height <= UINT32_MAX && size.depth <= UINT32_MAX;
}

static bool is_empty(MTLSize size)
{
    return !size.width || !size.height || !size.depth;
}

/* Threads of a threadgroup within the pipeline's limit, as Metal's own validation wants it. */
static bool threads_ok(struct abx_metal_encoder *encoder, MTLSize threads, const char *what)
{
    if (!encoder->pipeline) {
        abx_metal_fail(
                encoder->buffer, "-[MTLComputeCommandEncoder %s]: no pipeline state is set", what);
        return false;
    }
    uint64_t limit = encoder->pipeline->max_threads;
    bool ok = threads.width <= limit && threads.height <= limit && threads.depth <= limit &&
              threads.width * threads.height * threads.depth <= limit;
    if (!ok)
        abx_metal_fail(encoder->buffer,
                "-[MTLComputeCommandEncoder %s]: threadsPerThreadgroup %lu x %lu x %lu: 1 to %lu "
                "threads are possible",
                what, (unsigned long)threads.width, (unsigned long)threads.height,
                (unsigned long)threads.depth, (unsigned long)limit);
    return ok;
}

/* Empty grids and threadgroups run nothing: tinygrad dispatches them to mention a pipeline. */
static bool grid_ok(
        struct abx_metal_encoder *encoder, MTLSize grid, MTLSize threads, const char *what)
{
    if (!open(encoder, what))
        return false;
    if (is_empty(grid) || is_empty(threads)) {
        abx_metal_note("-[MTLComputeCommandEncoder %s]: a size of 0: nothing runs", what);
        return false;
    }
    if (!fits(grid)) {
        abx_metal_fail(encoder->buffer,
                "-[MTLComputeCommandEncoder %s]: a grid of %lu x %lu x %lu is too large", what,
                (unsigned long)grid.width, (unsigned long)grid.height, (unsigned long)grid.depth);
        return false;
    }
    return threads_ok(encoder, threads, what);
}

#define U32X3(s)                                                                                   \
    ((const uint32_t[3]){(uint32_t)(s).width, (uint32_t)(s).height, (uint32_t)(s).depth})

void MTLComputeCommandEncoder_dispatchThreadgroups_threadsPerThreadgroup_(
        id self, SEL cmd, MTLSize groups, MTLSize threads)
{
    struct abx_metal_encoder *encoder = (struct abx_metal_encoder *)self;
    if (grid_ok(encoder, groups, threads, "dispatchThreadgroups:threadsPerThreadgroup:"))
        abx_encode_dispatch_threadgroups(records(encoder), U32X3(groups), U32X3(threads));
}

void MTLComputeCommandEncoder_dispatchThreads_threadsPerThreadgroup_(
        id self, SEL cmd, MTLSize grid, MTLSize threads)
{
    struct abx_metal_encoder *encoder = (struct abx_metal_encoder *)self;
    if (grid_ok(encoder, grid, threads, "dispatchThreads:threadsPerThreadgroup:"))
        abx_encode_dispatch_threads(records(encoder), U32X3(grid), U32X3(threads));
}

void MTLComputeCommandEncoder_dispatchThreadgroupsWithIndirectBuffer_indirectBufferOffset_threadsPerThreadgroup_(
        id self, SEL cmd, id object, NSUInteger offset, MTLSize threads)
{
    static const char what[] =
            "dispatchThreadgroupsWithIndirectBuffer:indirectBufferOffset:threadsPerThreadgroup:";
    struct abx_metal_encoder *encoder = (struct abx_metal_encoder *)self;
    struct abx_metal_buffer *buffer = (struct abx_metal_buffer *)object;
    if (!open(encoder, what) || !threads_ok(encoder, threads, what))
        return;
    if (is_empty(threads)) {
        abx_metal_note("-[MTLComputeCommandEncoder %s]: a size of 0: nothing runs", what);
        return;
    }
    if (!abx_metal_is(buffer, ABX_METAL_BUFFER) || offset % 4 ||
            !abx_range_ok(offset, 12, buffer->length)) {
        abx_metal_fail(encoder->buffer,
                "-[MTLComputeCommandEncoder %s]: three 32-bit numbers do not lie at offset %lu of "
                "the buffer",
                what, (unsigned long)offset);
        return;
    }
    abx_metal_hold(encoder->buffer, buffer);
    abx_encode_dispatch_indirect(records(encoder), buffer->resource.handle, offset, U32X3(threads));
}

NSUInteger MTLComputeCommandEncoder_dispatchType(id self, SEL cmd)
{
    return ((struct abx_metal_encoder *)self)->dispatch_type;
}

/* ---- barriers and residency */

void MTLComputeCommandEncoder_memoryBarrierWithScope_(id self, SEL cmd, NSUInteger scope)
{
    struct abx_metal_encoder *encoder = (struct abx_metal_encoder *)self;
    if (!open(encoder, "memoryBarrierWithScope:"))
        return;
    if (scope > 7)
        abx_metal_note("-[MTLComputeCommandEncoder memoryBarrierWithScope:]: %lu is no scope",
                (unsigned long)scope);
    abx_encode_memory_barrier(records(encoder), (uint32_t)(scope & 7));
}

void MTLComputeCommandEncoder_memoryBarrierWithResources_count_(
        id self, SEL cmd, const id *resources, NSUInteger count)
{
    struct abx_metal_encoder *encoder = (struct abx_metal_encoder *)self;
    if (open(encoder, "memoryBarrierWithResources:count:"))
        abx_encode_memory_barrier(records(encoder), 1); /* buffers: all there is */
}

void MTLComputeCommandEncoder_useResource_usage_(id self, SEL cmd, id resource, NSUInteger usage)
{
    struct abx_metal_encoder *encoder = (struct abx_metal_encoder *)self;
    if (!open(encoder, "useResource:usage:"))
        return;
    if (abx_metal_is(resource, ABX_METAL_BUFFER)) {
        abx_metal_hold(encoder->buffer, resource);
        abx_encode_use_resource(records(encoder), ((struct abx_metal_resource *)resource)->handle,
                (uint32_t)(usage & 7));
    } else if (abx_metal_is(resource, ABX_METAL_TABLE)) {
        struct abx_metal_buffer *numbers = ((struct abx_metal_table *)resource)->buffer;
        abx_metal_hold(encoder->buffer, resource);
        abx_metal_hold(encoder->buffer, numbers);
        abx_encode_use_resource(records(encoder), numbers->resource.handle, 1);
    } else if (abx_metal_is(resource, ABX_METAL_ICB)) {
        abx_metal_hold(encoder->buffer, resource);
    } else if (resource) {
        abx_metal_fail(
                encoder->buffer, "-[MTLComputeCommandEncoder useResource:usage:]: not a resource");
    }
}

void MTLComputeCommandEncoder_useResources_count_usage_(
        id self, SEL cmd, const id *resources, NSUInteger count, NSUInteger usage)
{
    for (NSUInteger i = 0; i < count; i++)
        MTLComputeCommandEncoder_useResource_usage_(self, cmd, resources[i], usage);
}

/* A heap's memory is one chunk, always present: it only must not go away. */
void MTLComputeCommandEncoder_useHeap_(id self, SEL cmd, id heap)
{
    struct abx_metal_encoder *encoder = (struct abx_metal_encoder *)self;
    if (open(encoder, "useHeap:") && abx_metal_is(heap, ABX_METAL_HEAP))
        abx_metal_hold(encoder->buffer, heap);
}

void MTLComputeCommandEncoder_useHeaps_count_(id self, SEL cmd, const id *heaps, NSUInteger count)
{
    for (NSUInteger i = 0; i < count; i++)
        MTLComputeCommandEncoder_useHeap_(self, cmd, heaps[i]);
}

void MTLComputeCommandEncoder_executeCommandsInBuffer_indirectBuffer_indirectBufferOffset_(
        id self, SEL cmd, id object, id range, NSUInteger offset)
{
    static const char what[] = "executeCommandsInBuffer:indirectBuffer:indirectBufferOffset:";
    struct abx_metal_encoder *encoder = (struct abx_metal_encoder *)self;
    struct abx_metal_icb *icb = (struct abx_metal_icb *)object;
    struct abx_metal_buffer *buffer = (struct abx_metal_buffer *)range;
    if (!open(encoder, what))
        return;
    if (!abx_metal_is(icb, ABX_METAL_ICB)) {
        abx_metal_fail(encoder->buffer,
                "-[MTLComputeCommandEncoder %s]: not an indirect command buffer", what);
    } else if (!abx_metal_is(buffer, ABX_METAL_BUFFER) || offset % 4 ||
               !abx_range_ok(offset, 8, buffer->length)) {
        abx_metal_fail(encoder->buffer,
                "-[MTLComputeCommandEncoder %s]: two 32-bit numbers do not lie at offset %lu of "
                "the "
                "buffer",
                what, (unsigned long)offset);
    } else {
        abx_metal_hold(encoder->buffer, icb);
        abx_metal_hold(encoder->buffer, buffer);
        abx_encode_execute_icb_range(
                records(encoder), icb->resource.handle, buffer->resource.handle, offset);
    }
}

void MTLComputeCommandEncoder_executeCommandsInBuffer_withRange_(
        id self, SEL cmd, id object, NSRange range)
{
    static const char what[] = "executeCommandsInBuffer:withRange:";
    struct abx_metal_encoder *encoder = (struct abx_metal_encoder *)self;
    struct abx_metal_icb *icb = (struct abx_metal_icb *)object;
    if (!open(encoder, what))
        return;
    if (!abx_metal_is(icb, ABX_METAL_ICB)) {
        abx_metal_fail(encoder->buffer,
                "-[MTLComputeCommandEncoder %s]: not an indirect command buffer", what);
    } else if (!abx_range_ok(range.location, range.length, icb->count)) {
        abx_metal_fail(encoder->buffer,
                "-[MTLComputeCommandEncoder %s]: commands %lu + %lu are past the last of %u", what,
                (unsigned long)range.location, (unsigned long)range.length, icb->count);
    } else if (range.length) {
        abx_metal_hold(encoder->buffer, icb);
        abx_encode_execute_icb(records(encoder), icb->resource.handle, (uint32_t)range.location,
                (uint32_t)range.length);
    }
}
