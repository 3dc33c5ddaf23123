/* tests: the list of backends of arcboxd-test, in the place of src/backend/list.c. */
#include "discrete.h"

#include "backend/cuda/driver.h"

/* The null backend as if it took code for a GPU: what is compiled for it, and kept, is PTX. */
static struct abx_backend ptx_backend;

__attribute__((constructor)) static void make_ptx_backend(void)
{
    ptx_backend = abx_backend_null;
    ptx_backend.name = "ptx";
    ptx_backend.target = ABX_TARGET_NVPTX;
}

const struct abx_backend *const abx_backends[] = {&abx_backend_cpu, &abx_backend_null,
        &discrete_backend, &elsewhere_backend, &ptx_backend, &abx_backend_cuda, NULL};

/* The cuda backend's driver is the one that is made up (fake_cuda.c). */
const char *const abx_cuda_library = FAKE_CUDA;
const char *const abx_cuda_matrix_libraries[] = {"libarcbox-no-such-library.so", FAKE_CUDA, NULL};
const char *const abx_cuda_control_file = "/dev/null";
