/* Stands in for a clang that a shader has taken over: tries what it should not be able to do and
 * reports what it could, as an error in the program. Runs in the compiler's sandbox. The paths of
 * the host it should reach come in the program: "// path: PATH". */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static void report(const char *could, const char *path)
{
    fprintf(stderr, "<stdin>:1:1: error: could %s %s\n", could, path);
}

static void try_path(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char inside[4096];
    snprintf(inside, sizeof inside, "%s/planted", path);
    if (access(path, F_OK) == 0)
        report("see", path);
    if (open(path, O_RDONLY) >= 0)
        report("read", path);
    if (open(path, O_WRONLY) >= 0 || open(inside, O_CREAT | O_WRONLY, 0600) >= 0)
        report("write", path);
    snprintf(address.sun_path, sizeof address.sun_path, "%.100s", path);
    int sock = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    if (sock >= 0 && connect(sock, (struct sockaddr *)&address, sizeof address) == 0)
        report("connect to", path);
}

static void try_paths(void)
{
    static const char *const paths[] = {"/etc/passwd", "/root", "/home", "/var",
            "/proc/self/environ", "/proc/1/mem", "/sys", "/dev/mem", "/dev/shm", "/run"};
    char line[4096];
    for (unsigned i = 0; i < sizeof paths / sizeof *paths; i++)
        try_path(paths[i]);
    if (open("/usr/planted", O_CREAT | O_WRONLY, 0600) >= 0)
        report("write", "/usr");
    while (fgets(line, sizeof line, stdin))
        if (strncmp(line, "// path: ", 9) == 0) {
            line[strcspn(line, "\n")] = 0;
            try_path(line + 9);
        }
}

static void try_calls(void)
{
    struct rlimit more = {RLIM_INFINITY, RLIM_INFINITY};
    char parameters[256] = {0};
    if (socket(AF_INET, SOCK_STREAM, 0) >= 0 || socket(AF_NETLINK, SOCK_RAW, 0) >= 0)
        report("make", "a network socket");
    if (syscall(SYS_memfd_create, "x", 0) >= 0)
        report("make", "a memory file");
    if (mount("none", "/tmp", "tmpfs", 0, NULL) == 0)
        report("mount", "/tmp");
    if (syscall(SYS_unshare, 0x10000000) == 0)
        report("make", "a user name space");
    if (ptrace(PTRACE_ATTACH, getppid(), 0, 0) == 0)
        report("trace", "its parent");
    if (syscall(SYS_bpf, 0, 0, 0) >= 0 || syscall(SYS_keyctl, 0, 0, 0) >= 0 ||
            syscall(SYS_io_uring_setup, 1, parameters) >= 0)
        report("use", "bpf, keys or io_uring");
    if (setrlimit(RLIMIT_CPU, &more) == 0 || setrlimit(RLIMIT_AS, &more) == 0)
        report("raise", "its limits");
    if (setuid(0) == 0 && getuid() != 0)
        report("become", "root");
    for (int fd = 3; fd < 256; fd++)
        if (fcntl(fd, F_GETFD) >= 0)
            report("inherit", "a descriptor");
}

static void try_memory(void)
{
    size_t held = 0;
    while (held <= (size_t)8 << 30 && mmap(NULL, 64 << 20, PROT_READ | PROT_WRITE,
                                              MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED)
        held += 64 << 20;
    if (held > (size_t)5 << 30)
        report("reserve", "more than 5 GiB");
}

static void try_disk(void)
{
    static char block[1 << 20];
    size_t written = 0;
    int fd = open("/tmp/large", O_CREAT | O_WRONLY, 0600);
    while (fd >= 0 && written < (size_t)1 << 30 && write(fd, block, sizeof block) > 0)
        written += sizeof block;
    if (written > (size_t)256 << 20)
        report("write", "more than 256 MiB to /tmp");
}

static void try_processes(void)
{
    int count = 0;
    while (count < 200) {
        pid_t pid = fork();
        if (pid == 0) {
            pause();
            _exit(0);
        }
        if (pid < 0)
            break;
        count++;
    }
    if (count > 100 && getuid() != 0)
        report("start", "more than 100 processes");
    /* They are left behind. */
}

int main(void)
{
    try_paths();
    try_calls();
    try_memory();
    try_disk();
    try_processes();
    fprintf(stderr, "<stdin>:1:1: error: that was all\n");
    return 1;
}
