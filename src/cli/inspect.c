/* arcbox inspect: a container's record, as JSON. Values of variables are not in it. */
#include "cli/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void text(struct abx_string *out, const char *name, const char *value)
{
    abx_string_printf(out, ",\n    \"%s\": ", name);
    abx_json_string(out, value);
}

static void number(struct abx_string *out, const char *name, long long value)
{
    abx_string_printf(out, ",\n    \"%s\": %lld", name, value);
}

/* What was given on the command line, a line each: "mount /a:/b ro", "label x=y". */
static void add_notes(struct abx_string *out, const struct abx_container *c, const char *kind)
{
    char *path = abx_container_file(c, "notes");
    void *data = NULL;
    size_t length, n = strlen(kind);
    unsigned count = 0;
    abx_string_printf(out, ",\n    \"%ss\": [", kind);
    if (abx_read_file(path, 1 << 20, &data, &length) == 0) {
        char *rest = data;
        for (char *line; (line = strsep(&rest, "\n"));)
            if (strncmp(line, kind, n) == 0 && line[n] == ' ') {
                abx_string_printf(out, "%s", count++ ? ", " : "");
                abx_json_string(out, line + n + 1);
            }
    }
    abx_string_printf(out, "]");
    free(data);
    free(path);
}

static void describe(struct abx_string *out, const struct abx_container *c)
{
    char log[PATH_MAX];
    abx_string_printf(out, "  {\"name\": ");
    abx_json_string(out, c->name);
    text(out, "kind", c->kind);
    text(out, "image", c->image);
    text(out, "command", c->command);
    text(out, "state", c->running ? "running" : c->exit_code < 0 ? "killed" : "exited");
    number(out, "exit_code", c->running ? -1 : c->exit_code);
    text(out, "why", c->why);
    abx_string_printf(out, ",\n    \"gpu\": %s", c->gpu ? "true" : "false");
    number(out, "started", c->started);
    number(out, "ended", c->ended);
    number(out, "pid", c->running ? c->init : 0);
    number(out, "arcbox_pid", c->running ? c->supervisor : 0);
    text(out, "workdir", c->workdir);
    text(out, "user", c->user);
    text(out, "control_group", c->group);
    text(out, "log", abx_container_link(c, "log", log) ? log : "");
    add_notes(out, c, "mount");
    add_notes(out, c, "label");
    add_notes(out, c, "option");
    abx_string_printf(out, "}");
}

int abx_do_inspect(int argc, char **argv)
{
    struct abx_string out = {0};
    struct abx_options o = abx_options_start(argc, argv);
    abx_options_next(&o);
    if (!o.count)
        abx_usage(&o);
    abx_string_printf(&out, "[\n");
    for (int i = 0; i < o.count; i++) {
        struct abx_container *c = abx_container_must(o.words[i]);
        abx_string_printf(&out, "%s", i ? ",\n" : "");
        describe(&out, c);
        abx_container_free(c);
    }
    printf("%s\n]\n", out.data ? out.data : "");
    abx_string_finish(&out);
    return 0;
}

static void note(struct abx_string *out, const char *kind, const char *value, const char *more)
{
    if (!strpbrk(value, "\n"))
        abx_string_printf(out, "%s %s%s\n", kind, value, more);
}

void abx_container_note(const struct abx_container *c, const struct abx_run *run)
{
    struct abx_string out = {0};
    char *path = abx_container_file(c, "notes");
    for (unsigned i = 0; i < run->mount_count; i++) {
        char *both = abx_xprintf("%s:%s", run->mounts[i].source, run->mounts[i].target);
        note(&out, "mount", both, run->mounts[i].read_only ? ":ro" : "");
        free(both);
    }
    for (unsigned i = 0; i < run->given_count; i++) {
        const struct abx_given *g = &run->given[i];
        if (strcmp(g->name, "--label") == 0)
            note(&out, "label", g->value, "");
        else {
            char *both = abx_xprintf("%s%s%s", g->name, *g->value ? " " : "", g->value);
            note(&out, "option", both, "");
            free(both);
        }
    }
    if (out.length)
        abx_write_file(path, out.data, out.length);
    abx_string_finish(&out);
    free(path);
}
