/* metal: MTLType and its kin: what a kernel's arguments point to, from the library's reflection.
 * Runs in the guest's process. Made when asked for; nothing in the reflection contains itself but
 * through pointers, which it follows to a limited depth. */
#include <string.h>

#include "metal/metal_internal.h"
#include "metal/metal_types.h"

#define MAX_SLOTS (1u << 24) /* argument indices of one structure */

const struct abx_reflection_type *abx_metal_type_at(const struct abx_reflection *r, uint32_t type)
{
    return type ? abx_reflection_types(r) + type - 1 : NULL;
}

/* ---- argument indices: a member's [[id(n)]], else the one after the member before. A structure
 * takes as many as its members, an array as many as its elements. */

uint64_t abx_metal_type_slots(const struct abx_reflection *r, uint32_t type)
{
    const struct abx_reflection_type *t = abx_metal_type_at(r, type);
    uint64_t slots = 1;
    if (t && t->count)
        slots = t->count * abx_metal_type_slots(r, t->element);
    else if (t && t->member_count) {
        slots = 0;
        for (uint32_t i = 0; i < t->member_count; i++) {
            const struct abx_reflection_member *m = &abx_reflection_members(r)[t->first_member + i];
            uint64_t at = m->id >= 0 ? (uint64_t)m->id : slots;
            at += abx_metal_type_slots(r, m->type);
            slots = at > slots ? at : slots;
        }
    }
    return slots < MAX_SLOTS ? slots : MAX_SLOTS;
}

/* ---- objects */

static id array_type(const struct abx_reflection *r, const struct abx_reflection_type *t);
static id pointer_type(const struct abx_reflection *r, const struct abx_reflection_type *t);

/* The three kinds, each nil when the type is none: (+1). */
struct kinds {
    id structure, array, pointer;
};

static struct kinds kinds_of(const struct abx_reflection *r, uint32_t type)
{
    const struct abx_reflection_type *t = abx_metal_type_at(r, type);
    switch (t ? t->data_type : MTLDataTypeNone) {
    case MTLDataTypeStruct:
        return (struct kinds){.structure = abx_metal_struct_type_new(r, type)};
    case MTLDataTypeArray:
        return (struct kinds){.array = array_type(r, t)};
    case MTLDataTypePointer:
        return (struct kinds){.pointer = pointer_type(r, t)};
    default:
        return (struct kinds){0};
    }
}

static MTLDataType data_type(const struct abx_reflection *r, uint32_t type)
{
    const struct abx_reflection_type *t = abx_metal_type_at(r, type);
    return t ? t->data_type : MTLDataTypeNone;
}

static id array_type(const struct abx_reflection *r, const struct abx_reflection_type *t)
{
    struct MTLArrayType *a = (struct MTLArrayType *)objc_alloc_init(ABX_CLASS(MTLArrayType));
    struct kinds element = kinds_of(r, t->element);
    a->super.dataType = MTLDataTypeArray;
    a->elementType = data_type(r, t->element);
    a->elementStructType = element.structure;
    a->elementArrayType = element.array;
    a->elementPointerType = element.pointer;
    a->argumentIndexStride = abx_metal_type_slots(r, t->element);
    a->arrayLength = t->count;
    a->stride = t->stride;
    return (id)a;
}

static id pointer_to(const struct abx_reflection *r, uint32_t type, uint32_t access)
{
    const struct abx_reflection_type *t = abx_metal_type_at(r, type);
    struct MTLPointerType *p = (struct MTLPointerType *)objc_alloc_init(ABX_CLASS(MTLPointerType));
    struct kinds element = kinds_of(r, type);
    p->super.dataType = MTLDataTypePointer;
    p->elementType = data_type(r, type);
    p->elementStructType = element.structure;
    p->elementArrayType = element.array;
    objc_release(element.pointer);
    p->access = access;
    p->alignment = t ? t->alignment : 1;
    p->dataSize = t ? t->size : 0;
    p->elementIsArgumentBuffer = abx_metal_type_has_pointers(r, type);
    return (id)p;
}

static id pointer_type(const struct abx_reflection *r, const struct abx_reflection_type *t)
{
    return pointer_to(r, t->element, t->access);
}

id abx_metal_pointer_type_new(const struct abx_reflection *r, uint32_t type, uint32_t access)
{
    return pointer_to(r, type, access);
}

bool abx_metal_type_has_pointers(const struct abx_reflection *r, uint32_t type)
{
    const struct abx_reflection_type *t = abx_metal_type_at(r, type);
    if (!t)
        return false;
    if (t->data_type == MTLDataTypePointer)
        return true;
    if (t->count)
        return abx_metal_type_has_pointers(r, t->element);
    for (uint32_t i = 0; i < t->member_count; i++)
        if (abx_metal_type_has_pointers(r, abx_reflection_members(r)[t->first_member + i].type))
            return true;
    return false;
}

static id member_new(const struct abx_reflection *r, const struct abx_reflection_member *from,
        uint64_t argument_index)
{
    struct MTLStructMember *m =
            (struct MTLStructMember *)objc_alloc_init(ABX_CLASS(MTLStructMember));
    struct kinds kinds = kinds_of(r, from->type);
    m->name = objc_retain(abx_ns_string(abx_reflection_string(r, from->name)));
    m->offset = from->offset;
    m->dataType = data_type(r, from->type);
    m->argumentIndex = argument_index;
    m->structType = kinds.structure;
    m->arrayType = kinds.array;
    m->pointerType = kinds.pointer;
    return (id)m;
}

id abx_metal_struct_type_new(const struct abx_reflection *r, uint32_t type)
{
    const struct abx_reflection_type *t = abx_metal_type_at(r, type);
    if (!t || t->data_type != MTLDataTypeStruct)
        return NULL;
    struct MTLStructType *s = (struct MTLStructType *)objc_alloc_init(ABX_CLASS(MTLStructType));
    id members = abx_ns_mutable_array();
    uint64_t next = 0;
    for (uint32_t i = 0; i < t->member_count; i++) {
        const struct abx_reflection_member *m = &abx_reflection_members(r)[t->first_member + i];
        next = m->id >= 0 ? (uint64_t)m->id : next;
        id member = member_new(r, m, next);
        abx_ns_array_add(members, member);
        objc_release(member);
        next += abx_metal_type_slots(r, m->type);
    }
    s->super.dataType = MTLDataTypeStruct;
    s->members = objc_retain(members);
    return (id)s;
}

id MTLStructType_memberByName_(id self, SEL cmd, id name)
{
    id members = ((struct MTLStructType *)self)->members;
    for (NSUInteger i = 0; i < abx_ns_array_count(members); i++) {
        id member = abx_ns_array_at(members, i);
        if (name && abx_ns_string_equal(((struct MTLStructMember *)member)->name, name))
            return member;
    }
    return NULL;
}
