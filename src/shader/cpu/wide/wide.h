/* shader, private: kernels as vectors of lanes. Compiler process.
 *
 * The scalar function of one thread is translated into code for `width` threads at once: a value
 * that is the same for all of them (uniform) stays scalar, another becomes a vector. Uniform
 * branches stay branches. From a divergent branch to where its sides meet again, and from the entry
 * of a loop that lanes leave at different times to its end, blocks are laid out one after the other
 * and run under masks. */
#ifndef ABX_SHADER_CPU_WIDE_WIDE_H
#define ABX_SHADER_CPU_WIDE_WIDE_H

#include "shader/cpu/cpu.h"

#define WIDE_MAX_WIDTH 32u
#define WIDE_MAX_BLOCKS 1024u

/* ---- a map from LLVM objects to small structures */
struct wide_value {
    void *key;
    bool divergent;
    bool phi_divergent; /* lanes come from different predecessors or iterations */
    /* private memory (alloca) that differs from lane to lane */
    bool private_memory;
    bool interleaved;     /* unit 0 of all lanes, unit 1 of all lanes ...; else lane after lane */
    uint64_t unit, bytes; /* bytes of a unit, of one lane's object */
    /* translation, reset for each variant */
    LLVMValueRef uniform, vector;
    LLVMValueRef memory; /* phi: its slot; alloca: the storage */
    /* integers and addresses that are `first` (uniform) plus lanes[i]; NULL when that is not known.
     * align: a power of two that divides `first`; limit: 0, or what every lane's value is below */
    const int64_t *lanes;
    bool no_signed_wrap, no_unsigned_wrap, not_negative;
    LLVMValueRef first;
    uint64_t align, limit;
    LLVMValueRef first_slot; /* phi: lanes[] does not change, only `first` does */
    LLVMValueRef base_slot;  /* and `base`, set where the loop is entered: maybe a skipped block */
    /* root + delta: values with one root are a constant apart (integers, and addresses in bytes);
     * see wide_root() */
    void *root;
    int64_t delta;
    /* addresses: uniform base plus byte offsets (lanes or vector above describe the offset) */
    LLVMValueRef base;
};

struct wide_lanes {
    struct wide_lanes *next, *next_pattern;
    int64_t lane[WIDE_MAX_WIDTH];
};

struct wide_root {
    struct wide_root *next, *same_hash;
    void *a, *b;
    int64_t times_a, times_b;
};
#define WIDE_ROOT_BUCKETS 256u

struct wide_loop {
    uint32_t header, latch;
    int parent;         /* index or -1 */
    bool *in;           /* per block */
    bool divergent;     /* lanes leave it at different times */
    bool looked, meets; /* whether a barrier was looked for, and there is one in it (turn.c) */
};

/* A load or store of all lanes whose addresses are not neighbours, waiting for its own neighbours
 * (stride.c). */
#define WIDE_MAX_STRIDED 96u
struct wide_strided {
    LLVMValueRef mark;   /* loads: stands for the result; stores: where it was */
    LLVMValueRef value;  /* stores: what to write */
    LLVMValueRef source; /* loads: in the source */
    LLVMTypeRef type;
    struct wide_value address;
    LLVMValueRef pointer; /* the lanes' addresses, where their distances are not constants */
    int64_t offset;       /* from the address of its group's first access */
    unsigned align, bytes;
    bool waits;         /* loads: not made yet */
    bool narrow;        /* of elements of less than 4 bytes */
    LLVMValueRef ahead; /* loads: bytes to what a later threadgroup reads here; NULL: not known */
    int64_t turn;       /* loads: bytes to what the next turn reads here; 0: not known */
    LLVMValueRef *part; /* loads without a mark: where the result goes, in registers */
};

/* Products of matrices that are made together (product.c). */
#define WIDE_MAX_PRODUCTS 64u
struct wide_product {
    LLVMValueRef call[2]; /* for its halves; NULL: there is none, or it has taken its value */
    LLVMValueRef value[2];
    unsigned left, right; /* which of the run's factors */
    int next;             /* the product that adds to this one, and nothing else uses it; or -1 */
    bool adds;            /* it adds to one of the run */
};

struct wide {
    struct codegen *g;
    unsigned width;
    bool rows;                     /* lanes are neighbours in x; else in the linear index */
    struct wide_lanes *lanes_kept; /* every lanes[] made, freed at the end */
    struct wide_lanes *patterns;   /* those that constants are a number apart from */
    struct wide_root *roots_kept, *root_bucket[WIDE_ROOT_BUCKETS];
    struct wide_value *map;
    size_t map_count, map_capacity;

    LLVMBasicBlockRef block[WIDE_MAX_BLOCKS];
    uint32_t count;
    uint32_t successor[WIDE_MAX_BLOCKS][2];
    uint32_t successors[WIDE_MAX_BLOCKS];
    uint32_t order[WIDE_MAX_BLOCKS]; /* reverse post-order */
    uint32_t rank[WIDE_MAX_BLOCKS];
    /* The nearest other one; the entry's and the exit's: itself. */
    uint32_t dominator[WIDE_MAX_BLOCKS], post_dominator[WIDE_MAX_BLOCKS];
    bool masked[WIDE_MAX_BLOCKS]; /* runs under a mask */
    int loop_of[WIDE_MAX_BLOCKS];
    struct wide_loop *loops;
    uint32_t loop_count;
    const char *refused;          /* why this kernel is not for this form */
    bool guarded;                 /* a guard's region is translated under its mask alone */
    bool unguarded;               /* and one was not */
    bool lifted[WIDE_MAX_BLOCKS]; /* guards that every lane passed, in what is being translated */

    /* translation */
    struct codegen_place place;
    struct wide_value lane_place[ABX_BUILTIN_COUNT][3];
    LLVMValueRef function, entry_mark; /* loads of arguments go before entry_mark */
    LLVMValueRef entry_mask;           /* NULL: every lane is active */
    LLVMValueRef mask;                 /* of the block being translated; NULL: every lane */
    LLVMBasicBlockRef made[WIDE_MAX_BLOCKS], exit;
    LLVMValueRef mask_slot[WIDE_MAX_BLOCKS];
    LLVMValueRef factors;          /* product.c: memory; NULL: none yet */
    LLVMValueRef dummy;            /* memory that masked uniform accesses go to instead */
    LLVMValueRef lanes32, lanes64; /* <0, 1, 2, ...> */
    struct cpu_coroutine *coroutine;
    LLVMValueRef statics;
    struct wide_strided strided[WIDE_MAX_STRIDED];
    uint32_t strided_count;
    bool strided_stores;                  /* all of strided[] are stores; else loads */
    LLVMValueRef matrix, matrix_value[2]; /* the matrix loaded last, and the call that asked */
    struct wide_product product[WIDE_MAX_PRODUCTS];
    uint32_t product_count;
};

struct wide_value *wide_get(struct wide *w, void *key); /* made when new */
bool wide_is_divergent(struct wide *w, LLVMValueRef v);
uint32_t wide_block(struct wide *w, LLVMBasicBlockRef b);
LLVMValueRef wide_private(LLVMValueRef pointer); /* the alloca an address leads into, or NULL */
uint64_t wide_marker(
        LLVMValueRef call, const char *name); /* constant operand, ~0 if another call */

/* Builds the block graph (once), then decides what diverges in this variant. False: refused. */
bool wide_graph(struct wide *w, LLVMValueRef function);
bool wide_dominates(struct wide *w, uint32_t a, uint32_t b);
/* The loop directly inside `level` (-1: outside all) that holds block b; -1 when b is at that level
 * itself. */
int wide_child_loop(struct wide *w, uint32_t b, int level);
bool wide_analyse(struct wide *w);
/* Then: which blocks run under masks if the branches of those in w->lifted lead all lanes one way.
 */
void wide_mask_again(struct wide *w);
void wide_free(struct wide *w);

/* Fills lane_place from the uniform place, the first thread's linear index and, in rows, position.
 */
void wide_place_lanes(struct wide *w, LLVMValueRef index, LLVMValueRef at[3]);
/* Translates the analysed function at the builder's place; the code goes on in `after`. */
bool wide_translate(struct wide *w, LLVMBasicBlockRef after);
/* Makes the phis' slots, and those of private memory, at the entry; false: refused. Then, at each
 * block's beginning, its phis' values, and at its end what its successors' phis get from it. */
bool wide_make_slots(struct wide *w);
void wide_load_phis(struct wide *w, uint32_t b);
void wide_store_phis(struct wide *w, uint32_t b);
/* One instruction; value.c holds what it needs. */
bool wide_instruction(struct wide *w, LLVMValueRef in);
bool wide_load(struct wide *w, LLVMValueRef in);
bool wide_store(struct wide *w, LLVMValueRef in);
/* Integer division, of lanes and of uniform numbers, which nothing that is off takes part in. */
bool wide_is_division(LLVMOpcode op);
LLVMValueRef wide_divide(struct wide *w, LLVMValueRef in, LLVMOpcode op);
LLVMValueRef wide_uniform_divide(struct wide *w, LLVMValueRef in);
bool wide_call(struct wide *w, LLVMValueRef in);
bool wide_simd(struct wide *w, LLVMValueRef in);
bool wide_matrix(struct wide *w, LLVMValueRef in);
/* Both halves of a matrix, from the lanes' layout to rows (or back). */
void wide_arrange_matrix(struct wide *w, LLVMValueRef e[2], bool to_rows);
/* Operands [first, end) of two calls are the same: halves of one matrix differ in their flags. */
bool wide_same_operands(LLVMValueRef a, LLVMValueRef b, unsigned first, unsigned end);
bool wide_is_product(LLVMValueRef in);
/* The half of a product that the call asks for. */
LLVMValueRef wide_product(struct wide *w, LLVMValueRef in);
/* Before translation: moves what stands between products of matrices out of the way. */
void wide_gather_products(struct codegen *g);
/* True when products of the module were made as panels. */
bool wide_has_panels(struct codegen *g);
/* Once phis are phis, and coroutines are not yet split: loops carry products' sums as registers. */
int wide_carry(struct wide *w);
LLVMValueRef wide_matrix_place(struct wide *w, bool second, bool column);
/* Anything, one lane after the other. */
bool wide_serial(struct wide *w, LLVMValueRef in);
/* A loop over the lanes of `mask` (NULL: all): begun at the builder's place, which then lies in its
 * body; ended there, after which the builder lies behind it. */
struct wide_lane_loop {
    LLVMBasicBlockRef before, top, next, after;
    LLVMValueRef lane; /* i64 */
};
struct wide_lane_loop wide_lane_loop_begin(struct wide *w, LLVMValueRef mask);
void wide_lane_loop_end(struct wide *w, struct wide_lane_loop *l);

/* Accesses of all lanes that are not side by side: false when it is not one. They take effect at
 * the next wide_strided_flush(), due before any other access to memory and at a block's end. */
bool wide_strided_load(struct wide *w, LLVMValueRef in);
bool wide_strided_store(struct wide *w, LLVMValueRef in, LLVMValueRef value);
void wide_strided_flush(struct wide *w);
void wide_strided_end(struct wide *w); /* once all is translated */
/* At the end of a loop's block, all of which is translated: sums over lanes of what waits are made
 * here, in memory's order (sum.c). */
void wide_sums(struct wide *w, LLVMBasicBlockRef block);

/* How far it is, in bytes, from an address of the source to what a threadgroup will read there that
 * begins when memory has had the time to bring it. NULL: this one's neighbour reads the same, or
 * cannot be told. */
LLVMValueRef wide_ahead(struct wide *w, LLVMValueRef pointer);
/* How far it is, in bytes, from what a load reads to what it will read in the next turn of the loop
 * with a barrier around it. 0: there is none, or it reads the same, or that cannot be told. */
int64_t wide_turn(struct wide *w, LLVMValueRef load);

/* Asks for what lies so many bytes behind `base`. */
void wide_prefetch(struct wide *w, LLVMValueRef base, int64_t bytes);

/* ---- vectors of up to 64 elements (vector.c) */
/* index -1: any value */
LLVMValueRef wide_shuffle(
        struct wide *w, LLVMValueRef a, LLVMValueRef b, const int *index, unsigned count);
LLVMValueRef wide_slice(struct wide *w, LLVMValueRef v, unsigned start, unsigned count);
LLVMValueRef wide_join(struct wide *w, LLVMValueRef a, LLVMValueRef b, unsigned each);
/* Parts of `each` elements as one vector of all lanes; the array is used up. */
LLVMValueRef wide_join_all(struct wide *w, LLVMValueRef *part, unsigned each);

/* Where element `at` of a vector was before all permutations. */
struct wide_origin {
    LLVMValueRef vector; /* NULL: any value */
    unsigned at;
};
struct wide_origin wide_trace(struct wide *w, LLVMValueRef v, unsigned at);
/* True of what stands for the result of a load that waits (stride.c): a freeze of
 * poison, and of the result once that is there. */
bool wide_is_mark(LLVMValueRef v);

/* Permutations of permutations become one; once all is translated. */
void wide_flatten(struct wide *w);

/* A new lanes[], zeros; kept until wide_free(). */
int64_t *wide_lanes(struct wide *w);
/* The root of a * times_a + b * times_b (b may be NULL): one for one sum, whoever asks. */
void *wide_root(struct wide *w, void *a, int64_t times_a, void *b, int64_t times_b);
/* True when each lane's value is `step` above the one before. */
bool wide_rises(struct wide *w, const struct wide_value *v, int64_t step);
/* Moves a multiple of `unit` (a power of two) from lanes[] to `first`, so that the least of them is
 * in [0, unit): then `first` is no further from a lane's true value, and widening it is exact. */
void wide_rebase(struct wide *w, struct wide_value *v, int64_t unit);
/* What is known of any value: constants and uniform ones too. */
struct wide_value wide_known(struct wide *w, LLVMValueRef source);
uint64_t wide_uniform_align(LLVMValueRef source);
/* Notes what is known of the divergent integer operation just translated. */
void wide_track(struct wide *w, LLVMValueRef in);
/* Fills lanes[] of an integer whose vector is a constant. */
void wide_know_constant(struct wide *w, struct wide_value *v);

LLVMBasicBlockRef wide_new_block(struct wide *w, const char *name); /* at the end */
LLVMTypeRef wide_type(struct wide *w, LLVMTypeRef scalar);
LLVMValueRef wide_splat(struct wide *w, LLVMValueRef scalar);
LLVMValueRef wide_uniform(struct wide *w, LLVMValueRef source);
LLVMValueRef wide_vector(struct wide *w, LLVMValueRef source);
LLVMValueRef wide_offsets(struct wide *w, const struct wide_value *v); /* of an address, in bytes */
void wide_set_uniform(struct wide *w, LLVMValueRef source, LLVMValueRef v);
void wide_set_vector(struct wide *w, LLVMValueRef source, LLVMValueRef v);
LLVMValueRef wide_all(struct wide *w);                     /* the mask, as a vector */
LLVMValueRef wide_any(struct wide *w, LLVMValueRef mask);  /* i1 */
LLVMValueRef wide_full(struct wide *w, LLVMValueRef mask); /* i1: every lane */
LLVMValueRef wide_bits(struct wide *w, LLVMValueRef mask); /* i<width> */
LLVMValueRef wide_first_active(struct wide *w);            /* i32; some lane when none is */
LLVMValueRef wide_slot(struct wide *w, LLVMTypeRef type, const char *name); /* at the entry */

#endif
