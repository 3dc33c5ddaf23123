/* shader: what a kernel reads through arguments in the constant address space, nothing writes while
 * it runs. LLVM is told so, that it may load a dispatch's parameters once and not for each thread.
 * Compiler process. */
#include "shader/codegen/codegen.h"

_Static_assert(ABX_BUFFER_BYTES_MOST == ABX_REFERENCE_BYTES, "one number, in two languages");

#define DEEPEST 64 /* addresses of addresses; what lies deeper is loaded as any other memory */

static void mark_loads(struct codegen *g, LLVMValueRef pointer, int depth)
{
    for (LLVMUseRef u = LLVMGetFirstUse(pointer); u; u = LLVMGetNextUse(u)) {
        LLVMValueRef user = LLVMGetUser(u);
        if (LLVMIsALoadInst(user) && !LLVMGetVolatile(user) &&
                LLVMGetOrdering(user) == LLVMAtomicOrderingNotAtomic)
            codegen_mark_invariant_load(g, user);
        else if ((LLVMIsAGetElementPtrInst(user) || LLVMIsABitCastInst(user)) && depth < DEEPEST)
            mark_loads(g, user, depth + 1);
    }
}

void codegen_mark_invariant(struct codegen *g)
{
    for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(g->kernel); b; b = LLVMGetNextBasicBlock(b))
        for (LLVMValueRef in = LLVMGetFirstInstruction(b); in; in = LLVMGetNextInstruction(in)) {
            LLVMValueRef index = codegen_is_call(in, "__abx_buffer") ? LLVMGetOperand(in, 0) : NULL;
            if (!index || !LLVMIsAConstantInt(index))
                continue;
            uint64_t n = LLVMConstIntGetZExtValue(index);
            if (!(n & ABX_BUFFER_CONSTANT))
                continue;
            uint64_t bytes = n >> ABX_BUFFER_BYTES_SHIFT, slot = n & (ABX_BUFFER_CONSTANT - 1);
            if (slot < ABX_BUFFER_SLOTS && bytes <= ABX_BUFFER_BYTES_MOST &&
                    bytes > g->readable[slot])
                g->readable[slot] = (uint16_t)bytes;
            LLVMSetOperand(in, 0, codegen_i32(g, slot));
            mark_loads(g, in, 0);
        }
}
