// What the guest library costs a program that does nothing with it: time to load, memory; and the
// price of a message. Limits are the project's own, widened for a busy machine.
#include <objc/message.h>
#include <objc/runtime.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static long rss_kb(void)
{
    char line[256];
    long value = -1;
    FILE *status = fopen("/proc/self/status", "r");
    while (status && fgets(line, sizeof(line), status))
        if (strncmp(line, "VmRSS:", 6) == 0)
            value = atol(line + 6);
    if (status)
        fclose(status);
    return value;
}

static double start_ms(char *self)
{
    double best = 1e9;
    for (int i = 0; i < 10; i++) {
        double start = now_ms();
        pid_t child = fork();
        if (child == 0) {
            execl(self, self, "empty", (char *)NULL);
            _exit(127);
        }
        int status;
        waitpid(child, &status, 0);
        double took = now_ms() - start;
        if (status != 0)
            exit(1);
        best = took < best ? took : best;
    }
    return best;
}

int main(int argc, char **argv)
{
    long rss = rss_kb();
    if (argc > 1)
        return 0;
    bool emulated = getenv("ARCBOX_TEST_EMULATED"); /* cannot execute itself */
    double start = emulated ? 0 : start_ms(argv[0]);
    id object = class_createInstance(objc_getClass("NSObject"), 0);
    SEL selector = sel_registerName("self");
    id (*send)(id, SEL) = (id(*)(id, SEL))objc_msgSend;
    double best = 1e9;
    for (int round = 0; round < 20; round++) {
        double begin = now_ms();
        for (int i = 0; i < 200000; i++)
            send(object, selector);
        double ns = (now_ms() - begin) * 1e6 / 200000;
        best = ns < best ? ns : best;
    }
    printf("start %.2f ms, %ld kB, message %.2f ns\n", start, rss, best);
    if (emulated)
        return 0;
    return start < 10 && rss < 6000 && best < 20 ? 0 : 1;
}
