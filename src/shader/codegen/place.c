/* shader: where a thread stands. Turns the markers that ask for it (builtins, buffers, threadgroup
 * memory) into values, and threadgroup variables into offsets. Compiler process. */
#include "shader/codegen/codegen.h"

#include <stdlib.h>

static LLVMValueRef ceil_shift(struct codegen *g, LLVMValueRef v, unsigned shift)
{
    LLVMValueRef sum = LLVMBuildAdd(g->builder, v, codegen_i32(g, (1u << shift) - 1), "");
    return LLVMBuildLShr(g->builder, sum, codegen_i32(g, shift), "");
}

static LLVMValueRef product(struct codegen *g, LLVMValueRef v[3])
{
    return LLVMBuildMul(g->builder, LLVMBuildMul(g->builder, v[0], v[1], ""), v[2], "");
}

void codegen_place_counts(struct codegen *g, struct codegen_place *p)
{
    p->builtin[ABX_BUILTIN_SIMD_WIDTH][0] = codegen_i32(g, ABX_SIMD_LANES);
    p->builtin[ABX_BUILTIN_DISPATCH_SIMDGROUPS][0] =
            ceil_shift(g, product(g, p->builtin[ABX_BUILTIN_DISPATCH_GROUP_SIZE]), 5);
}

/* ---- where a group stands */

static LLVMValueRef min32(struct codegen *g, LLVMValueRef a, LLVMValueRef b)
{
    return LLVMBuildSelect(g->builder, LLVMBuildICmp(g->builder, LLVMIntULT, a, b, ""), a, b, "");
}

void codegen_place_edge(struct codegen *g, struct codegen_place *p, int d, LLVMValueRef at)
{
    LLVMValueRef full = p->builtin[ABX_BUILTIN_DISPATCH_GROUP_SIZE][d];
    LLVMValueRef start = LLVMBuildMul(g->builder, at, full, "");
    LLVMValueRef left = LLVMBuildSub(g->builder, p->builtin[ABX_BUILTIN_GRID][d], start, "left");
    p->builtin[ABX_BUILTIN_GROUP_IN_GRID][d] = at;
    p->builtin[ABX_BUILTIN_GROUP_SIZE][d] = min32(g, full, left);
}

void codegen_place_group(struct codegen *g, struct codegen_place *p)
{
    LLVMValueRef total = product(g, p->builtin[ABX_BUILTIN_GROUP_SIZE]);
    p->builtin[ABX_BUILTIN_SIMDGROUPS][0] = ceil_shift(g, total, 5);
    p->builtin[ABX_BUILTIN_QUADGROUPS][0] = ceil_shift(g, total, 2);
}

void codegen_place_thread(struct codegen *g, struct codegen_place *p, LLVMValueRef linear)
{
    for (int d = 0; d < 3; d++) {
        /* A thread's position is below the grid's size: nothing wraps. */
        LLVMValueRef start = LLVMBuildNUWMul(g->builder, p->builtin[ABX_BUILTIN_GROUP_IN_GRID][d],
                p->builtin[ABX_BUILTIN_DISPATCH_GROUP_SIZE][d], "");
        p->builtin[ABX_BUILTIN_THREAD_IN_GRID][d] =
                LLVMBuildNUWAdd(g->builder, start, p->builtin[ABX_BUILTIN_THREAD_IN_GROUP][d], "");
    }
    p->builtin[ABX_BUILTIN_THREAD_INDEX][0] = linear;
    p->builtin[ABX_BUILTIN_LANE][0] = LLVMBuildAnd(g->builder, linear, codegen_i32(g, 31), "");
    p->builtin[ABX_BUILTIN_SIMDGROUP][0] = LLVMBuildLShr(g->builder, linear, codegen_i32(g, 5), "");
    p->builtin[ABX_BUILTIN_QUAD_LANE][0] = LLVMBuildAnd(g->builder, linear, codegen_i32(g, 3), "");
    p->builtin[ABX_BUILTIN_QUADGROUP][0] = LLVMBuildLShr(g->builder, linear, codegen_i32(g, 2), "");
}

/* The value that replaces the marker call `in`; NULL with a message when it is malformed. */
static LLVMValueRef replacement(
        struct codegen *g, LLVMValueRef in, struct codegen_place *p, LLVMValueRef at)
{
    if (codegen_is_call(in, "__abx_statics")) {
        if (p->statics)
            return p->statics;
        LLVMPositionBuilderBefore(g->builder, at);
        return codegen_load_field(g, p->call, g->ptr,
                offsetof(struct abx_kernel_call, static_threadgroup), "statics");
    }
    LLVMValueRef operand = LLVMGetOperand(in, 0);
    const char *name = codegen_callee(in);
    if (!LLVMIsAConstantInt(operand)) {
        codegen_fail(g, -EINVAL, "%s needs a constant", name);
        return NULL;
    }
    uint64_t n = LLVMConstIntGetZExtValue(operand);
    if (codegen_is_call(in, "__abx_builtin")) {
        if (n / 4 >= ABX_BUILTIN_COUNT || n % 4 > 2) {
            codegen_fail(g, -EINVAL, "unknown builtin %llu", (unsigned long long)n);
            return NULL;
        }
        return p->builtin[n / 4][n % 4];
    }
    bool buffer = codegen_is_call(in, "__abx_buffer");
    if (n >= (buffer ? ABX_BUFFER_SLOTS : ABX_MAX_THREADGROUP_BINDINGS)) {
        codegen_fail(g, -EINVAL, "%s index %llu is out of range", buffer ? "buffer" : "threadgroup",
                (unsigned long long)n);
        return NULL;
    }
    LLVMValueRef given = buffer ? p->buffer[n] : p->threadgroup[n];
    if (given)
        return given;
    LLVMPositionBuilderBefore(g->builder, at);
    if (buffer)
        return codegen_load_buffer(g, p->call, n);
    return codegen_load_field(g, p->call, g->ptr,
            offsetof(struct abx_kernel_call, threadgroup) + 8 * (size_t)n, "threadgroup");
}

int codegen_lower_markers(
        struct codegen *g, LLVMValueRef function, struct codegen_place *p, LLVMValueRef at)
{
    for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(function); b; b = LLVMGetNextBasicBlock(b))
        for (LLVMValueRef in = LLVMGetFirstInstruction(b); in;) {
            LLVMValueRef next = LLVMGetNextInstruction(in);
            if (codegen_is_call(in, "__abx_builtin") || codegen_is_call(in, "__abx_buffer") ||
                    codegen_is_call(in, "__abx_threadgroup") ||
                    codegen_is_call(in, "__abx_statics")) {
                LLVMValueRef v = replacement(g, in, p, at);
                if (!v)
                    return -EINVAL;
                LLVMReplaceAllUsesWith(in, v);
                LLVMInstructionEraseFromParent(in);
            }
            in = next;
        }
    return 0;
}

/* ---- threadgroup variables: the only globals a Metal program may write */

struct statics {
    struct codegen *g;
    LLVMValueRef base, at;
    struct {
        LLVMValueRef constant, value;
    } *done;
    size_t count, capacity;
    uint64_t bytes;
    bool failed;
};

static LLVMValueRef remember(struct statics *s, LLVMValueRef constant, LLVMValueRef value)
{
    if (s->count == s->capacity) {
        size_t capacity = s->capacity ? s->capacity * 2 : 64;
        void *grown = realloc(s->done, capacity * sizeof *s->done);
        if (!grown) {
            s->failed = true;
            return value;
        }
        s->done = grown;
        s->capacity = capacity;
    }
    s->done[s->count].constant = constant;
    s->done[s->count++].value = value;
    return value;
}

static bool is_variable(LLVMValueRef v)
{
    return LLVMIsAGlobalVariable(v) && LLVMGetInitializer(v) && !LLVMIsGlobalConstant(v);
}

/* An instruction equal to `constant` when that refers to a threadgroup variable, else NULL. */
static LLVMValueRef rebuild(struct statics *s, LLVMValueRef constant)
{
    struct codegen *g = s->g;
    for (size_t i = 0; i < s->count; i++)
        if (s->done[i].constant == constant)
            return s->done[i].value;
    if (is_variable(constant)) {
        LLVMTypeRef type = LLVMGlobalGetValueType(constant);
        uint64_t align = LLVMGetAlignment(constant),
                 natural = LLVMABIAlignmentOfType(g->layout, type);
        align = align > natural ? align : natural;
        s->bytes = abx_align_up(s->bytes, align > 16 ? align : 16);
        LLVMValueRef offset = codegen_i64(g, s->bytes);
        s->bytes += LLVMABISizeOfType(g->layout, type);
        LLVMPositionBuilderBefore(g->builder, s->at);
        return remember(s, constant,
                LLVMBuildInBoundsGEP2(g->builder, g->i8, s->base, &offset, 1, "static"));
    }
    if (!LLVMIsAConstantExpr(constant))
        return NULL;
    int count = LLVMGetNumOperands(constant);
    LLVMValueRef operands[16];
    bool any = false;
    if (count > (int)ABX_ARRAY_SIZE(operands))
        return NULL;
    for (int i = 0; i < count; i++) {
        LLVMValueRef r = rebuild(s, LLVMGetOperand(constant, i));
        any |= r != NULL;
        operands[i] = r ? r : LLVMGetOperand(constant, i);
    }
    if (!any)
        return NULL;
    LLVMPositionBuilderBefore(g->builder, s->at);
    LLVMOpcode op = LLVMGetConstOpcode(constant);
    LLVMValueRef v = NULL;
    if (op == LLVMGetElementPtr)
        v = LLVMBuildGEP2(g->builder, LLVMGetGEPSourceElementType(constant), operands[0],
                operands + 1, count - 1, "");
    else if (op == LLVMBitCast || op == LLVMAddrSpaceCast || op == LLVMPtrToInt ||
             op == LLVMIntToPtr || op == LLVMTrunc)
        v = LLVMBuildCast(g->builder, op, operands[0], LLVMTypeOf(constant), "");
    else if (op == LLVMAdd || op == LLVMSub || op == LLVMXor)
        v = LLVMBuildBinOp(g->builder, op, operands[0], operands[1], "");
    if (!v) {
        s->failed = true;
        return NULL;
    }
    return remember(s, constant, v);
}

/* The memory's address is a marker of its own, __abx_statics(), at the kernel's start. */
int codegen_lower_statics(struct codegen *g)
{
    LLVMBasicBlockRef first = LLVMGetEntryBasicBlock(g->kernel);
    LLVMTypeRef type = LLVMFunctionType(g->ptr, NULL, 0, 0);
    LLVMPositionBuilderBefore(g->builder, LLVMGetFirstInstruction(first));
    LLVMValueRef marker = codegen_declare(g, "__abx_statics", type);
    LLVMValueRef base = LLVMBuildCall2(g->builder, type, marker, NULL, 0, "statics");
    struct statics s = {.g = g, .base = base, .at = LLVMGetNextInstruction(base)};
    for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(g->kernel); b; b = LLVMGetNextBasicBlock(b))
        for (LLVMValueRef in = LLVMGetFirstInstruction(b); in; in = LLVMGetNextInstruction(in)) {
            for (int i = 0; i < LLVMGetNumOperands(in); i++) {
                LLVMValueRef v = LLVMGetOperand(in, i), r;
                if (v && LLVMIsAConstant(v) && !LLVMIsAFunction(v) && (r = rebuild(&s, v)))
                    LLVMSetOperand(in, i, r);
            }
        }
    free(s.done);
    if (s.failed)
        return codegen_fail(g, -EINVAL, "a threadgroup variable is used in an unsupported way");
    if (s.bytes > ABX_MAX_THREADGROUP_BYTES)
        return codegen_fail(g, -EINVAL,
                "threadgroup memory size (%llu) exceeds the maximum threadgroup memory allowed "
                "(%u)",
                (unsigned long long)s.bytes, ABX_MAX_THREADGROUP_BYTES);
    if (s.bytes == 0)
        LLVMInstructionEraseFromParent(base);
    g->code.static_threadgroup_bytes = (uint32_t)s.bytes;
    return 0;
}
