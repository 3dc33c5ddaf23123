/* shader: structures that the arguments of a .metallib file's kernels point to, from metadata to
 * reflection. Compiler process; the metadata is the guest's and may have any shape.
 *
 *   !{offset, size, elements (0: no array), type's name, name, [key, node,] ...}
 *
 * A key follows the members that are more than numbers: "air.indirect_argument" the pointers of an
 * argument buffer, with a node as a kernel's argument has one, "air.struct_type_info" structures.
 */
#include "shader/air/air.h"

#include <stdlib.h>
#include <string.h>

#define MAX_DEPTH 8u       /* of structures inside one another, and of pointers followed */
#define MAX_MEMBERS 204u   /* of one structure: AIR_MAX_OPERANDS / 5 */
#define KNOWN_SLOTS 16384u /* kernels share their structures: each is described once */

struct air_known_type {
    uint64_t hash; /* 0: free */
    uint32_t type;
};

static uint32_t push(struct air_types *t, const struct abx_reflection_type *type)
{
    if (!abx_grow((void **)&t->types, &t->type_capacity, t->type_count, sizeof *t->types,
                ABX_REFLECTION_MAX_TYPES))
        return 0;
    t->types[t->type_count++] = *type;
    return t->type_count;
}

/* ---- what was read before */

static uint64_t mix(uint64_t hash, const void *data, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ ((const uint8_t *)data)[i]) * 1099511628211ull;
    return (hash ^ bytes) * 1099511628211ull;
}

static uint64_t hash_of(LLVMValueRef value, uint64_t hash, unsigned depth)
{
    struct air_node n;
    if (depth > MAX_DEPTH || !air_node_open(value, &n))
        return hash;
    for (unsigned i = 0; i < n.count; i++) {
        struct air_text text = air_node_text(&n, i);
        uint32_t number = 0;
        air_node_number(&n, i, &number);
        hash = mix(mix(hash, text.data, text.length), &number, sizeof number);
        hash = hash_of(n.operands[i], hash, depth + 1);
    }
    return hash;
}

static struct air_known_type *known_slot(struct air_types *t, uint64_t hash)
{
    if (!t->known)
        t->known = calloc(KNOWN_SLOTS, sizeof *t->known);
    for (unsigned i = 0; t->known && i < 8; i++) {
        struct air_known_type *slot = &t->known[(hash + i) % KNOWN_SLOTS];
        if (!slot->hash || slot->hash == hash)
            return slot;
    }
    return NULL; /* described again, then */
}

/* ---- members */

static uint32_t add_structure(
        struct air_types *t, LLVMValueRef info, uint32_t size, uint32_t alignment, unsigned depth);

static uint32_t add_pointer(struct air_types *t, LLVMValueRef node, int32_t *ret_id, unsigned depth)
{
    struct air_argument a;
    struct abx_reflection_type pointer = {.data_type = 60, .size = 8, .alignment = 8};
    int r = air_argument_read(node, &a);
    if (r == 0 || r == -ENOTSUP) /* a number or a texture has its place too */
        *ret_id = (int32_t)a.index;
    if (r < 0 || a.kind != ABX_ARGUMENT_BUFFER)
        return 0;
    pointer.access = a.access;
    if (a.members)
        pointer.element = add_structure(t, a.members, a.size, a.alignment, depth + 1);
    else {
        const struct abx_reflection_type pointee = {
                .data_type = air_data_type(a.type_name), .size = a.size, .alignment = a.alignment};
        pointer.element = push(t, &pointee);
    }
    return push(t, &pointer);
}

/* The lowest bit of a size: what a number is aligned to. */
static uint32_t alignment_of(uint32_t size)
{
    uint32_t bit = size & -size;
    return bit && bit < 16 ? bit : 16;
}

/* The member at operand *i, which is left behind it. */
static bool read_member(struct air_types *t, const struct air_node *n, unsigned *i,
        struct abx_reflection_member *ret, unsigned depth)
{
    uint32_t size, elements;
    *ret = (struct abx_reflection_member){.id = -1};
    if (!air_node_number(n, *i, &ret->offset) || !air_node_number(n, *i + 1, &size) ||
            !air_node_number(n, *i + 2, &elements))
        return false;
    struct abx_reflection_type type = {.data_type = air_data_type(air_node_text(n, *i + 3)),
            .size = size,
            .alignment = alignment_of(size)};
    struct air_text name = air_node_text(n, *i + 4), key = air_node_text(n, *i + 5);
    LLVMValueRef more = air_node_operand(n, *i + 6);
    bool pointer = air_text_is(key, "air.indirect_argument");
    bool structure = air_text_is(key, "air.struct_type_info");
    *i += pointer || structure ? 7 : 5;
    ret->name = t->add_text(t->context, name);
    if (pointer)
        ret->type = add_pointer(t, more, &ret->id, depth);
    else if (structure)
        ret->type = add_structure(t, more, size, type.alignment, depth + 1);
    if (!ret->type)
        ret->type = push(t, &type);
    if (elements && ret->type) {
        const struct abx_reflection_type array = {.data_type = 2,
                .size = size * elements,
                .alignment = type.alignment,
                .count = elements,
                .stride = size,
                .element = ret->type};
        ret->type = push(t, &array);
    }
    return ret->type != 0;
}

static bool push_members(
        struct air_types *t, const struct abx_reflection_member *members, uint32_t count)
{
    uint32_t first = t->member_count;
    for (uint32_t i = 0; i < count; i++) {
        if (!abx_grow((void **)&t->members, &t->member_capacity, t->member_count,
                    sizeof *t->members, ABX_REFLECTION_MAX_MEMBERS)) {
            t->member_count = first;
            return false;
        }
        t->members[t->member_count++] = members[i];
    }
    return true;
}

/* One whose members cannot be read has none. */
static uint32_t add_structure(
        struct air_types *t, LLVMValueRef info, uint32_t size, uint32_t alignment, unsigned depth)
{
    struct air_node n;
    struct abx_reflection_member members[MAX_MEMBERS + 1];
    struct abx_reflection_type type = {.data_type = 1, .size = size, .alignment = alignment};
    uint32_t count = 0;
    bool ok = depth <= MAX_DEPTH && air_node_open(info, &n);
    for (unsigned i = 0; ok && i < n.count;)
        ok = count < MAX_MEMBERS && read_member(t, &n, &i, &members[count++], depth);
    uint32_t first = t->member_count;
    if (ok && push_members(t, members, count)) {
        type.first_member = first;
        type.member_count = count;
    }
    uint32_t added = push(t, &type);
    if (!added)
        t->member_count = first;
    return added;
}

/* ---- */

uint32_t air_types_add(struct air_types *t, const struct air_argument *a)
{
    if (!a->members)
        return 0;
    uint64_t hash = mix(14695981039346656037ull, a->type_name.data, a->type_name.length);
    hash = hash_of(a->members, mix(hash, &a->size, sizeof a->size), 0) | 1;
    struct air_known_type *slot = known_slot(t, hash);
    if (slot && slot->hash)
        return slot->type;
    uint32_t type = add_structure(t, a->members, a->size, a->alignment, 0);
    if (slot && type)
        *slot = (struct air_known_type){hash, type};
    return type;
}

void air_types_finish(struct air_types *t)
{
    free(t->types), free(t->members), free(t->known);
}
