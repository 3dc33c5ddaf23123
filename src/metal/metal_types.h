/* metal: types of a library's reflection, as MTLType and for argument encoders. A type is 1 + its
 * index in the reflection; 0 is one that is not known. Runs in the guest's process. */
#ifndef ABX_METAL_TYPES_H
#define ABX_METAL_TYPES_H

#include "foundation/foundation.h"
#include "wire/reflection.h"

const struct abx_reflection_type *abx_metal_type_at(const struct abx_reflection *r, uint32_t type);
/* Argument indices that a value of the type takes, at most 2^24. */
uint64_t abx_metal_type_slots(const struct abx_reflection *r, uint32_t type);
bool abx_metal_type_has_pointers(const struct abx_reflection *r, uint32_t type);
/* A MTLStructType (+1), nil when it is no structure. */
id abx_metal_struct_type_new(const struct abx_reflection *r, uint32_t type);
/* A MTLPointerType (+1) to the type; access: enum abx_argument_access. */
id abx_metal_pointer_type_new(const struct abx_reflection *r, uint32_t type, uint32_t access);

#endif
