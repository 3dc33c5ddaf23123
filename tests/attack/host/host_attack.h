/* What an attacker holds who has taken over a worker: sockets to the compiler; and who counts how
 * the others fare. Runs in the test's process, which plays the supervisor. */
#ifndef ABX_TESTS_HOST_ATTACK_H
#define ABX_TESTS_HOST_ATTACK_H

#include "guest.h"
#include "host/compiler/compiler.h"

#include <time.h>

/* So long somebody who is served may wait on a busy machine; who is not waits for ever. */
#define ATTACK_PATIENCE_MS 60000

struct compiler {
    int supervisor; /* to it */
    int pid;
};

/* The arcbox-compiler beside ARCBOXD, with a cache of its own. */
void compiler_start(struct compiler *c);
void compiler_stop(struct compiler *c);
/* A worker's socket to it. */
int compiler_worker(struct compiler *c);
/* Asks for a pipeline of no library, which is answered with an error. -EAGAIN: the compiler reads
 * no more. */
int compiler_ask(int worker, uint64_t id);
/* Asks for a library. `sealed`: nobody can write the source any more. */
int compiler_ask_library(
        int worker, uint64_t id, const char *source, size_t padding_bytes, bool sealed);
/* The next answer. False: none came in time. */
bool compiler_answer(int worker, struct abx_compiler_answer *ret);

/* What a clock says, in nanoseconds. */
uint64_t spent_ns(clockid_t clock);
/* Of a process that may be gone: its resident memory, in bytes. */
uint64_t resident_bytes(int pid);
/* The first child of `parent` whose command line has `what` in it; 0: none. */
int child_of(int parent, const char *what);

#endif
