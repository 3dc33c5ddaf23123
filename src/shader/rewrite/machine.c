/* shader: what the machine knows of a thread, as variables of a program: `uint n
 * [[thread_position_in_grid]];` outside of functions, as Metal has it from 3.1 on. Each becomes a
 * function of that name, and each use of it a call. Where a declaration within a function hides
 * such a name, the call does not fit it and clang says so. Compiler process, hostile text. */
#include <errno.h>

#include "shader/rewrite/internal.h"

static bool says_nothing(const struct rewriter *r, uint32_t i)
{
    return token_is(r, i, "static") || token_is(r, i, "inline") || token_is(r, i, "const") ||
           token_is(r, i, "extern") || token_address_space(r, i);
}

void rewriter_machine_variable(struct rewriter *r, const struct declaration *d)
{
    uint32_t name = d->builtin_name;
    struct abx_string type = {0};
    for (uint32_t i = d->start; i < name; i++) {
        if (says_nothing(r, i))
            rewriter_remove(r, i, i);
        else
            rewriter_append(r, &type, i, i);
        abx_string_add(&type, " ", 1);
    }
    rewriter_insert_before(r, d->start, "static inline __attribute__((always_inline, unused)) ");
    rewriter_insert_after(r, name,
            rewriter_format(r, "() { return ::__abx::gather<%s>::get(::__abx::%.*s); }",
                    type.data ? type.data : "", (int)token_length(r, d->builtin),
                    r->text + r->tokens[d->builtin].start),
            name);
    name_table_put(r, &r->machine_names, name, name);
    if (type.failed)
        r->error = -ENOMEM;
    abx_string_finish(&type);
}

/* `uint name`, as in a parameter, a variable or a member. Behind `*`, `&` and `>` it cannot be told
 * from an operand, and counts as one: clang refuses the call that a declaration then has. */
static bool is_declared(const struct rewriter *r, uint32_t i)
{
    static const char *const others[] = {
            "return", "else", "case", "do", "and", "or", "not", "xor", "sizeof"};
    if (i == 0 || !token_word(r, i - 1))
        return false;
    for (size_t k = 0; k < ABX_ARRAY_SIZE(others); k++)
        if (token_is(r, i - 1, others[k]))
            return false;
    return true;
}

/* Up to which token what is declared in the bracket that opens at `open` hides the variable. */
static uint32_t hidden_until(const struct rewriter *r, uint32_t open)
{
    uint32_t i = token_close(r, open);
    if (token_punct(r, open, '{'))
        return i;
    while (token_word(r, i + 1) || token_attribute(r, i + 1))
        i = token_close(r, i + 1) > i + 1 ? token_close(r, i + 1) : i + 1;
    if (token_punct(r, i + 1, '{'))
        return token_close(r, i + 1);
    while (i + 1 < r->count && !token_punct(r, i, ';'))
        i++;
    return i;
}

void rewriter_machine_uses(struct rewriter *r)
{
    uint32_t open[ABX_REWRITE_MAX_DEPTH], depth = 0, last = 0;
    if (!r->machine_names.count)
        return;
    for (uint32_t i = 0; i < r->count && !r->error; i++) {
        while (depth && token_close(r, open[depth - 1]) < i)
            depth--;
        if (token_close(r, i) > i && depth == ABX_REWRITE_MAX_DEPTH)
            r->error = -E2BIG;
        else if (token_close(r, i) > i)
            open[depth++] = i;
        uint32_t declared = token_word(r, i) ? name_table_get(r, &r->machine_names, i) : NO_NAME;
        if (declared == NO_NAME || i <= declared || token_punct(r, i + 1, '(') ||
                token_punct(r, i - 1, '.') || token_is(r, i - 1, "->"))
            continue;
        if (!is_declared(r, i)) {
            rewriter_insert_after(r, i, "()", i);
            last = i;
        } else if (!depth || last > open[depth - 1]) {
            rewriter_refuse(r, i,
                    "'%.*s' hides a variable that the machine fills in, which is not supported "
                    "here",
                    (int)(token_length(r, i) > 64 ? 64 : token_length(r, i)),
                    r->text + r->tokens[i].start);
        } else {
            i = hidden_until(r, open[depth - 1]);
        }
    }
}
