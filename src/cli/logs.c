/* arcbox logs: what a detached container has written. */
#include "cli/run.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TAIL_BLOCK 65536

static void copy(int from)
{
    char bytes[16384];
    for (ssize_t n; (n = read(from, bytes, sizeof bytes)) > 0;)
        if (abx_write_all(1, bytes, (size_t)n) < 0)
            exit(ABX_EXIT_OWN);
}

/* Moves to the start of the last `lines` lines. */
static void seek_tail(int fd, unsigned long lines)
{
    off_t at = lseek(fd, 0, SEEK_END);
    char block[TAIL_BLOCK];
    unsigned long found = 0;
    bool last = true;
    while (at > 0) {
        size_t n = at < TAIL_BLOCK ? (size_t)at : TAIL_BLOCK;
        at -= (off_t)n;
        if (pread(fd, block, n, at) != (ssize_t)n)
            break;
        for (size_t i = n; i-- > 0;) {
            if (block[i] == '\n' && !last && ++found == lines) {
                lseek(fd, at + (off_t)i + 1, SEEK_SET);
                return;
            }
            last = false;
        }
    }
    lseek(fd, lines ? 0 : lseek(fd, 0, SEEK_END), SEEK_SET);
}

int abx_do_logs(int argc, char **argv)
{
    bool follow = false, tail = false;
    unsigned long lines = 0;
    struct abx_options o = abx_options_start(argc, argv);
    for (const char *name; (name = abx_options_next(&o));) {
        if (strcmp(name, "--follow") == 0)
            follow = abx_options_bool(&o);
        else if (strcmp(name, "--tail") == 0) {
            char *end, *text = abx_options_value(&o);
            lines = strtoul(text, &end, 10);
            tail = strcmp(text, "all") != 0;
            if (tail && (!*text || *end))
                abx_die(ABX_EXIT_OWN, "-n %s: not a number of lines", text);
        }
    }
    if (!o.count)
        abx_usage(&o);
    const char *name = o.words[0];
    struct abx_container *c = abx_container_find(name);
    if (!c)
        abx_die(ABX_EXIT_OWN, "no container named '%s' (see: arcbox ps -a)", name);
    if (strcmp(c->kind, "podman") == 0)
        return abx_oci_logs(name, follow, tail ? (long)lines : -1);
    char *path = abx_container_file(c, "log");
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        abx_die(ABX_EXIT_OWN, "'%s' keeps no log: only detached containers (-d) do", name);
    if (tail)
        seek_tail(fd, lines);
    copy(fd);
    while (follow && c->running) {
        nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
        abx_container_free(c);
        c = abx_container_find(name);
        copy(fd);
        if (!c)
            break;
    }
    return 0;
}
