/* arcbox-vm-init: process 1 of a virtual machine that arcbox-vm starts. Static; the only program in
 * the machine's initial file system, with arcbox-init, the kernel's modules and what is to be done
 * (/config). Makes the machine a place like a container, runs the command through arcbox-init
 * there, passes its bytes on, and says how it ended; arcbox-vm then ends the machine. Trusts its
 * machine. */
#include "cli/vm/frames.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_WORDS 65536
#define MAX_MOUNTS 256

static struct {
    char *folder, *user, *hostname;
    bool tty, read_only, probe;
    char *mounts[MAX_MOUNTS];
    unsigned mount_count;
    char *environment[MAX_WORDS + 1], *words[MAX_WORDS + 16];
    unsigned variables, count;
} config;

static int port = -1;
static struct abx_vm_writer out;

/* ---- the end */

static void push_out(void)
{
    struct pollfd p = {port, POLLOUT, 0};
    while (port >= 0 && out.length && abx_vm_flush(port, &out) == 0 && out.length)
        poll(&p, 1, -1);
}

/* arcbox-vm ends the machine once it has heard: until then there is nothing left to do. */
static _Noreturn void finish(void)
{
    push_out();
    if (port >= 0)
        sleep(10);
    reboot(RB_POWER_OFF);
    for (;;)
        pause();
}

static _Noreturn void give_up(const char *format, ...) __attribute__((format(printf, 1, 2)));
static _Noreturn void give_up(const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    fprintf(stderr, "arcbox: %s\n", text);
    push_out();
    abx_vm_put(&out, ABX_VM_FAILED, text, strlen(text));
    finish();
}

/* ---- what is to be done */

static char *read_whole(const char *path, size_t *ret_length)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return NULL;
    char *data = malloc((size_t)st.st_size + 1);
    size_t have = 0;
    for (ssize_t n; data && have < (size_t)st.st_size &&
                    (n = read(fd, data + have, (size_t)st.st_size - have)) > 0;)
        have += (size_t)n;
    close(fd);
    if (data)
        data[have] = 0;
    *ret_length = have;
    return data;
}

static bool take(const char *line, const char *key, char **ret)
{
    size_t n = strlen(key);
    if (strncmp(line, key, n) != 0)
        return false;
    *ret = (char *)line + n;
    return true;
}

static void read_config(void)
{
    size_t length = 0;
    char *data = read_whole("/config", &length), *value;
    for (char *line = data; line && line < data + length; line += strlen(line) + 1) {
        if (take(line, "env=", &value) && config.variables < MAX_WORDS)
            config.environment[config.variables++] = value;
        else if (take(line, "arg=", &value) && config.count < MAX_WORDS)
            config.words[config.count++] = value;
        else if (take(line, "mount=", &value) && config.mount_count < MAX_MOUNTS)
            config.mounts[config.mount_count++] = value;
        else if (take(line, "probe=", &value))
            config.probe = true;
        else if (take(line, "readonly=", &value))
            config.read_only = *value == '1';
        else if (take(line, "tty=", &value))
            config.tty = *value == '1';
        else if (!take(line, "folder=", &config.folder) && !take(line, "user=", &config.user))
            take(line, "hostname=", &config.hostname);
    }
}

/* ---- the machine */

static void put_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd >= 0)
        (void)!write(fd, text, strlen(text));
    if (fd >= 0)
        close(fd);
}

static void load_modules(void)
{
    size_t length;
    char *order = read_whole("/modules/order", &length), *rest = order;
    for (char *name; rest && (name = strsep(&rest, "\n"));) {
        char path[256];
        if (!*name)
            continue;
        snprintf(path, sizeof path, "/modules/%s", name);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) < 0 && errno != EEXIST))
            fprintf(stderr, "arcbox: module %s: %s\n", name, strerror(errno));
        if (fd >= 0)
            close(fd);
    }
    free(order);
}

static int open_port(void)
{
    char path[300], name[64];
    for (int tries = 0; tries < 1000; tries++) {
        DIR *d = opendir("/sys/class/virtio-ports");
        for (struct dirent *e; d && (e = readdir(d));) {
            snprintf(path, sizeof path, "/sys/class/virtio-ports/%s/name", e->d_name);
            size_t length = 0;
            char *text = e->d_name[0] == '.' ? NULL : read_whole(path, &length);
            snprintf(name, sizeof name, "%s", text ? text : "");
            free(text);
            name[strcspn(name, "\n")] = 0;
            snprintf(path, sizeof path, "/dev/%s", e->d_name);
            int fd = strcmp(name, ABX_VM_PORT) == 0 ? open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK)
                                                    : -1;
            if (fd >= 0) {
                closedir(d);
                return fd;
            }
        }
        if (d)
            closedir(d);
        usleep(1000);
    }
    return -1;
}

static void must_mount(const char *what, const char *where, const char *type, unsigned long flags,
        const char *data)
{
    mkdir(where, 0755);
    if (mount(what, where, type, flags, data) < 0)
        give_up("the virtual machine cannot mount %s: %s", where, strerror(errno));
}

static void raise_loopback(void)
{
    int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    if (sock >= 0)
        ioctl(sock, SIOCSIFFLAGS, &request);
    if (sock >= 0)
        close(sock);
}

/* Any user of the machine may use the GPU, as any user of a container may. */
static void open_gpu(void)
{
    DIR *d = opendir("/dev/dri");
    for (struct dirent *e; d && (e = readdir(d));)
        if (strncmp(e->d_name, "renderD", 7) == 0)
            fchmodat(dirfd(d), e->d_name, 0666, 0);
    if (d)
        closedir(d);
}

/* What is written goes into memory, over what the host shows: a file without a name, as tmpfile()
 * makes, cannot be on 9p. What was mounted is written to where it lies. */
static void mount_root(void)
{
    const char *shared = config.read_only ? "/root" : "/lower";
    must_mount("root", shared, "9p", MS_NODEV,
            "trans=virtio,version=9p2000.L,msize=512000,cache=loose");
    if (config.read_only)
        return;
    must_mount("upper", "/upper", "tmpfs", MS_NODEV, "mode=755");
    mkdir("/upper/files", 0755);
    mkdir("/upper/work", 0755);
    must_mount("overlay", "/root", "overlay", MS_NODEV,
            "lowerdir=/lower,upperdir=/upper/files,workdir=/upper/work");
    for (unsigned i = 0; i < config.mount_count; i++) {
        char from[4200], to[4200];
        snprintf(from, sizeof from, "/lower%s", config.mounts[i]);
        snprintf(to, sizeof to, "/root%s", config.mounts[i]);
        if (mount(from, to, NULL, MS_BIND, NULL) < 0)
            give_up("the virtual machine cannot mount %s: %s", config.mounts[i], strerror(errno));
    }
}

static void enter_root(void)
{
    static const char *const moved[] = {"/proc", "/sys", "/dev"};
    char to[64];
    mount_root();
    for (unsigned i = 0; i < sizeof moved / sizeof *moved; i++) {
        snprintf(to, sizeof to, "/root%s", moved[i]);
        mkdir(to, 0755);
        if (mount(moved[i], to, NULL, MS_MOVE, NULL) < 0)
            give_up("the image has no folder %s, and it cannot be made: %s", moved[i],
                    strerror(errno));
    }
    if (chdir("/root") < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 ||
            chdir("/") < 0)
        give_up("the virtual machine cannot enter its root: %s", strerror(errno));
}

static void set_up(void)
{
    must_mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
    must_mount("sys", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
    must_mount("dev", "/dev", "devtmpfs", MS_NOSUID, "mode=755");
    load_modules();
    port = open_port();
    if (port < 0)
        give_up("the virtual machine has no port to arcbox");
    if (config.probe) {
        abx_vm_put(&out, ABX_VM_EXIT, &(uint32_t){0}, sizeof(uint32_t));
        finish();
    }
    must_mount("pts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "gid=5,mode=620,ptmxmode=666");
    must_mount("shm", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777");
    symlink("/proc/self/fd", "/dev/fd");
    symlink("/proc/self/fd/0", "/dev/stdin");
    symlink("/proc/self/fd/1", "/dev/stdout");
    symlink("/proc/self/fd/2", "/dev/stderr");
    /* Buffers in a few large pieces, not in thousands of pages. */
    put_text("/sys/kernel/mm/transparent_hugepage/shmem_enabled", "always");
    if (config.hostname)
        sethostname(config.hostname, strlen(config.hostname));
    raise_loopback();
    open_gpu();
    enter_root();
}

/* ---- the command */

struct running {
    pid_t pid;
    int in, out[2]; /* ours; a terminal's master is in and out[0] */
    int signals;
    uint8_t input[ABX_VM_INPUT_WINDOW];
    size_t input_start, input_length;
    bool input_ended;
    struct abx_vm_reader reader;
};

static void make_streams(struct running *r, int theirs[3])
{
    int pipes[3][2];
    if (config.tty) {
        char name[64];
        r->in = r->out[0] = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
        r->out[1] = -1;
        if (r->in < 0 || unlockpt(r->in) < 0 || ptsname_r(r->in, name, sizeof name) != 0 ||
                (theirs[0] = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC)) < 0)
            give_up("the virtual machine cannot open a terminal: %s", strerror(errno));
        theirs[1] = theirs[2] = theirs[0];
    } else {
        for (unsigned i = 0; i < 3; i++)
            if (pipe2(pipes[i], O_CLOEXEC) < 0)
                give_up("the virtual machine cannot make a pipe: %s", strerror(errno));
        theirs[0] = pipes[0][0];
        r->in = pipes[0][1];
        for (unsigned i = 1; i < 3; i++) {
            r->out[i - 1] = pipes[i][0];
            theirs[i] = pipes[i][1];
        }
    }
    fcntl(r->in, F_SETFL, O_NONBLOCK);
    for (unsigned i = 0; i < 2; i++)
        if (r->out[i] >= 0)
            fcntl(r->out[i], F_SETFL, O_NONBLOCK);
}

/* arcbox-init was opened before the root was entered. */
static _Noreturn void become_command(int init, const int theirs[3])
{
    sigset_t none;
    char *words[MAX_WORDS + 16] = {"arcbox-init", "-w", config.folder ? config.folder : "/"};
    unsigned n = 3;
    if (config.user) {
        words[n++] = "-u";
        words[n++] = config.user;
    }
    words[n++] = "--";
    memcpy(words + n, config.words, config.count * sizeof *words);
    setsid();
    if (config.tty)
        ioctl(theirs[0], TIOCSCTTY, 0);
    for (int i = 0; i < 3; i++)
        dup2(theirs[i], i);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execveat(init, "", words, config.environment, AT_EMPTY_PATH);
    fprintf(stderr, "arcbox: the virtual machine cannot start arcbox-init: %s\n", strerror(errno));
    _exit(125);
}

static void start(struct running *r, int init)
{
    sigset_t set;
    int theirs[3];
    struct timespec now;
    make_streams(r, theirs);
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);
    r->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    clock_gettime(CLOCK_BOOTTIME, &now);
    uint64_t ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    abx_vm_put(&out, ABX_VM_STARTED, &ns, sizeof ns);
    r->pid = fork();
    if (r->pid < 0)
        give_up("the virtual machine cannot start a process: %s", strerror(errno));
    if (r->pid == 0)
        become_command(init, theirs);
    for (unsigned i = 0; i < (config.tty ? 1 : 3); i++)
        close(theirs[i]);
}

/* ---- its bytes */

static void end_input(struct running *r)
{
    if (r->in >= 0 && !config.tty)
        close(r->in);
    if (!config.tty)
        r->in = -1;
}

static void give_input(struct running *r)
{
    uint32_t taken = 0;
    while (r->input_length && r->in >= 0) {
        ssize_t n = write(r->in, r->input + r->input_start, r->input_length);
        if (n < 0 && errno == EAGAIN)
            break;
        if (n < 0) { /* it reads no more: what comes is thrown away */
            taken += (uint32_t)r->input_length;
            r->input_length = 0;
            end_input(r);
            break;
        }
        r->input_start += (size_t)n;
        r->input_length -= (size_t)n;
        taken += (uint32_t)n;
    }
    if (taken && !abx_vm_put(&out, ABX_VM_TAKEN, &taken, sizeof taken)) {
        push_out();
        abx_vm_put(&out, ABX_VM_TAKEN, &taken, sizeof taken);
    }
    if (r->input_ended && !r->input_length)
        end_input(r);
}

static void hear(struct running *r)
{
    const struct abx_vm_head *head = &r->reader.head;
    uint32_t number = 0;
    if (head->bytes >= sizeof number)
        memcpy(&number, r->reader.data, sizeof number);
    if (head->kind == ABX_VM_IN && head->bytes <= sizeof r->input - r->input_length) {
        memmove(r->input, r->input + r->input_start, r->input_length);
        r->input_start = 0;
        memcpy(r->input + r->input_length, r->reader.data, head->bytes);
        r->input_length += head->bytes;
    } else if (head->kind == ABX_VM_IN_END)
        r->input_ended = true;
    else if (head->kind == ABX_VM_SIGNAL)
        kill(r->pid, (int)number);
    else if (head->kind == ABX_VM_SIZE && head->bytes == sizeof(struct winsize) && config.tty)
        ioctl(r->in, TIOCSWINSZ, r->reader.data);
    abx_vm_next(&r->reader);
}

/* Closes it at its end. */
static void take_output(struct running *r, unsigned i)
{
    static uint8_t bytes[ABX_VM_FRAME_MAX];
    ssize_t n = read(r->out[i], bytes, sizeof bytes);
    if (n > 0)
        abx_vm_put(&out, i == 0 ? ABX_VM_OUT : ABX_VM_ERR, bytes, (size_t)n);
    else if (n == 0 || errno != EAGAIN) {
        if (!config.tty)
            close(r->out[i]);
        r->out[i] = -1;
    }
}

/* Reaps; true once the command has ended, with its exit code. */
static bool has_ended(const struct running *r, uint32_t *ret_code)
{
    int status;
    bool ended = false;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
        if (pid == r->pid) {
            ended = true;
            *ret_code = WIFEXITED(status) ? (uint32_t)WEXITSTATUS(status)
                                          : 128u + (uint32_t)WTERMSIG(status);
        }
    return ended;
}

static void watch(struct running *r, struct pollfd p[5])
{
    bool room = abx_vm_has_room(&out);
    p[0] = (struct pollfd){port, (short)(POLLIN | (out.length ? POLLOUT : 0)), 0};
    p[1] = (struct pollfd){r->signals, POLLIN, 0};
    p[2] = (struct pollfd){room ? r->out[0] : -1, POLLIN, 0};
    p[3] = (struct pollfd){room ? r->out[1] : -1, POLLIN, 0};
    p[4] = (struct pollfd){r->input_length ? r->in : -1, POLLOUT, 0};
}

static uint32_t look_after(struct running *r)
{
    uint32_t code = 0;
    struct pollfd p[5];
    for (bool ended = false; !ended;) {
        struct signalfd_siginfo info;
        give_input(r);
        watch(r, p);
        if (poll(p, 5, -1) < 0)
            continue;
        while (abx_vm_read(port, &r->reader) > 0)
            hear(r);
        for (unsigned i = 0; i < 2; i++)
            if (p[2 + i].revents && abx_vm_has_room(&out)) /* the other may have taken it */
                take_output(r, i);
        if (abx_vm_flush(port, &out) < 0)
            reboot(RB_POWER_OFF); /* nobody is there any more */
        if (p[1].revents && read(r->signals, &info, sizeof info) > 0)
            ended = has_ended(r, &code);
    }
    return code;
}

/* What the command left running ends with it, as in a container; its last words do not get lost. */
static void drain(struct running *r)
{
    kill(-1, SIGKILL);
    for (unsigned i = 0; i < 2; i++)
        while (r->out[i] >= 0) {
            struct pollfd p = {r->out[i], POLLIN, 0};
            push_out();
            if (poll(&p, 1, 1000) <= 0)
                break;
            take_output(r, i);
        }
}

int main(void)
{
    static struct running running;
    read_config();
    int init = open("/arcbox-init", O_RDONLY | O_CLOEXEC);
    set_up();
    start(&running, init);
    uint32_t code = look_after(&running);
    drain(&running);
    sync();
    push_out();
    abx_vm_put(&out, ABX_VM_EXIT, &code, sizeof code);
    finish();
}
