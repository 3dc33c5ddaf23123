/* shader: the types of a library's arguments, read out of the tables that shim/members.h makes. */
#ifndef ABX_SHADER_FRONTEND_REFLECT_TYPES_H
#define ABX_SHADER_FRONTEND_REFLECT_TYPES_H

#include "base/base.h"
#include "wire/reflection.h"

#include <llvm-c/Types.h>

struct reflected_types {
    struct abx_reflection_type *types;
    struct abx_reflection_member *members;
    uint32_t type_count, type_capacity, member_count, member_capacity;
    struct abx_string *strings; /* names go there */
    struct known_type *known;   /* by global: read already */
    uint32_t known_count, known_capacity;
};
/* 1 + the index of the type that a `const __msl::type *` points to; 0 when it is no such thing, or
 * there are too many. */
uint32_t reflect_type(struct reflected_types *t, LLVMValueRef pointer);
void reflected_types_finish(struct reflected_types *t);

#endif
