/* shader: products of 8x8 matrices on NVIDIA's tensor cores. Compiler process; the function is the
 * guest's.
 *
 * Products of halves or of bfloats become mma.sync, which multiplies 16x8 by 8x8 and sums in float;
 * two that share their right matrix become one. Products of floats stay as codegen/matrix.c makes
 * them: the tensor cores would round their operands.
 *
 * A lane of mma.sync holds two neighbours of a row: row lane / 4, columns 2 * (lane % 4) and the
 * next, of the left matrix and of the sums; of the right one the same of its transpose. Where a
 * program looks at its matrices' elements they lie as Apple's do, and are exchanged around each
 * product. */
#include "shader/nvptx/nvptx.h"

#include <stdlib.h>
#include <string.h>

#define MAX_PRODUCTS 512u /* of a block, that are looked at together */

enum { LEFT = 1, RIGHT = 3, SUM = 5 }; /* operands of the marker, two each */

struct product {
    LLVMValueRef first, second; /* the markers of both elements */
    LLVMTypeRef type;           /* half or bfloat */
    bool fused;
};

struct products {
    struct codegen *g;
    LLVMTypeRef half, bfloat;
    struct product list[MAX_PRODUCTS];
    uint32_t count;
};

/* ---- what can be multiplied */

/* The number of `type` that was widened, or NULL. */
static LLVMValueRef narrow_of(LLVMValueRef v, LLVMTypeRef type)
{
    if (LLVMIsConstant(v) && LLVMIsNull(v))
        return LLVMConstNull(type);
    if (!LLVMIsAFPExtInst(v))
        return NULL;
    LLVMValueRef from = LLVMGetOperand(v, 0);
    return LLVMTypeOf(from) == type ? from : NULL;
}

static bool all_narrow(LLVMValueRef in, LLVMTypeRef type)
{
    for (unsigned i = LEFT; i < SUM; i++)
        if (!narrow_of(LLVMGetOperand(in, i), type))
            return false;
    return true;
}

static bool is_product(LLVMValueRef in, int flags)
{
    return codegen_is_call(in, "__abx_matrix_multiply") && codegen_matrix_flags(in) == flags;
}

static bool same_operands(LLVMValueRef a, LLVMValueRef b, unsigned from, unsigned end)
{
    for (unsigned i = from; i < end; i++)
        if (LLVMGetOperand(a, i) != LLVMGetOperand(b, i))
            return false;
    return true;
}

/* The second element's marker stands behind the first's. */
static LLVMValueRef second_of(LLVMValueRef first)
{
    for (LLVMValueRef in = LLVMGetNextInstruction(first); in; in = LLVMGetNextInstruction(in))
        if (is_product(in, ABX_MATRIX_E1) && same_operands(first, in, LEFT, SUM + 2))
            return in;
    return NULL;
}

static void collect(struct products *p, LLVMBasicBlockRef block)
{
    p->count = 0;
    for (LLVMValueRef in = LLVMGetFirstInstruction(block); in && p->count < MAX_PRODUCTS;
            in = LLVMGetNextInstruction(in)) {
        if (!is_product(in, 0))
            continue;
        LLVMTypeRef type = all_narrow(in, p->half)     ? p->half
                           : all_narrow(in, p->bfloat) ? p->bfloat
                                                       : NULL;
        LLVMValueRef second = type ? second_of(in) : NULL;
        if (second)
            p->list[p->count++] = (struct product){in, second, type, false};
    }
}

/* ---- code */

static LLVMValueRef bits(struct codegen *g, LLVMValueRef v, unsigned from, int left)
{
    v = LLVMBuildAnd(g->builder, v, codegen_i32(g, from), "");
    return left < 0 ? LLVMBuildLShr(g->builder, v, codegen_i32(g, (unsigned)-left), "")
                    : LLVMBuildShl(g->builder, v, codegen_i32(g, (unsigned)left), "");
}

/* `v` of the lane that holds in the one layout what this lane holds in the other. */
static LLVMValueRef exchange(struct codegen *g, LLVMValueRef v, bool from_apple)
{
    if (!g->matrix_elements)
        return v;
    LLVMBuilderRef b = g->builder;
    LLVMTypeRef one = LLVMFunctionType(g->i32, &g->i32, 1, 0), params[3] = {g->i32, g->i64, g->i64};
    LLVMTypeRef type = LLVMFunctionType(g->i64, params, 3, 0), own = LLVMTypeOf(v);
    LLVMValueRef which = codegen_i32(g, ABX_BUILTIN_LANE * 4);
    LLVMValueRef lane =
            LLVMBuildCall2(b, one, codegen_declare(g, "__abx_builtin", one), &which, 1, "lane");
    LLVMValueRef at = bits(g, lane, 17, 0);
    at = LLVMBuildOr(b, at, bits(g, lane, from_apple ? 2 : 8, from_apple ? 2 : -2), "");
    at = LLVMBuildOr(b, at, bits(g, lane, from_apple ? 12 : 6, from_apple ? -1 : 1), "");
    LLVMValueRef a[3] = {codegen_i32(g, ABX_SIMD_SHUFFLE | ABX_SIMD_F32),
            LLVMBuildZExt(b, LLVMBuildBitCast(b, v, g->i32, ""), g->i64, ""),
            LLVMBuildZExt(b, at, g->i64, "")};
    LLVMValueRef r = LLVMBuildCall2(b, type, codegen_declare(g, "__abx_simd", type), a, 3, "");
    return LLVMBuildBitCast(b, LLVMBuildTrunc(b, r, g->i32, ""), own, "");
}

/* Two operands from `at` on, as a register. */
static LLVMValueRef pack(struct codegen *g, const struct product *p, unsigned at)
{
    LLVMValueRef pair = LLVMGetUndef(LLVMVectorType(p->type, 2));
    for (unsigned i = 0; i < 2; i++)
        pair = LLVMBuildInsertElement(g->builder, pair,
                narrow_of(LLVMGetOperand(p->first, at + i), p->type), codegen_i32(g, i), "");
    return exchange(g, LLVMBuildBitCast(g->builder, pair, g->i32, ""), true);
}

static LLVMValueRef call_asm(struct codegen *g, LLVMTypeRef result, LLVMValueRef *a, unsigned count,
        const char *text, const char *constraints)
{
    LLVMTypeRef types[8];
    for (unsigned i = 0; i < count; i++)
        types[i] = LLVMTypeOf(a[i]);
    LLVMTypeRef type = LLVMFunctionType(result, types, count, 0);
    LLVMValueRef code = LLVMGetInlineAsm(type, text, strlen(text), constraints, strlen(constraints),
            0, 0, LLVMInlineAsmDialectATT, 0);
    LLVMValueRef call = LLVMBuildCall2(g->builder, type, code, a, count, "");
    LLVMAddCallSiteAttribute(call, LLVMAttributeFunctionIndex,
            LLVMCreateEnumAttribute(
                    g->context, LLVMGetEnumAttributeKindForName("convergent", 10), 0));
    return call;
}

static LLVMValueRef transpose(struct codegen *g, LLVMValueRef v)
{
    return call_asm(g, g->i32, &v, 1, "movmatrix.sync.aligned.m8n8.trans.b16 $0, $1;", "=r,r");
}

static LLVMValueRef sum_of(struct codegen *g, const struct product *p, unsigned i)
{
    LLVMTypeRef type = LLVMFloatTypeInContext(g->context);
    return p ? exchange(g, LLVMGetOperand(p->first, SUM + i), true) : LLVMConstNull(type);
}

static void replace(struct codegen *g, const struct product *p, LLVMValueRef sums, unsigned at)
{
    if (!p)
        return;
    for (unsigned i = 0; i < 2; i++) {
        LLVMValueRef v = LLVMBuildExtractValue(g->builder, sums, at + i, "");
        LLVMReplaceAllUsesWith(i ? p->second : p->first, exchange(g, v, false));
    }
}

/* At the second one's place; `b` may be NULL. */
static void build(struct products *p, struct product *a, struct product *b)
{
    static const char half[] = "mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 "
                               "{$0,$1,$2,$3}, {$4,$5}, {$6}, {$7,$8,$9,$10};",
                      bfloat[] = "mma.sync.aligned.m16n8k8.row.col.f32.bf16.bf16.f32 "
                                 "{$0,$1,$2,$3}, {$4,$5}, {$6}, {$7,$8,$9,$10};";
    struct codegen *g = p->g;
    LLVMTypeRef f = LLVMFloatTypeInContext(g->context), types[4] = {f, f, f, f};
    LLVMTypeRef result = LLVMStructTypeInContext(g->context, types, 4, 0);
    LLVMPositionBuilderBefore(g->builder, b ? b->first : a->first);
    LLVMValueRef v[7] = {pack(g, a, LEFT), b ? pack(g, b, LEFT) : codegen_i32(g, 0),
            transpose(g, pack(g, a, RIGHT)), sum_of(g, a, 0), sum_of(g, a, 1), sum_of(g, b, 0),
            sum_of(g, b, 1)};
    LLVMValueRef sums = call_asm(
            g, result, v, 7, a->type == p->half ? half : bfloat, "=f,=f,=f,=f,r,r,r,f,f,f,f");
    replace(g, a, sums, 0);
    replace(g, b, sums, 2);
    a->fused = true;
    if (b)
        b->fused = true;
}

/* Nothing from the one's place up to the other's uses what the first gives. */
static bool may_wait(const struct product *a, const struct product *b)
{
    for (LLVMValueRef in = LLVMGetNextInstruction(a->first);; in = LLVMGetNextInstruction(in)) {
        for (int i = 0; i < LLVMGetNumOperands(in); i++)
            if (LLVMGetOperand(in, (unsigned)i) == a->first ||
                    LLVMGetOperand(in, (unsigned)i) == a->second)
                return false;
        if (in == b->second)
            return true;
    }
}

static void visit_block(struct products *p, LLVMBasicBlockRef block)
{
    collect(p, block);
    for (uint32_t i = 0; i < p->count; i++) {
        struct product *a = &p->list[i], *b = NULL;
        for (uint32_t k = i + 1; k < p->count && !a->fused && !b; k++) {
            struct product *o = &p->list[k];
            if (!o->fused && o->type == a->type && same_operands(a->first, o->first, RIGHT, SUM) &&
                    may_wait(a, o))
                b = o;
        }
        if (!a->fused)
            build(p, a, b);
    }
    for (uint32_t i = 0; i < p->count; i++) {
        LLVMInstructionEraseFromParent(p->list[i].second);
        LLVMInstructionEraseFromParent(p->list[i].first);
    }
}

int nvptx_matrices(struct codegen *g)
{
    struct products *p = calloc(1, sizeof *p);
    if (!p)
        return -ENOMEM;
    p->g = g;
    p->half = LLVMHalfTypeInContext(g->context);
    p->bfloat = LLVMBFloatTypeInContext(g->context);
    for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(g->kernel); b; b = LLVMGetNextBasicBlock(b))
        visit_block(p, b);
    free(p);
    g->matrix_rows = !g->matrix_elements;
    return codegen_expand_matrices(g, g->kernel);
}
