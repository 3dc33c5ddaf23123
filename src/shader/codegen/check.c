/* shader: what a guest's module may not contain, whatever made it: clang from source, or the guest
 * itself (a precompiled library). Runs in the compiler process on the module as it was read, with
 * only what the kernel reaches left in it, before any pass may trip over it.
 *
 * None of this is a boundary: machine code can do what the worker's process can. It is that nothing
 * may be compiled that Metal does not have, that would not work, or that breaks LLVM. */
#include "shader/codegen/codegen.h"

#include <string.h>

/* Intrinsics that compute or only tell the optimiser something: starts of names, behind "llvm.". */
static const char *const intrinsics[] = {"abs.", "annotation", "arithmetic.fence", "assume",
        "bitreverse.", "bswap.", "canonicalize.", "ceil.", "convert.", "copysign.", "cos.", "ctlz.",
        "ctpop.", "cttz.", "dbg.", "donothing", "exp.", "exp10.", "exp2.", "expect",
        "experimental.constrained.", "experimental.noalias.scope.decl", "fabs.", "floor.", "fma.",
        "fmuladd.", "fptosi.sat.", "fptoui.sat.", "fptrunc.round.", "frexp.", "fshl.", "fshr.",
        "invariant.", "is.constant.", "is.fpclass.", "launder.invariant.group", "ldexp.",
        "lifetime.", "llrint.", "llround.", "log.", "log10.", "log2.", "lrint.", "lround.",
        "masked.", "maximum.", "maxnum.", "memcpy.", "memmove.", "memset.", "minimum.", "minnum.",
        "nearbyint.", "objectsize.", "pow.", "powi.", "prefetch", "ptr.annotation", "ptrmask.",
        "rint.", "round.", "roundeven.", "sadd.", "scmp.", "sideeffect", "sin.", "smax.", "smin.",
        "smul.", "sqrt.", "sshl.", "ssub.", "strip.invariant.group", "tan.", "trunc.", "uadd.",
        "ucmp.", "umax.", "umin.", "umul.", "ushl.", "usub.", "var.annotation", "vector.extract.",
        "vector.insert.", "vector.reduce.", "vector.reverse."};

/* x86: from here on, pointers are relative to a segment register. */
#define FIRST_MACHINE_SPACE 256u

static int check_intrinsic(struct codegen *g, const char *name)
{
    for (size_t i = 0; i < ABX_ARRAY_SIZE(intrinsics); i++)
        if (!strncmp(name + 5, intrinsics[i], strlen(intrinsics[i])))
            return 0;
    return codegen_fail(g, -EINVAL, "'%.100s' is not supported in Metal", name);
}

static int check_type(struct codegen *g, LLVMTypeRef type)
{
    LLVMTypeKind kind = LLVMGetTypeKind(type);
    if (kind == LLVMPointerTypeKind && LLVMGetPointerAddressSpace(type) >= FIRST_MACHINE_SPACE)
        return codegen_fail(g, -EINVAL, "address space %u is not supported in Metal",
                LLVMGetPointerAddressSpace(type));
    if (kind == LLVMX86_FP80TypeKind || kind == LLVMPPC_FP128TypeKind ||
            kind == LLVMFP128TypeKind || kind == LLVMX86_AMXTypeKind ||
            kind == LLVMScalableVectorTypeKind)
        return codegen_fail(g, -EINVAL, "a type that Metal does not have is used");
    return 0;
}

static int check_call(struct codegen *g, LLVMValueRef in)
{
    LLVMValueRef callee = LLVMGetCalledValue(in);
    if (LLVMIsAInlineAsm(callee))
        return codegen_fail(g, -EINVAL, "inline assembly is not supported in Metal");
    const char *name = codegen_callee(in);
    if (name && !strncmp(name, "llvm.", 5))
        return check_intrinsic(g, name);
    return 0;
}

static int check_alloca(struct codegen *g, LLVMValueRef in)
{
    LLVMValueRef count = LLVMGetOperand(in, 0);
    if (!LLVMIsAConstantInt(count))
        return codegen_fail(g, -EINVAL, "variable length arrays are not supported in Metal");
    LLVMTypeRef type = LLVMGetAllocatedType(in);
    uint64_t bytes = LLVMABISizeOfType(g->layout, type), n = LLVMConstIntGetZExtValue(count);
    if (n && bytes > ABX_MAX_FRAME_BYTES / n)
        return codegen_fail(g, -EINVAL,
                "a variable of a thread has %llu bytes: more than a thread's memory (%u)",
                (unsigned long long)(bytes * n), ABX_MAX_FRAME_BYTES);
    return 0;
}

static int check_instruction(struct codegen *g, LLVMValueRef in)
{
    LLVMOpcode op = LLVMGetInstructionOpcode(in);
    int r = check_type(g, LLVMTypeOf(in));
    for (int i = 0; r == 0 && i < LLVMGetNumOperands(in); i++)
        r = check_type(g, LLVMTypeOf(LLVMGetOperand(in, i)));
    if (r == 0 && op == LLVMCall)
        return check_call(g, in);
    if (r == 0 && op == LLVMAlloca)
        return check_alloca(g, in);
    if (r == 0 && (op == LLVMInvoke || op == LLVMCallBr || op == LLVMIndirectBr ||
                          op == LLVMLandingPad || op == LLVMResume || op == LLVMVAArg ||
                          op == LLVMCatchSwitch || op == LLVMCatchPad || op == LLVMCleanupPad))
        return codegen_fail(g, -EINVAL,
                "exceptions, variable arguments and addresses of labels are "
                "not supported in Metal");
    return r;
}

static int check_function(struct codegen *g, LLVMValueRef f)
{
    unsigned naked = LLVMGetEnumAttributeKindForName("naked", 5);
    if (LLVMGetEnumAttributeAtIndex(f, LLVMAttributeFunctionIndex, naked))
        return codegen_fail(g, -EINVAL, "the attribute 'naked' is not supported in Metal");
    for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(f); b; b = LLVMGetNextBasicBlock(b))
        for (LLVMValueRef in = LLVMGetFirstInstruction(b); in; in = LLVMGetNextInstruction(in)) {
            int r = check_instruction(g, in);
            if (r < 0)
                return r;
        }
    return 0;
}

/* Constant data goes into the object as it is, so what is larger than any object could only exhaust
 * memory. */
static int check_globals(struct codegen *g)
{
    uint64_t sum = 0;
    for (LLVMValueRef v = LLVMGetFirstGlobal(g->module); v; v = LLVMGetNextGlobal(v)) {
        int r = check_type(g, LLVMTypeOf(v));
        if (r < 0)
            return r;
        if (!LLVMGetInitializer(v) || !LLVMIsGlobalConstant(v))
            continue; /* threadgroup variables have a limit of their own */
        uint64_t bytes = LLVMABISizeOfType(g->layout, LLVMGlobalGetValueType(v));
        if (bytes > ABX_SHADER_MAX_OBJECT_BYTES - sum)
            return codegen_fail(g, -EINVAL,
                    "the kernel's constant variables have more than %u bytes",
                    ABX_SHADER_MAX_OBJECT_BYTES);
        sum += bytes;
    }
    return 0;
}

int codegen_check(struct codegen *g)
{
    size_t assembly;
    LLVMGetModuleInlineAsm(g->module, &assembly);
    if (assembly)
        return codegen_fail(g, -EINVAL, "inline assembly is not supported in Metal");
    for (LLVMValueRef v = LLVMGetFirstGlobalAlias(g->module); v; v = LLVMGetNextGlobalAlias(v))
        if (LLVMGetFirstUse(v))
            return codegen_fail(g, -EINVAL, "aliases are not supported in Metal");
    for (LLVMValueRef v = LLVMGetFirstGlobalIFunc(g->module); v; v = LLVMGetNextGlobalIFunc(v))
        if (LLVMGetFirstUse(v))
            return codegen_fail(g, -EINVAL, "the attribute 'ifunc' is not supported in Metal");
    int r = check_globals(g);
    for (LLVMValueRef f = LLVMGetFirstFunction(g->module); f && r == 0; f = LLVMGetNextFunction(f))
        r = check_function(g, f);
    return r;
}
