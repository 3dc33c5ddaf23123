/* shader: conditional expressions of an element in memory and a value of a class, `c ? p[i] :
 * half2(0)`: clang finds no common type for an lvalue in an address space and a class's value. The
 * element becomes a value, as it would have been in Metal. Any other spelling of the same is found
 * by clang's complaint (frontend/diag.c), at the price of compiling twice. Compiler process,
 * hostile text. */
#include "shader/rewrite/internal.h"

#define MAX_ARM_TOKENS 256u /* brackets counted as one */

/* The last token of the arm that begins at i, before `end` (a character) or the end of the
 * expression; NO_TOKEN when it is long, or holds another conditional. */
static uint32_t arm_end(const struct rewriter *r, uint32_t i, char end)
{
    for (uint32_t steps = 0, first = i; steps < MAX_ARM_TOKENS && i < r->count; steps++, i++) {
        char c = r->tokens[i].kind == TOKEN_PUNCT && token_length(r, i) == 1 ? token_char(r, i) : 0;
        if (c == '?')
            return NO_TOKEN;
        if (c == ',' || c == ';' || c == ')' || c == ']' || c == '}' || c == ':')
            return i > first && (c == end || !end) ? i - 1 : NO_TOKEN;
        if (c == '(' || c == '[' || c == '{')
            i = token_close(r, i);
    }
    return NO_TOKEN;
}

static bool is_element(const struct rewriter *r, uint32_t first, uint32_t last)
{
    return token_punct(r, last, ']') && token_word(r, first) &&
           rewriter_operand_end(r, first) == last;
}

/* A call or a constructor. */
static bool is_value(const struct rewriter *r, uint32_t first, uint32_t last)
{
    return token_punct(r, last, ')') && token_word(r, first) &&
           rewriter_operand_end(r, first) == last;
}

static void wrap(struct rewriter *r, uint32_t first, uint32_t last)
{
    rewriter_insert_before(r, first, "__msl_rvalue(");
    rewriter_insert_after(r, last, ")", first);
}

void rewriter_conditionals(struct rewriter *r)
{
    for (uint32_t i = 0; i + 3 < r->count; i++) {
        if (!token_punct(r, i, '?'))
            continue;
        uint32_t yes = i + 1, yes_end = arm_end(r, yes, ':');
        if (yes_end == NO_TOKEN)
            continue;
        uint32_t no = yes_end + 2, no_end = arm_end(r, no, 0);
        if (no_end == NO_TOKEN)
            continue;
        if (is_element(r, yes, yes_end) && is_value(r, no, no_end))
            wrap(r, yes, yes_end);
        else if (is_value(r, yes, yes_end) && is_element(r, no, no_end))
            wrap(r, no, no_end);
    }
}
