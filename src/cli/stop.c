/* arcbox stop: asks a container to end, then makes it. */
#include "cli/run.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static bool gone(const char *name, int64_t wait_ns)
{
    uint64_t end = abx_now_ns() + (uint64_t)wait_ns;
    for (;;) {
        struct abx_container *c = abx_container_find(name);
        bool running = c && c->running;
        abx_container_free(c);
        if (!running)
            return true;
        if (abx_now_ns() >= end)
            return false;
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
}

/* The record's lock is held by the supervisor, so its process numbers are still those it wrote. */
bool abx_container_end(const struct abx_container *c, unsigned seconds)
{
    if (strcmp(c->kind, "podman") == 0)
        return abx_oci_stop(c->name, seconds) && gone(c->name, 5000000000);
    if (c->supervisor > 0 && seconds)
        kill(c->supervisor, SIGTERM);
    if (seconds && gone(c->name, (int64_t)seconds * 1000000000))
        return true;
    if (c->init > 0)
        kill(c->init, SIGKILL);
    if (gone(c->name, 2000000000))
        return true;
    if (c->supervisor > 0)
        kill(c->supervisor, SIGKILL);
    return gone(c->name, 2000000000);
}

int abx_do_stop(int argc, char **argv)
{
    unsigned seconds = 10;
    int code = 0;
    struct abx_options o = abx_options_start(argc, argv);
    for (const char *name; (name = abx_options_next(&o));) {
        if (strcmp(name, "--time") == 0) {
            char *end, *text = abx_options_value(&o);
            unsigned long n = strtoul(text, &end, 10);
            if (!*text || *end || n > 86400)
                abx_die(ABX_EXIT_OWN, "-t %s: expected a number of seconds", text);
            seconds = (unsigned)n;
        }
    }
    if (!o.count)
        abx_usage(&o);
    for (int i = 0; i < o.count; i++) {
        struct abx_container *c = abx_container_find(o.words[i]);
        if (!c) {
            abx_say("no container named '%s' (see: arcbox ps -a)", o.words[i]);
            code = ABX_EXIT_OWN;
        } else if (c->running && !abx_container_end(c, seconds)) {
            abx_say("'%s' could not be ended: arcbox rm -f %s, or look at `arcbox ps`", o.words[i],
                    o.words[i]);
            code = ABX_EXIT_OWN;
        } else
            printf("%s\n", o.words[i]);
        abx_container_free(c);
    }
    return code;
}
