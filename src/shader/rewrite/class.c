/* shader: members of classes. Metal lets methods be overloaded on the address space of the object;
 * object.c makes the qualifier one of a parameter. Of the methods it leaves alone every
 * object is reachable through the default space: the qualifier goes, and so do those that differed
 * in nothing else. Where the result is a reference or pointer into an address space, another method
 * calls the one that is left. Compiler process, hostile text. */
#include "shader/rewrite/internal.h"

#include <stdlib.h>
#include <string.h>

/* Hashes of signatures, open addressing; a program that makes two collide loses a method of its
 * own.
 */
struct method_set {
    uint64_t *hashes;
    uint32_t count, capacity;
    uint32_t defaulted[8][2], defaulted_count; /* constructors: first and last token */
    bool constructs;                           /* and others */
};

struct method_set *method_set_create(void)
{
    return calloc(1, sizeof(struct method_set));
}

void method_set_destroy(struct method_set *set)
{
    if (!set)
        return;
    free(set->hashes);
    free(set);
}

static uint64_t *find_hash(const struct method_set *set, uint64_t hash)
{
    uint32_t mask = set->capacity - 1, i = (uint32_t)hash & mask;
    while (set->hashes[i] && set->hashes[i] != hash)
        i = (i + 1) & mask;
    return &set->hashes[i];
}

/* 1 when it was there already, 0 when it was added, or -ENOMEM. */
static int add_hash(struct method_set *set, uint64_t hash)
{
    if (2 * (set->count + 1) > set->capacity) {
        struct method_set bigger = {.capacity = set->capacity ? set->capacity * 2 : 16};
        bigger.hashes = calloc(bigger.capacity, sizeof(*bigger.hashes));
        if (!bigger.hashes)
            return -ENOMEM;
        for (uint32_t i = 0; i < set->capacity; i++)
            if (set->hashes[i])
                *find_hash(&bigger, set->hashes[i]) = set->hashes[i];
        bigger.count = set->count;
        free(set->hashes);
        *set = bigger;
    }
    uint64_t *slot = find_hash(set, hash);
    if (*slot)
        return 1;
    *slot = hash;
    set->count++;
    return 0;
}

/* Tokens [first, last], of those before `name` without address spaces. */
static uint64_t hash_tokens(
        const struct rewriter *r, uint64_t h, uint32_t first, uint32_t last, uint32_t name)
{
    for (uint32_t i = first; i <= last; i++) {
        if (i < name && token_address_space(r, i))
            continue;
        for (uint32_t p = r->tokens[i].start; p < r->tokens[i].end; p++)
            h = (h ^ (unsigned char)r->text[p]) * 1099511628211u; /* FNV-1a */
        h = (h ^ ' ') * 1099511628211u;
    }
    return h;
}

/* The first token of the method's name. */
static uint32_t name_token(const struct rewriter *r, const struct declaration *d)
{
    for (uint32_t i = d->start; i < d->open; i++)
        if (token_is(r, i, "operator"))
            return i;
    return d->open > d->start ? d->open - 1 : d->start;
}

/* A constructor or destructor: nothing but specifiers before its name. */
static bool has_no_type(const struct rewriter *r, const struct declaration *d, uint32_t name)
{
    static const char *const specifiers[] = {
            "constexpr", "inline", "explicit", "METAL_FUNC", "friend", "~"};
    for (uint32_t i = d->start; i < name; i++) {
        bool known = false;
        if (token_is(r, i, "template") && token_punct(r, i + 1, '<')) {
            uint32_t close = token_close_angle(r, i + 1, name);
            i = close == NO_TOKEN ? i : close;
            continue;
        }
        if (token_is(r, i, "__attribute__") && token_punct(r, i + 1, '(')) {
            i = token_close(r, i + 1);
            continue;
        }
        for (size_t k = 0; k < ABX_ARRAY_SIZE(specifiers); k++)
            known = known || token_is(r, i, specifiers[k]);
        if (!known)
            return false;
    }
    return true;
}

/* Where the qualifiers after the parameter list end. */
static uint32_t qualifiers_end(const struct rewriter *r, const struct declaration *d)
{
    uint32_t i = d->close + 1;
    while (i <= d->end && (token_word(r, i) || token_attribute(r, i)))
        i = token_attribute(r, i) ? token_close(r, i) + 1 : i + 1;
    return i;
}

static void remove_qualifiers(
        struct rewriter *r, const struct declaration *d, uint32_t end, bool is_const)
{
    uint32_t name = name_token(r, d);
    is_const = is_const || has_no_type(r, d, name); /* needs none */
    for (uint32_t i = d->close + 1; i < end; i++) {
        if (!token_address_space(r, i))
            continue;
        rewriter_edit(r, r->tokens[i].start, token_length(r, i),
                token_is(r, i, "constant") && !is_const ? "const" : NULL, r->tokens[i].start);
    }
    /* What is returned by reference into the object follows it into the default space. */
    for (uint32_t i = d->start; i < name; i++)
        if (token_address_space(r, i))
            rewriter_edit(r, r->tokens[i].start, token_length(r, i),
                    token_is(r, i, "constant") ? "const" : NULL, r->tokens[i].start);
}

/* Words that are no part of the type that a method returns. */
static bool is_specifier(const struct rewriter *r, uint32_t i)
{
    return token_is(r, i, "constexpr") || token_is(r, i, "inline") || token_is(r, i, "METAL_FUNC");
}

/* The type before a method's name, when it leads into an address space; "" otherwise. */
static struct abx_string returned_type(
        struct rewriter *r, const struct declaration *d, uint32_t name)
{
    struct abx_string type = {0};
    bool space = false, plain = name > d->start;
    for (uint32_t i = d->start; i < name; i++) {
        plain = plain && !token_is(r, i, "friend") && !token_is(r, i, "static") &&
                !token_is(r, i, "virtual") && !token_is(r, i, "__attribute__");
        space = space || (token_address_space(r, i) && !token_is(r, i, "thread"));
        if (!is_specifier(r, i))
            rewriter_append(r, &type, i, i);
    }
    if (!plain || !space || (!token_punct(r, name - 1, '&') && !token_punct(r, name - 1, '*')))
        type.length = 0;
    return type;
}

/* The names of a method's parameters, separated by commas; false when they are not all plain. */
static bool parameter_names(struct rewriter *r, const struct declaration *d, struct abx_string *ret)
{
    uint32_t words = 0;
    for (uint32_t i = d->open + 1; i <= d->close; i++) {
        if (token_punct(r, i, '<')) {
            uint32_t end = token_close_angle(r, i, d->close);
            if (end == NO_TOKEN)
                return false;
            i = end;
            words++;
        } else if (token_punct(r, i, ',') || (i == d->close && i > d->open + 1)) {
            if (words < 2 || !token_word(r, i - 1))
                return false;
            abx_string_printf(ret, "%s%.*s", ret->length ? ", " : "", (int)token_length(r, i - 1),
                    r->text + r->tokens[i - 1].start);
            words = 0;
        } else if (token_word(r, i)) {
            words++;
        } else if (!token_punct(r, i, '&') && !token_punct(r, i, '*') && !token_is(r, i, "::")) {
            return i == d->close;
        }
    }
    return true;
}

static void add_qualified(
        struct rewriter *r, const struct declaration *d, uint32_t name, bool is_const)
{
    uint32_t space = d->qualifier, of = r->class_name;
    bool assigns = r->text[r->tokens[d->open - 1].end - 1] == '=';
    if (of == NO_TOKEN || d->is_template || !d->has_body || assigns || token_is(r, space, "thread"))
        return;
    struct abx_string type = returned_type(r, d, name), arguments = {0}, method = {0}, list = {0};
    if (type.length && parameter_names(r, d, &arguments)) {
        const char *qualifier = rewriter_format(
                r, "%.*s", (int)token_length(r, space), r->text + r->tokens[space].start);
        bool constant = token_is(r, space, "constant");
        rewriter_append(r, &method, name, d->open - 1);
        if (d->close > d->open + 1)
            rewriter_append(r, &list, d->open + 1, d->close - 1);
        const char *self =
                rewriter_format(r, "%.*s", (int)token_length(r, of), r->text + r->tokens[of].start);
        rewriter_insert_after(r, d->end,
                rewriter_format(r,
                        " inline %s %s(this %s%s %s &__abx_self%s%s) { return (%s)((%s%s "
                        "&)__abx_self).%s(%s); }",
                        type.data, method.data, is_const && !constant ? "const " : "", qualifier,
                        self, list.length ? ", " : "", list.data ? list.data : "", type.data,
                        is_const || constant ? "const " : "", self, method.data,
                        arguments.data ? arguments.data : ""),
                name);
    }
    abx_string_finish(&type);
    abx_string_finish(&arguments);
    abx_string_finish(&method);
    abx_string_finish(&list);
}

/* `Name() = default;` makes a class of C++20 and later no aggregate; in Metal it stays one. */
static void note_constructor(
        struct rewriter *r, struct method_set *set, const struct declaration *d, uint32_t name)
{
    uint32_t end = qualifiers_end(r, d);
    if (token_punct(r, name, '>') && d->angle != NO_TOKEN && d->angle > d->start)
        name = d->angle - 1; /* Name<T>() */
    if (r->class_name == NO_TOKEN || token_length(r, name) != token_length(r, r->class_name) ||
            memcmp(r->text + r->tokens[name].start, r->text + r->tokens[r->class_name].start,
                    token_length(r, name)) ||
            !has_no_type(r, d, name) || (name > d->start && token_punct(r, name - 1, '~')))
        return;
    bool defaulted = token_punct(r, end, '=') && token_is(r, end + 1, "default");
    if (defaulted && set->defaulted_count < ABX_ARRAY_SIZE(set->defaulted)) {
        set->defaulted[set->defaulted_count][0] = d->start;
        set->defaulted[set->defaulted_count++][1] = d->end;
    } else {
        set->constructs = true;
    }
}

void rewriter_constructors(struct rewriter *r, const struct method_set *set)
{
    for (uint32_t i = 0; i < set->defaulted_count && !set->constructs; i++)
        rewriter_remove(r, set->defaulted[i][0], set->defaulted[i][1]);
}

void rewriter_plain_method(struct rewriter *r, struct method_set *set, const struct declaration *d)
{
    uint32_t name = name_token(r, d), end = qualifiers_end(r, d);
    bool is_const = false;
    for (uint32_t i = d->close + 1; i < end; i++)
        is_const = is_const || token_is(r, i, "const");
    bool constant = d->qualifier != NO_TOKEN && token_is(r, d->qualifier, "constant") &&
                    !has_no_type(r, d, name);
    uint64_t hash = hash_tokens(
            r, 14695981039346656037u + (is_const || constant), d->start, d->close, name);
    int known = set ? add_hash(set, hash ? hash : 1) : 0;
    if (known < 0) {
        r->error = known;
        return;
    }
    if (set)
        note_constructor(r, set, d, name);
    if (d->qualifier == NO_TOKEN)
        return;
    if (set)
        add_qualified(r, d, name, is_const);
    if (known)
        rewriter_remove(r, d->start, d->end);
    else
        remove_qualifiers(r, d, end, is_const);
}

void rewriter_method(struct rewriter *r, struct method_set *set, const struct declaration *d)
{
    if (!set)
        rewriter_object_definition(r, d, name_token(r, d));
    else if (!rewriter_object_method(r, d, name_token(r, d)))
        rewriter_plain_method(r, set, d);
}

/* `static const constant T x = ...;` in a class needs no definition elsewhere in Metal. */
void rewriter_member(struct rewriter *r, const struct declaration *d)
{
    bool is_static = false, is_const = false, is_inline = false;
    if (!d->assigned || d->has_body)
        return;
    for (uint32_t i = d->start; i <= d->end && !token_punct(r, i, '='); i++) {
        is_static = is_static || token_is(r, i, "static");
        is_const = is_const || token_is(r, i, "const") || token_is(r, i, "constant");
        is_inline = is_inline || token_is(r, i, "constexpr") || token_is(r, i, "inline");
    }
    if (is_static && is_const && !is_inline)
        rewriter_insert_before(r, d->start, "inline ");
}
