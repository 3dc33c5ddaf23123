/* check: the tests' one assertion, and the one runner of cases.
 *
 * For C, Objective-C and C++. A check never compiles to nothing; the one that fails says where and
 * ends its process. The runner gives each case a process of its own, so that one cannot spoil the
 * next, with a time limit, and looks for descriptors that it has left open. */
#ifndef ABX_TESTS_CHECK_H
#define ABX_TESTS_CHECK_H

#include <dirent.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

#define CHECK(...)                                                                                 \
    do {                                                                                           \
        if (!(__VA_ARGS__))                                                                        \
            check_failed(__FILE__, __LINE__, #__VA_ARGS__);                                        \
    } while (0)
#define CHECK_TEXT(got, wanted)                                                                    \
    do {                                                                                           \
        const char *got_ = (got), *wanted_ = (wanted);                                             \
        if (!got_ || strcmp(got_, wanted_) != 0) {                                                 \
            fprintf(stderr, "'%s', not '%s'\n", got_ ? got_ : "(null)", wanted_);                  \
            check_failed(__FILE__, __LINE__, #got);                                                \
        }                                                                                          \
    } while (0)

static inline __attribute__((noreturn)) void check_failed(
        const char *file, int line, const char *text)
{
    fprintf(stderr, "%s:%d: failed: %s\n", file, line, text);
    exit(1);
}

struct check_case {
    const char *name;
    void (*run)(void);
    int keeps; /* more descriptors than check_suite.keeps */
};
/* CASE(test_add) is named "add". */
#define CASE(function) {check_name(#function), function, 0}
#define CASE_KEEPS(function, descriptors) {check_name(#function), function, descriptors}
#define check_name(text)                                                                           \
    ((text) + (strncmp(text, "test_", 5) == 0 ? 5 : strncmp(text, "check_", 6) == 0 ? 6 : 0))

struct check_suite {
    const struct check_case *cases;
    size_t count;
    unsigned seconds;     /* that a case may take */
    void (*before)(void); /* (optional) in each case's process */
    void (*after)(void);  /* (optional) the same, when it has passed */
    int keeps;            /* descriptors that live as long as the process by design */
};
#define CHECK_SUITE(table, ...)                                                                    \
    (&(const struct check_suite){                                                                  \
            .cases = (table), .count = sizeof(table) / sizeof *(table), __VA_ARGS__})

static inline int check_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    int count = -1; /* the folder's own */
    while (folder && readdir(folder))
        count++;
    if (folder)
        closedir(folder);
    return count;
}

/* Runs a case in this process, which it ends when it fails. */
static inline void check_here(const struct check_suite *s, const struct check_case *c)
{
    int before = check_descriptors();
    if (s->before)
        s->before();
    c->run();
    if (s->after)
        s->after();
    int left = check_descriptors() - before;
    if (left > s->keeps + c->keeps) {
        fprintf(stderr, "%s: left %d descriptors open\n", c->name, left);
        exit(1);
    }
}

/* The process in which a case runs: this program again, which runs that one alone, or where it does
 * not know its own name a fork. (Forks of programs with many locks are nothing for
 * ThreadSanitizer.)
 */
static inline pid_t check_start(
        const struct check_suite *s, const struct check_case *c, char *const *argv)
{
    pid_t pid;
    fflush(NULL);
    if (argv) {
        char *const again[] = {argv[0], (char *)(uintptr_t)c->name, NULL};
        setenv("ARCBOX_TEST_ALARM", "1", 1);
        int r = posix_spawn(&pid, "/proc/self/exe", NULL, NULL, again, environ);
        unsetenv("ARCBOX_TEST_ALARM");
        return r ? -1 : pid;
    }
    pid = fork();
    if (pid == 0) {
        alarm(s->seconds);
        check_here(s, c);
        exit(0);
    }
    return pid;
}

/* Runs a case in a process of its own. Whether it passed. */
static inline bool check_apart(
        const struct check_suite *s, const struct check_case *c, char *const *argv)
{
    int status = -1;
    struct timespec begin, end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    pid_t pid = check_start(s, c, argv);
    while (pid > 0 && waitpid(pid, &status, 0) < 0)
        ;
    clock_gettime(CLOCK_MONOTONIC, &end);
    printf("%s %s (%.1f ms)", status == 0 ? "ok" : "not ok", c->name,
            (double)(end.tv_sec - begin.tv_sec) * 1e3 +
                    (double)(end.tv_nsec - begin.tv_nsec) / 1e6);
    if (WIFSIGNALED(status))
        printf(": %s", WTERMSIG(status) == SIGALRM ? "out of time" : strsignal(WTERMSIG(status)));
    printf("\n");
    return status == 0;
}

/* Runs all cases, each in a process of its own; or those whose names are given; a single one that
 * is named in this process, where a debugger sees it. Returns main()'s status. The caller has no
 * threads: what needs some starts them in `before`. */
static inline int check_run(int argc, char *const *argv, const struct check_suite *s)
{
    /* qemu-user dies when a forked child makes a thread. */
    bool here = argc == 2 || getenv("ARCBOX_TEST_EMULATED");
    int failed = 0, ran = 0;
    for (size_t i = 0; i < s->count; i++) {
        bool wanted = argc < 2;
        for (int a = 1; a < argc; a++)
            wanted |= strcmp(argv[a], s->cases[i].name) == 0;
        if (!wanted)
            continue;
        ran++;
        if (here && getenv("ARCBOX_TEST_ALARM"))
            alarm(s->seconds);
        if (here)
            check_here(s, &s->cases[i]);
        else
            failed += !check_apart(s, &s->cases[i], argv);
    }
    if (!ran)
        fprintf(stderr, "no case of that name\n");
    return failed || !ran;
}

#endif
