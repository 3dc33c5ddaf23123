/* shader, private: what loads (load.c) and stores (store.c) at addresses
 * that are not side by side share. Elements are integers of the access's size. Compiler process. */
#ifndef ABX_SHADER_CPU_WIDE_STRIDE_H
#define ABX_SHADER_CPU_WIDE_STRIDE_H

#include "shader/cpu/wide/wide.h"

#define STRIDED_MAX_COLUMNS 16u /* elements of a lane that are transposed at once */

/* A group of accesses that strided_together() holds of: becomes code at the builder's place. Loads
 * are put in the order of their offsets. */
void strided_load_group(struct wide *w, struct wide_strided **member, unsigned count);
void strided_store_group(struct wide *w, struct wide_strided *s, unsigned count);
/* Asks for what the next turn of a loop, or a later threadgroup, will load where this group does.
 */
void strided_prefetch(struct wide *w, struct wide_strided **member, unsigned count);
/* True when the addresses of two accesses are the same distance apart in every lane. */
bool strided_together(struct wide *w, const struct wide_strided *a, const struct wide_strided *b);

/* The address of what lies `bytes` after `first`, and after a lane's address. */
LLVMValueRef strided_address(struct wide *w, const struct wide_strided *s, int64_t bytes);
LLVMValueRef strided_lane_address(
        struct wide *w, const struct wide_strided *s, unsigned lane, int64_t bytes);
/* The addresses of all lanes, as a vector. */
LLVMValueRef strided_addresses(struct wide *w, const struct wide_strided *s);

/* ---- elements at constant distances from an access's address (span.c) */
#define STRIDED_SPAN 4096
#define STRIDED_MAX_CHUNKS (STRIDED_SPAN / 16)
struct strided_span {
    int64_t least, end; /* bytes, relative to the address's `first` */
    unsigned unit;      /* bytes that all elements begin, and end, at a multiple of */
    unsigned chunk;     /* units of a vector */
    unsigned count;     /* vectors, and where they start */
    LLVMValueRef vector[STRIDED_MAX_CHUNKS];
    int64_t start[STRIDED_MAX_CHUNKS];
    uint16_t chunk_of[STRIDED_SPAN]; /* of each wanted unit */
};
/* Where `count` elements of `bytes`, at at[], lie. False when that is too far apart. */
bool strided_measure(
        struct wide *w, const int64_t *at, unsigned count, unsigned bytes, struct strided_span *s);
/* Then: the vectors that hold them all; loaded at the builder's place; and those of the elements at
 * at[], as a vector of `count`, with the number of instructions that this takes. `count` elements
 * have at most STRIDED_MAX_PICK units. */
void strided_place(const int64_t *at, unsigned count, unsigned bytes, struct strided_span *s);
void strided_load_span(
        struct wide *w, const struct wide_strided *of, unsigned align, struct strided_span *s);
LLVMValueRef strided_from_span(struct wide *w, const int64_t *at, unsigned count, unsigned bytes,
        const struct strided_span *s);
unsigned strided_span_cost(
        const int64_t *at, unsigned count, unsigned bytes, const struct strided_span *s);

/* ---- vectors of up to 64 elements (vector.c) */
LLVMTypeRef strided_vector(struct wide *w, unsigned bytes, unsigned count);
/* Lanes that are moved together: a register of elements. */
unsigned strided_lanes(struct wide *w, const struct wide_strided *s);

/* Elements [0, count) of a result, each from one of many vectors of `length`: source[i] is the
 * vector, at[i] the element. */
#define STRIDED_MAX_PICK 64u
struct strided_pick {
    unsigned count, length;
    int source[STRIDED_MAX_PICK], at[STRIDED_MAX_PICK]; /* source -1: any value */
};
LLVMValueRef strided_pick(struct wide *w, const struct strided_pick *p, const LLVMValueRef *vector);
/* Of `rows` vectors of `length` elements of `bytes` each block of rows x rows. place: where in a
 * result what would be element i belongs, the same in all; or NULL. */
void strided_transpose(struct wide *w, LLVMValueRef *r, unsigned rows, unsigned length,
        unsigned bytes, const unsigned *place);

#endif
