/* A worker in the guest's hands asks the compiler for much and reads no answer: another worker's
 * requests are answered all the same. Who reads after all gets every answer, in order. */
#include "host_attack.h"

#include <unistd.h>

#define ASKED 2000u

int main(void)
{
    struct compiler c;
    struct abx_compiler_answer a;
    compiler_start(&c);
    int hostile = compiler_worker(&c), other = compiler_worker(&c);
    uint64_t asked = 0;
    while (asked < ASKED && compiler_ask(hostile, asked + 1) == 0)
        asked++;
    CHECK(asked > 300); /* more than a socket holds */
    CHECK(compiler_ask(other, 1) == 0);
    CHECK(compiler_answer(other, &a) && a.id == 1 && a.error == -ENOENT);
    for (uint64_t i = 1; i <= asked; i++) {
        CHECK(compiler_answer(hostile, &a));
        CHECK(a.id == i && a.error == -ENOENT);
    }
    close(hostile);
    close(other);
    compiler_stop(&c);
    return 0;
}
