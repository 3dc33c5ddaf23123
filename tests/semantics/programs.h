/* tests/semantics: Metal programs that check themselves. Each kernel is dispatched in several
 * shapes, some of which leave SIMD-groups and threadgroups partly filled. It is given
 *
 *   device uint *line [[buffer(0)]]           a word a thread, 0: where it puts the number of the
 *                                             source line of the first thing that does not hold
 *   device const uint *data [[buffer(1)]]     DATA_WORDS words that no compiler can guess
 *   device uint *scratch [[buffer(2)]]        SCRATCH_WORDS words, zeroed before each dispatch
 *
 * and must be dispatched in one dimension. */
#ifndef TESTS_SEMANTICS_PROGRAMS_H
#define TESTS_SEMANTICS_PROGRAMS_H

#include "tests/backend/rig.h"

extern struct rig rig;
extern unsigned checked, failures;

void fill_data(void); /* before the first */
void run_kernel(
        const char *file, const char *kernel, const char *mode, struct abx_pipeline *pipeline);

#endif
