/* Compiled with -std=c99, which on a Mac hides nothing of the C library: what its headers show
 * unasked, and the functions of macOS that are not glibc's. */
#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                        \
            return 1;                                                                              \
        }                                                                                          \
    } while (0)

int main(void)
{
    char path[PATH_MAX], *copy = strdup("A name"), *printed = NULL;
    struct sigaction action = {.sa_handler = SIG_IGN};
    struct timespec now;
    Dl_info info;
    CHECK(copy && strcasecmp(copy, "a NAME") == 0 && strcasestr(copy, "N") == copy + 2);
    CHECK(memmem(copy, 6, "am", 2) == copy + 3);
    CHECK(asprintf(&printed, "%s %d", copy, 1) == 8 && strcmp(printed, "A name 1") == 0);
    CHECK(strlcpy(path, printed, 4) == 8 && strcmp(path, "A n") == 0);
    CHECK(sigemptyset(&action.sa_mask) == 0 && sigaction(SIGPIPE, &action, NULL) == 0);
    CHECK(clock_gettime(CLOCK_MONOTONIC, &now) == 0 && flock(fileno(stdin), LOCK_UN) <= 0);
    CHECK(dladdr((void *)(size_t)main, &info) && info.dli_fname && dlsym(RTLD_DEFAULT, "strdup"));
    CHECK(pthread_setname_np("a thread") == 0); /* the calling one, as on a Mac */
    CHECK(pthread_getname_np(pthread_self(), path, sizeof path) == 0 &&
            strcmp(path, "a thread") == 0);
    free(copy);
    free(printed);
    return 0;
}
