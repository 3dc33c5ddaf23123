/* cli: whether KVM boots Linux here. That /dev/kvm is there does not say it: some of them belong to
 * machines that are virtual themselves and run only what was made for that. So a machine is started
 * once, to its first process, and what came of it is kept beside the kernel that it booted. */
#include "cli/vm/vm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define RECORD "kvm"

static bool recorded(const char *kernel, char ret[160])
{
    char *path = abx_xprintf("%s/" RECORD, kernel);
    void *text = NULL;
    size_t length;
    bool there = abx_read_file(path, 159, &text, &length) == 0;
    if (there)
        snprintf(ret, 160, "%s", (char *)text);
    free(text);
    free(path);
    return there;
}

static void record(const char *kernel, const char *text)
{
    char *path = abx_xprintf("%s/" RECORD, kernel);
    if (abx_write_file(path, text, strlen(text)) < 0) {
        /* It is tried again, then. */
    }
    free(path);
}

static bool boots(const char *qemu, const char *kernel, const char *machine, const char *init)
{
    char *const words[] = {(char *)machine, "-P", "-K", "-q", (char *)qemu, "-k", (char *)kernel,
            "-i", (char *)init, "-I", (char *)init, "-R", "/var/empty", "--", "probe", NULL};
    int status = -1;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        execv(machine, words);
        _exit(127);
    }
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool abx_vm_kvm(const char *qemu, const char *kernel, char ret_why[160], bool *ret_new)
{
    *ret_new = !recorded(kernel, ret_why);
    if (!*ret_new)
        return strcmp(ret_why, "yes") == 0 && access("/dev/kvm", R_OK | W_OK) == 0;
    if (access("/dev/kvm", R_OK | W_OK) < 0) {
        bool there = errno != ENOENT;
        snprintf(ret_why, 160, "%s",
                there ? "/dev/kvm is not open to this user: usermod -aG kvm USER, as root"
                      : "there is no /dev/kvm");
        if (!there) /* it may be opened later */
            record(kernel, ret_why);
        return false;
    }
    char *machine = abx_place_tool("arcbox-vm"), *init = abx_place_tool("arcbox-vm-init");
    bool works = machine && init && boots(qemu, kernel, machine, init);
    snprintf(ret_why, 160, "%s", works ? "yes" : "this system's /dev/kvm boots no Linux");
    record(kernel, ret_why);
    free(machine);
    free(init);
    return works;
}
