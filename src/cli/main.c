/* arcbox: picks the verb. The verbs are in one file each, and in the table (table.c). */
#include "cli/cli.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

static int help_for(const struct abx_verb *verb)
{
    char *help[] = {"help", NULL, NULL, NULL}, name[64];
    if (!verb)
        return abx_do_help(1, help);
    snprintf(name, sizeof name, "%s", verb->name);
    char *blank = strchr(name, ' ');
    if (blank)
        *blank = 0;
    help[1] = name;
    help[2] = blank ? blank + 1 : NULL;
    return abx_do_help(blank ? 3 : 2, help);
}

/* --help anywhere among a verb's own words; -h too, where it asks for nothing else: `run -h NAME`
 * is docker's host name. */
static bool asks_for_help(const struct abx_verb *verb, int argc, char **argv)
{
    if (verb->verbs && argc < 2)
        return true;
    bool has_letter = false;
    for (const struct abx_option *o = verb->options; o && o->name; o++)
        has_letter |= o->letter == 'h';
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (verb->takes_command && argv[i][0] != '-')
            break;
        if (strcmp(argv[i], "--help") == 0 ||
                (strcmp(argv[i], "-h") == 0 && (!has_letter || i + 1 == argc)))
            return true;
    }
    return false;
}

_Noreturn static void refuse_command(const char *word)
{
    for (const struct abx_verb *v = abx_verbs; v->name; v++)
        if (!v->hidden && abx_is_near(word, v->name))
            abx_die(ABX_EXIT_OWN, "unknown command '%s': did you mean '%s'? (see: arcbox help)",
                    word, v->name);
    abx_die(ABX_EXIT_OWN, "unknown command '%s' (see: arcbox help)", word);
}

static const struct abx_verb *within(const struct abx_verb *group, const char *word)
{
    const struct abx_verb *verb = abx_verb_within(group, word);
    for (const struct abx_verb *v = group->verbs; !verb && v->name; v++)
        if (abx_is_near(word, abx_verb_short(v)))
            abx_die(ABX_EXIT_OWN,
                    "unknown command '%s %s': did you mean '%s'? (see: arcbox help %s)",
                    group->name, word, v->name, group->name);
    if (!verb)
        abx_die(ABX_EXIT_OWN, "unknown command '%s %s' (see: arcbox help %s)", group->name, word,
                group->name);
    return verb;
}

_Noreturn static void refuse_option(const struct abx_verb *group, const char *word)
{
    abx_die(ABX_EXIT_OWN,
            "unknown option %s: options of '%s' stand behind %s (see: arcbox help %s)", word,
            group->name, group->usage, group->name);
}

int main(int argc, char **argv)
{
    abx_fd_standard();
    signal(SIGXFSZ, SIG_IGN); /* a limit is an error where something is written, and not our end */
    if (argc < 2) {
        help_for(NULL);
        return ABX_EXIT_OWN;
    }
    const char *word = argv[1];
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
        word = "help";
    else if (strcmp(word, "--version") == 0)
        word = "version";
    const struct abx_verb *verb = abx_verb_find(word);
    if (!verb)
        refuse_command(word);
    argc--;
    argv++;
    if (verb->verbs && argc > 1 && argv[1][0] != '-') {
        verb = within(verb, argv[1]);
        argc--;
        argv++;
    }
    if (asks_for_help(verb, argc, argv))
        return help_for(verb);
    if (!verb->run)
        refuse_option(verb, argv[1]);
    argv[0] = (char *)verb->name;
    int code = verb->run(argc, argv);
    if (fflush(stdout) != 0 && errno != EBADF) {
        abx_say("cannot write the output: %s", strerror(errno));
        return code ? code : ABX_EXIT_OWN;
    }
    return code;
}
