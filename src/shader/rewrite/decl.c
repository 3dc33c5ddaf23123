/* shader: walks the declarations of a file, a namespace or a class, far enough to tell functions,
 * kernels, classes and constants apart. Compiler process, hostile text. */
#include "shader/rewrite/internal.h"

#include <string.h>

/* What is known of a declaration while it is being read, besides what it ends up as. */
struct reading {
    bool class_keyword, enumeration, name_space, operator_name;
    bool arrow;                       /* before the type that a function returns */
    bool linkage;                     /* a name space without a name: extern "C" */
    uint32_t space_first, space_last; /* a namespace's name */
};

static const char *const refused_functions[][2] = {
        {"vertex", "vertex functions are not supported yet"},
        {"fragment", "fragment functions are not supported yet"},
        {"object", "mesh shaders are not supported yet"},
        {"mesh", "mesh shaders are not supported yet"},
        {"stitchable", "stitchable functions are not supported yet"},
        {"intersection", "ray tracing is not supported yet"},
};

static void read_attribute(struct rewriter *r, struct declaration *d, uint32_t open)
{
    uint32_t close = token_close(r, open);
    bool kernel = false;
    for (uint32_t i = open + 2; i + 1 < close; i++) {
        if (token_punct(r, i, '(')) {
            i = token_close(r, i);
            continue;
        }
        if (!token_word(r, i))
            continue;
        if (token_is(r, i, "kernel"))
            d->kernel = kernel = true;
        else if (token_is(r, i, "host_name"))
            d->host_name = i;
        else if (token_is(r, i, "visible"))
            d->visible = i;
        else if (token_is(r, i, "max_total_threads_per_threadgroup"))
            d->threads = i;
        else if (token_is(r, i, "required_threads_per_threadgroup"))
            d->required = i;
        else if (token_is(r, i, "function_constant") && d->open == NO_TOKEN && open > d->start) {
            d->constant = i;
            d->constant_name = open - 1;
        } else if (d->open == NO_TOKEN && !d->assigned && open > d->start &&
                   rewriter_is_builtin(r, i)) {
            d->builtin = i;
            d->builtin_name = open - 1;
        }
        for (size_t k = 0; k < ABX_ARRAY_SIZE(refused_functions); k++)
            if (token_is(r, i, refused_functions[k][0]))
                rewriter_refuse(r, i, "%s", refused_functions[k][1]);
    }
    rewriter_remove(r, open, close);
    /* As the keyword: see shim/base.h. */
    if (kernel && d->open == NO_TOKEN && !d->instantiation)
        rewriter_insert_after(r, close, "inline ", open);
}

/* `: a(1), b{2}` after a constructor's parameters; the last token of it. */
static uint32_t skip_initialisers(const struct rewriter *r, uint32_t i, uint32_t end)
{
    for (i++; i < end; i++) {
        while (i < end && !token_punct(r, i, '(') && !token_punct(r, i, '{') &&
                !token_punct(r, i, ';')) {
            if (token_punct(r, i, '<')) {
                uint32_t close = token_close_angle(r, i, end);
                i = close == NO_TOKEN ? i : close;
            }
            i++;
        }
        if (i >= end || token_punct(r, i, ';'))
            return i - 1;
        i = token_close(r, i);
        if (!token_punct(r, i + 1, ','))
            return i;
        i++;
    }
    return end - 1;
}

/* `operator` and what follows up to its parameter list: the last token before that. */
static uint32_t skip_operator(const struct rewriter *r, uint32_t i, uint32_t end)
{
    uint32_t j = i + 1;
    while (j < end && !token_punct(r, j, '(') && !token_punct(r, j, ';') && !token_punct(r, j, '{'))
        j++;
    if (token_punct(r, j, '(') && token_punct(r, j + 1, ')') && token_punct(r, j + 2, '('))
        j += 2;
    return j - 1;
}

static bool skips_parentheses(const struct rewriter *r, uint32_t i)
{
    return (token_is(r, i, "decltype") || token_is(r, i, "__attribute__") ||
                   token_is(r, i, "alignas") || token_is(r, i, "static_assert") ||
                   token_is(r, i, "noexcept")) &&
           token_punct(r, i + 1, '(');
}

/* A word; the last token taken with it. */
static uint32_t read_word(struct rewriter *r, struct declaration *d, struct reading *k, uint32_t i,
        uint32_t end, bool in_class)
{
    if (token_is(r, i, "template")) {
        uint32_t close = token_punct(r, i + 1, '<') ? token_close_angle(r, i + 1, end) : NO_TOKEN;
        d->is_template = d->is_template || close != NO_TOKEN;
        d->instantiation = d->instantiation || !token_punct(r, i + 1, '<');
        return close == NO_TOKEN ? i : close;
    }
    if (token_is(r, i, "operator") && d->open == NO_TOKEN) {
        k->operator_name = true;
        return skip_operator(r, i, end);
    }
    if (skips_parentheses(r, i))
        return token_close(r, i + 1);
    if (token_is(r, i, "struct") || token_is(r, i, "class") || token_is(r, i, "union"))
        k->class_keyword = k->class_keyword || d->open == NO_TOKEN;
    else if (token_is(r, i, "enum"))
        k->enumeration = true;
    else if (token_is(r, i, "kernel")) {
        d->kernel = true;
        if (d->instantiation) /* which may not be inline: see shim/base.h */
            rewriter_remove(r, i, i);
    } else if (token_is(r, i, "namespace") && !k->name_space && d->open == NO_TOKEN) {
        k->name_space = true;
        k->space_first = k->space_last = i + 1;
        while (token_word(r, k->space_last) || token_is(r, k->space_last, "::"))
            k->space_last++;
    } else if (i == d->start && (token_is(r, i, "vertex") || token_is(r, i, "fragment")) &&
               token_word(r, i + 1) && !in_class) {
        rewriter_refuse(r, i, "%s functions are not supported yet",
                token_is(r, i, "vertex") ? "vertex" : "fragment");
    } else if (d->close != NO_TOKEN && token_address_space(r, i) && !k->arrow) {
        d->qualifier = i;
    }
    return i;
}

static void read_namespace(struct rewriter *r, const struct reading *k, uint32_t open)
{
    size_t length = r->space.length;
    for (uint32_t i = k->space_first; i < k->space_last; i++)
        if (token_word(r, i))
            abx_string_printf(
                    &r->space, "%.*s::", (int)token_length(r, i), r->text + r->tokens[i].start);
    r->linkages += k->linkage;
    rewriter_scope(r, open + 1, token_close(r, open), false);
    r->linkages -= k->linkage;
    if (r->space.data) {
        r->space.length = length;
        r->space.data[length] = 0;
    }
}

/* A brace. True when it ends the declaration. */
static bool read_brace(
        struct rewriter *r, struct declaration *d, const struct reading *k, uint32_t open)
{
    uint32_t close = token_close(r, open);
    d->end = close;
    if (k->name_space && d->open == NO_TOKEN) {
        d->has_body = true;
        read_namespace(r, k, open);
        return true;
    }
    if (k->enumeration || d->assigned)
        return false;
    if (d->open != NO_TOKEN) {
        d->has_body = true;
        rewriter_body(r, open, close);
        return true;
    }
    if (k->class_keyword)
        rewriter_class(r, d->start, open, close);
    return false;
}

static void read_parenthesis(struct rewriter *r, struct declaration *d, uint32_t i)
{
    uint32_t close = token_close(r, i);
    if (d->open == NO_TOKEN && !d->assigned) {
        d->open = i;
        d->close = close;
        rewriter_remove_attributes(r, i, close);
        rewriter_parameters(r, i, close);
    } else {
        rewriter_remove_attributes(r, i, close);
    }
}

/* extern "C" { ... }, or before one declaration. A class has no linkage, and C's would forbid the
 * template that members.c gives it. */
static void read_linkage(struct rewriter *r, struct reading *k, uint32_t string)
{
    uint32_t next = string + 1;
    if (string == 0 || !token_is(r, string - 1, "extern"))
        return;
    if (token_punct(r, next, '{'))
        k->name_space = k->linkage = true, k->space_first = k->space_last = string;
    else if (token_is(r, next, "struct") || token_is(r, next, "class") ||
             token_is(r, next, "union"))
        rewriter_remove(r, string - 1, string);
}

/* Reads one declaration from token i on; d->end is its last token. */
static void read_declaration(
        struct rewriter *r, struct declaration *d, uint32_t i, uint32_t end, bool in_class)
{
    struct reading k = {0};
    *d = (struct declaration){.start = i,
            .end = end - 1,
            .open = NO_TOKEN,
            .close = NO_TOKEN,
            .host_name = NO_TOKEN,
            .constant = NO_TOKEN,
            .builtin = NO_TOKEN,
            .builtin_name = NO_TOKEN,
            .threads = NO_TOKEN,
            .required = NO_TOKEN,
            .visible = NO_TOKEN,
            .qualifier = NO_TOKEN,
            .angle = NO_TOKEN,
            .angle_close = NO_TOKEN};
    for (; i < end && !r->error; i++) {
        char c = token_char(r, i);
        if (token_attribute(r, i)) {
            read_attribute(r, d, i);
            i = token_close(r, i);
        } else if (token_word(r, i)) {
            i = read_word(r, d, &k, i, end, in_class);
        } else if (r->tokens[i].kind == TOKEN_STRING) {
            read_linkage(r, &k, i);
        } else if (r->tokens[i].kind != TOKEN_PUNCT || token_length(r, i) != 1) {
            k.arrow = k.arrow || (d->close != NO_TOKEN && token_is(r, i, "->"));
            continue;
        } else if (c == '<' && d->open == NO_TOKEN) {
            uint32_t close = token_close_angle(r, i, end);
            if (close != NO_TOKEN)
                d->angle = i, d->angle_close = close, i = close;
        } else if (c == '=') {
            d->assigned = d->assigned || (d->open == NO_TOKEN && !k.operator_name);
        } else if (c == '(') {
            read_parenthesis(r, d, i);
            i = token_close(r, i);
        } else if (c == '[') {
            i = token_close(r, i);
        } else if (c == ':' && d->close != NO_TOKEN) {
            i = skip_initialisers(r, i, end);
        } else if (c == ';' || c == '}') {
            d->end = i;
            return;
        } else if (c == '{') {
            if (read_brace(r, d, &k, i))
                return;
            i = token_close(r, i);
        }
    }
    d->end = end - 1;
}

/* `int n;`, not in constant memory: all threads of all dispatches would share it. The token of its
 * name, or NO_TOKEN. */
static uint32_t mutable_variable(const struct rewriter *r, const struct declaration *d)
{
    static const char *const others[] = {"using", "typedef", "template", "namespace",
            "static_assert", "_Static_assert", "friend", "struct", "class", "union", "enum",
            "constexpr"};
    uint32_t name = NO_TOKEN, words = 0;
    bool constant = false; /* the variable, not what it points to */
    if (d->open != NO_TOKEN || d->is_template || d->instantiation || d->has_body)
        return NO_TOKEN;
    for (uint32_t i = d->start; i <= d->end; i++) {
        if (token_attribute(r, i)) {
            i = token_close(r, i);
        } else if (token_word(r, i)) {
            for (size_t k = 0; k < ABX_ARRAY_SIZE(others); k++)
                if (token_is(r, i, others[k]))
                    return NO_TOKEN;
            constant = constant || token_is(r, i, "constant") || token_is(r, i, "const");
            words++;
            name = i;
        } else if (token_punct(r, i, '*')) {
            constant = false;
        } else if (token_punct(r, i, '<')) {
            uint32_t close = token_close_angle(r, i, d->end);
            i = close == NO_TOKEN ? i : close;
        } else if (token_punct(r, i, '=') || token_punct(r, i, '[') || token_punct(r, i, '{')) {
            break;
        }
    }
    return words > 1 && !constant && token_punct(r, d->end, ';') ? name : NO_TOKEN;
}

static bool is_access_specifier(const struct rewriter *r, uint32_t i)
{
    return token_punct(r, i + 1, ':') &&
           (token_is(r, i, "public") || token_is(r, i, "private") || token_is(r, i, "protected"));
}

/* `methods`: of the class that the declaration is in; NULL: it is in none. */
static void rewrite_declaration(
        struct rewriter *r, struct method_set *methods, const struct declaration *d)
{
    bool function = d->open != NO_TOKEN;
    if (d->kernel && d->has_body && function)
        rewriter_kernel(r, d);
    else if (d->visible != NO_TOKEN && d->has_body && function && !methods)
        rewriter_visible(r, d);
    else if (d->instantiation && d->host_name != NO_TOKEN)
        rewriter_instantiation(r, d);
    else if (d->constant != NO_TOKEN && !d->has_body && !methods)
        rewriter_constant(r, d);
    else if (d->builtin != NO_TOKEN && !function && !d->has_body && !methods &&
             d->builtin_name > d->start && token_word(r, d->builtin_name))
        rewriter_machine_variable(r, d);
    else if (function && (methods || d->qualifier != NO_TOKEN))
        rewriter_method(r, methods, d);
    else if (methods) {
        rewriter_object_data(r, d);
        rewriter_member(r, d);
        rewriter_note_member(r, d);
    } else if (mutable_variable(r, d) != NO_TOKEN) {
        rewriter_refuse(r, mutable_variable(r, d),
                "program scope variable must reside in constant address space");
    }
}

void rewriter_scope(struct rewriter *r, uint32_t i, uint32_t end, bool in_class)
{
    if (r->depth >= ABX_REWRITE_MAX_DEPTH) {
        r->error = -E2BIG;
        return;
    }
    struct method_set *methods = in_class ? method_set_create() : NULL;
    if (in_class && !methods) {
        r->error = -ENOMEM;
        return;
    }
    r->depth++;
    while (i < end && !r->error) {
        struct declaration d;
        if (token_punct(r, i, ';') || token_punct(r, i, '}')) {
            i++;
            continue;
        }
        if (in_class && is_access_specifier(r, i)) {
            i += 2;
            continue;
        }
        read_declaration(r, &d, i, end, in_class);
        if (r->error)
            break;
        rewrite_declaration(r, methods, &d);
        i = d.end + 1;
    }
    if (methods) {
        rewriter_object_end(r, methods);
        rewriter_constructors(r, methods);
    }
    r->depth--;
    method_set_destroy(methods);
}
