/* The compiler's memory: a child has what it is given to work on, and nothing of others. */
#include "guest.h"
#include "host/compiler/internal.h"

#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* How a child ends that reads a byte of it: 0, or the signal. */
static int read_in_child(const char *p)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        signal(SIGSEGV, SIG_DFL);
        _exit(*(volatile const char *)p != 'x');
    }
    CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
    return WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
}

static void check_size(size_t bytes)
{
    char *mine = guarded_alloc(bytes), *other = guarded_alloc(bytes);
    CHECK(mine && other);
    memset(mine, 'x', bytes);
    memset(other, 'x', bytes);
    CHECK(read_in_child(mine) == SIGSEGV && read_in_child(other) == SIGSEGV);
    CHECK(guarded_inherit(mine, true) == 0);
    CHECK(read_in_child(mine + bytes - 1) == 0 && read_in_child(other + bytes - 1) == SIGSEGV);
    CHECK(guarded_inherit(mine, false) == 0);
    CHECK(read_in_child(mine) == SIGSEGV);
    guarded_free(mine);
    guarded_free(other);
}

static void check_map(void)
{
    int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    size_t bytes;
    void *data;
    CHECK(fd >= 0 && write(fd, "xyz", 3) == 3);
    CHECK(guarded_map(fd, 3, &data, &bytes) == -EPERM); /* somebody may change it */
    CHECK(guarded_seal(fd) == 0);
    CHECK(guarded_map(fd, 2, &data, &bytes) == -EFBIG);
    CHECK(guarded_map(fd, 3, &data, &bytes) == 0 && bytes == 3 && !memcmp(data, "xyz", 3));
    CHECK(read_in_child(data) == SIGSEGV);
    CHECK(guarded_inherit(data, true) == 0 && read_in_child(data) == 0);
    guarded_free(data);
    close(fd);
}

static void check_sizes(void)
{
    CHECK(!guarded_alloc(SIZE_MAX) && guarded_inherit(NULL, true) == 0);
    guarded_free(NULL);
    check_size(1);
    check_size(4096 - 64);
    check_size(4096);
    check_size(3 << 20);
}

int main(int argc, char **argv)
{
    const struct check_case cases[] = {
            CASE(check_sizes),
            CASE(check_map),
    };
    return check_run(argc, argv, CHECK_SUITE(cases, .seconds = 20));
}
