/* Hostile shaders as data; test_shaders.c says what their fields mean. */
#ifndef ABX_TESTS_HOSTILE_H
#define ABX_TESTS_HOSTILE_H

#include "guest.h"

struct hostile_case {
    const char *name;
    char wants[3][256]; /* any of them; "": none */
    char macros[1024];
    uint32_t macro_bytes;
    const char *source;
    size_t source_bytes;
};

/* Gives it to the host; true when what was wanted came of it. */
bool hostile_check(const struct hostile_case *c);
/* The generated cases; how many failed. */
unsigned hostile_check_large(void);

#endif
