/* shader, private: kernels as machine code for processors (abi/kernel.h). Compiler process; the
 * module is made from guest source. */
#ifndef ABX_SHADER_CPU_CPU_H
#define ABX_SHADER_CPU_CPU_H

#include "shader/codegen/codegen.h"

/* The loaded kernel as an object blob. */
int cpu_generate(struct codegen *g, struct abx_shader_result *result);

/* ---- the forms */
/* form.c: whether the kernel has loops of its own; whether vectors of lanes are for it, though its
 * threads never meet, once it is prepared. */
bool cpu_has_loops(struct codegen *g);
bool cpu_prefers_lanes(struct codegen *g);
/* wide/: vectors of lanes, of a kernel that was prepared; -ENOTSUP, and nothing changed that
 * matters, when the kernel is not fit for it. */
int cpu_prepare_wide(struct codegen *g);
int cpu_build_wide(struct codegen *g);
/* scalar.c: loops, or a coroutine a thread. */
int cpu_build_scalar(struct codegen *g);
/* The whole kernel in scalars: vectors left in it block the vectoriser. */
int cpu_scalarize(struct codegen *g);

/* ---- place.c */
/* Loads what is the same for a whole dispatch (grid, group size, counts). */
void cpu_place_dispatch(struct codegen *g, struct codegen_place *p, LLVMValueRef call);
/* The group's place and size, from its number in the dispatch, or from *call (coroutines). */
void cpu_place_in_groups(struct codegen *g, struct codegen_place *p, LLVMValueRef linear);
void cpu_place_in_coroutine(struct codegen *g, struct codegen_place *p);

/* A loop in g->entry that counts to at least one; the builder then lies in its body. */
struct cpu_loop {
    LLVMBasicBlockRef body, after;
    LLVMValueRef i;
    LLVMValueRef branch; /* back to its body, once it is ended */
};
struct cpu_loop cpu_loop_begin(struct codegen *g, LLVMTypeRef type, const char *name);
void cpu_loop_end(struct codegen *g, struct cpu_loop *l, LLVMValueRef count);
/* By `step` instead of one; the steps must come to `count` exactly. */
void cpu_loop_end_by(struct codegen *g, struct cpu_loop *l, LLVMValueRef step, LLVMValueRef count);

/* ---- coroutine.c: a coroutine around entry(call, frame, thread, lane): begun at the builder's
 * place, ended by cpu_coroutine_end(), which also turns every `stop` call into a suspension. */
struct cpu_coroutine {
    LLVMValueRef function, id, handle;
    LLVMBasicBlockRef cleanup, suspend;
};
void cpu_coroutine_begin(
        struct codegen *g, LLVMValueRef function, LLVMValueRef memory, struct cpu_coroutine *ret);
void cpu_coroutine_stop(
        struct codegen *g, struct cpu_coroutine *c, bool final, LLVMBasicBlockRef resume);
void cpu_coroutine_end(struct codegen *g, struct cpu_coroutine *c);
int cpu_coroutine_split(struct codegen *g);

/* ---- what is done to a kernel on the way */
/* spin.c: puts __abx_yield() into the loops that wait for other threads; sets `yields`. */
int cpu_find_spins(struct codegen *g);
/* parallel.c: tells LLVM that turns of the loop over threads that `branch` closes, in g->entry with
 * the kernel in it, depend on each other by private memory alone. */
int cpu_mark_parallel(struct codegen *g, LLVMValueRef branch);
/* order.c: puts the kernel's blocks, and stops at the ends of loops, where they let each SIMD-group
 * function see the lanes that are at it in the same turn. */
int cpu_order_waits(struct codegen *g);
/* wide/product.c: gives each function the memory that its products of matrices use. */
void wide_place_factors(struct codegen *g);
/* Spreads a block's prefetches over what follows the first of them, at most so many instructions
 * apart: a processor has room for some 16 to 24 misses, and loads that come when it is full wait as
 * long as memory does. */
void cpu_spread_prefetches(struct codegen *g, LLVMBasicBlockRef block, uint32_t most_apart);
/* sink.c, once all is optimised: moves loads and conversions of vectors to where they are used. */
void cpu_sink(struct codegen *g);
/* Halves and bfloats that are only moved about, as integers; the last change of the code before
 * instructions are chosen. */
void cpu_move_halves_as_bits(struct codegen *g);
/* A half or bfloat, or a vector of them, as integers of 16 bits, where the builder stands. */
LLVMTypeRef cpu_bits_type(struct codegen *g, LLVMTypeRef type);
LLVMValueRef cpu_bits(struct codegen *g, LLVMValueRef v);
/* What a load loads, loaded as such; NULL: the load has to stay. */
LLVMValueRef cpu_load_bits(struct codegen *g, LLVMValueRef in);
/* A bfloat, or a vector of them, as floats, of which they are the upper halves. */
LLVMValueRef cpu_extend_bfloat(struct codegen *g, LLVMValueRef v);
/* convert.c, once all is optimised: conversions to integers that LLVM would take apart. */
void cpu_convert(struct codegen *g);
/* bfloat.c, at the same time: what gives bfloats computes in float. */
void cpu_compute_bfloats(struct codegen *g);
/* True when the instruction may write to memory, or when others may look at its order. */
bool cpu_writes(LLVMValueRef in);

#endif
