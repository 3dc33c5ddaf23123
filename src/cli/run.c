/* arcbox run: the options, and what kind of image was named. */
#include "cli/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ENV_FILE_CAP (1u << 20)

static void add_env(struct abx_run *run, const char *pair)
{
    const char *equals = strchr(pair, '=');
    if (equals == pair || !*pair)
        abx_die(ABX_EXIT_OWN, "-e '%s' names no variable", pair);
    char *word;
    if (equals)
        word = abx_xstrdup(pair);
    else { /* docker's: the value it has here, or nothing */
        const char *value = getenv(pair);
        if (!value)
            return;
        word = abx_xprintf("%s=%s", pair, value);
    }
    run->env = realloc(run->env, (run->env_count + 2) * sizeof *run->env);
    if (!run->env)
        abx_die(ABX_EXIT_OWN, "out of memory");
    run->env[run->env_count++] = word;
    run->env[run->env_count] = NULL;
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
            abx_die(ABX_EXIT_OWN, "%s: '%.*s' is no name of a variable", path, (int)n, line);
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
    run->host_network = strcmp(value, "host") == 0;
    if (!run->no_network && !run->host_network)
        abx_die(ABX_EXIT_OWN, "--network %s: host or none", value);
}

/* docker's takes parts of processors; a part of a thread is a thread. */
static void set_cpus(struct abx_run *run, const char *value)
{
    char *end;
    double n = strtod(value, &end);
    if (!(*value >= '0' && *value <= '9') || *end || !(n > 0 && n <= 1024))
        abx_die(ABX_EXIT_OWN, "--cpus %s: not a number of processors", value);
    run->cpus = (unsigned)n + ((double)(unsigned)n < n);
}

static bool is(const char *name, const char *a, const char *b)
{
    return strcmp(name, a) == 0 || (b && strcmp(name, b) == 0);
}

static void take_option(struct abx_run *run, struct abx_options *o, const char *name)
{
    if (is(name, "--gpu", NULL)) {
        const char *which = abx_options_inline(o);
        abx_gpu_parse(&run->gpu, which ? which : "all");
    } else if (is(name, "--gpus", NULL))
        abx_gpu_parse(&run->gpu, abx_options_value(o));
    else if (is(name, "--device", NULL))
        add_device(run, abx_options_value(o));
    else if (is(name, "--mount", NULL))
        abx_mount_add(run, abx_options_value(o));
    else if (is(name, "-v", "--volume"))
        abx_volume_add(run, abx_options_value(o));
    else if (is(name, "--cpus", NULL))
        set_cpus(run, abx_options_value(o));
    else if (is(name, "-e", "--env"))
        take_env(run, abx_options_value(o));
    else if (is(name, "--env-file", NULL))
        add_env_file(run, abx_options_value(o));
    else if (is(name, "-w", "--workdir"))
        run->workdir = abx_options_value(o);
    else if (is(name, "-i", "--interactive"))
        run->interactive = abx_options_bool(o);
    else if (is(name, "-t", "--tty"))
        run->tty = abx_options_bool(o);
    else if (is(name, "-d", "--detach"))
        run->detach = abx_options_bool(o);
    else if (is(name, "--rm", NULL))
        run->remove = abx_options_bool(o);
    else if (is(name, "--name", NULL))
        run->name = abx_options_value(o);
    else if (is(name, "-h", "--hostname"))
        run->hostname = abx_options_value(o);
    else if (is(name, "--network", "--net"))
        set_network(run, abx_options_value(o));
    else
        abx_options_unknown(o);
}

static void choose_image(struct abx_run *run, const char *image)
{
    run->image = abx_xstrdup(image);
    if (strcmp(image, "host") == 0) {
        run->kind = ABX_IMAGE_HOST;
        return;
    }
    if (!strchr("/.", image[0])) {
        run->kind = ABX_IMAGE_OCI;
        if (!*image)
            abx_die(ABX_EXIT_OWN, "the image's name is empty: host, a folder or an OCI reference");
        return;
    }
    run->kind = ABX_IMAGE_FOLDER;
    struct stat st;
    char *path = realpath(image, NULL);
    if (!path || stat(path, &st) < 0)
        abx_die(ABX_EXIT_OWN, "the image folder %s cannot be used: %s", image, strerror(errno));
    if (!S_ISDIR(st.st_mode))
        abx_die(ABX_EXIT_OWN, "the image %s is not a folder", image);
    if (strcmp(path, "/") == 0)
        run->kind = ABX_IMAGE_HOST;
    free(run->image);
    run->image = path;
}

/* A root file system has one of these; one made from nothing has at least the command. */
static void check_folder(const struct abx_run *run)
{
    const char *const parts[] = {"/usr", "/bin", run->command[0]};
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(parts); i++) {
        char *path = abx_xprintf("%s%s", run->image, parts[i]);
        struct stat st;
        bool found = *parts[i] == '/' && lstat(path, &st) == 0;
        free(path);
        if (found)
            return;
    }
    abx_die(ABX_EXIT_OWN, "the image folder %s holds no root file system (no usr, no bin, no %s)",
            run->image, run->command[0]);
}

static int run_verb(int argc, char **argv)
{
    struct abx_run *run = abx_xcalloc(1, sizeof *run);
    struct abx_options o = abx_options_start(argc, argv);
    for (const char *name; (name = abx_options_next(&o));)
        take_option(run, &o, name);
    /* After "--" comes the command: no image is named, and the host's own root is meant. */
    bool no_image = o.next > 1 && strcmp(argv[o.next - 1], "--") == 0;
    if (!no_image && o.next >= argc)
        abx_die(ABX_EXIT_OWN, "no image named: arcbox run [OPTIONS] host|FOLDER|REFERENCE COMMAND");
    choose_image(run, no_image ? "host" : argv[o.next++]);
    if (o.next < argc && strcmp(argv[o.next], "--") == 0)
        o.next++;
    run->command = argv + o.next;
    run->command_count = argc - o.next;
    if (!run->command_count && run->kind != ABX_IMAGE_OCI)
        abx_die(ABX_EXIT_OWN, "no command given: arcbox run [OPTIONS] %s COMMAND...", run->image);
    if (run->command_count && !*run->command[0])
        abx_die(ABX_EXIT_OWN, "the command's name is empty");
    if (run->kind == ABX_IMAGE_FOLDER)
        check_folder(run);
    abx_mounts_check(run);
    if (run->tty && !run->detach && !isatty(0))
        abx_die(ABX_EXIT_OWN, "-t: the input is not a terminal");
    return run->kind == ABX_IMAGE_OCI ? abx_run_oci(run) : abx_run_sandbox(run);
}

const struct abx_verb abx_verb_run = {.name = "run",
        .usage = "[OPTIONS] host|FOLDER|REFERENCE COMMAND...",
        .summary = "run a command in a container",
        .details =
                "The image is `host` (this system's own root, read-only under a private writable\n"
                "layer, without most of the environment and the hidden files of homes; also meant\n"
                "by `arcbox run -- COMMAND`), the folder of a root file system (/..., ./...), or "
                "an\n"
                "OCI reference, which podman runs.\n\n"
                "  --gpu                     give it the GPU: Metal programs run in it\n"
                "  --gpus all|count=N|device=NAME,...   which; `arcbox gpu` lists them\n"
                "  --mount HOST:GUEST[:ro]   show a file or folder of the host, -v for short;\n"
                "                            also type=bind,source=HOST,target=GUEST[,readonly]\n"
                "  -e K=V, -e K              set a variable, or pass it on; --env-file FILE\n"
                "  -w DIR                    working folder (host image: relative to this one)\n"
                "  -i, -t, -it               terminal for it; input is always passed on\n"
                "  -d                        run it detached: prints its name\n"
                "  --name NAME, --rm         name it; forget it when it ends\n"
                "  --hostname NAME, --network host|none\n"
                "  --cpus N                  processors that its GPU work uses, where that is the\n"
                "                            processor's; all unless told otherwise\n\n"
                "ARCBOX_TIME_LIMIT_MS in the environment: processor time that one kernel may use\n"
                "(10000).\n\n"
                "Exit status: the command's, 128 + the signal that ended it, 127 when it is not\n"
                "there, 126 when it cannot run, 125 when arcbox itself failed.\n",
        .run = run_verb};
