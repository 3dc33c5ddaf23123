/* shader: clang's complaints are about the rewritten text and our headers; the user gets them in
 * Apple's form about the text as it was written. Compiler process; clang's output repeats hostile
 * text, so it is only copied, never trusted. */
#include "shader/frontend/frontend.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum level { LEVEL_NOTE, LEVEL_WARNING, LEVEL_ERROR, LEVEL_FATAL };
static const char *const level_names[] = {"note", "warning", "error", "fatal error"};

#define MAX_COUNTED 1024     /* bytes of a type, within which others are looked for */
#define MAX_SHOWN_LINE 4096u /* bytes of a source line that are shown */

struct point {
    uint32_t line, column;
};

/* One line of clang's, with -fno-caret-diagnostics -fdiagnostics-print-source-range-info. */
struct complaint {
    enum level level;
    bool own;       /* in the rewritten text, rather than in our headers or nowhere */
    uint32_t entry; /* own, and at kernel entry - 1's name; 0: at `at` */
    struct point at;
    struct point ranges[2][2];
    unsigned range_count;
    const char *message;
    size_t message_bytes;
};

static const char *read_number(const char *p, uint32_t *ret)
{
    uint32_t n = 0;
    if (*p < '0' || *p > '9')
        return NULL;
    for (; *p >= '0' && *p <= '9'; p++)
        n = n * 10 + (uint32_t)(*p - '0');
    *ret = n;
    return p;
}

/* "12:5" */
static const char *read_point(const char *p, struct point *ret)
{
    p = read_number(p, &ret->line);
    if (!p || *p != ':')
        return NULL;
    return read_number(p + 1, &ret->column);
}

/* ":{12:1-12:9}{12:14-12:20}" */
static const char *read_ranges(const char *p, struct complaint *c)
{
    if (p[0] != ':' || p[1] != '{')
        return p;
    for (p++; *p == '{';) {
        struct point from, to;
        const char *q = read_point(p + 1, &from);
        if (!q || *q != '-' || !(q = read_point(q + 1, &to)) || *q != '}')
            return p;
        if (c->range_count < 2) {
            c->ranges[c->range_count][0] = from;
            c->ranges[c->range_count++][1] = to;
        }
        p = q + 1;
    }
    return p;
}

static bool read_level(const char *p, const char *end, struct complaint *c)
{
    for (unsigned level = 0; level < ABX_ARRAY_SIZE(level_names); level++) {
        size_t n = strlen(level_names[level]);
        if ((size_t)(end - p) < n + 2 || memcmp(p, level_names[level], n) || memcmp(p + n, ": ", 2))
            continue;
        c->level = level;
        c->message = p + n + 2;
        c->message_bytes = (size_t)(end - c->message);
        return true;
    }
    return false;
}

/* After the rewritten text's name: it came through a pipe, and once it has become a precompiled
 * header, clang puts the folder it ran in before that. */
static const char *after_text_name(const char *p, const char *end)
{
    static const char name[] = "/<stdin>:";
    size_t bytes = sizeof(name) - 1;
    if (*p == '<')
        return (size_t)(end - p) >= bytes - 1 && !memcmp(p, name + 1, bytes - 1) ? p + bytes - 1
                                                                                 : NULL;
    const char *at = *p == '/' ? memmem(p, (size_t)(end - p), name, bytes) : NULL;
    return at ? at + bytes : NULL;
}

/* "anything: error: message" of a place that is neither the text nor ours: what is wrong is told
 * without it. */
static bool read_elsewhere(const char *p, const char *end, struct complaint *c)
{
    for (; (p = memmem(p, (size_t)(end - p), ": ", 2)); p += 2)
        if (read_level(p + 2, end, c) && c->level >= LEVEL_ERROR)
            return true;
    return false;
}

/* Reads the next complaint at or after *at; lines that are none ("2 errors generated.") are
 * skipped.
 */
static bool read_complaint(const char **at, struct complaint *c)
{
    while (**at) {
        const char *p = *at, *end = strchrnul(p, '\n');
        *at = *end ? end + 1 : end;
        *c = (struct complaint){0};
        const char *own = after_text_name(p, end);
        if (own || !strncmp(p, ENTRY_NAME ":", strlen(ENTRY_NAME ":"))) {
            const char *q = read_point(own ? own : p + strlen(ENTRY_NAME ":"), &c->at);
            if (!q)
                continue;
            q = read_ranges(q, c);
            c->own = true;
            if (!own)
                c->entry = c->at.line, c->range_count = 0;
            if (q[0] == ':' && q[1] == ' ' && read_level(q + 2, end, c))
                return true;
        } else if (!strncmp(p, "/msl/", 5)) {
            const char *q = strchr(p, ':');
            if (!q || q > end || !(q = read_point(q + 1, &c->at)))
                continue;
            q = read_ranges(q, c);
            if (q[0] == ':' && q[1] == ' ' && read_level(q + 2, end, c))
                return true;
        } else if (read_level(p, end, c) || read_elsewhere(p, end, c)) {
            return true;
        }
    }
    return false;
}

static size_t find_position(const char *text, size_t bytes, struct point at)
{
    const char *p = text, *end = text + bytes;
    for (uint32_t line = 1; line < at.line; line++) {
        p = memchr(p, '\n', (size_t)(end - p));
        if (!p)
            return bytes;
        p++;
    }
    size_t position = (size_t)(p - text) + (at.column ? at.column - 1 : 0);
    return position < bytes ? position : bytes;
}

/* ---- writing them */

/* How clang spells what the shim made of Metal's own words. */
static const char *const spellings[][2] = {
        {"const __global_host ", "constant "},
        {"__global_host ", "constant "},
        {"__global_device ", "device "},
        {"__local ", "threadgroup "},
        {"address space '__global_host'", "address space 'constant'"},
        {"address space '__global_device'", "address space 'device'"},
        {"address space '__local'", "address space 'threadgroup'"},
        {"generic address space", "address space 'thread'"},
        {" (aka '_Float16')", ""},
        {" (aka '__bf16')", ""},
        {"_Float16", "half"},
        {"__bf16", "bfloat"},
        {"metal::vec<", "vec<"},
        {"variable length arrays in C++ are a Clang extension [-Werror,-Wvla-cxx-extension]",
                "variable length arrays are not supported in Metal"},
        {"#pragma clang fp", "#pragma METAL fp"},
};

static void add_message(struct abx_string *to, const char *message, size_t bytes);

/* The class of an array's type that stands for a template of a type and a count (shim/vec.h):
 * "metal::__vec<float[4]>" at `at` becomes "vec<float, 4>". What is left after it; `at` when it is
 * none. */
static const char *add_counted(struct abx_string *to, const char *at, const char *end)
{
    static const char *const names[] = {"vec", "packed_vec", "array"};
    for (size_t k = 0; k < ABX_ARRAY_SIZE(names); k++) {
        char head[32];
        int n = snprintf(head, sizeof(head), "__%s<", names[k]);
        const char *type = at, *close = NULL, *open = NULL;
        if (end - type > 7 && !memcmp(type, "metal::", 7))
            type += 7;
        if (end - type < n || memcmp(type, head, (size_t)n))
            continue;
        type += n;
        int depth = 0;
        for (close = type; close < end && close - type < MAX_COUNTED && depth >= 0; close++)
            depth += *close == '<' ? 1 : *close == '>' ? -1 : 0;
        open = depth < 0 && close - type > 1 && close[-2] == ']' ? close - 2 : NULL;
        while (open && open > type && *open != '[')
            open--;
        if (!open || open == type)
            return at;
        abx_string_printf(to, "%s<", names[k]);
        add_message(to, type, (size_t)(open - type));
        abx_string_printf(to, ", %.*s>", (int)(close - open) - 3, open + 1);
        return close;
    }
    return at;
}

/* " (aka 'vec<type-parameter-0-0, N>')" says nothing; what is behind it, `at` otherwise. */
static const char *skip_aka(const char *at, const char *end)
{
    const char *close = end - at > 7 && !memcmp(at, " (aka '", 7)
                                ? memmem(at, (size_t)(end - at), "')", 2)
                                : NULL;
    return close && memmem(at, (size_t)(close - at), "type-parameter-", 15) ? close + 2 : at;
}

static void add_message(struct abx_string *to, const char *message, size_t bytes)
{
    const char *end = message + bytes;
    while (message < end) {
        const char *next = skip_aka(message, end);
        if (next == message)
            next = add_counted(to, message, end);
        size_t k = 0, n = 0;
        if (next != message) {
            message = next;
            continue;
        }
        for (; k < ABX_ARRAY_SIZE(spellings); k++) {
            n = strlen(spellings[k][0]);
            if ((size_t)(end - message) >= n && !memcmp(message, spellings[k][0], n))
                break;
        }
        if (k < ABX_ARRAY_SIZE(spellings)) {
            abx_string_add(to, spellings[k][1], strlen(spellings[k][1]));
            message += n;
        } else {
            abx_string_add(to, message++, 1);
        }
    }
}

/* The source line and the caret under its column, tabs as clang shows them. */
static void add_line(struct abx_string *to, const struct place *place)
{
    size_t bytes = place->text_bytes < MAX_SHOWN_LINE ? place->text_bytes : MAX_SHOWN_LINE;
    size_t caret = place->column - 1, width = 0;
    struct abx_string indent = {0};
    for (size_t i = 0; i < bytes; i++) {
        size_t cells = place->text[i] == '\t' ? 8 - width % 8 : 1;
        if (place->text[i] == '\r')
            continue;
        if (place->text[i] == '\t')
            abx_string_printf(to, "%*s", (int)cells, "");
        else
            abx_string_add(to, place->text + i, 1);
        /* A byte that continues a character takes no place. */
        if (i < caret && ((unsigned char)place->text[i] & 0xc0) != 0x80)
            abx_string_printf(&indent, "%*s", (int)cells, "");
        width += cells;
    }
    abx_string_printf(to, "\n%s^\n", indent.data ? indent.data : "");
    abx_string_finish(&indent);
}

/* "file:line:column: level: message" */
static void add_head(struct abx_string *to, const struct place *place, enum level level,
        const char *message, size_t bytes)
{
    if (place)
        abx_string_printf(to, "%.*s:%u:%u: ", (int)place->file_bytes, place->file, place->line,
                place->column);
    abx_string_printf(to, "%s: ", level_names[level]);
    add_message(to, message, bytes);
    abx_string_add(to, "\n", 1);
}

static void add_complaint(struct diagnosed *d, const struct place *place, enum level level,
        const char *message, size_t bytes)
{
    if (d->text.length > ABX_SHADER_MAX_MESSAGE_BYTES / 2)
        return;
    add_head(&d->text, place, level, message, bytes);
    if (place)
        add_line(&d->text, place);
}

/* An error inside our headers is shown where the user's text led there: at the first note that
 * follows and points into it. */
static bool find_origin(const char *after, struct complaint *ret)
{
    struct complaint note;
    while (read_complaint(&after, &note) && note.level == LEVEL_NOTE) {
        if (note.own) {
            *ret = note;
            return true;
        }
    }
    return false;
}

/* A kernel whose parameters fit nothing makes our headers complain in words that mean nothing to
 * the user. */
static bool is_internal(const struct complaint *c)
{
    return memmem(c->message, c->message_bytes, "__abx::", 7) ||
           memmem(c->message, c->message_bytes, "__msl::", 7);
}

static const char bad_parameters[] =
        "a kernel's parameters must be pointers or references to device, constant or threadgroup "
        "memory, or have the attribute of a built-in variable";

static struct place locate(
        const struct line_map *map, const struct abx_rewrite *rewrite, const struct complaint *c)
{
    if (c->entry && c->entry <= rewrite->kernel_count)
        return line_map_find(map, rewrite->kernels[c->entry - 1].position);
    size_t position = find_position(rewrite->text, rewrite->text_length, c->at);
    return line_map_find(map, abx_rewrite_locate(rewrite, position));
}

/* Instantiations of one template repeat what is wrong with it. */
static bool was_said(
        const struct diagnosed *d, const struct place *place, const struct complaint *c)
{
    struct abx_string line = {0};
    add_head(&line, place, c->level, c->message, c->message_bytes);
    const char *at = line.data && d->text.data ? strstr(d->text.data, line.data) : NULL;
    bool said = at && (at == d->text.data || at[-1] == '\n');
    abx_string_finish(&line);
    return said;
}

#define LIBRARY_NAME "metal_stdlib"
#define MAX_CANDIDATES 16u /* of our headers, an error */

/* Functions of ours that a call does not fit: which and why, without a place that the user could
 * look at. Those that are there for our own purposes are not told of. */
static bool add_candidate(struct diagnosed *d, const struct complaint *c)
{
    static const char *const internal[] = {"__abx", "__msl", "__MSL", "__mixes", "__raw", "__schar",
            "__llong", "__ullong", "__flags", "None =", "(the implicit ", "volatile"};
    bool reason = memmem(c->message, c->message_bytes, "viable", 6) ||
                  memmem(c->message, c->message_bytes, "ignored", 7);
    if (!c->at.line || c->message_bytes < 10 || memcmp(c->message, "candidate ", 10) || !reason ||
            d->text.length > ABX_SHADER_MAX_MESSAGE_BYTES / 2)
        return false;
    for (size_t i = 0; i < ABX_ARRAY_SIZE(internal); i++)
        if (memmem(c->message, c->message_bytes, internal[i], strlen(internal[i])))
            return false;
    abx_string_printf(&d->text, LIBRARY_NAME ": ");
    add_head(&d->text, NULL, c->level, c->message, c->message_bytes);
    return true;
}

/* An error or a warning; true when it is shown, and so its notes are. `rest` follows it. */
static bool diagnose_one(struct diagnosed *d, const struct line_map *map,
        const struct abx_rewrite *rewrite, struct complaint *c, const char *rest)
{
    struct complaint origin;
    bool placed = c->own;
    if (!c->own && c->level < LEVEL_ERROR)
        return false;
    if (!placed && c->at.line && find_origin(rest, &origin)) {
        placed = true;
        c->at = origin.at;
        c->entry = origin.entry;
    }
    bool internal = c->level >= LEVEL_ERROR && placed && is_internal(c);
    if (internal) {
        c->message = bad_parameters;
        c->message_bytes = strlen(bad_parameters);
    }
    struct place place;
    if (placed)
        place = locate(map, rewrite, c);
    if (was_said(d, placed ? &place : NULL, c))
        return false;
    d->errors += c->level >= LEVEL_ERROR;
    d->warnings += c->level == LEVEL_WARNING;
    add_complaint(d, placed ? &place : NULL, c->level, c->message, c->message_bytes);
    return !internal;
}

static bool says(const struct complaint *c, const char *what)
{
    return memmem(c->message, c->message_bytes, what, strlen(what));
}

static bool message_is(const struct complaint *c, const char *start)
{
    return c->message_bytes >= strlen(start) && !memcmp(c->message, start, strlen(start));
}

/* What clang says with -Wdouble-promotion and -Wimplicit-float-conversion: of some types it is an
 * error, otherwise none of the user's business. (Constants that a bfloat can hold are not told of:
 * those pass, though not on a Mac.) */
static bool is_conversion(struct complaint *c)
{
    static const char mixed[] =
            "half and bfloat cannot be operands of one operation; convert one of them";
    static const char narrowed[] =
            "'bfloat' cannot be given a value of type 'float' without a conversion";
    bool widens = message_is(c, "implicit conversion increases floating-point precision");
    bool narrows =
            message_is(c, "implicit conversion ") && says(c, "loses floating-point precision");
    const char *message = NULL, *to = memmem(c->message, c->message_bytes, "' to '", 6);
    if (c->level != LEVEL_WARNING || (!widens && !narrows))
        return false;
    if (widens && says(c, "__bf16") && says(c, "_Float16"))
        message = mixed;
    else if (narrows && to && memmem(to, (size_t)(c->message + c->message_bytes - to), "__bf16", 6))
        message = narrowed;
    if (message) {
        c->level = LEVEL_ERROR;
        c->message = message;
        c->message_bytes = strlen(message);
    }
    return true;
}

void diagnose(struct diagnosed *d, const struct line_map *map, const struct abx_rewrite *rewrite,
        const char *errors)
{
    struct complaint c;
    bool shown = true;
    unsigned candidates = 0; /* of the same error */
    while (read_complaint(&errors, &c)) {
        if (is_conversion(&c) && c.level == LEVEL_WARNING) {
            shown = false;
        } else if (c.level != LEVEL_NOTE) {
            if (c.level >= LEVEL_ERROR && d->errors >= ABX_SHADER_MAX_ERRORS) {
                abx_string_printf(&d->text, "fatal error: too many errors emitted, stopping now\n");
                return;
            }
            shown = diagnose_one(d, map, rewrite, &c, errors);
            candidates = 0;
        } else if (shown && !c.own) {
            if (candidates < MAX_CANDIDATES)
                candidates += add_candidate(d, &c);
        } else if (shown && c.own && !is_internal(&c)) {
            struct place place = locate(map, rewrite, &c);
            add_complaint(d, &place, c.level, c.message, c.message_bytes);
        }
    }
}

void diagnose_at(
        struct diagnosed *d, const struct line_map *map, size_t position, const char *message)
{
    struct place place = line_map_find(map, position);
    add_complaint(d, &place, LEVEL_ERROR, message, strlen(message));
    d->errors++;
}

void diagnose_refusals(
        struct diagnosed *d, const struct line_map *map, const struct abx_rewrite *rewrite)
{
    for (uint32_t i = 0; i < rewrite->refusal_count; i++)
        diagnose_at(d, map, rewrite->refusals[i].position, rewrite->refusals[i].message);
}

/* ---- what is amended
 *
 * Where Metal gives a meaning to what C++ does not, clang's complaint tells the place, and the text
 * is changed there and compiled again. */

static int compare_ranges(const void *a, const void *b)
{
    return memcmp(a, b, 2 * sizeof(size_t));
}

#define MAX_AMENDMENTS 256u /* a round; the next round finds the rest */

struct amendments {
    size_t found[MAX_AMENDMENTS][2]; /* output ranges */
    unsigned count;
};

static void add_range(struct amendments *a, size_t from, size_t to)
{
    if (a->count < MAX_AMENDMENTS) {
        a->found[a->count][0] = from;
        a->found[a->count++][1] = to;
    }
}

/* Operands that clang could not bring to one type: ?: between an lvalue in an address space and a
 * value. */
static void find_operands(
        struct amendments *a, const struct abx_rewrite *rewrite, const struct complaint *c)
{
    if (c->range_count != 2 || !says(c, "incompatible operand types ("))
        return;
    for (int k = 0; k < 2; k++)
        add_range(a, find_position(rewrite->text, rewrite->text_length, c->ranges[k][0]),
                find_position(rewrite->text, rewrite->text_length, c->ranges[k][1]));
}

/* Constant shift counts that C++ has no result for: warnings, and notes on why an expression is no
 * constant. All of them are at the operator. */
static void find_shifts(
        struct amendments *a, const struct abx_rewrite *rewrite, const struct complaint *c)
{
    if (!says(c, "shift count"))
        return;
    size_t at = find_position(rewrite->text, rewrite->text_length, c->at);
    const char *text = rewrite->text + at;
    if (strncmp(text, "<<", 2) && strncmp(text, ">>", 2))
        return;
    add_range(a, at, at + (text[2] == '=' ? 3 : 2));
}

/* The count becomes one modulo the width; see shim/base.h. */
static const char *shift_text(const struct abx_rewrite *rewrite, const size_t range[2])
{
    return range[1] - range[0] == 3         ? " __msl_modulo ="
           : rewrite->text[range[0]] == '<' ? " __msl_modulo <<"
                                            : " __msl_modulo >>";
}

/* A text that initialises a pointer: an element of an array, or a member. */
static void find_texts(
        struct amendments *a, const struct abx_rewrite *rewrite, const struct complaint *c)
{
    if (!message_is(c, "cannot initialize ") || !says(c, "char *") ||
            !says(c, "with an lvalue of type 'const char[") || c->range_count != 1)
        return;
    size_t from = find_position(rewrite->text, rewrite->text_length, c->ranges[0][0]);
    if (rewrite->text[from] == '"')
        add_range(a, from, find_position(rewrite->text, rewrite->text_length, c->ranges[0][1]));
}

enum amendment { OPERANDS, SHIFTS, TEXTS };

static unsigned amend(struct abx_rewrite *rewrite, struct amendments *a, enum amendment what,
        const char *text, size_t text_bytes)
{
    static const char *const before[] = {"__msl_rvalue(", "", "__msl_text("};
    unsigned amended = 0;
    /* Instantiations of one template complain about the same place. */
    qsort(a->found, a->count, sizeof(a->found[0]), compare_ranges);
    for (unsigned i = 0; i < a->count; i++) {
        const size_t *range = a->found[i];
        if (i > 0 && !compare_ranges(range, a->found[i - 1]))
            continue;
        amended += !abx_rewrite_wrap(rewrite, text, text_bytes, range[0], range[1], before[what],
                what == SHIFTS ? shift_text(rewrite, range) : ")");
    }
    return amended;
}

unsigned amend_text(
        struct abx_rewrite *rewrite, const char *text, size_t text_bytes, const char *errors)
{
    struct amendments operands = {.count = 0}, shifts = {.count = 0}, texts = {.count = 0};
    struct complaint c;
    while (read_complaint(&errors, &c)) {
        if (!c.own || c.entry)
            continue;
        find_operands(&operands, rewrite, &c);
        find_shifts(&shifts, rewrite, &c);
        find_texts(&texts, rewrite, &c);
    }
    unsigned amended = amend(rewrite, &operands, OPERANDS, text, text_bytes);
    amended += amend(rewrite, &shifts, SHIFTS, text, text_bytes);
    amended += amend(rewrite, &texts, TEXTS, text, text_bytes);
    if (amended && abx_rewrite_rebuild(rewrite, text, text_bytes))
        return 0;
    return amended;
}
