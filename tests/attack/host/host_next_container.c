/* A container crashes its worker, leaves something in threadgroup memory and ends. The next
 * container, whose process name space gets the same number from the kernel, finds nothing of it:
 * neither the worker nor what was in its memory. Nor does another program of one tenant. */
#include "host_attack.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS 5
#define WORDS 8000u

static const char source[] =
        "#include <metal_stdlib>\n"
        "using namespace metal;\n"
        "kernel void leave(device atomic_uint *x [[buffer(0)]], threadgroup uint *t\n"
        "    [[threadgroup(0)]], uint i [[thread_position_in_threadgroup]],\n"
        "    uint g [[threadgroup_position_in_grid]]) {\n"
        "  for (uint k = i; k < 8000; k += 32) t[k] = 0xfeedface + (g >> 30);\n"
        "  threadgroup_barrier(mem_flags::mem_threadgroup);\n"
        "  uint sum = 0;\n"
        "  for (uint n = 0; n < 8000; n++) sum += t[(n * 7 + i) % 8000];\n"
        "  atomic_fetch_add_explicit(x + 1, sum | 1, memory_order_relaxed);\n"
        "}\n"
        "kernel void look(device atomic_uint *x [[buffer(0)]], threadgroup uint *t\n"
        "    [[threadgroup(0)]], uint i [[thread_position_in_threadgroup]]) {\n"
        "  uint found = 0;\n"
        "  for (uint n = 0; n < 16; n++)\n"
        "    for (uint k = i; k < 8000; k += 32) found += t[k] == 0xfeedface;\n"
        "  threadgroup_barrier(mem_flags::mem_threadgroup);\n"
        "  atomic_fetch_add_explicit(x, found, memory_order_relaxed);\n"
        "}\n";

static uint32_t run(struct guest *g, const char *function)
{
    int r = guest_compile(g, source, HANDLE(10));
    if (r)
        fprintf(stderr, "%s\n", g->text);
    CHECK(r == 0);
    guest_pipeline(g, function, HANDLE(10), HANDLE(11));
    memset(g->data, 0, 64);
    struct abx_encoder *e = guest_begin(g);
    abx_encode_compute_begin(e, 0);
    abx_encode_set_pipeline(e, HANDLE(11));
    abx_encode_set_buffer(e, DATA, 0, 0);
    abx_encode_set_threadgroup_memory(e, 0, WORDS * 4);
    abx_encode_dispatch_threads(e, (uint32_t[]){32 * 400, 1, 1}, (uint32_t[]){32, 1, 1});
    abx_encode_encoder_end(e);
    CHECK(guest_run(g).error == 0);
    return *(uint32_t *)g->data;
}

static void connect_default(struct guest *g)
{
    char path[ABX_CONTROL_PATH_BYTES];
    CHECK(abx_control_default_socket(path) == 0);
    guest_open(g, path);
}

/* In the container. */
static int inside(const char *role, int out, int in)
{
    struct guest g;
    struct stat st;
    uint64_t message[2] = {0};
    char byte;
    CHECK(stat("/proc/thread-self/ns/pid_for_children", &st) == 0);
    connect_default(&g);
    if (strcmp(role, "leave") == 0) {
        message[0] = 1; /* now the worker is to crash */
        CHECK(write(out, message, sizeof message) == sizeof message);
        CHECK(read(in, &byte, 1) == 1 && guest_is_dead(&g));
        guest_close(&g);
        connect_default(&g);
    }
    message[1] = run(&g, role);
    message[0] = st.st_ino;
    CHECK(write(out, message, sizeof message) == sizeof message);
    return 0;
}

struct container {
    pid_t pid;
    int from, to;
};

static struct container container_start(const char *role)
{
    int from[2], to[2];
    char out[16], in[16];
    CHECK(pipe(from) == 0 && pipe(to) == 0);
    struct container c = {fork(), from[0], to[1]};
    if (c.pid == 0) {
        int status;
        if (unshare(CLONE_NEWPID | (getuid() ? CLONE_NEWUSER : 0)) < 0)
            _exit(77);
        pid_t pid = fork();
        if (pid == 0) {
            snprintf(out, sizeof out, "%d", from[1]);
            snprintf(in, sizeof in, "%d", to[0]);
            execl("/proc/self/exe", "inside", role, out, in, NULL);
            _exit(127);
        }
        close(from[1]);
        _exit(pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status)
                                                                              : 1);
    }
    close(from[1]);
    close(to[0]);
    return c;
}

static bool container_says(struct container *c, uint64_t message[2])
{
    return read(c->from, message, 16) == 16;
}

static void container_end(struct container *c)
{
    int status;
    CHECK(waitpid(c->pid, &status, 0) == c->pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        exit(77); /* no process name spaces here */
    CHECK(status == 0);
    close(c->from);
    close(c->to);
}

static int worker_of_container(struct abx_control *control)
{
    struct abx_control_tenant *all;
    unsigned count;
    int pid = 0;
    CHECK(abx_control_tenants(control, &all, &count) == 0);
    for (unsigned i = 0; i < count; i++)
        if (strncmp(all[i].name, "pidns-", 6) == 0 && all[i].clients)
            pid = all[i].worker_pid;
    free(all);
    return pid;
}

static void check_next_container(struct abx_control *control)
{
    unsigned same = 0;
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t left[2], found[2];
        struct container c = container_start("leave");
        if (container_says(&c, left)) {
            kill(worker_of_container(control), SIGKILL);
            CHECK(write(c.to, "+", 1) == 1);
            CHECK(container_says(&c, left));
        }
        container_end(&c);
        usleep(500000); /* the kernel gives a name space's number back a little later */
        c = container_start("look");
        CHECK(container_says(&c, found));
        container_end(&c);
        usleep(500000);
        same += left[0] == found[0];
        if (found[1])
            printf("found %llu words of the one before\n", (unsigned long long)found[1]);
        CHECK(found[1] == 0);
    }
    printf("%u containers had the number of the one before\n", same);
}

/* Two programs of one tenant, one after the other, while the worker lives on. */
static void check_next_client(struct abx_control *control)
{
    struct abx_control_tenant t;
    struct guest keeper, g;
    daemon_tenant(control, "both", "cpu", NULL, &t);
    guest_open(&keeper, t.socket);
    for (int i = 0; i < ROUNDS; i++) {
        guest_open(&g, t.socket);
        run(&g, "leave");
        guest_close(&g);
        guest_open(&g, t.socket);
        CHECK(run(&g, "look") == 0);
        guest_close(&g);
    }
    guest_close(&keeper);
}

/* When the last client leaves, what it left goes. */
static void check_worker_ends(struct abx_control *control)
{
    struct abx_control_tenant t;
    struct guest g;
    daemon_tenant(control, "ends", "null", NULL, &t);
    guest_open(&g, t.socket);
    int pid = tenant_named(control, "ends").worker_pid;
    CHECK(pid > 0);
    guest_close(&g);
    for (int i = 0; i < ATTACK_PATIENCE_MS / 10 && kill(pid, 0) == 0; i++)
        usleep(10000);
    CHECK(kill(pid, 0) < 0 && tenant_named(control, "ends").worker_deaths == 0);
}

int main(int argc, char **argv)
{
    if (argc == 4)
        return inside(argv[1], atoi(argv[2]), atoi(argv[3]));
    struct abx_control *control = daemon_start();
    check_next_container(control);
    check_next_client(control);
    check_worker_ends(control);
    daemon_stop(control);
    return 0;
}
