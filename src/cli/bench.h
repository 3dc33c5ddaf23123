/* cli: `arcbox bench`, what its files share. */
#ifndef ABX_CLI_BENCH_H
#define ABX_CLI_BENCH_H

#include "backend/names.h"
#include "cli/cli.h"
#include "wire/transport/names.h"

#define MAX_RESULTS 64

struct bench_result {
    const char *name, *unit, *baseline_is;
    double value, baseline, ratio; /* NAN: not measured */
};

struct bench {
    struct bench_result results[MAX_RESULTS];
    unsigned count, step;
    char *self, *libraries, *baseline_libraries, *probe;
    bool quick;
};

void bench_add(struct bench *b, const char *name, const char *unit, double value, double baseline,
        const char *baseline_is, double ratio);

struct bench_run {
    char *output;
    int code;
    double milliseconds;
    long rss_kib;
};

/* The path of one of src/bench's programs, built or installed, the caller's to free; NULL: missing.
 */
char *bench_tool(const char *name);
/* env: pairs to set, NULL-terminated; a pair without "=" is unset. `quiet` drops what the program
 * says on its standard error. */
struct bench_run bench_run(char *const argv[], char *const env[], bool quiet);

/* The number after `name` and a space at the start of a line; NAN when there is none. */
double bench_number(const char *text, const char *name);

/* The folder of the training, with one for its data, where a python3 with tinygrad is; NULL, and it
 * has been said, where not. The caller's to free(). */
char *bench_digits(void);
void bench_vm(struct bench *b);     /* bench_vm.c */
void bench_driver(struct bench *b); /* bench_driver.c */
/* bench_compile.c: `ggml` may be NULL. */
void bench_compile(struct bench *b, const char *ggml);

#endif
