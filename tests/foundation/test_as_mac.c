// What a program finds in C's headers that is told it is on a Mac (-D__APPLE__), and asks for
// glibc's extensions: names that macOS has not are its own to define, and qsort_r() is macOS's.
#define _GNU_SOURCE
#include <mach/mach.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "../check.h"

typedef struct cpu_set {
    unsigned count;
} cpu_set_t;

static void CPU_ZERO(cpu_set_t *set)
{
    set->count = 0;
}

static void CPU_SET(int number, cpu_set_t *set)
{
    set->count |= 1u << number;
}

static int pthread_setaffinity_np(pthread_t thread, size_t size, cpu_set_t *set)
{
    thread_affinity_policy_data_t policy = {(int)set->count};
    return thread_policy_set(
            pthread_mach_thread_np(thread), THREAD_AFFINITY_POLICY, (thread_policy_t)&policy, 1);
}

/* As programs declare it that do not trust their headers. */
extern void qsort_r(void *base, size_t count, size_t size, void *context,
        int (*compare)(void *context, const void *a, const void *b));

static int by_table(void *table, const void *a, const void *b)
{
    const int *rank = table;
    return rank[*(const int *)a] - rank[*(const int *)b];
}

int main(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(1, &set);
    CHECK(set.count == 2 &&
            pthread_setaffinity_np(pthread_self(), sizeof set, &set) == KERN_NOT_SUPPORTED);
    int numbers[] = {0, 1, 2}, rank[] = {2, 0, 1};
    qsort_r(numbers, 3, sizeof *numbers, rank, by_table);
    CHECK(numbers[0] == 1 && numbers[1] == 2 && numbers[2] == 0);
    struct stat s;
    CHECK(stat("/", &s) == 0 && s.st_mtimespec.tv_sec == s.st_mtime);
    CHECK(s.st_atimespec.tv_sec > 0 && s.st_ctimespec.tv_sec > 0);
    CHECK(TIOCGETA == TCGETS && TIOCSETAW == TCSETSW);
    printf("ok\n");
    return 0;
}
