/* backend/cuda: loading the driver's library. Any process; the library is the system's and trusted.
 */
#include "backend/cuda/driver.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

/* Older ones lack functions of the table or read only older PTX. */
#define OLDEST_DRIVER 12000 /* of CUDA 12.0: release 525 */

struct abx_cu_table abx_cu;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool loaded;

static int find_all(void *library, char why[192])
{
    static const char *const symbols[] = {
#define SYMBOL(name, symbol, parameters) #symbol,
            ABX_CU_FUNCTIONS(SYMBOL)
#undef SYMBOL
    };
    void **entries = (void **)&abx_cu;
    for (size_t i = 0; i < ABX_ARRAY_SIZE(symbols); i++) {
        entries[i] = dlsym(library, symbols[i]);
        if (!entries[i]) {
            snprintf(why, 192, "NVIDIA's driver is too old (no %s): install release 525 or newer",
                    symbols[i]);
            return -ENOSYS;
        }
    }
#define NEWER(name, symbol, parameters) *(void **)&abx_cu.name = dlsym(library, #symbol);
    ABX_CU_NEWER_FUNCTIONS(NEWER)
#undef NEWER
    return 0;
}

static int initialise(char why[192])
{
    int version = 0;
    char text[128];
    int result = abx_cu.init(0);
    if (result == ABX_CU_NO_DEVICE) {
        snprintf(why, 192, "NVIDIA's driver finds no device: see nvidia-smi");
        return -ENODEV;
    }
    if (result) {
        abx_cuda_error_text(result, text);
        snprintf(why, 192, "NVIDIA's driver does not start: %s; see nvidia-smi", text);
        return -EIO;
    }
    if (abx_cu.driver_version(&version) || version < OLDEST_DRIVER) {
        snprintf(why, 192, "NVIDIA's driver is for CUDA %d.%d: install release 525 or newer",
                version / 1000, version % 1000 / 10);
        return -ENOSYS;
    }
    return 0;
}

static int load(char why[192])
{
    /* Kernels are loaded when their pipeline is made, not in the middle of a command buffer. */
    setenv("CUDA_MODULE_LOADING", "EAGER", 1);
    void *library = dlopen(abx_cuda_library, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        snprintf(why, 192, "there is no NVIDIA driver library (%s): install the driver's libcuda",
                abx_cuda_library);
        return -ENOENT;
    }
    int r = find_all(library, why);
    if (r == 0)
        r = initialise(why);
    if (r < 0)
        dlclose(library);
    return r;
}

int abx_cuda_load(char why[192])
{
    pthread_mutex_lock(&lock);
    int r = loaded ? 0 : load(why);
    loaded = r == 0;
    pthread_mutex_unlock(&lock);
    return r;
}

int abx_cuda_load_kernel(
        const char *ptx, const char *name, abx_cu_module *ret_module, abx_cu_function *ret_function)
{
    *ret_module = NULL;
    int result = abx_cu.module_load(ret_module, ptx, 0, NULL, NULL);
    return result ? result : abx_cu.module_function(ret_function, *ret_module, name);
}

void abx_cuda_error_text(int result, char text[128])
{
    const char *name = NULL, *meaning = NULL;
    if (abx_cu.error_name(result, &name) || abx_cu.error_text(result, &meaning) || !name)
        snprintf(text, 128, "CUDA error %d", result);
    else
        snprintf(text, 128, "%s (%s)", name, meaning ? meaning : "");
}
