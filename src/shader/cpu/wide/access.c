/* shader: loads and stores of vectors of lanes. See wide.h; accesses that wait for their
 * neighbours are in stride.c. Compiler process.
 *
 * Under a mask, AVX-512 has an instruction for everything. Other processors have few (AVX2: rows of
 * 32 and 64 bits) or none, and LLVM makes a branch a lane of the rest, which is slow and takes
 * minutes to compile. There,
 *  - private memory is every lane's own: it is read whole, and written whole after a blend;
 *  - a row is read whole when it lies in one page with a lane that is active: that page can be
 * read;
 *  - a row is written whole when every lane is active;
 *  - what remains of rows, which is rare, is a loop over the lanes beside the main path;
 *  - gathers and scatters are a move a lane, without branches: lanes that are off use a dummy. */
#include "shader/cpu/wide/wide.h"

#define PAGE 4096u

static LLVMValueRef last_active(struct wide *w)
{
    struct codegen *g = w->g;
    if (!w->mask)
        return codegen_i32(g, w->width - 1);
    LLVMValueRef bits = LLVMBuildZExt(g->builder, wide_bits(w, w->mask), g->i64, "");
    LLVMValueRef a[2] = {
            LLVMBuildOr(g->builder, bits, codegen_i64(g, 1), ""), LLVMConstInt(g->i1, 1, 0)};
    LLVMValueRef n = codegen_call_intrinsic(g, "llvm.ctlz", &g->i64, 1, a, 2);
    n = LLVMBuildSub(g->builder, codegen_i64(g, 63), n, "");
    return LLVMBuildTrunc(g->builder, n, g->i32, "last_active");
}

static LLVMValueRef dummy(struct wide *w)
{
    struct codegen *g = w->g;
    if (w->dummy)
        return w->dummy;
    /* Not a variable of the function's: when a coroutine stops, LLVM keeps those that it sees to be
     * used again, and does not see a vector of one's address. */
    LLVMBasicBlockRef here = LLVMGetInsertBlock(g->builder);
    LLVMValueRef offset = codegen_i64(g, offsetof(struct abx_kernel_call, nowhere));
    LLVMPositionBuilderBefore(g->builder, w->entry_mark);
    w->dummy = LLVMBuildInBoundsGEP2(g->builder, g->i8, w->place.call, &offset, 1, "nowhere");
    LLVMPositionBuilderAtEnd(g->builder, here);
    return w->dummy;
}

/* The address of an access that is the same in all lanes, and so happens once: of a dummy when no
 * lane is active. */
static LLVMValueRef guarded(struct wide *w, LLVMValueRef pointer)
{
    if (!w->mask)
        return pointer;
    return LLVMBuildSelect(w->g->builder, wide_any(w, w->mask), pointer, dummy(w), "");
}

/* The address of the first of `width` neighbouring elements, or NULL when the lanes' addresses are
 * not `bytes` apart. Anchored at a lane that is active: the others' may have wrapped around. */
static LLVMValueRef contiguous(struct wide *w, LLVMValueRef pointer, uint64_t bytes)
{
    struct codegen *g = w->g;
    LLVMValueRef memory = wide_private(pointer);
    struct wide_value *v = wide_get(w, pointer);
    if (memory) {
        struct wide_value *a = wide_get(w, memory);
        return a->interleaved && a->unit == bytes && !v->divergent ? wide_uniform(w, pointer)
                                                                   : NULL;
    }
    if (!v->base || !wide_rises(w, v, (int64_t)bytes))
        return NULL;
    LLVMValueRef first =
            LLVMBuildAdd(g->builder, v->first, codegen_i64(g, (uint64_t)v->lanes[0]), "");
    if (w->mask && !v->no_signed_wrap) {
        LLVMValueRef lane = wide_first_active(w);
        LLVMValueRef there = LLVMBuildExtractElement(g->builder, wide_offsets(w, v), lane, "");
        LLVMValueRef back = LLVMBuildMul(
                g->builder, LLVMBuildZExt(g->builder, lane, g->i64, ""), codegen_i64(g, bytes), "");
        first = LLVMBuildSub(g->builder, there, back, "");
    }
    return LLVMBuildGEP2(g->builder, g->i8, v->base, &first, 1, "row");
}

/* One access: `scalar` in each lane. */
struct access {
    LLVMTypeRef scalar, type;
    uint64_t bytes;
    unsigned align;
    LLVMValueRef pointer; /* in the source */
    LLVMValueRef row;     /* the first lane's element, when all lie side by side; else NULL */
    bool private_memory;  /* every lane's own, so also that of lanes that are off */
};

static struct access describe(
        struct wide *w, LLVMValueRef pointer, LLVMTypeRef scalar, unsigned align)
{
    uint64_t bytes = LLVMABISizeOfType(w->g->layout, scalar);
    LLVMValueRef memory = wide_private(pointer);
    /* The first element's alignment is the array's; the lanes' own lie a unit apart. */
    if (memory && wide_get(w, memory)->interleaved && align > wide_get(w, memory)->unit)
        align = (unsigned)wide_get(w, memory)->unit;
    return (struct access){.scalar = scalar,
            .type = wide_type(w, scalar),
            .bytes = bytes,
            .align = align,
            .pointer = pointer,
            .row = contiguous(w, pointer, bytes),
            .private_memory = memory != NULL};
}

/* ---- processors without masked moves */

static bool has_masked_rows(struct wide *w, uint64_t bytes)
{
    return w->g->vector_bytes >= 64 || (w->g->vector_bytes == 32 && bytes >= 4);
}

static bool has_gathers(struct wide *w, uint64_t bytes)
{
    return w->g->vector_bytes >= 64 && bytes >= 4;
}

static LLVMValueRef element_at(
        struct wide *w, LLVMTypeRef scalar, LLVMValueRef array, LLVMValueRef lane)
{
    return LLVMBuildGEP2(w->g->builder, scalar, array, &lane, 1, "");
}

/* Copies the active lanes' elements from one row to another, one by one. */
static void copy_active(struct wide *w, const struct access *a, LLVMValueRef from, LLVMValueRef to)
{
    LLVMBuilderRef b = w->g->builder;
    struct wide_lane_loop loop = wide_lane_loop_begin(w, w->mask);
    LLVMValueRef v = LLVMBuildLoad2(b, a->scalar, element_at(w, a->scalar, from, loop.lane), "");
    LLVMSetAlignment(v, a->align);
    v = LLVMBuildStore(b, v, element_at(w, a->scalar, to, loop.lane));
    LLVMSetAlignment(v, a->align);
    wide_lane_loop_end(w, &loop);
}

/* True where the whole row can be read: a lane is active, so its page is there, and no other page
 * is touched. */
static LLVMValueRef readable(struct wide *w, const struct access *a)
{
    struct codegen *g = w->g;
    LLVMBuilderRef b = g->builder;
    LLVMValueRef at = LLVMBuildPtrToInt(b, a->row, g->i64, "");
    LLVMValueRef in_page = LLVMBuildAnd(b, at, codegen_i64(g, PAGE - 1), "");
    LLVMValueRef one = LLVMBuildICmp(
            b, LLVMIntULE, in_page, codegen_i64(g, PAGE - a->bytes * w->width), "one_page");
    return LLVMBuildAnd(b, wide_any(w, w->mask), one, "readable");
}

static LLVMValueRef masked_row_load(struct wide *w, const struct access *a)
{
    struct codegen *g = w->g;
    LLVMBuilderRef b = g->builder;
    if (has_masked_rows(w, a->bytes)) {
        LLVMTypeRef types[2] = {a->type, g->ptr};
        LLVMValueRef o[4] = {a->row, codegen_i32(g, a->align), w->mask, LLVMConstNull(a->type)};
        return codegen_call_intrinsic(g, "llvm.masked.load", types, 2, o, 4);
    }
    LLVMBasicBlockRef whole = wide_new_block(w, "whole"), some = wide_new_block(w, "lanes"),
                      after = wide_new_block(w, "loaded");
    LLVMValueRef slot = wide_slot(w, a->type, "row");
    LLVMBuildCondBr(b, readable(w, a), whole, some);
    LLVMPositionBuilderAtEnd(b, whole);
    LLVMValueRef v = LLVMBuildLoad2(b, a->type, a->row, "");
    LLVMSetAlignment(v, a->align);
    LLVMValueRef value[2] = {LLVMBuildSelect(b, w->mask, v, LLVMConstNull(a->type), ""), NULL};
    LLVMBuildBr(b, after);
    LLVMPositionBuilderAtEnd(b, some);
    LLVMBuildStore(b, LLVMConstNull(a->type), slot);
    copy_active(w, a, a->row, slot);
    value[1] = LLVMBuildLoad2(b, a->type, slot, "");
    LLVMBasicBlockRef from[2] = {whole, LLVMGetInsertBlock(b)};
    LLVMBuildBr(b, after);
    LLVMPositionBuilderAtEnd(b, after);
    LLVMValueRef phi = LLVMBuildPhi(b, a->type, "");
    LLVMAddIncoming(phi, value, from, 2);
    return phi;
}

static void masked_row_store(struct wide *w, const struct access *a, LLVMValueRef v)
{
    struct codegen *g = w->g;
    LLVMBuilderRef b = g->builder;
    bool native = has_masked_rows(w, a->bytes);
    LLVMBasicBlockRef after = NULL;
    if (w->g->vector_bytes < 64) { /* even where there is one, AMD's takes some 20 cycles */
        LLVMBasicBlockRef whole = wide_new_block(w, "whole"), some = wide_new_block(w, "lanes");
        after = wide_new_block(w, "stored");
        LLVMBuildCondBr(b, wide_full(w, w->mask), whole, some);
        LLVMPositionBuilderAtEnd(b, whole);
        LLVMSetAlignment(LLVMBuildStore(b, v, a->row), a->align);
        LLVMBuildBr(b, after);
        LLVMPositionBuilderAtEnd(b, some);
    }
    if (native) {
        LLVMTypeRef types[2] = {a->type, g->ptr};
        LLVMValueRef o[4] = {v, a->row, codegen_i32(g, a->align), w->mask};
        codegen_call_intrinsic(g, "llvm.masked.store", types, 2, o, 4);
    } else {
        LLVMValueRef slot = wide_slot(w, a->type, "row");
        LLVMBuildStore(b, v, slot);
        copy_active(w, a, slot, a->row);
    }
    if (after) {
        LLVMBuildBr(b, after);
        LLVMPositionBuilderAtEnd(b, after);
    }
}

/* The lanes' addresses, those of lanes that are off replaced by a dummy's. */
static LLVMValueRef places(struct wide *w, const struct access *a)
{
    LLVMValueRef pointers = wide_vector(w, a->pointer);
    if (!w->mask)
        return pointers;
    return LLVMBuildSelect(w->g->builder, w->mask, pointers, wide_splat(w, dummy(w)), "places");
}

static LLVMValueRef load_each(struct wide *w, const struct access *a)
{
    LLVMBuilderRef b = w->g->builder;
    LLVMValueRef from = places(w, a), v = LLVMGetPoison(a->type);
    for (unsigned i = 0; i < w->width; i++) {
        LLVMValueRef lane = codegen_i32(w->g, i);
        LLVMValueRef e =
                LLVMBuildLoad2(b, a->scalar, LLVMBuildExtractElement(b, from, lane, ""), "each");
        LLVMSetAlignment(e, a->align);
        v = LLVMBuildInsertElement(b, v, e, lane, "");
    }
    return w->mask ? LLVMBuildSelect(b, w->mask, v, LLVMConstNull(a->type), "") : v;
}

static void store_each(struct wide *w, const struct access *a, LLVMValueRef v)
{
    LLVMBuilderRef b = w->g->builder;
    LLVMValueRef to = places(w, a);
    for (unsigned i = 0; i < w->width; i++) {
        LLVMValueRef lane = codegen_i32(w->g, i);
        LLVMSetAlignment(LLVMBuildStore(b, LLVMBuildExtractElement(b, v, lane, ""),
                                 LLVMBuildExtractElement(b, to, lane, "")),
                a->align);
    }
}

/* ---- lanes whose elements do not lie side by side */

static LLVMValueRef gather(struct wide *w, LLVMTypeRef type, LLVMValueRef pointers, unsigned align)
{
    LLVMTypeRef types[2] = {type, LLVMTypeOf(pointers)};
    LLVMValueRef a[4] = {pointers, codegen_i32(w->g, align), wide_all(w), LLVMConstNull(type)};
    return codegen_call_intrinsic(w->g, "llvm.masked.gather", types, 2, a, 4);
}

/* An element that crosses no word of 32 bits is read with it: that word is in the same page. */
static LLVMValueRef gather_in_words(struct wide *w, const struct access *a)
{
    struct codegen *g = w->g;
    LLVMBuilderRef b = g->builder;
    LLVMValueRef pointers = wide_vector(w, a->pointer);
    LLVMTypeRef words = wide_type(w, g->i32), bits = wide_type(w, g->i64);
    LLVMValueRef three = wide_splat(w, codegen_i64(g, 3));
    LLVMValueRef rest = LLVMBuildAnd(b, LLVMBuildPtrToInt(b, pointers, bits, ""), three, "rest");
    LLVMValueRef back = LLVMBuildNeg(b, rest, "");
    LLVMValueRef v = gather(w, words, LLVMBuildGEP2(b, g->i8, pointers, &back, 1, "words"), 4);
    LLVMValueRef shift = LLVMBuildShl(
            b, LLVMBuildTrunc(b, rest, words, ""), wide_splat(w, codegen_i32(g, 3)), "");
    LLVMTypeRef narrow = wide_type(w, LLVMIntTypeInContext(g->context, 8 * (unsigned)a->bytes));
    v = LLVMBuildTrunc(b, LLVMBuildLShr(b, v, shift, ""), narrow, "");
    return LLVMBuildBitCast(b, v, a->type, "");
}

static LLVMValueRef load_apart(struct wide *w, const struct access *a)
{
    if (has_gathers(w, a->bytes))
        return gather(w, a->type, wide_vector(w, a->pointer), a->align);
    /* Not in private memory, which small elements are seldom aligned in. */
    if (has_gathers(w, 4) && a->align >= a->bytes && !a->private_memory)
        return gather_in_words(w, a);
    return load_each(w, a);
}

static void store_apart(struct wide *w, const struct access *a, LLVMValueRef v)
{
    if (!has_gathers(w, a->bytes)) {
        store_each(w, a, v);
        return;
    }
    LLVMValueRef p = wide_vector(w, a->pointer);
    LLVMTypeRef types[2] = {a->type, LLVMTypeOf(p)};
    LLVMValueRef o[4] = {v, p, codegen_i32(w->g, a->align), wide_all(w)};
    codegen_call_intrinsic(w->g, "llvm.masked.scatter", types, 2, o, 4);
}

/* ---- the instructions */

static bool vector_load(struct wide *w, LLVMValueRef in)
{
    struct access a = describe(w, LLVMGetOperand(in, 0), LLVMTypeOf(in), LLVMGetAlignment(in));
    LLVMValueRef v;
    if (w->strided_stores && !a.private_memory)
        wide_strided_flush(w);
    if (!a.row && wide_strided_load(w, in))
        return true;
    if (a.row && (!w->mask || a.private_memory)) {
        v = LLVMBuildLoad2(w->g->builder, a.type, a.row, "");
        LLVMSetAlignment(v, a.align);
    } else if (a.row) {
        v = masked_row_load(w, &a);
    } else {
        v = load_apart(w, &a);
    }
    wide_set_vector(w, in, v);
    return true;
}

static bool is_plain(LLVMTypeRef type)
{
    LLVMTypeKind kind = LLVMGetTypeKind(type);
    return kind == LLVMIntegerTypeKind ? LLVMGetIntTypeWidth(type) % 8 == 0
                                       : kind != LLVMVectorTypeKind && kind != LLVMStructTypeKind &&
                                                 kind != LLVMArrayTypeKind;
}

/* Whether the load may be done at any time, with any mask: of a dispatch's parameters (see
 * codegen/invariant.c). */
static bool is_readable(struct wide *w, LLVMValueRef in)
{
    struct codegen *g = w->g;
    uint64_t end = LLVMABISizeOfType(g->layout, LLVMTypeOf(in));
    LLVMValueRef pointer = LLVMGetOperand(in, 0);
    for (; LLVMIsAGetElementPtrInst(pointer); pointer = LLVMGetOperand(pointer, 0)) {
        LLVMValueRef index = LLVMGetOperand(pointer, 1);
        if (LLVMGetNumOperands(pointer) != 2 || !LLVMIsAConstantInt(index) ||
                LLVMConstIntGetZExtValue(index) > ABX_REFERENCE_BYTES)
            return false;
        end += LLVMConstIntGetZExtValue(index) *
               LLVMABISizeOfType(g->layout, LLVMGetGEPSourceElementType(pointer));
    }
    uint64_t n = wide_marker(pointer, "__abx_buffer");
    return n < ABX_BUFFER_SLOTS && end <= g->readable[n] && !LLVMGetVolatile(in) &&
           LLVMGetOrdering(in) == LLVMAtomicOrderingNotAtomic;
}

bool wide_load(struct wide *w, LLVMValueRef in)
{
    if (wide_is_divergent(w, in))
        return is_plain(LLVMTypeOf(in)) && !LLVMGetVolatile(in) &&
                               LLVMGetOrdering(in) == LLVMAtomicOrderingNotAtomic
                       ? vector_load(w, in)
                       : wide_serial(w, in);
    if (w->strided_stores)
        wide_strided_flush(w);
    LLVMValueRef copy = LLVMInstructionClone(in);
    LLVMValueRef at = wide_uniform(w, LLVMGetOperand(in, 0));
    LLVMSetOperand(copy, 0, is_readable(w, in) ? at : guarded(w, at));
    LLVMInsertIntoBuilder(w->g->builder, copy);
    wide_set_uniform(w, in, copy);
    return true;
}

static bool vector_store(struct wide *w, LLVMValueRef in)
{
    LLVMBuilderRef b = w->g->builder;
    LLVMValueRef source = LLVMGetOperand(in, 0), pointer = LLVMGetOperand(in, 1);
    bool elsewhere = wide_private(pointer) != NULL;
    if (!w->strided_stores && !elsewhere)
        wide_strided_flush(w);
    LLVMValueRef v = wide_vector(w, source);
    struct access a = describe(w, pointer, LLVMTypeOf(source), LLVMGetAlignment(in));
    if (!a.row && wide_strided_store(w, in, v))
        return true;
    if (!elsewhere)
        wide_strided_flush(w);
    if (!a.row) {
        store_apart(w, &a, v);
    } else if (w->mask && !a.private_memory) {
        masked_row_store(w, &a, v);
    } else {
        if (w->mask) {
            LLVMValueRef old = LLVMBuildLoad2(b, a.type, a.row, "");
            LLVMSetAlignment(old, a.align);
            v = LLVMBuildSelect(b, w->mask, v, old, "");
        }
        LLVMSetAlignment(LLVMBuildStore(b, v, a.row), a.align);
    }
    return true;
}

bool wide_store(struct wide *w, LLVMValueRef in)
{
    w->matrix = NULL; /* a matrix read before may differ now */
    LLVMValueRef source = LLVMGetOperand(in, 0), pointer = LLVMGetOperand(in, 1);
    bool plain = is_plain(LLVMTypeOf(source));
    bool atomic = LLVMGetVolatile(in) || LLVMGetOrdering(in) != LLVMAtomicOrderingNotAtomic;
    if (wide_private(pointer) || wide_is_divergent(w, pointer))
        return plain && !atomic ? vector_store(w, in) : wide_serial(w, in);
    wide_strided_flush(w);
    /* One place for all lanes: the last active one's value stays. */
    LLVMValueRef v;
    if (!wide_is_divergent(w, source))
        v = wide_uniform(w, source);
    else if (plain)
        v = LLVMBuildExtractElement(w->g->builder, wide_vector(w, source), last_active(w), "");
    else
        return wide_serial(w, in);
    LLVMValueRef copy = LLVMInstructionClone(in);
    LLVMSetOperand(copy, 0, v);
    LLVMSetOperand(copy, 1, guarded(w, wide_uniform(w, pointer)));
    LLVMInsertIntoBuilder(w->g->builder, copy);
    return true;
}
