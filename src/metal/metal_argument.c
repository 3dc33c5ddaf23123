/* metal: MTLArgumentEncoder: writes the members of an argument buffer. Runs in the guest's process.
 *
 * An argument buffer is a plain structure in memory: a buffer member is the 64-bit device address
 * that kernels follow, a constant member its bytes. The members come from descriptors, or from what
 * the library's reflection says of a kernel's argument. Where that is not known (a class with bit
 * fields, or no structure at all) every 8 bytes are taken for a pointer. */
#include <stdlib.h>
#include <string.h>

#include "metal/metal_internal.h"
#include "metal/metal_types.h"

#define POINTER_BYTES 8u
#define MAX_BYTES (16u << 20) /* of one argument buffer: two million pointers */
#define MAX_ROWS 65536u       /* members, with those of structures inside counted each time */

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
    objc_release((id)encoder_of(self)->library);
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
    return type == MTLDataTypePointer || type == MTLDataTypeVisibleFunctionTable;
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

/* ---- layout from a library's reflection */

struct rows {
    const struct abx_reflection *r;
    struct abx_metal_member *rows;
    uint32_t count, capacity;
};

/* The value of a type at argument index `index`: a row, or those of what is inside. */
static bool add_rows(
        struct rows *to, uint32_t type, uint64_t index, uint64_t offset, uint64_t count)
{
    const struct abx_reflection_type *t = abx_metal_type_at(to->r, type);
    if (to->count >= MAX_ROWS || count > MAX_BYTES)
        return false;
    if (t->count && count == 1)
        return add_rows(to, t->element, index, offset, t->count);
    uint64_t slots = abx_metal_type_slots(to->r, type);
    if ((t->count || t->member_count) && count > 1) {
        for (uint64_t i = 0; i < count; i++)
            if (!add_rows(to, type, index + i * slots, offset + i * t->size, 1))
                return false;
        return true;
    }
    uint64_t next = 0;
    for (uint32_t i = 0; i < t->member_count; i++) {
        const struct abx_reflection_member *m = &abx_reflection_members(to->r)[t->first_member + i];
        next = m->id >= 0 ? (uint64_t)m->id : next;
        if (!add_rows(to, m->type, index + next, offset + m->offset, 1))
            return false;
        next += abx_metal_type_slots(to->r, m->type);
    }
    if (t->member_count)
        return true;
    if (!abx_grow((void **)&to->rows, &to->capacity, to->count, sizeof *to->rows, UINT32_MAX))
        return false;
    to->rows[to->count++] = (struct abx_metal_member){
            index, offset, t->size, count, !is_pointer(t->data_type), type};
    return true;
}

/* In order, apart, and inside. */
static bool rows_ok(const struct rows *rows, NSUInteger length)
{
    for (NSUInteger i = 0; i < rows->count; i++) {
        const struct abx_metal_member *m = &rows->rows[i];
        uint64_t bytes;
        if ((i && m->index < m[-1].index + m[-1].count) ||
                __builtin_mul_overflow(m->stride, m->count, &bytes) ||
                !abx_range_ok(m->offset, bytes, length))
            return false;
    }
    return true;
}

id abx_metal_argument_encoder_for(
        struct abx_metal_library *library, uint32_t type, NSUInteger size, NSUInteger alignment)
{
    const struct abx_reflection *r = library->reflection;
    const struct abx_reflection_type *t = abx_metal_type_at(r, type);
    struct abx_metal_argument_encoder *encoder =
            (struct abx_metal_argument_encoder *)abx_metal_argument_encoder_new(
                    library->base.device, size, alignment);
    if (!encoder || !t || !t->member_count)
        return (id)encoder;
    struct rows rows = {.r = r};
    bool ok = add_rows(&rows, type, 0, 0, 1);
    if (ok && rows.count)
        qsort(rows.rows, rows.count, sizeof *rows.rows, by_index);
    encoder->members = rows.rows;
    encoder->member_count = rows.count;
    encoder->library = (struct abx_metal_library *)objc_retain((id)library);
    if (ok && rows_ok(&rows, size))
        return (id)encoder;
    abx_metal_say("no argument encoder: the structure has more than %u members, or two with one id",
            MAX_ROWS);
    objc_release((id)encoder);
    return NULL;
}

id MTLDevice_newArgumentEncoderWithBufferBinding_(id self, SEL cmd, id object)
{
    const struct abx_metal_binding *binding = (struct abx_metal_binding *)object;
    if (!abx_metal_is(binding, ABX_METAL_BUFFER_BINDING)) {
        abx_metal_say("-[MTLDevice newArgumentEncoderWithBufferBinding:]: not a buffer binding");
        return NULL;
    }
    return abx_metal_argument_encoder_for(
            binding->library, binding->type, binding->size, binding->alignment);
}

/* ---- encoding */

/* The row that has the index, or NULL. */
static const struct abx_metal_member *row_of(
        const struct abx_metal_argument_encoder *encoder, NSUInteger index)
{
    NSUInteger low = 0, high = encoder->member_count;
    while (low < high) {
        NSUInteger middle = low + (high - low) / 2;
        const struct abx_metal_member *m = &encoder->members[middle];
        if (index < m->index)
            high = middle;
        else if (index - m->index >= m->count)
            low = middle + 1;
        else
            return m;
    }
    return NULL;
}

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
    const struct abx_metal_member *m = row_of(encoder, index);
    if (m) {
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
        return (uint8_t *)MTLBuffer_contents((id)encoder->buffer, NULL) + encoder->offset + offset;
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
    if (buffer && offset > ((struct abx_metal_buffer *)buffer)->length) {
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

void MTLArgumentEncoder_setVisibleFunctionTable_atIndex_(
        id self, SEL cmd, id table, NSUInteger index)
{
    static const char what[] = "setVisibleFunctionTable:atIndex:";
    uint8_t *to = place(encoder_of(self), index, false, what);
    if (table && !abx_metal_is(table, ABX_METAL_TABLE)) {
        abx_metal_say("-[MTLArgumentEncoder %s]: not a function table", what);
        return;
    }
    uint64_t address = table ? MTLVisibleFunctionTable_gpuResourceID(table, NULL)._impl : 0;
    if (to)
        memcpy(to, &address, sizeof address);
}

void MTLArgumentEncoder_setVisibleFunctionTables_withRange_(
        id self, SEL cmd, const id *tables, NSRange range)
{
    for (NSUInteger i = 0; i < range.length; i++)
        MTLArgumentEncoder_setVisibleFunctionTable_atIndex_(
                self, cmd, tables[i], range.location + i);
}

void *MTLArgumentEncoder_constantDataAtIndex_(id self, SEL cmd, NSUInteger index)
{
    return place(encoder_of(self), index, true, "constantDataAtIndex:");
}

/* For what the pointer at the index points to. */
id MTLArgumentEncoder_newArgumentEncoderForBufferAtIndex_(id self, SEL cmd, NSUInteger index)
{
    struct abx_metal_argument_encoder *encoder = encoder_of(self);
    const struct abx_metal_member *m = row_of(encoder, index);
    const struct abx_reflection *r = encoder->library ? encoder->library->reflection : NULL;
    const struct abx_reflection_type *t = m && r ? abx_metal_type_at(r, m->type) : NULL;
    const struct abx_reflection_type *to = t ? abx_metal_type_at(r, t->element) : NULL;
    if (to && t->data_type == MTLDataTypePointer && to->data_type == MTLDataTypeStruct)
        return abx_metal_argument_encoder_for(
                encoder->library, t->element, to->size, to->alignment);
    abx_metal_say("-[MTLArgumentEncoder newArgumentEncoderForBufferAtIndex:]: index %lu is no "
                  "pointer to a structure",
            (unsigned long)index);
    return NULL;
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
