/* base: NVIDIA's libraries that do not come with the driver: cuBLASLt for the worker, nvJitLink for
 * the compiler. Any process, before it gives up rights.
 *
 * They run with the rights of whoever opens them, so they are taken from where the dynamic linker
 * looks, which is root's business and the user's (LD_LIBRARY_PATH), and from folders that are
 * root's. Not from $VIRTUAL_ENV: that is often mounted into containers, for them to write to. */
#include "base/base.h"

#include <dlfcn.h>
#include <glob.h>
#include <stdio.h>

const char *const abx_assembler_libraries[] = {"libnvJitLink.so.13", "libnvJitLink.so.12", NULL};

/* Of CUDA's own installer, which tells the dynamic linker in most cases only; of `pip install` as
 * root. */
static const char *const folders[] = {"/usr/local/cuda/lib64", "/opt/cuda/lib64",
        "/usr/local/lib/python3*/dist-packages/nvidia/*/lib",
        "/usr/local/lib/python3*/site-packages/nvidia/*/lib",
        "/usr/lib/python3*/dist-packages/nvidia/*/lib"};

static void *open_in(const char *folder, const char *name)
{
    char pattern[256];
    glob_t found;
    void *library = NULL;
    snprintf(pattern, sizeof pattern, "%s/%s", folder, name);
    if (glob(pattern, GLOB_NOSORT, NULL, &found) != 0)
        return NULL;
    for (size_t i = 0; i < found.gl_pathc && !library; i++)
        library = dlopen(found.gl_pathv[i], RTLD_NOW | RTLD_LOCAL);
    globfree(&found);
    return library;
}

void *abx_open_cuda_library(const char *const names[])
{
    for (; *names; names++) {
        void *library = dlopen(*names, RTLD_NOW | RTLD_LOCAL);
        for (size_t i = 0; i < ABX_ARRAY_SIZE(folders) && !library; i++)
            library = open_in(folders[i], *names);
        if (library)
            return library;
    }
    return NULL;
}
