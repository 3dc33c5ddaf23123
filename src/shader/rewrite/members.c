/* shader: lists the data members of classes for shim/members.h, which makes the compiler tell their
 * types and places. A class with anything not understood is left alone: its kernels compile, only
 * its members are not known. Compiler process, hostile text. */
#include "shader/rewrite/internal.h"

#define MAX_HEAD 512u /* tokens before a class's brace that are looked at */

struct class_members {
    struct abx_string text; /* __MSL_MEMBER(...) of each so far */
    bool unknown;
};

/* ---- one member */

/* Words of declarations in a class that are no data members. */
static bool is_no_member(const struct rewriter *r, uint32_t i)
{
    static const char *const words[] = {"typedef", "using", "static", "friend", "enum", "template",
            "constexpr", "static_assert", "inline", "extern"};
    for (size_t k = 0; k < ABX_ARRAY_SIZE(words); k++)
        if (token_is(r, i, words[k]))
            return true;
    return false;
}

static bool is_class_keyword(const struct rewriter *r, uint32_t i)
{
    return token_is(r, i, "struct") || token_is(r, i, "class") || token_is(r, i, "union");
}

/* Words beside the type and the name. */
static bool is_specifier(const struct rewriter *r, uint32_t i)
{
    return token_address_space(r, i) || is_class_keyword(r, i) || token_is(r, i, "const") ||
           token_is(r, i, "volatile") || token_is(r, i, "mutable") || token_is(r, i, "typename") ||
           token_is(r, i, "coherent") || token_is(r, i, "restrict") || token_is(r, i, "__restrict");
}

static bool takes_parentheses(const struct rewriter *r, uint32_t i)
{
    return (token_is(r, i, "alignas") || token_is(r, i, "__attribute__") ||
                   token_is(r, i, "decltype")) &&
           token_punct(r, i + 1, '(');
}

struct member {
    uint32_t words; /* of type and name, without specifiers */
    uint32_t name, id_first, id_last;
};

static void note(struct rewriter *r, struct class_members *m, const struct member *one)
{
    struct abx_string id = {0};
    if (one->words < 2 || one->name == NO_TOKEN) /* `struct Other;`, or all of it is the type */
        return;
    if (one->id_first != NO_TOKEN)
        rewriter_append(r, &id, one->id_first, one->id_last);
    abx_string_printf(&m->text, "__MSL_MEMBER(%.*s, (%s)) ", (int)token_length(r, one->name),
            r->text + r->tokens[one->name].start, id.length ? id.data : "-1");
    if (m->text.failed || id.failed)
        r->error = -ENOMEM;
    abx_string_finish(&id);
}

/* [[id(n)]] */
static void read_id(const struct rewriter *r, uint32_t open, struct member *one)
{
    for (uint32_t i = open + 2, close = token_close(r, open); i < close; i++)
        if (token_is(r, i, "id") && token_punct(r, i + 1, '(') && token_close(r, i + 1) > i + 2) {
            one->id_first = i + 2;
            one->id_last = token_close(r, i + 1) - 1;
        }
}

/* The comma or semicolon after an initialiser. */
static uint32_t skip_initialiser(const struct rewriter *r, uint32_t i, uint32_t end)
{
    for (; i < end && !token_punct(r, i, ',') && !token_punct(r, i, ';'); i++) {
        if (token_punct(r, i, '(') || token_punct(r, i, '[') || token_punct(r, i, '{')) {
            i = token_close(r, i);
        } else if (token_punct(r, i, '<')) {
            uint32_t close = token_close_angle(r, i, end);
            i = close == NO_TOKEN ? i : close;
        }
    }
    return i;
}

void rewriter_note_member(struct rewriter *r, const struct declaration *d)
{
    struct class_members *m = r->members;
    if (!m || m->unknown || !token_punct(r, d->end, ';'))
        return;
    struct member one = {0, NO_TOKEN, NO_TOKEN, NO_TOKEN};
    uint32_t type_words = 0; /* those before the first name, for the next one after a comma */
    for (uint32_t i = d->start; i <= d->end && !r->error; i++) {
        if (token_attribute(r, i)) {
            read_id(r, i, &one);
            i = token_close(r, i);
        } else if (takes_parentheses(r, i)) {
            one.words += token_is(r, i, "decltype");
            i = token_close(r, i + 1);
        } else if (is_no_member(r, i)) {
            return;
        } else if (token_word(r, i)) {
            if (!is_specifier(r, i))
                one.words++, one.name = i;
        } else if (token_punct(r, i, '[') || token_punct(r, i, '{')) {
            i = token_close(r, i);
        } else if (token_punct(r, i, '<')) {
            uint32_t close = token_close_angle(r, i, d->end);
            i = close == NO_TOKEN ? i : close;
        } else if (token_punct(r, i, '(') || token_punct(r, i, '&') || token_punct(r, i, ':')) {
            m->unknown = true; /* a function's address, a reference, a bit field */
            return;
        } else if (token_punct(r, i, '=')) {
            i = skip_initialiser(r, i, d->end) - 1;
        } else if (token_punct(r, i, ',') || token_punct(r, i, ';')) {
            note(r, m, &one);
            type_words = type_words || !one.words ? type_words : one.words - 1;
            one = (struct member){type_words, NO_TOKEN, NO_TOKEN, NO_TOKEN};
        }
    }
}

/* ---- the class */

/* The token of a class's name; `open` when it has none, NO_TOKEN when it is no class. */
static uint32_t name_of(
        const struct rewriter *r, uint32_t start, uint32_t open, uint32_t *ret_keyword)
{
    uint32_t keyword = NO_TOKEN;
    if (open - start > MAX_HEAD) /* `struct {} struct {} ...` is one declaration */
        start = open - MAX_HEAD;
    for (uint32_t i = start; i < open; i++)
        if (token_punct(r, i, '<')) {
            uint32_t end = token_close_angle(r, i, open);
            i = end == NO_TOKEN ? i : end;
        } else if (is_class_keyword(r, i)) {
            keyword = i;
        }
    *ret_keyword = keyword;
    if (keyword == NO_TOKEN)
        return NO_TOKEN;
    uint32_t name = keyword + 1;
    while (name < open && (token_attribute(r, name) || takes_parentheses(r, name)))
        name = token_close(r, token_attribute(r, name) ? name : name + 1) + 1;
    return name < open ? name : open;
}

/* True when something can be appended to the class: it has a name, perhaps given now.
 * `typedef struct { ... } Name;` names nothing that C++ lets a method table stand in. */
static bool has_name(struct rewriter *r, uint32_t start, uint32_t open, uint32_t close,
        uint32_t keyword, uint32_t name)
{
    if (name == NO_TOKEN)
        return false;
    if (name < open)
        return token_word(r, name);
    if (!token_is(r, start, "typedef") || name != keyword + 1 || !token_word(r, close + 1) ||
            !token_punct(r, close + 2, ';'))
        return false;
    rewriter_insert_after(r, keyword,
            rewriter_format(r, " %.*s", (int)token_length(r, close + 1),
                    r->text + r->tokens[close + 1].start),
            close + 1);
    return true;
}

void rewriter_class(struct rewriter *r, uint32_t start, uint32_t open, uint32_t close)
{
    struct class_members own = {0}, *outer = r->members;
    struct class_object *object = r->object;
    uint32_t outer_name = r->class_name, keyword, name = name_of(r, start, open, &keyword);
    /* Classes inside functions or extern "C" may not have templates of their own. */
    bool wanted = !r->bodies && !r->linkages && close > open &&
                  has_name(r, start, open, close, keyword, name);
    r->members = wanted ? &own : NULL;
    r->class_name = name < open && token_word(r, name) ? name : NO_TOKEN;
    /* A class without a name lends its members to the one around it. */
    if (r->class_name != NO_TOKEN && !r->bodies)
        r->object = rewriter_object_begin(r, name, open);
    rewriter_scope(r, open + 1, close, true);
    r->object = object;
    r->members = outer;
    r->class_name = outer_name;
    if (wanted && own.text.length && !own.unknown && !r->error)
        rewriter_insert_before(r, close, rewriter_format(r, " __MSL_MEMBERS(%s) ", own.text.data));
    abx_string_finish(&own.text);
}
