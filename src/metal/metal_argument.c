/* metal: MTLArgumentEncoder: writes the members of an argument buffer. Runs in the guest's process.
 *
 * An argument buffer is a plain structure in memory: a buffer member is the 64-bit device address
 * that kernels follow, a constant member its bytes. An encoder made from descriptors knows each
 * member; one made for a kernel's argument knows only the structure's size, and takes every member
 * for a pointer: that is right for structures of pointers and arrays of pointers, and members
 * beyond the structure are refused. */
#include <stdlib.h>
#include <string.h>

#include "metal/metal_internal.h"

#define POINTER_BYTES 8u
#define MAX_BYTES (16u << 20) /* of one argument buffer: two million pointers */

static struct abx_metal_argument_encoder *encoder_of(id self)
{
    return (struct abx_metal_argument_encoder *)self;
}

id abx_metal_argument_encoder_new(id device, NSUInteger length, NSUInteger alignment)
{
    struct abx_metal_argument_encoder *encoder = abx_metal_new(ABX_METAL_ARGUMENT_ENCODER, device);
    if (!encoder)
        return NULL;
    encoder->length = length;
    encoder->alignment = alignment ? alignment : POINTER_BYTES;
    return (id)encoder;
}

void abx_metal_argument_encoder_dealloc(id self, SEL cmd)
{
    free(encoder_of(self)->members);
    abx_metal_dealloc(self, ABX_METAL_ARGUMENT_ENCODER);
}

/* ---- layout from descriptors */

/* MTLDataType's scalars and vectors lie in runs of four (three: aligned as four). 0: unknown. */
static uint64_t constant_size(MTLDataType type)
{
    static const struct {
        uint8_t first, element;
    } runs[] = {{3, 4}, {16, 2}, {29, 4}, {33, 4}, {37, 2}, {41, 2}, {45, 1}, {49, 1}, {53, 1},
            {81, 8}, {85, 8}, {121, 2}};
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(runs); i++)
        if (type >= runs[i].first && type < runs[i].first + 4u) {
            unsigned elements = (unsigned)(type - runs[i].first) + 1;
            return (uint64_t)runs[i].element * (elements == 3 ? 4 : elements);
        }
    return 0;
}

/* MTLDataTypePointer and the objects that are an address each in an argument buffer. */
static bool is_pointer(MTLDataType type)
{
    return type == 60;
}

static int by_index(const void *a, const void *b)
{
    const struct abx_metal_member *x = a, *y = b;
    return x->index < y->index ? -1 : x->index > y->index;
}

static bool fill_member(
        struct abx_metal_member *m, const struct MTLArgumentDescriptor *d, uint64_t *ret_size)
{
    bool pointer = is_pointer(d->dataType);
    uint64_t size = pointer ? POINTER_BYTES : constant_size(d->dataType);
    if (!size || (d->constantBlockAlignment & (d->constantBlockAlignment - 1)) ||
            d->constantBlockAlignment > 4096 || d->arrayLength > MAX_BYTES / POINTER_BYTES)
        return false;
    *m = (struct abx_metal_member){.index = d->index,
            .offset = d->constantBlockAlignment, /* for lay_out() */
            .stride = size,
            .count = d->arrayLength ? d->arrayLength : 1,
            .constant = !pointer};
    *ret_size = size;
    return true;
}

/* Members in the order of their indices, each aligned to its size. An array takes as many indices
 * as it has elements. */
static bool lay_out(struct abx_metal_argument_encoder *encoder)
{
    qsort(encoder->members, encoder->member_count, sizeof *encoder->members, by_index);
    uint64_t at = 0;
    for (NSUInteger i = 0; i < encoder->member_count; i++) {
        struct abx_metal_member *m = &encoder->members[i];
        uint64_t align = m->offset > m->stride ? m->offset : m->stride;
        if (i && m->index < m[-1].index + m[-1].count)
            return false;
        at = abx_align_up(at, align);
        m->offset = at;
        at += m->stride * m->count;
        if (at > MAX_BYTES)
            return false;
        encoder->alignment = align > encoder->alignment ? align : encoder->alignment;
    }
    encoder->length = abx_align_up(at, encoder->alignment);
    return true;
}

id MTLDevice_newArgumentEncoderWithArguments_(id self, SEL cmd, id arguments)
{
    NSUInteger count = abx_ns_array_count(arguments);
    struct abx_metal_argument_encoder *encoder =
            count && count <= MAX_BYTES / POINTER_BYTES
                    ? (struct abx_metal_argument_encoder *)abx_metal_argument_encoder_new(
                              self, 0, POINTER_BYTES)
                    : NULL;
    if (!encoder)
        return NULL;
    encoder->members = calloc(count, sizeof *encoder->members);
    bool ok = encoder->members != NULL;
    for (NSUInteger i = 0; ok && i < count; i++) {
        uint64_t size;
        ok = fill_member(&encoder->members[i],
                (struct MTLArgumentDescriptor *)abx_ns_array_at(arguments, i), &size);
    }
    encoder->member_count = count;
    if (ok && lay_out(encoder))
        return (id)encoder;
    abx_metal_say(
            "-[MTLDevice newArgumentEncoderWithArguments:]: members must be pointers, scalars "
            "or vectors, and their indices must not overlap");
    objc_release((id)encoder);
    return NULL;
}

id MTLDevice_newArgumentEncoderWithBufferBinding_(id self, SEL cmd, id binding)
{
    if (!binding)
        return NULL;
    NSUInteger size = ABX_MSG(NSUInteger, (id, SEL), binding, "bufferDataSize");
    return abx_metal_argument_encoder_new(
            self, size, ABX_MSG(NSUInteger, (id, SEL), binding, "bufferAlignment"));
}

/* ---- encoding */

/* Where member `index` lies from the argument buffer's start; false and a line when it is not one.
 */
static bool locate(struct abx_metal_argument_encoder *encoder, NSUInteger index, bool constant,
        const char *what, uint64_t *ret_offset)
{
    const char *wrong = "no such member";
    if (!encoder->members) {
        *ret_offset = index * (uint64_t)POINTER_BYTES;
        if (index < MAX_BYTES && *ret_offset + POINTER_BYTES <= encoder->length &&
                (!constant || index == 0))
            return true;
        wrong = constant ? "where constants lie in this argument is not known" : wrong;
    }
    for (NSUInteger i = 0; i < encoder->member_count; i++) {
        const struct abx_metal_member *m = &encoder->members[i];
        if (index < m->index || index - m->index >= m->count)
            continue;
        *ret_offset = m->offset + (index - m->index) * m->stride;
        if (m->constant == constant)
            return true;
        wrong = constant ? "the member is a buffer" : "the member is a constant";
    }
    abx_metal_say("-[MTLArgumentEncoder %s]: index %lu: %s", what, (unsigned long)index, wrong);
    return false;
}

/* The memory of a member, or NULL and a line. */
static uint8_t *place(struct abx_metal_argument_encoder *encoder, NSUInteger index, bool constant,
        const char *what)
{
    uint64_t offset;
    if (!locate(encoder, index, constant, what, &offset))
        return NULL;
    if (encoder->buffer)
        return (uint8_t *)encoder->buffer->contents + encoder->offset + offset;
    abx_metal_say("-[MTLArgumentEncoder %s]: no argument buffer is set", what);
    return NULL;
}

void MTLArgumentEncoder_setArgumentBuffer_offset_(id self, SEL cmd, id buffer, NSUInteger offset)
{
    struct abx_metal_argument_encoder *encoder = encoder_of(self);
    const struct abx_metal_buffer *b = (struct abx_metal_buffer *)buffer;
    const char *wrong = NULL;
    if (buffer && !abx_metal_is(buffer, ABX_METAL_BUFFER))
        wrong = "not a buffer";
    else if (buffer && !b->contents)
        wrong = "the buffer's storage is private";
    else if (buffer && !abx_range_ok(offset, encoder->length, b->length))
        wrong = "the arguments do not fit behind the offset";
    if (wrong)
        abx_metal_say("-[MTLArgumentEncoder setArgumentBuffer:offset:]: offset %lu: %s",
                (unsigned long)offset, wrong);
    encoder->buffer = wrong ? NULL : (struct abx_metal_buffer *)buffer;
    encoder->offset = offset;
}

void MTLArgumentEncoder_setArgumentBuffer_startOffset_arrayElement_(
        id self, SEL cmd, id buffer, NSUInteger start, NSUInteger element)
{
    struct abx_metal_argument_encoder *encoder = encoder_of(self);
    uint64_t stride = abx_align_up(encoder->length, encoder->alignment), offset;
    if (__builtin_mul_overflow(stride, element, &offset) ||
            __builtin_add_overflow(offset, start, &offset))
        offset = UINT64_MAX;
    MTLArgumentEncoder_setArgumentBuffer_offset_(self, cmd, buffer, offset);
}

void MTLArgumentEncoder_setBuffer_offset_atIndex_(
        id self, SEL cmd, id buffer, NSUInteger offset, NSUInteger index)
{
    static const char what[] = "setBuffer:offset:atIndex:";
    uint8_t *to = place(encoder_of(self), index, false, what);
    uint64_t address = 0;
    if (!to)
        return;
    if (buffer && !abx_metal_is(buffer, ABX_METAL_BUFFER)) {
        abx_metal_say("-[MTLArgumentEncoder %s]: not a buffer", what);
        return;
    }
    if (buffer && offset >= ((struct abx_metal_buffer *)buffer)->length) {
        abx_metal_say("-[MTLArgumentEncoder %s]: offset %lu is past the buffer's end", what,
                (unsigned long)offset);
        return;
    }
    if (buffer)
        address = MTLBuffer_gpuAddress(buffer, NULL) + offset;
    memcpy(to, &address, sizeof address);
}

void MTLArgumentEncoder_setBuffers_offsets_withRange_(
        id self, SEL cmd, const id *buffers, const NSUInteger *offsets, NSRange range)
{
    for (NSUInteger i = 0; i < range.length; i++)
        MTLArgumentEncoder_setBuffer_offset_atIndex_(
                self, cmd, buffers[i], offsets[i], range.location + i);
}

void *MTLArgumentEncoder_constantDataAtIndex_(id self, SEL cmd, NSUInteger index)
{
    return place(encoder_of(self), index, true, "constantDataAtIndex:");
}

/* ---- properties */

NSUInteger MTLArgumentEncoder_encodedLength(id self, SEL cmd)
{
    return encoder_of(self)->length;
}

NSUInteger MTLArgumentEncoder_alignment(id self, SEL cmd)
{
    return encoder_of(self)->alignment;
}
