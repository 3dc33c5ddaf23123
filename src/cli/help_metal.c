/* arcbox help metal: what works of Metal, class by class, from the page that the build makes of
 * api/. */
#include "cli/cli.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_CAP (8u << 20)

/* "## MTLBuffer (Metal)": the class's name and its length; NULL: no such line. */
static const char *class_of(const char *line, size_t *ret_length)
{
    if (strncmp(line, "## ", 3) != 0)
        return NULL;
    *ret_length = strcspn(line + 3, " ");
    return line + 3;
}

/* "| `selector` | works | GP |" */
static void print_row(const char *line)
{
    const char *name = strchr(line, '`'), *end = name ? strchr(name + 1, '`') : NULL;
    if (!end || *line != '|')
        return;
    const char *state = strchr(end, '|');
    size_t length = state ? strcspn(state + 2, "|") : 0;
    printf("  %-60.*s %.*s\n", (int)(end - name - 1), name + 1, (int)length,
            state ? state + 2 : "");
}

static bool is_class(const char *name, size_t length, const char *wanted)
{
    return strlen(wanted) == length && strncasecmp(name, wanted, length) == 0;
}

static bool print_class(char *page, const char *wanted)
{
    bool in = false, found = false;
    for (char *line; (line = strsep(&page, "\n"));) {
        size_t length;
        const char *name = class_of(line, &length);
        if (name) {
            in = is_class(name, length, wanted);
            if (in)
                printf("%s\n", name);
            found |= in;
        } else if (in)
            print_row(line);
    }
    return found;
}

static void print_count(const char *name, size_t length, unsigned works, unsigned all)
{
    if (all)
        printf("  %-52.*s %3u of %u\n", (int)length, name, works, all);
}

static void print_classes(char *page)
{
    const char *name = NULL;
    size_t length = 0, next_length;
    unsigned works = 0, all = 0;
    printf("Selectors that real programs send, and how many of them work:\n\n");
    for (char *line; (line = strsep(&page, "\n"));) {
        const char *next = class_of(line, &next_length);
        if (next) {
            print_count(name ? name : "", length, works, all);
            name = next;
            length = next_length;
            works = all = 0;
        } else if (name && *line == '|' && strchr(line, '`')) {
            all++;
            works += strstr(line, "| works |") != NULL;
        }
    }
    print_count(name ? name : "", length, works, all);
    printf("\nTry: arcbox help metal MTLDevice\n");
}

/* Names that hold what was asked for, for a hint. */
static void print_alike(char *page, const char *wanted)
{
    unsigned count = 0;
    fprintf(stderr, "arcbox: there is no class '%s' in the table", wanted);
    for (char *line; (line = strsep(&page, "\n"));) {
        size_t length;
        const char *name = class_of(line, &length);
        char *copy = name ? strndup(name, length) : NULL;
        if (copy && strcasestr(copy, wanted) && count < 6)
            fprintf(stderr, "%s%s", count++ ? ", " : "; there is ", copy);
        free(copy);
    }
    fprintf(stderr, "\n");
}

int abx_help_metal(const char *class_name)
{
    char *path = abx_place_page("metal-support.md");
    void *data = NULL;
    size_t length;
    int r = path ? abx_read_file(path, PAGE_CAP, &data, &length) : -ENOENT;
    if (r < 0)
        abx_die(ABX_EXIT_OWN, "the table of what works is missing (metal-support.md): %s",
                strerror(-r));
    char *copy = abx_xstrdup(data);
    int code = 0;
    if (!class_name)
        print_classes(data);
    else if (!print_class(data, class_name)) {
        print_alike(copy, class_name);
        code = ABX_EXIT_OWN;
    }
    free(copy);
    free(data);
    free(path);
    return code;
}
