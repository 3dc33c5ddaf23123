/* backend: looking through the list of them (list.c). Any process. */
#include "backend/backend.h"

#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct abx_backend *abx_backend_find(const char *name)
{
    char why[192];
    bool any = !name || !*name;
    size_t length = any ? 0 : strcspn(name, ":");
    if (!any && name[length] && !isdigit((unsigned char)name[length + 1]))
        return NULL;
    for (const struct abx_backend *const *b = abx_backends; *b; b++)
        if (any ? abx_backend_usable(*b, why, sizeof why) == 0
                : strlen((*b)->name) == length && memcmp((*b)->name, name, length) == 0)
            return *b;
    return NULL;
}

unsigned abx_backend_index(const char *name)
{
    const char *colon = name ? strchr(name, ':') : NULL;
    unsigned long n = colon ? strtoul(colon + 1, NULL, 10) : 0;
    return n < UINT_MAX ? (unsigned)n : UINT_MAX;
}

int abx_backend_usable(const struct abx_backend *backend, char *ret_why, size_t capacity)
{
    return backend->usable ? backend->usable(ret_why, capacity) : 0;
}

uint32_t abx_backend_processor(const char *name)
{
    const struct abx_backend *backend = abx_backend_find(name);
    return backend && backend->processor ? backend->processor(abx_backend_index(name)) : 0;
}

const char *abx_backend_names(void)
{
    static char names[256];
    size_t n = 0;
    for (const struct abx_backend *const *b = abx_backends; *b && n < sizeof names; b++)
        n += (size_t)snprintf(names + n, sizeof names - n, "%s%s", n ? ", " : "", (*b)->name);
    return names;
}
