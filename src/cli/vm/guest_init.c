/* arcbox-vm-init: process 1 of a virtual machine that arcbox-vm starts. Static; the only program in
 * the machine's initial file system, with arcbox-init and the kernel's modules. Is told through the
 * port what the machine is to be; before that nothing is in it that belongs to one machine, and a
 * template may be made of it, from which others go on. Makes the machine a place like a container,
 * runs commands through arcbox-init there (guest_sessions.c), and says how its own ended; arcbox-vm
 * then ends the machine. Trusts its machine. */
#include "cli/vm/guest.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/random.h>
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

#define MAX_MOUNTS 256

static struct {
    char *hostname;
    bool read_only, probe, stays, network, disk, gpu, restored;
    char *mounts[MAX_MOUNTS], *memory[MAX_MOUNTS];
    unsigned mount_count, memory_count;
    char *shm_bytes; /* how large /dev/shm may grow, or NULL: as the kernel has it */
    char *seed;      /* in hex */
    char *clock; /* "SECONDS NANOSECONDS" since 1970, or NULL: the kernel has asked the hardware */
    struct abx_guest_description own;
    struct abx_guest_place place;
} config;

static int disk = -1, layer = -1; /* their roots */

int abx_guest_port = -1;
struct abx_vm_writer abx_guest_out;

/* ---- the end */

void abx_guest_push(void)
{
    struct pollfd p = {abx_guest_port, POLLOUT, 0};
    struct abx_vm_writer *out = &abx_guest_out;
    while (abx_guest_port >= 0 && out->length && abx_vm_flush(abx_guest_port, out) == 0 &&
            out->length)
        poll(&p, 1, -1);
}

/* arcbox-vm ends the machine once it has heard: until then there is nothing left to do. */
_Noreturn void abx_guest_finish(void)
{
    abx_guest_push();
    if (abx_guest_port >= 0)
        sleep(10);
    reboot(RB_POWER_OFF);
    for (;;)
        pause();
}

_Noreturn void abx_guest_give_up(const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    fprintf(stderr, "arcbox: %s\n", text);
    abx_guest_push();
    abx_vm_put(&abx_guest_out, ABX_VM_MACHINE, ABX_VM_FAILED, text, strlen(text));
    abx_guest_finish();
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

/* "WHICH SOFT HARD" */
static void add_limit(const char *text)
{
    unsigned n = config.place.limit_count;
    unsigned long long soft, hard;
    if (n == sizeof config.place.limits / sizeof config.place.limits[0] ||
            sscanf(text, "%d %llu %llu", &config.place.limits[n].which, &soft, &hard) != 3)
        return;
    config.place.limits[n].limit = (struct rlimit){soft, hard};
    config.place.limit_count++;
}

/* All that is said until it is whole, the caller's to keep. While the machine stands still, to
 * become a template, the port may seem to have ended. */
static char *hear_config(size_t *ret_length)
{
    static struct abx_vm_reader reader;
    struct pollfd p = {abx_guest_port, POLLIN, 0};
    char *data = NULL;
    for (;;) {
        int r = abx_vm_read(abx_guest_port, &reader);
        if (r > 0 && reader.head.kind == ABX_VM_BEGIN)
            return data;
        if (r > 0 && reader.head.kind == ABX_VM_MAKE_UP) {
            data = realloc(data, *ret_length + reader.head.bytes);
            if (!data)
                abx_guest_give_up("the virtual machine has no memory for its own description");
            memcpy(data + *ret_length, reader.data, reader.head.bytes);
            *ret_length += reader.head.bytes;
        }
        if (r > 0)
            abx_vm_next(&reader);
        else if (r == 0)
            poll(&p, 1, -1);
        else
            usleep(1000);
    }
}

static void read_config(void)
{
    size_t length = 0;
    char *data = hear_config(&length), *value;
    for (char *line = data; line && line < data + length; line += strlen(line) + 1) {
        if (abx_guest_describe(&config.own, line))
            continue;
        if (take(line, "mount=", &value) && config.mount_count < MAX_MOUNTS)
            config.mounts[config.mount_count++] = value;
        else if (take(line, "memory=", &value) && config.memory_count < MAX_MOUNTS)
            config.memory[config.memory_count++] = value;
        else if (take(line, "limit=", &value))
            add_limit(value);
        else if (take(line, "shm=", &config.shm_bytes))
            continue;
        else if (take(line, "probe=", &value))
            config.probe = true;
        else if (take(line, "readonly=", &value))
            config.read_only = *value == '1';
        else if (take(line, "disk=", &value))
            config.disk = true;
        else if (take(line, "gpu=", &value))
            config.gpu = true;
        else if (take(line, "restored=", &value))
            config.restored = true;
        else if (take(line, "seed=", &config.seed) || take(line, "clock=", &config.clock))
            continue;
        else if (take(line, "network=", &value))
            config.network = true;
        else if (take(line, "stays=", &value))
            config.stays = true;
        else
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

/* `list` names them in the order in which they load. */
static void load_modules(const char *list)
{
    size_t length;
    char *order = read_whole(list, &length), *rest = order;
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
        abx_guest_give_up("the virtual machine cannot mount %s: %s", where, strerror(errno));
}

/* Drivers find devices in their own time. */
static void wait_for(const char *path)
{
    for (int tries = 0; tries < 10000 && access(path, F_OK) < 0; tries++)
        usleep(1000);
}

/* Any user of the machine may use the GPU, as any user of a container may. */
static void open_gpu(void)
{
    wait_for("/dev/dri/renderD128");
    DIR *d = opendir("/dev/dri");
    for (struct dirent *e; d && (e = readdir(d));)
        if (strncmp(e->d_name, "renderD", 7) == 0)
            fchmodat(dirfd(d), e->d_name, 0666, 0);
    if (d)
        closedir(d);
}

/* What is written is kept on it. */
static void mount_disk(void)
{
    wait_for("/dev/vda");
    must_mount("/dev/vda", "/upper", "ext4", MS_NODEV | MS_NOATIME, "errors=remount-ro");
    disk = open("/upper", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* All of it is on the disk, as if it had been unmounted, and nothing comes after. */
static void close_disk(void)
{
    if (disk >= 0 && ioctl(disk, FIFREEZE, 0) < 0)
        fprintf(stderr, "arcbox: the disk: %s\n", strerror(errno));
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
    if (config.disk)
        mount_disk();
    else
        must_mount("upper", "/upper", "tmpfs", MS_NODEV, "mode=755");
    mkdir("/upper/files", 0755);
    layer = open("/upper/files", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    mkdir("/upper/work", 0755);
    must_mount("overlay", "/root", "overlay", MS_NODEV,
            "lowerdir=/lower,upperdir=/upper/files,workdir=/upper/work");
    for (unsigned i = 0; i < config.mount_count; i++) {
        char from[4200], to[4200];
        snprintf(from, sizeof from, "/lower%s", config.mounts[i]);
        snprintf(to, sizeof to, "/root%s", config.mounts[i]);
        if (mount(from, to, NULL, MS_BIND, NULL) < 0)
            abx_guest_give_up(
                    "the virtual machine cannot mount %s: %s", config.mounts[i], strerror(errno));
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
            abx_guest_give_up("the image has no folder %s, and it cannot be made: %s", moved[i],
                    strerror(errno));
    }
    if (chdir("/root") < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 ||
            chdir("/") < 0)
        abx_guest_give_up("the virtual machine cannot enter its root: %s", strerror(errno));
}

/* "OPTIONS FOLDER"; what is missing of its path is made, in the root that has been entered. */
static void mount_memory(void)
{
    for (unsigned i = 0; i < config.memory_count; i++) {
        char *folder = strchr(config.memory[i], ' ');
        if (!folder)
            continue;
        *folder++ = 0;
        for (char *p = folder + 1; (p = strchr(p, '/')); p++) {
            *p = 0;
            mkdir(folder, 0755);
            *p = '/';
        }
        must_mount("tmpfs", folder, "tmpfs", MS_NOSUID | MS_NODEV, config.memory[i]);
    }
}

/* Machines of one template have the same state of their random numbers, until now. */
static void stir(const char *hex)
{
    struct {
        int bits, length; /* struct rand_pool_info */
        uint8_t bytes[64];
    } seed = {0};
    unsigned n = 0, byte;
    for (; n < sizeof seed.bytes && sscanf(hex + 2 * n, "%2x", &byte) == 1; n++)
        seed.bytes[n] = (uint8_t)byte;
    seed.length = (int)n;
    seed.bits = (int)n * 8;
    int fd = open("/dev/urandom", O_RDWR | O_CLOEXEC);
    if (n < 32 || fd < 0 || ioctl(fd, RNDADDENTROPY, &seed) < 0 || ioctl(fd, RNDRESEEDCRNG) < 0)
        abx_guest_give_up("the virtual machine cannot take random numbers of its own");
    close(fd);
}

/* What a machine has beyond its template is new to it. */
static void catch_up(void)
{
    long long seconds;
    long nanoseconds;
    if (config.clock && sscanf(config.clock, "%lld %ld", &seconds, &nanoseconds) == 2)
        clock_settime(CLOCK_REALTIME, &(struct timespec){seconds, nanoseconds});
    put_text("/sys/bus/pci/rescan", "1");
}

/* All that machines of one kernel and one size have in common. */
static void boot(void)
{
    must_mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
    must_mount("sys", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
    must_mount("dev", "/dev", "devtmpfs", MS_NOSUID, "mode=755");
    load_modules("/modules/order");
    load_modules("/modules/order-network");
    load_modules("/modules/order-disk");
    config.place.init = open("/arcbox-init", O_RDONLY | O_CLOEXEC);
    abx_guest_port = open_port();
    if (abx_guest_port < 0)
        abx_guest_give_up("the virtual machine has no port to arcbox");
    abx_vm_put(&abx_guest_out, ABX_VM_MACHINE, ABX_VM_READY, NULL, 0);
    abx_guest_push();
}

static void set_up(void)
{
    if (config.seed)
        stir(config.seed);
    if (config.restored)
        catch_up();
    if (config.probe) {
        abx_vm_put(&abx_guest_out, ABX_VM_MACHINE, ABX_VM_EXIT, &(uint32_t){0}, sizeof(uint32_t));
        abx_guest_finish();
    }
    must_mount("pts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "gid=5,mode=620,ptmxmode=666");
    char options[64];
    snprintf(options, sizeof options, "mode=1777%s%.20s", config.shm_bytes ? ",size=" : "",
            config.shm_bytes ? config.shm_bytes : "");
    must_mount("shm", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, options);
    symlink("/proc/self/fd", "/dev/fd");
    symlink("/proc/self/fd/0", "/dev/stdin");
    symlink("/proc/self/fd/1", "/dev/stdout");
    symlink("/proc/self/fd/2", "/dev/stderr");
    /* Buffers in a few large pieces, not in thousands of pages. */
    put_text("/sys/kernel/mm/transparent_hugepage/shmem_enabled", "always");
    if (config.hostname)
        sethostname(config.hostname, strlen(config.hostname));
    abx_guest_network(config.network);
    if (config.gpu)
        open_gpu();
    enter_root();
    mount_memory();
}

int main(void)
{
    boot();
    read_config();
    config.place.environment = config.own.environment;
    set_up();
    uint32_t code = abx_guest_serve(config.stays ? NULL : &config.own, &config.place);
    if (!config.stays && layer >= 0)
        abx_guest_tell_left(layer);
    sync();
    close_disk();
    abx_guest_push();
    unsigned channel = config.stays ? ABX_VM_MACHINE : 0;
    abx_vm_put(&abx_guest_out, channel, ABX_VM_EXIT, &code, sizeof code);
    abx_guest_finish();
}
