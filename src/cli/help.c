/* arcbox help and version: the table, for people. */
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

#define WIDTH 80

const struct abx_verb *abx_verb_find(const char *name)
{
    for (const struct abx_verb *v = abx_verbs; v->name; v++) {
        if (strcmp(v->name, name) == 0)
            return v;
        for (const struct abx_verb *w = v->verbs; w && w->name; w++)
            if (strcmp(w->name, name) == 0)
                return w;
    }
    return NULL;
}

const char *abx_verb_short(const struct abx_verb *verb)
{
    const char *blank = strchr(verb->name, ' ');
    return blank ? blank + 1 : verb->name;
}

const struct abx_verb *abx_verb_within(const struct abx_verb *group, const char *word)
{
    for (const struct abx_verb *v = group->verbs; v && v->name; v++)
        if (strcmp(abx_verb_short(v), word) == 0)
            return v;
    return NULL;
}

/* Paragraphs, broken at blanks; the first line begins at column `at`, others at `indent`. */
static void print_wrapped(const char *text, int at, int indent)
{
    for (bool starts = true; *text; starts = false) {
        int word = (int)strcspn(text, " \n");
        if (!starts && at > indent && at + 1 + word > WIDTH) {
            printf("\n%*s", indent, "");
            at = indent;
        } else if (!starts && at > indent) {
            putchar(' ');
            at++;
        }
        printf("%.*s", word, text);
        at += word;
        text += word;
        for (; *text == '\n'; text++, at = indent)
            printf("\n%*s", text[1] == '\n' ? 0 : indent, "");
        text += *text == ' ';
    }
    putchar('\n');
}

static void print_option(const struct abx_option *o)
{
    char left[96];
    const char *equals = !o->value ? "" : *o->value == '[' ? "[=" : " ";
    const char *value = o->value ? o->value + (*o->value == '[') : "";
    int n = o->letter ? snprintf(left, sizeof left, "  -%c, ", o->letter)
                      : snprintf(left, sizeof left, "      ");
    n += snprintf(left + n, sizeof left - (size_t)n, "%s%s%s", o->name, equals, value);
    printf("%s", left);
    if (n >= 28) {
        printf("\n");
        n = 0;
    }
    printf("%*s", 29 - n, "");
    print_wrapped(o->help, 29, 29);
}

static int help_all(void)
{
    printf("ArcBox runs programs that speak Apple's Metal inside Linux containers.\n\n"
           "usage: arcbox COMMAND ...\n\n");
    for (const struct abx_verb *v = abx_verbs; v->name; v++)
        if (!v->hidden)
            printf("  %-12s %s\n", v->name, v->summary);
    printf("\nTry: arcbox help run; arcbox help metal; arcbox help environment; arcbox doctor; man "
           "arcbox\n");
    return 0;
}

static int help_environment(void)
{
    for (const struct abx_variable *v = abx_variables; v->name; v++) {
        printf("%s\n    ", v->name);
        print_wrapped(v->help, 4, 4);
    }
    return 0;
}

static int help_verb(const struct abx_verb *verb)
{
    printf("usage: arcbox %s%s%s%s\n\n%s\n", verb->name, verb->options ? " [OPTIONS]" : "",
            *verb->usage ? " " : "", verb->usage, verb->summary);
    if (verb->details) {
        printf("\n");
        print_wrapped(verb->details, 0, 0);
    }
    if (verb->options || verb->verbs)
        printf("\n");
    for (const struct abx_verb *v = verb->verbs; v && v->name; v++)
        printf("  %-12s %s\n", abx_verb_short(v), v->summary);
    if (verb->verbs)
        printf("\nTry: arcbox help %s\n", verb->verbs->name);
    for (const struct abx_option *o = verb->options; o && o->name; o++)
        print_option(o);
    return 0;
}

int abx_do_help(int argc, char **argv)
{
    struct abx_options o = abx_options_start(argc, argv);
    abx_options_next(&o);
    if (!o.count)
        return help_all();
    if (strcmp(o.words[0], "metal") == 0)
        return abx_help_metal(o.count > 1 ? o.words[1] : NULL);
    const struct abx_verb *verb = abx_verb_find(o.words[0]);
    if (o.count > 1 && verb && verb->verbs) {
        verb = abx_verb_within(verb, o.words[1]);
        if (!verb)
            abx_die(ABX_EXIT_OWN, "unknown command '%s %s' (see: arcbox help %s)", o.words[0],
                    o.words[1], o.words[0]);
    } else if (o.count > 1)
        abx_usage(&o);
    if (strcmp(o.words[0], "environment") == 0)
        return help_environment();
    if (!verb)
        abx_die(ABX_EXIT_OWN, "unknown command '%s' (see: arcbox help)", o.words[0]);
    return help_verb(verb);
}

int abx_do_version(int argc, char **argv)
{
    struct abx_options o = abx_options_start(argc, argv);
    abx_options_next(&o);
    printf("arcbox %s\n", ABX_VERSION);
    return 0;
}
