/* arcbox daemon: the host runtime, which otherwise starts by itself and ends when idle. */
#include "cli/cli.h"
#include "host/control/control.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static struct abx_control *connect_to(bool start)
{
    struct abx_control *control = NULL;
    char *why = NULL;
    int r = abx_control_connect(start, &control, &why);
    if (r == -ENOENT && !start)
        return NULL;
    if (r < 0)
        abx_die(ABX_EXIT_OWN, "cannot reach the host runtime: %s", why ? why : strerror(-r));
    return control;
}

static int print_status(struct abx_control *control, bool json)
{
    struct abx_control_daemon d;
    if (!control) {
        if (json)
            printf("{\"running\": false}\n");
        else
            printf("the host runtime is not running; it starts by itself when needed\n");
        return 3; /* as service managers say "not running" */
    }
    if (abx_control_ping(control, &d) < 0)
        abx_die(ABX_EXIT_OWN, "the host runtime does not answer: %s", abx_control_error(control));
    time_t started = (time_t)(d.started_ns / 1000000000u);
    if (json) {
        struct abx_string out = {0};
        abx_string_printf(&out, "{\"running\": true, \"pid\": %d, \"release\": ", d.pid);
        abx_json_string(&out, d.release);
        abx_string_printf(&out, ", \"backend\": ");
        abx_json_string(&out, d.backend);
        abx_string_printf(&out,
                ", \"tenants\": %u, \"clients\": %u, \"started\": %lld, \"idle_seconds\": %u, "
                "\"log\": ",
                d.tenants, d.clients, (long long)started, d.idle_seconds);
        abx_json_string(&out, d.log);
        printf("%s}\n", out.data);
        return 0;
    }
    char when[64] = "";
    struct tm tm;
    if (localtime_r(&started, &tm))
        strftime(when, sizeof when, "%F %T", &tm);
    printf("running: process %d, arcbox %s, since %s\n", d.pid, d.release, when);
    printf("backend: %s; %u tenants, %u clients\n", d.backend, d.tenants, d.clients);
    if (d.idle_seconds)
        printf("ends after %u s without clients\n", d.idle_seconds);
    if (d.log[0])
        printf("log: %s\n", d.log);
    return 0;
}

int abx_do_daemon(int argc, char **argv)
{
    bool json = false;
    struct abx_options o = abx_options_start(argc, argv);
    for (const char *name; (name = abx_options_next(&o));) {
        if (strcmp(name, "--format") == 0)
            json = abx_option_json(&o);
    }
    const char *what = o.count ? o.words[0] : "";
    if (strcmp(what, "start") == 0)
        return print_status(connect_to(true), json);
    if (strcmp(what, "status") == 0)
        return print_status(connect_to(false), json);
    if (strcmp(what, "stop") != 0)
        abx_usage(&o);
    struct abx_control *control = connect_to(false);
    if (!control) {
        printf("the host runtime is not running\n");
        return 0;
    }
    if (abx_control_shutdown(control) < 0)
        abx_die(ABX_EXIT_OWN, "the host runtime does not stop: %s", abx_control_error(control));
    printf("stopped\n");
    return 0;
}
