/* backend/cuda: what the driver needs of a worker that has given up its rights: read off its system
 * calls (release 580). Each right is one more that a taken-over worker has; docs/threat-model.md
 * says what that comes to. */
#include "backend/cuda/cuda_internal.h"

#include <sys/syscall.h>

const char *const abx_cuda_files[] = {
        /* The devices: opened anew for each context, and for memory that is mapped. */
        "/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools", "/dev/nvidia0",
        "/dev/nvidia1", "/dev/nvidia2", "/dev/nvidia3", "/dev/nvidia4", "/dev/nvidia5",
        "/dev/nvidia6", "/dev/nvidia7",
        /* What the driver wants to know of its kernel modules and of this machine. */
        "/proc/driver/nvidia", "/proc/devices", "/sys/module/nvidia/initstate",
        "/sys/module/nvidia_uvm/initstate", "/proc/cpuinfo", "/proc/stat", "/proc/meminfo",
        "/proc/sys/vm/mmap_min_addr", "/sys/devices/system/cpu/online", "/sys/devices/system/node",
        "/sys/devices/system/memory/block_size_bytes",
        /* Its own addresses, among which it looks for free ones, and its threads' names. */
        "/proc/self", NULL};

const struct abx_backend_call abx_cuda_calls[] = {
        {SYS_ioctl, "everything that is asked of the GPU"},
        {SYS_openat, "the files above, once more: there are no others"},
        {SYS_faccessat, "the same: are the modules loaded?"},
        {SYS_readlinkat, "the same"},
#ifdef SYS_open
        {SYS_open, "the same"},
        {SYS_stat, "the same: before a device is opened"},
        {SYS_access, "the same: are the modules loaded?"},
        {SYS_readlink, "the same"},
#endif
        {SYS_pread64, "the same"},
        {SYS_getdents64, "the same: memory nodes"},
        {SYS_dup, "the driver keeps descriptors of its own"},
        {SYS_pipe2, "to wake its threads"},
        {SYS_geteuid, "whose files would it make?"},
        {SYS_uname, "which kernel is this?"},
        {SYS_get_mempolicy, "on which node to allocate"},
        {SYS_mbind, "on which node to allocate"},
        {SYS_sched_get_priority_max, "its threads"},
        {SYS_sched_get_priority_min, "its threads"},
        {SYS_sched_setaffinity, "its threads"},
        {SYS_prlimit64, "stacks of its threads; limits can only be lowered"},
        {0, NULL},
};
