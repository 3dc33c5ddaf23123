/* What must hold of the rewriter whatever it is given; used by the test and by the fuzzer. */
#ifndef REWRITE_CHECK_H
#define REWRITE_CHECK_H

#include "shader/rewrite/rewrite.h"

#include <stdlib.h>
#include <string.h>

static size_t count_lines(const char *text, size_t length)
{
    size_t lines = 0;
    for (const char *p = text; (p = memchr(p, '\n', (size_t)(text + length - p))); p++)
        lines++;
    return lines;
}

static void check_rewrite(const void *data, size_t length)
{
    char *text = malloc(length + 1); /* of its exact size, for the address checker */
    assert(text);
    memcpy(text, data, length);
    text[length] = 0;
    struct abx_rewrite result;
    struct abx_rewrite_options options = {.relaxed = length & 1, .language_version = 0x30001};
    int rc = abx_rewrite_run(text, length, &options, &result);
    assert(rc == 0 || rc == -E2BIG);
    if (!rc) {
        assert(strlen(result.text) <= result.text_length);
        assert(count_lines(text, length) == count_lines(result.text, result.text_length));
        for (size_t at = 0; at <= result.text_length; at += 7)
            assert(abx_rewrite_locate(&result, at) <= length);
        for (uint32_t i = 0; i < result.refusal_count; i++)
            assert(result.refusals[i].position <= length);
        for (uint32_t i = 0; i < result.kernel_count; i++)
            assert(abx_range_ok(result.kernels[i].first_argument, result.kernels[i].argument_count,
                    result.argument_count));
        /* Any place that clang might point to. */
        size_t middle = result.text_length / 2;
        if (!abx_rewrite_wrap(&result, text, length, middle, middle + 1, "(", ")")) {
            rc = abx_rewrite_rebuild(&result, text, length);
            assert(rc == 0 || rc == -E2BIG);
        }
    }
    abx_rewrite_finish(&result);
    free(text);
}

#endif
