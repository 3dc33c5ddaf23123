/* cli: `arcbox run` on the host's own root or on a folder, through bubblewrap.
 *
 *   arcbox run            the user's process: holds the record, the tenant, the terminal
 *    `- bwrap             was our child: own user and mount namespaces, root assembled (root.c)
 *        `- arcbox-init   process 1 of the container: own process, IPC and name namespaces
 *            `- COMMAND
 *
 * Capabilities exist only inside the new user namespace, and bubblewrap takes them away again (all
 * for an ordinary user; for root all but those a container engine leaves). */
#include "cli/image.h"
#include "cli/left.h"
#include "cli/run.h"
#include "cli/sandbox.h"
#include "cli/vm/box.h"
#include "cli/vm/enter.h"
#include "cli/vm/images.h"
#include "host/control/control.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int r = write(fd, text, strlen(text)) < 0 ? -errno : 0;
    close(fd);
    return r;
}

/* Every user our own namespace knows, unchanged: its root is nobody outside (world.c). */
static char *identity_map(const char *path)
{
    struct abx_string map = {0};
    void *text = NULL;
    size_t length;
    if (abx_read_file(path, 65536, &text, &length) == 0) {
        char *rest = text;
        for (char *line; (line = strsep(&rest, "\n"));) {
            unsigned long inside, outside, count;
            if (sscanf(line, "%lu %lu %lu", &inside, &outside, &count) == 3)
                abx_string_printf(&map, "%lu %lu %lu\n", inside, inside, count);
        }
    }
    free(text);
    return map.data ? map.data : abx_xstrdup("0 0 1\n");
}

static int map_users(struct sandbox *s, pid_t pid)
{
    bool root = geteuid() == 0;
    bool as_root = s->run->kind == ABX_IMAGE_FOLDER; /* images expect to be root */
    const struct abx_settings *set = &s->settings;
    /* A virtual machine's files are shown by its hypervisor: their owner is always the same. */
    bool has_user = set->has_user && !s->vm;
    unsigned uid = has_user ? set->uid : as_root ? 0 : (unsigned)geteuid();
    unsigned gid = has_user ? set->gid : as_root ? 0 : (unsigned)getegid();
    char *users = root ? identity_map("/proc/self/uid_map")
                       : abx_xprintf("%u %u 1\n", uid, (unsigned)geteuid());
    char *groups = root ? identity_map("/proc/self/gid_map")
                        : abx_xprintf("%u %u 1\n", gid, (unsigned)getegid());
    char path[64];
    int r = 0;
    if (!root) {
        snprintf(path, sizeof path, "/proc/%d/setgroups", (int)pid);
        r = write_text(path, "deny");
    }
    snprintf(path, sizeof path, "/proc/%d/gid_map", (int)pid);
    if (r == 0)
        r = write_text(path, groups);
    snprintf(path, sizeof path, "/proc/%d/uid_map", (int)pid);
    if (r == 0)
        r = write_text(path, users);
    free(users);
    free(groups);
    return r;
}

/* ---- in the child */

static _Noreturn void child_fail(struct sandbox *s, const char *text)
{
    (void)!write(s->errors[1], text, strlen(text));
    _exit(ABX_EXIT_OWN);
}

int abx_sandbox_open_sources(struct sandbox *s)
{
    for (unsigned i = 0; i < s->run->mount_count; i++) {
        const struct abx_mount *m = &s->run->mounts[i];
        s->sources[i] = abx_tree_open(AT_FDCWD, m->source,
                (m->is_device ? 0 : MOUNT_ATTR_NODEV) | (m->read_only ? MOUNT_ATTR_RDONLY : 0));
        if (s->sources[i] < 0) {
            snprintf(s->error, sizeof s->error, "cannot mount %s%s: %s", m->source,
                    m->read_only ? " read-only" : "", strerror(-s->sources[i]));
            return s->sources[i];
        }
    }
    if (s->socket_folder && s->socket_tree < 0)
        s->socket_tree =
                abx_tree_open(AT_FDCWD, s->socket_folder, MOUNT_ATTR_NODEV | MOUNT_ATTR_RDONLY);
    if (s->socket_folder && s->socket_tree < 0) {
        snprintf(s->error, sizeof s->error, "cannot mount %s: %s", s->socket_folder,
                strerror(-s->socket_tree));
        return s->socket_tree;
    }
    return 0;
}

static void child_namespaces(struct sandbox *s)
{
    char byte;
    int world = abx_world_enter(s);
    if (world < 0)
        child_fail(s, abx_xprintf("cannot give the container users of its own (%s), and does not "
                                  "make it the host's root",
                              s->error[0] ? s->error : strerror(-world)));
    if (!world && unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0) {
        char *text = abx_xprintf(
                "this system allows no sandbox here (namespaces: %s); see: arcbox doctor",
                strerror(errno));
        child_fail(s, text);
    }
    byte = world ? 'm' : 'u';
    if (write(s->sync[1], &byte, 1) != 1 || read(s->sync[1], &byte, 1) != 1 || byte != 'g')
        _exit(ABX_EXIT_OWN);
    if (!abx_process_follow(s->arcbox))
        _exit(ABX_EXIT_OWN);
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
        char *text = abx_xprintf("this system allows no mounts in a user namespace (%s); see: "
                                 "arcbox doctor",
                strerror(errno));
        child_fail(s, text);
    }
    if (!world && abx_sandbox_open_sources(s) < 0)
        child_fail(s, s->error);
}

static _Noreturn void child(struct sandbox *s)
{
    if (!abx_process_follow(s->arcbox))
        _exit(ABX_EXIT_OWN);
    child_namespaces(s);
    struct abx_root root = {.image_root = s->run->kind == ABX_IMAGE_HOST ? "/" : s->run->image,
            .stage = s->stage,
            .scratch = s->scratch,
            .layers = s->layers,
            .cache = s->cache,
            .keep = (const char *const *)s->keep};
    int r = abx_root_assemble(&root);
    if (r < 0)
        child_fail(s, root.error[0] ? root.error
                                    : abx_xprintf("cannot assemble the container's root: %s",
                                              strerror(-r)));
    if (root.notice[0])
        abx_say("%s", root.notice);
    s->shares_processes = !abx_sandbox_has_proc();
    if (s->shares_processes)
        abx_say("this system covers parts of /proc (as docker does): the container sees this "
                "user's "
                "processes outside it");
    if (root.writable)
        abx_sandbox_network_files(s, root.path);
    r = s->run->kind == ABX_IMAGE_HOST ? abx_sandbox_hide_secrets(s, root.path) : 0;
    if (r < 0)
        child_fail(
                s, abx_xprintf("cannot hide the hidden files of home folders: %s", strerror(-r)));
    if (abx_sandbox_attach(s, root.path) < 0)
        child_fail(s, s->error);
    if (root.writable && root.names.data)
        abx_left_hand_over(s->sync[1], root.upper, root.path, root.names.data);
    r = s->vm ? 0 : abx_settings_limit(&s->settings);
    if (r < 0)
        child_fail(s, abx_xprintf("cannot set the limits of --ulimit: %s", strerror(-r)));
    abx_sandbox_exec(s, root.path);
    child_fail(s, abx_xprintf("cannot run %s: %s", s->bwrap, strerror(errno)));
}

/* ---- in the parent */

/* Text from the child until it became bwrap; NULL when it did. */
static char *read_failure(int fd)
{
    struct abx_string text = {0};
    char bytes[512];
    for (ssize_t n; (n = read(fd, bytes, sizeof bytes)) > 0;)
        abx_string_add(&text, bytes, (size_t)n);
    return text.data;
}

/* {"child-pid": N, ...} from bubblewrap. */
static int read_init_pid(int fd)
{
    char text[512];
    size_t length = 0;
    for (ssize_t n; length < sizeof text - 1 &&
                    (n = read(fd, text + length, sizeof text - 1 - length)) > 0;)
        length += (size_t)n;
    text[length] = 0;
    const char *number = strstr(text, "\"child-pid\":");
    return number ? atoi(number + strlen("\"child-pid\":")) : 0;
}

static void reap(pid_t pid)
{
    int status;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
}

/* Lets the child go on and hears what it says: why it failed, or NULL once it is bubblewrap. */
static char *set_up(struct sandbox *s, pid_t pid)
{
    char byte = 0;
    const char *what = "put it into its control group";
    int r = s->group ? abx_group_add(s->group, pid) : 0;
    if (read(s->sync[0], &byte, 1) == 1 && byte == 'u' && r == 0) {
        what = "set up a user namespace";
        r = map_users(s, pid);
    }
    if (r == 0)
        (void)!send(s->sync[0], "g", 1, MSG_NOSIGNAL); /* it may have ended */
    else
        shutdown(s->sync[0], SHUT_WR); /* it ends */
    char *failure = read_failure(s->errors[0]);
    /* What it handed over lies there by now, if it did. */
    fcntl(s->sync[0], F_SETFL, O_NONBLOCK);
    s->left = failure || r < 0 ? NULL : abx_left_receive(s->sync[0]);
    close(s->sync[0]);
    close(s->errors[0]);
    return r < 0 && !failure ? abx_xprintf("cannot %s: %s", what, strerror(-r)) : failure;
}

/* Starts the sandbox; *ret_failure says why not. */
static int start(struct sandbox *s, struct abx_supervised *ret, char **ret_failure)
{
    int sockets[2] = {-1, -1}, info[2], life[2];
    if (pipe2(s->errors, O_CLOEXEC) < 0 || pipe2(info, O_CLOEXEC) < 0 ||
            pipe2(life, O_CLOEXEC) < 0 ||
            socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, s->sync) < 0 ||
            (s->run->tty && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0)) {
        *ret_failure = abx_xprintf("cannot make a pipe: %s", strerror(errno));
        return -EMFILE;
    }
    s->info = info[1];
    s->terminal = sockets[1];
    s->arcbox = getpid();
    s->life = life[0];
    pid_t pid = fork();
    if (pid < 0) {
        *ret_failure = abx_xprintf("cannot start a process: %s", strerror(errno));
        return -EAGAIN;
    }
    if (pid == 0) {
        close(s->sync[0]);
        close(s->errors[0]);
        close(info[0]);
        close(life[1]); /* in the parent it stays open until that ends */
        child(s);
    }
    close(s->sync[1]);
    close(s->errors[1]);
    close(info[1]);
    close(life[0]);
    if (s->report[1] >= 0)
        close(s->report[1]);
    if (sockets[1] >= 0)
        close(sockets[1]);
    char *failure = set_up(s, pid);
    if (failure) {
        kill(pid, SIGKILL);
        reap(pid);
        *ret_failure = failure;
        close(info[0]);
        return -ENOTSUP;
    }
    *ret = (struct abx_supervised){.pid = pid,
            .init = read_init_pid(info[0]),
            .init_fd = -1,
            .terminal = sockets[0],
            .master = -1,
            .in = s->in,
            .listener = s->listener,
            .out = {s->out[0], s->out[1]},
            .log = s->log,
            .detached = s->run->detach,
            .ttl_seconds = s->run->ttl_seconds};
    ret->init_fd = abx_process_below(ret->init, pid);
    close(info[0]);
    return 0;
}

static char *absolute(const char *folder, const char *base)
{
    char *joined = *folder == '/' ? abx_xstrdup(folder) : abx_xprintf("%s/%s", base, folder);
    char *normal = abx_path_normal(joined);
    free(joined);
    return normal;
}

static void choose_folder(struct sandbox *s)
{
    char *here = getcwd(NULL, 0);
    if (s->run->kind == ABX_IMAGE_FOLDER) {
        if (s->run->workdir && *s->run->workdir != '/')
            abx_die(ABX_EXIT_OWN, "-w %s: give an absolute path in the image", s->run->workdir);
        s->folder = abx_xstrdup(s->run->workdir ? s->run->workdir : "/");
        free(here);
        return;
    }
    if (!here)
        abx_die(ABX_EXIT_OWN, "the current folder is gone: %s", strerror(errno));
    s->here = here;
    s->folder = absolute(s->run->workdir ? s->run->workdir : ".", here);
    abx_sandbox_keep(s);
}

static void prepare(struct sandbox *s, struct abx_container *c)
{
    s->bwrap = abx_find_program("bwrap");
    s->init = abx_place_init();
    if (!s->bwrap)
        abx_die(ABX_EXIT_OWN, "bubblewrap is not installed: apt install bubblewrap");
    if (!s->init)
        abx_die(ABX_EXIT_OWN, "arcbox-init is missing beside the arcbox program: build again");
    const struct passwd *user = getpwuid(getuid());
    const char *home = getenv("HOME");
    s->homes[0] = home && *home == '/' ? realpath(home, NULL) : NULL;
    s->homes[1] = user && user->pw_dir ? realpath(user->pw_dir, NULL) : NULL;
    s->cache = abx_place_cache();
    s->layers = abx_layer_make(c);
    s->scratch = abx_xprintf("%s/fs", s->layers);
    if (mkdir(s->scratch, 0700) < 0)
        abx_die(ABX_EXIT_OWN, "cannot make %s: %s", s->scratch, strerror(errno));
}

static void check_image(const struct abx_run *run)
{
    char text[256];
    int root = run->kind == ABX_IMAGE_FOLDER && run->gpu.wanted ? abx_inside_root(run->image) : -1;
    if (root >= 0 && abx_image_check(root, text, sizeof text) < 0)
        abx_die(ABX_EXIT_CANNOT_RUN, "%s", text);
    if (root >= 0)
        close(root);
}

static void use_gpu(struct sandbox *s, const char *name)
{
    s->stage = abx_place_guest_root();
    if (!s->stage)
        abx_die(ABX_EXIT_OWN,
                "the guest library is missing beside the arcbox program: build again, or set "
                "ARCBOX_GUEST_ROOT");
    s->has_python = abx_python_is_in(s->stage);
    struct abx_control_tenant tenant;
    s->control = abx_gpu_tenant(s->run, name, ABX_TENANT_HOLD, &tenant);
    if (s->vm) {
        s->socket = abx_xstrdup(tenant.socket);
        return;
    }
    s->socket_folder = abx_xstrdup(tenant.socket);
    *strrchr(s->socket_folder, '/') = 0;
}

/* The parent of a detached container: says how it went and returns. What comes is "ready", or words
 * and then the exit code as a byte. */
static int report_start(int fd, const char *name)
{
    char *words = read_failure(fd);
    if (!words)
        return ABX_EXIT_OWN; /* it has said why */
    if (strcmp(words, "ready") != 0) {
        size_t length = strlen(words);
        int code = length ? (unsigned char)words[length - 1] : ABX_EXIT_OWN;
        words[strcspn(words, "\n")] = 0;
        abx_say("%s", words);
        return code;
    }
    printf("%s\n", name);
    return 0;
}

/* On a disk: the runtime folder is memory that the system needs. The record holds a link. The lock
 * says that the container may write yet (layer.c sweeps what nobody has). */
static int open_log(const struct sandbox *s, const char *link_path)
{
    char *path = abx_xprintf("%s.log-XXXXXX", s->layers);
    int log = mkostemp(path, O_APPEND | O_CLOEXEC);
    if (log >= 0 && (flock(log, LOCK_EX | LOCK_NB) < 0 || abx_log_begin(log, link_path) < 0 ||
                            symlink(path, link_path) < 0)) {
        unlink(path);
        close(log);
        log = -1;
    }
    free(path);
    return log;
}

/* For `arcbox attach`, later: without -i and -t it has none. */
static void open_input(struct sandbox *s, const struct abx_container *c)
{
    int in[2];
    if (!s->run->tty && !s->run->interactive)
        return;
    s->listener = abx_type_listen(c);
    if (s->listener < 0)
        abx_say("`arcbox attach` will have no input: %s", strerror(errno));
    if (s->run->tty || s->listener < 0)
        return;
    if (pipe2(in, O_CLOEXEC) < 0)
        abx_die(ABX_EXIT_OWN, "cannot make a pipe: %s", strerror(errno));
    dup2(in[0], 0);
    close(in[0]);
    s->in = in[1];
    fcntl(s->in, F_SETFL, O_NONBLOCK);
}

/* The container writes into pipes, and this process into the log, with what is its own to say. */
static void detach(struct sandbox *s, struct abx_container *c)
{
    char *path = abx_container_file(c, "log");
    int null = open("/dev/null", O_RDWR | O_CLOEXEC), out[2], err[2];
    s->log = open_log(s, path);
    if (s->log < 0 || null < 0 || pipe2(out, O_CLOEXEC) < 0 || pipe2(err, O_CLOEXEC) < 0)
        abx_die(ABX_EXIT_OWN, "cannot make %s: %s", path, strerror(errno));
    setsid();
    dup2(null, 0);
    open_input(s, c);
    dup2(out[1], 1);
    dup2(err[1], 2);
    close(out[1]);
    close(err[1]);
    close(null);
    s->out[0] = out[0];
    s->out[1] = err[0];
    abx_messages_log = s->log;
    if (pipe2(s->report, O_CLOEXEC) < 0)
        s->report[0] = s->report[1] = -1;
    free(path);
}

static void record(const struct sandbox *s, struct abx_container *c)
{
    const struct abx_run *run = s->run;
    snprintf(c->kind, sizeof c->kind, "%s", s->vm ? ABX_KIND_VM : "sandbox");
    char *image = abx_vm_image_name(run->image);
    snprintf(c->image, sizeof c->image, "%s", image);
    free(image);
    size_t n = 0;
    for (int i = 0; i < run->command_count && n + 1 < sizeof c->command; i++)
        n += (size_t)snprintf(
                c->command + n, sizeof c->command - n, "%s%s", i ? " " : "", run->command[i]);
    for (char *p = c->command; *p; p++)
        if ((unsigned char)*p < ' ')
            *p = ' ';
    snprintf(c->workdir, sizeof c->workdir, "%s", strpbrk(s->folder, "\n") ? "/" : s->folder);
    char *user = s->vm ? abx_vm_user(s)
                 : s->settings.has_user && geteuid() == 0
                         ? abx_xprintf("%u:%u", s->settings.uid, s->settings.gid)
                         : NULL;
    snprintf(c->user, sizeof c->user, "%s", user ? user : "");
    free(user);
    c->gpu = run->gpu.wanted;
    c->remove = run->remove || !run->detach;
    c->stays = run->stays;
    c->supervisor = (int)getpid();
}

/* Asked for by --memory, which cannot do without; --cpus can. */
static void make_group(struct sandbox *s, struct abx_container *c)
{
    const char *why;
    if (s->vm || (!s->settings.memory && !s->run->cpus))
        return;
    s->group = abx_group_make(c->name, s->settings.memory, s->run->cpus, &why);
    if (!s->group && s->settings.memory)
        abx_die(ABX_EXIT_OWN, "--memory cannot be used here: %s", why);
    snprintf(c->group, sizeof c->group, "%s", s->group ? s->group : "");
}

static void say_out_of_memory(const struct sandbox *s, struct abx_container *c, uint64_t before)
{
    if (abx_memory_kills(s->group) <= before)
        return;
    uint64_t limit = s->settings.memory ? s->settings.memory : abx_memory_limit();
    snprintf(c->why, sizeof c->why, "out of memory (%llu MiB)", (unsigned long long)limit >> 20);
    abx_say("out of memory: the kernel ended a process of the container, which may use %llu MiB%s",
            (unsigned long long)limit >> 20,
            s->settings.memory ? " (--memory)" : " with this control group's other processes");
}

static void tell(int ready, const char *words, int code)
{
    char *text = abx_xprintf("%s\n%c", words, code);
    if (write(ready, text, strlen(text)) < 0) {
        /* It has gone. */
    }
    free(text);
}

/* Says to whom waits for it that the command runs; when it does not, that is said once there is
 * nothing left of the container. */
static void tell_start(
        struct sandbox *s, struct abx_container *c, struct abx_supervised *outside, int ready)
{
    if (outside->terminal >= 0)
        abx_supervise_terminal(outside); /* before that it does not start */
    s->refusal = s->report[0] >= 0 ? read_failure(s->report[0]) : NULL;
    s->ready = ready;
    if (s->refusal) {
        c->remove = true;
        return;
    }
    (void)!write(ready, "ready", 5);
    close(ready);
}

static int run_to_end(struct sandbox *s, struct abx_container *c, int ready)
{
    struct abx_supervised outside;
    char *failure = NULL;
    int code = ABX_EXIT_OWN;
    uint64_t kills = abx_memory_kills(s->group);
    if (s->vm)
        abx_vm_open(s, c);
    abx_supervise_prepare();
    abx_container_save(c); /* who runs it, for who stops it while it starts */
    if (start(s, &outside, &failure) < 0) {
        if (ready >= 0)
            tell(ready, failure, ABX_EXIT_OWN);
        else
            abx_say("%s", failure);
    } else {
        c->init = outside.init;
        if (abx_container_save(c) < 0)
            abx_say("cannot write the record of %s: `arcbox ps` will not show it", c->name);
        if (ready >= 0)
            tell_start(s, c, &outside, ready);
        abx_vm_opened(s);
        code = abx_supervise(&outside);
        say_out_of_memory(s, c, kills);
        abx_left_say(s->left, s->run, s->folder);
    }
    abx_vm_end(s);
    c->exit_code = code;
    c->ended = time(NULL);
    c->init = 0;
    if (s->group)
        abx_group_remove(s->group);
    abx_container_save(c);
    abx_control_close(s->control);
    abx_remove_tree(s->layers);
    return code;
}

int abx_run_sandbox(struct abx_run *run)
{
    struct sandbox s = {.run = run,
            .socket_tree = -1,
            .log = -1,
            .in = -1,
            .listener = -1,
            .out = {-1, -1},
            .report = {-1, -1}};
    abx_settings_read(run, &s.settings);
    choose_folder(&s);
    check_image(run);
    if (run->vm)
        abx_vm_prepare(&s);
    struct abx_container *c = abx_container_create(run->name);
    abx_sandbox_hold(c); /* from here on, dying removes the record */
    prepare(&s, c);
    record(&s, c);
    int saved = abx_container_save(c);
    if (saved < 0 && run->detach) /* nobody could stop it */
        abx_die(ABX_EXIT_OWN, "cannot write the record of %s: %s", c->name, strerror(-saved));
    abx_container_note(c, run);
    s.name = c->name;
    make_group(&s, c);
    if (run->gpu.wanted)
        use_gpu(&s, c->name);
    int ready = -1;
    if (run->detach) {
        int pipes[2];
        fflush(NULL);
        if (pipe2(pipes, O_CLOEXEC) < 0)
            abx_die(ABX_EXIT_OWN, "cannot make a pipe: %s", strerror(errno));
        pid_t pid = fork();
        if (pid < 0)
            abx_die(ABX_EXIT_OWN, "cannot start a process: %s", strerror(errno));
        if (pid > 0) {
            close(pipes[1]);
            abx_sandbox_let_go();
            return report_start(pipes[0], c->name);
        }
        close(pipes[0]);
        ready = pipes[1];
        abx_sandbox_hold(c); /* now this one's to remove */
        detach(&s, c);
        c->supervisor = (int)getpid();
    }
    int code = run_to_end(&s, c, ready);
    abx_sandbox_let_go();
    bool failed_to_start = code == ABX_EXIT_OWN && c->init == 0 && !run->detach;
    abx_container_close(c, c->remove || failed_to_start);
    if (s.refusal)
        (void)!write(s.ready, s.refusal, strlen(s.refusal));
    return code;
}
