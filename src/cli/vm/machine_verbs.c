/* arcbox machine: virtual machines that stay. They run as `arcbox run -d --vm` would run them, with
 * a disk for a layer and without a command. */
#include "cli/settings.h"
#include "cli/vm/box.h"
#include "cli/vm/enter.h"
#include "cli/vm/images.h"
#include "cli/vm/network.h"
#include "cli/vm/store.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define DEFAULT_DISK "16g"
#define LEAST_DISK (64ull << 20)

/* ---- create */

/* A line of words as options of "machine create", with what is said of the disk. */
static struct abx_run *read_run(int argc, char **argv, struct abx_options *ret, uint64_t *ret_disk)
{
    struct abx_run *run = abx_xcalloc(1, sizeof *run);
    const char *disk = DEFAULT_DISK, *name;
    *ret = abx_options_start(argc, argv);
    while ((name = abx_options_next(ret)))
        if (strcmp(name, "--disk") == 0)
            disk = abx_options_value(ret);
        else
            abx_run_option(run, ret, name);
    *ret_disk = abx_size_parse("--disk", disk);
    run->vm = run->detach = run->stays = true;
    return run;
}

/* What would not start is not made. */
static void check(struct abx_run *run, uint64_t disk)
{
    struct abx_settings settings;
    char *forwards;
    if (run->kind == ABX_IMAGE_FOLDER) {
        char *usr = abx_xprintf("%s/usr", run->image), *bin = abx_xprintf("%s/bin", run->image);
        if (access(usr, F_OK) < 0 && access(bin, F_OK) < 0)
            abx_die(ABX_EXIT_OWN, "the image folder %s holds no root file system (no usr, no bin)",
                    run->image);
        free(usr);
        free(bin);
    }
    if (disk < LEAST_DISK)
        abx_die(ABX_EXIT_OWN, "--disk: a machine needs 64m at least");
    abx_mounts_check(run);
    abx_settings_read(run, &settings);
    abx_vm_check_size(run, &settings);
    abx_vm_network(run, &forwards);
    free(forwards);
}

int abx_do_machine_create(int argc, char **argv)
{
    struct abx_options o;
    uint64_t disk;
    struct abx_run *run = read_run(argc, argv, &o, &disk);
    if (!o.count)
        abx_usage(&o);
    abx_run_choose_image(run, o.count > 1 ? o.words[1] : "host");
    if (run->kind == ABX_IMAGE_OCI)
        abx_vm_take_image(run);
    check(run, disk);
    abx_machine_keep(o.words[0], run, disk);
    printf("%s\n", o.words[0]);
    return 0;
}

/* ---- start */

static struct abx_run *run_of(const struct abx_machine_kept *m)
{
    struct abx_options o;
    uint64_t disk;
    char **words = abx_xcalloc(m->word_count + 2, sizeof *words);
    words[0] = (char *)"machine create";
    memcpy(words + 1, m->words, m->word_count * sizeof *words);
    struct abx_run *run = read_run((int)m->word_count + 1, words, &o, &disk);
    abx_run_choose_image(run, m->image);
    abx_vm_hold_image(m->image);
    run->name = m->name;
    static char *nothing[] = {(char *)"", NULL}; /* a name that is no file's */
    run->command = nothing;
    if (!run->workdir)
        run->workdir = (char *)"/";
    if (chdir("/") < 0) /* it is the same, from wherever it is started */
        abx_die(ABX_EXIT_OWN, "cannot enter /: %s", strerror(errno));
    return run;
}

/* A record of its last run, which nobody asked to forget. */
static void make_way(const char *name)
{
    struct abx_container *c = abx_container_find(name);
    if (c && !c->running && c->stays)
        abx_container_forget(c);
    abx_container_free(c);
}

/* Its first process answers: it has booted. */
static bool answers(const char *name)
{
    char *words[] = {(char *)"-c", NULL};
    struct abx_vm_entry entry = {.words = words};
    struct abx_container *c = abx_container_find(name);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC), status = -1;
    if (c && c->running) {
        pid_t pid = abx_vm_enter_child(c, &entry, null, null, null);
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
            ;
    }
    close(null);
    abx_container_free(c);
    return status == 0;
}

static int start(const char *name)
{
    struct abx_machine_kept *m = abx_machine_must(name);
    struct abx_container *c = abx_machine_running(m);
    pid_t own = getpid();
    if (c)
        abx_die(ABX_EXIT_OWN, "the machine '%s' runs already", name);
    struct abx_run *run = run_of(m);
    run->disk = abx_machine_take_disk(m);
    if (run->disk < 0)
        abx_die(ABX_EXIT_OWN, "the machine '%s' runs already, in another runtime folder", name);
    make_way(name);
    int code = abx_run_go(run);
    if (getpid() != own) /* who ran it in the background */
        exit(code);
    close(run->disk);
    if (code == 0 && !answers(name))
        abx_die(ABX_EXIT_OWN, "the machine '%s' did not start: arcbox logs %s", name, name);
    abx_machine_free(m);
    return code;
}

int abx_do_machine_start(int argc, char **argv)
{
    struct abx_options o = abx_options_start(argc, argv);
    int code = 0;
    abx_options_next(&o);
    if (!o.count)
        abx_usage(&o);
    for (int i = 0; i < o.count && code == 0; i++)
        code = start(o.words[i]);
    return code;
}

/* ---- stop and rm */

static unsigned seconds_of(struct abx_options *o)
{
    char *end, *text = abx_options_value(o);
    unsigned long n = strtoul(text, &end, 10);
    if (!*text || *end || n > 86400)
        abx_die(ABX_EXIT_OWN, "-t %s: expected a number of seconds", text);
    return (unsigned)n;
}

static void end(const struct abx_machine_kept *m, unsigned seconds)
{
    struct abx_container *c = abx_machine_running(m);
    if (c && !abx_container_end(c, seconds))
        abx_die(ABX_EXIT_OWN, "the machine '%s' could not be ended: look at `arcbox ps`", m->name);
    abx_container_free(c);
}

int abx_do_machine_stop(int argc, char **argv)
{
    unsigned seconds = 30;
    struct abx_options o = abx_options_start(argc, argv);
    while (abx_options_next(&o))
        seconds = seconds_of(&o);
    if (!o.count)
        abx_usage(&o);
    for (int i = 0; i < o.count; i++) {
        struct abx_machine_kept *m = abx_machine_must(o.words[i]);
        end(m, seconds);
        printf("%s\n", m->name);
        abx_machine_free(m);
    }
    return 0;
}

int abx_do_machine_rm(int argc, char **argv)
{
    bool force = false;
    struct abx_options o = abx_options_start(argc, argv);
    while (abx_options_next(&o))
        force = abx_options_bool(&o);
    if (!o.count)
        abx_usage(&o);
    for (int i = 0; i < o.count; i++) {
        struct abx_machine_kept *m = abx_machine_must(o.words[i]);
        struct abx_container *c = abx_machine_running(m);
        if (c && !force)
            abx_die(ABX_EXIT_OWN,
                    "the machine '%s' runs: arcbox machine stop %s, or arcbox machine rm -f %s",
                    m->name, m->name, m->name);
        abx_container_free(c);
        end(m, 0);
        int disk = -EBUSY;
        for (unsigned tries = 0; disk < 0 && tries < 200; tries++) { /* its processes are ending */
            disk = abx_machine_take_disk(m);
            if (disk < 0)
                nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
        }
        if (disk < 0)
            abx_die(ABX_EXIT_OWN, "the machine '%s' runs in another runtime folder", m->name);
        abx_machine_drop(m);
        close(disk);
        printf("%s\n", m->name);
        abx_machine_free(m);
    }
    return 0;
}

/* ---- ls and inspect */

static const char *option_of(const struct abx_machine_kept *m, const char *name)
{
    for (unsigned i = 0; i + 1 < m->word_count; i++)
        if (strcmp(m->words[i], name) == 0)
            return m->words[i + 1];
    return "";
}

static void print_table(struct abx_machine_kept **list)
{
    printf("%-20s %-10s %-6s %-8s %-16s %s\n", "NAME", "STATE", "CPUS", "MEMORY", "DISK", "IMAGE");
    for (; *list; list++) {
        const struct abx_machine_kept *m = *list;
        struct abx_container *c = abx_machine_running(m);
        const char *cpus = option_of(m, "--cpus"), *memory = option_of(m, "--memory");
        char disk[48];
        snprintf(disk, sizeof disk, "%.1f of %.1f GiB", (double)m->used_bytes / (1u << 30),
                (double)m->disk_bytes / (1u << 30));
        char *image = abx_vm_image_name(m->image);
        printf("%-20s %-10s %-6s %-8s %-16s %s\n", m->name, c ? "running" : "stopped",
                *cpus ? cpus : "all", *memory ? memory : "2g", disk, image);
        free(image);
        abx_container_free(c);
    }
}

static void describe(struct abx_string *out, const struct abx_machine_kept *m)
{
    struct abx_container *c = abx_machine_running(m);
    abx_string_printf(out, "  {\"name\": ");
    abx_json_string(out, m->name);
    abx_string_printf(out, ",\n    \"state\": \"%s\",\n    \"image\": ", c ? "running" : "stopped");
    char *image = abx_vm_image_name(m->image);
    abx_json_string(out, image);
    free(image);
    abx_string_printf(out, ",\n    \"disk_bytes\": %llu,\n    \"used_bytes\": %llu",
            (unsigned long long)m->disk_bytes, (unsigned long long)m->used_bytes);
    abx_string_printf(out, ",\n    \"pid\": %d,\n    \"folder\": ", c ? c->init : 0);
    abx_json_string(out, m->folder);
    abx_string_printf(out, ",\n    \"options\": [");
    for (unsigned i = 0; i < m->word_count; i++) {
        bool is_value = i && strcmp(m->words[i - 1], "--env") == 0;
        char *word = abx_xstrdup(m->words[i]); /* the values of variables may be secrets */
        if (is_value)
            word[strcspn(word, "=")] = 0;
        abx_string_printf(out, "%s", i ? ", " : "");
        abx_json_string(out, word);
        free(word);
    }
    abx_string_printf(out, "]}");
    abx_container_free(c);
}

static void print_json(struct abx_machine_kept **list)
{
    struct abx_string out = {0};
    abx_string_printf(&out, "[\n");
    for (unsigned i = 0; list[i]; i++) {
        abx_string_printf(&out, "%s", i ? ",\n" : "");
        describe(&out, list[i]);
    }
    printf("%s\n]\n", out.data ? out.data : "");
    abx_string_finish(&out);
}

int abx_do_machine_ls(int argc, char **argv)
{
    bool quiet = false, json = false;
    struct abx_options o = abx_options_start(argc, argv);
    for (const char *name; (name = abx_options_next(&o));)
        if (strcmp(name, "--quiet") == 0)
            quiet = abx_options_bool(&o);
        else
            json = abx_option_json(&o);
    struct abx_machine_kept **list = abx_machine_list();
    if (json)
        print_json(list);
    else if (!quiet)
        print_table(list);
    for (unsigned i = 0; list[i]; i++) {
        if (quiet)
            printf("%s\n", list[i]->name);
        abx_machine_free(list[i]);
    }
    free(list);
    return 0;
}

int abx_do_machine_inspect(int argc, char **argv)
{
    struct abx_options o = abx_options_start(argc, argv);
    abx_options_next(&o);
    if (!o.count)
        abx_usage(&o);
    struct abx_machine_kept **list = abx_xcalloc((size_t)o.count + 1, sizeof *list);
    for (int i = 0; i < o.count; i++)
        list[i] = abx_machine_must(o.words[i]);
    print_json(list);
    for (int i = 0; i < o.count; i++)
        abx_machine_free(list[i]);
    free(list);
    return 0;
}

/* ---- ssh: a shell of the machine's, or words for it, as ssh takes them */

int abx_do_machine_ssh(int argc, char **argv)
{
    struct abx_options o = abx_options_start(argc, argv);
    struct abx_words line = {0};
    struct abx_string text = {0};
    abx_options_next(&o);
    if (!o.count)
        abx_usage(&o);
    for (int i = 1; i < o.count; i++)
        abx_string_printf(&text, "%s%s", i > 1 ? " " : "", o.words[i]);
    abx_words_add(&line, "machine exec");
    if (o.count == 1 && isatty(0) && isatty(1))
        abx_words_add(&line, "-t");
    if (getenv("TERM")) {
        abx_words_add(&line, "-e");
        abx_words_add(&line, "TERM");
    }
    abx_words_add(&line, o.words[0]);
    abx_words_add(&line, "sh");
    abx_words_add(&line, "-lc");
    abx_words_add(&line, text.data ? text.data : "exec \"${SHELL:-sh}\" -l");
    return abx_do_exec((int)line.count, line.list);
}
