/* metal: what all encoders share, and MTLBlitCommandEncoder. Runs in the guest's process. */
#include "metal/metal_internal.h"

static struct abx_metal_encoder *encoder_new(
        struct abx_metal_command_buffer *buffer, enum abx_metal_class cls, const char *what)
{
    if (!abx_metal_open_encoder(buffer, what))
        return NULL;
    struct abx_metal_encoder *encoder = abx_metal_new(cls, buffer->base.device);
    if (!encoder)
        return NULL;
    encoder->buffer = (struct abx_metal_command_buffer *)objc_retain((id)buffer);
    buffer->encoder = encoder;
    return encoder;
}

static id compute_encoder(id self, uint32_t dispatch_type, id samples, const char *what)
{
    struct abx_metal_command_buffer *buffer = (struct abx_metal_command_buffer *)self;
    struct abx_metal_encoder *encoder = encoder_new(buffer, ABX_METAL_COMPUTE_ENCODER, what);
    if (!encoder)
        return NULL;
    encoder->dispatch_type = dispatch_type;
    abx_encode_compute_begin(&buffer->arena.encoder, dispatch_type);
    abx_metal_sample_begin(encoder, samples);
    return objc_autorelease((id)encoder);
}

id MTLCommandBuffer_computeCommandEncoder(id self, SEL cmd)
{
    return compute_encoder(self, 0, NULL, "computeCommandEncoder");
}

id MTLCommandBuffer_computeCommandEncoderWithDispatchType_(id self, SEL cmd, NSUInteger type)
{
    if (type > 1) {
        abx_metal_note("-[MTLCommandBuffer computeCommandEncoderWithDispatchType:]: %lu is no "
                       "dispatch type",
                (unsigned long)type);
        type = 0;
    }
    return compute_encoder(self, (uint32_t)type, NULL, "computeCommandEncoderWithDispatchType:");
}

id MTLCommandBuffer_computeCommandEncoderWithDescriptor_(id self, SEL cmd, id descriptor)
{
    struct MTLComputePassDescriptor *pass = (struct MTLComputePassDescriptor *)descriptor;
    return compute_encoder(self, pass && pass->dispatchType == MTLDispatchTypeConcurrent,
            pass ? pass->sampleBufferAttachments : NULL, "computeCommandEncoderWithDescriptor:");
}

static id blit_encoder(id self, id samples, const char *what)
{
    struct abx_metal_command_buffer *buffer = (struct abx_metal_command_buffer *)self;
    struct abx_metal_encoder *encoder = encoder_new(buffer, ABX_METAL_BLIT_ENCODER, what);
    if (!encoder)
        return NULL;
    abx_encode_blit_begin(&buffer->arena.encoder);
    abx_metal_sample_begin(encoder, samples);
    return objc_autorelease((id)encoder);
}

id MTLCommandBuffer_blitCommandEncoder(id self, SEL cmd)
{
    return blit_encoder(self, NULL, "blitCommandEncoder");
}

id MTLCommandBuffer_blitCommandEncoderWithDescriptor_(id self, SEL cmd, id descriptor)
{
    struct MTLBlitPassDescriptor *pass = (struct MTLBlitPassDescriptor *)descriptor;
    return blit_encoder(
            self, pass ? pass->sampleBufferAttachments : NULL, "blitCommandEncoderWithDescriptor:");
}

/* ---- MTLCommandEncoder */

static void end(struct abx_metal_encoder *encoder)
{
    abx_metal_sample_end(encoder);
    encoder->ended = true;
    encoder->buffer->encoder = NULL;
    abx_encode_encoder_end(&encoder->buffer->arena.encoder);
}

void MTLCommandEncoder_endEncoding(id self, SEL cmd)
{
    struct abx_metal_encoder *encoder = (struct abx_metal_encoder *)self;
    if (encoder->ended) {
        abx_metal_say("-[MTLCommandEncoder endEncoding]: ended already");
        return;
    }
    end(encoder);
}

static void encoder_dealloc(id self, enum abx_metal_class cls)
{
    struct abx_metal_encoder *encoder = (struct abx_metal_encoder *)self;
    if (!encoder->ended && encoder->buffer) {
        abx_metal_fail(encoder->buffer, "an encoder was released before endEncoding");
        end(encoder);
    }
    objc_release((id)encoder->buffer);
    abx_metal_dealloc(self, cls);
}

void MTLComputeCommandEncoder_dealloc(id self, SEL cmd)
{
    encoder_dealloc(self, ABX_METAL_COMPUTE_ENCODER);
}

void MTLBlitCommandEncoder_dealloc(id self, SEL cmd)
{
    encoder_dealloc(self, ABX_METAL_BLIT_ENCODER);
}

void MTLCommandEncoder_insertDebugSignpost_(id self, SEL cmd, id name) {}

void MTLCommandEncoder_pushDebugGroup_(id self, SEL cmd, id name)
{
    ((struct abx_metal_encoder *)self)->debug_depth++;
}

void MTLCommandEncoder_popDebugGroup(id self, SEL cmd)
{
    struct abx_metal_encoder *encoder = (struct abx_metal_encoder *)self;
    if (!encoder->debug_depth)
        abx_metal_note("-[MTLCommandEncoder popDebugGroup]: no group is open");
    else
        encoder->debug_depth--;
}

/* ---- MTLBlitCommandEncoder */

/* The buffer, kept, when the encoder is open and [offset, offset + length) lies in it. */
static struct abx_metal_buffer *blit_buffer(struct abx_metal_encoder *encoder, id object,
        NSUInteger offset, NSUInteger length, const char *what, const char *which)
{
    struct abx_metal_buffer *buffer = (struct abx_metal_buffer *)object;
    if (encoder->ended)
        abx_metal_say("-[MTLBlitCommandEncoder %s]: the encoder was ended", what);
    else if (!abx_metal_is(buffer, ABX_METAL_BUFFER))
        abx_metal_fail(
                encoder->buffer, "-[MTLBlitCommandEncoder %s]: %s is not a buffer", what, which);
    else if (!abx_range_ok(offset, length, buffer->length))
        abx_metal_fail(encoder->buffer,
                "-[MTLBlitCommandEncoder %s]: %s: offset %lu and size %lu are past its length, %lu",
                what, which, (unsigned long)offset, (unsigned long)length,
                (unsigned long)buffer->length);
    else {
        abx_metal_hold(encoder->buffer, buffer);
        return buffer;
    }
    return NULL;
}

void MTLBlitCommandEncoder_copyFromBuffer_sourceOffset_toBuffer_destinationOffset_size_(id self,
        SEL cmd, id source, NSUInteger source_offset, id destination, NSUInteger destination_offset,
        NSUInteger size)
{
    static const char what[] = "copyFromBuffer:sourceOffset:toBuffer:destinationOffset:size:";
    struct abx_metal_encoder *encoder = (struct abx_metal_encoder *)self;
    if (!size) {
        abx_metal_note("-[MTLBlitCommandEncoder %s]: a size of 0", what);
        return;
    }
    struct abx_metal_buffer *from =
            blit_buffer(encoder, source, source_offset, size, what, "sourceBuffer");
    struct abx_metal_buffer *to = from ? blit_buffer(encoder, destination, destination_offset, size,
                                                 what, "destinationBuffer")
                                       : NULL;
    if (to)
        abx_encode_copy_buffer(&encoder->buffer->arena.encoder, from->resource.handle,
                source_offset, to->resource.handle, destination_offset, size);
}

void MTLBlitCommandEncoder_fillBuffer_range_value_(
        id self, SEL cmd, id object, NSRange range, uint8_t value)
{
    struct abx_metal_encoder *encoder = (struct abx_metal_encoder *)self;
    if (!range.length) {
        abx_metal_note("-[MTLBlitCommandEncoder fillBuffer:range:value:]: a length of 0");
        return;
    }
    struct abx_metal_buffer *buffer = blit_buffer(
            encoder, object, range.location, range.length, "fillBuffer:range:value:", "buffer");
    if (buffer)
        abx_encode_fill_buffer(&encoder->buffer->arena.encoder, buffer->resource.handle,
                range.location, range.length, value);
}

/* The indirect command buffer, kept, when the encoder is open and the range lies in it. */
static struct abx_metal_icb *blit_icb(
        struct abx_metal_encoder *encoder, id object, NSRange range, const char *what)
{
    struct abx_metal_icb *icb = (struct abx_metal_icb *)object;
    if (encoder->ended)
        abx_metal_say("-[MTLBlitCommandEncoder %s]: the encoder was ended", what);
    else if (!range.length)
        abx_metal_note("-[MTLBlitCommandEncoder %s]: a length of 0", what);
    else if (!abx_metal_is(icb, ABX_METAL_ICB))
        abx_metal_fail(encoder->buffer,
                "-[MTLBlitCommandEncoder %s]: not an indirect command buffer", what);
    else if (!abx_range_ok(range.location, range.length, icb->count))
        abx_metal_fail(encoder->buffer,
                "-[MTLBlitCommandEncoder %s]: commands %lu + %lu are past the last of %u", what,
                (unsigned long)range.location, (unsigned long)range.length, icb->count);
    else {
        abx_metal_hold(encoder->buffer, icb);
        return icb;
    }
    return NULL;
}

void MTLBlitCommandEncoder_resetCommandsInBuffer_withRange_(
        id self, SEL cmd, id object, NSRange range)
{
    struct abx_metal_encoder *encoder = (struct abx_metal_encoder *)self;
    struct abx_metal_icb *icb =
            blit_icb(encoder, object, range, "resetCommandsInBuffer:withRange:");
    if (icb)
        abx_encode_reset_icb(&encoder->buffer->arena.encoder, icb->resource.handle,
                (uint32_t)range.location, (uint32_t)range.length);
}

void MTLBlitCommandEncoder_copyIndirectCommandBuffer_sourceRange_destination_destinationIndex_(
        id self, SEL cmd, id source, NSRange range, id destination, NSUInteger index)
{
    static const char what[] =
            "copyIndirectCommandBuffer:sourceRange:destination:destinationIndex:";
    struct abx_metal_encoder *encoder = (struct abx_metal_encoder *)self;
    struct abx_metal_icb *from = blit_icb(encoder, source, range, what);
    struct abx_metal_icb *to =
            from ? blit_icb(encoder, destination, (NSRange){index, range.length}, what) : NULL;
    if (to)
        abx_encode_copy_icb(&encoder->buffer->arena.encoder, from->resource.handle,
                to->resource.handle, (uint32_t)range.location, (uint32_t)range.length,
                (uint32_t)index);
}

/* Nothing to be gained: a command is read when it runs. */
void MTLBlitCommandEncoder_optimizeIndirectCommandBuffer_withRange_(
        id self, SEL cmd, id object, NSRange range)
{
    blit_icb((struct abx_metal_encoder *)self, object, range,
            "optimizeIndirectCommandBuffer:withRange:");
}

/* Managed storage is shared storage here. */
void MTLBlitCommandEncoder_synchronizeResource_(id self, SEL cmd, id resource) {}

static struct abx_metal_fence *fence_of(struct abx_metal_encoder *encoder, id fence)
{
    if (encoder->ended)
        abx_metal_say("a fence on an encoder that was ended");
    else if (!fence)
        abx_metal_note("updateFence: or waitForFence: with no fence");
    else if (!abx_metal_is(fence, ABX_METAL_FENCE))
        abx_metal_fail(encoder->buffer, "updateFence: or waitForFence: not a fence");
    else {
        abx_metal_hold(encoder->buffer, fence);
        return (struct abx_metal_fence *)fence;
    }
    return NULL;
}

static void update_fence(id self, id object)
{
    struct abx_metal_encoder *encoder = (struct abx_metal_encoder *)self;
    struct abx_metal_fence *fence = fence_of(encoder, object);
    if (fence)
        abx_encode_update_fence(&encoder->buffer->arena.encoder, fence->handle);
}

static void wait_fence(id self, id object)
{
    struct abx_metal_encoder *encoder = (struct abx_metal_encoder *)self;
    struct abx_metal_fence *fence = fence_of(encoder, object);
    if (fence)
        abx_encode_wait_fence(&encoder->buffer->arena.encoder, fence->handle);
}

void MTLBlitCommandEncoder_updateFence_(id self, SEL cmd, id fence)
{
    update_fence(self, fence);
}

void MTLBlitCommandEncoder_waitForFence_(id self, SEL cmd, id fence)
{
    wait_fence(self, fence);
}

void MTLComputeCommandEncoder_updateFence_(id self, SEL cmd, id fence)
{
    update_fence(self, fence);
}

void MTLComputeCommandEncoder_waitForFence_(id self, SEL cmd, id fence)
{
    wait_fence(self, fence);
}
