/* A command buffer of many small kernels ends at its own, larger limit, and a kernel without end in
 * the in-process transport, too, at its. What comes after runs. */
#include "host_attack.h"

#include "backend/backend.h"

static const char source[] = "#include <metal_stdlib>\n"
                             "using namespace metal;\n"
                             "kernel void some(device uint *x [[buffer(0)]]) {\n"
                             "  uint v = x[0];\n"
                             "  for (uint i = 0; i < 1000000; i++) v = v * 1664525 + x[1];\n"
                             "  x[2] = v;\n"
                             "}\n"
                             "kernel void forever(device atomic_uint *x [[buffer(0)]]) {\n"
                             "  while (atomic_load_explicit(x, memory_order_relaxed) == 0) {}\n"
                             "}\n"
                             "kernel void one(device uint *x [[buffer(0)]]) { x[3] += 1; }\n";

static struct abx_result run(struct guest *g, abx_handle pipeline, unsigned times)
{
    struct abx_encoder *e = guest_begin(g);
    abx_encode_compute_begin(e, 0);
    abx_encode_set_pipeline(e, pipeline);
    abx_encode_set_buffer(e, DATA, 0, 0);
    for (unsigned i = 0; i < times; i++)
        abx_encode_dispatch_threads(e, (uint32_t[]){1, 1, 1}, (uint32_t[]){1, 1, 1});
    abx_encode_encoder_end(e);
    guest_commit(g, 0);
    for (int i = 0; i < 10 && !guest_wait(g, 0, g->sequence); i++)
        CHECK(!atomic_load(&g->host->lost));
    return g->host->results[0];
}

static void check(struct guest *g, const char *function, unsigned times)
{
    CHECK(guest_compile(g, source, HANDLE(10)) == 0);
    guest_pipeline(g, function, HANDLE(10), HANDLE(11));
    guest_pipeline(g, "one", HANDLE(10), HANDLE(12));
    struct abx_result r = run(g, HANDLE(11), times);
    CHECK(r.error == ABX_EXEC_TIMEOUT && r.error_reason == ABX_REASON_TIMEOUT);
    CHECK(run(g, HANDLE(12), 1).error == 0 && ((uint32_t *)g->data)[3] == 1);
}

int main(int argc, char **argv)
{
    struct abx_control_limits limits = {.kernel_ns = 30000000};
    struct abx_control_tenant t;
    struct guest g;
    CHECK(argc == 2);
    setenv("ARCBOX_TIME_LIMIT_MS", "300", 1);
    struct abx_control *control = daemon_start();
    daemon_tenant(control, "long", "cpu", &limits, &t);
    guest_open(&g, t.socket);
    check(&g, "some", 60000);
    guest_close(&g);
    guest_inproc(&g, argv[1]);
    check(&g, "forever", 1);
    daemon_stop(control);
    return 0;
}
