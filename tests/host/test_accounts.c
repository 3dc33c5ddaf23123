/* Private memory of a device that has its own, and the rest, each by itself: neither takes from the
 * other, and each has its limit. */
#include "guest.h"

static struct abx_control *control;
static const char *backend;

static struct abx_result fill_some(struct guest *g, unsigned handle)
{
    struct abx_encoder *e = guest_begin(g);
    abx_encode_blit_begin(e);
    abx_encode_fill_buffer(e, HANDLE(handle), 0, 16, 1);
    abx_encode_encoder_end(e);
    return guest_run(g);
}

static void check_accounts(void)
{
    struct abx_control_limits limits = {.memory_bytes = 16 << 20, .device_bytes = 64 << 20};
    struct abx_control_tenant t;
    struct guest g;
    daemon_tenant(control, "two", backend, &limits, &t);
    guest_open(&g, t.socket);
    CHECK(g.welcome.recommended_working_set == 64 << 20 && g.welcome.max_buffer_length <= 64 << 20);
    CHECK(atomic_load(&g.host->device_cap) == 64 << 20);
    GUEST_PUSH(&g, buffer_create_private, HANDLE(20), 256 << 20, 48 << 20);
    CHECK(fill_some(&g, 20).error == 0);
    CHECK(atomic_load(&g.host->device_used) == 48 << 20);
    /* Of the host, for the client's tables. */
    CHECK(atomic_load(&g.host->memory_used) - (ARENA_BYTES + DATA_BYTES) < 1 << 20);
    GUEST_PUSH(&g, buffer_create_private, HANDLE(21), 512 << 20, 32 << 20);
    struct abx_result r = fill_some(&g, 21);
    CHECK(r.error_reason == ABX_REASON_MEMORY && r.error_limit == 64 << 20);
    guest_chunk(&g, 5, 32 << 20, 32 << 20); /* too much of the other */
    GUEST_PUSH(&g, buffer_create, HANDLE(22), 5, 0, 4096);
    r = fill_some(&g, 22);
    CHECK(r.error_reason == ABX_REASON_MEMORY && r.error_limit == 16 << 20);
    GUEST_PUSH(&g, destroy, HANDLE(20));
    GUEST_PUSH(&g, destroy, HANDLE(21));
    GUEST_PUSH(&g, buffer_create_private, HANDLE(23), 1 << 30, 60 << 20);
    CHECK(fill_some(&g, 23).error == 0 && atomic_load(&g.host->device_used) == 60 << 20);
    guest_close(&g);
}

/* A limit that was asked for is one for both; the default leaves the device's to the device. */
static void check_one_account(void)
{
    struct abx_control_limits limits = {.memory_bytes = 16 << 20};
    struct abx_control_tenant t;
    struct guest g;
    daemon_tenant(control, "one", backend, &limits, &t);
    guest_open(&g, t.socket);
    CHECK(g.welcome.recommended_working_set == 16 << 20 && !atomic_load(&g.host->device_cap));
    guest_close(&g);
    daemon_tenant(control, "usual", backend, NULL, &t);
    guest_open(&g, t.socket);
    CHECK(atomic_load(&g.host->device_cap) == g.welcome.recommended_working_set);
    CHECK(g.welcome.recommended_working_set > g.welcome.memory_cap); /* 3/4 and half of memory */
    guest_close(&g);
}

static void start(void)
{
    control = daemon_start();
}

static void stop(void)
{
    daemon_stop(control);
}

/* Arguments: backends. */
int main(int argc, char **argv)
{
    const struct check_case cases[] = {CASE(check_accounts), CASE(check_one_account)};
    int failed = 0;
    for (int i = 1; i < argc; i++) {
        backend = argv[i];
        puts(backend);
        failed |= check_run(
                0, NULL, CHECK_SUITE(cases, .seconds = 60, .before = start, .after = stop));
    }
    return failed;
}
