/* shader: places in the user's own text. The preprocessor's line markers say which line a line came
 * from; the column follows from matching the two lines' tokens, because preprocessing changes
 * blanks and expands macros. Compiler process, hostile text. */
#include "shader/frontend/frontend.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* From this physical line of the text on, lines are `line`, line + 1, ... of `file`. */
struct marker {
    uint32_t physical, line;
    const char *file;
    uint32_t file_bytes;
};

struct lines {
    const char *text;
    size_t bytes;
    uint32_t *starts; /* of each line; `count` of them, then the end */
    uint32_t count;
};

struct line_map {
    struct lines source, text;
    struct marker *markers;
    uint32_t marker_count;
};

#define MAX_LINE_TOKENS 512u /* of a line, looked at for its columns */

static bool index_lines(struct lines *lines, const char *text, size_t bytes)
{
    uint32_t count = 1;
    for (const char *p = text; (p = memchr(p, '\n', (size_t)(text + bytes - p))); p++)
        count++;
    lines->text = text, lines->bytes = bytes, lines->count = 0;
    lines->starts = malloc((count + 1) * sizeof(*lines->starts));
    if (!lines->starts)
        return false;
    lines->starts[lines->count++] = 0;
    for (const char *p = text; (p = memchr(p, '\n', (size_t)(text + bytes - p))); p++)
        lines->starts[lines->count++] = (uint32_t)(p + 1 - text);
    lines->starts[lines->count] = (uint32_t)bytes + 1;
    return true;
}

/* `# 12 "name" flags`, as the preprocessor writes it. */
static bool read_marker(const struct lines *lines, uint32_t line, struct marker *ret)
{
    const char *p = lines->text + lines->starts[line];
    const char *end = lines->text + lines->starts[line + 1] - 1;
    if (end - p < 4 || p[0] != '#' || p[1] != ' ' || p[2] < '0' || p[2] > '9')
        return false;
    uint32_t number = 0;
    for (p += 2; p < end && *p >= '0' && *p <= '9'; p++)
        number = number * 10 + (uint32_t)(*p - '0');
    if (end - p < 3 || p[0] != ' ' || p[1] != '"')
        return false;
    const char *name = p + 2, *quote = memchr(name, '"', (size_t)(end - name));
    if (!quote)
        return false;
    *ret = (struct marker){line + 1, number, name, (uint32_t)(quote - name)};
    return true;
}

static bool index_markers(struct line_map *map)
{
    uint32_t capacity = 64;
    struct marker marker = {0, 1, SOURCE_NAME, strlen(SOURCE_NAME)};
    map->markers = malloc(capacity * sizeof(*map->markers));
    if (!map->markers)
        return false;
    map->markers[map->marker_count++] = marker;
    for (uint32_t i = 0; i < map->text.count; i++) {
        if (!read_marker(&map->text, i, &marker))
            continue;
        if (map->marker_count == capacity) {
            struct marker *more = realloc(map->markers, 2 * capacity * sizeof(*more));
            if (!more)
                return false;
            map->markers = more;
            capacity *= 2;
        }
        map->markers[map->marker_count++] = marker;
    }
    return true;
}

struct line_map *line_map_create(
        const char *source, size_t source_bytes, const char *text, size_t text_bytes)
{
    struct line_map *map = calloc(1, sizeof(*map));
    if (map && index_lines(&map->source, source, source_bytes) &&
            index_lines(&map->text, text, text_bytes) && index_markers(map))
        return map;
    line_map_destroy(map);
    return NULL;
}

void line_map_destroy(struct line_map *map)
{
    if (!map)
        return;
    free(map->source.starts);
    free(map->text.starts);
    free(map->markers);
    free(map);
}

/* ---- columns */

struct span {
    uint32_t start, end;
};

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

/* The line's tokens, roughly: words, and single other characters. */
static uint32_t split_line(const char *text, uint32_t bytes, struct span *spans)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < bytes && count < MAX_LINE_TOKENS;) {
        if (text[i] == ' ' || text[i] == '\t' || text[i] == '\r') {
            i++;
            continue;
        }
        uint32_t start = i++;
        while (is_word(text[start]) && i < bytes && is_word(text[i]))
            i++;
        spans[count++] = (struct span){start, i};
    }
    return count;
}

static bool same(const char *a, struct span x, const char *b, struct span y)
{
    return x.end - x.start == y.end - y.start && !memcmp(a + x.start, b + y.start, x.end - x.start);
}

/* Column (from 0) `at` of line `from` (preprocessed), in line `to` (as the user wrote it). */
static uint32_t match_column(
        const char *from, uint32_t from_bytes, const char *to, uint32_t to_bytes, uint32_t at)
{
    struct span a[MAX_LINE_TOKENS], b[MAX_LINE_TOKENS];
    uint32_t na = split_line(from, from_bytes, a), nb = split_line(to, to_bytes, b);
    uint32_t k = 0;
    while (k < na && a[k].end <= at)
        k++;
    if (k == na)
        return at < to_bytes ? at : to_bytes;
    uint32_t inside = at > a[k].start ? at - a[k].start : 0;
    uint32_t front = 0, back = 0;
    while (front <= k && front < nb && same(from, a[front], to, b[front]))
        front++;
    if (front > k)
        return b[k].start + inside;
    while (back < na - k && back < nb && same(from, a[na - 1 - back], to, b[nb - 1 - back]))
        back++;
    if (back == na - k)
        return b[nb - back].start + inside;
    /* Within a macro's expansion: where the lines begin to differ is where the macro is used. */
    return front < nb ? b[front].start : to_bytes;
}

static uint32_t find_line(const struct lines *lines, size_t position)
{
    uint32_t low = 0, high = lines->count;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (lines->starts[middle] <= position)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static const struct marker *find_marker(const struct line_map *map, uint32_t physical)
{
    uint32_t low = 0, high = map->marker_count;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (map->markers[middle].physical <= physical)
            low = middle;
        else
            high = middle;
    }
    return &map->markers[low];
}

struct place line_map_find(const struct line_map *map, size_t position)
{
    uint32_t physical = find_line(&map->text, position);
    const struct marker *marker = find_marker(map, physical);
    const char *text = map->text.text + map->text.starts[physical];
    uint32_t bytes = map->text.starts[physical + 1] - 1 - map->text.starts[physical];
    uint32_t column = (uint32_t)(position - map->text.starts[physical]);
    uint32_t line = marker->line + (physical - marker->physical);
    if (marker->file_bytes == strlen(SOURCE_NAME) &&
            !memcmp(marker->file, SOURCE_NAME, marker->file_bytes) && line > 0 &&
            line <= map->source.count) {
        const char *own = map->source.text + map->source.starts[line - 1];
        uint32_t own_bytes = map->source.starts[line] - 1 - map->source.starts[line - 1];
        column = match_column(text, bytes, own, own_bytes, column);
        text = own, bytes = own_bytes;
    }
    return (struct place){marker->file, marker->file_bytes, line, column + 1, text, bytes};
}
