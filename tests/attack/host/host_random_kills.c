/* Workers, compilers, compiles' children and supervisors are killed at random while every tenant
 * computes and compiles: host_random_kills COUNT [SEED]. Who was not hit notices nothing: no error,
 * no wrong sum. Who was gets an error, and the next connection works.
 *
 * A worker's death hits its own tenant alone; that of a compiler or of a child nobody; that of a
 * supervisor everybody's connections, since workers end with it. */
#include "host_attack.h"

#include <dirent.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define TENANTS 4
#define ROUNDS 30  /* of one connection */
#define INNOCENT 3 /* exit status of a session that failed */
#define WRONG_SUM 4
#define PAUSE_US 400000 /* on average, between two kills */

enum victim { WORKER, COMPILER, CHILD, SUPERVISOR, KINDS };
static const char *const names[KINDS] = {"workers", "compilers", "children", "supervisors"};

static struct shared {
    /* Raised before and after each kill that may end a tenant's connections: odd meanwhile. */
    _Atomic uint32_t hits[TENANTS];
    _Atomic uint32_t compiles, runs, sessions, ended;
    _Atomic bool stop, down; /* down: there is no supervisor */
} *shared;

static const char source[] = "#include <metal_stdlib>\n"
                             "using namespace metal;\n"
                             "constant uint by [[function_constant(0)]];\n"
                             "kernel void add(device uint *x [[buffer(0)]],\n"
                             "    uint i [[thread_position_in_grid]]) { x[i] += by + %uu; }\n";

/* ---- a tenant's program */

static void add(struct guest *g, uint32_t *sum, uint32_t by)
{
    struct abx_encoder *e = guest_begin(g);
    abx_encode_compute_begin(e, 0);
    abx_encode_set_pipeline(e, HANDLE(11));
    abx_encode_set_buffer(e, DATA, 0, 0);
    abx_encode_dispatch_threads(e, (uint32_t[]){4096, 1, 1}, (uint32_t[]){64, 1, 1});
    abx_encode_encoder_end(e);
    CHECK(guest_run(g).error == 0);
    *sum += by;
    for (unsigned i = 0; i < 4096; i++)
        if (((uint32_t *)g->data)[i] != *sum) {
            fprintf(stderr, "wrong sum at %u: %u, not %u\n", i, ((uint32_t *)g->data)[i], *sum);
            _exit(WRONG_SUM);
        }
    atomic_fetch_add(&shared->runs, 1);
}

static void session(const char *path, unsigned seed)
{
    char text[1024];
    struct guest g;
    uint32_t sum = 0;
    guest_open(&g, path);
    for (unsigned i = 0; i < ROUNDS && !atomic_load(&shared->stop); i++) {
        uint32_t more = seed * ROUNDS + i, by = more + 7;
        struct abx_wire_constant constant = {.index = 0, .type = 33 /* uint */, .value_low = 7};
        snprintf(text, sizeof text, source, more); /* in no cache */
        int r = guest_compile(&g, text, HANDLE(10));
        if (r)
            fprintf(stderr, "%d: %s\n", r, g.text);
        CHECK(r == 0);
        GUEST_PUSH(&g, pipeline_create, HANDLE(11), HANDLE(10), 0, 1, &constant);
        r = guest_prepare(&g, HANDLE(11));
        if (r)
            fprintf(stderr, "%d: %s\n", r, g.text);
        CHECK(r == 0);
        atomic_fetch_add(&shared->compiles, 1);
        for (unsigned k = 0; k < 20; k++)
            add(&g, &sum, by);
        GUEST_PUSH(&g, destroy, HANDLE(11));
        GUEST_PUSH(&g, destroy, HANDLE(10));
    }
    guest_close(&g);
}

/* Connections, one after the other, each in a process: one that is hit just ends. */
static void tenant(unsigned index, const char *path)
{
    for (unsigned n = 0; !atomic_load(&shared->stop); n++) {
        int status;
        while (atomic_load(&shared->down))
            usleep(1000);
        uint32_t hits = atomic_load(&shared->hits[index]);
        pid_t pid = fork();
        if (pid == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            session(path, 1000 * n + 100 * index + 1);
            _exit(0);
        }
        CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
        atomic_fetch_add(&shared->sessions, 1);
        if (status == 0)
            continue;
        if (WIFEXITED(status) && WEXITSTATUS(status) == WRONG_SUM)
            exit(WRONG_SUM);
        if (hits % 2 == 0 && atomic_load(&shared->hits[index]) == hits) {
            fprintf(stderr, "tenant %u, which nobody hit, failed (%#x)\n", index, (unsigned)status);
            exit(INNOCENT);
        }
        atomic_fetch_add(&shared->ended, 1);
        usleep(20000);
    }
    exit(0);
}

/* ---- the killer */

static void hit(unsigned first, unsigned count)
{
    for (unsigned i = first; i < first + count; i++)
        atomic_fetch_add(&shared->hits[i], 1);
}

static bool kill_worker(struct abx_control *control)
{
    char name[8];
    unsigned i = (unsigned)rand() % TENANTS;
    snprintf(name, sizeof name, "t%u", i);
    int pid = tenant_named(control, name).worker_pid;
    if (pid <= 0)
        return false;
    hit(i, 1);
    bool killed = kill(pid, SIGKILL) == 0;
    usleep(20000); /* it ends, and the supervisor knows */
    hit(i, 1);
    return killed;
}

/* A compile is tried twice, and with eight compilers: the next of each dies only when there has
 * been work in between, however slow the machine is. */
static bool is_due(uint32_t *not_before, uint32_t work)
{
    uint32_t compiles = atomic_load(&shared->compiles);
    if (compiles < *not_before)
        return false;
    *not_before = compiles + work;
    return true;
}

static bool kill_compiler(int daemon)
{
    static uint32_t not_before;
    int pid = child_of(daemon, "arcbox-compiler");
    return pid && is_due(&not_before, TENANTS / 2) && kill(pid, SIGKILL) == 0;
}

static bool kill_child(int daemon)
{
    static uint32_t not_before;
    int compiler = child_of(daemon, "arcbox-compiler"), pid = 0;
    if (!compiler)
        return false;
    for (unsigned i = 0; i < 500 && !pid; i++) {
        pid = child_of(compiler, "arcbox-compiler");
        usleep(200);
    }
    return pid && is_due(&not_before, 2 * TENANTS) && kill(pid, SIGKILL) == 0;
}

static bool kill_supervisor(struct abx_control **control, int daemon)
{
    hit(0, TENANTS);
    atomic_store(&shared->down, true);
    bool killed = kill(daemon, SIGKILL) == 0;
    for (int i = 0; i < 1000 && kill(daemon, 0) == 0; i++)
        usleep(1000);
    char *message = NULL; /* the old connection is left to the harness */
    if (abx_control_connect(true, control, &message) < 0) {
        fprintf(stderr, "%s\n", message);
        exit(1);
    }
    atomic_store(&shared->down, false);
    usleep(20000);
    hit(0, TENANTS);
    return killed;
}

static bool kill_one(enum victim what, struct abx_control **control)
{
    int daemon = daemon_pid();
    CHECK(daemon > 0);
    switch (what) {
    case WORKER:
        return kill_worker(*control);
    case COMPILER:
        return kill_compiler(daemon);
    case CHILD:
        return kill_child(daemon);
    case SUPERVISOR:
        return kill_supervisor(control, daemon);
    case KINDS:
        break;
    }
    return false;
}

/* Of ten: three workers, three compilers, three children, one supervisor. */
static enum victim choose(void)
{
    unsigned n = (unsigned)rand() % 10;
    return n < 3 ? WORKER : n < 6 ? COMPILER : n < 9 ? CHILD : SUPERVISOR;
}

static void check_all_run(const pid_t pids[TENANTS])
{
    int status;
    for (unsigned i = 0; i < TENANTS; i++)
        if (waitpid(pids[i], &status, WNOHANG) != 0)
            exit(1); /* it has said why */
}

/* All of them come to work again. */
static void wait_for_work(const pid_t pids[TENANTS])
{
    uint32_t from = atomic_load(&shared->runs);
    for (unsigned i = 0; i < ATTACK_PATIENCE_MS / 10; i++) {
        if (atomic_load(&shared->runs) >= from + 40 * TENANTS)
            return;
        check_all_run(pids);
        usleep(10000);
    }
    CHECK(!"nobody works any more");
}

int main(int argc, char **argv)
{
    unsigned count = argc > 1 ? (unsigned)atoi(argv[1]) : 20, done = 0, kills[KINDS] = {0};
    unsigned seed = argc > 2 ? (unsigned)atoi(argv[2]) : (unsigned)getpid();
    pid_t pids[TENANTS];
    printf("seed %u\n", seed);
    fflush(stdout);
    srand(seed);
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(shared != MAP_FAILED);
    struct abx_control *control = daemon_start();
    for (unsigned i = 0; i < TENANTS; i++) {
        struct abx_control_tenant t;
        char name[8];
        snprintf(name, sizeof name, "t%u", i);
        daemon_tenant(control, name, "cpu", NULL, &t);
        pids[i] = fork();
        if (pids[i] == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            daemon_leave();
            tenant(i, t.socket);
        }
    }
    while (done < count) {
        usleep((unsigned)rand() % (2 * PAUSE_US));
        check_all_run(pids);
        enum victim what = choose();
        if (!kill_one(what, &control))
            continue;
        kills[what]++;
        done++;
    }
    wait_for_work(pids);
    atomic_store(&shared->stop, true);
    for (unsigned i = 0; i < TENANTS; i++) {
        int status;
        CHECK(waitpid(pids[i], &status, 0) == pids[i] && status == 0);
    }
    printf("%u kills:", done);
    for (unsigned i = 0; i < KINDS; i++)
        printf(" %u %s", kills[i], names[i]);
    printf("; %u sessions, of which %u were hit; %u compiles, %u command buffers, all sums right\n",
            atomic_load(&shared->sessions), atomic_load(&shared->ended),
            atomic_load(&shared->compiles), atomic_load(&shared->runs));
    daemon_stop(control);
    return 0;
}
