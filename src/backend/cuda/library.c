/* backend/cuda: the driver's library and control file. Tests link others in their place. */
#include "backend/cuda/driver.h"

const char *const abx_cuda_library = "libcuda.so.1";
const char *const abx_cuda_control_file = "/dev/nvidiactl";
const char *const abx_cuda_matrix_libraries[] = {"libcublasLt.so.13", "libcublasLt.so.12", NULL};
