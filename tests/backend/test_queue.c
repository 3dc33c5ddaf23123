/* The conformance suite's queues, over every backend: order, events, fences, copies, cancellation,
 * indirect dispatches, null bindings; and what a command costs. */
#include "backend/backend.h"
#include "rig.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct rig rig;
static bool executes; /* false: the null backend, whose buffers nothing touches */

static struct abx_device_memory *buffer(void *p, size_t bytes)
{
    return rig_import(&rig, p, bytes);
}

static void test_copies(void)
{
    char host[256];
    struct abx_device_memory *shared = buffer(host, sizeof host), *private;
    const struct abx_memory_ops *ops = rig.backend->memory;
    CHECK(ops->create_private(rig.device, NULL, 4096, &private) == 0);
    CHECK(ops->address(private) != 0 && ops->address(shared) == (uint64_t)(uintptr_t)host);
    CHECK(ops->create_private(rig.device, NULL, 1ull << 60, &(struct abx_device_memory *){0}) ==
            -ENOMEM);
    struct batch b;
    batch_init(&b);
    memset(host, 1, sizeof host);
    batch_copy(&b, private, 100, shared, 0, 16); /* zeros */
    batch_fill(&b, private, 0, 64, 7);
    batch_add(&b, ABX_EXEC_BARRIER, sizeof(struct abx_exec_command));
    batch_copy(&b, private, 32, shared, 64, 64);
    batch_copy(&b, shared, 60, shared, 62, 8); /* overlapping */
    batch_submit(&b, rig.queue, rig.backend);
    CHECK(batch_wait(&b) == 0);
    if (executes) {
        for (int i = 0; i < 256; i++) {
            int e = i < 16 ? 0 : i < 64 ? 1 : i < 96 ? 7 : i < 128 ? 0 : 1;
            if (i >= 62 && i < 66)
                e = 1;
            CHECK(host[i] == (i >= 66 && i < 70 ? 7 : e));
        }
    }
    batch_finish(&b);
    ops->destroy(shared);
    ops->destroy(private);
}

/* Submissions of one queue run in order even though nobody waits between them. */
static void test_order(void)
{
    enum { N = 200 };
    static struct batch b[N];
    char value[N + 1] = {0};
    struct abx_device_memory *buf = buffer(value, sizeof value);
    for (int i = 0; i < N; i++) {
        batch_init(&b[i]);
        batch_fill(&b[i], buf, (uint64_t)i + 1, 1, 0);
        if (i == 0)
            batch_fill(&b[i], buf, 0, 1, 9);
        batch_copy(&b[i], buf, (uint64_t)i, buf, (uint64_t)i + 1, 1);
        batch_submit(&b[i], rig.queue, rig.backend);
    }
    for (int i = N; i-- > 0;)
        CHECK(batch_wait(&b[i]) == 0);
    CHECK(!executes || value[N] == 9);
    for (int i = 0; i < N; i++)
        batch_finish(&b[i]);
    rig.backend->memory->destroy(buf);
}

/* Two queues that each wait for the other's signal, and the host in between. */
static void test_events(void)
{
    struct abx_event *e = event_new(), *f = event_new();
    struct abx_queue *other;
    struct batch a, b, c;
    CHECK(rig.backend->queue->create(rig.device, &other) == 0);
    batch_init(&a), batch_init(&b), batch_init(&c);
    batch_event(&a, ABX_EXEC_WAIT_EVENT, e, 1);
    batch_event(&a, ABX_EXEC_SIGNAL_EVENT, f, 1);
    batch_event(&a, ABX_EXEC_WAIT_EVENT, e, 2);
    batch_submit(&a, rig.queue, rig.backend);
    batch_submit(&c, rig.queue, rig.backend); /* empty, but not before a */
    usleep(2000);
    CHECK(!__atomic_load_n(&a.done, __ATOMIC_SEQ_CST) &&
            !__atomic_load_n(&c.done, __ATOMIC_SEQ_CST));
    batch_event(&b, ABX_EXEC_WAIT_EVENT, f, 1);
    struct abx_exec_fence *fence = batch_add(&b, ABX_EXEC_UPDATE_FENCE, sizeof *fence);
    fence->fence = 5;
    batch_event(&b, ABX_EXEC_SIGNAL_EVENT, e, 2);
    batch_submit(&b, other, rig.backend);
    event_ops.signal(e, 1);
    CHECK(batch_wait(&a) == 0 && batch_wait(&b) == 0 && batch_wait(&c) == 0);
    CHECK(event_ops.value(e) == 2 && event_ops.value(f) == 1);
    rig.backend->queue->destroy(other);
    batch_finish(&a), batch_finish(&b), batch_finish(&c);
    event_free(e), event_free(f);
}

static void test_cancel(void)
{
    struct abx_event *e = event_new();
    struct batch b[3];
    for (int i = 0; i < 3; i++)
        batch_init(&b[i]);
    batch_event(&b[0], ABX_EXEC_WAIT_EVENT, e, 1);
    for (int i = 0; i < 3; i++)
        batch_submit(&b[i], rig.queue, rig.backend);
    usleep(1000);
    rig.backend->queue->cancel(rig.queue);
    event_ops.signal(e, 1);
    CHECK(batch_wait(&b[0]) >= 0);
    CHECK(batch_wait(&b[1]) == ABX_EXEC_DEVICE_REMOVED);
    CHECK(batch_wait(&b[2]) == ABX_EXEC_DEVICE_REMOVED);
    struct batch after;
    batch_init(&after);
    batch_submit(&after, rig.queue, rig.backend);
    CHECK(batch_wait(&after) == 0);
    for (int i = 0; i < 3; i++)
        batch_finish(&b[i]);
    usleep(1000); /* the waker may still hold the event's lock */
    event_free(e);
}

static void test_dispatches(void)
{
    static float a[1000], b[1000], r[1000];
    uint32_t counts[4] = {0, 10, 1, 1};
    struct abx_pipeline *add = rig_pipeline(&rig, 0);
    CHECK(add);
    struct abx_device_memory *ba = buffer(a, sizeof a), *bb = buffer(b, sizeof b),
                             *br = buffer(r, sizeof r);
    struct abx_device_memory *bc = buffer(counts, sizeof counts);
    for (int i = 0; i < 1000; i++)
        a[i] = (float)i, b[i] = 1;
    struct batch c;
    batch_init(&c);
    struct abx_exec_dispatch *d =
            batch_dispatch(&c, add, (uint32_t[3]){0}, (uint32_t[3]){32, 1, 1}, 3);
    d->head.op = ABX_EXEC_DISPATCH_INDIRECT;
    d->indirect = bc;
    d->indirect_offset = 4;
    d->bindings[0] = (struct abx_exec_binding){ba, 400, sizeof a - 400};
    d->bindings[1] = (struct abx_exec_binding){bb, 0, sizeof b};
    d->bindings[2] = (struct abx_exec_binding){br, 0, sizeof r};
    /* Inline bytes, and a zero grid that touches nothing. */
    d = batch_dispatch(&c, add, (uint32_t[3]){8, 1, 1}, (uint32_t[3]){8, 1, 1}, 3);
    d->bindings[0] = (struct abx_exec_binding){ba, 0, sizeof a};
    d->bindings[2] = (struct abx_exec_binding){br, 3600, 400};
    float tens[8] = {10, 10, 10, 10, 10, 10, 10, 10};
    batch_bytes(&c, &d, 1, tens, sizeof tens);
    batch_dispatch(&c, add, (uint32_t[3]){0, 1, 1}, (uint32_t[3]){8, 1, 1}, 0);
    batch_submit(&c, rig.queue, rig.backend);
    CHECK(batch_wait(&c) == 0 && c.submission.result.kernels == 3);
    for (int i = 0; executes && i < 1000; i++)
        CHECK(r[i] == (i < 320 ? (float)(i + 101) : i >= 900 && i < 908 ? (float)(i - 890) : 0));
    batch_finish(&c);
    rig.backend->memory->destroy(ba), rig.backend->memory->destroy(bb);
    rig.backend->memory->destroy(br), rig.backend->memory->destroy(bc);
    rig.backend->pipeline->destroy(add);
}

/* ---- command buffers by chance, beside what they must leave. They are put together of a few
 * pieces, which come again and again among others, with the same constants or new ones: a backend
 * may have faster ways for what it has seen. */

enum { WORDS = 64, PIECES = 6, MOST_STEPS = 14, MOST_THREADS = 8, ROUNDS = 150, IN_FLIGHT = 4 };

static uint64_t chance = 1;

static uint32_t below(uint32_t n)
{
    chance = chance * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(chance >> 33) % n;
}

struct place {
    uint32_t memory, word; /* memory 0: shared, 1: private */
};
struct step {
    enum kind { ADD, ADD_INDIRECT, COPY, FILL, BARRIER } kind;
    struct place to, from, other;
    bool has_constants; /* instead of `other` */
    uint32_t words;
};
struct piece {
    uint32_t count;
    struct step steps[MOST_STEPS];
    float constants[MOST_STEPS];
};

static struct place some_place(void)
{
    return (struct place){below(2), below(WORDS - MOST_THREADS)};
}

static struct piece make_piece(void)
{
    struct piece p = {.count = 1 + below(MOST_STEPS)};
    uint32_t others = below(3); /* none, so that all of it is kernels; few; many */
    for (uint32_t i = 0; i < p.count; i++) {
        p.steps[i] = (struct step){.kind = below(4) < others ? (enum kind)below(BARRIER + 1) : ADD,
                .to = some_place(),
                .from = some_place(),
                .other = some_place(),
                .has_constants = below(4) != 0,
                .words = 1 + below(MOST_THREADS)};
        p.constants[i] = (float)below(100);
    }
    return p;
}

struct scene {
    float model[2][WORDS];
    struct abx_device_memory *memory[2], *counts;
    struct abx_pipeline *add;
};

static void add_kernel(
        struct batch *b, const struct scene *s, const struct step *t, float constant, bool indirect)
{
    float constants[MOST_THREADS];
    struct abx_exec_dispatch *d = batch_dispatch(
            b, s->add, (uint32_t[3]){indirect ? 0 : t->words, 1, 1}, (uint32_t[3]){1, 1, 1}, 3);
    if (indirect) {
        d->head.op = ABX_EXEC_DISPATCH_INDIRECT;
        d->indirect = s->counts;
        d->indirect_offset = 12 * (t->words - 1);
    }
    d->bindings[0] =
            (struct abx_exec_binding){s->memory[t->from.memory], 4 * t->from.word, 4 * t->words};
    d->bindings[1] =
            (struct abx_exec_binding){s->memory[t->other.memory], 4 * t->other.word, 4 * t->words};
    d->bindings[2] =
            (struct abx_exec_binding){s->memory[t->to.memory], 4 * t->to.word, 4 * t->words};
    for (uint32_t i = 0; i < MOST_THREADS; i++)
        constants[i] = constant + (float)i;
    if (t->has_constants)
        batch_bytes(b, &d, 1, constants, sizeof constants);
}

static void add_step(struct batch *b, const struct scene *s, const struct step *t, float constant)
{
    switch (t->kind) {
    case ADD:
    case ADD_INDIRECT:
        add_kernel(b, s, t, constant, t->kind == ADD_INDIRECT);
        break;
    case COPY:
        batch_copy(b, s->memory[t->from.memory], 4 * t->from.word, s->memory[t->to.memory],
                4 * t->to.word, 4 * t->words);
        break;
    case FILL:
        batch_fill(b, s->memory[t->to.memory], 4 * t->to.word, 4 * t->words, 0);
        break;
    case BARRIER:
        batch_add(b, ABX_EXEC_BARRIER, sizeof(struct abx_exec_command));
    }
}

/* Threads of one kernel read what others of it write, where its operands overlap: such a step is
 * not one that has one result. */
static bool is_defined(const struct step *t)
{
    const struct place *operands[] = {&t->from, t->has_constants ? &t->from : &t->other};
    for (int i = 0; i < 2; i++)
        if (t->kind <= ADD_INDIRECT && operands[i]->memory == t->to.memory &&
                operands[i]->word != t->to.word && operands[i]->word < t->to.word + t->words &&
                t->to.word < operands[i]->word + t->words)
            return false;
    return true;
}

static void model_step(struct scene *s, const struct step *t, float constant)
{
    float *to = s->model[t->to.memory] + t->to.word, result[MOST_THREADS];
    const float *from = s->model[t->from.memory] + t->from.word;
    const float *other = s->model[t->other.memory] + t->other.word;
    for (uint32_t i = 0; i < t->words; i++)
        result[i] = t->kind == FILL ? 0
                    : t->kind == COPY
                            ? from[i]
                            : from[i] + (t->has_constants ? constant + (float)i : other[i]);
    if (t->kind != BARRIER)
        memcpy(to, result, 4 * t->words);
}

static void add_pieces(struct batch *b, struct scene *s, struct piece *pieces)
{
    for (uint32_t n = 1 + below(5); n-- > 0;) {
        struct piece *p = &pieces[below(PIECES)];
        bool anew = below(3) == 0;
        if (below(20) == 0)
            *p = make_piece();
        for (uint32_t i = 0; i < p->count; i++) {
            if (!is_defined(&p->steps[i]))
                continue;
            if (anew)
                p->constants[i] = (float)below(100);
            add_step(b, s, &p->steps[i], p->constants[i]);
            model_step(s, &p->steps[i], p->constants[i]);
        }
    }
}

static void test_by_chance(void)
{
    static float shared[2 * WORDS]; /* behind its words: a copy of the private ones */
    static uint32_t counts[3 * MOST_THREADS];
    static struct piece pieces[PIECES];
    struct scene s = {.add = rig_pipeline(&rig, 0)};
    s.memory[0] = buffer(shared, sizeof shared);
    s.counts = buffer(counts, sizeof counts);
    CHECK(s.add && rig.backend->memory->create_private(rig.device, NULL, 4096, &s.memory[1]) == 0);
    for (uint32_t i = 0; i < MOST_THREADS; i++)
        counts[3 * i] = i + 1, counts[3 * i + 1] = counts[3 * i + 2] = 1;
    for (uint32_t i = 0; i < PIECES; i++)
        pieces[i] = make_piece();
    for (int round = 0; round < ROUNDS; round++) {
        static struct batch b[IN_FLIGHT];
        uint32_t count = 1 + below(IN_FLIGHT);
        for (uint32_t i = 0; i < count; i++) {
            batch_init(&b[i]);
            add_pieces(&b[i], &s, pieces);
            if (i + 1 == count)
                batch_copy(
                        &b[i], s.memory[1], 0, s.memory[0], sizeof s.model[0], sizeof s.model[0]);
            batch_submit(&b[i], rig.queue, rig.backend);
        }
        for (uint32_t i = 0; i < count; i++) {
            CHECK(batch_wait(&b[i]) == 0);
            batch_finish(&b[i]);
        }
        CHECK(!executes || memcmp(shared, s.model, sizeof shared) == 0);
    }
    rig.backend->memory->destroy(s.memory[0]), rig.backend->memory->destroy(s.memory[1]);
    rig.backend->memory->destroy(s.counts);
    rig.backend->pipeline->destroy(s.add);
}

#ifdef ABX_TEST_STORED /* no compiler here to make objects (stored.sh) */
static void test_bad_objects(void) {}
#else
/* Objects from nowhere, and every object with one byte changed, are refused or loaded, never more.
 */
static void test_bad_objects(void)
{
    size_t bytes;
    void *library = rig_library(rig.bitcode, &bytes);
    struct abx_shader_result result;
    struct abx_pipeline *p;
    CHECK(library &&
            abx_shader_specialize(NULL, ABX_TARGET_HOST, library, bytes, 0, NULL, 0, &result) == 0);
    CHECK(rig.backend->pipeline->create(rig.device, "no", 2, &p) == -EBADMSG);
    unsigned char *blob = result.blob;
    for (size_t i = 0; i < result.blob_bytes; i++) {
        unsigned char kept = blob[i];
        blob[i] ^= (unsigned char)(1u << i % 8);
        if (rig.backend->pipeline->create(rig.device, blob, result.blob_bytes, &p) == 0)
            rig.backend->pipeline->destroy(p);
        blob[i] = kept;
    }
    for (size_t n = 0; n < result.blob_bytes; n += 97)
        CHECK(rig.backend->pipeline->create(rig.device, blob, n, &p) < 0);
    CHECK(rig.backend->pipeline->create(rig.device, blob, result.blob_bytes, &p) == 0);
    rig.backend->pipeline->destroy(p);
    free(result.blob);
    free(result.message);
    free(library);
}

#endif

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void test_cost(void)
{
    enum { N = 2000, COMMANDS = 1000 };
    static uint64_t ns[N];
    struct batch b;
    batch_init(&b);
    for (int i = 0; i < N; i++) {
        uint64_t start = abx_now_ns();
        batch_submit(&b, rig.queue, rig.backend);
        while (!__atomic_load_n(&b.done, __ATOMIC_SEQ_CST))
            abx_cpu_relax();
        ns[i] = abx_now_ns() - start;
    }
    qsort(ns, N, sizeof *ns, compare);
    printf("# %s: empty submission %.2f us (p50)\n", rig.backend->name, (double)ns[N / 2] / 1e3);
    for (int i = 0; i < COMMANDS; i++)
        batch_add(&b, ABX_EXEC_BARRIER, sizeof(struct abx_exec_command));
    uint64_t start = abx_now_ns();
    for (int i = 0; i < 200; i++) {
        batch_submit(&b, rig.queue, rig.backend);
        CHECK(batch_wait(&b) == 0);
    }
    double rate = 200.0 * COMMANDS / (double)(abx_now_ns() - start) * 1e9;
    printf("# %s: %.1f M commands a second\n", rig.backend->name, rate / 1e6);
    batch_finish(&b);
}

static void on_stop(int number, siginfo_t *info, void *context)
{
    rig.backend->native->stop(context);
}

/* A kernel that never ends is left by its thread once its own time is over, and the queue goes on.
 */
static void test_endless(void)
{
    struct abx_pipeline *p = rig_pipeline(&rig, 9);
    struct sigaction action = {.sa_sigaction = on_stop, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    CHECK(p);
    sigaction(SIGUSR1, &action, NULL);
    rig.backend->native->use_signal(SIGUSR1);
    for (int round = 0; round < 3; round++) {
        static struct batch b;
        batch_init(&b);
        batch_dispatch(&b, p, (uint32_t[3]){1, 1, 1}, (uint32_t[3]){1, 1, 1}, 0);
        batch_submit(&b, rig.queue, rig.backend);
        usleep(50000);
        CHECK(!b.done);
        while (!__atomic_load_n(&b.done, __ATOMIC_SEQ_CST)) {
            rig.backend->device->watchdog(rig.device, 50000000);
            usleep(10000);
        }
        CHECK(batch_wait(&b) == ABX_EXEC_TIMEOUT);
        CHECK(b.submission.result.limit == 50);
        batch_finish(&b);
        test_dispatches();
    }
    rig.backend->pipeline->destroy(p);
}

static const struct abx_backend *backend;

static void start(void)
{
    CHECK(rig_open(&rig, backend, 2) == 0);
}

static void stop(void)
{
    rig_close(&rig);
}

static int suite(const struct abx_backend *of)
{
    const struct check_case cases[] = {
            CASE(test_copies), CASE(test_order), CASE(test_events), CASE(test_cancel),
            CASE(test_dispatches), CASE(test_by_chance), CASE(test_bad_objects), CASE(test_cost),
            CASE(test_endless), /* the last: only where kernels run on this processor */
    };
    struct check_suite s = {.cases = cases,
            .count = ABX_ARRAY_SIZE(cases) - (of->native ? 0 : 1),
            .seconds = 60,
            .keeps = of->target == ABX_TARGET_HOST ? 0 : 64, /* a driver's own */
            .before = start,
            .after = stop};
    backend = of;
    executes = !of->simulated;
    puts(of->name);
    return check_run(0, NULL, &s);
}

int main(int argc, char **argv)
{
    int failed = 0;
    char why[192];
    rig.bitcode = argc > 1 ? argv[1] : "kernels.bc";
    /* On one that is not this processor only what needs none of its kernels runs (rig_cuda.c). */
    if (rig_suite_backend->target != ABX_TARGET_HOST)
        return suite(rig_suite_backend);
    for (const struct abx_backend *const *b = abx_backends; *b; b++)
        if ((*b)->target == ABX_TARGET_HOST && abx_backend_usable(*b, why, sizeof why) == 0)
            failed |= suite(*b);
    return failed;
}
