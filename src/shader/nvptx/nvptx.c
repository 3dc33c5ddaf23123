/* shader: one kernel as PTX. Compiler process; the module is made from guest source.
 *
 * One thread's work stays as it is: the markers become special registers, kernel parameters and
 * calls of runtime.c. Address spaces are found again from where pointers come from: kernel
 * parameters are global memory, threadgroup variables shared memory. */
#include "shader/nvptx/nvptx.h"
#include "shader/nvptx/banks.h"
#include "shader/nvptx/lanes.h"
#include "shader/nvptx/pressure.h"
#include "shader/nvptx/rows.h"
#include "shader/nvptx/turns.h"
#include "shader/codegen/target.h"
#include "shader/nvptx_runtime_gen.h"

#include <llvm-c/BitReader.h>
#include <llvm-c/Linker.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KERNEL_CONVENTION = 71, SHARED_ALIGNMENT = 128 };
#define DYNAMIC "abx_dynamic"
#define STATIC "abx_static"

struct nvptx {
    struct codegen *g;
    const struct abx_reflection *reflection;
    const struct abx_reflection_function *function;
    struct abx_ptx head;
    struct codegen_place place;
};

/* ---- the waiting markers */

static void replace_marker(
        struct codegen *g, LLVMValueRef in, const char *name, unsigned operands, bool uniform)
{
    LLVMValueRef f = LLVMGetNamedFunction(g->module, name), a[4];
    for (unsigned i = 0; i < operands; i++)
        a[i] = LLVMGetOperand(in, i);
    a[operands] = codegen_i32(
            g, (uniform ? ABX_NV_UNIFORM : 0) | (g->matrix_elements ? ABX_NV_RENAMED : 0));
    LLVMPositionBuilderBefore(g->builder, in);
    LLVMValueRef call =
            LLVMBuildCall2(g->builder, LLVMGlobalGetValueType(f), f, a, operands + 1, "");
    unsigned convergent = LLVMGetEnumAttributeKindForName("convergent", 10);
    LLVMAddCallSiteAttribute(
            call, LLVMAttributeFunctionIndex, LLVMCreateEnumAttribute(g->context, convergent, 0));
    if (LLVMGetTypeKind(LLVMTypeOf(call)) != LLVMVoidTypeKind)
        LLVMReplaceAllUsesWith(in, call);
    LLVMInstructionEraseFromParent(in);
}

static void visit(struct codegen *g, LLVMValueRef in, bool uniform)
{
    if (codegen_is_call(in, "__abx_simd"))
        replace_marker(g, in, "abx_nv_simd", 3, uniform);
    else if (codegen_is_call(in, "__abx_barrier"))
        replace_marker(g, in, "abx_nv_barrier", 1, uniform);
    else if (codegen_is_call(in, "__abx_simd_barrier"))
        replace_marker(g, in, "abx_nv_simd_barrier", 1, uniform);
}

static int link_runtime(struct codegen *g)
{
    LLVMModuleRef runtime;
    LLVMMemoryBufferRef buffer = LLVMCreateMemoryBufferWithMemoryRange(
            (const char *)nvptx_runtime, sizeof nvptx_runtime, "runtime", 0);
    int bad = LLVMParseBitcodeInContext2(g->context, buffer, &runtime);
    LLVMDisposeMemoryBuffer(buffer);
    if (bad || LLVMLinkModules2(g->module, runtime))
        return codegen_fail(g, -EIO, "the code generator's own functions cannot be read");
    static const char *const names[] = {"abx_nv_simd", "abx_nv_barrier", "abx_nv_simd_barrier"};
    for (size_t i = 0; i < ABX_ARRAY_SIZE(names); i++)
        LLVMSetLinkage(LLVMGetNamedFunction(g->module, names[i]), LLVMInternalLinkage);
    return 0;
}

/* Loops in a form whose turns can be counted. */
#define LOOPS                                                                                      \
    "function(sroa,early-cse<memssa>,instcombine<no-verify-fixpoint>,simplifycfg,loop-simplify,"   \
    "lcssa,loop-mssa(loop-rotate,licm),loop(indvars))"
/* What the analysis of the flow wants: constants folded, no switches. Markers stay opaque. */
#define PREPARE                                                                                    \
    "function(loop(loop-unroll-full),loop-unroll<O2;no-partial;no-peeling;no-runtime;"             \
    "no-upperbound>,sroa,early-cse<memssa>,gvn,"                                                   \
    "instcombine<no-verify-fixpoint>,simplifycfg<no-switch-to-lookup>,lower-switch,dce)"

static void note_together(struct codegen *g, LLVMValueRef in, bool uniform)
{
    if (!uniform || (!LLVMIsATerminatorInst(in) && !codegen_is_call(in, "__abx_simd")))
        return;
    unsigned kind = LLVMGetMDKindIDInContext(g->context, NVPTX_TOGETHER, sizeof NVPTX_TOGETHER - 1);
    LLVMSetMetadata(
            in, kind, LLVMMetadataAsValue(g->context, LLVMMDNodeInContext2(g->context, NULL, 0)));
}

/* Only where there are sums over SIMD-groups, of which lanes have their own numbers. */
static int exchange_elements(struct codegen *g)
{
    if (!g->simd || g->matrix_elements)
        return 0;
    int r = nvptx_flow(g, note_together);
    if (r == 0)
        nvptx_rows(g->kernel);
    return r;
}

static void align_result(struct codegen *g, const char *marker, uint64_t alignment)
{
    LLVMValueRef f = LLVMGetNamedFunction(g->module, marker);
    unsigned kind = LLVMGetEnumAttributeKindForName("align", 5);
    if (f)
        LLVMAddAttributeAtIndex(
                f, LLVMAttributeReturnIndex, LLVMCreateEnumAttribute(g->context, kind, alignment));
}

/* Threadgroup arguments begin at multiples of 16, by the host's contract; what the kernel declares
 * is an array of ours. */
static void align_threadgroup(struct codegen *g)
{
    align_result(g, "__abx_threadgroup", 16);
    align_result(g, "__abx_statics", SHARED_ALIGNMENT);
}

static int lower_waits(struct codegen *g)
{
    int r = codegen_run_passes(g, LOOPS);
    for (LLVMValueRef f = LLVMGetFirstFunction(g->module); f && r == 0; f = LLVMGetNextFunction(f))
        if (!LLVMIsDeclaration(f))
            nvptx_turns(f);
    if (r < 0 || (!g->barriers && !g->simd && !g->simd_barriers))
        return r;
    align_threadgroup(g);
    r = codegen_run_passes(g, PREPARE);
    if (r == 0)
        r = exchange_elements(g);
    if (r == 0)
        r = nvptx_matrices(g);
    if (r == 0)
        r = link_runtime(g);
    return r < 0 ? r : nvptx_flow(g, visit);
}

/* ---- memory order. LLVM 19 selects no fences for NVPTX and drops the order of what is atomic:
 * an ordered access becomes a relaxed one between full fences of the device. What is atomic need
 * not be volatile, which would keep its address space unknown. */

static LLVMValueRef special(struct codegen *g, const char *name)
{
    return codegen_call_intrinsic(g, name, NULL, 0, NULL, 0);
}

static LLVMAtomicOrdering order_of(LLVMValueRef in)
{
    switch (LLVMGetInstructionOpcode(in)) {
    case LLVMAtomicCmpXchg:
        return LLVMGetCmpXchgSuccessOrdering(in);
    case LLVMLoad:
    case LLVMStore:
    case LLVMAtomicRMW:
    case LLVMFence:
        return LLVMGetOrdering(in);
    default:
        return LLVMAtomicOrderingNotAtomic;
    }
}

static void lower_order(struct codegen *g, LLVMValueRef in)
{
    LLVMAtomicOrdering order = order_of(in);
    LLVMOpcode op = LLVMGetInstructionOpcode(in);
    if (op == LLVMAtomicRMW || op == LLVMAtomicCmpXchg)
        LLVMSetVolatile(in, 0);
    if (order <= LLVMAtomicOrderingMonotonic)
        return;
    LLVMPositionBuilderBefore(g->builder, in);
    special(g, "llvm.nvvm.membar.gl");
    if (op == LLVMFence) {
        LLVMInstructionEraseFromParent(in);
        return;
    }
    if (op == LLVMLoad || op == LLVMStore)
        LLVMSetOrdering(in, LLVMAtomicOrderingMonotonic);
    LLVMPositionBuilderBefore(g->builder, LLVMGetNextInstruction(in));
    special(g, "llvm.nvvm.membar.gl");
}

static void lower_orders(struct codegen *g)
{
    for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(g->entry); b; b = LLVMGetNextBasicBlock(b))
        for (LLVMValueRef in = LLVMGetFirstInstruction(b); in;) {
            LLVMValueRef next = LLVMGetNextInstruction(in);
            lower_order(g, in);
            in = next;
        }
}

/* ---- the entry */

/* Which buffers and threadgroup arguments the kernel uses, in the order of their indices. */
static int find_arguments(struct nvptx *n)
{
    bool buffer[ABX_BUFFER_SLOTS] = {0}, group[ABX_MAX_THREADGROUP_BINDINGS] = {0};
    LLVMValueRef kernel = n->g->kernel;
    for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(kernel); b; b = LLVMGetNextBasicBlock(b))
        for (LLVMValueRef in = LLVMGetFirstInstruction(b); in; in = LLVMGetNextInstruction(in)) {
            bool is_buffer = codegen_is_call(in, "__abx_buffer");
            if (!is_buffer && !codegen_is_call(in, "__abx_threadgroup"))
                continue;
            LLVMValueRef index = LLVMGetOperand(in, 0);
            uint64_t i = LLVMIsAConstantInt(index) ? LLVMConstIntGetZExtValue(index) : ~0ull;
            if (i >= (is_buffer ? ABX_BUFFER_SLOTS : ABX_MAX_THREADGROUP_BINDINGS))
                return codegen_fail(n->g, -EINVAL, "an argument's index is out of range");
            (is_buffer ? buffer : group)[i] = true;
        }
    for (uint32_t i = 0; i < ABX_BUFFER_SLOTS; i++)
        if (buffer[i])
            n->head.buffers[n->head.buffer_count++] = (uint8_t)i;
    for (uint32_t i = 0; i < ABX_MAX_THREADGROUP_BINDINGS; i++)
        if (group[i])
            n->head.threadgroup[n->head.threadgroup_count++] = (uint8_t)i;
    n->head.parameter_bytes = (uint32_t)sizeof(struct abx_ptx_dispatch) + 8 * n->head.buffer_count +
                              4 * n->head.threadgroup_count;
    return 0;
}

/* Other characters than these mean something in PTX. */
static void name_entry(struct nvptx *n)
{
    const char *name = abx_reflection_string(n->reflection, n->function->name);
    int at = snprintf(n->head.entry, sizeof n->head.entry, "%s_", ABX_PTX_ENTRY);
    for (; *name && at < (int)sizeof n->head.entry - 1; name++) {
        bool plain = (*name >= '0' && *name <= '9') || (*name >= 'a' && *name <= 'z') ||
                     (*name >= 'A' && *name <= 'Z');
        n->head.entry[at++] = plain ? *name : '_';
    }
    /* A guest's function may have this name: then one that is the unnamed kernel's. */
    if (LLVMGetNamedFunction(n->g->module, n->head.entry) ||
            LLVMGetNamedGlobal(n->g->module, n->head.entry))
        snprintf(n->head.entry, sizeof n->head.entry, "%s", ABX_PTX_ENTRY);
}

#define DISPATCH_WORDS (sizeof(struct abx_ptx_dispatch) / 4)

static void add_entry(struct nvptx *n)
{
    struct codegen *g = n->g;
    LLVMTypeRef types[DISPATCH_WORDS + ABX_BUFFER_SLOTS + ABX_MAX_THREADGROUP_BINDINGS];
    unsigned count = 0;
    while (count < DISPATCH_WORDS)
        types[count++] = g->i32;
    for (uint32_t i = 0; i < n->head.buffer_count; i++)
        types[count++] = LLVMPointerTypeInContext(g->context, NVPTX_GLOBAL_SPACE);
    for (uint32_t i = 0; i < n->head.threadgroup_count; i++)
        types[count++] = g->i32;
    LLVMTypeRef type = LLVMFunctionType(LLVMVoidTypeInContext(g->context), types, count, 0);
    name_entry(n);
    g->entry = LLVMAddFunction(g->module, n->head.entry, type);
    LLVMSetFunctionCallConv(g->entry, KERNEL_CONVENTION);
    LLVMPositionBuilderAtEnd(
            g->builder, LLVMAppendBasicBlockInContext(g->context, g->entry, "entry"));
}

static LLVMValueRef shared_array(struct codegen *g, const char *name, uint64_t bytes, bool dynamic)
{
    LLVMTypeRef type = LLVMArrayType2(g->i8, bytes);
    LLVMValueRef v = LLVMAddGlobalInAddressSpace(g->module, type, name, NVPTX_SHARED_SPACE);
    LLVMSetAlignment(v, SHARED_ALIGNMENT);
    if (!dynamic) {
        LLVMSetInitializer(v, LLVMGetUndef(type));
        LLVMSetLinkage(v, LLVMInternalLinkage);
    }
    return LLVMConstAddrSpaceCast(v, g->ptr);
}

static void add_memory(struct nvptx *n)
{
    struct codegen *g = n->g;
    unsigned next = DISPATCH_WORDS;
    for (uint32_t i = 0; i < n->head.buffer_count; i++)
        n->place.buffer[n->head.buffers[i]] = LLVMBuildAddrSpaceCast(
                g->builder, LLVMGetParam(g->entry, next++), g->ptr, "buffer");
    LLVMValueRef dynamic = n->head.threadgroup_count ? shared_array(g, DYNAMIC, 0, true) : NULL;
    for (uint32_t i = 0; i < n->head.threadgroup_count; i++) {
        /* The first one's offset is 0 by contract, and the others' a multiple of 16. */
        LLVMValueRef offset =
                LLVMBuildNUWMul(g->builder, LLVMGetParam(g->entry, next++), codegen_i32(g, 16), "");
        n->place.threadgroup[n->head.threadgroup[i]] =
                i == 0 ? dynamic
                       : LLVMBuildInBoundsGEP2(
                                 g->builder, g->i8, dynamic, &offset, 1, "threadgroup");
    }
    if (g->code.static_threadgroup_bytes)
        n->place.statics = shared_array(g, STATIC, g->code.static_threadgroup_bytes, false);
}

/* a / n, of numbers up to 1024: in floats, where a division of integers takes 20 instructions. The
 * error of the reciprocal, times 1024, is far less than what lies between a + 1/2 and the next
 * multiple of n. */
static LLVMValueRef divide_small(struct codegen *g, LLVMValueRef a, LLVMValueRef n)
{
    LLVMBuilderRef b = g->builder;
    LLVMTypeRef f32 = LLVMFloatTypeInContext(g->context);
    LLVMTypeRef type = LLVMFunctionType(f32, &f32, 1, 0);
    const char *name = "llvm.nvvm.rcp.approx.ftz.f";
    LLVMValueRef f = LLVMGetNamedFunction(g->module, name);
    if (!f)
        f = LLVMAddFunction(g->module, name, type);
    LLVMValueRef of = LLVMBuildUIToFP(b, n, f32, "");
    LLVMValueRef part = LLVMBuildCall2(b, type, f, &of, 1, "");
    LLVMValueRef x = LLVMBuildFAdd(b, LLVMBuildUIToFP(b, a, f32, ""), LLVMConstReal(f32, 0.5), "");
    return LLVMBuildFPToUI(b, LLVMBuildFMul(b, x, part, ""), g->i32, "");
}

/* The number that the program knows this thread by, in the threadgroup. */
static LLVMValueRef number_thread(struct codegen *g)
{
    LLVMValueRef t = special(g, "llvm.nvvm.read.ptx.sreg.tid.x");
    if (!g->matrix_elements)
        return t;
    /* abx_nv_lane() */
    LLVMBuilderRef b = g->builder;
    LLVMValueRef up =
            LLVMBuildAnd(b, LLVMBuildShl(b, t, codegen_i32(g, 2), ""), codegen_i32(g, 8), "");
    LLVMValueRef down =
            LLVMBuildAnd(b, LLVMBuildLShr(b, t, codegen_i32(g, 1), ""), codegen_i32(g, 6), "");
    LLVMValueRef same = LLVMBuildAnd(b, t, codegen_i32(g, ~14u), "");
    return LLVMBuildOr(b, same, LLVMBuildOr(b, up, down, ""), "");
}

/* Threads are numbered along the block. Full threadgroups and those at the grid's far edges, which
 * are smaller, go the same way. A row as long as the threadgroup needs no division. */
static void place_thread(struct nvptx *n)
{
    struct codegen *g = n->g;
    LLVMBuilderRef b = g->builder;
    LLVMValueRef *size = n->place.builtin[ABX_BUILTIN_GROUP_SIZE];
    LLVMValueRef *at = n->place.builtin[ABX_BUILTIN_THREAD_IN_GROUP];
    LLVMValueRef t = number_thread(g), zero = codegen_i32(g, 0);
    LLVMValueRef plane = LLVMBuildMul(b, size[0], size[1], "");
    LLVMValueRef total = LLVMBuildMul(b, plane, size[2], "total");
    LLVMBasicBlockRef end = LLVMAppendBasicBlockInContext(g->context, g->entry, "beyond");
    LLVMBasicBlockRef block[3];
    static const char *const names[3] = {"inside", "rows", "placed"};
    for (int i = 0; i < 3; i++)
        block[i] = LLVMAppendBasicBlockInContext(g->context, g->entry, names[i]);
    LLVMBuildCondBr(b, LLVMBuildICmp(b, LLVMIntULT, t, total, ""), block[0], end);
    /* Really ended, so that barriers do not wait for them. */
    LLVMPositionBuilderAtEnd(b, end);
    LLVMTypeRef type = LLVMFunctionType(LLVMVoidTypeInContext(g->context), NULL, 0, 0);
    LLVMValueRef leave =
            LLVMGetInlineAsm(type, "exit;", 5, "", 0, 1, 0, LLVMInlineAsmDialectATT, 0);
    LLVMBuildCall2(b, type, leave, NULL, 0, "");
    LLVMBuildUnreachable(b);
    LLVMPositionBuilderAtEnd(b, block[0]);
    LLVMBuildCondBr(b, LLVMBuildICmp(b, LLVMIntEQ, size[0], total, ""), block[2], block[1]);
    LLVMPositionBuilderAtEnd(b, block[1]);
    LLVMValueRef row = divide_small(g, t, size[0]), layer = divide_small(g, row, size[1]);
    LLVMValueRef in_rows[3] = {LLVMBuildSub(b, t, LLVMBuildMul(b, row, size[0], ""), ""),
            LLVMBuildSub(b, row, LLVMBuildMul(b, layer, size[1], ""), ""), layer};
    LLVMBuildBr(b, block[2]);
    LLVMPositionBuilderAtEnd(b, block[2]);
    for (int d = 0; d < 3; d++) {
        LLVMValueRef from[2] = {d == 0 ? t : zero, in_rows[d]};
        at[d] = LLVMBuildPhi(b, g->i32, "thread");
        LLVMAddIncoming(at[d], from, block, 2);
    }
    codegen_place_thread(g, &n->place, t);
}

static void place(struct nvptx *n)
{
    struct codegen *g = n->g;
    LLVMBuilderRef b = g->builder;
    static const int which[4] = {ABX_BUILTIN_GRID, ABX_BUILTIN_DISPATCH_GROUP_SIZE,
            ABX_BUILTIN_GROUPS, ABX_BUILTIN_GRID_ORIGIN};
    static const char *const block[3] = {"llvm.nvvm.read.ptx.sreg.ctaid.x",
            "llvm.nvvm.read.ptx.sreg.ctaid.y", "llvm.nvvm.read.ptx.sreg.ctaid.z"};
    struct codegen_place *p = &n->place;
    for (int i = 0; i < 4; i++)
        for (int d = 0; d < 3; d++)
            p->builtin[which[i]][d] = LLVMGetParam(g->entry, (unsigned)(3 * i + d));
    codegen_place_counts(g, p);
    for (int d = 0; d < 3; d++) {
        LLVMValueRef at = LLVMBuildAdd(
                b, special(g, block[d]), p->builtin[ABX_BUILTIN_GRID_ORIGIN][d], "group");
        codegen_place_edge(g, p, d, at);
        p->builtin[ABX_BUILTIN_GRID_ORIGIN][d] = codegen_i32(g, 0); /* Metal's is another thing */
    }
    codegen_place_group(g, p);
    place_thread(n);
}

/* The threads of a kernel may be there before the kernel before it is over, so that it begins at
 * once: see ABX_PTX_EARLY_MARK. Every threadgroup waits, and before it touches memory: what follows
 * this kernel waits for this one alone. Then the next one's threads may come. */
static void wait_for_earlier(struct nvptx *n)
{
    struct codegen *g = n->g;
    static const char text[] = ABX_PTX_EARLY_MARK "wait;\n" ABX_PTX_EARLY_MARK "launch_dependents;";
    static const char clobbers[] = "~{memory}";
    LLVMTypeRef type = LLVMFunctionType(LLVMVoidTypeInContext(g->context), NULL, 0, 0);
    LLVMValueRef code = LLVMGetInlineAsm(type, text, sizeof text - 1, clobbers, sizeof clobbers - 1,
            1, 0, LLVMInlineAsmDialectATT, 0);
    LLVMBuildCall2(g->builder, type, code, NULL, 0, "");
}

/* The kernel tells that it has begun. A store of one thread, that nobody waits for. */
static void report(struct nvptx *n)
{
    struct codegen *g = n->g;
    LLVMBuilderRef b = g->builder;
    static const char *const zero[4] = {"llvm.nvvm.read.ptx.sreg.tid.x",
            "llvm.nvvm.read.ptx.sreg.ctaid.x", "llvm.nvvm.read.ptx.sreg.ctaid.y",
            "llvm.nvvm.read.ptx.sreg.ctaid.z"};
    enum { BEGAN = offsetof(struct abx_ptx_dispatch, began) / 4 };
    LLVMBasicBlockRef first = LLVMAppendBasicBlockInContext(g->context, g->entry, "first");
    LLVMBasicBlockRef run = LLVMAppendBasicBlockInContext(g->context, g->entry, "run");
    LLVMTypeRef i64 = LLVMInt64TypeInContext(g->context);
    LLVMValueRef any = special(g, zero[0]), number = LLVMGetParam(g->entry, BEGAN + 2);
    for (int i = 1; i < 4; i++)
        any = LLVMBuildOr(b, any, special(g, zero[i]), "");
    LLVMValueRef tells = LLVMBuildAnd(b, LLVMBuildICmp(b, LLVMIntEQ, any, codegen_i32(g, 0), ""),
            LLVMBuildICmp(b, LLVMIntNE, number, codegen_i32(g, 0), ""), "");
    LLVMBuildCondBr(b, tells, first, run);
    LLVMPositionBuilderAtEnd(b, first);
    LLVMValueRef low = LLVMBuildZExt(b, LLVMGetParam(g->entry, BEGAN), i64, "");
    LLVMValueRef high = LLVMBuildZExt(b, LLVMGetParam(g->entry, BEGAN + 1), i64, "");
    LLVMValueRef at = LLVMBuildOr(b, low, LLVMBuildShl(b, high, LLVMConstInt(i64, 32, 0), ""), "");
    LLVMTypeRef global = LLVMPointerTypeInContext(g->context, NVPTX_GLOBAL_SPACE);
    LLVMSetVolatile(LLVMBuildStore(b, number, LLVMBuildIntToPtr(b, at, global, "")), 1);
    LLVMBuildBr(b, run);
    LLVMPositionBuilderAtEnd(b, run);
}

static void annotate(struct codegen *g, LLVMValueRef kernel, uint32_t threads)
{
    LLVMMetadataRef entry = LLVMValueAsMetadata(kernel);
    const struct {
        const char *name;
        uint32_t value;
    } notes[] = {{"kernel", 1}, {"maxntidx", threads}};
    for (size_t i = 0; i < ABX_ARRAY_SIZE(notes); i++) {
        LLVMMetadataRef m[3] = {entry,
                LLVMMDStringInContext2(g->context, notes[i].name, strlen(notes[i].name)),
                LLVMValueAsMetadata(codegen_i32(g, notes[i].value))};
        LLVMAddNamedMetadataOperand(g->module, "nvvm.annotations",
                LLVMMetadataAsValue(g->context, LLVMMDNodeInContext2(g->context, m, 3)));
    }
}

/* A thread of 1024 has 64 registers; what it wants beyond them may lie in memory. */
#define MANY_REGISTERS 64u

/* Products of matrices, and kernels that sum up much at once, want more registers than 1024 threads
 * have; where there are fewer threads, there are more. Other kernels are faster with many threads
 * that have few: those of which the assembler finds that it can do with them, too. */
static void add_few(struct nvptx *n)
{
    struct codegen *g = n->g;
    if (g->code.max_threads <= ABX_PTX_FEW)
        return;
    if (!g->matrix_products && nvptx_pressure(g->entry) < MANY_REGISTERS)
        return;
    n->head.few_spares = !g->matrix_products;
    snprintf(n->head.few, sizeof n->head.few, "%.*s_few", (int)sizeof n->head.few - 5,
            n->head.entry);
    annotate(g, nvptx_copy(g->entry, n->head.few), ABX_PTX_FEW);
}

static int build_entry(struct nvptx *n)
{
    struct codegen *g = n->g;
    add_entry(n);
    add_memory(n);
    place(n);
    wait_for_earlier(n);
    report(n);
    LLVMValueRef at = LLVMGetBasicBlockTerminator(LLVMGetEntryBasicBlock(g->entry));
    LLVMBuildCall2(g->builder, LLVMGlobalGetValueType(g->kernel), g->kernel, NULL, 0, "");
    LLVMBuildRetVoid(g->builder);
    LLVMSetLinkage(g->kernel, LLVMInternalLinkage);
    codegen_add_attribute(g, g->kernel, "alwaysinline");
    g->kernel = NULL;
    annotate(g, g->entry, g->code.max_threads);
    /* No globaldce yet: it would remove the memory that the markers are about to name. */
    int r = codegen_run_passes(g, "always-inline");
    if (r == 0)
        r = codegen_lower_markers(g, g->entry, &n->place, at);
    if (r == 0)
        lower_orders(g);
    return r;
}

/* ---- the way out */

/* Intrinsics that stand for functions of the C library: the code generator would abort on them. */
static bool is_library_intrinsic(const char *name)
{
    static const char *const math[] = {"sin.", "cos.", "tan.", "asin.", "acos.", "atan.", "sinh.",
            "cosh.", "tanh.", "exp.", "exp2.", "exp10.", "log.", "log2.", "log10.", "pow.", "powi.",
            "ldexp.", "frexp.", "sincos.", "lrint.", "llrint.", "lround.", "llround."};
    for (size_t i = 0; i < ABX_ARRAY_SIZE(math); i++)
        if (!strncmp(name, "llvm.", 5) && !strncmp(name + 5, math[i], strlen(math[i])))
            return true;
    return false;
}

/* ptxas and the driver accept what is not defined, and the launch dies. */
static int check_externals(struct codegen *g)
{
    for (LLVMValueRef f = LLVMGetFirstFunction(g->module); f; f = LLVMGetNextFunction(f)) {
        size_t length;
        const char *name = LLVMGetValueName2(f, &length);
        if (LLVMIsDeclaration(f) && LLVMGetFirstUse(f) &&
                (strncmp(name, "llvm.", 5) || is_library_intrinsic(name)))
            return codegen_fail(g, -EINVAL, "undefined function '%s'", name);
    }
    for (LLVMValueRef v = LLVMGetFirstGlobal(g->module); v; v = LLVMGetNextGlobal(v)) {
        size_t length;
        const char *name = LLVMGetValueName2(v, &length);
        /* By what it is: the optimiser takes threadgroup memory apart and names the parts. */
        bool shared = LLVMGetPointerAddressSpace(LLVMTypeOf(v)) == NVPTX_SHARED_SPACE;
        if (!LLVMGetInitializer(v) && LLVMGetFirstUse(v) && !shared)
            return codegen_fail(g, -EINVAL, "undefined variable '%s'", name);
        if (LLVMGetInitializer(v) && !LLVMIsGlobalConstant(v) && !shared &&
                strncmp(name, "llvm.", 5))
            return codegen_fail(g, -EINVAL, "variable '%s' is used in an unsupported way", name);
    }
    return 0;
}

static int measure_private(struct nvptx *n)
{
    uint64_t bytes = 0;
    for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(n->g->entry); b; b = LLVMGetNextBasicBlock(b))
        for (LLVMValueRef in = LLVMGetFirstInstruction(b); in; in = LLVMGetNextInstruction(in)) {
            if (!LLVMIsAAllocaInst(in))
                continue;
            LLVMValueRef count = LLVMGetOperand(in, 0);
            uint64_t one = LLVMABISizeOfType(n->g->layout, LLVMGetAllocatedType(in));
            if (!LLVMIsAConstantInt(count) || one > ABX_PTX_MAX_PRIVATE_BYTES ||
                    LLVMConstIntGetZExtValue(count) > ABX_PTX_MAX_PRIVATE_BYTES)
                bytes = ABX_PTX_MAX_PRIVATE_BYTES + 1ull;
            else
                bytes += abx_align_up(one * LLVMConstIntGetZExtValue(count), 16);
        }
    if (bytes > ABX_PTX_MAX_PRIVATE_BYTES)
        return codegen_fail(n->g, -EINVAL, "a thread's private memory exceeds the maximum allowed");
    n->g->code.private_bytes = (uint32_t)bytes;
    return 0;
}

static int emit(struct nvptx *n, struct abx_shader_result *result)
{
    struct codegen *g = n->g;
    char *error = NULL;
    LLVMMemoryBufferRef text;
    if (g->verbose)
        LLVMPrintModuleToFile(g->module, getenv("ARCBOX_CODEGEN_VERBOSE"), &error);
    if (LLVMTargetMachineEmitToMemoryBuffer(
                g->machine, g->module, LLVMAssemblyFile, &error, &text)) {
        codegen_fail(g, -EIO, "code generation failed: %s", error);
        LLVMDisposeMessage(error);
        return -EIO;
    }
    struct abx_ptx *p = &n->head;
    p->uses_simd = g->simd || g->simd_barriers;
    p->whole_warps = g->matrix_elements;
    p->ptx_offset = sizeof *p;
    p->ptx_bytes = LLVMGetBufferSize(text) + 1; /* LLVM ends its buffers with a NUL */
    int r = codegen_pack(g, p, sizeof *p, LLVMGetBufferStart(text), p->ptx_bytes, result);
    LLVMDisposeMemoryBuffer(text);
    return r;
}

/* Of the memory whose size the program says when it dispatches. */
static void spread(struct codegen *g)
{
    LLVMValueRef array = LLVMGetNamedGlobal(g->module, DYNAMIC);
    if (g->matrix_tiles && array)
        (void)nvptx_spread_banks(g->entry, array);
}

int nvptx_generate(struct codegen *g, const struct abx_reflection *reflection, uint32_t function,
        struct abx_shader_result *result)
{
    struct nvptx n = {.g = g,
            .reflection = reflection,
            .function = &abx_reflection_functions(reflection)[function]};
    uint32_t limit = n.function->max_threads;
    g->code.max_threads = limit && limit < ABX_MAX_THREADS_PER_THREADGROUP
                                  ? limit
                                  : ABX_MAX_THREADS_PER_THREADGROUP;
    /* Seen on an H100 (ptxas 12.9 and driver 580): lanes that return from a recursive function one
     * by one, and code behind the call that keeps values in registers of the whole warp. */
    if (g->recursive)
        return codegen_fail(
                g, -EINVAL, "recursive functions are not supported on NVIDIA's processors");
    LLVMPassBuilderOptionsSetLoopVectorization(g->options, 0);
    LLVMPassBuilderOptionsSetSLPVectorization(g->options, 0);
    codegen_fuse_narrow(g, true);
    int r = lower_waits(g);
    if (r == 0)
        r = find_arguments(&n);
    if (r == 0)
        r = build_entry(&n);
    if (r == 0)
        r = codegen_verify(g, "building");
    if (r == 0)
        r = codegen_run_passes(g, "function(sroa,early-cse,infer-address-spaces),default<O2>,"
                                  "function(infer-address-spaces,separate-const-offset-from-gep,"
                                  "early-cse),globaldce");
    if (r == 0)
        r = codegen_bound_private(g, g->entry);
    if (r == 0)
        r = nvptx_loads(g);
    if (r == 0)
        spread(g);
    if (r == 0)
        r = codegen_run_passes(g, "function(instcombine<no-verify-fixpoint>,early-cse,dce)");
    if (r == 0)
        r = codegen_verify(g, "optimising");
    if (r == 0)
        r = check_externals(g);
    if (r == 0)
        r = measure_private(&n);
    if (r == 0)
        add_few(&n);
    return r < 0 ? r : emit(&n, result);
}
