/* shader: texts as arguments, `f("x")`, `f(__func__)`: in Metal they lie in the constant address
 * space, in C++ in none. They go through a function that says so. What initialises an array is a
 * text as in C++, and so is what is no expression. Compiler process, hostile text. */
#include "shader/rewrite/internal.h"

#include <string.h>

#define MAX_DEPTH 64u /* of brackets; what lies deeper stays as it is */

/* The brackets around a token, the innermost last. */
struct brackets {
    uint32_t open[MAX_DEPTH], depth;
};

static bool is_text(const struct rewriter *r, uint32_t i)
{
    return (r->tokens[i].kind == TOKEN_STRING && token_char(r, i) == '"') ||
           token_is(r, i, "__FILE__") || token_is(r, i, "__func__") ||
           token_is(r, i, "__FUNCTION__");
}

/* Words before a bracket that make it no call of a function of the program's. */
static bool is_no_function(const struct rewriter *r, uint32_t i)
{
    static const char *const words[] = {"static_assert", "_Static_assert", "asm", "__asm",
            "__asm__", "_Pragma", "sizeof", "decltype", "alignas", "alignof", "__attribute__",
            "os_log", "if", "while", "switch", "for", "return"};
    for (size_t k = 0; k < ABX_ARRAY_SIZE(words); k++)
        if (token_is(r, i, words[k]))
            return true;
    static const char own[] = "__builtin_"; /* NAN is __builtin_nanf("") */
    return token_length(r, i) >= sizeof own - 1 &&
           !memcmp(r->text + r->tokens[i].start, own, sizeof own - 1);
}

/* The bracket at `open` has a call's arguments: not those of a variable that is declared, of an
 * attribute, or of a member, which are the library's own (os_log). */
static bool is_call(const struct rewriter *r, uint32_t open)
{
    if (open == 0 || !token_punct(r, open, '(') || !token_word(r, open - 1) ||
            is_no_function(r, open - 1))
        return false;
    uint32_t before = open - 2;
    return open == 1 || token_is(r, before, "return") || token_is(r, before, "else") ||
           token_is(r, before, "::") ||
           (r->tokens[before].kind == TOKEN_PUNCT && !token_punct(r, before, '.') &&
                   !token_is(r, before, "->") && !token_punct(r, before, '>') &&
                   !token_punct(r, before, '*') && !token_punct(r, before, '&'));
}

static bool is_attribute(const struct rewriter *r, const struct brackets *b)
{
    for (uint32_t k = 0; k < b->depth; k++)
        if (token_punct(r, b->open[k], '[') ||
                (b->open[k] > 0 && token_is(r, b->open[k] - 1, "__attribute__")))
            return true;
    return false;
}

/* `constant char *name = "x"` */
static bool is_of_pointer(const struct rewriter *r, uint32_t i, uint32_t last)
{
    return i > 3 && token_punct(r, i - 1, '=') && token_word(r, i - 2) &&
           token_punct(r, i - 3, '*') &&
           (token_punct(r, last + 1, ';') || token_punct(r, last + 1, ','));
}

/* A text, or several one behind the other, which is a whole argument; where it ends. */
static uint32_t text_at(struct rewriter *r, uint32_t i, const struct brackets *b)
{
    uint32_t last = i;
    while (last + 1 < r->count && is_text(r, last + 1))
        last++;
    uint32_t open = b->depth ? b->open[b->depth - 1] : NO_TOKEN;
    bool whole = open != NO_TOKEN && (i - 1 == open || token_punct(r, i - 1, ',')) &&
                 (token_punct(r, last + 1, ',') || token_punct(r, last + 1, ')'));
    if ((whole && is_call(r, open) && !is_attribute(r, b)) || is_of_pointer(r, i, last)) {
        rewriter_insert_before(r, i, "__msl_text(");
        rewriter_insert_after(r, last, ")", i);
    }
    return last;
}

void rewriter_texts(struct rewriter *r)
{
    struct brackets b = {.depth = 0};
    for (uint32_t i = 0; i < r->count && !r->error; i++) {
        char c = r->tokens[i].kind == TOKEN_PUNCT && token_length(r, i) == 1 ? token_char(r, i) : 0;
        if (c == '(' || c == '[' || c == '{') {
            if (b.depth == MAX_DEPTH)
                i = token_close(r, i);
            else if (token_close(r, i) != i)
                b.open[b.depth++] = i;
        } else if (b.depth && token_close(r, b.open[b.depth - 1]) == i) {
            b.depth--;
        } else if (is_text(r, i)) {
            i = text_at(r, i, &b);
        }
    }
}
