/* The compiler dies under a program, again and again: what it asked is answered, by the next one,
 * and the libraries it made before serve for new pipelines. No error, and the kernels' sums are
 * right. */
#include "host_attack.h"

#include <signal.h>
#include <unistd.h>

#define ROUNDS 12

static const char source[] = "#include <metal_stdlib>\n"
                             "using namespace metal;\n"
                             "constant uint by [[function_constant(0)]];\n"
                             "kernel void add(device uint *x [[buffer(0)]],\n"
                             "    uint i [[thread_position_in_grid]]) { x[i] += by; }\n";

static uint32_t run(struct guest *g, abx_handle pipeline)
{
    struct abx_encoder *e = guest_begin(g);
    abx_encode_compute_begin(e, 0);
    abx_encode_set_pipeline(e, pipeline);
    abx_encode_set_buffer(e, DATA, 0, 0);
    abx_encode_dispatch_threads(e, (uint32_t[]){64, 1, 1}, (uint32_t[]){64, 1, 1});
    abx_encode_encoder_end(e);
    CHECK(guest_run(g).error == 0);
    return ((uint32_t *)g->data)[63];
}

static void kill_compiler(int daemon)
{
    int pid = child_of(daemon, "arcbox-compiler");
    if (pid)
        kill(pid, SIGKILL);
}

/* A pipeline that is in no cache: its constant is new. */
static void make_pipeline(struct guest *g, uint32_t by, abx_handle pipeline)
{
    struct abx_wire_constant constant = {.index = 0, .type = 33 /* uint */, .value_low = by};
    GUEST_PUSH(g, pipeline_create, pipeline, HANDLE(10), 0, 1, &constant);
}

int main(void)
{
    struct abx_control *control = daemon_start();
    struct abx_control_tenant t;
    struct guest g;
    char text[1024];
    uint32_t sum = 0;
    daemon_tenant(control, "program", "cpu", NULL, &t);
    guest_open(&g, t.socket);
    CHECK(guest_compile(&g, source, HANDLE(10)) == 0);
    int daemon = daemon_pid();
    CHECK(daemon > 0);
    for (uint32_t i = 1; i <= ROUNDS; i++) {
        kill_compiler(daemon);
        make_pipeline(&g, i, HANDLE(100 + i)); /* of a library the old one compiled */
        if (i % 2)
            usleep(1000 * (i % 7));
        kill_compiler(daemon); /* perhaps with that under way */
        int r = guest_prepare(&g, HANDLE(100 + i));
        if (r)
            fprintf(stderr, "%s\n", g.text);
        CHECK(r == 0);
        CHECK(run(&g, HANDLE(100 + i)) == (sum += i));
        snprintf(text, sizeof text, "%s// %u\n", source, i);
        CHECK(guest_compile(&g, text, HANDLE(200 + i)) == 0);
    }
    guest_close(&g);
    daemon_stop(control);
    return 0;
}
