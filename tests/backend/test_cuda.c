/* The cuda backend over a driver that is made up (fake_cuda.c): what a GPU cannot be made to do.
 * What kernels compute is looked at on a real one (stored.sh nvptx). */
#include "fake_cubin.h"
#include "fake_cuda.h"
#include "rig.h"

#include "backend/cuda/driver.h"
#include "shader/abi/nvptx.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* In the place of src/backend/cuda/library.c. */
const char *const abx_cuda_library = FAKE_CUDA;
const char *const abx_cuda_matrix_libraries[] = {"libarcbox-no-such-library.so", FAKE_CUDA, NULL};
const char *const abx_cuda_control_file = "/dev/null";

#define CUDA (&abx_backend_cuda)
#define WINDOW (1ull << 32)
#define PAGE 4096u

static fake_cuda_fail *fail;
static fake_cuda_calls *calls;
static fake_cuda_launches *launches;
static fake_cuda_graphs *graphs, *waves, *early;
static fake_cuda_hang *hang;
static fake_cuda_left *left;
static fake_cuda_refuse *refuse;
static fake_cuda_modules *modules;

static unsigned which; /* of the devices */
static int lost;       /* so many times */
static void on_lost(void *user, const char *text)
{
    __atomic_fetch_add(&lost, 1, __ATOMIC_SEQ_CST);
}

struct world {
    struct abx_device *device;
    struct abx_queue *queue;
    char *window, *shared;
    struct abx_device_memory *import, *private, *file, *mirrored;
    uint32_t *guest; /* the mirrored memory, as the guest has it: 1,024 words a page */
    int fd;          /* of FILE_BYTES, each page full of its number */
    struct abx_pipeline *pipeline;
    int ended; /* 1 and the error, of what let_go() was to be told of */
};

static void imported(void *user, int error)
{
    __atomic_store_n((int *)user, error ? error : 1, __ATOMIC_SEQ_CST);
}

static struct abx_device_memory *import(struct world *w, char *at, size_t bytes)
{
    struct abx_device_memory *m = NULL;
    int state = 0;
    if (mmap(at, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
                    MAP_FAILED ||
            CUDA->memory->import(w->device, at, bytes, imported, &state, &m) < 0)
        return NULL;
    while (!__atomic_load_n(&state, __ATOMIC_SEQ_CST))
        usleep(100);
    if (state == 1)
        return m;
    CUDA->memory->destroy(m);
    return NULL;
}

#define FILE_BYTES (17u << 20)

static int kept_file = -1; /* one for all worlds: they only read it, but for test_files' */

static int make_file(void)
{
    static unsigned char bytes[FILE_BYTES];
    if (kept_file >= 0)
        return fcntl(kept_file, F_DUPFD_CLOEXEC, 0);
    char path[] = "/tmp/arcbox-test-cuda-XXXXXX";
    int fd = mkstemp(path);
    if (fd < 0)
        return -1;
    unlink(path);
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(i / PAGE);
    if (write(fd, bytes, sizeof bytes) != (ssize_t)sizeof bytes)
        return -1;
    kept_file = fd;
    return fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

static void forget_file(void)
{
    close(kept_file);
    kept_file = -1;
}

/* What the file has from its second page on, and a page more. */
static struct abx_device_memory *load(struct world *w, char *at)
{
    int state = 0;
    struct abx_device_memory *m;
    if (CUDA->memory->load(w->device, at, FILE_BYTES, w->fd, PAGE, imported, &state, &m) < 0)
        return NULL;
    while (!__atomic_load_n(&state, __ATOMIC_SEQ_CST))
        usleep(100);
    if (state == 1)
        return m;
    CUDA->memory->destroy(m);
    return NULL;
}

/* A blob of one kernel with buffers 0 and 3 and one threadgroup argument. */
struct blob {
    struct abx_code code;
    struct abx_ptx info;
    char text[256];
    struct fake_cubin cubin;
    char cubin_text[256];
};

static void make_blob(struct blob *blob, const char *ptx)
{
    memset(blob, 0, sizeof *blob);
    blob->code = (struct abx_code){.magic = ABX_CODE_MAGIC,
            .version = ABX_CODE_VERSION,
            .target = ABX_TARGET_NVPTX,
            .max_threads = 1024,
            .body_offset = sizeof blob->code,
            .body_bytes = sizeof *blob - sizeof blob->code};
    blob->info = (struct abx_ptx){.buffer_count = 2,
            .threadgroup_count = 1,
            .parameter_bytes = sizeof(struct abx_ptx_dispatch) + 2 * 8 + 4,
            .buffers = {0, 3},
            .ptx_offset = sizeof blob->info,
            .ptx_bytes = sizeof blob->text,
            .entry = ABX_PTX_ENTRY "_made_up"};
    snprintf(blob->text, sizeof blob->text, "%s", ptx);
}

/* As nvptx/assemble.c does. */
static void add_cubin(struct blob *blob, uint32_t processor)
{
    char text[sizeof blob->cubin_text] = "";
    snprintf(text, sizeof text, "%s", blob->text);
    blob->info.processor = processor;
    blob->info.cubin_waits = processor >= ABX_PTX_EARLY_PROCESSOR && abx_ptx_let_wait(text);
    blob->info.cubin_offset = offsetof(struct blob, cubin) - sizeof blob->code;
    blob->info.cubin_bytes = fake_cubin_bytes(sizeof text);
    fake_cubin_make(&blob->cubin, processor, text, sizeof text);
}

static int make_pipeline(struct world *w, const char *ptx, uint32_t processor)
{
    static struct blob blob;
    make_blob(&blob, ptx);
    if (processor)
        add_cubin(&blob, processor);
    return CUDA->pipeline->create(w->device, &blob, sizeof blob, &w->pipeline);
}

#define MIRRORED_BYTES (8 * PAGE)

/* In slots of its own, and seen at a second place. */
static struct abx_device_memory *import_mirrored(struct world *w, char *at, uint32_t **ret_guest)
{
    struct abx_device_memory *m = import(w, at, MIRRORED_BYTES);
    void *guest = m ? mremap(at, 0, MIRRORED_BYTES, MREMAP_MAYMOVE) : MAP_FAILED;
    if (m && guest == MAP_FAILED)
        abort();
    *ret_guest = m ? guest : NULL;
    return m;
}

static void end_world(struct world *w)
{
    if (w->queue)
        CUDA->queue->destroy(w->queue);
    if (w->pipeline)
        CUDA->pipeline->destroy(w->pipeline);
    CUDA->memory->destroy(w->private);
    CUDA->memory->destroy(w->file);
    if (w->fd > 0)
        close(w->fd);
    CUDA->memory->destroy(w->import);
    CUDA->memory->destroy(w->mirrored);
    if (w->guest)
        munmap(w->guest, MIRRORED_BYTES);
    if (w->window)
        CUDA->memory->release(w->device, w->window, WINDOW);
    if (w->device)
        CUDA->device->close(w->device);
}

/* 0, or the number of the step that failed. */
static int make_world(struct world *w)
{
    struct abx_device_config config = {.events = &event_ops, .index = which, .lost = on_lost};
    void *window;
    lost = 0;
    memset(w, 0, sizeof *w);
    if (CUDA->device->open(&config, &w->device) < 0)
        return 1;
    if (CUDA->memory->reserve(w->device, WINDOW, &window) < 0)
        return 2;
    w->window = window;
    w->shared = w->window + 16 * PAGE;
    if (!(w->import = import(w, w->shared, 4 * PAGE)))
        return 3;
    if (CUDA->memory->create_private(
                w->device, w->window + WINDOW / 2 + 5 * PAGE, 5u << 20, &w->private) < 0) {
        w->private = NULL;
        return 4;
    }
    if (make_pipeline(w, ".version 7.0", 0) < 0)
        return 5;
    if (CUDA->queue->create(w->device, &w->queue) < 0)
        return 6;
    w->fd = make_file(); /* its last slot is the private memory's, too */
    w->file = load(w, w->window + WINDOW / 2 + (6u << 20) + PAGE);
    if (w->file)
        w->mirrored = import_mirrored(w, w->window + (32u << 20), &w->guest);
    return w->mirrored ? 0 : 7;
}

static int run_with(struct batch *b, struct abx_queue *queue, const struct abx_exec_resource *used,
        uint32_t count)
{
    b->submission.resources = (struct abx_exec_resource *)used;
    b->submission.resource_count = count;
    batch_submit(b, queue, CUDA);
    int error = batch_wait(b);
    batch_finish(b);
    return error;
}

/* Runs it with all of the memory as its resources. */
static int run_mirrored(struct world *w, struct abx_queue *queue, struct abx_device_memory *m,
        struct batch *b, uint32_t usage)
{
    const struct abx_exec_resource used[] = {{m, 0, MIRRORED_BYTES / 2, usage, 0},
            {m, MIRRORED_BYTES / 2, MIRRORED_BYTES / 2, usage, 0}};
    return run_with(b, queue, used, 2);
}

/* Both sides write to words side by side, and to one that the other wrote before. */
static int exchange(struct world *w, struct abx_device_memory *m, uint32_t *guest, int *ret_error)
{
    struct batch b;
    guest[1] = 11;
    guest[1025] = 12;
    CUDA->memory->wrote(m, 4, 1);
    CUDA->memory->wrote(m, 4100, 3);
    batch_init(&b);
    batch_copy(&b, m, 4096, m, 8192, 64);
    batch_fill(&b, m, 8, 4, 5);
    *ret_error = run_mirrored(w, w->queue, m, &b, ABX_USAGE_READ | ABX_USAGE_WRITE);
    CHECK(*ret_error >= 0);
    if (*ret_error)
        return 0;
    CHECK(guest[1] == 11 && guest[2] == 0x05050505 && guest[2049] == 12);
    guest[2] = 13;
    guest[3] = 14;
    CUDA->memory->wrote(m, 8, 8);
    batch_init(&b);
    batch_fill(&b, m, 12, 4, 6);
    batch_copy(&b, m, 0, m, 12288, 64);
    *ret_error = run_mirrored(w, w->queue, m, &b, ABX_USAGE_WRITE);
    CHECK(*ret_error >= 0);
    if (*ret_error)
        return 0;
    CHECK(guest[1] == 11 && guest[2] == 13 && guest[3] == 0x06060606);
    CHECK(guest[3073] == 11 && guest[3074] == 13 && guest[3075] == 0x06060606);
    return 0;
}

static void add_dispatches(struct batch *b, struct world *w, unsigned count)
{
    char bytes[300];
    memset(bytes, 3, sizeof bytes);
    for (unsigned i = 0; i < count; i++) {
        struct abx_exec_dispatch *d = batch_dispatch(
                b, w->pipeline, (uint32_t[3]){100, 2, 1}, (uint32_t[3]){32, 1, 1}, 4);
        d->bindings[0] = (struct abx_exec_binding){w->import, 16, PAGE};
        d->threadgroup_bytes[0] = 100;
        batch_bytes(b, &d, 3, bytes, sizeof bytes);
    }
}

/* 3 x 5 halves times 5 x 4, twice: the result lies in rows of 7. */
static int multiply(struct world *w, uint32_t columns, uint32_t result, bool transposed)
{
    struct batch b;
    batch_init(&b);
    struct abx_exec_matrix_multiply *c = batch_add(&b, ABX_EXEC_MATRIX_MULTIPLY, sizeof *c);
    struct abx_exec_command head = c->head;
    *c = (struct abx_exec_matrix_multiply){.head = head,
            .left = {w->import, 2, 40, transposed ? 6 : 10, ABX_ELEMENT_FLOAT16},
            .right = {w->private, 1 << 20, 0, 2 * columns, ABX_ELEMENT_FLOAT16},
            .result = {w->import, PAGE, 84, 28, result},
            .rows = 3,
            .columns = columns,
            .inner = 5,
            .batch = 2,
            .transpose_left = transposed,
            .alpha = 2};
    batch_submit(&b, w->queue, CUDA);
    int error = batch_wait(&b);
    batch_finish(&b);
    return error;
}

/* Everything a command buffer can have, and what it does to memory. */
static int run_all(struct world *w, struct abx_event *event, int *ret_error)
{
    struct batch b;
    *ret_error = multiply(w, 4, ABX_ELEMENT_FLOAT32, false);
    if (*ret_error)
        return 0;
    CHECK(CUDA->memory->mirror(w->mirrored, false) == 0);
    CHECK(exchange(w, w->mirrored, w->guest, ret_error) == 0);
    if (*ret_error)
        return 0;
    batch_init(&b);
    memset(w->shared, 1, 2 * PAGE);
    ((uint32_t *)w->shared)[8] = 3; /* groups of the indirect dispatch */
    ((uint32_t *)w->shared)[9] = ((uint32_t *)w->shared)[10] = 1;
    batch_copy(&b, w->private, 3u << 20, w->import, PAGE, 100); /* zeros */
    batch_copy(&b, w->file, 0, w->import, PAGE + 100, 1);
    batch_copy(&b, w->file, FILE_BYTES - PAGE - 1, w->import, PAGE + 101, 2);
    batch_fill(&b, w->private, 100, 1000, 7);
    batch_copy(&b, w->private, 100, w->import, 2 * PAGE, 1000);
    batch_copy(&b, w->import, 2 * PAGE, w->import, 2 * PAGE + 3, 900); /* overlaps */
    add_dispatches(&b, w, 35);
    batch_copy(&b, w->import, 0, w->private, 5000, 16);
    add_dispatches(&b, w, 35);
    struct abx_exec_dispatch *d =
            batch_dispatch(&b, w->pipeline, (uint32_t[3]){0}, (uint32_t[3]){32, 1, 1}, 4);
    d->head.op = ABX_EXEC_DISPATCH_INDIRECT;
    d->indirect = w->import;
    d->indirect_offset = 32;
    batch_event(&b, ABX_EXEC_SIGNAL_EVENT, event, 1);
    batch_event(&b, ABX_EXEC_WAIT_EVENT, event, 1);
    struct abx_exec_resource file = {w->file, 0, FILE_BYTES - PAGE, ABX_USAGE_READ, 0};
    b.submission.resources = &file;
    b.submission.resource_count = 1;
    batch_submit(&b, w->queue, CUDA);
    *ret_error = batch_wait(&b);
    batch_finish(&b);
    CHECK(*ret_error >= 0); /* it ended */
    if (*ret_error)
        return 0;
    for (unsigned i = 0; i < 100; i++)
        CHECK(w->shared[PAGE + i] == 0);
    CHECK((unsigned char)w->shared[PAGE + 100] == 1);
    CHECK((unsigned char)w->shared[PAGE + 101] == (FILE_BYTES / PAGE - 1) % 256);
    CHECK(w->shared[PAGE + 102] == 0); /* behind its end */
    for (unsigned i = 0; i < 1000; i++)
        CHECK(w->shared[2 * PAGE + i] == 7);
    CHECK(b.submission.result.kernels == 71);
    return 0;
}

static int test_works(void)
{
    struct world w;
    struct abx_event *event = event_new();
    int error;
    CHECK(make_world(&w) == 0);
    struct abx_pipeline_info info;
    CUDA->pipeline->info(w.pipeline, &info);
    CHECK(info.max_threads == 640);
    launches(200);
    CHECK(run_all(&w, event, &error) == 0 && error == 0);
    CHECK(launches(0) == 71 && lost == 0);
    end_world(&w);
    event_free(event);
    CHECK(left()[0] == 0);
    return 0;
}

/* Its pages are the device's own memory's no more: what is written there is not seen before it is
 * said, and after a command buffer only what changed is. */
static int test_mirrors(void)
{
    struct world w;
    struct batch b;
    int error;
    CHECK(make_world(&w) == 0);
    const struct abx_memory_ops *ops = CUDA->memory;
    uint32_t *guest = w.guest;
    CHECK(ops->mirror(w.import, false) == 0 && ops->mirror(w.import, false) == -EINVAL);
    CHECK(ops->mirror(w.private, false) == -EINVAL);
    for (uint32_t i = 0; i < MIRRORED_BYTES / 4; i++)
        guest[i] = i;
    CHECK(ops->mirror(w.mirrored, false) == 0);
    for (int round = 0; round < 3; round++) {
        CHECK(exchange(&w, w.mirrored, guest, &error) == 0 && error == 0);
        ops->wrote(w.mirrored, 0, 16);
        ops->wrote(w.mirrored, 64, 16);
        ops->wrote(w.mirrored, 8, 64); /* touches both: none is looked at twice at once */
        for (uint32_t i = 5000; i < MIRRORED_BYTES / 4; i++)
            CHECK(guest[i] == i);
    }
    guest[6000] = 1; /* not said */
    batch_init(&b);
    batch_copy(&b, w.mirrored, 24000, w.mirrored, 28000, 4);
    CHECK(run_mirrored(&w, w.queue, w.mirrored, &b, ABX_USAGE_WRITE) == 0);
    CHECK(guest[7000] == 6000 && guest[6000] == 1);
    /* What could not be carried is when it can be. */
    guest[1] = 77;
    ops->wrote(w.mirrored, 4, 4);
    batch_init(&b);
    batch_fill(&b, w.mirrored, 20000, 4, 1);
    fail(1, 1);
    CHECK(run_mirrored(&w, w.queue, w.mirrored, &b, ABX_USAGE_WRITE) == ABX_EXEC_INTERNAL);
    fail(0, 0);
    batch_init(&b);
    batch_copy(&b, w.mirrored, 4, w.mirrored, 20480, 4);
    CHECK(run_mirrored(&w, w.queue, w.mirrored, &b, ABX_USAGE_WRITE) == 0);
    CHECK(guest[1] == 77 && guest[5120] == 77);
    /* Buffers that lie over each other. */
    const struct abx_exec_resource over[] = {{w.mirrored, 0, 8192, ABX_USAGE_WRITE, 0},
            {w.mirrored, 4096, 4096, ABX_USAGE_WRITE, 0},
            {w.mirrored, 8000, 99, ABX_USAGE_WRITE, 0}};
    batch_init(&b);
    batch_fill(&b, w.mirrored, 8000, 4, 7);
    CHECK(run_with(&b, w.queue, over, 3) == 0 && guest[2000] == 0x07070707);
    /* Places that are nobody else's any more. */
    CHECK(!import(&w, w.window + (33u << 20), PAGE));
    CHECK(ops->create_private(w.device, w.window + (33u << 20), PAGE, &w.private) == -EINVAL);
    /* One that shares its slot stays where it is. */
    batch_init(&b);
    batch_fill(&b, w.import, 8, 4, 5);
    const struct abx_exec_resource used = {w.import, 0, 4 * PAGE, ABX_USAGE_WRITE, 0};
    CHECK(run_with(&b, w.queue, &used, 1) == 0 && w.shared[8] == 5);
    end_world(&w);
    CHECK(left()[0] == 0);
    return 0;
}

/* What nobody looks at is not carried, until somebody does: all of it, of every queue. */
static int test_unseen(void)
{
    struct world w;
    struct batch b, late;
    struct abx_queue *other;
    struct abx_event *event = event_new();
    CHECK(make_world(&w) == 0 && CUDA->queue->create(w.device, &other) == 0);
    uint32_t *guest = w.guest;
    CHECK(CUDA->memory->mirror(w.mirrored, true) == 0);
    for (uint32_t i = 0; i < 3; i++) {
        batch_init(&b);
        batch_fill(&b, w.mirrored, 100 * i, 4, (uint8_t)(i + 1));
        CHECK(run_mirrored(&w, i == 1 ? other : w.queue, w.mirrored, &b, ABX_USAGE_WRITE) == 0);
        CHECK(guest[25 * i] == 0);
    }
    batch_init(&late);
    batch_fill(&late, w.mirrored, 4000, 4, 9);
    batch_event(&late, ABX_EXEC_SIGNAL_EVENT, event, 1);
    batch_event(&late, ABX_EXEC_WAIT_EVENT, event, 2);
    batch_fill(&late, w.mirrored, 4100, 4, 9);
    struct abx_exec_resource used = {w.mirrored, 0, MIRRORED_BYTES, ABX_USAGE_WRITE, 0};
    late.submission.resources = &used;
    late.submission.resource_count = 1;
    batch_submit(&late, other, CUDA);
    while (event_ops.value(event) < 1)
        usleep(1000);
    CUDA->memory->seen(w.mirrored);
    batch_init(&b);
    batch_copy(&b, w.mirrored, 0, w.mirrored, 0, 1);
    CHECK(run_mirrored(&w, w.queue, w.mirrored, &b, ABX_USAGE_WRITE) == 0);
    for (uint32_t i = 0; i < 3; i++)
        CHECK(guest[25 * i] == (i + 1) * 0x01010101u);
    CHECK(guest[1000] == 0x09090909 && guest[1025] == 0);
    guest[1001] = 7;
    event_ops.signal(event, 2);
    CHECK(batch_wait(&late) == 0);
    batch_finish(&late);
    CHECK(guest[1025] == 0x09090909 && guest[1001] == 7);
    CUDA->queue->destroy(other);
    end_world(&w);
    event_free(event);
    CHECK(left()[0] == 0);
    return 0;
}

/* Memory that any command buffer may reach goes while one that does not name it is under way. */
static int test_exposed(void)
{
    struct world w;
    struct batch b;
    unsigned issued = 0;
    CHECK(make_world(&w) == 0);
    CHECK(CUDA->memory->mirror(w.mirrored, false) == 0);
    batch_init(&b);
    batch_fill(&b, w.mirrored, 8, 4, 5);
    CHECK(run_mirrored(&w, w.queue, w.mirrored, &b, ABX_USAGE_WRITE) == 0 && w.guest[2]);
    CUDA->memory->exposed(w.mirrored);
    launches(30000);
    batch_init(&b);
    add_dispatches(&b, &w, 5);
    batch_submit(&b, w.queue, CUDA);
    for (int i = 0; issued < 5 && i < 10000; i++) {
        usleep(500);
        issued += launches(30000);
    }
    usleep(2000); /* its words are issued, too */
    CUDA->memory->destroy(w.mirrored);
    w.mirrored = NULL;
    launches(0);
    CHECK(issued == 5 && batch_wait(&b) == 0);
    batch_finish(&b);
    end_world(&w);
    CHECK(left()[0] == 0);
    return 0;
}

enum looks { LOOKED, LOOKS, LOOKED_MEANWHILE }; /* the guest, at what kernels wrote to */

static int fetch(struct world *w)
{
    struct batch b;
    batch_init(&b);
    const struct abx_exec_resource used = {w->mirrored, 0, MIRRORED_BYTES, ABX_USAGE_WRITE, 0};
    batch_copy(&b, w->mirrored, 0, w->mirrored, 0, 1);
    return run_with(&b, w->queue, &used, 1);
}

static int fill_mirrored(struct world *w, uint64_t at, uint8_t value)
{
    struct batch b;
    batch_init(&b);
    const struct abx_exec_resource used = {w->mirrored, 0, MIRRORED_BYTES, ABX_USAGE_WRITE, 0};
    batch_fill(&b, w->mirrored, at, 4, value);
    return run_with(&b, w->queue, &used, 1);
}

/* One command buffer, of whose calls the n-th fails with `code`, and another one: what the guest
 * wrote before each, and what either did that did not fail, is there. */
static int fail_mirrored(unsigned n, int code, enum looks looks, const char **ret_failed)
{
    struct world w;
    struct batch b;
    CHECK(make_world(&w) == 0);
    uint32_t *guest = w.guest;
    CHECK(CUDA->memory->mirror(w.mirrored, looks != LOOKED) == 0);
    CHECK(fill_mirrored(&w, 0, 1) == 0);
    CHECK(guest[0] == (looks == LOOKED ? 0x01010101 : 0));
    CUDA->memory->seen(w.mirrored);
    if (looks == LOOKED) {
        guest[1] = 11;
        CUDA->memory->wrote(w.mirrored, 4, 4);
    }
    launches(100);
    fail(n, code);
    int error = looks == LOOKS ? fetch(&w) : fill_mirrored(&w, 8, 5);
    CHECK(calls(ret_failed) && error >= 0);
    fail(0, 0);
    /* Nobody would know what ends when: it is lost, and said so after the command buffer ended. */
    bool gone = *ret_failed && strcmp(*ret_failed, "cuStreamWriteValue32_v2") == 0;
    for (int i = 0; i < 10000 && gone && !__atomic_load_n(&lost, __ATOMIC_SEQ_CST); i++)
        usleep(1000);
    CHECK(gone == (lost != 0));
    CHECK(error || guest[looks == LOOKS ? 0 : 2] == (looks == LOOKS ? 0x01010101 : 0x05050505));
    if (looks == LOOKED_MEANWHILE && !gone)
        CHECK(fetch(&w) == 0 && guest[0] == 0x01010101);
    guest[3] = 14;
    CUDA->memory->wrote(w.mirrored, 12, 4);
    batch_init(&b);
    batch_copy(&b, w.mirrored, 4, w.mirrored, 12288, 12);
    int second = run_mirrored(&w, w.queue, w.mirrored, &b, ABX_USAGE_WRITE);
    CHECK(gone ? error && second : !second);
    CHECK(gone || (guest[3] == 14 && guest[3074] == 14 && guest[3072] == guest[1]));
    CHECK(guest[1] == (looks == LOOKED ? 11 : 0));
    end_world(&w);
    launches(0);
    CHECK(left()[0] == 0);
    return 0;
}

/* A queue that waits for another one's words is not overdue when that one takes its time. */
static int test_waits_for_others(void)
{
    struct world w;
    struct batch b[2];
    struct abx_queue *other;
    CHECK(make_world(&w) == 0 && CUDA->queue->create(w.device, &other) == 0);
    CHECK(CUDA->memory->mirror(w.mirrored, false) == 0 && fill_mirrored(&w, 0, 1) == 0);
    const struct abx_exec_resource used = {w.mirrored, 0, MIRRORED_BYTES, ABX_USAGE_WRITE, 0};
    hang(1);
    for (int i = 0; i < 2; i++) {
        batch_init(&b[i]);
        if (i == 0)
            add_dispatches(&b[i], &w, 60);
        batch_fill(&b[i], w.mirrored, 8 + 4 * (uint64_t)i, 4, 5);
        b[i].submission.resources = (struct abx_exec_resource *)&used;
        b[i].submission.resource_count = 1;
        batch_submit(&b[i], i ? other : w.queue, CUDA);
        usleep(100000); /* it is issued */
    }
    usleep(200000);
    CUDA->device->watchdog(w.device, 100000000u);
    CHECK(!lost && !b[1].done);
    hang(0);
    CHECK(batch_wait(&b[0]) == 0 && batch_wait(&b[1]) == 0);
    CHECK(w.guest[2] == 0x05050505 && w.guest[3] == 0x05050505);
    batch_finish(&b[0]);
    batch_finish(&b[1]);
    CUDA->queue->destroy(other);
    end_world(&w);
    CHECK(left()[0] == 0);
    return 0;
}

/* Memory that another queue uses all the time has no mirror; command buffers that use it are not
 * kept from following each other for that. */
static int test_used_by_others(void)
{
    enum { TRIES = 7, COUNT = TRIES + 2 };
    struct world w;
    struct batch b[COUNT], waits;
    struct abx_queue *other;
    struct abx_event *event = event_new();
    unsigned issued = 0;
    CHECK(make_world(&w) == 0 && CUDA->queue->create(w.device, &other) == 0);
    const struct abx_exec_resource used = {w.mirrored, 0, MIRRORED_BYTES, ABX_USAGE_WRITE, 0};
    batch_init(&waits);
    batch_event(&waits, ABX_EXEC_SIGNAL_EVENT, event, 1);
    batch_event(&waits, ABX_EXEC_WAIT_EVENT, event, 2);
    waits.submission.resources = (struct abx_exec_resource *)&used;
    waits.submission.resource_count = 1;
    batch_submit(&waits, other, CUDA);
    while (event_ops.value(event) < 1)
        usleep(1000);
    CHECK(CUDA->memory->mirror(w.mirrored, false) == 0);
    launches(0);
    for (int i = 0; i < COUNT; i++) {
        hang(i >= TRIES); /* the last two are to be under way together */
        batch_init(&b[i]);
        add_dispatches(&b[i], &w, 1);
        b[i].submission.resources = (struct abx_exec_resource *)&used;
        b[i].submission.resource_count = 1;
        batch_submit(&b[i], w.queue, CUDA);
        CHECK(i >= TRIES || batch_wait(&b[i]) == 0);
    }
    for (int i = 0; issued < COUNT && i < 10000; i++) {
        usleep(1000);
        issued += launches(0);
    }
    CHECK(issued == COUNT);
    hang(0);
    event_ops.signal(event, 2);
    CHECK(batch_wait(&waits) == 0);
    batch_finish(&waits);
    for (int i = 0; i < COUNT; i++) {
        CHECK(i < TRIES || batch_wait(&b[i]) == 0);
        batch_finish(&b[i]);
    }
    CUDA->queue->destroy(other);
    end_world(&w);
    event_free(event);
    CHECK(left()[0] == 0);
    return 0;
}

static void let_go(struct abx_submission *s, const struct abx_exec_result *result)
{
    struct world *w = s->user;
    CUDA->memory->destroy(w->mirrored);
    w->mirrored = NULL;
    __atomic_store_n(&w->ended, 1 + result->error, __ATOMIC_SEQ_CST);
}

/* The device is lost while words are carried; the submission that ends of it was the last to hold
 * memory that all may reach. */
static int test_exposed_lost(void)
{
    struct world w;
    struct batch b;
    CHECK(make_world(&w) == 0);
    CHECK(CUDA->memory->mirror(w.mirrored, false) == 0 && fill_mirrored(&w, 0, 1) == 0);
    CUDA->memory->exposed(w.mirrored);
    batch_init(&b);
    batch_fill(&b, w.mirrored, 8, 4, 5);
    b.submission.commands = (void *)b.data;
    b.submission.bytes = b.bytes;
    b.submission.user = &w;
    b.submission.done = let_go;
    fail(1, ABX_CU_LAUNCH_FAILED);
    CUDA->queue->submit(w.queue, &b.submission);
    for (int i = 0; i < 10000 && !__atomic_load_n(&w.ended, __ATOMIC_SEQ_CST); i++)
        usleep(1000);
    CHECK(w.ended > 1);
    fail(0, 0);
    batch_finish(&b);
    end_world(&w);
    CHECK(left()[0] == 0);
    return 0;
}

static int test_mirrors_fail(void)
{
    for (int looks = LOOKED; looks <= LOOKED_MEANWHILE; looks++)
        for (int code = 1; code <= ABX_CU_OUT_OF_MEMORY; code++) {
            const char *failed = "";
            for (unsigned n = 1; failed && strcmp(failed, "cuStreamQuery") != 0; n++)
                CHECK(fail_mirrored(n, code, looks, &failed) == 0);
        }
    return 0;
}

/* Places: shared and private memory in one slot, outside the window, small ones side by side. */
static int test_places(void)
{
    struct world w;
    struct abx_device_memory *m[40], *bad;
    CHECK(make_world(&w) == 0);
    const struct abx_memory_ops *ops = CUDA->memory;
    char *half = w.window + WINDOW / 2 + (64u << 20);
    CHECK(ops->create_private(w.device, w.shared + 8 * PAGE, PAGE, &bad) == -EINVAL);
    CHECK(ops->create_private(w.device, w.window - PAGE, PAGE, &bad) == -EINVAL);
    CHECK(ops->create_private(w.device, w.window + WINDOW - PAGE, 2 * PAGE, &bad) == -EINVAL);
    CHECK(ops->create_private(w.device, half, 1ull << 60, &bad) < 0);
    CHECK(ops->create_private(w.device, half, 0, &bad) == -EINVAL);
    int state = 0;
    CHECK(ops->import(w.device, half - (59u << 20), PAGE, imported, &state, &bad) == -EINVAL);
    /* A page of zeros behind shared memory, where nothing else is. */
    CHECK(w.shared[4 * PAGE] == 0);
    CHECK(!import(&w, w.shared + 3 * PAGE, PAGE));
    struct abx_device_memory *next = import(&w, w.shared + 5 * PAGE, 2 * PAGE);
    struct abx_device_memory *before = import(&w, w.shared - 2 * PAGE, 2 * PAGE);
    CHECK(next && before && w.shared[7 * PAGE] == 0);
    ops->destroy(before), ops->destroy(next);
    for (int round = 0; round < 3; round++) {
        for (unsigned i = 0; i < ABX_ARRAY_SIZE(m); i++) {
            char *at = half + i * (100 * PAGE);
            CHECK(ops->create_private(w.device, at, (1 + i) * PAGE, &m[i]) == 0);
            CHECK(ops->address(m[i]) == (uint64_t)(uintptr_t)at);
        }
        for (unsigned i = 0; i < ABX_ARRAY_SIZE(m); i++)
            ops->destroy(m[(i * 17) % ABX_ARRAY_SIZE(m)]);
    }
    end_world(&w);
    CHECK(left()[0] == 0);
    return 0;
}

static int byte_of_file(struct world *w, uint64_t at)
{
    struct batch b;
    batch_init(&b);
    batch_copy(&b, w->file, at, w->import, 0, 1);
    const struct abx_exec_resource used[] = {
            {NULL}, {w->import, 0, 1, ABX_USAGE_WRITE, 0}, {w->file, at, 1, ABX_USAGE_READ, 0}};
    int error = run_with(&b, w->queue, used, 3);
    return error ? -error : (unsigned char)w->shared[0];
}

/* What others do with a file that is lent. */
static int test_files(void)
{
    struct world w;
    CHECK(make_world(&w) == 0);
    uint64_t last = FILE_BYTES - 2 * PAGE, middle = 9u << 20;
    int was = (int)((last / PAGE + 1) % 256);
    CHECK(byte_of_file(&w, last) == was);
    char nine = 9;
    CHECK(pwrite(w.fd, &nine, 1, (off_t)(middle + PAGE)) == 1 && byte_of_file(&w, middle) == 9);
    usleep(50000);
    CHECK(byte_of_file(&w, middle) == 9 && pwrite(w.fd, "\7", 1, (off_t)(middle + PAGE)) == 1);
    CHECK(byte_of_file(&w, middle) == 7);
    CHECK(ftruncate(w.fd, (off_t)(middle + PAGE)) == 0);
    CHECK(byte_of_file(&w, middle) == -ABX_EXEC_PAGE_FAULT);
    CHECK(byte_of_file(&w, middle - 2 * PAGE) == 255);
    CHECK(ftruncate(w.fd, (off_t)(middle + PAGE + 1)) == 0 && byte_of_file(&w, middle) == 0);
    CHECK(ftruncate(w.fd, 0) == 0 && byte_of_file(&w, 0) == -ABX_EXEC_PAGE_FAULT);
    /* Where shared memory is it cannot be. */
    CHECK(!load(&w, w.shared + 8 * PAGE));
    CHECK(!load(&w, w.window + WINDOW - PAGE));
    end_world(&w);
    forget_file();
    CHECK(left()[0] == 0);
    return 0;
}

static int test_matrices(void)
{
    struct world w;
    struct abx_device_info info;
    CHECK(make_world(&w) == 0);
    CUDA->device->info(w.device, &info);
    CHECK(info.operations & ABX_OPERATION_MATRIX_MULTIPLY);
    memset(w.shared, 1, 2 * PAGE);
    CHECK(multiply(&w, 4, ABX_ELEMENT_FLOAT32, false) == 0);
    CHECK(w.shared[PAGE - 1] == 1 && w.shared[PAGE] == 42);
    CHECK(w.shared[PAGE + 84 + 2 * 28 + 15] == 42 && w.shared[PAGE + 84 + 2 * 28 + 16] == 1);
    CHECK(multiply(&w, 4, ABX_ELEMENT_FLOAT16, true) == 0);
    CHECK(multiply(&w, 13, ABX_ELEMENT_FLOAT16, false) == ABX_EXEC_NOT_PERMITTED);
    CHECK(multiply(&w, 4, ABX_ELEMENT_BFLOAT16, false) == ABX_EXEC_NOT_PERMITTED);
    for (uint32_t columns = 14; columns < 14 + 70; columns++) /* more kinds than are remembered */
        CHECK(multiply(&w, columns % 7 + 1, ABX_ELEMENT_FLOAT32, columns & 1) == 0);
    end_world(&w);
    CHECK(left()[0] == 0);
    return 0;
}

/* More inline bytes, and more marks, than there is room for at once; two queues in turn. */
static int test_much(void)
{
    enum { N = 40 };
    struct world w;
    struct abx_queue *other;
    struct abx_event *event = event_new();
    static struct batch b[2 * N];
    CHECK(make_world(&w) == 0 && CUDA->queue->create(w.device, &other) == 0);
    launches(20);
    for (unsigned i = 0; i < N; i++) {
        batch_init(&b[2 * i]);
        batch_init(&b[2 * i + 1]);
        add_dispatches(&b[2 * i], &w, 200);
        batch_event(&b[2 * i], ABX_EXEC_SIGNAL_EVENT, event, 2 * i + 1);
        batch_event(&b[2 * i], ABX_EXEC_WAIT_EVENT, event, 2 * i + 2);
        batch_event(&b[2 * i + 1], ABX_EXEC_WAIT_EVENT, event, 2 * i + 1);
        add_dispatches(&b[2 * i + 1], &w, 10);
        batch_event(&b[2 * i + 1], ABX_EXEC_SIGNAL_EVENT, event, 2 * i + 2);
        batch_submit(&b[2 * i], w.queue, CUDA);
        batch_submit(&b[2 * i + 1], other, CUDA);
    }
    for (unsigned i = 0; i < 2 * N; i++) {
        CHECK(batch_wait(&b[i]) == 0);
        batch_finish(&b[i]);
    }
    CHECK(launches(0) == N * 210);
    CUDA->queue->destroy(other);
    end_world(&w);
    event_free(event);
    CHECK(left()[0] == 0);
    return 0;
}

/* The third time that the same comes it is one call, whatever its constants are; another
 * pipeline's, other memory's and one that is too short are not. */
static int test_replay(void)
{
    struct world w;
    CHECK(make_world(&w) == 0);
    launches(50);
    graphs();
    for (int round = 0; round < 6; round++) {
        struct batch b;
        batch_init(&b);
        add_dispatches(&b, &w, 20);
        batch_fill(&b, w.import, 0, 1, 1);
        add_dispatches(&b, &w, 3);
        batch_submit(&b, w.queue, CUDA);
        CHECK(batch_wait(&b) == 0 && b.submission.result.kernels == 23);
        batch_finish(&b);
        CHECK(launches(50) == 23 && graphs() == (round > 0));
        if (round == 3) { /* a new pipeline, perhaps where the old one was */
            CUDA->pipeline->destroy(w.pipeline);
            CHECK(make_pipeline(&w, ".version 7.0", 0) == 0);
            round = -1;
            static int again;
            if (again++)
                break;
        }
    }
    for (int i = 0; i < 100; i++) { /* more than are kept, all of them twice, while they run */
        struct batch b[2];
        for (int k = 0; k < 2; k++) {
            batch_init(&b[k]);
            add_dispatches(&b[k], &w, 8 + (unsigned)i);
            batch_submit(&b[k], w.queue, CUDA);
        }
        for (int k = 0; k < 2; k++) {
            CHECK(batch_wait(&b[k]) == 0);
            batch_finish(&b[k]);
        }
    }
    CHECK(graphs() == 100);
    end_world(&w);
    CHECK(left()[0] == 0);
    return 0;
}

static void add_note(struct batch *b, struct world *w, uint32_t place, uint32_t value)
{
    struct abx_exec_dispatch *d =
            batch_dispatch(b, w->pipeline, (uint32_t[3]){1, 1, 1}, (uint32_t[3]){1, 1, 1}, 4);
    d->bindings[0] = (struct abx_exec_binding){w->import, 4 * place, 4};
    batch_bytes(b, &d, 3, &value, sizeof value);
}

/* Constants reach the kernels that they are for wherever dispatches that come again lie between
 * others, which are brought in the same batch. */
static int test_replay_between(void)
{
    enum { FEW = 3, MANY = 10, ALL = 2 * (FEW + MANY) };
    struct world w;
    CHECK(make_world(&w) == 0);
    CUDA->pipeline->destroy(w.pipeline);
    CHECK(make_pipeline(&w, ".version 7.0\n" FAKE_COPIES, 0) == 0);
    const uint32_t *notes = (const uint32_t *)w.shared;
    graphs();
    for (uint32_t round = 0; round < 4; round++) {
        struct batch b;
        uint32_t value = 1000 * (round / 3), place = 0; /* as before, but in the last one */
        batch_init(&b);
        for (int part = 0; part < 2; part++) {
            for (int i = 0; i < FEW; i++, place++)
                add_note(&b, &w, place, ++value);
            batch_fill(&b, w.import, 2 * PAGE, 1, 1);
            for (int i = 0; i < MANY; i++, place++)
                add_note(&b, &w, place, ++value);
            batch_fill(&b, w.import, 2 * PAGE, 1, 1);
        }
        batch_submit(&b, w.queue, CUDA);
        CHECK(batch_wait(&b) == 0 && graphs() == (round ? 2 : 0));
        for (uint32_t i = 0; i < ALL; i++)
            CHECK(notes[i] == 1000 * (round / 3) + i + 1);
        batch_finish(&b);
    }
    end_world(&w);
    CHECK(left()[0] == 0);
    return 0;
}

/* Which kernels may overlap is what tells one run from another, too. Those that wait themselves
 * come early, where there is one that they wait for; of 8 threadgroups or 512 and more for 32
 * processors, not of 200. */
static int test_side_by_side_of(const char *ptx, uint32_t processor, bool waits)
{
    static const struct {
        unsigned dispatches, barrier_after, width;
        bool concurrent;
        unsigned waves, early;
    } tests[] = {{12, 0, 100, false, 12, 11}, {12, 0, 3200, false, 12, 0},
            {12, 0, 8192, false, 12, 11}, {12, 0, 100, true, 1, 0}, {12, 3, 100, true, 5, 3},
            {40, 0, 100, true, 3, 0}, {40, 20, 100, true, 5, 16}};
    struct world w;
    CHECK(make_world(&w) == 0);
    CUDA->pipeline->destroy(w.pipeline);
    CHECK(make_pipeline(&w, ptx, processor) == 0);
    for (size_t t = 0; t < ABX_ARRAY_SIZE(tests); t++)
        for (int round = 0; round < 3; round++) {
            struct batch b;
            batch_init(&b);
            for (unsigned i = 0; i < tests[t].dispatches; i++) {
                size_t at = b.bytes;
                add_dispatches(&b, &w, 1);
                struct abx_exec_dispatch *d = (void *)(b.data + at);
                d->grid[0] = tests[t].width;
                if (tests[t].concurrent)
                    d->head.flags = ABX_EXEC_CONCURRENT;
                if (tests[t].barrier_after && i % tests[t].barrier_after == 0)
                    batch_add(&b, ABX_EXEC_BARRIER, sizeof(struct abx_exec_command));
            }
            graphs();
            batch_submit(&b, w.queue, CUDA);
            CHECK(batch_wait(&b) == 0);
            batch_finish(&b);
            CHECK(graphs() == (round > 0) && (!round || waves() == tests[t].waves));
            CHECK(!round || early() == (waits ? tests[t].early : 0));
        }
    end_world(&w);
    CHECK(left()[0] == 0);
    return 0;
}

#define WAITING                                                                                    \
    ".version 7.8\n" ABX_PTX_TARGET "\n" ABX_PTX_EARLY_MARK "wait;\n" ABX_PTX_EARLY_MARK           \
    "launch_dependents;\n"

static int test_side_by_side(void)
{
    CHECK(test_side_by_side_of(".version 7.8\n.target sm_80\n", 0, false) == 0);
    CHECK(test_side_by_side_of(WAITING, 0, true) == 0);
    return test_side_by_side_of(WAITING, 90, true);
}

/* What the driver made its module of: 'c', a cubin, 'p', PTX; '-', none. */
static char made_of(struct world *w, uint32_t processor)
{
    modules();
    int r = make_pipeline(w, WAITING, processor);
    struct fake_modules m = modules();
    if (r == 0)
        CUDA->pipeline->destroy(w->pipeline);
    w->pipeline = NULL;
    return r < 0 || m.cubins + m.texts != 1 ? '-' : m.cubins ? 'c' : 'p';
}

/* Machine code is taken where it is for this processor and the driver takes it; else PTX is. */
static int test_cubins(void)
{
    struct world w;
    CHECK(make_world(&w) == 0);
    CUDA->pipeline->destroy(w.pipeline);
    CHECK(made_of(&w, 0) == 'p' && made_of(&w, 90) == 'c');
    CHECK(made_of(&w, 86) == 'p' && made_of(&w, 120) == 'p');
    refuse(222); /* CUDA_ERROR_UNSUPPORTED_PTX_VERSION, of an older driver */
    CHECK(made_of(&w, 90) == 'p');
    refuse(0);
    CHECK(made_of(&w, 90) == 'c');
    /* The module, which is what a driver may have no memory for, and the function in it. */
    for (unsigned call = 1; call <= 2; call++) {
        fail(call, ABX_CU_OUT_OF_MEMORY);
        int r = make_pipeline(&w, WAITING, 90);
        const char *failed = NULL;
        (void)calls(&failed);
        CHECK(r == 0 && failed && !strncmp(failed, "cuModule", 8));
        CUDA->pipeline->destroy(w.pipeline);
        w.pipeline = NULL;
    }
    CHECK(lost == 0);
    fail(1, ABX_CU_LAUNCH_FAILED);
    CHECK(make_pipeline(&w, WAITING, 90) < 0 && lost == 1);
    fail(0, 0);
    end_world(&w);
    CHECK(left()[0] == 0);
    return 0;
}

/* The driver reads what a cubin's heads name, and is not told where the cubin ends. */
static int test_bad_cubins(void)
{
    static struct blob good, bad;
    make_blob(&good, WAITING);
    CHECK(abx_ptx_check(&good, sizeof good) == 0);
    good.info.cubin_waits = 1;
    CHECK(abx_ptx_check(&good, sizeof good) < 0);
    good.info.cubin_waits = 0;
    add_cubin(&good, 90);
    CHECK(abx_ptx_check(&good, sizeof good) == 0);
#define BAD(what)                                                                                  \
    do {                                                                                           \
        bad = good;                                                                                \
        what;                                                                                      \
        CHECK(abx_ptx_check(&bad, sizeof bad) == -EBADMSG);                                        \
    } while (0)
    BAD(bad.info.processor = 0);
    BAD(bad.info.cubin_waits = 2);
    BAD(bad.info.cubin_offset += 8);
    BAD(bad.info.cubin_offset += 1);
    BAD(bad.info.cubin_offset = 0);
    BAD(bad.info.cubin_offset = UINT64_MAX - 7);
    BAD(bad.info.cubin_bytes += 1);
    BAD(bad.info.cubin_bytes = sizeof bad.cubin.head - 1);
    BAD(bad.info.cubin_bytes = UINT64_MAX);
    BAD(bad.cubin.head.e_ident[0] = 0);
    BAD(bad.cubin.head.e_ident[EI_CLASS] = ELFCLASS32);
    BAD(bad.cubin.head.e_machine = EM_X86_64);
    BAD(bad.cubin.head.e_shnum = 0);
    BAD(bad.cubin.head.e_shnum = 200);
    BAD(bad.cubin.head.e_shentsize--);
    BAD(bad.cubin.head.e_shoff = UINT64_MAX - 10);
    BAD(bad.cubin.sections[1].sh_size++);
    BAD(bad.cubin.sections[1].sh_offset = UINT64_MAX);
    BAD(bad.cubin.head.e_phnum = 1);
    BAD((bad.cubin.head.e_phnum = 1, bad.cubin.head.e_phentsize = sizeof(Elf64_Phdr),
            bad.cubin.head.e_phoff = bad.info.cubin_bytes - 8));
#undef BAD
    return 0;
}

/* Times are the processor's, from the first on, also where the GPU's clock runs off. */
static int test_timestamps(void)
{
    struct world w;
    CHECK(make_world(&w) == 0);
    launches(50);
    for (int round = 0; round < 20; round++) {
        struct batch b;
        volatile uint64_t *times = (volatile uint64_t *)(void *)w.shared;
        uint64_t before = abx_now_ns();
        batch_init(&b);
        for (unsigned i = 0; i < 3; i++) {
            struct abx_exec_timestamp *t = batch_add(&b, ABX_EXEC_TIMESTAMP, sizeof *t);
            t->to = w.import;
            t->offset = 8 * i;
            add_dispatches(&b, &w, 2);
        }
        batch_submit(&b, w.queue, CUDA);
        CHECK(batch_wait(&b) == 0 && b.submission.result.kernels == 6);
        batch_finish(&b);
        uint64_t after = abx_now_ns(), slack = after - before;
        CHECK(times[0] < times[1] && times[1] < times[2]);
        CHECK(times[0] > before - slack && times[2] < after + slack);
    }
    end_world(&w);
    CHECK(left()[0] == 0);
    return 0;
}

/* The second device is the driver's third: the one between is too old. */
static int test_devices(void)
{
    struct world w;
    fake_cuda_device *device =
            (fake_cuda_device *)dlsym(dlopen(FAKE_CUDA, RTLD_NOW), "fake_device");
    which = 1;
    CHECK(make_world(&w) == 0 && device() == 2);
    end_world(&w);
    CHECK(left()[0] == 0);
    which = 2;
    struct abx_device_config config = {.events = &event_ops, .index = which};
    struct abx_device *none;
    CHECK(CUDA->device->open(&config, &none) < 0 && left()[0] == 0);
    which = 0;
    return 0;
}

static int test_grids(void)
{
    struct world w;
    struct batch b;
    CHECK(make_world(&w) == 0);
    launches(0);
    batch_init(&b);
    batch_dispatch(&b, w.pipeline, (uint32_t[3]){5, 200000, 70000}, (uint32_t[3]){1, 1, 1}, 0);
    batch_submit(&b, w.queue, CUDA);
    CHECK(batch_wait(&b) == 0 && launches(0) == 4 * 2);
    batch_finish(&b);
    batch_init(&b);
    batch_dispatch(
            &b, w.pipeline, (uint32_t[3]){1, 4000000000u, 4000000000u}, (uint32_t[3]){1, 1, 1}, 0);
    batch_submit(&b, w.queue, CUDA);
    CHECK(batch_wait(&b) == ABX_EXEC_INVALID_RESOURCE && launches(0) == 0);
    batch_finish(&b);
    end_world(&w);
    CHECK(left()[0] == 0);
    return 0;
}

/* A kernel that never ends takes the device with it, but the other command buffers end too. */
static int test_endless(void)
{
    struct world w;
    struct batch b[3];
    CHECK(make_world(&w) == 0);
    hang(1);
    for (int i = 0; i < 3; i++) {
        batch_init(&b[i]);
        add_dispatches(&b[i], &w, 3);
        batch_submit(&b[i], w.queue, CUDA);
    }
    usleep(20000);
    CUDA->device->watchdog(w.device, 10000000000u);
    CHECK(!lost && !b[0].done);
    CUDA->device->watchdog(w.device, 1000000u);
    CHECK(lost == 1);
    CHECK(batch_wait(&b[0]) == ABX_EXEC_TIMEOUT && b[0].submission.result.limit == 1);
    CHECK(batch_wait(&b[1]) == ABX_EXEC_DEVICE_REMOVED);
    CHECK(batch_wait(&b[2]) == ABX_EXEC_DEVICE_REMOVED);
    for (int i = 0; i < 3; i++)
        batch_finish(&b[i]);
    hang(0);
    end_world(&w);
    CHECK(left()[0] == 0);
    return 0;
}

/* The same while more is being issued than there is room for, and while another queue waits for an
 * event that comes afterwards. */
static int test_endless_long(void)
{
    struct world w;
    struct batch b, waits;
    struct abx_event *event = event_new();
    struct abx_queue *other;
    CHECK(make_world(&w) == 0 && CUDA->queue->create(w.device, &other) == 0);
    hang(1);
    batch_init(&b);
    batch_init(&waits);
    add_dispatches(&b, &w, 5000);
    batch_event(&waits, ABX_EXEC_WAIT_EVENT, event, 1);
    batch_submit(&b, w.queue, CUDA);
    batch_submit(&waits, other, CUDA);
    usleep(50000);
    CUDA->device->watchdog(w.device, 100000u);
    CHECK(lost == 1);
    CHECK(batch_wait(&b) == ABX_EXEC_TIMEOUT);
    CHECK(batch_wait(&waits) == ABX_EXEC_DEVICE_REMOVED);
    hang(0);
    CUDA->queue->destroy(other);
    event_ops.signal(event, 1);
    batch_finish(&b), batch_finish(&waits);
    end_world(&w);
    event_free(event);
    CHECK(left()[0] == 0);
    return 0;
}

static int test_fault(void)
{
    struct world w;
    struct batch b[2];
    CHECK(make_world(&w) == 0);
    hang(2);
    for (int i = 0; i < 2; i++) {
        batch_init(&b[i]);
        for (int k = 0; k < 3; k++) { /* a fill and a kernel, whose guest's number is 5 + 10 k */
            batch_fill(&b[i], w.import, 0, 16, 1);
            size_t at = b[i].bytes;
            add_dispatches(&b[i], &w, 1);
            ((struct abx_exec_command *)(b[i].data + at))->source = 5 + 10 * (uint32_t)k;
        }
        batch_submit(&b[i], w.queue, CUDA);
    }
    usleep(20000);
    fail(1, ABX_CU_ILLEGAL_ADDRESS); /* the queue asks for errors while it waits */
    CHECK(batch_wait(&b[0]) == ABX_EXEC_PAGE_FAULT && b[0].source == 15);
    CHECK(batch_wait(&b[1]) == ABX_EXEC_DEVICE_REMOVED);
    CHECK(lost == 1);
    struct batch after;
    batch_init(&after);
    add_dispatches(&after, &w, 1);
    batch_submit(&after, w.queue, CUDA);
    CHECK(batch_wait(&after) == ABX_EXEC_DEVICE_REMOVED);
    batch_finish(&after), batch_finish(&b[0]), batch_finish(&b[1]);
    fail(0, 0);
    hang(0);
    end_world(&w);
    CHECK(left()[0] == 0);
    return 0;
}

/* Every call fails in its turn, in three ways: no crash, no leak, an error. */
static int test_failures(int code)
{
    struct world w;
    const char *failed = "";
    unsigned n = 0, reached[8] = {0};
    while (failed) {
        struct abx_event *event = event_new();
        int error = 0;
        fail(++n, code);
        int step = make_world(&w);
        reached[step]++;
        if (step == 0)
            CHECK(run_all(&w, event, &error) == 0);
        (void)calls(&failed);
        /* A question that gets no answer is asked again; without a graph kernels are launched;
         * shared memory does without the page behind it; and without a mirror. */
        if (failed && !step && !error && strcmp(failed, "cuStreamQuery") &&
                strcmp(failed, "cuMemHostRegister_v2") && strncmp(failed, "cuGraph", 7) &&
                strcmp(failed, "cuMemAlloc_v2") && strcmp(failed, "cuMemCreate") &&
                strcmp(failed, "cuMemMap") && strcmp(failed, "cuMemSetAccess") &&
                strcmp(failed, "cuMemHostGetDevicePointer_v2")) {
            fprintf(stderr, "call %u (%s) failed with %d, and nobody saw it\n", n, failed, code);
            return 1;
        }
        fail(0, 0);
        end_world(&w);
        usleep(200); /* who signalled may hold the event's lock yet */
        event_free(event);
        if (left()[0]) {
            fprintf(stderr, "call %u (%s) failed with %d: left: %s\n", n, failed, code, left());
            return 1;
        }
    }
    printf("# %u calls failed with %d; steps:", n - 1, code);
    for (int i = 0; i < 8; i++)
        printf(" %u", reached[i]);
    puts("");
    return 0;
}

static int test_out_of_memory(void)
{
    return test_failures(ABX_CU_OUT_OF_MEMORY);
}
static int test_refusals(void)
{
    return test_failures(1); /* CUDA_ERROR_INVALID_VALUE */
}
static int test_losses(void)
{
    return test_failures(ABX_CU_LAUNCH_FAILED);
}

/* All of them, or the one that is named. */
int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(void);
    } tests[] = {{"works", test_works}, {"places", test_places}, {"much", test_much},
            {"mirrors", test_mirrors}, {"unseen", test_unseen}, {"exposed", test_exposed},
            {"exposed_lost", test_exposed_lost}, {"waits_for_others", test_waits_for_others},
            {"used_by_others", test_used_by_others}, {"mirrors_fail", test_mirrors_fail},
            {"files", test_files}, {"matrices", test_matrices}, {"replay", test_replay},
            {"replay_between", test_replay_between}, {"side_by_side", test_side_by_side},
            {"cubins", test_cubins}, {"bad_cubins", test_bad_cubins},
            {"timestamps", test_timestamps}, {"devices", test_devices}, {"grids", test_grids},
            {"endless", test_endless}, {"endless_long", test_endless_long}, {"fault", test_fault},
            {"out_of_memory", test_out_of_memory}, {"refusals", test_refusals},
            {"losses", test_losses}};
    char why[192], names[2][64];
    int bad = 0;
    CHECK(CUDA->usable(why, sizeof why) == 0 && CUDA->prepare(why, sizeof why) == 0);
    CHECK(CUDA->probe(names, 2) == 2 && strcmp(names[0], "Fake GPU") == 0 &&
            strcmp(names[1], "Fake GPU 3") == 0);
    void *driver = dlopen(FAKE_CUDA, RTLD_NOW);
    CHECK(driver);
    fail = (fake_cuda_fail *)dlsym(driver, "fake_fail");
    calls = (fake_cuda_calls *)dlsym(driver, "fake_calls");
    launches = (fake_cuda_launches *)dlsym(driver, "fake_launches");
    graphs = (fake_cuda_graphs *)dlsym(driver, "fake_graphs");
    waves = (fake_cuda_graphs *)dlsym(driver, "fake_waves");
    early = (fake_cuda_graphs *)dlsym(driver, "fake_early");
    hang = (fake_cuda_hang *)dlsym(driver, "fake_hang");
    left = (fake_cuda_left *)dlsym(driver, "fake_left");
    refuse = (fake_cuda_refuse *)dlsym(driver, "fake_refuse");
    modules = (fake_cuda_modules *)dlsym(driver, "fake_modules");
    for (size_t i = 0; i < ABX_ARRAY_SIZE(tests); i++) {
        if (argc > 1 && strcmp(argv[1], tests[i].name) != 0)
            continue;
        int failed = tests[i].run();
        printf("%s %s\n", failed ? "not ok" : "ok", tests[i].name);
        fflush(stdout);
        bad |= failed;
    }
    return bad;
}
