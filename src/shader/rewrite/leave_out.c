/* shader: leaves out of a program what is not supported beside its kernels, so that these can be
 * used: vertex and fragment functions, and what has to do with textures. Compiler process, hostile
 * text.
 *
 * A vertex or fragment function stays in the library by its name and its type alone. A kernel with
 * textures stays with an empty list of parameters and a body that cannot be made into code, which
 * says so when a pipeline is made of it; helper functions, samplers, and types with textures in
 * them go, and so does all that names such a type. Where no kernel would be left, or clang then
 * misses something that went, everything stays and is refused at its place in the text (refuse.c).
 *
 * This goes over the text before everything else does: what is left out is blank to the others. */
#include "shader/rewrite/internal.h"

#include <stdlib.h>
#include <string.h>

#define LACKS "__lacks_textures();"

/* A declaration outside of functions and classes: tokens [start, end]. */
struct part {
    uint32_t start, end;
    uint32_t name, open,
            body; /* of a function: its name, its parameters' (, its {; else NO_TOKEN */
    uint32_t host_name, class_name;
    bool vertex, fragment, kernel, is_template, lacks;
};

struct leaving {
    struct rewriter *r;
    struct part *parts;
    uint32_t count, capacity;
    struct name_table types; /* with textures in them */
    uint32_t kernels;        /* that can be used */
};

static void read_attributes(const struct rewriter *r, struct part *p, uint32_t open)
{
    for (uint32_t i = open + 2; i < token_close(r, open); i++) {
        p->vertex |= token_is(r, i, "vertex");
        p->fragment |= token_is(r, i, "fragment");
        p->kernel |= token_is(r, i, "kernel");
        if (token_is(r, i, "host_name"))
            p->host_name = i;
        if (token_punct(r, i, '('))
            i = token_close(r, i);
    }
}

static bool lacks(const struct leaving *l, uint32_t i)
{
    return rewriter_is_texture(l->r, i) ||
           (token_word(l->r, i) && name_table_get(l->r, &l->types, i) != NO_NAME);
}

/* The last token taken with it. */
static uint32_t read_part_word(const struct rewriter *r, struct part *p, uint32_t i)
{
    bool first = i == p->start || token_punct(r, i - 1, ']') || token_punct(r, i - 1, '>');
    if (token_is(r, i, "template") && token_punct(r, i + 1, '<')) {
        uint32_t close = token_close_angle(r, i + 1, r->count);
        p->is_template = true;
        return close == NO_TOKEN ? i : close;
    }
    if (p->open != NO_TOKEN)
        return i;
    first = first || token_is(r, i - 1, "template");
    p->vertex |= first && token_is(r, i, "vertex") && !token_punct(r, i + 1, ';');
    p->fragment |= first && token_is(r, i, "fragment") && !token_punct(r, i + 1, ';');
    p->kernel |= token_is(r, i, "kernel");
    if (token_is(r, i, "struct") || token_is(r, i, "class") || token_is(r, i, "union"))
        p->class_name = i + 1;
    return i;
}

static void read_part(const struct rewriter *r, struct part *p, uint32_t start)
{
    bool assigned = false;
    *p = (struct part){
            start, r->count - 1, NO_TOKEN, NO_TOKEN, NO_TOKEN, NO_TOKEN, NO_TOKEN, .kernel = false};
    for (uint32_t i = start; i < r->count; i++) {
        if (token_attribute(r, i)) {
            read_attributes(r, p, i);
            i = token_close(r, i);
        } else if (token_word(r, i)) {
            i = read_part_word(r, p, i);
        } else if (token_punct(r, i, '=')) {
            assigned = true;
        } else if (token_punct(r, i, '(')) {
            if (p->open == NO_TOKEN && !assigned && p->class_name == NO_TOKEN && i > start &&
                    !token_is(r, i - 1, "__attribute__") && !token_is(r, i - 1, "alignas"))
                p->open = i, p->name = i - 1;
            i = token_close(r, i);
        } else if (token_punct(r, i, '[')) {
            i = token_close(r, i);
        } else if (token_punct(r, i, '{')) {
            bool function = p->open != NO_TOKEN && !assigned;
            p->body = function ? i : p->body;
            i = token_close(r, i);
            if (function) {
                p->end = i;
                return;
            }
        } else if (token_punct(r, i, ';') || token_punct(r, i, '}')) {
            p->end = i;
            return;
        }
    }
}

/* The { of a namespace or of extern "C", which are gone into; NO_TOKEN for anything else. */
static uint32_t opens_scope(const struct rewriter *r, uint32_t i)
{
    if (token_is(r, i, "extern") && r->tokens[i + 1].kind == TOKEN_STRING)
        return token_punct(r, i + 2, '{') ? i + 2 : NO_TOKEN;
    i += token_is(r, i, "inline");
    if (!token_is(r, i, "namespace"))
        return NO_TOKEN;
    for (i++; token_word(r, i) || token_is(r, i, "::") || token_attribute(r, i); i++)
        i = token_close(r, i);
    return token_punct(r, i, '{') ? i : NO_TOKEN;
}

/* The name of the type that the part declares, or NO_TOKEN. */
static uint32_t type_name(const struct rewriter *r, const struct part *p)
{
    if (token_is(r, p->start, "typedef"))
        return token_word(r, p->end - 1) ? p->end - 1 : NO_TOKEN;
    for (uint32_t i = p->start; i < p->end; i++)
        if (token_is(r, i, "using"))
            return token_punct(r, i + 2, '=') ? i + 1 : NO_TOKEN;
    return p->class_name;
}

static void add_part(struct leaving *l, const struct part *p)
{
    struct rewriter *r = l->r;
    if (!rewriter_grow(
                r, (void **)&l->parts, &l->capacity, l->count, sizeof *p, ABX_REWRITE_MAX_KERNELS))
        return;
    l->parts[l->count++] = *p;
    uint32_t name = p->lacks && p->open == NO_TOKEN ? type_name(r, p) : NO_TOKEN;
    if (name != NO_TOKEN && token_word(r, name))
        name_table_put(r, &l->types, name, 1);
}

static void find_parts(struct leaving *l)
{
    struct rewriter *r = l->r;
    for (uint32_t i = 0; i < r->count && !r->error;) {
        uint32_t scope = opens_scope(r, i);
        if (scope != NO_TOKEN || token_punct(r, i, ';') || token_punct(r, i, '}')) {
            i = scope != NO_TOKEN ? scope + 1 : i + 1;
            continue;
        }
        struct part p;
        read_part(r, &p, i);
        for (uint32_t k = p.start; k <= p.end && !p.lacks; k++)
            p.lacks = lacks(l, k);
        l->kernels += p.kernel && !p.lacks;
        if (p.lacks || ((p.vertex || p.fragment) && p.open != NO_TOKEN))
            add_part(l, &p);
        i = p.end + 1;
    }
}

/* ---- doing it */

static void keep_name(struct rewriter *r, const struct part *p)
{
    struct abx_rewrite *out = r->out;
    bool instantiation = p->host_name != NO_TOKEN && token_is(r, p->start, "template");
    if (p->is_template || (p->body == NO_TOKEN && !instantiation) || !token_word(r, p->name) ||
            !rewriter_grow(r, (void **)&out->stages, &r->stage_capacity, out->stage_count,
                    sizeof *out->stages, ABX_REWRITE_MAX_KERNELS))
        return;
    out->stages[out->stage_count++] = (struct abx_rewrite_stage){
            .name = p->host_name != NO_TOKEN
                            ? rewriter_host_name(r, p->host_name)
                            : rewriter_string(r, r->text + r->tokens[p->name].start,
                                      token_length(r, p->name)),
            .fragment = p->fragment};
}

/* Tokens (first, last), without these two. */
static void blank_between(struct rewriter *r, char *text, uint32_t first, uint32_t last)
{
    uint32_t from = r->tokens[first].end, to = r->tokens[last].start;
    if (from >= to)
        return;
    rewriter_edit(r, from, to - from, NULL, from);
    for (uint32_t i = from; i < to; i++)
        text[i] = text[i] == '\n' ? '\n' : ' ';
}

static void leave_out(struct rewriter *r, char *text, const struct part *p)
{
    if (p->vertex || p->fragment) {
        keep_name(r, p);
    } else if (p->kernel && p->open != NO_TOKEN) {
        name_table_put(r, &r->lacking, p->name, 1);
        blank_between(r, text, p->open, token_close(r, p->open));
        if (p->body != NO_TOKEN) {
            rewriter_insert_after(r, p->body, LACKS, p->body);
            blank_between(r, text, p->body, token_close(r, p->body));
        }
        return;
    }
    rewriter_remove(r, p->start, p->end);
    for (uint32_t i = r->tokens[p->start].start; i < r->tokens[p->end].end; i++)
        text[i] = text[i] == '\n' ? '\n' : ' ';
}

char *rewriter_leave_out(struct rewriter *r)
{
    struct abx_rewrite *out = r->out;
    struct leaving l = {.r = r};
    char *text = NULL;
    size_t edits = out->edit_count;
    uint32_t refusals = out->refusal_count;
    rewriter_lex(r);
    if (!r->error)
        find_parts(&l);
    out->edit_count = edits; /* the text is read again */
    out->refusal_count = refusals;
    if (!r->error && l.count && l.kernels)
        text = malloc((size_t)r->length + 1);
    if (text) {
        memcpy(text, r->text, r->length);
        text[r->length] = 0;
        for (uint32_t i = 0; i < l.count; i++) {
            leave_out(r, text, &l.parts[i]);
            out->left_out |= l.parts[i].lacks && !l.parts[i].vertex && !l.parts[i].fragment;
        }
    }
    free(l.parts);
    free(l.types.slots);
    r->count = 0;
    return text;
}
