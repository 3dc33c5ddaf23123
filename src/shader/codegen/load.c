/* shader: from a library blob to a module that holds one kernel, inlined into one function, its
 * function constants set, and free of what must not reach machine code: traps on integer division,
 * loops that are assumed to end, attributes made for another CPU. Compiler process; hostile input.
 */
#include "shader/codegen/target.h"
#include "shader/abi/names.h"

#include <llvm-c/BitReader.h>
#include <llvm-c/Comdat.h>
#include <llvm-c/DebugInfo.h>
#include <stdlib.h>
#include <string.h>

static const struct abx_shader_constant *find_constant(
        const struct abx_shader_constant *constants, uint32_t count, uint32_t index)
{
    for (uint32_t i = 0; i < count; i++)
        if (constants[i].index == index)
            return &constants[i];
    return NULL;
}

/* Replaces an external global by a constant of the same bytes. */
static void define_constant(
        struct codegen *g, LLVMValueRef global, const uint8_t *value, size_t value_bytes)
{
    LLVMTypeRef type = LLVMGlobalGetValueType(global);
    uint64_t bytes = LLVMABISizeOfType(g->layout, type);
    char data[64] = {0};
    if (bytes > sizeof data)
        bytes = sizeof data;
    memcpy(data, value, value_bytes < bytes ? value_bytes : bytes);
    LLVMValueRef init = LLVMConstStringInContext2(g->context, data, bytes, 1);
    LLVMValueRef fixed = LLVMAddGlobal(g->module, LLVMTypeOf(init), "constant");
    LLVMSetInitializer(fixed, init);
    LLVMSetLinkage(fixed, LLVMInternalLinkage);
    LLVMSetGlobalConstant(fixed, 1);
    LLVMSetAlignment(fixed, LLVMABIAlignmentOfType(g->layout, type));
    LLVMReplaceAllUsesWith(global, fixed);
    LLVMDeleteGlobal(global);
}

int codegen_set_constants(struct codegen *g, const struct abx_reflection *r,
        const struct abx_shader_constant *constants, uint32_t count)
{
    const struct abx_reflection_constant *c = abx_reflection_constants(r);
    for (uint32_t i = 0; i < r->constant_count; i++) {
        const struct abx_shader_constant *given = find_constant(constants, count, c[i].index);
        uint8_t one = given != NULL;
        uint8_t zero[16] = {0};
        LLVMValueRef defined =
                LLVMGetNamedGlobal(g->module, abx_reflection_string(r, c[i].defined_symbol));
        if (defined)
            define_constant(g, defined, &one, 1);
        LLVMValueRef global = LLVMGetNamedGlobal(g->module, abx_reflection_string(r, c[i].symbol));
        if (!global)
            continue;
        /* Unused ones were removed by globaldce before this. Of a function that was specialised,
         * what was not given counts as 0: clients rely on it (ggml's accumulation). */
        if (!count && c[i].required)
            return codegen_fail(g, -EINVAL, "function constant '%s' (index %u) is not set",
                    abx_reflection_string(r, c[i].name), c[i].index);
        define_constant(g, global, given ? given->value : zero,
                c[i].size <= sizeof zero ? c[i].size : sizeof zero);
    }
    return 0;
}

static void clean_function(struct codegen *g, LLVMValueRef f)
{
    static const char *const made_for_another_cpu[] = {"target-cpu", "target-features", "tune-cpu",
            "min-legal-vector-width", "probe-stack", "stack-protector-buffer-size"};
    static const char *const unwanted[] = {
            "mustprogress", "noinline", "optnone", "willreturn", "ssp", "sspstrong", "sspreq"};
    for (size_t i = 0; i < ABX_ARRAY_SIZE(made_for_another_cpu); i++)
        LLVMRemoveStringAttributeAtIndex(f, LLVMAttributeFunctionIndex, made_for_another_cpu[i],
                strlen(made_for_another_cpu[i]));
    if (LLVMIsDeclaration(f))
        return;
    for (size_t i = 0; i < ABX_ARRAY_SIZE(unwanted); i++)
        codegen_remove_attribute(f, unwanted[i]);
}

#define PROGRESS "llvm.loop.mustprogress"
#define UNROLL "llvm.loop.unroll.full"

/* A loop's metadata says so. */
static bool is_said(LLVMValueRef loop, const char *what)
{
    unsigned count = LLVMGetMDNodeNumOperands(loop);
    LLVMValueRef operands[16];
    if (count > ABX_ARRAY_SIZE(operands))
        return strcmp(what, PROGRESS) == 0;
    LLVMGetMDNodeOperands(loop, operands);
    for (unsigned i = 1; i < count; i++) {
        if (!operands[i] || !LLVMIsAMDNode(operands[i]) || !LLVMGetMDNodeNumOperands(operands[i]))
            continue;
        LLVMValueRef inner[16];
        if (LLVMGetMDNodeNumOperands(operands[i]) > ABX_ARRAY_SIZE(inner))
            continue;
        LLVMGetMDNodeOperands(operands[i], inner);
        unsigned length;
        const char *s = inner[0] ? LLVMGetMDString(inner[0], &length) : NULL;
        if (s && length == strlen(what) && !memcmp(s, what, length))
            return true;
    }
    return false;
}

static LLVMValueRef unroll_hint(struct codegen *g)
{
    LLVMMetadataRef full = LLVMMDStringInContext2(g->context, UNROLL, sizeof UNROLL - 1);
    LLVMMetadataRef self = LLVMTemporaryMDNode(g->context, NULL, 0);
    LLVMMetadataRef wish[2] = {self, LLVMMDNodeInContext2(g->context, &full, 1)};
    LLVMMetadataRef id = LLVMMDNodeInContext2(g->context, wish, 2);
    LLVMMetadataReplaceAllUsesWith(self, id);
    return LLVMMetadataAsValue(g->context, id);
}

/* A kernel that loops for ever must do so, not be turned into something else: what promises that
 * loops end, as C++'s do, goes, and with it the program's hints; but on a GPU, where loads of turns
 * that are unrolled are under way together, the wish for that stays (nvptx/turns.cc bounds it). */
static void clean_loop(struct codegen *g, LLVMValueRef branch, unsigned kind)
{
    LLVMValueRef md = LLVMGetMetadata(branch, kind);
    if (!md || !is_said(md, PROGRESS))
        return;
    bool unrolls = g->target->id == ABX_TARGET_NVPTX && is_said(md, UNROLL);
    LLVMSetMetadata(branch, kind, unrolls ? unroll_hint(g) : NULL);
}

/* Integer division: a zero divisor traps on CPUs and not on GPUs, and so does the lowest number by
 * -1. Both divisors become 1 here: what is divided by 0 stays as it is (Metal leaves the result
 * undefined), and by -1 is negated. The divisor is frozen, for signed numbers that overflow are
 * anything to LLVM: it holds the product of two that are not 0 for not 0, whatever it is, and would
 * leave the question out. The dividend is not asked about, and not frozen: it is often an index,
 * which LLVM understands better as it was. */
static void soften_division(struct codegen *g, LLVMValueRef in)
{
    LLVMOpcode op = LLVMGetInstructionOpcode(in);
    LLVMValueRef a = LLVMGetOperand(in, 0), d = LLVMGetOperand(in, 1);
    LLVMTypeRef type = LLVMTypeOf(d);
    bool is_signed = op == LLVMSDiv || op == LLVMSRem;
    if (LLVMIsAConstantInt(d) && LLVMConstIntGetZExtValue(d) != 0 &&
            (!is_signed || LLVMConstIntGetSExtValue(d) != -1))
        return;
    LLVMBuilderRef b = g->builder;
    LLVMPositionBuilderBefore(b, in);
    if (!LLVMIsAConstant(d))
        d = LLVMBuildFreeze(b, d, "");
    LLVMValueRef one = codegen_all_int(g, type, 1), minus = LLVMConstAllOnes(type);
    LLVMValueRef bad = LLVMBuildICmp(b, LLVMIntEQ, d, LLVMConstNull(type), "");
    LLVMValueRef negate = is_signed ? LLVMBuildICmp(b, LLVMIntEQ, d, minus, "") : NULL;
    if (negate)
        bad = LLVMBuildOr(b, bad, negate, "");
    LLVMValueRef q = LLVMBuildBinOp(b, op, a, LLVMBuildSelect(b, bad, one, d, ""), "");
    if (op == LLVMSDiv)
        q = LLVMBuildSelect(b, negate, LLVMBuildNeg(b, a, ""), q, "");
    LLVMReplaceAllUsesWith(in, q);
    LLVMInstructionEraseFromParent(in);
}

/* Metal shifts by the amount modulo the width. */
static void mask_shift(struct codegen *g, LLVMValueRef in)
{
    LLVMValueRef amount = LLVMGetOperand(in, 1);
    LLVMTypeRef type = LLVMTypeOf(amount);
    if (LLVMIsAConstant(amount) && !LLVMIsAConstantExpr(amount) &&
            LLVMGetTypeKind(type) != LLVMIntegerTypeKind)
        return;
    bool vector = LLVMGetTypeKind(type) == LLVMVectorTypeKind;
    unsigned bits = LLVMGetIntTypeWidth(vector ? LLVMGetElementType(type) : type);
    if (bits & (bits - 1))
        return;
    if (LLVMIsAConstantInt(amount) && LLVMConstIntGetZExtValue(amount) < bits)
        return;
    LLVMPositionBuilderBefore(g->builder, in);
    LLVMSetOperand(in, 1, LLVMBuildAnd(g->builder, amount, codegen_all_int(g, type, bits - 1), ""));
}

/* Whether it is a conversion to long. */
static bool makes_long(LLVMValueRef call)
{
    static const char start[] = "llvm.fptosi.sat.";
    LLVMTypeRef to = LLVMTypeOf(call);
    LLVMValueRef callee = LLVMGetCalledValue(call);
    size_t length = 0;
    const char *name = callee ? LLVMGetValueName2(callee, &length) : "";
    if (LLVMGetTypeKind(to) == LLVMVectorTypeKind)
        to = LLVMGetElementType(to);
    return length > sizeof start - 1 && !memcmp(name, start, sizeof start - 1) &&
           LLVMGetTypeKind(to) == LLVMIntegerTypeKind && LLVMGetIntTypeWidth(to) == 64;
}

/* long alone does not take the nearest number but, on Apple's GPUs, what is left modulo 2^64; 0 of
 * the infinities. What is in range is the call's: 24 bits of `x`, shifted, are the rest. */
static void wrap_long(struct codegen *g, LLVMValueRef call)
{
    LLVMBuilderRef b = g->builder;
    LLVMTypeRef to = LLVMTypeOf(call);
    LLVMTypeRef word = codegen_shaped_as(to, LLVMInt32TypeInContext(g->context));
    LLVMTypeRef real = codegen_shaped_as(to, LLVMFloatTypeInContext(g->context));
    LLVMPositionBuilderBefore(b, LLVMGetNextInstruction(call));
    LLVMValueRef x = LLVMBuildFPCast(b, LLVMGetOperand(call, 0), real, "");
    LLVMValueRef bits = LLVMBuildBitCast(b, x, word, "");
    LLVMValueRef exponent =
            LLVMBuildAnd(b, LLVMBuildLShr(b, bits, codegen_all_int(g, word, 23), ""),
                    codegen_all_int(g, word, 255), "");
    LLVMValueRef mantissa =
            LLVMBuildOr(b, LLVMBuildAnd(b, bits, codegen_all_int(g, word, 0x7fffff), ""),
                    codegen_all_int(g, word, 0x800000), "");
    LLVMValueRef shift =
            LLVMBuildAnd(b, LLVMBuildSub(b, exponent, codegen_all_int(g, word, 150), ""),
                    codegen_all_int(g, word, 63), "");
    LLVMValueRef rest = LLVMBuildShl(
            b, LLVMBuildZExt(b, mantissa, to, ""), LLVMBuildZExt(b, shift, to, ""), "");
    LLVMValueRef none =
            LLVMBuildICmp(b, LLVMIntUGE, exponent, codegen_all_int(g, word, 150 + 64), "");
    rest = LLVMBuildSelect(b, none, LLVMConstNull(to), rest, "");
    LLVMValueRef below = LLVMBuildICmp(b, LLVMIntSLT, bits, LLVMConstNull(word), "");
    rest = LLVMBuildSelect(b, below, LLVMBuildNeg(b, rest, ""), rest, "");
    LLVMValueRef far =
            LLVMBuildICmp(b, LLVMIntUGE, exponent, codegen_all_int(g, word, 127 + 63), "");
    LLVMValueRef result = LLVMBuildSelect(b, far, rest, LLVMGetUndef(to), "");
    LLVMReplaceAllUsesWith(call, result);
    LLVMSetOperand(result, 2, call);
}

/* Floating-point numbers out of an integer's range become the nearest that is in it, and NaN 0, as
 * on Apple's GPUs; LLVM's own conversion gives anything, another thing in each form of code. Clang
 * does this for scalars (-fno-strict-float-cast-overflow) and not for vectors. */
static void saturate(struct codegen *g, LLVMValueRef in)
{
    LLVMValueRef x = LLVMGetOperand(in, 0);
    LLVMTypeRef types[2] = {LLVMTypeOf(in), LLVMTypeOf(x)};
    const char *name =
            LLVMGetInstructionOpcode(in) == LLVMFPToSI ? "llvm.fptosi.sat" : "llvm.fptoui.sat";
    LLVMPositionBuilderBefore(g->builder, in);
    LLVMValueRef call = codegen_call_intrinsic(g, name, types, 2, &x, 1);
    LLVMReplaceAllUsesWith(in, call);
    LLVMInstructionEraseFromParent(in);
    if (makes_long(call))
        wrap_long(g, call);
}

/* The shim's arithmetic (shim/math_core.h) converts what it has clamped, or does not use. */
static bool converts_barely(LLVMValueRef function)
{
    static const char core[] = "_ZN5metal6__core";
    size_t length;
    const char *name = LLVMGetValueName2(function, &length);
    return length >= sizeof core - 1 && !memcmp(name, core, sizeof core - 1);
}

/* Pairs of two bytes each, too, where a wrong address traps: rows of an odd number of halves are
 * read by half2. Wider vectors of halves keep their four: it would take twice as many loads. */
#define PAIR_BYTES 4u
#define PAIR_ALIGNMENT 2u

/* Of the first number in a type; 0: it is none. */
static unsigned leaf_bytes(struct codegen *g, LLVMTypeRef type)
{
    for (;;)
        switch (LLVMGetTypeKind(type)) {
        case LLVMStructTypeKind:
            if (LLVMCountStructElementTypes(type) == 0)
                return 0;
            type = LLVMStructGetTypeAtIndex(type, 0);
            break;
        case LLVMArrayTypeKind:
        case LLVMVectorTypeKind:
            type = LLVMGetElementType(type);
            break;
        case LLVMHalfTypeKind:
        case LLVMBFloatTypeKind:
        case LLVMIntegerTypeKind:
        case LLVMFloatTypeKind:
            return (unsigned)LLVMABISizeOfType(g->layout, type);
        default:
            return 0;
        }
}

/* What the pointer points to is such a pair, as far as can be seen. */
static bool points_to_pair(struct codegen *g, LLVMValueRef pointer)
{
    LLVMTypeRef type = NULL;
    if (LLVMIsAAllocaInst(pointer))
        type = LLVMGetAllocatedType(pointer);
    else if (LLVMIsAGetElementPtrInst(pointer) && LLVMGetNumOperands(pointer) == 2)
        type = LLVMGetGEPSourceElementType(pointer);
    return type && LLVMTypeIsSized(type) && LLVMABISizeOfType(g->layout, type) == PAIR_BYTES &&
           leaf_bytes(g, type) == PAIR_ALIGNMENT;
}

static bool traps_on_pairs(const struct codegen *g)
{
    return g->target->id == ABX_TARGET_NVPTX;
}

static bool copies_pair(struct codegen *g, LLVMValueRef in)
{
    LLVMValueRef bytes = LLVMGetOperand(in, 2);
    return traps_on_pairs(g) && !LLVMIsAMemSetInst(in) && LLVMIsAConstantInt(bytes) &&
           LLVMConstIntGetZExtValue(bytes) == PAIR_BYTES &&
           (points_to_pair(g, LLVMGetOperand(in, 0)) || points_to_pair(g, LLVMGetOperand(in, 1)));
}

static bool moves_pair(struct codegen *g, LLVMValueRef in)
{
    LLVMTypeRef type = LLVMIsALoadInst(in) ? LLVMTypeOf(in) : LLVMTypeOf(LLVMGetOperand(in, 0));
    return traps_on_pairs(g) && LLVMGetTypeKind(type) == LLVMVectorTypeKind &&
           LLVMABISizeOfType(g->layout, type) == PAIR_BYTES &&
           leaf_bytes(g, type) == PAIR_ALIGNMENT;
}

static void relax_argument(LLVMValueRef call, unsigned argument, unsigned most)
{
    LLVMAttributeRef align = LLVMGetCallSiteEnumAttribute(
            call, argument, LLVMGetEnumAttributeKindForName("align", 5));
    if (align && LLVMGetEnumAttributeValue(align) > most)
        LLVMSetInstrParamAlignment(call, argument, most);
}

static void relax_alignment(struct codegen *g, LLVMValueRef in)
{
    if (LLVMIsAMemIntrinsic(in)) {
        unsigned pointers = LLVMIsAMemSetInst(in) ? 1 : 2;
        unsigned most = copies_pair(g, in) ? PAIR_ALIGNMENT : ABX_MEMORY_ALIGNMENT;
        for (unsigned i = 1; i <= pointers; i++)
            relax_argument(in, i, most);
        return;
    }
    unsigned most = moves_pair(g, in) ? PAIR_ALIGNMENT : ABX_MEMORY_ALIGNMENT;
    if (LLVMGetOrdering(in) == LLVMAtomicOrderingNotAtomic && LLVMGetAlignment(in) > most)
        LLVMSetAlignment(in, most);
    /* of the pointer that is loaded */
    if (LLVMIsALoadInst(in))
        LLVMSetMetadata(in, LLVMGetMDKindIDInContext(g->context, "align", 5), NULL);
}

static void clean_instructions(struct codegen *g, LLVMValueRef f)
{
    unsigned loop = LLVMGetMDKindIDInContext(g->context, "llvm.loop", 9);
    bool barely = converts_barely(f);
    for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(f); b; b = LLVMGetNextBasicBlock(b))
        for (LLVMValueRef in = LLVMGetFirstInstruction(b), next; in; in = next) {
            LLVMOpcode op = LLVMGetInstructionOpcode(in);
            next = LLVMGetNextInstruction(in);
            if (op == LLVMSDiv || op == LLVMUDiv || op == LLVMSRem || op == LLVMURem)
                soften_division(g, in);
            else if (op == LLVMShl || op == LLVMLShr || op == LLVMAShr)
                mask_shift(g, in);
            else if (op == LLVMLoad || op == LLVMStore || LLVMIsAMemIntrinsic(in))
                relax_alignment(g, in);
            else if (!barely && (op == LLVMFPToSI || op == LLVMFPToUI))
                saturate(g, in);
            else if (!barely && op == LLVMCall && makes_long(in))
                wrap_long(g, in);
            else if (op == LLVMBr)
                clean_loop(g, in, loop);
        }
}

static bool in_list(const LLVMValueRef *list, uint32_t count, LLVMValueRef value)
{
    for (uint32_t i = 0; i < count; i++)
        if (list[i] == value)
            return true;
    return false;
}

void codegen_keep(struct codegen *g, const LLVMValueRef *kept, uint32_t count)
{
    static const char *const roots[] = {"llvm.used", "llvm.compiler.used", "llvm.global_dtors"};
    for (size_t i = 0; i < ABX_ARRAY_SIZE(roots); i++) {
        LLVMValueRef v = LLVMGetNamedGlobal(g->module, roots[i]);
        if (v)
            LLVMDeleteGlobal(v);
    }
    for (LLVMValueRef v = LLVMGetFirstGlobal(g->module); v; v = LLVMGetNextGlobal(v))
        if (LLVMGetInitializer(v) && LLVMGetLinkage(v) != LLVMAppendingLinkage) {
            LLVMSetComdat(v, NULL);
            LLVMSetLinkage(v, LLVMInternalLinkage);
            LLVMSetSection(v, "");
        }
    for (LLVMValueRef f = LLVMGetFirstFunction(g->module); f; f = LLVMGetNextFunction(f)) {
        clean_function(g, f);
        if (LLVMIsDeclaration(f))
            continue;
        LLVMSetComdat(f, NULL);
        bool root = in_list(kept, count, f);
        LLVMSetLinkage(f, root ? LLVMExternalLinkage : LLVMInternalLinkage);
        if (!root)
            codegen_add_attribute(g, f, "alwaysinline");
    }
}

/* What a builtin is below: lets LLVM see that divisions of a thread's index are shifts. */
static void set_range(struct codegen *g, LLVMValueRef in)
{
    static const uint16_t below[ABX_BUILTIN_COUNT] = {
            [ABX_BUILTIN_THREAD_IN_GROUP] = ABX_MAX_THREADS_PER_THREADGROUP,
            [ABX_BUILTIN_GROUP_SIZE] = ABX_MAX_THREADS_PER_THREADGROUP + 1,
            [ABX_BUILTIN_DISPATCH_GROUP_SIZE] = ABX_MAX_THREADS_PER_THREADGROUP + 1,
            [ABX_BUILTIN_THREAD_INDEX] = ABX_MAX_THREADS_PER_THREADGROUP,
            [ABX_BUILTIN_LANE] = ABX_SIMD_LANES,
            [ABX_BUILTIN_SIMDGROUP] = ABX_MAX_THREADS_PER_THREADGROUP / ABX_SIMD_LANES,
            [ABX_BUILTIN_SIMDGROUPS] = ABX_MAX_THREADS_PER_THREADGROUP / ABX_SIMD_LANES + 1,
            [ABX_BUILTIN_QUAD_LANE] = 4,
            [ABX_BUILTIN_QUADGROUP] = ABX_MAX_THREADS_PER_THREADGROUP / 4,
            [ABX_BUILTIN_MATRIX_E0] = 8,
            [ABX_BUILTIN_MATRIX_E1] = 8};
    LLVMValueRef which = LLVMGetOperand(in, 0);
    uint64_t n = LLVMIsAConstantInt(which) ? LLVMConstIntGetZExtValue(which) / 4 : ~0ull;
    if (n >= ABX_BUILTIN_COUNT || !below[n])
        return;
    LLVMMetadataRef ends[2] = {
            LLVMValueAsMetadata(codegen_i32(g, 0)), LLVMValueAsMetadata(codegen_i32(g, below[n]))};
    LLVMSetMetadata(in, LLVMGetMDKindIDInContext(g->context, "range", 5),
            LLVMMetadataAsValue(g->context, LLVMMDNodeInContext2(g->context, ends, 2)));
}

static int scan(struct codegen *g, bool *ret_again)
{
    g->barriers = g->simd_barriers = g->simd = *ret_again = false;
    for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(g->kernel); b; b = LLVMGetNextBasicBlock(b))
        for (LLVMValueRef in = LLVMGetFirstInstruction(b), next; in; in = next) {
            next = LLVMGetNextInstruction(in);
            if (LLVMIsAInlineAsm(in) || LLVMIsAInvokeInst(in) || LLVMIsAIndirectBrInst(in))
                return codegen_fail(g, -EINVAL,
                        "the kernel contains an instruction that is not "
                        "allowed");
            const char *name = codegen_callee(in);
            if (!name)
                continue;
            if (!strcmp(name, "__abx_matrix_elements")) {
                g->matrix_elements = true;
                LLVMInstructionEraseFromParent(in);
                continue;
            }
            if (!strcmp(name, "__abx_builtin"))
                set_range(g, in);
            LLVMValueRef callee = LLVMGetCalledValue(in);
            if (!*name && !LLVMIsAFunction(callee))
                return codegen_fail(
                        g, -EINVAL, "calls through function pointers are not supported");
            if (!LLVMIsDeclaration(callee))
                *ret_again |= !codegen_is_kept(in);
            else if (!strcmp(name, "__lacks_textures"))
                return codegen_fail(g, -EINVAL, "textures are not supported yet");
            else if (!abx_is_callable(name))
                return codegen_fail(g, -EINVAL, "undefined function '%s'", name);
            g->barriers |= !strcmp(name, "__abx_barrier");
            g->simd_barriers |= !strcmp(name, "__abx_simd_barrier");
            g->simd |= !strcmp(name, "__abx_simd") || codegen_is_matrix(in) ||
                       codegen_is_matrix_builtin(in);
        }
    return 0;
}

/* A kernel arrives as a function pointer in its entry, so inlining takes a second round; lambdas in
 * lambdas may take more. */
#define INLINE_ROUNDS 6

/* Instructions of a block. A call that is inlined has all that follows in its block moved to
 * another, which for a block of thousands of calls takes the square of their number. */
#define LONG_BLOCK 512u

static LLVMValueRef last_alloca(LLVMBasicBlockRef block)
{
    LLVMValueRef last = NULL;
    for (LLVMValueRef in = LLVMGetFirstInstruction(block); in; in = LLVMGetNextInstruction(in))
        if (LLVMIsAAllocaInst(in) || LLVMIsAPHINode(in))
            last = in;
    return last;
}

static bool split_block(struct codegen *g, LLVMBasicBlockRef block)
{
    LLVMValueRef in = LLVMGetLastInstruction(block), stop = last_alloca(block);
    bool split = false;
    for (unsigned n = 0; in && in != stop; n++) { /* from its end: so each is moved once */
        LLVMValueRef before = LLVMGetPreviousInstruction(in);
        if (n == LONG_BLOCK && before && before != stop) {
            LLVMBasicBlockRef tail = codegen_split_after(g, in);
            LLVMPositionBuilderAtEnd(g->builder, block);
            LLVMBuildBr(g->builder, tail);
            split = true;
            n = 0;
        }
        in = before;
    }
    return split;
}

static bool split_blocks(struct codegen *g)
{
    bool split = false;
    for (LLVMValueRef f = LLVMGetFirstFunction(g->module); f; f = LLVMGetNextFunction(f))
        for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(f), next; b; b = next) {
            next = LLVMGetNextBasicBlock(b);
            split |= split_block(g, b);
        }
    return split;
}

/* Everything into one function, but for what is left then: that is recursive. */
static int inline_all(struct codegen *g)
{
    bool again = true;
    for (int round = 0; again; round++) {
        if (round == INLINE_ROUNDS)
            return codegen_keep_recursive(g);
        bool split = split_blocks(g);
        /* What calls itself last is a loop, as MLX's walks over strides are: NVIDIA's processors
         * take no recursion, and lanes none. In the second round: what it calls besides is inlined
         * by then. */
        int r = round == 1 ? codegen_run_passes(g, "function(simplifycfg,tailcallelim)") : 0;
        if (r == 0)
            r = codegen_run_passes(g, "always-inline,globaldce,function(sroa)");
        if (r == 0 && split)
            r = codegen_run_passes(g, "function(simplifycfg)");
        codegen_open_vectors(g, g->kernel);
        if (r == 0)
            r = codegen_run_passes(g, "function(instcombine<no-verify-fixpoint>),globaldce");
        if (r == 0)
            r = scan(g, &again);
        if (r < 0)
            return r;
    }
    return 0;
}

int codegen_read(struct codegen *g, const char *bitcode, size_t bytes, const char *name)
{
    LLVMMemoryBufferRef buffer =
            LLVMCreateMemoryBufferWithMemoryRange(bitcode, bytes, "library", 0);
    int bad = LLVMParseBitcodeInContext2(g->context, buffer, &g->module);
    LLVMDisposeMemoryBuffer(buffer);
    if (bad) {
        g->module = NULL;
        return codegen_fail(g, -EBADMSG, "the library's bitcode cannot be read");
    }
    g->kernel = LLVMGetNamedFunction(g->module, name);
    if (!g->kernel || LLVMIsDeclaration(g->kernel) || LLVMCountParams(g->kernel))
        return codegen_fail(g, -EBADMSG, "the library has no entry '%s'", name);
    char *triple = LLVMGetTargetMachineTriple(g->machine);
    LLVMSetTarget(g->module, triple);
    LLVMDisposeMessage(triple);
    LLVMSetModuleDataLayout(g->module, g->layout);
    return codegen_keep_initialisers(g, &g->kernel, 1);
}

int codegen_load(struct codegen *g, const struct abx_shader_library *head,
        const struct abx_shader_constant *constants, uint32_t constant_count)
{
    const struct abx_reflection *r = (const void *)((const char *)head + head->reflection_offset);
    codegen_keep(g, &g->kernel, 1);
    int result = codegen_verify(g, "reading");
    if (result == 0)
        result = codegen_run_passes(g, "globaldce");
    if (head->math_mode != ABX_MATH_SAFE)
        codegen_relax(g);
    if (result == 0)
        result = codegen_check(g);
    if (result == 0)
        result = codegen_set_constants(g, r, constants, constant_count);
    if (result < 0)
        return result;
    for (LLVMValueRef f = LLVMGetFirstFunction(g->module); f; f = LLVMGetNextFunction(f))
        clean_instructions(g, f);
    result = codegen_run_initialisers(g);
    if (result == 0 && g->target->id != ABX_TARGET_NVPTX)
        codegen_keep_calls(g);
    if (result == 0)
        result = inline_all(g);
    if (result < 0)
        return result;
    codegen_mark_invariant(g);
    return codegen_lower_statics(g);
}
