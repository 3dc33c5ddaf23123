/* The Objective-C tests' one assertion, which says where and never compiles to nothing. */
#ifndef ABX_TEST_CHECK_H
#define ABX_TEST_CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(...) \
    do { \
        if (!(__VA_ARGS__)) { \
            fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #__VA_ARGS__); \
            exit(1); \
        } \
    } while (0)
#define CHECK_TEXT(got, wanted) \
    do { \
        const char *got_ = (got), *wanted_ = (wanted); \
        if (!got_ || strcmp(got_, wanted_) != 0) { \
            fprintf(stderr, "%s:%d: %s is '%s', not '%s'\n", __FILE__, __LINE__, #got, \
                    got_ ? got_ : "(null)", wanted_); \
            exit(1); \
        } \
    } while (0)

#endif
