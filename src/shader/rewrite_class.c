/* shader: members of classes. Metal lets methods be overloaded on the address space of the object;
 * here every object is reachable through the default space, so the qualifier goes, and so do the
 * methods that differed in nothing else. Compiler process, hostile text. */
#include "shader/rewrite_internal.h"

#include <stdlib.h>

/* Hashes of signatures, open addressing; a program that makes two collide loses a method of its
 * own.
 */
struct method_set {
    uint64_t *hashes;
    uint32_t count, capacity;
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

void rewriter_method(struct rewriter *r, struct method_set *set, const struct declaration *d)
{
    uint32_t name = name_token(r, d), end = qualifiers_end(r, d);
    bool is_const = false;
    for (uint32_t i = d->close + 1; i < end; i++)
        is_const = is_const || token_is(r, i, "const");
    bool constant = d->qualifier != NO_TOKEN && token_is(r, d->qualifier, "constant") &&
                    !has_no_type(r, d, name);
    uint64_t hash = hash_tokens(
            r, 14695981039346656037u + (is_const || constant), d->start, d->close, name);
    int known = add_hash(set, hash ? hash : 1);
    if (known < 0) {
        r->error = known;
        return;
    }
    if (d->qualifier == NO_TOKEN)
        return;
    if (known)
        rewriter_remove(r, d->start, d->end);
    else
        remove_qualifiers(r, d, end, is_const);
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
