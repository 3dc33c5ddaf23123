/* shader, private: what LLVM knows of a function's control flow, and does with it, in C++ only.
 * Compiler process; the function is made from guest source. */
#ifndef ABX_SHADER_CODEGEN_GRAPH_H
#define ABX_SHADER_CODEGEN_GRAPH_H

#include <llvm-c/Core.h>
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Of the function as it is now: any change of its blocks or branches makes it wrong. */
struct codegen_graph;
struct codegen_graph *codegen_graph_create(LLVMValueRef function);
void codegen_graph_destroy(struct codegen_graph *g);

/* From every block the function's end can be reached. */
bool codegen_graph_ends(const struct codegen_graph *g);
/* The nearest other block that every way from the entry to `b` goes through; NULL: `b` is the entry
 * or cannot be reached. */
LLVMBasicBlockRef codegen_graph_dominator(const struct codegen_graph *g, LLVMBasicBlockRef b);
/* The nearest other block that every way from `b` to an end goes through; NULL: there is none. */
LLVMBasicBlockRef codegen_graph_post_dominator(const struct codegen_graph *g, LLVMBasicBlockRef b);

/* A loop is named by its header, the one block that it is entered by. Control flow that enters a
 * loop in several places is none. */
/* The innermost loop with `b` in it; NULL: none. */
LLVMBasicBlockRef codegen_graph_loop(const struct codegen_graph *g, LLVMBasicBlockRef b);
/* The loop that is directly around the loop of this header; NULL: none. */
LLVMBasicBlockRef codegen_graph_outer(const struct codegen_graph *g, LLVMBasicBlockRef header);
/* The one block of the loop that branches back to the header; NULL: there are several. */
LLVMBasicBlockRef codegen_graph_latch(const struct codegen_graph *g, LLVMBasicBlockRef header);
/* False when `header` is no loop's. */
bool codegen_graph_in_loop(
        const struct codegen_graph *g, LLVMBasicBlockRef header, LLVMBasicBlockRef b);

/* How often loops turn, as long as neither the function nor `g` changes. */
struct codegen_turns;
struct codegen_turns *codegen_turns_create(struct codegen_graph *g);
void codegen_turns_destroy(struct codegen_turns *t);
/* The turns of the loop with this header, or the most that it takes; 0: no constant. */
unsigned codegen_turns_of(
        struct codegen_turns *t, const struct codegen_graph *g, LLVMBasicBlockRef header);

/* Moves what follows `after` in its block into a new block, which is returned; the old one is left
 * without a branch. */
LLVMBasicBlockRef codegen_graph_split(LLVMValueRef after);

/* A metadata node that is equal to no other. */
LLVMMetadataRef codegen_graph_distinct(LLVMContextRef context);

#ifdef __cplusplus
}
#endif

#endif
