/* cli: enter.h. Runs in the user's `arcbox exec`. Only this user reaches the socket, which is in
 * the record; behind it is arcbox-vm, in the sandbox, and behind that the machine, who are not
 * believed more than bytes and an exit code. */
#include "cli/vm/enter.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/vm/endpoint.h"
#include "cli/vm/frames.h"

bool abx_vm_is(const struct abx_container *c)
{
    return strcmp(c->kind, ABX_KIND_VM) == 0;
}

/* The record's path may be longer than a socket's address: through the opened folder. */
static int open_socket(const struct abx_container *c, struct sockaddr_un *ret, int *ret_folder)
{
    *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
    *ret_folder = open(c->folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    snprintf(ret->sun_path, sizeof ret->sun_path, "/proc/self/fd/%d/vm", *ret_folder);
    return *ret_folder < 0 ? -1 : socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

int abx_vm_listen(const struct abx_container *c)
{
    struct sockaddr_un address;
    int folder, fd = open_socket(c, &address, &folder), error = 0;
    if (fd >= 0 && (bind(fd, (struct sockaddr *)&address, sizeof address) < 0 ||
                           listen(fd, 16) < 0 || fcntl(fd, F_SETFL, O_NONBLOCK) < 0)) {
        error = errno;
        close(fd);
        fd = -1;
    }
    if (folder >= 0)
        close(folder);
    errno = error;
    return fd;
}

static int reach(const struct abx_container *c)
{
    struct sockaddr_un address;
    int folder, fd = open_socket(c, &address, &folder);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
        abx_die(ABX_EXIT_OWN, "cannot enter '%s': %s", c->name, strerror(errno));
    close(folder);
    return fd;
}

static void add_line(struct abx_string *s, const char *key, const char *value)
{
    abx_string_add(s, key, strlen(key));
    abx_string_add(s, value, strlen(value) + 1);
}

int abx_vm_enter(const struct abx_container *c, const struct abx_vm_entry *entry)
{
    struct abx_string s = {0};
    char *why = NULL, size[32];
    if (abx_vm_size(size))
        add_line(&s, "size=", size);
    add_line(&s, "tty=", entry->tty ? "1" : "0");
    add_line(&s, "detached=", entry->detached ? "1" : "0");
    for (char **e = entry->env; e && *e; e++)
        add_line(&s, "env=", *e);
    add_line(&s, "arg=", "-x"); /* it is not the first */
    for (char **w = entry->words; *w; w++)
        add_line(&s, "arg=", *w);
    if (s.failed || s.length > ABX_VM_WORDS_CAP)
        abx_die(ABX_EXIT_OWN, "the command has more than %u bytes of words and variables",
                ABX_VM_WORDS_CAP);
    struct abx_vm_command command = {.sock = reach(c),
            .description = s.data,
            .bytes = s.length,
            .tty = entry->tty,
            .detached = entry->detached,
            .ignored = abx_supervise_ignored()};
    abx_vm_block_signals();
    int code = abx_vm_endpoint(&command, &why);
    close(command.sock);
    abx_string_finish(&s);
    if (why)
        abx_die(ABX_EXIT_OWN, "cannot enter '%s': %s", c->name, why);
    if (code < 0)
        abx_die(ABX_EXIT_OWN, "'%s' has ended", c->name);
    return code;
}

pid_t abx_vm_enter_child(
        const struct abx_container *c, const struct abx_vm_entry *entry, int in, int out, int err)
{
    fflush(NULL);
    pid_t parent = getpid(), pid = fork();
    if (pid < 0)
        abx_die(ABX_EXIT_OWN, "cannot start a process: %s", strerror(errno));
    if (pid > 0)
        return pid;
    if (!abx_process_follow(parent) || dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0)
        _exit(ABX_EXIT_OWN);
    syscall(SYS_close_range, 3, ~0u, 0); /* others wait for the ends of pipes */
    exit(abx_vm_enter(c, entry));
}
