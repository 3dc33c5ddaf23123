/* shader: lines that begin with #. Compiler process, hostile text.
 *
 * Metal's floating point pragmas become clang's. Clang's state of them is per operation: in the
 * modes relaxed and fast the text starts with reassociate(on), and what a program excludes with
 * math_mode(safe) is left without; codegen/relax.c goes by that. */
#include "shader/rewrite/internal.h"

#include <string.h>

#define FP_RELAXED "clang fp reassociate(on) reciprocal(on) contract(fast)"
#define FP_SAFE "clang fp reassociate(off) reciprocal(off) contract(on)"

struct range {
    const char *text, *end;
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

static bool is_word(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static void skip_blanks(struct range *p)
{
    while (p->text < p->end && is_blank(*p->text))
        p->text++;
}

/* Takes the word, and what blanks follow it, off the front. */
static bool take(struct range *p, const char *word)
{
    size_t length = strlen(word);
    if ((size_t)(p->end - p->text) < length || memcmp(p->text, word, length))
        return false;
    if (is_word(word[length - 1]) && p->text + length < p->end && is_word(p->text[length]))
        return false;
    p->text += length;
    skip_blanks(p);
    return true;
}

static size_t word_length(struct range p)
{
    size_t n = 0;
    while (p.text + n < p.end && is_word(p.text[n]))
        n++;
    return n;
}

/* Kept: hints on loops and floating point, and what to warn of. After preprocessing, a macro's name
 * as the count of `#pragma unroll` is unknown; then the hint is dropped. */
static bool keep_pragma(struct range p)
{
    static const char *const kept[][2] = {{"clang", "loop"}, {"clang", "fp"},
            {"clang", "diagnostic"}, {"nounroll", ""}, {"STDC", "FP_CONTRACT"}};
    for (size_t i = 0; i < ABX_ARRAY_SIZE(kept); i++) {
        struct range rest = p;
        if (take(&rest, kept[i][0]) && (!*kept[i][1] || take(&rest, kept[i][1])))
            return true;
    }
    if (!take(&p, "unroll"))
        return false;
    for (; p.text < p.end; p.text++)
        if (!(*p.text >= '0' && *p.text <= '9') && !is_blank(*p.text) && *p.text != '(' &&
                *p.text != ')')
            return false;
    return true;
}

/* What a program does not want to be warned of, without the complaints that the front end itself
 * goes by (frontend/diag.c); NULL when it may stay as it is. */
static const char *ignored_warning(struct rewriter *r, struct range p)
{
    if (!take(&p, "clang") || !take(&p, "diagnostic") || !take(&p, "ignored") || !take(&p, "\""))
        return NULL;
    const char *end = memchr(p.text, '"', (size_t)(p.end - p.text));
    if (!end || memchr(p.text, '\\', (size_t)(end - p.text)))
        return NULL;
    return rewriter_format(r,
            "_Pragma(\"clang diagnostic ignored \\\"%.*s\\\"\") "
            "_Pragma(\"clang diagnostic warning \\\"-Wshift-count-overflow\\\"\") "
            "_Pragma(\"clang diagnostic warning \\\"-Wshift-count-negative\\\"\")",
            (int)(end - p.text), p.text);
}

/* `option(value)` at the front of what follows `#pragma METAL fp`: clang's words for it, or NULL
 * when it is refused. Its length is taken off. */
static const char *metal_fp_option(struct rewriter *r, uint32_t directive, struct range *p)
{
    static const struct {
        const char *option, *value, *clang;
    } known[] = {{"math_mode", "safe", FP_SAFE}, {"math_mode", "relaxed", FP_RELAXED},
            {"math_mode", "fast", FP_RELAXED}, {"contract", "off", "clang fp contract(off)"},
            {"contract", "on", "clang fp contract(on)"},
            {"contract", "fast", "clang fp contract(fast)"},
            {"reassociate", "off", "clang fp reassociate(off)"},
            {"reassociate", "on", "clang fp reassociate(on)"}};
    bool option = false;
    for (size_t i = 0; i < ABX_ARRAY_SIZE(known); i++) {
        struct range rest = *p;
        if (!take(&rest, known[i].option) || !take(&rest, "("))
            continue;
        option = true;
        if (take(&rest, known[i].value) && take(&rest, ")")) {
            *p = rest;
            return known[i].clang;
        }
    }
    size_t length = word_length(*p);
    length = length > 64 ? 64 : length;
    rewriter_refuse_at(r, directive,
            option ? "unexpected argument to '#pragma METAL fp %.*s'"
                   : "invalid option '%.*s' to '#pragma METAL fp'; expected 'math_mode', "
                     "'contract' or 'reassociate'",
            (int)length, p->text);
    return NULL;
}

/* As operators, so that it does not matter where on a line they end up. */
static const char *metal_fp(struct rewriter *r, uint32_t directive, struct range p)
{
    const char *all = "";
    do {
        const char *words = metal_fp_option(r, directive, &p);
        if (!words)
            return NULL;
        all = rewriter_format(r, "%s _Pragma(\"%s\")", all, words);
    } while (p.text < p.end && is_word(*p.text));
    return all;
}

/* What <metal_tensor> and others leave in the text (build_shim.py): the header of the shim, which
 * the precompiled one has not. NULL: no such pragma, or no such header. */
static const char *read_header(struct rewriter *r, struct range p)
{
    static const char *const headers[] = {"tensor", "cooperative", "primitives"};
    if (!take(&p, "__abx_read"))
        return NULL;
    for (size_t i = 0; i < ABX_ARRAY_SIZE(headers); i++)
        if (take(&p, headers[i]) && p.text == p.end)
            return rewriter_format(r, "#include \"/msl/shim/%s.h\"", headers[i]);
    return NULL;
}

/* Line markers and #include go (the text keeps its physical lines, frontend/lines.c reads the
 * markers itself), as do pragmas that are not ours to obey. */
uint32_t rewriter_directive(struct rewriter *r, uint32_t at)
{
    const char *line = memchr(r->text + at, '\n', r->length - at);
    uint32_t end = line ? (uint32_t)(line - r->text) : r->length;
    struct range p = {r->text + at + 1, r->text + end};
    const char *replacement = NULL;
    skip_blanks(&p);
    if (take(&p, "pragma")) {
        struct range metal = p;
        bool first_line = !memchr(r->text, '\n', at);
        if (take(&metal, "METAL") && take(&metal, "fp"))
            replacement = metal_fp(r, at, metal);
        else if ((replacement = ignored_warning(r, p)) || (replacement = read_header(r, p)))
            ;
        else if (keep_pragma(p) && !first_line)
            return end;
        else if (keep_pragma(p) && !memchr(p.text, '"', (size_t)(p.end - p.text)) &&
                 !memchr(p.text, '\\', (size_t)(p.end - p.text)))
            /* Something may be inserted before it: rewriter_relax(). */
            replacement = rewriter_format(r, "_Pragma(\"%.*s\")", (int)(p.end - p.text), p.text);
    }
    rewriter_edit(r, at, end - at, replacement, at);
    return end;
}

void rewriter_relax(struct rewriter *r)
{
    rewriter_edit(r, 0, 0, "_Pragma(\"" FP_RELAXED "\") ", 0);
}
