/* cli: `arcbox run` with an OCI reference, through podman. */
#include "cli/cdi.h"
#include "cli/image.h"
#include "cli/program.h"
#include "cli/run.h"
#include "cli/sandbox.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void add2(struct abx_words *w, const char *option, const char *value)
{
    abx_words_add(w, option);
    abx_words_add(w, value);
}

/* podman asks for more files and processes than our own limits where it may not raise them, and
 * then nothing starts: ask for what we have. */
static void add_limits(struct abx_words *w)
{
    static const struct {
        int which;
        const char *name;
        unsigned long long most; /* podman lowers its own number of processes to this, hard */
    } limits[] = {{RLIMIT_NOFILE, "nofile", 0}, {RLIMIT_NPROC, "nproc", 32768}};
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(limits); i++) {
        struct rlimit l;
        if (getrlimit((__rlimit_resource_t)limits[i].which, &l) < 0 || l.rlim_max == RLIM_INFINITY)
            continue;
        unsigned long long most = limits[i].most && l.rlim_max > limits[i].most
                                          ? limits[i].most
                                          : (unsigned long long)l.rlim_max;
        unsigned long long now = l.rlim_cur < most ? (unsigned long long)l.rlim_cur : most;
        add2(w, "--ulimit", abx_xprintf("%s=%llu:%llu", limits[i].name, now, most));
    }
}

char *abx_oci_runtime(void)
{
    return access("/sys/fs/cgroup/unified", F_OK) == 0 ? abx_find_program("runc") : NULL;
}

static void add_runtime(struct abx_words *w)
{
    char *runc = abx_oci_runtime();
    if (runc)
        add2(w, "--runtime", runc);
}

/* The description that engines read is root's to write, once, for all (`arcbox cdi generate`): here
 * the same mounts and hooks are named for this container alone. */
static void add_gpu(struct abx_words *global, struct abx_words *w, const struct abx_run *run)
{
    char device[16];
    abx_gpu_backend(&run->gpu, device);
    char *stage = abx_place_guest_root();
    if (!stage)
        abx_die(ABX_EXIT_OWN,
                "the guest library is missing beside the arcbox program: build again");
    size_t count;
    struct abx_injection *list = abx_injections(stage, &count);
    for (size_t i = 0; i < count; i++)
        add2(w, "--volume", abx_xprintf("%s:%s:ro", list[i].source, list[i].target));
    add2(global, "--hooks-dir", abx_hooks_folder(device));
}

/* A value of several lines cannot be in a file of variables: podman takes it from its own ones. */
static void add_long_variables(struct abx_words *w, const struct abx_run *run)
{
    for (unsigned i = 0; i < run->env.count; i++) {
        const char *equals = strchr(run->env.list[i], '=');
        if (!equals || !strchr(equals, '\n'))
            continue;
        char *name = strndup(run->env.list[i], (size_t)(equals - run->env.list[i]));
        if (!name || setenv(name, equals + 1, 1) < 0)
            abx_die(ABX_EXIT_OWN, "out of memory");
        add2(w, "--env", name);
    }
}

/* podman's two spellings: one cannot hold a colon, the other not a comma. */
static void add_mount(struct abx_words *w, const struct abx_mount *m)
{
    bool colon = strchr(m->source, ':') || strchr(m->target, ':');
    if (!colon) {
        char relabel[3] = {m->relabel ? ',' : 0, m->relabel, 0};
        add2(w, "--volume",
                abx_xprintf(
                        "%s:%s:%s%s", m->source, m->target, m->read_only ? "ro" : "rw", relabel));
        return;
    }
    if (strchr(m->source, ',') || strchr(m->target, ','))
        abx_die(ABX_EXIT_OWN, "podman cannot mount a path with both ',' and ':': %s", m->source);
    add2(w, "--mount",
            abx_xprintf("type=bind,source=%s,target=%s%s%s", m->source, m->target,
                    m->read_only ? ",readonly" : "",
                    m->relabel == 'z'   ? ",relabel=shared"
                    : m->relabel == 'Z' ? ",relabel=private"
                                        : ""));
}

static char **command_line(const struct abx_run *run, const char *podman, const char *name,
        const char *limits, const char *variables, const char *calls)
{
    struct abx_words global = {0}, w = {0};
    abx_words_add(&global, podman);
    add_runtime(&global);
    abx_words_add(&w, "run");
    add2(&w, "--name", name);
    add2(&w, "--label", "arcbox=1");
    if (run->remove || !run->detach)
        abx_words_add(&w, "--rm");
    if (run->detach)
        abx_words_add(&w, "-d");
    else
        abx_words_add(&w, "-i");
    if (run->tty)
        abx_words_add(&w, "-t");
    add_limits(&w);
    if (run->gpu.wanted)
        add_gpu(&global, &w, run);
    if (calls)
        add2(&w, "--security-opt", abx_xprintf("seccomp=%s", calls));
    for (unsigned i = 0; i < run->mount_count; i++)
        add_mount(&w, &run->mounts[i]);
    if (variables)
        add2(&w, "--env-file", variables);
    add_long_variables(&w, run);
    if (run->workdir)
        add2(&w, "--workdir", run->workdir);
    if (run->hostname)
        add2(&w, "--hostname", run->hostname);
    if (run->network)
        add2(&w, "--network", run->network);
    if (run->ttl_seconds)
        add2(&w, "--timeout", abx_xprintf("%u", run->ttl_seconds));
    if (run->cpus)
        add2(&w, "--cpus", abx_xprintf("%u", run->cpus));
    for (unsigned i = 0; i < run->given_count; i++)
        if (*run->given[i].value)
            add2(&w, run->given[i].name, run->given[i].value);
        else
            abx_words_add(&w, run->given[i].name);
    if (*limits)
        add2(&w, "--annotation", abx_xprintf(ABX_LIMITS_ANNOTATION "=%s", limits));
    abx_words_add(&w, run->image);
    for (int i = 0; i < run->command_count; i++)
        abx_words_add(&w, run->command[i]);
    for (size_t i = 0; i < w.count; i++)
        abx_words_add(&global, w.list[i]);
    return global.list;
}

static pid_t spawn(char **argv, int output)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0)
        abx_die(ABX_EXIT_OWN, "cannot start a process: %s", strerror(errno));
    if (pid == 0) {
        abx_supervise_child();
        if (output >= 0)
            dup2(output, 1);
        execv(argv[0], argv);
        abx_say("cannot run %s: %s", argv[0], strerror(errno));
        _exit(ABX_EXIT_OWN);
    }
    return pid;
}

/* Stays until the detached container ends, so that its record says what is so. */
static void watch(const char *podman, struct abx_container *c)
{
    int out[2], status;
    char text[32] = "";
    char *argv[] = {(char *)podman, "wait", c->name, NULL};
    if (setsid() < 0 || pipe2(out, O_CLOEXEC) < 0)
        _exit(ABX_EXIT_OWN);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    dup2(null, 0);
    dup2(null, 1);
    dup2(null, 2);
    pid_t pid = spawn(argv, out[1]);
    close(out[1]);
    (void)!read(out[0], text, sizeof text - 1);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    c->exit_code = *text ? atoi(text) : -1;
    c->ended = time(NULL);
    abx_container_save(c);
    abx_container_close(c, c->remove);
    _exit(0);
}

/* The file of variables in the container's record, private to this user; NULL when there are none.
 */
static char *keep_variables(
        const struct abx_run *run, const struct abx_container *c, const char *python_path)
{
    struct abx_string text = {0};
    for (unsigned i = 0; i < run->env.count; i++)
        if (!strchr(run->env.list[i], '\n'))
            abx_string_printf(&text, "%s\n", run->env.list[i]);
    if (python_path) /* the last of one name counts */
        abx_string_printf(&text, "%s\n", python_path);
    char *path = text.length ? abx_container_file(c, "environment") : NULL;
    int r = text.failed ? -ENOMEM : path ? abx_write_file(path, text.data, text.length) : 0;
    if (r < 0)
        abx_die(ABX_EXIT_OWN, "cannot write %s: %s", path, strerror(-r));
    abx_string_finish(&text);
    return path;
}

/* "" when there are none. */
static char *keep_limits(const struct abx_run *run)
{
    struct abx_oci_limits limits = {run->cpus, run->gpu.wanted ? abx_gpu_time_limit_ms() : 0};
    return run->gpu.wanted && (limits.cpus || limits.time_ms) ? abx_oci_limits_keep(&limits)
                                                              : abx_xstrdup("");
}

/* A command that a mount shows is looked at here: the container's own words for it help nobody. */
static void check_command(const struct abx_run *run)
{
    char head[ABX_PROGRAM_HEAD], text[256];
    char *path = run->command_count ? abx_run_mounted(run, run->command[0]) : NULL;
    int fd = path ? open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC) : -1;
    ssize_t n = fd < 0 ? -1 : read(fd, head, sizeof head);
    if (n > 0 && abx_program_is_foreign(head, (size_t)n, text, sizeof text))
        abx_die(ABX_EXIT_CANNOT_RUN, "%s %s", run->command[0], text);
    if (fd >= 0)
        close(fd);
    free(path);
}

int abx_run_oci(struct abx_run *run)
{
    char *podman = abx_image_podman(run);
    check_command(run);
    char *stage = run->gpu.wanted ? abx_place_guest_root() : NULL;
    char *python_path = stage && abx_python_is_in(stage) ? abx_python_path_oci(run, podman) : NULL;
    free(stage);
    struct abx_container *c = abx_container_create(run->name);
    abx_sandbox_hold(c);
    char *variables = keep_variables(run, c, python_path), *limits = keep_limits(run);
    char *calls = run->gpu.wanted ? abx_oci_calls_keep(c) : NULL;
    char **argv = command_line(run, podman, c->name, limits, variables, calls);
    free(calls);
    snprintf(c->kind, sizeof c->kind, "podman");
    snprintf(c->image, sizeof c->image, "%s", run->image);
    snprintf(c->command, sizeof c->command, "%s", run->command_count ? run->command[0] : "");
    c->gpu = run->gpu.wanted;
    c->remove = run->remove || !run->detach;
    c->supervisor = (int)getpid();
    abx_container_save(c);
    abx_container_note(c, run);
    abx_supervise_prepare();
    struct abx_supervised outside = {.init_fd = -1,
            .terminal = -1,
            .master = -1,
            .in = -1,
            .listener = -1,
            .out = {-1, -1},
            .log = -1};
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    outside.pid = spawn(argv, run->detach ? null : -1);
    outside.init = outside.pid;
    int code = abx_supervise(&outside);
    if (variables)
        unlink(variables);
    abx_oci_limits_forget(limits);
    free(limits);
    if (run->detach && code == 0) {
        fflush(NULL);
        pid_t watcher = fork();
        if (watcher == 0) {
            abx_sandbox_let_go();
            c->supervisor = (int)getpid();
            abx_container_save(c);
            watch(podman, c);
        }
        abx_sandbox_let_go();
        printf("%s\n", c->name);
        return 0;
    }
    abx_sandbox_let_go();
    abx_container_close(c, true);
    return code;
}

static int podman_does(char **argv)
{
    argv[0] = abx_find_program("podman");
    if (!argv[0])
        abx_die(ABX_EXIT_OWN, "podman is not installed any more");
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC), status;
    pid_t pid = spawn(argv, null);
    close(null);
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

bool abx_oci_kill(const char *name, const char *signal)
{
    char *argv[] = {NULL, "kill", "--signal", (char *)signal, (char *)name, NULL};
    return podman_does(argv) == 0;
}

bool abx_oci_stop(const char *name, unsigned seconds)
{
    char *argv[] = {NULL, "stop", "--time", abx_xprintf("%u", seconds), (char *)name, NULL};
    return podman_does(argv) == 0;
}

void abx_oci_remove(const char *name)
{
    char *argv[] = {NULL, "rm", "--force", "--ignore", (char *)name, NULL};
    podman_does(argv);
}

bool abx_oci_runs(const char *name)
{
    char *podman = abx_find_program("podman"), text[16] = "";
    char *argv[] = {
            podman, "container", "inspect", "--format", "{{.State.Running}}", (char *)name, NULL};
    int out[2], status;
    if (!podman || pipe2(out, O_CLOEXEC) < 0)
        return false;
    pid_t pid = fork();
    if (pid == 0) {
        dup2(out[1], 1);
        dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), 2);
        execv(podman, argv);
        _exit(ABX_EXIT_OWN);
    }
    close(out[1]);
    (void)!read(out[0], text, sizeof text - 1);
    close(out[0]);
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    free(podman);
    return strncmp(text, "true", 4) == 0;
}

void abx_oci_become(const char *verb, char **words)
{
    struct abx_words w = {0};
    char *podman = abx_find_program("podman");
    if (!podman)
        abx_die(ABX_EXIT_OWN, "podman is not installed: OCI images need it (apt install podman)");
    add2(&w, podman, verb);
    for (; *words; words++)
        abx_words_add(&w, *words);
    execv(podman, w.list);
    abx_die(ABX_EXIT_OWN, "cannot run podman: %s", strerror(errno));
}

int abx_oci_logs(const char *name, bool follow, long lines)
{
    struct abx_words w = {0};
    char *podman = abx_find_program("podman");
    if (!podman)
        abx_die(ABX_EXIT_OWN, "podman is not installed any more");
    add2(&w, podman, "logs");
    if (follow)
        abx_words_add(&w, "--follow");
    if (lines >= 0)
        add2(&w, "--tail", abx_xprintf("%ld", lines));
    abx_words_add(&w, name);
    execv(podman, w.list);
    abx_die(ABX_EXIT_OWN, "cannot run podman: %s", strerror(errno));
}
