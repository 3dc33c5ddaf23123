/* backend: looking through the list of them (list.c). Any process. */
#include "backend/backend.h"

#include <stdio.h>
#include <string.h>

const struct abx_backend *abx_backend_find(const char *name)
{
    char why[192];
    bool any = !name || !*name;
    for (const struct abx_backend *const *b = abx_backends; *b; b++)
        if (any ? abx_backend_usable(*b, why, sizeof why) == 0 : strcmp((*b)->name, name) == 0)
            return *b;
    return NULL;
}

int abx_backend_usable(const struct abx_backend *backend, char *ret_why, size_t capacity)
{
    return backend->usable ? backend->usable(ret_why, capacity) : 0;
}

const char *abx_backend_names(void)
{
    static char names[256];
    size_t n = 0;
    for (const struct abx_backend *const *b = abx_backends; *b && n < sizeof names; b++)
        n += (size_t)snprintf(names + n, sizeof names - n, "%s%s", n ? ", " : "", (*b)->name);
    return names;
}
