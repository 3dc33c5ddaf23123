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
    struct abx_object object;           /* filled as things are decided */
    bool barriers, simd_barriers, simd; /* which markers the kernel uses */
    bool yields;                        /* has loops that wait for other threads: cpu/spin.c */
    bool matrix_elements;               /* it looks at its matrices' elements */
    bool recursive;                     /* it calls functions */
    bool bounded;                       /* private arrays keep to themselves */
    unsigned vector_bytes;              /* of the target's registers */
    bool verbose;                       /* ARCBOX_CODEGEN_VERBOSE: developers only */
    struct abx_string message;
};

/* LLVM's errors become text in `message`, which must outlive the context, instead of ending the
 * process. */
void codegen_handle_diagnostics(LLVMContextRef context, struct abx_string *message);
/* Adds a line to the message; returns `error` so that callers can `return codegen_fail(...)`. */
int codegen_fail(struct codegen *g, int error, const char *format, ...) ABX_PRINTF(3, 4);
int codegen_run_passes(struct codegen *g, const char *passes);
int codegen_verify(struct codegen *g, const char *after);

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
LLVMValueRef codegen_i64(struct codegen *g, uint64_t v);
/* Loads the field of *call that lies at `offset`, in the current block. */
LLVMValueRef codegen_load_field(
        struct codegen *g, LLVMValueRef call, LLVMTypeRef type, size_t offset, const char *name);

/* What markers turn into: one value a builtin and dimension. */
struct codegen_place {
    LLVMValueRef call; /* struct abx_kernel_call */
    LLVMValueRef builtin[ABX_BUILTIN_COUNT][3];
    /* Addresses; NULL: loaded from *call. */
    LLVMValueRef buffer[ABX_BUFFER_SLOTS], threadgroup[ABX_MAX_THREADGROUP_BINDINGS];
    LLVMValueRef statics;
};
/* Loads what is the same for a whole dispatch (grid, group size, counts). */
void codegen_place_dispatch(struct codegen *g, struct codegen_place *p, LLVMValueRef call);
/* The rest of that, from the group size already set. */
void codegen_place_counts(struct codegen *g, struct codegen_place *p);
/* A group's place in dimension d and its size, which is less at the grid's far edge. */
void codegen_place_edge(struct codegen *g, struct codegen_place *p, int d, LLVMValueRef at);
/* Completes the place of a thread from group[], size[] and thread position [] already set. */
void codegen_place_thread(struct codegen *g, struct codegen_place *p, LLVMValueRef linear);
void codegen_place_group(struct codegen *g, struct codegen_place *p);
/* The group's place and size, from its number in the dispatch, or from *call (coroutines). */
void codegen_place_in_groups(struct codegen *g, struct codegen_place *p, LLVMValueRef linear);
void codegen_place_in_coroutine(struct codegen *g, struct codegen_place *p);

/* A loop in g->entry that counts to at least one; the builder then lies in its body. */
struct codegen_loop {
    LLVMBasicBlockRef body, after;
    LLVMValueRef i;
};
struct codegen_loop codegen_loop_begin(struct codegen *g, LLVMTypeRef type, const char *name);
void codegen_loop_end(struct codegen *g, struct codegen_loop *l, LLVMValueRef count);
/* By `step` instead of one; the steps must come to `count` exactly. */
void codegen_loop_end_by(
        struct codegen *g, struct codegen_loop *l, LLVMValueRef step, LLVMValueRef count);
/* In `function`: the builtin, buffer and threadgroup markers become the place's values; mutable
 * globals (threadgroup variables) become offsets into static threadgroup memory. */
int codegen_lower_markers(
        struct codegen *g, LLVMValueRef function, struct codegen_place *p, LLVMValueRef at);
int codegen_lower_statics(struct codegen *g);
/* open.c: takes small vectors and integers that stand for them apart. */
/* Asks LLVM to unroll loops that index private arrays, which then become registers. */
void codegen_unroll_private(struct codegen *g, LLVMValueRef function);
void codegen_open_vectors(struct codegen *g, LLVMValueRef function);
/* The whole kernel in scalars: vectors left in it block the vectoriser. */
int codegen_scalarize(struct codegen *g);
/* cpu/wide/product.c: gives each function the memory that its products of matrices use. */
void codegen_place_factors(struct codegen *g);
/* matrix.c: a marker of an 8x8 matrix; its constant flags, -1 when they are not; and all of
 * them turned into exchanges between lanes. */
bool codegen_is_matrix(LLVMValueRef in);
bool codegen_is_matrix_builtin(LLVMValueRef in);
int codegen_matrix_flags(LLVMValueRef in);
int codegen_expand_matrices(struct codegen *g, LLVMValueRef function);
/* Moves what follows `at` in its block into a new block, which is returned. */
LLVMBasicBlockRef codegen_split_after(struct codegen *g, LLVMValueRef at);

/* The steps. Each 0 or a negative errno with a message. */
/* `bitcode` is the module that function `function` of the library is in. */
int codegen_read(struct codegen *g, const struct abx_shader_library *library, const char *bitcode,
        size_t bytes, uint32_t function, const struct abx_shader_constant *constants,
        uint32_t constant_count);
/* Functions that could not be inlined stay, if they may. */
int codegen_keep_recursive(struct codegen *g);
/* Leaves, of what runs before main(), what makes values that the roots (different functions) use;
 * and runs it, when the function constants are set. */
int codegen_keep_initialisers(struct codegen *g, const LLVMValueRef *roots, uint32_t count);
int codegen_run_initialisers(struct codegen *g);
/* Merges what the kernel is linked with into the module. */
int codegen_link(struct codegen *g, const struct abx_shader_tools *tools, uint32_t target,
        const struct abx_shader_link *links, uint32_t count);
int codegen_load(struct codegen *g, const struct abx_shader_library *library,
        const struct abx_shader_constant *constants, uint32_t constant_count);
/* Of g->module: only the roots stay to be seen from outside; the rest may be inlined and dropped.
 */
void codegen_keep(struct codegen *g, const LLVMValueRef *roots, uint32_t count);
/* Gives the function constants their values; those that are needed must be among them. */
int codegen_set_constants(struct codegen *g, const struct abx_reflection *r,
        const struct abx_shader_constant *constants, uint32_t count);
/* Fast or relaxed math: lets every operation but the shim's own be rounded otherwise. */
void codegen_relax(struct codegen *g);
/* What a guest's module may not contain; the stack that its machine code would need. */
/* Puts __abx_yield() into the kernel's loops that wait for other threads; sets `yields`. */
int codegen_find_spins(struct codegen *g);
/* A function without a body that code may call: a marker, an intrinsic, what workers provide. */
bool codegen_callable(const char *name);
int codegen_check(struct codegen *g);
int codegen_check_stack(struct codegen *g);
/* Vectors of lanes; -ENOTSUP, and nothing changed that matters, when the kernel is not fit for it.
 */
int codegen_build_wide(struct codegen *g);
int codegen_build_scalar(struct codegen *g); /* loops, or a coroutine a thread */
/* Keeps what is stored past the ends of private arrays from everything else. Once, after loops have
 * been unrolled: whatever is in registers by then cannot be left. */
int codegen_bound_private(struct codegen *g, LLVMValueRef function);
/* Puts the kernel's blocks, and stops at the ends of loops, where they let each SIMD-group function
 * see the lanes that are at it in the same turn. */
int codegen_order_waits(struct codegen *g);
/* Once all is optimised: moves loads and conversions of vectors to where they are used. */
void codegen_sink(struct codegen *g);
/* True when the instruction may write to memory, or when others may look at its order. */
bool codegen_writes(LLVMValueRef in);
int codegen_finish(struct codegen *g, struct abx_shader_result *result);

/* A coroutine around entry(call, frame, thread, lane): begun at the builder's place, ended by
 * codegen_coroutine_end(), which also turns every `stop` call into a suspension. */
struct codegen_coroutine {
    LLVMValueRef function, id, handle;
    LLVMBasicBlockRef cleanup, suspend;
};
void codegen_coroutine_begin(struct codegen *g, LLVMValueRef function, LLVMValueRef memory,
        struct codegen_coroutine *ret);
void codegen_coroutine_stop(
        struct codegen *g, struct codegen_coroutine *c, bool final, LLVMBasicBlockRef resume);
void codegen_coroutine_end(struct codegen *g, struct codegen_coroutine *c);
int codegen_coroutine_split(struct codegen *g);

#endif
