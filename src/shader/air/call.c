/* shader: calls of AIR that are built in place: conversions, atomics, SIMD-group matrices,
 * builtins. Compiler process; the module is the guest's: types and counts are checked, whatever the
 * name says. */
#include "shader/air/air.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int unknown(struct air *a, const struct air_call *c)
{
    return codegen_fail(a->g, -EINVAL, "function 'air.%s' has an unknown form", c->name);
}

/* The rest of `name` behind `prefix`, or NULL. */
static const char *after(const char *name, const char *prefix)
{
    size_t length = strlen(prefix);
    return strncmp(name, prefix, length) ? NULL : name + length;
}

static LLVMTypeRef element_of(LLVMTypeRef type)
{
    return LLVMGetTypeKind(type) == LLVMVectorTypeKind ? LLVMGetElementType(type) : type;
}

static bool is_real(LLVMTypeRef type)
{
    LLVMTypeKind kind = LLVMGetTypeKind(element_of(type));
    return kind == LLVMFloatTypeKind || kind == LLVMHalfTypeKind || kind == LLVMBFloatTypeKind;
}

static bool is_integer(LLVMTypeRef type)
{
    return LLVMGetTypeKind(element_of(type)) == LLVMIntegerTypeKind;
}

static bool is_pointer(LLVMTypeRef type)
{
    return LLVMGetTypeKind(type) == LLVMPointerTypeKind;
}

/* ---- convert.<f|s|u>.<to>.<f|s|u>.<from> */

/* bfloat and half meet in float: LLVM has no conversion between them. */
static LLVMValueRef convert_real(struct air *a, LLVMValueRef v, LLVMTypeRef to)
{
    LLVMBuilderRef b = a->g->builder;
    LLVMTypeRef single = codegen_shaped_as(to, LLVMFloatTypeInContext(a->g->context));
    if (LLVMTypeOf(v) == to)
        return v;
    v = LLVMBuildFPCast(b, v, single, "");
    return LLVMBuildFPCast(b, v, to, "");
}

/* Out of range gives the nearest number, NaN gives 0, as for source (frontend/clang_flags.inc). */
static LLVMValueRef convert_to_integer(
        struct air *a, LLVMValueRef v, LLVMTypeRef to, bool is_signed)
{
    LLVMBuilderRef b = a->g->builder;
    LLVMTypeRef from = LLVMTypeOf(v);
    if (LLVMGetIntTypeWidth(element_of(to)) == 1)
        return LLVMBuildFCmp(b, LLVMRealUNE, v, LLVMConstNull(from), "");
    LLVMTypeRef types[] = {to, from};
    return codegen_call_intrinsic(
            a->g, is_signed ? "llvm.fptosi.sat" : "llvm.fptoui.sat", types, 2, &v, 1);
}

static LLVMValueRef convert(struct air *a, LLVMValueRef v, LLVMTypeRef to, char to_kind, char kind)
{
    LLVMBuilderRef b = a->g->builder;
    LLVMTypeRef from = LLVMTypeOf(v);
    bool to_real = is_real(to), real = is_real(from);
    if (to_real != (to_kind == 'f') || real != (kind == 'f') || (!to_real && !is_integer(to)) ||
            (!real && !is_integer(from)))
        return NULL;
    if (real)
        return to_real ? convert_real(a, v, to) : convert_to_integer(a, v, to, to_kind == 's');
    if (to_real)
        return kind == 's' ? LLVMBuildSIToFP(b, v, to, "") : LLVMBuildUIToFP(b, v, to, "");
    if (LLVMGetIntTypeWidth(element_of(to)) == 1)
        return LLVMBuildICmp(b, LLVMIntNE, v, LLVMConstNull(from), "");
    return LLVMBuildIntCast2(b, v, to, kind == 's', "");
}

static unsigned width_of(LLVMTypeRef type)
{
    return LLVMGetTypeKind(type) == LLVMVectorTypeKind ? LLVMGetVectorSize(type) : 0;
}

static int call_convert(struct air *a, struct air_call *c, const char *rest)
{
    /* f.f32.s.i32, and nothing behind it: saturation and rounding modes are not known here */
    const char *to = strchr(rest, '.'), *from = to ? strchr(to + 1, '.') : NULL;
    const char *type = from ? strchr(from + 1, '.') : NULL;
    if (!type || to != rest + 1 || type != from + 2 || strchr(type + 1, '.') ||
            c->argument_count != 1 || width_of(c->type) != width_of(LLVMTypeOf(c->arguments[0])))
        return unknown(a, c);
    c->result = convert(a, c->arguments[0], c->type, rest[0], from[1]);
    return c->result ? 1 : unknown(a, c);
}

/* ---- atomic.<global|local>.<operation>.[s.|u.]<type>(pointer, ..., order, scope, volatile) */

struct atomic_operation {
    const char *name;
    LLVMAtomicRMWBinOp of_signed, of_unsigned, of_real;
    bool real; /* floats have it too */
};
static const struct atomic_operation operations[] = {
        {"add.", LLVMAtomicRMWBinOpAdd, LLVMAtomicRMWBinOpAdd, LLVMAtomicRMWBinOpFAdd, true},
        {"sub.", LLVMAtomicRMWBinOpSub, LLVMAtomicRMWBinOpSub, LLVMAtomicRMWBinOpFSub, true},
        {"min.", LLVMAtomicRMWBinOpMin, LLVMAtomicRMWBinOpUMin, LLVMAtomicRMWBinOpFMin, true},
        {"max.", LLVMAtomicRMWBinOpMax, LLVMAtomicRMWBinOpUMax, LLVMAtomicRMWBinOpFMax, true},
        {"xchg.", LLVMAtomicRMWBinOpXchg, LLVMAtomicRMWBinOpXchg, LLVMAtomicRMWBinOpXchg, true},
        {"and.", LLVMAtomicRMWBinOpAnd, LLVMAtomicRMWBinOpAnd, LLVMAtomicRMWBinOpAnd, false},
        {"or.", LLVMAtomicRMWBinOpOr, LLVMAtomicRMWBinOpOr, LLVMAtomicRMWBinOpOr, false},
        {"xor.", LLVMAtomicRMWBinOpXor, LLVMAtomicRMWBinOpXor, LLVMAtomicRMWBinOpXor, false}};

static bool is_atomic_type(struct air *a, LLVMTypeRef type)
{
    LLVMTypeKind kind = LLVMGetTypeKind(type);
    if (kind != LLVMIntegerTypeKind && kind != LLVMFloatTypeKind && kind != LLVMHalfTypeKind)
        return false;
    uint64_t bits = LLVMSizeOfTypeInBits(a->g->layout, type);
    return bits == 8 || bits == 16 || bits == 32 || bits == 64;
}

/* Metal's plain order is relaxed (0); whatever else is asked for gets the strongest. */
static LLVMAtomicOrdering order_of(const struct air_call *c, unsigned argument)
{
    LLVMValueRef v = argument < c->argument_count ? c->arguments[argument] : NULL;
    bool relaxed = v && LLVMIsAConstantInt(v) && LLVMConstIntGetZExtValue(v) == 0;
    return relaxed ? LLVMAtomicOrderingMonotonic : LLVMAtomicOrderingSequentiallyConsistent;
}

static LLVMValueRef make_atomic(
        struct air *a, LLVMValueRef in, LLVMTypeRef type, LLVMAtomicOrdering order)
{
    LLVMSetOrdering(in, order);
    LLVMSetAlignment(in, (unsigned)LLVMABISizeOfType(a->g->layout, type));
    return in;
}

static int call_exchange_if(struct air *a, struct air_call *c)
{
    LLVMBuilderRef b = a->g->builder;
    if (c->argument_count < 4 || !is_pointer(LLVMTypeOf(c->arguments[1])))
        return unknown(a, c);
    LLVMTypeRef type = LLVMTypeOf(c->arguments[2]);
    if (!is_atomic_type(a, type) || (c->type != a->g->i1 && c->type != type))
        return unknown(a, c);
    LLVMTypeRef bits =
            LLVMIntTypeInContext(a->g->context, (unsigned)LLVMSizeOfTypeInBits(a->g->layout, type));
    LLVMValueRef expected = LLVMBuildLoad2(b, bits, c->arguments[1], "");
    LLVMValueRef wanted = LLVMBuildBitCast(b, c->arguments[2], bits, "");
    LLVMAtomicOrdering order = order_of(c, 3);
    LLVMValueRef pair =
            LLVMBuildAtomicCmpXchg(b, c->arguments[0], expected, wanted, order, order, 0);
    LLVMValueRef old = LLVMBuildExtractValue(b, pair, 0, "");
    LLVMBuildStore(b, old, c->arguments[1]);
    c->result = c->type == type ? LLVMBuildBitCast(b, old, type, "")
                                : LLVMBuildExtractValue(b, pair, 1, "");
    return 1;
}

static int call_atomic(struct air *a, struct air_call *c, const char *rest)
{
    LLVMBuilderRef b = a->g->builder;
    if (c->argument_count < 2 || !is_pointer(LLVMTypeOf(c->arguments[0])))
        return unknown(a, c);
    if (after(rest, "cmpxchg."))
        return call_exchange_if(a, c);
    if (after(rest, "load.")) {
        if (!is_atomic_type(a, c->type))
            return unknown(a, c);
        c->result = make_atomic(
                a, LLVMBuildLoad2(b, c->type, c->arguments[0], ""), c->type, order_of(c, 1));
        return 1;
    }
    LLVMTypeRef type = LLVMTypeOf(c->arguments[1]);
    if (!is_atomic_type(a, type))
        return unknown(a, c);
    if (after(rest, "store.")) {
        make_atomic(a, LLVMBuildStore(b, c->arguments[1], c->arguments[0]), type, order_of(c, 2));
        return 1;
    }
    for (size_t i = 0; i < ABX_ARRAY_SIZE(operations); i++) {
        const struct atomic_operation *o = &operations[i];
        const char *type_name = after(rest, o->name);
        if (!type_name || (is_real(type) && !o->real))
            continue;
        LLVMAtomicRMWBinOp op = is_real(type)            ? o->of_real
                                : after(type_name, "s.") ? o->of_signed
                                                         : o->of_unsigned;
        c->result = LLVMBuildAtomicRMW(b, op, c->arguments[0], c->arguments[1], order_of(c, 2), 0);
        return 1;
    }
    return unknown(a, c);
}

/* ---- simdgroup_matrix_8x8_<operation>: values are <64 x T>, of which a lane has elements 0 and 1
 */

static const char *suffix_of(LLVMTypeRef element)
{
    switch (LLVMGetTypeKind(element)) {
    case LLVMFloatTypeKind:
        return "f32";
    case LLVMHalfTypeKind:
        return "f16";
    case LLVMBFloatTypeKind:
        return "bf16";
    default:
        return NULL;
    }
}

static bool is_matrix(LLVMTypeRef type)
{
    return width_of(type) == 64 && suffix_of(element_of(type));
}

static LLVMValueRef half_of(struct air *a, LLVMValueRef matrix, unsigned i)
{
    return LLVMBuildExtractElement(a->g->builder, matrix, codegen_i32(a->g, i), "");
}

static LLVMValueRef matrix_of(struct air *a, LLVMTypeRef type, LLVMValueRef x, LLVMValueRef y)
{
    LLVMBuilderRef b = a->g->builder;
    LLVMValueRef m = LLVMBuildInsertElement(b, LLVMGetPoison(type), x, codegen_i32(a->g, 0), "");
    return LLVMBuildInsertElement(b, m, y, codegen_i32(a->g, 1), "");
}

/* Both elements from where the runtime wrote them, as `type`'s. */
static LLVMValueRef matrix_from(
        struct air *a, LLVMTypeRef type, LLVMTypeRef stored, LLVMValueRef slot)
{
    LLVMBuilderRef b = a->g->builder;
    LLVMValueRef one = codegen_i32(a->g, 1), x = LLVMBuildLoad2(b, stored, slot, "");
    LLVMValueRef next = LLVMBuildGEP2(b, stored, slot, &one, 1, "");
    LLVMValueRef y = LLVMBuildLoad2(b, stored, next, "");
    LLVMTypeRef element = element_of(type);
    return matrix_of(a, type, convert_real(a, x, element), convert_real(a, y, element));
}

static LLVMValueRef call_suffixed(struct air *a, const char *name, LLVMTypeRef element,
        LLVMValueRef *arguments, unsigned count)
{
    char full[64];
    snprintf(full, sizeof(full), "abx.matrix_%s.%s", name, suffix_of(element));
    return air_call_runtime(a, full, arguments, count);
}

/* pointer, elements a row, origin, transpose; or pointer, sizes, strides, origin. */
static bool matrix_place(struct air *a, const struct air_call *c, unsigned first,
        LLVMTypeRef element, LLVMValueRef ret[3])
{
    LLVMBuilderRef b = a->g->builder;
    LLVMTypeRef pair = LLVMVectorType(a->g->i64, 2);
    if (c->argument_count != first + 4)
        return false;
    LLVMValueRef const *p = c->arguments + first;
    LLVMValueRef origin, x, y, one = codegen_i64(a->g, 1);
    if (LLVMTypeOf(p[1]) == a->g->i64 && LLVMTypeOf(p[2]) == pair && LLVMTypeOf(p[3]) == a->g->i1) {
        origin = p[2];
        x = LLVMBuildSelect(b, p[3], p[1], one, "");
        y = LLVMBuildSelect(b, p[3], one, p[1], "");
    } else if (LLVMTypeOf(p[2]) == pair && LLVMTypeOf(p[3]) == pair) {
        origin = p[3];
        x = half_of(a, p[2], 0), y = half_of(a, p[2], 1);
    } else {
        return false;
    }
    bool rows = LLVMTypeOf(p[1]) == a->g->i64; /* the origin counts in memory, not in the matrix */
    LLVMValueRef column = LLVMBuildMul(b, half_of(a, origin, 0), rows ? one : x, "");
    LLVMValueRef row = LLVMBuildMul(b, half_of(a, origin, 1), rows ? p[1] : y, "");
    LLVMValueRef at = LLVMBuildAdd(b, column, row, "");
    ret[0] = LLVMBuildGEP2(b, element, p[0], &at, 1, "");
    ret[1] = x, ret[2] = y;
    return is_pointer(LLVMTypeOf(p[0]));
}

static int matrix_load(struct air *a, struct air_call *c)
{
    LLVMTypeRef element = element_of(c->type);
    LLVMValueRef place[3];
    if (!is_matrix(c->type) || !matrix_place(a, c, 0, element, place))
        return unknown(a, c);
    LLVMValueRef slot = air_build_slot(a, LLVMArrayType2(element, 2));
    LLVMValueRef arguments[] = {slot, place[0], place[1], place[2]};
    if (!call_suffixed(a, "load", element, arguments, 4))
        return -EINVAL;
    c->result = matrix_from(a, c->type, element, slot);
    return 1;
}

static int matrix_store(struct air *a, struct air_call *c)
{
    LLVMValueRef place[3];
    if (!c->argument_count || !is_matrix(LLVMTypeOf(c->arguments[0])))
        return unknown(a, c);
    LLVMTypeRef element = element_of(LLVMTypeOf(c->arguments[0]));
    if (!matrix_place(a, c, 1, element, place))
        return unknown(a, c);
    LLVMValueRef arguments[] = {half_of(a, c->arguments[0], 0), half_of(a, c->arguments[0], 1),
            place[0], place[1], place[2]};
    return call_suffixed(a, "store", element, arguments, 5) ? 1 : -EINVAL;
}

static int matrix_multiply(struct air *a, struct air_call *c)
{
    LLVMTypeRef single = LLVMFloatTypeInContext(a->g->context);
    LLVMValueRef arguments[7];
    arguments[0] = air_build_slot(a, LLVMArrayType2(single, 2));
    arguments[5] = arguments[6] = LLVMConstNull(single);
    if (!is_matrix(c->type) || c->argument_count < 2 || c->argument_count > 3)
        return unknown(a, c);
    for (unsigned i = 0; i < c->argument_count; i++) {
        if (!is_matrix(LLVMTypeOf(c->arguments[i])))
            return unknown(a, c);
        for (unsigned e = 0; e < 2; e++)
            arguments[1 + 2 * i + e] = convert_real(a, half_of(a, c->arguments[i], e), single);
    }
    if (!air_call_runtime(a, "abx.matrix_multiply", arguments, 7))
        return -EINVAL;
    c->result = matrix_from(a, c->type, single, arguments[0]);
    return 1;
}

static int matrix_fill(struct air *a, struct air_call *c, bool diagonal)
{
    LLVMTypeRef element = element_of(c->type);
    if (!is_matrix(c->type) || c->argument_count != 1 || LLVMTypeOf(c->arguments[0]) != element)
        return unknown(a, c);
    if (!diagonal) {
        c->result = matrix_of(a, c->type, c->arguments[0], c->arguments[0]);
        return 1;
    }
    LLVMValueRef slot = air_build_slot(a, LLVMArrayType2(element, 2));
    LLVMValueRef arguments[] = {slot, c->arguments[0]};
    if (!call_suffixed(a, "diagonal", element, arguments, 2))
        return -EINVAL;
    c->result = matrix_from(a, c->type, element, slot);
    return 1;
}

static int call_matrix(struct air *a, struct air_call *c, const char *rest)
{
    a->matrices = true;
    if (after(rest, "load."))
        return matrix_load(a, c);
    if (after(rest, "store."))
        return matrix_store(a, c);
    if (after(rest, "multiply"))
        return matrix_multiply(a, c);
    if (after(rest, "init_filled."))
        return matrix_fill(a, c, false);
    if (after(rest, "init_diag"))
        return matrix_fill(a, c, true);
    return 0;
}

/* ---- the rest */

static int call_builtin(struct air *a, struct air_call *c)
{
    const char *name = after(c->name, "get_"), *dot;
    name = name ? name : c->name;
    dot = strchr(name, '.');
    int builtin = air_builtin(name, dot ? (size_t)(dot - name) : strlen(name));
    if (builtin < 0)
        return 0;
    c->result = air_build_builtin(a->g, builtin, c->type);
    return c->result ? 1 : unknown(a, c);
}

/* any.v<n>i1, all.v<n>i1 */
static int call_vote(struct air *a, struct air_call *c, bool all)
{
    LLVMTypeRef type = c->argument_count == 1 ? LLVMTypeOf(c->arguments[0]) : c->type;
    if (LLVMGetTypeKind(type) != LLVMVectorTypeKind || c->type != a->g->i1 ||
            LLVMGetElementType(type) != a->g->i1)
        return unknown(a, c);
    c->result = codegen_call_intrinsic(a->g,
            all ? "llvm.vector.reduce.and" : "llvm.vector.reduce.or", &type, 1, c->arguments, 1);
    return 1;
}

/* The condition under which an argument exists, from a function constant of any value. */
static int call_predicate(struct air *a, struct air_call *c)
{
    if (c->argument_count != 1 || !is_integer(c->type) || LLVMTypeOf(c->arguments[0]) != c->type)
        return unknown(a, c);
    LLVMValueRef set =
            LLVMBuildICmp(a->g->builder, LLVMIntNE, c->arguments[0], LLVMConstNull(c->type), "");
    c->result = LLVMBuildZExt(a->g->builder, set, c->type, "");
    return 1;
}

/* ---- simdgroup_async_copy_<1d|2d>[.pNi8.pNi8], wait_simdgroup_events: what a SIMD-group copies
 * together */

/* The next argument as `kind` has it: a number, a pointer, or a pair of 64-bit numbers, which is
 * one vector in Apple's code, and in a source's either two arguments or a pointer to them. False:
 * no such. */
static bool flatten(
        struct air *a, const struct air_call *c, unsigned *next, char kind, LLVMValueRef ret[2])
{
    LLVMBuilderRef b = a->g->builder;
    LLVMTypeRef i64 = a->g->i64, plain = LLVMPointerTypeInContext(a->g->context, 0);
    LLVMValueRef v = *next < c->argument_count ? c->arguments[(*next)++] : NULL;
    if (!v || (kind == 'p' && !is_pointer(LLVMTypeOf(v))))
        return false;
    ret[0] = v;
    if (kind == 'p' && LLVMTypeOf(v) != plain)
        ret[0] = LLVMBuildAddrSpaceCast(b, v, plain, "");
    if (kind != '2')
        return true;
    if (is_pointer(LLVMTypeOf(v)))
        v = LLVMBuildLoad2(b, LLVMVectorType(i64, 2), v, "");
    if (LLVMTypeOf(v) == LLVMVectorType(i64, 2)) {
        ret[0] = half_of(a, v, 0);
        ret[1] = half_of(a, v, 1);
        return true;
    }
    ret[1] = *next < c->argument_count ? c->arguments[(*next)++] : NULL;
    return ret[1] != NULL;
}

static int call_copy(struct air *a, struct air_call *c, const char *name, const char *kinds)
{
    LLVMValueRef flat[ABX_ARRAY_SIZE(c->arguments)];
    unsigned next = 0, count = 0;
    bool event = is_pointer(c->type); /* of which there is only one */
    if (!event && LLVMGetTypeKind(c->type) != LLVMVoidTypeKind)
        return unknown(a, c);
    for (; *kinds; count += *kinds++ == '2' ? 2 : 1)
        if (!flatten(a, c, &next, *kinds, flat + count))
            return unknown(a, c);
    if (next != c->argument_count || !air_call_runtime(a, name, flat, count))
        return next != c->argument_count ? unknown(a, c) : -EINVAL;
    if (event) { /* programs may look at what they know nothing of */
        LLVMValueRef slot = air_build_slot(a, a->g->i64);
        LLVMBuildStore(a->g->builder, codegen_i64(a->g, 0), slot);
        c->result = LLVMTypeOf(slot) == c->type
                            ? slot
                            : LLVMBuildAddrSpaceCast(a->g->builder, slot, c->type, "");
    }
    return 1;
}

int air_call_direct(struct air *a, struct air_call *c)
{
    const char *rest;
    if ((rest = after(c->name, "convert.")))
        return call_convert(a, c, rest);
    if ((rest = after(c->name, "atomic.global.")) || (rest = after(c->name, "atomic.local.")))
        return call_atomic(a, c, rest);
    if ((rest = after(c->name, "simdgroup_matrix_8x8_")))
        return call_matrix(a, c, rest);
    if (after(c->name, "simdgroup_async_copy_1d"))
        return call_copy(a, c, "abx.simdgroup_async_copy_1d", "iippi");
    if (after(c->name, "simdgroup_async_copy_2d"))
        return call_copy(a, c, "abx.simdgroup_async_copy_2d", "iipii2pii22i");
    if (!strcmp(c->name, "wait_simdgroup_events"))
        return call_copy(a, c, "abx.wait_simdgroup_events", "ip");
    if (after(c->name, "any.") || after(c->name, "all."))
        return call_vote(a, c, after(c->name, "all.") != NULL);
    if (after(c->name, "normalize_function_constant_predicate."))
        return call_predicate(a, c);
    if (after(c->name, "is_uniform.") && c->type == a->g->i1) { /* a hint: programs assume it */
        c->result = LLVMConstInt(c->type, 1, 0);
        return 1;
    }
    return c->argument_count ? 0 : call_builtin(a, c);
}
