/* shader: what the next turn of a loop with a barrier will load. Tiles of a matrix product are read
 * so: a piece of each of many rows, and the pieces beside them in the next turn. Processors foresee
 * a few streams, not one for each row, and forget them over the work between two barriers; by the
 * time that is done, what was asked for has come. See stride.h. Compiler process. */
#include "shader/cpu/wide/stride.h"

#define MAX_LOOKED 64u /* instructions from an address to the loop's counter */

struct walk {
    const struct wide_loop *loop;
    unsigned left;
};

static bool step_of(struct wide *w, struct walk *k, LLVMValueRef v, int64_t *step);

/* How far a loop's value is from the phi that it becomes: by constants only. */
static bool from_phi(struct wide *w, LLVMValueRef v, LLVMValueRef phi, int64_t *step)
{
    *step = 0;
    for (unsigned i = 0; i < MAX_LOOKED; i++) {
        if (v == phi)
            return true;
        bool address = LLVMIsAGetElementPtrInst(v) && LLVMGetNumOperands(v) == 2;
        bool sum = LLVMIsABinaryOperator(v) && LLVMGetInstructionOpcode(v) == LLVMAdd;
        if ((!address && !sum) || !LLVMIsAConstantInt(LLVMGetOperand(v, 1)))
            return false;
        int64_t by = LLVMConstIntGetSExtValue(LLVMGetOperand(v, 1));
        *step += address ? by * (int64_t)LLVMABISizeOfType(
                                        w->g->layout, LLVMGetGEPSourceElementType(v))
                         : by;
        v = LLVMGetOperand(v, 0);
    }
    return false;
}

/* A counter of a loop within begins anew in each turn. */
static bool of_inner_phi(
        struct wide *w, struct walk *k, LLVMValueRef phi, uint32_t block, int64_t *step)
{
    int inner = w->loop_of[block];
    if (inner < 0 || w->loops[inner].header != block)
        return false;
    for (unsigned i = 0; i < LLVMCountIncoming(phi); i++)
        if (!w->loops[inner].in[wide_block(w, LLVMGetIncomingBlock(phi, i))])
            return step_of(w, k, LLVMGetIncomingValue(phi, i), step);
    return false;
}

static bool of_phi(struct wide *w, struct walk *k, LLVMValueRef phi, int64_t *step)
{
    uint32_t block = wide_block(w, LLVMGetInstructionParent(phi));
    if (block != k->loop->header)
        return of_inner_phi(w, k, phi, block, step);
    for (unsigned i = 0; i < LLVMCountIncoming(phi); i++)
        if (wide_block(w, LLVMGetIncomingBlock(phi, i)) == k->loop->latch)
            return from_phi(w, LLVMGetIncomingValue(phi, i), phi, step);
    return false;
}

static bool of_address(struct wide *w, struct walk *k, LLVMValueRef v, int64_t *step)
{
    LLVMTypeRef type = LLVMGetGEPSourceElementType(v);
    int64_t index;
    uint64_t bytes;
    if (!step_of(w, k, LLVMGetOperand(v, 0), step))
        return false;
    for (int i = 1; i < LLVMGetNumOperands(v); i++) {
        if (!step_of(w, k, LLVMGetOperand(v, (unsigned)i), &index))
            return false;
        if (!codegen_gep_field(w->g, v, (unsigned)i, &type, &bytes))
            *step += index * (int64_t)bytes;
    }
    return true;
}

static bool of_operation(struct wide *w, struct walk *k, LLVMValueRef v, int64_t *step)
{
    int64_t a, b;
    LLVMValueRef x = LLVMGetOperand(v, 0);
    LLVMValueRef y = LLVMGetNumOperands(v) > 1 ? LLVMGetOperand(v, 1) : x;
    LLVMOpcode op = LLVMGetInstructionOpcode(v);
    if (!step_of(w, k, x, &a) || !step_of(w, k, y, &b))
        return false;
    *step = 0;
    if (!a && !b)
        return LLVMGetNumOperands(v) <= 2;
    bool constant = LLVMIsAConstantInt(y) && LLVMConstIntGetZExtValue(y) < INT32_MAX;
    switch (op) {
    case LLVMZExt:
    case LLVMSExt:
    case LLVMTrunc:
    case LLVMFreeze:
        *step = a;
        return true;
    case LLVMAdd:
    case LLVMOr: /* of numbers without a bit in common */
        *step = a + b;
        return true;
    case LLVMSub:
        *step = a - b;
        return true;
    case LLVMMul:
        *step = constant ? a * (int64_t)LLVMConstIntGetZExtValue(y) : 0;
        return constant;
    case LLVMShl:
        constant = constant && LLVMConstIntGetZExtValue(y) < 32;
        *step = constant ? a * (1ll << LLVMConstIntGetZExtValue(y)) : 0;
        return constant;
    default:
        return false;
    }
}

/* How far a number or address moves from turn to turn, when that is a constant. It is a hint: what
 * overflows is asked for in vain. */
static bool step_of(struct wide *w, struct walk *k, LLVMValueRef v, int64_t *step)
{
    *step = 0;
    if (!LLVMIsAInstruction(v) || !k->loop->in[wide_block(w, LLVMGetInstructionParent(v))])
        return true;
    if (!k->left)
        return false;
    k->left--;
    if (codegen_is_call(v, "__abx_builtin") || codegen_is_call(v, "__abx_buffer"))
        return true;
    if (LLVMIsAPHINode(v))
        return of_phi(w, k, v, step);
    if (LLVMIsAGetElementPtrInst(v))
        return of_address(w, k, v, step);
    return (LLVMIsABinaryOperator(v) || LLVMIsACastInst(v) || LLVMIsAFreezeInst(v)) &&
           of_operation(w, k, v, step);
}

static bool has_barrier(struct wide *w, struct wide_loop *loop)
{
    for (uint32_t i = 0; !loop->looked && i < w->count; i++) {
        if (!loop->in[i])
            continue;
        for (LLVMValueRef in = LLVMGetFirstInstruction(w->block[i]); in;
                in = LLVMGetNextInstruction(in))
            loop->meets = loop->meets || codegen_is_call(in, "__abx_barrier");
    }
    loop->looked = true;
    return loop->meets;
}

int64_t wide_turn(struct wide *w, LLVMValueRef load)
{
    int loop = w->loop_of[wide_block(w, LLVMGetInstructionParent(load))];
    int64_t step;
    while (loop >= 0 && !has_barrier(w, &w->loops[loop]))
        loop = w->loops[loop].parent;
    if (loop < 0)
        return 0;
    struct walk k = {&w->loops[loop], MAX_LOOKED};
    return step_of(w, &k, LLVMGetOperand(load, 0), &step) ? step : 0;
}
