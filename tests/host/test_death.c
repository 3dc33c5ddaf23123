/* Ends: a client killed in the middle of its work frees everything; a kernel that faults or never
 * ends costs its own command buffer, and what was made before and after works; a killed worker
 * costs its tenant its command buffers and nobody else anything, and the next connection works. */
#include "backend/backend.h"
#include "guest.h"

#include <dirent.h>
#include <limits.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static const char source[] =
        "#include <metal_stdlib>\n"
        "using namespace metal;\n"
        "kernel void forever(device atomic_uint *x [[buffer(0)]]) {\n"
        "  while (atomic_load_explicit(x, memory_order_relaxed) == 0) {}\n"
        "}\n"
        "kernel void wild(device uint *x [[buffer(0)]], device ulong *at [[buffer(1)]]) {\n"
        "  *(device uint *)(at[0]) = x[0];\n"
        "}\n"
        "kernel void work(device uint *x [[buffer(0)]]) {\n"
        "  uint v = x[0];\n"
        "  for (uint i = 0; i < x[1]; i++) v = v * 1664525 + 1013904223 + x[0];\n"
        "  x[2] = v;\n"
        "}\n"
        "kernel void turns(device atomic_uint *x [[buffer(0)]]) {\n"
        "  threadgroup uint shared;\n"
        "  do {\n"
        "    threadgroup_barrier(mem_flags::mem_threadgroup);\n"
        "    shared = atomic_load_explicit(x, memory_order_relaxed);\n"
        "    threadgroup_barrier(mem_flags::mem_threadgroup);\n"
        "  } while (shared == 0);\n"
        "}\n"
        "kernel void add(device uint *x [[buffer(0)]], uint i [[thread_position_in_grid]]) {\n"
        "  x[i] += 1;\n"
        "}\n";

static struct abx_control *control;

static struct abx_control_tenant tenant_now(const char *name)
{
    struct abx_control_tenant found = tenant_named(control, name);
    CHECK(found.name[0]);
    return found;
}

static unsigned count_entries(int pid, const char *what)
{
    char path[64];
    unsigned n = 0;
    snprintf(path, sizeof path, "/proc/%d/%s", pid, what);
    DIR *dir = opendir(path);
    if (!dir) { /* the worker is not dumpable: only root may look */
        CHECK(getuid() != 0);
        return 0;
    }
    while (readdir(dir))
        n++;
    closedir(dir);
    return n;
}

/* Mappings of memory files: pages and chunks of clients, the worker's statistics. The heap's own
 * mappings come and go with the threads. */
static unsigned count_memory_files(int pid)
{
    char path[64], line[512];
    unsigned n = 0;
    snprintf(path, sizeof path, "/proc/%d/maps", pid);
    FILE *file = fopen(path, "r");
    if (!file) {
        CHECK(getuid() != 0);
        return 0;
    }
    while (fgets(line, sizeof line, file))
        n += strstr(line, "memfd:") != NULL;
    fclose(file);
    return n;
}

/* Of address space, in GiB: a client's window alone is 1,024. */
static unsigned address_space(int pid)
{
    char path[64];
    unsigned long pages = 0;
    snprintf(path, sizeof path, "/proc/%d/statm", pid);
    FILE *file = fopen(path, "r");
    CHECK(file && fscanf(file, "%lu", &pages) == 1);
    fclose(file);
    return (unsigned)(pages >> 18);
}

static void open_with_kernels(struct guest *g, const char *path)
{
    guest_open(g, path);
    int r = guest_compile(g, source, HANDLE(10));
    if (r)
        fprintf(stderr, "%s\n", g->text);
    CHECK(r == 0);
}

static void dispatch_many(struct guest *g, abx_handle pipeline, uint32_t result, uint32_t threads)
{
    struct abx_encoder *e = guest_begin(g);
    abx_encode_compute_begin(e, 0);
    abx_encode_set_pipeline(e, pipeline);
    abx_encode_set_buffer(e, DATA, 0, 0);
    abx_encode_set_buffer(e, DATA, 4096, 1);
    uint32_t group = threads < 64 ? threads : 64;
    abx_encode_dispatch_threads(e, (uint32_t[]){threads, 1, 1}, (uint32_t[]){group, 1, 1});
    abx_encode_encoder_end(e);
    guest_commit(g, result);
}

static void dispatch(struct guest *g, abx_handle pipeline, uint32_t result)
{
    dispatch_many(g, pipeline, result, 1);
}

static void wait_clients(const char *tenant, unsigned left)
{
    for (int i = 0; i < 1000 && tenant_now(tenant).clients > left; i++)
        usleep(10000);
    CHECK(tenant_now(tenant).clients == left);
}

struct kept {
    unsigned files, maps; /* the fewest seen */
};

static bool is_more(struct kept *kept, int pid)
{
    unsigned files = count_entries(pid, "fd"), maps = count_memory_files(pid);
    bool more = files > kept->files || maps > kept->maps;
    kept->files = files < kept->files ? files : kept->files;
    kept->maps = maps < kept->maps ? maps : kept->maps;
    return more;
}

/* Clients killed with work in every stage: running, queued, waiting for an event, compiling. */
static void check_client_killed(void)
{
    struct abx_control_tenant t;
    struct guest keeper; /* with its last client the worker would go */
    daemon_tenant(control, "killed", "cpu", NULL, &t);
    guest_connect(&keeper, t.socket);
    struct kept kept = {UINT_MAX, UINT_MAX};
    for (int round = 0; round < 6; round++) {
        int ready[2];
        char byte;
        CHECK(pipe(ready) == 0);
        pid_t pid = fork();
        if (pid == 0) {
            struct guest g;
            open_with_kernels(&g, t.socket);
            guest_pipeline(&g, "add", HANDLE(10), HANDLE(11));
            guest_chunk(&g, 7, 32 << 20, 64 << 20);
            GUEST_PUSH(&g, buffer_create, HANDLE(20), 7, 4096, 1 << 20);
            GUEST_PUSH(&g, buffer_create_private, HANDLE(21), 256 << 20, 8 << 20);
            GUEST_PUSH(&g, event_create, HANDLE(22), 3);
            GUEST_PUSH(&g, pipeline_create, HANDLE(12), HANDLE(10), 0, 0, NULL);
            dispatch(&g, HANDLE(11), 0);
            struct abx_encoder *e = guest_begin(&g);
            abx_encode_wait_event(e, HANDLE(22), 5); /* nobody will signal it */
            guest_commit(&g, 1);
            for (uint32_t i = 2; i < 100; i++)
                dispatch(&g, HANDLE(11), i);
            CHECK(guest_wait(&g, 0, 1));
            CHECK(write(ready[1], "+", 1) == 1);
            pause();
            _exit(0);
        }
        CHECK(read(ready[0], &byte, 1) == 1);
        uint64_t books = tenant_now("killed").memory_used -
                         (ARENA_BYTES + DATA_BYTES + (32u << 20) + (8u << 20));
        CHECK(books < 1 << 20);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        close(ready[0]);
        close(ready[1]);
        wait_clients("killed", 1);
        /* A compilation that nobody waits for any more holds a file, and what is charged for it,
         * until it ends. */
        struct abx_control_tenant now = tenant_now("killed");
        for (int i = 0; i < 1000 && now.memory_used; i++) {
            usleep(10000);
            now = tenant_now("killed");
        }
        CHECK(now.memory_used == 0 && now.worker_deaths == 0);
        for (int i = 0; i < 1000 && is_more(&kept, now.worker_pid); i++)
            usleep(10000);
        if (is_more(&kept, now.worker_pid) || address_space(now.worker_pid) > 1024 + 64) {
            fprintf(stderr, "files %u -> %u, memory files %u -> %u\n", kept.files,
                    count_entries(now.worker_pid, "fd"), kept.maps,
                    count_memory_files(now.worker_pid));
            exit(1);
        }
    }
    guest_close(&keeper);
}

static void expect_reason(struct guest *g, uint32_t result, enum abx_reason reason)
{
    if (g->host->results[result].error_reason != reason) {
        fprintf(stderr, "result %u: error %u, reason %u, wanted %d; %s\n", result,
                g->host->results[result].error, g->host->results[result].error_reason, reason,
                g->host->lost_text);
        exit(1);
    }
}

/* A kernel that goes wrong, often, between two that go right, with other work in flight: beside it
 * on another client, and behind it in its queue. */
static void check_bad_kernel(const char *name, const char *function, enum abx_exec_error error,
        enum abx_reason reason, unsigned rounds, uint32_t threads)
{
    struct abx_control_limits limits = {.kernel_ns = 300000000};
    struct abx_control_tenant t;
    struct guest bad, sibling;
    daemon_tenant(control, name, "cpu", &limits, &t);
    open_with_kernels(&bad, t.socket);
    open_with_kernels(&sibling, t.socket);
    guest_pipeline(&sibling, "add", HANDLE(10), HANDLE(11));
    guest_pipeline(&bad, "add", HANDLE(10), HANDLE(11));
    guest_pipeline(&bad, function, HANDLE(10), HANDLE(12));
    GUEST_PUSH(&bad, buffer_create_private, HANDLE(21), 256 << 20, 8 << 20);
    struct abx_encoder *e = guest_begin(&bad);
    abx_encode_blit_begin(e);
    abx_encode_fill_buffer(e, HANDLE(21), 0, 8 << 20, 7);
    abx_encode_encoder_end(e);
    CHECK(guest_run(&bad).error == 0);
    memset(bad.data, 0, DATA_BYTES);
    ((uint64_t *)bad.data)[512] = 0x1000; /* where `wild` writes */
    uint64_t sequence = bad.sequence;
    for (unsigned i = 0; i < rounds; i++) {
        uint32_t before = ((uint32_t *)bad.data)[0];
        *(uint32_t *)bad.data = 0;
        dispatch_many(&bad, HANDLE(12), 0, threads);
        dispatch_many(&bad, HANDLE(11), 1, 1); /* behind it */
        dispatch_many(&sibling, HANDLE(11), 0, 1);
        sequence += 2;
        CHECK(guest_wait(&bad, 0, sequence) && guest_wait(&sibling, 0, i + 1));
        const struct abx_result *r = bad.host->results;
        expect_reason(&bad, 0, reason);
        CHECK(r[0].error == (uint32_t)error && r[0].error_op == ABX_OP_DISPATCH_THREADS);
        CHECK(reason == ABX_REASON_TIMEOUT
                        ? r[0].error_limit == 300
                        : r[0].error_value == 0x1000 && r[0].error_limit == SIGSEGV);
        CHECK(r[1].error == 0 && *(uint32_t *)bad.data == 1);
        CHECK(sibling.host->results[0].error == 0);
        CHECK(((uint32_t *)sibling.data)[0] == i + 1);
        *(uint32_t *)bad.data = before;
    }
    /* Private memory is as it was; new objects can be made. */
    GUEST_PUSH(&bad, buffer_create_private, HANDLE(22), 512 << 20, 8 << 20);
    e = guest_begin(&bad);
    abx_encode_blit_begin(e);
    abx_encode_copy_buffer(e, HANDLE(21), (8 << 20) - 4096, HANDLE(22), 0, 4096);
    abx_encode_copy_buffer(e, HANDLE(22), 0, DATA, 65536, 4096);
    abx_encode_encoder_end(e);
    CHECK(guest_run(&bad).error == 0);
    for (unsigned i = 0; i < 4096; i++)
        CHECK(bad.data[65536 + i] == 7);
    CHECK(atomic_load(&bad.host->lost) == 0 && tenant_now(name).worker_deaths == 0);
    guest_close(&bad);
    guest_close(&sibling);
}

/* The time limit is the kernel's own time: one that needs less is not ended by a machine that is
 * busy with other things, however long it takes. */
static void check_busy(void)
{
    enum { BURNERS = 6 };
    struct abx_control_limits limits = {.kernel_ns = 600000000};
    struct abx_control_tenant t;
    struct guest g;
    pid_t burner[BURNERS];
    daemon_tenant(control, "busy", "cpu", &limits, &t);
    open_with_kernels(&g, t.socket);
    guest_pipeline(&g, "work", HANDLE(10), HANDLE(11));
    uint32_t *x = (uint32_t *)g.data;
    x[1] = 1000000;
    dispatch(&g, HANDLE(11), 0);
    CHECK(guest_wait(&g, 0, 1) && g.host->results[0].error == 0);
    uint64_t took = g.host->results[0].end_ns - g.host->results[0].start_ns;
    for (unsigned i = 0; i < BURNERS; i++)
        if ((burner[i] = fork()) == 0)
            for (;;)
                ;
    x[1] = (uint32_t)(200000000.0 / (double)took * 1000000);
    dispatch(&g, HANDLE(11), 0);
    bool done = guest_wait(&g, 0, 2);
    for (unsigned i = 0; i < BURNERS; i++) {
        kill(burner[i], SIGKILL);
        waitpid(burner[i], NULL, 0);
    }
    CHECK(done && g.host->results[0].error == 0);
    guest_close(&g);
}

/* The worker of tenant `name` is killed: its clients' command buffers, its other client, and
 * another tenant. */
static void check_loss(const char *name, enum abx_reason reason, const char *text)
{
    struct abx_control_tenant t, other;
    struct guest bad, sibling, neighbour;
    char other_name[64];
    snprintf(other_name, sizeof other_name, "beside-%s", name);
    daemon_tenant(control, name, "cpu", NULL, &t);
    daemon_tenant(control, other_name, "cpu", NULL, &other);
    open_with_kernels(&bad, t.socket);
    guest_open(&sibling, t.socket);
    open_with_kernels(&neighbour, other.socket);
    guest_pipeline(&neighbour, "add", HANDLE(10), HANDLE(11));
    guest_pipeline(&bad, "forever", HANDLE(10), HANDLE(11));
    GUEST_PUSH(&bad, queue_create, HANDLE(30), 1);
    dispatch(&bad, HANDLE(11), 0);
    dispatch(&bad, HANDLE(11), 1); /* behind it */
    usleep(50000);
    kill(tenant_now(name).worker_pid, SIGKILL);
    CHECK(!guest_wait(&bad, 0, 1));
    CHECK(guest_is_dead(&bad) && guest_is_dead(&sibling));
    expect_reason(&bad, 0, reason);
    /* The second may not even have been read yet: then nobody wrote its result. */
    if (bad.host->results[1].sequence)
        expect_reason(&bad, 1, ABX_REASON_LOST);
    if (!strstr(bad.host->lost_text, text) || !strstr(sibling.host->lost_text, text)) {
        fprintf(stderr, "%s: \"%s\"\n", name, bad.host->lost_text);
        exit(1);
    }
    guest_close(&bad);
    guest_close(&sibling);
    for (int i = 0; i < 500 && !tenant_now(name).worker_deaths; i++)
        usleep(10000);
    struct abx_control_tenant now = tenant_now(name);
    CHECK(now.worker_deaths == 1 && strstr(now.last_death, text));
    /* The neighbour's work goes on; the tenant's next connection has a new worker. */
    dispatch(&neighbour, HANDLE(11), 0);
    CHECK(guest_wait(&neighbour, 0, 1) && neighbour.host->results[0].error == 0);
    open_with_kernels(&bad, t.socket);
    guest_pipeline(&bad, "add", HANDLE(10), HANDLE(11));
    dispatch(&bad, HANDLE(11), 0);
    CHECK(guest_wait(&bad, 0, 1) && bad.host->results[0].error == 0);
    guest_close(&bad);
    guest_close(&neighbour);
}

static void check_fault(void)
{
    check_bad_kernel("faulty", "wild", ABX_EXEC_PAGE_FAULT, ABX_REASON_FAULT, 100, 1);
}

static void check_many_faults(void)
{
    check_bad_kernel("very-faulty", "wild", ABX_EXEC_PAGE_FAULT, ABX_REASON_FAULT, 30, 1 << 16);
}

static void check_endless(void)
{
    check_bad_kernel("endless", "forever", ABX_EXEC_TIMEOUT, ABX_REASON_TIMEOUT, 2, 1);
}

static void check_long(void)
{
    check_bad_kernel("long", "turns", ABX_EXEC_TIMEOUT, ABX_REASON_TIMEOUT, 2, 1 << 10);
}

static void check_shot(void)
{
    check_loss("shot", ABX_REASON_LOST, "killed by signal 9");
}

static void start(void)
{
    control = daemon_start();
}

static void stop(void)
{
    daemon_stop(control);
}

int main(int argc, char **argv)
{
    const struct check_case cases[] = {
            CASE(check_client_killed),
            CASE(check_fault),
            CASE(check_many_faults),
            CASE(check_endless),
            CASE(check_long),
            CASE(check_busy),
            CASE(check_shot),
    };
    return check_run(
            argc, argv, CHECK_SUITE(cases, .seconds = 120, .before = start, .after = stop));
}
