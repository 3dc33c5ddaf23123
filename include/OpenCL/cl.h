/* OpenCL's headers by their name on a Mac. They are Khronos' (Debian: opencl-c-headers, or a program's own). */
#if !__has_include(<CL/cl.h>)
#error "OpenCL/cl.h: no CL/cl.h found. Install OpenCL's headers (Debian: apt-get install opencl-c-headers)."
#endif
#include <CL/cl.h>
