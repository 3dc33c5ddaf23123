/* How fast the host side alone is: validated commands a second on null, and an empty command buffer
 * from commit to the end of the wait, spinning and sleeping, by each transport. Prints; the test
 * run only checks that it works and is not absurdly slow (shared machines are noisy). */
#include "guest.h"

#include <time.h>
#include <unistd.h>

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double submit_wait(struct guest *g, unsigned pause_us)
{
    enum { RUNS = 300 };
    double us[RUNS];
    guest_begin(g);
    for (int i = 0; i < RUNS; i++) {
        if (pause_us) {
            struct timespec t = {0, pause_us * 1000};
            nanosleep(&t, NULL);
        }
        uint64_t start = abx_now_ns();
        guest_run(g);
        us[i] = (double)(abx_now_ns() - start) / 1e3;
    }
    qsort(us, RUNS, sizeof us[0], by_value);
    return us[RUNS / 2];
}

static double commands_per_second(struct guest *g)
{
    enum { DISPATCHES = 8000, RUNS = 20 };
    struct abx_encoder *e = guest_begin(g);
    uint32_t one[3] = {1, 1, 1};
    abx_encode_compute_begin(e, 0);
    abx_encode_set_pipeline(e, HANDLE(11));
    for (int i = 0; i < DISPATCHES; i++) {
        for (uint32_t b = 0; b < 4; b++)
            abx_encode_set_buffer(e, DATA, 256 * b, b);
        abx_encode_dispatch_threadgroups(e, one, one);
    }
    abx_encode_encoder_end(e);
    guest_run(g);
    double best = 0;
    for (int i = 0; i < RUNS; i++) {
        uint64_t start = abx_now_ns();
        guest_run(g);
        double rate = (5.0 * DISPATCHES + 3) * 1e9 / (double)(abx_now_ns() - start);
        if (rate > best)
            best = rate;
    }
    return best;
}

static const char source[] =
        "#include <metal_stdlib>\n"
        "kernel void k(device int *a [[buffer(0)]], device int *b [[buffer(1)]],\n"
        "    device int *c [[buffer(2)]], device int *d [[buffer(3)]],\n"
        "    uint i [[thread_position_in_grid]]) { a[i] = b[i] + c[i] + d[i]; }\n";

static void measure(struct guest *g, const char *name)
{
    CHECK(guest_compile(g, source, HANDLE(10)) == 0);
    guest_pipeline(g, "k", HANDLE(10), HANDLE(11));
    double rate = commands_per_second(g), spin = submit_wait(g, 0);
    double sleep = g->kick ? 0 : submit_wait(g, 300);
    printf("%-7s %.2f M commands/s, empty submit+wait %.2f us spinning, %.2f us sleeping\n", name,
            rate / 1e6, spin, sleep);
    CHECK(rate > 200e3 && spin < 5000);
}

int main(int argc, char **argv)
{
    struct abx_control *control = daemon_start();
    struct abx_control_tenant tenant;
    struct guest g;
    daemon_tenant(control, "bench", "null", NULL, &tenant);
    guest_open(&g, tenant.socket);
    measure(&g, "unix");
    guest_close(&g);
    setenv("ARCBOX_BACKEND", "null", 1);
    guest_inproc(&g, argv[1]);
    measure(&g, "inproc");
    daemon_stop(control);
    return 0;
}
