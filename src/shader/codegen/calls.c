/* shader: calls that stay calls. A kernel is one function, for threads side by side (cpu/) want to
 * be seen as a whole; but what is called from many places is then as often in it, and its callees
 * in turn: curve arithmetic of 16 limbs becomes a hundred times as long as its text. So where the
 * kernel would pass a bound, the functions that make it so stay functions, which one thread at a
 * time runs: as few as it takes. Compiler process; the module is made from guest source.
 *
 * How long they become is measured, not guessed: on a copy of the module, in which each function of
 * these is optimised by itself, its loops unrolled. That takes time in proportion to the text. */
#include "shader/codegen/codegen.h"

#include <llvm-c/Transforms/PassBuilder.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Instructions of one thread's code, unrolled. Twice as many take LLVM some five seconds, and each
 * thread a tenth of a millisecond: calls are cheap beside either. */
#define MOST_INLINED 16000u
/* The same where there are calls: lanes are then out of reach for most of the work, and code that
 * stands there twice is no faster. */
#define MOST_BESIDE_CALLS 4000u
#define MOST_RAW 1500u  /* as clang writes it: less is not worth a measurement */
#define LEAST_RAW 60u   /* what is less is always inlined */
#define LEAST_KEPT 150u /* the same, once it is optimised */
#define MAX_KEPT 64u    /* each takes a look at all functions */
#define MAX_FUNCTIONS 20000u
#define MAX_COUNT (UINT64_MAX / 4)
#define MAX_DEPTH 32u
#define REACH "arcbox-reach" /* of a kept function's pointer parameter: bytes that it uses */

struct function {
    LLVMValueRef f;
    uint64_t own, all,
            copies;        /* instructions: without and with what it calls; times in the kernel */
    uint32_t first, count; /* its calls, in graph.call */
    uint32_t callers;      /* that have not been seen yet */
    bool unfit;            /* it must be inlined */
    bool candidate, kept;
};

struct graph {
    struct function *function;
    uint32_t *call;  /* the called function's number, a call */
    uint32_t *order; /* callers before callees; without those that call themselves */
    uint32_t count, ordered, calls, function_capacity, call_capacity;
};

static uint64_t sum(uint64_t a, uint64_t b)
{
    return a + b < MAX_COUNT ? a + b : MAX_COUNT;
}

static uint64_t product(uint64_t a, uint64_t b)
{
    return b && a > MAX_COUNT / b ? MAX_COUNT : a * b;
}

static struct function *find(const struct graph *graph, LLVMValueRef f)
{
    struct function key = {.f = f};
    return bsearch(&key, graph->function, graph->count, sizeof key, codegen_compare_pointers);
}

/* ---- what may stay a function */

/* It leads to memory that threads share under a name, which only the kernel has the address of. */
static bool names_shared(LLVMValueRef v, unsigned depth)
{
    if (!v || !LLVMIsAConstant(v) || LLVMIsAFunction(v))
        return false;
    if (LLVMIsAGlobalVariable(v))
        return !LLVMIsGlobalConstant(v);
    if (depth == 0)
        return true;
    for (int i = 0; LLVMIsAUser(v) && i < LLVMGetNumOperands(v); i++)
        if (names_shared(LLVMGetOperand(v, (unsigned)i), depth - 1))
            return true;
    return false;
}

/* Others may look at its order (cpu/spin.c asks about loops that wait): not in a function. */
static bool is_ordered(LLVMValueRef in)
{
    switch (LLVMGetInstructionOpcode(in)) {
    case LLVMLoad:
    case LLVMStore:
        return LLVMGetVolatile(in) || LLVMGetOrdering(in) != LLVMAtomicOrderingNotAtomic;
    case LLVMAtomicRMW:
    case LLVMAtomicCmpXchg:
    case LLVMFence:
        return true;
    default:
        return false;
    }
}

/* Markers (where a thread is, what it meets others with) are the kernel's. */
static bool is_unfit(LLVMValueRef in)
{
    const char *callee = codegen_callee(in);
    if (is_ordered(in) || (callee && (!*callee || !strncmp(callee, "__abx_", 6))) ||
            LLVMIsAInvokeInst(in))
        return true;
    for (int i = 0; i < LLVMGetNumOperands(in); i++)
        if (names_shared(LLVMGetOperand(in, (unsigned)i), 8))
            return true;
    return false;
}

static bool fits_in_register(LLVMTypeRef type)
{
    switch (LLVMGetTypeKind(type)) {
    case LLVMVoidTypeKind:
    case LLVMIntegerTypeKind:
    case LLVMHalfTypeKind:
    case LLVMBFloatTypeKind:
    case LLVMFloatTypeKind:
    case LLVMDoubleTypeKind:
    case LLVMPointerTypeKind:
        return true;
    default:
        return false;
    }
}

static bool has_plain_type(LLVMValueRef f)
{
    LLVMTypeRef type = LLVMGlobalGetValueType(f);
    bool plain = !LLVMIsFunctionVarArg(type) && fits_in_register(LLVMGetReturnType(type));
    for (unsigned i = 0; plain && i < LLVMCountParams(f); i++)
        plain = fits_in_register(LLVMTypeOf(LLVMGetParam(f, i)));
    return plain;
}

/* ---- the graph of calls */

static bool add_function(struct graph *graph, LLVMValueRef f)
{
    if (!abx_grow((void **)&graph->function, &graph->function_capacity, graph->count + 1,
                sizeof *graph->function, MAX_FUNCTIONS))
        return false;
    graph->function[graph->count++] = (struct function){.f = f, .unfit = !has_plain_type(f)};
    return true;
}

static bool add_calls(struct graph *graph, struct function *f)
{
    f->first = graph->calls;
    for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(f->f); b; b = LLVMGetNextBasicBlock(b))
        for (LLVMValueRef in = LLVMGetFirstInstruction(b); in; in = LLVMGetNextInstruction(in)) {
            f->own++;
            f->unfit |= is_unfit(in);
            LLVMValueRef callee = LLVMIsACallInst(in) ? LLVMGetCalledValue(in) : NULL;
            if (!callee || !LLVMIsAFunction(callee) || LLVMIsDeclaration(callee))
                continue;
            if (!abx_grow((void **)&graph->call, &graph->call_capacity, graph->calls + 1,
                        sizeof *graph->call, UINT32_MAX / 16))
                return false;
            struct function *to = find(graph, callee);
            to->callers++;
            graph->call[graph->calls++] = (uint32_t)(to - graph->function);
        }
    f->count = graph->calls - f->first;
    return true;
}

/* Callers before callees, as far as none calls itself. */
static bool sort(struct graph *graph)
{
    graph->order = calloc(graph->count + 1, sizeof *graph->order);
    if (!graph->order)
        return false;
    for (uint32_t i = 0; i < graph->count; i++)
        if (graph->function[i].callers == 0)
            graph->order[graph->ordered++] = i;
    for (uint32_t at = 0; at < graph->ordered; at++) {
        const struct function *f = &graph->function[graph->order[at]];
        for (uint32_t k = f->first; k < f->first + f->count; k++)
            if (--graph->function[graph->call[k]].callers == 0)
                graph->order[graph->ordered++] = graph->call[k];
    }
    return true;
}

static void close_graph(struct graph *graph)
{
    free(graph->function);
    free(graph->call);
    free(graph->order);
}

/* Of the module's functions; false when there are too many, or one calls itself: recursion.c. */
static bool open_graph(struct graph *graph, LLVMModuleRef module)
{
    bool ok = true;
    for (LLVMValueRef f = LLVMGetFirstFunction(module); f && ok; f = LLVMGetNextFunction(f))
        ok = LLVMIsDeclaration(f) || add_function(graph, f);
    if (ok && graph->count)
        qsort(graph->function, graph->count, sizeof *graph->function, codegen_compare_pointers);
    for (uint32_t i = 0; i < graph->count && ok; i++)
        ok = add_calls(graph, &graph->function[i]);
    return ok && sort(graph) && graph->ordered == graph->count;
}

/* How often each stands in what is compiled: returns the instructions of that. */
static uint64_t count_copies(struct graph *graph)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < graph->count; i++)
        graph->function[i].copies = 0;
    for (uint32_t i = 0; i < graph->ordered; i++) {
        struct function *f = &graph->function[graph->order[i]];
        if (f->kept || f->copies == 0) /* nobody calls it: it is a root */
            f->copies = 1;
        total = sum(total, product(f->own, f->copies));
        for (uint32_t k = f->first; k < f->first + f->count; k++)
            graph->function[graph->call[k]].copies =
                    sum(graph->function[graph->call[k]].copies, f->copies);
    }
    return total;
}

static void add_up(struct graph *graph)
{
    for (uint32_t i = graph->ordered; i-- > 0;) {
        struct function *f = &graph->function[graph->order[i]];
        f->all = f->own;
        for (uint32_t k = f->first; k < f->first + f->count; k++) {
            f->all = sum(f->all, graph->function[graph->call[k]].all);
            f->unfit |= graph->function[graph->call[k]].unfit;
        }
    }
}

/* ---- pointers
 *
 * What is stored past the end of a private array must stay in the thread (cpu/private.c). So a
 * function uses memory of its caller's at places that are plain to see, or copies it to its own. */

static uint64_t pointee_bytes(struct codegen *g, LLVMValueRef f, unsigned param)
{
    static const char *const names[] = {"byval", "sret"};
    for (size_t i = 0; i < ABX_ARRAY_SIZE(names); i++) {
        unsigned kind = LLVMGetEnumAttributeKindForName(names[i], strlen(names[i]));
        LLVMAttributeRef a = LLVMGetEnumAttributeAtIndex(f, param + 1, kind);
        if (a)
            return LLVMABISizeOfType(g->layout, LLVMGetTypeAttributeValue(a));
    }
    return 0;
}

/* How far constants lead from the address before; false: it is not told by constants. */
static bool add_steps(struct codegen *g, LLVMValueRef gep, uint64_t *at)
{
    LLVMTypeRef type = LLVMGetGEPSourceElementType(gep);
    for (int i = 1; i < LLVMGetNumOperands(gep); i++) {
        LLVMValueRef index = LLVMGetOperand(gep, (unsigned)i);
        if (!LLVMIsAConstantInt(index) || LLVMConstIntGetSExtValue(index) < 0 ||
                LLVMConstIntGetZExtValue(index) > UINT32_MAX)
            return false;
        uint64_t bytes;
        if (i > 1 && LLVMGetTypeKind(type) != LLVMStructTypeKind &&
                LLVMGetTypeKind(type) != LLVMArrayTypeKind)
            return false;
        if (!codegen_gep_field(g, gep, (unsigned)i, &type, &bytes))
            bytes = product(LLVMConstIntGetZExtValue(index), bytes);
        *at = sum(*at, bytes);
    }
    return true;
}

static uint64_t accessed_bytes(struct codegen *g, LLVMValueRef user, LLVMValueRef pointer)
{
    if (LLVMIsALoadInst(user))
        return LLVMABISizeOfType(g->layout, LLVMTypeOf(user));
    if (LLVMIsAStoreInst(user) && LLVMGetOperand(user, 0) != pointer)
        return LLVMABISizeOfType(g->layout, LLVMTypeOf(LLVMGetOperand(user, 0)));
    if (LLVMIsAMemIntrinsic(user) && LLVMIsAConstantInt(LLVMGetOperand(user, 2)))
        return LLVMConstIntGetZExtValue(LLVMGetOperand(user, 2));
    return 0;
}

/* Raises *reach to the bytes from `pointer` on, which is `at` from the parameter, that are used.
 * False: that is not plain to see. */
static bool find_reach(
        struct codegen *g, LLVMValueRef pointer, uint64_t at, uint64_t *reach, unsigned depth)
{
    if (depth == 0)
        return false;
    for (LLVMUseRef u = LLVMGetFirstUse(pointer); u; u = LLVMGetNextUse(u)) {
        LLVMValueRef user = LLVMGetUser(u);
        const char *callee = codegen_callee(user);
        uint64_t bytes = accessed_bytes(g, user, pointer), place = at;
        if (LLVMIsAGetElementPtrInst(user) && LLVMGetOperand(user, 0) == pointer) {
            if (!add_steps(g, user, &place) || !find_reach(g, user, place, reach, depth - 1))
                return false;
            continue;
        }
        if (callee && !strncmp(callee, "llvm.lifetime.", 14))
            continue;
        if (callee && !bytes && LLVMIsAFunction(LLVMGetCalledValue(user)))
            for (unsigned i = 0; i < LLVMGetNumArgOperands(user); i++)
                if (LLVMGetOperand(user, i) == pointer) {
                    uint64_t each = pointee_bytes(g, LLVMGetCalledValue(user), i);
                    if (!each)
                        return false;
                    bytes = each > bytes ? each : bytes;
                }
        if (!bytes)
            return false;
        *reach = sum(place, bytes) > *reach ? sum(place, bytes) : *reach;
    }
    return true;
}

/* Bytes that the parameter's function uses behind it; 0: that is not known. */
static uint64_t reach_of(struct codegen *g, LLVMValueRef f, unsigned param)
{
    uint64_t reach = pointee_bytes(g, f, param);
    if (reach)
        return reach;
    reach = 1;
    return find_reach(g, LLVMGetParam(f, param), 0, &reach, MAX_DEPTH) ? reach : 0;
}

static bool is_pointer(LLVMValueRef v)
{
    return LLVMGetTypeKind(LLVMTypeOf(v)) == LLVMPointerTypeKind;
}

static bool reaches_known(struct codegen *g, LLVMValueRef f)
{
    bool known = true;
    for (unsigned i = 0; known && i < LLVMCountParams(f); i++)
        known = !is_pointer(LLVMGetParam(f, i)) || reach_of(g, f, i) != 0;
    return known;
}

/* ---- measuring */

static LLVMValueRef same_in(LLVMModuleRef module, LLVMValueRef f)
{
    size_t length;
    return LLVMGetNamedFunction(module, LLVMGetValueName2(f, &length));
}

/* The functions of which there may be too many copies; how many. */
static uint32_t find_candidates(struct graph *graph)
{
    uint32_t found = 0;
    add_up(graph);
    if (count_copies(graph) < MOST_RAW)
        return 0;
    for (uint32_t i = 0; i < graph->count; i++) {
        struct function *f = &graph->function[i];
        f->candidate = !f->unfit && f->copies > 1 && f->all >= LEAST_RAW;
        found += f->candidate;
    }
    return found;
}

static void set_kept(struct codegen *g, LLVMValueRef f)
{
    codegen_remove_attribute(f, "alwaysinline");
    codegen_add_attribute(g, f, "noinline");
}

/* A copy of the module, its candidates optimised each by itself; NULL: there is none. */
static LLVMModuleRef measured_copy(struct codegen *g, const struct graph *graph)
{
    LLVMModuleRef copy = LLVMCloneModule(g->module), own = g->module;
    for (uint32_t i = 0; i < graph->count; i++)
        if (graph->function[i].candidate)
            set_kept(g, same_in(copy, graph->function[i].f));
    g->module = copy;
    int r = codegen_run_passes(g, "always-inline,globaldce,function(sroa,early-cse<memssa>,"
                                  "instcombine<no-verify-fixpoint>,simplifycfg,loop-simplify,lcssa,"
                                  "loop-mssa(loop-rotate,licm))");
    for (LLVMValueRef f = LLVMGetFirstFunction(copy); f; f = LLVMGetNextFunction(f))
        if (!LLVMIsDeclaration(f))
            codegen_unroll_private(g, f, true);
    if (r == 0)
        r = codegen_run_passes(g,
                "function(loop-simplify,lcssa," CODEGEN_UNROLL ",sroa,early-cse<memssa>,"
                "instcombine<no-verify-fixpoint>,simplifycfg)");
    g->module = own;
    if (r == 0)
        return copy;
    LLVMDisposeModule(copy);
    return NULL;
}

/* The one that saves most; NULL: none saves anything. */
static struct function *best(struct codegen *g, struct graph *graph)
{
    struct function *found = NULL;
    uint64_t most = 0;
    for (uint32_t i = 0; i < graph->count; i++) {
        struct function *f = &graph->function[i];
        uint64_t saved = f->copies > 1 ? product(f->own, f->copies - 1) : 0;
        if (!f->candidate || f->kept || f->own < LEAST_KEPT || saved <= most)
            continue;
        f->candidate = reaches_known(g, f->f);
        if (!f->candidate)
            continue;
        found = f;
        most = saved;
    }
    return found;
}

static bool choose(struct codegen *g, struct graph *graph, LLVMModuleRef copy)
{
    for (uint32_t i = 0; i < graph->count; i++) {
        unsigned kind = LLVMGetEnumAttributeKindForName("noinline", 8);
        graph->function[i].candidate =
                LLVMGetEnumAttributeAtIndex(graph->function[i].f, LLVMAttributeFunctionIndex, kind);
    }
    bool any = false;
    uint64_t most = MOST_INLINED;
    for (unsigned n = 0; n < MAX_KEPT && count_copies(graph) > most; n++) {
        struct function *f = best(g, graph);
        if (!f)
            break;
        f->kept = any = true;
        most = MOST_BESIDE_CALLS;
    }
    return any;
}

/* ---- making them so */

static void copy_in(struct codegen *g, LLVMValueRef f, unsigned param, bool out)
{
    LLVMValueRef p = LLVMGetParam(f, param);
    uint64_t bytes = pointee_bytes(g, f, param);
    LLVMBuilderRef b = g->builder;
    LLVMPositionBuilderBefore(b, LLVMGetFirstInstruction(LLVMGetEntryBasicBlock(f)));
    LLVMValueRef own = LLVMBuildAlloca(b, LLVMArrayType2(g->i8, bytes), "");
    LLVMSetAlignment(own, 16);
    LLVMReplaceAllUsesWith(p, own);
    if (!out) {
        LLVMBuildMemCpy(b, own, 16, p, ABX_MEMORY_ALIGNMENT, codegen_i64(g, bytes));
        return;
    }
    for (LLVMBasicBlockRef block = LLVMGetFirstBasicBlock(f); block;
            block = LLVMGetNextBasicBlock(block)) {
        LLVMValueRef end = LLVMGetBasicBlockTerminator(block);
        if (!LLVMIsAReturnInst(end))
            continue;
        LLVMPositionBuilderBefore(b, end);
        LLVMBuildMemCpy(b, p, ABX_MEMORY_ALIGNMENT, own, 16, codegen_i64(g, bytes));
    }
}

static void keep(struct codegen *g, LLVMValueRef f, LLVMValueRef measured)
{
    unsigned sret = LLVMGetEnumAttributeKindForName("sret", 4);
    set_kept(g, f);
    for (unsigned i = 0; i < LLVMCountParams(f); i++) {
        if (!is_pointer(LLVMGetParam(f, i)))
            continue;
        char text[24];
        int length =
                snprintf(text, sizeof text, "%llu", (unsigned long long)reach_of(g, measured, i));
        LLVMAddAttributeAtIndex(f, i + 1,
                LLVMCreateStringAttribute(
                        g->context, REACH, sizeof REACH - 1, text, (unsigned)length));
        if (pointee_bytes(g, f, i))
            copy_in(g, f, i, LLVMGetEnumAttributeAtIndex(f, i + 1, sret) != NULL);
    }
}

static void keep_chosen(struct codegen *g, const struct graph *graph)
{
    for (uint32_t i = 0; i < graph->count; i++)
        if (graph->function[i].kept) {
            keep(g, same_in(g->module, graph->function[i].f), graph->function[i].f);
            g->calls = true;
        }
}

void codegen_keep_calls(struct codegen *g)
{
    struct graph raw = {0}, measured = {0};
    LLVMModuleRef copy = NULL;
    if (open_graph(&raw, g->module) && find_candidates(&raw))
        copy = measured_copy(g, &raw);
    if (copy && open_graph(&measured, copy) && choose(g, &measured, copy))
        keep_chosen(g, &measured);
    close_graph(&raw);
    close_graph(&measured);
    if (copy)
        LLVMDisposeModule(copy);
}

bool codegen_is_kept(LLVMValueRef call)
{
    LLVMValueRef f = LLVMIsACallInst(call) ? LLVMGetCalledValue(call) : NULL;
    unsigned kind = LLVMGetEnumAttributeKindForName("noinline", 8);
    return f && LLVMIsAFunction(f) && !LLVMIsDeclaration(f) &&
           LLVMGetEnumAttributeAtIndex(f, LLVMAttributeFunctionIndex, kind);
}

uint64_t codegen_reach(LLVMValueRef call, unsigned argument)
{
    unsigned length;
    LLVMAttributeRef a = codegen_is_kept(call)
                                 ? LLVMGetStringAttributeAtIndex(LLVMGetCalledValue(call),
                                           argument + 1, REACH, sizeof REACH - 1)
                                 : NULL;
    return a ? strtoull(LLVMGetStringAttributeValue(a, &length), NULL, 10) : 0;
}
