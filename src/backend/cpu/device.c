/* backend/cpu: the device, its memory and pipelines. Worker process. Guest memory is used in
 * place: this processor is the GPU. */
#include "backend/cpu/cpu_internal.h"
#include "backend/window.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

/* ---- executors */

static int enlist(struct abx_device *device, struct abx_cpu_executor *e)
{
    int r = -ENOMEM;
    pthread_mutex_lock(&device->lock);
    for (size_t i = 0; i < ABX_CPU_MAX_EXECUTORS && r < 0; i++)
        if (!atomic_load(&device->executors[i])) {
            atomic_store(&device->executors[i], e);
            if (i >= device->executor_end)
                device->executor_end = i + 1;
            r = 0;
        }
    pthread_mutex_unlock(&device->lock);
    return r;
}

struct abx_cpu_executor *abx_cpu_executor_create(struct abx_device *device)
{
    struct abx_cpu_executor *e = calloc(1, sizeof *e);
    if (!e)
        return NULL;
    void *memory = NULL;
    if (posix_memalign(&memory, 4096, ABX_CPU_GROUP_MEMORY) == 0) {
        memset(memory, 0, ABX_CPU_GROUP_MEMORY);
        e->group_memory = memory;
        if (enlist(device, e) == 0)
            return e;
    }
    free(memory);
    free(e);
    return NULL;
}

void abx_cpu_executor_destroy(struct abx_device *device, struct abx_cpu_executor *e)
{
    abx_cpu_executor_unbind(e);
    pthread_mutex_lock(&device->lock);
    for (size_t i = 0; i < device->executor_end; i++)
        if (atomic_load(&device->executors[i]) == e)
            atomic_store(&device->executors[i], NULL);
    while (device->executor_end && !atomic_load(&device->executors[device->executor_end - 1]))
        device->executor_end--;
    pthread_mutex_unlock(&device->lock);
    if (e->frames)
        munmap(e->frames, e->frame_bytes);
    abx_cpu_drop_resident(e);
    free(e->group_memory);
    free(e);
}

/* ---- device */

static unsigned cpu_count(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? (unsigned)CPU_COUNT(&set) : 1;
}

static void device_close(struct abx_device *device)
{
    abx_cpu_pool_close(device);
    pthread_mutex_destroy(&device->lock);
    free(device);
}

static int device_open(const struct abx_device_config *config, struct abx_device **ret)
{
    struct abx_device *device = calloc(1, sizeof *device);
    if (!device)
        return -ENOMEM;
    unsigned cpus = cpu_count(), threads = config->threads ? config->threads : cpus;
    if (threads > ABX_CPU_MAX_THREADS)
        threads = ABX_CPU_MAX_THREADS;
    device->config = *config;
    /* Where the guest, the worker's ring thread and we share few CPUs, spinning takes theirs. */
    device->spin_ns = cpus >= 4 ? 30000 : 4000;
    pthread_mutex_init(&device->lock, NULL);
    int r = abx_cpu_pool_open(device, threads - 1);
    if (r < 0) {
        pthread_mutex_destroy(&device->lock);
        free(device);
        return r;
    }
    *ret = device;
    return 0;
}

/* The processor's own name, without the file system, which the worker has not. */
static void cpu_name(char name[49])
{
    name[0] = 0;
#if defined(__x86_64__)
    unsigned r[12] = {0};
    if (__get_cpuid_max(0x80000000u, NULL) >= 0x80000004u) {
        for (unsigned i = 0; i < 3; i++)
            __get_cpuid(0x80000002u + i, &r[i * 4], &r[i * 4 + 1], &r[i * 4 + 2], &r[i * 4 + 3]);
        memcpy(name, r, 48);
        name[48] = 0;
    }
#endif
    size_t start = strspn(name, " "), length = strlen(name);
    memmove(name, name + start, length - start + 1);
    for (length = strlen(name); length && name[length - 1] == ' ';)
        name[--length] = 0;
    if (!length)
        strcpy(name, "host processor");
}

static unsigned probe(char (*ret_names)[64], unsigned capacity)
{
    char name[49];
    if (!capacity)
        return 0;
    cpu_name(name);
    snprintf(ret_names[0], sizeof *ret_names, "ArcBox CPU (%s)", name);
    return 1;
}

static void device_info(struct abx_device *device, struct abx_device_info *info)
{
    uint64_t memory = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    memset(info, 0, sizeof *info);
    probe(&info->name, 1);
    snprintf(info->backend, sizeof info->backend, "%s", abx_backend_cpu.name);
    info->registry_id = 0x41584243505530ull;
    info->recommended_working_set = memory / 4 * 3;
    info->max_buffer_length = memory / 2;
    info->unified_memory = 1;
    info->simd_width = ABX_SIMD_LANES;
    info->max_threadgroup_bytes = ABX_MAX_THREADGROUP_BYTES;
    info->max_threads_per_threadgroup = ABX_MAX_THREADS_PER_THREADGROUP;
    info->apple_family = 7;
    info->operations = ABX_OPERATION_TIMESTAMP | abx_cpu_matrix_operations();
    info->compute_units = device->pool.count + 1; /* who submits works too */
    info->metal3 = 1; /* as on every Mac of family Apple7: docs/families.md */
}

/* ---- memory: the guest's addresses are this processor's */

static int memory_new(
        char *address, uint64_t bytes, enum abx_cpu_owner owner, struct abx_device_memory **ret)
{
    struct abx_device_memory *m = malloc(sizeof *m);
    if (!m)
        return -ENOMEM;
    *m = (struct abx_device_memory){address, bytes, owner};
    *ret = m;
    return 0;
}

static int memory_import(struct abx_device *device, void *address, uint64_t bytes,
        void (*done)(void *user, int error), void *user, struct abx_device_memory **ret)
{
    int r = memory_new(address, bytes, ABX_CPU_IMPORTED, ret);
    if (r == 0)
        done(user, 0);
    return r;
}

static int memory_create_private(
        struct abx_device *device, void *place, uint64_t bytes, struct abx_device_memory **ret)
{
    if (bytes == 0 || bytes > PTRDIFF_MAX)
        return bytes ? -ENOMEM : -EINVAL;
    char *p = mmap(place, bytes, PROT_READ | PROT_WRITE,
            MAP_PRIVATE | MAP_ANONYMOUS | (place ? MAP_FIXED : 0), -1, 0);
    if (p == MAP_FAILED)
        return -ENOMEM;
    int r = memory_new(p, bytes, place ? ABX_CPU_PLACED : ABX_CPU_OWN, ret);
    if (r < 0)
        munmap(p, bytes);
    return r;
}

static uint64_t memory_address(const struct abx_device_memory *memory)
{
    return (uint64_t)(uintptr_t)memory->address;
}

static void memory_destroy(struct abx_device_memory *memory)
{
    if (memory && memory->owner == ABX_CPU_OWN)
        munmap(memory->address, memory->bytes);
    else if (memory && memory->owner == ABX_CPU_PLACED)
        abx_window_vacate(memory->address, memory->bytes);
    free(memory);
}

/* ---- pipelines */

static int pipeline_create(
        struct abx_device *device, const void *object, size_t bytes, struct abx_pipeline **ret)
{
    if (abx_cpu_code_check(object, bytes) < 0)
        return -EBADMSG;
    struct abx_pipeline *p = calloc(1, sizeof *p);
    if (!p)
        return -ENOMEM;
    memcpy(&p->code, object, sizeof p->code);
    const char *body = abx_code_body(object);
    memcpy(&p->info, body, sizeof p->info);
    int r = abx_cpu_object_load(body + p->info.elf_offset, p->info.elf_bytes, &p->object);
    if (r < 0) {
        free(p);
        return r;
    }
    *ret = p;
    return 0;
}

static void pipeline_info(const struct abx_pipeline *pipeline, struct abx_pipeline_info *ret)
{
    *ret = (struct abx_pipeline_info){
            pipeline->code.static_threadgroup_bytes, pipeline->code.max_threads};
}

static void pipeline_destroy(struct abx_pipeline *pipeline)
{
    if (pipeline)
        abx_cpu_object_unload(&pipeline->object);
    free(pipeline);
}

static const struct abx_device_ops device_ops = {
        .open = device_open,
        .close = device_close,
        .info = device_info,
        .watchdog = abx_cpu_watchdog,
};

static const struct abx_memory_ops memory_ops = {
        .reserve = abx_window_reserve,
        .release = abx_window_release,
        .import = memory_import,
        .create_private = memory_create_private,
        .address = memory_address,
        .destroy = memory_destroy,
};

static const struct abx_pipeline_ops pipeline_ops = {
        .create = pipeline_create,
        .info = pipeline_info,
        .destroy = pipeline_destroy,
};

const struct abx_backend abx_backend_cpu = {
        .name = "cpu",
        .target = ABX_TARGET_HOST,
        .probe = probe,
        .prepare = abx_cpu_matrix_prepare,
        .device = &device_ops,
        .memory = &memory_ops,
        .pipeline = &pipeline_ops,
        .queue = &abx_cpu_queue_ops,
        .native = &abx_cpu_native_ops,
};
