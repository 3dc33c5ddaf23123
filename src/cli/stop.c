/* arcbox stop: asks a container to end, then makes it. */
#include "cli/run.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

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

/* Its arcbox and its process 1 are held before the first wait: what has their numbers, or the
 * container's name, after it may be another. */
static bool end_held(int supervisor, int init, unsigned seconds)
{
    if (seconds && abx_process_signal(supervisor, SIGTERM) == 0 &&
            abx_process_ended(supervisor, (int)seconds * 1000))
        return true;
    if (init >= 0)
        abx_process_signal(init, SIGKILL);
    if (init >= 0 && abx_process_ended(supervisor, 2000))
        return true;
    abx_process_signal(supervisor, SIGKILL);
    return abx_process_ended(supervisor, 2000);
}

/* Its arcbox, held; -ESRCH: it has ended. A record says a moment late who runs it. */
static int hold(const struct abx_container *c, int *ret_init)
{
    *ret_init = -1;
    for (unsigned i = 0; i < 100; i++) {
        struct abx_container *now = abx_container_find(c->name);
        bool running = now && now->running && (!c->supervisor || abx_container_same(now, c));
        int supervisor = running ? abx_container_supervisor(now) : -1;
        if (supervisor >= 0)
            *ret_init = abx_container_init(now);
        abx_container_free(now);
        if (!running || supervisor >= 0)
            return running ? supervisor : -ESRCH;
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    }
    return -EBUSY;
}

bool abx_container_end(const struct abx_container *c, unsigned seconds)
{
    if (strcmp(c->kind, "podman") == 0)
        return abx_oci_stop(c->name, seconds) && gone(c->name, 5000000000);
    int init, supervisor = hold(c, &init);
    bool ended = supervisor == -ESRCH || (supervisor >= 0 && end_held(supervisor, init, seconds));
    if (init >= 0)
        close(init);
    if (supervisor >= 0)
        close(supervisor);
    return ended;
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
