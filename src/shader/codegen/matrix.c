/* shader: 8x8 matrices of a SIMD-group, lane by lane: each marker (markers.h) becomes address
 * arithmetic and exchanges between lanes. For the forms that know no better way; cpu/wide/wide.c
 * does them on whole vectors. Compiler process; hostile input.
 *
 * The layout is Apple's: lane l holds row (l >> 2 & 4) | (l >> 1 & 3), columns c and c + 1 with
 * c = (l >> 1 & 4) | (l << 1 & 2). Where the target's own is another, and the program does not
 * look, it is row l >> 2, columns c = (l & 3) << 1 and c + 1. */
#include "shader/codegen/codegen.h"

#include <string.h>

#define PREFIX "__abx_matrix_"

bool codegen_is_matrix(LLVMValueRef in)
{
    const char *name = codegen_callee(in);
    return name && !strncmp(name, PREFIX, strlen(PREFIX));
}

int codegen_matrix_flags(LLVMValueRef in)
{
    static const struct {
        const char *name;
        unsigned flags;
    } at[] = {{PREFIX "load_", 2}, {PREFIX "store_", 2}, {PREFIX "multiply", 0}};
    for (size_t i = 0; i < ABX_ARRAY_SIZE(at); i++)
        if (!strncmp(codegen_callee(in), at[i].name, strlen(at[i].name))) {
            LLVMValueRef v = LLVMGetOperand(in, at[i].flags);
            return LLVMIsAConstantInt(v) ? (int)(LLVMConstIntGetZExtValue(v) & 3) : -1;
        }
    return -1;
}

/* The bits of `v` under `from`, moved left (or right, when negative). */
static LLVMValueRef bits(struct codegen *g, LLVMValueRef v, unsigned from, int left)
{
    v = LLVMBuildAnd(g->builder, v, codegen_i32(g, from), "");
    return left < 0 ? LLVMBuildLShr(g->builder, v, codegen_i32(g, (unsigned)-left), "")
                    : LLVMBuildShl(g->builder, v, codegen_i32(g, (unsigned)left), "");
}

static LLVMValueRef either(struct codegen *g, LLVMValueRef a, LLVMValueRef b)
{
    return LLVMBuildOr(g->builder, a, b, "");
}

struct place {
    LLVMValueRef row, column; /* i32 */
};

static struct place place_of(struct codegen *g, bool second)
{
    LLVMTypeRef type = LLVMFunctionType(g->i32, &g->i32, 1, 0);
    LLVMValueRef which = codegen_i32(g, ABX_BUILTIN_LANE * 4);
    LLVMValueRef lane = LLVMBuildCall2(
            g->builder, type, codegen_declare(g, "__abx_builtin", type), &which, 1, "lane");
    LLVMValueRef column = g->matrix_rows ? bits(g, lane, 3, 1)
                                         : either(g, bits(g, lane, 8, -1), bits(g, lane, 1, 1));
    LLVMValueRef row = g->matrix_rows ? bits(g, lane, 28, -2)
                                      : either(g, bits(g, lane, 16, -2), bits(g, lane, 6, -1));
    if (second)
        column = either(g, column, codegen_i32(g, 1));
    return (struct place){row, column};
}

/* The lane that holds an element of that row and column. */
static LLVMValueRef lane_of(struct codegen *g, LLVMValueRef row, LLVMValueRef column)
{
    if (g->matrix_rows)
        return either(g, bits(g, row, 7, 2), bits(g, column, 6, -1));
    LLVMValueRef high = either(g, bits(g, row, 4, 2), bits(g, column, 4, 1));
    return either(g, high, either(g, bits(g, row, 3, 1), bits(g, column, 2, -1)));
}

static LLVMValueRef from_lane(struct codegen *g, LLVMValueRef v, LLVMValueRef lane)
{
    LLVMBuilderRef b = g->builder;
    LLVMTypeRef params[3] = {g->i32, g->i64, g->i64};
    LLVMTypeRef type = LLVMFunctionType(g->i64, params, 3, 0);
    LLVMValueRef a[3] = {codegen_i32(g, ABX_SIMD_SHUFFLE | ABX_SIMD_F32),
            LLVMBuildZExt(b, LLVMBuildBitCast(b, v, g->i32, ""), g->i64, ""),
            LLVMBuildZExt(b, lane, g->i64, "")};
    LLVMValueRef r = LLVMBuildCall2(b, type, codegen_declare(g, "__abx_simd", type), a, 3, "");
    return LLVMBuildBitCast(b, LLVMBuildTrunc(b, r, g->i32, ""), LLVMTypeOf(v), "");
}

static LLVMValueRef multiply(struct codegen *g, LLVMValueRef in, bool second)
{
    struct place at = place_of(g, second);
    LLVMTypeRef type = LLVMTypeOf(in);
    LLVMValueRef sum = LLVMGetOperand(in, second ? 6 : 5);
    for (unsigned k = 0; k < 8; k++) {
        LLVMValueRef n = codegen_i32(g, k);
        LLVMValueRef a[3] = {from_lane(g, LLVMGetOperand(in, k & 1 ? 2 : 1), lane_of(g, at.row, n)),
                from_lane(g, LLVMGetOperand(in, second ? 4 : 3), lane_of(g, n, at.column)), sum};
        sum = codegen_call_intrinsic(g, "llvm.fma", &type, 1, a, 3);
    }
    return sum;
}

static LLVMValueRef address(struct codegen *g, LLVMValueRef in, LLVMTypeRef type, int flags)
{
    LLVMBuilderRef b = g->builder;
    struct place at = place_of(g, flags & ABX_MATRIX_E1);
    LLVMValueRef far = flags & ABX_MATRIX_TRANSPOSE ? at.column : at.row;
    LLVMValueRef near = flags & ABX_MATRIX_TRANSPOSE ? at.row : at.column;
    LLVMValueRef i = LLVMBuildMul(b, LLVMBuildZExt(b, far, g->i64, ""), LLVMGetOperand(in, 1), "");
    i = LLVMBuildAdd(b, i, LLVMBuildZExt(b, near, g->i64, ""), "");
    return LLVMBuildGEP2(b, type, LLVMGetOperand(in, 0), &i, 1, "");
}

static LLVMValueRef expand(struct codegen *g, LLVMValueRef in, int flags)
{
    LLVMTypeRef type = LLVMTypeOf(in);
    if (codegen_is_call(in, PREFIX "multiply"))
        return multiply(g, in, flags & ABX_MATRIX_E1);
    if (LLVMGetTypeKind(type) != LLVMVoidTypeKind)
        return LLVMBuildLoad2(g->builder, type, address(g, in, type, flags), "");
    for (int e = 0; e < 2; e++) {
        LLVMValueRef v = LLVMGetOperand(in, e ? 4 : 3);
        int each = (flags & ABX_MATRIX_TRANSPOSE) | (e ? ABX_MATRIX_E1 : 0);
        LLVMBuildStore(g->builder, v, address(g, in, LLVMTypeOf(v), each));
    }
    return NULL;
}

void codegen_turn_matrix(struct codegen *g, const LLVMValueRef v[2], LLVMValueRef turned[2])
{
    for (int e = 0; e < 2; e++) {
        struct place at = place_of(g, e);
        LLVMValueRef lane = lane_of(g, at.column, at.row);
        LLVMValueRef odd =
                LLVMBuildTrunc(g->builder, at.row, LLVMInt1TypeInContext(g->context), "odd");
        turned[e] = LLVMBuildSelect(
                g->builder, odd, from_lane(g, v[1], lane), from_lane(g, v[0], lane), "");
    }
}

bool codegen_is_matrix_builtin(LLVMValueRef in)
{
    if (!codegen_is_call(in, "__abx_builtin") || !LLVMIsAConstantInt(LLVMGetOperand(in, 0)))
        return false;
    uint64_t n = LLVMConstIntGetZExtValue(LLVMGetOperand(in, 0));
    return n / 4 == ABX_BUILTIN_MATRIX_E0 || n / 4 == ABX_BUILTIN_MATRIX_E1;
}

static LLVMValueRef expand_builtin(struct codegen *g, LLVMValueRef in)
{
    uint64_t n = LLVMConstIntGetZExtValue(LLVMGetOperand(in, 0));
    LLVMPositionBuilderBefore(g->builder, in);
    struct place at = place_of(g, n / 4 == ABX_BUILTIN_MATRIX_E1);
    return n % 4 ? at.column : at.row;
}

int codegen_expand_matrices(struct codegen *g, LLVMValueRef function)
{
    for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(function); b; b = LLVMGetNextBasicBlock(b))
        for (LLVMValueRef in = LLVMGetFirstInstruction(b), next; in; in = next) {
            LLVMValueRef v = NULL;
            next = LLVMGetNextInstruction(in);
            if (codegen_is_matrix(in)) {
                int flags = codegen_matrix_flags(in);
                if (flags < 0)
                    return codegen_fail(g, -EINVAL, "a matrix operation needs constant flags");
                LLVMPositionBuilderBefore(g->builder, in);
                v = expand(g, in, flags);
            } else if (codegen_is_matrix_builtin(in)) {
                v = expand_builtin(g, in);
            } else {
                continue;
            }
            if (v)
                LLVMReplaceAllUsesWith(in, v);
            LLVMInstructionEraseFromParent(in);
        }
    return 0;
}
