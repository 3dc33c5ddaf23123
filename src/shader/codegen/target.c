/* shader: see target.h. */
#include "shader/codegen/target.h"

#include <llvm-c/Support.h>
#include <stdlib.h>
#include <string.h>

static void initialize_host(void)
{
    LLVMInitializeNativeTarget();
    LLVMInitializeNativeAsmPrinter();
}

#define INITIALIZE(T)                                                                              \
    static void initialize_##T(void)                                                               \
    {                                                                                              \
        LLVMInitialize##T##TargetInfo();                                                           \
        LLVMInitialize##T##Target();                                                               \
        LLVMInitialize##T##TargetMC();                                                             \
        LLVMInitialize##T##AsmPrinter();                                                           \
    }
INITIALIZE(X86)
INITIALIZE(AArch64)
INITIALIZE(NVPTX)

/* Other computers' processors are the least that runs everywhere a host runtime might: AVX2 has
 * been in every x86-64 server since 2015, NEON is part of aarch64. */
static const struct codegen_target targets[] = {
        {ABX_TARGET_HOST, "host", NULL, NULL, NULL, initialize_host},
        {ABX_TARGET_X86_64, "x86-64", "x86_64-unknown-linux-gnu", "x86-64-v3", "+avx2,+fma,+f16c",
                initialize_X86},
        {ABX_TARGET_AARCH64, "aarch64", "aarch64-unknown-linux-gnu", "generic", "+neon",
                initialize_AArch64},
        /* What matrices of bfloat and reductions of a warp need; later processors run it too. */
        {ABX_TARGET_NVPTX, "nvptx", "nvptx64-nvidia-cuda", "sm_80", "+ptx78", initialize_NVPTX},
};

const struct codegen_target *codegen_target_find(uint32_t id)
{
    for (size_t i = 0; i < ABX_ARRAY_SIZE(targets); i++)
        if (targets[i].id == id)
            return &targets[i];
    return NULL;
}

static bool has_feature(const char *features, const char *name)
{
    size_t length = strlen(name);
    for (const char *f = features; (f = strstr(f, name)); f += length)
        if (f > features && f[-1] == '+' && (f[length] == ',' || f[length] == 0))
            return true;
    return false;
}

static int open_machine(
        struct codegen *g, const char *triple, const char *cpu, const char *features)
{
    LLVMTargetRef target;
    char *error = NULL;
    if (LLVMGetTargetFromTriple(triple, &target, &error)) {
        codegen_fail(g, -ENOSYS, "no code generator for %s: %s", triple, error);
        LLVMDisposeMessage(error);
        return -ENOSYS;
    }
    /* In the small model LLVM makes tables of distances of those of pointers, which PTX has no way
     * to write. */
    bool ptx = !strncmp(triple, "nvptx", 5);
    g->machine = LLVMCreateTargetMachine(target, triple, cpu, features, LLVMCodeGenLevelDefault,
            LLVMRelocPIC, ptx ? LLVMCodeModelLarge : LLVMCodeModelSmall);
    g->layout = LLVMCreateTargetDataLayout(g->machine);
    g->vector_bytes = has_feature(features, "avx512f") ? 64
                      : has_feature(features, "avx2")  ? 32
                                                       : 16;
    return 0;
}

/* LLVM 19 takes these from nowhere else. */
static void set_options(void)
{
    static const char *const arguments[] = {"arcbox", "-scalarize-load-store",
            /* Lanes come in an order that needs few registers. Two schedulers that change it, for
             * processors which order instructions themselves, cost a tenth to a half of a kernel's
             * speed in spilled registers, and take time that is quadratic in a block's accesses. */
            "-enable-misched=false", "-post-RA-scheduler=false", "-pre-RA-sched=source"};
    static bool once;
    if (!once)
        LLVMParseCommandLineOptions(ABX_ARRAY_SIZE(arguments), arguments, NULL);
    once = true;
}

/* ARCBOX_TARGET names one of targets[] whose code is to be used although this computer could run
 * better: to measure and to test it. NULL: none is named. */
static int find_lesser(struct codegen *g, const char *features, const struct codegen_target **ret)
{
    const char *name = getenv(ABX_TARGET_ENV);
    *ret = NULL;
    if (!name || !*name || !strcmp(name, "host"))
        return 0;
    for (size_t i = 0; i < ABX_ARRAY_SIZE(targets); i++)
        if (targets[i].triple && !strcmp(targets[i].name, name))
            *ret = &targets[i];
#if defined(__x86_64__)
    bool ours = *ret && (*ret)->id == ABX_TARGET_X86_64 && has_feature(features, "avx2");
#else
    bool ours = *ret && (*ret)->id == ABX_TARGET_AARCH64;
#endif
    return ours ? 0
                : codegen_fail(
                          g, -EINVAL, ABX_TARGET_ENV "=%s: this computer runs no such code", name);
}

int codegen_target_open(struct codegen *g, uint32_t id)
{
    const struct codegen_target *t = g->target = codegen_target_find(id);
    if (!t)
        return codegen_fail(g, -EINVAL, "there is no code generator for target %u", id);
    g->code.target = id;
    t->initialize();
    set_options();
    if (t->triple)
        return open_machine(g, t->triple, t->cpu, t->features);
    char *triple = LLVMGetDefaultTargetTriple(), *cpu = LLVMGetHostCPUName(),
         *features = LLVMGetHostCPUFeatures();
    const struct codegen_target *lesser;
    int r = find_lesser(g, features, &lesser);
    if (r == 0)
        r = lesser ? open_machine(g, triple, lesser->cpu, lesser->features)
                   : open_machine(g, triple, cpu, features);
    LLVMDisposeMessage(triple);
    LLVMDisposeMessage(cpu);
    LLVMDisposeMessage(features);
    return r;
}
