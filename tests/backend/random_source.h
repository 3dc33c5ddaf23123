/* tests/backend: writes random Metal kernels whose result does not depend on how threads are run:
 * integers only, no races, barriers in uniform flow, SIMD-group functions where Metal says which
 * threads are active. The same seed gives the same text. */
#ifndef TESTS_BACKEND_RANDOM_SOURCE_H
#define TESTS_BACKEND_RANDOM_SOURCE_H

#include "base/base.h"

/* What a kernel sees: buffer 0: 4096 ints; 1: RANDOM_WORDS ints a thread, its own; 2: 16 small
 * positive ints. */
#define RANDOM_WORDS 8

/* Appends `kernel void k<number>(...) { ... }`. */
void random_kernel(struct abx_string *out, uint64_t seed, unsigned number);
const char *random_prelude(void);

#endif
