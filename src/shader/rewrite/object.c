/* shader: methods qualified by the address space of their object, `int get(int k) device const`.
 * C++23's explicit object parameters can be qualified so: `int get(this const device P &object, int
 * k)`. Such a function has no `this`: members are named through the parameter, data members by
 * references at the head of the body, so that locals hide them as before. Compiler process, hostile
 * text.
 *
 * A class with bases or bit fields is left to class.c, which lets the qualifier go. */
#include "shader/rewrite/internal.h"

#include <stdlib.h>
#include <string.h>

#define OBJECT "__abx_self"
#define MAX_CLASSES (1u << 20)
#define MAX_METHODS (1u << 20) /* of a class */

/* What a class's names stand for: a kind, and above it the last method that has its reference. */
enum { NAME_DATA = 1, NAME_METHOD = 2, NAME_KINDS = 4 };

struct class_object {
    struct name_table names;
    struct declaration *methods; /* qualified ones, until the class is closed */
    uint32_t method_count, method_capacity;
    uint32_t name, depth; /* token; rewriter's depth inside of it */
    uint32_t stamp;
    bool opaque;
};

/* ---- classes */

static bool has_bases(const struct rewriter *r, uint32_t first, uint32_t open)
{
    for (uint32_t i = first; i < open; i++)
        if (token_punct(r, i, ':'))
            return true;
    return false;
}

/* `name`: the token of the class's name. Ended by rewriter_object_end(). */
struct class_object *rewriter_object_begin(struct rewriter *r, uint32_t name, uint32_t open)
{
    if (!rewriter_grow(r, (void **)&r->objects, &r->object_capacity, r->object_count,
                sizeof(*r->objects), MAX_CLASSES))
        return NULL;
    struct class_object *c = calloc(1, sizeof(*c));
    if (!c) {
        r->error = -ENOMEM;
        return NULL;
    }
    c->name = name;
    c->depth = r->depth + 1;
    c->opaque = has_bases(r, name, open);
    name_table_put(r, &r->object_names, name, r->object_count);
    r->objects[r->object_count++] = c;
    return c;
}

void rewriter_objects_finish(struct rewriter *r)
{
    for (uint32_t i = 0; i < r->object_count; i++) {
        free(r->objects[i]->names.slots);
        free(r->objects[i]->methods);
        free(r->objects[i]);
    }
    free(r->objects);
    free(r->object_names.slots);
}

/* Data members: each word before what ends or initialises a declarator. */
void rewriter_object_data(struct rewriter *r, const struct declaration *d)
{
    static const char *const others[] = {
            "static", "typedef", "using", "friend", "enum", "template", "static_assert"};
    struct class_object *c = r->object;
    if (!c || r->bodies)
        return;
    for (size_t k = 0; k < ABX_ARRAY_SIZE(others); k++)
        if (token_is(r, d->start, others[k]))
            return;
    bool value = false; /* inside an initialiser */
    for (uint32_t i = d->start + 1; i <= d->end; i++) {
        if (token_is(r, i, "static"))
            return;
        if (token_punct(r, i, '<')) {
            uint32_t close = token_close_angle(r, i, d->end);
            i = close == NO_TOKEN ? i : close;
            continue;
        }
        char after = token_punct(r, i, ';') || token_punct(r, i, ',') || token_punct(r, i, '=') ||
                                     token_punct(r, i, '[') || token_punct(r, i, '{')
                             ? token_char(r, i)
                             : 0;
        if (after && !value && token_word(r, i - 1))
            name_table_put(r, &c->names, i - 1, NAME_DATA);
        if (token_punct(r, i, ':') && token_word(r, i - 1))
            c->opaque = true; /* no reference can be to a bit field */
        value = after == '=' || (value && after != ',');
        if (token_punct(r, i, '[') || token_punct(r, i, '{') || token_punct(r, i, '('))
            i = token_close(r, i);
    }
}

/* ---- methods */

/* True when the method was taken: what becomes of it is decided at the class's end. */
bool rewriter_object_method(struct rewriter *r, const struct declaration *d, uint32_t name)
{
    struct class_object *c = r->object;
    uint32_t q = d->qualifier;
    if (!c || r->bodies)
        return false;
    if (token_punct(r, name, '>') && d->angle != NO_TOKEN && d->angle > d->start)
        name = d->angle - 1; /* Name<T>() */
    bool of_class = token_length(r, name) == token_length(r, c->name) &&
                    !memcmp(r->text + r->tokens[name].start, r->text + r->tokens[c->name].start,
                            token_length(r, name));
    for (uint32_t i = d->start; i < name; i++)
        if (token_is(r, i, "friend") || token_punct(r, i, '~'))
            return false;
    bool named = name == d->open - 1 && token_word(r, name); /* no operator */
    if (named && !of_class)
        name_table_put(r, &c->names, name, NAME_METHOD);
    bool assigns = !named && r->text[r->tokens[d->open - 1].end - 1] == '=';
    if (q == NO_TOKEN || token_is(r, q, "thread") || of_class || assigns || c->opaque)
        return false;
    if (!rewriter_grow(r, (void **)&c->methods, &c->method_capacity, c->method_count,
                sizeof(*c->methods), MAX_METHODS))
        return true;
    c->methods[c->method_count++] = *d;
    return true;
}

/* The qualifiers behind the parameter list become the parameter's, `self` its class. */
static void move_qualifiers(struct rewriter *r, const struct declaration *d, const char *self)
{
    bool is_const = false, is_volatile = false;
    uint32_t i = d->close + 1;
    for (; i <= d->end && token_word(r, i); i++) {
        bool c = token_is(r, i, "const"), v = token_is(r, i, "volatile");
        is_const |= c, is_volatile |= v;
        if (c || v || token_address_space(r, i))
            rewriter_remove(r, i, i);
    }
    bool none = d->close == d->open + 1 ||
                (d->close == d->open + 2 && token_is(r, d->open + 1, "void"));
    uint32_t q = d->qualifier;
    if (none && d->close > d->open + 1)
        rewriter_remove(r, d->open + 1, d->open + 1);
    rewriter_insert_after(r, d->open,
            rewriter_format(r, "this %s%s%.*s %s &" OBJECT "%s", is_const ? "const " : "",
                    is_volatile ? "volatile " : "", (int)token_length(r, q),
                    r->text + r->tokens[q].start, self, none ? "" : ", "),
            q);
}

static bool is_parameter(const struct rewriter *r, const struct declaration *d, uint32_t name)
{
    for (uint32_t i = d->open + 1; i < d->close; i++)
        if (token_length(r, i) == token_length(r, name) &&
                !memcmp(r->text + r->tokens[i].start, r->text + r->tokens[name].start,
                        token_length(r, i)))
            return true;
    return false;
}

/* A word that is no member of something named, and not what is being declared. */
static bool stands_alone(const struct rewriter *r, uint32_t i)
{
    return !token_punct(r, i - 1, '.') && !token_is(r, i - 1, "->") && !token_is(r, i - 1, "::");
}

static bool is_called(const struct rewriter *r, uint32_t i, uint32_t end)
{
    static const char *const before[] = {"return", "else", "do", "case"};
    bool after_word = token_word(r, i - 1);
    for (size_t k = 0; k < ABX_ARRAY_SIZE(before); k++)
        after_word = after_word && !token_is(r, i - 1, before[k]);
    if (after_word)
        return false;
    if (token_punct(r, i + 1, '(') || token_punct(r, i + 1, '<'))
        return token_punct(r, i + 1, '(') || token_close_angle(r, i + 1, end) != NO_TOKEN;
    return false;
}

static void name_members(struct rewriter *r, struct class_object *c, const struct declaration *d)
{
    uint32_t open = r->tokens[d->end].match, stamp = ++c->stamp * NAME_KINDS;
    struct abx_string aliases = {0};
    for (uint32_t i = open + 1; i < d->end && !r->error; i++) {
        if (!token_word(r, i) || !stands_alone(r, i))
            continue;
        if (token_is(r, i, "this")) {
            rewriter_edit(
                    r, r->tokens[i].start, token_length(r, i), "(&" OBJECT ")", r->tokens[i].start);
            continue;
        }
        uint32_t known = name_table_get(r, &c->names, i);
        if (known == NO_NAME || known / NAME_KINDS * NAME_KINDS == stamp)
            continue;
        if (known % NAME_KINDS == NAME_METHOD) {
            if (is_called(r, i, d->end))
                rewriter_insert_before(
                        r, i, token_punct(r, i + 1, '<') ? OBJECT ".template " : OBJECT ".");
            continue;
        }
        name_table_put(r, &c->names, i, stamp + NAME_DATA);
        int length = (int)token_length(r, i);
        const char *name = r->text + r->tokens[i].start;
        if (!is_parameter(r, d, i))
            abx_string_printf(&aliases, " [[maybe_unused]] auto &%.*s = " OBJECT ".%.*s;", length,
                    name, length, name);
    }
    if (aliases.length) {
        rewriter_insert_after(r, open, rewriter_format(r, "%s {", aliases.data), open);
        rewriter_insert_before(r, d->end, "} ");
    }
    if (aliases.failed)
        r->error = -ENOMEM;
    abx_string_finish(&aliases);
}

static void convert(
        struct rewriter *r, struct class_object *c, const struct declaration *d, const char *self)
{
    move_qualifiers(r, d, self);
    if (d->has_body && token_punct(r, d->end, '}') && r->tokens[d->end].match != NO_TOKEN &&
            r->tokens[d->end].match > d->close)
        name_members(r, c, d);
}

void rewriter_object_end(struct rewriter *r, struct method_set *set)
{
    struct class_object *c = r->object;
    if (!c || c->depth != r->depth)
        return;
    const char *self = rewriter_format(
            r, "%.*s", (int)token_length(r, c->name), r->text + r->tokens[c->name].start);
    for (uint32_t i = 0; i < c->method_count && !r->error; i++)
        if (c->opaque)
            rewriter_plain_method(r, set, &c->methods[i]);
        else
            convert(r, c, &c->methods[i], self);
}

/* ---- outside of the class */

/* The < that the > at `close` ends, or NO_TOKEN. */
static uint32_t open_angle(const struct rewriter *r, uint32_t close, uint32_t start)
{
    uint32_t depth = 0;
    for (uint32_t i = close; i > start; i--) {
        if (token_punct(r, i, '>'))
            depth++;
        else if (token_punct(r, i, '<') && --depth == 0)
            return i;
    }
    return NO_TOKEN;
}

/* `int P<T>::get(int k) device const`; `name`: the first token of the method's name. */
void rewriter_object_definition(struct rewriter *r, const struct declaration *d, uint32_t name)
{
    if (d->qualifier == NO_TOKEN || name < d->start + 2 || !token_is(r, name - 1, "::"))
        return;
    uint32_t last = name - 2, word = last;
    if (token_punct(r, last, '>')) {
        uint32_t angle = open_angle(r, last, d->start);
        if (angle == NO_TOKEN || angle == d->start)
            return;
        word = angle - 1;
    }
    uint32_t index = name_table_get(r, &r->object_names, word), first = word;
    struct class_object *c = index == NO_NAME ? NULL : r->objects[index];
    bool same = name == d->open - 1 && token_length(r, name) == token_length(r, word) &&
                !memcmp(r->text + r->tokens[name].start, r->text + r->tokens[word].start,
                        token_length(r, name));
    if (!c || c->opaque || same || token_is(r, d->qualifier, "thread")) {
        rewriter_plain_method(r, NULL, d);
        return;
    }
    while (first > d->start + 1 && token_is(r, first - 1, "::") && token_word(r, first - 2))
        first -= 2;
    struct abx_string self = {0};
    rewriter_append(r, &self, first, last);
    convert(r, c, d, rewriter_string(r, self.data ? self.data : "", self.length));
    abx_string_finish(&self);
}
