/* arcbox stats: what containers use. Of a sandbox: the sums over its processes, found by their
 * process name space, and what its tenant says of the GPU; podman's containers are podman's to
 * show. Numbers are shown, never decided upon. */
#include "cli/run.h"
#include "host/control/control.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define STAT_CAP 65536u

struct usage {
    uint64_t ticks, resident; /* clock ticks of processor time; bytes */
    unsigned processes;
    uint64_t gpu_memory, gpu_busy_ns;
};

static uint64_t space_of(int pid)
{
    char path[64];
    struct stat st;
    snprintf(path, sizeof path, "/proc/%d/ns/pid", pid);
    return pid > 0 && stat(path, &st) == 0 ? (uint64_t)st.st_ino : 0;
}

static void add_process(struct usage *u, int pid)
{
    char path[64];
    void *text;
    size_t length;
    unsigned long long user = 0, system = 0, pages = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    if (abx_read_file(path, STAT_CAP, &text, &length) < 0)
        return;
    const char *after = strrchr(text, ')'); /* the program's name may hold anything */
    if (after &&
            sscanf(after + 1,
                    " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %*d %*d %*d %*d %*d "
                    "%*d %*u %*u %llu",
                    &user, &system, &pages) == 3) {
        u->ticks += user + system;
        u->resident += pages * (uint64_t)sysconf(_SC_PAGESIZE);
        u->processes++;
    }
    free(text);
}

static void add_processes(struct usage *u, const struct abx_container *c)
{
    int init = abx_container_init(c);
    uint64_t space = init >= 0 ? space_of(c->init) : 0;
    if (init >= 0 && abx_process_ended(init, 0)) /* that was another's */
        space = 0;
    if (init >= 0)
        close(init);
    DIR *d = space && space != space_of((int)getpid()) ? opendir("/proc") : NULL;
    for (struct dirent *e; d && (e = readdir(d));) {
        int pid = isdigit((unsigned char)e->d_name[0]) ? atoi(e->d_name) : 0;
        if (pid && space_of(pid) == space)
            add_process(u, pid);
    }
    if (d)
        closedir(d);
}

static void add_gpu(
        struct usage *u, const char *name, const struct abx_control_client *clients, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (strcmp(clients[i].tenant, name) == 0) {
            u->gpu_memory += clients[i].memory_used;
            u->gpu_busy_ns += clients[i].busy_ns;
        }
}

static bool wanted(const char *name, char **names, int count)
{
    for (int i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return count == 0;
}

struct sample {
    char name[64];
    struct usage usage;
    uint64_t at_ns;
};

/* All running sandboxes that are wanted; the caller's to free(). */
static struct sample *take(char **names, int name_count, unsigned *ret_count)
{
    struct abx_container **list = abx_container_list();
    struct abx_control *control = NULL;
    struct abx_control_client *clients = NULL;
    unsigned client_count = 0, count = 0, all = 0;
    while (list[all])
        all++;
    struct sample *samples = abx_xcalloc(all + 1, sizeof *samples);
    if (abx_control_connect(false, &control, NULL) == 0)
        abx_control_clients(control, &clients, &client_count);
    for (unsigned i = 0; i < all; i++) {
        const struct abx_container *c = list[i];
        if (c->running && strcmp(c->kind, "podman") != 0 && wanted(c->name, names, name_count)) {
            struct sample *s = &samples[count++];
            snprintf(s->name, sizeof s->name, "%s", c->name);
            add_processes(&s->usage, c);
            add_gpu(&s->usage, c->name, clients, client_count);
            s->at_ns = abx_now_ns();
        }
        abx_container_free(list[i]);
    }
    free(list);
    free(clients);
    abx_control_close(control);
    *ret_count = count;
    return samples;
}

static double percent(uint64_t more_ns, uint64_t time_ns)
{
    return time_ns ? 100.0 * (double)more_ns / (double)time_ns : 0;
}

static void print_one(const struct sample *now, const struct sample *before, bool json, bool first)
{
    uint64_t tick_ns = 1000000000u / (uint64_t)sysconf(_SC_CLK_TCK);
    uint64_t time = before ? now->at_ns - before->at_ns : 0;
    const struct usage *u = &now->usage, *o = before ? &before->usage : u;
    double cpu = percent(u->ticks > o->ticks ? (u->ticks - o->ticks) * tick_ns : 0, time);
    double gpu =
            percent(u->gpu_busy_ns > o->gpu_busy_ns ? u->gpu_busy_ns - o->gpu_busy_ns : 0, time);
    if (json)
        printf("%s\n  {\"name\": \"%s\", \"cpu_percent\": %.1f, \"memory_bytes\": %llu, "
               "\"processes\": %u, \"gpu_percent\": %.1f, \"gpu_memory_bytes\": %llu}",
                first ? "" : ",", now->name, cpu, (unsigned long long)u->resident, u->processes,
                gpu, (unsigned long long)u->gpu_memory);
    else
        printf("%-20s %6.1f %% %9.1f MiB %10u %6.1f %% %9.1f MiB\n", now->name, cpu,
                (double)u->resident / 1048576.0, u->processes, gpu,
                (double)u->gpu_memory / 1048576.0);
}

static void print_all(const struct sample *now, unsigned count, const struct sample *before,
        unsigned before_count, bool json)
{
    if (json)
        printf("[");
    else
        printf("%-20s %8s %13s %10s %8s %13s\n", "NAME", "CPU", "MEMORY", "PROCESSES", "GPU",
                "GPU MEMORY");
    for (unsigned i = 0; i < count; i++) {
        const struct sample *same = NULL;
        for (unsigned k = 0; k < before_count && !same; k++)
            if (strcmp(before[k].name, now[i].name) == 0)
                same = &before[k];
        print_one(&now[i], same, json, i == 0);
    }
    if (json)
        printf("\n]\n");
    fflush(stdout);
}

int abx_do_stats(int argc, char **argv)
{
    bool once = !isatty(1), json = false;
    struct abx_options o = abx_options_start(argc, argv);
    for (const char *name; (name = abx_options_next(&o));) {
        if (strcmp(name, "--no-stream") == 0)
            once = abx_options_bool(&o);
        else if (strcmp(name, "--format") == 0)
            json = abx_option_json(&o);
    }
    for (int i = 0; i < o.count; i++) {
        struct abx_container *c = abx_container_must(o.words[i]);
        if (strcmp(c->kind, "podman") == 0)
            abx_oci_become("stats", o.words + i);
        abx_container_free(c);
    }
    unsigned before_count, count;
    struct sample *before = take(o.words, o.count, &before_count);
    for (;;) {
        nanosleep(&(struct timespec){.tv_sec = !once, .tv_nsec = once ? 200000000 : 0}, NULL);
        struct sample *now = take(o.words, o.count, &count);
        if (!once)
            printf("\033[H\033[2J");
        print_all(now, count, before, before_count, json);
        free(before);
        if (once) {
            free(now);
            return 0;
        }
        before = now;
        before_count = count;
    }
}
