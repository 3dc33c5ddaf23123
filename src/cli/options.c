/* cli: the walk over a verb's options, by the table. */
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

struct abx_options abx_options_start(int argc, char **argv)
{
    return (struct abx_options){
            .argc = argc, .argv = argv, .next = 1, .verb = abx_verb_find(argv[0])};
}

static _Noreturn void unknown(const struct abx_options *o)
{
    const struct abx_option *option = o->verb->options;
    for (; option && option->name; option++)
        if (strncmp(o->given, "--", 2) == 0 && abx_is_near(o->given + 2, option->name + 2))
            abx_die(ABX_EXIT_OWN, "unknown option %s: did you mean %s? (see: arcbox help %s)",
                    o->given, option->name, o->verb->name);
    abx_die(ABX_EXIT_OWN, "unknown option %s (see: arcbox help %s)", o->given, o->verb->name);
}

static const struct abx_option *find(const struct abx_options *o, const char *name, char letter)
{
    const struct abx_option *option = o->verb->options;
    for (; option && option->name; option++)
        if (letter ? option->letter == letter
                   : strcmp(option->name, name) == 0 ||
                                (option->also && strcmp(option->also, name) == 0))
            return option;
    unknown(o);
}

static const char *take_letter(struct abx_options *o)
{
    snprintf(o->given, sizeof o->given, "-%c", *o->cluster);
    o->option = find(o, NULL, *o->cluster++);
    return o->option->name;
}

static const char *take_long(struct abx_options *o, char *word)
{
    char *equals = strchr(word, '=');
    snprintf(o->given, sizeof o->given, "%.*s", equals ? (int)(equals - word) : (int)strlen(word),
            word);
    o->inlined = equals ? equals + 1 : NULL;
    o->option = find(o, o->given, 0);
    return o->option->name;
}

/* What is left are words. Those that stood between options have been moved to argv[1] on. */
static const char *end(struct abx_options *o)
{
    while (o->next < o->argc && !o->verb->takes_command)
        o->argv[1 + o->count++] = o->argv[o->next++];
    o->words = o->verb->takes_command ? o->argv + o->next : o->argv + 1;
    if (o->verb->takes_command)
        o->count = o->argc - o->next;
    if (o->verb->max_words >= 0 && o->count > o->verb->max_words)
        abx_die(ABX_EXIT_OWN, "arcbox %s takes no '%s' (see: arcbox help %s)", o->verb->name,
                o->words[o->verb->max_words], o->verb->name);
    o->words[o->count] = NULL;
    return NULL;
}

const char *abx_options_next(struct abx_options *o)
{
    if (o->inlined)
        abx_die(ABX_EXIT_OWN, "%s takes no value", o->given);
    if (o->cluster && *o->cluster)
        return take_letter(o);
    o->cluster = NULL;
    for (; o->next < o->argc; o->next++) {
        char *word = o->argv[o->next];
        if (word[0] == '-' && word[1]) {
            o->next++;
            o->ended_by_dashes = strcmp(word, "--") == 0;
            if (o->ended_by_dashes)
                return end(o);
            o->cluster = word[1] == '-' ? NULL : word + 1;
            return o->cluster ? take_letter(o) : take_long(o, word);
        }
        if (o->verb->takes_command)
            break;
        o->argv[1 + o->count++] = word;
    }
    return end(o);
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
        abx_die(ABX_EXIT_OWN, "%s needs a value: %s (see: arcbox help %s)", o->given,
                o->option->value, o->verb->name);
    return o->argv[o->next++];
}

bool abx_options_bool(struct abx_options *o)
{
    const char *value = abx_options_inline(o);
    if (!value || strcmp(value, "true") == 0 || strcmp(value, "1") == 0)
        return true;
    if (strcmp(value, "false") == 0 || strcmp(value, "0") == 0)
        return false;
    abx_die(ABX_EXIT_OWN, "%s=%s: expected true or false", o->given, value);
}

bool abx_option_json(struct abx_options *o)
{
    const char *value = abx_options_value(o);
    if (strcmp(value, "json") != 0 && strcmp(value, "table") != 0)
        abx_die(ABX_EXIT_OWN, "--format %s: expected json or table", value);
    return strcmp(value, "json") == 0;
}

void abx_usage(const struct abx_options *o)
{
    abx_die(ABX_EXIT_OWN, "usage: arcbox %s%s %s (see: arcbox help %s)", o->verb->name,
            o->verb->options ? " [OPTIONS]" : "", o->verb->usage, o->verb->name);
}
