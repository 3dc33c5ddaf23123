/* shader, private: what the parts of the code generator share (compiler process only). Everything
 * here handles a module made from guest source. See shader.h, abi/kernel.h, shim/markers.h. */
#ifndef ABX_SHADER_CODEGEN_CODEGEN_H
#define ABX_SHADER_CODEGEN_CODEGEN_H

#include "shader/shader.h"
#include "shader/abi/kernel.h"
#include "shader/shim/markers.h"

#include <llvm-c/Core.h>
#include <llvm-c/Target.h>
#include <llvm-c/TargetMachine.h>
#include <llvm-c/Transforms/PassBuilder.h>

/* LLVM's enumerations are long, and most switches here are about a few of their values. */
#pragma GCC diagnostic ignored "-Wswitch-enum"

struct codegen {
    LLVMContextRef context;
    LLVMModuleRef module;
    const struct codegen_target *target;
    LLVMTargetMachineRef machine;
    LLVMTargetDataRef layout;
    LLVMPassBuilderOptionsRef options;
    LLVMBuilderRef builder;
    LLVMTypeRef i1, i8, i32, i64, ptr, token;
    LLVMValueRef kernel;                /* void (void): one thread, markers in it */
    LLVMValueRef entry;                 /* abx_entry, once built */
    struct abx_code code;               /* filled as things are decided; */
    struct abx_cpu_code cpu;            /* its body, where the target is a processor */
    bool barriers, simd_barriers, simd; /* which markers the kernel uses */
    bool yields;                        /* has loops that wait for other threads: cpu/spin.c */
    bool matrix_elements;               /* it looks at its matrices' elements */
    bool matrix_rows;                   /* lanes hold them row by row, not as Apple's do */
    bool matrix_products;  /* it has products of matrices by the processor's own instruction */
    bool matrix_tiles;     /* 8x8 halves of threadgroup memory lie one by one: nvptx */
    bool recursive;        /* it calls functions that call themselves */
    bool calls;            /* it calls functions that stayed such: calls.c */
    bool bounded;          /* private arrays keep to themselves */
    unsigned vector_bytes; /* of the target's registers */
    uint16_t readable[ABX_BUFFER_SLOTS]; /* bytes of each buffer that may be read at any time */
    bool verbose;                        /* ARCBOX_CODEGEN_VERBOSE: developers only */
    struct abx_string message;
};

/* Everything of *g for a target but what is in the module; codegen_end() in every case
 * once g->context is set. */
int codegen_begin(struct codegen *g, uint32_t target);
void codegen_end(struct codegen *g);
/* LLVM's errors become text in `message`, which must outlive the context, instead of ending the
 * process. */
void codegen_handle_diagnostics(LLVMContextRef context, struct abx_string *message);
/* Adds a line to the message; returns `error` so that callers can `return codegen_fail(...)`. */
int codegen_fail(struct codegen *g, int error, const char *format, ...) ABX_PRINTF(3, 4);
int codegen_run_passes(struct codegen *g, const char *passes);
int codegen_verify(struct codegen *g, const char *after);
/* The object blob: g->code, filled in but for where things lie; the target's body, a multiple of 8
 * bytes; what follows it. 0 or -ENOMEM: it is too large. */
int codegen_pack(struct codegen *g, const void *body, size_t body_bytes, const void *text,
        size_t text_bytes, struct abx_shader_result *result);

/* The called function's name when `v` is a direct call, "" for an indirect one, NULL otherwise. */
const char *codegen_callee(LLVMValueRef v);
bool codegen_is_call(LLVMValueRef v, const char *name);
void codegen_add_attribute(struct codegen *g, LLVMValueRef function, const char *name);
void codegen_remove_attribute(LLVMValueRef function, const char *name);
/* Declares (once) a function that the worker provides. */
LLVMValueRef codegen_declare(struct codegen *g, const char *name, LLVMTypeRef type);
LLVMValueRef codegen_intrinsic(struct codegen *g, const char *name, LLVMTypeRef *types,
        unsigned count, LLVMTypeRef *ret_type);
LLVMValueRef codegen_call_intrinsic(struct codegen *g, const char *name, LLVMTypeRef *types,
        unsigned type_count, LLVMValueRef *arguments, unsigned count);
LLVMValueRef codegen_i32(struct codegen *g, uint64_t v);
/* A vector of `element` where `shape` is a vector, as long; else `element`. */
LLVMTypeRef codegen_shaped_as(LLVMTypeRef shape, LLVMTypeRef element);
/* The number, or where `type` is a vector one that has it everywhere: a constant's is a constant.
 */
LLVMValueRef codegen_all(struct codegen *g, LLVMTypeRef type, LLVMValueRef element);
/* The same of an integer constant. */
LLVMValueRef codegen_all_int(struct codegen *g, LLVMTypeRef type, uint64_t v);
/* Of every instruction of the module, where the builder stands then: what is to take its place, or
 * NULL. */
void codegen_replace(
        struct codegen *g, LLVMValueRef (*replacement)(struct codegen *g, LLVMValueRef in));
/* count <= 256; index < 0: any number may be there. */
LLVMValueRef codegen_shuffle(
        struct codegen *g, LLVMValueRef a, LLVMValueRef b, const int *index, unsigned count);
/* half or bfloat, or a vector of them. */
bool codegen_is_narrow(LLVMTypeRef type);
LLVMValueRef codegen_i64(struct codegen *g, uint64_t v);
/* What operand `i` (from 1 on) of a GEP adds to its address: `*bytes` for a structure's field
 * (true), or `*bytes` for each element (false). `*type`, the GEP's source element type at first,
 * goes along. */
bool codegen_gep_field(
        struct codegen *g, LLVMValueRef gep, unsigned i, LLVMTypeRef *type, uint64_t *bytes);
/* For qsort() and bsearch(), of structures that begin with a pointer. */
int codegen_compare_pointers(const void *a, const void *b);
/* The most that loads and stores of a kernel suppose of an address. GPUs load a vector from
 * wherever one of its elements may lie, and programs rely on it: ggml reads float4 a float further
 * in each row. x86-64's aligned moves would trap. Atomics stay as they are. */
#define ABX_MEMORY_ALIGNMENT 4u
/* What the load reads, nothing writes while the kernel runs. */
void codegen_mark_invariant_load(struct codegen *g, LLVMValueRef load);
/* Loads the field of *call that lies at `offset`, in the current block. */
LLVMValueRef codegen_load_field(
        struct codegen *g, LLVMValueRef call, LLVMTypeRef type, size_t offset, const char *name);
/* The same of buffer number `n`, below ABX_BUFFER_SLOTS. */
LLVMValueRef codegen_load_buffer(struct codegen *g, LLVMValueRef call, uint64_t n);

/* What markers turn into: one value a builtin and dimension. */
struct codegen_place {
    LLVMValueRef call; /* struct abx_kernel_call */
    LLVMValueRef builtin[ABX_BUILTIN_COUNT][3];
    /* Addresses; NULL: loaded from *call. */
    LLVMValueRef buffer[ABX_BUFFER_SLOTS], threadgroup[ABX_MAX_THREADGROUP_BINDINGS];
    LLVMValueRef statics;
};
/* The counts that follow from the group size already set. */
void codegen_place_counts(struct codegen *g, struct codegen_place *p);
/* A group's place in dimension d and its size, which is less at the grid's far edge. */
void codegen_place_edge(struct codegen *g, struct codegen_place *p, int d, LLVMValueRef at);
/* Completes the place of a thread from group[], size[] and thread position [] already set. */
void codegen_place_thread(struct codegen *g, struct codegen_place *p, LLVMValueRef linear);
void codegen_place_group(struct codegen *g, struct codegen_place *p);
/* In `function`: the builtin, buffer and threadgroup markers become the place's values; mutable
 * globals (threadgroup variables) become offsets into static threadgroup memory. */
int codegen_lower_markers(
        struct codegen *g, LLVMValueRef function, struct codegen_place *p, LLVMValueRef at);
int codegen_lower_statics(struct codegen *g);
/* open.c: takes small vectors and integers that stand for them apart. */
void codegen_open_vectors(struct codegen *g, LLVMValueRef function);
/* matrix.c: a marker of an 8x8 matrix; its constant flags, -1 when they are not; and all of
 * them turned into exchanges between lanes. */
bool codegen_is_matrix(LLVMValueRef in);
bool codegen_is_matrix_builtin(LLVMValueRef in);
int codegen_matrix_flags(LLVMValueRef in);
/* This lane's two elements of a matrix's transpose, by exchanges of all lanes. */
void codegen_turn_matrix(struct codegen *g, const LLVMValueRef v[2], LLVMValueRef turned[2]);
int codegen_expand_matrices(struct codegen *g, LLVMValueRef function);
/* Moves what follows `at` in its block into a new block, which is returned; the builder is at its
 * end. The old block is left without a branch. */
LLVMBasicBlockRef codegen_split_after(struct codegen *g, LLVMValueRef at);

/* The steps. Each 0 or a negative errno with a message. */
/* Takes a module in: it becomes g->module, its function `name` g->kernel. */
int codegen_read(struct codegen *g, const char *bitcode, size_t bytes, const char *name);
/* calls.c: before anything is inlined: functions that would make the kernel too long by it stay;
 * sets g->calls. */
void codegen_keep_calls(struct codegen *g);
/* A call of such a function. */
bool codegen_is_kept(LLVMValueRef call);
/* How many bytes it uses behind the argument, a pointer. */
uint64_t codegen_reach(LLVMValueRef call, unsigned argument);
/* unroll.c: asks LLVM to unroll loops that index private arrays, which then become registers; once
 * loops are rotated. `sparing`: as if the function had many of them. */
void codegen_unroll_private(struct codegen *g, LLVMValueRef function, bool sparing);
/* What LLVM does so by: the first unrolls loops whose turns are known, the second those, too, that
 * may end before the last. */
#define CODEGEN_UNROLL                                                                             \
    "loop(loop-unroll-full),loop-unroll<O2;no-partial;no-peeling;no-runtime;upperbound>"
/* private.c: keeps what is stored past the ends of the function's private arrays from everything
 * else. Once, after loops have been unrolled: whatever is in registers by then cannot be left. */
int codegen_bound_private(struct codegen *g, LLVMValueRef function);
/* Functions that could not be inlined stay, if they may. */
int codegen_keep_recursive(struct codegen *g);
/* Leaves, of what runs before main(), what makes values that the roots (different functions) use;
 * and runs it, when the function constants are set. */
int codegen_keep_initialisers(struct codegen *g, const LLVMValueRef *roots, uint32_t count);
int codegen_run_initialisers(struct codegen *g);
/* Who makes the module with the entries of some functions of an ABX_LIBRARY_HEADER library, which
 * has no code of its own: the front end. */
struct codegen_entries {
    int (*make)(const struct abx_shader_tools *tools, const struct abx_shader_library *library,
            const uint32_t *functions, uint32_t count, struct abx_string *ret_bitcode,
            struct abx_string *message);
    const struct abx_shader_tools *tools;
};
/* Merges what the kernel is linked with into the module. */
int codegen_link(struct codegen *g, const struct codegen_entries *entries,
        const struct abx_shader_link *links, uint32_t count);
/* The kernel in one function, its constants set, ready for a target. */
int codegen_load(struct codegen *g, const struct abx_shader_library *library,
        const struct abx_shader_constant *constants, uint32_t constant_count);

/* ---- invariant.c: tells LLVM that what arguments in the constant address space lead to is not
 * written; of their markers the index is left, and g->readable has the rest. */
void codegen_mark_invariant(struct codegen *g);
/* Of g->module: only the roots stay to be seen from outside; the rest may be inlined and dropped.
 */
void codegen_keep(struct codegen *g, const LLVMValueRef *roots, uint32_t count);
/* Gives the function constants their values; those that are needed must be among them. */
int codegen_set_constants(struct codegen *g, const struct abx_reflection *r,
        const struct abx_shader_constant *constants, uint32_t count);
/* Fast or relaxed math: lets every operation but the shim's own be rounded otherwise. */
void codegen_relax(struct codegen *g);
/* narrow.c: halves and bfloats, multiplied and added in one, are rounded once; `native`: by the
 * processor's own operations. */
void codegen_fuse_narrow(struct codegen *g, bool native);
/* What a guest's module may not contain. */
int codegen_check(struct codegen *g);

#endif
