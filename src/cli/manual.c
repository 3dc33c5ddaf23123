/* arcbox manual: the man page, of a template and the table. Run by the build. */
#include "cli/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEMPLATE_CAP (1u << 20)

/* Text as it stands: what troff would take for a command is not one. */
static void text(const char *s)
{
    for (bool at_start = true; *s; s++) {
        if (*s == '\n') {
            printf(s[1] == '\n' ? "\n.PP\n" : "\n");
            s += s[1] == '\n';
            at_start = true;
            continue;
        }
        if (at_start && (*s == '.' || *s == '\''))
            printf("\\&");
        if (*s == '\\')
            printf("\\e");
        else if (*s == '-')
            printf("\\-");
        else
            putchar(*s);
        at_start = false;
    }
}

static void bold(const char *s)
{
    printf("\\fB");
    text(s);
    printf("\\fR");
}

static void option(const struct abx_option *o)
{
    printf(".TP\n");
    if (o->letter)
        printf("\\fB\\-%c\\fR, ", o->letter);
    bold(o->name);
    if (o->also) {
        printf(", ");
        bold(o->also);
    }
    if (o->value) {
        bool optional = *o->value == '[';
        printf("%s\\fI", optional ? "[=" : " ");
        text(o->value + optional);
        printf("\\fR");
    }
    printf("\n");
    text(o->help);
    printf(".\n");
}

static void verb(const struct abx_verb *v)
{
    printf(".SS arcbox %s%s%s%s\n", v->name, v->options ? " [options]" : "", *v->usage ? " " : "",
            v->usage);
    printf("%c", v->summary[0] - 'a' + 'A');
    text(v->summary + 1);
    printf(".\n");
    if (v->details) {
        printf(".PP\n");
        text(v->details);
        printf("\n");
    }
    for (const struct abx_option *o = v->options; o && o->name; o++)
        option(o);
}

static void verbs(void)
{
    for (const struct abx_verb *v = abx_verbs; v->name; v++) {
        if (v->hidden)
            continue;
        verb(v);
        for (const struct abx_verb *w = v->verbs; w && w->name; w++)
            verb(w);
    }
}

static void variables(void)
{
    for (const struct abx_variable *v = abx_variables; v->name; v++) {
        printf(".TP\n.B ");
        text(v->name);
        printf("\n");
        text(v->help);
        printf("\n");
    }
}

int abx_do_manual(int argc, char **argv)
{
    void *data;
    size_t length;
    struct abx_options o = abx_options_start(argc, argv);
    abx_options_next(&o);
    if (o.count != 1)
        abx_usage(&o);
    int r = abx_read_file(o.words[0], TEMPLATE_CAP, &data, &length);
    if (r < 0)
        abx_die(ABX_EXIT_OWN, "cannot read %s: %s", o.words[0], strerror(-r));
    char *rest = data;
    for (char *line; (line = strsep(&rest, "\n"));) {
        if (strcmp(line, "@VERBS@") == 0)
            verbs();
        else if (strcmp(line, "@VARIABLES@") == 0)
            variables();
        else if (*line || rest)
            printf("%s\n", line);
    }
    free(data);
    return 0;
}
