/* shader: program scope constants whose values are computed, from function constants mostly:
 *
 *     constant bool wide = is_function_constant_defined(width) ? width > 4 : false;
 *
 * clang initialises them in functions that run before main(). Here those that the kernel needs are
 * kept, and evaluated once the function constants are set. Compiler process; hostile input. */
#include "shader/codegen/codegen.h"

#include <stdlib.h>
#include <string.h>

/* A list without repetition. */
struct set {
    LLVMValueRef *items;
    uint32_t count, capacity;
    bool failed;
};

static void set_add(struct set *s, LLVMValueRef v)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->items[i] == v)
            return;
    if (!abx_grow((void **)&s->items, &s->capacity, s->count, sizeof *s->items, UINT32_MAX)) {
        s->failed = true;
        return;
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

/* ---- the bytes of variables */

struct image {
    struct codegen *g;
    LLVMValueRef variable;
    unsigned char *bytes;
    uint64_t size;
};

static bool put_word(struct image *m, uint64_t at, uint64_t word, uint64_t bytes)
{
    if (bytes > 8 || at > m->size || bytes > m->size - at)
        return false;
    memcpy(m->bytes + at, &word, bytes); /* little-endian, as all targets are */
    return true;
}

/* Writes a constant; false when it is no plain number or holds an address. */
static bool put(struct image *m, uint64_t at, LLVMValueRef v)
{
    struct codegen *g = m->g;
    LLVMTypeRef type = LLVMTypeOf(v);
    LLVMTypeKind kind = LLVMGetTypeKind(type);
    uint64_t bytes = LLVMStoreSizeOfType(g->layout, type);
    if (LLVMIsNull(v) || LLVMIsUndef(v)) {
        if (at > m->size || bytes > m->size - at)
            return false;
        memset(m->bytes + at, 0, bytes);
        return true;
    }
    if (kind == LLVMHalfTypeKind || kind == LLVMBFloatTypeKind || kind == LLVMFloatTypeKind ||
            kind == LLVMDoubleTypeKind) {
        v = LLVMBuildBitCast(
                g->builder, v, LLVMIntTypeInContext(g->context, (unsigned)bytes * 8), "");
        return LLVMIsAConstantInt(v) && put_word(m, at, LLVMConstIntGetZExtValue(v), bytes);
    }
    if (kind == LLVMIntegerTypeKind && LLVMIsAConstantInt(v)) {
        for (uint64_t i = 0; i < bytes; i += 8) {
            LLVMValueRef right = LLVMBuildLShr(g->builder, v, LLVMConstInt(type, i * 8, 0), "");
            LLVMValueRef word = bytes > 8 ? LLVMBuildTrunc(g->builder, right, g->i64, "") : right;
            if (!put_word(m, at + i, LLVMConstIntGetZExtValue(word), bytes - i < 8 ? bytes - i : 8))
                return false;
        }
        return true;
    }
    uint64_t count = kind == LLVMVectorTypeKind   ? LLVMGetVectorSize(type)
                     : kind == LLVMArrayTypeKind  ? LLVMGetArrayLength2(type)
                     : kind == LLVMStructTypeKind ? LLVMCountStructElementTypes(type)
                                                  : 0;
    for (unsigned i = 0; i < count; i++) {
        LLVMValueRef e = LLVMGetAggregateElement(v, i);
        uint64_t offset = kind == LLVMStructTypeKind
                                  ? LLVMOffsetOfElement(g->layout, type, i)
                                  : i * LLVMABISizeOfType(g->layout, LLVMGetElementType(type));
        if (!e || !put(m, at + offset, e))
            return false;
    }
    return count > 0;
}

/* The variable that a constant address leads into, and how far; NULL: none. */
static LLVMValueRef variable_at(struct codegen *g, LLVMValueRef address, uint64_t *ret_offset)
{
    *ret_offset = 0;
    while (LLVMIsAConstantExpr(address) && LLVMGetConstOpcode(address) == LLVMGetElementPtr) {
        LLVMTypeRef type = LLVMGetGEPSourceElementType(address);
        for (int i = 1; i < LLVMGetNumOperands(address); i++) {
            LLVMValueRef index = LLVMGetOperand(address, (unsigned)i);
            bool structure = i > 1 && LLVMGetTypeKind(type) == LLVMStructTypeKind;
            if (!LLVMIsAConstantInt(index))
                return NULL;
            uint64_t n = LLVMConstIntGetZExtValue(index);
            if (structure)
                *ret_offset += LLVMOffsetOfElement(g->layout, type, (unsigned)n);
            if (i > 1)
                type = structure ? LLVMStructGetTypeAtIndex(type, (unsigned)n)
                                 : LLVMGetElementType(type);
            if (!structure)
                *ret_offset += n * LLVMABISizeOfType(g->layout, type);
        }
        address = LLVMGetOperand(address, 0);
    }
    return LLVMIsAGlobalVariable(address) ? address : NULL;
}

/* ---- running what is left of the initialisers, where every operand is a constant by now */

#define MAX_STEPS 200000u
#define MAX_KNOWN 1024u /* results that are remembered */

struct run {
    struct codegen *g;
    struct image *images;
    uint32_t count, capacity;
    struct {
        LLVMValueRef in, value;
    } known[MAX_KNOWN]; /* in a ring */
    uint32_t known_count;
};

static struct image *image_of(struct run *r, LLVMValueRef variable)
{
    for (uint32_t i = 0; i < r->count; i++)
        if (r->images[i].variable == variable)
            return &r->images[i];
    LLVMValueRef initial = LLVMGetInitializer(variable);
    if (!initial ||
            !abx_grow((void **)&r->images, &r->capacity, r->count, sizeof *r->images, UINT32_MAX))
        return NULL;
    struct image *m = &r->images[r->count];
    *m = (struct image){.g = r->g,
            .variable = variable,
            .size = LLVMABISizeOfType(r->g->layout, LLVMGlobalGetValueType(variable))};
    m->bytes = calloc(m->size + 1, 1);
    if (!m->bytes)
        return NULL;
    r->count++;
    return put(m, 0, initial) ? m : NULL;
}

/* The image that has `bytes` bytes at a constant address; NULL: not known, or outside. */
static struct image *image_at(
        struct run *r, LLVMValueRef address, uint64_t bytes, uint64_t *ret_offset)
{
    LLVMValueRef variable = address ? variable_at(r->g, address, ret_offset) : NULL;
    struct image *m = variable ? image_of(r, variable) : NULL;
    return m && *ret_offset <= m->size && bytes <= m->size - *ret_offset ? m : NULL;
}

static unsigned char *memory_at(struct run *r, LLVMValueRef address, uint64_t bytes)
{
    uint64_t offset;
    struct image *m = image_at(r, address, bytes, &offset);
    return m ? m->bytes + offset : NULL;
}

static LLVMValueRef known(const struct run *r, LLVMValueRef v)
{
    if (LLVMIsAConstant(v))
        return v;
    for (uint32_t i = 0; i < r->known_count && i < MAX_KNOWN; i++)
        if (r->known[(r->known_count - 1 - i) % MAX_KNOWN].in == v)
            return r->known[(r->known_count - 1 - i) % MAX_KNOWN].value;
    return NULL;
}

static bool know(struct run *r, LLVMValueRef in, LLVMValueRef value)
{
    uint32_t i = r->known_count++ % MAX_KNOWN;
    r->known[i].in = in, r->known[i].value = value;
    return value && LLVMIsAConstant(value);
}

/* The number of this type that lies there; NULL: a type that is not read. */
static LLVMValueRef get(struct run *r, const unsigned char *at, LLVMTypeRef type)
{
    struct codegen *g = r->g;
    uint64_t bytes = LLVMStoreSizeOfType(g->layout, type), word = 0;
    LLVMTypeKind kind = LLVMGetTypeKind(type);
    if (kind == LLVMVectorTypeKind) {
        LLVMValueRef e[64];
        unsigned count = LLVMGetVectorSize(type);
        LLVMTypeRef of = LLVMGetElementType(type);
        for (unsigned i = 0; i < count && count <= 64; i++)
            if (!(e[i] = get(r, at + i * LLVMABISizeOfType(g->layout, of), of)))
                return NULL;
        return count <= 64 ? LLVMConstVector(e, count) : NULL;
    }
    if (kind != LLVMIntegerTypeKind && kind != LLVMHalfTypeKind && kind != LLVMBFloatTypeKind &&
            kind != LLVMFloatTypeKind && kind != LLVMDoubleTypeKind)
        return NULL;
    if (bytes > 8)
        return NULL;
    memcpy(&word, at, bytes);
    LLVMTypeRef integer = kind == LLVMIntegerTypeKind
                                  ? type
                                  : LLVMIntTypeInContext(g->context, (unsigned)bytes * 8);
    return LLVMBuildBitCast(g->builder, LLVMConstInt(integer, word, 0), type, "");
}

static bool access_memory(struct run *r, LLVMValueRef in)
{
    bool store = LLVMIsAStoreInst(in) != NULL;
    LLVMValueRef address = known(r, LLVMGetOperand(in, store ? 1 : 0));
    LLVMValueRef v = store ? known(r, LLVMGetOperand(in, 0)) : NULL;
    LLVMTypeRef type = LLVMTypeOf(store ? LLVMGetOperand(in, 0) : in);
    uint64_t offset, bytes = LLVMStoreSizeOfType(r->g->layout, type);
    struct image *m = image_at(r, address, bytes, &offset);
    if (!m)
        return false;
    return store ? v && put(m, offset, v) : know(r, in, get(r, m->bytes + offset, type));
}

static bool call(struct run *r, LLVMValueRef in, const char *name)
{
    static const char *const nothing[] = {
            "llvm.invariant.", "llvm.lifetime.", "llvm.experimental.noalias.", "llvm.assume"};
    for (size_t i = 0; i < ABX_ARRAY_SIZE(nothing); i++)
        if (!strncmp(name, nothing[i], strlen(nothing[i])))
            return true;
    bool copies = !strncmp(name, "llvm.memcpy.", 12);
    if (!copies && strncmp(name, "llvm.memset.", 12))
        return false;
    LLVMValueRef length = known(r, LLVMGetOperand(in, 2)), from = known(r, LLVMGetOperand(in, 1));
    if (!length || !from || !LLVMIsAConstantInt(length))
        return false;
    uint64_t bytes = LLVMConstIntGetZExtValue(length);
    unsigned char *to = memory_at(r, known(r, LLVMGetOperand(in, 0)), bytes);
    if (!to)
        return false;
    if (!copies)
        memset(to, (int)LLVMConstIntGetZExtValue(from), bytes);
    else {
        unsigned char *source =
                memory_at(r, from, bytes); /* may move the images, not their bytes */
        if (!source)
            return false;
        memmove(to, source, bytes);
    }
    return true;
}

/* What the builder makes of an operation on constants: a constant, as far as it can. */
static LLVMValueRef fold(struct run *r, LLVMValueRef in)
{
    LLVMBuilderRef b = r->g->builder;
    LLVMOpcode op = LLVMGetInstructionOpcode(in);
    LLVMValueRef x[8];
    unsigned count = (unsigned)LLVMGetNumOperands(in);
    for (unsigned i = 0; i < count; i++)
        if (count > ABX_ARRAY_SIZE(x) || !(x[i] = known(r, LLVMGetOperand(in, i))))
            return NULL;
    if (LLVMIsABinaryOperator(in))
        return LLVMBuildBinOp(b, op, x[0], x[1], "");
    if (LLVMIsACastInst(in))
        return LLVMBuildCast(b, op, x[0], LLVMTypeOf(in), "");
    switch (op) {
    case LLVMFNeg:
        return LLVMBuildFNeg(b, x[0], "");
    case LLVMFreeze:
        return x[0];
    case LLVMICmp:
        return LLVMBuildICmp(b, LLVMGetICmpPredicate(in), x[0], x[1], "");
    case LLVMFCmp:
        return LLVMBuildFCmp(b, LLVMGetFCmpPredicate(in), x[0], x[1], "");
    case LLVMSelect:
        return LLVMBuildSelect(b, x[0], x[1], x[2], "");
    case LLVMExtractElement:
        return LLVMBuildExtractElement(b, x[0], x[1], "");
    case LLVMInsertElement:
        return LLVMBuildInsertElement(b, x[0], x[1], x[2], "");
    case LLVMGetElementPtr:
        return LLVMBuildGEP2(b, LLVMGetGEPSourceElementType(in), x[0], x + 1, count - 1, "");
    default:
        return NULL;
    }
}

/* One instruction, neither a phi nor the last of its block. */
static bool step(struct run *r, LLVMValueRef in)
{
    const char *name = codegen_callee(in);
    if (name)
        return call(r, in, name);
    if (LLVMIsAStoreInst(in) || LLVMIsALoadInst(in))
        return access_memory(r, in);
    return know(r, in, fold(r, in));
}

/* The values of a block's phis; its first other instruction, or NULL. */
static LLVMValueRef enter(struct run *r, LLVMBasicBlockRef b, LLVMBasicBlockRef from)
{
    LLVMValueRef in = LLVMGetFirstInstruction(b), value[64];
    unsigned count = 0;
    for (; LLVMIsAPHINode(in); in = LLVMGetNextInstruction(in), count++) {
        if (count == ABX_ARRAY_SIZE(value))
            return NULL;
        value[count] = NULL;
        for (unsigned i = 0; i < LLVMCountIncoming(in); i++)
            if (LLVMGetIncomingBlock(in, i) == from)
                value[count] = known(r, LLVMGetIncomingValue(in, i));
    }
    LLVMValueRef phi = LLVMGetFirstInstruction(b);
    for (unsigned i = 0; i < count; i++, phi = LLVMGetNextInstruction(phi))
        if (!know(r, phi, value[i]))
            return NULL;
    return in;
}

static bool run_function(struct run *r, LLVMValueRef function)
{
    LLVMBasicBlockRef b = LLVMGetEntryBasicBlock(function), from = NULL;
    for (uint32_t steps = 0; steps < MAX_STEPS; steps++) {
        LLVMValueRef in = enter(r, b, from);
        for (; in && !LLVMIsATerminatorInst(in); in = LLVMGetNextInstruction(in), steps++)
            if (!step(r, in))
                return false;
        if (!in || !LLVMIsABranchInst(in))
            return in && LLVMIsAReturnInst(in);
        LLVMValueRef c = LLVMIsConditional(in) ? known(r, LLVMGetCondition(in)) : NULL;
        if (LLVMIsConditional(in) && (!c || !LLVMIsAConstantInt(c)))
            return false;
        from = b;
        b = LLVMGetSuccessor(in, c && !LLVMConstIntGetZExtValue(c) ? 1 : 0);
    }
    return false;
}

/* ---- evaluation */

/* What is left in the function's own memory (passes do not put numbers of different types together)
 * becomes variables, whose bytes are followed as all variables' are. */
static void give_memory(struct codegen *g, LLVMValueRef function)
{
    LLVMValueRef next, in = LLVMGetFirstInstruction(LLVMGetEntryBasicBlock(function));
    for (; in; in = next) {
        next = LLVMGetNextInstruction(in);
        if (!LLVMIsAAllocaInst(in) || !LLVMIsAConstantInt(LLVMGetOperand(in, 0)) ||
                LLVMConstIntGetZExtValue(LLVMGetOperand(in, 0)) != 1)
            continue;
        LLVMTypeRef type = LLVMGetAllocatedType(in);
        LLVMValueRef variable = LLVMAddGlobal(g->module, type, "");
        LLVMSetInitializer(variable, LLVMConstNull(type));
        LLVMReplaceAllUsesWith(in, variable);
        LLVMInstructionEraseFromParent(in);
    }
}

/* Simplifies the initialisers of g->module, of which nothing else is left, to stores of constants;
 * the function that they are all in. */
static LLVMValueRef simplify(struct codegen *g, const char *all)
{
    LLVMSetLinkage(LLVMGetNamedFunction(g->module, LLVMGetValueName2(g->kernel, &(size_t){0})),
            LLVMInternalLinkage);
    /* What is internal would be removed once it is evaluated. */
    for (LLVMValueRef v = LLVMGetFirstGlobal(g->module); v; v = LLVMGetNextGlobal(v))
        if (LLVMGetLinkage(v) == LLVMInternalLinkage)
            LLVMSetLinkage(v, LLVMExternalLinkage);
    int r = codegen_run_passes(g,
            "globaldce,always-inline,function(sroa,early-cse,scalarizer,simplifycfg,"
            "instcombine<no-verify-fixpoint>,loop-simplify,lcssa,loop(loop-rotate,indvars,"
            "loop-unroll-full),sroa,instcombine<no-verify-fixpoint>,simplifycfg,gvn,dse,"
            "instcombine<no-verify-fixpoint>,simplifycfg)");
    LLVMValueRef function = r < 0 ? NULL : LLVMGetNamedFunction(g->module, all);
    if (function)
        give_memory(g, function);
    return function;
}

static void forget(struct run *r)
{
    while (r && r->count)
        free(r->images[--r->count].bytes);
    if (r)
        free(r->images);
    free(r);
}

/* Gives variable v of g->module the bytes that the initialisers leave in it. */
static bool take_value(struct run *r, LLVMModuleRef evaluated, LLVMValueRef v)
{
    struct codegen *g = r->g;
    LLVMValueRef from = LLVMGetNamedGlobal(evaluated, LLVMGetValueName2(v, &(size_t){0}));
    struct image *m = from ? image_of(r, from) : NULL;
    if (!m || m->size > UINT32_MAX)
        return false;
    LLVMValueRef bytes = LLVMConstStringInContext2(g->context, (char *)m->bytes, m->size, 1);
    LLVMValueRef value = LLVMAddGlobal(g->module, LLVMTypeOf(bytes), "");
    LLVMSetInitializer(value, bytes);
    LLVMSetGlobalConstant(value, 1);
    LLVMSetLinkage(value, LLVMInternalLinkage);
    LLVMSetAlignment(value, LLVMGetAlignment(v));
    LLVMReplaceAllUsesWith(v, value);
    return true;
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
    LLVMModuleRef evaluated = g->module;
    LLVMValueRef stores = simplify(g, LLVMGetValueName2(all, &(size_t){0}));
    g->module = module;
    struct run *run = calloc(1, sizeof *run);
    bool done = run && !functions.failed && !variables.failed && stores;
    if (done) {
        run->g = g;
        done = run_function(run, stores);
    }
    for (size_t i = 0; i < variables.count && done; i++)
        done = take_value(run, evaluated, variables.items[i]);
    forget(run);
    int r = done ? 0
                 : codegen_fail(g, -EINVAL,
                           "the value of a program scope constant cannot be computed before the "
                           "kernel runs");
    LLVMDisposeModule(evaluated);
    free(functions.items), free(variables.items);
    LLVMDeleteGlobal(list);
    LLVMDeleteFunction(all);
    return r == 0 ? codegen_run_passes(g, "globaldce") : r;
}
