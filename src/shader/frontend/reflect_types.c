/* shader: see reflect_types.h. Compiler process. The module is the guest's: what is read may have
 * any shape, point in circles, or be huge. */
#include "shader/frontend/reflect_types.h"

#include <llvm-c/Core.h>
#include <stdlib.h>
#include <string.h>

#define MAX_DEPTH 64u /* of types inside one another, and of pointers followed */
#define MAX_MEMBERS 4096u
#define MAX_NAME_BYTES 256u

struct known_type {
    LLVMValueRef global;
    uint32_t type; /* 0 while it is being read: what points in a circle is not known */
};

/* ---- numbers and names of an initialiser */

static int64_t number_at(LLVMValueRef aggregate, unsigned i)
{
    LLVMValueRef element = aggregate ? LLVMGetAggregateElement(aggregate, i) : NULL;
    if (!element || !LLVMIsAConstantInt(element) || LLVMGetIntTypeWidth(LLVMTypeOf(element)) > 64)
        return 0;
    return LLVMConstIntGetSExtValue(element);
}

static LLVMValueRef initialiser(LLVMValueRef pointer)
{
    return pointer && LLVMIsAGlobalVariable(pointer) ? LLVMGetInitializer(pointer) : NULL;
}

static uint32_t add_name(struct reflected_types *t, LLVMValueRef pointer)
{
    LLVMValueRef text = initialiser(pointer);
    size_t length = 0;
    const char *name = text && LLVMIsAConstantDataArray(text) && LLVMIsConstantString(text)
                               ? LLVMGetAsString(text, &length)
                               : "";
    uint32_t at = (uint32_t)t->strings->length;
    abx_string_add(t->strings, name, strnlen(name, length < MAX_NAME_BYTES ? length : 0));
    abx_string_add(t->strings, "", 1);
    return at;
}

/* ---- tables */

static uint32_t hash(LLVMValueRef global)
{
    return (uint32_t)((uintptr_t)global >> 4) * 2654435761u;
}

static struct known_type *slot_of(struct known_type *known, uint32_t capacity, LLVMValueRef global)
{
    uint32_t i = hash(global) & (capacity - 1);
    while (known[i].global && known[i].global != global)
        i = (i + 1) & (capacity - 1);
    return &known[i];
}

/* The slot of a global, perhaps new; NULL without memory. */
static struct known_type *know(struct reflected_types *t, LLVMValueRef global)
{
    if (2 * (t->known_count + 1) > t->known_capacity) {
        uint32_t capacity = t->known_capacity ? t->known_capacity * 2 : 256;
        struct known_type *known = calloc(capacity, sizeof *known);
        if (!known)
            return NULL;
        for (uint32_t i = 0; i < t->known_capacity; i++)
            if (t->known[i].global)
                *slot_of(known, capacity, t->known[i].global) = t->known[i];
        free(t->known);
        t->known = known;
        t->known_capacity = capacity;
    }
    return slot_of(t->known, t->known_capacity, global);
}

/* ---- types: __msl::type {data_type, writable, size, align, count, stride, element, members,
 * member_count}; __msl::member {name, id, offset, of} */

static uint32_t read_type(struct reflected_types *t, LLVMValueRef pointer, unsigned depth);

/* Into rows of its own: the members' types may have members. */
static bool read_members(struct reflected_types *t, LLVMValueRef table, uint32_t count,
        struct abx_reflection_member *rows, unsigned depth)
{
    LLVMValueRef list = initialiser(table);
    for (uint32_t i = 0; i < count; i++) {
        LLVMValueRef row = list ? LLVMGetAggregateElement(list, i) : NULL;
        LLVMValueRef name = row ? LLVMGetAggregateElement(row, 0) : NULL;
        LLVMValueRef of = row ? LLVMGetAggregateElement(row, 3) : NULL;
        rows[i] = (struct abx_reflection_member){.name = add_name(t, name),
                .id = (int32_t)number_at(row, 1),
                .offset = (uint32_t)number_at(row, 2),
                .type = read_type(t, of, depth)};
        if (!rows[i].type)
            return false;
    }
    return true;
}

static bool add_members(struct reflected_types *t, const struct abx_reflection_member *rows,
        uint32_t count, struct abx_reflection_type *type)
{
    type->first_member = t->member_count;
    for (uint32_t i = 0; i < count; i++) {
        if (!abx_grow((void **)&t->members, &t->member_capacity, t->member_count,
                    sizeof *t->members, ABX_REFLECTION_MAX_MEMBERS)) {
            t->member_count = type->first_member;
            return false;
        }
        t->members[t->member_count++] = rows[i];
    }
    type->member_count = count;
    return true;
}

static uint32_t add_type(struct reflected_types *t, LLVMValueRef record, unsigned depth)
{
    struct abx_reflection_type type = {.data_type = (uint32_t)number_at(record, 0),
            .access = number_at(record, 1) ? ABX_ACCESS_READ_WRITE : ABX_ACCESS_READ_ONLY,
            .size = (uint32_t)number_at(record, 2),
            .alignment = (uint32_t)number_at(record, 3),
            .count = (uint32_t)number_at(record, 4),
            .stride = (uint32_t)number_at(record, 5)};
    int64_t count = number_at(record, 8);
    type.element = read_type(t, LLVMGetAggregateElement(record, 6), depth);
    struct abx_reflection_member *rows = NULL;
    bool whole = true;
    if (count > 0 && count <= MAX_MEMBERS && (rows = calloc((size_t)count, sizeof *rows)))
        whole = read_members(t, LLVMGetAggregateElement(record, 7), (uint32_t)count, rows, depth);
    if (rows && whole)
        whole = add_members(t, rows, (uint32_t)count, &type);
    free(rows);
    if (!whole)
        type.member_count = 0; /* known to be a structure, not of what */
    if (!abx_grow((void **)&t->types, &t->type_capacity, t->type_count, sizeof *t->types,
                ABX_REFLECTION_MAX_TYPES)) {
        t->member_count -= type.member_count;
        return 0;
    }
    if (!type.member_count)
        type.first_member = 0;
    t->types[t->type_count++] = type;
    return t->type_count;
}

static uint32_t read_type(struct reflected_types *t, LLVMValueRef pointer, unsigned depth)
{
    LLVMValueRef record = initialiser(pointer);
    if (!record || depth >= MAX_DEPTH)
        return 0;
    struct known_type *known = know(t, pointer);
    if (!known)
        return 0;
    if (known->global)
        return known->type;
    *known = (struct known_type){pointer, 0};
    t->known_count++;
    uint32_t type = add_type(t, record, depth + 1);
    known = know(t, pointer); /* the table may have moved */
    if (known)
        known->type = type;
    return type;
}

uint32_t reflect_type(struct reflected_types *t, LLVMValueRef pointer)
{
    return read_type(t, pointer, 0);
}

void reflected_types_finish(struct reflected_types *t)
{
    free(t->types);
    free(t->members);
    free(t->known);
}
