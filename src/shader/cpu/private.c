/* shader: private arrays (a thread's own, LLVM's allocas) that are indexed out of range. Compiler
 * process; the indices are the guest's.
 *
 * On Apple's GPUs such an access stays in the thread, and programs rely on it without knowing: a
 * thread past the end of a row computes a negative count and fills its array "from n to the end",
 * and nobody looks at the result. Here the array of a thread lies among those of others and between
 * return addresses. So every array gets room for one element more, and an access that is not wholly
 * in the array goes there: it harms nothing, and what it reads is some number. */
#include "shader/codegen/codegen.h"

#include <stdlib.h>
#include <string.h>

#define MAX_ACCESSES 4096u /* an array with more is left as it is: compile time */
#define MAX_DEPTH 32u

struct access {
    LLVMValueRef in; /* load, store, or a memory intrinsic */
    unsigned operand;
    uint64_t bytes;
};

struct array {
    struct codegen *g;
    LLVMValueRef alloca, spare; /* spare: the array with room for one more */
    uint64_t bytes, unit, most; /* most: the largest access */
    bool variable;              /* some place is not a constant inside the array */
    struct access access[MAX_ACCESSES];
    unsigned count;
};

static uint64_t common(uint64_t a, uint64_t b)
{
    while (b) {
        uint64_t rest = a % b;
        a = b, b = rest;
    }
    return a;
}

/* ---- what is done with an array */

static bool add(struct array *a, LLVMValueRef in, unsigned operand, uint64_t bytes)
{
    if (a->count == MAX_ACCESSES || bytes == 0 || bytes > a->bytes)
        return false;
    a->unit = common(a->unit, bytes);
    a->most = bytes > a->most ? bytes : a->most;
    a->access[a->count++] = (struct access){in, operand, bytes};
    return true;
}

static bool add_intrinsic(struct array *a, LLVMValueRef call, LLVMValueRef pointer)
{
    bool set = LLVMIsAMemSetInst(call), copy = LLVMIsAMemCpyInst(call) || LLVMIsAMemMoveInst(call);
    if ((!set && !copy) || !LLVMIsAConstantInt(LLVMGetOperand(call, 2)))
        return false;
    uint64_t bytes = LLVMConstIntGetZExtValue(LLVMGetOperand(call, 2));
    for (unsigned i = 0; i < (set ? 1u : 2u); i++)
        if (LLVMGetOperand(call, i) == pointer && !add(a, call, i, bytes))
            return false;
    return true;
}

/* Lowers the unit to what divides every step of the address; false for one with parts that are not
 * understood. */
static bool add_steps(struct array *a, LLVMValueRef gep)
{
    LLVMTypeRef type = LLVMGetGEPSourceElementType(gep);
    for (int i = 1; i < LLVMGetNumOperands(gep); i++) {
        LLVMValueRef index = LLVMGetOperand(gep, (unsigned)i);
        uint64_t step;
        if (LLVMGetTypeKind(LLVMTypeOf(index)) != LLVMIntegerTypeKind)
            return false;
        if (i > 1 && LLVMGetTypeKind(type) == LLVMStructTypeKind) {
            unsigned field = (unsigned)LLVMConstIntGetZExtValue(index);
            step = LLVMOffsetOfElement(a->g->layout, type, field);
            type = LLVMStructGetTypeAtIndex(type, field);
        } else {
            if (i > 1 && LLVMGetTypeKind(type) != LLVMArrayTypeKind)
                return false;
            type = i > 1 ? LLVMGetElementType(type) : type;
            step = LLVMABISizeOfType(a->g->layout, type);
            if (LLVMIsAConstantInt(index))
                step *= LLVMConstIntGetZExtValue(index);
            else
                a->variable = true;
        }
        a->unit = common(a->unit, step); /* step 0 leaves it as it is */
    }
    return true;
}

static bool find_accesses(struct array *a, LLVMValueRef pointer, unsigned depth)
{
    if (depth == MAX_DEPTH)
        return false;
    for (LLVMUseRef u = LLVMGetFirstUse(pointer); u; u = LLVMGetNextUse(u)) {
        LLVMValueRef user = LLVMGetUser(u);
        const char *callee = codegen_callee(user);
        bool ok;
        if (LLVMIsALoadInst(user))
            ok = add(a, user, 0, LLVMABISizeOfType(a->g->layout, LLVMTypeOf(user)));
        else if (LLVMIsAStoreInst(user))
            ok = LLVMGetOperand(user, 0) != pointer &&
                 add(a, user, 1,
                         LLVMABISizeOfType(a->g->layout, LLVMTypeOf(LLVMGetOperand(user, 0))));
        else if (LLVMIsAGetElementPtrInst(user))
            ok = LLVMGetOperand(user, 0) == pointer && add_steps(a, user) &&
                 find_accesses(a, user, depth + 1);
        else if (callee && !strncmp(callee, "llvm.lifetime.", 14))
            ok = true;
        else
            ok = callee && add_intrinsic(a, user, pointer);
        if (!ok)
            return false;
    }
    return true;
}

/* ---- what becomes of them */

/* The pointer's distance from the array's start, in units (i64). */
static LLVMValueRef place_of(struct array *a, LLVMValueRef pointer)
{
    struct codegen *g = a->g;
    LLVMBuilderRef b = g->builder;
    LLVMValueRef sum = codegen_i64(g, 0);
    for (; pointer != a->alloca; pointer = LLVMGetOperand(pointer, 0)) {
        LLVMTypeRef type = LLVMGetGEPSourceElementType(pointer);
        for (int i = 1; i < LLVMGetNumOperands(pointer); i++) {
            LLVMValueRef index = LLVMGetOperand(pointer, (unsigned)i), step;
            if (i > 1 && LLVMGetTypeKind(type) == LLVMStructTypeKind) {
                unsigned field = (unsigned)LLVMConstIntGetZExtValue(index);
                step = codegen_i64(g, LLVMOffsetOfElement(g->layout, type, field) / a->unit);
                type = LLVMStructGetTypeAtIndex(type, field);
            } else {
                type = i > 1 ? LLVMGetElementType(type) : type;
                uint64_t bytes = LLVMABISizeOfType(g->layout, type);
                index = LLVMBuildSExtOrBitCast(b, index, g->i64, "");
                /* A step that is no whole number of units is a constant's: together they are. */
                step = bytes % a->unit == 0
                               ? LLVMBuildMul(b, index, codegen_i64(g, bytes / a->unit), "")
                               : codegen_i64(g, (uint64_t)(LLVMConstIntGetSExtValue(index) *
                                                           (int64_t)bytes / (int64_t)a->unit));
            }
            sum = LLVMBuildAdd(b, sum, step, "");
        }
    }
    return sum;
}

static void bound(struct array *a, const struct access *access)
{
    struct codegen *g = a->g;
    LLVMBuilderRef b = g->builder;
    LLVMPositionBuilderBefore(b, access->in);
    LLVMValueRef place = place_of(a, LLVMGetOperand(access->in, access->operand));
    LLVMValueRef last = codegen_i64(g, (a->bytes - access->bytes) / a->unit);
    LLVMValueRef inside = LLVMBuildICmp(b, LLVMIntULE, place, last, "");
    place = LLVMBuildSelect(b, inside, place, codegen_i64(g, a->bytes / a->unit), "bounded");
    LLVMTypeRef unit = LLVMIntTypeInContext(g->context, (unsigned)a->unit * 8);
    LLVMSetOperand(access->in, access->operand, LLVMBuildGEP2(b, unit, a->spare, &place, 1, ""));
}

static void bound_array(struct codegen *g, LLVMValueRef alloca, struct array *a)
{
    LLVMValueRef n = LLVMGetOperand(alloca, 0);
    a->g = g;
    a->alloca = alloca;
    a->count = 0;
    a->variable = false;
    a->most = 0;
    if (!LLVMIsAConstantInt(n))
        return;
    a->bytes = a->unit = LLVMABISizeOfType(g->layout, LLVMGetAllocatedType(alloca)) *
                         LLVMConstIntGetZExtValue(n);
    if (a->bytes == 0 || a->bytes > UINT32_MAX || !find_accesses(a, alloca, 0) || !a->variable)
        return;
    a->unit &= -a->unit;
    a->unit = a->unit > 8 ? 8 : a->unit;
    LLVMTypeRef unit = LLVMIntTypeInContext(g->context, (unsigned)a->unit * 8);
    LLVMPositionBuilderBefore(g->builder, alloca);
    a->spare = LLVMBuildAlloca(
            g->builder, LLVMArrayType2(unit, (a->bytes + a->most) / a->unit), "private");
    LLVMSetAlignment(a->spare, LLVMGetAlignment(alloca));
    for (unsigned i = 0; i < a->count; i++)
        bound(a, &a->access[i]);
}

static void erase_unused(LLVMValueRef v)
{
    for (LLVMUseRef u; (u = LLVMGetFirstUse(v));) {
        LLVMValueRef user = LLVMGetUser(u);
        if (LLVMIsAGetElementPtrInst(user))
            erase_unused(user);
        else
            LLVMInstructionEraseFromParent(user); /* where its lifetime begins or ends */
    }
    LLVMInstructionEraseFromParent(v);
}

int codegen_bound_private(struct codegen *g, LLVMValueRef function)
{
    if (g->bounded)
        return 0;
    g->bounded = true;
    struct array *a = calloc(1, sizeof *a);
    if (!a)
        return -ENOMEM;
    bool any = false;
    LLVMValueRef in = LLVMGetFirstInstruction(LLVMGetEntryBasicBlock(function));
    for (LLVMValueRef next; in; in = next) {
        next = LLVMGetNextInstruction(in);
        if (!LLVMIsAAllocaInst(in))
            continue;
        a->spare = NULL;
        bound_array(g, in, a);
        any |= a->spare != NULL;
        if (a->spare)
            erase_unused(in);
    }
    free(a);
    /* Nothing that rewrites a loop's counters: from their form it is seen that lanes lie side by
     * side. */
    return any ? codegen_run_passes(g, "function(instcombine<no-verify-fixpoint>,early-cse,dce)")
               : 0;
}
