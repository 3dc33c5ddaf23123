/* arcbox-vmm: the virtio-gpu device of one virtual machine, as a vhost-user back end.
 *
 *     arcbox run --vm
 *      |- arcbox-vmm FD SOCKET    this: one a machine, sandboxed; speaks with the hypervisor
 *      |                          through FD, and with the tenant's worker through SOCKET
 *      `- the hypervisor          in a sandbox of its own (src/cli/vm)
 *
 * A program of its own, and no role of arcboxd: it belongs to a machine and ends with it, has
 * another sandbox, and holds nothing of a backend. A worker that crashes leaves the machine its
 * device. It trusts neither hypervisor nor guest nor worker. */
#include "host/sandbox/sandbox.h"
#include "vmm/vhost.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_FILES 1024u /* four a context, and the answers that wait */

_Noreturn static void die(const char *what, const char *why)
{
    fprintf(stderr, "arcbox-vmm: %s: %s\n", what, why);
    exit(1);
}

/* Of the file system it keeps the folder of the tenant's socket, as a container does. */
static void give_up_rights(char *socket)
{
    struct abx_string lacking = {0};
    char *folder = strdup(socket), *slash = folder ? strrchr(folder, '/') : NULL;
    if (!slash)
        die(socket, "not an absolute path");
    *slash = 0;
    const char *const shown[] = {folder, NULL};
    abx_sandbox_namespaces(&lacking);
    abx_sandbox_max_processes(1);
    abx_sandbox_only(shown, 4096, &lacking);
    abx_sandbox_drop_capabilities(&lacking);
    if (abx_sandbox_refuses()) {
        struct abx_string text = {0};
        abx_sandbox_refusal(&text, &lacking);
        die("ends", text.data ? text.data : "no sandbox");
    }
    int r = abx_sandbox_device_calls();
    if (r < 0)
        die("limiting system calls", strerror(-r));
    abx_string_finish(&lacking);
    free(folder);
}

int main(int argc, char **argv)
{
    static struct abx_vhost vhost;
    abx_fd_standard();
    if (argc != 3 || argv[2][0] != '/')
        die("usage", "arcbox-vmm FD SOCKET; it is started by arcbox run --vm");
    int sock = atoi(argv[1]);
    if (sock != 3)
        die("usage", "the hypervisor's socket is 3");
    abx_sandbox_basics(4, MAX_FILES);
    signal(SIGPIPE, SIG_IGN);
    give_up_rights(argv[2]);
    int r = abx_vhost_start(&vhost, sock, argv[2]);
    if (r < 0)
        die("starting", strerror(-r));
    while (abx_vhost_serve(&vhost, -1) == 0)
        ;
    abx_vhost_finish(&vhost);
    return 0;
}
