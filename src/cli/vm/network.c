/* cli: network.h. Runs in the `arcbox run` process. */
#include "cli/vm/network.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_PUBLISHED 64u

struct published {
    char address[INET_ADDRSTRLEN];
    unsigned outside, inside;
    bool datagrams;
};

static unsigned port_of(const char *given, const char *text)
{
    char *end;
    unsigned long n = strtoul(text, &end, 10);
    if (!(*text >= '0' && *text <= '9') || *end || n < 1 || n > 65535)
        abx_die(ABX_EXIT_OWN,
                "--publish %s: expected [ADDRESS:]PORT:PORT, with ports from 1 to 65535", given);
    return (unsigned)n;
}

/* [ADDRESS:]PORT:PORT[/tcp|/udp], docker's. */
static struct published parse(const char *given)
{
    struct published p = {.address = "0.0.0.0"};
    char *copy = abx_xstrdup(given), *kind = strchr(copy, '/'), *inside = NULL;
    struct in_addr address;
    if (kind)
        *kind++ = 0;
    if (kind && strcmp(kind, "tcp") != 0 && strcmp(kind, "udp") != 0)
        abx_die(ABX_EXIT_OWN, "--publish %s: expected /tcp or /udp at the end", given);
    p.datagrams = kind && *kind == 'u';
    inside = strrchr(copy, ':');
    if (!inside)
        abx_die(ABX_EXIT_OWN, "--publish %s: name the port here, too: PORT:%s", given, copy);
    *inside++ = 0;
    p.inside = port_of(given, inside);
    char *outside = strrchr(copy, ':');
    if (outside) {
        *outside++ = 0;
        if (*copy && inet_pton(AF_INET, copy, &address) != 1)
            abx_die(ABX_EXIT_OWN, "--publish %s: '%s' is no IPv4 address", given, copy);
        if (*copy)
            snprintf(p.address, sizeof p.address, "%s", copy);
    }
    p.outside = port_of(given, outside ? outside : copy);
    free(copy);
    return p;
}

/* The hypervisor would say it when the machine starts, and in other words. */
static void check_free(const struct published *p, const char *given)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)p->outside)};
    int one = 1,
        sock = socket(AF_INET, (p->datagrams ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);
    inet_pton(AF_INET, p->address, &to.sin_addr);
    if (!p->datagrams)
        setsockopt(sock, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (sock < 0 || bind(sock, (struct sockaddr *)&to, sizeof to) < 0 ||
            (!p->datagrams && listen(sock, 1) < 0))
        abx_die(ABX_EXIT_OWN, "--publish %s: port %u cannot be had here: %s", given, p->outside,
                strerror(errno));
    close(sock);
}

bool abx_vm_network(const struct abx_run *run, char **ret_forwards)
{
    struct abx_string words = {0};
    const char *given;
    unsigned at = 0, count = 0;
    bool network = !run->no_network;
    if (run->network && network && strcmp(run->network, "user") != 0)
        abx_die(ABX_EXIT_OWN,
                "--network %s: a virtual machine has a network of its own (user), or none",
                run->network);
    while ((given = abx_run_given(run, "--publish", &at))) {
        if (!network)
            abx_die(ABX_EXIT_OWN, "--publish %s: there is no network (--network user)", given);
        if (++count > MAX_PUBLISHED)
            abx_die(ABX_EXIT_OWN, "more than %u ports to publish", MAX_PUBLISHED);
        struct published p = parse(given);
        check_free(&p, given);
        abx_string_printf(&words, ",hostfwd=%s:%s:%u-:%u", p.datagrams ? "udp" : "tcp", p.address,
                p.outside, p.inside);
    }
    *ret_forwards = words.data ? words.data : abx_xstrdup("");
    return network;
}
