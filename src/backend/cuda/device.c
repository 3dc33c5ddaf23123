/* backend/cuda: the device: opening, description, loss. Worker process. */
#include "backend/cuda/cuda_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define TIMER_SLACK_NS 1000ul

int abx_cuda_errno(int result)
{
    return result == ABX_CU_OK ? 0 : result == ABX_CU_OUT_OF_MEMORY ? -ENOMEM : -EIO;
}

bool abx_cuda_is_fatal(int result)
{
    switch (result) {
    case ABX_CU_DEINITIALIZED:
    case ABX_CU_INVALID_CONTEXT:
    case ABX_CU_ECC:
    case ABX_CU_NVLINK:
    case ABX_CU_ILLEGAL_ADDRESS:
    case ABX_CU_LAUNCH_TIMEOUT:
    case ABX_CU_CONTEXT_DESTROYED:
    case ABX_CU_ASSERT:
    case ABX_CU_HARDWARE_STACK:
    case ABX_CU_ILLEGAL_INSTRUCTION:
    case ABX_CU_MISALIGNED:
    case ABX_CU_ADDRESS_SPACE:
    case ABX_CU_INVALID_PC:
    case ABX_CU_LAUNCH_FAILED:
    case ABX_CU_UNKNOWN:
        return true;
    default:
        return false;
    }
}

static const char *loss_text(int result, int error)
{
    if (error == ABX_EXEC_TIMEOUT)
        return "a kernel used more time than it may, and an NVIDIA GPU ends one only with all that "
               "its process runs";
    switch (result) {
    case ABX_CU_ILLEGAL_ADDRESS:
        return "a kernel touched memory outside its buffers";
    case ABX_CU_MISALIGNED:
        return "a kernel touched memory at an address that its type may not have";
    case ABX_CU_ILLEGAL_INSTRUCTION:
    case ABX_CU_INVALID_PC:
    case ABX_CU_ADDRESS_SPACE:
    case ABX_CU_ASSERT:
    case ABX_CU_LAUNCH_FAILED:
    case ABX_CU_HARDWARE_STACK:
        return "a kernel trapped";
    case ABX_CU_ECC:
        return "the GPU found an error in its memory that it cannot correct";
    default:
        return "the GPU does not answer any more: it was reset, or fell off the bus";
    }
}

static int loss_error(int result)
{
    switch (result) {
    case ABX_CU_ILLEGAL_ADDRESS:
    case ABX_CU_MISALIGNED:
    case ABX_CU_ILLEGAL_INSTRUCTION:
    case ABX_CU_INVALID_PC:
    case ABX_CU_ADDRESS_SPACE:
    case ABX_CU_ASSERT:
    case ABX_CU_LAUNCH_FAILED:
    case ABX_CU_HARDWARE_STACK:
        return ABX_EXEC_PAGE_FAULT;
    default:
        return ABX_EXEC_DEVICE_REMOVED;
    }
}

void abx_cuda_lose(struct abx_device *device, int result, struct abx_queue *guilty, int error,
        uint64_t limit_ms)
{
    if (atomic_exchange(&device->lost, true))
        return;
    const char *text = loss_text(result, error);
    abx_cuda_queues_fail(device, guilty, error ? error : loss_error(result), limit_ms, text);
    if (device->config.lost)
        device->config.lost(device->config.user, text);
}

/* ---- opening */

static void close_device(struct abx_device *device)
{
    abx_cuda_memory_close(device);
    if (device->context)
        abx_cuda_matrix_close(device);
    abx_cuda_mirrors_close(device);
    if (device->clock_module)
        (void)abx_cu.module_unload(device->clock_module);
    if (device->context)
        (void)abx_cu.context_destroy(device->context);
    pthread_cond_destroy(&device->import_wake);
    pthread_mutex_destroy(&device->lock);
    pthread_mutex_destroy(&device->queues_lock);
    pthread_mutex_destroy(&device->merge_lock);
    free(device);
}

static int open_words(struct abx_device *device)
{
    void *words = NULL;
    const size_t bytes = (ABX_CUDA_WORDS + 8) * sizeof *device->words;
    int result = abx_cu.host_alloc(&words, bytes, ABX_CU_HOST_PORTABLE_MAPPED);
    if (result)
        return abx_cuda_errno(result);
    device->words = words;
    memset(words, 0, bytes);
    return abx_cuda_errno(abx_cu.host_address(&device->words_address, words, 0));
}

/* Those too old do not count, as in probe.c. */
static int find_device(struct abx_device *device)
{
    int count = 0;
    unsigned usable = 0;
    int result = abx_cu.device_count(&count);
    for (int i = 0; i < count && !result; i++) {
        result = abx_cuda_device_at(i, &device->number, &device->processor);
        if (device->processor && usable++ == device->config.index)
            return ABX_CU_OK;
    }
    return result ? result : ABX_CU_NO_DEVICE;
}

static int open_context(struct abx_device *device)
{
    int processors = 0, result = find_device(device);
    if (!result)
        result = abx_cu.device_attribute(&processors, ABX_CU_PROCESSORS, device->number);
    device->early = device->processor >= ABX_PTX_EARLY_PROCESSOR && abx_cu.graph_add_edges;
    device->processors = processors > 0 ? (uint32_t)processors : 1;
    if (!result)
        result = abx_cu.context_create(&device->context, ABX_CU_CONTEXT_KEEP_LOCAL, device->number);
    if (result)
        return abx_cuda_errno(result);
    abx_cuda_enter(device);
    int r = open_words(device);
    return r < 0 ? r : abx_cuda_memory_open(device);
}

/* The driver opens files and maps memory when something is used for the first time: that is now,
 * while it may. And a device that cannot do this can do nothing. */
static int warm_up(struct abx_device *device)
{
    static const char ptx[] = ".version 7.0\n.target sm_80\n.address_size 64\n"
                              ".visible .entry abx_entry() { ret; }\n";
    abx_cu_module module;
    abx_cu_function function;
    int result = abx_cuda_load_kernel(ptx, ABX_PTX_ENTRY, &module, &function);
    if (!result)
        result = abx_cu.launch(function, 1, 1, 1, 1, 1, 1, 0, device->zero_stream, NULL, NULL);
    if (!result)
        result = abx_cu.stream_write(device->zero_stream,
                device->words_address + (ABX_CUDA_WORDS - 1) * sizeof *device->words, 1, 0);
    if (!result)
        result = abx_cu.stream_synchronize(device->zero_stream);
    if (!result) /* else it may be running, and goes with the context */
        result = abx_cu.module_unload(module);
    return abx_cuda_errno(result);
}

static int device_open(const struct abx_device_config *config, struct abx_device **ret)
{
    char why[192];
    int r = abx_cuda_load(why);
    if (r < 0) {
        fprintf(stderr, "worker[%d]: %s\n", (int)getpid(), why);
        return r;
    }
    struct abx_device *device = calloc(1, sizeof *device);
    if (!device)
        return -ENOMEM;
    device->config = *config;
    /* Of this thread and all that it starts: queues look at the device at short intervals. */
    prctl(PR_SET_TIMERSLACK, TIMER_SLACK_NS);
    device->cpus = abx_processors();
    device->imports_end = &device->imports;
    pthread_mutex_init(&device->lock, NULL);
    pthread_mutex_init(&device->queues_lock, NULL);
    pthread_mutex_init(&device->merge_lock, NULL);
    pthread_cond_init(&device->import_wake, NULL);
    r = open_context(device);
    if (r == 0)
        r = warm_up(device);
    if (r == 0)
        r = abx_cuda_clock_open(device);
    if (r == 0)
        r = abx_cuda_mirrors_open(device);
    if (r == 0)
        abx_cuda_matrix_open(device);
    if (r < 0) {
        close_device(device);
        return r;
    }
    *ret = device;
    return 0;
}

/* ---- description */

static void device_info(struct abx_device *device, struct abx_device_info *info)
{
    int domain = 0, bus = 0, slot = 0;
    size_t bytes = 0;
    memset(info, 0, sizeof *info);
    (void)abx_cu.device_name(info->name, sizeof info->name, device->number);
    info->name[sizeof info->name - 1] = 0;
    (void)abx_cu.device_attribute(&domain, ABX_CU_PCI_DOMAIN, device->number);
    (void)abx_cu.device_attribute(&bus, ABX_CU_PCI_BUS, device->number);
    (void)abx_cu.device_attribute(&slot, ABX_CU_PCI_DEVICE, device->number);
    (void)abx_cu.device_memory(&bytes, device->number);
    snprintf(info->backend, sizeof info->backend, "%s", abx_backend_cuda.name);
    info->registry_id = 0x4e56000000000000ull | (uint64_t)(uint32_t)domain << 16 |
                        (uint64_t)(bus & 255) << 8 | (uint64_t)(slot & 255);
    /* The context and what the driver keeps for kernels take up to a sixteenth. */
    info->recommended_working_set = bytes - bytes / 16;
    info->max_buffer_length = bytes - bytes / 16;
    info->simd_width = 32;
    info->max_threadgroup_bytes = ABX_MAX_THREADGROUP_BYTES;
    info->max_threads_per_threadgroup = ABX_MAX_THREADS_PER_THREADGROUP;
    info->apple_family = 7;
    info->metal3 = 1;
    info->addresses = ABX_ADDRESS_GUEST;
    info->compute_units = device->processors;
    info->mirror_align = ABX_CUDA_SLOT_BYTES;
    info->operations = ABX_OPERATION_TIMESTAMP;
    if (device->matrices)
        info->operations |= ABX_OPERATION_MATRIX_MULTIPLY;
}

static const struct abx_device_ops device_ops = {
        .open = device_open,
        .close = close_device,
        .info = device_info,
        .watchdog = abx_cuda_queues_watch,
};

const struct abx_backend abx_backend_cuda = {
        .name = "cuda",
        .target = ABX_TARGET_NVPTX,
        .probe = abx_cuda_probe,
        .usable = abx_cuda_usable,
        .processor = abx_cuda_processor,
        .prepare = abx_cuda_prepare,
        .files = abx_cuda_files,
        .calls = abx_cuda_calls,
        .device = &device_ops,
        .memory = &abx_cuda_memory_ops,
        .pipeline = &abx_cuda_pipeline_ops,
        .queue = &abx_cuda_queue_ops,
};
