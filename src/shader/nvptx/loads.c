/* shader: loads of neighbouring bytes become one, for NVPTX. Compiler process; the function is the
 * guest's.
 *
 * Programs read vectors at addresses that their types may not have, and Apple's GPUs let them, so
 * that codegen/load.c trusts no vector to be aligned. An NVIDIA GPU traps on such an address, and
 * takes four times as long for four loads that lie apart as for one of their sum. So it is looked
 * at the address when the kernel runs: where it is a multiple of 16 bytes, which it nearly always
 * is, loads of 16 bytes are made, else words. Bytes and halves at addresses of which nothing is
 * known are taken out of the words that they lie in. Nothing is read but the aligned words that
 * hold what the kernel reads itself.
 *
 * A run is loads in one block at constant distances from one base, without gaps and with nothing
 * between them that may write what they read. */
#include "shader/nvptx/nvptx.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GENERIC_SPACE = 0 };
#define MAX_WORDS 16u /* of a run: registers */
#define MAX_LOADS 256u

struct load {
    LLVMValueRef in, base;
    int64_t offset;
    uint32_t bytes, align;
    uint32_t order; /* in the block */
    bool vector;
};

struct loads {
    struct codegen *g;
    unsigned space;
    struct load list[MAX_LOADS];
    uint32_t count;
};

struct run {
    const struct load *loads; /* by offset */
    uint32_t count;
    int64_t start;
    uint32_t bytes, words, align; /* align: of the start, as far as it is known */
    bool vector;
};

/* ---- addresses */

/* False: an index is not constant. */
static bool constant_offset(struct codegen *g, LLVMValueRef gep, int64_t *offset)
{
    LLVMTypeRef type = LLVMGetGEPSourceElementType(gep);
    int64_t sum = 0;
    for (unsigned i = 1; i < (unsigned)LLVMGetNumOperands(gep); i++) {
        LLVMValueRef index = LLVMGetOperand(gep, i);
        if (!LLVMIsAConstantInt(index))
            return false;
        uint64_t each;
        int64_t at =
                codegen_gep_field(g, gep, i, &type, &each) ? 1 : LLVMConstIntGetSExtValue(index);
        int64_t bytes;
        if (__builtin_mul_overflow(at, (int64_t)each, &bytes) ||
                __builtin_add_overflow(sum, bytes, &sum))
            return false;
    }
    *offset += sum;
    return true;
}

LLVMValueRef nvptx_base_of(struct codegen *g, LLVMValueRef pointer, int64_t *offset)
{
    *offset = 0;
    while (LLVMIsAGetElementPtrInst(pointer) &&
            LLVMGetTypeKind(LLVMTypeOf(pointer)) == LLVMPointerTypeKind &&
            constant_offset(g, pointer, offset) && llabs(*offset) < INT32_MAX)
        pointer = LLVMGetOperand(pointer, 0);
    return pointer;
}

/* Numbers, and vectors of them, without padding. */
static bool is_plain(struct codegen *g, LLVMTypeRef type)
{
    LLVMTypeRef of = LLVMGetTypeKind(type) == LLVMVectorTypeKind ? LLVMGetElementType(type) : type;
    switch (LLVMGetTypeKind(of)) {
    case LLVMIntegerTypeKind:
    case LLVMHalfTypeKind:
    case LLVMBFloatTypeKind:
    case LLVMFloatTypeKind:
    case LLVMDoubleTypeKind:
        break;
    default:
        return false;
    }
    unsigned long long bits = LLVMSizeOfTypeInBits(g->layout, type);
    return bits % 8 == 0 && LLVMSizeOfTypeInBits(g->layout, of) % 8 == 0 && bits <= 512 &&
           (bits <= 16 || bits % 32 == 0);
}

static bool note(struct loads *l, LLVMValueRef in, uint32_t order)
{
    LLVMValueRef pointer = LLVMGetOperand(in, 0);
    LLVMTypeRef type = LLVMTypeOf(in);
    if (LLVMGetVolatile(in) || LLVMGetOrdering(in) != LLVMAtomicOrderingNotAtomic ||
            LLVMGetPointerAddressSpace(LLVMTypeOf(pointer)) != l->space || !is_plain(l->g, type) ||
            l->count == MAX_LOADS)
        return false;
    struct load *to = &l->list[l->count++];
    *to = (struct load){.in = in,
            .bytes = (uint32_t)(LLVMSizeOfTypeInBits(l->g->layout, type) / 8),
            .align = LLVMGetAlignment(in),
            .order = order,
            .vector = LLVMGetTypeKind(type) == LLVMVectorTypeKind};
    to->base = nvptx_base_of(l->g, pointer, &to->offset);
    return true;
}

/* ---- code */

struct text {
    char at[4096];
    size_t length;
};

static void add(struct text *t, const char *format, ...) ABX_PRINTF(2, 3);
static void add(struct text *t, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    int n = vsnprintf(t->at + t->length, sizeof t->at - t->length, format, list);
    va_end(list);
    if (n > 0)
        t->length += (size_t)n;
}

/* Words from `at` on, as wide as they may be: the address is a multiple of their sum, or of 16. */
static void add_wide(struct text *t, const char *when, const char *space, uint32_t words)
{
    for (uint32_t i = 0; i < words;) {
        uint32_t n = words - i >= 4 ? 4 : words - i >= 2 ? 2 : 1;
        if (n == 4)
            add(t, "%sld.%s.v4.b32 {$%u,$%u,$%u,$%u}, [$%u+%u];\n", when, space, i, i + 1, i + 2,
                    i + 3, words, 4 * i);
        else if (n == 2)
            add(t, "%sld.%s.v2.b32 {$%u,$%u}, [$%u+%u];\n", when, space, i, i + 1, words, 4 * i);
        else
            add(t, "%sld.%s.b32 $%u, [$%u+%u];\n", when, space, i, words, 4 * i);
        i += n;
    }
}

/* Where the address is any: w0, w1... are the words that the bytes lie in. */
static void add_shifted(struct text *t, const char *space, uint32_t words, uint32_t bytes, bool p)
{
    const char *when = p ? "@!p " : "";
    add(t, ".reg .b64 w;\n.reg .b32 o, s, w<%u>;\n.reg .pred q;\n", words + 1);
    add(t, "and.b64 w, $%u, -4;\ncvt.u32.u64 o, $%u;\nand.b32 o, o, 3;\n", words, words);
    add(t, "mad.lo.u32 s, o, 0x1111, 0x3210;\n");
    /* The one behind the last, where the bytes reach into it. */
    add(t, "setp.gt.u32 q, o, %u;\n", 4 * words - bytes);
    if (p)
        add(t, "@p setp.ne.u32 q, o, o;\n");
    for (uint32_t i = 0; i < words; i++)
        add(t, "%sld.%s.b32 w%u, [w+%u];\n", when, space, i, 4 * i);
    add(t, "mov.b32 w%u, 0;\n@q ld.%s.b32 w%u, [w+%u];\n", words, space, words, 4 * words);
    for (uint32_t i = 0; i < words; i++)
        add(t, "%sprmt.b32 $%u, w%u, w%u, s;\n", when, i, i, i + 1);
}

static void write_text(struct text *t, const struct run *run, unsigned space)
{
    const char *name = space == NVPTX_SHARED_SPACE ? "shared" : "global";
    uint32_t wide = run->words >= 4 ? 16 : run->words >= 2 ? 8 : 4;
    if (run->align >= wide && run->bytes == 4 * run->words) {
        add_wide(t, "", name, run->words);
        return;
    }
    bool looks = run->align >= 4 || (run->vector && run->bytes == 4 * run->words);
    add(t, "{\n");
    if (looks) {
        add(t, ".reg .pred p;\n.reg .b64 a;\nand.b64 a, $%u, %u;\nsetp.eq.u64 p, a, 0;\n",
                run->words, wide - 1);
        add_wide(t, "@p ", name, run->words);
    }
    if (run->align < 4)
        add_shifted(t, name, run->words, run->bytes, looks);
    else
        for (uint32_t i = 0; i < run->words; i++)
            add(t, "@!p ld.%s.b32 $%u, [$%u+%u];\n", name, i, run->words, 4 * i);
    add(t, "}\n");
}

/* The run's words: a structure of them. */
static LLVMValueRef build_loads(struct loads *l, const struct run *run)
{
    struct codegen *g = l->g;
    static struct text text;
    LLVMTypeRef types[MAX_WORDS], i64 = g->i64;
    char constraints[4 * MAX_WORDS + 2];
    text.length = 0;
    for (uint32_t i = 0; i < run->words; i++) {
        types[i] = g->i32;
        memcpy(constraints + 3 * i, "=r,", 3);
    }
    memcpy(constraints + 3 * run->words, "l", 2);
    write_text(&text, run, l->space);
    LLVMTypeRef type =
            LLVMFunctionType(LLVMStructTypeInContext(g->context, types, run->words, 0), &i64, 1, 0);
    LLVMValueRef offset = LLVMConstInt(i64, (unsigned long long)run->start, 1);
    LLVMValueRef at = LLVMBuildGEP2(g->builder, g->i8, run->loads[0].base, &offset, 1, "");
    at = LLVMBuildPtrToInt(g->builder, at, i64, "");
    LLVMValueRef code = LLVMGetInlineAsm(type, text.at, text.length, constraints,
            strlen(constraints), 1, 0, LLVMInlineAsmDialectATT, 0);
    return LLVMBuildCall2(g->builder, type, code, &at, 1, "");
}

static LLVMValueRef value_of(
        struct codegen *g, LLVMValueRef words, const struct load *l, uint32_t at)
{
    LLVMTypeRef type = LLVMTypeOf(l->in);
    LLVMValueRef v;
    if (l->bytes < 4) {
        v = LLVMBuildExtractValue(g->builder, words, at / 4, "");
        v = LLVMBuildLShr(g->builder, v, codegen_i32(g, at % 4 * 8), "");
        v = LLVMBuildTrunc(g->builder, v, LLVMIntTypeInContext(g->context, 8 * l->bytes), "");
    } else if (l->bytes == 4)
        v = LLVMBuildExtractValue(g->builder, words, at / 4, "");
    else {
        v = LLVMGetUndef(LLVMVectorType(g->i32, l->bytes / 4));
        for (uint32_t i = 0; i < l->bytes / 4; i++)
            v = LLVMBuildInsertElement(g->builder, v,
                    LLVMBuildExtractValue(g->builder, words, at / 4 + i, ""), codegen_i32(g, i),
                    "");
    }
    return LLVMBuildBitCast(g->builder, v, type, "");
}

/* ---- runs */

/* Loads as the code generator would make them. */
static uint32_t pieces_of(const struct load *l)
{
    uint32_t most = l->align < 16 ? l->align : 16;
    return most && l->bytes > most ? l->bytes / most : 1;
}

static uint32_t lowest_bit(uint64_t v)
{
    return v & 15 ? 1u << __builtin_ctzll(v) : 16;
}

static bool is_worth_it(const struct loads *l, const struct run *run)
{
    /* Such memory's pieces of 16 bytes are about to change places (banks.h). */
    if (l->space == NVPTX_SHARED_SPACE && l->g->matrix_tiles &&
            (run->words > 4 || run->align < 4 * run->words))
        return false;
    uint32_t pieces = 0;
    for (uint32_t i = 0; i < run->count; i++)
        pieces += pieces_of(&run->loads[i]);
    if (run->bytes < 8 || (run->words < 4 && !run->vector && run->align < 8))
        return false;
    if (run->align < 4)
        return pieces * 3 >= 4 * (run->words + 1);
    return pieces >= 2 * ((run->words + 3) / 4);
}

static void replace(struct loads *l, struct run *run)
{
    const struct load *first = &run->loads[0];
    run->words = (run->bytes + 3) / 4;
    run->align = 1;
    for (uint32_t i = 0; i < run->count; i++) {
        const struct load *o = &run->loads[i];
        uint32_t known = lowest_bit((uint64_t)o->align | (uint64_t)(o->offset - run->start));
        run->align = known > run->align ? known : run->align;
        run->vector |= o->vector;
        if (o->order < first->order)
            first = o;
    }
    if (!is_worth_it(l, run))
        return;
    LLVMPositionBuilderBefore(l->g->builder, first->in);
    LLVMValueRef words = build_loads(l, run);
    for (uint32_t i = 0; i < run->count; i++) {
        const struct load *o = &run->loads[i];
        LLVMReplaceAllUsesWith(o->in, value_of(l->g, words, o, (uint32_t)(o->offset - run->start)));
    }
    for (uint32_t i = 0; i < run->count; i++)
        LLVMInstructionEraseFromParent(run->loads[i].in);
}

static int by_place(const void *a, const void *b)
{
    const struct load *x = a, *y = b;
    if (x->base != y->base)
        return (uintptr_t)x->base < (uintptr_t)y->base ? -1 : 1;
    if (x->offset != y->offset)
        return x->offset < y->offset ? -1 : 1;
    return x->order < y->order ? -1 : 1;
}

/* A value lies in whole words, or in one. */
static bool fits(const struct run *run, const struct load *o)
{
    int64_t at = o->offset - run->start;
    uint64_t end = (uint64_t)at + o->bytes;
    return o->base == run->loads[0].base && at <= run->bytes && end <= 4 * MAX_WORDS &&
           (o->bytes < 4 ? at % 4 + o->bytes <= 4 : at % 4 == 0);
}

static void flush(struct loads *l)
{
    qsort(l->list, l->count, sizeof l->list[0], by_place);
    for (uint32_t i = 0; i < l->count;) {
        struct run run = {.loads = &l->list[i], .start = l->list[i].offset};
        for (; i < l->count && fits(&run, &l->list[i]); i++) {
            uint32_t end = (uint32_t)(l->list[i].offset - run.start) + l->list[i].bytes;
            run.bytes = end > run.bytes ? end : run.bytes;
            run.count++;
        }
        replace(l, &run);
    }
    l->count = 0;
}

/* ---- blocks */

bool nvptx_may_write(struct codegen *g, LLVMValueRef in, unsigned space)
{
    unsigned kind = LLVMGetEnumAttributeKindForName("memory", 6);
    switch (LLVMGetInstructionOpcode(in)) {
    case LLVMStore: {
        int64_t offset;
        LLVMValueRef to = LLVMGetOperand(in, 1);
        unsigned of = LLVMGetPointerAddressSpace(LLVMTypeOf(to));
        return LLVMGetOrdering(in) != LLVMAtomicOrderingNotAtomic || of == space ||
               (of == GENERIC_SPACE && !LLVMIsAAllocaInst(nvptx_base_of(g, to, &offset)));
    }
    case LLVMCall: {
        LLVMValueRef callee = LLVMGetCalledValue(in);
        if (!LLVMIsAFunction(callee))
            return true;
        LLVMAttributeRef memory =
                LLVMGetEnumAttributeAtIndex(callee, LLVMAttributeFunctionIndex, kind);
        return !memory || LLVMGetEnumAttributeValue(memory) & NVPTX_MEMORY_WRITES;
    }
    case LLVMFence:
    case LLVMAtomicRMW:
    case LLVMAtomicCmpXchg:
    case LLVMInvoke:
        return true;
    default:
        return false;
    }
}

static void visit_block(struct loads *l, LLVMBasicBlockRef block)
{
    uint32_t order = 0;
    for (LLVMValueRef in = LLVMGetFirstInstruction(block), next; in; in = next) {
        next = LLVMGetNextInstruction(in);
        if (LLVMIsALoadInst(in)) {
            if (!note(l, in, order++) && LLVMGetOrdering(in) != LLVMAtomicOrderingNotAtomic)
                flush(l);
        } else if (nvptx_may_write(l->g, in, l->space))
            flush(l);
    }
    flush(l);
}

int nvptx_loads(struct codegen *g)
{
    struct loads *l = calloc(1, sizeof *l);
    if (!l)
        return -ENOMEM;
    l->g = g;
    static const unsigned spaces[] = {NVPTX_GLOBAL_SPACE, NVPTX_SHARED_SPACE};
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(spaces); i++) {
        l->space = spaces[i];
        for (LLVMValueRef f = LLVMGetFirstFunction(g->module); f; f = LLVMGetNextFunction(f))
            for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(f); b; b = LLVMGetNextBasicBlock(b))
                visit_block(l, b);
    }
    free(l);
    return 0;
}
