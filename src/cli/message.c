/* cli: messages, and the small helpers that die. */
#include "cli/run.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int abx_messages_log = -1;

static void say(const char *format, va_list args)
{
    char text[2048];
    size_t length = abx_log_line(text, sizeof text, "arcbox", format, args);
    if (abx_messages_log >= 0) {
        abx_log_append(abx_messages_log, 2, text, length);
        return;
    }
    /* One write, so that lines of several processes do not mix. */
    (void)!fwrite(text, 1, length, stderr);
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

void abx_xgrow(void **array, uint32_t *capacity, uint32_t count, size_t element_bytes)
{
    if (!abx_grow(array, capacity, count, element_bytes, UINT32_MAX))
        abx_die(ABX_EXIT_OWN, "out of memory");
}

void abx_words_add(struct abx_words *words, const char *word)
{
    abx_xgrow((void **)&words->list, &words->capacity, words->count + 1, sizeof *words->list);
    words->list[words->count++] = (char *)word;
    words->list[words->count] = NULL;
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
