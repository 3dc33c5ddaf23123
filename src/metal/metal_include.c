/* metal: #include of files in a library's source: see metal_include.h. Runs in the guest's process.
 */
#include "metal/metal_include.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_FILE_BYTES (4u << 20)
#define MAX_TEXT_BYTES (32u << 20) /* a file that includes itself for ever ends here */

struct span {
    const char *at;
    size_t bytes;
};

/* A directive, by what the compiler says of it: file and line as #line has them. */
struct place {
    struct span file, name;
    unsigned long line;
};

static const char *back_to(const char *start, const char *at, char c)
{
    while (at > start && at[-1] != c)
        at--;
    return at;
}

/* "FILE:LINE:COLUMN: fatal error: 'NAME' file not found" */
static bool read_complaint(const char *text, struct place *ret)
{
    static const char before[] = ": fatal error: '", behind[] = "' file not found";
    const char *middle = strstr(text, before);
    const char *name = middle ? middle + strlen(before) : NULL;
    const char *end = name ? strstr(name, behind) : NULL;
    if (!end || memchr(name, '\n', (size_t)(end - name)))
        return false;
    const char *line_start = back_to(text, middle, '\n');
    const char *column = back_to(line_start, middle, ':');
    const char *line = column > line_start ? back_to(line_start, column - 1, ':') : column;
    if (line == line_start)
        return false;
    ret->file = (struct span){line_start, (size_t)(line - 1 - line_start)};
    ret->name = (struct span){name, (size_t)(end - name)};
    ret->line = strtoul(line, NULL, 10);
    return ret->line > 0;
}

/* ---- the text's lines */

struct line {
    struct span text; /* without its end, but with those of lines that it continues in */
    struct span file; /* of what #line says */
    unsigned long number, count;
};

static struct span skip_blanks(struct span s)
{
    while (s.bytes && (*s.at == ' ' || *s.at == '\t'))
        s.at++, s.bytes--;
    return s;
}

static bool take(struct span *s, const char *word)
{
    size_t n = strlen(word);
    if (s->bytes < n || memcmp(s->at, word, n))
        return false;
    *s = skip_blanks((struct span){s->at + n, s->bytes - n});
    return true;
}

/* #line N "FILE" and # N "FILE": the next line's number and file. */
static bool read_marker(struct span s, struct line *next)
{
    s = skip_blanks(s);
    if (!take(&s, "#"))
        return false;
    take(&s, "line");
    unsigned long number = 0;
    size_t digits = 0;
    for (; digits < s.bytes && s.at[digits] >= '0' && s.at[digits] <= '9'; digits++)
        number = number * 10 + (unsigned long)(s.at[digits] - '0');
    if (!digits)
        return false;
    s = skip_blanks((struct span){s.at + digits, s.bytes - digits});
    const char *quote = s.bytes > 1 && *s.at == '"' ? memchr(s.at + 1, '"', s.bytes - 1) : NULL;
    if (quote)
        next->file = (struct span){s.at + 1, (size_t)(quote - s.at - 1)};
    next->number = number;
    return true;
}

/* The next of [*at, end); false at the end. */
static bool next_line(const char **at, const char *end, struct line *line)
{
    const char *start = *at;
    if (start >= end)
        return false;
    line->count = 0;
    do {
        const char *newline = memchr(*at, '\n', (size_t)(end - *at));
        line->text = (struct span){start, (size_t)((newline ? newline : end) - start)};
        *at = newline ? newline + 1 : end;
        line->count++;
    } while (*at < end && line->text.bytes && line->text.at[line->text.bytes - 1] == '\\');
    return true;
}

static bool is_include(struct span s)
{
    s = skip_blanks(s);
    return take(&s, "#") && (take(&s, "include") || take(&s, "import"));
}

static bool same(struct span a, struct span b)
{
    return a.bytes == b.bytes && !memcmp(a.at, b.at, a.bytes);
}

/* One file may stand in several places of the text. Where it was reached, its directive is gone; so
 * the first that is left is the place, or one that the conditions around it leave out, where it
 * does no harm, and the compiler asks again. */
static bool find(const char *text, size_t bytes, const struct place *place, struct line *ret)
{
    const char *at = text, *end = text + bytes;
    struct line line = {.file = {"program_source", strlen("program_source")}, .number = 1};
    while (next_line(&at, end, &line)) {
        if (place->line >= line.number && place->line - line.number < line.count &&
                same(line.file, place->file) && is_include(line.text)) {
            *ret = line;
            return true;
        }
        if (!read_marker(line.text, &line))
            line.number += line.count;
    }
    return false;
}

/* ---- files */

static bool path_of(const struct place *place, struct span directive, char path[PATH_MAX])
{
    struct span folder = {"", 0};
    if (!place->name.bytes)
        return false;
    if (*place->name.at != '/') {
        if (!place->file.bytes || *place->file.at != '/' ||
                memchr(directive.at, '<', directive.bytes))
            return false;
        const char *name = back_to(place->file.at, place->file.at + place->file.bytes, '/');
        folder = (struct span){place->file.at, (size_t)(name - place->file.at)};
    }
    int n = snprintf(path, PATH_MAX, "%.*s%.*s", (int)folder.bytes, folder.at,
            (int)place->name.bytes, place->name.at);
    /* What would end the string in #line. */
    return n > 0 && n < PATH_MAX && !strpbrk(path, "\"\\\n");
}

static bool read_file(const char *path, void **ret_text, size_t *ret_bytes)
{
    struct stat s;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return false;
    int r = fstat(fd, &s) == 0 && S_ISREG(s.st_mode)
                    ? abx_read_fd(fd, MAX_FILE_BYTES, ret_text, ret_bytes)
                    : -EINVAL;
    close(fd);
    return r == 0;
}

static bool says_once(const char *at, size_t bytes)
{
    struct line line;
    for (const char *end = at + bytes; next_line(&at, end, &line);) {
        struct span s = skip_blanks(line.text);
        if (take(&s, "#") && take(&s, "pragma") && take(&s, "once"))
            return true;
    }
    return false;
}

bool abx_metal_include(
        const char *text, size_t bytes, const char *complaint, struct abx_string *ret_text)
{
    struct place place;
    struct line line;
    char path[PATH_MAX], marker[PATH_MAX + 16];
    void *file = NULL;
    size_t length = 0;
    *ret_text = (struct abx_string){0};
    if (!read_complaint(complaint, &place) || !find(text, bytes, &place, &line) ||
            !path_of(&place, line.text, path) || !read_file(path, &file, &length))
        return false;
    int n = snprintf(marker, sizeof marker, "#line 1 \"%s\"\n", path);
    const char *behind = line.text.at + line.text.bytes;
    abx_string_add(ret_text, text, (size_t)(line.text.at - text));
    if (!says_once(file, length) || !memmem(text, bytes, marker, (size_t)n)) {
        abx_string_add(ret_text, marker, (size_t)n);
        abx_string_add(ret_text, file, length);
        abx_string_add(ret_text, "\n", 1);
    }
    abx_string_printf(ret_text, "#line %lu \"%.*s\"", line.number + line.count,
            (int)line.file.bytes, line.file.at);
    abx_string_add(ret_text, behind, bytes - (size_t)(behind - text));
    free(file);
    bool done = !ret_text->failed && ret_text->length <= MAX_TEXT_BYTES;
    if (!done)
        abx_string_finish(ret_text);
    return done;
}
