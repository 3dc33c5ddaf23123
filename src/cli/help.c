/* arcbox help, version and completion. */
#include "cli/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int help_all(void)
{
    printf("ArcBox runs programs that speak Apple's Metal inside Linux containers.\n\n"
           "usage: arcbox COMMAND ...\n\n");
    for (unsigned i = 0; abx_verbs[i]; i++)
        printf("  %-12s %s\n", abx_verbs[i]->name, abx_verbs[i]->summary);
    printf("\nTry: arcbox help run; arcbox doctor; man arcbox\n");
    return 0;
}

static int help(int argc, char **argv)
{
    if (argc < 2)
        return help_all();
    const struct abx_verb *verb = abx_verb_find(argv[1]);
    if (!verb)
        abx_die(ABX_EXIT_OWN, "unknown command '%s' (see: arcbox help)", argv[1]);
    printf("usage: arcbox %s %s\n\n%s\n", verb->name, verb->usage, verb->summary);
    if (verb->details)
        printf("\n%s", verb->details);
    return 0;
}

const struct abx_verb abx_verb_help = {
        .name = "help", .usage = "[COMMAND]", .summary = "show what a command does", .run = help};

static int version(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    printf("arcbox %s\n", ABX_VERSION);
    return 0;
}

const struct abx_verb abx_verb_version = {
        .name = "version", .usage = "", .summary = "show the version", .run = version};

/* The scripts are data files; this prints the one asked for, so that
 * `source <(arcbox completion bash)` works without an installation. */
static int completion(int argc, char **argv)
{
    if (argc != 2)
        abx_die(ABX_EXIT_OWN, "usage: arcbox completion bash|zsh|fish");
    static const char *const shells[][2] = {
            {"bash", "arcbox.bash"}, {"zsh", "_arcbox"}, {"fish", "arcbox.fish"}};
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(shells); i++) {
        if (strcmp(argv[1], shells[i][0]) != 0)
            continue;
        char *path = abx_place_data(shells[i][1]);
        void *text;
        size_t length;
        int r = path ? abx_read_file(path, 1 << 20, &text, &length) : -ENOENT;
        if (r < 0)
            abx_die(ABX_EXIT_OWN, "cannot read the %s completion: %s", argv[1], strerror(-r));
        fwrite(text, 1, length, stdout);
        free(text);
        free(path);
        return 0;
    }
    abx_die(ABX_EXIT_OWN, "no completion for the shell '%s': bash, zsh or fish", argv[1]);
}

const struct abx_verb abx_verb_completion = {.name = "completion",
        .usage = "bash|zsh|fish",
        .summary = "print a shell's completion script",
        .run = completion};
