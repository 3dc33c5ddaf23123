/* arcbox run: what kind of image was named, and whether there is a command for it. */
#include "cli/run.h"
#include "cli/vm/images.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void abx_run_choose_image(struct abx_run *run, const char *image)
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

/* A root file system has one of these; one made from nothing has at least the command, if that is
 * not in a mount. */
static void check_folder(const struct abx_run *run)
{
    if (run->mount_count && (*run->command[0] != '/' || abx_run_mounts(run, run->command[0])))
        return;
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

/* Images of a folder name no program of their own, so there is nothing to replace. */
static void put_entrypoint(struct abx_run *run)
{
    const char *program = abx_run_given(run, "--entrypoint", NULL);
    if (!program || !*program)
        return;
    char **words = abx_xcalloc((size_t)run->command_count + 2, sizeof *words);
    words[0] = (char *)program;
    memcpy(words + 1, run->command, (size_t)run->command_count * sizeof *words);
    run->command = words;
    run->command_count++;
}

int abx_run_go(struct abx_run *run)
{
    if (run->vm && run->kind == ABX_IMAGE_OCI)
        abx_vm_take_image(run);
    if (!run->vm && abx_run_given(run, "--kernel", NULL))
        abx_die(ABX_EXIT_OWN, "--kernel: a container has this system's kernel; --vm gives one");
    if (run->kind == ABX_IMAGE_FOLDER && !run->stays)
        check_folder(run);
    abx_mounts_check(run);
    if (run->here && !run->workdir)
        run->workdir = run->here;
    if (run->tty && !run->detach && !isatty(0))
        abx_die(ABX_EXIT_OWN, "-t needs a terminal, and the input is none: leave it out");
    return run->kind == ABX_IMAGE_OCI ? abx_run_oci(run) : abx_run_sandbox(run);
}

/* Seconds, or with s, m, h or d. */
static unsigned read_ttl(const char *text)
{
    static const char units[] = "smhd";
    static const unsigned seconds[] = {1, 60, 3600, 86400};
    char *end;
    unsigned long n = strtoul(text, &end, 10);
    const char *unit = *end ? strchr(units, *end) : units;
    if (!(*text >= '0' && *text <= '9') || !unit || (*end && end[1]) || !n ||
            n > INT32_MAX / 1000 / seconds[unit - units])
        abx_die(ABX_EXIT_OWN, "--ttl %s: expected a time, as 90, 10m or 2h (24 days at most)",
                text);
    return (unsigned)n * seconds[unit - units];
}

static int do_run(struct abx_run *run, int argc, char **argv)
{
    struct abx_options o = abx_options_start(argc, argv);
    for (const char *name; (name = abx_options_next(&o));)
        if (strcmp(name, "--ttl") == 0)
            run->ttl_seconds = read_ttl(abx_options_value(&o));
        else
            abx_run_option(run, &o, name);
    /* After "--" comes the command: no image is named, and the host's own root is meant. */
    int at = 0;
    if (!o.ended_by_dashes && !o.count)
        abx_die(ABX_EXIT_OWN, "no image named: arcbox %s [OPTIONS] host|FOLDER|REFERENCE COMMAND",
                argv[0]);
    abx_run_choose_image(run, o.ended_by_dashes ? "host" : o.words[at++]);
    if (at < o.count && strcmp(o.words[at], "--") == 0)
        at++;
    run->command = o.words + at;
    run->command_count = o.count - at;
    if (run->kind != ABX_IMAGE_OCI)
        put_entrypoint(run);
    if (!run->command_count && run->kind != ABX_IMAGE_OCI)
        abx_die(ABX_EXIT_OWN, "no command given: arcbox %s [OPTIONS] %s COMMAND...", argv[0],
                run->image);
    if (run->command_count && !*run->command[0])
        abx_die(ABX_EXIT_OWN, "the command's name is empty");
    return abx_run_go(run);
}

int abx_do_run(int argc, char **argv)
{
    return do_run(abx_xcalloc(1, sizeof(struct abx_run)), argc, argv);
}

/* What is not trusted: a kernel of its own, no network unless it is asked for, and nothing of it is
 * left. */
int abx_do_sandbox_run(int argc, char **argv)
{
    struct abx_run *run = abx_xcalloc(1, sizeof *run);
    run->vm = run->no_network = run->remove = true;
    return do_run(run, argc, argv);
}
