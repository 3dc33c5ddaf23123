/* A compile's child is killed by somebody else, as the kernel does when memory is short: it is
 * tried again, and the program notices nothing. Killed twice, it is an error that says so. */
#include "host_attack.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

/* Takes clang a while, with enough text to be different each time. */
static void source_of(char text[16384], unsigned serial)
{
    int n = snprintf(
            text, 16384, "// %u\n#include <metal_stdlib>\nusing namespace metal;\n", serial);
    for (unsigned i = 0; i < 60; i++)
        n += snprintf(text + n, (size_t)(16384 - n),
                "kernel void k%u(device float4 *x [[buffer(0)]], uint i "
                "[[thread_position_in_grid]])\n"
                "{ x[i] = sin(x[i]) * pow(x[i + %u], x[i]) + fast::normalize(x[i]); }\n",
                i, i);
}

/* The first child there is from now on. Its command line is its parent's: it is a fork. */
static int next_child(int compiler, int before)
{
    for (unsigned i = 0; i < ATTACK_PATIENCE_MS * 5; i++) {
        int pid = child_of(compiler, "arcbox-compiler");
        if (pid && pid != before)
            return pid;
        usleep(200);
    }
    return 0;
}

int main(void)
{
    static char text[16384];
    struct compiler c;
    struct abx_compiler_answer a;
    compiler_start(&c);
    int worker = compiler_worker(&c);
    CHECK(compiler_ask_library(worker, 1, "kernel void k() {}", 0, true) == 0);
    CHECK(compiler_answer(worker, &a) && a.error == 0);
    for (unsigned i = 2; i < 12; i++) {
        source_of(text, i);
        CHECK(compiler_ask_library(worker, i, text, 0, true) == 0);
        int pid = next_child(c.pid, 0);
        CHECK(pid && kill(pid, SIGKILL) == 0);
        CHECK(compiler_answer(worker, &a) && a.id == i);
        CHECK(a.error == 0);
    }
    source_of(text, 100);
    CHECK(compiler_ask_library(worker, 100, text, 0, true) == 0);
    int first = next_child(c.pid, 0);
    CHECK(first && kill(first, SIGKILL) == 0);
    int second = next_child(c.pid, first);
    CHECK(second && kill(second, SIGKILL) == 0);
    CHECK(compiler_answer(worker, &a) && a.id == 100 && a.error == -EINTR && a.message_bytes);
    close(worker);
    compiler_stop(&c);
    return 0;
}
