/* cli: a virtual machine in place of a container's command:
 *
 *   arcbox run            holds the record, the tenant, the terminal
 *    |- arcbox-vmm        the machine's GPU device, in a sandbox of its own (src/vmm)
 *    `- bwrap             sees /usr, and the container's root below /vm
 *        `- arcbox-init
 *            `- arcbox-vm      passes input, output and signals (run_machine.c)
 *                `- QEMU       shows the container's root to the machine, through 9p
 *
 * So what the machine sees is decided where it is decided for containers, and a hypervisor that was
 * taken over has no more than its machine had. 9p, and not virtiofs, since QEMU alone serves it. */
#include "cli/vm/box.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/vm/enter.h"
#include "cli/vm/machine.h"
#include "cli/vm/network.h"
#include "cli/vm/templates.h"
#include "cli/vm/vm.h"
#include "host/sandbox/sandbox.h"

#define INNER_ROOT "/vm/root"
#define MIB (1ull << 20)
#define LEAST_MIB 256u /* less does not boot */

static char *must(char *path, const char *what)
{
    if (!path)
        abx_die(ABX_EXIT_OWN, "%s is missing beside the arcbox program: build again", what);
    return path;
}

void abx_vm_check_size(const struct abx_run *run, const struct abx_settings *settings)
{
    uint64_t host = abx_memory_limit() / MIB, wanted = settings->memory / MIB;
    if (run->cpus > 255)
        abx_die(ABX_EXIT_OWN, "--cpus %u: a virtual machine has at most 255", run->cpus);
    if (settings->memory && wanted > host)
        abx_die(ABX_EXIT_OWN, "--memory: %llu MiB for the virtual machine, and there are %llu here",
                (unsigned long long)wanted, (unsigned long long)host);
    if ((settings->memory ? wanted : host / 2) < LEAST_MIB)
        abx_die(ABX_EXIT_OWN, "--memory: a virtual machine needs %u MiB at least", LEAST_MIB);
}

/* Unless something else is asked for. */
static void choose_usual_size(struct abx_vm_box *vm)
{
    long there = sysconf(_SC_NPROCESSORS_ONLN);
    uint64_t half = abx_memory_limit() / MIB / 2;
    vm->cpus = (unsigned)(there > 0 ? there : 1);
    vm->memory_mib = half < ABX_VM_DEFAULT_MEMORY_MIB ? (unsigned)half : ABX_VM_DEFAULT_MEMORY_MIB;
}

static void choose_size(struct sandbox *s)
{
    struct abx_vm_box *vm = s->vm;
    uint64_t wanted = s->settings.memory / MIB;
    abx_vm_check_size(s->run, &s->settings);
    choose_usual_size(vm);
    if (s->run->cpus)
        vm->cpus = s->run->cpus;
    if (wanted)
        vm->memory_mib = (unsigned)(wanted > UINT32_MAX ? UINT32_MAX : wanted);
}

/* ---- the command: seconds before the machine would say that it is not there */

static bool is_there(int root, const char *path)
{
    int fd = abx_inside_open(root, path, O_PATH, 0);
    if (fd >= 0)
        close(fd);
    return fd != -ENOENT && fd != -ENOTDIR;
}

/* In the image, or where a mount may show it. */
static bool is_seen(const struct sandbox *s, int root, const char *folder, const char *name)
{
    char *joined = *name == '/' ? abx_xstrdup(name) : abx_xprintf("%s/%s", folder, name);
    char *path = abx_path_normal(joined);
    bool seen = abx_run_mounts(s->run, path) || is_there(root, path);
    free(path);
    free(joined);
    return seen;
}

static const char *search_path(const struct sandbox *s)
{
    const char *list = s->run->kind == ABX_IMAGE_HOST ? getenv("PATH") : NULL;
    for (unsigned i = 0; i < s->run->env.count; i++)
        if (strncmp(s->run->env.list[i], "PATH=", 5) == 0)
            list = s->run->env.list[i] + 5;
    return list ? list : "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
}

static void check_command(const struct sandbox *s)
{
    const char *name = s->run->command[0];
    int root = abx_inside_root(s->run->kind == ABX_IMAGE_HOST ? "/" : s->run->image);
    bool seen = root < 0 || !*name || (strchr(name, '/') && is_seen(s, root, s->folder, name));
    char *copy = abx_xstrdup(search_path(s)), *rest = strchr(name, '/') ? NULL : copy;
    for (char *folder; !seen && (folder = strsep(&rest, ":"));)
        seen = is_seen(s, root, *folder == '/' ? folder : s->folder, name);
    free(copy);
    if (root >= 0)
        close(root);
    if (!seen)
        abx_die(ABX_EXIT_NOT_FOUND, "%s: no such command in the container", name);
}

static void find_tools(struct abx_vm_box *vm)
{
    vm->machine = must(abx_place_tool("arcbox-vm"), "arcbox-vm");
    vm->init = must(abx_place_tool("arcbox-vm-init"), "arcbox-vm-init");
}

static void find_kvm(struct abx_vm_box *vm)
{
    char why_not[160];
    bool fresh;
    vm->kvm = abx_vm_kvm(vm->qemu, vm->kernel, why_not, &fresh);
    if (!vm->kvm && fresh)
        abx_say("%s: virtual machines are emulated here, many times slower (this is said once)",
                why_not);
}

static void find_template(struct abx_vm_box *vm)
{
    char *inner = must(abx_place_init(), "arcbox-init");
    const struct abx_vm_likeness like = {.qemu = vm->qemu,
            .kernel = vm->kernel,
            .machine = vm->machine,
            .init = vm->init,
            .inner = inner,
            .cpus = vm->cpus,
            .memory_mib = vm->memory_mib,
            .kvm = vm->kvm};
    bool failed;
    vm->template = abx_vm_template(&like, &failed);
    free(inner);
    if (failed)
        abx_say("machines of this size boot each time here: none goes on from a template");
}

void abx_vm_prepare_usual(void)
{
    struct abx_vm_box vm = {0};
    char version[32], *why;
    vm.qemu = abx_vm_qemu(version, &why);
    vm.kernel = abx_vm_kernel();
    if (!vm.qemu)
        abx_say("%s", why);
    if (!vm.qemu || !vm.kernel)
        return;
    find_tools(&vm);
    find_kvm(&vm);
    choose_usual_size(&vm);
    printf("starting a machine of %u processors and %u MiB, as a template for others\n", vm.cpus,
            vm.memory_mib);
    fflush(stdout);
    find_template(&vm);
}

void abx_vm_prepare(struct sandbox *s)
{
    struct abx_vm_box *vm = s->vm = abx_xcalloc(1, sizeof *vm);
    char version[32], *why;
#ifndef __x86_64__
    abx_die(ABX_EXIT_OWN, "--vm: virtual machines need a host with an x86-64 processor, yet");
#endif
    vm->gpu = vm->listener = vm->template = -1;
    vm->qemu = abx_vm_qemu(version, &why);
    if (!vm->qemu)
        abx_die(ABX_EXIT_OWN, "--vm: %s", why);
    const char *kernel = abx_run_given(s->run, "--kernel", NULL);
    vm->kernel = kernel ? abx_vm_kernel_named(kernel) : abx_vm_kernel();
    if (!vm->kernel && kernel)
        abx_die(ABX_EXIT_OWN,
                "--kernel %s: no such kernel is set up (arcbox vm setup FILE|FOLDER makes one, and "
                "says its name)",
                kernel);
    if (!vm->kernel)
        abx_die(ABX_EXIT_OWN, "--vm: there is no kernel for virtual machines yet: %s",
                ABX_VM_KERNEL_ADVICE);
    find_tools(vm);
    choose_size(s);
    check_command(s);
    vm->network = abx_vm_network(s->run, &vm->forwards);
    find_kvm(vm);
    find_template(vm);
}

/* ---- the device */

static _Noreturn void become_device(const char *program, int sock, const char *socket_path)
{
    char *const words[] = {(char *)program, "3", (char *)socket_path, NULL};
    const char *weak = getenv(ABX_WEAK_SANDBOX_ENV);
    char *const environment[] = {
            weak && strcmp(weak, "1") == 0 ? ABX_WEAK_SANDBOX_ENV "=1" : NULL, NULL};
    dup2(sock, 3);
    if (sock != 3)
        close(sock);
    fcntl(3, F_SETFD, 0);
    execve(program, words, environment);
    fprintf(stderr, "arcbox: cannot run %s: %s\n", program, strerror(errno));
    _exit(127);
}

static void start_device(struct sandbox *s, const char *socket_path)
{
    char *program = must(abx_place_device(), "arcbox-vmm");
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        abx_die(ABX_EXIT_OWN, "cannot make a socket: %s", strerror(errno));
    pid_t arcbox = getpid(), pid = fork();
    if (pid < 0)
        abx_die(ABX_EXIT_OWN, "cannot start a process: %s", strerror(errno));
    if (pid == 0) {
        setsid(); /* keys of the terminal are not for it */
        if (!abx_process_follow(arcbox))
            _exit(ABX_EXIT_OWN);
        become_device(program, pair[1], socket_path);
    }
    close(pair[1]);
    s->vm->gpu = pair[0];
    s->vm->device = pid;
    free(program);
}

void abx_vm_open(struct sandbox *s, const struct abx_container *c)
{
    s->vm->listener = abx_vm_listen(c);
    if (s->vm->listener < 0)
        abx_say("`arcbox exec` will not get into it: %s", strerror(errno));
    if (s->socket)
        start_device(s, s->socket);
}

/* Held here too, it would take in those whom nobody answers any more. */
void abx_vm_opened(struct sandbox *s)
{
    if (s->vm && s->vm->listener >= 0)
        close(s->vm->listener);
}

void abx_vm_end(struct sandbox *s)
{
    if (!s->vm || s->vm->device <= 0)
        return;
    kill(s->vm->device, SIGKILL); /* the machine has ended, and it with that */
    while (waitpid(s->vm->device, NULL, 0) < 0 && errno == EINTR)
        ;
}

/* ---- bubblewrap's words */

#define ADD(w, ...)                                                                                \
    do {                                                                                           \
        const char *const words_[] = {__VA_ARGS__};                                                \
        for (size_t i_ = 0; i_ < ABX_ARRAY_SIZE(words_); i_++)                                     \
            abx_words_add(w, words_[i_]);                                                          \
    } while (0)

/* The hypervisor's own files: this system's programs and libraries. */
static void add_system(struct abx_words *w)
{
    static const char *const beside[] = {"/bin", "/sbin", "/lib", "/lib64", "/lib32"};
    ADD(w, "--ro-bind", "/usr", "/usr");
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(beside); i++) {
        char to[PATH_MAX];
        ssize_t n = readlink(beside[i], to, sizeof to - 1);
        if (n > 0) {
            to[n] = 0;
            ADD(w, "--symlink", abx_xstrdup(to), beside[i]);
        } else
            ADD(w, "--ro-bind-try", beside[i], beside[i]);
    }
    ADD(w, "--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache");
}

void abx_vm_add_mounts(struct abx_words *w, const struct sandbox *s, const char *root)
{
    const struct abx_vm_box *vm = s->vm;
    add_system(w);
    if (s->shares_processes)
        ADD(w, "--bind", "/proc", "/proc");
    else
        ADD(w, "--proc", "/proc");
    ADD(w, "--dev", "/dev", "--tmpfs", "/tmp");
    char resolver[PATH_MAX]; /* QEMU asks for names in the machine's place */
    if (vm->network && realpath("/etc/resolv.conf", resolver))
        ADD(w, "--ro-bind", abx_xstrdup(resolver), "/etc/resolv.conf");
    if (vm->kvm)
        ADD(w, "--dev-bind", "/dev/kvm", "/dev/kvm");
    ADD(w, "--dev-bind", root, INNER_ROOT, "--ro-bind", vm->kernel, "/vm/kernel");
    ADD(w, "--ro-bind", vm->machine, "/vm/arcbox-vm", "--ro-bind", vm->init, "/vm/init");
    ADD(w, "--ro-bind", s->init, "/run/.arcbox-init");
}

static void add_descriptor(struct abx_words *w, const char *option, int fd)
{
    if (fd < 0)
        return;
    fcntl(fd, F_SETFD, 0);
    ADD(w, option, abx_xprintf("%d", fd));
}

char *abx_vm_user(const struct sandbox *s)
{
    if (s->settings.has_user)
        return abx_xprintf("%u:%u", s->settings.uid, s->settings.gid);
    if (s->run->kind == ABX_IMAGE_HOST && geteuid() != 0)
        return abx_xprintf("%u:%u", (unsigned)geteuid(), (unsigned)getegid());
    return NULL;
}

/* Of the machine's commands, not of its hypervisor. */
static void add_limits(struct abx_words *w, const struct abx_settings *settings)
{
    if (settings->shm_bytes)
        ADD(w, "-s", abx_xprintf("%llu", (unsigned long long)settings->shm_bytes));
    for (unsigned i = 0; i < settings->ulimit_count; i++)
        ADD(w, "-U",
                abx_xprintf("%d %llu %llu", settings->ulimits[i].which,
                        (unsigned long long)settings->ulimits[i].limit.rlim_cur,
                        (unsigned long long)settings->ulimits[i].limit.rlim_max));
}

static void add_memory(struct abx_words *w, const struct abx_settings *settings)
{
    for (unsigned i = 0; i < settings->tmpfs_count; i++) {
        const char *size = settings->tmpfs[i].size, *mode = settings->tmpfs[i].mode;
        ADD(w, "-T",
                abx_xprintf("mode=%s%s%s %s", mode ? mode : "1777", size ? ",size=" : "",
                        size ? size : "", settings->tmpfs[i].target));
    }
}

void abx_vm_add_command(struct abx_words *w, const struct sandbox *s)
{
    const struct abx_vm_box *vm = s->vm;
    char *user = abx_vm_user(s);
    ADD(w, "/vm/arcbox-vm", "-q", vm->qemu, "-k", "/vm/kernel", "-i", "/vm/init", "-I",
            "/run/.arcbox-init", "-R", INNER_ROOT, "-n",
            s->run->hostname ? s->run->hostname : s->name, "-c", abx_xprintf("%u", vm->cpus), "-m",
            abx_xprintf("%u", vm->memory_mib));
    if (vm->kvm)
        abx_words_add(w, "-K");
    if (s->settings.read_only)
        abx_words_add(w, "-r");
    add_limits(w, &s->settings);
    add_memory(w, &s->settings);
    for (unsigned i = 0; i < s->run->mount_count; i++)
        ADD(w, "-M", s->run->mounts[i].target);
    if (vm->network)
        ADD(w, "-N", vm->forwards);
    add_descriptor(w, "-g", vm->gpu);
    add_descriptor(w, "-l", vm->listener);
    add_descriptor(w, "-t", vm->template);
    add_descriptor(w, "-d", s->run->disk ? s->run->disk : -1);
    if (s->run->stays) {
        abx_words_add(w, "-S");
        return;
    }
    ADD(w, "--", "-w", s->folder);
    if (user)
        ADD(w, "-u", user);
    abx_words_add(w, "--");
}
