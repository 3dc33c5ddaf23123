/* shader: kernels as vectors of lanes: what stands between products of matrices is moved out of the
 * way before translation, so that they stand in a row (product.c). Compiler process. */
#include "shader/cpu/wide/wide.h"

#include <string.h>

#define MAX_GATHERED 512u

static bool uses_any(LLVMValueRef in, LLVMValueRef *of, unsigned count)
{
    for (int i = 0; i < LLVMGetNumOperands(in); i++)
        for (unsigned k = 0; k < count; k++)
            if (LLVMGetOperand(in, (unsigned)i) == of[k])
                return true;
    return false;
}

/* Gives the same wherever it stands between products: pure, or reads memory that nothing between
 * them writes. */
static bool movable(LLVMValueRef in)
{
    if (LLVMIsALoadInst(in))
        return !LLVMGetVolatile(in) && LLVMGetOrdering(in) == LLVMAtomicOrderingNotAtomic;
    const char *name = codegen_callee(in);
    if (name && (!strncmp(name, "__abx_matrix_load_", 18) || !strcmp(name, "__abx_simd_barrier")))
        return true;
    return LLVMIsABinaryOperator(in) || LLVMIsACastInst(in) || LLVMIsAUnaryOperator(in) ||
           LLVMIsAGetElementPtrInst(in) || LLVMIsACmpInst(in) || LLVMIsASelectInst(in);
}

static void move_before(struct codegen *g, LLVMValueRef in, LLVMValueRef place)
{
    if (in == place)
        return;
    LLVMPositionBuilderBefore(g->builder, place);
    LLVMInstructionRemoveFromParent(in);
    LLVMInsertIntoBuilder(g->builder, in);
}

void wide_gather_products(struct codegen *g)
{
    for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(g->kernel); b; b = LLVMGetNextBasicBlock(b)) {
        LLVMValueRef product[MAX_GATHERED], needs[MAX_GATHERED], last = NULL, next;
        unsigned products = 0, count = 0; /* `needs`: what needs one of the products */
        for (LLVMValueRef in = LLVMGetFirstInstruction(b); in; in = next) {
            next = LLVMGetNextInstruction(in);
            bool is_product = wide_is_product(in);
            if (products == MAX_GATHERED || count == MAX_GATHERED ||
                    (!is_product && !movable(in)) || (is_product && uses_any(in, needs, count)))
                products = count = 0;
            if (is_product) {
                if (products && LLVMGetNextInstruction(last) != in)
                    move_before(g, in, LLVMGetNextInstruction(last));
                last = product[products++] = in;
            } else if (products && movable(in)) {
                if (uses_any(in, product, products) || uses_any(in, needs, count))
                    needs[count++] = in;
                else
                    move_before(g, in, product[0]);
            }
        }
    }
}
