/* metal: MTLArgumentEncoder: argument buffers are memory that holds addresses, as in Metal 3. Runs
 * in the guest's process.
 *
 * Member n lies at 8 * n: right for structures of pointers, which is what compute clients encode;
 * the layout of other structures is not known here. */
#include <string.h>

#include "metal/metal_internal.h"

static struct abx_metal_argument_encoder *encoder_of(id self)
{
    return (struct abx_metal_argument_encoder *)self;
}

id abx_metal_argument_encoder_new(id device, NSUInteger length, NSUInteger alignment)
{
    struct abx_metal_argument_encoder *encoder = abx_metal_new(ABX_METAL_ARGUMENT_ENCODER, device);
    if (encoder) {
        encoder->length = length;
        encoder->alignment = alignment < 8 ? 8 : alignment;
    }
    return (id)encoder;
}

id MTLDevice_newArgumentEncoderWithArguments_(id self, SEL cmd, id arguments)
{
    NSUInteger end = 0, count = abx_ns_array_count(arguments);
    for (NSUInteger i = 0; i < count; i++) {
        struct MTLArgumentDescriptor *d =
                (struct MTLArgumentDescriptor *)abx_ns_array_at(arguments, i);
        NSUInteger slots = d->arrayLength ? d->arrayLength : 1;
        if (d->dataType != MTLDataTypePointer) {
            abx_metal_say("-[MTLDevice newArgumentEncoderWithArguments:]: only pointers are "
                          "supported, not data type %lu",
                    (unsigned long)d->dataType);
            return NULL;
        }
        if (d->index + slots > end)
            end = d->index + slots;
    }
    return abx_metal_argument_encoder_new(self, end * 8, 8);
}

id MTLDevice_newArgumentEncoderWithBufferBinding_(id self, SEL cmd, id binding)
{
    if (!abx_metal_is(binding, ABX_METAL_BUFFER_BINDING)) {
        abx_metal_say("-[MTLDevice newArgumentEncoderWithBufferBinding:]: not a buffer binding");
        return NULL;
    }
    return abx_metal_argument_encoder_new(self, MTLBufferBinding_bufferDataSize(binding, NULL),
            MTLBufferBinding_bufferAlignment(binding, NULL));
}

NSUInteger MTLArgumentEncoder_encodedLength(id self, SEL cmd)
{
    return encoder_of(self)->length;
}

NSUInteger MTLArgumentEncoder_alignment(id self, SEL cmd)
{
    return encoder_of(self)->alignment;
}

void MTLArgumentEncoder_setArgumentBuffer_offset_(id self, SEL cmd, id object, NSUInteger offset)
{
    struct abx_metal_argument_encoder *encoder = encoder_of(self);
    struct abx_metal_buffer *buffer = (struct abx_metal_buffer *)object;
    encoder->buffer = NULL;
    if (!buffer)
        return;
    if (!abx_metal_is(buffer, ABX_METAL_BUFFER) || !buffer->contents ||
            !abx_range_ok(offset, encoder->length, buffer->length)) {
        abx_metal_say("-[MTLArgumentEncoder setArgumentBuffer:offset:]: %lu bytes at offset %lu do "
                      "not lie in a buffer the processor can write",
                (unsigned long)encoder->length, (unsigned long)offset);
        return;
    }
    encoder->buffer = buffer;
    encoder->offset = offset;
}

void MTLArgumentEncoder_setArgumentBuffer_startOffset_arrayElement_(
        id self, SEL cmd, id buffer, NSUInteger start, NSUInteger element)
{
    NSUInteger step = abx_align_up(encoder_of(self)->length, encoder_of(self)->alignment);
    MTLArgumentEncoder_setArgumentBuffer_offset_(self, cmd, buffer, start + step * element);
}

void *MTLArgumentEncoder_constantDataAtIndex_(id self, SEL cmd, NSUInteger index)
{
    struct abx_metal_argument_encoder *encoder = encoder_of(self);
    if (!encoder->buffer || index >= encoder->length / 8) {
        abx_metal_say("-[MTLArgumentEncoder constantDataAtIndex:]: %s",
                encoder->buffer ? "the index is past the argument buffer's end"
                                : "no argument buffer is set");
        return NULL;
    }
    return (char *)encoder->buffer->contents + encoder->offset + index * 8;
}

void MTLArgumentEncoder_setBuffer_offset_atIndex_(
        id self, SEL cmd, id object, NSUInteger offset, NSUInteger index)
{
    struct abx_metal_buffer *buffer = (struct abx_metal_buffer *)object;
    void *to = MTLArgumentEncoder_constantDataAtIndex_(self, cmd, index);
    if (!to)
        return;
    uint64_t address = 0;
    if (abx_metal_is(buffer, ABX_METAL_BUFFER) && offset <= buffer->length)
        address = MTLBuffer_gpuAddress(object, NULL) + offset;
    else if (buffer)
        abx_metal_say(
                "-[MTLArgumentEncoder setBuffer:offset:atIndex:]: not a buffer, or the offset "
                "is past its length");
    memcpy(to, &address, sizeof address);
}

void MTLArgumentEncoder_setBuffers_offsets_withRange_(
        id self, SEL cmd, const id *buffers, const NSUInteger *offsets, NSRange range)
{
    for (NSUInteger i = 0; i < range.length; i++)
        MTLArgumentEncoder_setBuffer_offset_atIndex_(
                self, cmd, buffers[i], offsets[i], range.location + i);
}
