/* shader: inside functions: threadgroup variables, parameters, attributes. Compiler process,
 * hostile text. */
#include "shader/rewrite/internal.h"

void rewriter_remove_attributes(struct rewriter *r, uint32_t first, uint32_t last)
{
    for (uint32_t i = first; i <= last && i < r->count; i++) {
        if (token_attribute(r, i)) {
            uint32_t close = token_close(r, i);
            rewriter_remove(r, i, close);
            i = close;
        }
    }
}

/* True for the declaration, at statement start i, of a variable that itself lies in threadgroup
 * memory: not of a pointer or reference into it. */
static bool is_threadgroup_variable(const struct rewriter *r, uint32_t i, uint32_t end)
{
    bool found = false;
    for (; i < end; i++) {
        if (token_is(r, i, "threadgroup")) {
            found = true;
        } else if (token_is(r, i, "static")) {
            return false;
        } else if ((token_is(r, i, "__attribute__") || token_is(r, i, "alignas")) &&
                   token_punct(r, i + 1, '(')) {
            i = token_close(r, i + 1);
        } else if (token_attribute(r, i)) {
            i = token_close(r, i);
        } else if (token_punct(r, i, '<')) {
            uint32_t close = token_close_angle(r, i, end);
            if (close == NO_TOKEN)
                return false;
            i = close;
        } else if (token_punct(r, i, '*') || token_punct(r, i, '&')) {
            return false;
        } else if (token_punct(r, i, '(')) {
            return found && !token_punct(r, i + 1, '*') && !token_punct(r, i + 1, '&');
        } else if (!token_word(r, i) && !token_is(r, i, "::")) {
            return found;
        }
    }
    return false;
}

/* One variable for all threads of all dispatches there ever will be: Metal has no such thing. */
static bool is_mutable_static(const struct rewriter *r, uint32_t i, uint32_t end)
{
    if (!token_is(r, i, "static"))
        return false;
    for (; i < end && !token_punct(r, i, ';') && !token_punct(r, i, '='); i++)
        if (token_is(r, i, "constant") || token_is(r, i, "const") || token_is(r, i, "constexpr") ||
                token_is(r, i, "threadgroup") || token_punct(r, i, '('))
            return false;
    return true;
}

/* A class defined inside a function, at statement start i: its last token, or NO_TOKEN. */
static uint32_t local_class(struct rewriter *r, uint32_t i, uint32_t end)
{
    if (!token_is(r, i, "struct") && !token_is(r, i, "class") && !token_is(r, i, "union"))
        return NO_TOKEN;
    for (uint32_t j = i + 1; j < end; j++) {
        if (token_punct(r, j, '{')) {
            uint32_t close = token_close(r, j);
            rewriter_scope(r, j + 1, close, true);
            return close > j ? close : NO_TOKEN;
        }
        if (!token_word(r, j) && !token_punct(r, j, ':') && !token_punct(r, j, ','))
            return NO_TOKEN;
    }
    return NO_TOKEN;
}

/* The token that `static` goes before, of the declaration at i: no alignas(...) may follow it. */
static uint32_t after_alignments(const struct rewriter *r, uint32_t i)
{
    while (token_is(r, i, "alignas") && token_punct(r, i + 1, '('))
        i = token_close(r, i + 1) + 1;
    return i;
}

void rewriter_body(struct rewriter *r, uint32_t open, uint32_t close)
{
    bool statement = true;
    r->bodies++;
    for (uint32_t i = open + 1; i < close && !r->error; i++) {
        if (token_attribute(r, i)) {
            uint32_t last = token_close(r, i);
            rewriter_remove(r, i, last);
            i = last;
            continue;
        }
        if (statement && token_word(r, i)) {
            uint32_t last = local_class(r, i, close);
            if (last != NO_TOKEN) {
                i = last;
                statement = false;
                continue;
            }
            if (is_mutable_static(r, i, close))
                rewriter_refuse(r, i,
                        "a static variable in a function must reside in constant address space");
            if (is_threadgroup_variable(r, i, close))
                rewriter_insert_before(r, after_alignments(r, i), "static ");
        }
        statement = token_punct(r, i, '{') || token_punct(r, i, '}') || token_punct(r, i, ';');
    }
    r->bodies--;
}

/* One parameter, tokens [first, last]: `constant T name[2][3]` becomes `constant T (*name)[3]`. */
static void array_parameter(struct rewriter *r, uint32_t first, uint32_t last)
{
    bool space = false;
    for (uint32_t i = first; i <= last; i++) {
        if (token_attribute(r, i) || token_punct(r, i, '(')) {
            i = token_close(r, i);
        } else if (token_address_space(r, i)) {
            space = space || !token_is(r, i, "thread");
        } else if (token_punct(r, i, '*') || token_punct(r, i, '&')) {
            return;
        } else if (token_punct(r, i, '[')) {
            if (!space || i == first || !token_word(r, i - 1))
                return;
            rewriter_insert_before(r, i - 1, "(*");
            rewriter_edit(r, r->tokens[i].start,
                    r->tokens[token_close(r, i)].end - r->tokens[i].start, ")", r->tokens[i].start);
            return;
        }
    }
}

/* `coherent device T *p`, of Metal 3.2: all memory here is. With its scope, coherent(device), it is
 * a macro. */
void rewriter_coherent(struct rewriter *r)
{
    for (uint32_t i = 0; i + 1 < r->count; i++) {
        uint32_t next = i + 1;
        if (!token_is(r, i, "coherent"))
            continue;
        while (token_is(r, next, "const") || token_is(r, next, "volatile"))
            next++;
        if (token_address_space(r, next) ||
                (i > 0 && token_address_space(r, i - 1) && token_word(r, i + 1)))
            rewriter_remove(r, i, i);
    }
}

void rewriter_parameters(struct rewriter *r, uint32_t open, uint32_t close)
{
    uint32_t first = open + 1;
    for (uint32_t i = open + 1; i <= close && i < r->count; i++) {
        if (i == close || token_punct(r, i, ',')) {
            if (i > first)
                array_parameter(r, first, i - 1);
            first = i + 1;
        } else if (token_punct(r, i, '(') || token_punct(r, i, '[') || token_punct(r, i, '{')) {
            i = token_close(r, i);
        } else if (token_punct(r, i, '<')) {
            uint32_t end = token_close_angle(r, i, close);
            i = end == NO_TOKEN ? i : end;
        }
    }
}
