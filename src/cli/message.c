/* cli: messages, the small helpers that die, and the option walk. */
#include "cli/cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void say(const char *format, va_list args)
{
    char text[2048];
    int n = snprintf(text, sizeof text, "arcbox: ");
    vsnprintf(text + n, sizeof text - (size_t)n, format, args);
    size_t length = strlen(text);
    if (length > sizeof text - 2)
        length = sizeof text - 2;
    text[length] = '\n';
    /* One write, so that lines of several processes do not mix. */
    (void)!fwrite(text, 1, length + 1, stderr);
}

void abx_say(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say(format, args);
    va_end(args);
}

void abx_die(int code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say(format, args);
    va_end(args);
    exit(code);
}

void *abx_xcalloc(size_t count, size_t size)
{
    void *p = calloc(count ? count : 1, size);
    if (!p)
        abx_die(ABX_EXIT_OWN, "out of memory");
    return p;
}

char *abx_xstrdup(const char *s)
{
    char *copy = strdup(s);
    if (!copy)
        abx_die(ABX_EXIT_OWN, "out of memory");
    return copy;
}

char *abx_xprintf(const char *format, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, format);
    int n = vasprintf(&text, format, args);
    va_end(args);
    if (n < 0)
        abx_die(ABX_EXIT_OWN, "out of memory");
    return text;
}

void abx_json_string(struct abx_string *out, const char *text)
{
    abx_string_add(out, "\"", 1);
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        if (*p == '"' || *p == '\\')
            abx_string_printf(out, "\\%c", *p);
        else if (*p < 0x20)
            abx_string_printf(out, "\\u%04x", *p);
        else
            abx_string_add(out, p, 1);
    }
    abx_string_add(out, "\"", 1);
}

struct abx_options abx_options_start(int argc, char **argv)
{
    return (struct abx_options){.argc = argc, .argv = argv, .next = 1, .verb = argv[0]};
}

const char *abx_options_next(struct abx_options *o)
{
    if (o->inlined)
        abx_die(ABX_EXIT_OWN, "%s takes no value", o->name);
    if (o->cluster && *o->cluster) {
        snprintf(o->name, sizeof o->name, "-%c", *o->cluster++);
        return o->name;
    }
    o->cluster = NULL;
    if (o->next >= o->argc)
        return NULL;
    char *word = o->argv[o->next];
    if (word[0] != '-' || word[1] == 0)
        return NULL;
    o->next++;
    if (strcmp(word, "--") == 0)
        return NULL;
    if (word[1] != '-') {
        o->cluster = word + 1;
        return abx_options_next(o);
    }
    char *equals = strchr(word, '=');
    size_t length = equals ? (size_t)(equals - word) : strlen(word);
    if (length >= sizeof o->name)
        length = sizeof o->name - 1;
    memcpy(o->name, word, length);
    o->name[length] = 0;
    o->inlined = equals ? equals + 1 : NULL;
    return o->name;
}

char *abx_options_inline(struct abx_options *o)
{
    char *value = o->inlined;
    o->inlined = NULL;
    return value;
}

char *abx_options_value(struct abx_options *o)
{
    char *value = abx_options_inline(o);
    if (value)
        return value;
    if (o->cluster && *o->cluster) { /* -eK=V, -v=/a:/b */
        value = o->cluster + (*o->cluster == '=');
        o->cluster = NULL;
        return value;
    }
    if (o->next >= o->argc)
        abx_die(ABX_EXIT_OWN, "%s needs a value (see: arcbox help %s)", o->name, o->verb);
    return o->argv[o->next++];
}

bool abx_options_bool(struct abx_options *o)
{
    const char *value = abx_options_inline(o);
    if (!value || strcmp(value, "true") == 0 || strcmp(value, "1") == 0)
        return true;
    if (strcmp(value, "false") == 0 || strcmp(value, "0") == 0)
        return false;
    abx_die(ABX_EXIT_OWN, "%s=%s: expected true or false", o->name, value);
}

void abx_options_unknown(struct abx_options *o)
{
    abx_die(ABX_EXIT_OWN, "unknown option %s (see: arcbox help %s)", o->name, o->verb);
}

bool abx_option_json(struct abx_options *o)
{
    const char *value = abx_options_value(o);
    if (strcmp(value, "json") != 0 && strcmp(value, "table") != 0)
        abx_die(ABX_EXIT_OWN, "--format %s: json or table", value);
    return strcmp(value, "json") == 0;
}
