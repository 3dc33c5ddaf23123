/* cli: whether KVM boots Linux here. That /dev/kvm is there does not say it: some of them belong to
 * machines that are virtual themselves and run only what was made for that. So a machine is started
 * once, to its first process, and what came of it is kept beside the kernel that it booted. */
#include "cli/vm/templates.h"
#include "cli/vm/vm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RECORD "kvm"
#define PROBE_MIB 512u

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
    const struct abx_vm_likeness like = {.qemu = qemu,
            .kernel = kernel,
            .machine = machine,
            .init = init,
            .inner = init,
            .cpus = 1,
            .memory_mib = PROBE_MIB,
            .kvm = true};
    return abx_vm_try(&like, NULL, -1);
}

#define NO_LINUX "this system's /dev/kvm boots no Linux"

bool abx_vm_kvm(const char *qemu, const char *kernel, char ret_why[160], bool *ret_new)
{
    bool open = access("/dev/kvm", R_OK | W_OK) == 0, there = open || errno != ENOENT;
    bool known = recorded(kernel, ret_why), was_yes = known && strcmp(ret_why, "yes") == 0;
    if (known && open && (was_yes || strcmp(ret_why, NO_LINUX) == 0)) {
        *ret_new = false;
        return was_yes;
    }
    const char *now = !there  ? "there is no /dev/kvm"
                      : !open ? "/dev/kvm is not open to this user (usermod -aG kvm USER, as root)"
                              : NO_LINUX;
    *ret_new = !known || strcmp(ret_why, now) != 0;
    char *machine = abx_place_tool("arcbox-vm"), *init = abx_place_tool("arcbox-vm-init");
    bool works = open && machine && init && boots(qemu, kernel, machine, init);
    snprintf(ret_why, 160, "%s", works ? "yes" : now);
    if (*ret_new)
        record(kernel, ret_why);
    free(machine);
    free(init);
    return works;
}
