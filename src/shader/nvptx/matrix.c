/* shader: products of 8x8 matrices on NVIDIA's tensor cores. Compiler process; the function is the
 * guest's.
 *
 * Products of halves or of bfloats become mma.sync, which multiplies 16x8 by 8x8 and sums in float;
 * two that share their right matrix become one. Of floats the tensor cores take 11 bits. So a float
 * is the sum of three numbers that they take whole, exactly, and a product of matrices of floats is
 * six of mma.sync: what is left out is less than 2^-32 of a product. Under fast math two numbers
 * and three of mma.sync do, and 2^-22 is left out. The cores cut off where they sum up: they do so
 * over 8 products, and floats are added up outside. Then the sum is as near to the true one as a
 * chain of fused multiply-adds (docs/cuda.md).
 *
 * A lane of mma.sync holds two neighbours of a row: row lane / 4, columns 2 * (lane % 4) and the
 * next, of the left matrix and of the sums; of the right one the same of its transpose. (Of floats
 * it is columns lane % 4 and that + 4 of the left one: which of the eight products comes first is
 * the same to the sum.) Where a program looks at its matrices' elements they have to lie as Apple's
 * do: lanes are renamed then (lanes.h), and nothing needs to be exchanged.
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
    LLVMTypeRef type;           /* half, bfloat or float */
    bool fused;
};

/* A right matrix's two elements, and what the product takes instead: one of halves, two of floats.
 */
struct turned {
    LLVMValueRef first, second, as[2];
};

struct products {
    struct codegen *g;
    LLVMTypeRef half, bfloat, single;
    struct product list[MAX_PRODUCTS];
    uint32_t count;
    struct turned turned[MAX_PRODUCTS]; /* of the block */
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
                                                       : p->single;
        LLVMValueRef second = second_of(in);
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

/* Two operands from `at` on, as a register. */
static LLVMValueRef pack(struct codegen *g, const struct product *p, unsigned at)
{
    LLVMValueRef pair = LLVMGetUndef(LLVMVectorType(p->type, 2));
    for (unsigned i = 0; i < 2; i++)
        pair = LLVMBuildInsertElement(g->builder, pair,
                narrow_of(LLVMGetOperand(p->first, at + i), p->type), codegen_i32(g, i), "");
    return LLVMBuildBitCast(g->builder, pair, g->i32, "");
}

static LLVMValueRef call_asm(struct codegen *g, LLVMTypeRef result, LLVMValueRef *a, unsigned count,
        const char *text, const char *constraints)
{
    LLVMTypeRef types[12];
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

/* Both are loads, of the two elements of one matrix. */
static bool is_pair(LLVMValueRef first, LLVMValueRef second)
{
    return LLVMGetNextInstruction(first) == second && same_operands(first, second, 0, 2) &&
           !(codegen_matrix_flags(first) & ABX_MATRIX_E1) &&
           (codegen_matrix_flags(first) | ABX_MATRIX_E1) == codegen_matrix_flags(second);
}

/* Loads of more matrices that follow `load`, each the same number of bytes behind the one before:
 * how many there are together, 4, or it is alone. `list` gets them. */
static uint32_t find_row_of_loads(
        struct codegen *g, LLVMValueRef load, LLVMValueRef list[TOGETHER], int64_t *distance)
{
    int64_t last, at;
    LLVMValueRef in = load, base = nvptx_base_of(g, LLVMGetOperand(load, 0), &last);
    uint32_t count = 0;
    list[count++] = load;
    while (count < TOGETHER && (in = LLVMGetNextInstruction(in)) &&
            !nvptx_may_write(g, in, NVPTX_SHARED_SPACE)) {
        if (!is_half_load(in) || !is_pair(in, LLVMGetNextInstruction(in)))
            continue;
        if (LLVMTypeOf(in) != LLVMTypeOf(load) ||
                LLVMGetOperand(in, 1) != LLVMGetOperand(load, 1) ||
                codegen_matrix_flags(in) != codegen_matrix_flags(load) ||
                nvptx_base_of(g, LLVMGetOperand(in, 0), &at) != base ||
                (count > 1 && at - last != *distance))
            break;
        *distance = at - last;
        last = at;
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
    /* The hardware's lane, as it counts for ldmatrix. */
    LLVMValueRef lane =
            codegen_call_intrinsic(g, "llvm.nvvm.read.ptx.sreg.tid.x", NULL, 0, NULL, 0);
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
    LLVMAddCallSiteAttribute(loaded, LLVMAttributeFunctionIndex,
            LLVMCreateEnumAttribute(
                    g->context, LLVMGetEnumAttributeKindForName("memory", 6), NVPTX_MEMORY_READS));
    return loaded;
}

static void load_row_of(struct products *p, LLVMValueRef load)
{
    struct codegen *g = p->g;
    LLVMValueRef list[TOGETHER];
    int64_t distance = 0;
    uint32_t count = find_row_of_loads(g, load, list, &distance);
    if (p->turned_count + count > MAX_PRODUCTS)
        return;
    LLVMValueRef loaded = load_turned(g, load, count, distance);
    for (uint32_t i = 0; i < count; i++) {
        LLVMValueRef word = count > 1 ? LLVMBuildExtractValue(g->builder, loaded, i, "") : loaded;
        p->turned[p->turned_count++] =
                (struct turned){list[i], LLVMGetNextInstruction(list[i]), {word}};
    }
}

static const struct turned *find_turned(
        const struct products *p, LLVMValueRef first, LLVMValueRef second)
{
    for (uint32_t i = 0; i < p->turned_count; i++)
        if (p->turned[i].first == first && p->turned[i].second == second)
            return &p->turned[i];
    return NULL;
}

/* The right matrix of `one` as mma.sync wants it; NULL: it is no load that can give it so. */
static LLVMValueRef turned(struct products *p, const struct product *one)
{
    LLVMValueRef first = narrow_of(LLVMGetOperand(one->first, RIGHT), one->type);
    LLVMValueRef second = narrow_of(LLVMGetOperand(one->first, RIGHT + 1), one->type);
    if (!is_half_load(first) || !is_half_load(second) || !is_pair(first, second) ||
            !has_whole_rows(first))
        return NULL;
    if (!find_turned(p, first, second))
        load_row_of(p, first);
    const struct turned *t = find_turned(p, first, second);
    return t ? t->as[0] : NULL;
}

static LLVMValueRef sum_of(struct codegen *g, const struct product *p, unsigned i)
{
    LLVMTypeRef type = LLVMFloatTypeInContext(g->context);
    return p ? LLVMGetOperand(p->first, SUM + i) : LLVMConstNull(type);
}

static void replace(struct codegen *g, const struct product *p, LLVMValueRef sums, unsigned at)
{
    if (!p)
        return;
    for (unsigned i = 0; i < 2; i++)
        LLVMReplaceAllUsesWith(
                i ? p->second : p->first, LLVMBuildExtractValue(g->builder, sums, at + i, ""));
}

static LLVMTypeRef four_floats(struct codegen *g)
{
    LLVMTypeRef f = LLVMFloatTypeInContext(g->context), types[4] = {f, f, f, f};
    return LLVMStructTypeInContext(g->context, types, 4, 0);
}

static LLVMValueRef multiply_halves(struct products *p, struct product *a, struct product *b)
{
    static const char half[] = "mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 "
                               "{$0,$1,$2,$3}, {$4,$5}, {$6}, {$7,$8,$9,$10};",
                      bfloat[] = "mma.sync.aligned.m16n8k8.row.col.f32.bf16.bf16.f32 "
                                 "{$0,$1,$2,$3}, {$4,$5}, {$6}, {$7,$8,$9,$10};";
    struct codegen *g = p->g;
    LLVMValueRef right = turned(p, a);
    LLVMPositionBuilderBefore(g->builder, b ? b->first : a->first);
    LLVMValueRef v[7] = {pack(g, a, LEFT), b ? pack(g, b, LEFT) : codegen_i32(g, 0),
            right ? right : transpose(g, pack(g, a, RIGHT)), sum_of(g, a, 0), sum_of(g, a, 1),
            sum_of(g, b, 0), sum_of(g, b, 1)};
    return call_asm(g, four_floats(g), v, 7, a->type == p->half ? half : bfloat,
            "=f,=f,=f,=f,r,r,r,f,f,f,f");
}

/* ---- floats */

/* A float as the sum of numbers that the tensor cores take whole, the largest first: 32 bits each,
 * constants where they are 0. */
struct split {
    LLVMValueRef part[3];
    /* The first, or 0 where it is infinite or no number: what the other matrix's others are times.
     */
    LLVMValueRef finite;
};

/* Which parts of the left and of the right matrix are multiplied, the smallest products first. */
static const struct term {
    uint8_t left, right;
} exact_terms[] = {{2, 0}, {0, 2}, {1, 1}, {1, 0}, {0, 1}, {0, 0}},
  fast_terms[] = {{1, 0}, {0, 1}, {0, 0}};

/* Under fast math. */
static bool is_fast(LLVMValueRef in)
{
    return LLVMCanValueUseFastMathFlags(in) &&
           (LLVMGetFastMathFlags(in) & LLVMFastMathAllowReassoc);
}

/* The upper bits of a float, rounded or cut off. */
static LLVMValueRef upper(struct codegen *g, LLVMValueRef v, bool fast)
{
    if (!fast)
        return LLVMBuildAnd(g->builder, LLVMBuildBitCast(g->builder, v, g->i32, ""),
                codegen_i32(g, 0xffffe000), "");
    LLVMTypeRef single = LLVMTypeOf(v), type = LLVMFunctionType(g->i32, &single, 1, 0);
    LLVMValueRef f = codegen_declare(g, "llvm.nvvm.f2tf32.rna", type);
    return LLVMBuildCall2(g->builder, type, f, &v, 1, "");
}

static struct split split(struct codegen *g, LLVMValueRef v, bool fast)
{
    LLVMBuilderRef b = g->builder;
    LLVMTypeRef single = LLVMTypeOf(v);
    LLVMValueRef zero = codegen_i32(g, 0);
    if (LLVMIsAFPExtInst(v) || (LLVMIsConstant(v) && LLVMIsNull(v))) {
        LLVMValueRef whole = LLVMBuildBitCast(b, v, g->i32, "");
        return (struct split){{whole, zero, zero}, whole};
    }
    struct split s = {.part = {upper(g, v, fast), zero, zero}};
    LLVMValueRef size = LLVMBuildAnd(b, s.part[0], codegen_i32(g, 0x7fffffff), "");
    LLVMValueRef finite = LLVMBuildICmp(b, LLVMIntULT, size, codegen_i32(g, 0x7f800000), "finite");
    s.finite = LLVMBuildSelect(b, finite, s.part[0], zero, "");
    LLVMValueRef rest = LLVMBuildFSub(b, v, LLVMBuildBitCast(b, s.part[0], single, ""), "");
    rest = LLVMBuildSelect(b, finite, rest, LLVMConstNull(single), "");
    s.part[1] = upper(g, rest, fast);
    if (!fast) {
        rest = LLVMBuildFSub(b, rest, LLVMBuildBitCast(b, s.part[1], single, ""), "");
        s.part[2] = LLVMBuildBitCast(b, rest, g->i32, "");
    }
    return s;
}

/* Of a matrix that is loaded: the load of its transpose, which takes no longer. */
static LLVMValueRef load_element(struct codegen *g, LLVMValueRef load)
{
    LLVMValueRef other = LLVMInstructionClone(load);
    unsigned flags = (unsigned)LLVMConstIntGetZExtValue(LLVMGetOperand(load, 2));
    LLVMSetOperand(other, 2, codegen_i32(g, flags ^ ABX_MATRIX_TRANSPOSE));
    LLVMPositionBuilderBefore(g->builder, load);
    LLVMInsertIntoBuilder(g->builder, other);
    return other;
}

static bool is_float_load(LLVMValueRef first, LLVMValueRef second)
{
    return codegen_is_call(first, "__abx_matrix_load_f32") &&
           codegen_is_call(second, "__abx_matrix_load_f32") && is_pair(first, second);
}

/* Both elements of the right matrix's transpose. `one` is the block's first product with it. */
static void turn_floats(struct products *p, const struct product *one, LLVMValueRef v[2])
{
    LLVMValueRef first = LLVMGetOperand(one->first, RIGHT);
    LLVMValueRef second = LLVMGetOperand(one->first, RIGHT + 1);
    const struct turned *t = find_turned(p, first, second);
    if (t) {
        memcpy(v, t->as, sizeof t->as);
        return;
    }
    if (is_float_load(first, second)) {
        v[0] = load_element(p->g, first);
        v[1] = load_element(p->g, second);
    } else {
        LLVMPositionBuilderBefore(p->g->builder, one->first);
        codegen_turn_matrix(p->g, (LLVMValueRef[]){first, second}, v);
    }
    if (p->turned_count < MAX_PRODUCTS)
        p->turned[p->turned_count++] = (struct turned){first, second, {v[0], v[1]}};
}

/* One part of each, which is times part `other` of the other matrix. */
static bool take(
        const struct split *s, unsigned count, unsigned which, unsigned other, LLVMValueRef *ret)
{
    bool some = false;
    for (unsigned i = 0; i < count; i++) {
        ret[i] = which == 0 && other ? s[i].finite : s[i].part[which];
        some |= !LLVMIsConstant(ret[i]);
    }
    return some;
}

static LLVMValueRef multiply_parts(struct codegen *g, const struct split left[4],
        const struct split right[2], struct term t, LLVMValueRef sums)
{
    static const char text[] = "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 "
                               "{$0,$1,$2,$3}, {$4,$5,$6,$7}, {$8,$9}, {$10,$11,$12,$13};";
    LLVMValueRef v[10];
    if (!take(left, 4, t.left, t.right, v) || !take(right, 2, t.right, t.left, v + 4))
        return sums;
    for (unsigned i = 0; i < 4; i++)
        v[6 + i] = sums ? LLVMBuildExtractValue(g->builder, sums, i, "")
                        : LLVMConstNull(LLVMFloatTypeInContext(g->context));
    return call_asm(g, four_floats(g), v, 10, text, "=f,=f,=f,=f,r,r,r,r,r,r,f,f,f,f");
}

static LLVMValueRef multiply_floats(struct products *p, struct product *a, struct product *b)
{
    struct codegen *g = p->g;
    bool fast = is_fast(a->first);
    const struct term *terms = fast ? fast_terms : exact_terms;
    size_t count = fast ? ABX_ARRAY_SIZE(fast_terms) : ABX_ARRAY_SIZE(exact_terms);
    LLVMValueRef turned[2], zero = LLVMConstNull(p->single), sums = NULL;
    LLVMValueRef at = b ? b->first : a->first;
    turn_floats(p, a, turned);
    LLVMPositionBuilderBefore(g->builder, at);
    struct split left[4], right[2];
    for (unsigned i = 0; i < 2; i++) {
        left[2 * i] = split(g, LLVMGetOperand(a->first, LEFT + i), fast);
        left[2 * i + 1] = split(g, b ? LLVMGetOperand(b->first, LEFT + i) : zero, fast);
        right[i] = split(g, turned[i], fast);
    }
    for (size_t i = 0; i < count; i++)
        sums = multiply_parts(g, left, right, terms[i], sums);
    if (!sums)
        sums = LLVMConstNull(four_floats(g));
    for (unsigned i = 0; i < 4; i++) {
        LLVMValueRef sum = LLVMBuildFAdd(g->builder, LLVMBuildExtractValue(g->builder, sums, i, ""),
                sum_of(g, i < 2 ? a : b, i % 2), "");
        sums = LLVMBuildInsertValue(g->builder, sums, sum, i, "");
    }
    return sums;
}

/* At the second one's place; `b` may be NULL. */
static void build(struct products *p, struct product *a, struct product *b)
{
    LLVMValueRef sums = a->type == p->single ? multiply_floats(p, a, b) : multiply_halves(p, a, b);
    replace(p->g, a, sums, 0);
    replace(p->g, b, sums, 2);
    a->fused = true;
    if (b)
        b->fused = true;
    p->g->matrix_products = true;
}

static bool uses(LLVMValueRef in, LLVMValueRef value)
{
    for (int i = 0; i < LLVMGetNumOperands(in); i++)
        if (LLVMGetOperand(in, (unsigned)i) == value)
            return true;
    return false;
}

static void move_behind(struct codegen *g, LLVMValueRef in, LLVMValueRef place)
{
    LLVMInstructionRemoveFromParent(in);
    LLVMPositionBuilderBefore(g->builder, LLVMGetNextInstruction(place));
    LLVMInsertIntoBuilder(g->builder, in);
}

/* Whether nothing from the one's place up to the other's uses what the first gives; what only puts
 * it into a vector there goes behind the other, then. */
static bool may_wait(struct codegen *g, const struct product *a, const struct product *b)
{
    LLVMValueRef later[4];
    unsigned count = 0;
    for (LLVMValueRef in = LLVMGetNextInstruction(a->first); in != b->second;
            in = LLVMGetNextInstruction(in)) {
        bool depends = uses(in, a->first) || uses(in, a->second);
        for (unsigned i = 0; i < count; i++)
            depends |= uses(in, later[i]);
        if (depends && (!LLVMIsAInsertElementInst(in) || count == ABX_ARRAY_SIZE(later)))
            return false;
        if (depends)
            later[count++] = in;
    }
    for (unsigned i = 0; i < count; i++)
        move_behind(g, later[i], i ? later[i - 1] : b->second);
    return true;
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
                    may_wait(p->g, a, o))
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

/* Whether all matrices of threadgroup memory whose size the program says when it dispatches are of
 * 16 bit and lie as tiles of 128 bytes. */
static bool are_tiles(LLVMValueRef kernel)
{
    bool some = false;
    for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(kernel); b; b = LLVMGetNextBasicBlock(b))
        for (LLVMValueRef in = LLVMGetFirstInstruction(b); in; in = LLVMGetNextInstruction(in)) {
            const char *name = codegen_callee(in);
            if (!name || strncmp(name, "__abx_matrix_load_", 18) ||
                    !nvptx_is_threadgroup_argument(LLVMGetOperand(in, 0)))
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
    g->matrix_rows = !g->matrix_elements;
    g->matrix_tiles = are_tiles(g->kernel);
    struct products *p = calloc(1, sizeof *p);
    if (!p)
        return -ENOMEM;
    p->g = g;
    p->half = LLVMHalfTypeInContext(g->context);
    p->bfloat = LLVMBFloatTypeInContext(g->context);
    p->single = LLVMFloatTypeInContext(g->context);
    for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(g->kernel); b; b = LLVMGetNextBasicBlock(b))
        visit_block(p, b);
    free(p);
    return codegen_expand_matrices(g, g->kernel);
}
