/* cli: the options of arcbox run, as the words of a command line become a request. */
#include "cli/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ENV_FILE_CAP (1u << 20)

static void add_env(struct abx_run *run, const char *pair)
{
    const char *equals = strchr(pair, '=');
    if (equals == pair || !*pair)
        abx_die(ABX_EXIT_OWN, "-e %s: expected NAME or NAME=VALUE", pair);
    char *word;
    if (equals)
        word = abx_xstrdup(pair);
    else { /* docker's: the value it has here, or nothing */
        const char *value = getenv(pair);
        if (!value)
            return;
        word = abx_xprintf("%s=%s", pair, value);
    }
    abx_words_add(&run->env, word);
}

/* Every user of the machine can read a command line: what stands there is a secret no longer than
 * we need to get here. */
static void take_env(struct abx_run *run, char *word)
{
    add_env(run, word);
    char *value = strchr(word, '=');
    if (value)
        memset(value + 1, 'x', strlen(value + 1));
}

static void add_env_file(struct abx_run *run, const char *path)
{
    void *text;
    size_t length;
    int r = abx_read_file(path, ENV_FILE_CAP, &text, &length);
    if (r < 0)
        abx_die(ABX_EXIT_OWN, "cannot read the environment file %s: %s", path, strerror(-r));
    char *rest = text;
    if (length >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        rest += 3;
    for (char *line; (line = strsep(&rest, "\n"));) {
        size_t n = strlen(line);
        if (n && line[n - 1] == '\r')
            line[n - 1] = 0;
        line += strspn(line, " \t\v\f");
        if (!*line || *line == '#')
            continue;
        n = strcspn(line, "=");
        if (n == 0 || strcspn(line, " \t\v\f") < n)
            abx_die(ABX_EXIT_OWN, "%s: '%.*s' is not a variable's name: expected lines NAME=VALUE",
                    path, (int)n, line);
        add_env(run, line);
    }
    free(text);
}

/* podman's spelling of the same request: --device arcbox.dev/gpu=all */
static void add_device(struct abx_run *run, const char *device)
{
    static const char ours[] = "arcbox.dev/gpu=";
    if (strncmp(device, ours, sizeof ours - 1) != 0)
        abx_die(ABX_EXIT_OWN, "unknown device '%s'; there is arcbox.dev/gpu=all", device);
    const char *which = device + sizeof ours - 1;
    char *spec = strcmp(which, "all") == 0 ? abx_xstrdup(which) : abx_xprintf("device=%s", which);
    abx_gpu_parse(&run->gpu, spec);
    free(spec);
}

static void set_network(struct abx_run *run, const char *value)
{
    run->no_network = strcmp(value, "none") == 0;
    run->network = value;
}

/* docker's takes parts of processors; a part of a thread is a thread. */
static void set_cpus(struct abx_run *run, const char *value)
{
    char *end;
    double n = strtod(value, &end);
    if (!(*value >= '0' && *value <= '9') || *end || !(n > 0 && n <= 1024))
        abx_die(ABX_EXIT_OWN, "--cpus %s: expected a number of processors, as 2 or 1.5", value);
    run->cpus = (unsigned)n + ((double)(unsigned)n < n);
}

static bool is(const char *name, const char *wanted)
{
    return strcmp(name, wanted) == 0;
}

/* The current folder, under its own name, and the working folder too unless another one is named.
 */
static void mount_here(struct abx_run *run)
{
    char *here = getcwd(NULL, 0);
    if (!here)
        abx_die(ABX_EXIT_OWN, "the current folder is gone: %s", strerror(errno));
    abx_mount_bind(run, here, here, false);
    run->here = here;
}

static void keep(struct abx_run *run, const struct abx_options *o, const char *value)
{
    if (run->given_count == ABX_MAX_GIVEN)
        abx_die(ABX_EXIT_OWN, "more than %d options %s and its like", ABX_MAX_GIVEN, o->given);
    run->given[run->given_count++] = (struct abx_given){o->option->name, value};
}

const char *abx_run_given(const struct abx_run *run, const char *name, unsigned *after)
{
    for (unsigned i = after ? *after : 0; i < run->given_count; i++)
        if (is(run->given[i].name, name)) {
            if (after) {
                *after = i + 1;
                return run->given[i].value;
            }
            for (unsigned j = i + 1; j < run->given_count; j++) /* the last one counts */
                if (is(run->given[j].name, name))
                    i = j;
            return run->given[i].value;
        }
    return NULL;
}

/* What podman takes as it is, and a sandbox looks at later (run_limits.c). */
static void keep_for_later(struct abx_run *run, struct abx_options *o)
{
    if (o->option->value)
        keep(run, o, abx_options_value(o));
    else if (abx_options_bool(o))
        keep(run, o, "");
}

/* It stands in /etc/hosts, too. */
static char *host_name(char *name)
{
    size_t n = strlen(name);
    if (!n || n > 63 || *name == '-' || *name == '.' ||
            strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._") != n)
        abx_die(ABX_EXIT_OWN, "--hostname '%s': letters, digits, '-', '.' and '_', at most 63",
                name);
    return name;
}

void abx_run_option(struct abx_run *run, struct abx_options *o, const char *name)
{
    if (is(name, "--gpu")) {
        const char *which = abx_options_inline(o);
        abx_gpu_parse(&run->gpu, which ? which : "all");
    } else if (is(name, "--gpus"))
        abx_gpu_parse(&run->gpu, abx_options_value(o));
    else if (is(name, "--device"))
        add_device(run, abx_options_value(o));
    else if (is(name, "--mount"))
        abx_mount_add(run, abx_options_value(o));
    else if (is(name, "--volume"))
        abx_volume_add(run, abx_options_value(o));
    else if (is(name, "--here")) {
        if (abx_options_bool(o) && !run->here)
            mount_here(run);
    } else if (is(name, "--cpus"))
        set_cpus(run, abx_options_value(o));
    else if (is(name, "--env"))
        take_env(run, abx_options_value(o));
    else if (is(name, "--env-file"))
        add_env_file(run, abx_options_value(o));
    else if (is(name, "--workdir"))
        run->workdir = abx_options_value(o);
    else if (is(name, "--interactive"))
        run->interactive = abx_options_bool(o);
    else if (is(name, "--tty"))
        run->tty = abx_options_bool(o);
    else if (is(name, "--detach"))
        run->detach = abx_options_bool(o);
    else if (is(name, "--vm"))
        run->vm = abx_options_bool(o);
    else if (is(name, "--rm"))
        run->remove = abx_options_bool(o);
    else if (is(name, "--name"))
        run->name = abx_options_value(o);
    else if (is(name, "--hostname"))
        run->hostname = host_name(abx_options_value(o));
    else if (is(name, "--network"))
        set_network(run, abx_options_value(o));
    else
        keep_for_later(run, o);
}
