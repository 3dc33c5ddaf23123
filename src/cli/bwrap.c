/* cli: the command line for bubblewrap, the container's environment, and its system call filter. */
#include "cli/sandbox.h"
#include "cli/vm/box.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

extern char **environ;

static struct abx_container *held;
static pid_t holder;

static void drop_record(void)
{
    if (held && holder == getpid())
        abx_container_forget(held);
}

void abx_sandbox_hold(struct abx_container *c)
{
    held = c;
    holder = getpid();
    atexit(drop_record);
}

void abx_sandbox_let_go(void)
{
    held = NULL;
}

#define ADD(w, ...)                                                                                \
    do {                                                                                           \
        const char *const words_[] = {__VA_ARGS__};                                                \
        for (size_t i_ = 0; i_ < ABX_ARRAY_SIZE(words_); i_++)                                     \
            abx_words_add(w, words_[i_]);                                                          \
    } while (0)

/* Of the caller's environment what programs need to find their files and speak the user's language.
 * The rest may be secret, or point at the host's session; -e names what else a program is to have.
 */
static bool goes_in(const char *variable)
{
    static const char *const names[] = {"COLORTERM", "CONDA_PREFIX", "HOME", "LANG", "LANGUAGE",
            "LOGNAME", "NO_COLOR", "PATH", "SHELL", "TERM", "TZ", "USER", "VIRTUAL_ENV"};
    static const char *const ours[] = {"ARCBOX_SOCKET=", "ARCBOX_RUNTIME_DIR=",
            "ARCBOX_GUEST_ROOT=", "ARCBOX_INIT=", "ARCBOXD="};
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(ours); i++)
        if (strncmp(variable, ours[i], strlen(ours[i])) == 0)
            return false;
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(names); i++) {
        size_t n = strlen(names[i]);
        if (strncmp(variable, names[i], n) == 0 && variable[n] == '=')
            return true;
    }
    return strncmp(variable, "LC_", 3) == 0 || strncmp(variable, "ARCBOX_", 7) == 0;
}

static void set(struct abx_words *w, const char *pair)
{
    const char *equals = strchr(pair, '=');
    if (!equals || equals == pair)
        return;
    char *name = strndup(pair, (size_t)(equals - pair));
    ADD(w, "--setenv", name, equals + 1);
}

static const char *run_home(const struct sandbox *s)
{
    if (!s->settings.has_user)
        return "/root";
    return s->settings.home && *s->settings.home == '/' ? s->settings.home : "/";
}

static void add_environment(struct abx_words *w, const struct sandbox *s)
{
    const struct abx_run *run = s->run;
    abx_words_add(w, "--clearenv");
    if (run->kind == ABX_IMAGE_HOST) {
        for (char **e = environ; *e; e++)
            if (goes_in(*e))
                set(w, *e);
    } else {
        set(w, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        const char *home = run_home(s);
        set(w, abx_xprintf("HOME=%s", home));
        const char *term = getenv("TERM");
        if (run->tty)
            set(w, abx_xprintf("TERM=%s", term && *term ? term : "xterm"));
    }
    set(w, "container=arcbox");
    for (unsigned i = 0; i < run->env.count; i++)
        set(w, run->env.list[i]);
    if (run->gpu.wanted && s->has_python)
        set(w, abx_python_path(run));
}

/* Refuses the two ioctls that type into the terminal the user shares with the container. */
#if defined(__x86_64__)
#define NATIVE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define NATIVE AUDIT_ARCH_AARCH64
#endif
#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define IF_NOT(value, skip) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, skip)
#define IF(value, skip) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, skip, 0)
static const struct sock_filter program[] = {
        LOAD(arch),
        IF_NOT(NATIVE, 8), /* other call tables of this processor: refused, below */
        LOAD(nr),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 6, 0), /* x32 */
        IF_NOT(SYS_ioctl, 4),
        LOAD(args[1]), /* the low half: the kernel looks at 32 bits */
        IF(TIOCSTI, 1),
        IF_NOT(TIOCLINUX, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
};

static int filter_fd(void)
{
    int fd = memfd_create("arcbox-filter", 0);
    if (fd >= 0 &&
            (write(fd, program, sizeof program) != sizeof program || lseek(fd, 0, SEEK_SET) < 0)) {
        close(fd);
        return -1;
    }
    return fd;
}

int abx_sandbox_filter(void)
{
    const struct sock_fprog whole = {ABX_ARRAY_SIZE(program), (struct sock_filter *)program};
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &whole);
}

/* The words for bubblewrap, in memory: every user of the machine can read a command line, and there
 * are secrets among variables. */
static int words_fd(const struct abx_words *w)
{
    int fd = memfd_create("arcbox-words", 0), r = fd < 0 ? -errno : 0;
    for (size_t i = 0; r == 0 && i < w->count; i++)
        r = abx_write_all(fd, w->list[i], strlen(w->list[i]) + 1);
    if (r == 0 && lseek(fd, 0, SEEK_SET) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

static void keep_open(int fd)
{
    fcntl(fd, F_SETFD, fcntl(fd, F_GETFD) & ~FD_CLOEXEC);
}

/* What our caller left open goes to the command, as pipes should; but from a folder of the host's
 * the whole host would be in reach. */
static void keep_folders_out(void)
{
    DIR *d = opendir("/proc/self/fd");
    for (struct dirent *e; d && (e = readdir(d));) {
        struct stat st;
        int fd = atoi(e->d_name);
        if (fd > 2 && fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
            fcntl(fd, F_SETFD, FD_CLOEXEC);
    }
    if (d)
        closedir(d);
}

static void add_capabilities(struct abx_words *w)
{
    /* As container engines leave them to root; in our user namespace they reach nothing outside. */
    static const char *const kept[] = {"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID",
            "CAP_KILL", "CAP_NET_BIND_SERVICE", "CAP_SETFCAP", "CAP_SETGID", "CAP_SETPCAP",
            "CAP_SETUID", "CAP_SYS_CHROOT"};
    ADD(w, "--cap-drop", "ALL");
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(kept); i++)
        ADD(w, "--cap-add", kept[i]);
}

/* The kernel's settings and what it tells of the machine, as container engines cover them.
 * bubblewrap leaves writable what a mapped root may write although the folder refuses it. */
static void cover_kernel(struct abx_words *w)
{
    static const char *const read_only[] = {"/proc/bus", "/proc/dynamic_debug", "/proc/fs",
            "/proc/irq", "/proc/mtrr", "/proc/sys", "/proc/sysrq-trigger"};
    static const char *const hidden[] = {"/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys",
            "/proc/latency_stats", "/proc/sched_debug", "/proc/scsi", "/proc/timer_list",
            "/proc/timer_stats", "/sys/devices/virtual/powercap", "/sys/firmware"};
    struct stat st;
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(read_only); i++)
        if (stat(read_only[i], &st) == 0)
            ADD(w, "--ro-bind", read_only[i], read_only[i]);
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(hidden); i++)
        if (stat(hidden[i], &st) == 0 && S_ISDIR(st.st_mode))
            ADD(w, "--tmpfs", hidden[i]); /* empty, the container's own */
        else if (stat(hidden[i], &st) == 0)
            ADD(w, "--ro-bind", "/dev/null", hidden[i]);
}

static void add_mounts(struct abx_words *w, const struct sandbox *s, const char *root)
{
    ADD(w, "--dev-bind", root, "/"); /* each mount in it has its flags: a device may be one */
    if (s->shares_processes)
        ADD(w, "--bind", "/proc", "/proc");
    else
        ADD(w, "--proc", "/proc");
    ADD(w, "--dev", "/dev", "--ro-bind-try", "/sys", "/sys");
    if (s->settings.shm_bytes)
        ADD(w, "--perms", "1777", "--size",
                abx_xprintf("%llu", (unsigned long long)s->settings.shm_bytes), "--tmpfs",
                "/dev/shm");
    cover_kernel(w);
    char resolv[PATH_MAX];
    if (s->run->kind == ABX_IMAGE_HOST && realpath("/etc/resolv.conf", resolv) &&
            strncmp(resolv, "/run/", 5) == 0)
        ADD(w, "--ro-bind", abx_xstrdup(resolv), abx_xstrdup(resolv));
    ADD(w, "--ro-bind", s->init, "/run/.arcbox-init");
}

static void add_command(struct abx_words *w, const struct sandbox *s)
{
    ADD(w, "--", "/run/.arcbox-init", "-i", abx_xprintf("%lx", abx_supervise_ignored()), "-w",
            s->vm ? "/" : s->folder);
    keep_open(s->life);
    ADD(w, "-l", abx_xprintf("%d", s->life));
    if (s->terminal >= 0) {
        keep_open(s->terminal);
        ADD(w, "-t", abx_xprintf("%d", s->terminal));
    }
    if (s->shares_processes)
        abx_words_add(w, "-p");
    if (s->settings.has_user && geteuid() == 0 && !s->vm)
        ADD(w, "-u", abx_xprintf("%u:%u", s->settings.uid, s->settings.gid));
    if (s->report[1] >= 0) {
        keep_open(s->report[1]);
        ADD(w, "-r", abx_xprintf("%d", s->report[1]));
    }
    abx_words_add(w, "--");
    if (s->vm)
        abx_vm_add_command(w, s);
    for (int i = 0; i < s->run->command_count; i++)
        abx_words_add(w, s->run->command[i]);
}

void abx_sandbox_exec(struct sandbox *s, const char *root)
{
    struct abx_words w = {0}, line = {0};
    const struct abx_run *run = s->run;
    int filter = filter_fd();
    if (filter < 0)
        return;
    keep_folders_out();
    keep_open(s->info);
    ADD(&w, "--die-with-parent", "--unshare-ipc", "--unshare-uts", "--info-fd",
            abx_xprintf("%d", s->info), "--seccomp", abx_xprintf("%d", filter), "--hostname",
            run->hostname ? run->hostname : s->name);
    if (!s->shares_processes)
        ADD(&w, "--unshare-pid", "--as-pid-1");
    if (s->vm ? !s->vm->network : run->no_network)
        abx_words_add(&w, "--unshare-net");
    if (geteuid() == 0)
        add_capabilities(&w);
    if (s->vm)
        abx_vm_add_mounts(&w, s, root);
    else
        add_mounts(&w, s, root);
    add_environment(&w, s);
    int words = words_fd(&w);
    if (words < 0)
        return;
    ADD(&line, s->bwrap, "--args", abx_xprintf("%d", words));
    add_command(&line, s);
    char *environment[] = {"PATH=/usr/bin:/bin", NULL};
    execve(s->bwrap, line.list, environment);
}
