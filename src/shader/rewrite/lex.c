/* shader: the rewriter's tokens, and the rewrites that need no more than one token: literals,
 * static_cast. Compiler process, hostile text. */
#include "shader/rewrite/internal.h"

#include <stdlib.h>
#include <string.h>

/* The C library's depend on the locale, and on a char being an unsigned one. */
static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_word(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           (unsigned char)c >= 0x80;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

bool token_is(const struct rewriter *r, uint32_t i, const char *word)
{
    if (i >= r->count)
        return false;
    size_t length = strlen(word);
    return token_length(r, i) == length && !memcmp(r->text + r->tokens[i].start, word, length);
}

bool token_attribute(const struct rewriter *r, uint32_t i)
{
    return token_punct(r, i, '[') && token_punct(r, i + 1, '[') &&
           r->tokens[i].end == r->tokens[i + 1].start && token_word(r, i + 2);
}

bool token_address_space(const struct rewriter *r, uint32_t i)
{
    return token_is(r, i, "device") || token_is(r, i, "constant") ||
           token_is(r, i, "threadgroup") || token_is(r, i, "thread");
}

uint32_t token_close_angle(const struct rewriter *r, uint32_t i, uint32_t end)
{
    uint32_t depth = 0;
    if (end > i + MAX_ANGLE_TOKENS)
        end = i + MAX_ANGLE_TOKENS;
    for (; i < end && *r->angle_budget; i++) {
        --*r->angle_budget;
        if (token_punct(r, i, '(') || token_punct(r, i, '[') || token_punct(r, i, '{'))
            i = token_close(r, i);
        else if (token_punct(r, i, '<'))
            depth++;
        else if (token_punct(r, i, '>') && --depth == 0)
            return i;
        else if (token_punct(r, i, ';') || token_punct(r, i, ')') || token_punct(r, i, '}'))
            return NO_TOKEN;
    }
    return NO_TOKEN;
}

static void add_token(struct rewriter *r, uint32_t start, uint32_t end, enum token_kind kind)
{
    if (r->error)
        return;
    if (r->count + 1 >= r->capacity) {
        uint32_t capacity = r->capacity ? r->capacity * 2 : 4096;
        if (r->count >= ABX_REWRITE_MAX_TOKENS) {
            r->error = -E2BIG;
            return;
        }
        struct token *tokens = realloc(r->tokens, capacity * sizeof(*tokens));
        if (!tokens) {
            r->error = -ENOMEM;
            return;
        }
        r->tokens = tokens, r->capacity = capacity;
    }
    r->tokens[r->count++] = (struct token){start, end, NO_TOKEN, (uint8_t)kind};
    r->tokens[r->count] = (struct token){end, end, NO_TOKEN, TOKEN_END};
}

/* ---- numbers */

struct number {
    uint32_t suffix; /* where the letters after the value begin */
    bool hex, floating;
};

static struct number scan_number(const char *text, uint32_t start, uint32_t end)
{
    struct number n = {0};
    uint32_t i = start;
    bool exponent = false; /* in which there are no hexadecimal digits */
    n.hex = text[i] == '0' && i + 1 < end && (text[i + 1] | 32) == 'x';
    if (n.hex)
        i += 2;
    for (; i < end; i++) {
        char c = text[i];
        bool letter = n.hex && !exponent && (c | 32) >= 'a' && (c | 32) <= 'f';
        if (c == '.')
            n.floating = true;
        else if ((c | 32) == (n.hex ? 'p' : 'e') && i + 1 < end) {
            n.floating = exponent = true;
            if (text[i + 1] == '+' || text[i + 1] == '-')
                i++;
        } else if (!is_digit(c) && c != '\'' && !letter)
            break;
    }
    n.suffix = i;
    return n;
}

/* Metal's 2LL is a long: C++'s would be of a third type that no function of the library takes. */
static void shorten_long(struct rewriter *r, uint32_t start, uint32_t suffix, uint32_t end)
{
    for (uint32_t i = suffix; i + 1 < end; i++)
        if ((r->text[i] | 32) == 'l' && r->text[i] == r->text[i + 1]) {
            rewriter_edit(r, i, 2, "L", start);
            return;
        }
}

static void rewrite_number(struct rewriter *r, uint32_t start, uint32_t end)
{
    struct number n = scan_number(r->text, start, end);
    const char *suffix = r->text + n.suffix;
    uint32_t length = end - n.suffix;
    bool half = length == 1 && (suffix[0] | 32) == 'h';
    bool bfloat = length == 2 && (suffix[0] | 32) == 'b' && (suffix[1] | 32) == 'f' && !n.hex;
    if (half || bfloat) {
        rewriter_edit(r, start, 0, half ? "((half)" : "((bfloat)", start);
        rewriter_edit(r, n.suffix, length, n.floating ? "f)" : ")", start);
    } else if (n.floating && length == 0) {
        rewriter_edit(r, end, 0, "f", start);
    } else if (n.floating && length == 1 && (suffix[0] | 32) == 'l') {
        rewriter_refuse(r, r->count - 1, "'long double' is not supported in Metal");
    } else if (!n.floating && length > 1) {
        shorten_long(r, start, n.suffix, end);
    } else if (length == 1 && (suffix[0] | 32) == 'q') {
        rewriter_refuse(r, r->count - 1, "invalid suffix '%c' on floating constant", suffix[0]);
    }
}

static uint32_t lex_number(struct rewriter *r, uint32_t i)
{
    const char *t = r->text;
    uint32_t start = i;
    bool hex = t[i] == '0' && (t[i + 1] | 32) == 'x';
    while (i < r->length) {
        char c = t[i];
        bool exponent = i > start && (t[i - 1] | 32) == (hex ? 'p' : 'e');
        bool separator = c == '\'' && i + 1 < r->length && is_word(t[i + 1]);
        if (!is_word(c) && c != '.' && !separator && !((c == '+' || c == '-') && exponent))
            break;
        i++;
    }
    add_token(r, start, i, TOKEN_NUMBER);
    if (!r->error)
        rewrite_number(r, start, i);
    return i;
}

/* ---- the rest */

static uint32_t lex_comment(struct rewriter *r, uint32_t i)
{
    const char *from = r->text + i + 2, *found;
    if (r->text[i + 1] == '/')
        found = memchr(from, '\n', r->length - i - 2);
    else
        found = memmem(from, r->length - i - 2, "*/", 2);
    if (!found)
        return r->length;
    return (uint32_t)(found - r->text) + (r->text[i + 1] == '/' ? 0 : 2);
}

static uint32_t lex_string(struct rewriter *r, uint32_t i)
{
    char quote = r->text[i];
    uint32_t start = i++;
    while (i < r->length && r->text[i] != quote && r->text[i] != '\n')
        i += r->text[i] == '\\' && i + 1 < r->length && r->text[i + 1] != '\n' ? 2 : 1;
    if (i < r->length && r->text[i] == quote)
        i++;
    add_token(r, start, i, TOKEN_STRING);
    return i;
}

static uint32_t lex_word(struct rewriter *r, uint32_t i)
{
    uint32_t start = i;
    while (i < r->length && is_word(r->text[i]))
        i++;
    add_token(r, start, i, TOKEN_WORD);
    return i;
}

static uint32_t lex_one(struct rewriter *r, uint32_t i)
{
    const char *t = r->text;
    char c = t[i], next = t[i + 1]; /* a NUL follows the text */
    if (c == '/' && (next == '/' || next == '*'))
        return lex_comment(r, i);
    if (is_digit(c) || (c == '.' && is_digit(next)))
        return lex_number(r, i);
    if (is_word(c))
        return lex_word(r, i);
    if (c == '"' || c == '\'')
        return lex_string(r, i);
    uint32_t length = (c == ':' && next == ':') || (c == '-' && next == '>') ? 2 : 1;
    add_token(r, i, i + length, TOKEN_PUNCT);
    return i + length;
}

/* Pairs the brackets. An unmatched one stays without a partner. */
static void match_brackets(struct rewriter *r)
{
    uint32_t top = NO_TOKEN; /* open brackets are a list threaded through `match` */
    for (uint32_t i = 0; i < r->count; i++) {
        if (r->tokens[i].kind != TOKEN_PUNCT || token_length(r, i) != 1)
            continue;
        char c = r->text[r->tokens[i].start];
        if (c == '(' || c == '[' || c == '{') {
            r->tokens[i].match = top;
            top = i;
        } else if ((c == ')' || c == ']' || c == '}') && top != NO_TOKEN) {
            char open = r->text[r->tokens[top].start];
            if (c != (open == '(' ? ')' : open == '[' ? ']' : '}'))
                continue;
            uint32_t below = r->tokens[top].match;
            r->tokens[top].match = i;
            r->tokens[i].match = top;
            top = below;
        }
    }
    while (top != NO_TOKEN) {
        uint32_t below = r->tokens[top].match;
        r->tokens[top].match = NO_TOKEN;
        top = below;
    }
}

void rewriter_lex(struct rewriter *r)
{
    bool line_start = true;
    uint32_t i = 0;
    while (i < r->length && !r->error) {
        char c = r->text[i];
        if (c == '\n') {
            line_start = true;
            i++;
        } else if (is_blank(c) || c == '\0') {
            i++;
        } else if (c == '#' && line_start) {
            i = rewriter_directive(r, i);
        } else {
            line_start = false;
            i = lex_one(r, i);
        }
    }
    if (!r->tokens)
        add_token(r, r->length, r->length, TOKEN_END);
    if (r->error)
        return;
    match_brackets(r);
}
