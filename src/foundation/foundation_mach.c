/* foundation: the calls of macOS's system library that Metal programs make: memory, time, facts
 * about the machine, unfair locks. Guest's process; trusts it. */
#include "foundation_version.h"
#include "foundation/foundation_internal.h"
#include "mach/mach.h"
#include "os/lock.h"
#include "sys/sysctl.h"

#include <sched.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

ABX_EXPORT mach_port_t mach_task_self_ = 0x103;
ABX_EXPORT vm_size_t vm_page_size = 4096, vm_page_mask = 4095, vm_kernel_page_size = 4096;
ABX_EXPORT int vm_page_shift = 12;

__attribute__((constructor(101))) static void start(void)
{
    vm_page_size = vm_kernel_page_size = (vm_size_t)sysconf(_SC_PAGESIZE);
    vm_page_mask = vm_page_size - 1;
    vm_page_shift = __builtin_ctzl(vm_page_size);
}

/* ---- memory */

ABX_EXPORT kern_return_t vm_allocate(
        vm_map_t task, vm_address_t *address, vm_size_t size, int flags)
{
    if (!address || task != mach_task_self_)
        return KERN_INVALID_ARGUMENT;
    void *hint = flags & VM_FLAGS_ANYWHERE ? NULL : (void *)*address;
    void *memory = mmap(hint, size, PROT_READ | PROT_WRITE,
            MAP_PRIVATE | MAP_ANONYMOUS | (hint ? MAP_FIXED_NOREPLACE : 0), -1, 0);
    if (memory == MAP_FAILED)
        return KERN_NO_SPACE;
    *address = (vm_address_t)memory;
    return KERN_SUCCESS;
}

ABX_EXPORT kern_return_t vm_deallocate(vm_map_t task, vm_address_t address, vm_size_t size)
{
    if (task != mach_task_self_)
        return KERN_INVALID_ARGUMENT;
    return size == 0 || munmap((void *)address, size) == 0 ? KERN_SUCCESS : KERN_INVALID_ARGUMENT;
}

ABX_EXPORT kern_return_t vm_protect(vm_map_t task, vm_address_t address, vm_size_t size,
        boolean_t maximum, vm_prot_t protection)
{
    int flags = (protection & VM_PROT_READ ? PROT_READ : 0) |
                (protection & VM_PROT_WRITE ? PROT_WRITE : 0) |
                (protection & VM_PROT_EXECUTE ? PROT_EXEC : 0);
    if (task != mach_task_self_ || mprotect((void *)address, size, flags) != 0)
        return KERN_INVALID_ARGUMENT;
    return KERN_SUCCESS;
}

ABX_EXPORT kern_return_t mach_vm_allocate(
        vm_map_t task, mach_vm_address_t *address, mach_vm_size_t size, int flags)
{
    return vm_allocate(task, (vm_address_t *)address, size, flags);
}

ABX_EXPORT kern_return_t mach_vm_deallocate(
        vm_map_t task, mach_vm_address_t address, mach_vm_size_t size)
{
    return vm_deallocate(task, address, size);
}

/* ---- the machine's memory */

ABX_EXPORT mach_port_t mach_host_self(void)
{
    return 0x203;
}

ABX_EXPORT kern_return_t mach_port_deallocate(task_t task, mach_port_t port)
{
    return KERN_SUCCESS;
}

ABX_EXPORT kern_return_t host_page_size(host_t host, vm_size_t *size)
{
    *size = vm_page_size;
    return KERN_SUCCESS;
}

/* "Name:   number kB" of /proc/meminfo, in pages. */
static uint64_t pages_of(const char *text, const char *name)
{
    const char *found = strstr(text, name);
    return found ? strtoull(found + strlen(name), NULL, 10) * 1024 / vm_page_size : 0;
}

static bool read_statistics(vm_statistics64_data_t *s)
{
    char text[4096];
    FILE *file = fopen("/proc/meminfo", "re");
    size_t n = file ? fread(text, 1, sizeof text - 1, file) : 0;
    if (file)
        fclose(file);
    text[n] = 0;
    memset(s, 0, sizeof *s);
    s->free_count = (natural_t)pages_of(text, "MemFree:");
    s->active_count = (natural_t)pages_of(text, "\nActive:");
    s->inactive_count = (natural_t)pages_of(text, "\nInactive:");
    s->wire_count = (natural_t)(pages_of(text, "Unevictable:") + pages_of(text, "\nSlab:") +
                                pages_of(text, "PageTables:") + pages_of(text, "KernelStack:"));
    s->external_page_count = (natural_t)pages_of(text, "\nCached:");
    s->internal_page_count = (natural_t)pages_of(text, "AnonPages:");
    return n > 0;
}

ABX_EXPORT kern_return_t host_statistics64(
        host_t host, host_flavor_t flavor, host_info64_t info, mach_msg_type_number_t *count)
{
    vm_statistics64_data_t s;
    if (flavor != HOST_VM_INFO64 || *count < HOST_VM_INFO64_COUNT || !read_statistics(&s))
        return KERN_INVALID_ARGUMENT;
    memcpy(info, &s, sizeof s);
    *count = HOST_VM_INFO64_COUNT;
    return KERN_SUCCESS;
}

ABX_EXPORT kern_return_t host_statistics(
        host_t host, host_flavor_t flavor, host_info_t info, mach_msg_type_number_t *count)
{
    vm_statistics64_data_t s;
    if (flavor != HOST_VM_INFO || *count < HOST_VM_INFO_COUNT || !read_statistics(&s))
        return KERN_INVALID_ARGUMENT;
    vm_statistics_data_t old = {.free_count = s.free_count,
            .active_count = s.active_count,
            .inactive_count = s.inactive_count,
            .wire_count = s.wire_count};
    memcpy(info, &old, sizeof old);
    *count = HOST_VM_INFO_COUNT;
    return KERN_SUCCESS;
}

/* ---- threads */

ABX_EXPORT mach_port_t mach_thread_self(void)
{
    return (mach_port_t)gettid();
}

ABX_EXPORT mach_port_t pthread_mach_thread_np(pthread_t thread);
mach_port_t pthread_mach_thread_np(pthread_t thread)
{
    clockid_t clock; /* the one place where glibc tells another thread's number: bits 3 and up,
                        inverted */
    if (pthread_equal(thread, pthread_self()))
        return mach_thread_self();
    return pthread_getcpuclockid(thread, &clock) == 0 ? (mach_port_t) ~(clock >> 3) : 0;
}

ABX_EXPORT kern_return_t thread_policy_set(thread_act_t thread, thread_policy_flavor_t flavor,
        thread_policy_t policy, mach_msg_type_number_t count)
{
    return flavor == THREAD_AFFINITY_POLICY ? KERN_NOT_SUPPORTED : KERN_INVALID_ARGUMENT;
}

ABX_EXPORT const char *mach_error_string(kern_return_t error)
{
    switch (error) {
    case KERN_SUCCESS:
        return "(os/kern) successful";
    case KERN_INVALID_ADDRESS:
        return "(os/kern) invalid address";
    case KERN_NO_SPACE:
        return "(os/kern) no space available";
    case KERN_INVALID_ARGUMENT:
        return "(os/kern) invalid argument";
    default:
        return "(os/kern) unknown error";
    }
}

/* ---- time: one tick is a nanosecond */

ABX_EXPORT int mach_timebase_info(mach_timebase_info_t info)
{
    info->numer = info->denom = 1;
    return KERN_SUCCESS;
}

ABX_EXPORT uint64_t mach_absolute_time(void)
{
    return abx_now_ns();
}

/* QuartzCore's name for the same clock. */
ABX_EXPORT double CACurrentMediaTime(void);
ABX_EXPORT double CACurrentMediaTime(void)
{
    return (double)abx_now_ns() / 1e9;
}

ABX_EXPORT uint64_t mach_approximate_time(void)
{
    return abx_now_ns();
}

ABX_EXPORT uint64_t mach_continuous_time(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* ---- facts */

static int64_t processors(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
}

static int64_t memory_bytes(void)
{
    struct sysinfo info;
    return sysinfo(&info) == 0 ? (int64_t)info.totalram * info.mem_unit : 0;
}

/* -1: not a number we know. */
static int64_t number_fact(const char *name, size_t *ret_size)
{
    static const char *const counts[] = {"hw.ncpu", "hw.physicalcpu", "hw.logicalcpu",
            "hw.activecpu", "hw.physicalcpu_max", "hw.logicalcpu_max", "hw.perflevel0.physicalcpu",
            "hw.perflevel0.logicalcpu"};
    *ret_size = sizeof(int32_t);
    for (size_t i = 0; i < ABX_ARRAY_SIZE(counts); i++)
        if (strcmp(name, counts[i]) == 0)
            return processors();
    if (strcmp(name, "hw.cputype") == 0)
#if defined(__aarch64__)
        return CPU_TYPE_ARM64;
#else
        return CPU_TYPE_X86; /* as a Mac says it of 64 bits too */
#endif
    *ret_size = sizeof(int64_t);
    if (strcmp(name, "hw.memsize") == 0)
        return memory_bytes();
    if (strcmp(name, "hw.pagesize") == 0)
        return (int64_t)vm_page_size;
    if (strcmp(name, "hw.cachelinesize") == 0)
        return 64;
    return -1;
}

static int cpu_name(char *to, size_t size)
{
    FILE *file = fopen("/proc/cpuinfo", "re");
    char line[256];
    snprintf(to, size, "Linux processor");
    while (file && fgets(line, sizeof(line), file)) {
        char *colon = strstr(line, ": ");
        if (strncmp(line, "model name", 10) != 0 || !colon)
            continue;
        colon[strcspn(colon, "\n")] = '\0';
        snprintf(to, size, "%s", colon + 2);
        break;
    }
    if (file)
        fclose(file);
    return 0;
}

static int text_fact(const char *name, char *to, size_t size)
{
    struct utsname system;
    if (uname(&system) < 0)
        return -errno;
    if (strcmp(name, "machdep.cpu.brand_string") == 0)
        return cpu_name(to, size);
    const char *text = strcmp(name, "kern.ostype") == 0             ? "Darwin"
                       : strcmp(name, "kern.osrelease") == 0        ? ABX_OS_KERNEL
                       : strcmp(name, "kern.osproductversion") == 0 ? ABX_OS_VERSION
                       : strcmp(name, "kern.osversion") == 0        ? ABX_OS_BUILD
                       : strcmp(name, "kern.hostname") == 0         ? system.nodename
                       : strcmp(name, "hw.model") == 0              ? "ArcBox"
                       : strcmp(name, "hw.machine") == 0
                               ? (strcmp(system.machine, "aarch64") == 0 ? "arm64" : system.machine)
                               : NULL;
    if (!text)
        return -ENOENT;
    snprintf(to, size, "%s", text);
    return 0;
}

ABX_EXPORT int sysctlbyname(
        const char *name, void *old, size_t *old_length, void *new_value, size_t new_length)
{
    char text[256];
    const void *value = text;
    size_t size;
    int64_t number = number_fact(name, &size);
    if (new_value) {
        errno = EPERM;
        return -1;
    }
    if (number >= 0) {
        value = &number; /* little-endian: its first bytes are the narrower number */
        if (old && old_length && *old_length == sizeof(int64_t))
            size = sizeof(int64_t);
    } else {
        int r = text_fact(name, text, sizeof(text));
        if (r < 0) {
            errno = -r;
            return -1;
        }
        size = strlen(text) + 1;
    }
    if (old && (!old_length || *old_length < size)) {
        errno = ENOMEM;
        return -1;
    }
    if (old)
        memcpy(old, value, size);
    if (old_length)
        *old_length = size;
    return 0;
}

/* ---- os_unfair_lock: 0 free, 1 held, 2 held and somebody waits */

ABX_EXPORT bool os_unfair_lock_trylock(os_unfair_lock_t lock)
{
    uint32_t state = 0;
    return __atomic_compare_exchange_n(
            &lock->_os_unfair_lock_opaque, &state, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

ABX_EXPORT void os_unfair_lock_lock(os_unfair_lock_t lock)
{
    if (os_unfair_lock_trylock(lock))
        return;
    while (__atomic_exchange_n(&lock->_os_unfair_lock_opaque, 2, __ATOMIC_ACQUIRE) != 0)
        abx_futex_wait(&lock->_os_unfair_lock_opaque, 2, -1);
}

ABX_EXPORT void os_unfair_lock_unlock(os_unfair_lock_t lock)
{
    if (__atomic_exchange_n(&lock->_os_unfair_lock_opaque, 0, __ATOMIC_RELEASE) == 2)
        abx_futex_wake(&lock->_os_unfair_lock_opaque, 1);
}
