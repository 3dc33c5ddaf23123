/* cli: finds a string in JSON text. Reads what container engines write; malformed text is "not
 * there". */
#include "cli/json.h"
#include "cli/cli.h"

#include <stdlib.h>
#include <string.h>

#define MAX_NESTING 64

static const char *skip_space(const char *p)
{
    return p + strspn(p, " \t\r\n");
}

/* p at the opening quote; the place after the closing one, or NULL. */
static const char *skip_string(const char *p)
{
    for (p++; *p && *p != '"'; p++)
        if (*p == '\\' && !*++p)
            return NULL;
    return *p ? p + 1 : NULL;
}

static const char *skip_value(const char *p, int depth);

static const char *skip_members(const char *p, char end, int depth)
{
    p = skip_space(p + 1);
    while (p && *p != end) {
        if (end == '}') {
            if (*p != '"' || !(p = skip_string(p)))
                return NULL;
            p = skip_space(p);
            if (*p++ != ':')
                return NULL;
        }
        p = skip_value(skip_space(p), depth + 1);
        if (!p)
            return NULL;
        p = skip_space(p);
        if (*p == ',')
            p = skip_space(p + 1);
        else if (*p != end)
            return NULL;
    }
    return p ? p + 1 : NULL;
}

static const char *skip_value(const char *p, int depth)
{
    if (depth > MAX_NESTING)
        return NULL;
    switch (*p) {
    case '"':
        return skip_string(p);
    case '{':
        return skip_members(p, '}', depth);
    case '[':
        return skip_members(p, ']', depth);
    default: {
        size_t n = strspn(p, "+-.0123456789abcdefghijklmnopqrstuvwxyzE");
        return n ? p + n : NULL;
    }
    }
}

/* Escapes below U+0080 only: paths and identifiers hold no others. */
static char *copy_string(const char *p)
{
    const char *end = skip_string(p);
    if (!end)
        return NULL;
    char *text = abx_xcalloc((size_t)(end - p), 1), *to = text;
    for (p++; p < end - 1; p++) {
        if (*p != '\\') {
            *to++ = *p;
            continue;
        }
        p++;
        if (*p == 'u') {
            char hex[5] = {0};
            memcpy(hex, p + 1, (size_t)(end - p) < 5 ? 0 : 4);
            unsigned long code = strtoul(hex, NULL, 16);
            if (code == 0 || code > 127) {
                free(text);
                return NULL;
            }
            *to++ = (char)code;
            p += 4;
        } else
            *to++ = *p == 'n' ? '\n' : *p == 't' ? '\t' : *p == 'r' ? '\r' : *p;
    }
    return text;
}

char *abx_json_find(const char *text, const char *const *path)
{
    const char *p = skip_space(text);
    for (; *path; path++) {
        if (*p != '{')
            return NULL;
        p = skip_space(p + 1);
        for (;;) {
            if (*p != '"')
                return NULL;
            const char *name = p + 1, *after = skip_string(p);
            if (!after)
                return NULL;
            size_t n = strlen(*path);
            bool match = (size_t)(after - 1 - name) == n && memcmp(name, *path, n) == 0;
            p = skip_space(after);
            if (*p++ != ':')
                return NULL;
            p = skip_space(p);
            if (match)
                break;
            p = skip_value(p, 0);
            if (!p)
                return NULL;
            p = skip_space(p);
            if (*p++ != ',')
                return NULL;
            p = skip_space(p);
        }
    }
    return *p == '"' ? copy_string(p) : NULL;
}
