/* shader: loops that index private arrays are unrolled, so that the arrays become registers.
 * Compiler process. */
#include "shader/codegen/graph.h"
#include "shader/cpu/cpu.h"

#include <llvm-c/DebugInfo.h>

/* What unrolling may make of one loop, in instructions. */
#define UNROLLED 4000u

/* Elements of the private array that `pointer` leads into at a place known only at run time. */
static uint64_t indexed_length(struct codegen *g, LLVMValueRef pointer)
{
    bool varies = false;
    for (; LLVMIsAGetElementPtrInst(pointer); pointer = LLVMGetOperand(pointer, 0))
        for (int i = 1; i < LLVMGetNumOperands(pointer); i++)
            varies |= !LLVMIsAConstant(LLVMGetOperand(pointer, (unsigned)i));
    if (!varies || !LLVMIsAAllocaInst(pointer))
        return 0;
    return LLVMABISizeOfType(g->layout, LLVMGetAllocatedType(pointer)) / 4;
}

static void ask_to_unroll(struct codegen *g, LLVMValueRef branch)
{
    unsigned kind = LLVMGetMDKindIDInContext(g->context, "llvm.loop", 9);
    if (LLVMGetMetadata(branch, kind))
        return; /* the program has its own wish */
    LLVMMetadataRef full = LLVMMDStringInContext2(g->context, "llvm.loop.unroll.full", 21);
    LLVMMetadataRef self = LLVMTemporaryMDNode(g->context, NULL, 0);
    LLVMMetadataRef wish[2] = {self, LLVMMDNodeInContext2(g->context, &full, 1)};
    LLVMMetadataRef id = LLVMMDNodeInContext2(g->context, wish, 2);
    LLVMMetadataReplaceAllUsesWith(self, id);
    LLVMSetMetadata(branch, kind, LLVMMetadataAsValue(g->context, id));
}

/* The longest array that is indexed in the loop, 0 if unrolling for it is too much. */
static uint64_t longest_indexed(
        struct codegen *g, const struct codegen_graph *graph, LLVMBasicBlockRef header)
{
    uint64_t size = 0, length = 0;
    LLVMValueRef function = LLVMGetBasicBlockParent(header);
    for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(function); b; b = LLVMGetNextBasicBlock(b)) {
        if (!codegen_graph_in_loop(graph, header, b))
            continue;
        for (LLVMValueRef in = LLVMGetFirstInstruction(b); in; in = LLVMGetNextInstruction(in)) {
            uint64_t n = 0;
            size++;
            if (LLVMIsALoadInst(in) || LLVMIsAStoreInst(in))
                n = indexed_length(g, LLVMGetOperand(in, LLVMIsAStoreInst(in) ? 1 : 0));
            length = n > length ? n : length;
        }
    }
    return size * length <= UNROLLED ? length : 0;
}

void cpu_unroll_private(struct codegen *g, LLVMValueRef function)
{
    struct codegen_graph *graph = codegen_graph_create(function);
    for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(function); b; b = LLVMGetNextBasicBlock(b)) {
        LLVMBasicBlockRef latch = codegen_graph_latch(graph, b);
        if (latch && longest_indexed(g, graph, b))
            ask_to_unroll(g, LLVMGetBasicBlockTerminator(latch));
    }
    codegen_graph_destroy(graph);
}
