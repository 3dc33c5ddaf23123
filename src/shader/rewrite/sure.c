/* shader: which kernels may turn out not to be compilable when their code is made, as far as the
 * text tells: those that may reach a function without a body, or threadgroup variables of a size
 * that is large or not plain to see; and which function constants each may reach, since those must
 * be given. Compiler process, hostile text.
 *
 * A library of many kernels makes no code (frontend/compile.c), so nothing better is known, and a
 * program is to be told when it makes the pipeline. Whoever waits for a kernel that is named here
 * in vain loses some time; one that is not named, and fails, fails late. Functions are told apart
 * by name alone: all of one name count as one. */
#include "shader/rewrite/internal.h"

#include "wire/limits.h"

#include <stdlib.h>
#include <string.h>

#define MAX_PASSES 16u /* of calls inside calls; then everything counts as unsure */
#define MAX_VARIABLE_TOKENS 64u
#define VECTOR_BYTES 16u    /* the most an element of a built-in type has, but for matrices */
#define PARAMETER_BYTES 64u /* the most a template is instantiated for: a matrix */

/* A name of functions or of variables that are computed. */
struct state {
    bool declared, defined, unsure;
    uint32_t first, end; /* the function constants it may reach lie in [first, end) */
};

struct body {
    uint32_t name, open, close; /* name: index of a state */
    uint32_t first_edge, edge_count;
};

struct sure {
    struct rewriter *r;
    struct name_table names, parameters; /* parameters: of templates, types */
    struct state *states;
    struct body *bodies;
    uint32_t *edges; /* states that a body names */
    uint32_t state_count, state_capacity, body_count, body_capacity, edge_count, edge_capacity;
    uint32_t depth;
    bool any; /* something is worth spreading */
};

static void declarations(struct sure *s, uint32_t i, uint32_t end);

static uint32_t state_of(struct sure *s, uint32_t token)
{
    uint32_t at = name_table_get(s->r, &s->names, token);
    if (at != NO_NAME)
        return at;
    if (!rewriter_grow(s->r, (void **)&s->states, &s->state_capacity, s->state_count,
                sizeof *s->states, ABX_REWRITE_MAX_TOKENS))
        return NO_NAME;
    at = s->state_count++;
    s->states[at] = (struct state){0};
    name_table_put(s->r, &s->names, token, at);
    return s->r->error ? NO_NAME : at;
}

static void note_declared(struct sure *s, uint32_t token)
{
    uint32_t at = state_of(s, token);
    if (at != NO_NAME)
        s->states[at].declared = true;
}

static void note_body(struct sure *s, uint32_t name, uint32_t open, uint32_t close)
{
    uint32_t at = state_of(s, name);
    if (at == NO_NAME || !rewriter_grow(s->r, (void **)&s->bodies, &s->body_capacity, s->body_count,
                                 sizeof *s->bodies, ABX_REWRITE_MAX_TOKENS))
        return;
    s->states[at].defined = true;
    s->bodies[s->body_count++] = (struct body){.name = at, .open = open, .close = close};
}

/* ---- functions with and without bodies */

static bool begins(const struct rewriter *r, uint32_t i, const char *const *words)
{
    for (; *words; words++)
        if (token_is(r, i, *words))
            return true;
    return false;
}

/* `template <...>` in front of a declaration is passed over. */
static uint32_t skip_template(struct sure *s, uint32_t i, uint32_t end)
{
    struct rewriter *r = s->r;
    while (token_is(r, i, "template") && token_punct(r, i + 1, '<')) {
        uint32_t close = token_close_angle(r, i + 1, end);
        if (close == NO_TOKEN)
            break;
        for (i += 2; i < close; i++)
            if (token_is(r, i - 1, "typename") || token_is(r, i - 1, "class"))
                name_table_put(r, &s->parameters, i, 0);
        i = close + 1;
    }
    return i;
}

/* What was read of a declaration. */
struct reading {
    uint32_t generic, generic_close; /* name<...>: the name, and the > */
    uint32_t operator_word;
};

/* The name of the function whose parameters may begin at the parenthesis `open`. */
static uint32_t name_before(
        const struct rewriter *r, const struct reading *k, uint32_t first, uint32_t open)
{
    static const char *const others[] = {
            "decltype", "__attribute__", "alignas", "__declspec", "noexcept", NULL};
    if (open == first)
        return NO_TOKEN;
    if (k->operator_word != NO_TOKEN)
        return k->operator_word;
    if (token_word(r, open - 1))
        return begins(r, open - 1, others) ? NO_TOKEN : open - 1;
    return k->generic_close == open - 1 ? k->generic : NO_TOKEN;
}

/* One declaration from i; where the next begins. */
static uint32_t declaration(struct sure *s, uint32_t i, uint32_t end)
{
    static const char *const scopes[] = {
            "namespace", "class", "struct", "union", "extern", "inline", NULL};
    static const char *const others[] = {"using", "typedef", "template", "static_assert",
            "_Static_assert", "friend", "enum", NULL};
    const struct rewriter *r = s->r;
    uint32_t first = skip_template(s, i, end), name = NO_TOKEN, variable = NO_TOKEN;
    struct reading k = {NO_TOKEN, NO_TOKEN, NO_TOKEN};
    bool assigned = false;
    for (i = first; i < end; i++) {
        if (token_is(r, i, "operator"))
            k.operator_word = i;
        if (token_punct(r, i, '<') && i > first && token_word(r, i - 1) && !assigned) {
            uint32_t close = token_close_angle(r, i, end);
            if (close != NO_TOKEN) {
                k.generic = i - 1;
                i = k.generic_close = close;
                continue;
            }
        }
        if (token_punct(r, i, ';')) {
            if (variable != NO_TOKEN && !begins(r, first, others))
                note_body(s, variable, variable, i);
            else if (name != NO_TOKEN && !assigned && !begins(r, first, others))
                note_declared(s, name);
            return i + 1;
        }
        if (token_punct(r, i, '=')) {
            if (!assigned && i > first && token_word(r, i - 1))
                variable = i - 1;
            assigned = true;
        } else if (token_punct(r, i, '[') || token_punct(r, i, '(')) {
            if (token_punct(r, i, '(') && name == NO_TOKEN)
                name = name_before(r, &k, first, i);
            i = token_close(r, i);
        } else if (token_punct(r, i, '{')) {
            uint32_t close = token_close(r, i);
            if (name != NO_TOKEN && !assigned) {
                note_body(s, name, i, close);
                return close + 1;
            }
            if (name == NO_TOKEN && !assigned && begins(r, first, scopes))
                declarations(s, i + 1, close);
            i = close;
            if (token_is(r, first, "namespace") || token_is(r, first, "extern"))
                return close + 1;
        }
    }
    return end;
}

static void declarations(struct sure *s, uint32_t i, uint32_t end)
{
    if (++s->depth <= ABX_REWRITE_MAX_DEPTH)
        while (i < end && !s->r->error) {
            /* public: and the like */
            if (token_word(s->r, i) && token_punct(s->r, i + 1, ':') &&
                    !token_punct(s->r, i + 2, ':'))
                i += 2;
            else
                i = declaration(s, i, end);
        }
    s->depth--;
}

/* ---- threadgroup variables */

static bool is_builtin_type(const struct rewriter *r, uint32_t i)
{
    static const char *const types[] = {"bool", "char", "uchar", "short", "ushort", "int", "uint",
            "long", "ulong", "half", "float", "bfloat", "bfloat16_t", "size_t", "unsigned",
            "int8_t", "uint8_t", "int16_t", "uint16_t", "int32_t", "uint32_t", "int64_t",
            "uint64_t", "atomic_int", "atomic_uint", "atomic_float", "atomic_bool", "atomic_ulong",
            "atomic", "vec"};
    uint32_t length = token_length(r, i);
    const char *text = r->text + r->tokens[i].start;
    if (length && text[length - 1] >= '2' && text[length - 1] <= '4')
        length--; /* a vector */
    for (size_t k = 0; k < ABX_ARRAY_SIZE(types); k++)
        if (strlen(types[k]) == length && !memcmp(types[k], text, length))
            return true;
    return false;
}

static uint64_t type_bytes(const struct sure *s, uint32_t i)
{
    return is_builtin_type(s->r, i)                             ? VECTOR_BYTES
           : name_table_get(s->r, &s->parameters, i) != NO_NAME ? PARAMETER_BYTES
                                                                : UINT64_MAX;
}

/* Of [N] at i: N, or 0 when it is more than a number. */
static uint64_t dimension(const struct rewriter *r, uint32_t i)
{
    if (token_close(r, i) != i + 2 || r->tokens[i + 1].kind != TOKEN_NUMBER)
        return 0;
    return strtoull(r->text + r->tokens[i + 1].start, NULL, 0);
}

/* The most bytes the variables declared at a `threadgroup` may have; UINT64_MAX: who knows; 0: it
 * declares none, but a pointer, a parameter or a cast. */
static uint64_t variable_bytes(const struct sure *s, uint32_t i, uint32_t end)
{
    const struct rewriter *r = s->r;
    uint64_t element = 0, count = 1, sum = 0;
    end = end - i > MAX_VARIABLE_TOKENS ? i + MAX_VARIABLE_TOKENS : end;
    for (i++; i < end; i++) {
        if (token_punct(r, i, '*') || token_punct(r, i, '&') || token_punct(r, i, '(') ||
                token_punct(r, i, ')') || token_punct(r, i, '>'))
            return 0;
        if (token_punct(r, i, '<')) {
            uint32_t close = token_close_angle(r, i, end);
            if (close == NO_TOKEN)
                return 0;
            i = close;
        } else if (token_punct(r, i, '[')) {
            if (__builtin_mul_overflow(count, dimension(r, i), &count) || !count)
                return UINT64_MAX;
            i = token_close(r, i);
        } else if (token_punct(r, i, ',') || token_punct(r, i, ';') || token_punct(r, i, '=')) {
            uint64_t bytes;
            if (__builtin_mul_overflow(count, element, &bytes) ||
                    __builtin_add_overflow(sum, bytes, &sum))
                return UINT64_MAX;
            count = 1;
            if (!token_punct(r, i, ','))
                return sum;
        } else if (token_word(r, i) && !element && !token_is(r, i, "const") &&
                   !token_punct(r, i + 1, ':'))
            element = type_bytes(s, i);
    }
    return UINT64_MAX;
}

static bool needs_much_memory(const struct sure *s, const struct body *b)
{
    uint64_t sum = 0;
    for (uint32_t i = b->open; i < b->close; i++)
        if (token_is(s->r, i, "threadgroup") &&
                (__builtin_add_overflow(sum, variable_bytes(s, i, b->close), &sum) ||
                        sum > ABX_MAX_THREADGROUP_BYTES))
            return true;
    return false;
}

/* ---- who reaches them */

static void reach(struct sure *s, struct state *to, uint32_t first, uint32_t end)
{
    if (first == end)
        return;
    if (to->first == to->end)
        *to = (struct state){to->declared, to->defined, to->unsure, first, end};
    to->first = first < to->first ? first : to->first;
    to->end = end > to->end ? end : to->end;
}

static void read_body(struct sure *s, struct body *b)
{
    struct rewriter *r = s->r;
    b->first_edge = s->edge_count;
    for (uint32_t i = b->open; i < b->close; i++) {
        if (!token_word(r, i))
            continue;
        uint32_t constant = name_table_get(r, &r->constant_names, i);
        if (constant != NO_NAME)
            reach(s, &s->states[b->name], constant, constant + 1);
        uint32_t at = name_table_get(r, &s->names, i);
        if (at == NO_NAME || at == b->name)
            continue;
        if (!rewriter_grow(r, (void **)&s->edges, &s->edge_capacity, s->edge_count,
                    sizeof *s->edges, ABX_REWRITE_MAX_TOKENS))
            return;
        s->edges[s->edge_count++] = at;
    }
    b->edge_count = s->edge_count - b->first_edge;
}

/* Adds what `from` may reach; true when that is news. */
static bool merge(struct sure *s, struct state *to, const struct state *from)
{
    struct state before = *to;
    to->unsure |= from->unsure;
    reach(s, to, from->first, from->end);
    return to->unsure != before.unsure || to->first != before.first || to->end != before.end;
}

static void spread(struct sure *s)
{
    bool changed = true;
    for (uint32_t pass = 0; changed && pass < MAX_PASSES; pass++) {
        changed = false;
        for (uint32_t i = 0; i < s->body_count; i++)
            for (uint32_t k = 0; k < s->bodies[i].edge_count; k++)
                changed |= merge(s, &s->states[s->bodies[i].name],
                        &s->states[s->edges[s->bodies[i].first_edge + k]]);
    }
    for (uint32_t i = 0; changed && i < s->body_count; i++)
        s->states[s->bodies[i].name].unsure = true;
}

/* An entry is C++ that names its kernel. */
static void read_entry(struct sure *s, struct abx_rewrite_kernel *kernel)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
    struct state all = {0};
    for (const char *p = kernel->entry; *p;) {
        size_t length = strspn(p, letters);
        uint32_t at = length ? name_table_find(&s->names, p, (uint32_t)length) : NO_NAME;
        if (at != NO_NAME)
            merge(s, &all, &s->states[at]);
        if (length && name_table_find(&s->r->lacking, p, (uint32_t)length) != NO_NAME)
            all.unsure = true;
        p += length ? length : 1;
    }
    kernel->unsure = all.unsure;
    kernel->first_constant = all.first;
    kernel->constant_end = all.end;
}

void rewriter_sure(struct rewriter *r)
{
    struct sure s = {.r = r, .any = r->out->constant_count || r->lacking.count};
    declarations(&s, 0, r->count);
    for (uint32_t i = 0; i < s.state_count; i++)
        s.any |= s.states[i].unsure = s.states[i].declared && !s.states[i].defined;
    for (uint32_t i = 0; i < s.body_count; i++)
        if (needs_much_memory(&s, &s.bodies[i]))
            s.any = s.states[s.bodies[i].name].unsure = true;
    for (uint32_t i = 0; s.any && !r->error && i < s.body_count; i++)
        read_body(&s, &s.bodies[i]);
    if (s.any && !r->error) {
        spread(&s);
        for (uint32_t i = 0; i < r->out->kernel_count; i++)
            read_entry(&s, &r->out->kernels[i]);
    }
    free(s.states);
    free(s.bodies);
    free(s.edges);
    free(s.names.slots);
    free(s.parameters.slots);
}
