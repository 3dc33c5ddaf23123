/* arcbox wait, kill and prune: what is done to containers besides ending them in good order. */
#include "cli/run.h"

#include <ctype.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Until it has ended. Its name may be another's by then. */
static void await(const struct abx_container *c)
{
    int supervisor = strcmp(c->kind, "podman") == 0 ? -1 : abx_container_supervisor(c);
    if (supervisor < 0) {
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL); /* and look again */
        return;
    }
    while (!abx_process_ended(supervisor, -1))
        ;
    close(supervisor);
}

/* -1: not known. */
static int wait_for(struct abx_container *c)
{
    while (c->running) {
        await(c);
        struct abx_container *now = abx_container_find(c->name);
        bool same = now && (!c->supervisor || abx_container_same(now, c));
        abx_container_free(c);
        c = now;
        if (!same) { /* --rm: forgotten with its code */
            abx_container_free(c);
            return -1;
        }
    }
    int code = c->exit_code;
    abx_container_free(c);
    return code;
}

int abx_do_wait(int argc, char **argv)
{
    struct abx_options o = abx_options_start(argc, argv);
    abx_options_next(&o);
    if (!o.count)
        abx_usage(&o);
    for (int i = 0; i < o.count; i++) {
        int code = wait_for(abx_container_must(o.words[i]));
        printf("%d\n", code);
    }
    return 0;
}

/* "TERM", "SIGTERM" or "15"; 0: none. */
static int signal_number(const char *text)
{
    char *end;
    long n = strtol(text, &end, 10);
    if (isdigit((unsigned char)*text))
        return !*end && n > 0 && n < 32 ? (int)n : 0;
    if (strncasecmp(text, "SIG", 3) == 0)
        text += 3;
    for (int s = 1; s < 32; s++)
        if (sigabbrev_np(s) && strcasecmp(sigabbrev_np(s), text) == 0)
            return s;
    return 0;
}

/* Process 1 passes it on to the command, but for SIGKILL, which is its own end and so everything's.
 */
static int kill_one(const struct abx_container *c, int number, const char *text)
{
    if (!c->running) {
        abx_say("'%s' has ended", c->name);
        return ABX_EXIT_OWN;
    }
    if (strcmp(c->kind, "podman") == 0) {
        if (!abx_oci_kill(c->name, text)) {
            abx_say("podman did not send the signal to '%s'", c->name);
            return ABX_EXIT_OWN;
        }
    } else {
        int init = abx_container_init(c);
        if (init < 0 || abx_process_signal(init, number) < 0) {
            abx_say("cannot send the signal to '%s': %s", c->name,
                    c->init ? strerror(errno) : "it is only starting");
            return ABX_EXIT_OWN;
        }
        close(init);
    }
    printf("%s\n", c->name);
    return 0;
}

int abx_do_kill(int argc, char **argv)
{
    const char *text = "KILL";
    struct abx_options o = abx_options_start(argc, argv);
    for (const char *name; (name = abx_options_next(&o));)
        if (strcmp(name, "--signal") == 0)
            text = abx_options_value(&o);
    if (!o.count)
        abx_usage(&o);
    int number = signal_number(text), code = 0;
    if (!number)
        abx_die(ABX_EXIT_OWN, "--signal %s: no signal is called that (TERM, KILL, USR1, ...)",
                text);
    for (int i = 0; i < o.count; i++) {
        struct abx_container *c = abx_container_find(o.words[i]);
        if (!c) {
            abx_say("no container named '%s' (see: arcbox ps)", o.words[i]);
            code = ABX_EXIT_OWN;
        } else if (kill_one(c, number, text) != 0)
            code = ABX_EXIT_OWN;
        abx_container_free(c);
    }
    return code;
}

int abx_do_prune(int argc, char **argv)
{
    struct abx_options o = abx_options_start(argc, argv);
    while (abx_options_next(&o)) /* --force: nothing is asked anyway */
        (void)abx_options_bool(&o);
    struct abx_container **list = abx_container_list();
    unsigned count = 0;
    for (unsigned i = 0; list[i]; i++) {
        if (list[i]->running) {
            abx_container_free(list[i]);
            continue;
        }
        printf("%s\n", list[i]->name);
        if (strcmp(list[i]->kind, "podman") == 0)
            abx_oci_remove(list[i]->name);
        abx_container_close(list[i], true);
        count++;
    }
    free(list);
    if (!count)
        printf("nothing to remove\n");
    return 0;
}
