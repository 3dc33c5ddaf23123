/* backend/cuda: the functions of NVIDIA's driver library that ArcBox calls, found at run time:
 * building needs no SDK, and a machine without a driver loses nothing. Any process.
 *
 * Types and numbers are those of cuda.h; names are the versioned ones, which keep their meaning. */
#ifndef ABX_BACKEND_CUDA_DRIVER_H
#define ABX_BACKEND_CUDA_DRIVER_H

#include "base/base.h"

typedef unsigned long long abx_cu_address; /* CUdeviceptr */
typedef struct abx_cu_context *abx_cu_context;
typedef struct abx_cu_stream *abx_cu_stream;
typedef struct abx_cu_event *abx_cu_event;
typedef struct abx_cu_module *abx_cu_module;
typedef struct abx_cu_function *abx_cu_function;
typedef struct abx_cu_graph *abx_cu_graph;
typedef struct abx_cu_node *abx_cu_node;
typedef struct abx_cu_exec *abx_cu_exec;
typedef unsigned long long abx_cu_memory; /* CUmemGenericAllocationHandle */

/* CUresult, as far as they mean something here. */
enum {
    ABX_CU_OK = 0,
    ABX_CU_OUT_OF_MEMORY = 2,
    ABX_CU_NOT_INITIALIZED = 3,
    ABX_CU_DEINITIALIZED = 4,
    ABX_CU_NO_DEVICE = 100,
    ABX_CU_INVALID_CONTEXT = 201,
    ABX_CU_ECC = 214,
    ABX_CU_NVLINK = 220,
    ABX_CU_OPERATING_SYSTEM = 304,
    ABX_CU_NOT_READY = 600,
    ABX_CU_ILLEGAL_ADDRESS = 700,
    ABX_CU_OUT_OF_RESOURCES = 701,
    ABX_CU_LAUNCH_TIMEOUT = 702,
    ABX_CU_CONTEXT_DESTROYED = 709,
    ABX_CU_ASSERT = 710,
    ABX_CU_HARDWARE_STACK = 714,
    ABX_CU_ILLEGAL_INSTRUCTION = 715,
    ABX_CU_MISALIGNED = 716,
    ABX_CU_ADDRESS_SPACE = 717,
    ABX_CU_INVALID_PC = 718,
    ABX_CU_LAUNCH_FAILED = 719,
    ABX_CU_UNKNOWN = 999,
};

/* CUdevice_attribute */
enum {
    ABX_CU_CAPABILITY_MAJOR = 75,
    ABX_CU_CAPABILITY_MINOR = 76,
    ABX_CU_PCI_BUS = 33,
    ABX_CU_PCI_DEVICE = 34,
    ABX_CU_PCI_DOMAIN = 50,
    ABX_CU_COMPUTE_MODE = 20,
    ABX_CU_PROCESSORS = 16,
};

/* CUfunction_attribute */
enum { ABX_CU_FUNCTION_MAX_THREADS = 0, ABX_CU_FUNCTION_SHARED = 1, ABX_CU_FUNCTION_LOCAL = 3 };

/* CUmemLocation, CUmemAllocationProp, CUmemAccessDesc */
struct abx_cu_location {
    int type; /* 1: a device */
    int id;
};
struct abx_cu_allocation {
    int type; /* 1: pinned */
    int handle_types;
    struct abx_cu_location location;
    void *win32;
    struct {
        unsigned char compression, gpu_direct;
        unsigned short usage;
        unsigned char reserved[4];
    } flags;
};
struct abx_cu_access {
    struct abx_cu_location location;
    int flags; /* 3: read and write */
};

/* CUDA_KERNEL_NODE_PARAMS_v2 */
struct abx_cu_kernel_node {
    abx_cu_function function;
    unsigned grid[3], block[3], shared;
    void **parameters, **extra;
    void *kernel;
    abx_cu_context context;
};

/* CUgraphEdgeData */
struct abx_cu_edge {
    unsigned char from_port, to_port, type, reserved[5];
};
/* The next kernel's threads may come when this one's have all begun, and wait themselves. */
#define ABX_CU_EDGE_EARLY ((struct abx_cu_edge){.from_port = 1, .type = 1})

/* Flags. */
#define ABX_CU_CONTEXT_KEEP_LOCAL 0x10u /* CU_CTX_LMEM_RESIZE_TO_MAX */
#define ABX_CU_HOST_PORTABLE_MAPPED 3u
#define ABX_CU_STREAM_NON_BLOCKING 1u
#define ABX_CU_EVENT_NO_TIMING 2u
#define ABX_CU_JIT_ERROR_LOG 5
#define ABX_CU_JIT_ERROR_LOG_BYTES 6
#define ABX_CU_LAUNCH_BUFFER ((void *)1)
#define ABX_CU_LAUNCH_BUFFER_SIZE ((void *)2)

/* X(name here, symbol, parameters) */
/* clang-format off */
#define ABX_CU_FUNCTIONS(X) \
    X(init, cuInit, (unsigned)) \
    X(driver_version, cuDriverGetVersion, (int *)) \
    X(device_count, cuDeviceGetCount, (int *)) \
    X(device_get, cuDeviceGet, (int *, int)) \
    X(device_name, cuDeviceGetName, (char *, int, int)) \
    X(device_attribute, cuDeviceGetAttribute, (int *, int, int)) \
    X(device_memory, cuDeviceTotalMem_v2, (size_t *, int)) \
    X(context_create, cuCtxCreate_v2, (abx_cu_context *, unsigned, int)) \
    X(context_destroy, cuCtxDestroy_v2, (abx_cu_context)) \
    X(context_set, cuCtxSetCurrent, (abx_cu_context)) \
    X(address_reserve, cuMemAddressReserve, \
        (abx_cu_address *, size_t, size_t, abx_cu_address, unsigned long long)) \
    X(address_free, cuMemAddressFree, (abx_cu_address, size_t)) \
    X(memory_create, cuMemCreate, \
        (abx_cu_memory *, size_t, const struct abx_cu_allocation *, unsigned long long)) \
    X(memory_release, cuMemRelease, (abx_cu_memory)) \
    X(memory_map, cuMemMap, (abx_cu_address, size_t, size_t, abx_cu_memory, unsigned long long)) \
    X(memory_unmap, cuMemUnmap, (abx_cu_address, size_t)) \
    X(memory_access, cuMemSetAccess, \
        (abx_cu_address, size_t, const struct abx_cu_access *, size_t)) \
    X(memory_granularity, cuMemGetAllocationGranularity, \
        (size_t *, const struct abx_cu_allocation *, int)) \
    X(host_register, cuMemHostRegister_v2, (void *, size_t, unsigned)) \
    X(host_unregister, cuMemHostUnregister, (void *)) \
    X(host_address, cuMemHostGetDevicePointer_v2, (abx_cu_address *, void *, unsigned)) \
    X(host_alloc, cuMemHostAlloc, (void **, size_t, unsigned)) \
    X(host_free, cuMemFreeHost, (void *)) \
    X(alloc, cuMemAlloc_v2, (abx_cu_address *, size_t)) \
    X(free, cuMemFree_v2, (abx_cu_address)) \
    X(copy, cuMemcpyAsync, (abx_cu_address, abx_cu_address, size_t, abx_cu_stream)) \
    X(fill, cuMemsetD8Async, (abx_cu_address, unsigned char, size_t, abx_cu_stream)) \
    X(module_load, cuModuleLoadDataEx, (abx_cu_module *, const void *, unsigned, int *, void **)) \
    X(module_unload, cuModuleUnload, (abx_cu_module)) \
    X(module_function, cuModuleGetFunction, (abx_cu_function *, abx_cu_module, const char *)) \
    X(function_attribute, cuFuncGetAttribute, (int *, int, abx_cu_function)) \
    X(launch, cuLaunchKernel, (abx_cu_function, unsigned, unsigned, unsigned, unsigned, unsigned, \
        unsigned, unsigned, abx_cu_stream, void **, void **)) \
    X(stream_create, cuStreamCreate, (abx_cu_stream *, unsigned)) \
    X(stream_destroy, cuStreamDestroy_v2, (abx_cu_stream)) \
    X(stream_query, cuStreamQuery, (abx_cu_stream)) \
    X(stream_synchronize, cuStreamSynchronize, (abx_cu_stream)) \
    X(stream_wait, cuStreamWaitEvent, (abx_cu_stream, abx_cu_event, unsigned)) \
    X(stream_write, cuStreamWriteValue32_v2, (abx_cu_stream, abx_cu_address, uint32_t, unsigned)) \
    X(event_create, cuEventCreate, (abx_cu_event *, unsigned)) \
    X(event_record, cuEventRecord, (abx_cu_event, abx_cu_stream)) \
    X(event_query, cuEventQuery, (abx_cu_event)) \
    X(event_synchronize, cuEventSynchronize, (abx_cu_event)) \
    X(event_destroy, cuEventDestroy_v2, (abx_cu_event)) \
    X(graph_create, cuGraphCreate, (abx_cu_graph *, unsigned)) \
    X(graph_add_kernel, cuGraphAddKernelNode_v2, (abx_cu_node *, abx_cu_graph, const abx_cu_node *, \
        size_t, const struct abx_cu_kernel_node *)) \
    X(graph_instantiate, cuGraphInstantiateWithFlags, \
        (abx_cu_exec *, abx_cu_graph, unsigned long long)) \
    X(graph_launch, cuGraphLaunch, (abx_cu_exec, abx_cu_stream)) \
    X(graph_destroy, cuGraphDestroy, (abx_cu_graph)) \
    X(exec_destroy, cuGraphExecDestroy, (abx_cu_exec)) \
    X(error_name, cuGetErrorName, (int, const char **)) \
    X(error_text, cuGetErrorString, (int, const char **))
/* Of newer drivers: NULL where it is missing. Release 545. */
#define ABX_CU_NEWER_FUNCTIONS(X) \
    X(graph_add_edges, cuGraphAddDependencies_v2, (abx_cu_graph, const abx_cu_node *, \
        const abx_cu_node *, const struct abx_cu_edge *, size_t))
/* clang-format on */

struct abx_cu_table {
#define ABX_CU_MEMBER(name, symbol, parameters) int(*name) parameters;
    ABX_CU_FUNCTIONS(ABX_CU_MEMBER)
    ABX_CU_NEWER_FUNCTIONS(ABX_CU_MEMBER)
#undef ABX_CU_MEMBER
};
extern struct abx_cu_table abx_cu;

/* Fills the table, once: 0, or -errno and in *why one line that says what to do. Any thread. */
int abx_cuda_load(char why[192]);
/* A kernel of the backend's own, in the thread's context. The driver's result; *ret_module is NULL,
 * or the caller's to unload, in either case. */
int abx_cuda_load_kernel(const char *ptx, const char *name, abx_cu_module *ret_module,
        abx_cu_function *ret_function);
/* A driver's error in words: "CUDA_ERROR_INVALID_VALUE (invalid argument)". */
void abx_cuda_error_text(int result, char text[128]);

/* library.c: what is opened, and the file that says that there is an NVIDIA driver. Programs of
 * tests have names of their own. */
extern const char *const abx_cuda_library, *const abx_cuda_control_file;
/* Of cuBLASLt, those to take first; the last is NULL. */
extern const char *const abx_cuda_matrix_libraries[];

#endif
