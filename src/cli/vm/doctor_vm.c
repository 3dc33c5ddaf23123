/* cli: arcbox doctor on virtual machines: what is there, and what gets the rest. Nothing here is
 * needed by those who start none. */
#include "cli/doctor.h"
#include "cli/vm/templates.h"
#include "cli/vm/vm.h"

#include <stdlib.h>
#include <string.h>

static void put(struct abx_doctor_line *line, bool good, const char *what, char *text)
{
    *line = (struct abx_doctor_line){good, what, text};
}

/* QEMU shows the machine its files by itself, where it was built with that. */
static bool has_files(const char *qemu)
{
    char *text, *const words[] = {(char *)qemu, "-device", "help", NULL};
    bool has = abx_doctor_output(words, &text) == 0 && strstr(text, "virtio-9p-pci");
    free(text);
    return has;
}

static void put_templates(struct abx_doctor_line *line, const char *kernel)
{
    char *failed = NULL;
    unsigned count = kernel ? abx_vm_templates(kernel, &failed) : 0;
    put(line, !failed, "VM templates",
            failed ? abx_xprintf(
                             "none works here, machines boot each time (remove %s to try again)",
                             failed)
            : count ? abx_xprintf("%u, in %s", count, kernel)
                    : abx_xprintf("none yet: the first machine of a size makes one"));
    free(failed);
}

unsigned abx_doctor_vm(struct abx_doctor_line lines[ABX_DOCTOR_VM_LINES])
{
    char version[32], why[160], *lacks;
    bool fresh;
    char *qemu = abx_vm_qemu(version, &lacks), *kernel = abx_vm_kernel();
    put(&lines[0], qemu, "QEMU", qemu ? abx_xprintf("%s, %s", version, qemu) : lacks);
    bool files = qemu && has_files(qemu);
    put(&lines[1], files, "VM files (9p)",
            abx_xprintf("%s", files  ? "QEMU shows them itself; no virtiofsd is needed"
                              : qemu ? "this QEMU was built without virtio-9p"
                                     : "a part of QEMU"));
    put(&lines[2], kernel, "VM kernel",
            kernel ? abx_xprintf("Linux %s", strrchr(kernel, '/') + 1)
                   : abx_xprintf("none is set up: %s", ABX_VM_KERNEL_ADVICE));
    bool kvm = qemu && kernel && abx_vm_kvm(qemu, kernel, why, &fresh);
    put(&lines[3], kvm, "KVM",
            kvm ? abx_xprintf("it boots Linux")
            : qemu && kernel
                    ? abx_xprintf("%s: virtual machines are emulated, many times slower", why)
                    : abx_xprintf("not tried: it takes QEMU and a kernel"));
    char *mkfs = abx_find_program("mkfs.ext4");
    put(&lines[4], mkfs, "VM disks",
            mkfs ? abx_xprintf("%s, for `arcbox machine`", mkfs)
                 : abx_xprintf("mkfs.ext4 is not installed, which `arcbox machine` needs: apt "
                               "install e2fsprogs"));
    free(mkfs);
    put_templates(&lines[5], kernel);
    free(qemu);
    free(kernel);
    return ABX_DOCTOR_VM_LINES;
}
