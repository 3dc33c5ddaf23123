/* shader: threads that never meet do not wait for each other's memory. Two of them that use one
 * place of a buffer, one of them writing, race, and Metal promises neither order; so the loop over
 * them has no dependence from one turn to the next there, and LLVM's vectoriser, told so, needs no
 * proof that buffers lie apart. Private memory is another matter: all turns of the loop share one
 * variable. Compiler process. */
#include "shader/codegen/graph.h"
#include "shader/cpu/cpu.h"

#include <llvm-c/DebugInfo.h>

/* Whether `pointer` leads into memory of several threads: it is what the dispatch brings (a
 * buffer's address, or threadgroup memory's), or was loaded from there. */
static bool is_shared(struct codegen *g, LLVMValueRef pointer)
{
    unsigned brought = LLVMGetMDKindIDInContext(g->context, "invariant.load", 14);
    for (int depth = 0; depth < 64; depth++) {
        bool loaded = LLVMIsALoadInst(pointer);
        if (loaded && LLVMGetMetadata(pointer, brought))
            return true;
        if (!loaded && !LLVMIsAGetElementPtrInst(pointer) && !LLVMIsABitCastInst(pointer))
            return false;
        pointer = LLVMGetOperand(pointer, 0);
    }
    return false;
}

static bool is_parallel(struct codegen *g, LLVMValueRef in)
{
    bool store = LLVMIsAStoreInst(in);
    return (store || LLVMIsALoadInst(in)) && !LLVMGetVolatile(in) &&
           LLVMGetOrdering(in) == LLVMAtomicOrderingNotAtomic &&
           is_shared(g, LLVMGetOperand(in, store ? 1 : 0));
}

void cpu_mark_parallel(struct codegen *g, LLVMValueRef branch)
{
    unsigned access = LLVMGetMDKindIDInContext(g->context, "llvm.access.group", 17);
    unsigned loop = LLVMGetMDKindIDInContext(g->context, "llvm.loop", 9);
    LLVMMetadataRef group = codegen_graph_distinct(g->context);
    for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(g->entry); b; b = LLVMGetNextBasicBlock(b))
        for (LLVMValueRef in = LLVMGetFirstInstruction(b); in; in = LLVMGetNextInstruction(in))
            if (is_parallel(g, in))
                LLVMSetMetadata(in, access, LLVMMetadataAsValue(g->context, group));
    LLVMMetadataRef self = LLVMTemporaryMDNode(g->context, NULL, 0);
    LLVMMetadataRef accesses[2] = {
            LLVMMDStringInContext2(g->context, "llvm.loop.parallel_accesses", 27), group};
    LLVMMetadataRef parts[2] = {self, LLVMMDNodeInContext2(g->context, accesses, 2)};
    LLVMMetadataRef id = LLVMMDNodeInContext2(g->context, parts, 2);
    LLVMMetadataReplaceAllUsesWith(self, id);
    LLVMSetMetadata(branch, loop, LLVMMetadataAsValue(g->context, id));
}
