/* arcbox-vm-init: the machine's network: its loop, and the one device that QEMU's user networking
 * has, whose addresses are always the same. */
#include "cli/vm/guest.h"
#include "cli/vm/network.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <net/if.h>
#include <net/route.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static void set_address(struct sockaddr *to, const char *text)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    inet_pton(AF_INET, text, &address.sin_addr);
    memcpy(to, &address, sizeof address);
}

static void raise_device(int sock, const char *name)
{
    struct ifreq request = {.ifr_flags = IFF_UP | IFF_RUNNING};
    snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
    ioctl(sock, SIOCSIFFLAGS, &request);
}

static bool find_device(char name[IFNAMSIZ])
{
    DIR *d = opendir("/sys/class/net");
    bool found = false;
    for (struct dirent *e; d && !found && (e = readdir(d));) {
        found = e->d_name[0] != '.' && strcmp(e->d_name, "lo") != 0;
        if (found)
            snprintf(name, IFNAMSIZ, "%.*s", IFNAMSIZ - 1, e->d_name);
    }
    if (d)
        closedir(d);
    return found;
}

static bool set_up(int sock)
{
    struct ifreq request = {0};
    struct rtentry route = {.rt_flags = RTF_UP | RTF_GATEWAY};
    if (!find_device(request.ifr_name))
        return false;
    set_address(&request.ifr_addr, ABX_VM_ADDRESS);
    bool ok = ioctl(sock, SIOCSIFADDR, &request) == 0;
    set_address(&request.ifr_netmask, "255.255.255.0");
    ok = ok && ioctl(sock, SIOCSIFNETMASK, &request) == 0;
    raise_device(sock, request.ifr_name);
    set_address(&route.rt_dst, "0.0.0.0");
    set_address(&route.rt_genmask, "0.0.0.0");
    set_address(&route.rt_gateway, ABX_VM_HOST);
    return ok && ioctl(sock, SIOCADDRT, &route) == 0;
}

void abx_guest_network(bool more)
{
    int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    raise_device(sock, "lo");
    if (more && !set_up(sock))
        abx_guest_give_up("the virtual machine cannot set up its network");
    close(sock);
}
