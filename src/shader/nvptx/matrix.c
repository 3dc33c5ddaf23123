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
 * product.
 *
 * What is loaded from threadgroup memory to be a right matrix is transposed on the way (ldmatrix),
 * where its rows are known to begin at multiples of 16 bytes. */
#include "shader/nvptx/nvptx.h"
#include "shader/nvptx/banks.h"

#include <stdlib.h>
#include <string.h>

#define MAX_PRODUCTS 512u /* of a block, that are looked at together */
#define ROW_BYTES 16u     /* of eight halves */
#define TOGETHER 4u       /* matrices that one ldmatrix loads */

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
    struct {
        LLVMValueRef load, word;
    } turned[MAX_PRODUCTS]; /* of the block: right matrices that are loaded as such */
    uint32_t turned_count;
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

/* ---- right matrices, loaded as such */

static bool is_half_load(LLVMValueRef in)
{
    return codegen_is_call(in, "__abx_matrix_load_f16") ||
           codegen_is_call(in, "__abx_matrix_load_bf16");
}

/* Whether the marker's matrix lies in threadgroup memory, in rows that begin at multiples of 16. */
static bool has_whole_rows(LLVMValueRef load)
{
    return nvptx_multiple(LLVMGetOperand(load, 0)) >= ROW_BYTES &&
           nvptx_multiple(LLVMGetOperand(load, 1)) >= ROW_BYTES / 2 &&
           nvptx_is_threadgroup(LLVMGetOperand(load, 0));
}

/* Both elements are one load's. */
static bool is_pair(LLVMValueRef first, LLVMValueRef second)
{
    return is_half_load(first) && second && is_half_load(second) &&
           LLVMGetNextInstruction(first) == second && same_operands(first, second, 0, 2) &&
           !(codegen_matrix_flags(first) & ABX_MATRIX_E1) &&
           (codegen_matrix_flags(first) | ABX_MATRIX_E1) == codegen_matrix_flags(second);
}

/* Loads of more matrices that follow `load`, each the same number of bytes behind the one before:
 * how many there are together, 4, or it is alone. `list` gets them. */
static uint32_t find_row_of_loads(LLVMValueRef load, LLVMValueRef list[TOGETHER], int64_t *distance)
{
    uint32_t count = 0;
    list[count++] = load;
    LLVMValueRef in = load;
    while (count < TOGETHER && (in = LLVMGetNextInstruction(in)) && !nvptx_writes(in)) {
        int64_t bytes;
        if (!is_pair(in, LLVMGetNextInstruction(in)))
            continue;
        if (LLVMTypeOf(in) != LLVMTypeOf(load) ||
                LLVMGetOperand(in, 1) != LLVMGetOperand(load, 1) ||
                codegen_matrix_flags(in) != codegen_matrix_flags(load) ||
                !nvptx_distance(list[count - 1], in, &bytes) || (count > 1 && bytes != *distance))
            break;
        *distance = bytes;
        list[count++] = in;
    }
    return count == TOGETHER ? count : 1;
}

/* Each eight lanes say where the rows of a matrix begin. */
static LLVMValueRef load_turned(
        struct codegen *g, LLVMValueRef load, uint32_t count, int64_t distance)
{
    LLVMBuilderRef b = g->builder;
    LLVMPositionBuilderBefore(b, load);
    LLVMTypeRef one = LLVMFunctionType(g->i32, &g->i32, 1, 0);
    LLVMValueRef which = codegen_i32(g, ABX_BUILTIN_LANE * 4);
    LLVMValueRef lane =
            LLVMBuildCall2(b, one, codegen_declare(g, "__abx_builtin", one), &which, 1, "lane");
    LLVMValueRef row = LLVMBuildZExt(b, bits(g, lane, 7, 0), g->i64, "");
    row = LLVMBuildMul(b, row, LLVMGetOperand(load, 1), "");
    LLVMValueRef at = LLVMBuildGEP2(b, LLVMTypeOf(load), LLVMGetOperand(load, 0), &row, 1, "");
    if (count > 1) {
        LLVMValueRef matrix = LLVMBuildZExt(b, bits(g, lane, 24, -3), g->i64, "");
        matrix = LLVMBuildMul(b, matrix, LLVMConstInt(g->i64, (uint64_t)distance, 1), "");
        at = LLVMBuildGEP2(b, g->i8, at, &matrix, 1, "");
    }
    LLVMTypeRef shared = LLVMPointerTypeInContext(g->context, NVPTX_SHARED_SPACE);
    at = LLVMBuildPtrToInt(b, LLVMBuildAddrSpaceCast(b, at, shared, ""), g->i64, "");
    bool turn = !(codegen_matrix_flags(load) & ABX_MATRIX_TRANSPOSE);
    static const char *const text[2][2] = {
            {"ldmatrix.sync.aligned.m8n8.x1.shared.b16 {$0}, [$1];",
                    "ldmatrix.sync.aligned.m8n8.x1.trans.shared.b16 {$0}, [$1];"},
            {"ldmatrix.sync.aligned.m8n8.x4.shared.b16 {$0,$1,$2,$3}, [$4];",
                    "ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {$0,$1,$2,$3}, [$4];"}};
    LLVMTypeRef words[TOGETHER] = {g->i32, g->i32, g->i32, g->i32};
    LLVMTypeRef type = count > 1 ? LLVMStructTypeInContext(g->context, words, TOGETHER, 0) : g->i32;
    LLVMValueRef loaded =
            call_asm(g, type, &at, 1, text[count > 1][turn], count > 1 ? "=r,=r,=r,=r,l" : "=r,l");
    enum { READS = 21 }; /* "memory": one bit for each of three kinds */
    LLVMAddCallSiteAttribute(loaded, LLVMAttributeFunctionIndex,
            LLVMCreateEnumAttribute(
                    g->context, LLVMGetEnumAttributeKindForName("memory", 6), READS));
    return loaded;
}

static void load_row_of(struct products *p, LLVMValueRef load)
{
    struct codegen *g = p->g;
    LLVMValueRef list[TOGETHER];
    int64_t distance = 0;
    uint32_t count = find_row_of_loads(load, list, &distance);
    if (p->turned_count + count > MAX_PRODUCTS)
        return;
    LLVMValueRef loaded = load_turned(g, load, count, distance);
    for (uint32_t i = 0; i < count; i++) {
        p->turned[p->turned_count].load = list[i];
        p->turned[p->turned_count++].word =
                count > 1 ? LLVMBuildExtractValue(g->builder, loaded, i, "") : loaded;
    }
}

static LLVMValueRef find_turned(const struct products *p, LLVMValueRef load)
{
    for (uint32_t i = 0; i < p->turned_count; i++)
        if (p->turned[i].load == load)
            return p->turned[i].word;
    return NULL;
}

/* The right matrix of `one` as mma.sync wants it; NULL: it is no load that can give it so. */
static LLVMValueRef turned(struct products *p, const struct product *one)
{
    LLVMValueRef first = narrow_of(LLVMGetOperand(one->first, RIGHT), one->type);
    LLVMValueRef second = narrow_of(LLVMGetOperand(one->first, RIGHT + 1), one->type);
    if (p->g->matrix_elements || !is_pair(first, second) || !has_whole_rows(first))
        return NULL;
    if (!find_turned(p, first))
        load_row_of(p, first);
    return find_turned(p, first);
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
    LLVMValueRef right = turned(p, a);
    LLVMPositionBuilderBefore(g->builder, b ? b->first : a->first);
    LLVMValueRef v[7] = {pack(g, a, LEFT), b ? pack(g, b, LEFT) : codegen_i32(g, 0),
            right ? right : transpose(g, pack(g, a, RIGHT)), sum_of(g, a, 0), sum_of(g, a, 1),
            sum_of(g, b, 0), sum_of(g, b, 1)};
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
    p->turned_count = 0;
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

/* Whether all matrices of threadgroup memory are of 16 bit and lie as tiles of 128 bytes. */
static bool are_tiles(LLVMValueRef kernel)
{
    bool some = false;
    for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(kernel); b; b = LLVMGetNextBasicBlock(b))
        for (LLVMValueRef in = LLVMGetFirstInstruction(b); in; in = LLVMGetNextInstruction(in)) {
            const char *name = codegen_callee(in);
            if (!name || strncmp(name, "__abx_matrix_load_", 18) ||
                    !nvptx_is_threadgroup(LLVMGetOperand(in, 0)))
                continue;
            LLVMValueRef per_row = LLVMGetOperand(in, 1);
            if (!is_half_load(in) || !has_whole_rows(in) || !LLVMIsAConstantInt(per_row) ||
                    LLVMConstIntGetZExtValue(per_row) != 8)
                return false;
            some = true;
        }
    return some;
}

int nvptx_matrices(struct codegen *g)
{
    g->matrix_tiles = are_tiles(g->kernel);
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
