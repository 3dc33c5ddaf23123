/* What the host keeps for a client counts as its memory: functions with constants, lists of
 * resources of command buffers that wait. The account says so, and its limit holds. */
#include "host_attack.h"

#include <unistd.h>

#define CAP (24u << 20)
#define CONSTANTS 100u
#define FUNCTION_BYTES (CONSTANTS * 24u) /* at least */
#define BUFFERS 3000u
#define COMMITS 3000u

static struct abx_control *control;

static uint64_t used(const char *name)
{
    return tenant_named(control, name).memory_used;
}

static void open_capped(struct guest *g, const char *name)
{
    struct abx_control_limits limits = {.memory_bytes = CAP};
    struct abx_control_tenant t;
    daemon_tenant(control, name, "null", &limits, &t);
    guest_open(g, t.socket);
}

static void wait_read(struct guest *g)
{
    while (atomic_load(&g->host->ring_head) != g->tail && !atomic_load(&g->host->lost))
        usleep(1000);
}

static void check_functions(void)
{
    static struct abx_wire_constant constants[CONSTANTS];
    struct guest g;
    open_capped(&g, "functions");
    CHECK(guest_compile(&g, "kernel void k(device int *x [[buffer(0)]]) { x[0] = 1; }\n",
                  HANDLE(10)) == 0);
    uint64_t before = used("functions"), made = 0;
    for (uint32_t i = 0; i < CONSTANTS; i++)
        constants[i] = (struct abx_wire_constant){.index = i, .type = 33, .value_low = i};
    while (made * FUNCTION_BYTES < 2 * CAP && !atomic_load(&g.host->lost)) {
        GUEST_PUSH(&g, function_create, HANDLE(1000 + made), HANDLE(10), 0, CONSTANTS, constants);
        if (++made % 8 == 0)
            wait_read(&g); /* the ring has room for as many, also when nobody reads it any more */
        if (made != 1000)
            continue;
        wait_read(&g);
        CHECK(used("functions") - before >= 1000 * FUNCTION_BYTES);
        CHECK(used("functions") <= CAP + CAP / 100);
    }
    CHECK(guest_is_dead(&g));
    guest_close(&g);
}

static void check_lists(void)
{
    struct guest g;
    open_capped(&g, "lists");
    GUEST_PUSH(&g, event_create, HANDLE(900), 3);
    for (uint32_t i = 0; i < BUFFERS; i++)
        GUEST_PUSH(&g, buffer_create, HANDLE(1000 + i), DATA_CHUNK, i * 16, 16);
    wait_read(&g);
    uint64_t before = used("lists");
    struct abx_encoder *e = guest_begin(&g);
    abx_encode_wait_event(e, HANDLE(900), 1);
    guest_commit(&g, 0);
    e = guest_begin(&g);
    abx_encode_compute_begin(e, 0);
    for (uint32_t i = 0; i < BUFFERS; i++)
        abx_encode_use_resource(e, HANDLE(1000 + i), 1);
    abx_encode_encoder_end(e);
    struct abx_wire_segment segment = {.chunk = ARENA_CHUNK,
            .bytes = (uint32_t)(g.e.at - g.arena - g.begin),
            .offset = g.begin};
    for (uint32_t i = 1; i < COMMITS; i++)
        GUEST_PUSH(&g, commit, QUEUE, ++g.sequence, i, 1, &segment);
    wait_read(&g);
    uint64_t after = used("lists");
    printf("lists: %llu KiB\n", (unsigned long long)(after - before) >> 10);
    CHECK(!atomic_load(&g.host->lost));
    CHECK(after - before > CAP / 4 && after <= CAP + CAP / 100);
    /* All of it is given back; what had no room failed for that. */
    atomic_store(&g.page->events[3], 1);
    GUEST_PUSH(&g, event_set, HANDLE(900));
    CHECK(guest_wait(&g, 0, g.sequence));
    CHECK(g.host->results[1].error == 0);
    CHECK(g.host->results[COMMITS - 1].error_reason == ABX_REASON_MEMORY);
    for (int i = 0; i < ATTACK_PATIENCE_MS / 10 && used("lists") > before + (4u << 20); i++)
        usleep(10000);
    CHECK(used("lists") <= before + (4u << 20)); /* some are kept for the next ones */
    guest_close(&g);
}

int main(void)
{
    control = daemon_start();
    check_functions();
    check_lists();
    daemon_stop(control);
    return 0;
}
