/* arcbox: picks the verb. The verbs are in one file each, and in the table (table.c). */
#include "cli/cli.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

static int help_for(const char *name)
{
    char *help[] = {"help", (char *)name, NULL};
    return abx_do_help(name ? 2 : 1, help);
}

/* --help anywhere among a verb's own words; -h too, where it asks for nothing else: `run -h NAME`
 * is docker's host name. */
static bool asks_for_help(const struct abx_verb *verb, int argc, char **argv)
{
    bool has_letter = false;
    for (const struct abx_option *o = verb->options; o && o->name; o++)
        has_letter |= o->letter == 'h';
    for (int i = 2; i < argc && strcmp(argv[i], "--") != 0; i++) {
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
    if (asks_for_help(verb, argc, argv))
        return help_for(verb->name);
    argv[1] = (char *)verb->name;
    int code = verb->run(argc - 1, argv + 1);
    if (fflush(stdout) != 0 && errno != EBADF) {
        abx_say("cannot write the output: %s", strerror(errno));
        return code ? code : ABX_EXIT_OWN;
    }
    return code;
}
