/* wire: what a compiled library says about itself. Written by the shader compiler, stored in front
 * of the bitcode, and sent to the guest (without the bitcode) as the answer to a library compile;
 * from it the guest answers function look-ups, argument reflection and pipeline properties without
 * a round trip.
 *
 * Layout: struct abx_reflection, then functions[], arguments[], constants[], types[], members[],
 * then `string_bytes` of NUL-terminated strings. String fields are byte offsets into that last
 * part. Little endian, 8-byte aligned, no pointers. Readers call abx_reflection_check() first:
 * afterwards every index and offset below may be used as it is. */
#ifndef ABX_WIRE_REFLECTION_H
#define ABX_WIRE_REFLECTION_H

#include "base/base.h"

#define ABX_REFLECTION_MAGIC 0x58424c52u /* "RLBX" */
#define ABX_REFLECTION_VERSION 5u

/* Caps: a library is guest-made. ggml, the largest known client, has about 700 kernels. */
#define ABX_REFLECTION_MAX_FUNCTIONS 65536u
#define ABX_REFLECTION_MAX_ARGUMENTS 1048576u
#define ABX_REFLECTION_MAX_CONSTANTS 65536u
#define ABX_REFLECTION_MAX_TYPES 65536u
#define ABX_REFLECTION_MAX_MEMBERS 262144u
#define ABX_REFLECTION_MAX_BYTES (64u << 20)

enum abx_function_kind {
    ABX_FUNCTION_KERNEL = 1,
    ABX_FUNCTION_VISIBLE = 2,
    /* Precompiled libraries may hold these; nothing runs them yet. */
    ABX_FUNCTION_VERTEX = 3,
    ABX_FUNCTION_FRAGMENT = 4,
    ABX_FUNCTION_INTERSECTION = 5,
};

enum abx_argument_kind {
    ABX_ARGUMENT_BUFFER = 1,      /* device or constant pointer or reference at [[buffer(index)]] */
    ABX_ARGUMENT_THREADGROUP = 2, /* host-sized memory at [[threadgroup(index)]] */
    ABX_ARGUMENT_BUILTIN = 3,     /* thread_position_in_grid and friends; not seen by the client */
};

/* As MTLBindingAccess. */
enum abx_argument_access {
    ABX_ACCESS_READ_ONLY = 0,
    ABX_ACCESS_READ_WRITE = 1,
    ABX_ACCESS_WRITE_ONLY = 2,
};

struct abx_reflection {
    uint32_t magic, version;
    uint32_t total_bytes; /* of the whole reflection, strings included, padded to 8 */
    uint32_t function_count, argument_count, constant_count;
    uint32_t string_bytes;
    uint32_t type_count, member_count;
    uint32_t precompiled; /* 1: whether a function's code can be made shows when it is */
};

struct abx_reflection_function {
    uint32_t name; /* what newFunctionWithName: finds ([[host_name]] or the C name) */
    uint32_t kind; /* enum abx_function_kind */
    uint32_t first_argument, argument_count;
    uint32_t unsure;              /* 1: whether its code can be made shows when it is */
    uint32_t max_threads;         /* [[max_total_threads_per_threadgroup]], 0 when not given */
    uint32_t required_threads[3]; /* [[required_threads_per_threadgroup]], 0 when not given */
    uint32_t entry;               /* string: the bitcode's symbol for this function */
    uint32_t first_constant, constant_count; /* those it may be given */
    uint32_t first_needed, needed_count;     /* those that its code may reach */
};

struct abx_reflection_argument {
    uint32_t name, type_name;           /* type_name as in MSL, e.g. "float4", "Params" */
    uint32_t kind;                      /* enum abx_argument_kind */
    uint32_t index;                     /* buffer or threadgroup index */
    uint32_t access;                    /* enum abx_argument_access */
    uint32_t data_size, data_alignment; /* bytes of the pointed-to type */
    uint32_t data_type;                 /* MTLDataType of the pointed-to type, 0 when unknown */
    uint32_t type;                      /* that type: 1 + its index; 0 when unknown */
};

/* A type an argument points to, or one inside it. */
struct abx_reflection_type {
    uint32_t data_type; /* MTLDataType; 0 when it has none */
    uint32_t access;    /* of what a pointer points to: enum abx_argument_access */
    uint32_t size, alignment;
    uint32_t count, stride;              /* of an array */
    uint32_t element;                    /* of an array or pointer: 1 + its index; 0 when unknown */
    uint32_t first_member, member_count; /* of a structure; none when they are not known */
};

/* A structure's member. Types are in the order in which they end: an array's element and a
 * structure's members come before it, so that a walk down through them ends. What a pointer points
 * to may come later, and may be the structure it is in. */
struct abx_reflection_member {
    uint32_t name;
    int32_t id;      /* [[id(n)]], -1 when not given */
    uint32_t offset; /* bytes from the structure's start */
    uint32_t type;   /* index + 1, never 0 */
};

struct abx_reflection_constant {
    uint32_t name;
    uint32_t index;          /* [[function_constant(index)]] */
    uint32_t type;           /* MTLDataType */
    uint32_t size;           /* bytes */
    uint32_t required;       /* 1 when used without is_function_constant_defined() guarding it */
    uint32_t symbol;         /* string: the bitcode's global for the value; "<symbol>" */
    uint32_t defined_symbol; /* string: the global that tells whether it was given; "" if none */
    uint32_t reserved;
};

static inline const struct abx_reflection_function *abx_reflection_functions(
        const struct abx_reflection *r)
{
    return (const struct abx_reflection_function *)(r + 1);
}

static inline const struct abx_reflection_argument *abx_reflection_arguments(
        const struct abx_reflection *r)
{
    return (const struct abx_reflection_argument *)(abx_reflection_functions(r) +
                                                    r->function_count);
}

static inline const struct abx_reflection_constant *abx_reflection_constants(
        const struct abx_reflection *r)
{
    return (const struct abx_reflection_constant *)(abx_reflection_arguments(r) +
                                                    r->argument_count);
}

static inline const struct abx_reflection_type *abx_reflection_types(const struct abx_reflection *r)
{
    return (const struct abx_reflection_type *)(abx_reflection_constants(r) + r->constant_count);
}

static inline const struct abx_reflection_member *abx_reflection_members(
        const struct abx_reflection *r)
{
    return (const struct abx_reflection_member *)(abx_reflection_types(r) + r->type_count);
}

static inline const char *abx_reflection_string(const struct abx_reflection *r, uint32_t offset)
{
    return (const char *)(abx_reflection_members(r) + r->member_count) + offset;
}

/* 0 when `length` bytes at `r` (8-byte aligned) are a well-formed reflection; else -EBADMSG. */
int abx_reflection_check(const struct abx_reflection *r, size_t length);

#endif
