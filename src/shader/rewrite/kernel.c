/* shader: kernels, their instantiations and function constants: records what the text says about
 * them, and appends the macros (shim/entry.h, shim/record.h) that make the compiler say the rest.
 * Compiler process, hostile text. */
#include "shader/rewrite/internal.h"

#include <stdlib.h>
#include <string.h>

/* Attributes of parameters whose value is filled in by the machine; the enumerators of
 * __abx::builtin have the same names. */
static const char *const builtins[] = {"thread_position_in_grid", "thread_position_in_threadgroup",
        "threadgroup_position_in_grid", "threads_per_threadgroup",
        "dispatch_threads_per_threadgroup", "threadgroups_per_grid", "threads_per_grid",
        "grid_size", "grid_origin", "thread_index_in_threadgroup", "thread_index_in_simdgroup",
        "simdgroup_index_in_threadgroup", "threads_per_simdgroup", "thread_execution_width",
        "simdgroups_per_threadgroup", "dispatch_simdgroups_per_threadgroup",
        "thread_index_in_quadgroup", "quadgroup_index_in_threadgroup", "quadgroups_per_threadgroup",
        "dispatch_quadgroups_per_threadgroup"};

/* Attributes of parameters that Metal has and ArcBox does not. Any other unknown one changes
 * nothing, as with clang, unless it looks like one of the above misspelt. */
static const char *const unsupported[] = {"amplification_count", "amplification_id",
        "barycentric_coord", "base_instance", "base_vertex", "color", "front_facing",
        "imageblock_data", "instance_id", "patch", "patch_id", "payload", "point_coord", "position",
        "position_in_patch", "primitive_id", "render_target_array_index", "sample_id",
        "sample_mask", "stage_in", "vertex_id", "viewport_array_index"};
static const char *const beginnings[] = {"thread", "grid", "simdgroup", "quadgroup", "dispatch"};

static bool in_list(const struct rewriter *r, uint32_t token, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (token_is(r, token, list[i]))
            return true;
    return false;
}

bool rewriter_is_builtin(const struct rewriter *r, uint32_t token)
{
    return in_list(r, token, builtins, ABX_ARRAY_SIZE(builtins));
}

static bool is_misspelt(const struct rewriter *r, uint32_t token)
{
    for (size_t i = 0; i < ABX_ARRAY_SIZE(beginnings); i++)
        if (token_length(r, token) > strlen(beginnings[i]) &&
                !memcmp(r->text + r->tokens[token].start, beginnings[i], strlen(beginnings[i])))
            return true;
    return false;
}

/* ---- one parameter */

/* Tokens [first, last] of an attribute's content; writes the entry macro's description of it. */
static void describe_attribute(
        struct rewriter *r, uint32_t first, uint32_t last, struct abx_string *description)
{
    for (uint32_t i = first; i <= last; i++) {
        uint32_t close = token_punct(r, i + 1, '(') ? token_close(r, i + 1) : i;
        if (!token_word(r, i))
            continue;
        bool buffer = token_is(r, i, "buffer"), group = token_is(r, i, "threadgroup");
        if ((buffer || group) && close > i + 2) {
            struct abx_string index = {0};
            rewriter_append(r, &index, i + 2, close - 1);
            description->length = 0;
            abx_string_printf(description, "__abx::A<__abx::%s, (%s)>",
                    buffer ? "BUFFER" : "THREADGROUP", index.data ? index.data : "0");
            abx_string_finish(&index);
        } else if (rewriter_is_builtin(r, i)) {
            description->length = 0;
            abx_string_printf(description, "__abx::A<__abx::BUILTIN, __abx::%.*s>",
                    (int)token_length(r, i), r->text + r->tokens[i].start);
        } else if (token_is(r, i, "texture") || token_is(r, i, "sampler")) {
            rewriter_refuse(r, i, "%ss are not supported yet",
                    token_is(r, i, "texture") ? "texture" : "sampler");
        } else if (in_list(r, i, unsupported, ABX_ARRAY_SIZE(unsupported)) || is_misspelt(r, i)) {
            rewriter_refuse(r, i, "the parameter attribute '%.*s' is not supported yet",
                    (int)(token_length(r, i) > 64 ? 64 : token_length(r, i)),
                    r->text + r->tokens[i].start);
        }
        i = close;
    }
}

/* The declared name: the last word before an array bound, a default or the end. */
static uint32_t parameter_name(const struct rewriter *r, uint32_t first, uint32_t last)
{
    uint32_t name = NO_TOKEN;
    for (uint32_t i = first; i <= last; i++) {
        if (token_attribute(r, i)) {
            i = token_close(r, i);
        } else if (token_punct(r, i, '(')) {
            /* T (&name)[N] */
            if (token_word(r, i + 2) && token_close(r, i) == i + 3)
                return i + 2;
            i = token_close(r, i);
        } else if (token_punct(r, i, '<')) {
            uint32_t close = token_close_angle(r, i, last + 1);
            i = close == NO_TOKEN ? i : close;
        } else if (token_punct(r, i, '[') || token_punct(r, i, '=')) {
            break;
        } else if (token_word(r, i)) {
            name = i;
        }
    }
    /* `device float *`: no name. */
    for (uint32_t i = name; name != NO_TOKEN && i <= last; i++)
        if (token_punct(r, i, '*') || token_punct(r, i, '&'))
            return NO_TOKEN;
    return name;
}

static bool is_qualifier(const struct rewriter *r, uint32_t i)
{
    return token_address_space(r, i) || token_is(r, i, "const") || token_is(r, i, "volatile") ||
           token_is(r, i, "restrict") || token_is(r, i, "__restrict") ||
           token_is(r, i, "coherent") || token_is(r, i, "struct") || token_is(r, i, "typename");
}

/* What the parameter points to, as the program spells it: "float4", "array<float, 4>". */
static const char *parameter_type(struct rewriter *r, uint32_t first, uint32_t last, uint32_t name)
{
    struct abx_string type = {0};
    for (uint32_t i = first; i <= last && i != name; i++) {
        if (token_attribute(r, i)) {
            i = token_close(r, i);
            continue;
        }
        if (is_qualifier(r, i) || token_punct(r, i, '(') ||
                ((token_punct(r, i, '*') || token_punct(r, i, '&'))))
            continue;
        bool blank =
                type.length && token_word(r, i) && token_word(r, i - 1) && !is_qualifier(r, i - 1);
        abx_string_printf(&type, "%s%.*s%s", blank ? " " : "", (int)token_length(r, i),
                r->text + r->tokens[i].start, token_punct(r, i, ',') ? " " : "");
    }
    const char *copy = rewriter_string(r, type.data ? type.data : "", type.length);
    abx_string_finish(&type);
    return copy;
}

static void add_parameter(
        struct rewriter *r, uint32_t first, uint32_t last, struct abx_string *attributes)
{
    struct abx_rewrite *out = r->out;
    struct abx_string description = {0};
    abx_string_printf(&description, "__abx::A<__abx::AUTO, 0>");
    for (uint32_t i = first; i <= last; i++) {
        if (!token_attribute(r, i))
            continue;
        uint32_t close = token_close(r, i);
        if (close > i + 2)
            describe_attribute(r, i + 2, close - 2, &description);
        i = close;
    }
    abx_string_printf(attributes, "%s%s", attributes->length ? ", " : "", description.data);
    if (description.failed)
        r->error = -ENOMEM;
    abx_string_finish(&description);
    if (!rewriter_grow(r, (void **)&out->arguments, &r->argument_capacity, out->argument_count,
                sizeof(*out->arguments), ABX_REWRITE_MAX_KERNELS * 16))
        return;
    uint32_t name = parameter_name(r, first, last);
    struct abx_rewrite_argument argument = {"", ""};
    if (name != NO_TOKEN)
        argument.name = rewriter_string(r, r->text + r->tokens[name].start, token_length(r, name));
    argument.type_name = parameter_type(r, first, last, name);
    out->arguments[out->argument_count++] = argument;
}

/* ---- the kernel */

/* Word tokens other than inside the value of an attribute can be template parameters, which the
 * record, appended outside of the template, could not name. */
static bool is_constant_text(const struct rewriter *r, uint32_t first, uint32_t last)
{
    for (uint32_t i = first; i <= last; i++)
        if (token_word(r, i))
            return false;
    return true;
}

/* What follows an entry's id in __MSL_THREADS, or "" when the kernel has no limits. */
static const char *describe_threads(struct rewriter *r, const struct declaration *d)
{
    struct abx_string total = {0}, required = {0};
    uint32_t attribute[] = {d->threads, d->required};
    for (int k = 0; k < 2; k++) {
        uint32_t i = attribute[k];
        if (i == NO_TOKEN || !token_punct(r, i + 1, '('))
            continue;
        uint32_t close = token_close(r, i + 1);
        if (close > i + 2 && (!d->is_template || is_constant_text(r, i + 2, close - 1)))
            rewriter_append(r, k ? &required : &total, i + 2, close - 1);
    }
    const char *text = "";
    if (total.length || required.length)
        text = rewriter_format(r, "(uint)(%s), %s", total.length ? total.data : "0",
                required.length ? required.data : "0");
    abx_string_finish(&total);
    abx_string_finish(&required);
    return text;
}

static struct kernel_template describe_kernel(struct rewriter *r, const struct declaration *d)
{
    struct kernel_template k = {.first_argument = r->out->argument_count};
    struct abx_string attributes = {0};
    uint32_t first = d->open + 1;
    for (uint32_t i = d->open + 1; i <= d->close && !r->error; i++) {
        if (i == d->close || token_punct(r, i, ',')) {
            if (i > first)
                add_parameter(r, first, i - 1, &attributes);
            first = i + 1;
        } else if (token_punct(r, i, '(') || token_punct(r, i, '[') || token_punct(r, i, '{')) {
            i = token_close(r, i);
        } else if (token_punct(r, i, '<')) {
            uint32_t close = token_close_angle(r, i, d->close);
            i = close == NO_TOKEN ? i : close;
        }
    }
    k.argument_count = r->out->argument_count - k.first_argument;
    if (k.argument_count > ABX_REWRITE_MAX_PARAMETERS)
        rewriter_refuse(
                r, d->open, "a kernel may have at most %u parameters", ABX_REWRITE_MAX_PARAMETERS);
    k.attributes = rewriter_string(r, attributes.data ? attributes.data : "", attributes.length);
    k.threads = describe_threads(r, d);
    abx_string_finish(&attributes);
    return k;
}

/* host_name("a" "b"): the concatenation, as it is written between the quotes. */
const char *rewriter_host_name(struct rewriter *r, uint32_t token)
{
    struct abx_string name = {0};
    if (!token_punct(r, token + 1, '('))
        return "";
    for (uint32_t i = token + 2; i < token_close(r, token + 1); i++)
        if (r->tokens[i].kind == TOKEN_STRING && token_length(r, i) > 2)
            abx_string_add(&name, r->text + r->tokens[i].start + 1, token_length(r, i) - 2);
    const char *copy = rewriter_string(r, name.data ? name.data : "", name.length);
    abx_string_finish(&name);
    if (!*copy || strchr(copy, '\\'))
        rewriter_refuse(r, token, "host_name needs a plain string");
    return copy;
}

/* `text` as it can stand at the end of the program: inside the namespaces it was written in. */
static const char *in_namespaces(struct rewriter *r, struct abx_string *text)
{
    struct abx_string whole = {0};
    unsigned depth = 0;
    for (const char *p = r->space.data; p && *p;) {
        const char *end = strstr(p, "::");
        size_t length = end ? (size_t)(end - p) : strlen(p);
        abx_string_printf(&whole, "namespace %.*s { ", (int)length, p);
        depth++;
        p = end ? end + 2 : p + length;
    }
    abx_string_add(&whole, text->data ? text->data : "", text->length);
    while (depth--)
        abx_string_add(&whole, " }", 2);
    for (size_t i = 0; i < whole.length; i++)
        if (whole.data[i] == '\n')
            whole.data[i] = ' ';
    const char *copy = rewriter_string(r, whole.data ? whole.data : "", whole.length);
    if (whole.failed || text->failed)
        r->error = -ENOMEM;
    abx_string_finish(&whole);
    abx_string_finish(text);
    return copy;
}

/* `function` is the C++ expression that names it. */
static void add_kernel(struct rewriter *r, uint32_t anchor, const struct kernel_template *k,
        const char *name, const char *function)
{
    struct abx_rewrite *out = r->out;
    uint32_t id = out->kernel_count;
    if (!rewriter_grow(r, (void **)&out->kernels, &r->kernel_capacity, id, sizeof(*out->kernels),
                ABX_REWRITE_MAX_KERNELS))
        return;
    struct abx_string entry = {0}, record = {0};
    abx_string_printf(&entry, "__ABX_ENTRY(%u, (%s), %s)", id, k->attributes, function);
    abx_string_printf(&record, "__ABX_RECORD(%u, (%s), %s) __MSL_TYPES(%u, %s)", id, k->attributes,
            function, id, function);
    if (*k->threads)
        abx_string_printf(&record, " __MSL_THREADS(%u, %s)", id, k->threads);
    out->kernels[out->kernel_count++] = (struct abx_rewrite_kernel){.name = name,
            .first_argument = k->first_argument,
            .argument_count = k->argument_count,
            .position = r->tokens[anchor].start,
            .entry = in_namespaces(r, &entry),
            .record = in_namespaces(r, &record)};
}

static void check_return_type(struct rewriter *r, const struct declaration *d, uint32_t name)
{
    for (uint32_t i = d->start; i < name; i++) {
        if (token_is(r, i, "void"))
            return;
        if (token_attribute(r, i))
            i = token_close(r, i);
    }
    rewriter_refuse(r, name, "a kernel function must return 'void'");
}

/* The parameters' types alone, for choosing among functions of one name. */
static void append_types(struct rewriter *r, const struct declaration *d, struct abx_string *to)
{
    uint32_t first = d->open + 1;
    for (uint32_t i = d->open + 1; i <= d->close; i++) {
        if (i == d->close || token_punct(r, i, ',')) {
            uint32_t name = i > first ? parameter_name(r, first, i - 1) : NO_TOKEN;
            if (name == NO_TOKEN && i > first)
                rewriter_append(r, to, first, i - 1);
            if (name != NO_TOKEN && name > first)
                rewriter_append(r, to, first, name - 1);
            uint32_t rest = name > first ? name + 1 : name;
            if (name != NO_TOKEN && token_punct(r, rest, '[') &&
                    !token_attribute(r, rest)) { /* an array is a pointer */
                abx_string_add(to, "(*)", 3);
                rest = token_close(r, rest) + 1;
            }
            if (name != NO_TOKEN)
                rewriter_append(r, to, rest, i - 1);
            if (i < d->close)
                abx_string_add(to, ",", 1);
            first = i + 1;
        } else if (token_punct(r, i, '(') || token_punct(r, i, '[')) {
            i = token_close(r, i);
        } else if (token_punct(r, i, '<')) {
            uint32_t close = token_close_angle(r, i, d->close);
            i = close == NO_TOKEN ? i : close;
        }
    }
}

void rewriter_count_functions(struct rewriter *r)
{
    for (uint32_t i = 1; i + 1 < r->count && !r->error; i++) {
        bool follows_type = token_word(r, i - 1) || token_punct(r, i - 1, '*') ||
                            token_punct(r, i - 1, '&') || token_punct(r, i - 1, '>');
        if (!token_punct(r, i + 1, '(') || !token_word(r, i) || !follows_type ||
                !token_punct(r, token_close(r, i + 1) + 1, '{'))
            continue;
        uint32_t count = name_table_get(r, &r->defined, i);
        name_table_put(r, &r->defined, i, count == NO_NAME ? 1 : count + 1);
    }
}

/* A kernel may have a function's name: the expression that means the one with the parameters of
 * `d`. */
static void choose_overload(
        struct rewriter *r, const struct declaration *d, uint32_t name, struct abx_string *function)
{
    uint32_t count = name_table_get(r, &r->defined, name);
    if (count == NO_NAME || count < 2 || d->open == NO_TOKEN)
        return;
    struct abx_string all = {0};
    abx_string_printf(&all, "*static_cast<void (*)(");
    append_types(r, d, &all);
    abx_string_printf(&all, ")>(&%s)", function->data ? function->data : "");
    abx_string_finish(function);
    *function = all;
}

void rewriter_kernel(struct rewriter *r, const struct declaration *d)
{
    uint32_t name = d->open - 1;
    bool specialised = d->angle_close == name && d->angle > d->start;
    if (specialised)
        name = d->angle - 1;
    if (d->open <= d->start || !token_word(r, name) || token_close(r, d->open) == d->open)
        return; /* clang will say what is wrong with it */
    check_return_type(r, d, name);
    struct kernel_template k = describe_kernel(r, d);
    if (d->is_template && !specialised) {
        if (!rewriter_grow(r, (void **)&r->templates, &r->template_capacity, r->template_count,
                    sizeof(*r->templates), ABX_REWRITE_MAX_KERNELS))
            return;
        r->templates[r->template_count] = k;
        name_table_put(r, &r->template_names, name, r->template_count++);
        return;
    }
    struct abx_string function = {0};
    /* Qualified: metal_stdlib may have functions of that name. */
    abx_string_printf(&function, "::%s", r->space.data ? r->space.data : "");
    rewriter_append(r, &function, name, d->open - 1);
    choose_overload(r, d, name, &function);
    const char *host =
            d->host_name != NO_TOKEN
                    ? rewriter_host_name(r, d->host_name)
                    : rewriter_format(r, "%s%.*s", r->space.data ? r->space.data : "",
                              (int)token_length(r, name), r->text + r->tokens[name].start);
    add_kernel(r, name, &k, host, function.data ? function.data : "");
    abx_string_finish(&function);
}

void rewriter_instantiation(struct rewriter *r, const struct declaration *d)
{
    uint32_t last = d->open != NO_TOKEN ? d->open - 1 : d->end - 1;
    uint32_t name = last;
    if (d->open != NO_TOKEN && d->open <= d->start)
        return;
    while (name > d->start && token_attribute(r, name - 1))
        name--;
    bool arguments = d->angle_close == last && d->angle > d->start;
    if (arguments)
        name = d->angle - 1;
    uint32_t index = name_table_get(r, &r->template_names, name);
    if (!token_word(r, name) || index == NO_NAME) {
        rewriter_refuse(r, d->host_name, "this explicit instantiation names no kernel template");
        return;
    }
    uint32_t first = name;
    while (first > d->start + 1 && token_is(r, first - 1, "::") && token_word(r, first - 2))
        first -= 2;
    struct abx_string function = {0}, types = {0};
    rewriter_append(r, &function, first, last);
    if (!arguments && d->open != NO_TOKEN) {
        append_types(r, d, &types);
        function.length = 0;
        abx_string_printf(&function, "*static_cast<void (*)(%s)>(&%.*s)",
                types.data ? types.data : "", (int)token_length(r, name),
                r->text + r->tokens[name].start);
    }
    if (arguments)
        choose_overload(r, d, name, &function);
    struct kernel_template k = r->templates[index];
    add_kernel(
            r, name, &k, rewriter_host_name(r, d->host_name), function.data ? function.data : "");
    rewriter_remove(r, d->start, d->end);
    abx_string_finish(&types);
    abx_string_finish(&function);
}

/* ---- function constants */

/* `constant T name [[function_constant(n)]];`: a declaration of a global that is given its value
 * when a pipeline is made. */
void rewriter_constant(struct rewriter *r, const struct declaration *d)
{
    struct abx_rewrite *out = r->out;
    uint32_t id = out->constant_count, name = d->constant_name;
    uint32_t open = d->constant + 1;
    if (!token_word(r, name) || !token_punct(r, open, '(') || token_close(r, open) <= open + 1) {
        rewriter_refuse(r, d->constant, "function_constant needs a variable and an index");
        return;
    }
    if (!rewriter_grow(r, (void **)&out->constants, &r->constant_capacity, id,
                sizeof(*out->constants), ABX_REWRITE_MAX_CONSTANTS))
        return;
    int length = (int)token_length(r, name);
    const char *text = r->text + r->tokens[name].start;
    out->constants[out->constant_count++] = (struct abx_rewrite_constant){
            rewriter_string(r, text, (size_t)length), r->tokens[name].start, false};
    name_table_put(r, &r->constant_names, name, id);

    struct abx_string index = {0};
    rewriter_append(r, &index, open + 1, token_close(r, open) - 1);
    rewriter_insert_before(r, d->start, "extern const ");
    for (uint32_t i = d->start; i < name; i++)
        if (token_is(r, i, "static") || token_is(r, i, "constexpr") || token_is(r, i, "inline"))
            rewriter_remove(r, i, i);
    rewriter_insert_after(r, name, rewriter_format(r, " __asm__(\"__msl_f_%u\")", id), name);
    rewriter_insert_after(r, d->end,
            rewriter_format(r,
                    " extern const bool __msl_given_%.*s __asm__(\"__msl_d_%u\");"
                    " __MSL_CONSTANT(%u, %.*s, %s)",
                    length, text, id, id, length, text, index.data ? index.data : "0"),
            name);
    abx_string_finish(&index);
}

void rewriter_tested_constants(struct rewriter *r)
{
    for (uint32_t i = 0; i + 3 < r->count; i++) {
        if (!token_is(r, i, "is_function_constant_defined") || !token_punct(r, i + 1, '('))
            continue;
        uint32_t id = name_table_get(r, &r->constant_names, i + 2);
        if (id != NO_NAME)
            r->out->constants[id].tested = true;
    }
}
