/* shader: from a .metallib file to a library blob: its functions, their arguments and constants as
 * reflection, and its bitcode as it is. Compiler process; the file is the guest's. Each module is
 * read only as far as its declarations and metadata; function bodies stay unread until a pipeline
 * is made (load.c).
 *
 * A function that cannot run here (a texture among its arguments, say) is in the library all the
 * same: making a pipeline of it fails then and says why. */
#include "shader/air/air.h"

#include <llvm-c/BitReader.h>
#include <stdlib.h>
#include <string.h>

/* Names and types repeat from kernel to kernel: each is stored once. */
#define TEXT_SLOTS (1u << 16)

struct library {
    struct air_container container;
    struct abx_reflection header;
    struct abx_reflection_function *functions;
    struct abx_reflection_argument *arguments;
    struct abx_reflection_constant *constants;
    uint32_t argument_capacity, constant_capacity;
    struct air_types types;
    struct abx_string strings;
    uint32_t *texts; /* TEXT_SLOTS offsets; 0: free */
    struct abx_string message;
};

static int fail(struct library *l, const char *what)
{
    abx_string_printf(&l->message, "Invalid library file: %s\n", what);
    return -EINVAL;
}

static uint32_t add_text(void *library, struct air_text t)
{
    struct library *l = library;
    uint32_t hash = 2166136261u;
    if (memchr(t.data, 0, t.length))
        t.length = (unsigned)strlen(t.data);
    if (!t.length)
        return 0;
    for (unsigned i = 0; i < t.length; i++)
        hash = (hash ^ (uint8_t)t.data[i]) * 16777619u;
    uint32_t *slot = &l->texts[(hash ^ hash >> 16) % TEXT_SLOTS];
    const char *known = l->strings.data + *slot;
    if (*slot && strlen(known) == t.length && !memcmp(known, t.data, t.length))
        return *slot;
    uint32_t at = (uint32_t)l->strings.length;
    abx_string_add(&l->strings, t.data, t.length);
    abx_string_add(&l->strings, "", 1);
    return *slot = at;
}

/* ---- one module */

static int add_argument(struct library *l, const struct air_argument *a)
{
    uint32_t n = l->header.argument_count;
    if (n >= ABX_REFLECTION_MAX_ARGUMENTS)
        return fail(l, "it has more arguments than are supported");
    if (!abx_grow((void **)&l->arguments, &l->argument_capacity, n, sizeof(*l->arguments),
                ABX_REFLECTION_MAX_ARGUMENTS))
        return -ENOMEM;
    l->arguments[n] = (struct abx_reflection_argument){.kind = a->kind,
            .name = add_text(l, a->name),
            .type_name = add_text(l, a->type_name),
            .index = a->index,
            .access = a->access,
            .data_size = a->size,
            .data_alignment = a->alignment,
            .data_type = air_data_type(a->type_name),
            .type = air_types_add(&l->types, a)};
    l->header.argument_count++;
    return 0;
}

static int add_constant(struct library *l, const struct air_constant *c)
{
    uint32_t n = l->header.constant_count;
    if (n >= ABX_REFLECTION_MAX_CONSTANTS)
        return fail(l, "it has more function constants than are supported");
    if (!abx_grow((void **)&l->constants, &l->constant_capacity, n, sizeof(*l->constants),
                ABX_REFLECTION_MAX_CONSTANTS))
        return -ENOMEM;
    l->constants[n] = (struct abx_reflection_constant){.name = add_text(l, c->name),
            .index = c->index,
            .type = c->type,
            .size = c->size,
            .required = c->required};
    l->header.constant_count++;
    return 0;
}

static int read_kernel(struct library *l, LLVMModuleRef module, const char *name,
        struct abx_reflection_function *f)
{
    struct air_kernel kernel;
    int rc = air_kernel_find(module, name, &kernel);
    if (rc == -EINVAL)
        return 0; /* making a pipeline of it says so */
    if (rc < 0)
        return rc;
    f->max_threads = kernel.max_threads;
    memcpy(f->required_threads, kernel.required_threads, sizeof(f->required_threads));
    for (uint32_t i = 0; i < kernel.argument_count && rc == 0; i++) {
        struct air_argument a;
        if (air_argument_read(kernel.arguments[i], &a) == 0)
            rc = add_argument(l, &a);
    }
    air_kernel_finish(&kernel);
    return rc;
}

static int read_constants(struct library *l, LLVMModuleRef module)
{
    uint32_t count = air_constant_count(module);
    if (count > ABX_SHADER_MAX_CONSTANTS)
        return fail(l, "a function has more function constants than are supported");
    for (uint32_t i = 0; i < count; i++) {
        struct air_constant c;
        int rc = air_constant_read(module, i, &c);
        rc = rc == 0 ? add_constant(l, &c) : fail(l, "a function constant's record is damaged");
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int read_module(struct library *l, LLVMModuleRef module, uint32_t i)
{
    const struct air_function *from = &l->container.functions[i];
    struct abx_reflection_function *f = &l->functions[i];
    int rc = from->type == AIR_KERNEL ? read_kernel(l, module, from->name, f) : 0;
    f->argument_count = l->header.argument_count - f->first_argument;
    rc = rc ? rc : read_constants(l, module);
    f->constant_count = l->header.constant_count - f->first_constant;
    return rc;
}

static uint32_t kind_of(uint32_t type)
{
    switch (type) {
    case AIR_KERNEL:
        return ABX_FUNCTION_KERNEL;
    case AIR_VERTEX:
        return ABX_FUNCTION_VERTEX;
    case AIR_FRAGMENT:
        return ABX_FUNCTION_FRAGMENT;
    case AIR_INTERSECTION:
        return ABX_FUNCTION_INTERSECTION;
    default:
        return ABX_FUNCTION_VISIBLE;
    }
}

static int read_function(struct library *l, uint32_t i)
{
    const struct air_function *from = &l->container.functions[i];
    struct air_text name = {from->name, (unsigned)strlen(from->name)};
    struct abx_string why = {0};
    LLVMModuleRef module = NULL;
    l->functions[i] = (struct abx_reflection_function){.name = add_text(l, name),
            .kind = kind_of(from->type),
            .first_argument = l->header.argument_count,
            .first_constant = l->header.constant_count};
    l->functions[i].entry = l->functions[i].name;
    LLVMContextRef context = LLVMContextCreate();
    codegen_handle_diagnostics(context, &why);
    LLVMMemoryBufferRef buffer = LLVMCreateMemoryBufferWithMemoryRange(
            (const char *)l->container.bitcode + from->offset, from->bytes, "metallib", 0);
    int rc = 0;
    if (LLVMGetBitcodeModuleInContext2(context, buffer, &module)) { /* takes the buffer */
        abx_string_printf(&l->message, "the metallib's bitcode of '%.200s' cannot be read: %s",
                from->name, why.data ? why.data : "");
        rc = -EINVAL;
    } else {
        rc = read_module(l, module, i);
        LLVMDisposeModule(module);
    }
    LLVMContextDispose(context);
    abx_string_finish(&why);
    return rc;
}

/* ---- the blob */

static size_t lay_out(struct library *l, struct abx_shader_library *ret)
{
    struct abx_reflection *h = &l->header;
    h->string_bytes = (uint32_t)l->strings.length;
    h->type_count = l->types.type_count;
    h->member_count = l->types.member_count;
    size_t bytes = sizeof(*h) + h->function_count * sizeof(*l->functions) +
                   h->argument_count * sizeof(*l->arguments) +
                   h->constant_count * sizeof(*l->constants) +
                   h->type_count * sizeof(*l->types.types) +
                   h->member_count * sizeof(*l->types.members) + l->strings.length;
    h->total_bytes = (uint32_t)abx_align_up(bytes, 8);
    ret->reflection_bytes = h->total_bytes;
    ret->code_offset = abx_align_up(ret->reflection_offset + h->total_bytes, 16);
    ret->code_bytes = sizeof(struct air_index) +
                      h->function_count * sizeof(struct air_module_place) +
                      l->container.bitcode_bytes;
    return bytes <= ABX_REFLECTION_MAX_BYTES ? ret->code_offset + ret->code_bytes : SIZE_MAX;
}

static void write_index(const struct library *l, char *to)
{
    struct air_index *index = (void *)to;
    uint64_t start = sizeof(*index) + l->header.function_count * sizeof(struct air_module_place);
    index->count = l->header.function_count;
    for (uint32_t i = 0; i < l->header.function_count; i++)
        index->modules[i] = (struct air_module_place){
                start + l->container.functions[i].offset, l->container.functions[i].bytes};
    memcpy(to + start, l->container.bitcode, l->container.bitcode_bytes);
}

static int build_blob(struct library *l, const struct abx_shader_options *options,
        struct abx_shader_result *result)
{
    struct abx_shader_library head = {.magic = ABX_LIBRARY_MAGIC,
            .version = ABX_LIBRARY_VERSION,
            .form = ABX_LIBRARY_AIR,
            .math_mode = ABX_MATH_SAFE, /* each operation says itself how it may be rounded */
            .reflection_offset = abx_align_up(sizeof(head), 16)};
    const struct abx_reflection *h = &l->header;
    size_t total = lay_out(l, &head), at = head.reflection_offset;
    if (total > ABX_SHADER_MAX_LIBRARY_BYTES)
        return fail(l, "it is larger than is supported");
    const struct {
        const void *data;
        size_t bytes;
    } parts[] = {{h, sizeof(*h)}, {l->functions, h->function_count * sizeof(*l->functions)},
            {l->arguments, h->argument_count * sizeof(*l->arguments)},
            {l->constants, h->constant_count * sizeof(*l->constants)},
            {l->types.types, h->type_count * sizeof(*l->types.types)},
            {l->types.members, h->member_count * sizeof(*l->types.members)},
            {l->strings.data, l->strings.length}};
    char *blob = calloc(1, total);
    if (!blob)
        return -ENOMEM;
    memcpy(blob, &head, sizeof(head));
    for (size_t i = 0; i < ABX_ARRAY_SIZE(parts); at += parts[i++].bytes)
        if (parts[i].bytes)
            memcpy(blob + at, parts[i].data, parts[i].bytes);
    write_index(l, blob + head.code_offset);
    result->blob = blob;
    result->blob_bytes = total;
    return abx_shader_library_check(blob, total) ? fail(l, "it is damaged") : 0;
}

int abx_air_compile(const void *metallib, size_t bytes, const struct abx_shader_options *options,
        struct abx_shader_result *result)
{
    struct library l = {.types = {.add_text = add_text, .context = &l}};
    const char *why;
    *result = (struct abx_shader_result){0};
    int rc = air_container_open(metallib, bytes, &l.container, &why);
    if (rc == -EINVAL)
        fail(&l, why);
    uint32_t count = l.container.function_count;
    l.header = (struct abx_reflection){.magic = ABX_REFLECTION_MAGIC,
            .version = ABX_REFLECTION_VERSION,
            .function_count = count,
            .precompiled = 1};
    l.functions = calloc(count + 1, sizeof(*l.functions));
    l.texts = calloc(TEXT_SLOTS, sizeof(*l.texts));
    abx_string_add(&l.strings, "", 1); /* offset 0 */
    if (rc == 0 && (!l.functions || !l.texts))
        rc = -ENOMEM;
    for (uint32_t i = 0; i < count && rc == 0; i++)
        rc = l.strings.length <= ABX_REFLECTION_MAX_BYTES ? read_function(&l, i)
                                                          : fail(&l, "its names are too long");
    if (rc == 0)
        rc = l.strings.failed ? -ENOMEM : build_blob(&l, options, result);
    if (rc < 0) {
        free(result->blob);
        *result = (struct abx_shader_result){.message = l.message.data};
        l.message.data = NULL;
    }
    air_container_close(&l.container);
    abx_string_finish(&l.strings);
    abx_string_finish(&l.message);
    air_types_finish(&l.types);
    free(l.functions), free(l.arguments), free(l.constants), free(l.texts);
    return rc;
}
