/* shader, private: what loads (codegen_wide_load.c) and stores (codegen_wide_store.c) at addresses
 * that are not side by side share. Elements are integers of the access's size. Compiler process. */
#ifndef ABX_SHADER_CODEGEN_WIDE_STRIDE_H
#define ABX_SHADER_CODEGEN_WIDE_STRIDE_H

#include "shader/codegen_wide.h"

#define STRIDED_MAX_COLUMNS 16u /* elements of a lane that are transposed at once */

/* A group of accesses that strided_together() holds of: becomes code at the builder's place. Loads
 * are put in the order of their offsets. */
void strided_load_group(struct wide *w, struct wide_strided **member, unsigned count);
void strided_store_group(struct wide *w, struct wide_strided *s, unsigned count);
/* Finds, among the loads that wait, those whose elements may stay in memory's order: sets their
 * `number` and `group`. */
void strided_find_sums(struct wide *w);
/* The loads of such a group, at the builder's place. */
void strided_load_in_order(struct wide *w, struct wide_strided **member, unsigned count);
/* Asks for what a later threadgroup will load where this group does. */
void strided_prefetch(struct wide *w, struct wide_strided **member, unsigned count);
/* True when the addresses of two accesses are the same distance apart in every lane. */
bool strided_together(struct wide *w, const struct wide_strided *a, const struct wide_strided *b);

/* The address of what lies `bytes` after `first`, and after a lane's address. */
LLVMValueRef strided_address(struct wide *w, const struct wide_strided *s, int64_t bytes);
LLVMValueRef strided_lane_address(
        struct wide *w, const struct wide_strided *s, unsigned lane, int64_t bytes);
/* The addresses of all lanes, as a vector. */
LLVMValueRef strided_addresses(struct wide *w, const struct wide_strided *s);

/* ---- vectors of up to 64 elements (codegen_wide_vector.c) */
LLVMTypeRef strided_vector(struct wide *w, unsigned bytes, unsigned count);
/* Lanes that are moved together: a register of elements. */
unsigned strided_lanes(struct wide *w, const struct wide_strided *s);

/* Elements [0, count) of a result, each from one of many vectors of `length`: source[i] is the
 * vector, at[i] the element. */
struct strided_pick {
    unsigned count, length;
    int source[64], at[64]; /* source -1: any value */
};
LLVMValueRef strided_pick(struct wide *w, const struct strided_pick *p, LLVMValueRef *vector);
/* Of `rows` vectors of `length` elements of `bytes` each block of rows x rows. place: where in a
 * result what would be element i belongs, the same in all; or NULL. */
void strided_transpose(struct wide *w, LLVMValueRef *r, unsigned rows, unsigned length,
        unsigned bytes, const unsigned *place);

#endif
