/* backend/cuda: is there a GPU that can be used, and why not? Asked by the supervisor, which loads
 * no driver itself: a child of its own does, and is gone with it. */
#include "backend/cuda/cuda_internal.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct answer {
    int error;
    unsigned count;
    char why[192];
    char names[ABX_MAX_BACKEND_DEVICES][64];
    uint32_t processors[ABX_MAX_BACKEND_DEVICES];
};

int abx_cuda_device_at(int i, int *ret_device, uint32_t *ret_processor)
{
    int major = 0, minor = 0, result = abx_cu.device_get(ret_device, i);
    if (!result)
        result = abx_cu.device_attribute(&major, ABX_CU_CAPABILITY_MAJOR, *ret_device);
    if (!result)
        result = abx_cu.device_attribute(&minor, ABX_CU_CAPABILITY_MINOR, *ret_device);
    *ret_processor = !result && major >= 8 ? (uint32_t)(10 * major + minor) : 0;
    return result;
}

static void look_at_driver(struct answer *a)
{
    int count = 0, device;
    uint32_t processor;
    a->error = abx_cuda_load(a->why);
    if (a->error < 0)
        return;
    (void)abx_cu.device_count(&count);
    for (int i = 0; i < count && i < (int)ABX_MAX_BACKEND_DEVICES; i++) {
        (void)abx_cuda_device_at(i, &device, &processor);
        if (processor && abx_cu.device_name(a->names[a->count], sizeof a->names[0], device) == 0)
            a->processors[a->count++] = processor;
    }
    if (!a->count) {
        a->error = -ENODEV;
        snprintf(a->why, sizeof a->why,
                count ? "the NVIDIA GPU here is too old: it takes one of "
                        "compute capability 8.0 (A100, RTX 30) or newer"
                      : "NVIDIA's driver finds no device: see nvidia-smi");
    }
}

static int ask_child(struct answer *a)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    pid_t pid = fork();
    if (pid == 0) {
        signal(SIGABRT, SIG_DFL);
        alarm(20);
        look_at_driver(a);
        (void)!write(ends[1], a, sizeof *a);
        _exit(0);
    }
    close(ends[1]);
    int r = pid < 0 ? -errno : abx_read_all(ends[0], a, sizeof *a);
    close(ends[0]);
    int status;
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return r;
}

/* Once a process: a driver that comes later is seen by the next daemon. */
static const struct answer *ask(void)
{
    static struct answer answer;
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static bool asked;
    pthread_mutex_lock(&lock);
    if (!asked) {
        const char *file = abx_cuda_control_file;
        if (access(file, F_OK) < 0) {
            answer.error = -ENODEV;
            snprintf(answer.why, sizeof answer.why,
                    "there is no NVIDIA GPU here, or its driver is not loaded (%s is missing)",
                    file);
        } else if (access(file, R_OK | W_OK) < 0) {
            answer.error = -EACCES;
            snprintf(answer.why, sizeof answer.why,
                    "this user may not use the NVIDIA GPU: no permission on %s", file);
        } else if (ask_child(&answer) < 0) {
            answer.error = -EIO;
            snprintf(answer.why, sizeof answer.why,
                    "NVIDIA's driver ended the program that asked for its devices; see nvidia-smi");
        }
        asked = true;
    }
    pthread_mutex_unlock(&lock);
    return &answer;
}

int abx_cuda_usable(char *ret_why, size_t capacity)
{
    const struct answer *a = ask();
    if (a->error)
        snprintf(ret_why, capacity, "%s", a->why);
    return a->error;
}

unsigned abx_cuda_probe(char (*ret_names)[64], unsigned capacity)
{
    const struct answer *a = ask();
    unsigned n = a->error ? 0 : a->count;
    for (unsigned i = 0; i < n && i < capacity; i++)
        memcpy(ret_names[i], a->names[i], sizeof *ret_names);
    return n < capacity ? n : capacity;
}

uint32_t abx_cuda_processor(unsigned index)
{
    const struct answer *a = ask();
    return !a->error && index < a->count ? a->processors[index] : 0;
}

/* The driver loads these by name when it first needs them; then they are here already. */
int abx_cuda_prepare(char *ret_why, size_t capacity)
{
    static const char *const more[] = {"libnvidia-ptxjitcompiler.so.1", "libnvidia-nvvm.so.4"};
    if (!dlopen(abx_cuda_library, RTLD_NOW | RTLD_LOCAL)) {
        snprintf(ret_why, capacity, "there is no NVIDIA driver library (%s)", abx_cuda_library);
        return -ENOENT;
    }
    for (size_t i = 0; i < ABX_ARRAY_SIZE(more); i++)
        (void)dlopen(more[i], RTLD_NOW | RTLD_LOCAL);
    abx_cuda_matrix_prepare();
    abx_short_slices(); /* this process computes nothing itself */
    return 0;
}
