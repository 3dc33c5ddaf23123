/* shader: private arrays (a thread's own, LLVM's allocas) that are indexed out of range. Compiler
 * process; the indices are the guest's.
 *
 * On Apple's GPUs such an access stays in the thread, and programs rely on it without knowing: a
 * thread past the end of a row computes a negative count and fills its array "from n to the end",
 * and nobody looks at the result. Here the array of a thread lies among those of others and between
 * return addresses, or, on NVIDIA's processors, at the end of what a thread may touch. So every
 * array gets room for one element more, and an access that is not wholly in the array goes there:
 * it harms nothing, and what it reads is some number. */
#include "shader/codegen/codegen.h"

#include <stdlib.h>
#include <string.h>

#define MAX_ACCESSES 4096u /* an array with more is left as it is: compile time */
#define MAX_DEPTH 32u
#define MAX_FLOWS 64u /* phis and selects of an array's addresses; with more it is left, too */

struct access {
    /* Load, store, a memory intrinsic, or a phi or select of this array's address and others, whose
     * loads and stores take so many bytes. */
    LLVMValueRef in;
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
    /* Phis and selects of nothing but addresses in this array; and, once asked for, their places.
     */
    struct {
        LLVMValueRef pointer, place;
    } flow[MAX_FLOWS];
    unsigned flow_count;
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

/* A function that stayed one is given the address of what it uses (codegen/calls.c). */
static bool add_call(struct array *a, LLVMValueRef call, LLVMValueRef pointer)
{
    if (!codegen_is_kept(call))
        return false;
    for (unsigned i = 0; i < LLVMGetNumArgOperands(call); i++)
        if (LLVMGetOperand(call, i) == pointer && !add(a, call, i, codegen_reach(call, i)))
            return false;
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

/* ---- phis and selects of addresses: `c ? p[i] : in[j]` is one load, for LLVM; and so is *q++ */

static bool is_flow(LLVMValueRef v)
{
    return LLVMIsAPHINode(v) || LLVMIsASelectInst(v);
}

static unsigned first_operand(LLVMValueRef flow)
{
    return LLVMIsASelectInst(flow) ? 1 : 0; /* after the condition */
}

static int find_flow(const struct array *a, LLVMValueRef v)
{
    for (unsigned i = 0; i < a->flow_count; i++)
        if (a->flow[i].pointer == v)
            return (int)i;
    return -1;
}

/* True when the address can only be in this array. Phis and selects on the way are added to the
 * flows, which are the caller's to take back when it is false. */
static bool stays_inside(struct array *a, LLVMValueRef v, unsigned depth)
{
    if (v == a->alloca || LLVMIsUndef(v) || LLVMIsPoison(v))
        return true;
    if (depth == MAX_DEPTH)
        return false;
    if (LLVMIsAGetElementPtrInst(v))
        return stays_inside(a, LLVMGetOperand(v, 0), depth + 1);
    if (!is_flow(v))
        return false;
    if (find_flow(a, v) >= 0)
        return true;
    if (a->flow_count == MAX_FLOWS)
        return false;
    a->flow[a->flow_count++].pointer = v;
    for (int i = (int)first_operand(v); i < LLVMGetNumOperands(v); i++)
        if (!stays_inside(a, LLVMGetOperand(v, (unsigned)i), depth + 1))
            return false;
    return true;
}

/* The most bytes that are loaded or stored at the address; 0: that is not all that is done. */
static uint64_t bytes_through(struct array *a, LLVMValueRef pointer, unsigned depth)
{
    uint64_t most = 0;
    for (LLVMUseRef u = LLVMGetFirstUse(pointer); u; u = LLVMGetNextUse(u)) {
        LLVMValueRef user = LLVMGetUser(u);
        uint64_t bytes = 0;
        if (LLVMIsALoadInst(user))
            bytes = LLVMABISizeOfType(a->g->layout, LLVMTypeOf(user));
        else if (LLVMIsAStoreInst(user) && LLVMGetOperand(user, 0) != pointer)
            bytes = LLVMABISizeOfType(a->g->layout, LLVMTypeOf(LLVMGetOperand(user, 0)));
        else if (is_flow(user) && depth < 8)
            bytes = bytes_through(a, user, depth + 1);
        if (!bytes)
            return 0;
        most = bytes > most ? bytes : most;
    }
    return most;
}

static bool find_accesses(struct array *a, LLVMValueRef pointer, unsigned depth);

static bool add_flow(struct array *a, LLVMValueRef flow, LLVMValueRef pointer, unsigned depth)
{
    unsigned before = a->flow_count;
    if (find_flow(a, flow) >= 0)
        return true;
    if (stays_inside(a, flow, 0)) {
        a->variable = true;
        for (unsigned i = before, end = a->flow_count; i < end; i++)
            if (!find_accesses(a, a->flow[i].pointer, depth + 1))
                return false;
        return true;
    }
    a->flow_count = before;
    uint64_t bytes = bytes_through(a, flow, 0);
    for (int i = (int)first_operand(flow); i < LLVMGetNumOperands(flow); i++)
        if (LLVMGetOperand(flow, (unsigned)i) == pointer && !add(a, flow, (unsigned)i, bytes))
            return false;
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
        else if (is_flow(user))
            ok = add_flow(a, user, pointer, depth);
        else if (callee && !strncmp(callee, "llvm.lifetime.", 14))
            ok = true;
        else
            ok = callee && (add_intrinsic(a, user, pointer) || add_call(a, user, pointer));
        if (!ok)
            return false;
    }
    return true;
}

/* ---- what becomes of them */

static LLVMValueRef place_of(struct array *a, LLVMValueRef pointer, LLVMValueRef at);

/* The same of a phi or select: one beside it. */
static LLVMValueRef place_of_flow(struct array *a, LLVMValueRef flow)
{
    LLVMBuilderRef b = a->g->builder;
    int i = find_flow(a, flow);
    if (a->flow[i].place)
        return a->flow[i].place;
    if (LLVMIsASelectInst(flow)) {
        LLVMValueRef yes = place_of(a, LLVMGetOperand(flow, 1), flow);
        LLVMValueRef no = place_of(a, LLVMGetOperand(flow, 2), flow);
        LLVMPositionBuilderBefore(b, flow);
        return a->flow[i].place = LLVMBuildSelect(b, LLVMGetOperand(flow, 0), yes, no, "place");
    }
    LLVMPositionBuilderBefore(b, flow);
    LLVMValueRef place = LLVMBuildPhi(b, a->g->i64, "place");
    a->flow[i].place = place; /* before the rest: it may be part of itself */
    for (unsigned k = 0; k < LLVMCountIncoming(flow); k++) {
        LLVMBasicBlockRef from = LLVMGetIncomingBlock(flow, k);
        LLVMValueRef in =
                place_of(a, LLVMGetIncomingValue(flow, k), LLVMGetBasicBlockTerminator(from));
        LLVMAddIncoming(place, &in, &from, 1);
    }
    return place;
}

/* The pointer's distance from the array's start, in units (i64), computed before `at`. */
static LLVMValueRef place_of(struct array *a, LLVMValueRef pointer, LLVMValueRef at)
{
    struct codegen *g = a->g;
    LLVMBuilderRef b = g->builder;
    LLVMValueRef sum = codegen_i64(g, 0);
    LLVMPositionBuilderBefore(b, at);
    for (; pointer != a->alloca; pointer = LLVMGetOperand(pointer, 0)) {
        if (LLVMIsUndef(pointer) || LLVMIsPoison(pointer))
            return sum;
        if (is_flow(pointer)) {
            LLVMValueRef place = place_of_flow(a, pointer);
            LLVMPositionBuilderBefore(b, at);
            return LLVMBuildAdd(b, sum, place, "");
        }
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
                /* A step that is not a whole number of units has a constant index, and index
                 * times step is one: add_steps() chose the unit so. */
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

/* The place comes of signed numbers that may overflow: to LLVM they are then whichever numbers make
 * the question below needless. Loop counters, moved or multiplied by a constant, are left out: they
 * would lose the count of their loop's trips, and overflow at its end only. */
static bool may_overflow(LLVMValueRef v, unsigned depth)
{
    if (!LLVMIsAInstruction(v) || LLVMIsAPHINode(v) || LLVMIsALoadInst(v))
        return false;
    if (depth == 0)
        return true;
    LLVMOpcode op = LLVMGetInstructionOpcode(v);
    bool sum = op == LLVMAdd || op == LLVMSub || op == LLVMMul || op == LLVMShl;
    bool counter =
            sum && LLVMIsAPHINode(LLVMGetOperand(v, 0)) && LLVMIsAConstant(LLVMGetOperand(v, 1));
    if (sum && !counter && (LLVMGetNSW(v) || LLVMGetNUW(v)))
        return true;
    for (int i = 0; i < LLVMGetNumOperands(v); i++)
        if (may_overflow(LLVMGetOperand(v, (unsigned)i), depth - 1))
            return true;
    return false;
}

static void bound(struct array *a, const struct access *access)
{
    struct codegen *g = a->g;
    LLVMBuilderRef b = g->builder;
    LLVMValueRef at = access->in;
    if (LLVMIsAPHINode(at))
        at = LLVMGetBasicBlockTerminator(LLVMGetIncomingBlock(at, access->operand));
    LLVMValueRef place = place_of(a, LLVMGetOperand(access->in, access->operand), at);
    if (may_overflow(place, 8))
        place = LLVMBuildFreeze(b, place, "");
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
    a->count = a->flow_count = 0;
    memset(a->flow, 0, sizeof a->flow);
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

/* They may use one another. What still hangs on them is dead, and goes with the passes below. */
static void erase_flows(struct array *a)
{
    for (unsigned i = 0; i < a->flow_count; i++) {
        LLVMValueRef flow = a->flow[i].pointer;
        LLVMReplaceAllUsesWith(flow, LLVMGetPoison(LLVMTypeOf(flow)));
        LLVMInstructionEraseFromParent(flow);
    }
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

/* The first of a block's arrays from `in` on; NULL: there is none. */
static LLVMValueRef next_array(LLVMValueRef in)
{
    while (in && !LLVMIsAAllocaInst(in))
        in = LLVMGetNextInstruction(in);
    return in;
}

static bool bound_arrays(struct codegen *g, LLVMValueRef function, struct array *a)
{
    bool any = false;
    LLVMValueRef in = next_array(LLVMGetFirstInstruction(LLVMGetEntryBasicBlock(function)));
    for (LLVMValueRef next; in; in = next) {
        next = next_array(LLVMGetNextInstruction(in)); /* what stands between may be erased */
        a->spare = NULL;
        bound_array(g, in, a);
        any |= a->spare != NULL;
        if (a->spare) {
            erase_flows(a);
            erase_unused(in);
        }
    }
    return any;
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
    for (LLVMValueRef f = LLVMGetFirstFunction(g->module); f; f = LLVMGetNextFunction(f))
        if (!LLVMIsDeclaration(f) && (f == function || g->calls))
            any |= bound_arrays(g, f, a);
    free(a);
    /* Nothing that rewrites a loop's counters: from their form it is seen that lanes lie side by
     * side. */
    return any ? codegen_run_passes(g, "function(instcombine<no-verify-fixpoint>,early-cse,dce)")
               : 0;
}
