/* arcbox ps and arcbox rm. */
#include "cli/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void print_age(char *to, size_t capacity, int64_t since)
{
    int64_t s = time(NULL) - since;
    if (s < 120)
        snprintf(to, capacity, "%lld s", (long long)s);
    else if (s < 7200)
        snprintf(to, capacity, "%lld min", (long long)s / 60);
    else if (s < 172800)
        snprintf(to, capacity, "%lld h", (long long)s / 3600);
    else
        snprintf(to, capacity, "%lld days", (long long)s / 86400);
}

/* How it is or how it ended, and when. */
static void state_of(const struct abx_container *c, char *to, size_t capacity)
{
    char age[32] = "";
    size_t n;
    if (c->running)
        snprintf(to, capacity, "running");
    else if (c->exit_code < 0)
        snprintf(to, capacity, "killed with its arcbox");
    else if (c->why[0])
        snprintf(to, capacity, "exited (%d), %s", c->exit_code, c->why);
    else if (c->exit_code > 128 && c->exit_code < 128 + 32)
        snprintf(
                to, capacity, "exited (%d), SIG%s", c->exit_code, sigabbrev_np(c->exit_code - 128));
    else
        snprintf(to, capacity, "exited (%d)", c->exit_code);
    if (c->running || !c->ended)
        return;
    n = strlen(to);
    print_age(age, sizeof age, c->ended);
    snprintf(to + n, capacity - n, " %s ago", age);
}

static void print_json(struct abx_container **list, bool all)
{
    struct abx_string out = {0};
    abx_string_printf(&out, "[");
    for (unsigned i = 0, n = 0; list[i]; i++) {
        const struct abx_container *c = list[i];
        if (!c->running && !all)
            continue;
        abx_string_printf(&out, "%s\n  {\"name\": ", n++ ? "," : "");
        abx_json_string(&out, c->name);
        abx_string_printf(
                &out, ", \"running\": %s, \"exit_code\": ", c->running ? "true" : "false");
        if (c->running || c->exit_code < 0)
            abx_string_printf(&out, "null");
        else
            abx_string_printf(&out, "%d", c->exit_code);
        abx_string_printf(&out, ", \"kind\": ");
        abx_json_string(&out, c->kind);
        abx_string_printf(&out, ", \"image\": ");
        abx_json_string(&out, c->image);
        abx_string_printf(&out, ", \"command\": ");
        abx_json_string(&out, c->command);
        abx_string_printf(&out,
                ", \"gpu\": %s, \"started\": %lld, \"ended\": %lld, \"pid\": %d, "
                "\"why\": ",
                c->gpu ? "true" : "false", (long long)c->started, (long long)c->ended,
                c->running ? c->init : 0);
        abx_json_string(&out, c->why);
        abx_string_printf(&out, "}");
    }
    abx_string_printf(&out, "\n]\n");
    fwrite(out.data, 1, out.length, stdout);
    abx_string_finish(&out);
}

int abx_do_ps(int argc, char **argv)
{
    bool all = false, json = false, quiet = false;
    struct abx_options o = abx_options_start(argc, argv);
    for (const char *name; (name = abx_options_next(&o));) {
        if (strcmp(name, "--all") == 0)
            all = abx_options_bool(&o);
        else if (strcmp(name, "--quiet") == 0)
            quiet = abx_options_bool(&o);
        else if (strcmp(name, "--format") == 0)
            json = abx_option_json(&o);
    }
    struct abx_container **list = abx_container_list();
    if (json) {
        print_json(list, all);
        return 0;
    }
    if (!quiet)
        printf("%-20s %-26s %-10s %-4s %-20s %s\n", "NAME", "STATE", "STARTED", "GPU", "IMAGE",
                "COMMAND");
    for (unsigned i = 0; list[i]; i++) {
        const struct abx_container *c = list[i];
        char state[192], age[32];
        if (!c->running && !all)
            continue;
        if (quiet) {
            printf("%s\n", c->name);
            continue;
        }
        state_of(c, state, sizeof state);
        print_age(age, sizeof age, c->started);
        printf("%-20s %-26s %-10s %-4s %-20s %.60s\n", c->name, state, age, c->gpu ? "yes" : "no",
                c->image, c->command);
    }
    return 0;
}

int abx_do_rm(int argc, char **argv)
{
    int code = 0;
    bool force = false;
    struct abx_options o = abx_options_start(argc, argv);
    for (const char *name; (name = abx_options_next(&o));) {
        if (strcmp(name, "--force") == 0)
            force = abx_options_bool(&o);
    }
    if (!o.count)
        abx_usage(&o);
    for (int i = 0; i < o.count; i++) {
        struct abx_container *c = abx_container_find(o.words[i]);
        if (c && c->running && force) {
            abx_container_end(c, 0);
            abx_container_free(c);
            c = abx_container_find(o.words[i]);
        }
        if (!c)
            abx_say("no container named '%s' (see: arcbox ps -a)", o.words[i]);
        else if (c->running)
            abx_say("'%s' is running: arcbox stop %s first, or -f", o.words[i], o.words[i]);
        if (!c || c->running) {
            code = ABX_EXIT_OWN;
            abx_container_free(c);
            continue;
        }
        if (strcmp(c->kind, "podman") == 0)
            abx_oci_remove(c->name);
        abx_container_close(c, true);
        printf("%s\n", o.words[i]);
    }
    return code;
}
