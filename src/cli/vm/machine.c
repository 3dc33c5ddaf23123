/* cli: the hypervisor's command line, and what its machine finds when it starts. Runs in arcbox-vm,
 * inside the sandbox. */
#include "cli/vm/machine.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/vm/endpoint.h"
#include "cli/vm/frames.h"
#include "cli/vm/initrd.h"
#include "cli/vm/vm.h"

#define PROGRAM_CAP (64u << 20)
#define MODULES_CAP (256u << 20)
#define MAX_WORDS 64

/* ---- the first file system */

static void add_line(struct abx_string *s, const char *key, const char *value)
{
    if (!value)
        return;
    abx_string_add(s, key, strlen(key));
    abx_string_add(s, value, strlen(value) + 1);
}

static void add_config(struct abx_string *archive, const struct abx_machine *m, char **environment)
{
    struct abx_string s = {0};
    char size[32];
    add_line(&s, "size=", abx_vm_size(size) ? size : NULL);
    add_line(&s, "probe=", m->probe ? "1" : NULL);
    add_line(&s, "disk=", m->disk >= 0 ? "1" : NULL);
    add_line(&s, "network=", m->forwards ? "1" : NULL);
    add_line(&s, "stays=", m->stays ? "1" : NULL);
    add_line(&s, "hostname=", m->hostname);
    add_line(&s, "tty=", m->tty ? "1" : "0");
    add_line(&s, "readonly=", m->read_only ? "1" : "0");
    add_line(&s, "shm=", m->shm_bytes);
    for (unsigned i = 0; i < m->limit_count; i++)
        add_line(&s, "limit=", m->limits[i]);
    for (unsigned i = 0; i < m->memory_count; i++)
        add_line(&s, "memory=", m->memory[i]);
    for (unsigned i = 0; i < m->mount_count; i++)
        add_line(&s, "mount=", m->mounts[i]);
    for (char **e = environment; *e; e++)
        add_line(&s, "env=", *e);
    for (char **w = m->command; *w; w++)
        add_line(&s, "arg=", *w);
    abx_cpio_add(archive, "config", S_IFREG | 0600, s.data, s.length);
    archive->failed |= s.failed;
    abx_string_finish(&s);
}

static int add_file(struct abx_string *archive, const char *name, const char *path)
{
    void *data;
    size_t bytes;
    int r = abx_read_file(path, PROGRAM_CAP, &data, &bytes);
    if (r < 0)
        return r;
    abx_cpio_add(archive, name, S_IFREG | 0755, data, bytes);
    free(data);
    return 0;
}

static int add_modules(struct abx_string *archive, const char *kernel)
{
    char path[PATH_MAX];
    void *data;
    size_t bytes;
    snprintf(path, sizeof path, "%s/" ABX_VM_MODULES, kernel);
    int r = abx_read_file(path, MODULES_CAP, &data, &bytes);
    if (r < 0)
        return r;
    abx_string_add(archive, data, bytes);
    free(data);
    return 0;
}

int abx_machine_initrd(const struct abx_machine *m, char **environment)
{
    struct abx_string a = {0};
    int r = add_modules(&a, m->kernel);
    abx_cpio_add(&a, "dev", S_IFDIR | 0755, NULL, 0);
    abx_cpio_device(&a, "dev/console", S_IFCHR | 0600, 5, 1);
    if (r == 0)
        r = add_file(&a, "init", m->init);
    if (r == 0)
        r = add_file(&a, "arcbox-init", m->inner);
    add_config(&a, m, environment);
    abx_cpio_end(&a);
    if (r == 0 && a.failed)
        r = -ENOMEM;
    int fd = r < 0 ? r : memfd_create("initrd", MFD_CLOEXEC);
    if (fd >= 0 && (r = abx_write_all(fd, a.data, a.length)) < 0) {
        close(fd);
        fd = r;
    }
    abx_string_finish(&a);
    return fd;
}

/* ---- the hypervisor */

struct line {
    char *words[MAX_WORDS];
    unsigned count;
    bool failed;
};

static void add(struct line *l, const char *format, ...) ABX_PRINTF(2, 3);
static void add(struct line *l, const char *format, ...)
{
    char *word;
    va_list args;
    va_start(args, format);
    if (l->count + 1 >= MAX_WORDS || vasprintf(&word, format, args) < 0)
        l->failed = true;
    else
        l->words[l->count++] = word;
    va_end(args);
}

static void add_pair(struct line *l, const char *option, const char *value)
{
    add(l, "%s", option);
    add(l, "%s", value);
}

static void add_hardware(struct line *l, const struct abx_machine *m)
{
    add_pair(l, "-machine", "pc,usb=off,vmport=off,memory-backend=mem");
    add_pair(l, "-accel", m->kvm ? "kvm" : "tcg,thread=multi");
    /* Emulated, `rep movsb` and `rep stosb` are a loop of bytes: kernel and libraries have faster
     * ways where the processor does not praise them. Four times as fast: clearing, copying. */
    add_pair(l, "-cpu", m->kvm ? "host" : "max,erms=off,fsrm=off");
    add(l, "-smp");
    add(l, "%u", m->cpus);
    add(l, "-m");
    add(l, "%uM", m->memory_mib);
    /* A memory file that is shared: buffers in it are the device's and the worker's too. */
    add(l, "-object");
    add(l, "memory-backend-memfd,id=mem,size=%uM,share=on", m->memory_mib);
}

static void add_devices(struct line *l, const struct abx_machine *m, int port, int console)
{
    add(l, "-chardev");
    add(l, "socket,id=console,fd=%d", console);
    add_pair(l, "-serial", "chardev:console");
    add_pair(l, "-device", "virtio-serial-pci,max_ports=2");
    add(l, "-chardev");
    add(l, "socket,id=port,fd=%d", port);
    add_pair(l, "-device", "virtserialport,chardev=port,name=" ABX_VM_PORT);
    if (m->probe)
        return;
    add(l, "-fsdev");
    add(l, "local,id=root,path=%s,security_model=none,multidevs=remap", m->root);
    add_pair(l, "-device", "virtio-9p-pci,fsdev=root,mount_tag=root");
    if (m->disk >= 0) {
        add(l, "-add-fd");
        add(l, "fd=%d,set=1", m->disk);
        add_pair(l, "-blockdev",
                "driver=raw,node-name=disk,discard=unmap,file.driver=file,file.discard=unmap,"
                "file.filename=/dev/fdset/1");
        add_pair(l, "-device", "virtio-blk-pci,drive=disk,romfile=");
    }
    if (m->forwards) {
        add(l, "-netdev");
        add(l, "user,id=net,ipv6=off%s", m->forwards);
        add_pair(l, "-device", "virtio-net-pci,netdev=net,romfile=");
    }
    if (m->gpu < 0)
        return;
    add(l, "-chardev");
    add(l, "socket,id=gpu,fd=%d", m->gpu);
    add_pair(l, "-device", "vhost-user-gpu-pci,chardev=gpu");
}

static void add_all(struct line *l, const struct abx_machine *m, int initrd, int port, int console)
{
    add(l, "%s", m->qemu);
    static const char *const first[] = {"-nodefaults", "-no-user-config", "-display", "none",
            "-no-reboot", "-sandbox",
            "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"};
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(first); i++)
        add(l, "%s", first[i]);
    add_hardware(l, m);
    add_devices(l, m, port, console);
    add(l, "-kernel");
    add(l, "%s/vmlinux", m->kernel);
    add(l, "-initrd");
    add(l, "/proc/self/fd/%d", initrd);
    /* Debian's kernel clears pages when it takes them, and programs' pages once more; and it tests
     * its ciphers, which takes an emulated processor a sixth of the start. */
    add_pair(l, "-append",
            "console=ttyS0 quiet panic=-1 tsc=unstable mitigations=off init_on_alloc=0 "
            "cryptomgr.notests");
}

static void keep(int fd)
{
    if (fd >= 0)
        fcntl(fd, F_SETFD, 0);
}

static _Noreturn void become(
        struct line *l, const struct abx_machine *m, int initrd, int port, int console)
{
    sigset_t none;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setsid(); /* keys of the terminal are for the machine's command */
    keep(initrd);
    keep(port);
    keep(console);
    keep(m->gpu);
    keep(m->disk);
    int null = open("/dev/null", O_RDWR);
    dup2(null, 0);
    dup2(null, 1);
    dup2(console, 2); /* what it complains of stands with what the kernel says */
    execv(l->words[0], l->words);
    dprintf(2, "cannot run %s: %s\n", l->words[0], strerror(errno));
    _exit(127);
}

pid_t abx_machine_start(const struct abx_machine *m, int initrd, int *ret_port, int *ret_console)
{
    int port[2], console[2];
    struct line line = {0};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, port) < 0 ||
            socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, console) < 0)
        return -errno;
    add_all(&line, m, initrd, port[1], console[1]);
    pid_t pid = line.failed ? -1 : fork();
    if (pid == 0)
        become(&line, m, initrd, port[1], console[1]);
    int r = pid < 0 ? -errno : 0;
    close(port[1]);
    close(console[1]);
    if (m->gpu >= 0)
        close(m->gpu);
    for (unsigned i = 0; i < line.count; i++)
        free(line.words[i]);
    if (r < 0)
        return r ? r : -ENOMEM;
    fcntl(port[0], F_SETFL, O_NONBLOCK);
    fcntl(console[0], F_SETFL, O_NONBLOCK);
    *ret_port = port[0];
    *ret_console = console[0];
    return pid;
}
