/* shader: from the compiled module and what the rewriter knows to a library blob. Compiler process.
 * The module is the guest's: records are read as data that may have any shape, and the module is
 * verified before it goes on. */
#include "shader/frontend/frontend.h"
#include "shader/frontend/reflect_sure.h"
#include "shader/frontend/reflect_types.h"
#include "wire/limits.h"

#include <llvm-c/Analysis.h>
#include <llvm-c/BitReader.h>
#include <llvm-c/Core.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_BUFFER_INDEX 30
#define MAX_GROUP_INDEX 30

struct reflector {
    LLVMContextRef context;
    LLVMModuleRef module;
    const struct abx_rewrite *rewrite;
    const struct line_map *map;
    struct diagnosed *diagnosed;
    struct abx_reflection header;
    struct abx_reflection_function *functions;
    struct abx_reflection_argument *arguments;
    struct abx_reflection_constant *constants;
    uint32_t *names; /* string offset of a rewriter argument's name, type at + argument_count */
    uint32_t argument_capacity;
    struct reflected_types types;
    struct abx_string strings;
    struct abx_string message;
    bool whole; /* the module holds the kernels, too */
};

/* An error of the program's, at an input position. */
static int complain(struct reflector *r, uint32_t position, const char *what)
{
    diagnose_at(r->diagnosed, r->map, position, what);
    return -EINVAL;
}

static uint32_t add_string(struct reflector *r, const char *text)
{
    uint32_t at = (uint32_t)r->strings.length;
    abx_string_add(&r->strings, text, strlen(text) + 1);
    return at;
}

/* ---- reading records */

static LLVMValueRef record(struct reflector *r, const char *prefix, uint32_t id)
{
    char name[64];
    snprintf(name, sizeof(name), "%s%u", prefix, id);
    LLVMValueRef global = LLVMGetNamedGlobal(r->module, name);
    return global ? LLVMGetInitializer(global) : NULL;
}

/* Element `i` of a constant aggregate as a number; `missing` when there is no such thing. */
static int64_t number_at(LLVMValueRef aggregate, unsigned i, int64_t missing)
{
    LLVMValueRef element = aggregate ? LLVMGetAggregateElement(aggregate, i) : NULL;
    if (!element || !LLVMIsAConstantInt(element) || LLVMGetIntTypeWidth(LLVMTypeOf(element)) > 64)
        return missing;
    return LLVMConstIntGetSExtValue(element);
}

/* The initialiser of the global that a record points to. */
static LLVMValueRef table(struct reflector *r, const char *prefix, uint32_t id)
{
    LLVMValueRef pointer = record(r, prefix, id);
    return pointer && LLVMIsAGlobalVariable(pointer) ? LLVMGetInitializer(pointer) : NULL;
}

/* The name of a type every program knows; NULL for structures and the rest. */
static const char *data_type_name(uint32_t type)
{
    static const struct {
        uint32_t first;
        const char *scalar;
    } vectors[] = {{3, "float"}, {16, "half"}, {29, "int"}, {33, "uint"}, {37, "short"},
            {41, "ushort"}, {45, "char"}, {49, "uchar"}, {53, "bool"}, {81, "long"}, {85, "ulong"},
            {121, "bfloat"}};
    static char name[16];
    for (size_t i = 0; i < ABX_ARRAY_SIZE(vectors); i++) {
        uint32_t n = type - vectors[i].first;
        if (n < 4) {
            snprintf(name, sizeof(name), n ? "%s%u" : "%s", vectors[i].scalar, n + 1);
            return name;
        }
    }
    return NULL;
}

static uint32_t argument_name(struct reflector *r, uint32_t i)
{
    if (!r->names[i])
        r->names[i] = add_string(r, r->rewrite->arguments[i].name);
    return r->names[i];
}

static uint32_t argument_type(struct reflector *r, uint32_t i, uint32_t type)
{
    const char *known = data_type_name(type);
    const char *written = r->rewrite->arguments[i].type_name;
    if (known && strncmp(written, "packed_", 7) && strncmp(written, "atomic", 6) &&
            strcmp(written, known))
        return add_string(r, known);
    uint32_t *offset = &r->names[r->rewrite->argument_count + i];
    if (!*offset)
        *offset = add_string(r, r->rewrite->arguments[i].type_name);
    return *offset;
}

/* Argument `i` of a kernel: argument_info{kind, index, space, writable, size, align} of entry.h;
 * full: the __msl::type of each (members.h). */
static int read_argument(struct reflector *r, LLVMValueRef info, LLVMValueRef types,
        LLVMValueRef full, uint32_t i, uint32_t known_as, uint32_t position)
{
    LLVMValueRef record_ = info ? LLVMGetAggregateElement(info, i) : NULL;
    int64_t kind = number_at(record_, 0, 0), index = number_at(record_, 1, 0);
    struct abx_reflection_argument a = {0};
    if (kind != ABX_ARGUMENT_BUFFER && kind != ABX_ARGUMENT_THREADGROUP &&
            kind != ABX_ARGUMENT_BUILTIN)
        return complain(r, position, "the compiler left no record of its arguments");
    if (kind == ABX_ARGUMENT_BUFFER && (index < 0 || index > MAX_BUFFER_INDEX))
        return complain(r, position,
                "'buffer' attribute parameter is out of bounds: must be between 0 and 30");
    if (kind == ABX_ARGUMENT_THREADGROUP && (index < 0 || index > MAX_GROUP_INDEX))
        return complain(r, position,
                "'threadgroup' attribute parameter is out of bounds: must be between 0 and 30");
    a.kind = (uint32_t)kind;
    a.index = (uint32_t)index;
    a.access = number_at(record_, 3, 0) ? ABX_ACCESS_READ_WRITE : ABX_ACCESS_READ_ONLY;
    a.data_size = (uint32_t)number_at(record_, 4, 0);
    a.data_alignment = (uint32_t)number_at(record_, 5, 1);
    a.data_type = (uint32_t)number_at(types, i, 0);
    a.type = kind == ABX_ARGUMENT_BUILTIN || !full
                     ? 0
                     : reflect_type(&r->types, LLVMGetAggregateElement(full, i));
    a.name = argument_name(r, known_as);
    a.type_name = argument_type(r, known_as, a.data_type);
    if (r->header.argument_count >= ABX_REFLECTION_MAX_ARGUMENTS)
        return complain(r, position, "the library has more arguments than are supported");
    if (!abx_grow((void **)&r->arguments, &r->argument_capacity, r->header.argument_count,
                sizeof(*r->arguments), ABX_REFLECTION_MAX_ARGUMENTS))
        return -ENOMEM;
    r->arguments[r->header.argument_count++] = a;
    return 0;
}

/* Of a kernel with one of the attributes; 0 is the one it has not. */
static bool threads_ok(const struct abx_reflection_function *f)
{
    const uint32_t *q = f->required_threads, most = ABX_MAX_THREADS_PER_THREADGROUP;
    if (f->max_threads > most || q[0] > most || q[1] > most || q[2] > most)
        return false;
    uint64_t required = (uint64_t)q[0] * q[1] * q[2];
    return required <= most && (required || (f->max_threads && !q[0]));
}

static int read_kernel(struct reflector *r, uint32_t id)
{
    const struct abx_rewrite_kernel *k = &r->rewrite->kernels[id];
    LLVMValueRef threads = record(r, "__msl_t_", id);
    LLVMValueRef info = table(r, "__abx_i_", id), types = table(r, "__msl_y_", id);
    LLVMValueRef full = table(r, "__msl_m_", id);
    char name[64];
    struct abx_reflection_function *f = &r->functions[id];
    *f = (struct abx_reflection_function){
            .kind = k->visible ? ABX_FUNCTION_VISIBLE : ABX_FUNCTION_KERNEL,
            .first_argument = r->header.argument_count,
            .argument_count = k->argument_count,
            .constant_count = r->rewrite->constant_count, /* any kernel may be given any */
            .first_needed = k->first_constant,
            .needed_count = k->constant_end - k->first_constant,
            .max_threads = (uint32_t)number_at(threads, 0, 0)};
    for (unsigned i = 0; i < 3; i++)
        f->required_threads[i] = (uint32_t)number_at(threads, i + 1, 0);
    for (unsigned i = 1; i < 3; i++)
        if (f->required_threads[0] && !f->required_threads[i])
            f->required_threads[i] = 1;
    if (threads && !threads_ok(f))
        return complain(
                r, k->position, "a kernel's threads per threadgroup must be between 1 and 1024");
    f->name = add_string(r, k->name);
    snprintf(name, sizeof(name), k->visible ? "__abx_v_%u" : "__abx_k_%u", id);
    f->entry = add_string(r, name);
    f->unsure = r->whole ? !reflect_sure(r->module, name) : k->unsure;
    for (uint32_t i = 0; i < k->argument_count; i++) {
        int rc = read_argument(r, info, types, full, i, k->first_argument + i, k->position);
        if (rc)
            return rc;
    }
    return 0;
}

/* Functions that are in the library by name alone. */
static int read_stages(struct reflector *r)
{
    const struct abx_rewrite *w = r->rewrite;
    if (w->stage_count > ABX_REFLECTION_MAX_FUNCTIONS - w->kernel_count)
        return complain(r, 0, "the library has more functions than are supported");
    for (uint32_t i = 0; i < w->stage_count; i++)
        r->functions[w->kernel_count + i] =
                (struct abx_reflection_function){.name = add_string(r, w->stages[i].name),
                        .kind = w->stages[i].fragment ? ABX_FUNCTION_FRAGMENT : ABX_FUNCTION_VERTEX,
                        .first_argument = r->header.argument_count,
                        .constant_count = w->constant_count};
    return 0;
}

static int read_constant(struct reflector *r, uint32_t id)
{
    const struct abx_rewrite_constant *c = &r->rewrite->constants[id];
    LLVMValueRef info = record(r, "__msl_c_", id);
    int64_t index = number_at(info, 1, -1), type = number_at(info, 2, 0);
    int64_t size = number_at(info, 3, 0);
    char name[64];
    if (index < 0 || index > 65535)
        return complain(r, c->position,
                "'function_constant' attribute parameter is out of bounds: must be between 0 and "
                "65535");
    if (type <= 1 || size <= 0 || size > 16)
        return complain(r, c->position, "a function constant must be a scalar or vector");
    struct abx_reflection_constant *to = &r->constants[id];
    *to = (struct abx_reflection_constant){.name = add_string(r, c->name),
            .index = (uint32_t)index,
            .type = (uint32_t)type,
            .size = (uint32_t)size,
            .required = !c->tested};
    snprintf(name, sizeof(name), "__msl_f_%u", id);
    to->symbol = add_string(r, name);
    snprintf(name, sizeof(name), "__msl_d_%u", id);
    to->defined_symbol = add_string(r, name);
    return 0;
}

/* ---- the blob */

/* Room for `parts` one after the other, each at a multiple of 16; the offsets it gave them. */
static char *layout_blob(
        const size_t *parts, size_t count, uint64_t *ret_offsets, size_t *ret_bytes)
{
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        ret_offsets[i] = at = abx_align_up(at, 16);
        at += parts[i];
    }
    *ret_bytes = at;
    return at <= ABX_SHADER_MAX_LIBRARY_BYTES ? calloc(1, at) : NULL;
}

static int build_blob(struct reflector *r, const struct library_code *code,
        const struct abx_shader_options *options, struct abx_shader_result *result)
{
    struct abx_reflection *h = &r->header;
    h->string_bytes = (uint32_t)r->strings.length;
    h->type_count = r->types.type_count;
    h->member_count = r->types.member_count;
    size_t parts[] = {sizeof(*h), h->function_count * sizeof(*r->functions),
            h->argument_count * sizeof(*r->arguments), h->constant_count * sizeof(*r->constants),
            h->type_count * sizeof(*r->types.types), h->member_count * sizeof(*r->types.members),
            r->strings.length};
    const void *data[] = {h, r->functions, r->arguments, r->constants, r->types.types,
            r->types.members, r->strings.data};
    size_t bytes = 0;
    for (size_t i = 0; i < ABX_ARRAY_SIZE(parts); i++)
        bytes += parts[i];
    bytes = abx_align_up(bytes, 8);
    if (bytes > ABX_REFLECTION_MAX_BYTES)
        return complain(r, 0, "its reflection is larger than is supported");
    h->total_bytes = (uint32_t)bytes;
    uint64_t at[4];
    size_t sizes[4] = {sizeof(struct abx_shader_library), bytes, code->bytes, code->entry_bytes};
    char *blob = layout_blob(sizes, 4, at, &result->blob_bytes);
    if (!blob)
        return complain(r, 0, "the library is larger than is supported");
    struct abx_shader_library header = {.magic = ABX_LIBRARY_MAGIC,
            .version = ABX_LIBRARY_VERSION,
            .math_mode = options->math_mode,
            .form = code->form,
            .reflection_offset = at[1],
            .reflection_bytes = bytes,
            .code_offset = at[2],
            .code_bytes = code->bytes,
            .entries_offset = at[3],
            .entries_bytes = code->entry_bytes};
    memcpy(blob, &header, sizeof(header));
    for (size_t i = 0, to = at[1]; i < ABX_ARRAY_SIZE(parts); to += parts[i++])
        if (parts[i])
            memcpy(blob + to, data[i], parts[i]);
    memcpy(blob + at[2], code->data, code->bytes);
    if (code->entry_bytes)
        memcpy(blob + at[3], code->entries, code->entry_bytes);
    result->blob = blob;
    return abx_shader_library_check(blob, result->blob_bytes) ? -EIO : 0;
}

/* ---- the whole */

/* LLVM's own handler ends the process. */
static void on_diagnostic(LLVMDiagnosticInfoRef info, void *unused)
{
    (void)info, (void)unused;
}

/* -EBADMSG: clang wrote what LLVM cannot read. */
static int open_module(struct reflector *r, const struct abx_string *bitcode)
{
    char *error = NULL;
    r->context = LLVMContextCreate();
    LLVMContextSetDiagnosticHandler(r->context, on_diagnostic, NULL);
    LLVMMemoryBufferRef buffer =
            LLVMCreateMemoryBufferWithMemoryRange(bitcode->data, bitcode->length, "library", 0);
    if (!buffer)
        return -ENOMEM;
    bool bad = LLVMParseBitcodeInContext2(r->context, buffer, &r->module);
    LLVMDisposeMemoryBuffer(buffer);
    if (bad)
        return -EBADMSG;
    if (LLVMVerifyModule(r->module, LLVMReturnStatusAction, &error)) {
        abx_string_printf(&r->message, "clang made an invalid module: %s\n", error);
        LLVMDisposeMessage(error);
        return -EIO;
    }
    LLVMDisposeMessage(error);
    return 0;
}

static int allocate(struct reflector *r)
{
    const struct abx_rewrite *w = r->rewrite;
    r->header = (struct abx_reflection){.magic = ABX_REFLECTION_MAGIC,
            .version = ABX_REFLECTION_VERSION,
            .function_count = w->kernel_count + w->stage_count,
            .constant_count = w->constant_count};
    r->types.strings = &r->strings;
    r->functions = calloc((size_t)w->kernel_count + w->stage_count + 1, sizeof(*r->functions));
    r->constants = calloc(w->constant_count + 1, sizeof(*r->constants));
    r->names = calloc(2 * (size_t)w->argument_count + 1, sizeof(*r->names));
    add_string(r, ""); /* offset 0 */
    return r->functions && r->constants && r->names ? 0 : -ENOMEM;
}

static int read_records(struct reflector *r)
{
    int rc = 0;
    for (uint32_t i = 0; !rc && i < r->rewrite->kernel_count; i++)
        rc = read_kernel(r, i);
    rc = rc ? rc : read_stages(r);
    for (uint32_t i = 0; !rc && i < r->rewrite->constant_count; i++)
        rc = read_constant(r, i);
    return rc ? rc : r->strings.failed ? -ENOMEM : 0;
}

int reflect(const struct abx_string *records, const struct library_code *code,
        const struct abx_rewrite *rewrite, const struct line_map *map,
        const struct abx_shader_options *options, struct diagnosed *diagnosed,
        struct abx_shader_result *result)
{
    struct reflector r = {.rewrite = rewrite,
            .map = map,
            .diagnosed = diagnosed,
            .whole = code->form == ABX_LIBRARY_BITCODE};
    int rc = open_module(&r, records);
    rc = rc ? rc : allocate(&r);
    rc = rc ? rc : read_records(&r);
    rc = rc ? rc : build_blob(&r, code, options, result);
    if (rc && r.message.data) {
        free(result->message);
        result->message = r.message.data;
        r.message.data = NULL;
    }
    if (r.module)
        LLVMDisposeModule(r.module);
    LLVMContextDispose(r.context);
    free(r.functions), free(r.arguments), free(r.constants), free(r.names);
    reflected_types_finish(&r.types);
    abx_string_finish(&r.strings);
    abx_string_finish(&r.message);
    return rc;
}
