/* Backends side by side share libraries, and never each other's pipelines. Runs arcboxd-test. */
#include "guest.h"

#include <stdio.h>
#include <stdlib.h>

#define LIBRARY HANDLE(10)
#define PIPELINE HANDLE(11)

static struct abx_control *control;

/* Compiles one kernel; what came from the cache. */
static void compile(const char *backend, bool *ret_library, bool *ret_pipeline)
{
    struct abx_control_tenant t;
    struct guest g;
    daemon_tenant(control, backend, backend, NULL, &t);
    guest_open(&g, t.socket);
    CHECK(guest_compile(
                  &g, "kernel void k(device int *x [[buffer(0)]]) { x[0] = 7; }\n", LIBRARY) == 0);
    *ret_library = g.cached;
    guest_pipeline(&g, "k", LIBRARY, PIPELINE);
    *ret_pipeline = g.cached;
    if (g.welcome.backend[0] == 'c') { /* the processor's really runs */
        struct abx_encoder *e = guest_begin(&g);
        uint32_t one[3] = {1, 1, 1};
        abx_encode_compute_begin(e, 0);
        abx_encode_set_pipeline(e, PIPELINE);
        abx_encode_set_buffer(e, DATA, 0, 0);
        abx_encode_dispatch_threads(e, one, one);
        abx_encode_encoder_end(e);
        CHECK(guest_run(&g).error == 0 && *(int *)g.data == 7);
    }
    guest_close(&g);
    CHECK(abx_control_tenant_remove(control, backend) == 0);
}

int main(void)
{
    bool library, pipeline;
    unsetenv("ARCBOX_CACHE_DIR"); /* one of its own */
    control = daemon_start();
    compile("ptx", &library, &pipeline);
    CHECK(!library && !pipeline);
    compile("cpu", &library, &pipeline);
    CHECK(library && !pipeline);
    compile("ptx", &library, &pipeline);
    CHECK(library && pipeline);
    compile("cpu", &library, &pipeline);
    CHECK(library && pipeline);
    daemon_stop(control);
    puts("targets: ok");
    return 0;
}
