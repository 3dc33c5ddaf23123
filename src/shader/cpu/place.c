/* shader: where a thread stands, in what a worker calls machine code with (abi/kernel.h), and the
 * loops over threads. Compiler process. */
#include "shader/cpu/cpu.h"

#define FIELD(name, index) (offsetof(struct abx_kernel_call, name) + 4 * (size_t)(index))

void cpu_place_dispatch(struct codegen *g, struct codegen_place *p, LLVMValueRef call)
{
    LLVMValueRef zero = codegen_i32(g, 0);
    for (int b = 0; b < ABX_BUILTIN_COUNT; b++)
        for (int d = 0; d < 3; d++)
            p->builtin[b][d] = zero;
    p->call = call;
    for (int d = 0; d < 3; d++) {
        p->builtin[ABX_BUILTIN_GRID][d] =
                codegen_load_field(g, call, g->i32, FIELD(grid, d), "grid");
        p->builtin[ABX_BUILTIN_DISPATCH_GROUP_SIZE][d] =
                codegen_load_field(g, call, g->i32, FIELD(group_size, d), "group_size");
        p->builtin[ABX_BUILTIN_GROUPS][d] =
                codegen_load_field(g, call, g->i32, FIELD(groups, d), "groups");
    }
    codegen_place_counts(g, p);
}

void cpu_place_in_groups(struct codegen *g, struct codegen_place *p, LLVMValueRef linear)
{
    LLVMBuilderRef b = g->builder;
    LLVMValueRef x = LLVMBuildZExt(b, p->builtin[ABX_BUILTIN_GROUPS][0], g->i64, "");
    LLVMValueRef y = LLVMBuildZExt(b, p->builtin[ABX_BUILTIN_GROUPS][1], g->i64, "");
    LLVMValueRef row = LLVMBuildUDiv(b, linear, x, "");
    LLVMValueRef v[3] = {LLVMBuildURem(b, linear, x, ""), LLVMBuildURem(b, row, y, ""),
            LLVMBuildUDiv(b, row, y, "")};
    for (int d = 0; d < 3; d++)
        codegen_place_edge(g, p, d, LLVMBuildTrunc(b, v[d], g->i32, ""));
    codegen_place_group(g, p);
}

void cpu_place_in_coroutine(struct codegen *g, struct codegen_place *p)
{
    for (int d = 0; d < 3; d++) {
        p->builtin[ABX_BUILTIN_GROUP_IN_GRID][d] =
                codegen_load_field(g, p->call, g->i32, FIELD(group, d), "group");
        p->builtin[ABX_BUILTIN_GROUP_SIZE][d] =
                codegen_load_field(g, p->call, g->i32, FIELD(size, d), "size");
    }
    codegen_place_group(g, p);
}

struct cpu_loop cpu_loop_begin(struct codegen *g, LLVMTypeRef type, const char *name)
{
    struct cpu_loop l = {0};
    LLVMBasicBlockRef before = LLVMGetInsertBlock(g->builder);
    l.body = LLVMAppendBasicBlockInContext(g->context, g->entry, name);
    l.after = LLVMAppendBasicBlockInContext(g->context, g->entry, "after");
    LLVMBuildBr(g->builder, l.body);
    LLVMPositionBuilderAtEnd(g->builder, l.body);
    l.i = LLVMBuildPhi(g->builder, type, name);
    LLVMValueRef zero = LLVMConstInt(type, 0, 0);
    LLVMAddIncoming(l.i, &zero, &before, 1);
    return l;
}

void cpu_loop_end(struct codegen *g, struct cpu_loop *l, LLVMValueRef count)
{
    cpu_loop_end_by(g, l, LLVMConstInt(LLVMTypeOf(l->i), 1, 0), count);
}

void cpu_loop_end_by(struct codegen *g, struct cpu_loop *l, LLVMValueRef step, LLVMValueRef count)
{
    LLVMBasicBlockRef latch = LLVMGetInsertBlock(g->builder);
    LLVMValueRef next = LLVMBuildNUWAdd(g->builder, l->i, step, "next");
    LLVMAddIncoming(l->i, &next, &latch, 1);
    l->branch = LLVMBuildCondBr(
            g->builder, LLVMBuildICmp(g->builder, LLVMIntEQ, next, count, ""), l->after, l->body);
    LLVMPositionBuilderAtEnd(g->builder, l->after);
}
