/* arcbox: picks the verb. The verbs are in one file each. */
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

const struct abx_verb *const abx_verbs[] = {&abx_verb_run, &abx_verb_ps, &abx_verb_stop,
        &abx_verb_logs, &abx_verb_rm, &abx_verb_gpu, &abx_verb_doctor, &abx_verb_bench,
        &abx_verb_daemon, &abx_verb_cdi, &abx_verb_completion, &abx_verb_version, &abx_verb_help,
        NULL};

const struct abx_verb *abx_verb_find(const char *name)
{
    for (unsigned i = 0; abx_verbs[i]; i++)
        if (strcmp(abx_verbs[i]->name, name) == 0)
            return abx_verbs[i];
    return strcmp(abx_verb_cdi_hook.name, name) == 0 ? &abx_verb_cdi_hook : NULL;
}

int main(int argc, char **argv)
{
    abx_fd_standard();
    if (argc < 2) {
        char *help[] = {"help", NULL};
        abx_verb_help.run(1, help);
        return ABX_EXIT_OWN;
    }
    const char *word = argv[1];
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
        word = "help";
    else if (strcmp(word, "--version") == 0)
        word = "version";
    const struct abx_verb *verb = abx_verb_find(word);
    if (!verb)
        abx_die(ABX_EXIT_OWN, "unknown command '%s' (see: arcbox help)", word);
    for (int i = 2; i < argc && verb != &abx_verb_help; i++) {
        if (argv[i][0] != '-' || strcmp(argv[i], "--") == 0)
            break;
        if (strcmp(argv[i], "--help") == 0) {
            char *help[] = {"help", (char *)verb->name, NULL};
            return abx_verb_help.run(2, help);
        }
    }
    argv[1] = (char *)verb->name;
    int code = verb->run(argc - 1, argv + 1);
    if (fflush(stdout) != 0 && errno != EBADF) {
        abx_say("cannot write the output: %s", strerror(errno));
        return code ? code : ABX_EXIT_OWN;
    }
    return code;
}
