/* The host end to end, without a guest library: the daemon starts by itself, a kernel runs on cpu,
 * counters and listings tell the truth, everything is gone afterwards. */
#include "guest.h"

#include <sys/stat.h>
#include <unistd.h>

static const char source[] = "#include <metal_stdlib>\n"
                             "using namespace metal;\n"
                             "kernel void twice(device float *x [[buffer(0)]],\n"
                             "        constant float &by [[buffer(1)]],\n"
                             "        uint i [[thread_position_in_grid]]) { x[i] *= by; }\n";

/* Compiles, runs and checks one kernel. */
static struct abx_control *control;

static void run_twice(struct guest *g)
{
    int r = guest_compile(g, source, HANDLE(10));
    if (r)
        fprintf(stderr, "%d: %s\n", r, g->text);
    CHECK(r == 0);
    guest_pipeline(g, "twice", HANDLE(10), HANDLE(11));
    float *x = (float *)g->data, by = 3;
    for (int i = 0; i < 1000; i++)
        x[i] = (float)i;
    struct abx_encoder *e = guest_begin(g);
    abx_encode_compute_begin(e, 0);
    abx_encode_set_pipeline(e, HANDLE(11));
    abx_encode_set_buffer(e, DATA, 0, 0);
    abx_encode_set_bytes(e, 1, sizeof by, &by);
    abx_encode_dispatch_threads(e, (uint32_t[]){1000, 1, 1}, (uint32_t[]){64, 1, 1});
    abx_encode_encoder_end(e);
    struct abx_result result = guest_run(g);
    CHECK(result.error == 0 && result.kernels == 1);
    for (int i = 0; i < 1000; i++)
        CHECK(x[i] == 3 * (float)i);
    CHECK(x[1000] == 0);
}

static void check_kernel(void)
{
    struct abx_control_tenant tenant;
    struct abx_control_client *clients;
    unsigned count;
    struct guest g;
    daemon_tenant(control, "one", "cpu", NULL, &tenant);
    guest_open(&g, tenant.socket);
    run_twice(&g);
    CHECK(abx_control_clients(control, &clients, &count) == 0 && count == 1);
    CHECK(strcmp(clients[0].tenant, "one") == 0 && strcmp(clients[0].program, "host-test") == 0);
    CHECK(clients[0].pid == getpid() && clients[0].queues == 1);
    CHECK(clients[0].kernels == 1 && clients[0].command_buffers == 1);
    CHECK(clients[0].commands == 6 && clients[0].compiles == 2);
    uint64_t books = clients[0].memory_used - (ARENA_BYTES + DATA_BYTES);
    CHECK(books > 0 && books < 1 << 20); /* the library's source, tables */
    free(clients);
    guest_close(&g);
    for (int i = 0; i < 500; i++) {
        CHECK(abx_control_clients(control, &clients, &count) == 0);
        free(clients);
        if (!count)
            break;
        usleep(10000);
    }
    CHECK(count == 0);
    CHECK(abx_control_tenant_remove(control, "one") == 0);
    CHECK(access(tenant.socket, F_OK) < 0);
}

static void check_cache(void)
{
    struct abx_control_tenant tenant;
    struct guest g;
    check_kernel();
    daemon_tenant(control, "two", "cpu", NULL, &tenant);
    guest_open(&g, tenant.socket);
    uint64_t start = abx_now_ns();
    CHECK(guest_compile(&g, source, HANDLE(10)) == 0);
    guest_pipeline(&g, "twice", HANDLE(10), HANDLE(11));
    fprintf(stderr, "library and pipeline from the cache: %.2f ms\n",
            (double)(abx_now_ns() - start) / 1e6);
    struct abx_control_client *clients;
    unsigned count;
    CHECK(abx_control_clients(control, &clients, &count) == 0 && count == 1);
    CHECK(clients[0].compiles == 2 && clients[0].compiles_cached == 2);
    free(clients);
    /* The user's mistake, in the user's line. */
    CHECK(guest_compile(&g, "kernel void f(device float *x [[buffer(0)]]) {\n  x[0] = y;\n}\n",
                  HANDLE(12)) == -EINVAL);
    CHECK(strstr(g.text, "program_source:2:10: error") && strstr(g.text, "'y'"));
    guest_close(&g);
}

static void check_tenants(void)
{
    struct abx_control_tenant *tenants, tenant;
    struct abx_control_daemon d;
    struct abx_control *holder;
    unsigned count;
    daemon_tenant(control, "two", "cpu", NULL, &tenant);
    CHECK(abx_control_ping(control, &d) == 0 && d.version == ABX_CONTROL_VERSION);
    CHECK(abx_control_tenant_create(control, "../x", "", 0, NULL, &tenant) == -EINVAL);
    CHECK(abx_control_tenant_create(control, "x", "cuda", 0, NULL, &tenant) == -ENODEV);
    CHECK(strstr(abx_control_error(control), "cuda"));
    CHECK(abx_control_tenant_create(control, "two", "", 0, NULL, &tenant) == -EEXIST);
    CHECK(abx_control_connect(false, &holder, NULL) == 0);
    CHECK(abx_control_tenant_create(holder, "", "null", ABX_TENANT_HOLD, NULL, &tenant) == 0);
    CHECK(tenant.name[0] && tenant.limits.clients && tenant.limits.memory_bytes);
    abx_control_close(holder);
    for (int i = 0; i < 500; i++) {
        CHECK(abx_control_tenants(control, &tenants, &count) == 0);
        free(tenants);
        if (count == 1)
            break;
        usleep(10000);
    }
    CHECK(count == 1);
    CHECK(access(tenant.socket, F_OK) < 0);
}

static void check_default_socket(void)
{
    char path[ABX_CONTROL_PATH_BYTES];
    struct abx_control_client *clients;
    unsigned count;
    struct guest a, b;
    CHECK(abx_control_default_socket(path) == 0);
    guest_open(&a, path);
    guest_open(&b, path);
    CHECK(strcmp(a.welcome.tenant, "host") == 0 && strcmp(b.welcome.tenant, "host") == 0);
    CHECK(a.welcome.window != b.welcome.window);
    CHECK(abx_control_clients(control, &clients, &count) == 0 && count == 2);
    free(clients);
    guest_close(&a);
    guest_close(&b);
}

/* The same without a daemon. */
static void check_inproc(void)
{
    char path[4096];
    struct guest g;
    const char *daemon = getenv("ARCBOXD");
    CHECK(daemon && strchr(daemon, '/')); /* as the build sets it */
    snprintf(path, sizeof path, "%.*s/libarcbox-inproc.so", (int)(strrchr(daemon, '/') - daemon),
            daemon);
    guest_inproc(&g, path);
    CHECK(strcmp(g.welcome.tenant, "inproc") == 0);
    run_twice(&g);
    guest_close(&g);
}

static void start(void)
{
    uint64_t before = abx_now_ns();
    control = daemon_start();
    fprintf(stderr, "started in %.1f ms\n", (double)(abx_now_ns() - before) / 1e6);
}

static void stop(void)
{
    daemon_stop(control);
}

int main(int argc, char **argv)
{
    const struct check_case cases[] = {
            CASE(check_kernel), CASE(check_cache), CASE(check_tenants), CASE(check_default_socket),
            CASE_KEEPS(check_inproc, 3), /* the library stays */
    };
    return check_run(argc, argv, CHECK_SUITE(cases, .seconds = 60, .before = start, .after = stop));
}
