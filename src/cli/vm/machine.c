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
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli/vm/endpoint.h"
#include "cli/vm/frames.h"
#include "cli/vm/initrd.h"
#include "cli/vm/vm.h"

#define PROGRAM_CAP (64u << 20)
#define MODULES_CAP (256u << 20)
#define MAX_WORDS 64

/* ---- what it is told */

static void add_line(struct abx_string *s, const char *key, const char *value)
{
    if (!value)
        return;
    abx_string_add(s, key, strlen(key));
    abx_string_add(s, value, strlen(value) + 1);
}

/* What no two machines have in common. */
static void add_seed(struct abx_string *s)
{
    uint8_t seed[64];
    char text[2 * sizeof seed + 1];
    if (getrandom(seed, sizeof seed, 0) != sizeof seed) {
        s->failed = true;
        return;
    }
    for (unsigned i = 0; i < sizeof seed; i++)
        snprintf(text + 2 * i, 3, "%02x", seed[i]);
    add_line(s, "seed=", text);
}

/* A machine that boots asks its clock for the time; the others' has stood still. */
static void add_time(struct abx_string *s)
{
    struct timespec now;
    char text[64];
    clock_gettime(CLOCK_REALTIME, &now);
    snprintf(text, sizeof text, "%lld %ld", (long long)now.tv_sec, now.tv_nsec);
    add_line(s, "clock=", text);
    add_line(s, "restored=", "1");
}

void abx_machine_describe(const struct abx_machine *m, char **environment, struct abx_string *out)
{
    char size[32];
    add_seed(out);
    if (m->from >= 0)
        add_time(out);
    add_line(out, "size=", abx_vm_size(size) ? size : NULL);
    add_line(out, "probe=", m->bare ? "1" : NULL);
    add_line(out, "gpu=", m->gpu >= 0 ? "1" : NULL);
    add_line(out, "disk=", m->disk >= 0 ? "1" : NULL);
    add_line(out, "network=", m->forwards ? "1" : NULL);
    add_line(out, "stays=", m->stays ? "1" : NULL);
    add_line(out, "hostname=", m->hostname);
    add_line(out, "tty=", m->tty ? "1" : "0");
    add_line(out, "readonly=", m->read_only ? "1" : "0");
    add_line(out, "shm=", m->shm_bytes);
    for (unsigned i = 0; i < m->limit_count; i++)
        add_line(out, "limit=", m->limits[i]);
    for (unsigned i = 0; i < m->memory_count; i++)
        add_line(out, "memory=", m->memory[i]);
    for (unsigned i = 0; i < m->mount_count; i++)
        add_line(out, "mount=", m->mounts[i]);
    for (char **e = environment; *e; e++)
        add_line(out, "env=", *e);
    for (char **w = m->command; *w; w++)
        add_line(out, "arg=", *w);
}

/* ---- the first file system */

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

/* As a memory file, or -errno. */
static int make_initrd(const struct abx_machine *m)
{
    struct abx_string a = {0};
    int r = add_modules(&a, m->kernel);
    abx_cpio_add(&a, "dev", S_IFDIR | 0755, NULL, 0);
    abx_cpio_device(&a, "dev/console", S_IFCHR | 0600, 5, 1);
    if (r == 0)
        r = add_file(&a, "init", m->init);
    if (r == 0)
        r = add_file(&a, "arcbox-init", m->inner);
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

static void add_hardware(struct line *l, const struct abx_machine *m, int memory)
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
    add(l, "memory-backend-file,id=mem,size=%uM,share=on,mem-path=/proc/self/fd/%d", m->memory_mib,
            memory);
}

static void add_devices(struct line *l, const struct abx_machine *m, const struct abx_hypervisor *h)
{
    add(l, "-chardev");
    add(l, "socket,id=console,fd=%d", h->console);
    add_pair(l, "-serial", "chardev:console");
    add_pair(l, "-device", "virtio-serial-pci,max_ports=2");
    add(l, "-chardev");
    add(l, "socket,id=port,fd=%d", h->port);
    add_pair(l, "-device", "virtserialport,chardev=port,name=" ABX_VM_PORT);
    if (m->bare)
        return;
    /* Below here is what no template has, behind what it has: places on the bus are given in this
     * order. */
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

/* Debian's kernel clears pages when it takes them, and programs' pages once more; and it tests its
 * ciphers, which takes an emulated processor a sixth of the start. */
static void add_kernel(struct line *l, const struct abx_machine *m, int initrd)
{
    add(l, "-kernel");
    add(l, "%s/vmlinux", m->kernel);
    add(l, "-initrd");
    add(l, "/proc/self/fd/%d", initrd);
    add_pair(l, "-append",
            "console=ttyS0 quiet panic=-1 tsc=unstable mitigations=off init_on_alloc=0 "
            "cryptomgr.notests");
}

/* `theirs`: the hypervisor's ends. */
static void add_all(struct line *l, const struct abx_machine *m, int initrd,
        const struct abx_hypervisor *theirs)
{
    add(l, "%s", m->qemu);
    static const char *const first[] = {"-nodefaults", "-no-user-config", "-display", "none",
            "-no-reboot", "-sandbox",
            "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"};
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(first); i++)
        add(l, "%s", first[i]);
    add_hardware(l, m, theirs->memory);
    add_devices(l, m, theirs);
    if (theirs->monitor >= 0) {
        add(l, "-chardev");
        add(l, "socket,id=monitor,fd=%d", theirs->monitor);
        add_pair(l, "-mon", "chardev=monitor,mode=control");
    }
    if (m->from >= 0)
        add_pair(l, "-incoming", "defer");
    else
        add_kernel(l, m, initrd);
}

static void keep(int fd)
{
    if (fd >= 0)
        fcntl(fd, F_SETFD, 0);
}

static _Noreturn void become(struct line *l, const struct abx_machine *m, int initrd,
        const struct abx_hypervisor *theirs)
{
    sigset_t none;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setsid(); /* keys of the terminal are for the machine's command */
    const int kept[] = {initrd, theirs->port, theirs->console, theirs->monitor, theirs->memory,
            m->gpu, m->disk};
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(kept); i++)
        keep(kept[i]);
    int null = open("/dev/null", O_RDWR);
    dup2(null, 0);
    dup2(null, 1);
    dup2(theirs->console, 2); /* what it complains of stands with what the kernel says */
    execv(l->words[0], l->words);
    dprintf(2, "cannot run %s: %s\n", l->words[0], strerror(errno));
    _exit(127);
}

static int make_pair(int *ret_ours, int *ret_theirs)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    *ret_ours = pair[0];
    *ret_theirs = pair[1];
    return 0;
}

static void close_ends(struct abx_hypervisor *h)
{
    int *const ends[] = {&h->port, &h->console, &h->monitor, &h->memory};
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(ends); i++) {
        if (*ends[i] >= 0)
            close(*ends[i]);
        *ends[i] = -1;
    }
}

static int make_ends(
        const struct abx_machine *m, struct abx_hypervisor *ours, struct abx_hypervisor *theirs)
{
    int r = make_pair(&ours->port, &theirs->port);
    if (r == 0)
        r = make_pair(&ours->console, &theirs->console);
    if (r == 0 && (m->from >= 0 || m->bare))
        r = make_pair(&ours->monitor, &theirs->monitor);
    if (r == 0)
        r = ours->memory = abx_memfd_create("machine", (uint64_t)m->memory_mib << 20);
    if (r >= 0)
        r = theirs->memory = fcntl(ours->memory, F_DUPFD_CLOEXEC, 0);
    return r < 0 ? r : 0;
}

static pid_t start(const struct abx_machine *m, int initrd, const struct abx_hypervisor *theirs)
{
    struct line line = {0};
    add_all(&line, m, initrd, theirs);
    pid_t pid = line.failed ? -ENOMEM : fork();
    if (pid == 0)
        become(&line, m, initrd, theirs);
    if (pid == -1)
        pid = -errno;
    for (unsigned i = 0; i < line.count; i++)
        free(line.words[i]);
    return pid;
}

int abx_machine_start(const struct abx_machine *m, struct abx_hypervisor *ret)
{
    struct abx_hypervisor none = {-1, -1, -1, -1, -1}, theirs = none;
    *ret = none;
    int initrd = -1, r = 0;
    if (m->from < 0)
        r = initrd = make_initrd(m);
    if (r >= 0)
        r = make_ends(m, ret, &theirs);
    if (r == 0)
        r = ret->pid = start(m, initrd, &theirs);
    close_ends(&theirs);
    if (initrd >= 0)
        close(initrd);
    if (m->gpu >= 0)
        close(m->gpu);
    if (r < 0) {
        close_ends(ret);
        return r;
    }
    fcntl(ret->port, F_SETFL, O_NONBLOCK);
    fcntl(ret->console, F_SETFL, O_NONBLOCK);
    return 0;
}

void abx_machine_end(struct abx_hypervisor *h)
{
    if (h->pid > 0) {
        kill(h->pid, SIGKILL);
        while (waitpid(h->pid, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    h->pid = -1;
    close_ends(h);
}
