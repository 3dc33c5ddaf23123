/* torch: the device, the lock over everything, and launches. Runs in the user's program, on any
 * thread; it trusts its caller, and checks what Metal would take amiss. */
#include "internal.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>

struct core core;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Thread_local char error_text[2560];

void core_lock(void)
{
    pthread_mutex_lock(&lock);
}

void core_unlock(void)
{
    pthread_mutex_unlock(&lock);
}

int core_fail(int error, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(error_text, sizeof error_text, format, args);
    va_end(args);
    return -error;
}

const char *abx_torch_error(void)
{
    return error_text;
}

/* A forked child has the parent's objects and not its connection. It may free memory, which then
 * stays where it is, and nothing else. */
static bool is_forked_child;

static void in_child(void)
{
    is_forked_child = core.device != NULL;
    pthread_mutex_unlock(&lock);
}

static int fail_in_child(void)
{
    return core_fail(ENODEV, "Cannot re-initialize MPS in forked subprocess. To use MPS with "
                             "multiprocessing, you must use the 'spawn' start method");
}

int core_check(void)
{
    return is_forked_child ? fail_in_child() : 0;
}

static int open_device(void)
{
    pthread_atfork(core_lock, core_unlock, in_child);
    core.device = metal_new_device();
    core.queue = core.device ? metal_new_queue(core.device) : NULL;
    if (!core.queue)
        return core_fail(ENODEV, "there is no Metal device here");
    core.counts.limit = metal_working_set(core.device);
    core.shares_memory = metal_has_unified_memory(core.device);
    return 0;
}

int abx_torch_open(void)
{
    static int result = 1;
    core_lock();
    if (result > 0)
        result = open_device();
    int r = is_forked_child ? fail_in_child() : result;
    core_unlock();
    return r;
}

/* Threads of a group at most, and groups that there should be: several processors share them. A
 * discrete GPU has a hundred, and each takes several groups, best of middling size. */
#define GROUP_MOST 1024
#define GROUPS_WANTED 16
#define DISCRETE_GROUP_MOST 256
#define DISCRETE_GROUPS_WANTED 256

/* Fewer threads where there would be few groups, more along x than along y and z. */
static struct metal_size choose_group(const size_t *grid, unsigned long width)
{
    unsigned long limit = core.shares_memory ? GROUP_MOST : DISCRETE_GROUP_MOST;
    unsigned long wanted = core.shares_memory ? GROUPS_WANTED : DISCRETE_GROUPS_WANTED;
    unsigned long most = width < limit ? width : limit;
    while (most > 64 && grid[0] * grid[1] * grid[2] < most * wanted)
        most /= 2;
    struct metal_size group = {grid[0] < most ? grid[0] : most, 1, 1};
    while (group.width * group.height * 2 <= most && group.height < grid[1] && group.height < 64)
        group.height *= 2;
    while (group.width * group.height * group.depth * 2 <= most && group.depth < grid[2] &&
            group.depth < 64)
        group.depth *= 2;
    return group;
}

#define DISCRETE_THREADS ((size_t)1 << 19) /* what a large one runs at a time, twice */

size_t core_row_threads(size_t rows, size_t count)
{
    size_t threads = 32;
    while (!core.shares_memory && threads < 1024 && threads * 8 <= count &&
            (rows * threads < DISCRETE_THREADS || threads < 256))
        threads *= 2;
    return threads;
}

int core_each(size_t side, size_t all)
{
    if (core.shares_memory || all < DISCRETE_THREADS * 2 || side % 2)
        return 1;
    return side % 4 == 0 && all >= DISCRETE_THREADS * 4 ? 4 : 2;
}

int core_launch(const struct abx_torch_launch *l)
{
    unsigned long width;
    id pipeline = kernel_find(l->library, l->function, l->constants, l->constant_count, &width);
    if (!pipeline)
        return -EINVAL;
    struct batch_point at = batch_open();
    batch_set_pipeline(pipeline);
    if (l->parameter_size)
        metal_set_bytes(at.encoder, l->parameters, l->parameter_size, 0);
    for (unsigned i = 0; i < l->operand_count; i++) {
        struct abx_torch_block *b = l->operands[i].block;
        if (!b || !b->buffer)
            continue;
        size_t offset = b->offset + l->operands[i].offset;
        metal_set_buffer(at.encoder, b->buffer, offset, i + 1);
        b->last_use = at.number;
    }
    struct metal_size grid = {l->grid[0], l->grid[1], l->grid[2]};
    struct metal_size group = {l->group[0], l->group[1], l->group[2]};
    metal_dispatch(at.encoder, grid, group.width ? group : choose_group(l->grid, width));
    batch_launched();
    return 0;
}

int abx_torch_run(const struct abx_torch_launch *l)
{
    if (!l->grid[0] || !l->grid[1] || !l->grid[2])
        return 0;
    if (l->operand_count > ABX_TORCH_MAX_OPERANDS || l->constant_count > ABX_TORCH_MAX_CONSTANTS ||
            l->parameter_size > ABX_TORCH_MAX_PARAMETERS)
        return core_fail(E2BIG, "a launch of '%s' has too many operands", l->library);
    core_lock();
    int r = is_forked_child ? fail_in_child() : core_launch(l);
    core_unlock();
    return r;
}

int core_run_product(const struct metal_product *product, const struct abx_torch_operand *operands,
        unsigned count)
{
    core_lock();
    int r = is_forked_child ? fail_in_child() : 0;
    if (r == 0) {
        struct batch_point at = batch_open_between();
        metal_multiply(core.device, at.command_buffer, product);
        for (unsigned i = 0; i < count; i++)
            operands[i].block->last_use = at.number;
        batch_launched();
    }
    core_unlock();
    return r;
}

void abx_torch_commit(void)
{
    core_lock();
    batch_commit();
    core_unlock();
}

int abx_torch_wait(uint64_t number)
{
    core_lock();
    int r = is_forked_child ? fail_in_child() : batch_wait(number);
    core_unlock();
    return r;
}

bool abx_torch_is_idle(const struct abx_torch_block *block)
{
    core_lock();
    bool idle = batch_has_ended(batch_last_use(block));
    core_unlock();
    return idle;
}

int abx_torch_wait_for(const struct abx_torch_block *block)
{
    core_lock();
    int r = is_forked_child ? fail_in_child() : batch_wait(batch_last_use(block));
    core_unlock();
    return r;
}

void abx_torch_get_counts(struct abx_torch_counts *ret_counts)
{
    core_lock();
    *ret_counts = core.counts;
    core_unlock();
}
