/* shader: casts. clang refuses every cast between half and bfloat; Metal allows the explicit ones,
 * so those that may be one become calls of __msl_cast (shim/base.h). Compiler process, hostile
 * text. */
#include <stdlib.h>

#include "shader/rewrite/internal.h"

#define MAX_CAST_TOKENS 256u /* of a C-style cast's operand, brackets counted as one */

/* static_cast to a class or number. */
static void static_cast_at(struct rewriter *r, uint32_t i)
{
    uint32_t close = token_punct(r, i + 1, '<') ? token_close_angle(r, i + 1, r->count) : NO_TOKEN;
    if (close == NO_TOKEN)
        return;
    for (uint32_t j = i + 2; j < close; j++)
        if (token_punct(r, j, '*') || token_punct(r, j, '&'))
            return;
    rewriter_edit(r, r->tokens[i].start, token_length(r, i), "__msl_cast", r->tokens[i].start);
}

static bool is_type(const struct rewriter *r, uint32_t i)
{
    return token_is(r, i, "half") || token_is(r, i, "bfloat");
}

static bool is_prefix(const struct rewriter *r, uint32_t i)
{
    return token_punct(r, i, '-') || token_punct(r, i, '+') || token_punct(r, i, '!') ||
           token_punct(r, i, '~') || token_punct(r, i, '*') || token_punct(r, i, '&');
}

static bool starts_operand(const struct rewriter *r, uint32_t i)
{
    return token_word(r, i) || token_punct(r, i, '(') || token_is(r, i, "::") ||
           (i < r->count && r->tokens[i].kind == TOKEN_NUMBER);
}

uint32_t rewriter_operand_end(const struct rewriter *r, uint32_t i)
{
    uint32_t limit = i + MAX_CAST_TOKENS;
    while (i < limit && is_prefix(r, i))
        i++;
    /* Another cast in front of it. */
    while (i < limit && token_punct(r, i, '(') && token_word(r, i + 1) &&
            token_close(r, i) == i + 2 && starts_operand(r, i + 3))
        i += 3;
    if (i >= limit || !starts_operand(r, i))
        return NO_TOKEN;
    uint32_t last = token_punct(r, i, '(') ? token_close(r, i) : i;
    for (uint32_t steps = 0; steps < MAX_CAST_TOKENS; steps++) {
        uint32_t next = last + 1;
        if (token_punct(r, next, '(') || token_punct(r, next, '['))
            last = token_close(r, next);
        else if ((token_punct(r, next, '.') || token_is(r, next, "->") ||
                         token_is(r, next, "::")) &&
                 token_word(r, next + 1))
            last = next + 1;
        else if (token_is(r, last, "::") && token_word(r, next))
            last = next;
        else if (token_punct(r, next, '<') && token_word(r, last)) {
            uint32_t close = token_close_angle(r, next, next + MAX_CAST_TOKENS);
            if (close == NO_TOKEN ||
                    (!token_punct(r, close + 1, '(') && !token_is(r, close + 1, "::")))
                return last;
            last = close;
        } else {
            return last;
        }
    }
    return NO_TOKEN;
}

/* (half)x; not the parameter list of a function type. (T)x, where a template's T may be one of
 * both: __msl_c_cast, which is a C-style cast of everything else. */
static void c_cast_at(struct rewriter *r, uint32_t i, bool parameter)
{
    bool after_word = i > 0 && token_word(r, i - 1) && !token_is(r, i - 1, "return") &&
                      !token_is(r, i - 1, "else");
    uint32_t end = after_word ? NO_TOKEN : rewriter_operand_end(r, i + 3);
    if (end == NO_TOKEN || end >= r->count)
        return;
    uint32_t at = r->tokens[i].start;
    if (parameter) {
        rewriter_edit(r, at, 1, "__msl_c_cast<", at);
        rewriter_edit(r, r->tokens[i + 2].start, 1, ">(", at);
    } else {
        rewriter_edit(r, at, r->tokens[i + 2].end - at,
                token_is(r, i + 1, "half") ? "__msl_cast<half>(" : "__msl_cast<bfloat>(", at);
    }
    rewriter_insert_after(r, end, ")", i);
}

/* half(x), with one argument */
static void functional_cast_at(struct rewriter *r, uint32_t i)
{
    uint32_t close = token_close(r, i + 1);
    if (close <= i + 2 || (i > 0 && token_is(r, i - 1, "operator")))
        return;
    /* half (*f)(half), half (&x)[4]: a pointer to a function, a reference to an array */
    if ((token_punct(r, close + 1, '(') || token_punct(r, close + 1, '[')) &&
            (token_punct(r, i + 2, '*') || token_punct(r, i + 2, '&')))
        return;
    for (uint32_t j = i + 2; j < close; j++) {
        if (token_punct(r, j, ','))
            return;
        j = token_close(r, j);
    }
    uint32_t at = r->tokens[i].start;
    rewriter_edit(r, at, token_length(r, i),
            token_is(r, i, "half") ? "__msl_cast<half>" : "__msl_cast<bfloat>", at);
}

/* The names of templates' types, in a text that has bfloat at all. */
static void note_parameters(struct rewriter *r, struct name_table *names)
{
    bool bfloat = false;
    for (uint32_t i = 0; i < r->count && !bfloat; i++)
        bfloat = token_is(r, i, "bfloat");
    for (uint32_t i = 1; bfloat && i + 1 < r->count; i++)
        if ((token_is(r, i - 1, "typename") || token_is(r, i - 1, "class")) && token_word(r, i) &&
                (token_punct(r, i + 1, ',') || token_punct(r, i + 1, '>')))
            name_table_put(r, names, i, 0);
}

void rewriter_casts(struct rewriter *r)
{
    struct name_table parameters = {0};
    note_parameters(r, &parameters);
    for (uint32_t i = 0; i + 2 < r->count && !r->error; i++) {
        if (token_is(r, i, "static_cast"))
            static_cast_at(r, i);
        else if (token_punct(r, i, '(') && is_type(r, i + 1) && token_punct(r, i + 2, ')'))
            c_cast_at(r, i, false);
        else if (token_punct(r, i, '(') && token_word(r, i + 1) && token_punct(r, i + 2, ')') &&
                 i + 3 < r->count && r->tokens[i + 3].kind != TOKEN_NUMBER &&
                 name_table_get(r, &parameters, i + 1) != NO_NAME)
            c_cast_at(r, i, true);
        else if (is_type(r, i) && token_punct(r, i + 1, '('))
            functional_cast_at(r, i);
    }
    free(parameters.slots);
}
