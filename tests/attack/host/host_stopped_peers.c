/* A worker that is stopped, or the compiler, holds up nobody for ever: it is ended, and its clients
 * are told, or served by the next one. One that is only busy is left alone, and so are all when the
 * whole machine stood still. */
#include "host_attack.h"

#include <signal.h>
#include <unistd.h>

#define PATIENCE "2" /* seconds */

static const char source[] = "kernel void count(device uint *x [[buffer(0)]],\n"
                             "    uint i [[thread_position_in_grid]])\n"
                             "{ uint n = x[64]; for (uint k = 0; k < n; k++)\n"
                             "      x[i] = x[i] * 1664525u + 1013904223u; }\n";

static void add_dispatch(struct guest *g)
{
    struct abx_encoder *e = guest_begin(g);
    abx_encode_compute_begin(e, 0);
    abx_encode_set_pipeline(e, HANDLE(11));
    abx_encode_set_buffer(e, DATA, 0, 0);
    abx_encode_dispatch_threads(e, (uint32_t[]){64, 1, 1}, (uint32_t[]){1, 1, 1});
    abx_encode_encoder_end(e);
}

static uint32_t run(struct guest *g, uint32_t rounds)
{
    ((uint32_t *)g->data)[0] = 1;
    ((uint32_t *)g->data)[64] = rounds;
    add_dispatch(g);
    guest_commit(g, 0);
    uint64_t until = abx_now_ns() + ATTACK_PATIENCE_MS * 1000000ull;
    while (!guest_wait(g, 0, g->sequence))
        CHECK(!atomic_load(&g->host->lost) && abx_now_ns() < until);
    CHECK(g->host->results[0].error == 0);
    return ((uint32_t *)g->data)[0];
}

static void open_program(struct guest *g, const char *path)
{
    guest_open(g, path);
    CHECK(guest_compile(g, source, HANDLE(10)) == 0);
    guest_pipeline(g, "count", HANDLE(10), HANDLE(11));
}

static void stop_worker(struct abx_control *control, struct abx_control_tenant *t)
{
    struct guest g, h;
    open_program(&g, t->socket);
    int pid = tenant_named(control, t->name).worker_pid;
    CHECK(pid > 0 && kill(pid, SIGSTOP) == 0);
    add_dispatch(&g);
    guest_commit(&g, 0);
    CHECK(guest_is_dead(&g));
    CHECK(strstr(g.host->lost_text, "did not answer"));
    CHECK(tenant_named(control, t->name).worker_deaths == 1);
    open_program(&h, t->socket);
    CHECK(run(&h, 1) == 1664525u + 1013904223u);
    guest_close(&g);
    guest_close(&h);
}

static void stop_compiler(struct guest *g, int parent)
{
    char text[1024];
    int compiler = child_of(parent, "arcbox-compiler");
    CHECK(compiler > 0 && kill(compiler, SIGSTOP) == 0);
    snprintf(text, sizeof text, "%s// another\n", source);
    CHECK(guest_compile(g, text, HANDLE(20)) == 0); /* by the next one */
    CHECK(child_of(parent, "arcbox-compiler") != compiler);
}

static void stop_own_compiler(const char *library)
{
    struct guest g;
    guest_inproc(&g, library);
    CHECK(guest_compile(&g, source, HANDLE(10)) == 0);
    stop_compiler(&g, getpid());
    guest_close(&g);
}

/* Of all, and the supervisor goes on first: the others have their time yet. */
static void stop_all(struct abx_control *control, const char *name)
{
    int daemon = daemon_pid(), worker = tenant_named(control, name).worker_pid;
    int compiler = child_of(daemon, "arcbox-compiler");
    CHECK(daemon > 0 && worker > 0 && compiler > 0);
    int pids[] = {daemon, worker, compiler};
    for (int i = 0; i < 3; i++)
        CHECK(kill(pids[i], SIGSTOP) == 0);
    sleep(6);
    for (int i = 0; i < 3; i++)
        CHECK(kill(pids[i], SIGCONT) == 0);
    sleep(4);
    CHECK(child_of(daemon, "arcbox-compiler") == compiler);
    CHECK(tenant_named(control, name).worker_pid == worker);
}

/* Kernels on every thread for longer than a silent worker would have. */
static void be_busy(struct guest *g)
{
    uint64_t start = abx_now_ns();
    uint32_t rounds = 1000000;
    run(g, rounds);
    uint64_t took = abx_now_ns() - start;
    uint64_t times = 4000000000u / (took / 2 + 1);
    CHECK(times < 4000);
    run(g, rounds * (uint32_t)(times + 1));
}

int main(int argc, char **argv)
{
    setenv("ARCBOX_PATIENCE_SECONDS", PATIENCE, 1);
    setenv("ARCBOX_TIME_LIMIT_MS", "60000", 1);
    struct abx_control *control = daemon_start();
    struct abx_control_tenant stopped, other;
    struct guest g;
    daemon_tenant(control, "stopped", "cpu", NULL, &stopped);
    daemon_tenant(control, "other", "cpu", NULL, &other);
    open_program(&g, other.socket);
    stop_worker(control, &stopped);
    CHECK(run(&g, 1) == 1664525u + 1013904223u);
    stop_compiler(&g, daemon_pid());
    CHECK(run(&g, 1) == 1664525u + 1013904223u);
    stop_all(control, "other");
    be_busy(&g);
    CHECK(tenant_named(control, "other").worker_deaths == 0);
    guest_close(&g);
    CHECK(argc == 2);
    stop_own_compiler(argv[1]);
    daemon_stop(control);
    return 0;
}
