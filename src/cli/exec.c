/* arcbox exec: another command in a container that runs. Bytes go through pipes or a terminal of
 * the container's, so that it gets no descriptor of whoever called. */
#include "cli/join.h"
#include "cli/vm/enter.h"
#include "cli/vm/store.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct request {
    bool tty, detach;
    const char *workdir, *user;
    char *env[ABX_MAX_GIVEN + 1];
    unsigned env_count;
};

static void add_env(struct request *r, const char *pair)
{
    const char *equals = strchr(pair, '='), *value = equals ? equals : getenv(pair);
    if (equals == pair || !*pair)
        abx_die(ABX_EXIT_OWN, "-e %s: expected NAME or NAME=VALUE", pair);
    if (r->env_count == ABX_MAX_GIVEN)
        abx_die(ABX_EXIT_OWN, "more than %d variables", ABX_MAX_GIVEN);
    if (value)
        r->env[r->env_count++] = equals ? abx_xstrdup(pair) : abx_xprintf("%s=%s", pair, value);
}

static void take_option(struct request *r, struct abx_options *o, const char *name)
{
    if (strcmp(name, "--tty") == 0)
        r->tty = abx_options_bool(o);
    else if (strcmp(name, "--interactive") == 0)
        (void)abx_options_bool(o); /* docker's: input is always passed on */
    else if (strcmp(name, "--detach") == 0)
        r->detach = abx_options_bool(o);
    else if (strcmp(name, "--workdir") == 0)
        r->workdir = abx_options_value(o);
    else if (strcmp(name, "--user") == 0)
        r->user = abx_options_value(o);
    else if (strcmp(name, "--env") == 0)
        add_env(r, abx_options_value(o));
}

/* Numbers only: names are the image's, which nobody reads here. Ordinary users' containers have one
 * user. */
static const char *user_of(const struct request *r, const struct abx_container *c)
{
    if (!r->user)
        return c->user[0] ? c->user : NULL;
    size_t digits = strspn(r->user, "0123456789"), more = 0;
    if (digits && r->user[digits] == ':')
        more = strspn(r->user + digits + 1, "0123456789");
    if (!digits || r->user[digits + (more ? more + 1 : 0)])
        abx_die(ABX_EXIT_OWN, "--user %s: expected numbers, UID or UID:GID", r->user);
    if (geteuid() != 0 && !abx_vm_is(c))
        abx_die(ABX_EXIT_OWN, "--user cannot be used here: a container of an ordinary user has one "
                              "user only, whom `arcbox run --user` names");
    return more ? r->user : abx_xprintf("%.*s:0", (int)digits, r->user);
}

static char **words_of(const struct request *r, const struct abx_container *c, int terminal,
        char **command, int count)
{
    char **words = abx_xcalloc((size_t)count + 16, sizeof *words);
    const char *user = user_of(r, c);
    int n = 0;
    words[n++] = "-i";
    words[n++] = abx_xprintf("%lx", abx_supervise_ignored());
    words[n++] = "-w";
    words[n++] = (char *)(r->workdir ? r->workdir : c->workdir[0] ? c->workdir : "/");
    if (!abx_vm_is(c) && abx_join_shares_processes(c))
        words[n++] = "-p";
    if (user) {
        words[n++] = "-u";
        words[n++] = (char *)user;
    }
    if (terminal >= 0) {
        words[n++] = "-t";
        words[n++] = abx_xprintf("%d", terminal);
    }
    words[n++] = "--";
    memcpy(words + n, command, (size_t)count * sizeof *words);
    return words;
}

static void make_streams(const struct request *r, int inside[3], struct abx_supervised *outside)
{
    int pipes[3][2], null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int i = 0; i < 3; i++)
        inside[i] = null;
    if (r->tty || r->detach)
        return;
    for (int i = 0; i < 3; i++)
        if (pipe2(pipes[i], O_CLOEXEC) < 0)
            abx_die(ABX_EXIT_OWN, "cannot make a pipe: %s", strerror(errno));
    inside[0] = pipes[0][0];
    inside[1] = pipes[1][1];
    inside[2] = pipes[2][1];
    outside->in = pipes[0][1];
    outside->out[0] = pipes[1][0];
    outside->out[1] = pipes[2][0];
    fcntl(outside->in, F_SETFL, O_NONBLOCK);
}

static int exec_in(
        const struct request *r, const struct abx_container *c, char **command, int count)
{
    struct abx_supervised outside = {.init_fd = -1,
            .terminal = -1,
            .master = -1,
            .in = -1,
            .listener = -1,
            .out = {-1, -1},
            .log = -1,
            .own_session = true};
    int inside[3], sockets[2] = {-1, -1};
    char text[512] = "";
    abx_supervise_prepare();
    make_streams(r, inside, &outside);
    if (r->tty && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0)
        abx_die(ABX_EXIT_OWN, "cannot make a socket: %s", strerror(errno));
    struct abx_join join = {.words = words_of(r, c, sockets[1], command, count),
            .env = r->env,
            .in = inside[0],
            .out = inside[1],
            .err = inside[2],
            .detached = r->detach,
            .terminal = sockets[1]};
    outside.terminal = sockets[0];
    outside.pid = abx_join_start(c, &join, &outside.init, text, sizeof text);
    if (outside.pid < 0)
        abx_die(ABX_EXIT_OWN, "%s", text);
    outside.init_fd = abx_process_below(outside.init, outside.pid);
    for (int i = 0; i < 3; i++)
        if (i == 0 || inside[i] != inside[0])
            close(inside[i]);
    if (sockets[1] >= 0)
        close(sockets[1]);
    return r->detach ? 0 : abx_supervise(&outside);
}

static int exec_in_machine(
        struct request *r, const struct abx_container *c, char **command, int count)
{
    abx_supervise_prepare(); /* which finds out what our caller had ignored */
    struct abx_vm_entry entry = {.words = words_of(r, c, -1, command, count),
            .env = r->env,
            .tty = r->tty,
            .detached = r->detach};
    return abx_vm_enter(c, &entry);
}

int abx_do_exec(int argc, char **argv)
{
    struct request r = {0};
    char **all = argv + 1;
    struct abx_options o = abx_options_start(argc, argv);
    for (const char *name; (name = abx_options_next(&o));)
        take_option(&r, &o, name);
    if (o.count < 2)
        abx_usage(&o);
    if (strcmp(argv[0], "exec") != 0)
        abx_machine_must_run(o.words[0]);
    struct abx_container *c = abx_container_must(o.words[0]);
    if (!c->running)
        abx_die(ABX_EXIT_OWN, "'%s' has ended (see: arcbox ps -a)", c->name);
    if (strcmp(c->kind, "podman") == 0)
        abx_oci_become("exec", all);
    if (r.tty && !isatty(0))
        abx_die(ABX_EXIT_OWN, "-t needs a terminal, and the input is none: leave it out");
    int at = strcmp(o.words[1], "--") == 0 && o.count > 2 ? 2 : 1;
    if (abx_vm_is(c))
        return exec_in_machine(&r, c, o.words + at, o.count - at);
    return exec_in(&r, c, o.words + at, o.count - at);
}
