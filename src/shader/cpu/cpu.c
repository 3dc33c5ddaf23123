/* shader: a kernel as machine code for processors: picks a form (wide/ or scalar.c), has LLVM
 * optimise it, and looks at what comes out: the object goes to a worker (abi/kernel.h). Compiler
 * process, which is sandboxed; the module is made from guest source. */
#include "shader/abi/names.h"
#include "shader/cpu/cpu.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* After optimising, nothing may be left that the worker's loader would have to refuse. */
static int check_externals(struct codegen *g)
{
    for (LLVMValueRef f = LLVMGetFirstFunction(g->module); f; f = LLVMGetNextFunction(f)) {
        size_t length;
        const char *name = LLVMGetValueName2(f, &length);
        bool known = !LLVMIsDeclaration(f) || !strncmp(name, "llvm.", 5) || !LLVMGetFirstUse(f);
        if (!known && strcmp(name, "abx_rt_give") && strcmp(name, "abx_rt_take") &&
                !abx_is_runtime_function(name))
            return codegen_fail(g, -EINVAL, "undefined function '%s'", name);
    }
    for (LLVMValueRef v = LLVMGetFirstGlobal(g->module); v; v = LLVMGetNextGlobal(v)) {
        size_t length;
        const char *name = LLVMGetValueName2(v, &length);
        if (!LLVMGetInitializer(v) && LLVMGetFirstUse(v))
            return codegen_fail(g, -EINVAL, "undefined variable '%s'", name);
        if (LLVMGetInitializer(v) && !LLVMIsGlobalConstant(v) && strncmp(name, "llvm.", 5))
            return codegen_fail(g, -EINVAL, "variable '%s' is used in an unsupported way", name);
    }
    return 0;
}

/* Half of a worker thread's stack (ABX_CPU_STACK_BYTES): spills, the math functions and the
 * thread's own frames need some, too. */
#define MAX_STACK_BYTES (8u << 20)

static int check_stack(struct codegen *g)
{
    uint64_t bytes = 0; /* of all: they may call each other */
    for (LLVMValueRef f = LLVMGetFirstFunction(g->module); f; f = LLVMGetNextFunction(f)) {
        for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(f); b; b = LLVMGetNextBasicBlock(b))
            for (LLVMValueRef in = LLVMGetFirstInstruction(b); in; in = LLVMGetNextInstruction(in))
                if (LLVMGetInstructionOpcode(in) == LLVMAlloca)
                    bytes += LLVMABISizeOfType(g->layout, LLVMGetAllocatedType(in));
        if (bytes > MAX_STACK_BYTES)
            return codegen_fail(g, -EINVAL,
                    "the kernel's variables need %llu bytes of stack: more than is supported (%u)",
                    (unsigned long long)bytes, MAX_STACK_BYTES);
    }
    return 0;
}

static void set_function_attributes(struct codegen *g)
{
    for (LLVMValueRef f = LLVMGetFirstFunction(g->module); f; f = LLVMGetNextFunction(f)) {
        if (LLVMIsDeclaration(f))
            continue;
        /* Big private arrays must not step over the stack's guard page. */
        LLVMAddAttributeAtIndex(f, LLVMAttributeFunctionIndex,
                LLVMCreateStringAttribute(g->context, "probe-stack", 11, "inline-asm", 10));
        if (g->vector_bytes == 64)
            LLVMAddAttributeAtIndex(f, LLVMAttributeFunctionIndex,
                    LLVMCreateStringAttribute(g->context, "prefer-vector-width", 19, "512", 3));
        /* The stack is aligned to 16 bytes, and of its own accord LLVM aligns it for variables
         * only: spilled vectors would lie across cache lines. */
        if (g->vector_bytes > 16)
            LLVMAddAttributeAtIndex(f, LLVMAttributeFunctionIndex,
                    LLVMCreateEnumAttribute(g->context,
                            LLVMGetEnumAttributeKindForName("alignstack", 10), g->vector_bytes));
        codegen_add_attribute(g, f, "nounwind");
    }
}

/* Vectors of lanes need no vectoriser, and most of the usual optimising was done before. */
#define LANES_PASSES                                                                               \
    "function(sroa,early-cse<memssa>,instcombine<no-verify-fixpoint>,simplifycfg,"                 \
    "loop-mssa(licm),gvn,instcombine<no-verify-fixpoint>,simplifycfg,dce),globaldce"

/* For developers: as text, into the file that the environment names. */
static void print_module(struct codegen *g, const char *suffix)
{
    char path[4096], *error = NULL;
    snprintf(path, sizeof path, "%s%s", getenv("ARCBOX_CODEGEN_VERBOSE"), suffix);
    LLVMPrintModuleToFile(g->module, path, &error);
    LLVMDisposeMessage(error);
}

static int finish(struct codegen *g, struct abx_shader_result *result)
{
    wide_place_factors(g);
    set_function_attributes(g);
    int r = codegen_verify(g, "building");
    if (g->verbose)
        print_module(g, ".before");
    /* LLVM's vectoriser takes rounding to bfloats for dear, and makes short vectors. It comes again
     * below, as what is arithmetic of integers here may be one of bfloats after this. */
    if (r == 0 && g->cpu.lanes <= 1)
        cpu_compute_bfloats(g);
    if (r == 0)
        r = codegen_run_passes(g, g->cpu.lanes > 1 ? LANES_PASSES : "default<O2>,globaldce");
    if (r == 0) {
        cpu_convert(g);
        cpu_compute_bfloats(g);
    }
    if (r == 0 && g->cpu.lanes > 1) {
        cpu_sink(g);
        cpu_move_halves_as_bits(g);
    }
    if (r == 0)
        r = codegen_verify(g, "optimising");
    if (r == 0)
        r = check_externals(g);
    if (r == 0)
        r = check_stack(g);
    if (r < 0)
        return r;
    char *error = NULL;
    LLVMMemoryBufferRef elf;
    if (g->verbose)
        print_module(g, "");
    if (LLVMTargetMachineEmitToMemoryBuffer(g->machine, g->module, LLVMObjectFile, &error, &elf)) {
        codegen_fail(g, -EIO, "code generation failed: %s", error);
        LLVMDisposeMessage(error);
        return -EIO;
    }
    for (unsigned i = 0; i < ABX_BUFFER_SLOTS; i++)
        if (g->readable[i])
            g->cpu.references |= 1u << i;
    g->cpu.elf_offset = sizeof g->cpu;
    g->cpu.elf_bytes = LLVMGetBufferSize(elf);
    g->code.max_threads = ABX_MAX_THREADS_PER_THREADGROUP;
    g->code.private_bytes = g->cpu.lanes ? g->cpu.frame_bytes / g->cpu.lanes : 0;
    r = codegen_pack(g, &g->cpu, sizeof g->cpu, LLVMGetBufferStart(elf), g->cpu.elf_bytes, result);
    LLVMDisposeMemoryBuffer(elf);
    return r;
}

/* Vectors of lanes pay where threads meet: a barrier or a SIMD-group operation costs the scalar
 * form a suspension in every thread. A kernel without any is a plain loop over threads, which
 * LLVM's own vectoriser takes further (measured on tinygrad's training of the digits, 1.2 s
 * against 1.5 s an epoch, and half the time to compile), unless it has loops itself: form.c. The
 * environment forces a form, for tests. What stayed a function (codegen/calls.c) runs for one
 * thread at a time, so the rest does too: to give each lane its arguments is code that is as long.
 */
int cpu_generate(struct codegen *g, struct abx_shader_result *result)
{
    const char *form = getenv("ARCBOX_CODEGEN_FORM");
    int found = cpu_find_spins(g);
    if (found < 0)
        return found;
    g->cpu.yields = g->yields;
    codegen_fuse_narrow(g, false);
    bool meets = g->barriers || g->simd || g->simd_barriers || g->yields;
    bool wide = (form ? strcmp(form, "wide") == 0 : meets || cpu_has_loops(g)) && !g->recursive &&
                !g->calls;
    int r = wide ? cpu_prepare_wide(g) : 0;
    if (r < 0)
        return r;
    wide = wide && (form || meets || cpu_prefers_lanes(g));
    r = wide ? cpu_build_wide(g) : -ENOTSUP;
    if (r == -ENOTSUP && (!form || !wide))
        r = cpu_build_scalar(g);
    return r < 0 ? r : finish(g, result);
}
