/* A client leaves while much of its work is still to do: a kernel without end, a list of a hundred
 * thousand commands, blits of a gigabyte each, loops over indirect command buffers. All of it ends
 * with the client; by itself each would take far longer than this test waits. */
#include "host_attack.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define COMMANDS 60000u
#define BIG (512u << 20)
#define SLOTS (1u << 16)

static const char source[] = "#include <metal_stdlib>\n"
                             "using namespace metal;\n"
                             "kernel void forever(device atomic_uint *x [[buffer(0)]]) {\n"
                             "  while (atomic_load_explicit(x, memory_order_relaxed) == 0) {}\n"
                             "}\n"
                             "kernel void slow(device uint *x [[buffer(0)]]) {\n"
                             "  uint v = x[0];\n"
                             "  for (uint i = 0; i < 20000000; i++) v = v * 1664525 + x[1];\n"
                             "  x[2] = v;\n"
                             "}\n";

static struct abx_encoder *begin(struct guest *g, abx_handle pipeline)
{
    struct abx_encoder *e = guest_begin(g);
    abx_encode_compute_begin(e, 0);
    abx_encode_set_pipeline(e, pipeline);
    abx_encode_set_buffer(e, DATA, 0, 0);
    return e;
}

static void dispatch(struct abx_encoder *e, unsigned times)
{
    for (unsigned i = 0; i < times; i++)
        abx_encode_dispatch_threads(e, (uint32_t[]){1, 1, 1}, (uint32_t[]){1, 1, 1});
}

static void kernels(struct guest *g, const char *function, unsigned times)
{
    CHECK(guest_compile(g, source, HANDLE(10)) == 0);
    guest_pipeline(g, function, HANDLE(10), HANDLE(11));
    dispatch(begin(g, HANDLE(11)), times);
}

static void forever(struct guest *g)
{
    kernels(g, "forever", 1);
}

static void list(struct guest *g)
{
    kernels(g, "slow", COMMANDS);
}

static void blits(struct guest *g)
{
    GUEST_PUSH(g, buffer_create_private, HANDLE(20), 1ull << 30, BIG);
    struct abx_encoder *e = guest_begin(g);
    abx_encode_blit_begin(e);
    for (unsigned i = 0; i < COMMANDS; i++)
        abx_encode_fill_buffer(e, HANDLE(20), 0, BIG, 7);
}

static void *make_icb(struct guest *g)
{
    void *slots = guest_chunk(g, 7, SLOTS * sizeof(struct abx_icb_slot), 2ull << 30);
    GUEST_PUSH(g, icb_create, HANDLE(30), 7, SLOTS, 0, 1, 3);
    return slots;
}

static void indirect(struct guest *g)
{
    struct abx_icb_slot *slots = make_icb(g);
    for (unsigned i = 0; i < SLOTS; i++)
        slots[i] = (struct abx_icb_slot){.kind = 2, .grid = {1, 1, 1}, .threadgroup = {1, 1, 1}};
    CHECK(guest_compile(g, source, HANDLE(10)) == 0);
    guest_pipeline(g, "slow", HANDLE(10), HANDLE(11));
    struct abx_encoder *e = begin(g, HANDLE(11));
    for (unsigned i = 0; i < 8; i++)
        abx_encode_execute_icb(e, HANDLE(30), 0, SLOTS);
}

/* Slots that do nothing: it is their decoding that has no end. */
static void empty_slots(struct guest *g)
{
    make_icb(g);
    CHECK(guest_compile(g, source, HANDLE(10)) == 0);
    guest_pipeline(g, "slow", HANDLE(10), HANDLE(11));
    struct abx_encoder *e = begin(g, HANDLE(11));
    for (unsigned i = 0; i < COMMANDS; i++)
        abx_encode_execute_icb(e, HANDLE(30), 0, SLOTS);
}

static void resets(struct guest *g)
{
    make_icb(g);
    struct abx_encoder *e = guest_begin(g);
    abx_encode_blit_begin(e);
    for (unsigned i = 0; i < COMMANDS; i++)
        abx_encode_reset_icb(e, HANDLE(30), 0, SLOTS);
}

static void check(struct abx_control *control, const char *name, void (*work)(struct guest *))
{
    struct abx_control_limits limits = {.kernel_ns = 3600000000000u};
    struct abx_control_tenant t;
    int ready[2];
    char byte;
    daemon_tenant(control, name, "cpu", &limits, &t);
    CHECK(pipe(ready) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct guest g;
        guest_open(&g, t.socket);
        work(&g);
        abx_encode_encoder_end(&g.e);
        guest_commit(&g, 0);
        usleep(200000); /* until it is under way */
        _exit(write(ready[1], "+", 1) == 1 ? 0 : 1);
    }
    close(ready[1]);
    CHECK(read(ready[0], &byte, 1) == 1);
    close(ready[0]);
    CHECK(waitpid(pid, NULL, 0) == pid);
    uint64_t start = abx_now_ns();
    while (tenant_named(control, name).clients &&
            abx_now_ns() - start < ATTACK_PATIENCE_MS * 1000000ull)
        usleep(2000);
    printf("%s: %.0f ms\n", name, (double)(abx_now_ns() - start) / 1e6);
    CHECK(tenant_named(control, name).clients == 0);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*work)(struct guest *);
    } works[] = {{"forever", forever}, {"list", list}, {"blits", blits}, {"indirect", indirect},
            {"empty-slots", empty_slots}, {"resets", resets}};
    struct abx_control *control = daemon_start();
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(works); i++)
        if (argc < 2 || strcmp(argv[1], works[i].name) == 0)
            check(control, works[i].name, works[i].work);
    daemon_stop(control);
    return 0;
}
