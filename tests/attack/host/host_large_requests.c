/* Workers send requests as large as they may be: what another waits for its small one is a slice of
 * each, not the whole of any. Counted in processor time of the compiler, so that a busy machine
 * changes nothing. And a source that its writer could still change is refused. */
#include "host_attack.h"

#include <time.h>
#include <unistd.h>

#define HOSTILE 6
#define BYTES (64u << 20)
#define ROUNDS 5

/* What hashing one of them costs here. */
static uint64_t cost_ns(void)
{
    struct abx_sha256 h;
    uint8_t digest[32], *data = calloc(1, BYTES);
    CHECK(data);
    uint64_t start = spent_ns(CLOCK_PROCESS_CPUTIME_ID);
    abx_sha256_init(&h);
    abx_sha256_add(&h, data, BYTES);
    abx_sha256_finish(&h, digest);
    free(data);
    return spent_ns(CLOCK_PROCESS_CPUTIME_ID) - start;
}

/* All of the hostile ones ask, and then the other: the most that a small answer costs meanwhile. */
static uint64_t most_meanwhile(
        int other, clockid_t clock, const int hostile[HOSTILE], unsigned round)
{
    struct abx_compiler_answer a;
    char source[64];
    uint64_t most = 0, first = 2 + 10 * (uint64_t)round;
    for (unsigned i = 0; i < HOSTILE; i++) {
        snprintf(source, sizeof source, "!! %u %u", round, i);
        CHECK(compiler_ask_library(hostile[i], 1 + round, source, BYTES, true) == 0);
    }
    for (uint64_t id = first; id < first + 10; id++) {
        uint64_t before = spent_ns(clock);
        CHECK(compiler_ask(other, id) == 0 && compiler_answer(other, &a) && a.id == id);
        uint64_t took = spent_ns(clock) - before;
        most = took > most ? took : most;
    }
    for (unsigned i = 0; i < HOSTILE; i++)
        CHECK(compiler_answer(hostile[i], &a));
    return most;
}

int main(void)
{
    struct compiler c;
    struct abx_compiler_answer a;
    int hostile[HOSTILE];
    clockid_t clock;
    bool good = false;
    compiler_start(&c);
    CHECK(clock_getcpuclockid(c.pid, &clock) == 0);
    int other = compiler_worker(&c);
    CHECK(compiler_ask(other, 1) == 0 && compiler_answer(other, &a));
    for (unsigned i = 0; i < HOSTILE; i++)
        hostile[i] = compiler_worker(&c);
    uint64_t whole = cost_ns();
    /* Where large ones are in the way, they are each time; a system that is slow to give memory is
     * not. */
    for (unsigned round = 0; round < ROUNDS && !good; round++) {
        uint64_t most = most_meanwhile(other, clock, hostile, round);
        printf("of %.0f ms for each large one, at most %.1f ms\n", (double)whole / 1e6,
                (double)most / 1e6);
        good = most < whole / 4;
    }
    CHECK(good);
    CHECK(compiler_ask_library(other, 100, "kernel void k() {}", 0, false) == 0);
    CHECK(compiler_answer(other, &a) && a.id == 100 && a.error == -EPERM);
    for (unsigned i = 0; i < HOSTILE; i++)
        close(hostile[i]);
    close(other);
    compiler_stop(&c);
    return 0;
}
