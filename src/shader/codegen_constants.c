/* shader: program scope constants whose values are computed, from function constants mostly:
 *
 *     constant bool wide = is_function_constant_defined(width) ? width > 4 : false;
 *
 * clang initialises them in functions that run before main(). Here those that the kernel needs are
 * kept, and evaluated once the function constants are set. Compiler process; hostile input. */
#include "shader/codegen.h"

#include <stdlib.h>
#include <string.h>

/* A list without repetition. */
struct set {
    LLVMValueRef *items;
    size_t count, capacity;
    bool failed;
};

static void set_add(struct set *s, LLVMValueRef v)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->items[i] == v)
            return;
    if (s->count == s->capacity) {
        size_t capacity = s->capacity ? 2 * s->capacity : 64;
        LLVMValueRef *items = realloc(s->items, capacity * sizeof *items);
        if (!items) {
            s->failed = true;
            return;
        }
        s->items = items, s->capacity = capacity;
    }
    s->items[s->count++] = v;
}

static void add_callees(struct set *s, LLVMValueRef function)
{
    for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(function); b; b = LLVMGetNextBasicBlock(b))
        for (LLVMValueRef in = LLVMGetFirstInstruction(b); in; in = LLVMGetNextInstruction(in))
            if (LLVMIsACallInst(in) && LLVMIsAFunction(LLVMGetCalledValue(in)))
                set_add(s, LLVMGetCalledValue(in));
}

/* The functions that initialise: those of ordinary variables, which one function calls in their
 * order, or those of templates' members, which use the others more often than the reverse. */
static void list_initialisers(struct codegen *g, bool ordinary, struct set *ret)
{
    LLVMValueRef list = LLVMGetNamedGlobal(g->module, "llvm.global_ctors");
    LLVMValueRef entries = list ? LLVMGetInitializer(list) : NULL;
    int count = entries && LLVMIsAConstantArray(entries) ? LLVMGetNumOperands(entries) : 0;
    for (int i = 0; i < count; i++) {
        LLVMValueRef f = LLVMGetOperand(LLVMGetOperand(entries, (unsigned)i), 1);
        size_t length;
        if (!LLVMIsAFunction(f) ||
                (strncmp(LLVMGetValueName2(f, &length), "_GLOBAL__", 9) == 0) != ordinary)
            continue;
        if (ordinary)
            add_callees(ret, f);
        else
            set_add(ret, f);
    }
}

/* A template's member has a guard of eight bytes, of which one is written: what evaluates the
 * initialisers refuses that. */
static void narrow_guards(struct codegen *g)
{
    for (LLVMValueRef v = LLVMGetFirstGlobal(g->module), next; v; v = next) {
        size_t length;
        next = LLVMGetNextGlobal(v);
        if (strncmp(LLVMGetValueName2(v, &length), "_ZGV", 4) != 0 || !LLVMGetInitializer(v))
            continue;
        LLVMValueRef guard = LLVMAddGlobal(g->module, g->i8, "guard");
        LLVMSetInitializer(guard, LLVMConstNull(g->i8));
        LLVMReplaceAllUsesWith(v, guard);
        LLVMDeleteGlobal(v);
    }
}

/* The variable that `v` is an address in, or NULL. */
static LLVMValueRef variable_of(LLVMValueRef v)
{
    while (v && (LLVMIsAGetElementPtrInst(v) || LLVMIsAConstantExpr(v)))
        v = LLVMGetOperand(v, 0);
    return v && LLVMIsAGlobalVariable(v) && !LLVMIsGlobalConstant(v) ? v : NULL;
}

/* What a function may write of its own: what it stores to, and what it hands to constructors. */
static void add_targets(struct set *s, LLVMValueRef function)
{
    for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(function); b; b = LLVMGetNextBasicBlock(b))
        for (LLVMValueRef in = LLVMGetFirstInstruction(b); in; in = LLVMGetNextInstruction(in)) {
            int first = LLVMIsAStoreInst(in) ? 1 : 0;
            int end = LLVMIsAStoreInst(in) ? 2 : LLVMIsACallInst(in) ? LLVMGetNumOperands(in) : 0;
            for (int i = first; i < end; i++) {
                LLVMValueRef v = variable_of(LLVMGetOperand(in, (unsigned)i));
                if (v)
                    set_add(s, v);
            }
        }
}

/* Whether `v` is used, at any remove, by one of `by`. */
static bool is_used(LLVMValueRef v, const struct set *by)
{
    struct set seen = {0};
    bool found = false;
    set_add(&seen, v);
    for (size_t i = 0; i < seen.count && !found; i++) {
        for (LLVMUseRef u = LLVMGetFirstUse(seen.items[i]); u; u = LLVMGetNextUse(u)) {
            LLVMValueRef user = LLVMGetUser(u);
            if (LLVMIsAInstruction(user))
                user = LLVMGetBasicBlockParent(LLVMGetInstructionParent(user));
            set_add(&seen, user);
        }
        for (size_t k = 0; k < by->count; k++)
            found |= seen.items[i] == by->items[k];
    }
    found |= seen.failed;
    free(seen.items);
    return found;
}

static bool is_needed(LLVMValueRef initialiser, const struct set *by)
{
    struct set targets = {0};
    add_targets(&targets, initialiser);
    bool needed = targets.failed;
    for (size_t i = 0; i < targets.count && !needed; i++)
        needed = is_used(targets.items[i], by);
    free(targets.items);
    return needed;
}

/* Makes `functions`, in the order of `order`, all that initialises. */
static void set_initialisers(
        struct codegen *g, const struct set *order, const struct set *functions)
{
    LLVMTypeRef void_type = LLVMFunctionType(LLVMVoidTypeInContext(g->context), NULL, 0, 0);
    LLVMValueRef all = LLVMAddFunction(g->module, "initialise", void_type);
    LLVMPositionBuilderAtEnd(g->builder, LLVMAppendBasicBlockInContext(g->context, all, "entry"));
    for (size_t i = 0; i < order->count; i++)
        for (size_t k = 0; k < functions->count; k++)
            if (functions->items[k] == order->items[i])
                LLVMBuildCall2(g->builder, void_type, order->items[i], NULL, 0, "");
    LLVMBuildRetVoid(g->builder);
    LLVMValueRef fields[3] = {codegen_i32(g, 65535), all, LLVMConstNull(g->ptr)};
    LLVMValueRef entry = LLVMConstStructInContext(g->context, fields, 3, 0);
    LLVMValueRef list = LLVMConstArray2(LLVMTypeOf(entry), &entry, 1);
    LLVMValueRef global = LLVMAddGlobal(g->module, LLVMTypeOf(list), "llvm.global_ctors");
    LLVMSetInitializer(global, list);
    LLVMSetLinkage(global, LLVMAppendingLinkage);
}

int codegen_keep_initialisers(struct codegen *g, const LLVMValueRef *roots, uint32_t count)
{
    struct set all = {0}, needed = {0};
    list_initialisers(g, true, &all);
    list_initialisers(g, false, &all);
    for (uint32_t i = 0; i < count; i++)
        set_add(&needed, roots[i]);
    /* One may use what another makes. */
    for (size_t before = 0; before != needed.count;) {
        before = needed.count;
        for (size_t i = 0; i < all.count; i++)
            if (is_needed(all.items[i], &needed))
                set_add(&needed, all.items[i]);
    }
    bool failed = all.failed || needed.failed;
    LLVMValueRef list = LLVMGetNamedGlobal(g->module, "llvm.global_ctors");
    if (list)
        LLVMDeleteGlobal(list);
    if (needed.count > count) {
        narrow_guards(g);
        set_initialisers(g, &all, &needed);
    }
    free(all.items), free(needed.items);
    return failed ? codegen_fail(g, -ENOMEM, "out of memory") : 0;
}

/* Another module's constant cannot be used here if it holds an address. */
static bool holds_address(LLVMValueRef constant)
{
    if (LLVMIsAGlobalValue(constant))
        return true;
    for (int i = 0; i < LLVMGetNumOperands(constant); i++)
        if (holds_address(LLVMGetOperand(constant, (unsigned)i)))
            return true;
    return false;
}

/* Evaluates the initialisers of g->module, of which nothing else is left. */
static int evaluate(struct codegen *g)
{
    LLVMSetLinkage(LLVMGetNamedFunction(g->module, LLVMGetValueName2(g->kernel, &(size_t){0})),
            LLVMInternalLinkage);
    /* What is internal would be removed once it is evaluated. */
    for (LLVMValueRef v = LLVMGetFirstGlobal(g->module); v; v = LLVMGetNextGlobal(v))
        if (LLVMGetLinkage(v) == LLVMInternalLinkage)
            LLVMSetLinkage(v, LLVMExternalLinkage);
    /* What evaluates knows fewer instructions than clang uses. */
    int r = codegen_run_passes(g,
            "globaldce,always-inline,function(sroa,early-cse,simplifycfg,"
            "instcombine<no-verify-fixpoint>,loop-simplify,lcssa,loop(loop-rotate,indvars,"
            "loop-unroll-full),sroa,instcombine<no-verify-fixpoint>,simplifycfg,gvn,dse),"
            "globalopt");
    LLVMValueRef list = LLVMGetNamedGlobal(g->module, "llvm.global_ctors");
    if (r == 0 && list && LLVMGetArrayLength2(LLVMGlobalGetValueType(list)))
        r = codegen_fail(g, -EINVAL,
                "the value of a program scope constant cannot be computed before the kernel runs");
    return r;
}

/* Gives the variables that the initialisers write the values that they have in `evaluated`. */
static int take_values(struct codegen *g, LLVMModuleRef evaluated, const struct set *variables)
{
    for (size_t i = 0; i < variables->count; i++) {
        LLVMValueRef v = variables->items[i];
        LLVMValueRef from = LLVMGetNamedGlobal(evaluated, LLVMGetValueName2(v, &(size_t){0}));
        LLVMValueRef value = from ? LLVMGetInitializer(from) : NULL;
        if (!value || LLVMTypeOf(value) != LLVMGlobalGetValueType(v) || holds_address(value))
            return codegen_fail(
                    g, -EINVAL, "a program scope constant is computed in an unsupported way");
        LLVMSetInitializer(v, value);
        LLVMSetGlobalConstant(v, 1);
    }
    return 0;
}

int codegen_run_initialisers(struct codegen *g)
{
    LLVMValueRef list = LLVMGetNamedGlobal(g->module, "llvm.global_ctors");
    if (!list)
        return 0;
    struct set functions = {0}, variables = {0};
    LLVMValueRef all = LLVMGetOperand(LLVMGetOperand(LLVMGetInitializer(list), 0), 1);
    add_callees(&functions, all);
    for (size_t i = 0; i < functions.count; i++)
        add_targets(&variables, functions.items[i]);
    LLVMModuleRef module = g->module;
    g->module = LLVMCloneModule(module);
    int r = functions.failed || variables.failed ? codegen_fail(g, -ENOMEM, "out of memory")
                                                 : evaluate(g);
    LLVMModuleRef evaluated = g->module;
    g->module = module;
    if (r == 0)
        r = take_values(g, evaluated, &variables);
    LLVMDisposeModule(evaluated);
    free(functions.items), free(variables.items);
    LLVMDeleteGlobal(list);
    LLVMDeleteFunction(all);
    return r == 0 ? codegen_run_passes(g, "globaldce") : r;
}
