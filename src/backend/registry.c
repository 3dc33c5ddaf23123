/* backend: the list of them. Any process. */
#include "backend/backend.h"

#include <string.h>

const struct abx_backend *const abx_backends[] = {&abx_backend_cpu, &abx_backend_null, NULL};

const struct abx_backend *abx_backend_find(const char *name)
{
    if (!name || !*name)
        return abx_backends[0];
    for (const struct abx_backend *const *b = abx_backends; *b; b++)
        if (strcmp((*b)->name, name) == 0)
            return *b;
    return NULL;
}

const char *abx_backend_names(void)
{
    static char names[ABX_ARRAY_SIZE(abx_backends) * 18];
    char text[sizeof names] = "";
    for (const struct abx_backend *const *b = abx_backends; *b; b++) {
        strcat(text, *text ? ", " : "");
        strcat(text, (*b)->name);
    }
    return strcpy(names, text);
}
