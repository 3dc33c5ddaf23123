#include <OpenCL/cl.h>
#include <CL/opencl.h>
